use proptest::prelude::*;

use super::*;

/// The header of the packet walk, and one byte of payload less than it
/// says, to be filled up.
const BYTES: [u8; 20] = [
    0x45, 0xb8, 0x00, 0x25, 0x12, 0x34, 0x40, 0x00, 0x40, 0x11, 0x13, 0xd8, 10, 0, 0, 2, 10, 0, 0,
    3,
];

const HEADER: Header = Header {
    tos: 0xb8,
    total_len: 37,
    id: 0x1234,
    reserved: false,
    df: true,
    mf: false,
    offset: 0,
    ttl: 64,
    protocol: 17,
    src: Vaddr(0x0a00_0002),
    dst: Vaddr(0x0a00_0003),
    header_len: 20,
};

fn packet() -> Vec<u8> {
    let mut packet = BYTES.to_vec();
    packet.resize(37, 0xa5);
    packet
}

/// Makes the header checksum right again after a change.
fn seal(packet: &mut [u8]) {
    let len = usize::from(packet[0] & 0xf) * 4;
    packet[field::CHECKSUM..field::CHECKSUM + 2].fill(0);
    let sum = checksum::checksum(&packet[..len]).to_be_bytes();
    packet[field::CHECKSUM..field::CHECKSUM + 2].copy_from_slice(&sum);
}

#[test]
fn deconstruct() {
    assert_eq!(Header::parse(&packet()), Ok(HEADER));
    assert_eq!(HEADER.payload_len(), 17);
    assert!(!HEADER.is_fragment() && HEADER.is_first() && !HEADER.has_options());
}

#[test]
fn construct() {
    let mut out = [0xa5; 22];
    HEADER.emit(&mut out);
    assert_eq!(out[..20], BYTES);
    assert_eq!(out[20..], [0xa5; 2]);
}

#[test]
fn plain_headers_are_the_usual_ones() {
    let words = |header: Header| header.words();
    let plain = Header {
        mf: false,
        offset: 0,
        ..HEADER
    };
    assert_eq!(words(plain).plain(), Some(plain));
    assert_eq!(words(Header { mf: true, ..plain }).plain(), None);
    assert_eq!(
        words(Header {
            offset: MAX_OFFSET,
            ..plain
        })
        .plain(),
        None
    );
    let mut options = words(plain);
    options.0[0] += 1 << 24;
    assert_eq!(options.plain(), None);
}

#[test]
fn padding_is_not_part_of_the_packet() {
    let mut padded = packet();
    padded.resize(46, 0);
    assert_eq!(Header::parse(&padded), Ok(HEADER));
}

#[test]
fn every_impossible_length() {
    let packet = packet();
    for len in 0..packet.len() {
        let expected = if len < 20 {
            Malformed::TooShort
        } else {
            Malformed::BadTotalLength
        };
        assert_eq!(Header::parse(&packet[..len]), Err(expected), "{len}");
    }
    // The rest may lie in a further segment.
    assert_eq!(
        Words::parse_within(&packet[..20], 37).map(|words| words.header()),
        Ok(HEADER)
    );
    for total_len in 0..20 {
        let mut packet = packet.clone();
        packet[3] = total_len;
        seal(&mut packet);
        assert_eq!(Header::parse(&packet), Err(Malformed::BadTotalLength));
    }
    for ihl in 0..5 {
        let mut packet = packet.clone();
        packet[0] = 0x40 | ihl;
        assert_eq!(Header::parse(&packet), Err(Malformed::BadHeaderLength));
    }
    // 37 bytes hold a header of 36, but not one of 40.
    for (ihl, expected) in [(9, None), (10, Some(Malformed::BadHeaderLength))] {
        let mut packet = packet.clone();
        packet[0] = 0x40 | ihl;
        if expected.is_none() {
            seal(&mut packet);
        }
        assert_eq!(Header::parse(&packet).err(), expected);
    }
}

#[test]
fn versions_other_than_4() {
    for version in (0..16).filter(|&version| version != 4) {
        let mut packet = packet();
        packet[0] = version << 4 | 5;
        assert_eq!(Header::parse(&packet), Err(Malformed::BadVersion));
    }
}

#[test]
fn any_flipped_header_bit_is_noticed() {
    for bit in 0..160 {
        let mut packet = packet();
        packet[bit / 8] ^= 0x80 >> (bit % 8);
        assert!(Header::parse(&packet).is_err(), "bit {bit}");
    }
}

#[test]
fn checksum_covers_the_options() {
    let mut packet = vec![0xa5; 40];
    packet[..20].copy_from_slice(&BYTES);
    packet[..4].copy_from_slice(&[0x47, 0xb8, 0, 40]);
    packet[20..28].copy_from_slice(&[148, 4, 0, 0, 1, 1, 1, 0]);
    seal(&mut packet);
    let header = Header::parse(&packet).unwrap();
    assert_eq!((header.header_len, header.payload_len()), (28, 12));
    let plain = header.without_options();
    assert_eq!((plain.header_len, plain.total_len), (20, 32));
    packet[25] = 0;
    assert_eq!(Header::parse(&packet), Err(Malformed::BadHeaderChecksum));
}

#[test]
fn options_are_walked_to_their_end() {
    for (bytes, expected) in [
        (&[][..], Options::Removable),
        (&[1, 1, 1, 0], Options::Removable),
        (&[148, 4, 0, 0], Options::Removable),
        // After the end of options anything may stand.
        (&[0, 131, 1, 255], Options::Removable),
        // Record route is none.
        (&[7, 7, 4, 0, 0, 0, 0, 0], Options::Removable),
        // Hops left, and used up.
        (&[1, 131, 7, 4, 10, 0, 0, 9], Options::SourceRoute),
        (&[137, 7, 4, 10, 0, 0, 9, 0], Options::SourceRoute),
        (&[131, 7, 8, 10, 0, 0, 9, 0], Options::Removable),
        (&[131, 7, 8, 10, 0, 0, 9, 137, 3, 1], Options::SourceRoute),
        // Cut short, with hops left and used up.
        (&[131, 11, 4, 10, 0, 0, 9, 10], Options::SourceRoute),
        (&[131, 7, 8, 10], Options::Malformed),
        // Lengths that do not fit.
        (&[131], Options::Malformed),
        (&[131, 7], Options::Malformed),
        (&[131, 2, 1, 0], Options::Malformed),
        (&[131, 2], Options::Malformed),
        (&[131, 0, 4, 0], Options::Malformed),
        (&[148, 1, 0, 0], Options::Malformed),
        (&[148, 0, 0, 0], Options::Malformed),
        (&[148, 5, 0, 0], Options::Malformed),
    ] {
        assert_eq!(options(bytes), expected, "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = Header::parse(&bytes);
        let _ = Header::parse_unchecked(&bytes);
        let _ = options(&bytes);
    }

    #[test]
    fn what_is_written_is_read(
        tos: u8, id: u16, reserved: bool, df: bool, mf: bool, offset in 0..=MAX_OFFSET,
        ttl: u8, protocol: u8, src: u32, dst: u32, payload in 0..50u16,
    ) {
        let header = Header {
            tos, total_len: 20 + payload, id, reserved, df, mf, offset, ttl, protocol,
            src: Vaddr(src), dst: Vaddr(dst), header_len: 20,
        };
        let mut packet = header.bytes().to_vec();
        packet.resize(70, 0xa5);
        prop_assert_eq!(Header::parse(&packet), Ok(header));
    }
}
