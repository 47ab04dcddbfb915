//! Next hops that come, go and change, and what is made of configuration.

use super::*;

/// Neighbours that answer at once what they are asked.
struct Neighborhood {
    alive: Vec<(u16, Ipv6Addr, Mac)>,
}

impl Neighborhood {
    /// Plays from one moment to another, calling `seen` after every step.
    fn play(
        &self,
        r: &mut Substrate,
        from: u64,
        until: u64,
        mut seen: impl FnMut(&mut Substrate, u64),
    ) {
        let mut now = Time(from);
        loop {
            while let Some(Output { port, bytes }) = r.poll_frame() {
                if let Some(answer) = self.answers(port, &bytes) {
                    r.input(port, &answer, now).unwrap();
                }
            }
            let Some(due) = r.next_timeout().filter(|due| due.0 <= until) else {
                return;
            };
            now = now.max(due);
            r.poll(now);
            seen(r, now.0);
        }
    }

    fn answers(&self, port: u16, frame: &[u8]) -> Option<Vec<u8>> {
        let Ok((envelope, Message::Solicitation { target, .. })) = parse(frame) else {
            return None;
        };
        let (_, _, mac) = self
            .alive
            .iter()
            .find(|(p, address, _)| (*p, *address) == (port, target))?;
        let to = To {
            mac: envelope.from,
            source: target,
            destination: envelope.source,
        };
        let link = Link {
            mac: *mac,
            vlan: None,
        };
        (!envelope.source.is_unspecified())
            .then(|| build::advertisement(link, to, target, SOLICITED))
    }
}

const UP1_MAC: Mac = Mac([0x02, 0, 0, 0, 0, 0x0b]);

/// R with two uplinks and a route over both routers.
fn two_uplinks() -> SubstrateConfig {
    let mut config = without_dad(config_of_r());
    config
        .uplinks
        .push(uplink(1, UP1_MAC, "2001:db8:fffe::a/64"));
    config.routes = vec![route(
        "2001:db8::/32",
        &[(0, "2001:db8:ffff::1"), (1, "2001:db8:fffe::1")],
    )];
    config
}

fn routers() -> Vec<(u16, Ipv6Addr, Mac)> {
    vec![
        (0, ip("2001:db8:ffff::1"), ROUTER_MAC),
        (1, ip("2001:db8:fffe::1"), OTHER_MAC),
    ]
}

fn started() -> Substrate {
    let mut r = Substrate::new(two_uplinks()).unwrap();
    r.link(0, true, Time(0));
    r.link(1, true, Time(0));
    let both = Neighborhood { alive: routers() };
    both.play(&mut r, 0, 10_000, |_, _| {});
    told(&mut r);
    r
}

fn ports(r: &Substrate) -> Vec<u16> {
    r.hops_for(&s_locator()).iter().map(|h| h.port).collect()
}

#[test]
fn answering_next_hops_are_found_and_stay() {
    let r = started();
    let hops = r.hops_for(&s_locator());
    assert_eq!(
        hops[0],
        ResolvedHop {
            port: 0,
            address: ip("2001:db8:ffff::1"),
            src_mac: R_MAC,
            dst_mac: ROUTER_MAC,
            vlan: None,
            mtu: 1500
        }
    );
    assert_eq!(
        (hops[1].port, hops[1].src_mac, hops[1].dst_mac),
        (1, UP1_MAC, OTHER_MAC)
    );
    let nowhere = ip("2001:dead::1").octets();
    assert!(r.hops_for_address(&nowhere).is_empty());
}

#[test]
fn a_silent_next_hop_leaves_within_a_second_and_returns() {
    // Whenever in the cycle of probes it dies.
    for died in (10_000..10_600).step_by(37) {
        let mut r = started();
        Neighborhood { alive: routers() }.play(&mut r, 10_000, died, |_, _| {});
        let generation = r.generation();
        let one = Neighborhood {
            alive: routers()[..1].to_vec(),
        };
        let mut left = None;
        one.play(&mut r, died, died + 20_000, |r, now| {
            if ports(r) == [0] {
                left.get_or_insert(now);
            }
        });
        let took = left.expect("never left") - died;
        assert!((500..1000).contains(&took), "{took} ms");
        assert_ne!(r.generation(), generation);
        let address = ip("2001:db8:fffe::1");
        assert_eq!(told(&mut r), [Event::NeighborDown { port: 1, address }]);

        let mut back = None;
        let both = Neighborhood { alive: routers() };
        both.play(&mut r, died + 20_000, died + 24_000, |r, now| {
            if ports(r) == [0, 1] {
                back.get_or_insert(now);
            }
        });
        assert!(back.expect("never returned") - died - 20_000 <= 3300);
        assert!(matches!(
            told(&mut r)[..],
            [Event::NeighborUp { port: 1, .. }]
        ));
    }
}

#[test]
fn two_lost_answers_are_forgiven() {
    let mut r = started();
    let generation = r.generation();
    for round in 0..50 {
        let start = 10_000 + round * 970;
        // Probes of a silent neighbour are 200 ms apart, so that this silence
        // holds two of them at most, wherever in the cycle it begins.
        let silent = start + 400;
        Neighborhood { alive: vec![] }.play(&mut r, start, silent - 1, |_, _| {});
        Neighborhood { alive: routers() }.play(&mut r, silent, start + 970, |_, _| {});
    }
    assert_eq!(r.generation(), generation);
    assert_eq!(ports(&r), [0, 1]);
}

#[test]
fn a_link_that_goes_down_takes_its_next_hops_at_once() {
    let mut r = started();
    let before = r.ecmp_for(&s_locator());
    let generation = r.generation();
    r.link(1, false, Time(10_050));
    assert_ne!(r.generation(), generation);
    assert_eq!(ports(&r), [0]);
    assert!(matches!(
        told(&mut r)[..],
        [Event::NeighborDown { port: 1, .. }]
    ));
    let during = r.ecmp_for(&s_locator());
    r.link(1, true, Time(11_000));
    Neighborhood { alive: routers() }.play(&mut r, 11_000, 11_100, |_, _| {});
    assert_eq!(
        r.ecmp_for(&s_locator()),
        before,
        "flows are where they were"
    );
    for hash in 0..16 {
        let (was, is) = (before.pick(hash).unwrap(), during.pick(hash).unwrap());
        assert!(was.port == 1 || was == is);
        assert_eq!(is.port, 0);
    }
    // The same report twice changes nothing.
    let generation = r.generation();
    r.link(1, true, Time(11_100));
    assert_eq!(r.generation(), generation);
}

#[test]
fn a_replaced_router_is_followed() {
    let mut r = started();
    let new = Mac([0x02, 0, 0, 0, 0, 0x77]);
    r.input(
        0,
        &advertises(new, "2001:db8:ffff::1", UNSOLICITED),
        Time(10_001),
    )
    .unwrap();
    assert_eq!(r.hops_for(&s_locator())[0].dst_mac, new);
    assert!(matches!(told(&mut r)[..], [Event::NeighborMoved { mac, .. }] if mac == new));
    // Without the override flag it is doubted, and the doubt is resolved.
    let meek = Flags {
        overriding: false,
        ..UNSOLICITED
    };
    let _ = r.input(
        0,
        &advertises(OTHER_MAC, "2001:db8:ffff::1", meek),
        Time(10_002),
    );
    assert_eq!(r.hops_for(&s_locator())[0].dst_mac, new);
}

#[test]
fn a_route_without_next_hops_yields_to_a_shorter_one() {
    let mut r = started();
    let routes = [
        route("2001:db8:0:b:200::/72", &[(0, "2001:db8:ffff::1")]),
        route("::/0", &[(1, "2001:db8:fffe::1")]),
        route("2001:db8:0:b:25a::/80", &[(1, "fe80::99")]),
    ];
    r.set_routes(&routes, Time(10_000)).unwrap();
    assert_eq!(ports(&r), [0]);
    r.link(0, false, Time(10_001));
    assert_eq!(ports(&r), [1]);
    // A route longer than the locator speaks for part of it only.
    r.set_neighbor(
        &Static {
            port: "up1".into(),
            address: ip("fe80::99"),
            mac: ROUTER_MAC,
        },
        Time(10_002),
    )
    .unwrap();
    r.link(0, true, Time(10_003));
    Neighborhood { alive: routers() }.play(&mut r, 10_003, 10_100, |_, _| {});
    assert_eq!(ports(&r), [0]);
    let g = ip("2001:db8:0:b:25a:1:a00:3").octets();
    assert_eq!(r.hops_for_address(&g)[0].address, ip("fe80::99"));
}

#[test]
fn static_neighbours_need_no_answers() {
    let mut config = config_of_r();
    config.neighbors = vec![Static {
        port: "up0".into(),
        address: ip("2001:db8:ffff::1"),
        mac: ROUTER_MAC,
    }];
    let mut r = Substrate::new(config).unwrap();
    assert!(r.hops_for(&s_locator()).is_empty());
    r.link(0, true, Time(0));
    // At once: it waits for no duplicate detection.
    assert_eq!(r.hops_for(&s_locator()).len(), 1);
    run(&mut r, 60_000);
    assert_eq!(r.hops_for(&s_locator())[0].dst_mac, ROUTER_MAC);
    let probes = |(source, ..): &(Ipv6Addr, Ipv6Addr, bool)| !source.is_unspecified();
    assert!(!solicitations(&sent(&mut r)).iter().any(probes));
    let claim = advertises(OTHER_MAC, "2001:db8:ffff::1", UNSOLICITED);
    assert_eq!(
        r.input(0, &claim, Time(60_000)),
        Err(Ignored::StaticNeighbor)
    );
    // Taken back, it is asked for.
    told(&mut r);
    assert!(!r.remove_neighbor("up9", ip("2001:db8:ffff::1"), Time(60_000)));
    assert!(!r.remove_neighbor("up0", ip("2001:db8:ffff::2"), Time(60_000)));
    assert!(r.remove_neighbor("up0", ip("2001:db8:ffff::1"), Time(60_000)));
    assert!(!r.remove_neighbor("up0", ip("2001:db8:ffff::1"), Time(60_000)));
    assert!(matches!(told(&mut r)[..], [Event::NeighborDown { .. }]));
    r.poll(Time(60_000));
    assert_eq!(solicitations(&sent(&mut r)).len(), 1);
}

#[test]
fn reload_keeps_what_did_not_change() {
    let mut r = started();
    let mut config = two_uplinks();
    config.uplinks[0]
        .addresses
        .push("2001:db8:fffd::a/64".parse().unwrap());
    config.uplinks[0].mtu = 9000;
    let generation = r.generation();
    r.reconfigure(config.clone(), Time(10_000)).unwrap();
    assert_ne!(r.generation(), generation);
    assert_eq!(ports(&r), [0, 1]);
    assert_eq!(r.hops_for(&s_locator())[0].mtu, 9000);
    Neighborhood { alive: routers() }.play(&mut r, 10_000, 12_000, |_, _| {});
    assert!(told(&mut r).iter().all(|e| e.name() == "address_ready"));
    assert_eq!(r.own_addresses().len(), 5);

    // An address goes: its prefix, and the next hops in it, go too.
    config.uplinks[0].addresses.remove(0);
    assert!(matches!(
        r.reconfigure(config.clone(), Time(12_000)),
        Err(SubstrateError::OffLink { .. })
    ));
    assert_eq!(ports(&r), [0, 1], "nothing was half applied");
    config.routes[0].via.remove(0);
    r.reconfigure(config.clone(), Time(12_000)).unwrap();
    assert_eq!(ports(&r), [1]);

    // An uplink with another hardware address starts over.
    config.uplinks[1].mac = Mac([0x02, 0, 0, 0, 0, 0x0c]);
    r.reconfigure(config.clone(), Time(13_000)).unwrap();
    assert!(ports(&r).is_empty());
    Neighborhood { alive: routers() }.play(&mut r, 13_000, 13_500, |_, _| {});
    assert_eq!(ports(&r), [1]);

    // An uplink goes.
    config.uplinks.remove(1);
    config.routes.clear();
    r.reconfigure(config, Time(14_000)).unwrap();
    assert!(ports(&r).is_empty());
    assert!(r.neighbors().iter().all(|n| n.port == 0));
}

#[test]
fn impossible_configurations_are_refused_by_place() {
    let refused = |change: fn(&mut SubstrateConfig)| {
        let mut config = two_uplinks();
        change(&mut config);
        Substrate::new(config).unwrap_err().to_string()
    };
    let hop = |at: usize, address: &'static str| {
        move |c: &mut SubstrateConfig| {
            c.routes[0].via[at].address = ip(address);
        }
    };
    let mut config = two_uplinks();
    hop(0, "2001:db8:fffe::1")(&mut config);
    let error = Substrate::new(config).unwrap_err();
    assert!(
        matches!(error, SubstrateError::OffLink { ref place, .. } if place == "routes[0].via[0]")
    );
    for (text, error) in [
        (
            "no uplink named `up7`; uplinks are: up0, up1",
            refused(|c| c.routes[0].via[1].port = "up7".into()),
        ),
        (
            "own address",
            refused(|c| c.routes[0].via[0].address = ip("2001:db8:ffff::a")),
        ),
        (
            "own address",
            refused(|c| c.routes[0].via[0].address = ip(R_LINK_LOCAL)),
        ),
        (
            "not on the link",
            refused(|c| c.routes[0].via[0].address = ip("ff02::1")),
        ),
        (
            "appears twice",
            refused(|c| {
                let r = c.routes[0].clone();
                c.routes.push(r);
            }),
        ),
        (
            "appears twice",
            refused(|c| {
                let h = c.routes[0].via[0].clone();
                c.routes[0].via.push(h);
            }),
        ),
        ("has 0 next hops", refused(|c| c.routes[0].via.clear())),
        ("appears twice", refused(|c| c.uplinks[1].port = 0)),
        (
            "appears twice",
            refused(|c| c.uplinks[1].name = "up0".into()),
        ),
        (
            "appears twice",
            refused(|c| {
                let a = c.uplinks[0].addresses[0];
                c.uplinks[0].addresses.push(a);
            }),
        ),
        ("group or zero", refused(|c| c.uplinks[0].mac = Mac::ZERO)),
        ("below 1280", refused(|c| c.uplinks[0].mtu = 1279)),
        ("out of range", refused(|c| c.uplinks[0].vlan = Some(4095))),
        (
            "group or zero",
            refused(|c| {
                c.neighbors.push(Static {
                    port: "up0".into(),
                    address: ip("fe80::1"),
                    mac: Mac::BROADCAST,
                })
            }),
        ),
    ] {
        assert!(error.contains(text), "{error}");
    }
}
