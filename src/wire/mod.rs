//! Bytes and values, nothing else.
//!
//! One protocol a file. A *view* is built by a checked constructor; after the
//! check no accessor panics, whatever the bytes. No state, no I/O, no
//! allocation and no `unsafe` in here. On the packet path we use these views;
//! off it (neighbour discovery, MLD) engines have parsers of their own.

pub mod address;
pub mod arp;
pub mod checksum;
pub mod dhcp;
pub mod ethernet;
pub mod flow;
pub mod flowlabel;
pub mod icmpv4;
pub mod icmpv6;
pub mod igmp;
pub mod ipv4;
pub mod ipv6;
pub mod load;
pub mod locator;
pub mod mark;
pub mod native;
pub mod protocol;
pub mod tcp;
pub mod udp;
pub mod virtual_mac;

pub use address::{Mac, Vaddr, Vni};
pub use locator::{Layout, Locator, Prefix6, Saddr};
pub use mark::Mark;
