//! Reports on changes and in answer to queries.

use super::*;

const GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 1);
const OTHER: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 2);

fn up() -> (Listener, Random) {
    let mut listener = Listener::default();
    listener.join(GROUP, Time(0));
    listener.join(OTHER, Time(0));
    listener.announce(Time(0));
    (listener, Random(7))
}

/// Everything sent from now on until nothing is due, with its time.
fn drain(listener: &mut Listener, random: &mut Random) -> Vec<(u64, Report)> {
    let mut sent = Vec::new();
    while let Some(due) = listener.due() {
        sent.extend(listener.timer(random, due).into_iter().map(|r| (due.0, r)));
    }
    sent
}

#[test]
fn joining_is_reported_twice_within_a_second() {
    let (mut listener, mut random) = up();
    let sent = drain(&mut listener, &mut random);
    let both = Report::V2(vec![(Record::Joined, GROUP), (Record::Joined, OTHER)]);
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], (0, both.clone()));
    assert_eq!(sent[1].1, both);
    assert!((1..=1000).contains(&sent[1].0));
}

#[test]
fn leaving_is_reported_when_the_last_address_left() {
    let (mut listener, mut random) = up();
    drain(&mut listener, &mut random);
    listener.join(GROUP, Time(5000));
    listener.leave(GROUP, Time(5000));
    assert_eq!(listener.due(), None);
    listener.leave(GROUP, Time(5000));
    listener.leave(GROUP, Time(5000));
    let sent = drain(&mut listener, &mut random);
    let left = Report::V2(vec![(Record::Left, GROUP)]);
    assert_eq!(
        sent.iter().map(|s| &s.1).collect::<Vec<_>>(),
        [&left, &left]
    );
    assert!(!listener.contains(GROUP) && listener.contains(OTHER));
}

#[test]
fn queries_are_answered_once_within_their_delay() {
    let (mut listener, mut random) = up();
    drain(&mut listener, &mut random);
    let now = Time(10_000);
    assert!(listener.query(2, None, 1000, &mut random, now));
    assert!(listener.query(2, None, 1000, &mut random, now));
    assert!(listener.query(2, Some(GROUP), 10_000, &mut random, now.after(990)));
    let sent = drain(&mut listener, &mut random);
    let all = Report::V2(vec![(Record::Listening, GROUP), (Record::Listening, OTHER)]);
    assert_eq!(sent[0].1, all);
    assert!((10_000..=11_000).contains(&sent[0].0));
    assert_eq!(sent.len(), 1, "{sent:?}");

    assert!(listener.query(2, Some(GROUP), 50, &mut random, Time(20_000)));
    assert!(!listener.query(
        2,
        Some(super::super::build::ALL_NODES),
        50,
        &mut random,
        now
    ));
    let sent = drain(&mut listener, &mut random);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1, Report::V2(vec![(Record::Listening, GROUP)]));
}

#[test]
fn an_old_router_is_answered_in_its_version_for_a_while() {
    let (mut listener, mut random) = up();
    drain(&mut listener, &mut random);
    assert!(listener.query(1, None, 0, &mut random, Time(10_000)));
    let v1 = |listening, group| Report::V1 { listening, group };
    assert_eq!(
        listener.timer(&mut random, Time(10_000)),
        [v1(true, GROUP), v1(true, OTHER)]
    );
    listener.leave(OTHER, Time(11_000));
    assert_eq!(
        listener.timer(&mut random, Time(11_000)),
        [v1(false, OTHER)]
    );
    drain(&mut listener, &mut random);
    // 260 s after its last query the router is believed gone.
    assert!(listener.query(2, None, 0, &mut random, Time(269_999)));
    assert_eq!(
        listener.timer(&mut random, Time(269_999)),
        [v1(true, GROUP)]
    );
    assert!(listener.query(2, None, 0, &mut random, Time(270_000)));
    let v2 = Report::V2(vec![(Record::Listening, GROUP)]);
    assert_eq!(listener.timer(&mut random, Time(270_000)), [v2]);
}

#[test]
fn nothing_is_due_while_the_link_is_down() {
    let (mut listener, mut random) = up();
    listener.query(2, None, 100, &mut random, Time(0));
    listener.link_down();
    assert_eq!(listener.due(), None);
    listener.join(GROUP, Time(1));
    listener.leave(OTHER, Time(1));
    assert_eq!(listener.due(), None);
    listener.announce(Time(2));
    let again = Report::V2(vec![(Record::Joined, GROUP)]);
    assert_eq!(listener.timer(&mut random, Time(2)), [again]);
}
