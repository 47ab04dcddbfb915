"""The kinds of packets that come from the IPv4 side; see `cases`."""

from . import packets, relay
from .drawn import ILLEGAL4, MTU, eam6, extension_object, kind, wrong
from .packets import DF, ICMP, MF, TCP, UDP


@kind(4, 8)
def udp4(draw):
    src, dst = draw.pair(4)
    return draw.whole4(src, dst, UDP, draw.message(src, dst, UDP, draw.body()))


@kind(4, 8)
def tcp4(draw):
    src, dst = draw.pair(4)
    return draw.whole4(src, dst, TCP, draw.message(src, dst, TCP, draw.body()))


@kind(4, 6)
def echo4(draw):
    src, dst = draw.pair(4)
    return draw.whole4(src, dst, ICMP, draw.message(src, dst, ICMP, draw.body()))


@kind(4, 2)
def empty_payload4(draw):
    src, dst = draw.pair(4)
    protocol = draw.choice((UDP, TCP, ICMP))
    return draw.whole4(src, dst, protocol, draw.message(src, dst, protocol, b""))


@kind(4, 5)
def size4(draw):
    """About the sizes at which something changes."""
    src, dst = draw.pair(4)
    protocol = draw.choice((UDP, TCP, ICMP, 47))
    edge = draw.choice((1240, 1252, 1260, 1280, 1300, 1452, 1472, 1480, 1500))
    size = min(edge + draw.randrange(-9, 10), MTU) - 20
    return draw.whole4(src, dst, protocol, draw.sized(src, dst, protocol, size))


@kind(4, 3)
def udp_zero_checksum4(draw):
    src, dst = draw.pair(4)
    return draw.whole4(src, dst, UDP, packets.udp(src, dst, draw.body(), total=0))


@kind(4, 3)
def wrong_transport_checksum4(draw):
    src, dst = draw.pair(4)
    protocol = draw.choice((UDP, TCP))
    message = draw.message(src, dst, protocol, draw.body())
    at = 6 if protocol == UDP else 16
    bad = wrong(draw, int.from_bytes(message[at : at + 2], "big")).to_bytes(2, "big")
    return draw.whole4(src, dst, protocol, message[:at] + bad + message[at + 2 :])


@kind(4, 2)
def wrong_icmp_checksum4(draw):
    src, dst = draw.pair(4)
    message = draw.message(src, dst, ICMP, draw.body())
    bad = wrong(draw, int.from_bytes(message[2:4], "big")).to_bytes(2, "big")
    return draw.whole4(src, dst, ICMP, message[:2] + bad + message[4:])


@kind(4, 2)
def udp_checksum_edge4(draw):
    """Checksums that come to zero on one side or the other."""
    src, dst = draw.pair(4)
    far = packets.embed(relay.POOL6, src) + eam6(dst)
    pad = draw.randbytes(8)
    total = packets.transport_sum(
        far[:16], far[16:], UDP, packets.udp(src, dst, pad + b"\0\0", total=0)
    )
    if draw.random() < 0.5:
        total = packets.transport_sum(src, dst, UDP, packets.udp(src, dst, pad + b"\0\0", total=0))
    # Adding what the checksum lacks makes the sum ffff.
    return draw.whole4(src, dst, UDP, packets.udp(src, dst, pad + total.to_bytes(2, "big")))


@kind(4, 2)
def truncated_transport4(draw):
    src, dst = draw.pair(4)
    protocol = draw.choice((UDP, TCP, ICMP))
    message = draw.message(src, dst, protocol, b"")
    return draw.whole4(src, dst, protocol, message[: draw.randrange(len(message))])


@kind(4, 2)
def udp_length_wrong4(draw):
    src, dst = draw.pair(4)
    message = draw.message(src, dst, UDP, draw.body())
    length = draw.choice((0, 7, 8, len(message) - 1, len(message) + 1, 65535))
    return draw.whole4(src, dst, UDP, message[:4] + length.to_bytes(2, "big") + message[6:])


@kind(4, 4)
def other_protocol4(draw):
    src, dst = draw.pair(4)
    protocol = draw.other()
    return draw.whole4(src, dst, protocol, draw.message(src, dst, protocol, draw.body()))


@kind(4, 2)
def protocol_of_ipv6_4(draw):
    """Protocols that mean something else as an IPv6 next header."""
    src, dst = draw.pair(4)
    protocol = draw.choice((0, 43, 44, 58, 59, 60, 135, 139, 140))
    return draw.whole4(src, dst, protocol, draw.randbytes(4) + draw.body())


@kind(4, 3)
def icmp_type4(draw):
    """Types and codes that are neither echo nor an error."""
    src, dst = draw.pair(4)
    kind_of = draw.choice(
        (1, 2, 4, 5, 6, 7, 9, 10, 13, 14, 15, 16, 17, 18, 30, 37, 40, 42, 200, 255)
    )
    body = draw.whole4(dst, src, UDP, draw.message(dst, src, UDP, draw.body())) + draw.randbytes(8)
    return draw.whole4(src, dst, ICMP, packets.icmp(kind_of, draw.randrange(4), 0, body))


@kind(4, 1)
def echo_code4(draw):
    src, dst = draw.pair(4)
    message = packets.icmp(
        draw.choice((0, 8)), draw.randrange(1, 256), draw.getrandbits(32), draw.body()
    )
    return draw.whole4(src, dst, ICMP, message)


def inner4(draw, src, dst):
    """A packet that went the other way, as an error about it quotes it. The
    checksum of a quoted packet may be that of another hop; so may its TTL."""
    protocol = draw.choice((UDP, UDP, TCP, TCP, ICMP, 47))
    message = draw.message(src, dst, protocol, draw.body(700))
    if protocol == ICMP:
        message = packets.icmp(draw.choice((8, 8, 0)), 0, draw.getrandbits(32), draw.body(700))
    packet = draw.whole4(src, dst, protocol, message, ttl=draw.randrange(256))
    size = draw.choice((len(packet), len(packet), 28, draw.randrange(28, len(packet) + 1)))
    return packet[:size]


def error4(draw, kind_of, code, word, inner=None, **other):
    """From a router on the way, or from the host itself."""
    near, far = draw.pair(4)
    inner = inner if inner is not None else inner4(draw, far, near)
    source = draw.choice((near, near, bytes([192, 0, 2, draw.randrange(3, 200)])))
    return draw.whole4(source, far, ICMP, packets.icmp(kind_of, code, word, inner, **other))


@kind(4, 8)
def error_unreachable4(draw):
    code = draw.choice([n for n in range(18) if n != 4])
    return error4(draw, 3, code, 0)


@kind(4, 5)
def error_too_big4(draw):
    mtu = draw.choice(
        (0, 1, 67, 68, 296, 576, 1259, 1260, 1280, 1300, 1400, 1479, 1480, 1481, 1500, 9000, 65535)
    )
    return error4(draw, 3, 4, mtu)


@kind(4, 4)
def error_time_exceeded4(draw):
    return error4(draw, 11, draw.choice((0, 0, 1, 2)), 0)


@kind(4, 4)
def error_parameter4(draw):
    return error4(draw, 12, draw.choice((0, 0, 0, 1, 2, 3)), draw.randrange(25) << 24)


@kind(4, 2)
def error_about_error4(draw):
    near, far = draw.pair(4)
    quoted = packets.icmp(draw.choice((3, 11, 12)), 1, 0, draw.randbytes(28))
    inner = draw.whole4(far, near, ICMP, quoted)
    return error4(draw, draw.choice((3, 11)), 1, 0, inner)


@kind(4, 2)
def error_about_fragment4(draw):
    near, far = draw.pair(4)
    protocol = draw.choice((UDP, TCP, ICMP))
    message = draw.message(far, near, protocol, draw.body())
    offset = draw.choice((0, 0, 8, 1480))
    inner = draw.whole4(far, near, protocol, message, flags=MF if offset == 0 else 0, offset=offset)
    kind_of, code = draw.choice(((3, 3), (3, 1), (11, 0), (11, 1)))
    return error4(draw, kind_of, code, 0, inner)


@kind(4, 2)
def error_about_options4(draw):
    near, far = draw.pair(4)
    options = draw.choice((b"\x01\x01\x01\x00", b"\x07\x07\x04" + bytes(5), b"\x94\x04\0\0"))
    inner = draw.whole4(far, near, UDP, draw.message(far, near, UDP, draw.body()), options=options)
    return error4(draw, draw.choice((3, 11)), 1, 0, inner)


@kind(4, 2)
def error_inner_wrong4(draw):
    """Quotes what no packet looks like."""
    near, far = draw.pair(4)
    inner = inner4(draw, far, near)
    how = draw.randrange(5)
    if how == 0:
        inner = inner[: draw.randrange(28)]
    elif how == 1:
        inner = bytes([draw.choice((0x44, 0x55, 0x65, 0x4F))]) + inner[1:]
    elif how == 2:
        inner = draw.whole4(bytes([127, 0, 0, 1]), near, UDP, draw.randbytes(20))
    elif how == 3:
        inner = draw.whole4(far, bytes([224, 0, 0, 5]), UDP, draw.randbytes(20))
    else:
        inner = inner[:10] + draw.randbytes(2) + inner[12:]
    return error4(draw, draw.choice((3, 11)), 1, 0, inner)


@kind(4, 2)
def error_extended4(draw):
    """RFC 4884: the quoted packet padded to whole words, extensions after it."""
    near, far = draw.pair(4)
    inner = draw.whole4(far, near, UDP, draw.message(far, near, UDP, draw.body(500)))
    words = max(32, (len(inner) + 3) // 4)
    body = inner.ljust(words * 4, b"\0") + extension_object(draw)
    return error4(draw, *draw.choice(((3, 1), (11, 0))), words << 16, body)


@kind(4, 1)
def error_fragmented4(draw):
    near, far = draw.pair(4)
    message = packets.icmp(3, 1, 0, inner4(draw, far, near))
    message = message[: len(message) & ~7]
    return draw.whole4(near, far, ICMP, message, flags=MF)


@kind(4, 1)
def error_wrong_checksum4(draw):
    return error4(draw, draw.choice((3, 11)), 1, 0, total=draw.randrange(1, 65535))


@kind(4, 4)
def first_fragment4(draw):
    src, dst = draw.pair(4)
    protocol = draw.choice((UDP, TCP, 47))
    message = draw.message(src, dst, protocol, draw.randbytes(draw.choice((40, 200, 1480))))
    size = draw.choice((min(len(message) & ~7, 1480), 32, 24))
    flags = MF | draw.choice((0, 0, DF))
    return draw.whole4(src, dst, protocol, message[:size], flags=flags)


@kind(4, 4)
def later_fragment4(draw):
    src, dst = draw.pair(4)
    more = draw.choice((0, MF))
    size = draw.choice((8, 16, 64, 1400, 1480 if more else 1472)) + (
        0 if more else draw.randrange(8)
    )
    offset = 8 * draw.randrange(1, 4096)
    return draw.whole4(
        src, dst, draw.choice((UDP, TCP, 47)), draw.randbytes(size), flags=more, offset=offset
    )


@kind(4, 2)
def wrong_fragment4(draw):
    """Ends beyond 65,535 bytes, or is no multiple of eight before the last."""
    src, dst = draw.pair(4)
    if draw.random() < 0.5:
        body, flags, offset = draw.randbytes(draw.choice((16, 64))), 0, 65528
    else:
        body, flags, offset = (
            draw.randbytes(8 * draw.randrange(3, 9) + draw.randrange(1, 8)),
            MF,
            64,
        )
    return draw.whole4(src, dst, UDP, body, flags=flags, offset=offset)


@kind(4, 2)
def short_first_fragment4(draw):
    src, dst = draw.pair(4)
    protocol = draw.choice((UDP, TCP, TCP))
    size = 8 if protocol == TCP else draw.choice((0, 8))
    message = draw.message(src, dst, protocol, draw.body())
    if protocol == TCP:
        size = draw.choice((8, 16))
    return draw.whole4(src, dst, protocol, message[:size], flags=MF)


@kind(4, 2)
def udp_zero_checksum_fragment4(draw):
    src, dst = draw.pair(4)
    message = packets.udp(src, dst, draw.randbytes(56), total=0)
    return draw.whole4(src, dst, UDP, message, flags=MF)


@kind(4, 2)
def icmp_fragment4(draw):
    src, dst = draw.pair(4)
    message = draw.message(src, dst, ICMP, draw.randbytes(56))
    offset = draw.choice((0, 64))
    return draw.whole4(src, dst, ICMP, message, flags=MF if offset == 0 else 0, offset=offset)


@kind(4, 4)
def options4(draw):
    """Options that do not matter, source routes used up, and source routes."""
    src, dst = draw.pair(4)
    route = draw.choice((0x83, 0x89))
    options = draw.choice(
        (
            b"\x01\x01\x01\x00",
            b"\x94\x04\0\0",
            b"\x07\x0b\x04" + bytes(9),
            b"\x44\x0c\x05\0" + bytes(8),
            bytes([route, 7, 8]) + src + b"\0",
            bytes([route, 7, 4]) + src + b"\0",
            b"\x01" + bytes([route, 11, 4]) + src + dst,
            b"\x1e\x08" + bytes(6),
        )
    )
    protocol = draw.choice((UDP, TCP, ICMP))
    return draw.whole4(
        src, dst, protocol, draw.message(src, dst, protocol, draw.body()), options=options
    )


@kind(4, 1)
def wrong_options4(draw):
    src, dst = draw.pair(4)
    options = draw.choice(
        (
            b"\x07\x00\0\0",
            b"\x07\x01\0\0",
            b"\x01\x01\x07\x28",
            b"\x83\x03\x04\0",
            b"\x83\x07\x09\0" + bytes(4),
        )
    )
    return draw.whole4(src, dst, UDP, draw.message(src, dst, UDP, draw.body()), options=options)


@kind(4, 3)
def ttl4(draw):
    src, dst = draw.pair(4)
    protocol = draw.choice((UDP, TCP, ICMP))
    message = draw.message(src, dst, protocol, draw.body())
    return draw.whole4(src, dst, protocol, message, ttl=draw.choice((0, 1, 1, 2)))


@kind(4, 1)
def ttl_of_error4(draw):
    near, far = draw.pair(4)
    message = packets.icmp(11, 0, 0, inner4(draw, far, near))
    return draw.whole4(near, far, ICMP, message, ttl=draw.choice((0, 1)))


@kind(4, 3)
def wrong_header4(draw):
    packet = bytearray(udp4(draw))
    how = draw.randrange(7)
    if how == 0:
        packet[10] ^= draw.randrange(1, 255)  # the checksum
        return bytes(packet)
    if how == 1:
        packet[0] = 0x50 | draw.randrange(16)
    elif how == 2:
        packet[0] = 0x40 | draw.randrange(5)
    elif how == 3:
        packet[2:4] = (len(packet) + draw.randrange(1, 99)).to_bytes(2, "big")
    elif how == 4:
        packet[2:4] = draw.randrange(20).to_bytes(2, "big")
    elif how == 5:
        return bytes(packet[: draw.randrange(1, 20)])
    else:
        packet[6] |= 0x80  # the reserved flag
    return packets.fix_header(bytes(packet)) if packet[0] & 15 >= 5 else bytes(packet)


@kind(4, 2)
def padding4(draw):
    """More bytes than the packet has, as short frames bring them."""
    return udp4(draw) + draw.randbytes(draw.randrange(1, 30))


@kind(4, 3)
def illegal_address4(draw):
    src, dst = draw.pair(4)
    if draw.random() < 0.5:
        src = draw.choice(ILLEGAL4)
    else:
        dst = draw.choice(ILLEGAL4)
    protocol = draw.choice((UDP, TCP, ICMP))
    return draw.whole4(src, dst, protocol, draw.message(src, dst, protocol, draw.body()))


@kind(4, 2)
def pool_to_pool4(draw):
    """Neither end has an explicit mapping: both are of the prefix."""
    src, dst = draw.host4(), draw.host4()
    return draw.whole4(src, dst, UDP, draw.message(src, dst, UDP, draw.body()))


@kind(4, 2)
def explicit_source4(draw):
    """From the IPv4 address of an IPv6 host."""
    src, dst = draw.server4(), draw.server4()
    return draw.whole4(src, dst, UDP, draw.message(src, dst, UDP, draw.body()))
