//! `weft explain`: a made-up packet through the real stages.
//!
//! The stages, the table and the snapshot are those the workers use; only the
//! effects are missing, because stages have none.

use std::net::IpAddr;

use crate::control::plant::PlantError;
use crate::control::proto::{Explain, ExplainReport, Step};
use crate::datapath::record::{Record, Recorder, Slots};
use crate::datapath::topology::NodeRecord;
use crate::datapath::watch::Filter;
use crate::datapath::{self, Context, Exit, FreshIds, Outcome, fan};
use crate::model::Role;
use crate::packet::{Buffer, Meta};
use crate::wire::ethernet::{self, ethertype};
use crate::wire::virtual_mac::{self, Kind};
use crate::wire::{Mac, Vaddr, igmp};

use super::made_up;
use super::plant::Plant;
use super::watchers::{hex, outcome, step, tell_outcome};

/// Stands in for a node or router whose hardware address is not known.
const SOME_MAC: Mac = Mac([0x02, 0, 0, 0, 0, 0x01]);

impl Plant {
    pub(super) fn explain_packet(
        &mut self,
        request: &Explain,
    ) -> Result<ExplainReport, PlantError> {
        let (port, frame) = match request.from.parse::<IpAddr>() {
            Ok(source) => self.arriving_at_relay(source, request)?,
            Err(_) => self.sent_by_node(request)?,
        };
        let mut packet = Buffer::new(&frame);
        let mut records: Vec<Record> = Vec::with_capacity(1);
        let topology = self.publisher.current();
        let cx = Context {
            topology,
            mappings: &self.reader,
            pin: &self.participant,
            seconds: self.seconds(),
            fresh: FreshIds::new(0, 1),
        };
        let mut slots = Slots::default();
        let all = [Filter::default()];
        let mut recorder = Recorder::new(topology, &all, &mut slots, (0, 0), |record| {
            records.push(record.clone())
        });
        let meta = Meta {
            port,
            // A device takes the tag off, or does not; here it did.
            vlan: topology.port(port).and_then(|port| port.vlan).unwrap_or(0),
            ..Meta::default()
        };
        let packets = std::slice::from_mut(&mut packet);
        let results = datapath::walk(&cx, packets, &[meta], &mut recorder);
        let result = results.get(0);
        let mut steps: Vec<Step> = records
            .iter()
            .flat_map(Record::steps)
            .map(|(stage, verdict)| step(stage.name(), verdict))
            .collect();
        // What ended before has said so at the stage where it did.
        if result.is_ok() {
            steps.push(step("tx", &tell_outcome(&result, topology)));
        }
        if let Err(Exit::Fan(whence)) = result {
            steps.push(step("tx", &fan::receivers(&cx, &packet, whence)));
        }
        let out = match result {
            Ok(Outcome::Send { port, .. }) => topology.port(port).map(|port| port.name.clone()),
            _ => None,
        };
        Ok(ExplainReport {
            steps,
            outcome: outcome(&result).to_owned(),
            after: if out.is_some() {
                hex(packet.frame())
            } else {
                String::new()
            },
            port: out,
            before: hex(&frame),
        })
    }

    /// The frame that a node would send, and the port it would come in by.
    fn sent_by_node(&self, request: &Explain) -> Result<(u16, Vec<u8>), PlantError> {
        let missing = || PlantError::NotFound(format!("no node is called `{}`", request.from));
        let index = self.numbers.get(&request.from).ok_or_else(missing)?;
        let node = self.topology().node(index).ok_or_else(missing)?;
        let IpAddr::V4(to) = request.to else {
            return Err(PlantError::Refused(format!(
                "to: {} is no address of a vnet; nodes write to IPv4 addresses",
                request.to
            )));
        };
        let to = to.into();
        if node.vaddr == Vaddr(0) {
            return Err(PlantError::Refused(format!(
                "node `{}` has no address yet: it gets one by DHCP",
                request.from
            )));
        }
        let packet = made_up::ipv4(node.vaddr, to, request)?;
        let link = ethernet::Header {
            destination: self.next_mac(node, to),
            source: node.mac.unwrap_or(SOME_MAC),
            vlan: (node.vlan != 0).then_some(node.vlan),
            ethertype: ethertype::IPV4,
            len: 0,
        };
        Ok((node.port, made_up::frame(&link, &packet)))
    }

    /// The MAC to which a node sends what is for an address, if it knows its
    /// subnet and its gateway.
    fn next_mac(&self, node: &NodeRecord, to: Vaddr) -> Mac {
        if to.is_multicast() {
            return igmp::mac_of(to);
        }
        let (topology, segment) = (self.topology(), &node.segment);
        let subnet = topology.subnets.get(segment.subnet as usize);
        if to == Vaddr::BROADCAST
            || subnet.is_some_and(|subnet| subnet.is_broadcast(to))
            || topology.fans.everybody(node.vni, node.vaddr, to).is_some()
        {
            return Mac::BROADCAST;
        }
        if topology.router_near(node, to).is_some() {
            return virtual_mac::of(Kind::Router, node.vni, to);
        }
        match segment.gateway_mac {
            Some(gateway) if !segment.prefix.contains(to) => gateway,
            _ => self.given().neighbor(node, to),
        }
    }

    /// The frame that would come to the relay from an address of either family.
    fn arriving_at_relay(
        &self,
        source: IpAddr,
        request: &Explain,
    ) -> Result<(u16, Vec<u8>), PlantError> {
        let (role, ethertype, packet) = match (source, request.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let packet = made_up::ipv4(from.into(), to.into(), request)?;
                (Role::Relay4, ethertype::IPV4, packet)
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let packet = made_up::ipv6(from.octets(), to.octets(), request)?;
                (Role::Relay6, ethertype::IPV6, packet)
            }
            (from, to) => {
                return Err(PlantError::Refused(format!(
                    "to: {to} and {from} are of different families; no packet has both"
                )));
            }
        };
        let ports = &self.topology().ports;
        let port = ports.iter().position(|port| port.role == role);
        let port = port.ok_or_else(|| {
            PlantError::NotFound(format!(
                "from: {source} is an address, and this is no relay; give a node's name"
            ))
        })?;
        let link = ethernet::Header {
            destination: ports[port].mac,
            source: SOME_MAC,
            vlan: None,
            ethertype,
            len: 0,
        };
        Ok((port as u16, made_up::frame(&link, &packet)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::answer::Replies;
    use crate::appliance::testing::{built, host_r, host_r_with, relay};
    use crate::control::plant::Plant as _;
    use crate::control::proto::Protocol;

    fn request(from: &str, to: &str, protocol: Protocol) -> Explain {
        Explain {
            from: from.into(),
            to: to.parse().unwrap(),
            protocol,
            source_port: None,
            destination_port: None,
            length: None,
            ttl: None,
            dscp: None,
            df: None,
        }
    }

    fn explain(plant: &mut Plant, to: &str, protocol: Protocol) -> (Vec<String>, ExplainReport) {
        let report = plant.explain_packet(&request("A", to, protocol)).unwrap();
        let stages = report.steps.iter().map(|step| step.stage.clone());
        (stages.collect(), report)
    }

    #[test]
    fn a_drop_is_told_once_and_in_full() {
        let (mut plant, _) = host_r("");
        let (stages, report) = explain(&mut plant, "10.0.0.3", Protocol::Number(135));
        assert_eq!(stages, ["parse"]);
        assert_eq!(report.outcome, "protocol_not_carried");
        let verdict = &report.steps[0].verdict;
        assert!(
            verdict.ends_with("(0, 43, 44, 58, 59, 60, 135, 139, 140)."),
            "{verdict}"
        );
        let (stages, report) = explain(&mut plant, "10.0.0.9", Protocol::Icmp);
        assert_eq!(stages, ["parse", "classify", "authorize", "resolve"]);
        assert_eq!(report.outcome, "no_mapping");
        // The next hop has not answered yet.
        let (stages, report) = explain(&mut plant, "10.0.0.3", Protocol::Icmp);
        assert_eq!(stages.last().unwrap(), "rewrite");
        assert_eq!(report.outcome, "no_neighbor");
    }

    /// G is in slot 9 of S with a range behind it; A's own was found.
    #[test]
    fn slots_are_told() {
        let behind = "[[mapping]]\nvnet = \"Z\"\naddress = \"10.0.9.0/28\"\nhost = \"S\"\nslot = 9";
        let file = include_str!("../../configs/first/r.toml")
            .replace("2001:db8:0:a:100::/72", "2001:db8:0:a::/64")
            .replace("2001:db8:0:b:200::/72", "2001:db8:0:b::/64")
            .replace("prefixes = [\"10.0.0.0/24\"]", "")
            .replace("host = \"S\"", "host = \"S\"\nslot = 9");
        let (mut plant, store) = built(&format!("layout = \"slot\"\n{file}\n{behind}"));
        let last = |(_, report): (Vec<String>, ExplainReport)| {
            let resolved = report.steps.iter().find(|step| step.stage == "resolve");
            resolved.map_or(String::new(), |step| step.verdict.clone())
        };
        let told = last(explain(&mut plant, "10.0.0.3", Protocol::Icmp));
        assert!(told.ends_with("2001:db8:0:b::/64, slot 9"), "{told}");
        let told = last(explain(&mut plant, "10.0.9.7", Protocol::Icmp));
        assert!(told.ends_with("behind slot 9"), "{told}");
        assert_eq!(plant.slot_of("A"), Some(0));
        let node = plant
            .topology()
            .node(plant.numbers.get("A").unwrap())
            .unwrap();
        assert_eq!(node.saddr[..12], *b"\x20\x01\x0d\xb8\0\0\0\x0a\0\x5a\0\x01");
        // Another one is given it.
        let mut store = store;
        let mut given = store.binding("A").unwrap().clone();
        given.slot = Some(63);
        let set = crate::control::proto::BindingSet {
            binding: given,
            revision: 0,
        };
        let change = crate::control::proto::Change::BindingSet(set);
        let operator = crate::model::Origin::Operator;
        store.apply(&mut plant, operator, &[change], 0).unwrap();
        assert_eq!(plant.slot_of("A"), Some(63));
        let node = plant
            .topology()
            .node(plant.numbers.get("A").unwrap())
            .unwrap();
        assert_eq!(node.saddr[8], 63 << 2);
    }

    #[test]
    fn groups_and_everybody_are_written_to_by_their_macs() {
        let (mut plant, store) = host_r("broadcast = true");
        plant.poll_groups(&store, &mut Replies::default());
        plant.step(&store);
        for (to, mac, outcome) in [
            ("239.1.2.3", "01005e010203", "no_member"),
            ("224.0.0.5", "01005e000005", "group_withheld"),
            ("255.255.255.255", "ffffffffffff", "copied"),
        ] {
            let (_, report) = explain(&mut plant, to, Protocol::Udp);
            assert_eq!(report.outcome, outcome, "{to}");
            assert!(report.before.starts_with(mac), "{to}: {}", report.before);
        }
        let subnet = r#"
            [[subnet]]
            name = "web"
            vnet = "Z"
            prefix = "10.0.0.0/24"
        "#;
        let (mut plant, _) = host_r_with("", subnet);
        // Without broadcasts in the vnet, still as a node sends them.
        for to in ["255.255.255.255", "10.0.0.255"] {
            let (_, report) = explain(&mut plant, to, Protocol::Udp);
            assert_eq!(report.outcome, "broadcast", "{to}");
        }
    }

    #[test]
    fn a_router_is_written_to_by_its_own_mac() {
        let subnet = r#"
            [[subnet]]
            name = "web"
            vnet = "Z"
            prefix = "10.0.0.0/24"
            gateway = "10.0.0.1"
        "#;
        let (mut plant, _) = host_r_with("", subnet);
        for to in ["10.0.0.1", "10.0.9.9"] {
            let (_, report) = explain(&mut plant, to, Protocol::Icmp);
            assert!(report.before.starts_with("72"), "{to}: {}", report.before);
        }
        let (_, report) = explain(&mut plant, "10.0.0.1", Protocol::Icmp);
        assert_eq!(report.outcome, "punted");
    }

    #[test]
    fn packets_to_several_say_who_gets_them() {
        let member = "[[member]]\nvnet = \"Z\"\ngroup = \"239.1.2.3\"\nhost = \"S\"\n";
        let native = "[multicast]\ncarriage = \"native\"\n";
        let far = "to group ff15::5a:1:ef01:203 of the substrate";
        let near = "to group ff36::5a:1:a00:ff of the substrate";
        // R knows of a node at S, which is why that gets broadcasts.
        for (more, group, everybody) in [
            ("", "no_member", "to host S"),
            (member, "to host S", "to host S"),
            (native, far, near),
        ] {
            let (mut plant, store) = host_r_with("broadcast = true", more);
            plant.poll_groups(&store, &mut Replies::default());
            plant.step(&store);
            for (to, says) in [("239.1.2.3", group), ("10.0.0.255", everybody)] {
                let (_, report) = explain(&mut plant, to, Protocol::Udp);
                if says == "no_member" {
                    assert_eq!(report.outcome, says);
                    continue;
                }
                assert_eq!(report.outcome, "copied");
                let last = report.steps.last().map(|step| step.verdict.as_str());
                assert_eq!(last, Some(says), "{to}");
            }
        }
    }

    #[test]
    fn a_relay_explains_packets_of_both_families() {
        let (mut plant, _) = relay();
        let (from4, from6) = ("203.0.113.9", "2001:db8:0:a::1");
        let to4 = plant.topology().relay().unwrap().own4;
        let report = plant.explain_packet(&request(from4, "198.51.100.1", Protocol::Udp));
        let report = report.unwrap();
        assert_eq!(
            (report.outcome.as_str(), report.port.as_deref()),
            ("sent", Some("v6"))
        );
        assert!(report.steps[2].verdict.ends_with(from6), "{report:?}");
        let report = plant.explain_packet(&request(from4, &to4.to_string(), Protocol::Icmp));
        assert_eq!(report.unwrap().outcome, "punted");
        let to6 = "2001:db8:64::cb00:7109";
        let report = plant
            .explain_packet(&request(from6, to6, Protocol::Tcp))
            .unwrap();
        assert_eq!(
            (report.outcome.as_str(), report.port.as_deref()),
            ("sent", Some("v4"))
        );
        let mut small = request(from6, to6, Protocol::Icmp);
        small.ttl = Some(1);
        assert_eq!(
            plant.explain_packet(&small).unwrap().outcome,
            "ttl_exceeded"
        );
        for (from, to, says) in [
            (from4, to6, "different families"),
            ("nobody", "10.0.0.1", "no node is called"),
        ] {
            let error = plant.explain_packet(&request(from, to, Protocol::Icmp));
            assert!(error.unwrap_err().to_string().contains(says), "{says}");
        }
        let (mut plant, _) = host_r("");
        let error = plant.explain_packet(&request(from4, "203.0.113.5", Protocol::Icmp));
        assert!(error.unwrap_err().to_string().contains("no relay"));
        let error = plant.explain_packet(&request("A", to6, Protocol::Icmp));
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("no address of a vnet")
        );
    }
}
