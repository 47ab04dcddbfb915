//! The substrate's own multicast groups that stand for tenants' groups.
//!
//! ```text
//! bit   0                       64     72         96          128
//! p72   | ff15:0000::, ff36::   |  00  |  vni 24  |   IPv4 32  |
//! p64   | ff15:0000::, ff36::   |      vni 32     |   IPv4 32  |
//! slot  | ff15:0000::, ff36::   |  01  |  vni 24  |   IPv4 32  |
//! ```
//!
//! `ff36` is for what stays on a link, 224.0.0.0/24 and broadcasts, and `ff15`
//! for all other groups. The lower half is that of any address of a tenant, so
//! such a prefix stands where a host's locator does; in layout `slot` it bears
//! the mark of what is for several nodes.

use std::net::Ipv6Addr;

use super::{Layout, Locator, Mark, Saddr, Vaddr, Vni};

/// What the address begins with: in place of a locator.
pub fn prefix(layout: Layout, group: Vaddr) -> Locator {
    let first = match stays_on_link(group) {
        true => 0xff36,
        false => 0xff15,
    };
    let address = Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0);
    // Behind the length there is nothing, so there is such a prefix.
    Locator::new(address, layout.locator_len()).unwrap_or(Locator::ANY)
}

/// The group of the substrate for what a tenant sends to several.
pub fn compose(layout: Layout, vni: Vni, group: Vaddr) -> Saddr {
    let address = layout.compose(&prefix(layout, group), vni, group);
    match layout {
        Layout::Slot => Mark::GROUP.on(address),
        Layout::P72 | Layout::P64 => address,
    }
}

/// Groups that no router of IPv4 passes on (RFC 5771 section 4), and whatever
/// is no group at all: broadcasts.
fn stays_on_link(group: Vaddr) -> bool {
    group.0 >> 8 == 0xe0_0000 || !group.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Mac;

    const Z: Vni = Vni(0x5a_0001);

    fn of(layout: Layout, vni: u32, group: &str) -> String {
        let address = compose(layout, Vni(vni), group.parse().unwrap());
        Ipv6Addr::from(address).to_string()
    }

    #[test]
    fn worked_addresses() {
        for (layout, vni, group, expected) in [
            (Layout::P72, Z.0, "239.1.2.3", "ff15::5a:1:ef01:203"),
            (Layout::P72, Z.0, "10.0.0.255", "ff36::5a:1:a00:ff"),
            (Layout::P72, Z.0, "255.255.255.255", "ff36::5a:1:ffff:ffff"),
            (Layout::P72, Z.0, "224.0.0.251", "ff36::5a:1:e000:fb"),
            (Layout::P72, Z.0, "224.0.1.0", "ff15::5a:1:e000:100"),
            (Layout::P72, 0x59_0001, "239.1.2.3", "ff15::59:1:ef01:203"),
            (
                Layout::P64,
                0xfe5a_0001,
                "239.1.2.3",
                "ff15::fe5a:1:ef01:203",
            ),
            (Layout::Slot, Z.0, "239.1.2.3", "ff15::15a:1:ef01:203"),
            (Layout::Slot, Z.0, "10.0.0.255", "ff36::15a:1:a00:ff"),
        ] {
            assert_eq!(of(layout, vni, group), expected, "{layout} {group}");
        }
    }

    #[test]
    fn they_are_taken_apart_as_any_address() {
        let group = "239.1.2.3".parse().unwrap();
        for (layout, vni) in [
            (Layout::P72, Z),
            (Layout::P64, Vni(0xfe5a_0001)),
            (Layout::Slot, Z),
        ] {
            let address = compose(layout, vni, group);
            assert_eq!(
                (layout.vni(&address), layout.vaddr(&address)),
                (vni.0, group)
            );
            assert!(prefix(layout, group).contains(&address));
            assert_eq!(
                Mac::of_ipv6_group(address),
                Mac([0x33, 0x33, 0xef, 1, 2, 3])
            );
        }
    }
}
