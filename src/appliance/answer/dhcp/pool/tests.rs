//! Nodes without addresses of their own: what they are given, and what they have
//! as long as they have it.

use super::super::mail::{Mail, NOBODY, from_node};
use super::*;
use crate::appliance::testing::{built, mapped};
use crate::control::plant::Plant as _;
use crate::control::proto::{BindingSet, Change};
use crate::model::Origin;

const Z: Vni = Vni(0x5a_0001);

/// Host R with two nodes that get their addresses from a pool.
fn host(pool: &str) -> (Plant, Store) {
    let file = include_str!("../../../../../configs/first/r.toml");
    let said = file
        .replacen("[[vnet]]\n", "[[vnet]]\ndhcp = \"host\"\n", 1)
        .replacen("address = \"10.0.0.2\"\n", &binding_keys(1), 1);
    let more = format!(
        "[[binding]]\nname = \"B\"\nvnet = \"Z\"\nport = \"a\"\n{}\n\
         [[subnet]]\nname = \"web\"\nvnet = \"Z\"\nprefix = \"10.0.0.0/24\"\n\
         gateway = \"10.0.0.1\"\n[subnet.dhcp]\nlease_seconds = 600\npool = \"{pool}\"\n",
        binding_keys(2)
    );
    built(&format!("{said}\n{more}"))
}

fn mac(node: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, node])
}

fn binding_keys(node: u8) -> String {
    format!("subnet = \"web\"\nmac = \"{}\"\n", mac(node))
}

/// The first node is A, the second B.
fn tell(plant: &mut Plant, store: &Store, node: u8, options: &[u8], ciaddr: u8) -> Replies {
    let ciaddr = match ciaddr {
        0 => NOBODY,
        _ => [10, 0, 0, ciaddr],
    };
    let mail = Mail {
        ciaddr,
        ..Mail::of(mac(node), options)
    };
    let name = ["A", "B"][usize::from(node - 1)];
    from_node(plant, store, name, &mail.broadcast())
}

const DISCOVER: &[u8] = &[53, 1, 1];

/// Asks for 10.0.0.`last`: takes an offer, or was restarted.
fn request(last: u8) -> [u8; 9] {
    [53, 1, 3, 50, 4, 10, 0, 0, last]
}

/// The kind of the only answer, and the address that it gives.
fn answer(replies: &Replies) -> (u8, [u8; 4]) {
    let [(1, frame)] = &replies.frames[..] else {
        panic!("{replies:?}")
    };
    (frame[284], frame[58..62].try_into().unwrap())
}

fn change(replies: &Replies) -> Option<(LeaseChange, Vaddr)> {
    replies.events.iter().find_map(|event| match event {
        Event::Lease {
            change, address, ..
        } => Some((*change, *address)),
        _ => None,
    })
}

/// The address that workers know a node by, and whether it gets what is sent
/// there.
fn has(plant: &Plant, node: &str) -> Option<Vaddr> {
    let index = plant.numbers.get(node).unwrap();
    let record = plant.topology().node(index).unwrap();
    let target = |address: Vaddr| {
        let found = plant.table_entry(Z, crate::config::check::alone(address));
        found.map(|entry| entry.target)
    };
    assert!(!record.owns(Vaddr(0)));
    assert_eq!(target(Vaddr(0)), None);
    if record.vaddr == Vaddr(0) {
        return None;
    }
    assert!(record.owns(record.vaddr));
    assert_eq!(target(record.vaddr), Some(Target::Local(index)));
    Some(record.vaddr)
}

fn total(plant: &Plant, name: &str) -> u64 {
    plant.stats().counters[name].total
}

#[test]
fn a_node_has_what_it_was_granted_as_long_as_its_lease_lasts() {
    let (mut plant, store) = host("10.0.0.100-10.0.0.109");
    let node = plant.numbers.get("A").unwrap();
    let segment = plant.topology().node(node).unwrap().segment;
    assert_eq!(segment.prefix.to_string(), "10.0.0.0/24");
    let (kind, [10, 0, 0, last]) = answer(&tell(&mut plant, &store, 1, DISCOVER, 0)) else {
        panic!()
    };
    assert!(kind == 2 && (100..=109).contains(&last));
    let address = Vaddr(0x0a00_0000 + u32::from(last));
    assert_eq!(has(&plant, "A"), None, "an offer is none");

    let replies = tell(&mut plant, &store, 1, &request(last), 0);
    assert_eq!(answer(&replies), (5, address.bytes()));
    assert_eq!(change(&replies), Some((LeaseChange::Granted, address)));
    assert_eq!(has(&plant, "A"), Some(address));
    assert_eq!(plant.leases()[0].address, address);
    // It renews, and begins anew; it is the same.
    let replies = tell(&mut plant, &store, 1, &[53, 1, 3], last);
    assert_eq!(change(&replies), Some((LeaseChange::Renewed, address)));
    let replies = tell(&mut plant, &store, 1, DISCOVER, 0);
    assert_eq!(answer(&replies), (2, address.bytes()));
    assert_eq!(has(&plant, "A"), Some(address));
    // Another one has another.
    let other = answer(&tell(&mut plant, &store, 2, &request(last), 0));
    assert_eq!(other.0, 6, "a NAK");
    let (_, other) = answer(&tell(&mut plant, &store, 2, DISCOVER, 0));
    assert_ne!(other, address.bytes());

    let mut replies = Replies::default();
    plant.end_leases(Time(599_999), &mut replies);
    assert!(replies.events.is_empty());
    plant.end_leases(Time(600_000), &mut replies);
    assert_eq!(change(&replies), Some((LeaseChange::Expired, address)));
    plant.step(&store);
    assert_eq!(has(&plant, "A"), None);
    let left = plant.table_entry(Z, crate::config::check::alone(address));
    assert_eq!(left.map(|entry| entry.target), Some(Target::Gone));
}

#[test]
fn what_is_given_back_is_free_and_what_is_declined_rests() {
    let (mut plant, store) = host("10.0.0.100-10.0.0.100");
    let granted = tell(&mut plant, &store, 1, &request(100), 0);
    assert_eq!(answer(&granted), (5, [10, 0, 0, 100]));
    // There is no other one.
    for events in [1, 0] {
        let replies = tell(&mut plant, &store, 2, DISCOVER, 0);
        assert!(replies.frames.is_empty());
        assert_eq!(replies.events.len(), events, "told once");
    }
    assert_eq!(total(&plant, "dhcp_pool_exhausted"), 2);
    let replies = tell(&mut plant, &store, 1, &[53, 1, 7], 100);
    let free = Vaddr(0x0a00_0064);
    assert_eq!(change(&replies), Some((LeaseChange::Released, free)));
    assert_eq!(has(&plant, "A"), None);
    tell(&mut plant, &store, 2, DISCOVER, 0);
    tell(&mut plant, &store, 2, &request(100), 0);
    assert_eq!(has(&plant, "B"), Some(free));
    let decline = [53, 1, 4, 50, 4, 10, 0, 0, 100];
    let replies = tell(&mut plant, &store, 2, &decline, 0);
    assert_eq!(change(&replies), Some((LeaseChange::Declined, free)));
    assert_eq!(has(&plant, "B"), None);
    let replies = tell(&mut plant, &store, 2, DISCOVER, 0);
    assert!(replies.frames.is_empty());
    assert_eq!(change(&replies), Some((LeaseChange::Exhausted, Vaddr(0))));
    // Nothing to give back, or to decline.
    tell(&mut plant, &store, 1, &[53, 1, 7], 0);
    tell(&mut plant, &store, 1, &[53, 1, 4, 50, 4, 0, 0, 0, 0], 0);
    assert_eq!(total(&plant, "dhcp_no_address"), 2);
    // What B found in use on its own wire is better than none for A.
    let replies = tell(&mut plant, &store, 1, DISCOVER, 0);
    assert_eq!(answer(&replies), (2, [10, 0, 0, 100]));
}

#[test]
fn a_node_that_nobody_remembers_gets_what_it_says_it_has() {
    let (mut plant, store) = host("10.0.0.1-10.0.0.109");
    for (node, asked, kind) in [
        (1, 105, 5),
        // The first one's, the gateway's, and of no pool.
        (2, 105, 6),
        (2, 1, 6),
        (2, 200, 6),
        // Of another host.
        (2, 3, 6),
        (2, 104, 5),
    ] {
        let replies = tell(&mut plant, &store, node, &request(asked), 0);
        assert_eq!(answer(&replies).0, kind, "{asked}");
    }
    assert_eq!(has(&plant, "A"), Some(Vaddr(0x0a00_0069)));
    assert_eq!(has(&plant, "B"), Some(Vaddr(0x0a00_0068)));
}

fn apply(plant: &mut Plant, store: &mut Store, change: Change<'static>) {
    store.apply(plant, Origin::Operator, &[change], 0).unwrap();
    plant.step(store);
}

#[test]
fn what_is_configured_goes_before_leases() {
    let (mut plant, mut store) = host("10.0.0.100-10.0.0.109");
    tell(&mut plant, &store, 1, &request(100), 0);
    tell(&mut plant, &store, 2, &request(101), 0);
    let mut binding = store.binding("B").unwrap().clone();
    (binding.address, binding.subnet) = (Some(Vaddr(0x0a00_0064)), None);
    let revision = 0;
    let set = BindingSet { binding, revision };
    apply(&mut plant, &mut store, Change::BindingSet(set));
    assert_eq!(has(&plant, "A"), None);
    assert_eq!(has(&plant, "B"), Some(Vaddr(0x0a00_0064)));
    let mut replies = Replies::default();
    plant.poll_dhcp(&mut replies);
    assert_eq!(
        change(&replies),
        Some((LeaseChange::Expired, Vaddr(0x0a00_0064)))
    );
    let replies = tell(&mut plant, &store, 1, &request(100), 0);
    assert_eq!(answer(&replies).0, 6, "a NAK");

    // One that the manager says is elsewhere is not given away, nor kept.
    tell(&mut plant, &store, 1, &request(102), 0);
    apply(&mut plant, &mut store, mapped("10.0.0.102", "S"));
    let replies = tell(&mut plant, &store, 1, &request(102), 0);
    assert_eq!(answer(&replies).0, 6, "a NAK");
}

#[test]
fn leases_of_pools_outlast_the_appliance() {
    let name = format!("weft-leases-{}", std::process::id());
    let journal = std::env::temp_dir().join(name);
    let kept_at = journal.with_extension("leases");
    let start = || {
        let (mut plant, store) = host("10.0.0.100-10.0.0.109");
        plant.keep_leases(&journal, &store);
        plant.step(&store);
        (plant, store)
    };
    let (mut plant, store) = start();
    assert_eq!(has(&plant, "A"), None);
    tell(&mut plant, &store, 1, &request(107), 0);
    plant.poll_dhcp(&mut Replies::default());
    let (mut plant, store) = start();
    let kept = Some(Vaddr(0x0a00_006b));
    assert_eq!(has(&plant, "A"), kept);
    let [lease] = &plant.leases()[..] else {
        panic!()
    };
    assert!(
        lease
            .expires
            .is_some_and(|left| (590..=600).contains(&left))
    );
    assert_eq!(answer(&tell(&mut plant, &store, 2, &request(107), 0)).0, 6);
    // It is written again when it is given back.
    tell(&mut plant, &store, 1, &[53, 1, 7], 107);
    plant.save_leases_now();
    assert_eq!(has(&start().0, "A"), None);
    // And what cannot be read is as if there was none.
    std::fs::write(&kept_at, "[{").unwrap();
    assert_eq!(has(&start().0, "A"), None);
    std::fs::remove_file(&kept_at).unwrap();
}

#[test]
fn leases_are_kept_as_soon_as_there_is_room_for_them() {
    let folder = std::env::temp_dir().join(format!("weft-no-room-{}", std::process::id()));
    let journal = folder.join("journal");
    let (mut plant, store) = host("10.0.0.100-10.0.0.109");
    plant.keep_leases(&journal, &store);
    tell(&mut plant, &store, 1, &request(107), 0);
    plant.poll_dhcp(&mut Replies::default());
    std::fs::create_dir(&folder).unwrap();
    // Nothing more has changed.
    let later = plant.now().after(2000);
    plant.save_leases(later);
    let kept = std::fs::read_to_string(journal.with_extension("leases"));
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(kept.is_ok_and(|kept| kept.contains("10.0.0.107")));
}
