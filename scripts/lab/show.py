"""Shows one datagram as it left its node, as it crossed the substrate and as
it arrived, with what must be the same and what must be right checked.

show.py BEFORE.pcap SUBSTRATE.pcap AFTER.pcap
"""

import ipaddress
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import frames, plan  # noqa: E402  pylint: disable=wrong-import-position

TAGS = ("foreign", "siit", "transparent", "reserved")


def tshark(path, *arguments):
    """What tshark says of a capture, with every checksum looked at."""
    command = ["tshark", "-r", path, "-o", "ip.check_checksum:TRUE"]
    command += ["-o", "udp.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"tshark: {done.stderr.strip()}")
    return done.stdout


def only_frame(path, ethertype):
    """The one frame of a capture."""
    found = [frame for _, frame in frames.read_pcap(path) if frame[12:14] == ethertype]
    if len(found) != 1:
        sys.exit(f"{path}: {len(found)} datagrams instead of one")
    return found[0][14:]


def hexadecimal(octets, *cuts):
    """Bytes in hexadecimal, with a blank at each offset of `cuts`."""
    edges = [0, *cuts, len(octets)]
    return " ".join(octets[a:b].hex() for a, b in zip(edges, edges[1:]))


def ipv4(title, packet):
    packet = packet[: int.from_bytes(packet[2:4], "big")]
    flags = int.from_bytes(packet[6:8], "big")
    print(f"{title}: IPv4, {len(packet)} bytes")
    print(f"  {hexadecimal(packet, 12, 16, 20, 28)}")
    print(f"  TTL {packet[8]}, DF {flags >> 14 & 1}, TOS 0x{packet[1]:02x}, payload {packet[28:]!r}")
    return packet


def ipv6(packet):
    packet = packet[: 40 + int.from_bytes(packet[4:6], "big")]
    word = int.from_bytes(packet[:4], "big")
    label = word & 0xFFFFF
    print(f"on the substrate: IPv6, {len(packet)} bytes, no header inside another")
    print(f"  {hexadecimal(packet, 8, 24, 40, 48)}")
    for name, octets in (("source     ", packet[8:24]), ("destination", packet[24:40])):
        text = address_text(octets)
        host, vni, vaddr = plan.split(text)
        locator = plan.LOCATOR.get(host, host)
        print(f"  {name} {text}\n    = locator {locator} (host {host}) | vni 0x{vni:06x} | {vaddr}")
    print(
        f"  traffic class 0x{word >> 20 & 0xFF:02x}, hop limit {packet[7]}, flow label 0x{label:05x}"
        f"\n    = TTL {label >> 12} | DF {label >> 11 & 1} | mode {TAGS[label >> 9 & 3]}"
        f" | entropy {label & 0x1FF}"
    )
    return packet


def address_text(octets):
    return str(ipaddress.IPv6Address(octets))


def main(before, substrate, after):
    sent = ipv4("before, as A sent it", only_frame(before, b"\x08\x00"))
    carried = ipv6(only_frame(substrate, b"\x86\xdd"))
    print("  tshark: " + tshark(substrate).strip())
    got = ipv4("after, as G got it", only_frame(after, b"\x08\x00"))

    wrong = []
    for what, left, right in (
        ("TOS", sent[1], got[1]),
        ("DF", sent[6] >> 6 & 1, got[6] >> 6 & 1),
        ("TTL", sent[8], got[8]),
        ("addresses", sent[12:20], got[12:20]),
        ("UDP header and payload", sent[20:], got[20:]),
        ("payload on the substrate", sent[28:], carried[48:]),
    ):
        if left != right:
            wrong.append(f"{what} differ: {left!r}, {right!r}")
    complaints = tshark(
        substrate, "-T", "fields", "-e", "udp.checksum.status", "-e", "_ws.expert.message"
    ).split()
    if complaints != ["1"]:
        wrong.append(f"tshark finds fault with the substrate's frame: {complaints}")
    if wrong:
        sys.exit("\n".join(wrong))
    print("addresses, TTL, DF, TOS and payload at G are A's; tshark finds no fault")


if __name__ == "__main__":
    main(*sys.argv[1:4])
