//! Prefixes that come and go while others are looked up.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::*;
use crate::mapping::{BURST, Domain, Found, HostIndex, Limits, Mapping, Reader, Target, Writer};

const STEADY: u32 = 0x5A_0001;
const COMING: u32 = 0x59_0001;

/// Says of which vnet and which length it is.
fn mapping(vni: u32, len: u8) -> Mapping {
    let host = (vni & 0xff_0000) >> 10 | u32::from(len);
    Mapping::new(Target::Remote(HostIndex::new(host).unwrap()))
}

fn prefix(vni: u32, addr: u32, len: u8) -> Prefix {
    Prefix::new(vni, addr & mask(len), len).unwrap()
}

fn insert(writer: &mut Writer, prefix: Prefix) {
    let mapping = mapping(prefix.vni(), prefix.len());
    writer.insert_prefix(prefix, mapping).unwrap();
}

/// In the steady vnet a /9 and a /20 of each address are always there.
fn read(reader: &Reader, domain: &Domain, stop: &AtomicBool) -> u64 {
    let mut pin = domain.register().unwrap();
    let (mut lookups, mut addr) = (0u64, 1u32);
    let mut found = [Found::NOTHING; BURST];
    while !stop.load(Ordering::Relaxed) {
        let keys: [Key; BURST] = std::array::from_fn(|i| {
            addr = addr.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let vni = if i % 4 == 0 { COMING } else { STEADY };
            Key::new(vni, 0x0A00_0000 | addr >> 16)
        });
        reader.resolve_burst(&pin, &keys, &mut found);
        for (key, found) in keys.into_iter().zip(found) {
            let one = reader.resolve(&pin, key);
            for found in [found.mapping(), one] {
                let lengths: &[u8] = match key.vni() {
                    STEADY => &[20, 22, 24, 27, 32],
                    _ => &[0, 12, 24],
                };
                let of = |len: &u8| found == Some(mapping(key.vni(), *len));
                let is_one = lengths.iter().any(of);
                assert!(
                    is_one || (found.is_none() && key.vni() == COMING),
                    "{key:?}: {found:?}"
                );
            }
        }
        lookups += BURST as u64;
        pin.quiescent();
    }
    lookups
}

fn write(writer: &mut Writer, until: Instant) {
    let mut n = 0u32;
    while Instant::now() < until {
        for _ in 0..100 {
            n = n.wrapping_mul(22_695_477).wrapping_add(12_345);
            let addr = 0x0A00_0000 | n >> 16;
            let len = [22, 24, 27, 32][(n >> 14 & 3) as usize];
            match n >> 13 & 1 {
                0 => insert(writer, prefix(STEADY, addr, len)),
                _ => _ = writer.remove_prefix(prefix(STEADY, addr, len)),
            }
        }
        // A vnet that comes and goes, and takes the number of others.
        let own = [0, 12, 24].map(|len| prefix(COMING, 0x0A00_0000, len));
        let other = prefix(7, 0x0A00_0000, 24);
        for prefix in own {
            insert(writer, prefix);
        }
        for prefix in own {
            writer.remove_prefix(prefix).unwrap();
        }
        insert(writer, other);
        writer.remove_prefix(other).unwrap();
    }
}

#[test]
fn what_covers_all_the_while_is_always_found() {
    let seconds = std::env::var("WEFT_TORTURE_SECONDS").ok();
    let seconds = seconds.and_then(|s| s.parse().ok()).unwrap_or(2);
    let domain = Domain::default();
    let limits = Limits {
        mappings: 1,
        initial: 1,
        prefixes: 1 << 18,
    };
    let mut writer = Writer::new(&domain, limits).unwrap();
    insert(&mut writer, prefix(STEADY, 0x0A00_0000, 9));
    for n in 0..16 {
        insert(&mut writer, prefix(STEADY, 0x0A00_0000 | n << 12, 20));
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let reader = writer.readers().reader();
                let (domain, stop) = (&domain, &stop);
                scope.spawn(move || read(&reader, domain, stop))
            })
            .collect();
        write(&mut writer, Instant::now() + Duration::from_secs(seconds));
        stop.store(true, Ordering::SeqCst);
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
}

/// What is refused leaves nothing behind, and what was taken out makes room.
#[test]
fn nothing_is_left_of_what_was_taken_out() {
    let domain = Domain::default();
    let limits = Limits {
        mappings: 1,
        initial: 1,
        prefixes: 33,
    };
    let mut writer = Writer::new(&domain, limits).unwrap();
    for round in 0..20u32 {
        for len in 0..=32 {
            insert(
                &mut writer,
                prefix(round, round.wrapping_mul(0x9E37_79B9), len),
            );
        }
        let one_more = prefix(round, !round.wrapping_mul(0x9E37_79B9), 32);
        assert!(writer.insert_prefix(one_more, mapping(round, 32)).is_err());
        for len in 0..=32 {
            let prefix = prefix(round, round.wrapping_mul(0x9E37_79B9), len);
            assert_eq!(writer.remove_prefix(prefix), Some(mapping(round, len)));
        }
        assert_eq!(writer.prefix_len(), 0);
    }
    let reader = writer.readers().reader();
    let pin = domain.register().unwrap();
    for round in 0..20 {
        let key = Key::new(round, round.wrapping_mul(0x9E37_79B9));
        assert_eq!(reader.resolve(&pin, key), None);
    }
}
