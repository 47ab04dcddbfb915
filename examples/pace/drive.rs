//! Sending at a rate, and receiving meanwhile.
//!
//! The schedule is the clock's: what is due is sent in bursts. A generator that
//! was not scheduled for a while does not make up for it at once, since that
//! would be another load than the one asked for: what it is behind by more
//! than a few bursts is not sent at all, and is reported as `skipped`.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use dpdk::{Burst, Mempool, RxQueue, TxQueue};
use rustix::time::{ClockId, clock_gettime};

use super::account::Account;
use super::frame::{self, Builder, FRAME, Kind, Stamp};
use super::histogram::Histogram;

const BURST: u64 = 32;
/// What may be sent late, at least.
const DEBT: u64 = 4 * BURST;
/// A sleep costs tens of microseconds on a virtual machine: so many a second.
const WAKES: f64 = 2000.0;
/// How long frames are waited for when the last one is sent.
const DRAIN: u64 = 200_000_000;
/// Commands are looked for so often.
const LISTEN: u64 = 100_000;

/// What to do between bursts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    /// Receive, without end: times are exact, and the core is taken.
    Spin,
    /// Sleep until the next burst is due.
    Sleep,
}

pub(crate) struct Driver {
    pool: Mempool,
    /// Sent on is the last, received from are all, the first first.
    wires: Vec<(RxQueue, TxQueue)>,
    builder: Builder,
    burst: Burst,
}

/// One run.
struct Flight {
    account: Account,
    latency: Histogram,
    sent: u64,
    refused: u64,
    skipped: u64,
    foreign: u64,
    probe: Option<Probe>,
}

/// The address that is asked for now, of so many.
#[derive(Clone, Copy)]
struct Probe {
    number: u64,
    count: u64,
}

pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

impl Driver {
    pub(crate) fn new(pool: Mempool, wires: Vec<(RxQueue, TxQueue)>, flows: u32) -> Driver {
        Driver {
            pool,
            wires,
            builder: Builder::new(flows),
            burst: Burst::new(),
        }
    }

    /// Sends for so long, or until it is told to stop; then waits for what is
    /// still on its way. Returns the report.
    pub(crate) fn drive(
        &mut self,
        rate: f64,
        length: Option<Duration>,
        idle: Idle,
        lines: &Receiver<String>,
    ) -> serde_json::Value {
        let mut flight = Flight::new();
        let interval = 1e9 / rate;
        // Frames that are sent together wait for one another: bursts are as
        // small as the way of waiting allows.
        let together = match idle {
            Idle::Spin => ((rate / 250_000.0) as u64).clamp(1, BURST),
            Idle::Sleep => ((rate / WAKES) as u64).clamp(1, 8 * BURST),
        };
        let debt = DEBT.max(2 * together);
        let start = now();
        let end = length.map_or(u64::MAX, |length| start + length.as_nanos() as u64);
        let (mut time, mut listened) = (start, start);
        let mut done = 0;
        while time < end {
            let due = ((time - start) as f64 / interval) as u64;
            if due > done + debt {
                flight.skipped += due - debt - done;
                done = due - debt;
            }
            while due - done >= together.min(BURST) {
                let burst = BURST.min(due - done);
                done += burst;
                self.send(&mut flight, burst, time);
            }
            self.receive(&mut flight);
            if time > listened + LISTEN {
                listened = time;
                match lines.try_recv().as_deref() {
                    Ok("stop") => break,
                    Ok(line) => flight.told(line),
                    Err(_) => {}
                }
            }
            time = now();
            let next = start + ((done + together) as f64 * interval) as u64;
            if idle == Idle::Sleep && next > time + 10_000 {
                std::thread::sleep(Duration::from_nanos(next - time));
                time = now();
            }
        }
        let seconds = (time - start) as f64 / 1e9;
        flight.probe = None;
        self.drain(&mut flight);
        flight.report(rate, seconds)
    }

    fn send(&mut self, flight: &mut Flight, burst: u64, time: u64) {
        self.burst.clear();
        if let Some(probe) = flight.probe {
            self.add(Kind::Probe, probe.number, time);
        }
        let probes = self.burst.len() as u64;
        let mut numbers = flight.sent..flight.sent + burst - probes.min(burst - 1);
        while let Some(number) = numbers.next() {
            if !self.add(Kind::Stream, number, time) {
                // All buffers are in rings: nothing was offered.
                flight.skipped += 1 + numbers.count() as u64;
                break;
            }
        }
        let Some((_, queue)) = self.wires.last_mut() else {
            return;
        };
        let offered = self.burst.len() as u64;
        let taken = queue.tx_burst(&mut self.burst) as u64;
        // Their numbers are used again: they were never sent.
        self.burst.clear();
        flight.refused += offered - taken;
        flight.sent += taken.saturating_sub(probes);
    }

    /// False if there is no buffer for it.
    fn add(&mut self, kind: Kind, number: u64, time: u64) -> bool {
        let Some(mut packet) = self.pool.alloc() else {
            return false;
        };
        let room = packet.append(FRAME).ok();
        let Some(room) = room.and_then(|room| room.first_chunk_mut()) else {
            return false;
        };
        self.builder.write(room, Stamp { kind, number, time });
        self.burst.try_push(packet).is_ok()
    }

    /// Takes what has come, all of it.
    fn receive(&mut self, flight: &mut Flight) -> usize {
        let mut all = 0;
        for (queue, _) in &mut self.wires {
            loop {
                let count = queue.rx_burst(&mut self.burst);
                if count == 0 {
                    break;
                }
                let time = now();
                for packet in &self.burst {
                    match frame::read(packet.data()) {
                        Some(stamp) => flight.take(stamp, time),
                        None => flight.foreign += 1,
                    }
                }
                all += count;
                dpdk::mbuf::free_bulk(&mut self.burst);
            }
        }
        all
    }

    fn drain(&mut self, flight: &mut Flight) {
        let mut until = now() + DRAIN;
        loop {
            let count = self.receive(flight);
            let time = now();
            if count > 0 {
                until = time + DRAIN;
            } else if time > until || flight.account.received == flight.sent {
                return;
            } else {
                std::thread::sleep(Duration::from_micros(100));
            }
        }
    }
}

impl Flight {
    fn new() -> Flight {
        Flight {
            account: Account::new(),
            latency: Histogram::new(),
            sent: 0,
            refused: 0,
            skipped: 0,
            foreign: 0,
            probe: None,
        }
    }

    fn told(&mut self, line: &str) {
        let count = line
            .strip_prefix("probe ")
            .and_then(|rest| rest.parse().ok());
        match count {
            Some(count) => self.probe = Some(Probe { number: 0, count }),
            None => eprintln!("pace: not a command while sending: {line:?}"),
        }
    }

    fn take(&mut self, stamp: Stamp, time: u64) {
        match (stamp.kind, self.probe) {
            (Kind::Stream, _) => {
                self.account.add(stamp.number);
                self.latency.add(time.saturating_sub(stamp.time));
            }
            (Kind::Probe, Some(probe)) if probe.number == stamp.number => {
                let first = serde_json::json!({
                    "probe": stamp.number,
                    "sent": stamp.time,
                    "seen": time,
                });
                println!("{first}");
                let number = probe.number + 1;
                self.probe = (number < probe.count).then_some(Probe { number, ..probe });
            }
            // A second frame to an address that has been seen.
            (Kind::Probe, _) => {}
        }
    }

    fn report(&self, rate: f64, seconds: f64) -> serde_json::Value {
        let account = &self.account;
        let offered = self.sent + self.refused;
        serde_json::json!({
            "rate": rate,
            "seconds": seconds,
            "sent": self.sent,
            "received": account.received,
            "lost": self.sent - account.received.min(self.sent),
            "refused": self.refused,
            "skipped": self.skipped,
            "offered_pps": offered as f64 / seconds,
            "duplicates": account.duplicates,
            "reordered": account.reordered,
            "stale": account.stale,
            "foreign": self.foreign,
            "latency_ns": self.latency.json(),
        })
    }
}
