//! What the port owes its link: answers, announcements, restraint.

use super::*;

#[test]
fn a_link_that_comes_up_is_told_at_once_and_once_more() {
    let mut link = Link4::new(config()).unwrap();
    assert_eq!(link.next_timeout(), None, "nothing before the link is up");
    link.poll(Time(400));
    assert!(sent(&mut link).is_empty());
    link.link(true, Time(500));
    let all = Mac::BROADCAST;
    assert_eq!(
        requests(&sent(&mut link)),
        [(all, NOBODY, OWN), (all, OWN, OWN), (all, OWN, ROUTER)]
    );
    run(&mut link, 2499);
    let to_router = (all, OWN, ROUTER);
    assert_eq!(requests(&sent(&mut link)), [to_router]);
    run(&mut link, 2500);
    assert_eq!(requests(&sent(&mut link)), [(all, OWN, OWN), to_router]);
    run(&mut link, 60_000);
    let later = requests(&sent(&mut link));
    assert!(
        later.iter().all(|request| *request == to_router),
        "{later:?}"
    );
    assert_eq!(link.counters().announcements_sent, 3);
    assert_eq!(link.counters().requests_sent, 60);
    // A new link is told anew.
    link.link(false, Time(70_000));
    assert_eq!(link.next_timeout(), None);
    link.link(true, Time(80_000));
    link.link(true, Time(80_001));
    assert_eq!(requests(&sent(&mut link)).len(), 3);
}

#[test]
fn requests_for_the_own_address_are_answered() {
    let mut link = up(config());
    // From anybody, also from elsewhere, at its hardware address.
    for sender in [ROUTER, OTHER, Vaddr(0xcb00_7105)] {
        link.input(&asks(OTHER_MAC, sender, OWN), Time(1)).unwrap();
        let answer = arp::Message {
            is_request: false,
            sender_mac: OWN_MAC,
            sender: OWN,
            target_mac: OTHER_MAC,
            target: sender,
        };
        assert_eq!(sent(&mut link), [arp_frame(OTHER_MAC, answer)]);
    }
    // A unicast question, and one whose sender is not the frame's source.
    let mut asked = asks(OTHER_MAC, OTHER, OWN);
    asked[..6].copy_from_slice(&OWN_MAC.0);
    asked[6..12].copy_from_slice(&ROUTER_MAC.0);
    link.input(&asked, Time(1)).unwrap();
    assert_eq!(sent(&mut link)[0][..6], OTHER_MAC.0);
    assert_eq!(link.counters().replies_sent, 4);
    // Nobody became a neighbour by it.
    assert_eq!(link.neighbors().len(), 1);
    for target in [ROUTER, OTHER, Vaddr(0xc000_02ff), NOBODY, Vaddr(u32::MAX)] {
        let asked = asks(OTHER_MAC, OTHER, target);
        assert_eq!(link.input(&asked, Time(1)), Err(Ignored::NotOurTarget));
    }
    assert!(sent(&mut link).is_empty());
}

#[test]
fn a_probe_for_the_own_address_is_told_that_it_is_taken() {
    let mut link = up(config());
    link.input(&asks(OTHER_MAC, NOBODY, OWN), Time(1)).unwrap();
    let answer = arp::Message {
        is_request: false,
        sender_mac: OWN_MAC,
        sender: OWN,
        target_mac: OTHER_MAC,
        target: NOBODY,
    };
    assert_eq!(sent(&mut link), [arp_frame(OTHER_MAC, answer)]);
    assert!(told(&mut link).is_empty());
    assert_eq!(link.own_address().conflict, None);
    let elsewhere = asks(OTHER_MAC, NOBODY, OTHER);
    assert_eq!(link.input(&elsewhere, Time(1)), Err(Ignored::NotOurTarget));
}

#[test]
fn a_claim_to_the_own_address_is_answered_and_told_every_ten_seconds() {
    let mut link = resolved();
    run(&mut link, 10_000);
    sent(&mut link);
    let claims = [
        asks(OTHER_MAC, OWN, OWN),
        asks(OTHER_MAC, OWN, ROUTER),
        answers(OTHER_MAC, OWN),
    ];
    for ms in 0..15_000 {
        let claim = &claims[ms as usize % 3];
        link.input(claim, Time(10_000 + ms)).unwrap();
    }
    let conflict = Event::AddressConflict {
        port: 3,
        address: OWN,
        mac: OTHER_MAC,
    };
    assert_eq!(told(&mut link), [conflict, conflict]);
    let all = Mac::BROADCAST;
    assert_eq!(
        requests(&sent(&mut link)),
        [(all, OWN, OWN), (all, OWN, OWN)]
    );
    assert_eq!(link.counters().conflicts, 15_000);
    let seen = Conflict {
        mac: OTHER_MAC,
        seen: Time(24_999),
    };
    assert_eq!(link.own_address().conflict, Some(seen));
    // It is still ours.
    link.input(&asks(OTHER_MAC, OTHER, OWN), Time(25_000))
        .unwrap();
    assert_eq!(sent(&mut link).len(), 1);
    // Our own, looped back, by either hardware address.
    let mut looped = asks(OWN_MAC, OWN, OWN);
    assert_eq!(link.input(&looped, Time(25_000)), Err(Ignored::LoopedBack));
    looped[6..12].copy_from_slice(&OTHER_MAC.0);
    assert_eq!(link.input(&looped, Time(25_000)), Err(Ignored::LoopedBack));
}

#[test]
fn echoes_are_answered_at_the_own_address() {
    let mut link = up(config());
    let id = Random(1).next() as u16;
    // From wherever it comes, back to the frame's source.
    for (n, src) in [ROUTER, Vaddr(0xcb00_7105)].into_iter().enumerate() {
        let body = b"\x12\x34\0\x01some data";
        link.input(&ping(src, body), Time(1)).unwrap();
        let frames = sent(&mut link);
        assert_eq!(frames[0][..12], [ROUTER_MAC.0, OWN_MAC.0].concat());
        let reply = ipv4::Header::parse(&frames[0][14..]).unwrap();
        assert_eq!((reply.src, reply.dst), (OWN, src));
        assert_eq!((reply.ttl, reply.df), (64, false));
        assert_eq!(reply.id, id.wrapping_add(1 + n as u16));
        assert_eq!(frames[0][34..], icmp(0, 0, body));
    }
    let most = [0x55; 1500 - 24];
    link.input(&ping(OTHER, &most), Time(1)).unwrap();
    assert_eq!(sent(&mut link)[0].len(), 1514);
    let more = [0x55; 1500 - 23];
    assert_eq!(
        link.input(&ping(OTHER, &more), Time(1)),
        Err(Ignored::EchoTooBig)
    );
    assert_eq!(link.counters().echo_replies_sent, 3);
    assert_eq!(link.neighbors().len(), 1, "who pings is no neighbour");
}

#[test]
fn packets_that_are_not_for_us_are_named() {
    let mut link = up(config());
    let good = packet(OTHER, 1, &icmp(8, 0, b"\0\0\0\0"));
    let from = |src: u32| packet(Vaddr(src), 1, &icmp(8, 0, b"\0\0\0\0"));
    let to = |dst: u32| {
        let header = ipv4::Header {
            dst: Vaddr(dst),
            ..ipv4::Header::parse(&good).unwrap()
        };
        [&header.bytes()[..], &good[20..]].concat()
    };
    for (packet, reason) in [
        (to(0xc000_0201), Ignored::NotOurAddress),
        (to(0xc000_02ff), Ignored::NotOurAddress),
        (to(0xffff_ffff), Ignored::NotOurAddress),
        (to(0xe000_0001), Ignored::NotOurAddress),
        (from(OWN.0), Ignored::OwnSource),
        (from(0), Ignored::BadSource),
        (from(0x7f00_0001), Ignored::BadSource),
        (from(0xe000_0001), Ignored::BadSource),
        (from(0xffff_ffff), Ignored::BadSource),
        (from(0xc000_02ff), Ignored::BadSource),
        (from(0xc000_0200), Ignored::BadSource),
    ] {
        assert_eq!(link.input(&ip_frame(&packet), Time(1)), Err(reason));
    }
    let broadcast = frame(Mac::BROADCAST, ROUTER_MAC, 0x0800, &good);
    assert_eq!(link.input(&broadcast, Time(1)), Err(Ignored::GroupMac));
    let own = frame(OWN_MAC, OWN_MAC, 0x0800, &good);
    assert_eq!(link.input(&own, Time(1)), Err(Ignored::LoopedBack));
    assert!(sent(&mut link).is_empty());
}

#[test]
fn what_is_not_served_is_refused_as_by_a_host() {
    let mut link = up(config());
    // A traceroute's last packet; a connection.
    let datagram = [0x0f, 0xa0, 0x82, 0x9a, 0, 8, 0, 0];
    for (protocol, payload, code) in [(17, &datagram[..], 3), (6, &[0x11; 20], 2), (132, &[], 2)] {
        let fault = packet(OTHER, protocol, payload);
        link.input(&ip_frame(&fault), Time(1)).unwrap();
        let frames = sent(&mut link);
        let error = &frames[0][14..];
        let header = ipv4::Header::parse(error).unwrap();
        assert_eq!((header.src, header.dst, header.protocol), (OWN, OTHER, 1));
        assert_eq!(frames[0][..6], ROUTER_MAC.0);
        assert_eq!(error[20..22], [3, code]);
        assert_eq!(checksum::checksum(&error[20..]), 0);
        assert_eq!(error[28..], fault);
    }
    assert_eq!(link.counters().errors_sent, 3);
    // Even on the narrowest link in one piece.
    let mut narrow = up(Link4Config {
        mtu: 68,
        ..config()
    });
    let long = packet(OTHER, 6, &[0x11; 100]);
    narrow.input(&ip_frame(&long), Time(1)).unwrap();
    assert_eq!(sent(&mut narrow)[0].len(), 14 + 68);
}

#[test]
fn floods_are_limited_apart() {
    let mut link = up(config());
    let limited = |link: &mut Link4, frame: &[u8]| {
        let over = |_: &u32| link.input(frame, Time(1)) == Err(Ignored::RateLimited);
        (0..5000).filter(over).count()
    };
    assert_eq!(limited(&mut link, &ping(OTHER, &[0; 4])), 4900);
    let refused = ip_frame(&packet(OTHER, 6, &[0; 20]));
    assert_eq!(limited(&mut link, &refused), 4990);
    assert_eq!(limited(&mut link, &asks(OTHER_MAC, OTHER, OWN)), 4900);
    assert_eq!(
        link.counters().ignored(Ignored::RateLimited),
        4900 * 2 + 4990
    );

    for (errors, expected) in [(IcmpRate::Unlimited, 0), (IcmpRate::PerSecond(0), 5000)] {
        let mut config = config();
        config.limits.errors = errors;
        assert_eq!(limited(&mut up(config), &refused), expected);
    }
}

#[test]
fn frames_of_elsewhere_are_named() {
    let mut link = Link4::new(Link4Config {
        vlan: Some(100),
        ..config()
    })
    .unwrap();
    let asked = asks(OTHER_MAC, OTHER, OWN);
    assert_eq!(link.input(&asked, Time(0)), Err(Ignored::LinkDown));
    link.link(true, Time(0));
    assert!(
        sent(&mut link)
            .iter()
            .all(|f| f[12..16] == [0x81, 0x00, 0, 100])
    );
    assert_eq!(link.input(&asked, Time(0)), Err(Ignored::WrongVlan));
    let mut tagged = asked.clone();
    tagged.splice(12..12, [0x81, 0x00, 0xe0, 100]);
    link.input(&tagged, Time(0)).unwrap();
    assert_eq!(sent(&mut link)[0][12..18], [0x81, 0x00, 0, 100, 0x08, 0x06]);
    tagged[..6].copy_from_slice(&ROUTER_MAC.0);
    assert_eq!(link.input(&tagged, Time(0)), Err(Ignored::OtherMac));
    assert_eq!(link.counters().accepted, 1);
    assert_eq!(link.counters().ignored.iter().sum::<u64>(), 3);
}

#[test]
fn queues_are_bounded() {
    let mut config = config();
    config.limits.frames = 2;
    config.limits.events = 1;
    let mut link = Link4::new(config).unwrap();
    link.link(true, Time(0));
    assert_eq!(sent(&mut link).len(), 2);
    assert_eq!(link.counters().frames_lost, 1);
    assert_eq!(link.counters().requests_sent, 0);
    for mac in [OTHER_MAC, ROUTER_MAC] {
        link.input(&answers(mac, ROUTER), Time(1)).ok();
        link.input(&asks(mac, OWN, OWN), Time(1)).unwrap();
    }
    assert_eq!(told(&mut link).len(), 1);
    assert_eq!(link.counters().events_lost, 1);
    // A dead link takes what waits with it.
    link.poll(Time(5000));
    link.link(false, Time(5000));
    assert_eq!(link.poll_frame(), None);
}
