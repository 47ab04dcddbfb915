//! Sets of offloads, as types of their own so that receive and transmit bits,
//! which DPDK numbers alike, cannot be mixed up.

use std::fmt;
use std::ops::{BitAnd, BitOr};

use dpdk_sys as sys;

macro_rules! bit_set {
    ($(#[$doc:meta])* $name:ident { $($flag:ident = $value:ident, $label:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq)]
        pub struct $name(u64);

        impl $name {
            $(pub const $flag: Self = Self(sys::$value);)*

            pub const fn empty() -> Self {
                Self(0)
            }

            /// From DPDK's bits, those without a name here included.
            pub const fn from_bits(bits: u64) -> Self {
                Self(bits)
            }

            pub const fn bits(self) -> u64 {
                self.0
            }

            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// Whether all of `other` is in this set.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// This set without `other`.
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }
        }

        impl BitOr for $name {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl BitAnd for $name {
            type Output = Self;
            fn bitand(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }
        }

        /// Names, then what has none as a number; `none` if empty.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut rest = *self;
                let mut separator = "";
                $(if self.contains(Self::$flag) {
                    write!(f, "{separator}{}", $label)?;
                    separator = " ";
                    rest = rest.without(Self::$flag);
                })*
                match rest.0 {
                    0 if separator.is_empty() => f.write_str("none"),
                    0 => Ok(()),
                    bits => write!(f, "{separator}{bits:#x}"),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

bit_set! {
    /// What a device does to packets it receives.
    RxOffloads {
        VLAN_STRIP = DPDK_SYS_RX_VLAN_STRIP, "vlan-strip";
        IPV4_CHECKSUM = DPDK_SYS_RX_IPV4_CKSUM, "ipv4-checksum";
        UDP_CHECKSUM = DPDK_SYS_RX_UDP_CKSUM, "udp-checksum";
        TCP_CHECKSUM = DPDK_SYS_RX_TCP_CKSUM, "tcp-checksum";
        TCP_LRO = DPDK_SYS_RX_TCP_LRO, "tcp-lro";
        VLAN_FILTER = DPDK_SYS_RX_VLAN_FILTER, "vlan-filter";
        SCATTER = DPDK_SYS_RX_SCATTER, "scatter";
        RSS_HASH = DPDK_SYS_RX_RSS_HASH, "rss-hash";
    }
}

bit_set! {
    /// What a device does to packets it sends.
    TxOffloads {
        VLAN_INSERT = DPDK_SYS_TX_VLAN_INSERT, "vlan-insert";
        IPV4_CHECKSUM = DPDK_SYS_TX_IPV4_CKSUM, "ipv4-checksum";
        UDP_CHECKSUM = DPDK_SYS_TX_UDP_CKSUM, "udp-checksum";
        TCP_CHECKSUM = DPDK_SYS_TX_TCP_CKSUM, "tcp-checksum";
        TCP_TSO = DPDK_SYS_TX_TCP_TSO, "tcp-tso";
        MT_LOCKFREE = DPDK_SYS_TX_MT_LOCKFREE, "mt-lockfree";
        MULTI_SEGS = DPDK_SYS_TX_MULTI_SEGS, "multi-segs";
        MBUF_FAST_FREE = DPDK_SYS_TX_MBUF_FAST_FREE, "mbuf-fast-free";
    }
}

bit_set! {
    /// The fields by which a device spreads packets over its queues.
    RssTypes {
        IP = DPDK_SYS_RSS_IP, "ip";
        TCP = DPDK_SYS_RSS_TCP, "tcp";
        UDP = DPDK_SYS_RSS_UDP, "udp";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        let both = RxOffloads::IPV4_CHECKSUM | RxOffloads::SCATTER;
        assert!(both.contains(RxOffloads::SCATTER));
        assert!(!RxOffloads::SCATTER.contains(both));
        assert_eq!(both.without(RxOffloads::SCATTER), RxOffloads::IPV4_CHECKSUM);
        assert_eq!(both & RxOffloads::VLAN_STRIP, RxOffloads::empty());
        assert_eq!(both.to_string(), "ipv4-checksum scatter");
        assert_eq!(RxOffloads::empty().to_string(), "none");
        let unnamed = TxOffloads::from_bits(1 << 63) | TxOffloads::MULTI_SEGS;
        assert_eq!(unnamed.to_string(), "multi-segs 0x8000000000000000");
    }
}
