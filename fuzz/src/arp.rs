//! What a node says by ARP and RARP.

use weft::node::arp::{self, ArpOutcome, Asker};
use weft::wire::ethernet::{self, Header, ethertype};
use weft::wire::{Mac, Vaddr, arp as wire};

const NODE: Mac = Mac([2, 0, 0, 0, 0, 10]);
const TOLD: Mac = Mac([0x76, 0x5b, 10, 0, 0, 3]);
const TAG: u16 = 100;

fn is_own(address: Vaddr) -> bool {
    address.0 == 0x0a00_0002 || address.0 >> 16 == 0x0a09
}

/// The first byte says what is known of the node, and what is written into the
/// frame that a fuzzer cannot guess; the rest is the frame.
pub(crate) fn arp(data: &[u8]) {
    let [choice, frame @ ..] = data else {
        return;
    };
    let on = |bit: u8| choice >> bit & 1 != 0;
    let mut frame = frame.to_vec();
    let vlan = on(1).then_some(TAG);
    let at = ethernet::HEADER_LEN + if on(1) { ethernet::TAG_LEN } else { 0 };
    let mut put = |place: usize, bytes: &[u8]| {
        if let Some(field) = frame.get_mut(place..place + bytes.len()) {
            field.copy_from_slice(bytes);
        }
    };
    if on(1) && on(7) {
        put(12, &[0x81, 0, 0, TAG as u8]);
    }
    if on(7) {
        put(at - 2, &ethertype::ARP.to_be_bytes());
    }
    if on(3) {
        put(6, &NODE.0);
    }
    if on(4) {
        put(at + 8, &NODE.0);
    }
    if on(5) {
        put(at, &[0, 1, 8, 0, 6, 4, 0]);
    }
    if on(6) {
        put(at + 14, &[10, 0, 0, 2]);
    }
    let node = Asker {
        owns: if on(2) { &|_| true } else { &is_own },
        mac: on(0).then_some(NODE),
        vlan,
    };
    hold(&frame, &node);
}

fn hold(frame: &[u8], node: &Asker<'_>) {
    let link = Header::parse(frame);
    let message = link
        .as_ref()
        .and_then(|link| wire::Message::parse(frame.get(link.len..)?).ok());
    if let (Some(link), Some(message)) = (&link, message) {
        let as_it_came = &frame[link.len..link.len + wire::MESSAGE_LEN];
        assert_eq!(message.bytes(), as_it_came);
    }
    let own = |mac: Mac| {
        let link = link.as_ref().expect("a frame that was understood");
        assert!(mac.is_unicast() && mac == link.source && link.vlan == node.vlan);
        assert!(
            node.mac.is_none_or(|known| known == mac),
            "{mac} is another"
        );
    };
    let says = arp::sender_of(frame, node);
    says.into_iter().for_each(own);
    if let Ok(mac) = arp::learn(frame, node) {
        own(mac);
        assert_eq!(says, Some(mac));
    }
    let mut asked = None;
    let outcome = arp::answer(frame, node, |address| {
        assert!(asked.replace(address).is_none(), "looked up twice");
        Ok(TOLD)
    });
    if let Ok(mac) = arp::arrival(frame, node) {
        own(mac);
        assert!(matches!(outcome, ArpOutcome::Ignored(_)));
    }
    let ArpOutcome::Answer(reply) = outcome else {
        return;
    };
    let message = message.expect("only a message is answered");
    let about = asked.expect("nobody is told what was not looked up");
    assert!(message.is_request && message.target == about && !(node.owns)(about));
    assert!(about.0 != 0 && about.0 != u32::MAX && !about.is_multicast());
    assert!(message.sender == Vaddr(0) || says == Some(message.sender_mac));
    let back = Header::parse(&reply).expect("a frame");
    own(back.destination);
    assert_eq!((back.source, back.vlan), (TOLD, node.vlan));
    assert_eq!(reply.len(), back.len + wire::MESSAGE_LEN);
    let told = wire::Message::parse(&reply[back.len..]).expect("a message");
    let expected = wire::Message {
        is_request: false,
        sender_mac: TOLD,
        sender: about,
        target_mac: message.sender_mac,
        target: message.sender,
    };
    assert_eq!(told, expected);
}
