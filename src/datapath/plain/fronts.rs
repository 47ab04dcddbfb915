//! The first look at a burst of a node's port: what is asked of all packets
//! alike, of as many at once as fit a register of the processor.
//!
//! The fronts of frames are laid out word by word first. The rules are then a
//! loop over these columns without a branch and without a call, in numbers of
//! 64 bits, which the compiler turns into instructions for four or eight
//! packets. There is no other form of it: where registers are narrower the same
//! loop does fewer at once. Whatever is wrong with a packet sets bits in one
//! word, and all is well if it is zero.

use crate::mapping::{Key, NodeIndex};
use crate::packet::{Meta, Packet};
use crate::siit::plain::{self, First, Form};
use crate::wire::load::le64;
use crate::wire::{ethernet, flow, ipv4, protocol, tcp, udp};

use super::super::BURST;
use super::super::topology::PortRecord;
use super::tables::{ROUTER, Sender, Tables};
use super::{IPV4_FRONT, ROUTED};

/// Where the IPv4 header begins, and what follows it.
const L3: usize = ethernet::HEADER_LEN;
const L4: usize = L3 + ipv4::HEADER_LEN;

/// Of 64 bits: what a column holds of a smaller number.
const LOW: u64 = u32::MAX as u64;
/// The sign: of what is less than nothing.
const BELOW: u64 = 1 << 63;

/// Words of frames, little end first, and what is found about them. Columns
/// have the places of the burst.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Fronts {
    /// Bytes 0 to 7 and 8 to 15.
    link: [[u64; BURST]; 2],
    /// The first two words of the IPv4 header, the next two, and the last
    /// with the ports.
    ab: [u64; BURST],
    cd: [u64; BURST],
    e: [u64; BURST],
    /// Bytes behind the IPv4 header; less than any packet has if it is not to
    /// be looked at.
    rooms: [u64; BURST],
}

impl Default for Fronts {
    fn default() -> Fronts {
        let column = [0; BURST];
        Fronts {
            link: [column; 2],
            ab: column,
            cd: column,
            e: column,
            rooms: column,
        }
    }
}

/// What is found of packets that are plain.
pub(super) struct Columns<'a> {
    pub keys: &'a mut [Key; BURST],
    pub firsts: &'a mut [First; BURST],
    pub flows: &'a mut [u64; BURST],
    /// Not zero of what is not plain.
    pub faults: &'a mut [u64; BURST],
}

/// What was found of all packets together.
#[derive(Default)]
pub(super) struct Sum {
    /// Not zero if some are not plain.
    pub faults: u64,
    /// Not zero if some were given to a gateway.
    pub routed: u64,
    /// Whether SYNs of some are changed on their way.
    pub clamps: bool,
}

/// What packets of a sender are held against, as numbers of a column.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    bytes: [u64; 2],
    known: [u64; 2],
    source: u64,
    net: u64,
    mask: u64,
    gateway: u64,
    /// Its vnet, where a key has it.
    vnet: u64,
    clamps: bool,
    header: Form,
}

impl Rules {
    #[inline(always)]
    fn of(sender: &Sender) -> Rules {
        let number = |as_it_lies: u32| u64::from(as_it_lies.to_le());
        let (bytes, known) = sender.form.words();
        Rules {
            bytes,
            known,
            source: number(sender.source),
            net: number(sender.net),
            mask: number(sender.mask),
            gateway: number(sender.gateway),
            vnet: sender.own & !LOW,
            clamps: sender.clamps,
            header: sender.header,
        }
    }
}

/// Who may have sent the packets of a burst. `nodes` is what was noted of each
/// packet, where they are several.
pub(super) trait Senders: Copy {
    /// Whether it is to be found out packet by packet.
    const SEVERAL: bool;

    /// The node that a frame is of.
    fn find(&self, frame: &[u8; IPV4_FRONT]) -> Option<NodeIndex>;

    fn node(&self, nodes: &[NodeIndex; BURST], k: usize) -> NodeIndex;

    fn sender(&self, nodes: &[NodeIndex; BURST], k: usize) -> &Sender;

    /// What the sender adds to a checksum, and the bits of it that count.
    fn part(&self, nodes: &[NodeIndex; BURST], k: usize) -> (u64, u64);

    /// By value: what a loop stores meanwhile cannot change them.
    fn rules(&self, nodes: &[NodeIndex; BURST], k: usize) -> Rules;
}

/// The one node behind a port.
#[derive(Clone, Copy)]
pub(super) struct Sole<'a> {
    node: NodeIndex,
    sender: &'a Sender,
    rules: Rules,
    part: (u64, u64),
}

impl<'a> Sole<'a> {
    #[inline(always)]
    pub(super) fn new(tables: &'a Tables, node: NodeIndex) -> Option<Sole<'a>> {
        let sender = tables.senders.get(node.index())?;
        Some(Sole {
            node,
            sender,
            rules: Rules::of(sender),
            part: part_of(sender),
        })
    }
}

impl Senders for Sole<'_> {
    const SEVERAL: bool = false;

    #[inline(always)]
    fn find(&self, _: &[u8; IPV4_FRONT]) -> Option<NodeIndex> {
        Some(self.node)
    }

    #[inline(always)]
    fn node(&self, _: &[NodeIndex; BURST], _: usize) -> NodeIndex {
        self.node
    }

    #[inline(always)]
    fn sender(&self, _: &[NodeIndex; BURST], _: usize) -> &Sender {
        self.sender
    }

    #[inline(always)]
    fn part(&self, _: &[NodeIndex; BURST], _: usize) -> (u64, u64) {
        self.part
    }

    #[inline(always)]
    fn rules(&self, _: &[NodeIndex; BURST], _: usize) -> Rules {
        self.rules
    }
}

/// Nodes behind one port, told apart by their MACs.
#[derive(Clone, Copy)]
pub(super) struct Several<'a> {
    tables: &'a Tables,
    port: &'a PortRecord,
    /// Stands for what is not in the tables.
    any: &'a Sender,
}

impl<'a> Several<'a> {
    #[inline(always)]
    pub(super) fn new(tables: &'a Tables, port: &'a PortRecord) -> Option<Several<'a>> {
        let any = tables.senders.first()?;
        Some(Several { tables, port, any })
    }

    #[inline(always)]
    fn get(&self, node: NodeIndex) -> &'a Sender {
        self.tables.senders.get(node.index()).unwrap_or(self.any)
    }
}

impl Senders for Several<'_> {
    const SEVERAL: bool = true;

    #[inline(always)]
    fn find(&self, frame: &[u8; IPV4_FRONT]) -> Option<NodeIndex> {
        let node = among(self.port, frame)?;
        (node.index() < self.tables.senders.len()).then_some(node)
    }

    #[inline(always)]
    fn node(&self, nodes: &[NodeIndex; BURST], k: usize) -> NodeIndex {
        nodes[k % BURST]
    }

    #[inline(always)]
    fn sender(&self, nodes: &[NodeIndex; BURST], k: usize) -> &Sender {
        self.get(nodes[k % BURST])
    }

    #[inline(always)]
    fn part(&self, nodes: &[NodeIndex; BURST], k: usize) -> (u64, u64) {
        part_of(self.get(nodes[k % BURST]))
    }

    #[inline(always)]
    fn rules(&self, nodes: &[NodeIndex; BURST], k: usize) -> Rules {
        Rules::of(self.get(nodes[k % BURST]))
    }
}

#[inline(always)]
fn part_of(sender: &Sender) -> (u64, u64) {
    (sender.part.into(), sender.adjusts.into())
}

/// The sender behind a port of several.
#[inline(never)]
fn among(port: &PortRecord, frame: &[u8; IPV4_FRONT]) -> Option<NodeIndex> {
    port.nodes.find(0, ethernet::Header::parse(frame)?.source)
}

impl Fronts {
    /// Lays out the fronts of packets, and notes who sent them.
    #[inline(always)]
    pub(super) fn read<P: Packet, S: Senders>(
        &mut self,
        senders: S,
        packets: &[P],
        metas: &[Meta],
        nodes: &mut [NodeIndex; BURST],
        sums: &mut [u64; BURST],
    ) {
        for i in 0..packets.len().min(metas.len()).min(BURST) {
            let head = packets[i].head();
            let frame = match head.first_chunk::<IPV4_FRONT>() {
                Some(frame) if packets[i].is_simple() && metas[i].is_plain() => frame,
                _ => {
                    self.rooms[i] = 0;
                    continue;
                }
            };
            self.link[0][i] = le64(frame, 0);
            self.link[1][i] = le64(frame, 8);
            self.ab[i] = le64(frame, L3);
            self.cd[i] = le64(frame, L3 + 8);
            self.e[i] = le64(frame, L3 + 16);
            self.rooms[i] = (head.len() - L4) as u64;
            let sum = L4 + plain::checksum_at(frame[L3 + ipv4::field::PROTOCOL]);
            match head.get(sum..).and_then(|field| field.first_chunk()) {
                Some(sum) => sums[i] = u64::from(u16::from_ne_bytes(*sum)),
                None => self.rooms[i] = 0,
            }
            if S::SEVERAL {
                match senders.find(frame) {
                    Some(node) => nodes[i] = node,
                    None => self.rooms[i] = 0,
                }
            }
        }
    }

    /// Holds the first `n` packets against the rules of their senders.
    #[inline(always)]
    pub(super) fn judge<S: Senders>(
        &mut self,
        senders: S,
        nodes: &[NodeIndex; BURST],
        n: usize,
        out: Columns<'_>,
    ) -> Sum {
        let Fronts {
            link: [link0, link1],
            ab,
            cd,
            e,
            rooms,
        } = self;
        let mut sum = Sum::default();
        for i in 0..n.min(BURST) {
            let rules = senders.rules(nodes, i);
            let words = Words {
                link: [link0[i], link1[i]],
                ab: ab[i],
                cd: cd[i],
                e: e[i],
            };
            let near = words.to_neighbor(&rules);
            let reached = if near == 0 {
                0
            } else {
                words.to_gateway(&rules)
            };
            let fault =
                reached | words.of_sender(&rules) | words.header() | words.lengths(rooms[i]);
            let flow = flow::mix(words.addresses(), words.protocol(), words.e >> 32);
            let routed = if near == 0 { 0 } else { ROUTED };
            let header = [words.ab.swap_bytes(), words.cd.swap_bytes()];
            out.firsts[i] = rules.header.first(header, flow::entropy(flow as u32));
            out.keys[i] = Key::from_number(rules.vnet | words.e.swap_bytes() >> 32);
            out.flows[i] = flow | routed;
            out.faults[i] = fault;
            sum.faults |= fault;
            sum.routed |= if fault == 0 { routed } else { 0 };
            sum.clamps |= rules.clamps;
        }
        sum
    }
}

/// The words of one packet. Each question is answered by zero, or by bits that
/// say no.
struct Words {
    link: [u64; 2],
    ab: u64,
    cd: u64,
    e: u64,
}

impl Words {
    #[inline(always)]
    fn destination(&self) -> u64 {
        self.e & LOW
    }

    #[inline(always)]
    fn protocol(&self) -> u64 {
        self.cd >> 8 & 0xff
    }

    #[inline(always)]
    fn is(&self, protocol: u8) -> bool {
        self.cd & 0xff00 == u64::from(protocol) << 8
    }

    /// Both, as they lie in the header.
    #[inline(always)]
    fn addresses(&self) -> u64 {
        self.cd >> 32 | self.e << 32
    }

    /// The last four bytes of the MAC that it is for.
    #[inline(always)]
    fn mac(&self) -> u64 {
        self.link[0] >> 16 & LOW
    }

    #[inline(always)]
    fn form(&self, rules: &Rules) -> [u64; 2] {
        [0, 1].map(|i: usize| self.link[i] & rules.known[i] ^ rules.bytes[i])
    }

    /// The MAC of a neighbour ends with its address.
    #[inline(always)]
    fn to_neighbor(&self, rules: &Rules) -> u64 {
        let [first, second] = self.form(rules);
        let net = self.destination() & rules.mask ^ rules.net;
        first | second | self.mac() ^ self.destination() | net
    }

    /// For the sender's gateway, and for nobody whom the sender could reach by
    /// itself.
    #[inline(always)]
    fn to_gateway(&self, rules: &Rules) -> u64 {
        let [first, second] = self.form(rules);
        let inside = self.destination() & rules.mask == rules.net;
        let inside = if inside { 1 } else { 0 };
        // As if for a neighbour.
        first ^ u64::from(ROUTER) | second | self.mac() ^ rules.gateway | inside
    }

    /// From its own address, and not to a group, which is nobody's.
    #[inline(always)]
    fn of_sender(&self, rules: &Rules) -> u64 {
        let group = if self.e & 0xf0 == 0xe0 { 1 } else { 0 };
        self.cd >> 32 ^ rules.source | group
    }

    /// Neither a fragment nor without TTL, its checksum right.
    #[inline(always)]
    fn header(&self) -> u64 {
        let part = self.ab & 0xff3f << 48;
        let spent = if self.cd & 0xff == 0 { 1 } else { 0 };
        let halves = |word: u64| (word & LOW) + (word >> 32);
        let sum = halves(self.ab) + halves(self.cd) + self.destination();
        let sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
        // Carries are left only of sums that are 0xffff with them.
        let sum = (sum & 0xffff) + (sum >> 16);
        part | spent | sum ^ 0xffff
    }

    /// TCP or UDP, with a header of that, and as long as it says or longer.
    #[inline(always)]
    fn lengths(&self, room: u64) -> u64 {
        let total = self.ab.swap_bytes() >> 32 & 0xffff;
        let payload = total.wrapping_sub(ipv4::HEADER_LEN as u64);
        let udp = if self.is(protocol::UDP) {
            udp::HEADER_LEN as u64
        } else {
            LOW
        };
        let least = if self.is(protocol::TCP) {
            tcp::HEADER_LEN as u64
        } else {
            udp
        };
        (payload.wrapping_sub(least) | room.wrapping_sub(payload)) & BELOW
    }
}
