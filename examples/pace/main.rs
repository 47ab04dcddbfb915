//! A paced generator: sends numbered, time-stamped frames at a given rate
//! through a program under test, takes what comes back, and says what was
//! lost, doubled or overtaken and how long it was on the way.
//!
//! It is driven by lines on its standard input and answers each with a line of
//! JSON, so that one start of DPDK serves many trials:
//!
//! | Line | What |
//! |---|---|
//! | `run RATE SECONDS spin` | sends for so long, then reports; takes a whole core |
//! | `run RATE SECONDS sleep` | the same, but sleeps between bursts, for a core that is shared |
//! | `start RATE sleep` | sends until `stop`, which reports |
//! | `probe COUNT` | while it sends: one frame a burst to an address that has no mapping yet; says when the first one came back, and goes on to the next address |
//! | `stop` | ends what runs |
//! | `quit` | ends the program |
//!
//! Frames are those of the benchmark: from node A of vnet Z, 60 bytes, to so
//! many far nodes in turn. They are found again whether they come back as
//! IPv4 or as IPv6. Times are of CLOCK_MONOTONIC, so that another process can
//! compare them with its own.

mod account;
mod drive;
mod frame;
mod histogram;

use std::io::BufRead;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use dpdk::{Eal, EalConfig, Mempool, Port, PortConfig, RxQueue, TxQueue};

use drive::{Driver, Idle};

type Failure = Box<dyn std::error::Error>;

const USAGE: &str = "usage: pace CORE FLOWS DEVICE [DEVICE]
  sends on the first device and receives on the last; DEVICE as in DPDK,
  such as net_virtio_user0,path=/run/a.sock,queue_size=1024";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [core, flows, devices @ ..] = args.as_slice() else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    match run(core, flows, devices) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pace: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(core: &str, flows: &str, devices: &[String]) -> Result<(), Failure> {
    if !(1..=2).contains(&devices.len()) {
        return Err(USAGE.into());
    }
    let flows: u32 = flows.parse()?;
    if !flows.is_power_of_two() {
        return Err("the number of flows must be a power of two".into());
    }
    let eal = Eal::init(&EalConfig {
        program: "pace".into(),
        file_prefix: Some(format!("weft-pace-{}", std::process::id())),
        memory_mb: Some(192),
        lcores: vec![(0, core.parse()?)],
        devices: devices.to_vec(),
        // The other side of virtio-user maps the memory file by file.
        extra: vec!["--single-file-segments".into()],
        ..EalConfig::default()
    })?;
    let pool = Mempool::create(&eal, "packets", 32767, 256, 2048, None)?;
    let mut ports = Vec::new();
    let mut queues = Vec::new();
    for device in devices {
        let name = device.split(',').next().unwrap_or_default();
        let mut port = Port::by_name(&eal, name)?;
        queues.push(start(&mut port, &pool)?);
        ports.push(port);
    }
    // What comes back is most of what comes: that device first.
    queues.reverse();
    let mut driver = Driver::new(pool, queues, flows);
    println!("{{\"ready\":true}}");
    let outcome = serve(&mut driver, &commands());
    drop(driver);
    for port in ports {
        port.close()?;
    }
    eal.shutdown()?;
    outcome
}

fn start(port: &mut Port, pool: &Mempool) -> Result<(RxQueue, TxQueue), Failure> {
    let config = PortConfig {
        rx_desc: 4096,
        tx_desc: 4096,
        promiscuous: true,
        ..PortConfig::default()
    };
    let mut started = port.start(&config, std::slice::from_ref(pool))?;
    let queues = started.rx.pop().zip(started.tx.pop());
    Ok(queues.ok_or("a device without queues")?)
}

/// Lines from standard input, read by a thread of their own: the driver never
/// waits for them.
fn commands() -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

fn serve(driver: &mut Driver, lines: &Receiver<String>) -> Result<(), Failure> {
    while let Ok(line) = lines.recv() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let report = match words.as_slice() {
            ["run", rate, seconds, idle] => {
                let seconds = Duration::from_secs_f64(seconds.parse()?);
                driver.drive(rate.parse()?, Some(seconds), idle.parse()?, lines)
            }
            ["start", rate, idle] => driver.drive(rate.parse()?, None, idle.parse()?, lines),
            ["quit"] => return Ok(()),
            _ => return Err(format!("not a command: {line:?}").into()),
        };
        println!("{report}");
    }
    Ok(())
}

impl std::str::FromStr for Idle {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Idle, Failure> {
        match text {
            "spin" => Ok(Idle::Spin),
            "sleep" => Ok(Idle::Sleep),
            _ => Err(format!("neither `spin` nor `sleep`: {text:?}").into()),
        }
    }
}
