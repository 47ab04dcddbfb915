//! Next hops: found, followed, given up, found again.

use super::*;

fn mac(link: &Link4) -> Option<Mac> {
    link.hop(&ROUTER).map(|hop| hop.dst_mac)
}

fn state(link: &Link4) -> NeighborState {
    link.neighbors()[0].state
}

#[test]
fn a_next_hop_is_asked_for_and_used_once_it_answers() {
    let mut link = up(config());
    assert_eq!(link.hop(&ROUTER), None);
    let generation = link.generation();
    link.input(&answers(ROUTER_MAC, ROUTER), Time(1)).unwrap();
    assert_ne!(link.generation(), generation);
    let expected = ResolvedHop {
        port: 3,
        address: ROUTER,
        src_mac: OWN_MAC,
        dst_mac: ROUTER_MAC,
        vlan: None,
        mtu: 1500,
    };
    assert_eq!(link.hop(&ROUTER), Some(expected));
    assert_eq!(link.hop(&OTHER), None);
    let up = Event::NeighborUp {
        port: 3,
        address: ROUTER,
        mac: ROUTER_MAC,
    };
    assert_eq!(told(&mut link), [up]);
    assert_eq!(link.neighbors()[0].confirmed, Some(Time(1)));
    // Asked again after half a minute, at its hardware address only.
    let generation = link.generation();
    run(&mut link, 30_000);
    sent(&mut link);
    run(&mut link, 30_001);
    assert_eq!(requests(&sent(&mut link)), [(ROUTER_MAC, OWN, ROUTER)]);
    link.input(&answers(ROUTER_MAC, ROUTER), Time(30_002))
        .unwrap();
    assert_eq!(state(&link), NeighborState::Reachable);
    assert_eq!(link.next_timeout(), Some(Time(60_002)));
    assert_eq!(link.generation(), generation, "nothing new to compile");
}

#[test]
fn a_dead_next_hop_is_given_up_and_found_again() {
    let mut link = resolved();
    run(&mut link, 36_000);
    assert_eq!(mac(&link), Some(ROUTER_MAC));
    sent(&mut link);
    run(&mut link, 36_001);
    assert_eq!((mac(&link), state(&link)), (None, NeighborState::Failed));
    let down = Event::NeighborDown {
        port: 3,
        address: ROUTER,
    };
    assert_eq!(told(&mut link), [down]);
    assert_eq!(link.counters().next_hop_failures, 1);
    sent(&mut link);
    // Each second, for as long as it takes.
    run(&mut link, 3_636_001);
    let all = sent(&mut link);
    assert_eq!(requests(&all), vec![(Mac::BROADCAST, OWN, ROUTER); 3600]);
    // Heard of is not yet heard by.
    link.input(&asks(ROUTER_MAC, ROUTER, ROUTER), Time(3_636_100))
        .unwrap();
    assert_eq!(mac(&link), None);
    link.input(&answers(ROUTER_MAC, ROUTER), Time(3_636_200))
        .unwrap();
    assert_eq!(mac(&link), Some(ROUTER_MAC));
    assert!(matches!(told(&mut link)[..], [Event::NeighborUp { .. }]));
}

#[test]
fn a_next_hop_that_moved_is_followed() {
    let moved = Event::NeighborMoved {
        port: 3,
        address: ROUTER,
        mac: OTHER_MAC,
    };
    let mut announced = answers(OTHER_MAC, ROUTER);
    announced[..6].fill(0xff);
    announced[38..42].copy_from_slice(&ROUTER.bytes());
    // Answered whoever it is; what it says of itself is another matter.
    let asked = asks(OTHER_MAC, ROUTER, OWN);
    for (frame, early) in [
        (asks(OTHER_MAC, ROUTER, ROUTER), Err(Ignored::Settling)),
        (asks(OTHER_MAC, ROUTER, OTHER), Err(Ignored::Settling)),
        (asked, Ok(())),
        (announced, Err(Ignored::Settling)),
    ] {
        let mut link = resolved();
        let generation = link.generation();
        assert_eq!(link.input(&frame, Time(500)), early);
        assert_eq!(mac(&link), Some(ROUTER_MAC));
        link.input(&frame, Time(5000)).unwrap();
        assert_eq!(mac(&link), Some(OTHER_MAC));
        assert_ne!(link.generation(), generation);
        assert_eq!(told(&mut link), [moved]);
        // Doubted until it answers there.
        sent(&mut link);
        link.poll(Time(5000));
        let questions = requests(&sent(&mut link));
        assert_eq!(questions.last(), Some(&(OTHER_MAC, OWN, ROUTER)));
        link.input(&answers(OTHER_MAC, ROUTER), Time(5001)).unwrap();
        assert_eq!(state(&link), NeighborState::Reachable);
    }
}

#[test]
fn only_what_was_asked_for_is_an_answer() {
    // Sent to everybody, it is one all the same.
    let mut link = up(config());
    let mut reply = answers(ROUTER_MAC, ROUTER);
    reply[..6].fill(0xff);
    link.input(&reply, Time(1)).unwrap();
    assert_eq!(state(&link), NeighborState::Reachable);
    // A second one is a claim.
    link.input(&answers(OTHER_MAC, ROUTER), Time(5000)).unwrap();
    assert_eq!(mac(&link), Some(OTHER_MAC));
    assert_eq!(state(&link), NeighborState::Probe);
    assert_eq!(link.neighbors()[0].confirmed, Some(Time(1)));
}

#[test]
fn a_false_claim_lasts_until_the_questions_reach_the_true_one() {
    let mut link = resolved();
    run(&mut link, 5000);
    link.input(&asks(OTHER_MAC, ROUTER, ROUTER), Time(5000))
        .unwrap();
    run(&mut link, 7999);
    sent(&mut link);
    run(&mut link, 8000);
    let asked = requests(&sent(&mut link));
    assert_eq!(asked, [(Mac::BROADCAST, OWN, ROUTER)]);
    link.input(&answers(ROUTER_MAC, ROUTER), Time(8001))
        .unwrap();
    assert_eq!(mac(&link), Some(ROUTER_MAC));
}

#[test]
fn nobody_gets_in_by_speaking_of_itself() {
    let mut link = resolved();
    let generation = link.generation();
    for frame in [
        asks(OTHER_MAC, OTHER, OTHER),
        asks(OTHER_MAC, OTHER, ROUTER),
    ] {
        assert_eq!(link.input(&frame, Time(9)), Err(Ignored::NotOurTarget));
    }
    let reply = answers(OTHER_MAC, OTHER);
    assert_eq!(link.input(&reply, Time(9)), Err(Ignored::UnknownNeighbor));
    assert_eq!(link.neighbors().len(), 1);
    assert_eq!(link.generation(), generation);
    assert_eq!(link.hop(&OTHER), None);
}

#[test]
fn a_static_next_hop_needs_no_answers_and_hears_none() {
    let mut config = config();
    config.hops[0].mac = Some(ROUTER_MAC);
    let mut link = Link4::new(config).unwrap();
    assert_eq!(mac(&link), None, "the link is down");
    link.link(true, Time(0));
    assert_eq!(mac(&link), Some(ROUTER_MAC));
    assert!(matches!(told(&mut link)[..], [Event::NeighborUp { .. }]));
    run(&mut link, 100_000);
    let asked = requests(&sent(&mut link));
    assert!(
        asked.iter().all(|(_, _, target)| *target == OWN),
        "{asked:?}"
    );
    let claim = asks(OTHER_MAC, ROUTER, ROUTER);
    assert_eq!(
        link.input(&claim, Time(100_000)),
        Err(Ignored::StaticNeighbor)
    );
    assert_eq!(mac(&link), Some(ROUTER_MAC));
    link.input(&asks(OTHER_MAC, ROUTER, OWN), Time(100_000))
        .unwrap();
    assert_eq!(link.counters().replies_sent, 1, "answered all the same");
    link.link(false, Time(100_001));
    assert_eq!(mac(&link), None);
    assert_eq!(state(&link), NeighborState::Permanent);
}

#[test]
fn of_several_next_hops_each_is_by_itself() {
    let mut config = config();
    config.hops.push(Hop {
        address: OTHER,
        mac: None,
    });
    let mut link = up(config);
    link.input(&answers(OTHER_MAC, OTHER), Time(1)).unwrap();
    assert_eq!(link.hop(&OTHER).unwrap().dst_mac, OTHER_MAC);
    assert_eq!(link.hop(&ROUTER), None);
    link.input(&answers(ROUTER_MAC, ROUTER), Time(2)).unwrap();
    link.link(false, Time(3));
    assert_eq!(link.hop(&OTHER).or(link.hop(&ROUTER)), None);
    told(&mut link);
    // After the link was away, nothing is believed that was known before.
    link.link(true, Time(4));
    assert_eq!(link.hop(&OTHER).or(link.hop(&ROUTER)), None);
    link.input(&answers(ROUTER_MAC, ROUTER), Time(5)).unwrap();
    assert_eq!(mac(&link), Some(ROUTER_MAC));
    assert_eq!(link.hop(&OTHER), None);
}

#[test]
fn a_control_thread_that_was_held_up_gives_nobody_up_for_it() {
    let mut link = resolved();
    link.poll(Time(30_001));
    // Its answer waits in the ring for a minute, with the next timers.
    link.input(&answers(ROUTER_MAC, ROUTER), Time(90_000))
        .unwrap();
    link.poll(Time(90_000));
    assert_eq!(state(&link), NeighborState::Reachable);
    assert!(told(&mut link).is_empty());
}
