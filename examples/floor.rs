//! The least code that does the work of the outbound walk: receive, look up,
//! put an IPv6 header in the place of the IPv4 header, adjust the checksum,
//! send. It checks nothing, knows one sender and one next hop, and counts only
//! packets: what it costs is what a walk cannot go below on this machine.
//!
//! ```text
//! floor CAPTURE CORE SECONDS
//! ```
//!
//! The capture holds untagged IPv4/UDP frames and is repeated without end.
//! Prints packets per second.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dpdk::{Burst, Eal, EalConfig, Mbuf, Mempool, Port, PortConfig, RxQueue, TxQueue};
use weft::mapping::{
    Domain, Found, HostIndex, Key, Limits, Mapping, Participant, Reader, Target, Writer,
};
use weft::wire::{Layout, Locator, Vaddr, Vni, checksum, ethernet, ipv4, ipv6};

const VNI: Vni = Vni(0x5a_0001);
const MAPPINGS: u32 = 1 << 10;
const BURST: usize = 32;
const LINK: usize = ethernet::HEADER_LEN;
/// Where the checksum of UDP lies behind the IPv6 header.
const UDP_CHECKSUM: usize = 6;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.as_slice() {
        [capture, core, seconds] => match run(capture, core, seconds) {
            Ok(rate) => {
                println!("{rate:.0}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("floor: {error}");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("usage: floor CAPTURE CORE SECONDS");
            ExitCode::FAILURE
        }
    }
}

type Failure = Box<dyn std::error::Error>;

fn run(capture: &str, core: &str, seconds: &str) -> Result<f64, Failure> {
    let seconds = Duration::from_secs_f64(seconds.parse()?);
    let rx = format!("net_pcap0,rx_pcap={capture},infinite_rx=1");
    let eal = Eal::init(&EalConfig {
        program: "floor".into(),
        memory_mb: Some(256),
        lcores: vec![(0, 0), (1, core.parse()?)],
        devices: vec![rx, "net_null0,no-rx=1".into()],
        ..EalConfig::default()
    })?;
    let pools = [Mempool::create(&eal, "packets", 16383, 256, 2048, None)?];
    let mut source = Port::by_name(&eal, "net_pcap0")?;
    let mut sink = Port::by_name(&eal, "net_null0")?;
    let config = PortConfig::default();
    let mut from = source.start(&config, &pools)?;
    let mut to = sink.start(&config, &pools)?;
    let queues = from.rx.pop().zip(to.tx.pop()).ok_or("no queues")?;
    drop((from, to));
    let domain = Domain::default();
    let mut writer = Writer::new(&domain, Limits::default())?;
    let host = HostIndex::new(0).ok_or("no host")?;
    for n in 0..MAPPINGS {
        // The far nodes of the benchmark's frames.
        let far = Vaddr(0x0a80_0000 + n);
        writer.insert(Key::new(VNI.0, far.0), Mapping::new(Target::Remote(host)))?;
    }
    let rewriter = Rewriter {
        reader: writer.readers().reader(),
        pin: domain.register()?,
        header: header()?,
        missed: 0,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicU64::new(0));
    let (until, count) = (Arc::clone(&stop), Arc::clone(&sent));
    eal.launch(1, move || forward(rewriter, queues, &until, &count))?;
    std::thread::sleep(Duration::from_millis(300));
    let (first, started) = (sent.load(Ordering::Relaxed), Instant::now());
    std::thread::sleep(seconds);
    let rate = (sent.load(Ordering::Relaxed) - first) as f64 / started.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    eal.wait(1)?;
    source.close()?;
    sink.close()?;
    if rate == 0.0 {
        return Err("nothing was sent: are the frames those of the benchmark?".into());
    }
    Ok(rate)
}

/// Link and IPv6 header, but for lengths and the destination's last word; and
/// what both addresses add to a checksum.
fn header() -> Result<([u8; LINK + ipv6::HEADER_LEN], u16), Failure> {
    let [r, s]: [Locator; 2] = [
        "2001:db8:0:a:100::/72".parse()?,
        "2001:db8:0:b:200::/72".parse()?,
    ];
    let node: Vaddr = "10.0.0.2".parse()?;
    let [src, dst] = [(r, node), (s, Vaddr(0))]
        .map(|(locator, vaddr)| Layout::P72.compose(&locator, VNI, vaddr));
    let part = |locator| Layout::P72.checksum_part(locator, VNI);
    let delta = checksum::fold(part(&r) + part(&s));
    let mut bytes = [0; LINK + ipv6::HEADER_LEN];
    bytes[..6].copy_from_slice(&[0x02, 0, 0, 0, 0, 0xff]);
    bytes[6..12].copy_from_slice(&[0x02, 0, 0, 0, 0, 0x01]);
    bytes[12..14].copy_from_slice(&ethernet::ethertype::IPV6.to_be_bytes());
    let ip = ipv6::Header {
        traffic_class: 0,
        flow_label: 0x40a00,
        payload_len: 0,
        next_header: 17,
        hop_limit: 64,
        src,
        dst,
    };
    bytes[LINK..].copy_from_slice(&ip.bytes());
    Ok((bytes, delta))
}

struct Rewriter {
    reader: Reader,
    pin: Participant,
    header: ([u8; LINK + ipv6::HEADER_LEN], u16),
    missed: u64,
}

impl Rewriter {
    fn burst(&mut self, burst: &mut Burst) {
        let mut keys = [Key::new(0, 0); BURST];
        let mut found = [Found::NOTHING; BURST];
        for (key, packet) in keys.iter_mut().zip(burst.iter()) {
            let at = LINK + ipv4::field::DESTINATION;
            let word = packet.data().get(at..).and_then(|rest| rest.first_chunk());
            *key = Key::new(VNI.0, word.map_or(0, |word| u32::from_be_bytes(*word)));
        }
        let n = burst.len();
        self.reader
            .lookup_burst(&self.pin, &keys[..n], &mut found[..n]);
        for ((packet, key), found) in burst.iter_mut().zip(keys).zip(found) {
            if found.is_nothing() || self.rewrite(packet, key).is_none() {
                self.missed += 1;
            }
        }
        self.pin.quiescent();
    }

    fn rewrite(&self, packet: &mut Mbuf, key: Key) -> Option<()> {
        packet.prepend(ipv6::HEADER_LEN - ipv4::HEADER_LEN).ok()?;
        let data = packet.data_mut();
        let length = (data.len() - LINK - ipv6::HEADER_LEN) as u16;
        let (front, payload) = data.split_first_chunk_mut::<{ LINK + ipv6::HEADER_LEN }>()?;
        *front = self.header.0;
        front[LINK + ipv6::field::PAYLOAD_LEN..][..2].copy_from_slice(&length.to_be_bytes());
        front[LINK + ipv6::HEADER_LEN - 4..].copy_from_slice(&key.vaddr().to_be_bytes());
        let field = payload.get_mut(UDP_CHECKSUM..)?.first_chunk_mut()?;
        let sum = checksum::adjust(u16::from_be_bytes(*field), self.header.1);
        *field = sum.to_be_bytes();
        Some(())
    }
}

fn forward(
    mut rewriter: Rewriter,
    (mut rx, mut tx): (RxQueue, TxQueue),
    stop: &AtomicBool,
    sent: &AtomicU64,
) {
    let mut burst = Burst::new();
    let mut total = 0;
    while !stop.load(Ordering::Relaxed) {
        if rx.rx_burst(&mut burst) > 0 {
            rewriter.burst(&mut burst);
            total += tx.tx_burst(&mut burst) as u64;
            burst.clear();
            // Frames that are not found would make the floor look lower.
            let counted = if rewriter.missed == 0 { total } else { 0 };
            sent.store(counted, Ordering::Relaxed);
        }
    }
}
