//! Every transition of a next hop, as tables.

use super::*;
use State::*;

const OLD: Mac = Mac([2, 0, 0, 0, 0, 1]);
const NEW: Mac = Mac([2, 0, 0, 0, 0, 2]);
const NOW: Time = Time(1_000_000);

fn timers() -> Timers {
    Timers::default()
}

/// In a state, with address OLD where the state has one, for `age` ms.
fn hop(state: State, asked: bool, age: u64) -> Neighbor {
    let known = !matches!(state, Incomplete | Failed);
    Neighbor {
        state,
        mac: known.then_some(OLD),
        due: (state != Permanent).then(|| NOW.after(500)),
        confirmed: None,
        since: Time(NOW.0 - age),
        tries: 1,
        asked,
    }
}

#[test]
fn what_it_says_of_itself() {
    let (old, new) = (Some(OLD), Some(NEW));
    // State, age, asked, named, in a reply to us -> state, usable, result.
    let table = [
        (Incomplete, 0, true, NEW, true, Reachable, new, Ok(())),
        (Incomplete, 0, false, NEW, true, Incomplete, None, Ok(())),
        (Incomplete, 0, true, NEW, false, Incomplete, None, Ok(())),
        (Failed, 0, true, NEW, true, Reachable, new, Ok(())),
        (Failed, 0, true, NEW, false, Failed, None, Ok(())),
        (Reachable, 5000, false, OLD, false, Reachable, old, Ok(())),
        (Reachable, 5000, false, NEW, false, Probe, new, Ok(())),
        // Nobody asked: not proof enough that it hears us.
        (Reachable, 5000, false, NEW, true, Probe, new, Ok(())),
        (
            Reachable,
            999,
            false,
            NEW,
            true,
            Probe,
            old,
            Err(Ignored::Settling),
        ),
        (Reachable, 1000, false, NEW, false, Probe, new, Ok(())),
        (Probe, 5000, true, OLD, true, Reachable, old, Ok(())),
        (Probe, 5000, true, OLD, false, Probe, old, Ok(())),
        (Probe, 5000, true, NEW, true, Reachable, new, Ok(())),
        (Probe, 5000, true, NEW, false, Probe, new, Ok(())),
        (
            Probe,
            999,
            true,
            NEW,
            true,
            Probe,
            old,
            Err(Ignored::Settling),
        ),
        (Permanent, 5000, false, OLD, true, Permanent, old, Ok(())),
        (
            Permanent,
            5000,
            false,
            NEW,
            true,
            Permanent,
            old,
            Err(Ignored::StaticNeighbor),
        ),
    ];
    for row in table {
        let (state, age, asked, mac, to_us, then, usable, result) = row;
        let mut hop = hop(state, asked, age);
        assert_eq!(hop.heard(mac, to_us, &timers(), NOW), result, "{row:?}");
        assert_eq!((hop.state, hop.usable()), (then, usable), "{row:?}");
        if then == Reachable && asked {
            assert_eq!(hop.confirmed, Some(NOW), "{row:?}");
            assert_eq!(hop.due, Some(NOW.after(30_000)), "{row:?}");
        }
        if usable == new && then == Probe {
            assert_eq!(hop.due, Some(NOW), "asked at once: {row:?}");
        }
    }
}

/// What its timer asks for, and when, until `end`.
fn asked(hop: &mut Neighbor, end: u64) -> Vec<(u64, Due)> {
    let mut asked = Vec::new();
    while let Some(due) = hop.due.filter(|due| due.0 <= end) {
        if let Some(what) = hop.timer(&timers(), due) {
            asked.push((due.0, what));
        }
    }
    asked
}

#[test]
fn silence() {
    let mut hop = Neighbor::new(None, Time(0));
    let expected: Vec<_> = (0..7).map(|n| (n * 1000, Due::AskAll)).collect();
    assert_eq!(asked(&mut hop, 2999), expected[..3]);
    assert_eq!(hop.state, Incomplete);
    assert_eq!(asked(&mut hop, 6000), expected[3..]);
    assert_eq!(hop.state, Failed);

    hop.heard(OLD, true, &timers(), Time(6500)).unwrap();
    assert_eq!(hop.usable(), Some(OLD));
    let once = asked(&mut hop, 38_500);
    let at = |n: u64| 36_500 + 1000 * n;
    assert_eq!(
        once,
        (0..3).map(|n| (at(n), Due::Ask(OLD))).collect::<Vec<_>>()
    );
    let then = asked(&mut hop, 41_500);
    assert_eq!(
        then,
        (3..6).map(|n| (at(n), Due::AskAll)).collect::<Vec<_>>()
    );
    assert_eq!((hop.state, hop.usable()), (Probe, Some(OLD)));
    let then = asked(&mut hop, 43_500);
    assert_eq!(
        then,
        (6..8).map(|n| (at(n), Due::AskAll)).collect::<Vec<_>>()
    );
    assert_eq!((hop.state, hop.usable()), (Failed, None));
}

#[test]
fn a_second_claimant_is_looked_into_as_soon_as_may_be() {
    let mut hop = Neighbor::new(None, Time(0));
    hop.timer(&timers(), Time(0));
    hop.heard(OLD, true, &timers(), Time(10)).unwrap();
    for ms in 11..1010 {
        let late = hop.heard(NEW, true, &timers(), Time(ms));
        assert_eq!(late, Err(Ignored::Settling));
    }
    assert_eq!(asked(&mut hop, 1010), [(1010, Due::Ask(OLD))]);
    hop.heard(OLD, true, &timers(), Time(1011)).unwrap();
    assert_eq!(hop.state, Reachable);
    // And in time even the second one is believed.
    hop.heard(NEW, false, &timers(), Time(1500)).unwrap();
    assert_eq!(hop.usable(), Some(NEW));
}

#[test]
fn what_configuration_gives_and_takes() {
    let mut hop = hop(Reachable, false, 0);
    hop.give(None, NOW);
    assert_eq!(hop.state, Reachable);
    hop.give(Some(NEW), NOW);
    assert_eq!(
        (hop.state, hop.usable(), hop.due),
        (Permanent, Some(NEW), None)
    );
    assert_eq!(hop.timer(&timers(), NOW.after(1 << 40)), None);
    hop.restart(NOW);
    assert_eq!(hop.state, Permanent);
    // Used until there is an answer, or none to three and three questions.
    hop.give(None, NOW);
    assert_eq!(
        (hop.state, hop.usable(), hop.due),
        (Probe, Some(NEW), Some(NOW))
    );
    hop.restart(NOW);
    assert_eq!((hop.state, hop.usable()), (Incomplete, None));
}
