"""Translation by RFC 7915 once more, in Python and by other hands: what the
relay must make of a packet in the comparison with tayga. `lab.tayga_differences`
derives from it what tayga makes of the same.

It speaks for the configuration of that comparison only: MTU 1500 on both sides,
one prefix of 96 bits, the explicit mappings of `lab.drawn`, no deny lists.
"""

import struct

from . import packets
from .oracle_parts import (
    COVERED,
    DCCP,
    GROWTH,
    HEAD,
    IGMP,
    LEAST6,
    MTU,
    OWN4,
    OWN6,
    POINTERS4,
    POINTERS6,
    UDP_LITE,
    Header4,
    Header6,
    Silent,
    Told,
    adjust,
    explicit,
    join,
    legal4,
    legal6,
    may_be_error,
    pseudo,
    put,
    quoted_echo,
    split,
    sum_of,
    to4,
    to6,
    upper,
    word_at,
)
from .packets import DF, FRAGMENT, ICMP, IPV6_ICMP, MF, UDP, checksum, sum16


class Oracle:
    """By the letter. Answers are lists of (side, bytes)."""

    def __init__(self):
        self.ident = 0  # of IPv4 packets that have none; the translator's choice

    def answers(self, side, packet, ident=0):
        self.ident = ident
        turn = self.from4 if side == 4 else self.from6
        try:
            return turn(packet)
        except Silent:
            return []
        except Told as told:
            return self.tell(side, packet, *told.error)

    # What senders are told

    def tell(self, side, packet, kind, code, word):
        if side == 4:
            h = Header4.read(packet)
            if not self.may_tell4(h, packet[h.size :]):
                return []
            message = packets.icmp(kind, code, word, packet[: h.total][:548])
            return [(4, self.own4(h.src, message))]
        h = Header6.read(packet)
        if not self.may_tell6(h, packet):
            return []
        message = packets.icmpv6(OWN6, h.src, kind, code, word, packet[: 40 + h.length][:1232])
        return [(6, packets.ipv6(OWN6, h.src, IPV6_ICMP, message))]

    def own4(self, to, message):
        return packets.ipv4(OWN4, to, ICMP, message, tos=0xC0, flags=DF)

    def may_tell4(self, h, payload):
        """RFC 1812 section 4.3.2.7."""
        if h.offset or any(a[0] in (0, 127) or a[0] > 223 for a in (h.src, h.dst)):
            return False
        return h.protocol != ICMP or payload[:1] in [
            bytes([n]) for n in (0, 8, 9, 10, *range(13, 19))
        ]

    def may_tell6(self, h, packet):
        """RFC 4443 section 2.4 e; what could be an error is taken for one."""
        if h.src[0] == 0xFF or int.from_bytes(h.src, "big") < 2 or h.dst[0] == 0xFF:
            return False
        return not may_be_error(h.protocol, packet[40:])

    # From IPv4 to IPv6

    def from4(self, packet, turned=False):
        h = Header4.read(packet)
        if h.total < h.size or h.total > len(packet) or sum_of(packet[: h.size]):
            raise Silent
        self.options(packet[20 : h.size])
        payload = packet[h.size : h.total]
        if h.offset + len(payload) + 20 > 65535 or h.protocol == IGMP:
            raise Silent
        if h.protocol == ICMP and not h.fragment:
            if len(payload) < HEAD:
                raise Told(3, 13)
            if payload[0] in (3, 4, 5, 11, 12):
                try:
                    return [(6, self.error4(h, payload))]
                except Told:
                    raise Silent from None
        if not legal4(h.src):
            raise Silent
        if not legal4(h.dst):
            raise Told(3, 13)
        ends = to6(h.src, not turned), to6(h.dst)
        hops = h.ttl if turned else self.spend4(h)
        payload = self.transport4(h, payload, *ends)
        protocol = IPV6_ICMP if h.protocol == ICMP else h.protocol
        return [(6, p) for p in self.pieces6(h, ends, protocol, payload, hops)]

    def options(self, options):
        """Only an unexpired source route matters."""
        while options and options[0]:
            if options[0] == 1:
                options = options[1:]
                continue
            if len(options) < 2 or options[1] < 2 or options[1] > len(options):
                return
            size = options[1]
            if options[0] in (0x83, 0x89) and size >= 3 and options[2] <= size:
                raise Told(3, 5)
            options = options[size:]

    def spend4(self, h):
        if h.ttl < 2:
            raise Told(11, 0)
        return h.ttl - 1

    def transport4(self, h, payload, src, dst):
        """The payload with what changes of its header."""
        if h.protocol == ICMP:
            if h.fragment:
                raise Told(3, 13)
            if payload[0] not in (0, 8):
                raise Silent
            kind = 128 if payload[0] == 8 else 129
            new = pseudo(src, dst, len(payload)) + (kind << 8)
            total = adjust(word_at(payload, 2), payload[0] << 8, new)
            return put(bytes([kind]) + payload[1:], 2, total)
        if h.offset or h.protocol not in COVERED:
            return payload
        at, least = COVERED[h.protocol]
        if len(payload) < least:
            if h.protocol in (DCCP, UDP_LITE):
                return payload
            raise Told(3, 13)
        if h.protocol in (UDP, UDP_LITE) and word_at(payload, at) == 0:
            return self.without_sum4(h, payload, src, dst)
        return self.adjusted(payload, h.protocol, sum16(h.src + h.dst), sum16(src + dst))

    def without_sum4(self, h, payload, src, dst):
        if h.protocol == UDP_LITE:
            return payload
        if h.fragment:
            raise Told(3, 13)
        length = word_at(payload, 4)
        if not 8 <= length <= len(payload):
            raise Told(3, 13)
        total = checksum(sum16(src + dst) + UDP + length + sum16(payload[:length]))
        return put(payload, 6, total or 0xFFFF)

    def adjusted(self, payload, protocol, old, new):
        """A checksum covers other addresses now, if it is there."""
        if protocol not in COVERED:
            return payload
        at, _ = COVERED[protocol]
        if len(payload) < at + 2:
            return payload
        field = word_at(payload, at)
        if protocol in (UDP, UDP_LITE) and field == 0:
            return payload
        total = adjust(field, old, new)
        return put(payload, at, self.zero(protocol, total))

    def zero(self, protocol, total):
        """In UDP a sum that comes to zero is written as ffff."""
        return total or (0xFFFF if protocol in (UDP, UDP_LITE) else 0)

    def pieces6(self, h, ends, protocol, payload, hops):
        """The packet, or its fragments."""
        fields = {"hop_limit": hops, "traffic_class": h.tos}
        size = 40 + 8 * h.fragment + len(payload)
        if h.flags & DF and h.total + GROWTH + 8 * h.fragment > MTU:
            raise Told(3, 4, MTU - GROWTH - 8 * h.fragment)
        if not h.fragment and (h.flags & DF or size <= LEAST6):
            return [packets.ipv6(*ends, protocol, payload, **fields)]
        room = 1232 if self.may_cut(h) and size > LEAST6 else len(payload)
        made = []
        for start in range(0, len(payload), room) or (0,):
            piece = payload[start : start + room]
            more = h.more or start + room < len(payload)
            head = packets.fragment_header(protocol, h.offset + start, more, h.ident)
            made.append(packets.ipv6(*ends, FRAGMENT, head + piece, **fields))
        return made

    def may_cut(self, h):
        return not h.flags & DF

    def error4(self, h, payload):
        kind, code, word = payload[0], payload[1], int.from_bytes(payload[4:8], "big")
        if self.sort4(kind, code, word, 0) is None:
            raise Silent
        quote, structure, padded = split(payload[8:], word >> 16 & 0xFF, 4, kind in (3, 11, 12))
        inner, inner_total = self.quoted4(quote, padded)
        kind, code, word = self.sort4(kind, code, word, inner_total)
        src, dst = to6(h.src) if legal4(h.src) else OWN6, to6(h.dst)
        if not legal4(h.dst) or h.ttl < 2:
            raise Silent
        body, words = join(inner, structure, 8, 1280 - 48, kind in (1, 3))
        message = struct.pack(">BBHI", kind, code, 0, word | words << 24) + body
        old = sum16(put(payload, 2, 0))
        new = pseudo(src, dst, len(message)) + sum16(message)
        message = put(message, 2, adjust(word_at(payload, 2), old, new))
        return packets.ipv6(src, dst, IPV6_ICMP, message, h.ttl - 1, h.tos)

    def sort4(self, kind, code, word, total):
        """The tables of section 4.2."""
        if kind == 3 and code == 2:
            return 4, 1, 6
        if kind == 3 and code == 4:
            mtu = word & 0xFFFF
            if mtu == 0:
                mtu = next((n for n in (17914, 8166, 4352, 2002, 1492) if n < total), 0)
            return 2, 0, max(LEAST6, min(mtu + GROWTH, MTU))
        if kind == 3 and code in (0, 1, 5, 6, 7, 8, 11, 12):
            return 1, 0, 0
        if kind == 3 and code == 3:
            return 1, 4, 0
        if kind == 3 and code in (9, 10, 13, 15):
            return 1, 1, 0
        if kind == 11:
            return 3, code, 0
        if kind == 12 and code in (0, 2):
            pointer = POINTERS4.get(word >> 24)
            return None if pointer is None else (4, 0, pointer)
        return None

    def quoted4(self, quote, padded):
        """The packet in an error, translated, and its total length."""
        h = Header4.read(quote)
        if h.total < h.size or len(quote) < h.size or not (legal4(h.src) and legal4(h.dst)):
            raise Silent
        payload = quote[h.size : h.total] if padded else quote[h.size :]
        src, dst = to6(h.src), to6(h.dst)
        protocol, length = h.protocol, h.total - h.size
        if protocol == ICMP:
            protocol = IPV6_ICMP
            if not h.offset:
                payload = self.quoted_echo4(h, payload, pseudo(src, dst, length))
        elif not h.offset:
            payload = self.adjusted(payload, protocol, sum16(h.src + h.dst), sum16(src + dst))
        fields = {"hop_limit": h.ttl, "traffic_class": h.tos}
        if h.fragment:
            head = packets.fragment_header(protocol, h.offset, h.more, h.ident)
            whole = packets.ipv6(src, dst, FRAGMENT, head + payload, length=length + 8, **fields)
        else:
            whole = packets.ipv6(src, dst, protocol, payload, length=length, **fields)
        return whole, h.total

    def quoted_echo4(self, h, payload, addresses):
        return quoted_echo(payload, {8: 128, 0: 129}, not h.fragment, 0, addresses)

    # From IPv6 to IPv4

    def from6(self, packet):
        h = Header6.read(packet)
        end = 40 + h.length
        if len(packet) < end:
            raise Silent
        upper(h, packet[:end])
        payload = packet[h.behind : end]
        if h.fragment and h.fragment[0] + len(payload) + 20 > 65535:
            raise self.prohibited(h)
        if h.protocol == IPV6_ICMP and h.whole:
            if len(payload) < HEAD:
                raise Silent
            if payload[0] < 128:
                try:
                    return self.error6(h, payload)
                except Told:
                    raise Silent from None
        src, dst = self.ends6(h)
        ttl = self.spend6(h)
        payload = self.transport6(h, payload, src[0], dst[0])
        made = self.make4(h, src[0], dst[0], payload, ttl)
        if not dst[1] and explicit(dst[0]):
            return self.turn(made)
        return [(4, made)]

    def turn(self, made):
        """RFC 7757 section 4.2.2."""
        return self.from4(made, turned=True)

    def prohibited(self, h):
        return Silent() if h.protocol == IPV6_ICMP else Told(1, 1)

    def ends6(self, h):
        """Both addresses, each with whether its mapping is explicit."""
        src, dst = to4(h.src), to4(h.dst)
        if not legal6(h.src):
            raise Silent
        if src is None:
            raise self.prohibited(h)
        if not legal4(src[0]):
            raise Silent
        if not legal6(h.dst) or dst is None or not legal4(dst[0]):
            raise self.prohibited(h)
        return src, dst

    def spend6(self, h):
        if h.hops < 2:
            raise Told(3, 0)
        return h.hops - 1

    def transport6(self, h, payload, src, dst):
        if h.protocol == IPV6_ICMP:
            if not h.whole or payload[0] not in (128, 129):
                raise Silent
            kind = 8 if payload[0] == 128 else 0
            old = pseudo(h.src, h.dst, len(payload)) + (payload[0] << 8)
            return put(bytes([kind]) + payload[1:], 2, adjust(word_at(payload, 2), old, kind << 8))
        if h.later or h.protocol not in COVERED:
            return payload
        _, least = COVERED[h.protocol]
        if len(payload) < least:
            if h.protocol in (DCCP, UDP_LITE):
                return payload
            raise self.prohibited(h)
        return self.adjusted(payload, h.protocol, sum16(h.src + h.dst), sum16(src + dst))

    def make4(self, h, src, dst, payload, ttl, length=None):
        """An IPv4 packet; `length` of what it should carry when not all of it
        is there, in an error."""
        length = len(payload) if length is None else length
        if h.fragment:
            offset, more, ident = h.fragment
            flags, ident = MF * more | offset >> 3, ident & 0xFFFF
        else:
            flags, ident = self.unfragmented(length + 20)
        protocol = ICMP if h.protocol == IPV6_ICMP else h.protocol
        return packets.ipv4(
            src, dst, protocol, payload, ttl, h.traffic_class, ident, flags, length=length + 20
        )

    def unfragmented(self, total):
        """Flags and identification of what is no fragment."""
        return DF * (total > 1260), self.ident

    def error6(self, h, payload):
        kind, code, word = payload[0], payload[1], int.from_bytes(payload[4:8], "big")
        if self.sort6(kind, code, word, False) is None:
            raise Silent
        quote, structure, padded = split(payload[8:], word >> 24, 8, kind in (1, 3))
        inner, fragmented, inner_src = self.quoted6(quote, padded)
        kind, code, word = self.sort6(kind, code, word, fragmented)
        src, dst = to4(h.src), to4(h.dst)
        if not legal6(h.src) or (src and not legal4(src[0])):
            raise Silent
        src = src[0] if src else self.source6()
        if dst is None or not legal4(dst[0]) or h.hops < 2:
            raise Silent
        turned = not inner_src[1] and explicit(inner_src[0])
        body, words = join(inner, structure, 4, (1280 if turned else 576) - 28, kind in (3, 11, 12))
        message = struct.pack(">BBHI", kind, code, 0, word | words << 16) + body
        old = pseudo(h.src, h.dst, len(payload)) + sum16(put(payload, 2, 0))
        message = put(message, 2, adjust(word_at(payload, 2), old, sum16(message)))
        made = self.make4(h, src, dst[0], message, h.hops - 1)
        return self.turn(made) if turned else [(4, made)]

    def source6(self):
        """For a source without IPv4 address (RFC 6791)."""
        return OWN4

    def sort6(self, kind, code, word, fragmented):
        """The tables of section 5.2."""
        if kind == 1:
            code = {0: 1, 1: 10, 2: 1, 3: 1, 4: 3}.get(code)
            return None if code is None else (3, code, 0)
        if kind == 2:
            mtu = min(word, MTU) - GROWTH - 8 * fragmented
            return 3, 4, max(68, min(mtu, MTU))
        if kind == 3:
            return 11, code, 0
        if kind == 4 and code == 1:
            return 3, 2, 0
        if kind == 4 and code == 0:
            pointer = next((new for old, new in POINTERS6 if word in old), None)
            return None if pointer is None else (12, 0, pointer << 24)
        return None

    def quoted6(self, quote, padded):
        """The packet in an error, translated; whether it was a fragment; and
        its source."""
        h = Header6.read(quote)
        try:
            upper(h, quote)
        except Told:
            raise Silent from None
        length = 40 + h.length - h.behind
        src, dst = to4(h.src), to4(h.dst)
        ends = [h.src, h.dst]
        if length < 0 or not all(legal6(a) for a in ends) or src is None or dst is None:
            raise Silent
        if not legal4(src[0]) or not legal4(dst[0]):
            raise Silent
        payload = quote[h.behind : h.behind + length] if padded else quote[h.behind :]
        if h.protocol == IPV6_ICMP:
            if not h.later:
                payload = self.quoted_echo6(h, payload, pseudo(h.src, h.dst, length))
        elif not h.later:
            payload = self.adjusted(
                payload, h.protocol, sum16(h.src + h.dst), sum16(src[0] + dst[0])
            )
        ident, self.ident = self.ident, 0  # nobody knows which it had
        made = self.make4(h, src[0], dst[0], payload, h.hops, length)
        self.ident = ident
        return made, h.fragment is not None, src

    def quoted_echo6(self, h, payload, addresses):
        return quoted_echo(payload, {128: 8, 129: 0}, h.whole, addresses, 0)
