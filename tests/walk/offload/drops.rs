//! Why such packets are dropped, each reason with a packet.

use super::*;

fn after(setup: Setup, packets: Vec<(Buffer, Meta)>) -> Host {
    let mut host = setup.start();
    for (packet, meta) in packets {
        host.wires[usize::from(PORT_A)].send_packet(packet, meta);
    }
    host.settle();
    host
}

type Case = (Drop, fn() -> Host);

/// The reasons that only such packets have, and others that they have too.
pub(crate) const CASES: &[Case] = &[
    (Drop::UdpSegmentation, || {
        let (packet, _) = datagram(3000).unfinished(Way::Siit);
        let meta = Meta {
            offload: Offload::to_be_cut(1400),
            ..Meta::default()
        };
        after(setup_r(), vec![(packet, meta)])
    }),
    (Drop::BadSegmentation, || {
        after(
            setup_r(),
            vec![message(Some(1), 1025).unfinished(Way::Siit)],
        )
    }),
    (Drop::BadSegmentation, || {
        let (packet, _) = message(None, 3000).unfinished(Way::Siit);
        let mut bytes = packet.frame().to_vec();
        // A fragment.
        bytes[20] |= 0x20;
        let meta = Meta {
            offload: Offload::to_be_cut(1400),
            ..Meta::default()
        };
        after(setup_r(), vec![(Buffer::new(&bytes), meta)])
    }),
    (Drop::HeadersSplit, || {
        let (packet, meta) = message(Some(1000), 3000).unfinished(Way::Siit);
        // Within the TCP options.
        let packet = Buffer::split(packet.frame(), 14 + 20 + 24);
        after(setup_r(), vec![(packet, meta)])
    }),
    (Drop::BufferShared, || {
        let (packet, meta) = datagram(30).unfinished(Way::Siit);
        after(setup_r(), vec![(Buffer::shared(packet.frame()), meta)])
    }),
    (Drop::BadHeaderChecksum, || {
        let (packet, meta) = message(Some(1000), 3000).unfinished(Way::Siit);
        let mut bytes = packet.frame().to_vec();
        bytes[24] ^= 0x40;
        after(setup_r(), vec![(Buffer::new(&bytes), meta)])
    }),
    (Drop::NoBuffer, || {
        let mut setup = setup_r();
        setup.pool = 0;
        after(setup, vec![message(Some(1000), 3000).unfinished(Way::Siit)])
    }),
    (Drop::OffloadRefused, || {
        let mut setup = setup_r();
        setup.cards = card_of(UPLINK, ALL);
        let host = setup.start();
        host.wires[usize::from(UPLINK)].refuse_requests();
        let (packet, meta) = message(Some(1000), 3000).unfinished(Way::Siit);
        host.wires[usize::from(PORT_A)].send_packet(packet, meta);
        let mut host = host;
        host.settle();
        host
    }),
];

#[test]
fn every_reason_has_a_packet() {
    for (why, produce) in CASES {
        let host = produce();
        assert!(
            matches!(host.drops()[..], [(only, _)] if only == *why),
            "{why}: {:?}",
            host.drops()
        );
        assert_eq!(host.all(), [], "{why}");
    }
}

#[test]
fn a_pool_that_runs_dry_costs_the_rest_of_one_packet() {
    let mut setup = setup_r();
    setup.pool = 2;
    let host = after(setup, vec![message(Some(1000), 4500).unfinished(Way::Siit)]);
    assert_eq!(host.drops(), [(Drop::NoBuffer, 1)]);
    assert_eq!(host.drain(UPLINK).len(), 2);
}
