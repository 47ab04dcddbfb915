//! What the operator does to the engine. Nothing is half applied: a call
//! checks all it was given before it changes anything.

use std::collections::BTreeMap;

use crate::model::IcmpRate;
use crate::pace::Bucket;
use crate::time::Time;

use super::neighbor::Neighbor;
use super::own::Own;
use super::{Limits, Link4, Link4Config, Link4Error};

impl Link4 {
    /// Becomes as `config` says, keeping what did not change: next hops that
    /// stay keep their state, also under another own address; one whose
    /// hardware address is no longer given is used on while it is asked for.
    /// The link of another port is down until `link` says otherwise.
    pub fn reconfigure(&mut self, config: Link4Config, now: Time) -> Result<(), Link4Error> {
        config.check()?;
        self.change_all(|link| link.become_as(config, now));
        Ok(())
    }

    fn become_as(&mut self, config: Link4Config, now: Time) {
        // In another place: what was learned there is void here, and what
        // waits to be sent has another place's addresses.
        let moved = (self.port, self.mac, self.vlan) != (config.port, config.mac, config.vlan);
        self.up &= self.port == config.port;
        self.port = config.port;
        self.mac = config.mac;
        self.vlan = config.vlan;
        self.mtu = config.mtu;
        self.timers = config.timers;
        if moved {
            self.outbox.frames.clear();
        }
        if self.outbox.limits != config.limits {
            (self.answers, self.echoes, self.errors) = buckets(&config.limits, now);
            self.outbox.limits = config.limits;
        }

        let mut old = std::mem::take(&mut self.hops);
        let keep = |hop: &super::Hop| {
            let mut neighbor = old
                .remove(&hop.address)
                .unwrap_or_else(|| Neighbor::new(hop.mac, now));
            neighbor.give(hop.mac, now);
            if moved {
                neighbor.restart(now);
            }
            (hop.address, neighbor)
        };
        self.hops = config.hops.iter().map(keep).collect::<BTreeMap<_, _>>();

        let readdressed = self.own.interface.address != config.address.address;
        if readdressed {
            self.own = Own::new(config.address);
        }
        self.own.interface = config.address;
        if self.up && (readdressed || moved) {
            self.own.link_up(&self.timers, now);
        }
        if !self.up {
            self.own.link_down();
        }
    }
}

/// For answers, for echoes and for errors.
pub(super) fn buckets(limits: &Limits, now: Time) -> (Bucket, Bucket, Option<Bucket>) {
    let errors = match limits.errors {
        IcmpRate::PerSecond(rate) => Some(Bucket::new(rate, now)),
        IcmpRate::Unlimited => None,
    };
    (
        Bucket::new(limits.answers, now),
        Bucket::new(limits.echoes, now),
        errors,
    )
}
