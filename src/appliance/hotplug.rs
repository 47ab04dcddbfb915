//! Ports of nodes that come and go while the appliance runs: what control knows
//! of them. The devices themselves are in `dpdk_hotplug`, what workers do in
//! [`datapath::ports`](crate::datapath::ports).
//!
//! A port keeps its number, its *slot*, as long as it is there. A slot that is
//! free again rests for a while: packets that came from the old port, or are
//! for it, may still wait somewhere under its number.

use crate::config::Config;
use crate::control::plant::PlantError;
use crate::model::Role;
use crate::time::Time;

use super::compile::SitePort;
use super::plant::Plant;

/// How long a slot rests beyond the time that packets are held. Rings between
/// workers are empty long before.
const REST_MS: u64 = 1000;

impl SitePort {
    /// Nobody's: a packet that still comes from it has no node.
    fn vacate(&mut self, now: Time) {
        self.config.name.clear();
        self.config.role = Role::Exception;
        self.config.exception = None;
        self.vacant = Some(now);
    }
}

impl Plant {
    /// Opens ports of `wanted` by name, all or none. They take part from the
    /// next snapshot on.
    pub(super) fn open_ports(&mut self, wanted: &Config, names: &[&str]) -> Result<(), PlantError> {
        for (done, name) in names.iter().enumerate() {
            if let Err(error) = self.open_port(wanted, name) {
                self.close_ports(&names[..done]);
                return Err(error);
            }
        }
        Ok(())
    }

    fn open_port(&mut self, wanted: &Config, name: &str) -> Result<(), PlantError> {
        let refuse = |why: String| PlantError::Refused(format!("port {name}: {why}"));
        let index = wanted.port.iter().position(|port| port.name == name);
        let index = index.ok_or_else(|| refuse("the file has none of that name".to_owned()))?;
        let slot = self.free_slot()?;
        let mac = self.devices.open(wanted, index, slot).map_err(refuse)?;
        let port = SitePort {
            config: wanted.port[index].clone(),
            mac,
            vacant: None,
        };
        match self.site.ports.get_mut(usize::from(slot)) {
            Some(place) => *place = port,
            None => self.site.ports.push(port),
        }
        self.mark_dirty();
        Ok(())
    }

    fn free_slot(&self) -> Result<u16, PlantError> {
        let (now, ports) = (self.now().0, &self.site.ports);
        let rest = REST_MS + u64::from(self.settings.limits.hold_ms);
        let rested = |slot: &usize| {
            let since = ports.get(*slot).and_then(|port| port.vacant);
            since.is_some_and(|since| since.0 + rest <= now) && self.devices.is_free(*slot as u16)
        };
        let room = self.counters.first().map_or(0, |block| block.ports.len());
        let fresh = Some(ports.len()).filter(|slot| *slot < room);
        let slot = (0..ports.len()).find(rested).or(fresh);
        slot.map(|slot| slot as u16).ok_or(PlantError::Full {
            table: "ports",
            limit: room,
        })
    }

    /// Gives ports up. Nothing in the store names them any more.
    pub(super) fn close_ports(&mut self, names: &[&str]) {
        let now = self.now();
        for (slot, port) in self.site.ports.iter_mut().enumerate() {
            if port.vacant.is_none() && names.contains(&port.config.name.as_str()) {
                port.vacate(now);
                self.devices.close(slot as u16);
            }
        }
        self.mark_dirty();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::testing::host_r;
    use super::*;
    use crate::datapath::counters::Counters;
    use crate::model::Port;

    const HAVE: usize = 2;

    /// A file with further ports of nodes.
    fn with(plant: &Plant, ports: &[(&str, &str)]) -> Config {
        let mut wanted = plant.settings.clone();
        for (name, device) in ports {
            let text = format!("name = \"{name}\"\ndevice = \"{device}\"\nrole = \"node\"");
            wanted.port.push(toml::from_str::<Port>(&text).unwrap());
        }
        wanted
    }

    fn growing() -> (Plant, crate::control::store::Store) {
        let (mut plant, store) = host_r("");
        assert_eq!(plant.site.ports.len(), HAVE);
        plant.counters = vec![Arc::new(Counters::new(HAVE + 1))];
        (plant, store)
    }

    fn names(plant: &Plant) -> Vec<&str> {
        let ports = plant.site.there();
        ports.map(|(_, port)| port.config.name.as_str()).collect()
    }

    #[test]
    fn a_port_gets_a_slot_and_workers_are_told() {
        let (mut plant, store) = growing();
        let wanted = with(&plant, &[("new", "net_null7")]);
        plant.open_ports(&wanted, &["new"]).unwrap();
        plant.step(&store);
        let record = &plant.topology().ports[HAVE];
        assert_eq!((record.name.as_str(), record.role), ("new", Role::Node));
        plant.close_ports(&["new"]);
        plant.step(&store);
        let record = &plant.topology().ports[HAVE];
        assert_eq!((record.name.as_str(), record.role), ("", Role::Exception));
        assert_eq!(record.exception, None);
        assert_eq!(names(&plant).len(), HAVE);
    }

    #[test]
    fn all_or_none() {
        let (mut plant, _) = growing();
        let before: Vec<String> = names(&plant).into_iter().map(str::to_owned).collect();
        let wanted = with(&plant, &[("good", "net_null7"), ("bad", "net_broken")]);
        let error = plant.open_ports(&wanted, &["good", "bad"]).unwrap_err();
        assert!(
            matches!(&error, PlantError::Full { table: "ports", limit } if *limit == HAVE + 1),
            "one slot is left: {error}"
        );
        assert_eq!(names(&plant), before);
        plant.counters = vec![Arc::new(Counters::new(HAVE + 9))];
        let error = plant.open_ports(&wanted, &["good", "bad"]).unwrap_err();
        assert_eq!(error.to_string(), "port bad: it is broken");
        assert_eq!(names(&plant), before);
    }

    #[test]
    fn a_slot_rests_before_it_is_used_again() {
        let (mut plant, _) = growing();
        let (clock, hand) = crate::clock::Clock::manual();
        plant.clock = clock;
        let wanted = with(&plant, &[("new", "net_null7")]);
        plant.open_ports(&wanted, &["new"]).unwrap();
        plant.close_ports(&["new"]);
        assert!(plant.open_ports(&wanted, &["new"]).is_err());
        hand.advance(REST_MS + u64::from(plant.settings.limits.hold_ms));
        plant.open_ports(&wanted, &["new"]).unwrap();
        assert_eq!(plant.site.ports.len(), HAVE + 1);
    }
}
