"""tayga 0.9.2 as a model: the oracle with the differences that are named in
`tayga_differences`. What it answers must be what tayga does, to the byte."""

import struct

from . import packets
from .oracle import Oracle
from .oracle_parts import (
    COVERED,
    DCCP,
    IGMP,
    OWN4,
    UDP_LITE,
    Header4,
    Header6,
    Silent,
    Told,
    explicit,
    pseudo,
    put,
    sum_of,
    to4,
    to6,
    word_at,
)
from .packets import DF, FRAGMENT, ICMP, IPV6_ICMP, TCP, UDP, checksum, sum16
from .tayga_differences import DIFFERENCES


def legal4(address):
    return address[0] != 127 and address[0] < 224 and address[:2] != b"\xa9\xfe"


def legal6(address):
    if address[:4] == b"\0\x64\xff\x9b":
        return True
    link_local = address[0] == 0xFE and address[1] & 0xC0 == 0x80
    return address[0] not in (0, 0xFF) and not link_local


class Model(Oracle):
    """tayga. `names` are the differences that it came across in one packet."""

    def __init__(self):
        super().__init__()
        self.names = []
        # Next identification, by host that a narrow path leads to.
        self.narrow = {}

    def answers(self, side, packet, ident=0):
        self.names = []
        return super().answers(side, packet, 0)

    def note(self, name):
        assert name in DIFFERENCES
        if name not in self.names:
            self.names.append(name)

    def silent(self, name="discarded silently"):
        self.note(name)
        return Silent()

    def own4(self, to, message):
        self.note("own error")
        return packets.ipv4(OWN4, to, ICMP, message)

    def may_tell4(self, h, payload):
        if h.protocol == ICMP and payload[0] != 8:
            self.note("echo reply")
            return False
        return True

    def may_tell6(self, h, packet):
        self.parse6(h, packet)
        if h.protocol == IPV6_ICMP and packet[h.behind] != 128:
            self.note("echo reply")
            return False
        return True

    # From IPv4

    def parse4(self, octets, quoted=False):
        """What it checks of every packet, quoted ones too."""
        h = Header4.read(octets)
        if len(octets) < h.size or h.total < h.size:
            raise Silent
        if not (legal4(h.src) and legal4(h.dst)):
            raise self.silent()
        if 0 in (h.src[0], h.dst[0]):
            self.note("this network")
        payload = octets[h.size : h.total]
        if h.protocol == ICMP:
            if h.fragment or len(payload) < 8:
                what = "quoted fragment" if h.fragment else "quoted header"
                raise self.silent(what if quoted else "discarded silently")
        elif h.more and len(payload) % 8:
            raise self.silent("quoted fragment" if quoted else "fragment length")
        if h.offset + len(payload) > 65535:
            raise Silent
        return h, payload

    def from4(self, packet, turned=False):
        h, payload = self.parse4(packet)
        if sum_of(packet[: h.size]) or h.total > len(packet):
            raise Silent
        if h.ttl == 0:
            raise self.silent("hop limit 0")
        if h.protocol == ICMP and sum_of(payload):
            raise self.silent("ICMP checksum")
        if h.ttl == 1:
            raise Told(11, 0)
        if h.protocol == ICMP and payload[0] not in (0, 8):
            return [(6, self.error4(h, payload))]
        try:
            self.options(packet[20 : h.size])
        except Told:
            self.note("source route")
        if h.protocol == IGMP:
            self.note("IGMP")
        if h.flags & DF and not h.fragment and h.total > 1480:
            raise Told(3, 4, 1480)
        ends = to6(h.src), to6(h.dst)
        payload = self.transport(h.protocol, h.offset, payload, sum16(h.src + h.dst), ends)
        protocol = IPV6_ICMP if h.protocol == ICMP else h.protocol
        return [(6, made) for made in self.pieces6(h, ends, protocol, payload, h.ttl - 1)]

    def transport(self, protocol, offset, payload, old, ends):
        """Of either family: `old` is the sum of the old addresses."""
        if offset:
            return payload
        if protocol == (ICMP if len(ends[0]) == 16 else IPV6_ICMP):
            kind = {8: 128, 0: 129, 128: 8, 129: 0}[payload[0]]
            # The sum of the IPv6 side alone has a pseudo-header.
            old, new = (0, self.covers(ends, payload)) if kind > 127 else (old, 0)
            total = word_at(payload, 2)
            total = self.moved(total, old + (payload[0] << 8), new + (kind << 8))
            return put(bytes([kind]) + payload[1:], 2, total)
        if protocol in (DCCP, UDP_LITE):
            self.note("other checksums")
            return payload
        if protocol not in (TCP, UDP):
            return payload
        at, least = COVERED[protocol]
        if len(payload) < least:
            raise self.silent()
        if protocol == UDP and word_at(payload, 6) == 0:
            raise self.silent("UDP without checksum")
        total = self.moved(word_at(payload, at), old, sum16(ends[0] + ends[1]))
        if protocol == UDP and total == 0:
            self.note("UDP checksum of zero")
        return put(payload, at, total)

    def covers(self, ends, payload):
        return pseudo(*ends, self.length if self.length is not None else len(payload))

    length = None  # of a quoted message, by its header

    @staticmethod
    def moved(field, old, new):
        total = (field ^ 0xFFFF) + checksum(old) + (checksum(new) ^ 0xFFFF)
        return checksum(total)

    def may_cut(self, h):
        if h.flags & DF:
            self.note("DF of fragments")
        return True

    def pieces6(self, h, ends, protocol, payload, hops):
        if h.flags & DF and h.fragment:
            self.may_cut(h)
            h.flags &= ~DF
        return super().pieces6(h, ends, protocol, payload, hops)

    def error4(self, h, payload):
        kind, code, word = payload[0], payload[1], int.from_bytes(payload[4:8], "big")
        body = payload[8:]
        if kind in (3, 11, 12) and (size := word >> 14 & 0x3FC):
            self.note("extensions")
            if len(body) < size:
                raise Silent
            body = body[:size]
        q, quoted = self.parse4(body, quoted=True)
        if q.protocol == ICMP and quoted[0] != 8:
            if quoted[0] == 0:
                self.note("quoted echo reply")
            raise Silent
        quoted = quoted[: 1280 - 88]
        if kind == 12:
            raise self.silent("parameter problem")
        sort = self.sort4(kind, code, word, q.total)
        if sort is None:
            raise Silent
        if sort[0] == 2:
            self.heard_of_narrow(word & 0xFFFF, q)
        if q.fragment:
            self.note("quoted fragment")
        ends = to6(q.src), to6(q.dst)
        quoted = self.quoted(q.protocol, q.offset, quoted, q.total - q.size, q, ends)
        protocol = IPV6_ICMP if q.protocol == ICMP else q.protocol
        inner = packets.ipv6(*ends, protocol, quoted, q.ttl, q.tos, length=q.total - q.size)
        kind, code, word = sort
        src, dst = to6(h.src), to6(h.dst)
        message = packets.icmpv6(src, dst, kind, code, word, inner)
        return packets.ipv6(src, dst, IPV6_ICMP, message, h.ttl - 1, h.tos)

    def quoted(self, protocol, offset, payload, length, h, ends):
        """A quoted payload, for which it wants whole headers."""
        if protocol == TCP and not offset and len(payload) < 20:
            raise self.silent("quoted header")
        self.length = length
        try:
            old = sum16(h.src + h.dst)
            if protocol == IPV6_ICMP:
                old = pseudo(h.src, h.dst, length)
            return self.transport(protocol, offset, payload, old, ends)
        finally:
            self.length = None

    def heard_of_narrow(self, mtu, q):
        """Of a path narrower than IPv6 knows it keeps a note."""
        if mtu < 68:
            guesses = (32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296)
            mtu = next((n for n in guesses if n < q.total), 68)
        if min(mtu + 20, 1500) < 1280:
            self.narrow.setdefault(q.dst, 1)

    # From IPv6

    def parse6(self, h, octets, quoted=False):
        """Goes on behind extension headers; the payload as far as it is there."""
        end = min(len(octets), 40 + h.length)
        while h.protocol in (0, 43, 60):
            rest = octets[h.behind : end]
            if len(rest) < 2 or len(rest) < 8 + 8 * rest[1]:
                raise self.silent()
            if h.protocol == 43 and rest[3]:
                self.note("segments left")
            h.protocol, h.behind = rest[0], h.behind + 8 + 8 * rest[1]
        if h.protocol == FRAGMENT:
            rest = octets[h.behind : end]
            if len(rest) < 8:
                raise self.silent()
            h.protocol, _, offset, ident = struct.unpack(">BBHI", rest[:8])
            h.fragment, h.behind = (offset & 0xFFF8, offset & 1, ident), h.behind + 8
            if h.protocol in (0, 43, FRAGMENT, 60):
                self.note("headers in fragments")
            if offset & 1 and (end - h.behind) % 8:
                raise self.silent("quoted fragment" if quoted else "fragment length")
            if (offset & 0xFFF8) + end - h.behind > 65535:
                raise self.silent()
        return octets[h.behind : end]

    @staticmethod
    def is_short(h, payload):
        """Of ICMPv6 it wants the whole header, and no fragments."""
        return h.protocol == IPV6_ICMP and (not h.whole or len(payload) < 8)

    def legal(self, h):
        if not legal6(h.src) or not legal6(h.dst):
            raise self.silent()

    def from6(self, packet):
        h = Header6.read(packet)
        self.legal(h)
        payload = self.parse6(h, packet)
        if self.is_short(h, payload) or len(packet) < 40 + h.length or h.behind > 40 + h.length:
            raise Silent
        if h.hops == 0:
            raise self.silent("hop limit 0")
        if h.protocol == IPV6_ICMP:
            if checksum(pseudo(h.src, h.dst, len(payload)) + sum16(payload)):
                raise self.silent("ICMP checksum")
        if h.hops == 1:
            raise Told(3, 0)
        if h.protocol == IPV6_ICMP and payload[0] not in (128, 129):
            return [(4, self.error6(h, payload))]
        dst, src = self.to4(h.dst), self.to4(h.src)
        if dst is None or src is None:
            if to4(h.dst) and not to4(h.dst)[1] and explicit(to4(h.dst)[0]):
                self.note("hairpin")
            else:
                self.note("codes")
            raise Told(1, 0) if dst is None else Told(1, 5)
        old = sum16(h.src + h.dst)
        if h.protocol == IPV6_ICMP:
            old = pseudo(h.src, h.dst, len(payload))
        offset = h.fragment[0] if h.fragment else 0
        # The number is taken though the packet may yet be discarded.
        ident = self.number(h, payload, dst)
        payload = self.transport(h.protocol, offset, payload, old, (src, dst))
        return [(4, self.made4(h, src, dst, payload, h.hops - 1, ident))]

    def number(self, h, payload, dst):
        """An identification for a host that a narrow path leads to, or None."""
        if h.fragment or dst not in self.narrow or h.behind - 40 + len(payload) > 1280:
            return None
        ident = self.narrow[dst]
        self.narrow[dst] = ident + 1 & 0xFFFF or 1
        return ident

    def to4(self, address):
        found = to4(address)
        if found is None or not legal4(found[0]) or (not found[1] and explicit(found[0])):
            return None
        if found[0][0] == 0:
            self.note("this network")
        return found[0]

    def made4(self, h, src, dst, payload, ttl, ident=None, length=None):
        """An IPv4 packet; `length` of what it carried when it is quoted."""
        size = len(payload) if length is None else length
        if h.fragment:
            offset, more, ident = h.fragment
            ident, flags = ident & 0xFFFF, (packets.MF if more else 0) | offset >> 3
        else:
            self.note("identification" if length is None else "quoted identification")
            flags = DF if ident is None else 0
        ident = ident or 0
        protocol = ICMP if h.protocol == IPV6_ICMP else h.protocol
        return packets.ipv4(
            src, dst, protocol, payload, ttl, h.traffic_class, ident, flags, length=size + 20
        )

    def error6(self, h, payload):
        kind, code, word = payload[0], payload[1], int.from_bytes(payload[4:8], "big")
        body = payload[8:]
        if kind in (1, 3) and (size := word >> 21 & 0x7F8):
            self.note("extensions")
            if len(body) < size:
                raise Silent
            body = body[:size]
        q = Header6.read(body)
        if not (legal6(q.src) and legal6(q.dst)):
            raise Silent
        quoted = self.parse_quoted6(q, body)[: 576 - 48]
        kind, code, word = self.sorted6(kind, code, word, q)
        src, dst = self.to4(q.src), self.to4(q.dst)
        if src is None or dst is None:
            raise Silent
        length = 40 + q.length - q.behind
        offset = q.fragment[0] if q.fragment else 0
        quoted = self.quoted(q.protocol, offset, quoted, length, q, (src, dst))
        inner = self.made4(q, src, dst, quoted, q.hops, length=length)
        src, dst = self.to4(h.src), self.to4(h.dst)
        if src is None:
            # Where it says something of its own, its own address will do.
            if (kind, code) not in ((3, 1), (3, 4)):
                raise self.silent("source of errors")
            src = OWN4
        if dst is None:
            raise Silent
        message = packets.icmp(kind, code, word, inner)
        return self.made4(h, src, dst, message, h.hops - 1)

    def parse_quoted6(self, q, body):
        quoted = self.parse6(q, body, quoted=True)
        if self.is_short(q, quoted):
            raise self.silent("quoted header" if q.whole else "quoted fragment")
        if q.protocol == IPV6_ICMP and quoted[0] != 128:
            if quoted[0] == 129:
                self.note("quoted echo reply")
            raise Silent
        return quoted

    def sorted6(self, kind, code, word, q):
        if (kind, code) == (1, 3):
            raise self.silent("address unreachable")
        if (kind, code) == (4, 0):
            raise self.silent("parameter problem")
        if kind == 2:
            if word < 88 or q.fragment:
                self.note("MTU")
            if word < 68:
                raise Silent
            return 3, 4, min(word, 1500) - 20
        sort = self.sort6(kind, code, word, False)
        if sort is None:
            raise Silent
        return sort
