//! The MAC by which a node knows another node, or its router.
//!
//! ```text
//! | kind | fold of the vni | IPv4 address (4) |
//! ```
//!
//! Computed, so that it needs no table and is the same on every host, after a
//! move and after a restart. Both kinds are locally administered unicast
//! addresses. The fold only tells networks apart in a trace; the network of a
//! frame is known by its sender's binding, never by a MAC.

use super::address::{Mac, Vaddr, Vni};

/// What stands behind the MAC; the value is its first byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// `v`: a node.
    Node = 0x76,
    /// `r`: a router that the network emulates.
    Router = 0x72,
}

/// The MACs of one kind in one network: what they begin with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Family([u8; 2]);

impl Family {
    #[inline]
    pub fn new(kind: Kind, vni: Vni) -> Family {
        Family([kind as u8, fold(vni)])
    }

    /// The one of `vaddr`.
    #[inline(always)]
    pub fn member(self, vaddr: Vaddr) -> Mac {
        let word = u64::from(u16::from_be_bytes(self.0)) << 48 | u64::from(vaddr.0) << 16;
        let [mac @ .., _, _] = word.to_be_bytes();
        Mac(mac)
    }
}

/// The MAC of `vaddr` in network `vni`.
#[inline]
pub fn of(kind: Kind, vni: Vni, vaddr: Vaddr) -> Mac {
    Family::new(kind, vni).member(vaddr)
}

/// Whose MAC it is in network `vni`; `None` if it is not one of that network's.
#[inline]
pub fn recognise(mac: Mac, vni: Vni) -> Option<(Kind, Vaddr)> {
    let [kind, folded, a, b, c, d] = mac.0;
    let kind = match kind {
        k if k == Kind::Node as u8 => Kind::Node,
        k if k == Kind::Router as u8 => Kind::Router,
        _ => return None,
    };
    (folded == fold(vni)).then_some((kind, Vaddr::from_bytes([a, b, c, d])))
}

#[inline]
fn fold(vni: Vni) -> u8 {
    let [a, b, c, d] = vni.0.to_be_bytes();
    a ^ b ^ c ^ d
}

#[cfg(test)]
mod tests {
    use super::*;

    const Z: Vni = Vni(0x5a_0001);
    const Y: Vni = Vni(0x59_0001);
    const G: Vaddr = Vaddr(0x0a00_0003);

    #[test]
    fn literal_macs() {
        assert_eq!(of(Kind::Node, Z, G), Mac([0x76, 0x5b, 10, 0, 0, 3]));
        assert_eq!(of(Kind::Router, Y, G), Mac([0x72, 0x58, 10, 0, 0, 3]));
    }

    #[test]
    fn both_kinds_are_local_unicast() {
        for kind in [Kind::Node, Kind::Router] {
            assert_eq!(kind as u8 & 3, 2, "{kind:?}");
        }
    }

    #[test]
    fn only_its_own_network_recognises_it() {
        for kind in [Kind::Node, Kind::Router] {
            assert_eq!(recognise(of(kind, Z, G), Z), Some((kind, G)));
            assert_eq!(recognise(of(kind, Z, G), Y), None);
        }
        assert_eq!(recognise(Mac([0x02, 0x5b, 10, 0, 0, 3]), Z), None);
        assert_eq!(recognise(Mac::BROADCAST, Z), None);
    }
}
