use super::*;

#[test]
fn mappings_survive_their_words() {
    let host = HostIndex::MAX;
    let targets = [
        Target::Local(NodeIndex::MAX),
        Target::Local(NodeIndex(0)),
        Target::Remote(host),
        Target::Side(SideIndex(7)),
        Target::Blackhole,
        Target::Refused,
        Target::Gone,
    ];
    for target in targets {
        for expires in [0, 1, u32::MAX] {
            for (previous, mark) in [
                (None, Mark::NONE),
                (Some((host, u32::MAX)), Mark::from_byte(0xfe)),
                (Some((HostIndex(0), 0)), Mark::from_byte(4)),
                (Some((HostIndex(5), 9)), Mark::from_byte(0x82)),
            ] {
                let at_a_host = matches!(target, Target::Remote(_));
                let mark = if at_a_host { mark } else { Mark::NONE };
                let mapping = Mapping {
                    target,
                    expires,
                    previous,
                    mark,
                    mac: None,
                };
                let given = Mapping {
                    mac: Some(Mac([2, 0, 0, 0, 0x0a, 3])),
                    ..mapping
                };
                assert_eq!(Mapping::decode(given.encode()), given);
                assert_eq!(Found::new(given.encode()).mapping(), Some(mapping));
                let found = Found::new(mapping.encode());
                let reached = <Reached as Answer>::new(mapping.encode());
                assert!(!at_a_host || reached.mark() == u64::from(mark.byte()));
                assert_eq!(Mapping::decode(mapping.encode()), mapping);
                assert_eq!(found.mapping(), Some(mapping));
                let previous = None;
                assert_eq!(
                    reached.mapping(),
                    Some(Mapping {
                        previous,
                        ..mapping
                    })
                );
                for now in [0, 1, u32::MAX - 1, u32::MAX] {
                    let host = match target {
                        Target::Remote(host) if !mapping.is_expired(now) => host.get().into(),
                        _ => u64::MAX,
                    };
                    assert_eq!(reached.host_at(now), host);
                    assert_eq!(reached.lasts(now), !mapping.is_expired(now));
                }
                let node = match target {
                    Target::Local(node) => Some(node),
                    _ => None,
                };
                assert_eq!(reached.node(), node);
            }
        }
    }
}

#[test]
fn words_that_nobody_wrote_send_nothing() {
    assert_eq!(Found::NOTHING.mapping(), None);
    assert_eq!(Reached::NOTHING.mapping(), None);
    assert_eq!(Reached::NOTHING.host_at(0), u64::MAX);
    assert_eq!(Reached::NOTHING.node(), None);
    assert_eq!(Target::decode(u32::MAX), Target::Refused);
}

#[test]
fn indices_are_28_bits_and_those_of_hosts_21() {
    assert_eq!(NodeIndex::new(0x0fff_ffff), Some(NodeIndex::MAX));
    assert_eq!(NodeIndex::new(0x1000_0000), None);
    assert_eq!(HostIndex::new(0x001f_ffff), Some(HostIndex::MAX));
    assert_eq!(HostIndex::new(0x0020_0000), None);
}

#[test]
fn times() {
    let mapping = Mapping {
        expires: 10,
        previous: Some((HostIndex(1), 5)),
        ..Mapping::new(Target::Blackhole)
    };
    assert!(!mapping.is_expired(9) && mapping.is_expired(10));
    assert!(!Mapping::new(Target::Blackhole).is_expired(u32::MAX));
    assert_eq!(mapping.previous_at(4), Some(HostIndex(1)));
    assert_eq!(mapping.previous_at(5), None);
}

#[test]
fn keys_keep_vnet_and_address_apart() {
    let key = Key::new(0x5A0001, 0x0A000002);
    assert_eq!((key.vni(), key.vaddr()), (0x5A0001, 0x0A000002));
    assert_eq!(format!("{key:?}"), "0x5a0001/10.0.0.2");
    assert_ne!(key, Key::new(0x590001, 0x0A000002));
}
