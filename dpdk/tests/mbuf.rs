//! Packets and pools, without any device. One process, one environment: the
//! checks run in order in one test.

use arrayvec::ArrayVec;
use dpdk::mbuf::{L3, L4, RxChecksum, TxChecksums, free_bulk};
use dpdk::mempool::HEADROOM;
use dpdk::{Burst, Eal, EalConfig, Error, Huge, Mbuf, Mempool, NoRoom};

const ROOM: u16 = 256;
const COUNT: u32 = 127;

#[test]
fn packets_and_pools() {
    let eal = Eal::init(&EalConfig {
        huge: Huge::No,
        memory_mb: Some(64),
        ..EalConfig::default()
    })
    .unwrap();
    assert!(!eal.uses_hugepages());
    assert!(
        eal.memory_note().starts_with("no hugepages"),
        "{}",
        eal.memory_note()
    );

    let pool = Mempool::create(&eal, "packets", COUNT, 32, ROOM, None).unwrap();
    let other = Mempool::create(&eal, "large", 31, 0, 4 * ROOM, None).unwrap();
    a_second_pool_of_that_name_is_refused(&eal);
    grow_and_trim(&pool);
    limits(&pool);
    offload_requests(&pool);
    exhaustion_and_return(&pool);
    several_segments(&pool, &other);
    from_other_threads(&pool);

    assert_eq!((pool.in_use(), other.in_use()), (0, 0));
    let held = pool.alloc().unwrap();
    drop((pool, other));
    let error = eal.shutdown().unwrap_err().to_string();
    assert!(
        error.contains("1 packets of pool packets are held"),
        "{error}"
    );
    // Its memory is still there.
    assert_eq!(held.headroom(), usize::from(HEADROOM));
}

fn a_second_pool_of_that_name_is_refused(eal: &Eal) {
    let error = Mempool::create(eal, "packets", COUNT, 0, ROOM, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "pool packets: creating it: File exists (error 17)"
    );
    let error = Mempool::create(eal, "room", COUNT, 0, u16::MAX, None).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Config {
                field: "data_room",
                ..
            }
        ),
        "{error}"
    );
    let error = Mempool::create(eal, "cache", COUNT, 513, ROOM, None).unwrap_err();
    assert!(error.to_string().contains("Invalid argument"), "{error}");
}

fn grow_and_trim(pool: &Mempool) {
    let mut packet = pool.alloc().unwrap();
    assert_eq!(
        (packet.len(), packet.pkt_len(), packet.nb_segs()),
        (0, 0, 1)
    );
    assert_eq!(packet.headroom(), usize::from(HEADROOM));
    assert_eq!(packet.tailroom(), usize::from(ROOM));
    assert_eq!((packet.refcnt(), packet.is_shared()), (1, false));
    assert!(packet.is_simple());

    packet.append(4).unwrap().copy_from_slice(b"data");
    packet.prepend(6).unwrap();
    packet.data_mut()[..6].copy_from_slice(b"header");
    assert_eq!(packet.data(), b"headerdata");
    assert_eq!(packet.pkt_len(), 10);
    assert_eq!(packet.headroom(), usize::from(HEADROOM) - 6);

    packet.trim_front(2).unwrap();
    packet.trim_back(1).unwrap();
    assert_eq!(packet.data(), b"aderdat");
    assert_eq!((packet.len(), packet.pkt_len()), (7, 7));
    packet.append(2).unwrap().copy_from_slice(b"!?");
    assert_eq!(packet.data(), b"aderdat!?");
    assert_eq!(packet.segments().collect::<Vec<_>>(), [b"aderdat!?"]);
}

fn limits(pool: &Mempool) {
    let mut packet = pool.alloc().unwrap();
    assert_eq!(packet.prepend(usize::from(HEADROOM) + 1), Err(NoRoom));
    assert_eq!(packet.append(usize::from(ROOM) + 1), Err(NoRoom));
    // Numbers that would wrap in 16 bits.
    assert_eq!(packet.prepend(65536), Err(NoRoom));
    assert_eq!(packet.trim_front(65536), Err(NoRoom));
    assert_eq!(packet.trim_back(65536), Err(NoRoom));
    assert_eq!(packet.trim_front(1), Err(NoRoom));
    assert_eq!(packet.trim_back(1), Err(NoRoom));
    assert_eq!(
        (packet.len(), packet.headroom()),
        (0, usize::from(HEADROOM))
    );

    packet.prepend(usize::from(HEADROOM)).unwrap();
    packet.append(usize::from(ROOM)).unwrap().fill(7);
    assert_eq!((packet.headroom(), packet.tailroom()), (0, 0));
    assert_eq!(packet.len(), usize::from(HEADROOM + ROOM));
    assert_eq!(packet.prepend(1), Err(NoRoom));
    packet.trim_front(packet.len()).unwrap();
    assert!(packet.is_empty());
}

fn offload_requests(pool: &Mempool) {
    let mut packet = pool.alloc().unwrap();
    assert_eq!(packet.rx_ip_checksum(), RxChecksum::Unknown);
    assert_eq!(packet.rx_l4_checksum(), RxChecksum::Unknown);
    assert_eq!((packet.stripped_vlan(), packet.rss_hash()), (None, None));
    assert_eq!((packet.rx_gso_size(), packet.tx_checksums()), (None, None));

    for request in [
        TxChecksums {
            l2_len: 14,
            l3_len: 20,
            l3: L3::Ipv4 { checksum: true },
            l4: L4::Udp,
        },
        TxChecksums {
            l2_len: 127,
            l3_len: 511,
            l3: L3::Ipv6,
            l4: L4::Tcp,
        },
        TxChecksums {
            l2_len: 18,
            l3_len: 40,
            l3: L3::Ipv4 { checksum: false },
            l4: L4::None,
        },
    ] {
        packet.set_tx_checksums(&request);
        packet.set_tso(20, 1400);
        assert_eq!(packet.tx_checksums().unwrap().l3_len, request.l3_len);
        // A new request replaces the segmentation too.
        packet.set_tx_checksums(&request);
        assert_eq!(packet.tx_checksums(), Some(request));
    }
    packet.set_vlan_insert(100);
    assert_ne!(packet.ol_flags(), 0);
    packet.clear_offloads();
    assert_eq!((packet.ol_flags(), packet.tx_checksums()), (0, None));
}

fn exhaustion_and_return(pool: &Mempool) {
    let mut all: Vec<Mbuf> = std::iter::from_fn(|| pool.alloc()).collect();
    assert_eq!(all.len(), COUNT as usize);
    assert_eq!((pool.in_use(), pool.available()), (COUNT, 0));
    assert!(pool.alloc().is_none());
    let mut burst = Burst::new();
    assert_eq!(pool.alloc_bulk(1, &mut burst), 0);

    all.truncate(COUNT as usize - 10);
    // All or nothing.
    assert_eq!((pool.alloc_bulk(11, &mut burst), burst.len()), (0, 0));
    assert_eq!((pool.alloc_bulk(10, &mut burst), burst.len()), (10, 10));
    drop(all);
    assert_eq!(pool.in_use(), 10);

    // No more than fits, behind what is there.
    assert_eq!((pool.alloc_bulk(100, &mut burst), burst.len()), (22, 32));
    assert_eq!(pool.in_use(), 32);
    free_bulk(&mut burst);
    assert_eq!((burst.len(), pool.in_use()), (0, 0));
    free_bulk(&mut burst);

    let raw = pool.alloc().unwrap().into_raw();
    assert_eq!(pool.in_use(), 1);
    // SAFETY: from `into_raw` just above.
    drop(unsafe { Mbuf::from_raw(raw) });
    assert_eq!(pool.in_use(), 0);
}

fn with_bytes(pool: &Mempool, bytes: &[u8]) -> Mbuf {
    let mut packet = pool.alloc().unwrap();
    packet.append(bytes.len()).unwrap().copy_from_slice(bytes);
    packet
}

fn several_segments(pool: &Mempool, large: &Mempool) {
    let mut packet = with_bytes(pool, b"first,");
    packet.chain(with_bytes(pool, b"second,")).unwrap();
    packet.chain(with_bytes(pool, b"third")).unwrap();
    assert_eq!(
        (packet.nb_segs(), packet.len(), packet.pkt_len()),
        (3, 6, 18)
    );
    let parts: Vec<&[u8]> = packet.segments().collect();
    assert_eq!(parts, [&b"first,"[..], b"second,", b"third"]);
    assert_eq!(packet.tailroom(), usize::from(ROOM) - 5);

    // The end is the last segment's, the front the first's.
    packet.trim_back(1).unwrap();
    packet.append(1).unwrap().copy_from_slice(b"D");
    assert_eq!(packet.trim_front(7), Err(NoRoom));
    assert_eq!(packet.trim_back(6), Err(NoRoom));
    assert!(!packet.is_shared());

    let copy = packet.copy(large).unwrap();
    assert_eq!(
        (copy.nb_segs(), copy.data()),
        (1, &b"first,second,thirD"[..])
    );
    assert_eq!((pool.in_use(), large.in_use()), (3, 1));
    drop(copy);

    packet.linearise().unwrap();
    assert_eq!(
        (packet.nb_segs(), packet.data()),
        (1, &b"first,second,thirD"[..])
    );
    assert_eq!(pool.in_use(), 1);
    drop(packet);

    // Too much for the first segment: nothing changes.
    let mut packet = with_bytes(pool, &[1; 200]);
    packet.chain(with_bytes(pool, &[2; 57])).unwrap();
    assert_eq!(packet.linearise(), Err(NoRoom));
    assert_eq!((packet.nb_segs(), packet.pkt_len()), (2, 257));
    drop(packet);
    assert_eq!((pool.in_use(), large.in_use()), (0, 0));
}

/// Threads DPDK does not know may hold packets as well.
fn from_other_threads(pool: &Mempool) {
    let packets: ArrayVec<Mbuf, 8> = (0..8).filter_map(|_| pool.alloc()).collect();
    let theirs = pool.clone();
    let kept = std::thread::spawn(move || {
        assert_eq!(dpdk::eal::lcore_id(), None);
        drop(packets);
        let kept = theirs.alloc().unwrap();
        let registered = dpdk::eal::register_thread().unwrap();
        assert!(dpdk::eal::lcore_id().is_some());
        drop((theirs.alloc().unwrap(), registered));
        assert_eq!(dpdk::eal::lcore_id(), None);
        kept
    })
    .join()
    .unwrap();
    assert_eq!(pool.in_use(), 1);
    drop(kept);
    assert_eq!(pool.in_use(), 0);
}
