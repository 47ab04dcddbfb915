use proptest::prelude::*;
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr};

use super::*;

const A: Mac = Mac([0x02, 0, 0, 0, 0, 0x0a]);

const ASKS: Fixed = Fixed {
    direction: Direction::Request,
    xid: 0x1234_5678,
    broadcast: true,
    ciaddr: Vaddr(0x0a00_0002),
    yiaddr: Vaddr(0x0a00_0003),
    giaddr: Vaddr(0x0a00_0004),
    chaddr: A,
};

/// A message with these bytes from the options on.
fn with_options(options: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; FIXED_LEN];
    bytes[..12].copy_from_slice(&[1, 1, 6, 0, 0x12, 0x34, 0x56, 0x78, 0, 7, 0x80, 0]);
    bytes[12..28].copy_from_slice(&[10, 0, 0, 2, 10, 0, 0, 3, 0, 0, 0, 0, 10, 0, 0, 4]);
    bytes[28..34].copy_from_slice(&A.0);
    bytes[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    bytes.extend(options);
    bytes
}

#[test]
fn deconstruct() {
    let bytes = with_options(&[0, 0, 53, 1, 3, 50, 4, 10, 0, 0, 2, 80, 0, 255, 12, 200]);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.fixed, ASKS);
    assert_eq!(message.kind(), Some(Kind::Request));
    let asked = message.address(option::REQUESTED_ADDRESS);
    assert_eq!(asked, Some(Vaddr(0x0a00_0002)));
    assert!(message.has(80), "an empty option is there");
    assert!(!message.has(12), "nothing follows the end");
    assert_eq!(message.exactly::<2>(option::REQUESTED_ADDRESS), None);
    // Options may end with the message.
    let bytes = with_options(&[53, 1, 1]);
    assert_eq!(Message::parse(&bytes).unwrap().kind(), Some(Kind::Discover));
    assert_eq!(Message::parse(&with_options(&[])).unwrap().kind(), None);
}

#[test]
fn construct() {
    let mut out = [0xa5; 310];
    let mut writer = Writer::new(&mut out, &ASKS).unwrap();
    assert!(writer.put(option::MESSAGE_TYPE, &[1]));
    assert!(writer.put(80, &[]));
    assert_eq!(writer.finish(), 300);
    let mut expected = with_options(&[53, 1, 1, 80, 0, 255]);
    // Seconds are not told.
    expected[9] = 0;
    expected.resize(310, 0);
    assert_eq!(out[..], expected);
    assert!(Writer::new(&mut [0; 299], &ASKS).is_none());
}

#[test]
fn what_is_no_message() {
    let good = with_options(&[53, 1, 1, 255]);
    for len in 0..FIXED_LEN {
        assert_eq!(Message::parse(&good[..len]), Err(Malformed::TooShort));
    }
    for (at, byte, why) in [
        (0, 0, Malformed::BadDirection),
        (0, 3, Malformed::BadDirection),
        (1, 6, Malformed::NotEthernet),
        (2, 16, Malformed::NotEthernet),
        (236, 0, Malformed::NoCookie),
        (239, 0, Malformed::NoCookie),
    ] {
        let mut bad = good.clone();
        bad[at] = byte;
        assert_eq!(Message::parse(&bad), Err(why), "{at} {byte}");
    }
    for options in [
        &[53][..],
        &[53, 2, 1],
        &[53, 255, 1, 255],
        &[12, 1, 65, 61, 7, 1, 2, 3],
        // Overload is one byte from 1 to 3.
        &[52, 0, 255],
        &[52, 1, 0, 255],
        &[52, 1, 4, 255],
        &[52, 2, 1, 1, 255],
    ] {
        let bad = with_options(options);
        assert_eq!(
            Message::parse(&bad),
            Err(Malformed::BadOption),
            "{options:?}"
        );
    }
}

#[test]
fn parts_are_joined_over_the_fields_in_order() {
    let mut bytes = with_options(&[121, 2, 1, 2, 52, 1, 3, 12, 1, 65, 121, 1, 3, 255]);
    bytes[108..113].copy_from_slice(&[121, 1, 4, 255, 99]);
    bytes[44..49].copy_from_slice(&[0, 121, 2, 5, 6]);
    let message = Message::parse(&bytes).unwrap();
    let mut room = [0; 9];
    assert_eq!(
        message.joined(121, &mut room),
        Some(&[1, 2, 3, 4, 5, 6][..])
    );
    assert_eq!(message.joined(121, &mut room[..4]), Some(&[1, 2, 3, 4][..]));
    assert_eq!(message.joined(121, &mut []), Some(&[][..]));
    assert_eq!(message.joined(99, &mut room), None);
    // Without being overloaded, the fields hold names.
    bytes[246] = 1;
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.joined(121, &mut room), Some(&[1, 2, 3, 4][..]));
    bytes[246] = 2;
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.joined(121, &mut room), Some(&[1, 2, 3, 5, 6][..]));
    // A field that is not the first is checked as well.
    bytes[46] = 200;
    assert_eq!(Message::parse(&bytes), Err(Malformed::BadOption));
    bytes[246] = 1;
    assert!(Message::parse(&bytes).is_ok());
}

#[test]
fn what_does_not_fit_goes_to_the_other_fields() {
    let mut out = [0; 300];
    let mut writer = Writer::new(&mut out, &ASKS).unwrap();
    // 60 bytes of options, less end and overload.
    assert!(writer.put(1, &[1; 54]));
    assert!(!writer.put(2, &[2; 126]), "one more than `file` takes");
    assert!(writer.put(3, &[3; 125]));
    assert!(writer.put(4, &[4; 61]));
    assert!(!writer.put(5, &[]));
    assert_eq!(writer.finish(), 300);
    assert_eq!(out[296..], [52, 1, 3, 255]);
    assert_eq!((out[235], out[107]), (255, 255));
    let message = Message::parse(&out).unwrap();
    for (code, len) in [(1, 54), (3, 125), (4, 61)] {
        let mut room = [0; 200];
        assert_eq!(message.joined(code, &mut room), Some(&vec![code; len][..]));
    }
}

#[test]
fn long_options_are_cut() {
    let mut out = [0; 1000];
    let mut writer = Writer::new(&mut out, &ASKS).unwrap();
    let value: Vec<u8> = (0..600u32).map(|n| n as u8).collect();
    assert!(writer.put(option::SEARCH, &value));
    assert!(
        !writer.put(option::FQDN, &value),
        "no field has room for it"
    );
    assert_eq!(writer.finish(), 240 + 606 + 1);
    assert_eq!(out[240..243], [119, 255, 0]);
    assert_eq!(out[497..500], [119, 255, 255]);
    assert_eq!(out[754..757], [119, 90, 254]);
    assert_eq!(out[845..848], [87, 255, 0]);
}

/// What another wrote is read, and what we write another reads.
#[test]
fn another_implementation_agrees() {
    let mut out = [0; 400];
    let fixed = Fixed {
        direction: Direction::Reply,
        giaddr: Vaddr(0),
        ..ASKS
    };
    let mut writer = Writer::new(&mut out, &fixed).unwrap();
    assert!(writer.put(option::MESSAGE_TYPE, &[5]));
    assert!(writer.put(option::SERVER, &[10, 0, 0, 1]));
    assert!(writer.put(option::SUBNET_MASK, &[255, 255, 255, 0]));
    assert!(writer.put(option::ROUTER, &[10, 0, 0, 1]));
    assert!(writer.put(option::LEASE, &3600u32.to_be_bytes()));
    assert!(writer.put(option::DNS, &[9, 9, 9, 9, 8, 8, 8, 8]));
    let len = writer.finish();
    let packet = DhcpPacket::new_checked(&out[..len]).unwrap();
    let repr = DhcpRepr::parse(&packet).unwrap();
    assert_eq!(repr.message_type, DhcpMessageType::Ack);
    assert_eq!(repr.transaction_id, 0x1234_5678);
    assert!(repr.broadcast);
    assert_eq!(repr.client_hardware_address.0, A.0);
    assert_eq!(repr.client_ip.octets(), [10, 0, 0, 2]);
    assert_eq!(repr.your_ip.octets(), [10, 0, 0, 3]);
    assert_eq!(repr.router.unwrap().octets(), [10, 0, 0, 1]);
    assert_eq!(repr.subnet_mask.unwrap().octets(), [255, 255, 255, 0]);
    assert_eq!(repr.server_identifier.unwrap().octets(), [10, 0, 0, 1]);
    assert_eq!(repr.lease_duration, Some(3600));
    assert_eq!(repr.dns_servers.as_ref().unwrap().len(), 2);

    let mut theirs = vec![0; repr.buffer_len()];
    repr.emit(&mut DhcpPacket::new_unchecked(&mut theirs))
        .unwrap();
    let message = Message::parse(&theirs).unwrap();
    assert_eq!(message.fixed, fixed);
    assert_eq!(message.kind(), Some(Kind::Ack));
    assert_eq!(message.address(option::SERVER), Some(Vaddr(0x0a00_0001)));
    let mut room = [0; 8];
    assert_eq!(
        message.joined(option::DNS, &mut room),
        Some(&[9, 9, 9, 9, 8, 8, 8, 8][..])
    );
}

proptest! {
    #[test]
    fn random_options_never_panic(
        options in proptest::collection::vec(prop_oneof![Just(52u8), Just(1), Just(3), Just(255), any::<u8>()], 0..100),
        names: Vec<u8>, code: u8,
    ) {
        let mut bytes = with_options(&options);
        for (to, from) in bytes[44..236].iter_mut().zip(names) {
            *to = from;
        }
        if let Ok(message) = Message::parse(&bytes) {
            let mut room = [0; 40];
            let whole: Vec<u8> = message.parts(code).flatten().copied().collect();
            let joined = message.joined(code, &mut room);
            prop_assert_eq!(joined.is_some(), message.has(code));
            prop_assert_eq!(joined.unwrap_or_default(), &whole[..whole.len().min(40)]);
        }
    }

    /// Whatever was taken is read back, whatever the room; what was not taken
    /// is not there.
    #[test]
    fn what_is_written_is_read(
        options in proptest::collection::btree_map(
            (1u8..255).prop_filter("its own", |code| *code != option::OVERLOAD),
            proptest::collection::vec(any::<u8>(), 0..400), 0..12),
        most in MIN_LEN..1472,
    ) {
        let mut out = vec![0xa5; most];
        let mut writer = Writer::new(&mut out, &ASKS).unwrap();
        let taken: Vec<bool> = options.iter().map(|(code, value)| writer.put(*code, value)).collect();
        let len = writer.finish();
        prop_assert!((MIN_LEN..=most).contains(&len));
        let message = Message::parse(&out[..len]).unwrap();
        prop_assert_eq!(message.fixed, ASKS);
        for ((code, value), taken) in options.iter().zip(taken) {
            let mut room = [0; 400];
            let expected = taken.then_some(&value[..]);
            prop_assert_eq!(message.joined(*code, &mut room), expected);
        }
    }
}
