//! Ports that come and go, with a file or one by one.
//!
//! A port of nodes is opened before anything else is done, so that a device that
//! cannot be had changes nothing, and closed when nothing names it any more.
//! Other ports are what the appliance was started with.

use super::Server;
use super::apply::{Listed, Wanted, with_live};
use crate::config::{Config, PortChange, Problem, SettingChange, check};
use crate::control::plant::Plant;
use crate::control::proto::{Applied, ApplyReport, Error, ErrorCode, Event, Method};
use crate::control::store::Store;
use crate::model::{Origin, Port, Role};

impl Server {
    /// Opens ports that come and closes those that go, around all else:
    /// everything or nothing.
    pub(super) fn apply(
        &mut self,
        wanted: Wanted,
        dry_run: bool,
        listed: Listed,
        store: &mut Store,
        plant: &mut impl Plant,
        now: u32,
    ) -> Result<ApplyReport, Error> {
        let running = plant.settings().port;
        let next = next(running.clone(), &wanted.settings.port, &wanted.live);
        let names = |these: &[Port], not: &[Port]| -> Vec<String> {
            let gone = |port: &&Port| !not.iter().any(|other| other.name == port.name);
            these
                .iter()
                .filter(gone)
                .map(|port| port.name.clone())
                .collect()
        };
        let (added, removed) = (names(&next, &running), names(&running, &next));
        if added.is_empty() && removed.is_empty() {
            return self.apply_objects(wanted, dry_run, listed, store, plant, now);
        }
        let added: Vec<&str> = added.iter().map(String::as_str).collect();
        let removed: Vec<&str> = removed.iter().map(String::as_str).collect();
        if !dry_run && !added.is_empty() {
            let settings = with_live(plant.settings(), &wanted.settings, &wanted.live);
            plant.ports_open(&settings, &added)?;
        }
        let before = store.set_ports(next);
        let outcome = self.apply_objects(wanted, dry_run, listed, store, plant, now);
        if outcome.is_err() || dry_run {
            store.set_ports(before);
        }
        let over = if outcome.is_ok() { removed } else { added };
        if !dry_run && !over.is_empty() {
            plant.ports_close(&over);
        }
        outcome
    }

    /// Opens one port. Whatever a file with it would be told is told here.
    pub(super) fn port_set(
        &mut self,
        port: Port,
        origin: Origin,
        store: &mut Store,
        plant: &mut impl Plant,
        now: u32,
    ) -> Result<Applied, Error> {
        let invalid = |message: String| Error::new(ErrorCode::InvalidParams, message);
        if port.role != Role::Node {
            let message = "ports of other roles are what the appliance was started with";
            return Err(invalid(message.to_owned())
                .field("port.role")
                .hint("`node`, or put the port into the file and restart the appliance"));
        }
        let running = plant.settings();
        match running.port.iter().find(|old| old.name == port.name) {
            Some(old) if *old == port => {
                return Ok(Applied {
                    unchanged: 1,
                    ..Applied::default()
                });
            }
            Some(_) => {
                return Err(invalid(format!("there is another port {}", port.name))
                    .field("port.name")
                    .hint("a port does not change while it is open: remove it first"));
            }
            None => {}
        }
        let name = port.name.clone();
        let mut settings = running.clone();
        settings.port.push(port);
        if let Some(problem) = unfit(&running, &settings) {
            let error = invalid(problem.message).field(problem.path);
            return Err(match problem.hint {
                Some(hint) => error.hint(hint),
                None => error,
            });
        }
        self.settle(store, plant, now);
        plant.ports_open(&settings, &[&name])?;
        let outcome = self.exchange_ports(&settings, store, plant);
        if outcome.is_err() {
            plant.ports_close(&[&name]);
        }
        outcome?;
        log::info!("port {name} added");
        Ok(self.port_changed(origin, Method::PortSet))
    }

    /// Closes one port.
    pub(super) fn port_remove(
        &mut self,
        name: &str,
        origin: Origin,
        store: &mut Store,
        plant: &mut impl Plant,
        now: u32,
    ) -> Result<Applied, Error> {
        let mut settings = plant.settings();
        let Some(at) = settings.port.iter().position(|port| port.name == name) else {
            let message = format!("there is no port {name}");
            return Err(Error::new(ErrorCode::NotFound, message).field("name"));
        };
        if settings.port[at].role != Role::Node {
            let message = format!("port {name} is not of role `node`");
            return Err(Error::new(ErrorCode::Restart, message)
                .field("name")
                .hint("take it out of the file and restart the appliance"));
        }
        // What operators changed meanwhile may yet be undone by the journal.
        self.settle(store, plant, now);
        if let Some(user) = store.bindings().find(|binding| binding.port == name) {
            let message = format!("port {name} is used by binding {}", user.name);
            return Err(Error::new(ErrorCode::InUse, message)
                .field("name")
                .hint("remove what refers to it first"));
        }
        settings.port.remove(at);
        self.exchange_ports(&settings, store, plant)?;
        plant.ports_close(&[name]);
        log::info!("port {name} removed");
        Ok(self.port_changed(origin, Method::PortRemove))
    }

    /// Makes the ports of `settings` those that there are: all of it or nothing.
    fn exchange_ports(
        &mut self,
        settings: &Config,
        store: &mut Store,
        plant: &mut impl Plant,
    ) -> Result<(), Error> {
        let before = store.set_ports(settings.port.clone());
        let told = match plant.topology_changed(store) {
            Ok(()) => plant.settings_changed(settings),
            refused => refused,
        };
        if let Err(error) = told {
            store.set_ports(before);
            if let Err(error) = plant.topology_changed(store) {
                log::error!("cannot go back to the ports there were: {error}");
            }
            return Err(error.into());
        }
        Ok(())
    }

    fn port_changed(&mut self, origin: Origin, method: Method) -> Applied {
        self.publish(&Event::Config {
            origin,
            method: method.name().to_owned(),
            applied: 1,
        });
        Applied {
            applied: 1,
            ..Applied::default()
        }
    }
}

/// The first problem that the last port brings; its path is that of the request.
fn unfit(running: &Config, wanted: &Config) -> Option<Problem> {
    let known = check::check(running).problems;
    let at = format!("port[{}]", running.port.len());
    let found = check::check(wanted).problems.into_iter();
    let mut new = found.filter(|problem| {
        let same = |old: &Problem| old.path == problem.path && old.message == problem.message;
        !known.iter().any(same)
    });
    new.next().map(|mut problem| {
        if let Some(rest) = problem.path.strip_prefix(&at) {
            problem.path = format!("port{rest}");
        }
        problem
    })
}

/// Those that run, with those that come and without those that go, in the
/// order of the file.
pub(super) fn next(mut running: Vec<Port>, wanted: &[Port], live: &[SettingChange]) -> Vec<Port> {
    let is = |change: PortChange<'_>| {
        let mut found = live.iter().filter_map(SettingChange::port_change);
        found.any(|found| found == change)
    };
    let mut ports = Vec::new();
    for port in wanted {
        match running.iter().position(|old| old.name == port.name) {
            Some(at) => ports.push(running.remove(at)),
            None if is(PortChange::Added(&port.name)) => ports.push(port.clone()),
            None => {}
        }
    }
    running.retain(|port| !is(PortChange::Removed(&port.name)));
    ports.append(&mut running);
    ports
}
