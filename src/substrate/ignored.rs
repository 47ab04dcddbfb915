//! Every reason for which a frame has no effect.

use crate::reasons::reasons;

reasons! {
    /// Why a frame had no effect. Each has a counter of its own.
    pub enum Ignored {
        UnknownPort = "unknown_port", "Frame of a port that is no uplink.";
        LinkDown = "link_down", "Frame of an uplink whose link is reported down.";
        TooShort = "too_short", "Frame ends inside a header.";
        WrongVlan = "wrong_vlan", "VLAN tag is not the uplink's.";
        NotIpv6 = "not_ipv6", "Ethertype is not IPv6, or the IP version is not 6.";
        BadSourceMac = "bad_source_mac", "Hardware source is a group or zero.";
        OtherMac = "other_mac", "Individual hardware destination of another system.";
        BadLength = "bad_length", "Lengths in the headers exceed the frame.";
        BadSource = "bad_source", "IPv6 source cannot be a sender of this message.";
        ExtensionHeader = "extension_header", "Extension header that such a message does not carry.";
        Fragment = "fragment", "Fragment; RFC 6980 forbids it for neighbour discovery.";
        NotIcmpv6 = "not_icmpv6", "Neither ICMPv6 nor anything else this host answers.";
        BadHopLimit = "bad_hop_limit", "Hop limit shows that the message crossed a router (ND: 255, MLD: 1).";
        BadChecksum = "bad_checksum", "ICMPv6 checksum is wrong.";
        BadCode = "bad_code", "ICMPv6 code is not 0.";
        OptionTruncated = "option_truncated", "Option of a neighbour message exceeds it.";
        OptionZeroLength = "option_zero_length", "Option of a neighbour message has length 0.";
        BadLinkAddress = "bad_link_address", "Link-layer address option is no individual Ethernet address.";
        TargetGroup = "target_group", "Target of a neighbour message is a multicast address.";
        BadProbe = "bad_probe", "Solicitation from :: not to a solicited-node group, or with a link-layer address.";
        SolicitedGroup = "solicited_group", "Advertisement to a group claims to be solicited.";
        NotOurTarget = "not_our_target", "Solicitation for an address that is not ours.";
        TentativeTarget = "tentative_target", "Solicitation for an own address that is still being checked for duplicates.";
        DuplicateTarget = "duplicate_target", "Message about an own address that is not used, being a duplicate.";
        LoopedBack = "looped_back", "Own message that came back.";
        OwnSource = "own_source", "Message of another system whose source is our address.";
        UnknownNeighbor = "unknown_neighbor", "Advertisement of a neighbour that nobody asked for.";
        NoLinkAddress = "no_link_address", "Advertisement without the link-layer address that was asked for.";
        NotOverriding = "not_overriding", "Advertisement of another link-layer address without the override flag.";
        StaticNeighbor = "static_neighbor", "Advertisement about a static neighbour.";
        RateLimited = "rate_limited", "No answer: over the limit of answers per second.";
        RouterSolicitation = "router_solicitation", "Router solicitation; this host advertises no prefixes.";
        RouterAdvertisement = "router_advertisement", "Router advertisement; routes are configured.";
        Redirect = "redirect", "ICMPv6 redirect; routes are configured.";
        QuerySource = "query_source", "MLD query not from a link-local address.";
        QueryAlert = "query_alert", "MLD query without the router alert option.";
        QueryLength = "query_length", "MLD query that is neither 24 nor at least 28 bytes, or shorter than its sources.";
        QueryGroup = "query_group", "MLD query for a group that is not ours.";
        ListenerReport = "listener_report", "MLD report or done message of another listener.";
        EchoNotOurs = "echo_not_ours", "Echo request to an address this host does not answer at.";
        EchoReply = "echo_reply", "Echo reply; this host asks nobody.";
        ErrorMessage = "error_message", "ICMPv6 error to an own address.";
        UnknownType = "unknown_type", "ICMPv6 message of a type that has no meaning here.";
    }
}
