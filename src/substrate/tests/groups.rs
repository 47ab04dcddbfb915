//! Groups that carry what nodes send to several.

use super::super::wire::parse;
use super::super::{Ignored, SubstrateConfig, Uplink};
use super::*;
use crate::wire::Mac;

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn uplink(port: u16) -> Uplink {
    Uplink {
        port,
        name: format!("up{port}"),
        mac: Mac([2, 0, 0, 0, 0, port as u8 + 1]),
        vlan: None,
        addresses: vec![format!("2001:db8:ffff:{port}::a/64").parse().unwrap()],
        mtu: 1500,
        nd_proxy: false,
    }
}

fn config(uplinks: Vec<Uplink>) -> SubstrateConfig {
    let locator = "2001:db8:0:a:100::/72".parse().ok();
    SubstrateConfig::new(locator, Default::default(), uplinks)
}

/// Records of reports that left since the last look: port, type, group.
fn reported(substrate: &mut Substrate) -> Vec<(u16, u8, Ipv6Addr)> {
    let mut records = Vec::new();
    while let Some(output) = substrate.poll_frame() {
        let report = &output.bytes;
        // Ethernet, IPv6 and hop-by-hop header, then the report's own 8 bytes.
        if report[20] != 0 {
            continue;
        }
        assert_eq!(parse(report), Err(Ignored::ListenerReport));
        for record in report[70..].chunks_exact(20) {
            let group: [u8; 16] = record[4..].try_into().unwrap();
            records.push((output.port, record[0], Ipv6Addr::from(group)));
        }
    }
    records.retain(|(_, _, group)| group.octets()[1] != 2);
    records.dedup();
    records
}

fn later(substrate: &mut Substrate, now: u64) -> Vec<(u16, u8, Ipv6Addr)> {
    substrate.poll(Time(now));
    reported(substrate)
}

const LISTENING: u8 = 2;
const LEFT: u8 = 3;
const JOINED: u8 = 4;

#[test]
fn what_is_wanted_is_reported_joined_and_left() {
    let (far, near) = (ip("ff15::5a:1:ef01:203"), ip("ff36::5a:1:a00:ff"));
    let mut substrate = Substrate::new(config(vec![uplink(0)])).unwrap();
    substrate.listen([far].into(), Time(0));
    assert_eq!(substrate.groups_by(), None, "no link is up");
    substrate.link(0, true, Time(1000));
    assert_eq!(substrate.groups_by(), Some(0));
    assert_eq!(reported(&mut substrate), [(0, JOINED, far)]);
    for now in (2000..9000).step_by(100) {
        later(&mut substrate, now);
    }
    let generation = substrate.generation();
    substrate.listen([far].into(), Time(10_000));
    assert_eq!(substrate.generation(), generation, "nothing is new");
    substrate.listen([near].into(), Time(10_000));
    assert_ne!(substrate.generation(), generation);
    let news = later(&mut substrate, 10_000);
    assert_eq!(news, [(0, LEFT, far), (0, JOINED, near)]);
    for now in (10_100..14_000).step_by(100) {
        later(&mut substrate, now);
    }
    // A router asks for one group, at the group itself.
    let mut query = [0x33, 0x33, 0x0a, 0, 0, 0xff, 2, 0, 0, 0, 0, 9, 0x86, 0xdd].to_vec();
    query.extend([0x60, 0, 0, 0, 0, 36, 0, 1]);
    query.extend(ip("fe80::9").octets());
    query.extend(near.octets());
    query.extend([58, 0, 5, 2, 0, 0, 1, 0]);
    let mut message = vec![130, 0, 0, 0, 0, 100, 0, 0];
    message.extend(near.octets());
    message.extend([2, 125, 0, 0]);
    let sum = crate::wire::checksum::sum(&query[22..54])
        + crate::wire::checksum::sum(&message)
        + message.len() as u64
        + 58;
    let sum = !crate::wire::checksum::fold(sum);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    query.extend(message);
    assert_eq!(substrate.input(0, &query, Time(20_000)), Ok(()));
    assert_eq!(later(&mut substrate, 20_101), [(0, LISTENING, near)]);
    // The host itself is not meant by what is sent there.
    let own: Vec<_> = substrate.own_groups();
    assert!(own.iter().all(|(_, group)| *group != near), "{own:?}");
}

#[test]
fn one_uplink_listens_and_another_takes_over() {
    let group = ip("ff15::5a:1:ef01:203");
    let mut substrate = Substrate::new(config(vec![uplink(0), uplink(1)])).unwrap();
    substrate.link(1, true, Time(0));
    substrate.listen([group].into(), Time(0));
    assert_eq!(later(&mut substrate, 0), [(1, JOINED, group)]);
    // The first one of the file is the one, as soon as it can be.
    substrate.link(0, true, Time(5000));
    let news = later(&mut substrate, 5000);
    assert!(news.contains(&(1, LEFT, group)) && news.contains(&(0, JOINED, group)));
    assert_eq!(substrate.groups_by(), Some(0));
    substrate.link(0, false, Time(9000));
    assert_eq!(later(&mut substrate, 9000), [(1, JOINED, group)]);
    // An uplink that is gone takes nothing along.
    substrate
        .reconfigure(config(vec![uplink(0)]), Time(9500))
        .unwrap();
    assert_eq!(substrate.groups_by(), None);
    substrate.link(0, true, Time(9900));
    assert!(later(&mut substrate, 9900).contains(&(0, JOINED, group)));
    substrate.listen([].into(), Time(20_000));
    assert_eq!(later(&mut substrate, 20_000), [(0, LEFT, group)]);
}
