"""Frames by the million, and capture files of them.

Real Ethernet, IP and UDP with right checksums, made by hand: scapy needs
minutes for what the benchmark needs in seconds. A stream of frames differs in
one IPv4 address only; what that changes is patched into a template.
"""

import struct

from . import plan

SRC_PORT, DST_PORT = 4000, 5000
TTL = 64
HOP_LIMIT = 64
TAG_SIIT = 1


def sum16(octets):
    """The ones' complement sum, not yet folded."""
    if len(octets) % 2:
        octets += b"\0"
    return sum(struct.unpack(f">{len(octets) // 2}H", octets))


def checksum(total):
    """What goes into a checksum field for an unfolded sum."""
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def udp_checksum(total):
    """As `checksum`, but 0 means absent in UDP and is sent as ffff."""
    return checksum(total) or 0xFFFF


def ipv4_udp(src, dst, payload, ttl=TTL, tos=0, ident=0, df=True):
    """An IPv4 packet with UDP from `SRC_PORT` to `DST_PORT`; addresses as numbers."""
    length = 8 + len(payload)
    addresses = struct.pack(">II", src, dst)
    head = struct.pack(">BBHHHBBH", 0x45, tos, 20 + length, ident, df << 14, ttl, 17, 0)
    head = head[:10] + struct.pack(">H", checksum(sum16(head + addresses)))
    udp = struct.pack(">HHH", SRC_PORT, DST_PORT, length)
    udp_sum = udp_checksum(sum16(addresses) + 17 + length + sum16(udp) + sum16(payload))
    return head + addresses + udp + struct.pack(">H", udp_sum) + payload


def label(ttl=TTL, df=True, tag=TAG_SIIT, entropy=0):
    """The flow label between hosts: TTL 8 | DF 1 | mode 2 | entropy 9."""
    return ttl << 12 | df << 11 | tag << 9 | entropy


def ipv6_udp(src, dst, payload, flow=None, hop_limit=HOP_LIMIT):
    """The same datagram as it is on the substrate in mode `siit`; addresses
    as sixteen bytes."""
    length = 8 + len(payload)
    flow = label() if flow is None else flow
    head = struct.pack(">IHBB", 6 << 28 | flow, length, 17, hop_limit)
    udp = struct.pack(">HHH", SRC_PORT, DST_PORT, length)
    total = sum16(src + dst) + 17 + length + sum16(udp) + sum16(payload)
    return head + src + dst + udp + struct.pack(">H", udp_checksum(total)) + payload


def icmpv6(src, dst, kind, body):
    """An ICMPv6 message as neighbours exchange them; addresses as sixteen bytes."""
    message = bytes([kind, 0, 0, 0]) + body
    total = checksum(sum16(src + dst) + 58 + len(message) + sum16(message))
    head = struct.pack(">IHBB", 6 << 28, len(message), 58, 255)
    return head + src + dst + message[:2] + struct.pack(">H", total) + body


class Pcap:
    """Writes a capture file, microseconds, Ethernet."""

    def __init__(self, path):
        self.file = open(path, "wb", buffering=1 << 20)
        self.file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        self.count = 0

    def write(self, frame):
        self.file.write(record(len(frame)) + frame)
        self.count += 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


def record(length):
    """Header of one frame in a capture file."""
    return struct.pack("<IIII", 0, 0, length, length)


def read_pcap(path):
    """Frames of a capture file of either byte order, with their times in seconds."""
    with open(path, "rb") as file:
        head = file.read(24)
        if len(head) < 24:
            return
        order = "<" if head[:2] in (b"\xd4\xc3", b"\x4d\x3c") else ">"
        nano = 1e-9 if b"\x3c" in head[:4] else 1e-6
        while len(entry := file.read(16)) == 16:
            seconds, fraction, kept, _ = struct.unpack(order + "IIII", entry)
            yield seconds + fraction * nano, file.read(kept)


def write_outbound(path, dst_mac, src_mac, src, destinations, size, pad=None):
    """Frames of one node to many. `dst_mac` gives the MAC of a destination's
    number; `size` is the frame's length without the frame check sequence."""
    payload = payload_of(size - 14 - 28, pad)
    base = ipv4_udp(src, 0, payload)
    ip_sum = sum16(base[:10] + base[12:20])
    udp_sum = sum16(base[12:20]) + 17 + 2 * (8 + len(payload)) + SRC_PORT + DST_PORT
    udp_sum += sum16(payload)
    start = record(size)
    middle = src_mac + b"\x08\x00" + base[:10]
    source, ports, rest = base[12:16], base[20:26], payload
    pack = struct.Struct(">H").pack
    address = struct.Struct(">I").pack
    with Pcap(path) as pcap:
        write = pcap.file.write
        for dst in destinations:
            extra = (dst >> 16) + (dst & 0xFFFF)
            write(
                start + dst_mac(dst) + middle + pack(checksum(ip_sum + extra))
                + source + address(dst) + ports + pack(udp_checksum(udp_sum + extra)) + rest
            )


def write_inbound(path, dst_mac, src_mac, src_prefix, dst, sources, size, pad=None):
    """Frames from many nodes of one host to one, as they are on the substrate.
    `src_prefix` is the source's first twelve bytes, `size` that of the IPv4
    frame they stand for: on the substrate they are 20 bytes longer."""
    payload = payload_of(size - 14 - 28, pad)
    base = ipv6_udp(src_prefix + bytes(4), dst, payload)
    udp_sum = sum16(base[8:40]) + 17 + 2 * (8 + len(payload)) + SRC_PORT + DST_PORT
    udp_sum += sum16(payload)
    start = record(size + 20) + dst_mac + src_mac + b"\x86\xdd" + base[:8] + src_prefix
    after, ports = dst, base[40:46]
    pack = struct.Struct(">H").pack
    address = struct.Struct(">I").pack
    with Pcap(path) as pcap:
        write = pcap.file.write
        for src in sources:
            extra = (src >> 16) + (src & 0xFFFF)
            total = udp_checksum(udp_sum + extra)
            write(start + address(src) + after + ports + pack(total) + payload)


def payload_of(length, pad):
    """`length` bytes that are not all alike."""
    pad = pad or b"weft"
    return (pad * (length // len(pad) + 1))[:length]


def node_macs(vnet):
    """A fast `dst_mac` for `write_outbound`: the virtual MACs of a vnet."""
    head = plan.virtual_mac(vnet, 0)[:2]
    address = struct.Struct(">I").pack
    return lambda number: head + address(number)
