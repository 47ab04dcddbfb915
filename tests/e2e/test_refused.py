"""What must not get through: spoofed and forged sources, other vnets, frames
that are not carried; and a million random ones on each side."""

import os
import struct
import time
import unittest

from case import Case
from lab import frames, net, plan
from traffic import pour
from world import Plan

A, C, G = plan.v4("10.0.0.2"), plan.v4("10.0.0.5"), plan.v4("10.0.0.3")
MARK = b"from the wrong side"


def ip6(src, dst, payload=MARK, label=None, next_header=None):
    """A substrate packet of Z or another vnet; addresses as sixteen bytes."""
    packet = bytearray(frames.ipv6_udp(src, dst, payload, label))
    if next_header is not None:
        packet[6] = next_header
    return bytes(packet)


class Refused(Case):
    """Each refusal by the name of its counter, and nothing delivered."""

    quick = True

    def setUp(self):
        self.wires = {
            short: self.world.wire(short, f"weft-{short}") for short in ("a", "c", "twin", "g")
        }
        self.uplink = self.world.wire("router0", "weft-r")
        self.own = {short: plan.mac(self.net.mac(short, f"weft-{short}")) for short in self.wires}
        self.r_mac = plan.mac(self.net.mac("r", "weft-r-up0"))
        self.router_mac = plan.mac(self.net.mac("router0", "weft-r"))

    def from_node(self, short, packet, dst_mac=None, ethertype=b"\x08\x00"):
        dst_mac = dst_mac or plan.virtual_mac("Z", G)
        self.wires[short].send((dst_mac + self.own[short] + ethertype + packet).ljust(60, b"\0"))

    def from_substrate(self, packet, dst_mac=None):
        self.uplink.send((dst_mac or self.r_mac) + self.router_mac + b"\x86\xdd" + packet)

    def refused(self, name, act, count=1):
        """`act` is dropped at R as `name`, and nobody gets anything of it."""
        before = self.drops(self.r, name)
        act()
        deadline = time.monotonic() + 2.0
        while self.drops(self.r, name) < before + count and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual(self.drops(self.r, name) - before, count, f"{name}: {self.world.drops()}")
        for short, wire in self.wires.items():
            got = wire.seen(lambda frame: MARK in frame, outgoing=False)
            # An ICMP error may quote the packet to its sender.
            got = [frame for frame in got if frame[12:14] != b"\x08\x00" or frame[23] != 1]
            self.assertEqual(got, [], f"{name}: delivered to {short}")

    def test_spoofed_sources(self):
        for src in (C, G, plan.v4("10.0.0.99"), plan.v4("192.0.2.1")):
            with self.subTest(src=src):
                packet = frames.ipv4_udp(src, G, MARK)
                self.refused("spoofed_source", lambda packet=packet: self.from_node("a", packet))

    def test_frames_of_nodes_that_are_not_carried(self):
        good = frames.ipv4_udp(A, G, MARK)
        for name, packet, options in (
            ("mac_mismatch", good, {"dst_mac": plan.virtual_mac("Z", C)}),
            ("broadcast", good, {"dst_mac": b"\xff" * 6}),
            ("group_mismatch", good, {"dst_mac": bytes.fromhex("01005e000001")}),
            ("ethertype_ipv6", ip6(bytes(15) + b"\1", bytes(15) + b"\2"), {"ethertype": b"\x86\xdd"}),
            ("ethertype_rarp", MARK, {"ethertype": b"\x80\x35"}),
            ("ethertype_other", MARK, {"ethertype": b"\x12\x34"}),
            ("ethertype_lldp", MARK, {"ethertype": b"\x88\xcc"}),
            ("bad_version", b"\x65" + good[1:], {}),
            ("bad_header_checksum", good[:10] + b"\x12\x34" + good[12:], {}),
            ("bad_total_length", good[:2] + b"\xff\xff" + good[4:], {}),
        ):
            with self.subTest(name):
                self.refused(
                    name,
                    lambda packet=packet, options=options: self.from_node("a", packet, **options),
                )

    def test_packets_of_the_substrate_that_are_not_taken(self):
        to_a = plan.substrate("R", "Z", A)
        g = plan.substrate("S", "Z", G)
        tag3 = frames.label(tag=3)
        for name, packet in (
            ("forged_source", ip6(plan.substrate("T", "Z", G), to_a)),
            ("source_unknown", ip6(plan.substrate("S", "Z", plan.v4("10.0.0.77")), to_a)),
            ("denied", ip6(g, plan.substrate("R", "Y", A))),
            ("not_local", ip6(g, plan.substrate("R", "Z", plan.v4("10.0.0.200")))),
            ("extension_header", ip6(g, to_a, next_header=0)),
            ("extension_header", ip6(g, to_a, next_header=43)),
            ("extension_header", ip6(g, to_a, next_header=60)),
            ("label_lost", ip6(g, to_a, label=0)),
            ("label_invalid", ip6(g, to_a, label=tag3)),
        ):
            with self.subTest(name):
                self.refused(name, lambda packet=packet: self.from_substrate(packet))
        with self.subTest("wrong_mac"):
            packet = ip6(g, to_a)
            wrong = bytes.fromhex("020000abcdef")
            self.refused("wrong_mac", lambda: self.from_substrate(packet, wrong))

    def test_the_good_packet_does_pass(self):
        # The control of all of the above: it is the address that refuses them.
        self.from_substrate(ip6(plan.substrate("S", "Z", G), plan.substrate("R", "Z", A)))
        self.assertIsNotNone(self.wires["a"].wait(lambda frame: MARK in frame, outgoing=False))
        self.wires["a"].clear()


class Garbage(Case):
    """Random and mutated frames by the million. Nodes are on taps, since
    net_af_packet lets the kernel swallow fragments."""

    early = True
    how = Plan(nodes="tap")

    count = int(os.environ.get("WEFT_GARBAGE", "1000000"))

    def test_from_a_node(self):
        mac = plan.mac(self.net.mac("a", "weft-a"))
        head = plan.virtual_mac("Z", G) + mac
        udp = frames.ipv4_udp(A, G, b"Z" * 40)
        arp = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + mac + bytes([10, 0, 0, 2]) + bytes(6)
        seeds = [
            head + b"\x08\x00" + udp,
            head + b"\x08\x00" + udp[:6] + b"\x20\x00" + udp[8:],
            b"\xff" * 6 + mac + b"\x08\x06" + arp + bytes([10, 0, 0, 3]) + bytes(18),
            head + b"\x81\x00\x00\x05\x08\x00" + udp,
        ]
        self.pour(("a", "weft-a"), seeds, b"Z" * 16, ("twin",))

    def test_from_the_twin(self):
        mac = plan.mac(self.net.mac("twin", "weft-twin"))
        udp = frames.ipv4_udp(A, G, b"Y" * 40)
        seeds = [
            plan.virtual_mac("Y", G) + mac + b"\x08\x00" + udp,
            plan.virtual_mac("Z", G) + mac + b"\x08\x00" + udp,
        ]
        self.pour(("twin", "weft-twin"), seeds, b"Y" * 16, ("a", "c", "g"), self.count // 4)

    def test_from_the_substrate(self):
        head = plan.mac(self.net.mac("r", "weft-r-up0"))
        head += plan.mac(self.net.mac("router0", "weft-r")) + b"\x86\xdd"
        g, a = plan.substrate("S", "Z", G), plan.substrate("R", "Z", A)
        own = bytes.fromhex("20010db8ffff000a0000000000000001")
        seeds = [
            head + ip6(g, a, b"Z" * 40),
            head + ip6(g, a, struct.pack(">BBHI", 17, 0, 1, 7) + b"Z" * 40, next_header=44),
            head + ip6(g, a, b"\x80\0\0\0" + b"Z" * 40, next_header=1),
            head + ip6(own, own[:15] + b"\xff", b"\x01\x04\0\0\0\0\5\x78" + b"Z" * 60, next_header=58),
            head + ip6(own, own, b"\x87\0\0\0" + b"Z" * 60, next_header=58),
        ]
        self.pour(("router0", "weft-r"), seeds, b"Z" * 16, ("twin",))

    def pour(self, place, seeds, mark, silent, count=None):
        """Sends mutations of `seeds` from namespace and interface to R, one in
        eight being random throughout; none of them may reach the nodes of
        `silent`."""
        count = count or self.count
        ears = {short: self.world.wire(short, f"weft-{short}") for short in silent}
        before = self.r.counters()
        with net.sender(self.net, *place) as sender, self.r.control(access="ro") as client:
            pour(sender, client, seeds, count)
        self.assertEqual(self.world.imbalance(), {})
        after = self.r.counters()
        # The test is worth something only if the frames did arrive.
        self.assertGreater(after["rx"] - before["rx"], count * 0.8)
        for short, ear in ears.items():
            leaked = ear.seen(lambda frame: mark in frame, outgoing=False)
            self.assertEqual(leaked[:3], [], f"{len(leaked)} frames leaked to {short}")
        self.world.warm()


if __name__ == "__main__":
    unittest.main()
