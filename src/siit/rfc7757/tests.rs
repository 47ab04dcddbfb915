//! The examples of RFC 7757, and the table beside a list that is searched from
//! end to end.

use std::collections::HashSet;
use std::net::Ipv6Addr;

use proptest::prelude::*;

use super::*;
use crate::wire::address::prefix6_or_address;
use crate::wire::checksum;

const MANY: usize = 1 << 20;

fn eam(ipv4: &str, ipv6: &str) -> Eam {
    Eam {
        ipv4: ipv4.parse().unwrap(),
        ipv6: prefix6_or_address::parse(ipv6).unwrap(),
    }
}

fn v4(text: &str) -> Vaddr {
    text.parse().unwrap()
}

fn v6(text: &str) -> Saddr {
    text.parse::<Ipv6Addr>().unwrap().octets()
}

/// Figure 1.
fn figure_1() -> Eams {
    let rows = [
        ("192.0.2.1", "2001:db8:aaaa::"),
        ("192.0.2.2/32", "2001:db8:bbbb::b/128"),
        ("192.0.2.16/28", "2001:db8:cccc::/124"),
        ("192.0.2.128/26", "2001:db8:dddd::/64"),
        ("192.0.2.192/29", "2001:db8:eeee:8::/62"),
        ("192.0.2.224/31", "64:ff9b::/127"),
    ];
    Eams::build(MANY, rows.map(|(ipv4, ipv6)| eam(ipv4, ipv6))).unwrap()
}

/// Figure 7, in both directions.
#[test]
fn examples_of_appendix_b() {
    let eams = figure_1();
    for (ipv4, ipv6) in [
        ("192.0.2.1", "2001:db8:aaaa::"),
        ("192.0.2.2", "2001:db8:bbbb::b"),
        ("192.0.2.16", "2001:db8:cccc::"),
        ("192.0.2.24", "2001:db8:cccc::8"),
        ("192.0.2.31", "2001:db8:cccc::f"),
        ("192.0.2.128", "2001:db8:dddd::"),
        ("192.0.2.152", "2001:db8:dddd:0:6000::"),
        ("192.0.2.183", "2001:db8:dddd:0:dc00::"),
        ("192.0.2.191", "2001:db8:dddd:0:fc00::"),
        ("192.0.2.195", "2001:db8:eeee:9:8000::"),
        ("192.0.2.225", "64:ff9b::1"),
    ] {
        let (ipv4, ipv6) = (v4(ipv4), v6(ipv6));
        assert_eq!(eams.find4(ipv4).unwrap().to_ipv6(ipv4), ipv6, "{ipv4}");
        assert_eq!(eams.find6(&ipv6).unwrap().to_ipv4(&ipv6), ipv4, "{ipv4}");
    }
    // According to RFC 6052, the figure says.
    assert!(eams.find4(v4("192.0.2.248")).is_none());
    assert!(eams.find6(&v6("64:ff9b::c000:2f8")).is_none());
}

/// Bits of the IPv6 address beyond the IPv4 suffix are discarded (section
/// 3.3.2 step 5).
#[test]
fn trailing_bits_are_discarded() {
    let eams = figure_1();
    let address = v6("2001:db8:dddd:0:63ff:ffff:ffff:ffff");
    let entry = eams.find6(&address).unwrap();
    assert_eq!(entry.to_ipv4(&address), v4("192.0.2.152"));
}

/// Section 5, figure 2.
#[test]
fn the_longest_match_wins() {
    let all = eam("0.0.0.0/0", "2001:db8:ff00::/40");
    let one = eam("198.51.100.64/32", "2001:db8::abcd/128");
    let eams = Eams::build(MANY, [all, one]).unwrap();
    let long = v6("2001:db8:ffc6:3364:4000::");
    let address = eams.find6(&long).unwrap().to_ipv4(&long);
    assert_eq!(address, v4("198.51.100.64"));
    let found = eams.find4(address).unwrap();
    assert_eq!(found.to_ipv6(address), v6("2001:db8::abcd"));
    assert_eq!(eams.around(one), [Some(all), None]);
    assert_eq!(eams.around(all), [None, None]);
    let other = v4("198.51.100.65");
    let found = eams.find4(other).unwrap();
    assert_eq!(found.to_ipv6(other), v6("2001:db8:ffc6:3364:4100::"));
}

#[test]
fn what_cannot_be_taken_is_named() {
    let mut eams = Eams::new(2);
    let one = eam("198.51.100.8", "2001:db8::1");
    let net = eam("198.51.100.16/28", "2001:db8::/124");
    let wide = eam("198.51.100.0/28", "2001:db8::/125");
    assert_eq!(eams.insert(wide), Err(BadEam::SuffixTooLong { eam: wide }));
    eams.insert(one).unwrap();
    let same4 = eam("198.51.100.8", "2001:db8::2");
    assert_eq!(eams.insert(same4), Err(BadEam::Ipv4Taken { holder: one }));
    // Figure 3.
    let same6 = eam("198.51.100.9", "2001:db8::1");
    let taken = eams.insert(same6).unwrap_err();
    assert_eq!(taken, BadEam::Ipv6Taken { holder: one });
    assert_eq!(
        taken.to_string(),
        "2001:db8::1/128 is mapped already, to 198.51.100.8/32"
    );
    eams.insert(net).unwrap();
    assert_eq!(
        eams.insert(eam("198.51.100.10", "2001:db8::a0")),
        Err(BadEam::Full { limit: 2 })
    );
    assert_eq!(eams.len(), 2);
    assert_eq!(eams.remove(same6.ipv4), None);
    assert_eq!(eams.remove(one.ipv4), Some(one));
    assert_eq!(eams.find6(&v6("2001:db8::1")).unwrap().eam(), net);
    assert_eq!(eams.get(net.ipv4).unwrap().eam(), net);
    assert!(eams.get(one.ipv4).is_none());
    let first = Eams::build(MANY, [one, net, same4]).unwrap_err();
    assert_eq!(first.index, 2);
    assert_eq!(
        first.to_string(),
        "mapping 2: 198.51.100.8/32 is mapped already, to 2001:db8::1/128"
    );
}

/// The shortest prefixes there are: shifts by all bits.
#[test]
fn nothing_is_a_prefix_too() {
    let mut eams = Eams::new(MANY);
    eams.insert(eam("192.0.2.1", "::/0")).unwrap();
    let any = v6("2001:db8::77");
    assert_eq!(eams.find6(&any).unwrap().to_ipv4(&any), v4("192.0.2.1"));
    let made = eams.find4(v4("192.0.2.1")).unwrap();
    assert_eq!(made.to_ipv6(v4("192.0.2.1")), v6("::"));
    assert_eq!(eams.len(), 1);
    eams.remove("192.0.2.1/32".parse().unwrap()).unwrap();
    eams.insert(eam("0.0.0.0/0", "::/0")).unwrap();
    assert_eq!(eams.find6(&any).unwrap().to_ipv4(&any), v4("32.1.13.184"));
    let address = v4("203.0.113.9");
    let made = eams.find4(address).unwrap().to_ipv6(address);
    assert_eq!(made, v6("cb00:7109::"));
}

/// Grown past several splits and emptied again, each mapping is there exactly
/// while it should be, and a clone made at any time stays as it was.
#[test]
fn growing_and_shrinking_loses_nothing() {
    const N: u32 = 100_000;
    let nth = |n: u32| Eam {
        ipv4: Prefix4 {
            address: Vaddr(0x0a00_0000 + n),
            len: 32,
        },
        ipv6: Prefix6::new(Ipv6Addr::from(0x2001_0db8 << 96 | u128::from(n)), 128).unwrap(),
    };
    let mut eams = Eams::new(MANY);
    let mut clones = Vec::new();
    for n in 0..N {
        if n % 24_999 == 0 {
            clones.push((n, eams.clone()));
        }
        eams.insert(nth(n)).unwrap();
    }
    let holds = |eams: &Eams, range: std::ops::Range<u32>| {
        assert_eq!(eams.len(), range.len());
        assert_eq!(eams.iter().count(), range.len());
        for n in (0..N).step_by(7) {
            let found = eams.find4(nth(n).ipv4.address).map(Entry::eam);
            assert_eq!(found, range.contains(&n).then(|| nth(n)), "{n}");
            let found = eams.find6(&nth(n).ipv6.bits().to_be_bytes());
            assert_eq!(found.is_some(), range.contains(&n), "{n}");
        }
    };
    holds(&eams, 0..N);
    let full = eams.clone();
    let per_entry = full.bytes() / N as usize;
    assert!((85..110).contains(&per_entry), "{per_entry} bytes");
    for n in 0..N {
        if n % 24_999 == 0 {
            holds(&eams, n..N);
        }
        assert_eq!(eams.remove(nth(n).ipv4), Some(nth(n)));
    }
    assert!(eams.is_empty() && eams.bytes() < 1000, "{}", eams.bytes());
    holds(&full, 0..N);
    for (n, clone) in &clones {
        holds(clone, 0..*n);
    }
}

/// Watching a prefix counts the same before and after.
#[test]
fn overlaps_with_a_prefix_are_counted() {
    let pool = |text: &str| Some(text.parse().unwrap());
    let mut eams = figure_1();
    eams.watch(pool("64:ff9b::/96"));
    assert_eq!(eams.watched(), 1);
    eams.watch(pool("2001:db8:c000::/96"));
    assert_eq!(eams.watched(), 0);
    let around = eam("198.51.100.0/24", "2001:db8::/32");
    eams.insert(around).unwrap();
    assert_eq!(eams.watched(), 1);
    assert_eq!(eams.clone().watched(), 1);
    eams.remove(around.ipv4);
    assert_eq!(eams.watched(), 0);
    eams.watch(None);
    assert_eq!(eams.watched(), 0);
}

/// All at once is one by one; also the first that is bad is.
#[test]
fn a_table_is_built_as_by_inserting() {
    let nth = |n: u32| Eam {
        ipv4: Prefix4 {
            address: Vaddr(n << 8),
            len: 24,
        },
        ipv6: Prefix6::new(Ipv6Addr::from(u128::from(n) << 64), 64).unwrap(),
    };
    let all: Vec<Eam> = (1..70_000).map(nth).collect();
    let eams = Eams::build(MANY, all.iter().copied()).unwrap();
    assert_eq!((eams.len(), eams.iter().count()), (all.len(), all.len()));
    for eam in &all {
        let last = Vaddr(eam.ipv4.address.0 | 0xff);
        assert_eq!(eams.find4(last).map(Entry::eam), Some(*eam));
        let inside = (eam.ipv6.bits() | 77).to_be_bytes();
        assert_eq!(eams.find6(&inside).map(Entry::eam), Some(*eam));
    }
    let error = |at: usize, bad: Eam| {
        let mut all = all.clone();
        all[at] = bad;
        Eams::build(MANY, all).unwrap_err()
    };
    let holder = all[50_000];
    let same4 = Eam {
        ipv4: holder.ipv4,
        ..nth(70_001)
    };
    let same6 = Eam {
        ipv6: holder.ipv6,
        ..nth(70_001)
    };
    let taken = BadEam::Ipv4Taken { holder };
    assert_eq!((60_000, taken), at(error(60_000, same4)));
    assert_eq!((60_000, taken), at(error(60_000, holder)));
    let taken = BadEam::Ipv6Taken { holder };
    assert_eq!((60_000, taken), at(error(60_000, same6)));
    let eam = eam("198.51.100.0/24", "2001:db8::/121");
    let long = BadEam::SuffixTooLong { eam };
    assert_eq!((7, long), at(error(7, eam)));
    let full = Eams::build(7, all).unwrap_err();
    assert_eq!((7, BadEam::Full { limit: 7 }), at(full));
}

fn at(bad: BadEamAt) -> (usize, BadEam) {
    (bad.index, bad.error)
}

/// Entries come and go in a table that stays as full: nothing is lost, and
/// what is not there is still found not to be.
#[test]
fn churn_loses_nothing() {
    const LIVE: u32 = 1000;
    let nth = |n: u32| Eam {
        ipv4: Prefix4 {
            address: Vaddr(0x0a00_0000 | n),
            len: 32,
        },
        ipv6: Prefix6::new(Ipv6Addr::from(0x2001_0db8 << 96 | u128::from(n)), 128).unwrap(),
    };
    let mut eams = Eams::build(MANY, (0..LIVE).map(nth)).unwrap();
    for n in LIVE..30 * LIVE {
        eams.insert(nth(n)).unwrap();
        assert_eq!(eams.remove(nth(n - LIVE).ipv4), Some(nth(n - LIVE)));
        if n % LIVE == 7 {
            for other in n - 2 * LIVE.min(n / 2)..n + LIVE {
                let there = (n - LIVE + 1..=n).contains(&other);
                let key = nth(other);
                assert_eq!(eams.find4(key.ipv4.address).is_some(), there);
                let address = key.ipv6.bits().to_be_bytes();
                assert_eq!(eams.find6(&address).is_some(), there);
            }
        }
    }
}

/// A list, searched by the words of the RFC.
#[derive(Clone, Default)]
struct Model(Vec<Eam>);

impl Model {
    fn insert(&mut self, eam: Eam) -> bool {
        let bad = 32 - eam.ipv4.len > 128 - eam.ipv6.len()
            || self.0.iter().any(|e| e.ipv4 == eam.ipv4)
            || self.0.iter().any(|e| e.ipv6 == eam.ipv6);
        if !bad {
            self.0.push(eam);
        }
        !bad
    }

    fn find4(&self, address: Vaddr) -> Option<Eam> {
        let covering = self.0.iter().filter(|e| e.ipv4.contains(address));
        covering.max_by_key(|e| e.ipv4.len).copied()
    }

    fn find6(&self, address: &Saddr) -> Option<Eam> {
        let covering = self.0.iter().filter(|e| e.ipv6.contains(address));
        covering.max_by_key(|e| e.ipv6.len()).copied()
    }
}

/// Bit by bit, as a string of them: sections 3.3.1 and 3.3.2.
fn to_ipv6_by_bits(eam: Eam, address: Vaddr) -> Saddr {
    let bits4 = (0..32).map(|n| address.0 >> (31 - n) & 1 == 1);
    let bits6 = (0..128).map(|n| eam.ipv6.bits() >> (127 - n) & 1 == 1);
    let mut buffer: Vec<bool> = bits6.take(usize::from(eam.ipv6.len())).collect();
    buffer.extend(bits4.skip(usize::from(eam.ipv4.len)));
    buffer.resize(128, false);
    let whole = buffer
        .iter()
        .fold(0u128, |all, bit| all << 1 | u128::from(*bit));
    whole.to_be_bytes()
}

fn to_ipv4_by_bits(eam: Eam, address: &Saddr) -> Vaddr {
    let address = u128::from_be_bytes(*address);
    let bits4 = (0..32).map(|n| eam.ipv4.address.0 >> (31 - n) & 1 == 1);
    let bits6 = (0..128).map(|n| address >> (127 - n) & 1 == 1);
    let mut buffer: Vec<bool> = bits4.take(usize::from(eam.ipv4.len)).collect();
    buffer.extend(bits6.skip(usize::from(eam.ipv6.len())));
    buffer.truncate(32);
    Vaddr(buffer.iter().fold(0, |all, bit| all << 1 | u32::from(*bit)))
}

/// Few distinct bits, so that prefixes meet and nest.
fn any_eam() -> impl Strategy<Value = Eam> {
    let bits4 = prop_oneof![
        any::<u32>(),
        (0..4u32).prop_map(|n| 0xc000_0200 | n << 30 | n)
    ];
    let bits6 = prop_oneof![
        any::<u128>(),
        (0..4u128).prop_map(|n| 0x2001_0db8 << 96 | n << 64 | n)
    ];
    let len4 = prop_oneof![0..=32u8, Just(32), 24..=32u8];
    let len6 = prop_oneof![0..=128u8, Just(128), 96..=128u8];
    (bits4, len4, bits6, len6).prop_map(|(bits4, len4, bits6, len6)| {
        let mask = u128::MAX.checked_shl(128 - u32::from(len6)).unwrap_or(0);
        Eam {
            ipv4: Prefix4 {
                address: Vaddr(bits4 & Prefix4::mask(len4)),
                len: len4,
            },
            ipv6: Prefix6::new((bits6 & mask).into(), len6).unwrap(),
        }
    })
}

#[derive(Clone, Debug)]
enum Change {
    Insert(Eam),
    /// Of the entry at this place, from 0 to the number there are.
    Remove(prop::sample::Index),
    Clone,
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => any_eam().prop_map(Change::Insert),
        2 => any::<prop::sample::Index>().prop_map(Change::Remove),
        1 => Just(Change::Clone),
    ]
}

/// Addresses beside what is never zero as a whole, of which one's complement
/// would have two.
fn of_packet(addresses: &[u8]) -> Vec<u8> {
    [addresses, &[0, 6]].concat()
}

fn compare(eams: &Eams, model: &Model, asked: &[(u32, u128)]) -> Result<(), TestCaseError> {
    prop_assert_eq!(eams.len(), model.0.len());
    let all: HashSet<Eam> = eams.iter().map(Entry::eam).collect();
    prop_assert_eq!(all, model.0.iter().copied().collect::<HashSet<_>>());
    // Also both ends of every prefix, and what is beside them.
    let ends = model.0.iter().flat_map(|e| {
        let (a4, a6) = (e.ipv4.address.0, e.ipv6.bits());
        let last4 = a4 | !Prefix4::mask(e.ipv4.len);
        let last6 = a6 | u128::MAX.checked_shr(u32::from(e.ipv6.len())).unwrap_or(0);
        [
            (a4, a6),
            (last4, last6),
            (a4.wrapping_sub(1), a6.wrapping_sub(1)),
            (last4.wrapping_add(1), last6.wrapping_add(1)),
        ]
    });
    let (asked4, asked6): (Vec<_>, Vec<_>) = asked
        .iter()
        .copied()
        .chain(ends)
        .map(|(a4, a6)| (Vaddr(a4), a6.to_be_bytes()))
        .unzip();
    let (mut burst4, mut burst6) = (Vec::new(), Vec::new());
    for chunk in asked4.chunks(BURST) {
        let (mut addresses, mut out) = ([Vaddr(0); BURST], [None; BURST]);
        addresses[..chunk.len()].copy_from_slice(chunk);
        let asked = ((1u64 << chunk.len()) - 1) as u32;
        eams.find4_burst(&addresses, asked, &mut out);
        // Those that are not asked for are left alone.
        let mut half = [None; BURST];
        eams.find4_burst(&addresses, asked & 0x5555_5555, &mut half);
        for (i, (out, half)) in out.iter().zip(half).enumerate() {
            prop_assert_eq!(half, out.filter(|_| i % 2 == 0));
        }
        burst4.extend_from_slice(&out[..chunk.len()]);
    }
    for chunk in asked6.chunks(BURST) {
        let (mut addresses, mut out) = ([(0, 0); BURST], [None; BURST]);
        for (place, address) in addresses.iter_mut().zip(chunk) {
            *place = halves(address);
        }
        eams.find6_burst(&addresses, ((1u64 << chunk.len()) - 1) as u32, &mut out);
        burst6.extend_from_slice(&out[..chunk.len()]);
    }
    for (address, burst) in asked4.iter().zip(burst4) {
        let found = eams.find4(*address);
        prop_assert_eq!(found.map(Entry::eam), model.find4(*address));
        prop_assert_eq!(burst, found);
        if let Some(entry) = found {
            let made = entry.to_ipv6(*address);
            prop_assert_eq!(made, to_ipv6_by_bits(entry.eam(), *address));
            prop_assert_eq!(entry.to_ipv4(&made), *address);
            let field = checksum::checksum(&of_packet(&address.bytes()));
            let adjusted = checksum::adjust(field, entry.delta(*address, halves(&made)));
            prop_assert_eq!(adjusted, checksum::checksum(&of_packet(&made)));
        }
    }
    for (address, burst) in asked6.iter().zip(burst6) {
        let found = eams.find6(address);
        prop_assert_eq!(found.map(Entry::eam), model.find6(address));
        prop_assert_eq!(burst, found);
        if let Some(entry) = found {
            let made = entry.to_ipv4(address);
            prop_assert_eq!(made, to_ipv4_by_bits(entry.eam(), address));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_table_is_a_list_searched_for_the_longest(
        changes in prop::collection::vec(any_change(), 1..120),
        asked in prop::collection::vec((any::<u32>(), any::<u128>()), 40),
    ) {
        let (mut eams, mut model) = (Eams::new(MANY), Model::default());
        let mut clones = Vec::new();
        for change in changes {
            match change {
                Change::Insert(eam) => {
                    prop_assert_eq!(eams.insert(eam).is_ok(), model.insert(eam));
                }
                Change::Remove(at) if !model.0.is_empty() => {
                    let eam = model.0.swap_remove(at.index(model.0.len()));
                    prop_assert_eq!(eams.remove(eam.ipv4), Some(eam));
                }
                Change::Remove(_) => {}
                Change::Clone => clones.push((eams.clone(), model.clone())),
            }
        }
        compare(&eams, &model, &asked)?;
        for (eams, model) in &clones {
            compare(eams, model, &asked)?;
        }
    }
}
