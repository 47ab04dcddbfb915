//! What a device is asked to do with a packet when it sends it.

use std::num::NonZeroU16;

/// Whose checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Udp,
}

/// A request for a checksum of TCP or UDP, and for cutting into segments. The
/// field of the checksum holds the sum over the pseudo header, not
/// complemented: with the length of a packet that stays whole, with a length
/// of zero where it is to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Bytes of the link header.
    pub l2_len: u8,
    /// Bytes of the network header, extension headers included.
    pub l3_len: u16,
    /// IPv6, not IPv4.
    pub ipv6: bool,
    pub transport: Transport,
    pub cut: Option<Segments>,
}

/// How a packet is to be cut. Of IPv4 each segment gets the next ID and a
/// header checksum, for which the packet has zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// Bytes of the TCP header.
    pub l4_len: u8,
    /// Bytes of data of each segment but the last.
    pub size: NonZeroU16,
}
