//! The control thread's loop.
//!
//! One round: what workers punted (protocol first, then notices), the
//! substrate engine, the control socket for a slice of about a millisecond,
//! traces, housekeeping. Nothing in here waits for a worker or a client; the
//! only sleep is in the socket's poll, a millisecond at most, because workers
//! do not make the system call that could wake it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::control::proto::Event;
use crate::control::server::Server;
use crate::control::store::Store;
use crate::datapath::wiring::{ControlEnds, Outgoing};
use crate::model::Role;
use crate::packet::Packet;
use crate::port::Pool;

use super::answer::Replies;
use super::metrics::Metrics;
use super::notify::Notify;
use super::plant::Plant;
use super::watchers;

/// Longest sleep of a round; an answer to a node waits no longer than this.
const SLEEP: Duration = Duration::from_millis(1);
/// Frames of each ring that one round answers.
const FRAMES: usize = 256;
/// How often links are looked at; a failed one leaves the paths in that time.
const LINKS: Duration = Duration::from_millis(100);
/// How often workers are looked at.
const WATCHDOG: Duration = Duration::from_secs(1);

/// What the outside tells the loop.
#[derive(Debug, Default)]
pub struct Signals {
    pub stop: AtomicBool,
    /// SIGHUPs that have arrived.
    pub reload: AtomicUsize,
}

/// The control thread.
pub struct Control<Po: Pool> {
    pub store: Store,
    pub plant: Plant,
    pub server: Server,
    pub ends: Vec<ControlEnds<Po::Packet>>,
    pub pool: Po,
    /// By port: a worker that has a transmit queue of it.
    pub senders: Vec<u16>,
    pub metrics: Option<Metrics>,
    pub notify: Notify,
    pub socket: std::path::PathBuf,
    /// What SIGHUP reads again.
    pub file: std::path::PathBuf,
}

impl<Po: Pool> std::fmt::Debug for Control<Po> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control")
            .field("plant", &self.plant)
            .finish_non_exhaustive()
    }
}

/// What the loop remembers between rounds.
struct Rounds {
    links: Vec<bool>,
    next_links: Instant,
    next_watchdog: Instant,
    progress: Vec<u64>,
    stuck: Vec<bool>,
    reloads: usize,
    /// SIGHUP is at work.
    reloading: bool,
}

impl<Po: Pool> Control<Po> {
    /// Serves until told to stop.
    pub fn run(&mut self, signals: &Signals) -> std::io::Result<()> {
        let now = Instant::now();
        let mut rounds = Rounds {
            links: vec![false; self.plant.site.ports.len()],
            next_links: now,
            next_watchdog: now + WATCHDOG,
            progress: vec![0; self.ends.len()],
            stuck: vec![false; self.ends.len()],
            reloads: signals.reload.load(Ordering::Relaxed),
            reloading: false,
        };
        let mut busy = false;
        while !signals.stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            if now >= rounds.next_links {
                rounds.next_links = now + LINKS;
                self.look_at_links(&mut rounds.links);
            }
            if now >= rounds.next_watchdog {
                rounds.next_watchdog = now + WATCHDOG;
                self.look_at_workers(&mut rounds);
            }
            let reloads = signals.reload.load(Ordering::Relaxed);
            if reloads != rounds.reloads && self.server.reload(&self.file, &self.plant) {
                rounds.reloads = reloads;
                rounds.reloading = true;
                self.notify.reloading();
            }
            if rounds.reloading && !self.server.is_reading() {
                rounds.reloading = false;
                self.notify.ready();
            }
            busy = self.round(busy)?;
        }
        Ok(())
    }

    /// One round; true if there is more to do at once.
    fn round(&mut self, busy: bool) -> std::io::Result<bool> {
        let mut replies = Replies::default();
        // Before anything is taken out of them.
        self.plant.rings.look(&self.ends);
        let answered = self.answer(&mut replies);
        let now = self.plant.now();
        self.plant.substrate.poll(now);
        if let Some(relay) = &mut self.plant.relay {
            relay.poll(now);
        }
        self.plant.collect_links(&mut replies);
        self.plant.poll_dhcp(&mut replies);
        self.plant.poll_addresses(&self.store, &mut replies);
        self.plant.poll_groups(&self.store, &mut replies);
        self.plant.set_resolver(self.server.has_answerer());
        self.plant.step(&self.store);
        self.send(replies);
        let sleep = if busy || answered {
            Duration::ZERO
        } else {
            SLEEP
        };
        let seconds = self.plant.seconds();
        let more = self
            .server
            .poll(sleep, &mut self.store, &mut self.plant, seconds)?;
        self.traces();
        if let Some(metrics) = &mut self.metrics {
            metrics.serve(&self.plant);
        }
        Ok(more)
    }

    /// Answers what the workers punted; true if a ring may hold more.
    fn answer(&mut self, replies: &mut Replies) -> bool {
        let mut more = false;
        for ends in &mut self.ends {
            for left in (0..FRAMES).rev() {
                let Ok(punted) = ends.protocol.pop() else {
                    break;
                };
                self.plant.answer(&punted, &self.store, replies);
                more |= left == 0;
            }
        }
        for ends in &mut self.ends {
            for left in (0..FRAMES).rev() {
                let Ok(notice) = ends.notices.pop() else {
                    break;
                };
                self.plant.notice(notice, &self.store, replies);
                more |= left == 0;
            }
        }
        more
    }

    fn send(&mut self, replies: Replies) {
        for (port, bytes) in replies.frames {
            if !self.send_frame(port, &bytes) {
                self.plant.slow.unsent += 1;
            }
        }
        for event in &replies.events {
            self.server.publish(event);
        }
    }

    fn send_frame(&mut self, port: u16, bytes: &[u8]) -> bool {
        let sender = self.senders.get(usize::from(port)).copied().unwrap_or(0);
        let (Some(ends), Some(mut packet)) =
            (self.ends.get_mut(usize::from(sender)), self.pool.alloc())
        else {
            return false;
        };
        packet.append(bytes).is_ok() && ends.to_worker.push(Outgoing { port, packet }).is_ok()
    }

    fn traces(&mut self) {
        for ends in &mut self.ends {
            while let Ok(record) = ends.trace.pop() {
                let micros = self.plant.clock.micros(record.time);
                for owner in self.plant.watchers.take(&record) {
                    let report = watchers::report(&record, self.plant.topology(), micros);
                    self.server.trace_record(owner, report);
                }
            }
        }
        if self.plant.watchers.differs(self.plant.publisher.current()) {
            self.plant.mark_dirty();
        }
    }

    fn look_at_links(&mut self, links: &mut Vec<bool>) {
        let now = self.plant.now();
        links.resize(self.plant.site.ports.len(), false);
        for (index, was_up) in links.iter_mut().enumerate() {
            if self.plant.site.ports[index].vacant.is_some() {
                *was_up = false;
                continue;
            }
            let up = self.plant.devices.link(index as u16).up;
            if up == *was_up {
                continue;
            }
            *was_up = up;
            let port = &self.plant.site.ports[index].config;
            log::info!("port {} is {}", port.name, if up { "up" } else { "down" });
            self.server.publish(&Event::Port {
                port: port.name.clone(),
                up,
            });
            if port.role == Role::Uplink {
                self.plant.substrate.link(index as u16, up, now);
            }
            if let Some(relay) = &mut self.plant.relay {
                relay.link(index as u16, up, now);
            }
        }
    }

    /// A worker that makes no rounds is hung: systemd is no longer told that
    /// all is well, and says so by restarting the service.
    fn look_at_workers(&mut self, rounds: &mut Rounds) {
        let counters = self
            .plant
            .counters
            .iter()
            .map(|counters| counters.rounds.get());
        for (worker, made) in counters.enumerate() {
            let stuck = made == rounds.progress[worker];
            rounds.progress[worker] = made;
            if stuck && !rounds.stuck[worker] {
                log::error!("worker {worker} has made no round for a second");
            }
            rounds.stuck[worker] = stuck;
        }
        if !rounds.stuck.contains(&true) {
            self.notify.watchdog();
        }
    }
}
