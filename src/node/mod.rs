//! What a node is told: the answers that make it believe it is on a LAN.
//!
//! Slow path, control thread. Every part is a pure function from the bytes of
//! a node and a look into the tables to the bytes of an answer or a named
//! reason for silence.

pub mod addresses;
pub mod arp;
pub mod dhcp;
pub mod igmp;
pub mod recent;
pub mod router;
pub mod snmp;
