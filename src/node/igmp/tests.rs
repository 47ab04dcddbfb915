//! The querier as nodes see it.

use super::*;

const Z: Vni = Vni(0x5a_0001);
const Y: Vni = Vni(0x59_0001);
const GATEWAY: Vaddr = Vaddr(0x0a00_0001);
const A_ADDRESS: Vaddr = Vaddr(0x0a00_0002);
const GROUP: Vaddr = Vaddr(0xef01_0203);
const LIMITS: Limits = Limits {
    groups: 4,
    groups_per_node: 3,
};

fn node(n: u32) -> NodeIndex {
    NodeIndex::new(n).unwrap()
}

fn link(name: &str, vni: Vni) -> Link {
    Link {
        name: name.to_owned(),
        vni,
        querier: GATEWAY,
        withheld: vec!["224.0.0.0/24".parse().unwrap()],
    }
}

/// A and C of one vnet, B of another.
fn groups() -> Groups {
    let mut groups = Groups::new(LIMITS, 7);
    let links = [(0, "A", Z), (1, "C", Z), (2, "B", Y)];
    groups.set_links(
        links.map(|(n, name, vni)| (node(n), link(name, vni))),
        Time::ZERO,
    );
    groups
}

fn packet(source: Vaddr, destination: Vaddr, message: &[u8]) -> Vec<u8> {
    let header = ipv4::Header {
        tos: 0xc0,
        total_len: 20 + message.len() as u16,
        id: 0,
        reserved: false,
        df: true,
        mf: false,
        offset: 0,
        ttl: 1,
        protocol: protocol::IGMP,
        src: source,
        dst: destination,
        header_len: 20,
    };
    let mut packet = header.bytes().to_vec();
    packet.extend(message);
    let sum = crate::wire::checksum::checksum(message);
    if message.len() > 3 {
        packet[22..24].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

fn v2(kind: u8, group: Vaddr) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0];
    message.extend(group.bytes());
    packet(A_ADDRESS, group, &message)
}

fn v3(records: &[(u8, Vaddr, &[Vaddr])]) -> Vec<u8> {
    let mut message = vec![0x22, 0, 0, 0, 0, 0, 0, records.len() as u8];
    for (kind, group, sources) in records {
        message.extend([*kind, 0, 0, sources.len() as u8]);
        message.extend(group.bytes());
        message.extend(sources.iter().flat_map(|source| source.bytes()));
    }
    packet(A_ADDRESS, Vaddr(0xe000_0016), &message)
}

impl Groups {
    fn hear(&mut self, n: u32, packet: &[u8], now: u64) {
        self.input(node(n), packet, |address| address == A_ADDRESS, Time(now));
    }

    fn why(&self) -> Vec<(&'static str, u64)> {
        let counts = IgmpIgnored::ALL.iter().zip(self.counts.ignored);
        let some = counts.filter(|(_, count)| *count > 0);
        some.map(|(why, count)| (why.name(), count)).collect()
    }

    fn of(&self, vni: Vni, group: Vaddr) -> Vec<u32> {
        let groups = self.groups().filter(|it| (it.0, it.1) == (vni, group));
        groups
            .flat_map(|(_, _, nodes)| nodes.iter().map(|node| node.get()))
            .collect()
    }

    /// Whatever is due in a stretch of time, millisecond by millisecond where
    /// something is.
    fn play(&mut self, from: u64, to: u64) -> Vec<(u64, ToNode)> {
        let mut sent = Vec::new();
        for now in from..to {
            sent.extend(self.poll(Time(now)).into_iter().map(|packet| (now, packet)));
        }
        sent
    }
}

#[test]
fn every_link_is_asked_twice_at_first_and_every_125_seconds_then() {
    let mut groups = groups();
    let sent = groups.play(0, 300_000);
    for n in 0..3 {
        let of_one: Vec<_> = sent.iter().filter(|(_, it)| it.node == node(n)).collect();
        let times: Vec<_> = of_one.iter().map(|(at, _)| *at).collect();
        let first = times[0];
        assert!(first <= STARTUP_SPREAD);
        assert_eq!(
            times[1..],
            [first + 31_250, first + 156_250, first + 281_250]
        );
        let (_, early) = of_one[0];
        let (_, later) = of_one[2];
        assert_eq!(early.group, igmp::ALL_SYSTEMS);
        // Max Resp Code: a second at first, ten then.
        assert_eq!((early.packet[25], later.packet[25]), (10, 100));
        assert_eq!(later.packet[12..20], [10, 0, 0, 1, 224, 0, 0, 1]);
        assert_eq!(later.packet[32..], [2, 125, 0, 0]);
    }
    assert_eq!(groups.counts.queries, 12);
}

#[test]
fn many_links_are_no_burst() {
    let mut groups = Groups::new(LIMITS, 7);
    let links = (0..4096).map(|n| (node(n), link(&n.to_string(), Z)));
    groups.set_links(links, Time::ZERO);
    let most = (0..=1_100).map(|now| groups.poll(Time(now)).len()).max();
    assert!(most < Some(20), "{most:?}");
    assert_eq!(groups.counts.queries, 4096);
    // After a pause of the control thread as well.
    let sent = groups.poll(Time(600_000));
    assert_eq!(sent.len(), MOST_SERVED);
}

#[test]
fn joins_of_all_versions_are_known_to_their_vnet_alone() {
    for report in [
        v2(0x12, GROUP),
        v2(0x16, GROUP),
        v3(&[(4, GROUP, &[])]),
        v3(&[(2, GROUP, &[])]),
    ] {
        let mut groups = groups();
        groups.hear(0, &report, 5);
        assert_eq!(groups.of(Z, GROUP), [0]);
        assert_eq!(groups.of(Y, GROUP), [0; 0]);
        let joined = Change {
            vni: Z,
            group: GROUP,
            joined: true,
        };
        assert_eq!(groups.take_changes(), [joined]);
        assert_eq!(groups.why(), []);
        // The second member is no change of the group, the last one that
        // leaves is.
        groups.hear(1, &report, 6);
        assert_eq!(groups.of(Z, GROUP), [0, 1]);
        assert_eq!(groups.take_changes(), []);
        groups.play(0, 262_000);
        assert_eq!(groups.of(Z, GROUP), [0; 0]);
        let left = Change {
            joined: false,
            ..joined
        };
        assert_eq!(groups.take_changes(), [left]);
    }
}

#[test]
fn a_leave_asks_the_node_that_left_and_nobody_else() {
    let mut groups = groups();
    groups.hear(0, &v2(0x16, GROUP), 0);
    groups.hear(1, &v2(0x16, GROUP), 0);
    groups.play(0, 2_000);
    groups.hear(0, &v2(0x17, GROUP), 2_000);
    assert_eq!(groups.counts.leaves, 1);
    let sent = groups.play(2_000, 5_000);
    let times: Vec<_> = sent
        .iter()
        .map(|(at, it)| (*at, it.node, it.group))
        .collect();
    assert_eq!(times, [(2_000, node(0), GROUP), (3_000, node(0), GROUP)]);
    let (_, query) = &sent[0];
    assert_eq!(query.packet[16..20], GROUP.bytes(), "sent to the group");
    assert_eq!(query.packet[24..26], [0x11, 10]);
    assert_eq!(query.packet[28..], [239, 1, 2, 3, 2, 125, 0, 0]);
    assert_eq!(groups.of(Z, GROUP), [1]);
}

#[test]
fn sources_are_kept_by_node() {
    let mut groups = groups();
    let (first, second) = (Vaddr(0x0a00_0003), Vaddr(0x0a00_0004));
    groups.hear(0, &v3(&[(3, GROUP, &[second, first, second])]), 0);
    let filter = |groups: &Groups, n| groups.membership(node(n), GROUP).map(Membership::filter);
    assert_eq!(filter(&groups, 0), Some(Filter::Only(vec![first, second])));
    let generation = groups.generation();
    groups.hear(0, &v3(&[(5, GROUP, &[first])]), 1);
    assert_eq!(groups.generation(), generation, "nothing new");
    groups.hear(0, &v3(&[(4, GROUP, &[first])]), 2);
    assert_ne!(groups.generation(), generation);
    assert_eq!(filter(&groups, 1), None);
}

#[test]
fn what_is_ignored_has_a_name() {
    let sourced = |source| packet(source, GROUP, &[0x16, 0, 0, 0, 239, 1, 2, 3]);
    let mut wrong_sum = v2(0x16, GROUP);
    wrong_sum[22] ^= 1;
    let mut tcp = v2(0x16, GROUP);
    tcp[9] = 6;
    let mut piece = v2(0x16, GROUP);
    piece[6] = 0x20;
    for packet in [&mut tcp, &mut piece] {
        packet[10..12].fill(0);
        let sum = crate::wire::checksum::checksum(&packet[..20]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    let mut records = v3(&[(4, GROUP, &[])]);
    records[31] = 2;
    records[22..24].fill(0);
    let sum = crate::wire::checksum::checksum(&records[20..]);
    records[22..24].copy_from_slice(&sum.to_be_bytes());
    let many: Vec<_> = (0..65).map(Vaddr).collect();
    for (why, bytes) in [
        (
            "igmp_too_short",
            packet(A_ADDRESS, GROUP, &[0x16, 0, 0, 0, 239, 1, 2]),
        ),
        ("igmp_not_igmp", v2(0x16, GROUP)[..27].to_vec()),
        ("igmp_not_igmp", tcp),
        ("igmp_not_igmp", piece),
        ("igmp_bad_checksum", wrong_sum),
        ("igmp_unknown_type", v2(0x13, GROUP)),
        ("igmp_bad_records", records),
        ("igmp_spoofed_source", sourced(Vaddr(0x0a00_0003))),
        ("igmp_query", v2(0x11, GROUP)),
        ("igmp_bad_group", v2(0x16, igmp::ALL_SYSTEMS)),
        ("igmp_bad_group", v2(0x16, A_ADDRESS)),
        ("igmp_withheld", v2(0x16, Vaddr(0xe000_00fb))),
        ("igmp_unknown_record", v3(&[(7, GROUP, &[])])),
        ("igmp_too_many_sources", v3(&[(3, GROUP, &many)])),
    ] {
        let mut groups = groups();
        groups.hear(0, &bytes, 0);
        assert_eq!(groups.why(), [(why, 1)]);
        assert_eq!(groups.groups().count(), 0);
        assert_eq!(groups.generation(), 0);
    }
    let mut groups = groups();
    groups.hear(9, &v2(0x16, GROUP), 0);
    assert_eq!(groups.why(), [("igmp_unknown_node", 1)]);
    // No address yet, and joined all the same.
    groups.hear(0, &sourced(Vaddr(0)), 0);
    assert_eq!(groups.of(Z, GROUP), [0]);
}

#[test]
fn a_bad_record_does_not_spoil_the_others() {
    let mut groups = groups();
    let withheld = Vaddr(0xe000_0005);
    groups.hear(
        0,
        &v3(&[(4, withheld, &[]), (9, GROUP, &[]), (4, GROUP, &[])]),
        0,
    );
    assert_eq!(groups.of(Z, GROUP), [0]);
    assert_eq!(
        groups.why(),
        [("igmp_withheld", 1), ("igmp_unknown_record", 1)]
    );
}

#[test]
fn memberships_are_bounded_by_node_and_in_all() {
    let mut groups = groups();
    for n in 0..5 {
        groups.hear(0, &v2(0x16, Vaddr(GROUP.0 + n)), 0);
    }
    assert_eq!(groups.why(), [("igmp_node_full", 2)]);
    groups.hear(1, &v2(0x16, GROUP), 0);
    groups.hear(1, &v2(0x16, Vaddr(GROUP.0 + 1)), 0);
    assert_eq!(groups.why(), [("igmp_node_full", 2), ("igmp_full", 1)]);
    // What is there can be confirmed, and room comes back.
    groups.hear(0, &v2(0x16, GROUP), 0);
    groups.hear(0, &v2(0x17, GROUP), 10);
    groups.play(0, 3_000);
    groups.hear(1, &v2(0x16, Vaddr(GROUP.0 + 1)), 3_000);
    assert_eq!(groups.of(Z, Vaddr(GROUP.0 + 1)), [0, 1]);
    assert_eq!(groups.why(), [("igmp_node_full", 2), ("igmp_full", 1)]);
}

#[test]
fn a_node_that_goes_takes_its_memberships_along() {
    let mut groups = groups();
    groups.hear(0, &v2(0x16, GROUP), 0);
    groups.hear(1, &v2(0x16, GROUP), 0);
    groups.take_changes();
    // Another binding has A's number now.
    let links = [(node(0), link("D", Z)), (node(1), link("C", Z))];
    groups.set_links(links.clone(), Time(10));
    assert_eq!(groups.of(Z, GROUP), [1]);
    assert_eq!(groups.take_changes(), []);
    groups.set_links(links[..1].to_vec(), Time(20));
    assert_eq!(groups.groups().count(), 0);
    assert_eq!(groups.take_changes().len(), 1);
    let asked = groups.play(20, 2_000);
    assert!(asked.iter().all(|(_, it)| it.node == node(0)));
    assert_eq!(asked.len(), 1);
}

#[test]
fn what_comes_to_be_withheld_ends() {
    let mut groups = groups();
    groups.hear(0, &v2(0x16, GROUP), 0);
    let mut stricter = link("A", Z);
    stricter.withheld = vec!["239.0.0.0/8".parse().unwrap()];
    groups.set_links([(node(0), stricter)], Time(10));
    assert_eq!(groups.groups().count(), 0);
    // What came and went before anybody looked is no news.
    assert_eq!(groups.take_changes(), []);
}
