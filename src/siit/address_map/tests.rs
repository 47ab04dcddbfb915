//! The order of the rules, the examples of RFC 7757 with RFC 6052 behind them,
//! and bursts beside single addresses.

use std::net::Ipv6Addr;

use proptest::prelude::*;

use super::*;
use crate::model::Eam;
use crate::siit::rfc7757::BURST;
use crate::wire::address::prefix6_or_address;
use crate::wire::checksum;

fn v4(text: &str) -> Vaddr {
    text.parse().unwrap()
}

fn v6(text: &str) -> Saddr {
    text.parse::<Ipv6Addr>().unwrap().octets()
}

fn pool(text: &str) -> Option<Pool6> {
    Some(Pool6::new(text.parse().unwrap()).unwrap())
}

fn eams(rows: &[(&str, &str)]) -> Eams {
    let rows = rows.iter().map(|(ipv4, ipv6)| Eam {
        ipv4: ipv4.parse().unwrap(),
        ipv6: prefix6_or_address::parse(ipv6).unwrap(),
    });
    Eams::build(1000, rows).unwrap()
}

/// Figure 1 of RFC 7757 with the prefix of its appendix B.
fn appendix_b() -> (AddressRules, Eams) {
    let rules = AddressRules {
        pool6: pool("64:ff9b::/96"),
        error_sources4: vec!["198.51.100.1/32".parse().unwrap()],
        ..AddressRules::default()
    };
    let eams = eams(&[
        ("192.0.2.1", "2001:db8:aaaa::"),
        ("192.0.2.2/32", "2001:db8:bbbb::b/128"),
        ("192.0.2.16/28", "2001:db8:cccc::/124"),
        ("192.0.2.128/26", "2001:db8:dddd::/64"),
        ("192.0.2.192/29", "2001:db8:eeee:8::/62"),
        ("192.0.2.224/31", "64:ff9b::/127"),
    ]);
    (rules, eams)
}

fn map(change: impl FnOnce(&mut AddressRules)) -> AddressMap {
    let (mut rules, eams) = appendix_b();
    change(&mut rules);
    AddressMap::new(&rules, eams)
}

#[test]
fn explicit_mappings_come_before_the_prefix() {
    let map = map(|_| ());
    for (ipv4, ipv6, explicit) in [
        ("192.0.2.1", "2001:db8:aaaa::", true),
        ("192.0.2.183", "2001:db8:dddd:0:dc00::", true),
        ("192.0.2.225", "64:ff9b::1", true),
        ("192.0.2.248", "64:ff9b::c000:2f8", false),
    ] {
        let (ipv4, ipv6) = (v4(ipv4), v6(ipv6));
        assert_eq!(map.to_ipv6(ipv4, true), Ok(ipv6), "{ipv4}");
        let back = Mapped4 {
            address: ipv4,
            explicit,
        };
        assert_eq!(map.to_ipv4(&ipv6), Ok(back), "{ipv4}");
        assert_eq!(map.is_explicit(ipv4), explicit, "{ipv4}");
    }
    // As hairpinning has it, figure 8.
    assert_eq!(
        map.to_ipv6(v4("192.0.2.1"), false),
        Ok(v6("64:ff9b::192.0.2.1"))
    );
    assert_eq!(
        map.to_ipv4(&v6("64:ff9b::192.0.2.2")),
        Ok(Mapped4 {
            address: v4("192.0.2.2"),
            explicit: false
        })
    );
    assert_eq!(map.to_ipv4(&v6("2001:db8::1")), Err(NoAddress::Unmapped));
}

#[test]
fn without_a_prefix_only_explicit_mappings_translate() {
    let map = map(|rules| rules.pool6 = None);
    assert_eq!(
        map.to_ipv6(v4("192.0.2.1"), true),
        Ok(v6("2001:db8:aaaa::"))
    );
    for explicit in [true, false] {
        let other = map.to_ipv6(v4("192.0.2.248"), explicit);
        assert_eq!(other, Err(NoAddress::Unmapped));
    }
    assert_eq!(
        map.to_ipv4(&v6("64:ff9b::192.0.2.248")),
        Err(NoAddress::Unmapped)
    );
}

/// RFC 6052 section 3.1, for the well-known prefix and for no other.
#[test]
fn the_well_known_prefix_stands_for_global_addresses() {
    let strict = map(|rules| rules.strict = true);
    let other = map(|rules| {
        rules.strict = true;
        rules.pool6 = pool("2001:db8:64::/96");
    });
    for address in ["10.1.2.3", "192.168.7.7", "100.64.0.1", "203.0.113.9"] {
        let ipv4 = v4(address);
        assert_eq!(strict.to_ipv6(ipv4, true), Err(NoAddress::Illegal));
        let ipv6 = v6(&format!("64:ff9b::{address}"));
        assert_eq!(strict.to_ipv4(&ipv6), Err(NoAddress::Illegal));
        assert!(map(|_| ()).to_ipv6(ipv4, true).is_ok());
        assert!(other.to_ipv6(ipv4, true).is_ok());
    }
    assert!(strict.to_ipv6(v4("8.8.8.8"), true).is_ok());
    // Not made by the prefix.
    assert!(strict.to_ipv6(v4("192.0.2.225"), true).is_ok());
    assert!(strict.to_ipv4(&v6("64:ff9b::1")).is_ok());
}

#[test]
fn what_names_no_host_is_illegal_also_when_made() {
    let mut map = map(|_| ());
    for address in [
        "0.0.0.0",
        "127.0.0.1",
        "169.254.1.1",
        "224.0.0.1",
        "255.255.255.255",
    ] {
        let illegal = Err(NoAddress::Illegal);
        assert_eq!(map.to_ipv6(v4(address), true), illegal);
        let inside = v6(&format!("64:ff9b::{address}"));
        if address != "0.0.0.0" {
            assert_eq!(map.to_ipv4(&inside).map(|_| inside), illegal);
        }
    }
    for address in ["::", "::1", "fe80::1", "ff02::1", "::ffff:192.0.2.1"] {
        assert_eq!(map.to_ipv4(&v6(address)), Err(NoAddress::Illegal));
    }
    // By a mapping that is too wide.
    let rows = eams(&[("0.0.0.0/0", "::/0")]);
    let wide = rows.iter().next().unwrap().eam();
    map.eams_mut().insert(wide).unwrap();
    assert_eq!(map.to_ipv4(&v6("7f00:1::")), Err(NoAddress::Illegal));
    assert!(map.to_ipv4(&v6("2600::1")).is_ok());
    map.eams_mut().remove(wide.ipv4);
    let rows = eams(&[("198.51.100.0/24", "ff0e::/64")]);
    map.eams_mut()
        .insert(rows.iter().next().unwrap().eam())
        .unwrap();
    assert_eq!(
        map.to_ipv6(v4("198.51.100.9"), true),
        Err(NoAddress::Illegal)
    );
}

/// In either form, and before explicit mappings.
#[test]
fn deny_lists_hold_for_both_forms() {
    let map = map(|rules| {
        rules.deny4 = vec![
            "192.0.2.0/29".parse().unwrap(),
            "198.51.100.7".parse().unwrap(),
        ];
        rules.deny6 = vec!["2001:db8:dddd::/48".parse().unwrap()];
    });
    let denied = NoAddress::Denied;
    assert_eq!(map.to_ipv6(v4("192.0.2.1"), true), Err(denied));
    assert_eq!(map.to_ipv4(&v6("2001:db8:aaaa::")), Err(denied));
    assert_eq!(map.to_ipv4(&v6("64:ff9b::198.51.100.7")), Err(denied));
    assert_eq!(map.to_ipv4(&v6("2001:db8:dddd:0:6000::")), Err(denied));
    assert_eq!(map.to_ipv6(v4("192.0.2.152"), true), Err(denied));
    // The mapping is denied, not the address by itself.
    assert!(map.to_ipv6(v4("192.0.2.152"), false).is_ok());
    assert!(map.to_ipv6(v4("192.0.2.16"), true).is_ok());
}

#[test]
fn own_addresses_are_not_made_by_the_prefix() {
    let own = |rules: &mut AddressRules| {
        rules.own4 = Some(v4("203.0.113.1"));
        rules.own6 = Some(v6("64:ff9b::203.0.113.2"));
    };
    let mut map = map(own);
    let made = v6("64:ff9b::203.0.113.1");
    assert_eq!(map.to_ipv4(&made), Err(NoAddress::Denied));
    let second = map.to_ipv6(v4("203.0.113.2"), true);
    assert_eq!(second, Err(NoAddress::Denied));
    // The source of an error that is turned around.
    assert_eq!(map.to_ipv6(v4("203.0.113.1"), true), Ok(made));
    let rows = eams(&[("203.0.113.1", "2001:db8::77")]);
    map.eams_mut()
        .insert(rows.iter().next().unwrap().eam())
        .unwrap();
    let explicit = map.to_ipv4(&v6("2001:db8::77")).unwrap();
    assert_eq!(explicit.address, v4("203.0.113.1"));
}

/// RFC 6791 section 5: every address of all prefixes, each as often.
#[test]
fn error_sources_are_picked_from_all() {
    let prefixes = ["198.51.100.8/30", "203.0.113.77/32", "198.51.100.128/31"];
    let given = map(|rules| {
        rules.error_sources4 = prefixes.map(|p| p.parse().unwrap()).to_vec();
        rules.own4 = Some(v4("203.0.113.1"));
    });
    let from = v6("2001:db8::1234");
    let about = v4("192.0.2.1");
    let mut counts = std::collections::BTreeMap::new();
    for n in 0..7 * 64u64 {
        let random = (n << 32) / (7 * 64) + 1;
        let source = given.error_source4(&from, about, random as u32).unwrap();
        *counts.entry(source).or_insert(0) += 1;
    }
    let expected = [
        "198.51.100.8",
        "198.51.100.9",
        "198.51.100.10",
        "198.51.100.11",
        "198.51.100.128",
        "198.51.100.129",
        "203.0.113.77",
    ];
    assert_eq!(counts, expected.map(|a| (v4(a), 64)).into_iter().collect());

    let own = map(|rules| {
        rules.error_sources4.clear();
        rules.own4 = Some(v4("203.0.113.1"));
        rules.own6 = Some(v6("2001:db8::77"));
    });
    for random in [0, 1 << 31, u32::MAX] {
        let source = own.error_source4(&from, about, random);
        assert_eq!(source, Some(v4("203.0.113.1")));
        // Of all there is, no more than fits.
        let all = map(|rules| rules.error_sources4 = vec!["0.0.0.0/0".parse().unwrap()]);
        assert_eq!(all.error_source4(&from, about, random), Some(Vaddr(random)));
    }
    let none = map(|rules| rules.error_sources4.clear());
    assert_eq!(none.error_source4(&from, about, 7), None);
}

/// RFC 7915 section 4.1: an illegal source of an error is translated.
#[test]
fn error_sources_of_ipv6_are_behind_the_prefix_if_they_can() {
    let own6 = Some(v6("2001:db8::77"));
    let about = v6("2001:db8::1234");
    let lenient = map(|rules| rules.own6 = own6);
    let loopback = lenient.error_source6(v4("127.0.0.1"), &about);
    assert_eq!(loopback, Some(v6("64:ff9b::127.0.0.1")));
    let strict = map(|rules| {
        rules.own6 = own6;
        rules.strict = true;
    });
    assert_eq!(strict.error_source6(v4("127.0.0.1"), &about), own6);
    assert_eq!(strict.error_source6(v4("10.0.0.1"), &about), own6);
    let given = map(|rules| {
        rules.pool6 = None;
        rules.own6 = own6;
        rules.error_source6 = Some(v6("2001:db8::78"));
    });
    let source = given.error_source6(v4("198.51.100.9"), &about);
    assert_eq!(source, Some(v6("2001:db8::78")));
}

#[test]
fn the_mappings_are_counted_that_overlap_the_prefix() {
    let (rules, eams) = appendix_b();
    let map = AddressMap::new(&rules, eams);
    assert_eq!(map.eams().watched(), 1);
    let other = AddressRules {
        pool6: pool("2001:db8:64::/96"),
        ..rules
    };
    let other = AddressMap::new(&other, map.eams().clone());
    assert_eq!(other.eams().watched(), 0);
}

/// An address of IPv4 and one of IPv6, of every kind that is treated apart.
fn any_address() -> impl Strategy<Value = (Vaddr, Saddr)> {
    let ipv4 = prop_oneof![
        any::<u32>(),
        (0..256u32).prop_map(|n| 0xc000_0200 | n),
        prop::sample::select(vec![0, 0x7f00_0001, 0xa9fe_0101, u32::MAX, 0xcb00_7101]),
    ];
    (ipv4, any::<u8>(), 0..8usize).prop_map(|(ipv4, n, kind)| {
        let n = u128::from(n);
        let ipv6 = match kind {
            0 => 0x2001_0db8_aaaa << 80,
            1 => 0x2001_0db8_bbbb << 80 | 0xb,
            2 => 0x2001_0db8_cccc << 80 | n & 0xf,
            3 => 0x2001_0db8_dddd << 80 | n << 56,
            4 => 0x2001_0db8_eeee_0008 << 64 | n << 61,
            5 => n * 0x0101_0101_0101_0101_0101_0101_0101_0101,
            _ => 0x0064_ff9b << 96 | u128::from(ipv4),
        };
        (Vaddr(ipv4), ipv6.to_be_bytes())
    })
}

fn any_rules() -> impl Strategy<Value = AddressMap> {
    (any::<[bool; 5]>(), 0..4usize).prop_map(|([strict, deny, own, more, wide], n)| {
        let (mut rules, mut table) = appendix_b();
        rules.pool6 = [
            None,
            pool("64:ff9b::/96"),
            pool("2001:db8:64::/96"),
            pool("2001:db8:dd00::/40"),
        ][n];
        rules.strict = strict;
        if deny {
            rules.deny4 = vec!["192.0.2.64/26".parse().unwrap()];
            rules.deny6 = vec!["2001:db8:cccc::/125".parse().unwrap()];
        }
        if own {
            rules.own4 = Some(v4("203.0.113.1"));
        }
        if !more {
            table = eams(&[
                ("192.0.2.1", "2001:db8:aaaa::"),
                ("192.0.2.2", "2001:db8:bbbb::b"),
            ]);
        }
        if wide {
            let all = eams(&[("0.0.0.0/0", "2001:db8:ff00::/40")]);
            table.insert(all.iter().next().unwrap().eam()).unwrap();
        }
        AddressMap::new(&rules, table)
    })
}

fn burst_to_ipv6(
    map: &AddressMap,
    pairs: &[(Vaddr, Vaddr)],
    explicit: bool,
) -> Vec<Result<Pair6, Unpaired>> {
    let mut ends = Ends::new(Vaddr(0));
    for (i, pair) in pairs.iter().enumerate() {
        (ends.sources[i], ends.destinations[i]) = *pair;
    }
    let found = map.find_to_ipv6(&ends, asked(pairs.len()), explicit);
    let entries = found.sources.iter().zip(&found.destinations);
    let pair = |(pair, entries): (&_, (&_, &_))| map.pair6(*pair, (*entries.0, *entries.1));
    pairs.iter().zip(entries).map(pair).collect()
}

fn burst_to_ipv4(map: &AddressMap, pairs: &[(Saddr, Saddr)]) -> Vec<Result<Pair4, Unpaired>> {
    let pairs: Vec<_> = pairs.iter().map(|(a, b)| (halves(a), halves(b))).collect();
    let mut ends = Ends::new((0, 0));
    for (i, pair) in pairs.iter().enumerate() {
        (ends.sources[i], ends.destinations[i]) = *pair;
    }
    let found = map.find_to_ipv4(&ends, asked(pairs.len()));
    let entries = found.sources.iter().zip(&found.destinations);
    let pair = |(pair, entries): (&_, (&_, &_))| map.pair4(*pair, (*entries.0, *entries.1));
    pairs.iter().zip(entries).map(pair).collect()
}

fn asked(pairs: usize) -> u32 {
    ((1u64 << pairs) - 1) as u32
}

proptest! {
    /// A burst is each of its pairs by itself, and the delta is that of the
    /// addresses.
    #[test]
    fn bursts_are_single_addresses(
        map in any_rules(),
        explicit: bool,
        given in prop::collection::vec((any_address(), any_address()), 0..=BURST),
    ) {
        let pairs4: Vec<_> = given.iter().map(|(a, b)| (a.0, b.0)).collect();
        let pairs6: Vec<_> = given.iter().map(|(a, b)| (a.1, b.1)).collect();
        let out6 = burst_to_ipv6(&map, &pairs4, explicit);
        let out4 = burst_to_ipv4(&map, &pairs6);
        for (pair, out) in pairs4.iter().zip(&out6) {
            prop_assert_eq!(map.find_pair6(*pair, explicit), *out);
        }
        for (pair, out) in pairs6.iter().zip(&out4) {
            prop_assert_eq!(map.find_pair4(*pair), *out);
        }
        for ((a, b), out) in pairs4.iter().zip(&out6) {
            let source = map.to_ipv6(*a, explicit);
            let destination = map.to_ipv6(*b, true);
            match out {
                Ok(pair) => {
                    let made = [pair.source, pair.destination].map(joined);
                    prop_assert_eq!([source, destination], made.map(Ok));
                    let old = [&a.bytes()[..], &b.bytes(), &[6, 0]].concat();
                    let new = [&made[0][..], &made[1], &[6, 0]].concat();
                    let adjusted = checksum::adjust(checksum::checksum(&old), pair.delta);
                    prop_assert_eq!(adjusted, checksum::checksum(&new));
                }
                Err(Unpaired { end: End::Source, why }) => prop_assert_eq!(source, Err(*why)),
                Err(Unpaired { end: End::Destination, why }) => {
                    prop_assert!(source.is_ok());
                    prop_assert_eq!(destination, Err(*why));
                }
            }
        }
        for ((a, b), out) in pairs6.iter().zip(&out4) {
            let (source, destination) = (map.to_ipv4(a), map.to_ipv4(b));
            match out {
                Ok(pair) => {
                    prop_assert_eq!(source.map(|s| s.address), Ok(pair.source));
                    let destination = destination.unwrap();
                    prop_assert_eq!(destination.address, pair.destination);
                    let returns = !destination.explicit && map.is_explicit(pair.destination);
                    prop_assert_eq!(pair.returns, returns);
                    let old = [&a[..], b, &[6, 0]].concat();
                    let new = [&pair.source.bytes()[..], &pair.destination.bytes(), &[6, 0]].concat();
                    let adjusted = checksum::adjust(checksum::checksum(&old), pair.delta);
                    prop_assert_eq!(adjusted, checksum::checksum(&new));
                }
                Err(Unpaired { end: End::Source, why }) => {
                    prop_assert_eq!(source, Err(*why));
                }
                Err(Unpaired { end: End::Destination, why }) => {
                    prop_assert!(source.is_ok());
                    prop_assert_eq!(destination, Err(*why));
                }
            }
        }
    }
}
