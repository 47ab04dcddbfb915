//! Ports on virtual devices: queues, bursts, statistics, hotplug. One
//! process, one environment: the checks run in order in one test.

use dpdk::error::Direction;
use dpdk::port::{RssTypes, RxOffloads, TxOffloads};
use dpdk::{Burst, Eal, EalConfig, Error, Huge, Mempool, Port, PortConfig};

#[test]
fn ports() {
    let eal = Eal::init(&EalConfig {
        huge: Huge::No,
        memory_mb: Some(128),
        devices: vec![
            "net_ring0".into(),
            "net_null0,no-rx=1".into(),
            "net_null1,size=60".into(),
        ],
        ..EalConfig::default()
    })
    .unwrap();
    let pools = [Mempool::create(&eal, "packets", 4095, 0, 2048, None).unwrap()];
    let pool = &pools[0];

    let names: Vec<String> = Port::list(&eal).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["net_ring0", "net_null0", "net_null1"]);

    opening_and_refusals(&eal, &pools);
    loopback(&eal, &pools);
    assert_eq!(pool.in_use(), 0, "packets are lost");
    closing_with_queues_held(&eal, &pools);
    control(&eal, &pools);
    what_is_not_taken_stays(&eal, &pools);
    assert_eq!(pool.in_use(), 0, "packets are lost");
    hotplug(&eal, &pools);
    assert_eq!(pool.in_use(), 0, "packets are lost");

    drop(pools);
    eal.shutdown().unwrap();
}

fn opening_and_refusals(eal: &Eal, pools: &[Mempool]) {
    let error = Port::by_name(eal, "net_none0").unwrap_err();
    assert!(
        matches!(&error, Error::NoSuchPort(name) if name == "net_none0"),
        "{error}"
    );

    let mut port = Port::by_name(eal, "net_null0").unwrap();
    assert!(matches!(
        Port::by_name(eal, "net_null0"),
        Err(Error::PortInUse(_))
    ));
    assert!(matches!(
        Port::by_id(eal, port.id()),
        Err(Error::PortInUse(_))
    ));

    let info = port.info().unwrap();
    assert_eq!(info.driver, "net_null");
    let wanted = info.max_rx_queues + 1;
    let error = port
        .start(
            &PortConfig {
                rx_queues: wanted,
                ..PortConfig::default()
            },
            pools,
        )
        .unwrap_err();
    let max = info.max_rx_queues;
    assert_eq!(
        error.to_string(),
        format!(
            "port net_null0: {wanted} receive queues were asked for; the device has at most {max}"
        )
    );
    let error = port
        .start(
            &PortConfig {
                tx_queues: u16::MAX,
                ..PortConfig::default()
            },
            pools,
        )
        .unwrap_err();
    let Error::TooManyQueues {
        direction: Direction::Tx,
        ..
    } = error
    else {
        panic!("{error}");
    };
    let error = port.start(&PortConfig::default(), &[]).unwrap_err();
    assert!(
        matches!(error, Error::Config { field: "pools", .. }),
        "{error}"
    );
    let none = PortConfig {
        rx_queues: 0,
        tx_queues: 0,
        ..PortConfig::default()
    };
    assert!(matches!(
        port.start(&none, pools),
        Err(Error::Config {
            field: "queues",
            ..
        })
    ));
    let error = port
        .start(
            &PortConfig {
                mtu: Some(1),
                ..PortConfig::default()
            },
            pools,
        )
        .unwrap_err();
    assert!(matches!(error, Error::Mtu { wanted: 1, .. }), "{error}");

    // The refusals left it fit to start.
    let started = port.start(&PortConfig::default(), pools).unwrap();
    assert_eq!((started.rx.len(), started.tx.len()), (1, 1));
    drop(started);
    port.stop().unwrap();
    assert!(!port.is_started());
    port.close().unwrap();
}

/// Two queues of a port whose transmit rings are its receive rings.
fn loopback(eal: &Eal, pools: &[Mempool]) {
    let pool = &pools[0];
    let mut port = Port::by_name(eal, "net_ring0").unwrap();
    let config = PortConfig {
        rx_queues: 2,
        tx_queues: 2,
        mtu: Some(1500),
        promiscuous: true,
        ..PortConfig::default()
    };
    let mut started = port.start(&config, pools).unwrap();
    assert!(port.link().unwrap().up);
    assert_eq!(started.rx[1].queue(), 1);
    assert_eq!(started.rx[1].port_name(), "net_ring0");

    let mut burst = Burst::new();
    for round in 0..100u8 {
        let queue = usize::from(round % 2);
        assert_eq!(pool.alloc_bulk(20, &mut burst), 20);
        for (n, packet) in burst.iter_mut().enumerate() {
            packet.append(60).unwrap().fill(round);
            packet.data_mut()[0] = n as u8;
        }
        assert_eq!(started.tx[queue].tx_burst(&mut burst), 20);
        assert!(burst.is_empty());
        // The other queue has nothing; this one has them in order, and they
        // are added behind what is held.
        assert_eq!(started.rx[1 - queue].rx_burst(&mut burst), 0);
        burst.push(pool.alloc().unwrap());
        assert_eq!(started.rx[queue].rx_burst(&mut burst), 20);
        for (n, packet) in burst[1..].iter().enumerate() {
            assert_eq!((packet.len(), packet.data()[0]), (60, n as u8));
            assert!(packet.data()[1..].iter().all(|byte| *byte == round));
        }
        assert_eq!(started.rx[queue].rx_burst(&mut burst), 0);
        burst.clear();
    }
    let stats = port.stats().unwrap();
    assert_eq!((stats.rx_packets, stats.tx_packets), (2000, 2000));
    let xstats = port.xstats().unwrap();
    let get = |name: &str| {
        xstats
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| *value)
    };
    assert_eq!(get("rx_good_packets"), Some(2000), "{xstats:?}");
    assert_eq!(get("rx_q1_packets"), Some(1000), "{xstats:?}");
    port.reset_stats().unwrap();
    assert_eq!(port.stats().unwrap().rx_packets, 0);

    several_segments(&mut started, pool);
    stop_needs_the_queues(&mut port, started, pools);
    port.close().unwrap();
    assert!(matches!(
        Port::by_name(eal, "net_ring0"),
        Err(Error::NoSuchPort(_))
    ));
}

fn several_segments(started: &mut dpdk::port::Started, pool: &Mempool) {
    let mut packet = pool.alloc().unwrap();
    packet.append(40).unwrap().fill(1);
    let mut tail = pool.alloc().unwrap();
    tail.append(30).unwrap().fill(2);
    packet.chain(tail).unwrap();
    let mut burst = Burst::new();
    burst.push(packet);
    assert_eq!(started.tx[0].prepare(&mut burst), 1);
    assert_eq!(started.tx[0].tx_burst(&mut burst), 1);
    assert_eq!(started.rx[0].rx_burst(&mut burst), 1);
    let packet = &burst[0];
    assert_eq!(
        (packet.nb_segs(), packet.len(), packet.pkt_len()),
        (2, 40, 70)
    );
    assert_eq!(packet.data(), [1; 40]);
    assert_eq!(packet.segments().nth(1), Some(&[2; 30][..]));
}

fn stop_needs_the_queues(port: &mut Port, started: dpdk::port::Started, pools: &[Mempool]) {
    let dpdk::port::Started { mut rx, tx, .. } = started;
    assert!(matches!(port.stop(), Err(Error::QueuesInUse(_))));
    let last = rx.pop().unwrap();
    drop((rx, tx));
    assert!(matches!(port.stop(), Err(Error::QueuesInUse(_))));
    let error = port.start(&PortConfig::default(), pools).unwrap_err();
    assert!(matches!(error, Error::QueuesInUse(_)), "{error}");
    // Dropped on another thread, as a worker does.
    std::thread::spawn(move || drop(last)).join().unwrap();
    port.stop().unwrap();
    assert!(!port.is_started());
    port.stop().unwrap();
    drop(port.start(&PortConfig::default(), pools).unwrap());
    assert!(port.is_started());
}

/// A port that is closed, or dropped, before its queues lives on in them.
fn closing_with_queues_held(eal: &Eal, pools: &[Mempool]) {
    let mut port = Port::by_id(eal, eal.attach("net_null7").unwrap()[0]).unwrap();
    let mut started = port.start(&PortConfig::default(), pools).unwrap();
    assert!(matches!(port.close(), Err(Error::QueuesInUse(_))));
    let mut burst = Burst::new();
    assert_eq!(started.rx[0].rx_burst(&mut burst), 32);
    assert!(matches!(
        Port::by_name(eal, "net_null7"),
        Err(Error::PortInUse(_))
    ));
    drop(started);
    assert!(matches!(
        Port::by_name(eal, "net_null7"),
        Err(Error::NoSuchPort(_))
    ));
    assert_eq!(burst.len(), 32);
}

fn control(eal: &Eal, pools: &[Mempool]) {
    let mut port = Port::by_name(eal, "net_null1").unwrap();
    port.set_mac([2, 0, 0, 0, 0, 1]).unwrap();
    assert_eq!(port.mac().unwrap(), [2, 0, 0, 0, 0, 1]);
    let error = port.set_mac([0xff; 6]).unwrap_err().to_string();
    assert!(
        error.starts_with("port net_null1: setting its MAC address: Invalid"),
        "{error}"
    );

    let info = port.info().unwrap();
    let config = PortConfig {
        mtu: Some(1400),
        rx_queues: 2,
        tx_queues: 1,
        rx_offloads: RxOffloads::from_bits(!0),
        tx_offloads: TxOffloads::MULTI_SEGS | TxOffloads::MT_LOCKFREE,
        ..PortConfig::default()
    };
    let mut started = port.start(&config, pools).unwrap();
    // Wanted offloads are those the device has; what is on is reported.
    assert_eq!(started.rx_offloads, info.rx_offloads);
    assert!(info.tx_offloads.contains(started.tx_offloads));
    assert!(info.rss_types.contains(started.rss_types));
    assert!(!started.rss_types.is_empty(), "{info:?}");
    assert!(!port.is_removed());
    assert_eq!(port.mtu().unwrap(), started.mtu);
    assert_eq!(started.mtu, 1400);

    let key: Vec<u8> = (0..40).collect();
    port.set_rss(&dpdk::port::RssKey::Bytes(key.clone()), RssTypes::IP)
        .unwrap();
    assert_eq!(port.rss_key().unwrap(), key);

    let mut burst = Burst::new();
    assert_eq!(started.rx[0].rx_burst(&mut burst), 32);
    assert_eq!(
        (burst[0].pkt_len(), burst[0].port()),
        (60, port.id().number())
    );
    assert_eq!(started.tx[0].tx_burst(&mut burst), 32);
    assert_eq!(port.stats().unwrap().tx_packets, 32);
    drop(started);
    port.close().unwrap();
}

/// A ring of 1024 takes 1023: the rest stays, in order, and is owned.
fn what_is_not_taken_stays(eal: &Eal, pools: &[Mempool]) {
    let mut port = Port::by_id(eal, eal.attach("net_ring7").unwrap()[0]).unwrap();
    let mut started = port.start(&PortConfig::default(), pools).unwrap();
    let mut sent = 0;
    let mut burst = Burst::new();
    for value in 0u32.. {
        assert_eq!(pools[0].alloc_bulk(32, &mut burst), 32);
        for (n, packet) in burst.iter_mut().enumerate() {
            packet
                .append(4)
                .unwrap()
                .copy_from_slice(&(value * 32 + n as u32).to_be_bytes());
        }
        let n = started.tx[0].tx_burst(&mut burst);
        sent += n;
        assert_eq!(burst.len(), 32 - n);
        if n < 32 {
            break;
        }
    }
    assert_eq!(burst[0].data(), (sent as u32).to_be_bytes());
    burst.clear();
    let mut expected = 0u32;
    while started.rx[0].rx_burst(&mut burst) > 0 {
        for packet in burst.drain(..) {
            assert_eq!(packet.data(), expected.to_be_bytes());
            expected += 1;
        }
    }
    assert_eq!(expected as usize, sent);
    drop(started);
    eal.detach(port).unwrap();
}

fn hotplug(eal: &Eal, pools: &[Mempool]) {
    assert!(Port::by_name(eal, "net_null5").is_err());
    let before = Port::list(eal).len();
    for _ in 0..3 {
        let ports = eal.attach("net_null5,size=64").unwrap();
        assert_eq!(ports.len(), 1);
        assert_eq!(Port::list(eal).len(), before + 1);
        let mut port = Port::by_id(eal, ports[0]).unwrap();
        assert_eq!(port.name(), "net_null5");
        let mut started = port.start(&PortConfig::default(), pools).unwrap();
        let mut burst = Burst::new();
        assert_eq!(started.rx[0].rx_burst(&mut burst), 32);

        // Not while a queue is held; the port is given back.
        let refused = eal.detach(port).unwrap_err();
        assert!(matches!(refused.error, Error::QueuesInUse(_)), "{refused}");
        drop(started);
        eal.detach(refused.port.unwrap()).unwrap();
        assert!(matches!(
            Port::by_name(eal, "net_null5"),
            Err(Error::NoSuchPort(_))
        ));
        assert_eq!(Port::list(eal).len(), before);
    }
    let error = eal.attach("net_nonsense0").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("device net_nonsense0: adding it: "),
        "{error}"
    );
}
