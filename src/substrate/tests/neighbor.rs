//! Every transition of a neighbour, as tables.

use super::*;
use State::*;

const OLD: Mac = Mac([2, 0, 0, 0, 0, 1]);
const NEW: Mac = Mac([2, 0, 0, 0, 0, 2]);
const NOW: Time = Time(1_000_000);

fn timers() -> Timers {
    Timers::default()
}

/// A next hop in a state, with address OLD where the state has one.
fn hop(state: State) -> Neighbor {
    let known = !matches!(state, Incomplete | Failed);
    Neighbor {
        state,
        mac: known.then_some(OLD),
        ..Neighbor::wanted(NOW)
    }
}

fn flags(text: &str) -> Flags {
    Flags {
        router: text.contains('R'),
        solicited: text.contains('S'),
        overriding: text.contains('O'),
    }
}

#[test]
fn advertisements() {
    let none = None;
    let old = Some(OLD);
    let new = Some(NEW);
    // State, link-layer address, flags -> state, address kept, result.
    let table = [
        (
            Incomplete,
            none,
            "S",
            Incomplete,
            none,
            Err(Ignored::NoLinkAddress),
        ),
        (Incomplete, new, "", Stale, new, Ok(())),
        (Incomplete, new, "O", Stale, new, Ok(())),
        (Incomplete, new, "S", Reachable, new, Ok(())),
        (Incomplete, new, "SO", Reachable, new, Ok(())),
        (Failed, none, "S", Failed, none, Err(Ignored::NoLinkAddress)),
        (Failed, new, "", Incomplete, none, Ok(())),
        (Failed, new, "O", Incomplete, none, Ok(())),
        (Failed, new, "S", Reachable, new, Ok(())),
        (Reachable, old, "S", Reachable, old, Ok(())),
        (Reachable, none, "S", Reachable, old, Ok(())),
        (Reachable, old, "", Reachable, old, Ok(())),
        (Reachable, new, "", Stale, old, Ok(())),
        (Reachable, new, "S", Stale, old, Ok(())),
        (Reachable, new, "O", Stale, new, Ok(())),
        (Reachable, new, "SO", Reachable, new, Ok(())),
        (Stale, old, "S", Reachable, old, Ok(())),
        (Stale, none, "S", Reachable, old, Ok(())),
        (Stale, old, "", Stale, old, Ok(())),
        (Stale, new, "", Stale, old, Err(Ignored::NotOverriding)),
        (Stale, new, "S", Stale, old, Err(Ignored::NotOverriding)),
        (Stale, new, "O", Stale, new, Ok(())),
        (Stale, new, "SO", Reachable, new, Ok(())),
        (Delay, old, "S", Reachable, old, Ok(())),
        (Delay, old, "O", Delay, old, Ok(())),
        (Delay, new, "S", Delay, old, Err(Ignored::NotOverriding)),
        (Delay, new, "O", Stale, new, Ok(())),
        (Delay, new, "SO", Reachable, new, Ok(())),
        (Probe, old, "S", Reachable, old, Ok(())),
        (Probe, none, "S", Reachable, old, Ok(())),
        (Probe, none, "", Probe, old, Ok(())),
        (Probe, new, "S", Probe, old, Err(Ignored::NotOverriding)),
        (Probe, new, "O", Stale, new, Ok(())),
        (Probe, new, "SO", Reachable, new, Ok(())),
        (
            Permanent,
            new,
            "SO",
            Permanent,
            old,
            Err(Ignored::StaticNeighbor),
        ),
        (
            Permanent,
            old,
            "S",
            Permanent,
            old,
            Err(Ignored::StaticNeighbor),
        ),
    ];
    for (state, mac, given, then, kept, result) in table {
        let mut n = hop(state);
        let case = format!("{state:?} {mac:?} {given}");
        let got = n.advertised(mac, flags(given), &timers(), NOW);
        assert_eq!((n.state, n.mac, got), (then, kept, result), "{case}");
    }
}

#[test]
fn the_router_flag_follows_what_is_believed() {
    let mut n = hop(Reachable);
    n.advertised(Some(OLD), flags("SR"), &timers(), NOW)
        .unwrap();
    assert!(n.router);
    // A contradiction is not believed in any part.
    n.advertised(Some(NEW), flags("S"), &timers(), NOW).unwrap();
    assert!(n.router && n.state == Stale);
    n.advertised(Some(NEW), flags("S"), &timers(), NOW)
        .unwrap_err();
    assert!(n.router);
    n.advertised(Some(NEW), flags("SO"), &timers(), NOW)
        .unwrap();
    assert!(!n.router);
}

#[test]
fn only_its_answers_to_us_confirm_it() {
    let later = Time(NOW.0 + 500);
    let mut n = Neighbor::met(OLD, &timers(), NOW);
    n.heard_from(NEW, &timers(), NOW);
    n.advertised(Some(NEW), flags("O"), &timers(), NOW).unwrap();
    assert_eq!(n.confirmed, None);
    n.advertised(Some(NEW), flags("SO"), &timers(), later)
        .unwrap();
    assert_eq!(n.confirmed, Some(later));
    n.restart(Time(later.0 + 1));
    assert_eq!(n.confirmed, Some(later), "it still was at that time");
}

#[test]
fn solicitations_of_the_neighbour() {
    let table = [
        (Incomplete, NEW, Stale, Some(NEW)),
        (Failed, NEW, Incomplete, None),
        (Reachable, OLD, Reachable, Some(OLD)),
        (Reachable, NEW, Stale, Some(NEW)),
        (Stale, OLD, Stale, Some(OLD)),
        (Stale, NEW, Stale, Some(NEW)),
        (Delay, OLD, Delay, Some(OLD)),
        (Delay, NEW, Stale, Some(NEW)),
        (Probe, OLD, Probe, Some(OLD)),
        (Probe, NEW, Stale, Some(NEW)),
        (Permanent, NEW, Permanent, Some(OLD)),
    ];
    for (state, mac, then, kept) in table {
        let mut n = hop(state);
        n.heard_from(mac, &timers(), NOW);
        assert_eq!((n.state, n.mac), (then, kept), "{state:?} {mac}");
    }
}

#[test]
fn timers_of_next_hops_and_of_others() {
    let last = timers().probe_misses;
    // State, tries so far, next hop -> what to do, state, next timer in ms.
    let table = [
        (
            Incomplete,
            0,
            true,
            Some(Due::AskGroup),
            Incomplete,
            Some(300),
        ),
        (
            Incomplete,
            last - 1,
            true,
            Some(Due::AskGroup),
            Incomplete,
            Some(300),
        ),
        (Incomplete, last, true, None, Failed, Some(1000)),
        (
            Incomplete,
            last,
            false,
            Some(Due::Forget),
            Incomplete,
            Some(0),
        ),
        (Reachable, 0, true, Some(Due::Ask(OLD)), Probe, Some(200)),
        (Reachable, last, true, Some(Due::Ask(OLD)), Probe, Some(200)),
        (Reachable, 0, false, None, Stale, Some(600_000)),
        (Stale, 0, true, None, Delay, Some(100)),
        (Stale, 0, false, Some(Due::Forget), Stale, Some(0)),
        (Delay, 0, true, Some(Due::Ask(OLD)), Probe, Some(200)),
        (Probe, 1, true, Some(Due::Ask(OLD)), Probe, Some(200)),
        (Probe, last, true, Some(Due::AskGroup), Failed, Some(1000)),
        (Probe, last, false, Some(Due::Forget), Probe, Some(0)),
        (Permanent, 0, true, None, Permanent, None),
    ];
    for (state, tries, used, due, then, next) in table {
        let mut n = Neighbor {
            tries,
            used,
            ..hop(state)
        };
        let case = format!("{state:?} {tries} {used}");
        let mut early = n.clone();
        early.due = Some(NOW.after(1));
        assert_eq!(early.timer(&timers(), NOW), None, "{case}");
        assert_eq!(n.timer(&timers(), NOW), due, "{case}");
        let next = next.map(|ms| NOW.after(ms));
        assert_eq!((n.state, n.due), (then, next), "{case}");
    }
}

#[test]
fn failed_next_hops_are_asked_ever_more_seldom() {
    let mut n = Neighbor {
        tries: 3,
        ..hop(Probe)
    };
    let mut now = NOW;
    let mut waits = Vec::new();
    for _ in 0..6 {
        assert_eq!(n.timer(&timers(), now), Some(Due::AskGroup));
        assert_eq!((n.state, n.usable()), (Failed, None));
        let next = n.due.unwrap();
        waits.push(next.since(now));
        now = next;
    }
    assert_eq!(waits, [1000, 2000, 3000, 3000, 3000, 3000]);
    n.advertised(Some(NEW), flags("S"), &timers(), now).unwrap();
    assert_eq!((n.state, n.usable()), (Reachable, Some(NEW)));
}

#[test]
fn becoming_and_ceasing_to_be_a_next_hop() {
    // State -> kept, state, next timer; first out of use, then into it.
    let out = [
        (Incomplete, false, Incomplete, Some(0)),
        (Failed, false, Failed, Some(0)),
        (Reachable, true, Stale, Some(600_000)),
        (Stale, true, Stale, Some(600_000)),
        (Delay, true, Stale, Some(600_000)),
        (Probe, true, Stale, Some(600_000)),
        (Permanent, true, Permanent, Some(0)),
    ];
    for (state, kept, then, next) in out {
        let mut n = hop(state);
        assert_eq!(n.set_used(false, &timers(), NOW), kept, "{state:?}");
        let next = next.map(|ms| NOW.after(ms));
        assert_eq!((n.state, n.due), (then, next), "{state:?}");
    }
    for (state, then, next) in [(Reachable, Reachable, 300), (Stale, Stale, 0)] {
        let mut n = Neighbor {
            used: false,
            due: Some(NOW.after(30_000)),
            ..hop(state)
        };
        assert!(n.set_used(true, &timers(), NOW));
        assert_eq!((n.state, n.due), (then, Some(NOW.after(next))), "{state:?}");
    }
}

#[test]
fn usable_states() {
    for (state, usable) in [
        (Incomplete, false),
        (Reachable, true),
        (Stale, true),
        (Delay, true),
        (Probe, true),
        (Failed, false),
        (Permanent, true),
    ] {
        assert_eq!(hop(state).usable().is_some(), usable, "{state:?}");
    }
}
