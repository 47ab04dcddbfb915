//! The port of a relay towards IPv6: one uplink, no locator, everything by one
//! next hop.

use super::*;

const OWN: &str = "2001:db8:ffff::a";
const VIA: &str = "2001:db8:ffff::1";
/// Far away, by the next hop.
const FAR: &str = "2001:db8:1::7";

fn config_of_relay() -> SubstrateConfig {
    SubstrateConfig {
        routes: vec![route("::/0", &[(0, VIA)])],
        seed: 1,
        ..SubstrateConfig::new(
            None,
            Layout::default(),
            vec![uplink(0, R_MAC, "2001:db8:ffff::a/64")],
        )
    }
}

fn given(mac: Mac) -> SubstrateConfig {
    let neighbor = Static {
        port: "up0".into(),
        address: ip(VIA),
        mac,
    };
    SubstrateConfig {
        neighbors: vec![neighbor],
        ..config_of_relay()
    }
}

/// With its link up and its address checked, and the next hop's answer there.
fn relay() -> Substrate {
    let mut relay = Substrate::new(config_of_relay()).unwrap();
    relay.link(0, true, Time::ZERO);
    run(&mut relay, 1000);
    relay
        .input(0, &advertises(ROUTER_MAC, VIA, SOLICITED), Time(1001))
        .unwrap();
    sent(&mut relay);
    told(&mut relay);
    relay
}

fn far(relay: &Substrate) -> Option<Mac> {
    let hops = relay.hops_for_address(&ip(FAR).octets());
    hops.first().map(|hop| hop.dst_mac)
}

/// A second and a half in which the next hop answers whatever it is asked.
fn answered(relay: &mut Substrate, mac: Mac, from: u64) {
    for ms in from..from + 1500 {
        relay.poll(Time(ms));
        let frames = sent(relay);
        if solicitations(&frames)
            .iter()
            .any(|(_, to, _)| *to == ip(VIA))
        {
            let answer = advertises(mac, VIA, SOLICITED);
            relay.input(0, &answer, Time(ms)).unwrap();
        }
        assert!(far(relay).is_some(), "a gap at {ms}");
    }
}

#[test]
fn it_resolves_its_next_hop_and_nothing_else() {
    let mut relay = Substrate::new(config_of_relay()).unwrap();
    relay.link(0, true, Time::ZERO);
    run(&mut relay, 1000);
    assert_eq!(far(&relay), None);
    relay
        .input(0, &advertises(ROUTER_MAC, VIA, SOLICITED), Time(1001))
        .unwrap();
    let hops = relay.hops_for_address(&ip(FAR).octets());
    let expected = ResolvedHop {
        port: 0,
        address: ip(VIA),
        src_mac: R_MAC,
        dst_mac: ROUTER_MAC,
        vlan: None,
        mtu: 1500,
    };
    assert_eq!(hops, [expected]);
    assert_eq!(relay.neighbors().len(), 1);
    // Without a wait where the hardware address is given.
    let mut relay = Substrate::new(given(OTHER_MAC)).unwrap();
    relay.link(0, true, Time::ZERO);
    assert_eq!(far(&relay), Some(OTHER_MAC));
}

#[test]
fn it_speaks_for_its_own_addresses_only() {
    let mut relay = relay();
    assert_eq!(relay.control_address(), None);
    relay.input(0, &asks(VIA, OWN), Time(2000)).unwrap();
    assert_eq!(
        advertisements(&sent(&mut relay)),
        [(ip(VIA), ip(OWN), SOLICITED)]
    );
    for own in [OWN, R_LINK_LOCAL] {
        let ping = echo_request(FAR, own, b"\0\x01\0\x02ping");
        relay.input(0, &ping, Time(2000)).unwrap();
        let frames = sent(&mut relay);
        assert_eq!((frames.len(), frames[0][54]), (1, 129), "{own}");
    }
    // What it translates is for its packets' walk, not for the engine.
    for other in ["64:ff9b::c000:201", "2001:db8:0:a:100::1", "::1"] {
        let asked = asks(VIA, other);
        assert_eq!(
            relay.input(0, &asked, Time(2000)),
            Err(Ignored::NotOurTarget)
        );
        let ping = echo_request(FAR, other, b"\0\x01\0\x02");
        assert_eq!(relay.input(0, &ping, Time(2000)), Err(Ignored::EchoNotOurs));
        let whose = relay.classify_destination(&ip(other).octets());
        assert_eq!(whose, Destination::Other, "{other}");
    }
    let whose = relay.classify_destination(&ip(OWN).octets());
    assert_eq!(whose, Destination::Own);
    assert!(sent(&mut relay).is_empty());
    // Nor does the proxy, which answers for locators.
    let mut config = config_of_relay();
    config.uplinks[0].nd_proxy = true;
    relay.reconfigure(config, Time(3000)).unwrap();
    let asked = asks(VIA, "::1");
    assert_eq!(
        relay.input(0, &asked, Time(3000)),
        Err(Ignored::NotOurTarget)
    );
}

#[test]
fn what_stays_is_kept_while_it_is_changed() {
    let mut relay = relay();
    // The MTU; another own address, which is checked first; another route for
    // a part, by the same next hop.
    let mut config = config_of_relay();
    config.uplinks[0].mtu = 9000;
    relay.reconfigure(config.clone(), Time(2000)).unwrap();
    assert_eq!(relay.hops_for_address(&ip(FAR).octets())[0].mtu, 9000);
    config.uplinks[0].addresses = vec!["2001:db8:ffff::b/64".parse().unwrap()];
    config.routes.push(route("2001:db8:1::/48", &[(0, VIA)]));
    relay.reconfigure(config.clone(), Time(2000)).unwrap();
    answered(&mut relay, ROUTER_MAC, 2000);
    let old = asks(VIA, OWN);
    assert_eq!(relay.input(0, &old, Time(3500)), Err(Ignored::NotOurTarget));
    relay
        .input(0, &asks(VIA, "2001:db8:ffff::b"), Time(3500))
        .unwrap();
    let names: Vec<_> = told(&mut relay).iter().map(Event::name).collect();
    assert_eq!(names, ["address_ready"]);

    // The hardware address of the next hop is given, and given otherwise.
    let moved = |mac| Event::NeighborMoved {
        port: 0,
        address: ip(VIA),
        mac,
    };
    for mac in [ROUTER_MAC, OTHER_MAC] {
        relay.reconfigure(given(mac), Time(4000)).unwrap();
        assert_eq!(far(&relay), Some(mac));
    }
    answered(&mut relay, OTHER_MAC, 4000);
    assert!(told(&mut relay).contains(&moved(OTHER_MAC)));
    // Given no longer, it is used on while it is asked for; only then believed
    // where it really is.
    relay.reconfigure(config_of_relay(), Time(6000)).unwrap();
    assert_eq!(far(&relay), Some(OTHER_MAC));
    answered(&mut relay, ROUTER_MAC, 6000);
    assert_eq!(far(&relay), Some(ROUTER_MAC));
    assert!(told(&mut relay).contains(&moved(ROUTER_MAC)));
    assert_eq!(relay.counters().next_hop_failures, 0);
    assert_eq!(relay.neighbors().iter().filter(|n| n.used).count(), 1);
}

#[test]
fn another_next_hop_takes_over_once_it_answers() {
    let mut relay = relay();
    let mut config = config_of_relay();
    config.routes = vec![route("::/0", &[(0, "fe80::2")])];
    relay.reconfigure(config, Time(2000)).unwrap();
    relay.poll(Time(2000));
    let asked = solicitations(&sent(&mut relay));
    assert_eq!(asked.last().map(|asked| asked.1), Some(ip("fe80::2")));
    relay
        .input(0, &advertises(OTHER_MAC, "fe80::2", SOLICITED), Time(2001))
        .unwrap();
    assert_eq!(far(&relay), Some(OTHER_MAC));
    // What was given of one that is no longer used is forgotten.
    relay.reconfigure(given(ROUTER_MAC), Time(2002)).unwrap();
    assert_eq!(far(&relay), Some(ROUTER_MAC));
    let mut config = config_of_relay();
    config.routes = vec![route("::/0", &[(0, "fe80::2")])];
    relay.reconfigure(config, Time(2003)).unwrap();
    assert_eq!(far(&relay), Some(OTHER_MAC), "remembered meanwhile");
    assert!(relay.neighbors().iter().all(|n| n.address != ip(VIA)));
}
