//! Receives on one port and sends on another, and does nothing else: the
//! floor under every figure of the appliance.
//!
//! ```text
//! io --rx net_pcap0,rx_pcap=FILE,infinite_rx=1 --tx net_null0,no-rx=1 --seconds 5
//! ```
//!
//! Options: `--core N` (default 1) for the worker, `--main N` (default 0) for
//! everything else, `--huge auto|yes|no`, `--memory MB`, `--pool N` buffers.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use dpdk::{Burst, Eal, EalConfig, Huge, Mempool, Port, PortConfig, RxQueue, TxQueue};

struct Options {
    rx: String,
    tx: String,
    seconds: u64,
    core: u16,
    main: u16,
    huge: Huge,
    memory_mb: Option<u32>,
    pool: u32,
}

#[derive(Debug, Default)]
struct Counts {
    packets: u64,
    dropped: u64,
    /// Time-stamp counter over the whole run.
    cycles: u64,
    /// The part of it spent in rounds that received something.
    busy: u64,
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options).map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("io: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        rx: String::new(),
        tx: String::new(),
        seconds: 5,
        core: 1,
        main: 0,
        huge: Huge::Auto,
        memory_mb: Some(256),
        pool: 16383,
    };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or(format!("{name} needs a value"))?;
        let bad = |error: std::num::ParseIntError| format!("{name} {value}: {error}");
        match name.as_str() {
            "--rx" => options.rx = value,
            "--tx" => options.tx = value,
            "--seconds" => options.seconds = value.parse().map_err(bad)?,
            "--core" => options.core = value.parse().map_err(bad)?,
            "--main" => options.main = value.parse().map_err(bad)?,
            "--memory" => options.memory_mb = Some(value.parse().map_err(bad)?),
            "--pool" => options.pool = value.parse().map_err(bad)?,
            "--huge" => {
                options.huge = match value.as_str() {
                    "auto" => Huge::Auto,
                    "yes" => Huge::Yes,
                    "no" => Huge::No,
                    _ => return Err(format!("--huge {value}: auto, yes or no")),
                }
            }
            _ => return Err(format!("unknown option {name}")),
        }
    }
    if options.rx.is_empty() || options.tx.is_empty() {
        return Err("--rx DEVICE and --tx DEVICE are needed".into());
    }
    Ok(options)
}

fn run(options: &Options) -> Result<(), dpdk::Error> {
    let eal = Eal::init(&EalConfig {
        program: "io".into(),
        huge: options.huge,
        memory_mb: options.memory_mb,
        lcores: vec![(0, options.main), (1, options.core)],
        devices: vec![options.rx.clone(), options.tx.clone()],
        ..EalConfig::default()
    })?;
    eprintln!("{}, {}", Eal::version(), eal.memory_note());
    let pools = [Mempool::create(
        &eal,
        "packets",
        options.pool,
        256,
        2048,
        None,
    )?];
    let name = |device: &str| device.split(',').next().unwrap_or_default().to_owned();
    let mut rx_port = Port::by_name(&eal, &name(&options.rx))?;
    let mut tx_port = Port::by_name(&eal, &name(&options.tx))?;
    // A queue each way on both, since some drivers insist.
    let config = PortConfig::default();
    let mut from = rx_port.start(&config, &pools)?;
    let mut to = tx_port.start(&config, &pools)?;
    let (Some(rx), Some(tx)) = (from.rx.pop(), to.tx.pop()) else {
        unreachable!("a queue each was asked for");
    };
    drop((from, to));

    let stop = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&stop);
    let (sender, receiver) = mpsc::channel();
    let started = Instant::now();
    eal.launch(1, move || {
        let _ = sender.send(forward(rx, tx, &until));
    })?;
    std::thread::sleep(Duration::from_secs(options.seconds));
    stop.store(true, Ordering::Relaxed);
    eal.wait(1)?;
    let elapsed = started.elapsed();
    let counts = receiver.recv().unwrap_or_default();
    let each = |cycles: u64| cycles as f64 / counts.packets.max(1) as f64;
    println!(
        "{:.2} Mpps, {:.1} cycles/packet ({:.1} in busy rounds), {} sent, {} dropped",
        counts.packets as f64 / elapsed.as_secs_f64() / 1e6,
        each(counts.cycles),
        each(counts.busy),
        counts.packets,
        counts.dropped
    );
    rx_port.close()?;
    tx_port.close()?;
    Ok(())
}

/// Sends what the queue takes and drops the rest, as testpmd does.
fn forward(mut rx: RxQueue, mut tx: TxQueue, stop: &AtomicBool) -> Counts {
    let mut counts = Counts::default();
    let mut burst = Burst::new();
    let start = dpdk::eal::tsc();
    let mut before = start;
    while !stop.load(Ordering::Relaxed) {
        let received = rx.rx_burst(&mut burst);
        if received > 0 {
            counts.packets += tx.tx_burst(&mut burst) as u64;
            counts.dropped += burst.len() as u64;
            burst.clear();
        }
        let now = dpdk::eal::tsc();
        if received > 0 {
            counts.busy += now - before;
        }
        before = now;
    }
    counts.cycles = dpdk::eal::tsc() - start;
    counts
}
