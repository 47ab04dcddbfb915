//! What is fuzzed, and what must hold for any bytes. The same functions run
//! under libFuzzer (`scripts/fuzz`) and, over the corpora kept in
//! `fuzz/corpus`, as ordinary tests (`tests/corpora.rs`).

use weft::config::Config;
use weft::mapping::NodeIndex;
use weft::node::dhcp::{self, Client, Effect, Terms};
use weft::node::igmp::{Filter, Groups, Limits, Link, SOURCES};
use weft::siit::rfc7915::{
    self, Addresses, ClassRule, Context, Done, Hairpin, Mapped4, NoAddress, Refusal, Rules,
    Translated, UdpZero,
};
use weft::time::Time;
use weft::wire::dhcp::{Kind, MIN_LEN, Message};
use weft::wire::{Mac, Saddr, Vaddr, Vni, checksum, ethernet, ipv4, ipv6, udp};

#[path = "arp.rs"]
pub(crate) mod arp;
#[path = "frame.rs"]
pub(crate) mod frame;
#[path = "pool.rs"]
pub(crate) mod pool;
#[path = "snmp.rs"]
pub(crate) mod snmp;

/// A target: its name and what it does with bytes.
pub(crate) type Target = (&'static str, fn(&[u8]));

pub(crate) const ALL: &[Target] = &[
    ("to_ipv6", to_ipv6),
    ("to_ipv4", to_ipv4),
    ("quoted_by_ipv4", quoted_by_ipv4),
    ("quoted_by_ipv6", quoted_by_ipv6),
    ("config", config),
    ("dhcp", dhcp),
    ("pool", pool::pool),
    ("snmp", snmp::snmp),
    ("igmp", igmp),
    ("arp", arp::arp),
    ("frame", frame::frame),
];

/// 192.0.2.0/24 is 2001:db8:1::/120, all else lies in 2001:db8:64::/96.
struct World;

const POOL: [u8; 12] = [0x20, 0x01, 0x0d, 0xb8, 0, 0x64, 0, 0, 0, 0, 0, 0];
const EXPLICIT: [u8; 15] = [0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];

impl Addresses for World {
    fn to_ipv6(&self, address: Vaddr, explicit: bool) -> Result<Saddr, NoAddress> {
        let bytes = address.bytes();
        let mut out = [0; 16];
        if explicit && self.is_explicit(address) {
            out[..15].copy_from_slice(&EXPLICIT);
            out[15] = bytes[3];
            return Ok(out);
        }
        match bytes[0] {
            0 | 127 | 224.. => Err(NoAddress::Illegal),
            10 => Err(NoAddress::Denied),
            172 => Err(NoAddress::Unmapped),
            _ => {
                out[..12].copy_from_slice(&POOL);
                out[12..].copy_from_slice(&bytes);
                Ok(out)
            }
        }
    }

    fn to_ipv4(&self, address: &Saddr) -> Result<Mapped4, NoAddress> {
        if address[..15] == EXPLICIT {
            let address = Vaddr::from_bytes([192, 0, 2, address[15]]);
            return Ok(Mapped4 {
                address,
                explicit: true,
            });
        }
        if address[..12] != POOL {
            return Err(NoAddress::Unmapped);
        }
        let address = Vaddr::from_bytes([address[12], address[13], address[14], address[15]]);
        match address.bytes()[0] {
            0 | 127 | 224.. => Err(NoAddress::Illegal),
            10 => Err(NoAddress::Denied),
            _ => Ok(Mapped4 {
                address,
                explicit: false,
            }),
        }
    }

    fn is_explicit(&self, address: Vaddr) -> bool {
        address.bytes()[..3] == [192, 0, 2]
    }

    fn error_source4(&self, _: &Saddr, _: Vaddr, random: u32) -> Option<Vaddr> {
        Some(Vaddr(0xc633_6400 | random & 0xff))
    }

    fn error_source6(&self, source: Vaddr, _: &Saddr) -> Option<Saddr> {
        (source.0 & 1 == 0).then_some([0x20, 0x01, 0x0d, 0xb8, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    }
}

/// The rules that two bytes choose, and the bytes after them.
fn rules(data: &[u8]) -> Option<(Rules, bool, &[u8])> {
    let ([a, b], packet) = data.split_first_chunk()?;
    let rules = Rules {
        traffic_class: [ClassRule::Copy, ClassRule::Set(0)][usize::from(a & 1)],
        tos: [ClassRule::Copy, ClassRule::Set(0x1c)][usize::from(a >> 1 & 1)],
        udp_zero: [
            UdpZero::Compute,
            UdpZero::Drop,
            UdpZero::Forward,
            UdpZero::Compute,
        ][usize::from(a >> 2 & 3)],
        hairpin: [
            Hairpin::Intrinsic,
            Hairpin::Simple,
            Hairpin::Off,
            Hairpin::Intrinsic,
        ][usize::from(a >> 4 & 3)],
        mtu4: [68, 1280, 1500, 9000][usize::from(b & 3)],
        mtu6: [1280, 1500, 9000, 1400][usize::from(b >> 2 & 3)],
        lowest_ipv6_mtu: [1280, 1400][usize::from(b >> 4 & 1)],
        mtu_plateaus: vec![65535, 32000, 8166, 4352, 2002, 1492, 1006, 508, 296, 68],
        error_source_extension: a & 0x40 != 0,
    };
    Some((rules, a & 0x80 != 0, packet))
}

fn context(rules: &Rules, hairpinned: bool) -> Context<'_, World> {
    Context {
        rules,
        addresses: &World,
        id: 0x1234,
        hairpinned,
    }
}

/// From IPv4. The header checksum is made right: a fuzzer cannot guess it, and
/// a wrong one ends every packet alike.
pub(crate) fn to_ipv6(data: &[u8]) {
    let Some((rules, hairpinned, packet)) = rules(data) else {
        return;
    };
    let mut packet = packet.to_vec();
    seal(&mut packet);
    translate_to_ipv6(&packet, &context(&rules, hairpinned));
}

fn translate_to_ipv6(packet: &[u8], cx: &Context<'_, World>) {
    match rfc7915::to_ipv6(packet, cx) {
        Ok(Done::Whole(translated)) => {
            let out = assemble(packet, &translated);
            let header = ipv6::Header::parse(&out).expect("an IPv6 packet");
            assert_eq!(
                ipv6::HEADER_LEN + usize::from(header.payload_len),
                out.len()
            );
            assert!(
                out.len() <= usize::from(cx.rules.mtu6),
                "{} bytes",
                out.len()
            );
            assert!(!translated.hairpin && header.flow_label == 0);
        }
        Ok(Done::Cut) => {}
        Err(Refusal { .. }) => {}
    }
}

/// From IPv6, and back if that is where it goes.
pub(crate) fn to_ipv4(data: &[u8]) {
    if let Some((rules, _, packet)) = rules(data) {
        translate_to_ipv4(packet, &rules);
    }
}

fn translate_to_ipv4(packet: &[u8], rules: &Rules) {
    match rfc7915::to_ipv4(packet, &context(rules, false)) {
        Ok(Done::Whole(translated)) => {
            let out = assemble(packet, &translated);
            let header = ipv4::Header::parse(&out).expect("an IPv4 packet, its checksum right");
            assert_eq!(usize::from(header.total_len), out.len());
            assert!(!header.has_options());
            if translated.hairpin {
                translate_to_ipv6(&out, &context(rules, true));
            } else {
                assert!(out.len() <= usize::from(rules.mtu4), "{} bytes", out.len());
            }
        }
        Ok(Done::Cut) => {}
        Err(Refusal { .. }) => {}
    }
}

/// The bytes as what an ICMP error quotes: the third byte chooses which.
pub(crate) fn quoted_by_ipv4(data: &[u8]) {
    let Some((rules, hairpinned, [choice, quoted @ ..])) = rules(data) else {
        return;
    };
    let mut quoted = quoted.to_vec();
    seal(&mut quoted);
    let kind = [3, 11, 12, 3][usize::from(choice & 3)];
    let mut packet = vec![
        0x45, 0, 0, 0, 0, 7, 0, 0, 64, 1, 0, 0, 198, 51, 100, 2, 192, 0, 2, 33,
    ];
    packet.extend([kind, choice >> 2 & 7, 0x12, 0x34, 0, choice >> 3, 5, 0x00]);
    packet.extend(quoted);
    let len = (packet.len().min(65_535) as u16).to_be_bytes();
    packet[2..4].copy_from_slice(&len);
    seal(&mut packet);
    translate_to_ipv6(&packet, &context(&rules, hairpinned));
}

/// The same for ICMPv6.
pub(crate) fn quoted_by_ipv6(data: &[u8]) {
    let Some((rules, _, [choice, quoted @ ..])) = rules(data) else {
        return;
    };
    let kind = [1, 2, 3, 4][usize::from(choice & 3)];
    let mut message = vec![kind, choice >> 2 & 7, 0x12, 0x34, choice >> 3, 0, 5, 0x00];
    message.extend(quoted);
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((message.len().min(65_535) as u16).to_be_bytes());
    packet.extend([58, 64]);
    packet.extend([0x20, 0x01, 0x0d, 0xb8, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
    packet.extend(POOL);
    packet.extend([198, 51, 100, 2]);
    packet.extend(message);
    translate_to_ipv4(&packet, &rules);
}

/// A configuration file. What is taken must be taken again from its dump.
pub(crate) fn config(data: &[u8]) {
    if let Ok((config, _)) = Config::parse("fuzz.toml", data) {
        let text = config.to_toml().expect("a configuration is TOML");
        let again = Config::parse("again.toml", text.as_bytes());
        let (again, _) = again.unwrap_or_else(|why| panic!("{why}\n{text}"));
        assert_eq!(again, config);
    }
}

/// IGMP of three nodes, message after message: whose it is and what time went
/// by, its length, its bytes. Both checksums are made right, unless the first
/// byte says otherwise. No more is kept than may be, and silence ends it all.
pub(crate) fn igmp(data: &[u8]) {
    const LIMITS: Limits = Limits {
        groups: 6,
        groups_per_node: 4,
    };
    let mut groups = Groups::new(LIMITS, 1);
    let nodes: Vec<_> = (0..3).filter_map(NodeIndex::new).collect();
    let links = nodes.iter().map(|node| {
        let link = Link {
            name: node.get().to_string(),
            vni: Vni(1 + node.get() / 2),
            querier: Vaddr(0),
            withheld: vec!["224.0.0.0/24".parse().expect("a prefix")],
        };
        (*node, link)
    });
    groups.set_links(links, Time::ZERO);
    let (mut now, mut rest) = (Time::ZERO, data);
    while let Some(([choice, wait, len], further)) = rest.split_first_chunk() {
        let (message, further) = further.split_at(further.len().min(usize::from(*len)));
        rest = further;
        now = now.after(u64::from(*wait) * 200);
        let packet = igmp_packet(message, choice & 0x80 == 0);
        let node = nodes[usize::from(choice & 0x7f) % nodes.len()];
        groups.input(node, &packet, |source| source == Vaddr(0x0a00_0002), now);
        groups.poll(now);
        check_groups(&groups, &nodes, &LIMITS);
    }
    for _ in 0..4 {
        now = now.after(300_000);
        while !groups.poll(now).is_empty() {}
    }
    assert_eq!(groups.groups().count(), 0);
}

fn check_groups(groups: &Groups, nodes: &[NodeIndex], limits: &Limits) {
    let all: usize = groups.groups().map(|(_, _, nodes)| nodes.len()).sum();
    assert!(all <= limits.groups, "{all} memberships");
    for node in nodes {
        let of_one = groups.groups().filter(|it| it.2.contains(node)).count();
        assert!(of_one <= limits.groups_per_node, "{of_one} memberships");
    }
    for (_, group, members) in groups.groups() {
        for node in members {
            let membership = groups.membership(*node, group).expect("a member");
            match membership.filter() {
                Filter::Any => {}
                Filter::Only(sources) | Filter::Except(sources) => {
                    assert!((1..=SOURCES).contains(&sources.len()));
                }
            }
        }
    }
}

fn igmp_packet(message: &[u8], sealed: bool) -> Vec<u8> {
    let mut packet = vec![
        0x46, 0xc0, 0, 0, 0, 0, 0x40, 0, 1, 2, 0, 0, 10, 0, 0, 2, 224, 0, 0, 22, 0x94, 4, 0, 0,
    ];
    packet.extend(message);
    let len = (packet.len() as u16).to_be_bytes();
    packet[2..4].copy_from_slice(&len);
    seal(&mut packet);
    if sealed && message.len() >= 4 {
        packet[26..28].fill(0);
        let sum = checksum::checksum(&packet[24..]).to_be_bytes();
        packet[26..28].copy_from_slice(&sum);
    }
    packet
}

/// The packet that was made, as a caller would send it.
fn assemble(packet: &[u8], translated: &Translated) -> Vec<u8> {
    let mut out = translated.head.to_vec();
    out.extend(&packet[translated.rest.clone()]);
    out
}

/// Makes the header checksum of an IPv4 packet right.
fn seal(packet: &mut [u8]) {
    let Some(first) = packet.first() else {
        return;
    };
    let len = usize::from(first & 0xf) * 4;
    if len < ipv4::HEADER_LEN || packet.len() < len {
        return;
    }
    packet[10..12].fill(0);
    let sum = checksum::checksum(&packet[..len]).to_be_bytes();
    packet[10..12].copy_from_slice(&sum);
}

/// What a client sends from port 68 to port 67: the first byte chooses from
/// where, the rest is the message. Headers are made around it, and the client's
/// hardware address and the cookie into it, as a fuzzer cannot guess them.
pub(crate) fn dhcp(data: &[u8]) {
    const MAC: Mac = Mac([2, 0, 0, 0, 0, 10]);
    let [choice, message @ ..] = data else {
        return;
    };
    let mut message = message.to_vec();
    let whole = message.len() >= 240;
    if whole {
        message[0] = 1 + (choice >> 4 & 1);
        message[1..3].copy_from_slice(&[1, 6]);
        message[28..34].copy_from_slice(&MAC.0);
        message[236..240].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    }
    let source = match choice & 3 {
        0 => [0; 4],
        1 => [10, 0, 0, 2],
        _ => message
            .get(12..16)
            .map_or([0; 4], |at| [at[0], at[1], at[2], at[3]]),
    };
    let destination = [[255; 4], [10, 0, 0, 1]][usize::from(choice >> 2 & 1)];
    let frame = client_frame(MAC, source, destination, &message);
    let list = |count: u8| (0..count).map(|n| Vaddr(u32::from(n))).collect();
    let terms = Terms {
        address: Vaddr(0x0a00_0002),
        subnet: "10.0.0.0/24".parse().expect("a prefix"),
        server: Vaddr(0x0a00_0001),
        server_mac: Mac([0x72, 0, 10, 0, 0, 1]),
        lease: 3600,
        router: Some(Vaddr(0x0a00_0001)),
        routes: vec![
            ("172.16.0.0/12".parse().expect("a prefix"), Vaddr(9));
            usize::from(choice >> 5) * 9
        ],
        dns: list(choice >> 5),
        ntp: list(choice >> 6),
        host_name: (choice & 8 != 0).then(|| "a".to_owned()),
        domain: (choice & 0x40 != 0).then(|| "z.example".to_owned()),
        search: vec!["z.example".to_owned(); usize::from(choice >> 5) * 4],
        mtu: Some(1472),
    };
    let client = Client {
        mac: Some(MAC),
        vlan: None,
    };
    let Ok(answer) = dhcp::answer(&frame, &client, &terms) else {
        return;
    };
    assert!(whole, "less than a message is understood");
    assert!(answer.host_name.chars().all(|c| c.is_ascii_graphic()));
    let Some((kind, reply)) = answer.reply else {
        assert!(matches!(answer.effect, Effect::Declined | Effect::Released));
        return;
    };
    let header = ipv4::Header::parse(&reply[ethernet::HEADER_LEN..]).expect("an IPv4 packet");
    assert_eq!(
        ethernet::HEADER_LEN + usize::from(header.total_len),
        reply.len()
    );
    assert!(header.total_len <= 1472 && header.src == terms.server);
    let data = &reply[ethernet::HEADER_LEN + ipv4::HEADER_LEN + udp::HEADER_LEN..];
    assert!(data.len() >= MIN_LEN);
    let told = Message::parse(data).expect("a message");
    assert_eq!(told.kind(), Some(kind));
    assert_eq!(told.fixed.chaddr, MAC);
    // Nobody is told an address that is another's.
    let own = [Vaddr(0), terms.address].contains(&told.fixed.yiaddr);
    assert!(own && (kind == Kind::Nak || kind == Kind::Ack || kind == Kind::Offer));
}

/// A message as a client sends it, without a checksum over the datagram.
fn client_frame(mac: Mac, source: [u8; 4], destination: [u8; 4], message: &[u8]) -> Vec<u8> {
    let mut frame = Mac::BROADCAST.0.to_vec();
    frame.extend(mac.0);
    frame.extend([8, 0]);
    let len = message.len().min(65_000) as u16;
    let mut header = vec![0x45, 0, 0, 0, 0, 7, 0, 0, 64, 17, 0, 0];
    header[2..4].copy_from_slice(&(len + 28).to_be_bytes());
    header.extend(source);
    header.extend(destination);
    seal(&mut header);
    frame.extend(header);
    frame.extend([0, 68, 0, 67]);
    frame.extend((len + 8).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(&message[..usize::from(len)]);
    frame
}
