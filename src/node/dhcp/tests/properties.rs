//! What holds for any message, with another implementation as the witness.

use proptest::prelude::*;
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr, EthernetFrame, Ipv4Packet, UdpPacket};

use super::*;

/// Messages of which many are asked for something that can be told.
fn options() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![Just(1u8), Just(3), Just(8), any::<u8>()];
    let list = proptest::collection::vec(
        prop_oneof![
            Just(1u8),
            Just(3),
            Just(6),
            Just(12),
            Just(15),
            Just(119),
            Just(121),
            any::<u8>()
        ],
        0..40,
    );
    let more = proptest::collection::vec(
        (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..20)),
        0..6,
    );
    (kind, list, any::<u16>(), more).prop_map(|(kind, list, size, more)| {
        let mut out = vec![53, 1, kind, 55, list.len() as u8];
        out.extend(list);
        out.extend([57, 2]);
        out.extend(size.to_be_bytes());
        for (code, value) in more {
            out.extend([code, value.len() as u8]);
            out.extend(value);
        }
        out
    })
}

proptest! {
    #[test]
    fn random_bytes_never_panic(frame in proptest::collection::vec(any::<u8>(), 0..700)) {
        let _ = answer(&frame, &NODE_A, &terms());
    }

    /// Messages with random fields and options, and what becomes of them: an
    /// answer is well-formed, fits and is for nobody but the client.
    #[test]
    fn answers_are_read_by_another(
        options in options(),
        flags: u16,
        from in prop_oneof![Just(A), Just(Mac([2, 9, 9, 9, 9, 9]))],
        uses in prop_oneof![Just(NOBODY), Just(A_ADDRESS), any::<u32>().prop_map(Vaddr)],
        names in 0..40usize,
    ) {
        let ask = Ask { src: uses, ciaddr: uses, from, flags, options: options.clone(), ..Ask::new("") };
        let terms = Terms { search: vec!["some-name.example".into(); names], ..terms() };
        let Ok(answer) = answer(&ask.frame(), &NODE_A, &terms) else { return Ok(()) };
        let Some((kind, frame)) = answer.reply else { return Ok(()) };
        let link = EthernetFrame::new_checked(&frame[..]).unwrap();
        prop_assert_eq!(link.src_addr().0, SERVER_MAC.0);
        prop_assert!([A.0, [0xff; 6]].contains(&link.dst_addr().0));
        let ip = Ipv4Packet::new_checked(link.payload()).unwrap();
        prop_assert!(ip.verify_checksum() && ip.dont_frag());
        prop_assert!((328..=1472).contains(&usize::from(ip.total_len())));
        let (src, dst) = (ip.src_addr(), ip.dst_addr());
        let udp = UdpPacket::new_checked(ip.payload()).unwrap();
        prop_assert!(udp.checksum() != 0 && udp.verify_checksum(&src.into(), &dst.into()));
        prop_assert_eq!((udp.src_port(), udp.dst_port()), (67, 68));
        let packet = DhcpPacket::new_checked(udp.payload()).unwrap();
        let repr = DhcpRepr::parse(&packet).unwrap();
        prop_assert_eq!(DhcpMessageType::from(kind as u8), repr.message_type);
        prop_assert_eq!(repr.transaction_id, 0x1234_5678);
        prop_assert_eq!(repr.server_identifier.unwrap().octets(), SERVER.bytes());
        let message = crate::wire::dhcp::Message::parse(udp.payload()).unwrap();
        if kind != Kind::Nak {
            prop_assert_eq!(repr.subnet_mask.unwrap().octets(), [255, 255, 255, 0]);
            prop_assert!(message.has(option::MTU));
            prop_assert!(message.has(option::ROUTER) != message.has(option::ROUTES));
        }
        if answer.effect == Effect::Offered {
            prop_assert_eq!(repr.your_ip.octets(), A_ADDRESS.bytes());
        }
        prop_assert_eq!(message.has(option::LEASE), matches!(answer.effect, Effect::Offered | Effect::Granted { .. }));
    }

    /// A request of another implementation's making is understood.
    #[test]
    fn requests_of_another_are_read(requested: u32, discovers: bool, broadcast: bool, size in 576..2000u16) {
        let requested = Vaddr(requested);
        let repr = DhcpRepr {
            message_type: if discovers { DhcpMessageType::Discover } else { DhcpMessageType::Request },
            transaction_id: 0x1234_5678,
            secs: 3,
            client_hardware_address: smoltcp::wire::EthernetAddress(A.0),
            client_ip: [0, 0, 0, 0].into(),
            your_ip: [0, 0, 0, 0].into(),
            server_ip: [0, 0, 0, 0].into(),
            router: None,
            subnet_mask: None,
            relay_agent_ip: [0, 0, 0, 0].into(),
            broadcast,
            requested_ip: Some(requested.into()),
            client_identifier: Some(smoltcp::wire::EthernetAddress(A.0)),
            server_identifier: Some(SERVER.into()),
            parameter_request_list: Some(&[1, 3, 6]),
            dns_servers: None,
            max_size: Some(size),
            lease_duration: None,
            renew_duration: None,
            rebind_duration: None,
            additional_options: &[],
        };
        let mut bytes = vec![0; repr.buffer_len()];
        repr.emit(&mut DhcpPacket::new_unchecked(&mut bytes)).unwrap();
        let ask = Ask { options: bytes[240..].to_vec(), flags: if broadcast { 0x8000 } else { 0 }, ..Ask::new("") };
        let expected = match requested {
            _ if discovers => Effect::Offered,
            A_ADDRESS => Effect::Granted { seconds: 3600 },
            asked => Effect::Refused { asked },
        };
        prop_assert_eq!(ask.answer().unwrap().effect, expected);
    }
}
