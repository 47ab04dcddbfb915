//! What a device said about a received packet, and what it is asked to do
//! with a packet to send.

use dpdk_sys as sys;

use super::{Mbuf, field};

/// What the device found when it checked a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RxChecksum {
    /// It did not look.
    Unknown,
    Bad,
    Good,
    /// The bytes hold no checksum, but the data is known to be right: typical
    /// of virtual devices, which leave it to be filled in on the way out.
    None,
}

/// The network header of a packet to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum L3 {
    Ipv4 {
        /// The device fills in the header checksum.
        checksum: bool,
    },
    Ipv6,
}

/// Whose checksum the device fills in. The field must hold the sum over the
/// pseudo-header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum L4 {
    None,
    Tcp,
    Udp,
}

/// A request for checksums on sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxChecksums {
    /// Bytes before the network header; at most 127.
    pub l2_len: u8,
    /// Bytes of the network header, extension headers included; at most 511.
    pub l3_len: u16,
    pub l3: L3,
    pub l4: L4,
}

const L2_BITS: u32 = sys::DPDK_SYS_MBUF_L2_LEN_BITS;
const L3_BITS: u32 = sys::DPDK_SYS_MBUF_L3_LEN_BITS;
const L4_BITS: u32 = sys::DPDK_SYS_MBUF_L4_LEN_BITS;
const TSO_BITS: u32 = sys::DPDK_SYS_MBUF_TSO_SEGSZ_BITS;
const L4_SHIFT: u32 = L2_BITS + L3_BITS;
const TSO_SHIFT: u32 = L4_SHIFT + L4_BITS;
const L4_AND_TSO: u64 = ((1 << (L4_BITS + TSO_BITS)) - 1) << L4_SHIFT;

/// Every flag that `set_tx_checksums` and `set_tso` may set.
const TX_FLAGS: u64 = sys::DPDK_SYS_F_TX_IP_CKSUM
    | sys::DPDK_SYS_F_TX_IPV4
    | sys::DPDK_SYS_F_TX_IPV6
    | sys::DPDK_SYS_F_TX_L4_MASK
    | sys::DPDK_SYS_F_TX_TCP_SEG;

// In all blocks below `self.0` is a valid mbuf that only `self` owns, the
// invariant of the type.
impl Mbuf {
    /// The port the packet was received on.
    #[inline(always)]
    pub fn port(&self) -> u16 {
        // SAFETY: valid, owned.
        unsafe { field!(self.0, DPDK_SYS_MBUF_OFF_PORT: u16) }
    }

    /// All flags, as DPDK defines them.
    #[inline(always)]
    pub fn ol_flags(&self) -> u64 {
        // SAFETY: valid, owned.
        unsafe { field!(self.0, DPDK_SYS_MBUF_OFF_OL_FLAGS: u64) }
    }

    /// The headers the device recognised (`RTE_PTYPE_…`), 0 if it did not
    /// look.
    #[inline(always)]
    pub fn packet_type(&self) -> u32 {
        // SAFETY: valid, owned.
        unsafe { field!(self.0, DPDK_SYS_MBUF_OFF_PACKET_TYPE: u32) }
    }

    /// What the device found in the IPv4 header checksum.
    #[inline(always)]
    pub fn rx_ip_checksum(&self) -> RxChecksum {
        match self.ol_flags() & sys::DPDK_SYS_F_RX_IP_CKSUM_MASK {
            sys::DPDK_SYS_F_RX_IP_CKSUM_BAD => RxChecksum::Bad,
            sys::DPDK_SYS_F_RX_IP_CKSUM_GOOD => RxChecksum::Good,
            sys::DPDK_SYS_F_RX_IP_CKSUM_NONE => RxChecksum::None,
            _ => RxChecksum::Unknown,
        }
    }

    /// What the device found in the TCP or UDP checksum.
    #[inline(always)]
    pub fn rx_l4_checksum(&self) -> RxChecksum {
        match self.ol_flags() & sys::DPDK_SYS_F_RX_L4_CKSUM_MASK {
            sys::DPDK_SYS_F_RX_L4_CKSUM_BAD => RxChecksum::Bad,
            sys::DPDK_SYS_F_RX_L4_CKSUM_GOOD => RxChecksum::Good,
            sys::DPDK_SYS_F_RX_L4_CKSUM_NONE => RxChecksum::None,
            _ => RxChecksum::Unknown,
        }
    }

    /// The VLAN tag that the device took out of the frame.
    #[inline(always)]
    pub fn stripped_vlan(&self) -> Option<u16> {
        if self.ol_flags() & sys::DPDK_SYS_F_RX_VLAN_STRIPPED == 0 {
            return None;
        }
        // SAFETY: valid, owned.
        Some(unsafe { field!(self.0, DPDK_SYS_MBUF_OFF_VLAN_TCI: u16) })
    }

    /// The hash by which the device chose the receive queue.
    #[inline(always)]
    pub fn rss_hash(&self) -> Option<u32> {
        if self.ol_flags() & sys::DPDK_SYS_F_RX_RSS_HASH == 0 {
            return None;
        }
        // SAFETY: valid, owned.
        Some(unsafe { field!(self.0, DPDK_SYS_MBUF_OFF_HASH_RSS: u32) })
    }

    /// The segment size of a packet that the device put together from
    /// several (or that a guest left to be cut).
    #[inline(always)]
    pub fn rx_gso_size(&self) -> Option<u16> {
        if self.ol_flags() & sys::DPDK_SYS_F_RX_LRO == 0 {
            return None;
        }
        Some((self.tx_offload() >> TSO_SHIFT) as u16)
    }

    #[inline(always)]
    fn tx_offload(&self) -> u64 {
        // SAFETY: valid, owned.
        unsafe { field!(self.0, DPDK_SYS_MBUF_OFF_TX_OFFLOAD: u64) }
    }

    /// Asks the device to fill in checksums; replaces earlier requests,
    /// segmentation included. The queue must have the offloads enabled.
    #[inline]
    pub fn set_tx_checksums(&mut self, request: &TxChecksums) {
        debug_assert!(u32::from(request.l2_len) < 1 << L2_BITS, "{request:?}");
        debug_assert!(u32::from(request.l3_len) < 1 << L3_BITS, "{request:?}");
        let l3 = match request.l3 {
            L3::Ipv4 { checksum: false } => sys::DPDK_SYS_F_TX_IPV4,
            L3::Ipv4 { checksum: true } => sys::DPDK_SYS_F_TX_IPV4 | sys::DPDK_SYS_F_TX_IP_CKSUM,
            L3::Ipv6 => sys::DPDK_SYS_F_TX_IPV6,
        };
        let l4 = match request.l4 {
            L4::None => 0,
            L4::Tcp => sys::DPDK_SYS_F_TX_TCP_CKSUM,
            L4::Udp => sys::DPDK_SYS_F_TX_UDP_CKSUM,
        };
        let l2_len = u64::from(request.l2_len) & ((1 << L2_BITS) - 1);
        let l3_len = u64::from(request.l3_len) & ((1 << L3_BITS) - 1);
        // SAFETY: valid, owned.
        unsafe {
            field!(self.0, DPDK_SYS_MBUF_OFF_TX_OFFLOAD: u64) = l2_len | l3_len << L2_BITS;
            let flags = &mut field!(self.0, DPDK_SYS_MBUF_OFF_OL_FLAGS: u64);
            *flags = *flags & !TX_FLAGS | l3 | l4;
        }
    }

    /// Asks the device to cut the packet into TCP segments of `size` bytes of
    /// payload. Call [`Mbuf::set_tx_checksums`] with [`L4::Tcp`] before.
    #[inline]
    pub fn set_tso(&mut self, l4_len: u8, size: u16) {
        let sizes = u64::from(l4_len) << L4_SHIFT | u64::from(size) << TSO_SHIFT;
        // SAFETY: valid, owned.
        unsafe {
            let lengths = &mut field!(self.0, DPDK_SYS_MBUF_OFF_TX_OFFLOAD: u64);
            *lengths = *lengths & !L4_AND_TSO | sizes;
            field!(self.0, DPDK_SYS_MBUF_OFF_OL_FLAGS: u64) |= sys::DPDK_SYS_F_TX_TCP_SEG;
        }
    }

    /// What the device is asked to do on sending, as set before.
    pub fn tx_checksums(&self) -> Option<TxChecksums> {
        let flags = self.ol_flags();
        let l3 = if flags & sys::DPDK_SYS_F_TX_IPV4 != 0 {
            L3::Ipv4 {
                checksum: flags & sys::DPDK_SYS_F_TX_IP_CKSUM != 0,
            }
        } else if flags & sys::DPDK_SYS_F_TX_IPV6 != 0 {
            L3::Ipv6
        } else {
            return None;
        };
        let l4 = match flags & sys::DPDK_SYS_F_TX_L4_MASK {
            sys::DPDK_SYS_F_TX_TCP_CKSUM => L4::Tcp,
            sys::DPDK_SYS_F_TX_UDP_CKSUM => L4::Udp,
            _ => L4::None,
        };
        let lengths = self.tx_offload();
        Some(TxChecksums {
            l2_len: (lengths & ((1 << L2_BITS) - 1)) as u8,
            l3_len: (lengths >> L2_BITS & ((1 << L3_BITS) - 1)) as u16,
            l3,
            l4,
        })
    }

    /// Asks the device to put a VLAN tag in.
    #[inline]
    pub fn set_vlan_insert(&mut self, tci: u16) {
        // SAFETY: valid, owned.
        unsafe {
            field!(self.0, DPDK_SYS_MBUF_OFF_VLAN_TCI: u16) = tci;
            field!(self.0, DPDK_SYS_MBUF_OFF_OL_FLAGS: u64) |= sys::DPDK_SYS_F_TX_VLAN;
        }
    }

    /// Forgets everything the receiving device said and every request: for a
    /// packet that begins a new life on another port.
    #[inline]
    pub fn clear_offloads(&mut self) {
        // What the buffer is, not what the packet carries, must stay.
        let kept = sys::DPDK_SYS_F_EXTERNAL | sys::DPDK_SYS_F_INDIRECT;
        // SAFETY: valid, owned.
        unsafe {
            field!(self.0, DPDK_SYS_MBUF_OFF_OL_FLAGS: u64) &= kept;
            field!(self.0, DPDK_SYS_MBUF_OFF_TX_OFFLOAD: u64) = 0;
        }
    }
}
