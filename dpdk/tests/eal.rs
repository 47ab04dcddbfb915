//! The environment: once per process, work on lcores, cleaning up. One
//! process, one environment: the checks run in order in one test.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use dpdk::{Burst, Eal, EalConfig, Error, Huge, LogLevel, Mempool, Port, PortConfig};

#[test]
fn environment() {
    assert!(matches!(
        dpdk::eal::register_thread(),
        Err(Error::NotInitialised)
    ));
    let config = EalConfig {
        program: "weft-test".into(),
        file_prefix: Some(format!("weft-test-{}", std::process::id())),
        huge: Huge::Auto,
        memory_mb: Some(128),
        // Three lcores on one CPU: ids are logical.
        lcores: vec![(0, 0), (1, 0), (7, 0)],
        devices: vec!["net_null0,size=64".into()],
        ..EalConfig::default()
    };
    let eal = Eal::init(&config).unwrap();
    let error = Eal::init(&config).unwrap_err();
    assert!(matches!(error, Error::AlreadyInitialised), "{error}");

    assert_eq!((eal.main_lcore(), eal.workers()), (0, &[1, 7][..]));
    assert_eq!(dpdk::eal::lcore_id(), Some(0));
    assert!(eal.tsc_hz() > 100_000_000);
    assert!(Eal::version().starts_with("DPDK 2"), "{}", Eal::version());
    eal.set_log_level(LogLevel::Error).unwrap();
    println!("{}: {}", Eal::version(), eal.memory_note());

    work_on_lcores(&eal);
    a_worker_with_queues(&eal);
    eal.shutdown().unwrap();
    assert!(matches!(
        dpdk::eal::register_thread(),
        Err(Error::NotInitialised)
    ));
    assert!(matches!(Eal::init(&config), Err(Error::AlreadyInitialised)));
}

fn work_on_lcores(eal: &Eal) {
    let seen = Arc::new(AtomicU32::new(0));
    for lcore in [1, 7] {
        let seen = Arc::clone(&seen);
        eal.launch(lcore, move || {
            let id = dpdk::eal::lcore_id().unwrap();
            seen.fetch_add(u32::from(id), Ordering::Relaxed);
        })
        .unwrap();
    }
    eal.wait(1).unwrap();
    eal.wait(7).unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), 8);
    // The closures are gone with what they held.
    assert_eq!(Arc::strong_count(&seen), 1);

    for (lcore, reason) in [(0, "main"), (2, "not one of the configured")] {
        let error = eal.launch(lcore, || ()).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert!(eal.wait(lcore).is_err());
    }

    let stop = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&stop);
    eal.launch(1, move || {
        while !until.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
    })
    .unwrap();
    assert!(eal.is_running(1).unwrap());
    let error = eal.launch(1, || ()).unwrap_err().to_string();
    assert_eq!(error, "lcore 1: is busy with earlier work");
    stop.store(true, Ordering::Relaxed);
    eal.wait(1).unwrap();
    assert!(!eal.is_running(1).unwrap());

    eal.launch(7, || panic!("on purpose")).unwrap();
    let error = eal.wait(7).unwrap_err().to_string();
    assert_eq!(error, "lcore 7: its work panicked");
    eal.launch(7, || ()).unwrap();
    eal.wait(7).unwrap();
}

/// Queues move into a worker and are gone when it returns.
fn a_worker_with_queues(eal: &Eal) {
    let pool = Mempool::create(eal, "packets", 1023, 64, 2048, None).unwrap();
    let mut port = Port::by_name(eal, "net_null0").unwrap();
    let started = port
        .start(&PortConfig::default(), std::slice::from_ref(&pool))
        .unwrap();
    let (mut rx, mut tx) = (started.rx, started.tx);
    eal.launch(1, move || {
        let mut burst = Burst::new();
        for _ in 0..1000 {
            rx[0].rx_burst(&mut burst);
            tx[0].tx_burst(&mut burst);
        }
        // Some packets are freed by another lcore than the one that had them.
        rx[0].rx_burst(&mut burst);
    })
    .unwrap();
    eal.wait(1).unwrap();
    let stats = port.stats().unwrap();
    assert_eq!((stats.rx_packets, stats.tx_packets), (32 * 1001, 32 * 1000));
    port.close().unwrap();
    assert_eq!(pool.in_use(), 0);
}
