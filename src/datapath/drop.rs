//! Every way a packet can end without being sent.
//!
//! `Drop` is the only exit of the walk without transmission, and each variant
//! is a counter with one line of help: there is no unnamed loss. The table
//! below is the single declaration; names, help texts, statistics and
//! documentation follow from it.

macro_rules! drops {
    ($($(#[doc = $help:literal])+ $variant:ident => $name:literal,)*) => {
        /// Why a packet was not carried on.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum Drop {
            $($(#[doc = $help])+ $variant,)*
        }

        impl Drop {
            pub const ALL: &'static [Drop] = &[$(Drop::$variant,)*];
            pub const COUNT: usize = Drop::ALL.len();

            /// The counter's name.
            pub const fn name(self) -> &'static str {
                match self { $(Drop::$variant => $name,)* }
            }

            /// One line that says what happened and what to look at.
            pub const fn help(self) -> &'static str {
                match self { $(Drop::$variant => concat!($($help,)+).trim_ascii(),)* }
            }
        }
    };
}

drops! {
    // parse
    /// Frame shorter than the headers it announces.
    TooShort => "too_short",
    /// Headers do not lie in the packet's first segment.
    HeadersSplit => "headers_split",
    /// Somebody else holds the buffer, so it must not be rewritten.
    BufferShared => "buffer_shared",
    /// IP version field does not match the ethertype.
    BadVersion => "bad_version",
    /// IPv4 header length below 20 or beyond the packet.
    BadHeaderLength => "bad_header_length",
    /// IP length field disagrees with the bytes that arrived.
    BadTotalLength => "bad_total_length",
    /// IPv4 header checksum is wrong.
    BadHeaderChecksum => "bad_header_checksum",
    /// IPv4 protocol that would become an IPv6 extension header or ICMPv6 (0, 43, 44, 58, 59, 60, 135, 139, 140).
    ProtocolNotCarried => "protocol_not_carried",
    /// Packet whose TTL is already 0.
    TtlZero => "ttl_zero",
    /// Options with an unexpired source route, which no vnet follows.
    SourceRoute => "source_route",
    /// IPv4 options that do not add up.
    BadOptions => "bad_options",
    /// IPv6 extension header other than one Fragment header.
    ExtensionHeader => "extension_header",
    /// Fragment that reaches beyond the 65,535 bytes of a packet.
    BadFragment => "bad_fragment",
    /// Packet of another host whose flow label carries no mode: a router on the way rewrote it.
    LabelLost => "label_lost",
    /// Flow label with the reserved mode.
    LabelInvalid => "label_invalid",

    /// TTL or hop limit used up on the way; the sender is told.
    TtlExceeded => "ttl_exceeded",
    /// IPv6 routing header with segments left.
    SegmentsLeft => "segments_left",
    /// IPv6 extension headers that do not add up.
    BadExtensions => "bad_extensions",
    /// Fragment in which extension headers continue.
    FragmentedExtensions => "fragmented_extensions",
    /// First fragment that ends within its transport header.
    FirstFragmentShort => "first_fragment_short",
    /// UDP over IPv4 without a checksum, and `udp_zero_checksum` is `drop`.
    UdpZeroChecksum => "udp_zero_checksum",
    /// Fragment of UDP over IPv4 without a checksum, which nobody can compute.
    UdpZeroFragment => "udp_zero_fragment",
    /// ICMP type or code that the other family does not have.
    IcmpType => "icmp_type",
    /// Fragmented ICMP: its checksum cannot be translated.
    IcmpFragment => "icmp_fragment",
    /// ICMP error whose quoted packet cannot be translated.
    InnerUntranslatable => "inner_untranslatable",
    /// ICMP error about an ICMP error.
    InnerError => "inner_error",

    /// UDP datagram that its sender left to be cut (UFO, USO): nobody does.
    UdpSegmentation => "udp_segmentation",
    /// Packet left to be cut that is no whole TCP packet, or makes more than 1,024 segments.
    BadSegmentation => "bad_segmentation",

    // classify
    /// IPv6 from a node, or on a relay's IPv4 side: neither carries it.
    EthertypeIpv6 => "ethertype_ipv6",
    /// Reverse ARP from a node.
    EthertypeRarp => "ethertype_rarp",
    /// LLDP from a node: there is no neighbour to discover.
    EthertypeLldp => "ethertype_lldp",
    /// A second VLAN tag.
    EthertypeVlan => "ethertype_vlan",
    /// Any other ethertype.
    EthertypeOther => "ethertype_other",
    /// No binding for this port, VLAN and source MAC.
    UnknownNode => "unknown_node",
    /// Uplink frame with another VLAN id than the uplink's.
    WrongVlan => "wrong_vlan",
    /// Frame for somebody else's hardware address.
    WrongMac => "wrong_mac",
    /// Broadcast frame or address other than ARP, in a vnet that carries none or through the relay.
    Broadcast => "broadcast",
    /// Multicast frame through the relay, which translates none.
    Multicast => "multicast",
    /// Destination MAC is not the virtual MAC of the destination address.
    MacMismatch => "mac_mismatch",
    /// Message of a DHCP server, from a node.
    DhcpServer => "dhcp_server",
    /// Substrate packet to an address that is neither ours nor in our locator.
    NotForUs => "not_for_us",
    /// Uplink frame that is not IPv6, and no exception port to take it.
    NoExceptionPort => "no_exception_port",
    /// Group MAC that is not that of the destination address, or a group's address with another MAC.
    GroupMismatch => "group_mismatch",
    /// Group that the vnet's list says is never forwarded.
    GroupWithheld => "group_withheld",
    /// Packet to a group of the substrate that no node here has joined, or by another uplink than theirs.
    GroupNotHeard => "group_not_heard",

    // authorize
    /// Source address is not one the node is bound to.
    SpoofedSource => "spoofed_source",
    /// Source and destination belong to different vnets, or the manager refused the pair.
    Denied => "denied",
    /// Substrate packet whose source is mapped to another host than it came from.
    ForgedSource => "forged_source",
    /// Substrate packet from an address that has no mapping.
    SourceUnknown => "source_unknown",
    /// Destination outside the vnet's ranges.
    OutsideVnet => "outside_vnet",
    /// Destination in another subnet than the node, written to without a router.
    WrongSubnet => "wrong_subnet",

    // resolve
    /// Source address that names no single host.
    IllegalSource => "illegal_source",
    /// Destination address that names no single host.
    IllegalDestination => "illegal_destination",
    /// Neither an explicit mapping nor the prefix covers the source.
    SourceUnmapped => "source_unmapped",
    /// Neither an explicit mapping nor the prefix covers the destination.
    DestinationUnmapped => "destination_unmapped",
    /// Source or destination is on a deny list.
    AddressDenied => "address_denied",
    /// No mapping for the destination.
    NoMapping => "no_mapping",
    /// The destination's mapping has expired.
    Expired => "expired",
    /// The destination is mapped to nowhere on purpose.
    Blackholed => "blackholed",
    /// Packet for an address that no node of this host has.
    NotLocal => "not_local",
    /// The node's packet is for an address of its own.
    ToItself => "to_itself",
    /// A router has no route to the destination, or one whose next hop is gone; the sender is told.
    NoRoute => "no_route",
    /// A router's route prohibits the destination; the sender is told.
    RouteProhibited => "route_prohibited",
    /// More than 16 routers in a row, as when routes lead round in a circle; the sender is told.
    RouteLoop => "route_loop",
    /// The route's next hop is a node that the destination is not mapped with; the sender is told.
    NotBehind => "not_behind",
    /// Too many packets are waiting for this destination, node or in all.
    HoldFull => "hold_full",
    /// No node is in the slot that a packet for whatever is behind it names.
    UnknownSlot => "unknown_slot",
    /// The node in the slot that a packet names is of another vnet.
    SlotVnet => "slot_vnet",
    /// The I/G bit of a substrate address in layout `slot` does not fit the IPv4 address in it.
    GroupBit => "group_bit",
    /// Nobody but the sender, if anybody, wants packets of this group or broadcast.
    NoMember => "no_member",
    /// More copies of group packets and broadcasts than their node may cause (`limits.flood_rate`).
    FloodLimited => "flood_limited",
    /// More copies of group packets and broadcasts than another host may cause here (`limits.group_rate`).
    GroupLimited => "group_limited",
    /// Group or subnet with more receivers than a packet is copied to (`limits.fanout`).
    FanoutLimited => "fanout_limited",

    // rewrite
    /// Larger than the path takes and not to be fragmented; the sender is told.
    TooBig => "too_big",
    /// The node's hardware address is not known yet.
    NodeMacUnknown => "node_mac_unknown",
    /// No next hop towards the host is usable.
    NoNeighbor => "no_neighbor",
    /// No packet buffer, or not enough room in one.
    NoBuffer => "no_buffer",

    // tx
    /// The device would not cut this packet into segments.
    OffloadRefused => "offload_refused",
    /// The port's transmit queue is full.
    TxFull => "tx_full",
    /// The ring to the worker that owns the port is full.
    HandoffFull => "handoff_full",
    /// The ring to the control thread is full.
    PuntFull => "punt_full",
    /// More packets for the control thread than the node or link may send.
    PuntLimited => "punt_limited",
    /// Held or queued when the appliance stopped.
    Shutdown => "shutdown",
}

impl std::fmt::Display for Drop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_helped() {
        let names: HashSet<_> = Drop::ALL.iter().map(|d| d.name()).collect();
        assert_eq!(names.len(), Drop::COUNT);
        for (i, drop) in Drop::ALL.iter().enumerate() {
            assert_eq!(*drop as usize, i, "counters are indexed by the variant");
            assert!(
                drop.help().trim().ends_with('.') || drop.help().ends_with(')'),
                "{drop}: {}",
                drop.help()
            );
            assert!(
                drop.name()
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            );
        }
    }
}
