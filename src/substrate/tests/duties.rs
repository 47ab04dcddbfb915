//! What the host owes its link: answers, announcements, restraint.

use super::*;
use AddressState::{Duplicate, Tentative, Valid};

fn states(substrate: &Substrate) -> Vec<AddressState> {
    substrate.own_addresses().iter().map(|a| a.state).collect()
}

#[test]
fn start_probes_waits_announces_and_reports() {
    let mut r = Substrate::new(config_of_r()).unwrap();
    assert_eq!(
        r.next_timeout(),
        None,
        "nothing happens before the link is up"
    );
    r.link(0, true, Time(500));
    let first = sent(&mut r);
    let none = Ipv6Addr::UNSPECIFIED;
    assert_eq!(
        solicitations(&first),
        [
            (none, ip("2001:db8:ffff::a"), true),
            (none, ip(R_LINK_LOCAL), true)
        ]
    );
    // Both addresses share a group here; its report comes from ::.
    assert_eq!(first.len(), 3);
    assert_eq!(parse(&first[2]), Err(Ignored::ListenerReport));
    assert_eq!(first[2][22..38], [0; 16]);
    run(&mut r, 1499);
    assert_eq!(states(&r), [Tentative, Tentative]);
    assert!(advertisements(&sent(&mut r)).is_empty());

    run(&mut r, 1500);
    assert_eq!(states(&r), [Valid, Valid]);
    let frames = sent(&mut r);
    let all = build::ALL_NODES;
    assert_eq!(
        advertisements(&frames),
        [
            (all, ip("2001:db8:ffff::a"), UNSOLICITED),
            (all, ip(R_LINK_LOCAL), UNSOLICITED)
        ]
    );
    // Routers see this report: it has a source.
    let reports = frames.iter().filter(|f| f[20] == 0);
    assert!(reports.into_iter().all(|f| f[22..24] == [0xfe, 0x80]));
    assert_eq!(
        solicitations(&frames),
        [(ip("2001:db8:ffff::a"), ip("2001:db8:ffff::1"), true)]
    );
    let ready: Vec<_> = told(&mut r).iter().map(Event::name).collect();
    assert_eq!(ready, ["address_ready", "address_ready"]);

    // Three announcements of each in all, a second apart.
    run(&mut r, 60_000);
    let frames = sent(&mut r);
    assert_eq!(advertisements(&frames).len(), 4);
}

#[test]
fn a_duplicate_is_reported_and_not_used() {
    let cases: [Vec<u8>; 3] = [
        // Somebody else probes for it at the same moment, or even with our
        // hardware address: the nonce tells.
        asks("::", "2001:db8:ffff::a"),
        advertises(OTHER_MAC, "2001:db8:ffff::a", UNSOLICITED),
        {
            let twin = Link {
                mac: R_MAC,
                vlan: None,
            };
            let target = ip("2001:db8:ffff::a");
            let to = To::group(Ipv6Addr::UNSPECIFIED, solicited_node(target));
            build::solicitation(twin, to, target, [9; 6])
        },
    ];
    for frame in cases {
        let mut r = Substrate::new(config_of_r()).unwrap();
        r.link(0, true, Time(0));
        let probes = sent(&mut r);
        // Our own probe, looped back by the link, is no duplicate.
        assert_eq!(r.input(0, &probes[0], Time(1)), Err(Ignored::LoopedBack));
        assert_eq!(states(&r), [Tentative, Tentative]);
        r.input(0, &frame, Time(300)).unwrap();
        assert_eq!(states(&r), [Duplicate, Tentative]);
        let events = told(&mut r);
        assert!(
            matches!(events[..], [Event::AddressDuplicate { port: 0, address, .. }]
                if address == ip("2001:db8:ffff::a")),
            "{events:?}"
        );
        run(&mut r, 5000);
        assert_eq!(states(&r), [Duplicate, Valid]);
        let frames = sent(&mut r);
        let spoken = |(_, target, _): &(_, Ipv6Addr, _)| *target == ip("2001:db8:ffff::a");
        assert!(!advertisements(&frames).iter().any(spoken));
        // Next hops are asked from the address that is left.
        let hops = solicitations(&frames);
        assert!(!hops.is_empty());
        assert!(hops.iter().all(|(source, ..)| *source == ip(R_LINK_LOCAL)));
        let asked = asks("2001:db8:ffff::1", "2001:db8:ffff::a");
        assert_eq!(
            r.input(0, &asked, Time(5000)),
            Err(Ignored::DuplicateTarget)
        );
        let dst = ip("2001:db8:ffff::a").octets();
        assert_eq!(r.classify_destination(&dst), Destination::Other);
        // A new link is a new chance.
        r.link(0, false, Time(6000));
        r.link(0, true, Time(7000));
        run(&mut r, 8000);
        assert_eq!(states(&r), [Valid, Valid]);
    }
}

#[test]
fn who_only_resolves_a_tentative_address_is_ignored() {
    let mut r = Substrate::new(config_of_r()).unwrap();
    r.link(0, true, Time(0));
    let asked = asks("2001:db8:ffff::1", "2001:db8:ffff::a");
    assert_eq!(r.input(0, &asked, Time(1)), Err(Ignored::TentativeTarget));
    assert_eq!(states(&r), [Tentative, Tentative]);
}

#[test]
fn solicitations_are_answered() {
    let mut r = r_up();
    r.input(0, &asks("2001:db8:ffff::9", "2001:db8:ffff::a"), Time(10))
        .unwrap();
    // Another system's probe for our address is told to all.
    r.input(0, &asks("::", "2001:db8:ffff::a"), Time(10))
        .unwrap();
    let frames = sent(&mut r);
    let target = ip("2001:db8:ffff::a");
    assert_eq!(
        advertisements(&frames),
        [
            (ip("2001:db8:ffff::9"), target, SOLICITED),
            (build::ALL_NODES, target, UNSOLICITED)
        ]
    );
    assert_eq!(frames[0][..6], ROUTER_MAC.0);
    assert_eq!(frames[1][..6], [0x33, 0x33, 0, 0, 0, 1]);
    // Who asked is remembered, as a neighbour that is no next hop.
    let met = r.neighbors().into_iter().find(|n| !n.used).unwrap();
    assert_eq!(
        (met.address, met.mac),
        (ip("2001:db8:ffff::9"), Some(ROUTER_MAC))
    );
    assert_eq!(met.state, NeighborState::Stale);

    for (source, target, reason) in [
        (
            "2001:db8:ffff::9",
            "2001:db8:ffff::b",
            Ignored::NotOurTarget,
        ),
        // Not on any link, so not without the proxy.
        (
            "2001:db8:ffff::9",
            "2001:db8:0:a:100::1",
            Ignored::NotOurTarget,
        ),
        ("2001:db8:ffff::a", "2001:db8:ffff::a", Ignored::OwnSource),
    ] {
        assert_eq!(r.input(0, &asks(source, target), Time(20)), Err(reason));
    }
    // Answered, but an address of no prefix of the link is not remembered.
    let count = r.neighbors().len();
    r.input(0, &asks("2001:db8:eeee::9", "2001:db8:ffff::a"), Time(20))
        .unwrap();
    assert_eq!(r.neighbors().len(), count);
}

#[test]
fn a_proxy_answers_for_its_locator_without_override() {
    let mut config = without_dad(config_of_r());
    config.uplinks[0].nd_proxy = true;
    let mut r = Substrate::new(config).unwrap();
    r.link(0, true, Time(0));
    sent(&mut r);
    let node = "2001:db8:0:a:15a:1:a00:2";
    r.input(0, &asks("2001:db8:ffff::1", node), Time(1))
        .unwrap();
    r.input(0, &asks("2001:db8:ffff::1", "2001:db8:ffff::a"), Time(1))
        .unwrap();
    let proxied = Flags {
        overriding: false,
        ..SOLICITED
    };
    let to = ip("2001:db8:ffff::1");
    assert_eq!(
        advertisements(&sent(&mut r)),
        [
            (to, ip(node), proxied),
            (to, ip("2001:db8:ffff::a"), SOLICITED)
        ]
    );
    let group = solicited_node(ip(node)).octets();
    assert_eq!(r.classify_destination(&group), Destination::OwnGroup);
    let elsewhere = asks("2001:db8:ffff::1", "2001:db8:0:b:25a:1:a00:3");
    assert_eq!(r.input(0, &elsewhere, Time(1)), Err(Ignored::NotOurTarget));
}

#[test]
fn a_claim_to_a_used_address_is_answered_and_reported_once_a_second() {
    let mut r = r_up();
    run(&mut r, 10_000);
    sent(&mut r);
    told(&mut r);
    let claim = advertises(OTHER_MAC, "2001:db8:ffff::a", UNSOLICITED);
    for ms in 0..1500 {
        r.input(0, &claim, Time(10_000 + ms)).unwrap();
    }
    let conflict = Event::AddressConflict {
        port: 0,
        address: ip("2001:db8:ffff::a"),
        mac: OTHER_MAC,
    };
    assert_eq!(told(&mut r), [conflict, conflict]);
    assert_eq!(advertisements(&sent(&mut r)).len(), 2);
    assert_eq!(states(&r), [Valid, Valid]);
    // Our own, looped back.
    let own = advertises(R_MAC, "2001:db8:ffff::a", UNSOLICITED);
    assert_eq!(r.input(0, &own, Time(20_000)), Err(Ignored::LoopedBack));
}

#[test]
fn echoes_are_answered_at_own_addresses() {
    let mut r = r_up();
    for own in ["2001:db8:ffff::a", "2001:db8:0:a:100::1", R_LINK_LOCAL] {
        let ping = echo_request("2001:db8:eeee::7", own, b"\x12\x34\x00\x01abc");
        r.input(0, &ping, Time(1)).unwrap();
        let frames = sent(&mut r);
        let mut expected = ping.clone();
        expected[..6].copy_from_slice(&ROUTER_MAC.0);
        expected[6..12].copy_from_slice(&R_MAC.0);
        expected[22..38].copy_from_slice(&ip(own).octets());
        expected[38..54].copy_from_slice(&ip("2001:db8:eeee::7").octets());
        expected[54] = 129;
        // Swapped addresses leave the sum alone; the type adds 0x0100.
        let sum = u16::from_be_bytes([ping[56], ping[57]]);
        let sum = crate::wire::checksum::adjust(sum, 0x0100);
        expected[56..58].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(frames, [expected], "{own}");
    }
    let most = vec![0x55; 1500 - 44];
    let ping = echo_request("fe80::1", R_LINK_LOCAL, &most);
    r.input(0, &ping, Time(1)).unwrap();
    assert_eq!(sent(&mut r)[0].len(), 1514);
    let more = vec![0x55; 1500 - 43];
    let ping = echo_request("fe80::1", R_LINK_LOCAL, &more);
    assert_eq!(r.input(0, &ping, Time(1)), Err(Ignored::BadLength));
    for (source, destination, reason) in [
        ("fe80::1", "2001:db8:0:a:15a:1:a00:2", Ignored::EchoNotOurs),
        ("fe80::1", "ff02::1", Ignored::EchoNotOurs),
        ("2001:db8:ffff::a", "2001:db8:ffff::a", Ignored::OwnSource),
        ("::", "2001:db8:ffff::a", Ignored::BadSource),
    ] {
        let ping = echo_request(source, destination, b"\0\0\0\0");
        assert_eq!(r.input(0, &ping, Time(1)), Err(reason), "{destination}");
    }
}

#[test]
fn floods_of_pings_and_of_solicitations_are_limited_apart() {
    let mut r = r_up();
    let ping = echo_request("fe80::1", R_LINK_LOCAL, b"\0\0\0\0");
    let limited = (0..5000)
        .filter(|_| r.input(0, &ping, Time(1)) == Err(Ignored::RateLimited))
        .count();
    assert_eq!(limited, 4900);
    let asked = asks("2001:db8:ffff::1", "2001:db8:ffff::a");
    assert_eq!(r.input(0, &asked, Time(1)), Ok(()));
    let answered = (0..10_000u64)
        .filter(|n| r.input(0, &asked, Time(1 + n / 10)).is_ok())
        .count();
    assert!((1000..=1100).contains(&answered), "{answered}");
    assert_eq!(
        r.counters().ignored(Ignored::RateLimited) as usize,
        4900 + 10_000 - answered
    );
}

#[test]
fn passing_neighbours_take_bounded_room_and_are_forgotten() {
    let mut config = without_dad(config_of_r());
    config.limits.neighbors = 8;
    let mut r = Substrate::new(config).unwrap();
    r.link(0, true, Time(0));
    for n in 0..100u64 {
        let source = format!("2001:db8:ffff::1:{n:x}");
        r.input(0, &asks(&source, "2001:db8:ffff::a"), Time(n))
            .unwrap();
    }
    let passing = |r: &Substrate| r.neighbors().iter().filter(|n| !n.used).count();
    assert_eq!(passing(&r), 8);
    assert_eq!(r.counters().neighbors_evicted, 92);
    // The latest stay, and the next hop always.
    let stays = |a: &str| r.neighbors().iter().any(|n| n.address == ip(a));
    assert!(stays("2001:db8:ffff::1:63") && stays("2001:db8:ffff::1"));
    // Nobody gets in by speaking of itself.
    let unasked = advertises(OTHER_MAC, "2001:db8:ffff::77", UNSOLICITED);
    assert_eq!(
        r.input(0, &unasked, Time(200)),
        Err(Ignored::UnknownNeighbor)
    );
    run(&mut r, 700_000);
    assert_eq!(passing(&r), 0);
}

#[test]
fn frames_of_elsewhere_are_named() {
    let mut config = config_of_r();
    config.uplinks[0].vlan = Some(100);
    let mut r = Substrate::new(config).unwrap();
    let frame = asks("2001:db8:ffff::1", "2001:db8:ffff::a");
    assert_eq!(r.input(7, &frame, Time(0)), Err(Ignored::UnknownPort));
    assert_eq!(r.input(0, &frame, Time(0)), Err(Ignored::LinkDown));
    r.link(0, true, Time(0));
    assert_eq!(r.input(0, &frame, Time(0)), Err(Ignored::WrongVlan));
    let tagged = Link {
        vlan: Some(100),
        ..ROUTER
    };
    let to = To {
        mac: OTHER_MAC,
        ..from_router("2001:db8:ffff::1", "2001:db8:ffff::a")
    };
    let frame = build::solicitation(tagged, to, ip("2001:db8:ffff::a"), [0; 6]);
    assert_eq!(r.input(0, &frame, Time(0)), Err(Ignored::OtherMac));
    assert!(
        sent(&mut r)
            .iter()
            .all(|f| f[12..16] == [0x81, 0x00, 0, 100])
    );
    assert_eq!(r.counters().ignored.iter().sum::<u64>(), 4);
}

#[test]
fn destinations_are_told_apart() {
    let r = r_up();
    for (address, whose) in [
        ("2001:db8:ffff::a", Destination::Own),
        (R_LINK_LOCAL, Destination::Own),
        ("2001:db8:0:a:100::1", Destination::Own),
        ("2001:db8:0:a:15a:1:a00:2", Destination::Locator),
        ("2001:db8:0:a:100::2", Destination::Locator),
        ("2001:db8:0:b:25a:1:a00:3", Destination::Other),
        ("2001:db8:ffff::1", Destination::Other),
        ("ff02::1", Destination::OwnGroup),
        ("ff02::1:ff00:a", Destination::OwnGroup),
        ("ff02::1:ff00:b", Destination::Other),
        ("ff02::2", Destination::Other),
    ] {
        let address = ip(address);
        assert_eq!(
            r.classify_destination(&address.octets()),
            whose,
            "{address}"
        );
    }
    let group = solicited_node(ip("2001:db8:ffff::a"));
    assert_eq!(r.own_groups(), [(0, build::ALL_NODES), (0, group)]);
}

#[test]
fn without_a_locator_only_addresses_of_the_link_are_own() {
    let mut config = without_dad(config_of_r());
    config.locator = None;
    config.uplinks[0].nd_proxy = true;
    let mut r = Substrate::new(config).unwrap();
    r.link(0, true, Time(0));
    sent(&mut r);
    assert_eq!(r.control_address(), None);
    for (address, whose) in [
        ("2001:db8:ffff::a", Destination::Own),
        (R_LINK_LOCAL, Destination::Own),
        ("2001:db8:0:a:100::1", Destination::Other),
        ("2001:db8:0:a:15a:1:a00:2", Destination::Other),
        ("::1", Destination::Other),
    ] {
        let destination = ip(address).octets();
        assert_eq!(r.classify_destination(&destination), whose, "{address}");
    }
    let ping = echo_request("2001:db8:eeee::7", "2001:db8:0:a:100::1", b"abcd");
    assert_eq!(r.input(0, &ping, Time(1)), Err(Ignored::EchoNotOurs));
    let node = asks("2001:db8:ffff::1", "2001:db8:0:a:15a:1:a00:2");
    assert_eq!(r.input(0, &node, Time(1)), Err(Ignored::NotOurTarget));
    let ping = echo_request("2001:db8:eeee::7", "2001:db8:ffff::a", b"abcd");
    assert_eq!(r.input(0, &ping, Time(1)), Ok(()));
}

#[test]
fn queries_are_answered_from_the_link_local_address() {
    let mut r = r_up();
    run(&mut r, 10_000);
    sent(&mut r);
    let mut query = build::report(ROUTER, ip("fe80::1"), &[]);
    // From a report without records to a general query of version 2.
    query.truncate(62);
    query.extend([130, 0, 0, 0, 0, 100, 0, 0]);
    query.extend([0; 20]);
    query[18..20].copy_from_slice(&36u16.to_be_bytes());
    let sum = crate::wire::checksum::sum(&query[22..54])
        + crate::wire::checksum::sum(&query[62..])
        + 28
        + 58;
    query[64..66].copy_from_slice(&(!crate::wire::checksum::fold(sum)).to_be_bytes());
    r.input(0, &query, Time(10_000)).unwrap();
    run(&mut r, 10_100);
    let frames = sent(&mut r);
    let report = frames.iter().find(|f| f[20] == 0).unwrap();
    assert_eq!(report[22..38], ip(R_LINK_LOCAL).octets());
    assert_eq!(report[62], 143);
    assert_eq!(report[70], 2, "MODE_IS_EXCLUDE");
}

#[test]
fn queues_are_bounded() {
    let mut config = without_dad(config_of_r());
    config.limits.frames = 3;
    config.limits.events = 1;
    let mut r = Substrate::new(config).unwrap();
    r.link(0, true, Time(0));
    assert_eq!(sent(&mut r).len(), 3);
    assert_eq!(told(&mut r).len(), 1);
    assert!(r.counters().frames_lost > 0);
    assert_eq!(r.counters().events_lost, 1);
}

#[test]
fn a_dead_link_takes_its_waiting_frames_with_it() {
    let mut config = without_dad(config_of_r());
    config
        .uplinks
        .push(uplink(1, OTHER_MAC, "2001:db8:fffe::a/64"));
    let mut r = Substrate::new(config).unwrap();
    r.link(0, true, Time(0));
    r.link(1, true, Time(0));
    r.link(0, false, Time(1));
    let left: Vec<u16> = std::iter::from_fn(|| r.poll_frame())
        .map(|o| o.port)
        .collect();
    assert!(
        !left.is_empty() && left.iter().all(|port| *port == 1),
        "{left:?}"
    );
    // What was due on the dead link is due no more.
    r.link(1, false, Time(2));
    assert_eq!(r.next_timeout(), None);
    r.poll(Time(100_000));
    assert_eq!(r.poll_frame(), None);
}
