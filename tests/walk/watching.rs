//! What a watcher sees of the walk.

use std::net::IpAddr;

use weft::datapath::record::Record;
use weft::datapath::trace::Stage;
use weft::datapath::watch::{Filter, Glance};
use weft::datapath::{Drop, Exit, Outcome};
use weft::packet::{Buffer, Meta};

use super::common::frames::*;
use super::common::topology::*;
use super::common::{Host, Setup};

const SENT: Result<Outcome, Exit> = Ok(Outcome::Send {
    port: UPLINK,
    options_removed: false,
});

fn watched(setup: Setup, filters: &[Filter]) -> Host {
    with(setup, |topology| topology.watch = filters.to_vec()).start()
}

fn records(host: &mut Host) -> Vec<Record> {
    let ends = &mut host.control[0].trace;
    std::iter::from_fn(|| ends.pop().ok()).collect()
}

fn steps(record: &Record) -> Vec<(Stage, &str)> {
    record.steps().collect()
}

fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().expect("literal"))
}

#[test]
fn a_record_tells_the_way_out() {
    let mut r = watched(setup_r(), &[Filter::default()]);
    let sent = from_a(&hello());
    let left = r.carry_to(PORT_A, &sent, UPLINK);
    let records = records(&mut r);
    let [record] = &records[..] else {
        panic!("{}", records.len())
    };
    assert_eq!(
        steps(record),
        [
            (
                Stage::Parse,
                "ipv4 10.0.0.2 > 10.0.0.3 protocol 17 length 37 ttl 64 df"
            ),
            (Stage::Classify, "from node A (vnet Z)"),
            (Stage::Authorize, "may use 10.0.0.2"),
            (Stage::Resolve, "host S 2001:db8:0:b:200::/72"),
            (Stage::Rewrite, "out of port uplink"),
        ]
    );
    assert_eq!(record.before.bytes(), sent);
    assert_eq!(
        record.after.as_ref().map(|frame| frame.bytes()),
        Some(&left[..])
    );
    assert_eq!(record.result, Some(SENT));
    assert_eq!(
        (record.port, record.worker, record.watchers),
        (PORT_A, 0, 1)
    );
}

#[test]
fn a_record_tells_the_way_in() {
    let mut r = watched(setup_r(), &[Filter::default()]);
    let left = r.carry_to(UPLINK, &g_to_a().to_r(), PORT_A);
    let records = records(&mut r);
    assert_eq!(
        steps(&records[0]),
        [
            (
                Stage::Parse,
                "ipv6 2001:db8:0:b:25a:1:a00:3 > 2001:db8:0:a:15a:1:a00:2 next header 17"
            ),
            (
                Stage::Classify,
                "for the locator: 0x5a0001/10.0.0.3 > 0x5a0001/10.0.0.2 Transparent"
            ),
            (Stage::Authorize, "source is where it is mapped to"),
            (Stage::Resolve, "node A (vnet Z)"),
            (Stage::Rewrite, "out of port a"),
        ]
    );
    assert_eq!(
        records[0].after.as_ref().map(|frame| frame.bytes()),
        Some(&left[..])
    );
}

#[test]
fn drops_are_seen_with_the_stage_and_the_reason() {
    let mut r = watched(
        setup_r(),
        &[Filter {
            drops: true,
            ..Filter::default()
        }],
    );
    r.carry_to(PORT_A, &from_a(&hello()), UPLINK);
    assert!(records(&mut r).is_empty(), "it got through");
    let spoofed = from_a(&Ip { src: C, ..hello() });
    r.carry(PORT_A, &spoofed);
    r.carry(PORT_A, &spoofed[..20]);
    let records = records(&mut r);
    let [spoofed, short] = &records[..] else {
        panic!("{}", records.len())
    };
    let (stage, words) = *steps(spoofed).last().expect("a verdict");
    assert_eq!(stage, Stage::Authorize);
    assert!(words.starts_with("drop spoofed_source: "), "{words}");
    assert!(spoofed.after.is_none());
    assert_eq!(short.result, Some(Err(Exit::Drop(Drop::TooShort))));
    assert_eq!(steps(short).len(), 1);
}

/// Who watches a node wants to see above all what it may not send.
#[test]
fn a_node_is_known_by_its_wire_whatever_it_writes() {
    let topology = topology_r();
    let spoofed = from_a(&Ip { src: C, ..hello() });
    let meta = Meta {
        port: PORT_A,
        ..Meta::default()
    };
    let glance = Glance::at(&topology, &meta, &Buffer::new(&spoofed));
    let of = |vaddr| Filter {
        node: Some((Z, vaddr)),
        ..Filter::default()
    };
    assert!(glance.matches(&topology, &of(A)));
    assert!(glance.matches(&topology, &of(G)));
    let twin = Filter {
        node: Some((Y, A)),
        ..Filter::default()
    };
    assert!(!glance.matches(&topology, &twin));
}

/// One filter, the frame before it is translated or when it arrives translated.
#[test]
fn filters_match_both_sides() {
    let topology = topology_r();
    let glance = |port, frame: &[u8]| {
        let meta = Meta {
            port,
            ..Meta::default()
        };
        Glance::at(&topology, &meta, &Buffer::new(frame))
    };
    let out = glance(PORT_A, &from_a(&hello()));
    let came = glance(UPLINK, &g_to_a().to_r());
    let wants = |filter: Filter| {
        (
            out.matches(&topology, &filter),
            came.matches(&topology, &filter),
        )
    };
    let any = Filter::default;
    for (filter, expected) in [
        (any(), (true, true)),
        (
            Filter {
                node: Some((Z, A)),
                ..any()
            },
            (true, true),
        ),
        (
            Filter {
                node: Some((Z, G)),
                ..any()
            },
            (true, true),
        ),
        (
            Filter {
                node: Some((Y, A)),
                ..any()
            },
            (false, false),
        ),
        (
            Filter {
                vni: Some(Z),
                ..any()
            },
            (true, true),
        ),
        (
            Filter {
                vni: Some(Y),
                ..any()
            },
            (false, false),
        ),
        (
            Filter {
                address: address("10.0.0.3"),
                ..any()
            },
            (true, true),
        ),
        (
            Filter {
                address: address("10.0.0.5"),
                ..any()
            },
            (false, false),
        ),
        (
            Filter {
                address: address("2001:db8:0:b:25a:1:a00:3"),
                ..any()
            },
            (true, true),
        ),
        (
            Filter {
                address: address("2001:db8:0:a:15a:1:a00:2"),
                ..any()
            },
            (true, true),
        ),
        (
            Filter {
                address: address("2001:db8:0:b:259:1:a00:3"),
                ..any()
            },
            (false, false),
        ),
        (
            Filter {
                address: address("2001:db8:0:b:25a:1:a00:4"),
                ..any()
            },
            (false, false),
        ),
        (
            Filter {
                port: Some(UPLINK),
                ..any()
            },
            (false, true),
        ),
        (
            Filter {
                port: Some(PORT_A),
                vni: Some(Z),
                ..any()
            },
            (true, false),
        ),
    ] {
        assert_eq!(wants(filter.clone()), expected, "{filter:?}");
    }
    // ARP shows whom it asks for.
    let mut body = vec![0, 1, 8, 0, 6, 4, 0, 1];
    body.extend(MAC_A.0);
    body.extend(A.bytes());
    body.extend([0; 6]);
    body.extend(G.bytes());
    let arp = glance(
        PORT_A,
        &ethernet(weft::wire::Mac::BROADCAST, MAC_A, None, 0x0806, &body),
    );
    for (node, expected) in [
        ((Z, G), true),
        ((Z, A), true),
        ((Z, C), false),
        ((Y, G), false),
    ] {
        let filter = Filter {
            node: Some(node),
            ..any()
        };
        assert_eq!(arp.matches(&topology, &filter), expected, "{node:?}");
    }
}

#[test]
fn each_watcher_gets_what_its_filter_wants() {
    let filters = [
        Filter {
            slot: 0,
            vni: Some(Y),
            ..Filter::default()
        },
        Filter {
            slot: 1,
            node: Some((Z, G)),
            ..Filter::default()
        },
        Filter {
            slot: 5,
            drops: true,
            ..Filter::default()
        },
    ];
    let mut r = watched(setup_r(), &filters);
    r.carry_to(PORT_A, &from_a(&hello()), UPLINK);
    r.carry_to(PORT_TWIN, &from_twin(&hello()), UPLINK);
    r.carry_to(PORT_A, &from_a(&udp(A, C, (1, 2), b"")), PORT_C);
    r.carry(PORT_A, &from_a(&Ip { src: C, ..hello() }));
    let seen: Vec<_> = records(&mut r)
        .iter()
        .map(|record| record.watchers)
        .collect();
    assert_eq!(seen, [0b10, 0b01, 0b10_0010]);
}

#[test]
fn a_full_ring_loses_records_and_no_packets() {
    let mut setup = setup_r();
    setup.rings.trace = 3;
    let mut r = watched(setup, &[Filter::default()]);
    for _ in 0..10 {
        r.send(PORT_A, &from_a(&hello()));
    }
    r.settle();
    assert_eq!(r.drain(UPLINK).len(), 10);
    assert_eq!(records(&mut r).len(), 3);
    assert_eq!(r.sum(|counters| counters.trace_lost.get()), 7);
}

/// Frames larger than a record keeps are cut there, not lost.
#[test]
fn large_frames_are_kept_in_part() {
    let mut r = watched(
        with(setup_r(), |topology| {
            topology.hosts[HOST_S.index()].mtu = 9000
        }),
        &[Filter::default()],
    );
    let sent = from_a(&udp(A, G, (1, 2), &[7; 5000]));
    r.carry_to(PORT_A, &sent, UPLINK);
    let records = records(&mut r);
    assert_eq!(records[0].before.len as usize, sent.len());
    assert_eq!(
        records[0].before.bytes(),
        &sent[..weft::datapath::record::SNAP]
    );
}

/// Held packets are seen when they come, and again when their wait ends.
#[test]
fn a_wait_and_its_end_are_seen() {
    let setup = with(setup_r(), |topology| topology.resolver = true);
    let mut r = watched(setup, &[Filter::default()]);
    for i in [1, 2] {
        let dst = weft::wire::Vaddr(NOBODY.0 + i);
        r.carry(PORT_A, &from_a(&Ip { dst, ..hello() }));
    }
    let waiting = records(&mut r);
    assert!(
        waiting
            .iter()
            .all(|record| matches!(record.result, Some(Err(Exit::Hold { .. }))))
    );
    r.later(10);
    assert!(records(&mut r).is_empty(), "not each time it is tried");
    r.map(Z, weft::wire::Vaddr(NOBODY.0 + 1), remote(HOST_S));
    r.later(1);
    let [sent] = &records(&mut r)[..] else {
        panic!("one went on")
    };
    assert_eq!(sent.result, Some(SENT));
    r.later(200);
    let [ended] = &records(&mut r)[..] else {
        panic!("one ended")
    };
    assert!(matches!(
        ended.result,
        Some(Err(Exit::Refuse {
            why: Drop::NoMapping,
            ..
        }))
    ));
}

/// Names may have 63 letters; a verdict with two of them is still whole.
#[test]
fn long_names_are_told_in_full() {
    let mut setup = setup_r();
    let long = |name: &str| format!("{name}{}", "n".repeat(63 - name.len()));
    for node in &mut setup.topology.nodes {
        node.name = long(&node.name);
    }
    for vnet in &mut setup.topology.vnets {
        vnet.name = long(&vnet.name);
    }
    for host in &mut setup.topology.hosts {
        host.name = long(&host.name);
    }
    for port in &mut setup.topology.ports {
        port.name = long(&port.name);
    }
    setup.topology.watch = vec![Filter::default()];
    let mut r = setup.start();
    r.send(PORT_A, &from_a(&udp(A, C, (1, 2), b"to C")));
    r.send(PORT_A, &from_a(&hello()));
    r.send(UPLINK, &g_to_a().to_r());
    r.settle();
    let records = records(&mut r);
    assert_eq!(records.len(), 3);
    let words: Vec<_> = records
        .iter()
        .flat_map(steps)
        .map(|(_, words)| words)
        .collect();
    assert!(words.iter().all(|words| !words.contains('…')), "{words:?}");
    let to_c = format!("node {} (vnet {}) of this host", long("C"), long("Z"));
    assert!(words.contains(&to_c.as_str()), "{words:?}");
}
