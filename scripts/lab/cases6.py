"""The kinds of packets that come from the IPv6 side; see `cases`."""

from . import packets, relay
from .drawn import ILLEGAL4, MTU, eam4, extension_object, kind, wrong
from .packets import DESTINATION, FRAGMENT, HOP_BY_HOP, ICMP, IPV6_ICMP, ROUTING, TCP, UDP


@kind(6, 8)
def udp6(draw):
    src, dst = draw.pair(6)
    return draw.whole6(src, dst, UDP, draw.message(src, dst, UDP, draw.body()))


@kind(6, 8)
def tcp6(draw):
    src, dst = draw.pair(6)
    return draw.whole6(src, dst, TCP, draw.message(src, dst, TCP, draw.body()))


@kind(6, 6)
def echo6(draw):
    src, dst = draw.pair(6)
    return draw.whole6(src, dst, IPV6_ICMP, draw.message(src, dst, IPV6_ICMP, draw.body()))


@kind(6, 2)
def empty_payload6(draw):
    src, dst = draw.pair(6)
    protocol = draw.choice((UDP, TCP, IPV6_ICMP))
    return draw.whole6(src, dst, protocol, draw.message(src, dst, protocol, b""))


@kind(6, 5)
def size6(draw):
    src, dst = draw.pair(6)
    protocol = draw.choice((UDP, TCP, IPV6_ICMP, 47))
    edge = draw.choice((1260, 1280, 1300, 1472, 1480, 1500, 1500))
    size = min(edge + draw.randrange(-9, 10), MTU) - 40
    return draw.whole6(src, dst, protocol, draw.sized(src, dst, protocol, size))


@kind(6, 2)
def udp_zero_checksum6(draw):
    src, dst = draw.pair(6)
    return draw.whole6(src, dst, UDP, packets.udp(src, dst, draw.body(), total=0))


@kind(6, 3)
def wrong_transport_checksum6(draw):
    src, dst = draw.pair(6)
    protocol = draw.choice((UDP, TCP))
    message = draw.message(src, dst, protocol, draw.body())
    at = 6 if protocol == UDP else 16
    bad = wrong(draw, int.from_bytes(message[at : at + 2], "big")).to_bytes(2, "big")
    return draw.whole6(src, dst, protocol, message[:at] + bad + message[at + 2 :])


@kind(6, 2)
def wrong_icmp_checksum6(draw):
    src, dst = draw.pair(6)
    message = draw.message(src, dst, IPV6_ICMP, draw.body())
    bad = wrong(draw, int.from_bytes(message[2:4], "big")).to_bytes(2, "big")
    return draw.whole6(src, dst, IPV6_ICMP, message[:2] + bad + message[4:])


@kind(6, 2)
def udp_checksum_edge6(draw):
    """Checksums that come to zero on one side or the other."""
    src, dst = draw.pair(6)
    pad = draw.randbytes(8)
    pair = (src, dst) if draw.random() < 0.5 else (eam4(src), dst[12:])
    total = packets.transport_sum(*pair, UDP, packets.udp(src, dst, pad + b"\0\0", total=0))
    return draw.whole6(src, dst, UDP, packets.udp(src, dst, pad + total.to_bytes(2, "big")))


@kind(6, 2)
def truncated_transport6(draw):
    src, dst = draw.pair(6)
    protocol = draw.choice((UDP, TCP, IPV6_ICMP))
    message = draw.message(src, dst, protocol, b"")
    return draw.whole6(src, dst, protocol, message[: draw.randrange(len(message))])


@kind(6, 2)
def udp_length_wrong6(draw):
    src, dst = draw.pair(6)
    message = draw.message(src, dst, UDP, draw.body())
    length = draw.choice((0, 7, 8, len(message) - 1, len(message) + 1, 65535))
    return draw.whole6(src, dst, UDP, message[:4] + length.to_bytes(2, "big") + message[6:])


@kind(6, 4)
def other_protocol6(draw):
    src, dst = draw.pair(6)
    protocol = draw.other()
    return draw.whole6(src, dst, protocol, draw.message(src, dst, protocol, draw.body()))


@kind(6, 2)
def protocol_of_ipv4_6(draw):
    """ICMP of IPv4, no next header, mobility and the like."""
    src, dst = draw.pair(6)
    protocol = draw.choice((ICMP, 59, 135, 139, 140))
    return draw.whole6(src, dst, protocol, draw.randbytes(4) + draw.body())


@kind(6, 3)
def icmp_type6(draw):
    src, dst = draw.pair(6)
    kind_of = draw.choice(
        (0, 5, 100, 101, 127, 130, 131, 132, 137, 138, 139, 140, 141, 144, 151, 160, 200, 255)
    )
    inner = draw.whole6(dst, src, UDP, draw.message(dst, src, UDP, draw.body()))
    return draw.whole6(
        src, dst, IPV6_ICMP, packets.icmpv6(src, dst, kind_of, draw.randrange(4), 0, inner)
    )


@kind(6, 1)
def echo_code6(draw):
    src, dst = draw.pair(6)
    message = packets.icmpv6(
        src, dst, draw.choice((128, 129)), draw.randrange(1, 256), draw.getrandbits(32), draw.body()
    )
    return draw.whole6(src, dst, IPV6_ICMP, message)


def inner6(draw, src, dst):
    """A packet that went the other way, as an error about it quotes it."""
    protocol = draw.choice((UDP, UDP, TCP, TCP, IPV6_ICMP, 47))
    message = draw.message(src, dst, protocol, draw.body(700))
    if protocol == IPV6_ICMP:
        kind_of = draw.choice((128, 128, 129))
        message = packets.icmpv6(src, dst, kind_of, 0, draw.getrandbits(32), draw.body(700))
    packet = draw.whole6(src, dst, protocol, message, hop_limit=draw.randrange(256))
    size = draw.choice((len(packet), len(packet), 48, draw.randrange(48, len(packet) + 1)))
    return packet[:size]


def error6(draw, kind_of, code, word, inner=None, **other):
    """From a router without IPv4 address on the way, or from the host itself."""
    near, far = draw.pair(6)
    inner = inner if inner is not None else inner6(draw, far, near)
    source = draw.choice((near, near, draw.nobody6()))
    message = packets.icmpv6(source, far, kind_of, code, word, inner, **other)
    return draw.whole6(source, far, IPV6_ICMP, message)


@kind(6, 8)
def error_unreachable6(draw):
    return error6(draw, 1, draw.choice((0, 1, 2, 3, 4, 4, 5, 6, 7)), 0)


@kind(6, 5)
def error_too_big6(draw):
    mtu = draw.choice(
        (
            0,
            19,
            68,
            87,
            88,
            576,
            1279,
            1280,
            1300,
            1400,
            1499,
            1500,
            1501,
            1520,
            9000,
            65535,
            65536,
            4294967295,
        )
    )
    return error6(draw, 2, draw.choice((0, 0, 0, 1)), mtu)


@kind(6, 4)
def error_time_exceeded6(draw):
    return error6(draw, 3, draw.choice((0, 0, 1, 2)), 0)


@kind(6, 4)
def error_parameter6(draw):
    return error6(
        draw, 4, draw.choice((0, 0, 1, 2, 3)), draw.choice((draw.randrange(45), 40, 44, 1 << 20))
    )


@kind(6, 2)
def error_about_error6(draw):
    near, far = draw.pair(6)
    quoted = packets.icmpv6(far, near, draw.choice((1, 2, 3)), 0, 1280, draw.randbytes(48))
    inner = draw.whole6(far, near, IPV6_ICMP, quoted)
    return error6(draw, draw.choice((1, 3)), 0, 0, inner)


@kind(6, 2)
def error_about_fragment6(draw):
    near, far = draw.pair(6)
    protocol = draw.choice((UDP, TCP, IPV6_ICMP))
    message = draw.message(far, near, protocol, draw.body())
    offset = draw.choice((0, 0, 8, 1448))
    head = packets.fragment_header(protocol, offset, offset == 0, draw.getrandbits(32))
    inner = draw.whole6(far, near, FRAGMENT, head + message)
    kind_of, code = draw.choice(((1, 0), (1, 4), (3, 0), (3, 1)))
    return error6(draw, kind_of, code, 0, inner)


@kind(6, 2)
def error_about_extensions6(draw):
    near, far = draw.pair(6)
    message = packets.extension(UDP, b"") + draw.message(far, near, UDP, draw.body())
    inner = draw.whole6(far, near, DESTINATION, message)
    return error6(draw, draw.choice((1, 3)), 0, 0, inner)


@kind(6, 2)
def error_inner_wrong6(draw):
    near, far = draw.pair(6)
    inner = inner6(draw, far, near)
    how = draw.randrange(4)
    if how == 0:
        inner = inner[: draw.randrange(48)]
    elif how == 1:
        inner = bytes([draw.choice((0x45, 0x50, 0x70))]) + inner[1:]
    elif how == 2:
        inner = draw.whole6(draw.nobody6(), near, UDP, draw.randbytes(20))
    else:
        inner = draw.whole6(far, packets.packed("ff02::1"), UDP, draw.randbytes(20))
    return error6(draw, draw.choice((1, 3)), 0, 0, inner)


@kind(6, 2)
def error_extended6(draw):
    """RFC 4884: the quoted packet padded to 64-bit words, extensions after it."""
    near, far = draw.pair(6)
    inner = draw.whole6(far, near, UDP, draw.message(far, near, UDP, draw.body(500)))
    words = max(16, (len(inner) + 7) // 8)
    body = inner.ljust(words * 8, b"\0") + extension_object(draw)
    return error6(draw, *draw.choice(((1, 0), (3, 0))), words << 24, body)


@kind(6, 1)
def error_fragmented6(draw):
    near, far = draw.pair(6)
    message = packets.icmpv6(near, far, 1, 0, 0, inner6(draw, far, near))
    head = packets.fragment_header(IPV6_ICMP, 0, 1, draw.getrandbits(32))
    return draw.whole6(near, far, FRAGMENT, head + message[: len(message) & ~7])


@kind(6, 1)
def error_wrong_checksum6(draw):
    return error6(draw, draw.choice((1, 3)), 0, 0, total=draw.randrange(1, 65535))


@kind(6, 2)
def error_beyond_ipv4_6(draw):
    """An error about a packet to one that has no IPv4 address."""
    near, far = draw.pair(6)
    inner = draw.whole6(far, draw.nobody6(), UDP, draw.randbytes(30))
    return error6(draw, 1, 0, 0, inner)


@kind(6, 3)
def atomic_fragment6(draw):
    src, dst = draw.pair(6)
    protocol = draw.choice((UDP, TCP, IPV6_ICMP, 47))
    head = packets.fragment_header(protocol, 0, 0, draw.getrandbits(32))
    return draw.whole6(src, dst, FRAGMENT, head + draw.message(src, dst, protocol, draw.body()))


@kind(6, 4)
def first_fragment6(draw):
    src, dst = draw.pair(6)
    protocol = draw.choice((UDP, TCP, 47))
    message = draw.message(src, dst, protocol, draw.randbytes(draw.choice((40, 200, 1400))))
    size = draw.choice((len(message) & ~7, 32, 24))
    head = packets.fragment_header(protocol, 0, 1, draw.getrandbits(32))
    return draw.whole6(src, dst, FRAGMENT, head + message[:size])


@kind(6, 4)
def later_fragment6(draw):
    src, dst = draw.pair(6)
    more = draw.randrange(2)
    size = draw.choice((8, 16, 64, 1400, 1448)) + (0 if more else draw.randrange(5))
    offset = 8 * draw.randrange(1, 4096)
    head = packets.fragment_header(draw.choice((UDP, TCP, 47)), offset, more, draw.getrandbits(32))
    return draw.whole6(src, dst, FRAGMENT, head + draw.randbytes(size))


@kind(6, 2)
def wrong_fragment6(draw):
    src, dst = draw.pair(6)
    if draw.random() < 0.5:
        body, more, offset = draw.randbytes(draw.choice((16, 64))), 0, 65528
    else:
        body, more, offset = draw.randbytes(8 * draw.randrange(3, 9) + draw.randrange(1, 8)), 1, 64
    head = packets.fragment_header(UDP, offset, more, draw.getrandbits(32))
    return draw.whole6(src, dst, FRAGMENT, head + body)


@kind(6, 2)
def short_first_fragment6(draw):
    src, dst = draw.pair(6)
    protocol = draw.choice((UDP, TCP, TCP))
    size = 0 if protocol == UDP else draw.choice((8, 16))
    head = packets.fragment_header(protocol, 0, 1, draw.getrandbits(32))
    return draw.whole6(
        src, dst, FRAGMENT, head + draw.message(src, dst, protocol, draw.body())[:size]
    )


@kind(6, 2)
def icmp_fragment6(draw):
    src, dst = draw.pair(6)
    offset = draw.choice((0, 64))
    head = packets.fragment_header(IPV6_ICMP, offset, offset == 0, draw.getrandbits(32))
    message = draw.message(src, dst, IPV6_ICMP, draw.randbytes(56))
    return draw.whole6(src, dst, FRAGMENT, head + message)


@kind(6, 5)
def extensions6(draw):
    """Extension headers before a datagram, in front of a fragment too."""
    src, dst = draw.pair(6)
    protocol = draw.choice((UDP, TCP, IPV6_ICMP))
    message = draw.message(src, dst, protocol, draw.body())
    chain = draw.choice(
        (
            (HOP_BY_HOP,),
            (DESTINATION,),
            (ROUTING,),
            (HOP_BY_HOP, DESTINATION),
            (HOP_BY_HOP, ROUTING),
            (DESTINATION, ROUTING, DESTINATION),
            (HOP_BY_HOP, FRAGMENT),
            (DESTINATION, FRAGMENT, DESTINATION),
        )
    )
    following = protocol
    for header in reversed(chain):
        message = extension(draw, header, following) + message
        following = header
    return draw.whole6(src, dst, following, message)


def extension(draw, header, following):
    if header == ROUTING:
        return packets.routing(following, 0, draw.choice((0, 3, 4)))
    if header == FRAGMENT:
        return packets.fragment_header(following, 0, 0, draw.getrandbits(32))
    return packets.extension(
        following, draw.choice((b"", b"\x05\x02\0\0", b"\x1e\x06" + draw.randbytes(6)))
    )


@kind(6, 2)
def segments_left6(draw):
    src, dst = draw.pair(6)
    protocol = draw.choice((UDP, TCP))
    message = draw.message(src, dst, protocol, draw.body())
    head = packets.routing(protocol, draw.randrange(1, 3), draw.choice((0, 2, 3, 4)), hops=2)
    if draw.random() < 0.3:
        return draw.whole6(src, dst, HOP_BY_HOP, packets.extension(ROUTING, b"") + head + message)
    return draw.whole6(src, dst, ROUTING, head + message)


@kind(6, 2)
def wrong_extensions6(draw):
    src, dst = draw.pair(6)
    how = draw.randrange(4)
    if how == 0:
        body = bytes([UDP, 200]) + draw.randbytes(14)
        return draw.whole6(src, dst, DESTINATION, body)
    if how == 1:
        return draw.whole6(src, dst, HOP_BY_HOP, draw.randbytes(draw.randrange(2)))
    if how == 2:
        return draw.whole6(src, dst, FRAGMENT, draw.randbytes(draw.randrange(8)))
    twice = packets.fragment_header(FRAGMENT, 0, 0, 1) + packets.fragment_header(UDP, 0, 0, 2)
    return draw.whole6(src, dst, FRAGMENT, twice + draw.message(src, dst, UDP, draw.body()))


@kind(6, 3)
def hop_limit6(draw):
    src, dst = draw.pair(6)
    protocol = draw.choice((UDP, TCP, IPV6_ICMP))
    message = draw.message(src, dst, protocol, draw.body())
    return draw.whole6(src, dst, protocol, message, hop_limit=draw.choice((0, 1, 1, 2)))


@kind(6, 1)
def hop_limit_of_error6(draw):
    near, far = draw.pair(6)
    message = packets.icmpv6(near, far, 3, 0, 0, inner6(draw, far, near))
    return draw.whole6(near, far, IPV6_ICMP, message, hop_limit=draw.choice((0, 1)))


@kind(6, 3)
def wrong_header6(draw):
    packet = bytearray(udp6(draw))
    how = draw.randrange(4)
    if how == 0:
        packet[0] = draw.choice((0x50, 0x70, 0x00)) | packet[0] & 15
    elif how == 1:
        packet[4:6] = (len(packet) - 40 + draw.randrange(1, 99)).to_bytes(2, "big")
    elif how == 2:
        packet[4:6] = draw.randrange(8).to_bytes(2, "big")
    else:
        return bytes(packet[: draw.randrange(1, 40)])
    return bytes(packet)


@kind(6, 2)
def padding6(draw):
    return udp6(draw) + draw.randbytes(draw.randrange(1, 30))


ILLEGAL6 = tuple(
    packets.packed(text)
    for text in ("::", "::1", "ff02::1", "ff0e::1234", "fe80::1", "fec0::1", "::ffff:192.0.2.1")
)


@kind(6, 3)
def illegal_address6(draw):
    src, dst = draw.pair(6)
    if draw.random() < 0.5:
        src = draw.choice(ILLEGAL6)
    else:
        dst = draw.choice(ILLEGAL6)
    protocol = draw.choice((UDP, TCP, IPV6_ICMP))
    return draw.whole6(src, dst, protocol, draw.message(src, dst, protocol, draw.body()))


@kind(6, 3)
def illegal_embedded6(draw):
    """IPv4 addresses in the prefix that name no single host."""
    src, dst = draw.pair(6)
    bad = packets.embed(relay.POOL6, draw.choice(ILLEGAL4))
    src, dst = (bad, dst) if draw.random() < 0.5 else (src, bad)
    protocol = draw.choice((UDP, TCP, IPV6_ICMP))
    return draw.whole6(src, dst, protocol, draw.message(src, dst, protocol, draw.body()))


@kind(6, 3)
def unmapped6(draw):
    src, dst = draw.pair(6)
    src, dst = (draw.nobody6(), dst) if draw.random() < 0.5 else (src, draw.nobody6())
    protocol = draw.choice((UDP, TCP, IPV6_ICMP))
    return draw.whole6(src, dst, protocol, draw.message(src, dst, protocol, draw.body()))


@kind(6, 2)
def pool_to_pool6(draw):
    src, dst = draw.server6(), draw.server6()
    return draw.whole6(src, dst, UDP, draw.message(src, dst, UDP, draw.body()))


@kind(6, 2)
def hairpin6(draw):
    """To the IPv4 address of an IPv6 host, by way of the prefix."""
    src, dst = draw.host6(), packets.embed(relay.POOL6, draw.server4())
    protocol = draw.choice((UDP, TCP, IPV6_ICMP))
    return draw.whole6(src, dst, protocol, draw.message(src, dst, protocol, draw.body()))


@kind(6, 1)
def hairpin_size6(draw):
    src, dst = draw.host6(), packets.embed(relay.POOL6, draw.server4())
    body = draw.randbytes(draw.choice((1212, 1232, 1252, 1451, 1452)))
    return draw.whole6(src, dst, UDP, draw.message(src, dst, UDP, body))


@kind(6, 1)
def explicit_to_explicit6(draw):
    """To an IPv6 host with an explicit mapping, not by its IPv4 address."""
    src, dst = draw.host6(), draw.host6()
    return draw.whole6(src, dst, UDP, draw.message(src, dst, UDP, draw.body()))
