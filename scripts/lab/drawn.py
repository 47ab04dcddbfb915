"""What packets for a translator are drawn from: addresses, fields, messages, and
the list of kinds that there are."""

import random

from . import packets, relay
from .packets import DF, ICMP, IPV6_ICMP, TCP, UDP, ipv4, ipv6

# Explicit mappings of both translators: a prefix, a host, and one within the
# prefix that is mapped elsewhere.
EAMS = (
    ("203.0.113.0/24", "2001:db8:beef::/120"),
    ("198.51.100.7/32", "2001:db8:cafe::7/128"),
    ("203.0.113.77/32", "2001:db8:cafe::77/128"),
)
MTU = 1500


KINDS = {4: [], 6: []}


def kind(side, weight):
    """Has a function make packets of a kind that is named after it."""

    def take(make):
        name = make.__name__.rstrip("46").strip("_").replace("_", "-")
        KINDS[side].append((f"{side}:{name}", weight, make))
        return make

    return take


class Draw(random.Random):
    """Chance, and what of a packet is drawn by it."""

    def host4(self):
        """An IPv4 host that has no explicit mapping."""
        return bytes([198, 51, 100, self.randrange(10, 190)])

    def server4(self):
        """The IPv4 address of an IPv6 host."""
        if self.random() < 0.1:
            return self.choice([bytes([198, 51, 100, 7]), bytes([203, 0, 113, 77])])
        return bytes([203, 0, 113, self.randrange(1, 190)])

    def host6(self):
        """An IPv6 host with an explicit mapping."""
        if self.random() < 0.1:
            text = self.choice(["2001:db8:cafe::7", "2001:db8:cafe::77"])
            return packets.packed(text)
        return packets.packed("2001:db8:beef::")[:15] + bytes([self.randrange(1, 190)])

    def server6(self):
        """The IPv6 address of an IPv4 host."""
        return packets.embed(relay.POOL6, self.host4())

    def nobody6(self):
        """An IPv6 host that has no IPv4 address."""
        return packets.packed("2001:db8:dead::")[:14] + self.randbytes(2)

    def pair(self, side):
        if side == 4:
            return self.host4(), self.server4()
        return self.host6(), self.server6()

    def body(self, most=200):
        """A payload of which no two are alike, mostly short."""
        return self.randbytes(self.choice((8, 9, 16, 31, self.randrange(8, max(9, most)))))

    def hops(self):
        return self.choice((64, 255, 128, 2, self.randrange(2, 256)))

    def tos(self):
        return self.choice((0, 0, 0xB8, self.randrange(256)))

    def ports(self):
        return {"sport": self.randrange(1, 65536), "dport": self.randrange(1, 65536)}

    def whole4(self, src, dst, protocol, payload, **other):
        """A packet that is no fragment, half of them with DF."""
        fields = {
            "ttl": self.hops(),
            "tos": self.tos(),
            "ident": self.randrange(65536),
            "flags": self.choice((0, DF)),
        }
        return ipv4(src, dst, protocol, payload, **(fields | other))

    def whole6(self, src, dst, next_header, payload, **other):
        fields = {
            "hop_limit": self.hops(),
            "traffic_class": self.tos(),
            "flow": self.choice((0, self.randrange(1 << 20))),
        }
        return ipv6(src, dst, next_header, payload, **(fields | other))

    def message(self, src, dst, protocol, body):
        """A whole message of a transport protocol."""
        if protocol == UDP:
            return packets.udp(src, dst, body, **self.ports())
        if protocol == TCP:
            options = self.choice(
                (b"", b"\x02\x04\x05\xb4", b"\x01\x01\x08\x0a" + self.randbytes(8))
            )
            return packets.tcp(
                src,
                dst,
                body,
                **self.ports(),
                flags=self.choice((0x02, 0x10, 0x12, 0x18, 0x11, 0x04, self.randrange(256))),
                seq=self.getrandbits(32),
                options=options,
            )
        if protocol == ICMP:
            return packets.icmp(self.choice((8, 0)), 0, self.getrandbits(32), body)
        if protocol == IPV6_ICMP:
            return packets.icmpv6(src, dst, self.choice((128, 129)), 0, self.getrandbits(32), body)
        return self.randbytes(4) + body

    def sized(self, src, dst, protocol, size):
        """A message of so many bytes."""
        if protocol == TCP:
            return packets.tcp(src, dst, self.randbytes(size - 20), **self.ports())
        head = len(self.message(src, dst, protocol, b""))
        return self.message(src, dst, protocol, self.randbytes(size - head))

    def other(self):
        """A protocol that a translator knows nothing of."""
        return self.choice((2, 4, 33, 41, 46, 47, 50, 51, 89, 103, 112, 115, 132, 136, 200, 253))


def wrong(draw, total):
    """A checksum that is not `total`, and not absent."""
    return draw.choice([n for n in (total ^ 0x5555, total ^ 1, 0x1234) if n not in (0, total)])


def extension_object(draw):
    """An RFC 4884 extension structure with one object of its own kind."""
    body = draw.randbytes(4 * draw.randrange(1, 5))
    octets = (
        b"\x20\0\0\0"
        + (4 + len(body)).to_bytes(2, "big")
        + bytes([draw.choice((1, 2, 247)), 1])
        + body
    )
    total = packets.checksum(packets.sum16(octets))
    return octets[:2] + total.to_bytes(2, "big") + octets[4:]


ILLEGAL4 = tuple(
    packets.packed(text)
    for text in (
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "169.254.1.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
    )
)


def eam6(address):
    """The IPv6 address of an IPv4 one that has an explicit mapping."""
    if address == bytes([198, 51, 100, 7]):
        return packets.packed("2001:db8:cafe::7")
    if address == bytes([203, 0, 113, 77]):
        return packets.packed("2001:db8:cafe::77")
    return packets.packed("2001:db8:beef::")[:15] + address[3:]


def eam4(address):
    """The other way round."""
    if address == packets.packed("2001:db8:cafe::7"):
        return bytes([198, 51, 100, 7])
    if address == packets.packed("2001:db8:cafe::77"):
        return bytes([203, 0, 113, 77])
    return bytes([203, 0, 113, address[15]])
