//! What the operator changes while packets flow.

use super::*;

fn changed(change: impl FnOnce(&mut Link4Config)) -> Link4Config {
    let mut config = config();
    change(&mut config);
    config
}

#[test]
fn what_stays_is_kept() {
    let mut link = resolved();
    run(&mut link, 3000);
    sent(&mut link);
    let hop = link.hop(&ROUTER).unwrap();
    let due = link.next_timeout();
    // The same again.
    link.reconfigure(config(), Time(3000)).unwrap();
    assert_eq!(link.hop(&ROUTER), Some(hop));
    assert_eq!(link.next_timeout(), due);

    // The MTU.
    let generation = link.generation();
    link.reconfigure(changed(|c| c.mtu = 9000), Time(3000))
        .unwrap();
    assert_ne!(link.generation(), generation);
    assert_eq!(link.hop(&ROUTER), Some(ResolvedHop { mtu: 9000, ..hop }));

    // A second next hop.
    let second = changed(|c| {
        c.hops.push(Hop {
            address: OTHER,
            mac: None,
        })
    });
    link.reconfigure(second, Time(3000)).unwrap();
    assert_eq!(link.hop(&ROUTER), Some(hop));
    link.poll(Time(3000));
    assert_eq!(requests(&sent(&mut link)), [(Mac::BROADCAST, OWN, OTHER)]);
    link.input(&answers(OTHER_MAC, OTHER), Time(3001)).unwrap();
    told(&mut link);

    // The first goes.
    let only = changed(|c| c.hops[0].address = OTHER);
    link.reconfigure(only, Time(3002)).unwrap();
    assert_eq!(link.hop(&ROUTER), None);
    assert_eq!(link.hop(&OTHER).unwrap().dst_mac, OTHER_MAC);
    assert!(told(&mut link).is_empty(), "no news to who did it");
    assert_eq!(link.counters().next_hop_failures, 0);
}

#[test]
fn another_own_address_is_announced_and_the_old_one_is_silent() {
    let mut link = resolved();
    link.input(&asks(OTHER_MAC, OWN, OWN), Time(10)).unwrap();
    run(&mut link, 3000);
    sent(&mut link);
    let new: Vaddr = "192.0.2.11".parse().unwrap();
    let readdressed = changed(|c| c.address.address = new);
    link.reconfigure(readdressed, Time(3000)).unwrap();
    assert!(link.hop(&ROUTER).is_some());
    assert_eq!(link.own_address().conflict, None);
    assert_eq!(link.next_timeout(), Some(Time(3000)));
    link.poll(Time(3000));
    let all = Mac::BROADCAST;
    assert_eq!(
        requests(&sent(&mut link)),
        [(all, NOBODY, new), (all, new, new)]
    );
    let asked = asks(OTHER_MAC, OTHER, OWN);
    assert_eq!(link.input(&asked, Time(3001)), Err(Ignored::NotOurTarget));
    assert_eq!(
        link.input(&ping(OTHER, &[0; 4]), Time(3001)),
        Err(Ignored::NotOurAddress)
    );
    link.input(&asks(OTHER_MAC, OTHER, new), Time(3001))
        .unwrap();
    assert_eq!(sent(&mut link)[0][28..32], new.bytes());

    // Another length of the link only: nothing to tell.
    run(&mut link, 6000);
    sent(&mut link);
    let longer = changed(|c| c.address = "192.0.2.11/25".parse().unwrap());
    link.reconfigure(longer, Time(6000)).unwrap();
    link.poll(Time(6000));
    assert!(sent(&mut link).is_empty());
    assert_eq!(link.own_address().interface.len, 25);
}

#[test]
fn another_vlan_or_hardware_address_is_another_place() {
    let elsewhere: [fn(&mut Link4Config); 2] = [
        |c| c.vlan = Some(100),
        |c| c.mac = Mac([2, 0, 0, 0, 0, 0xb]),
    ];
    for change in elsewhere {
        let mut link = resolved();
        link.poll(Time(2000));
        link.reconfigure(changed(change), Time(2000)).unwrap();
        assert_eq!(link.poll_frame(), None, "what waited had the old place's");
        assert_eq!(link.hop(&ROUTER), None);
        assert!(matches!(told(&mut link)[..], [Event::NeighborDown { .. }]));
        link.poll(Time(2000));
        assert_eq!(sent(&mut link).len(), 3);
    }
}

#[test]
fn another_port_waits_for_its_link() {
    let mut link = resolved();
    link.reconfigure(changed(|c| c.port = 4), Time(2000))
        .unwrap();
    assert_eq!(link.hop(&ROUTER), None);
    assert_eq!(link.next_timeout(), None);
    link.link(true, Time(3000));
    assert_eq!(link.poll_frame().unwrap().port, 4);
    link.input(&answers(ROUTER_MAC, ROUTER), Time(3001))
        .unwrap();
    assert_eq!(link.hop(&ROUTER).unwrap().port, 4);
}

#[test]
fn a_given_hardware_address_comes_and_goes_without_a_gap() {
    let mut link = resolved();
    run(&mut link, 2000);
    let given = changed(|c| c.hops[0].mac = Some(OTHER_MAC));
    link.reconfigure(given, Time(2000)).unwrap();
    assert_eq!(link.hop(&ROUTER).unwrap().dst_mac, OTHER_MAC);
    assert!(matches!(told(&mut link)[..], [Event::NeighborMoved { .. }]));
    link.reconfigure(config(), Time(5000)).unwrap();
    assert_eq!(link.hop(&ROUTER).unwrap().dst_mac, OTHER_MAC);
    sent(&mut link);
    link.poll(Time(5000));
    assert_eq!(requests(&sent(&mut link)), [(OTHER_MAC, OWN, ROUTER)]);
    // Nobody there: everybody is asked, and the true one answers.
    run(&mut link, 8000);
    link.input(&answers(ROUTER_MAC, ROUTER), Time(8001))
        .unwrap();
    assert_eq!(link.hop(&ROUTER).unwrap().dst_mac, ROUTER_MAC);
    assert_eq!(link.counters().next_hop_failures, 0);
}

#[test]
fn limits_change_while_running() {
    let mut link = up(config());
    let none = changed(|c| c.limits.echoes = 0);
    link.reconfigure(none, Time(1)).unwrap();
    assert_eq!(
        link.input(&ping(OTHER, &[0; 4]), Time(1)),
        Err(Ignored::RateLimited)
    );
    link.reconfigure(config(), Time(2)).unwrap();
    link.input(&ping(OTHER, &[0; 4]), Time(2)).unwrap();
}

#[test]
fn impossible_configurations_are_refused_by_place_and_change_nothing() {
    let hop = |address: &'static str| {
        move |c: &mut Link4Config| c.hops[0].address = address.parse().unwrap()
    };
    let own = |text: &'static str| move |c: &mut Link4Config| c.address = text.parse().unwrap();
    type Change = Box<dyn Fn(&mut Link4Config)>;
    let cases: Vec<(&str, Change)> = vec![
        ("mac: ", Box::new(|c| c.mac = Mac::BROADCAST)),
        ("vlan: 0 is out of range", Box::new(|c| c.vlan = Some(0))),
        (
            "vlan: 4095 is out of range",
            Box::new(|c| c.vlan = Some(4095)),
        ),
        ("mtu: 67 is below 68", Box::new(|c| c.mtu = 67)),
        (
            "address: 192.0.2.0/24 names no",
            Box::new(own("192.0.2.0/24")),
        ),
        (
            "address: 192.0.2.255/24 names no",
            Box::new(own("192.0.2.255/24")),
        ),
        (
            "address: 192.0.2.3/30 names no",
            Box::new(own("192.0.2.3/30")),
        ),
        ("is the own address", Box::new(hop("192.0.2.10"))),
        (
            "is no single system of 192.0.2.10/24",
            Box::new(hop("198.51.100.1")),
        ),
        (
            "is no single system of 192.0.2.10/24",
            Box::new(hop("192.0.2.255")),
        ),
        (
            "is no single system of 192.0.2.10/24",
            Box::new(hop("192.0.2.0")),
        ),
        (
            "is no single system of 192.0.2.10/32",
            Box::new(move |c| {
                own("192.0.2.10/32")(c);
                hop("224.0.0.1")(c);
            }),
        ),
        (
            "hops[1]: 192.0.2.1 appears twice",
            Box::new(|c| c.hops.push(c.hops[0])),
        ),
        (
            "hops[0]: hardware address ff:ff:ff:ff:ff:ff is a group",
            Box::new(|c| c.hops[0].mac = Some(Mac::BROADCAST)),
        ),
        (
            "hops[0]: hardware address 02:00:00:00:00:0a is the port's own",
            Box::new(|c| c.hops[0].mac = Some(OWN_MAC)),
        ),
    ];
    for (text, change) in cases {
        let bad = changed(|c| change(c));
        let error = Link4::new(bad.clone()).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
        let mut link = resolved();
        let (generation, hop) = (link.generation(), link.hop(&ROUTER));
        assert!(link.reconfigure(bad, Time(2)).is_err());
        assert_eq!((link.generation(), link.hop(&ROUTER)), (generation, hop));
    }
    // A link of two, and an address that is alone in its prefix.
    for (address, via) in [
        ("192.0.2.0/31", "192.0.2.1"),
        ("192.0.2.10/32", "198.51.100.1"),
    ] {
        let good = changed(|c| {
            own(address)(c);
            hop(via)(c);
        });
        assert!(Link4::new(good).is_ok(), "{address}");
    }
}
