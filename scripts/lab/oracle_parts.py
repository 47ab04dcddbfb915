"""What the oracle reads and writes: headers, addresses, checksums, chains of
headers, the bodies of errors. See `oracle`."""

import struct
from dataclasses import dataclass

from . import drawn, packets, relay
from .packets import FRAGMENT, IPV6_ICMP, MF, TCP, UDP, checksum, sum16

OWN4, OWN6 = packets.packed(relay.OWN[4]), packets.packed(relay.OWN[6])
POOL = packets.embed(relay.POOL6, "0.0.0.0")[:12]
IGMP, AH, DCCP, UDP_LITE = 2, 51, 33, 136
MTU, LEAST6, GROWTH, HEAD = 1500, 1280, 20, 8
# Where checksums are, and how much of a header must be there.
COVERED = {TCP: (16, 20), UDP: (6, 8), DCCP: (6, 12), UDP_LITE: (6, 8)}
EXTENSIONS = (0, 43, 44, 60, 135, 139, 140)


class Silent(Exception):
    """Discarded, and nobody is told."""


class Told(Exception):
    """Discarded, and the sender is told by an ICMP error of its family."""

    def __init__(self, kind, code, word=0):
        super().__init__()
        self.error = kind, code, word


@dataclass
class Header4:
    """An IPv4 header; offsets in bytes."""

    tos: int
    total: int
    ident: int
    flags: int
    ttl: int
    protocol: int
    src: bytes
    dst: bytes
    size: int

    @classmethod
    def read(cls, packet):
        if len(packet) < 20 or packet[0] >> 4 != 4 or packet[0] & 15 < 5:
            raise Silent
        _, tos, total, ident, flags, ttl, protocol = struct.unpack(">BBHHHBB", packet[:10])
        size = (packet[0] & 15) * 4
        return cls(tos, total, ident, flags, ttl, protocol, packet[12:16], packet[16:20], size)

    @property
    def offset(self):
        return (self.flags & 0x1FFF) * 8

    @property
    def more(self):
        return bool(self.flags & MF)

    @property
    def fragment(self):
        return self.more or self.offset > 0


@dataclass
class Header6:
    """An IPv6 header with what is known of the headers behind it."""

    traffic_class: int
    length: int
    hops: int
    src: bytes
    dst: bytes
    protocol: int
    behind: int = 40
    fragment: tuple = None  # offset, more, identification

    @classmethod
    def read(cls, packet):
        if len(packet) < 40 or packet[0] >> 4 != 6:
            raise Silent
        word, length, following, hops = struct.unpack(">IHBB", packet[:8])
        return cls(word >> 20 & 0xFF, length, hops, packet[8:24], packet[24:40], following)

    @property
    def later(self):
        return self.fragment is not None and self.fragment[0] > 0

    @property
    def whole(self):
        return self.fragment is None or self.fragment[:2] == (0, 0)


def legal4(address):
    """Whether it may be one host's beyond its link."""
    return address[0] not in (0, 127) and address[0] < 224 and address[:2] != b"\xa9\xfe"


def legal6(address):
    number = int.from_bytes(address, "big")
    link_local = address[0] == 0xFE and address[1] & 0xC0 == 0x80
    mapped = number >> 32 == 0xFFFF
    return not (number < 2 or mapped or link_local or address[0] == 0xFF)


def explicit(address):
    """Whether an IPv4 address has an explicit mapping."""
    return address[:3] == b"\xcb\x00\x71" or address == bytes([198, 51, 100, 7])


def to6(address, explicitly=True):
    if explicitly and explicit(address):
        return drawn.eam6(address)
    return POOL + address


def to4(address):
    """The IPv4 address, and whether by explicit mapping; None if there is none."""
    if address[:12] == POOL:
        return address[12:], False
    if address[:15] == packets.packed("2001:db8:beef::")[:15] or address in (
        packets.packed("2001:db8:cafe::7"),
        packets.packed("2001:db8:cafe::77"),
    ):
        return drawn.eam4(address), True
    return None


def adjust(field, old, new):
    """A checksum when what it covers sums up to `new` and no longer to `old`."""
    total = (field ^ 0xFFFF) + checksum(old) + (checksum(new) ^ 0xFFFF)
    return checksum(total)


def put(octets, at, value):
    return octets[:at] + value.to_bytes(2, "big") + octets[at + 2 :]


def pseudo(src, dst, length):
    return sum16(src + dst) + length + IPV6_ICMP


POINTERS4 = {0: 0, 1: 1, 2: 4, 3: 4, 8: 7, 9: 6}
POINTERS4 |= {n: 8 for n in range(12, 16)} | {n: 24 for n in range(16, 20)}
POINTERS6 = (
    ((0,), 0),
    ((1,), 1),
    ((4, 5), 2),
    ((6,), 9),
    ((7,), 8),
    (range(8, 24), 12),
    (range(24, 40), 16),
)


def word_at(octets, at):
    return int.from_bytes(octets[at : at + 2], "big")


def sum_of(octets):
    """Zero if the checksum in it is right."""
    return checksum(sum16(octets))


def upper(h, packet):
    """Goes on to the first header that is none of IPv6's own."""
    length_at = None
    while True:
        rest = packet[h.behind :]
        if length_at is not None and h.behind > len(packet):
            raise Told(4, 0, length_at)
        if h.protocol == FRAGMENT:
            if len(rest) < 8:
                raise Told(4, 0, h.behind)
            h.protocol, _, offset, ident = struct.unpack(">BBHI", rest[:8])
            h.fragment = offset & 0xFFF8, offset & 1, ident
            h.behind += 8
            if h.protocol in EXTENSIONS or h.protocol == AH:
                raise Told(1, 1)
            return
        if h.protocol not in (0, 43, 60):
            return
        length_at = h.behind + 1
        if len(rest) < 8:
            raise Told(4, 0, length_at)
        if h.protocol == 43 and rest[3]:
            raise Told(4, 0, h.behind + 3)
        h.protocol = rest[0]
        h.behind += 8 + 8 * rest[1]


def may_be_error(protocol, rest):
    """Whether what follows is an ICMPv6 error or a redirect, or could be."""
    while True:
        if protocol == IPV6_ICMP:
            return not rest or rest[0] < 128 or rest[0] == 137
        if protocol == FRAGMENT:
            if len(rest) < 8 or word_at(rest, 2) >> 3:
                return not rest or rest[0] in (IPV6_ICMP, AH) or rest[0] in EXTENSIONS
            size = 8
        elif protocol == AH:
            size = 8 + 4 * (rest[1] if len(rest) > 1 else 0)
        elif protocol in EXTENSIONS:
            size = 8 + 8 * (rest[1] if len(rest) > 1 else 0)
        else:
            return False
        if len(rest) < size:
            return not rest or rest[0] in (IPV6_ICMP, AH) or rest[0] in EXTENSIONS
        protocol, rest = rest[0], rest[size:]


def quoted_echo(payload, kinds, whole, old, new):
    """An echo in an error, maybe not all of it. Of a first fragment the
    checksum stays: it covers a length that nobody knows."""
    if not payload:
        return payload
    if payload[0] not in kinds:
        raise Silent
    kind = kinds[payload[0]]
    full = payload.ljust(4, b"\0")
    total = word_at(full, 2)
    if whole:
        total = adjust(total, old + (payload[0] << 8), new + (kind << 8))
    return (put(bytes([kind]) + full[1:], 2, total))[: len(payload)]


def split(body, words, unit, has_length):
    """RFC 4884: the quoted packet, the extensions, and whether it is padded."""
    size = words * unit
    if has_length and 128 <= size <= len(body):
        return body[:size], body[size:], True
    return body, b"", False


def join(inner, structure, unit, most, has_length):
    """The other way: the body, and the length attribute."""
    if not structure or not has_length or 128 + len(structure) > most:
        return inner[:most], 0
    inner = inner[: (most - len(structure)) // unit * unit]
    size = max(128, -(-len(inner) // unit) * unit)
    return inner.ljust(size, b"\0") + structure, size // unit
