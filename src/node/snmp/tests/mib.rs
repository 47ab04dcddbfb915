use proptest::prelude::*;

use super::super::tests::{ENGINE, World, route};
use super::*;

fn view(world: &World) -> View<'_> {
    View {
        source: world,
        engine: Engine {
            id: ENGINE,
            boots: 7,
            ticks: 10_005,
            max_size: 1472,
            refusals: &[1, 2, 3, 4, 5, 6, 7, 8],
        },
    }
}

fn all(view: &View<'_>) -> Vec<(Oid, Value)> {
    let mut name = Oid::new(&[0, 0]);
    let mut found = Vec::new();
    while let Some((next, value)) = super::next(view, &name) {
        assert!(next > name, "{next} after {name}");
        name = next.clone();
        found.push((next, value));
    }
    found
}

/// Names in one line each, from 1.3.6.1 on, and values.
const WALKED: &str = r#"
2.1.1.1.0 Octets "a router"
2.1.1.2.0 ObjectId(0.0)
2.1.1.3.0 Ticks(10005)
2.1.1.4.0 Octets "noc"
2.1.1.5.0 Octets "r1"
2.1.1.6.0 Octets "here"
2.1.1.7.0 Integer(4)
2.1.2.1.0 Integer(2)
2.1.2.2.1.1.1 Integer(1)
2.1.2.2.1.1.2 Integer(2)
2.1.2.2.1.2.1 Octets "db"
2.1.2.2.1.2.2 Octets "web"
2.1.2.2.1.3.1 Integer(6)
2.1.2.2.1.3.2 Integer(6)
2.1.2.2.1.4.1 Integer(1472)
2.1.2.2.1.4.2 Integer(1472)
2.1.2.2.1.5.1 Gauge32(0)
2.1.2.2.1.5.2 Gauge32(0)
2.1.2.2.1.6.1 Octets 0e0000000001
2.1.2.2.1.6.2 Octets 0e0000000002
2.1.2.2.1.7.1 Integer(1)
2.1.2.2.1.7.2 Integer(1)
2.1.2.2.1.8.1 Integer(1)
2.1.2.2.1.8.2 Integer(1)
2.1.2.2.1.10.1 Counter32(500)
2.1.2.2.1.10.2 Counter32(700)
2.1.2.2.1.11.1 Counter32(5)
2.1.2.2.1.11.2 Counter32(7)
2.1.2.2.1.13.1 Counter32(3)
2.1.2.2.1.13.2 Counter32(6)
2.1.2.2.1.16.1 Counter32(501)
2.1.2.2.1.16.2 Counter32(701)
2.1.2.2.1.17.1 Counter32(6)
2.1.2.2.1.17.2 Counter32(8)
2.1.4.1.0 Integer(1)
2.1.4.2.0 Integer(64)
2.1.4.20.1.1.10.0.1.1 Address(10.0.1.1)
2.1.4.20.1.1.10.0.2.1 Address(10.0.2.1)
2.1.4.20.1.2.10.0.1.1 Integer(2)
2.1.4.20.1.2.10.0.2.1 Integer(1)
2.1.4.20.1.3.10.0.1.1 Address(255.255.255.0)
2.1.4.20.1.3.10.0.2.1 Address(255.255.255.0)
2.1.4.21.1.1.0.0.0.0 Address(0.0.0.0)
2.1.4.21.1.1.10.0.0.0 Address(10.0.0.0)
2.1.4.21.1.1.10.0.1.0 Address(10.0.1.0)
2.1.4.21.1.1.10.0.2.0 Address(10.0.2.0)
2.1.4.21.1.1.192.0.2.7 Address(192.0.2.7)
2.1.4.21.1.2.0.0.0.0 Integer(2)
2.1.4.21.1.2.10.0.0.0 Integer(0)
2.1.4.21.1.2.10.0.1.0 Integer(1)
2.1.4.21.1.2.10.0.2.0 Integer(2)
2.1.4.21.1.2.192.0.2.7 Integer(2)
2.1.4.21.1.3.0.0.0.0 Integer(-1)
2.1.4.21.1.3.10.0.0.0 Integer(-1)
2.1.4.21.1.3.10.0.1.0 Integer(-1)
2.1.4.21.1.3.10.0.2.0 Integer(-1)
2.1.4.21.1.3.192.0.2.7 Integer(-1)
2.1.4.21.1.7.0.0.0.0 Address(10.0.2.254)
2.1.4.21.1.7.10.0.0.0 Address(0.0.0.0)
2.1.4.21.1.7.10.0.1.0 Address(10.0.2.1)
2.1.4.21.1.7.10.0.2.0 Address(10.0.1.1)
2.1.4.21.1.7.192.0.2.7 Address(10.0.2.9)
2.1.4.21.1.8.0.0.0.0 Integer(4)
2.1.4.21.1.8.10.0.0.0 Integer(1)
2.1.4.21.1.8.10.0.1.0 Integer(3)
2.1.4.21.1.8.10.0.2.0 Integer(3)
2.1.4.21.1.8.192.0.2.7 Integer(4)
2.1.4.21.1.9.0.0.0.0 Integer(3)
2.1.4.21.1.9.10.0.0.0 Integer(3)
2.1.4.21.1.9.10.0.1.0 Integer(2)
2.1.4.21.1.9.10.0.2.0 Integer(2)
2.1.4.21.1.9.192.0.2.7 Integer(3)
2.1.4.21.1.11.0.0.0.0 Address(0.0.0.0)
2.1.4.21.1.11.10.0.0.0 Address(255.0.0.0)
2.1.4.21.1.11.10.0.1.0 Address(255.255.255.0)
2.1.4.21.1.11.10.0.2.0 Address(255.255.255.0)
2.1.4.21.1.11.192.0.2.7 Address(255.255.255.255)
2.1.4.24.6.0 Gauge32(6)
2.1.4.24.7.1.7.1.4.0.0.0.0.0.2.0.0.1.4.10.0.2.254 Integer(2)
2.1.4.24.7.1.7.1.4.10.0.0.0.8.2.0.0.0.0 Integer(0)
2.1.4.24.7.1.7.1.4.10.0.0.0.16.2.0.0.0.0 Integer(0)
2.1.4.24.7.1.7.1.4.10.0.1.0.24.2.0.0.0.0 Integer(1)
2.1.4.24.7.1.7.1.4.10.0.2.0.24.2.0.0.0.0 Integer(2)
2.1.4.24.7.1.7.1.4.192.0.2.7.32.2.0.0.1.4.10.0.2.9 Integer(2)
2.1.4.24.7.1.8.1.4.0.0.0.0.0.2.0.0.1.4.10.0.2.254 Integer(4)
2.1.4.24.7.1.8.1.4.10.0.0.0.8.2.0.0.0.0 Integer(5)
2.1.4.24.7.1.8.1.4.10.0.0.0.16.2.0.0.0.0 Integer(2)
2.1.4.24.7.1.8.1.4.10.0.1.0.24.2.0.0.0.0 Integer(3)
"#;

fn line((name, value): &(Oid, Value)) -> String {
    let name = name.to_string();
    let name = name.strip_prefix("1.3.6.1.").unwrap();
    match value {
        Value::Octets(bytes) if bytes.iter().all(|byte| (32..127).contains(byte)) => {
            format!("{name} Octets {:?}", str::from_utf8(bytes).unwrap())
        }
        Value::Octets(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{name} Octets {hex}")
        }
        value => format!("{name} {value:?}"),
    }
}

#[test]
fn a_walk_sees_every_object_in_order() {
    let world = World::new();
    let found: Vec<_> = all(&view(&world)).iter().map(line).collect();
    let expected: Vec<_> = WALKED.trim().lines().collect();
    assert_eq!(found[..expected.len()], expected);
    // Six more columns of six routes less the four above, then the rest.
    let rest = &found[expected.len()..];
    assert!(rest[0].starts_with("2.1.4.24.7.1.8.1.4.10.0.2.0.24."));
    assert_eq!(rest.len(), 5 * 6 + 2 + 6 * 2 + 4 + 6);
    assert!(rest.contains(&"2.1.31.1.1.1.6.2 Counter64(429496730300)".to_owned()));
    assert!(rest.contains(&"6.3.10.2.1.3.0 Integer(100)".to_owned()));
    assert_eq!(rest.last().unwrap(), "6.3.15.1.1.6.0 Counter32(6)");
}

#[test]
fn what_a_walk_sees_can_be_asked_for() {
    let world = World::new();
    let view = view(&world);
    for (name, value) in all(&view) {
        assert_eq!(get(&view, &name), value, "{name}");
        let longer = Oid::of(name.numbers(), &[0]);
        assert_eq!(get(&view, &longer), Value::NoSuchInstance, "{longer}");
    }
}

#[test]
fn what_there_is_not_is_told_apart() {
    let world = World::new();
    let view = view(&world);
    for (name, value) in [
        (&[1, 3, 6, 1, 2, 1, 1, 5][..], Value::NoSuchInstance),
        (&[1, 3, 6, 1, 2, 1, 1, 5, 1], Value::NoSuchInstance),
        (&[1, 3, 6, 1, 2, 1, 2, 2, 1, 1, 3], Value::NoSuchInstance),
        (&[1, 3, 6, 1, 2, 1, 2, 2, 1, 1, 0], Value::NoSuchInstance),
        (
            &[1, 3, 6, 1, 2, 1, 4, 20, 1, 1, 10, 0, 1, 257],
            Value::NoSuchInstance,
        ),
        (
            &[1, 3, 6, 1, 2, 1, 4, 21, 1, 1, 10, 0, 3, 0],
            Value::NoSuchInstance,
        ),
        // Errors are not counted.
        (&[1, 3, 6, 1, 2, 1, 2, 2, 1, 14, 1], Value::NoSuchObject),
        (&[1, 3, 6, 1, 2, 1, 1], Value::NoSuchObject),
        (&[1, 3], Value::NoSuchObject),
        (&[2, 5], Value::NoSuchObject),
    ] {
        assert_eq!(get(&view, &Oid::new(name)), value, "{name:?}");
    }
}

/// Each step looks for its route once or twice, however many there are.
#[test]
fn a_walk_of_a_hundred_thousand_routes_is_as_many_searches() {
    let mut world = World::new();
    for number in 0..100_000u32 {
        let [_, a, b, c] = number.to_be_bytes();
        let (key, route) = route(&format!("20{a}.{b}.{c}.0/24"), Hop::Blackhole);
        world.routes.insert(key, route);
    }
    let view = view(&world);
    let column = [1, 3, 6, 1, 2, 1, 4, 24, 7, 1, 7];
    let (mut name, mut steps) = (Oid::new(&column), 0);
    loop {
        let (next, _) = super::next(&view, &name).unwrap();
        if !next.numbers().starts_with(&column) {
            break;
        }
        (name, steps) = (next, steps + 1);
    }
    assert_eq!(steps, 100_006);
    let searches = world.searches.get();
    assert!(searches <= 2 * steps + 8, "{searches}");
}

#[test]
fn bytes_behind_names_that_need_not_exist() {
    for (parts, number) in [
        (&[][..], 0),
        (&[10], 0x0a00_0000),
        (&[10, 0, 1], 0x0a00_0100),
        (&[10, 0, 1, 1], 0x0a00_0102),
        (&[10, 0, 1, 1, 0], 0x0a00_0102),
        (&[10, 256], 0x0b00_0000),
        (&[10, 0, 1, u32::MAX], 0x0a00_0200),
        (&[255, 255, 255, 255], 1 << 32),
        (&[256], 1 << 32),
    ] {
        assert_eq!(bytes_behind(parts, 4), number, "{parts:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Any name at all has behind it what comes first among all that is behind
    /// it: made from names that there are, cut short and with parts changed.
    #[test]
    fn next_is_the_first_behind(
        from in 0..400usize,
        cut in 0..24usize,
        change in prop_oneof![Just(None), (0..24usize, part()).prop_map(Some)],
        more in prop::collection::vec(part(), 0..4),
    ) {
        let world = World::new();
        let view = view(&world);
        let all = all(&view);
        let mut parts = all[from % all.len()].0.numbers().to_vec();
        parts.truncate(parts.len().saturating_sub(cut).max(2));
        if let Some((at, part)) = change
            && let Some(old) = parts.get_mut(at + 2)
        {
            *old = part;
        }
        parts.extend(more);
        let name = Oid::new(&parts);
        let first = all.iter().find(|(known, _)| *known > name).cloned();
        prop_assert_eq!(super::next(&view, &name), first, "behind {}", name);
    }
}

fn part() -> impl Strategy<Value = u32> {
    prop_oneof![0..34u32, 250..260u32, Just(u32::MAX), any::<u32>()]
}
