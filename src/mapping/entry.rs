//! Keys and values as the rest of weft sees them, and the words they are in
//! the table.
//!
//! A mapping holds no substrate address. It names a host, and the address is
//! composed from the host table, the vni and the vaddr, so that a host that
//! moves or dies changes in one place.

use std::{fmt, net::Ipv4Addr};

use crate::wire::{Mac, Mark};

/// A virtual address in its vnet: what the table is asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Key(u64);

impl Key {
    /// The key of `vaddr` (host byte order) in the vnet `vni`.
    #[inline]
    pub const fn new(vni: u32, vaddr: u32) -> Self {
        Self((vni as u64) << 32 | vaddr as u64)
    }

    /// The vnet.
    #[inline]
    pub const fn vni(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The virtual address, host byte order.
    #[inline]
    pub const fn vaddr(self) -> u32 {
        self.0 as u32
    }

    /// Vnet and address as one number.
    #[inline(always)]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The key that is this number.
    #[inline(always)]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    #[inline(always)]
    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    #[inline]
    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:#08x}/{}",
            self.vni(),
            Ipv4Addr::from_bits(self.vaddr())
        )
    }
}

/// Indices are 28 bits wide: a target is one word with its kind.
const INDEX_BITS: u32 = 28;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;
/// Hosts leave seven of them to a mark, of which I/G is never set.
const HOST_BITS: u32 = 21;
const HOST_MASK: u32 = (1 << HOST_BITS) - 1;

macro_rules! index {
    ($(#[$doc:meta])* $name:ident $mask:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(u32);

        impl $name {
            /// The largest index a mapping can hold.
            pub const MAX: Self = Self($mask);

            /// `None` above [`MAX`](Self::MAX).
            #[inline]
            pub const fn new(index: u32) -> Option<Self> {
                if index <= $mask { Some(Self(index)) } else { None }
            }

            /// The index as a number.
            #[inline]
            pub const fn get(self) -> u32 {
                self.0
            }

            /// The index as a place in a slice.
            #[inline]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

index! {
    /// A place in the table of nodes of this host.
    NodeIndex INDEX_MASK
}
index! {
    /// A place in the host table (locator, next hops).
    HostIndex HOST_MASK
}
index! {
    /// A place in the side table of odd targets: other vnets, systems weft
    /// does not manage, edges.
    SideIndex INDEX_MASK
}

/// Where frames for a key go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A node of this host.
    Local(NodeIndex),
    /// A node behind another host.
    Remote(HostIndex),
    /// Described in the side table.
    Side(SideIndex),
    /// Dropped without an answer.
    Blackhole,
    /// The managers refuse this destination to this vnet.
    Refused,
    /// A node of this host had it until lately: whoever still writes to it is
    /// told.
    Gone,
}

impl Target {
    const LOCAL: u32 = 0;
    const REMOTE: u32 = 1;

    #[inline]
    const fn encode(self) -> u32 {
        let (kind, index) = match self {
            Self::Local(node) => (Self::LOCAL, node.0),
            Self::Remote(host) => (Self::REMOTE, host.0),
            Self::Side(side) => (2, side.0),
            Self::Blackhole => (3, 0),
            Self::Refused => (4, 0),
            Self::Gone => (6, 0),
        };
        kind << INDEX_BITS | index
    }

    #[inline(always)]
    const fn decode(word: u32) -> Self {
        let index = word & INDEX_MASK;
        match word >> INDEX_BITS {
            Self::LOCAL => Self::Local(NodeIndex(index)),
            Self::REMOTE => Self::Remote(HostIndex(index & HOST_MASK)),
            2 => Self::Side(SideIndex(index)),
            3 => Self::Blackhole,
            6 => Self::Gone,
            // Only `encode` makes these words, so 4; a word that is none of
            // ours must not send frames anywhere either.
            _ => Self::Refused,
        }
    }
}

/// What the table holds for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mapping {
    /// Where frames go.
    pub target: Target,
    /// Second of the appliance's clock at which it ends; 0: never.
    pub expires: u32,
    /// The host it was at before, and the second until which frames from
    /// there are still its own.
    pub previous: Option<(HostIndex, u32)>,
    /// Bits 64 to 71 of its address at a remote host, I/G apart; none but in
    /// layout `slot`.
    pub mark: Mark,
    /// The MAC that it was given, if it is at a host. An answer of a burst
    /// leaves it out: few ask for it.
    pub mac: Option<Mac>,
}

impl Mapping {
    /// A mapping that never expires and was nowhere else before.
    #[inline]
    pub const fn new(target: Target) -> Self {
        Self {
            target,
            expires: 0,
            previous: None,
            mark: Mark::NONE,
            mac: None,
        }
    }

    /// Whether it has ended at `now`. Lookups do not ask: the walk has the
    /// clock, and counts an expired mapping apart from a missing one.
    #[inline]
    pub const fn is_expired(&self, now: u32) -> bool {
        self.expires != 0 && self.expires <= now
    }

    /// The host it was at before, if frames from there still count at `now`.
    #[inline]
    pub fn previous_at(&self, now: u32) -> Option<HostIndex> {
        self.previous
            .and_then(|(host, until)| (now < until).then_some(host))
    }

    #[inline]
    pub(super) const fn encode(self) -> Words {
        let previous = match self.previous {
            Some((host, until)) => PREVIOUS | host.0 as u64 | (until as u64) << 32,
            None => 0,
        };
        [
            self.target.encode() as u64 | self.mark_bits() | (self.expires as u64) << 32,
            previous,
            match self.mac {
                Some(Mac([a, b, c, d, e, f])) => u64::from_be_bytes([0, 0, a, b, c, d, e, f]),
                None => 0,
            },
        ]
    }

    /// Where the word of a remote target has room for them.
    const fn mark_bits(self) -> u64 {
        match self.target {
            Target::Remote(_) => ((self.mark.byte() >> 1) as u64) << HOST_BITS,
            _ => 0,
        }
    }

    #[inline(always)]
    pub(super) const fn decode(words: Words) -> Self {
        let [value, previous, mac] = words;
        let host = HostIndex(previous as u32 & HOST_MASK);
        Self {
            target: Target::decode(value as u32),
            mark: mark_of(value as u32),
            expires: (value >> 32) as u32,
            previous: if previous & PREVIOUS != 0 {
                Some((host, (previous >> 32) as u32))
            } else {
                None
            },
            // No device has the MAC of zeros.
            mac: if mac == 0 { None } else { Some(mac_of(mac)) },
        }
    }
}

/// The answer to one question of a burst, as it stands in the table. Two words
/// are written and read with less work than a [`Mapping`], and
/// [`mapping`](Self::mapping) costs only the fields that are then used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Found([u64; 2]);

impl Found {
    /// There is no mapping. No target is encoded so.
    pub const NOTHING: Self = Self([u64::MAX; 2]);

    #[inline(always)]
    pub(super) const fn new([value, previous, _]: Words) -> Self {
        Self([value, previous])
    }

    #[inline(always)]
    pub const fn is_nothing(self) -> bool {
        self.0[0] == u64::MAX
    }

    /// What was found.
    #[inline(always)]
    pub const fn mapping(self) -> Option<Mapping> {
        if self.is_nothing() {
            return None;
        }
        Some(Mapping::decode([self.0[0], self.0[1], 0]))
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.mapping(), f)
    }
}

/// An answer without the hosts that a node was at before, in one word.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Reached(u64);

impl Reached {
    /// There is no mapping.
    pub const NOTHING: Self = Self(u64::MAX);

    /// What was found, as if it never was anywhere else.
    #[inline(always)]
    pub const fn mapping(self) -> Option<Mapping> {
        Found([self.0, 0]).mapping()
    }

    /// The number of the host it is at, if it is at one and has not ended at
    /// `now`, and else a number that no host has. Without a branch, so that
    /// several are found at once.
    #[inline(always)]
    pub const fn host_at(self, now: u32) -> u64 {
        let index = self.0 & HOST_MASK as u64;
        let is_host = self.0 & 0xf << INDEX_BITS == (Target::REMOTE as u64) << INDEX_BITS;
        let index = if is_host { index } else { u64::MAX };
        if self.lasts(now) { index } else { u64::MAX }
    }

    /// The byte of its mark, of what is at a host.
    #[inline(always)]
    pub const fn mark(self) -> u64 {
        self.0 >> (HOST_BITS - 1) & 0xfe
    }

    /// The node of this host it is, whether it has ended or not.
    #[inline(always)]
    pub const fn node(self) -> Option<NodeIndex> {
        let word = self.0 as u32;
        if word >> INDEX_BITS == Target::LOCAL {
            return Some(NodeIndex(word & INDEX_MASK));
        }
        None
    }

    /// The node of this host it is, if it is one and has not ended at `now`,
    /// and else [`NodeIndex::MAX`], which none is; as [`host_at`](Self::host_at).
    #[inline(always)]
    pub const fn node_at(self, now: u32) -> NodeIndex {
        let word = self.0 as u32;
        let is_node = word >> INDEX_BITS == Target::LOCAL;
        let index = if is_node { word } else { INDEX_MASK };
        NodeIndex(if self.lasts(now) { index } else { INDEX_MASK })
    }

    /// Whether what was found has not ended at `now`.
    #[inline(always)]
    pub const fn lasts(self, now: u32) -> bool {
        // 0, which never ends, becomes the last second there is.
        (self.0 >> 32).wrapping_sub(1) & u32::MAX as u64 >= now as u64
    }
}

impl fmt::Debug for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.mapping(), f)
    }
}

#[inline(always)]
const fn mac_of(word: u64) -> Mac {
    let [_, _, mac @ ..] = word.to_be_bytes();
    Mac(mac)
}

#[inline(always)]
const fn mark_of(word: u32) -> Mark {
    match word >> INDEX_BITS == Target::REMOTE {
        true => Mark::from_byte(((word & INDEX_MASK) >> HOST_BITS << 1) as u8),
        false => Mark::NONE,
    }
}

/// What a burst of lookups leaves of an entry.
pub(super) trait Answer: Copy {
    const NOTHING: Self;
    /// Whether it has the rare words too.
    const WHOLE: bool;

    fn new(words: Words) -> Self;

    fn is_nothing(self) -> bool;
}

impl Answer for Found {
    const NOTHING: Self = Found::NOTHING;
    const WHOLE: bool = true;

    #[inline(always)]
    fn new(words: Words) -> Self {
        Found::new(words)
    }

    #[inline(always)]
    fn is_nothing(self) -> bool {
        Found::is_nothing(self)
    }
}

impl Answer for Reached {
    const NOTHING: Self = Reached::NOTHING;
    const WHOLE: bool = false;

    #[inline(always)]
    fn new([value, ..]: Words) -> Self {
        Self(value)
    }

    #[inline(always)]
    fn is_nothing(self) -> bool {
        self == Self::NOTHING
    }
}

/// Set in the second word when there is a previous host.
const PREVIOUS: u64 = 1 << 31;

/// An entry's words after its key.
pub(super) type Words = [u64; 3];

#[cfg(all(test, not(loom)))]
mod tests;
