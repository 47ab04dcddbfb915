"""IP packets of every kind, right and wrong, made by hand: what the relay's
tests and its comparison with another translator send."""

import ipaddress
import struct

from .frames import checksum, sum16

ICMP, TCP, UDP, IPV6_ICMP = 1, 6, 17, 58
HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION = 0, 43, 44, 60
DF, MF = 0x4000, 0x2000


def packed(address):
    """An address as bytes, from text, number of IPv4, or bytes."""
    if isinstance(address, bytes):
        return address
    return ipaddress.ip_address(address).packed


def ipv4(
    src, dst, protocol, payload, ttl=64, tos=0, ident=0, flags=0, offset=0, options=b"", length=None
):
    """`offset` in bytes; `length` only where it shall lie."""
    head = struct.pack(
        ">BBHHHBBH",
        0x40 | (5 + len(options) // 4),
        tos,
        (20 + len(options) + len(payload) if length is None else length) & 0xFFFF,
        ident,
        flags | offset >> 3,
        ttl,
        protocol,
        0,
    )
    head += packed(src) + packed(dst) + options
    return head[:10] + struct.pack(">H", checksum(sum16(head))) + head[12:] + payload


def ipv6(src, dst, next_header, payload, hop_limit=64, traffic_class=0, flow=0, length=None):
    """`length` only where it shall lie."""
    return (
        struct.pack(
            ">IHBB",
            6 << 28 | traffic_class << 20 | flow,
            len(payload) if length is None else length,
            next_header,
            hop_limit,
        )
        + packed(src)
        + packed(dst)
        + payload
    )


def transport_sum(src, dst, protocol, octets):
    """The checksum of `octets`, its field being zero, with the pseudo-header of
    either family."""
    return checksum(sum16(packed(src) + packed(dst)) + protocol + len(octets) + sum16(octets))


def udp(src, dst, payload, sport=4000, dport=5000, total=None):
    """`total` is the checksum when it shall not be right."""
    octets = struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload
    if total is None:
        total = transport_sum(src, dst, UDP, octets) or 0xFFFF
    return octets[:6] + struct.pack(">H", total) + octets[8:]


def tcp(src, dst, payload, sport=4000, dport=80, flags=0x18, seq=1, options=b"", total=None):
    head = struct.pack(
        ">HHIIBBHHH", sport, dport, seq, 7, (5 + len(options) // 4) << 4, flags, 8192, 0, 0
    )
    octets = head + options + payload
    if total is None:
        total = transport_sum(src, dst, TCP, octets)
    return octets[:16] + struct.pack(">H", total) + octets[18:]


def icmp(kind, code, word, body, total=None):
    """ICMP of IPv4; `word` is its second word."""
    octets = struct.pack(">BBHI", kind, code, 0, word) + body
    if total is None:
        total = checksum(sum16(octets))
    return octets[:2] + struct.pack(">H", total) + octets[4:]


def icmpv6(src, dst, kind, code, word, body, total=None):
    octets = struct.pack(">BBHI", kind, code, 0, word) + body
    if total is None:
        total = transport_sum(src, dst, IPV6_ICMP, octets)
    return octets[:2] + struct.pack(">H", total) + octets[4:]


def fragment_header(next_header, offset, more, ident):
    """`offset` in bytes."""
    return struct.pack(">BBHI", next_header, 0, offset & 0xFFF8 | more, ident)


def extension(next_header, body):
    """A hop-by-hop or destination options header around whole options."""
    length = (2 + len(body) + 7) // 8
    pad = length * 8 - 2 - len(body)
    filler = b"" if pad == 0 else b"\0" if pad == 1 else bytes([1, pad - 2]) + bytes(pad - 2)
    return bytes([next_header, length - 1]) + body + filler


def routing(next_header, left, kind=0, hops=1):
    """A routing header with so many segments left."""
    return bytes([next_header, 2 * hops, kind, left]) + bytes(4) + bytes(16 * hops)


def embed(pool6, address):
    """RFC 6052 for prefixes of 96 bits."""
    return ipaddress.IPv6Network(pool6).network_address.packed[:12] + packed(address)


def fix_header(packet):
    """An IPv4 packet with its header checksum made right."""
    size = (packet[0] & 15) * 4
    head = packet[:10] + b"\0\0" + packet[12:size]
    return head[:10] + struct.pack(">H", checksum(sum16(head))) + packet[12:]
