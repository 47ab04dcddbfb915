//! `weft explain`: a made-up packet through the real stages.
//!
//! The stages, the table and the snapshot are those the workers use; only the
//! effects are missing, because stages have none.

use crate::control::plant::PlantError;
use crate::control::proto::{Explain, ExplainReport, Protocol, Step};
use crate::datapath::record::{Record, Recorder, Slots};
use crate::datapath::watch::Filter;
use crate::datapath::{self, Context, FreshIds, Outcome};
use crate::mapping::NodeIndex;
use crate::packet::{Buffer, Meta};
use crate::wire::ethernet::{self, ethertype};
use crate::wire::virtual_mac::{self, Kind};
use crate::wire::{Mac, checksum, icmpv4, ipv4, protocol};

use super::plant::Plant;
use super::watchers::{hex, outcome, step, tell_outcome};

/// Stands in for a node whose hardware address is not known.
const SOME_MAC: Mac = Mac([0x02, 0, 0, 0, 0, 0x01]);

impl Plant {
    pub(super) fn explain_packet(
        &mut self,
        request: &Explain,
    ) -> Result<ExplainReport, PlantError> {
        let missing = || PlantError::NotFound(format!("no node is called `{}`", request.from));
        let index = self.numbers.get(&request.from).ok_or_else(missing)?;
        let frame = self.made_up(index, request)?;
        let port = self.topology().node(index).ok_or_else(missing)?.port;
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
        let meta = Meta { port, vlan: 0 };
        let results = datapath::outbound(
            &cx,
            std::slice::from_mut(&mut packet),
            &[meta],
            &mut recorder,
        );
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

    /// The frame a node would send.
    fn made_up(&self, index: NodeIndex, request: &Explain) -> Result<Vec<u8>, PlantError> {
        let node = self.topology().node(index);
        let node = node.ok_or_else(|| PlantError::NotFound("the node is gone".into()))?;
        let number = match request.protocol {
            Protocol::Icmp => protocol::ICMP,
            Protocol::Tcp => protocol::TCP,
            Protocol::Udp => protocol::UDP,
            Protocol::Number(number) => number,
        };
        let least = ipv4::HEADER_LEN + payload(number, request).len();
        let length = usize::from(request.length.unwrap_or(least as u16));
        if length < least {
            return Err(PlantError::Refused(format!(
                "length: {length} is too short; at least {least}"
            )));
        }
        let mut body = payload(number, request);
        body.resize(length - ipv4::HEADER_LEN, 0);
        let header = ipv4::Header {
            tos: request.dscp.unwrap_or(0) << 2,
            total_len: length as u16,
            id: 1,
            reserved: false,
            df: request.df.unwrap_or(true),
            mf: false,
            offset: 0,
            ttl: request.ttl.unwrap_or(64),
            protocol: number,
            src: node.vaddr,
            dst: request.to,
            header_len: ipv4::HEADER_LEN as u8,
        };
        fill_checksum(&header, &mut body);
        let link = ethernet::Header {
            destination: virtual_mac::of(Kind::Node, node.vni, request.to),
            source: node.mac.unwrap_or(SOME_MAC),
            vlan: (node.vlan != 0).then_some(node.vlan),
            ethertype: ethertype::IPV4,
            len: 0,
        };
        let mut frame = vec![0; ethernet::HEADER_LEN + ethernet::TAG_LEN];
        let len = link.emit(&mut frame);
        frame.truncate(len);
        frame.extend_from_slice(&header.bytes());
        frame.extend_from_slice(&body);
        Ok(frame)
    }
}

/// The shortest transport header of a protocol, checksum left out.
fn payload(number: u8, request: &Explain) -> Vec<u8> {
    let source = request.source_port.unwrap_or(49152).to_be_bytes();
    let destination = request.destination_port.unwrap_or(7).to_be_bytes();
    match number {
        protocol::ICMP => vec![icmpv4::kind::ECHO_REQUEST, 0, 0, 0, 0, 1, 0, 1],
        protocol::UDP => [&source[..], &destination, &[0, 8, 0, 0]].concat(),
        protocol::TCP => {
            let mut header = [&source[..], &destination].concat();
            header.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
            header
        }
        _ => vec![0; 8],
    }
}

fn fill_checksum(header: &ipv4::Header, body: &mut [u8]) {
    let at = match header.protocol {
        protocol::ICMP => 2,
        protocol::UDP => 6,
        protocol::TCP => 16,
        _ => return,
    };
    if header.protocol == protocol::UDP {
        let len = (body.len() as u16).to_be_bytes();
        body[4..6].copy_from_slice(&len);
    }
    let mut sum = checksum::sum(body);
    if header.protocol != protocol::ICMP {
        sum += u64::from(header.src.0) + u64::from(header.dst.0);
        sum += u64::from(header.protocol) + body.len() as u64;
    }
    let sum = match !checksum::fold(sum) {
        0 if header.protocol == protocol::UDP => 0xffff,
        sum => sum,
    };
    body[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::testing::host_r;

    fn explain(plant: &mut Plant, to: &str, protocol: Protocol) -> (Vec<String>, ExplainReport) {
        let request = Explain {
            from: "A".into(),
            to: to.parse().unwrap(),
            protocol,
            source_port: None,
            destination_port: None,
            length: None,
            ttl: None,
            dscp: None,
            df: None,
        };
        let report = plant.explain_packet(&request).unwrap();
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
}
