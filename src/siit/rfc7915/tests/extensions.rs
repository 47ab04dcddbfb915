//! Extensions of ICMP errors: RFC 4884, 5837, 6791.

use super::*;

/// An extension structure with one object of this much payload.
fn structure(payload_len: usize) -> Vec<u8> {
    let mut bytes = vec![0x20, 0, 0, 0];
    bytes.extend(((4 + payload_len) as u16).to_be_bytes());
    bytes.extend([1, 1]);
    bytes.extend((0..payload_len).map(|at| at as u8));
    let sum = !ones(&[&bytes]);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// The quoted packet padded, then the structure.
fn body(inner: &[u8], padded: usize, structure: &[u8]) -> Vec<u8> {
    let mut body = inner.to_vec();
    body.resize(padded, 0);
    body.extend(structure);
    body
}

fn inner4(data_len: usize) -> Vec<u8> {
    let h = ipv4::Header {
        src: four(EAM_A4),
        dst: four(OTHER4),
        ..header4(17)
    };
    right(packet4(h, &udp(data_len)))
}

fn inner6(data_len: usize) -> Vec<u8> {
    let h = ipv6::Header {
        src: sixteen(OTHER6),
        dst: sixteen(EAM_A6),
        ..header6(17)
    };
    right(packet6(h, &udp(data_len)))
}

fn error4(kind: u8, code: u8, word: u32, body: &[u8]) -> Vec<u8> {
    right(packet4(header4(1), &icmp(kind, code, word, body)))
}

fn error6(kind: u8, code: u8, word: u32, body: &[u8]) -> Vec<u8> {
    right(packet6(header6(58), &icmp(kind, code, word, body)))
}

/// From a router without IPv4 address.
fn from_router(kind: u8, code: u8, word: u32, body: &[u8]) -> Vec<u8> {
    let h = ipv6::Header {
        src: sixteen(ROUTER6),
        ..header6(58)
    };
    right(packet6(h, &icmp(kind, code, word, body)))
}

/// RFC 5837 by hand: version 2, an object of 24 bytes, class 2, an address, of
/// family 2.
fn named() -> Vec<u8> {
    let mut bytes = vec![0x20, 0, 0, 0, 0, 24, 2, 4, 0, 2, 0, 0];
    bytes.extend(sixteen(ROUTER6));
    let sum = !ones(&[&bytes]);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}

#[test]
fn extensions_move_behind_the_longer_packet() {
    let structure = structure(12);
    for (kind, code, data_len, words, units, padded) in [
        // 48 bytes in 128; 68 in 128.
        (11, 0, 20, 32, 16, 128),
        (3, 1, 20, 32, 16, 128),
        (11, 0, 20, 35, 16, 128),
        // 124 in 128; 144 in 144.
        (11, 0, 96, 32, 18, 144),
        // 125 in 128; 145 in 152.
        (11, 0, 97, 32, 19, 152),
        (3, 13, 500, 132, 69, 552),
    ] {
        let inner = inner4(data_len);
        let body = body(&inner, words * 4, &structure);
        let there = six(&error4(kind, code, (words as u32) << 16, &body));
        assert!(is_right(&there));
        assert_eq!(there[44..48], [units, 0, 0, 0], "{data_len}");
        assert_eq!(usize::from(units) * 8, padded);
        assert_eq!(there[48 + padded..], structure);
        let quoted = inner.len() + 20;
        assert!(is_right(&there[48..48 + quoted]));
        assert!(
            there[48 + quoted..48 + padded]
                .iter()
                .all(|&byte| byte == 0)
        );
    }
}

#[test]
fn extensions_move_behind_the_shorter_packet() {
    let structure = structure(12);
    for (kind, data_len, units, words, padded) in [
        (3, 20, 16, 32, 128),
        (1, 20, 20, 32, 128),
        // 152 in 152; 132 in 132.
        (3, 104, 19, 33, 132),
        // 149 in 152; 129 in 132.
        (3, 101, 19, 33, 132),
    ] {
        let inner = inner6(data_len);
        let body = body(&inner, units * 8, &structure);
        let there = back(&error6(kind, 0, (units as u32) << 24, &body));
        assert!(is_right(&there));
        assert_eq!(there[24..28], [0, words, 0, 0], "{data_len}");
        assert_eq!(there[28 + padded..], structure);
        let quoted = inner.len() - 20;
        assert!(is_right(&there[28..28 + quoted]));
        assert!(
            there[28 + quoted..28 + padded]
                .iter()
                .all(|&byte| byte == 0)
        );
    }
}

#[test]
fn the_quoted_packet_makes_room() {
    let structure = structure(60);
    let body4 = body(&inner4(1000)[..1000], 1000, &structure);
    let there = six(&error4(11, 0, 250 << 16, &body4));
    assert!(is_right(&there));
    // 1020 bytes fit; then only as many words of 64 bits as leave room.
    assert_eq!((there[44], there.len()), (128, 48 + 1024 + 68));
    let body4 = body(
        &inner4(1000)[..1020],
        1020,
        &super::extensions::structure(196),
    );
    let there = six(&error4(11, 0, 255 << 16, &body4));
    assert_eq!((there[44], there.len()), (128, 48 + 1024 + 204));
    assert_eq!(there[48 + 1024..], super::extensions::structure(196));
    let inner = inner6(1000);
    let body6 = body(&inner[..800], 800, &structure);
    let there = back(&error6(3, 0, 100 << 24, &body6));
    assert!(is_right(&there));
    assert_eq!((there[25], there.len()), (120, 576));
    assert_eq!(there[28 + 480..], structure);
    // One word more, one word less.
    let wider = super::extensions::structure(64);
    let body6 = body(&inner[..800], 800, &wider);
    let there = back(&error6(3, 0, 100 << 24, &body6));
    assert_eq!((there[25], there.len()), (119, 576));
}

#[test]
fn what_does_not_fit_is_left_out_whole() {
    // 28 + 128 + 420 is the most.
    for (payload_len, kept) in [(412, true), (416, false)] {
        let structure = structure(payload_len);
        let body = body(&inner6(20), 128, &structure);
        let there = back(&error6(3, 0, 16 << 24, &body));
        assert!(is_right(&there));
        assert_eq!(there[25] != 0, kept);
        assert_eq!(there.len(), if kept { 576 } else { 28 + 48 });
    }
    let structure = structure(1100);
    let body = body(&inner4(20), 128, &structure);
    let there = six(&error4(3, 0, 32 << 16, &body));
    assert_eq!((there[44], there.len()), (0, 48 + 68));
}

#[test]
fn messages_that_may_not_be_extended_are_not() {
    let structure = structure(12);
    let body4 = body(&inner4(20), 128, &structure);
    // Parameter problem, and what becomes one; packet too big.
    for (kind, code, word) in [(12, 0, 9 << 24), (3, 2, 0), (3, 4, 1400)] {
        let there = six(&error4(kind, code, word | 32 << 16, &body4));
        assert!(is_right(&there));
        assert_eq!(there.len(), 48 + 68);
        assert!(there[44] == 0 && there[45] == 0);
    }
    // Where there is no length, its bits are something else.
    let whole = inner6(200);
    for (kind, word) in [(2, 0x1000_0000), (4, 6)] {
        let there = back(&error6(kind, 0, word, &whole[..200]));
        assert!(is_right(&there));
        assert_eq!((there.len(), there[25]), (28 + 180, 0));
    }
}

#[test]
fn without_a_length_there_are_no_extensions() {
    // As some wrote it before the RFC: 128 bytes, then the structure.
    let structure = structure(12);
    let body4 = body(&inner4(20), 128, &structure);
    let there = six(&error4(11, 0, 0, &body4));
    assert!(is_right(&there));
    assert_eq!((there[44], there.len()), (0, 48 + 20 + body4.len()));
    // A length that is none: too small, or beyond the message.
    for words in [1, 31, 255] {
        let there = six(&error4(11, 0, words << 16, &body4));
        assert_eq!((there[44], there.len()), (0, 48 + 20 + body4.len()));
    }
    // A length and nothing behind it.
    let there = six(&error4(11, 0, 32 << 16, &body4[..128]));
    assert_eq!((there[44], there.len()), (0, 48 + 68));
}

#[test]
fn a_source_without_address_is_named() {
    let inner = inner6(20);
    let there = back(&from_router(3, 0, 0, &inner));
    assert!(is_right(&there));
    let h = ipv4::Header::parse(&there).unwrap();
    assert_eq!((h.src, h.dst), (four(POOL4), four(V4)));
    assert_eq!((there[20], there[25], there.len()), (11, 32, 28 + 128 + 28));
    assert_eq!(there[28 + 128..], named());
    assert_eq!(ones(&[&there[28 + 128..]]), 0xffff);
    // In every ICMPv4 error that may be extended: beside the MTU, too.
    let there = back(&from_router(2, 0, 1400, &inner));
    assert_eq!(there[24..28], [0, 32, 0x05, 0x64]);
    assert_eq!(there[28 + 128..], named());
    let there = back(&from_router(4, 0, 6, &inner));
    assert_eq!(there[24..28], [9, 32, 0, 0]);
    // A long quoted packet makes room.
    let there = back(&from_router(3, 0, 0, &inner6(1000)));
    assert_eq!((there.len(), there[25]), (576, 130));
    // By rule, and only of one that was replaced.
    let mut rules = rules();
    rules.error_source_extension = false;
    let there = four_by(&from_router(3, 0, 0, &inner), &rules).unwrap();
    assert_eq!((there[25], there.len()), (0, 28 + 48));
    let there = back(&error6(3, 0, 0, &inner));
    assert_eq!((there[25], there.len()), (0, 28 + 48));
}

#[test]
fn it_is_named_beside_other_objects() {
    let old = structure(12);
    let inner = inner6(20);
    let packet = |structure: &[u8]| from_router(3, 0, 16 << 24, &body(&inner, 128, structure));
    let there = back(&packet(&old));
    assert!(is_right(&there));
    let new = &there[28 + 128..];
    assert_eq!(new.len(), old.len() + 24);
    assert_eq!(
        (&new[4..old.len()], &new[old.len()..]),
        (&old[4..], &named()[4..])
    );
    assert_eq!(ones(&[new]), 0xffff);
    // A wrong sum stays wrong, one that is not given is not given.
    let mut wrong = old.clone();
    wrong[9] ^= 1;
    assert_ne!(ones(&[&back(&packet(&wrong))[28 + 128..]]), 0xffff);
    let mut none = old.clone();
    none[2..4].fill(0);
    assert_eq!(back(&packet(&none))[28 + 130..28 + 132], [0, 0]);
    // Of another version it is left as it is.
    let mut other = old.clone();
    other[0] = 0x10;
    assert_eq!(back(&packet(&other))[28 + 128..], other);
    // Also one that cannot be read, or names an arrival already; another role
    // may be named beside.
    for (object, added) in [
        (&[0, 8, 2, 0x08, 0, 0, 0, 1][..], 0),
        (&[0, 8, 2, 0x81, 0, 0, 5, 220], 24),
        (&[0, 4, 2, 0x40], 24),
        (&[0, 0, 1, 1], 0),
        (&[0, 6, 1, 1, 0, 0, 0, 0], 0),
        (&[0, 12, 1, 1, 0, 0, 0, 0], 0),
    ] {
        let some = [&[0x20, 0, 0, 0], object].concat();
        let there = back(&packet(&some));
        assert!(is_right(&there));
        assert_eq!(there.len(), 28 + 128 + some.len() + added, "{object:?}");
    }
    // And where there is no room for one more.
    let full = structure(412);
    assert_eq!(back(&packet(&full))[28 + 128..], full);
}
