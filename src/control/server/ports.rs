//! Ports that come and go with a file.
//!
//! A port of nodes is opened before anything else is done, so that a device that
//! cannot be had changes nothing, and closed when nothing names it any more.
//! Other ports are what the appliance was started with.

use super::Server;
use super::apply::{Listed, Wanted, with_live};
use crate::config::{PortChange, SettingChange};
use crate::control::plant::Plant;
use crate::control::proto::{ApplyReport, Error};
use crate::control::store::Store;
use crate::model::Port;

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
