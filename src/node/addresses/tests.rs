use super::*;

const NODE: NodeIndex = NodeIndex::MAX;
const Z: Vni = Vni(0x5a_0001);
const BOUND: Vaddr = Vaddr(0x0a00_0002);
const NEW: Vaddr = Vaddr(0x0a00_0009);
const NEWER: Vaddr = Vaddr(0x0a00_000a);
const CARD: Mac = Mac([2, 0, 0, 0, 0, 0x0a]);
const OTHER_CARD: Mac = Mac([2, 0, 0, 0, 0, 0x1a]);

const AUTO: Rule = Rule {
    learn: Learn::Auto,
    learn_as: LearnAs::Guess,
    seconds: 60,
};

fn whose() -> Whose {
    Whose {
        node: NODE,
        vni: Z,
        bound: BOUND,
        mac: Some(CARD),
    }
}

fn rule(learn_as: LearnAs) -> Rule {
    Rule { learn_as, ..AUTO }
}

fn from(address: Vaddr) -> Seen {
    Seen {
        address,
        mac: CARD,
        by: By::Packet,
        until: None,
    }
}

/// The engine, and what a packet from this address means to it.
fn after(addresses: &mut Addresses, learn_as: LearnAs, address: Vaddr, now: u64) -> Verdict {
    addresses.seen(whose(), rule(learn_as), from(address), None, Time(now))
}

fn all(addresses: &Addresses) -> Vec<Vaddr> {
    addresses.all_of(NODE, BOUND)
}

fn told(ended: Option<Ended>) -> Option<(Vaddr, Verdict)> {
    ended.map(|ended| (ended.address, ended.verdict))
}

/// O-211: nothing without notice. And what each policy takes for a notice.
#[test]
fn what_counts_as_notice() {
    let with = |learn| Rule { learn, ..AUTO };
    for (learn, taken) in [
        (Learn::Never, &[][..]),
        (Learn::Announce, &[By::Announce, By::Dhcp]),
        (Learn::Auto, &[By::Packet, By::Arp, By::Announce, By::Dhcp]),
    ] {
        for by in [By::Packet, By::Arp, By::Announce, By::Dhcp] {
            let mut addresses = Addresses::new(8);
            let seen = Seen { by, ..from(NEW) };
            let verdict = addresses.seen(whose(), with(learn), seen, None, Time(0));
            let expected = match taken.contains(&by) {
                true => Verdict::Changed(BOUND),
                false => Verdict::Refused(AddressRefused::Forbidden),
            };
            assert_eq!(verdict, expected, "{learn:?} {by:?}");
            assert_eq!(addresses.is_empty(), !taken.contains(&by));
        }
    }
    // Its own needs no leave.
    let mut addresses = Addresses::new(8);
    let never = with(Learn::Never);
    let verdict = addresses.seen(whose(), never, from(BOUND), None, Time(0));
    assert_eq!(verdict, Verdict::Known);
}

/// O-213: an address that is somebody's is refused whatever the policy.
#[test]
fn nobody_takes_what_another_has() {
    for why in AddressRefused::ALL {
        let mut addresses = Addresses::new(8);
        let verdict = addresses.seen(whose(), AUTO, from(NEW), Some(*why), Time(0));
        assert_eq!(verdict, Verdict::Refused(*why));
        assert!(addresses.is_empty());
    }
}

/// O-207, O-214: in the place of the old one, and once only.
#[test]
fn a_change_replaces() {
    let mut addresses = Addresses::new(8);
    let change = LearnAs::Change;
    assert_eq!(
        after(&mut addresses, change, NEW, 0),
        Verdict::Changed(BOUND)
    );
    assert_eq!(all(&addresses), [NEW]);
    assert_eq!(after(&mut addresses, change, NEW, 1), Verdict::Known);
    assert_eq!(
        after(&mut addresses, change, NEWER, 2),
        Verdict::Changed(NEW)
    );
    assert_eq!(all(&addresses), [NEWER]);
    // What it is bound to is no news.
    assert_eq!(
        after(&mut addresses, change, BOUND, 3),
        Verdict::Changed(NEWER)
    );
    assert_eq!(all(&addresses), [BOUND]);
    assert!(!addresses.has(NODE, NEWER));
    assert!(addresses.is_empty());
}

/// O-208, O-214: beside the old one.
#[test]
fn an_addition_stands_beside() {
    let mut addresses = Addresses::new(8);
    assert_eq!(after(&mut addresses, LearnAs::Add, NEW, 0), Verdict::Added);
    assert_eq!(
        after(&mut addresses, LearnAs::Add, NEWER, 0),
        Verdict::Added
    );
    assert_eq!(all(&addresses), [BOUND, NEW, NEWER]);
    assert_eq!(
        after(&mut addresses, LearnAs::Add, BOUND, 0),
        Verdict::Known
    );
    assert!(addresses.is_beside(NODE, NEW) && !addresses.is_beside(NODE, BOUND));
}

/// O-216: the card tells which of both it is.
#[test]
fn the_same_card_is_a_change_and_another_one_an_addition() {
    let mut addresses = Addresses::new(8);
    let mut by_card = |mac, address| {
        let seen = Seen {
            mac,
            ..from(address)
        };
        addresses.seen(whose(), AUTO, seen, None, Time(0))
    };
    assert_eq!(by_card(OTHER_CARD, NEW), Verdict::Added);
    assert_eq!(by_card(CARD, NEWER), Verdict::Changed(BOUND));
    assert_eq!(all(&addresses), [NEWER, NEW]);
    // Nothing is guessed from a card that is not known yet.
    let mut addresses = Addresses::new(8);
    let unknown = Whose {
        mac: None,
        ..whose()
    };
    let verdict = addresses.seen(unknown, AUTO, from(NEW), None, Time(0));
    assert_eq!(verdict, Verdict::Added);
}

/// A guess that it changed is wrong if the node goes back at once.
#[test]
fn a_node_that_goes_to_and_fro_has_both() {
    let mut addresses = Addresses::new(8);
    let guess = LearnAs::Guess;
    assert_eq!(
        after(&mut addresses, guess, NEW, 0),
        Verdict::Changed(BOUND)
    );
    assert_eq!(after(&mut addresses, guess, BOUND, 59_999), Verdict::Added);
    assert_eq!(all(&addresses), [BOUND, NEW]);
    let mut addresses = Addresses::new(8);
    assert_eq!(
        after(&mut addresses, guess, NEW, 0),
        Verdict::Changed(BOUND)
    );
    let late = after(&mut addresses, guess, BOUND, 60_000);
    assert_eq!(late, Verdict::Changed(NEW));
    assert_eq!(all(&addresses), [BOUND]);
}

/// O-215: both are watched, and what is not used goes.
#[test]
fn watching_keeps_what_is_used() {
    for (used, verdict, left) in [
        (&[BOUND, NEW][..], Verdict::Kept, &[BOUND, NEW][..]),
        (&[NEW], Verdict::Changed(BOUND), &[NEW]),
        (&[BOUND], Verdict::Dropped, &[BOUND]),
        (&[], Verdict::Kept, &[BOUND, NEW]),
    ] {
        let mut addresses = Addresses::new(8);
        let announced = Seen {
            by: By::Announce,
            ..from(NEW)
        };
        let watch = rule(LearnAs::Watch);
        let seen = addresses.seen(whose(), watch, announced, None, Time(0));
        assert_eq!(seen, Verdict::Watching);
        assert_eq!(all(&addresses), [BOUND, NEW], "both are valid meanwhile");
        let asked = addresses.of(NODE).unwrap().unused();
        assert_eq!(asked, [NEW, BOUND]);
        for address in used {
            assert!(addresses.used(NODE, *address));
            assert!(!addresses.used(NODE, *address), "no news");
        }
        assert_eq!(addresses.ended(Time(59_999)), None);
        let ended = addresses.ended(Time(60_000)).unwrap();
        assert_eq!(ended.before, [BOUND, NEW]);
        assert_eq!((ended.address, ended.verdict), (NEW, verdict), "{used:?}");
        assert_eq!(all(&addresses), left, "{used:?}");
        assert_eq!(addresses.ended(Time(u64::MAX)), None, "once");
        let node = addresses.of(NODE);
        assert!(node.is_none_or(|node| node.unused().is_empty()));
    }
}

/// The packet that shows a new address is a use of it.
#[test]
fn a_packet_is_a_use() {
    let mut addresses = Addresses::new(8);
    assert_eq!(
        after(&mut addresses, LearnAs::Watch, NEW, 0),
        Verdict::Watching
    );
    assert_eq!(addresses.of(NODE).unwrap().unused(), [BOUND]);
    let ended = addresses.ended(Time(60_000));
    assert_eq!(told(ended), Some((NEW, Verdict::Changed(BOUND))));
    // And it goes back: now the other one is in doubt.
    assert_eq!(
        after(&mut addresses, LearnAs::Watch, BOUND, 70_000),
        Verdict::Watching
    );
    assert_eq!(all(&addresses), [BOUND, NEW]);
    assert_eq!(addresses.of(NODE).unwrap().unused(), [NEW]);
    let ended = addresses.ended(Time(130_000));
    assert_eq!(told(ended), Some((NEW, Verdict::Dropped)));
    assert_eq!(all(&addresses), [BOUND]);
}

/// Two are watched at once, and the first takes the old one's place.
#[test]
fn watches_end_one_by_one() {
    let mut addresses = Addresses::new(8);
    after(&mut addresses, LearnAs::Watch, NEW, 0);
    after(&mut addresses, LearnAs::Watch, NEWER, 1000);
    assert_eq!(
        told(addresses.ended(Time(60_000))),
        Some((NEW, Verdict::Changed(BOUND)))
    );
    assert_eq!(addresses.of(NODE).unwrap().unused(), [NEW]);
    assert!(addresses.used(NODE, NEW));
    assert_eq!(addresses.ended(Time(60_999)), None);
    assert_eq!(
        told(addresses.ended(Time(61_000))),
        Some((NEWER, Verdict::Kept))
    );
    assert_eq!(all(&addresses), [NEW, NEWER]);
}

/// A node may not have as many as it likes; one in the place of another is no
/// more.
#[test]
fn each_node_has_so_many_and_no_more() {
    let mut addresses = Addresses::new(2);
    let many = Verdict::Refused(AddressRefused::TooMany);
    after(&mut addresses, LearnAs::Add, NEW, 0);
    after(&mut addresses, LearnAs::Change, NEWER, 0);
    let third = Vaddr(0x0a00_000b);
    assert_eq!(after(&mut addresses, LearnAs::Add, third, 0), many);
    assert_eq!(
        after(&mut addresses, LearnAs::Change, third, 0),
        Verdict::Changed(NEWER)
    );
    assert_eq!(all(&addresses), [third, NEW]);
    assert_eq!(
        after(&mut addresses, LearnAs::Add, BOUND, 0),
        Verdict::Added
    );
    assert_eq!(after(&mut addresses, LearnAs::Change, NEWER, 0), many);
    let mut none = Addresses::new(0);
    assert_eq!(after(&mut none, LearnAs::Change, NEW, 0), many);
    assert!(none.is_empty());
}

#[test]
fn a_lease_ends_and_is_renewed() {
    let mut addresses = Addresses::new(8);
    let lease = |until| Seen {
        by: By::Dhcp,
        until: Some(Time(until)),
        ..from(NEW)
    };
    let mut lease_at = |until, now| {
        let rule = rule(LearnAs::Change);
        addresses.seen(whose(), rule, lease(until), None, Time(now))
    };
    assert_eq!(lease_at(1000, 0), Verdict::Changed(BOUND));
    assert_eq!(lease_at(3000, 500), Verdict::Known);
    assert_eq!(addresses.ended(Time(1000)), None);
    assert_eq!(all(&addresses), [NEW]);
    let ended = addresses.ended(Time(3000)).unwrap();
    assert_eq!((ended.address, ended.verdict), (NEW, Verdict::Dropped));
    assert_eq!(ended.before, [NEW]);
    assert_eq!(
        all(&addresses),
        [BOUND],
        "what it is bound to is its own again"
    );
}

#[test]
fn cards_are_known_by_address() {
    let mut addresses = Addresses::new(8);
    after(&mut addresses, LearnAs::Add, NEW, 0);
    assert!(addresses.mac_seen(NODE, NEW, OTHER_CARD));
    assert!(!addresses.mac_seen(NODE, NEW, OTHER_CARD));
    assert!(!addresses.mac_seen(NODE, NEWER, OTHER_CARD));
    assert_eq!(addresses.of(NODE).unwrap().beside()[0].mac, OTHER_CARD);
}

/// O-206: what somebody says counts for more than what was found out.
#[test]
fn bindings_have_the_last_word() {
    let learned = || {
        let mut addresses = Addresses::new(8);
        after(&mut addresses, LearnAs::Change, NEW, 0);
        after(&mut addresses, LearnAs::Add, NEWER, 0);
        addresses
    };
    let keeps = |_: NodeIndex, _: Vaddr| true;
    // Nothing has changed.
    let mut addresses = learned();
    assert_eq!(addresses.review(|_| Some((Z, BOUND)), keeps), []);
    assert_eq!(all(&addresses), [NEW, NEWER]);
    // It was made lasting.
    assert_eq!(addresses.review(|_| Some((Z, NEW)), keeps), []);
    assert_eq!(addresses.all_of(NODE, NEW), [NEW, NEWER]);
    assert!(!addresses.has(NODE, NEW));
    // It is another one altogether.
    let mut addresses = learned();
    let other = Vaddr(0x0a00_0063);
    assert_eq!(addresses.review(|_| Some((Z, other)), keeps), [(NODE, NEW)]);
    assert_eq!(addresses.all_of(NODE, other), [other, NEWER]);
    // They are somebody else's.
    let mut addresses = learned();
    let lost = addresses.review(|_| Some((Z, BOUND)), |_, _| false);
    assert_eq!(lost, [(NODE, NEWER), (NODE, NEW)]);
    assert!(addresses.is_empty());
    // The node is in another vnet, or nowhere.
    for place in [Some((Vni(0x59_0001), BOUND)), None] {
        let mut addresses = learned();
        assert_eq!(addresses.review(|_| place, keeps), []);
        assert!(addresses.is_empty());
    }
}

#[test]
fn what_did_not_work_is_undone() {
    let mut addresses = Addresses::new(8);
    let before = addresses.of(NODE).cloned();
    after(&mut addresses, LearnAs::Add, NEW, 0);
    let with_one = addresses.of(NODE).cloned();
    after(&mut addresses, LearnAs::Change, NEWER, 0);
    addresses.restore(NODE, with_one);
    assert_eq!(all(&addresses), [BOUND, NEW]);
    assert!(addresses.forget(NODE, NEW) && !addresses.forget(NODE, NEW));
    assert_eq!(all(&addresses), [BOUND]);
    after(&mut addresses, LearnAs::Add, NEW, 0);
    addresses.restore(NODE, before);
    assert!(addresses.is_empty());
}
