//! Leases over a restart, of nodes that have no other address: a file beside the journal of the operators'
//! changes.
//!
//! It is written a second after a change at the latest, as a whole, and put in
//! the place of the old one. What a crash takes from it is asked for again: a
//! client that names its address gets it, if nobody else has been given it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::Dhcps;
use super::pool::may_have;
use crate::appliance::plant::Plant;
use crate::control::store::Store;
use crate::model::Dhcp;
use crate::node::dhcp::Lease;
use crate::time::Time;
use crate::wire::{Mac, Vaddr};

/// Milliseconds between two files.
const PAUSE: u64 = 1000;

/// One lease. Its end, if it has one, is in seconds since 1970.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    node: String,
    vnet: String,
    address: Vaddr,
    mac: Mac,
    host_name: String,
    until: Option<u64>,
}

/// Where leases are kept.
#[derive(Debug)]
pub(super) struct LeaseFile {
    path: PathBuf,
    /// How many changes it shows.
    shown: u64,
    next: Time,
    failed: bool,
}

impl LeaseFile {
    /// Beside a journal, so that both are of one owner.
    fn beside(journal: &Path) -> LeaseFile {
        LeaseFile {
            path: journal.with_extension("leases"),
            shown: 0,
            next: Time::ZERO,
            failed: false,
        }
    }

    fn read(&self) -> io::Result<Vec<Saved>> {
        match fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::other),
        }
    }

    fn write(&self, leases: &[Saved]) -> io::Result<()> {
        let mut fresh = self.path.clone().into_os_string();
        fresh.push(".new");
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(true).mode(0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(&serde_json::to_vec(leases)?)?;
        drop(file);
        fs::rename(fresh, &self.path)
    }

    /// What went wrong is told once, until it goes right again.
    fn tell(&mut self, outcome: &io::Result<()>) {
        if let (Err(error), false) = (outcome, self.failed) {
            log::warn!("{}: {error}", self.path.display());
        }
        self.failed = outcome.is_err();
    }
}

impl Dhcps {
    /// Leases as they are kept. Those of nodes whose bindings have addresses do
    /// no harm: they are left out when they are read.
    fn saved(&self, now: Time) -> Vec<Saved> {
        let wall = wall_clock();
        let saved = |(node, lease): (&str, &Lease)| {
            let left = |until: Time| until.since(now) / 1000;
            Saved {
                node: node.to_owned(),
                vnet: lease.vnet.clone(),
                address: lease.address,
                mac: lease.mac,
                host_name: lease.host_name.clone(),
                until: lease.until.map(|until| wall + left(until)),
            }
        };
        self.leases.iter().map(saved).collect()
    }
}

impl Plant {
    /// Leases are kept beside this journal from now on; those that are there
    /// hold again, if what is configured has not changed.
    pub fn keep_leases(&mut self, journal: &Path, store: &Store) {
        let mut file = LeaseFile::beside(journal);
        let (now, wall) = (self.now(), wall_clock());
        let found = file.read().unwrap_or_else(|error| {
            file.tell(&Err(error));
            Vec::new()
        });
        let mut held = 0;
        let over = |saved: &Saved| saved.until.is_some_and(|until| until <= wall);
        for saved in found.into_iter().filter(|saved| !over(saved)) {
            let binding = store.binding(&saved.node).filter(|binding| {
                let without = binding.address.is_none() && binding.vnet == saved.vnet;
                without && may_have(binding, saved.address, store)
            });
            let vnet = binding.and_then(|binding| store.vnet(&binding.vnet));
            let Some(vnet) = vnet else {
                continue;
            };
            let pools = &mut self.dhcp.pools;
            let vni = vnet.vni;
            if vnet.dhcp == Dhcp::Node || pools.restore(&saved.node, vni, saved.address) {
                let left = |until: u64| (until - wall).min(u64::from(u32::MAX));
                let lease = Lease {
                    vnet: saved.vnet,
                    address: saved.address,
                    mac: saved.mac,
                    host_name: saved.host_name,
                    until: saved.until.map(|until| now.after(left(until) * 1000)),
                };
                self.dhcp.leases.restore(saved.node, lease);
                held += 1;
            }
        }
        if held > 0 {
            self.dhcp.moved = true;
            log::info!("{}: {held} leases hold again", file.path.display());
        }
        self.dhcp.file = Some(file);
    }

    /// Writes the leases if they have changed, but not all the time.
    pub(super) fn save_leases(&mut self, now: Time) {
        let due = self
            .dhcp
            .file
            .as_ref()
            .is_some_and(|file| file.shown != self.dhcp.changes && file.next <= now);
        if due {
            self.save_leases_now();
        }
    }

    /// Writes the leases.
    pub fn save_leases_now(&mut self) {
        let now = self.now();
        let leases = self.dhcp.saved(now);
        let changes = self.dhcp.changes;
        if let Some(file) = &mut self.dhcp.file {
            let outcome = file.write(&leases);
            file.tell(&outcome);
            // What a full disk did not take is written when there is room.
            if outcome.is_ok() {
                file.shown = changes;
            }
            file.next = now.after(PAUSE);
        }
    }
}

fn wall_clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
