use super::super::ber::Reader;
use super::super::mib::Engine;
use super::super::tests::{ENGINE, World};
use super::*;

const SYSTEM: &[u32] = &[1, 3, 6, 1, 2, 1, 1];
const DESCRIPTIONS: &[u32] = &[1, 3, 6, 1, 2, 1, 2, 2, 1, 2];
const LAST: &[u32] = &[1, 3, 6, 1, 6, 3, 15, 1, 1, 6, 0];

fn ask(kind: u8, numbers: (i32, i32), names: &[&[u32]], room: usize) -> Answer {
    let world = World::new();
    let view = View {
        source: &world,
        engine: Engine {
            id: ENGINE,
            boots: 7,
            ticks: 0,
            max_size: 1472,
            refusals: &[0; 8],
        },
    };
    let pdu = Pdu {
        kind,
        request: 3,
        first: numbers.0,
        second: numbers.1,
        names: names.iter().map(|name| Oid::new(name)).collect(),
        bindings: &[7; 20],
    };
    respond(&view, &pdu, room)
}

/// Names and first bytes of values.
fn found(answer: &Answer) -> Vec<(String, u8)> {
    let mut list = Reader::new(&answer.bindings);
    let mut found = Vec::new();
    while list.peek().is_some() {
        let mut binding = list.inside(0x30).unwrap();
        let name = binding.oid().unwrap().to_string();
        let name = name.strip_prefix("1.3.6.1.").unwrap_or(&name).to_owned();
        found.push((name, binding.any().unwrap().0));
    }
    found
}

fn names(answer: &Answer) -> Vec<String> {
    found(answer).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn get_has_an_answer_for_every_name() {
    let names = [
        &[SYSTEM, &[5, 0]].concat()[..],
        SYSTEM,
        &[SYSTEM, &[5, 1]].concat(),
    ];
    let answer = ask(kind::GET, (0, 0), &names, 1000);
    let expected = [("2.1.1.5.0", 0x04), ("2.1.1", 0x80), ("2.1.1.5.1", 0x81)];
    let found = found(&answer);
    let found: Vec<_> = found
        .iter()
        .map(|(name, tag)| (name.as_str(), *tag))
        .collect();
    assert_eq!((answer.status, found.as_slice()), (0, &expected[..]));
}

#[test]
fn get_next_ends_with_the_name_it_was_given() {
    let answer = ask(kind::GET_NEXT, (0, 0), &[SYSTEM, LAST], 1000);
    let expected = [
        ("2.1.1.1.0".to_owned(), 4),
        ("6.3.15.1.1.6.0".to_owned(), 0x82),
    ];
    assert_eq!(found(&answer), expected);
}

#[test]
fn get_bulk_asks_once_and_often() {
    let answer = ask(kind::GET_BULK, (1, 2), &[SYSTEM, DESCRIPTIONS, LAST], 1000);
    let expected = [
        "2.1.1.1.0",
        "2.1.2.2.1.2.1",
        "6.3.15.1.1.6.0",
        "2.1.2.2.1.2.2",
        "6.3.15.1.1.6.0",
    ];
    assert_eq!(names(&answer), expected);
    // Negative numbers are none, more than there are names is all of them.
    assert!(
        ask(kind::GET_BULK, (-1, -1), &[SYSTEM], 1000)
            .bindings
            .is_empty()
    );
    let answer = ask(kind::GET_BULK, (9, 5), &[SYSTEM], 1000);
    assert_eq!(names(&answer), ["2.1.1.1.0"]);
    // At the end of all it stops.
    let answer = ask(kind::GET_BULK, (0, i32::MAX), &[LAST], 1000);
    assert_eq!(names(&answer), ["6.3.15.1.1.6.0"]);
    assert!(
        ask(kind::GET_BULK, (0, i32::MAX), &[], 1000)
            .bindings
            .is_empty()
    );
}

#[test]
fn get_bulk_is_as_long_as_there_is_room() {
    let whole = ask(kind::GET_BULK, (0, 10_000), &[SYSTEM], 1 << 20);
    assert!(names(&whole).len() > 100);
    for room in [0, 10, 100, 101, 102, 500, 1000] {
        let answer = ask(kind::GET_BULK, (0, 10_000), &[SYSTEM], room);
        assert!(answer.bindings.len() <= room && answer.status == 0);
        assert!(answer.bindings.len() + 40 > room, "{room}");
        assert!(whole.bindings.starts_with(&answer.bindings));
    }
}

#[test]
fn what_does_not_fit_is_too_big() {
    for (kind, name) in [
        (kind::GET, &[SYSTEM, &[1, 0]].concat()[..]),
        (kind::GET_NEXT, SYSTEM),
    ] {
        let fits = ask(kind, (0, 0), &[name], 1000).bindings.len();
        assert_eq!(ask(kind, (0, 0), &[name], fits).status, 0);
        let answer = ask(kind, (0, 0), &[name], fits - 1);
        assert_eq!(
            (answer.status, answer.index, answer.bindings.len()),
            (1, 0, 0)
        );
    }
}

#[test]
fn set_is_refused_with_what_it_said() {
    let answer = ask(kind::SET, (0, 0), &[SYSTEM], 20);
    assert_eq!((answer.status, answer.index), (status::NO_ACCESS, 1));
    assert_eq!(answer.bindings, [7; 20]);
    let answer = ask(kind::SET, (0, 0), &[SYSTEM], 19);
    assert_eq!((answer.status, answer.bindings.len()), (status::TOO_BIG, 0));
    assert_eq!(ask(kind::SET, (0, 0), &[], 20).status, 0);
}
