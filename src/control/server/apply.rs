//! The file, while the appliance runs: `config.apply`, and SIGHUP.
//!
//! Reading a large file takes long, so a thread of its own does that; one at a
//! time, while everybody but the asking client is served as ever. What it
//! found is then staged, told, and committed in one go between two requests.
//! The two ways in differ in one thing: a request is refused if a setting
//! needs a restart, all of them named; at SIGHUP the file is what the next
//! start will read, so what can change changes and the rest is logged.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use super::dispatch::params;
use super::write::{Answer, result};
use super::{Asker, Server, ServerConfig};
use crate::config::{self, Config, Problem, Problems, SettingChange, Warning};
use crate::control::plant::Plant;
use crate::control::proto::{
    Access, ApplyReport, ConfigApply, Error, ErrorCode, Event, LISTED_MAPPINGS, Method, fits,
};
use crate::control::store::{Desired, Store};
use crate::model::Origin;
use serde_json::value::RawValue;

/// Settings that take another value while the appliance runs; those of the
/// socket for connections made from then on.
const LIVE: &[&str] = &[
    "log.level",
    "control.group_access",
    "control.clients",
    "control.line_bytes",
    "control.batch",
    "control.queue_bytes",
];

/// Bytes of overridden objects that the log names.
const LOGGED: usize = 16 << 10;

/// A file that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    asked: Asked,
    thread: JoinHandle<Result<Wanted, Refusal>>,
}

impl Reading {
    /// A client is gone. What it asked for in full is done all the same.
    pub(super) fn forget(&mut self, token: usize) {
        if let Asked::Client { asker, .. } = &mut self.asked
            && asker.token == token
        {
            asker.token = usize::MAX;
        }
    }
}

/// Who wants it applied, and how.
#[derive(Debug)]
enum Asked {
    Client {
        asker: Asker,
        dry_run: bool,
        mappings: u64,
    },
    Signal(PathBuf),
}

/// What a file wants.
#[derive(Debug)]
pub(super) struct Wanted {
    name: String,
    pub(super) settings: Config,
    desired: Desired,
    warnings: Vec<Problem>,
    /// Settings that differ from those that run.
    pub(super) live: Vec<SettingChange>,
    /// The same, of those that need a restart, with their places in the file.
    restart: Vec<(SettingChange, Problem)>,
}

/// A file that is not applied.
#[derive(Debug)]
enum Refusal {
    File(Problems),
    Other(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Other(error)
    }
}

/// What is listed of a difference.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed {
    mappings: u64,
    /// Bytes.
    room: usize,
}

impl Server {
    /// Is a file being read, or waiting to be applied?
    pub fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    /// Reads the file again and applies what can change; what came of it is
    /// logged. False while another is being read: try again.
    pub fn reload(&mut self, path: &Path, plant: &impl Plant) -> bool {
        if self.reading.is_some() {
            return false;
        }
        let asked = Asked::Signal(path.to_owned());
        let (path, running) = (path.to_owned(), plant.settings());
        let name = path.display().to_string();
        let read = move || match std::fs::read(&path) {
            Ok(bytes) => wanted(name, &bytes, &running),
            Err(error) => {
                let problem = Problem::new("", format!("cannot read the file: {error}"));
                let problems = vec![problem];
                Err(Refusal::File(Problems {
                    file: name,
                    problems,
                }))
            }
        };
        if let Err((_, error)) = self.read_file(asked, read) {
            log::error!("not reloaded, nothing has changed: {error}");
        }
        true
    }

    pub(super) fn config_apply(
        &mut self,
        asker: Asker,
        raw: Option<&RawValue>,
        plant: &impl Plant,
    ) -> Result<Answer, (Asker, Error)> {
        let ask: ConfigApply<'_> = match params(raw) {
            Ok(ask) => ask,
            Err(error) => return Err((asker, error)),
        };
        if self.reading.is_some() {
            let error = Error::new(ErrorCode::Limit, "another file is being applied");
            return Err((asker, error.hint("try again when that is done")));
        }
        let token = asker.token;
        let asked = Asked::Client {
            asker,
            dry_run: ask.dry_run,
            mappings: ask.mappings.unwrap_or(LISTED_MAPPINGS),
        };
        let (name, text) = (ask.name.into_owned(), ask.text.into_owned());
        let running = plant.settings();
        let read = move || wanted(name, text.as_bytes(), &running);
        match self.read_file(asked, read) {
            Ok(()) => {
                if let Some(client) = self.clients.get_mut(token) {
                    client.waiting = true;
                }
                Ok(Answer::Later)
            }
            Err((Asked::Client { asker, .. }, error)) => Err((asker, error)),
            Err((Asked::Signal(_), error)) => Err((Asker { token, id: None }, error)),
        }
    }

    fn read_file(
        &mut self,
        asked: Asked,
        read: impl FnOnce() -> Result<Wanted, Refusal> + Send + 'static,
    ) -> Result<(), (Asked, Error)> {
        let builder = std::thread::Builder::new().name("weft-file".to_owned());
        match builder.spawn(read) {
            Ok(thread) => {
                self.reading = Some(Reading { asked, thread });
                Ok(())
            }
            Err(error) => {
                let error = format!("no thread to read the file: {error}");
                Err((asked, Error::new(ErrorCode::Internal, error)))
            }
        }
    }

    /// Applies the file that has been read, if one has.
    pub(super) fn apply_read(&mut self, store: &mut Store, plant: &mut impl Plant, now: u32) {
        let done = |reading: &mut Reading| reading.thread.is_finished();
        if self.job.is_some() {
            return;
        }
        let Some(reading) = self.reading.take_if(done) else {
            return;
        };
        let wanted = reading.thread.join().unwrap_or_else(|_| {
            let error = Error::new(ErrorCode::Internal, "reading the file failed");
            Err(error.into())
        });
        // What operators changed meanwhile may yet be undone by the journal.
        self.settle(store, plant, now);
        match reading.asked {
            Asked::Client {
                asker,
                dry_run,
                mappings,
            } => {
                let listed = Listed {
                    mappings,
                    room: self.room_of(&asker),
                };
                let outcome = wanted.and_then(|wanted| {
                    restart_refused(&wanted, listed.room)?;
                    Ok(self.apply(wanted, dry_run, listed, store, plant, now)?)
                });
                self.tell(asker, outcome, listed.room);
            }
            Asked::Signal(path) => {
                let listed = Listed {
                    mappings: 0,
                    room: LOGGED,
                };
                let outcome = wanted.and_then(|wanted| {
                    log_waiting(&wanted);
                    Ok(self.apply(wanted, false, listed, store, plant, now)?)
                });
                log_outcome(&path, outcome);
            }
        }
    }

    /// Bytes of lists that an answer may have: it must find room in the queue.
    fn room_of(&mut self, asker: &Asker) -> usize {
        let client = self.clients.get_mut(asker.token);
        client.map_or(0, |client| client.queue_limit / 8)
    }

    fn tell(&mut self, asker: Asker, outcome: Result<ApplyReport, Refusal>, room: usize) {
        if let Some(client) = self.clients.get_mut(asker.token) {
            client.waiting = false;
        }
        let answer = outcome.map_err(|refusal| match refusal {
            Refusal::Other(error) => error,
            Refusal::File(found) => {
                let n = found.problems.len();
                let s = if n == 1 { "" } else { "s" };
                let message = format!("{} has {n} problem{s}; nothing was changed", found.file);
                Error::new(ErrorCode::InvalidParams, message)
                    .field("text")
                    .problems(found.problems, room)
            }
        });
        match answer.and_then(|report| result::<ConfigApply<'_>>(&report)) {
            Ok(Answer::Now(result)) if asker.id.is_some() => {
                let line = super::dispatch::success(asker.id.as_deref(), &result);
                self.answer(&asker, &line);
            }
            Ok(_) => {}
            Err(error) => self.fail(&asker, &error),
        }
    }

    /// Stages, looks, commits: everything or nothing.
    pub(super) fn apply_objects(
        &mut self,
        wanted: Wanted,
        dry_run: bool,
        listed: Listed,
        store: &mut Store,
        plant: &mut impl Plant,
        now: u32,
    ) -> Result<ApplyReport, Error> {
        let staged = store.stage_set(Origin::File, &wanted.desired, now)?;
        if let Err(full) = plant.has_room(store) {
            store.discard(staged);
            return Err(full.into());
        }
        let tx = staged.transaction();
        let found = store.differences(tx, listed.mappings, listed.room, now);
        let mut report = ApplyReport {
            dry_run,
            objects: found.list,
            added: found.added,
            changed: found.changed + wanted.live.len() as u64,
            removed: found.removed,
            unlisted: found.unlisted,
            unchanged: staged.changes.unchanged.into(),
            settings: wanted.live,
            warnings: wanted.warnings,
            ..ApplyReport::default()
        };
        let overridden = staged.changes.overridden.iter();
        let mut left = listed.room;
        let fitting = overridden.clone().take_while(|held| fits(held, &mut left));
        report.overridden = fitting.cloned().collect();
        let mut left = listed.room;
        report.warnings.retain(|warning| fits(warning, &mut left));
        report.more_overridden = (overridden.len() - report.overridden.len()) as u64;
        if dry_run {
            store.discard(staged);
            return Ok(report);
        }
        let transaction = store.commit(plant, staged)?;
        let settings = with_live(plant.settings(), &wanted.settings, &report.settings);
        if let Err(error) = plant.settings_changed(&settings) {
            store.take_back(plant, transaction);
            return Err(error.into());
        }
        self.config.adopt(&settings.control);
        if report.changes() > 0 {
            log::info!("{}: {} changes applied", wanted.name, report.changes());
            self.publish(&Event::Config {
                origin: Origin::File,
                method: Method::ConfigApply.name().to_owned(),
                applied: u32::try_from(report.changes()).unwrap_or(u32::MAX),
            });
        }
        Ok(report)
    }
}

impl ServerConfig {
    /// What the file says of those that connect.
    pub fn adopt(&mut self, control: &config::Control) {
        self.group_access = match control.group_access {
            config::GroupAccess::ReadOnly => Access::ReadOnly,
            config::GroupAccess::ReadWrite => Access::ReadWrite,
        };
        self.clients = control.clients as usize;
        self.line = control.line_bytes as usize;
        self.batch = control.batch as usize;
        self.queue = control.queue_bytes as usize;
    }
}

/// What runs, but for the settings that can change while it does.
pub(super) fn with_live(mut running: Config, wanted: &Config, live: &[SettingChange]) -> Config {
    running.port = super::ports::next(running.port, &wanted.port, live);
    running.log.level = wanted.log.level;
    running.control = config::Control {
        socket: running.control.socket,
        mode: running.control.mode,
        group: running.control.group,
        ..wanted.control.clone()
    };
    running
}

/// Reads, checks and compares; everything that needs no store.
fn wanted(name: String, bytes: &[u8], running: &Config) -> Result<Wanted, Refusal> {
    let (mut settings, warnings) = Config::parse(&name, bytes).map_err(Refusal::File)?;
    let desired = Desired::take(&mut settings);
    let changes = config::setting_changes(running, &settings);
    let (live, restart): (Vec<_>, Vec<_>) = changes
        .into_iter()
        .partition(|change| LIVE.contains(&change.path.as_str()) || change.port_change().is_some());
    let text = String::from_utf8_lossy(bytes);
    let places = match restart.is_empty() {
        true => Vec::new(),
        false => config::places(&text, restart.iter().map(|change| change.path.as_str())),
    };
    let placed = restart.into_iter().zip(places).map(|(change, at)| {
        let mut problem = change.refused();
        problem.at = Some(at);
        (change, problem)
    });
    Ok(Wanted {
        name,
        desired,
        warnings: warnings
            .into_iter()
            .map(|warning| warning.problem)
            .collect(),
        live,
        restart: placed.collect(),
        settings,
    })
}

fn restart_refused(wanted: &Wanted, room: usize) -> Result<(), Error> {
    let n = wanted.restart.len();
    if n == 0 {
        return Ok(());
    }
    let message = match n {
        1 => format!("{} changes a key that needs a restart", wanted.name),
        _ => format!("{} changes {n} keys that need a restart", wanted.name),
    };
    let mut problems: Vec<Problem> = wanted.restart.iter().map(|(_, p)| p.clone()).collect();
    problems.sort_by_key(|problem| problem.at);
    let error = Error::new(
        ErrorCode::Restart,
        format!("{message}; nothing was changed"),
    );
    Err(error.field("text").problems(problems, room))
}

fn log_waiting(wanted: &Wanted) {
    for problem in &wanted.warnings {
        let (file, problem) = (wanted.name.clone(), problem.clone());
        log::warn!("{}", Warning { file, problem });
    }
    for (change, problem) in &wanted.restart {
        let (line, column) = problem.at.unwrap_or((1, 1));
        log::warn!(
            "{}:{line}:{column}: `{}` has changed ({} -> {}); it takes effect at the next start",
            wanted.name,
            change.path,
            config::shown(change.old.as_ref()),
            config::shown(change.new.as_ref())
        );
    }
}

fn log_outcome(path: &Path, outcome: Result<ApplyReport, Refusal>) {
    match outcome {
        Ok(report) => {
            log::info!(
                "{} reloaded: {} applied, {} unchanged, {} removed",
                path.display(),
                report.added + report.changed,
                report.unchanged,
                report.removed
            );
            for held in &report.overridden {
                let (what, origin) = (held.kind.named(&held.key), held.origin);
                log::warn!("{what} stays as origin {origin} wants it");
            }
            if report.more_overridden > 0 {
                log::warn!("and {} more objects stay", report.more_overridden);
            }
        }
        Err(Refusal::File(problems)) => {
            log::error!("not reloaded, nothing has changed:\n{problems}");
        }
        Err(Refusal::Other(error)) => {
            log::error!("not reloaded, nothing has changed: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "name = \"R\"\nlocator = \"2001:db8:0:a:100::/72\"\n\
        [[port]]\nname = \"up\"\ndevice = \"net_null0\"\nrole = \"uplink\"\n";

    /// What is taken over while running is what is said to be, no more and no
    /// less.
    #[test]
    fn live_settings_are_taken_over_and_no_others() {
        let parse = |text: &str| match Config::parse("f", text.as_bytes()) {
            Ok((config, _)) => config,
            Err(problems) => panic!("{problems}"),
        };
        let running = parse(FILE);
        let wanted = parse(&format!(
            "mtu = 1400\n{FILE}[log]\nlevel = \"warn\"\n[limits]\nhosts = 3\n[control]\n\
             socket = \"/tmp/other\"\nmode = \"0760\"\ngroup = \"weft\"\n\
             group_access = \"ro\"\nclients = 3\nline_bytes = 2048\nbatch = 9\n\
             queue_bytes = 8192\n"
        ));
        let next = with_live(running.clone(), &wanted, &[]);
        let taken = config::setting_changes(&running, &next);
        let mut taken: Vec<_> = taken.iter().map(|change| change.path.as_str()).collect();
        taken.sort_unstable();
        let mut live = LIVE.to_vec();
        live.sort_unstable();
        assert_eq!(taken, live);
        let left = config::setting_changes(&next, &wanted);
        assert_eq!(left.len(), 5, "{left:?}");
    }
}
