//! Why a message, or what it says of one group, has no effect.

use crate::reasons::reasons;

reasons! {
    /// Why it is of no effect.
    pub enum IgmpIgnored {
        TooShort = "igmp_too_short", "Packet or message ends too early.";
        NotIgmp = "igmp_not_igmp", "No whole IPv4 packet of protocol 2.";
        BadChecksum = "igmp_bad_checksum", "IGMP checksum is wrong.";
        UnknownType = "igmp_unknown_type", "Neither query, report nor leave.";
        BadRecords = "igmp_bad_records", "Records that reach beyond the report.";
        SpoofedSource = "igmp_spoofed_source", "Source is neither 0.0.0.0 nor an address of the node.";
        UnknownNode = "igmp_unknown_node", "From a node that has no binding any more.";
        Query = "igmp_query", "Query of a node; weft is the querier of every node's link.";
        BadGroup = "igmp_bad_group", "Group is no multicast address, or the one of all systems.";
        Withheld = "igmp_withheld", "Group is on the vnet's list of groups that are not forwarded.";
        UnknownRecord = "igmp_unknown_record", "Record of a kind that RFC 3376 does not have.";
        NodeFull = "igmp_node_full", "The node has joined as many groups as it may.";
        Full = "igmp_full", "As many memberships as there may be in all.";
        TooManySources = "igmp_too_many_sources", "More sources of a group than a node may name.";
    }
}
