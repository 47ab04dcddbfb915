"""What tayga 0.9.2 does otherwise than RFC 7915 and its family ask: by name, the
sentence that it is about, and what it does. docs/deviations.md has the same for
readers, `tayga_model` for the comparison."""

# Name: the sentence, and what tayga does.
DIFFERENCES = {
    "identification": (
        "RFC 7915 section 5.1, Identification and Flags",
        "DF is always set and the ID 0, also up to 1260 bytes, where routers must be able to "
        "fragment; an ID is made only for hosts a narrow path to which was heard of",
    ),
    "own error": (
        "RFC 1812 section 4.3.2.5; RFC 6864 section 4",
        "its own ICMPv4 errors have TOS 0, and ID 0 without DF",
    ),
    "discarded silently": (
        "RFC 7915 sections 4.4 and 5.4",
        "the sender of what is discarded is not told",
    ),
    "codes": (
        "RFC 7915 section 5.4",
        "no route and failed policy for addresses without counterpart, where it must be "
        "prohibited; an echo is answered too, though ICMPv6 need not be",
    ),
    "echo reply": (
        "RFC 1812 section 4.3.2.7; RFC 4443 section 2.4 e",
        "no errors about echo replies; only errors are exempt",
    ),
    "hop limit 0": (
        "RFC 1812 section 5.3.1; RFC 4443 section 3.3",
        "a packet that arrives with no hops left is discarded silently",
    ),
    "ICMP checksum": (
        "RFC 7915 sections 4.2 and 5.2",
        "ICMP with a wrong checksum is discarded; checksums are to be adjusted, not verified",
    ),
    "source route": (
        "RFC 7915 section 4.1, last paragraph but one",
        "a packet with an unexpired source route is translated",
    ),
    "IGMP": (
        "RFC 7915 section 4.2, IGMP messages",
        "IGMP is translated like any protocol",
    ),
    "UDP without checksum": (
        "RFC 7915 section 4.5; RFC 768",
        "discarded, one of two ways that are allowed; the relay computes one unless told otherwise, "
        "and towards IPv4, which needs none, leaves it out",
    ),
    "UDP checksum of zero": (
        "RFC 768; RFC 8200 section 8.1",
        "a checksum that comes to zero is written as zero, which means that there is none",
    ),
    "other checksums": (
        "RFC 7915 sections 4.5 and 5.5",
        "checksums of DCCP and UDP-Lite are not adjusted, which is optional",
    ),
    "this network": (
        "RFC 7915 section 4.1, Source Address; RFC 1812 section 5.3.7",
        "addresses of 0.0.0.0/8 are translated",
    ),
    "fragment length": (
        "RFC 8200 section 4.5",
        "a fragment other than the last whose length is no multiple of eight is discarded here; "
        "that is for the host that puts it together, which tells of it",
    ),
    "DF of fragments": (
        "RFC 7915 section 4.1, second paragraph",
        "fragments with DF are fragmented again; the sender must be told",
    ),
    "parameter problem": (
        "RFC 7915 figures 3 and 6",
        "pointers are not translated, and the message is discarded",
    ),
    "address unreachable": (
        "RFC 7915 section 5.2, Code 3",
        "discarded; it is host unreachable",
    ),
    "quoted echo reply": (
        "RFC 7915 sections 4.3 and 5.3",
        "an error about an echo reply is discarded like one about an error",
    ),
    "quoted header": (
        "RFC 7915 sections 4.3 and 5.3; RFC 792",
        "an error that quotes less than 20 bytes of TCP, or less than eight of ICMP, is discarded, "
        "though a router may quote eight, and the relay takes fewer",
    ),
    "quoted fragment": (
        "RFC 7915 sections 4.3 and 5.3",
        "an error about a fragment quotes no Fragment header, or is discarded",
    ),
    "quoted identification": (
        "RFC 7915 sections 5.1 and 5.3",
        "the quoted packet has DF whatever its length",
    ),
    "extensions": (
        "RFC 7915 sections 4.2 and 5.2, ICMP Error Payload; RFC 4884",
        "extensions of errors are left out",
    ),
    "source of errors": (
        "RFC 6791 section 3.2",
        "errors of routers without IPv4 address are discarded, but for some codes",
    ),
    "MTU": (
        "RFC 7915 section 5.2, Packet Too Big; RFC 791",
        "less than 68 is passed on or discarded, and no room is left for a Fragment header",
    ),
    "segments left": (
        "RFC 7915 section 5.1, last paragraph",
        "a packet with a routing header that is not at its end is translated",
    ),
    "headers in fragments": (
        "RFC 7915 section 5.1.1, Total Length",
        "a fragment whose next header is an extension header is translated",
    ),
    "hairpin": (
        "RFC 7757 section 4",
        "packets to the IPv4 address of an IPv6 host are refused",
    ),
}
