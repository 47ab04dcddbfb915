//! Longest prefixes and stable slots.

use super::*;

fn key(n: u16) -> HopKey {
    (n % 2, Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, n))
}

fn hop((port, address): HopKey) -> ResolvedHop {
    ResolvedHop {
        port,
        address,
        src_mac: Mac::ZERO,
        dst_mac: Mac::ZERO,
        vlan: None,
        mtu: 1500,
    }
}

/// The address each slot uses.
fn used(configured: &[HopKey], up: impl Fn(usize) -> bool) -> Vec<Ipv6Addr> {
    let usable: Vec<_> = (0..configured.len())
        .map(|at| up(at).then(|| hop(configured[at])))
        .collect();
    let ecmp = EcmpSlots::fill(configured, &usable);
    (0..SLOTS as u32)
        .map(|hash| ecmp.pick(hash).unwrap().address)
        .collect()
}

#[test]
fn slots_are_shared_evenly() {
    for count in 1..=SLOTS {
        let hops: Vec<_> = (1..=count as u16).map(key).collect();
        let slots = used(&hops, |_| true);
        for (_, address) in &hops {
            let share = slots.iter().filter(|a| *a == address).count();
            let fair = SLOTS / count;
            assert!((fair..=fair + 1).contains(&share), "{count}: {share}");
        }
    }
}

#[test]
fn a_lost_hop_moves_its_own_slots_only() {
    for count in 2..=SLOTS {
        let hops: Vec<_> = (1..=count as u16).map(key).collect();
        // All combinations would be 2^16; these are all pairs of losses.
        for first in 0..count {
            let before = used(&hops, |_| true);
            let after = used(&hops, |at| at != first);
            for (b, a) in before.iter().zip(&after) {
                assert_ne!(*a, hops[first].1);
                assert!(*b == hops[first].1 || a == b);
            }
            for second in (0..count).filter(|s| *s != first && count > 2) {
                let later = used(&hops, |at| at != first && at != second);
                for (a, l) in after.iter().zip(&later) {
                    assert!(*a == hops[second].1 || a == l);
                }
            }
        }
    }
}

#[test]
fn the_order_of_hops_does_not_matter() {
    let hops: Vec<_> = (1..=5).map(key).collect();
    let mut reversed = hops.clone();
    reversed.reverse();
    assert_eq!(used(&hops, |_| true), used(&reversed, |_| true));
}

#[test]
fn no_hops_pick_nothing() {
    let ecmp = EcmpSlots::fill(&[key(1)], &[None]);
    assert_eq!(ecmp, EcmpSlots::default());
    assert_eq!((0..32).find_map(|hash| ecmp.pick(hash)), None);
}

#[test]
fn longest_prefix_first() {
    let via = |prefix: &str| Via {
        prefix: prefix.parse().unwrap(),
        hops: vec![key(1)],
    };
    let routes = Routes::new(vec![
        via("2001:db8::/32"),
        via("::/0"),
        via("2001:db8:0:b:200::/72"),
        via("2001:db8:0:b:25a::/80"),
    ]);
    let s: Locator = "2001:db8:0:b:200::/72".parse().unwrap();
    let covering = |longest| {
        let address = "2001:db8:0:b:25a:1:a00:3".parse::<Ipv6Addr>().unwrap();
        let lengths = routes.covering(address.octets(), longest);
        lengths.map(|via| via.prefix.len()).collect::<Vec<_>>()
    };
    assert_eq!(covering(128), [80, 72, 32, 0]);
    assert_eq!(covering(s.len()), [72, 32, 0]);
}
