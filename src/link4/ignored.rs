//! Every reason for which a frame has no effect.

use crate::reasons::reasons;

reasons! {
    /// Why a frame had no effect. Each has a counter of its own.
    pub enum Ignored {
        LinkDown = "link_down", "Frame of a link that is reported down.";
        TooShort = "too_short", "Frame ends inside a header.";
        WrongVlan = "wrong_vlan", "VLAN tag is not the link's.";
        NotIpv4 = "not_ipv4", "Ethertype is neither ARP nor IPv4, or the IP version is not 4.";
        BadSourceMac = "bad_source_mac", "Hardware source is a group or zero.";
        LoopedBack = "looped_back", "Own frame that came back.";
        OtherMac = "other_mac", "Individual hardware destination of another system.";
        ArpNotEthernetIpv4 = "arp_not_ethernet_ipv4", "ARP for another hardware or protocol than Ethernet and IPv4.";
        ArpOperation = "arp_operation", "ARP message that is neither request nor reply.";
        ArpSenderMac = "arp_sender_mac", "ARP sender's hardware address is a group or zero.";
        ArpSender = "arp_sender", "ARP sender's IPv4 address is no single system's.";
        ArpProbeReply = "arp_probe_reply", "ARP reply that is from nobody: its sender is 0.0.0.0.";
        NotOurTarget = "not_our_target", "ARP request for an address that is not ours, not from a next hop.";
        UnknownNeighbor = "unknown_neighbor", "ARP reply of a system that is no next hop.";
        StaticNeighbor = "static_neighbor", "ARP about a next hop whose hardware address is configured as another.";
        Settling = "settling", "Next hop claims a further hardware address within a second of the last.";
        RateLimited = "rate_limited", "No answer: over the limit of answers per second.";
        BadLength = "bad_length", "Lengths in the headers exceed the frame or contradict each other.";
        BadHeaderChecksum = "bad_header_checksum", "IPv4 header checksum is wrong.";
        NotOurAddress = "not_our_address", "IPv4 packet that is not for the own address.";
        GroupMac = "group_mac", "IPv4 packet for the own address in a frame for many (RFC 1122 section 3.3.6).";
        BadSource = "bad_source", "IPv4 source is no single system's, or a broadcast address of the link.";
        OwnSource = "own_source", "IPv4 packet of another system whose source is our address.";
        BadOptions = "bad_options", "IPv4 option whose length does not fit.";
        SourceRoute = "source_route", "Source route with hops left to go; none is followed.";
        Fragment = "fragment", "Fragment for the own address; nothing is put together here.";
        BadChecksum = "bad_checksum", "ICMP or UDP checksum is wrong.";
        BadCode = "bad_code", "Echo request whose code is not 0.";
        EchoTooBig = "echo_too_big", "Echo request whose reply would exceed the link's MTU.";
        EchoReply = "echo_reply", "Echo reply; this host asks nobody.";
        ErrorMessage = "error_message", "ICMP error to the own address, which sends nothing that errs.";
        Redirect = "redirect", "ICMP redirect; next hops are configured.";
        UnknownType = "unknown_type", "ICMP message of a type that has no meaning here.";
    }
}
