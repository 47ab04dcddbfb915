"""What travels on the substrate, and what arrives, byte by byte."""

import os
import subprocess
import unittest

from case import Case
from lab import frames, plan
from world import Plan

A, G = plan.v4("10.0.0.2"), plan.v4("10.0.0.3")
SUBSTRATE_A = plan.substrate("R", "Z", A)
SUBSTRATE_G = plan.substrate("S", "Z", G)


def datagram(frame):
    """The IP packet of a frame if it is one of these tests' datagrams."""
    if frame[12:14] == b"\x08\x00" and frame[23] == 17:
        return frame[34:38] == b"\x0f\xa0\x13\x88"
    return frame[12:14] == b"\x86\xdd" and frame[20] == 17 and frame[54:58] == b"\x0f\xa0\x13\x88"


class Frames(Case):
    """In mode `siit`, with what checks of tshark find nothing wrong with."""

    quick = True

    def setUp(self):
        self.wire_a = self.world.wire("a", "weft-a")
        self.wire_g = self.world.wire("g", "weft-g")
        self.substrate = self.world.wire("router0", "weft-r")
        mac = bytes.fromhex(self.net.mac("a", "weft-a").replace(":", ""))
        self.head = plan.virtual_mac("Z", G) + mac + b"\x08\x00"

    def carry(self, packet, wanted=datagram):
        """Sends a packet from A; what was on the substrate and what G got."""
        self.substrate.clear()
        self.wire_g.clear()
        self.wire_a.send((self.head + packet).ljust(60, b"\0"))
        got = self.wire_g.wait(wanted)
        carried = self.substrate.wait(wanted)
        self.assertIsNotNone(got, f"nothing came; drops: {self.world.drops()}")
        self.assertIsNotNone(carried)
        size = 40 + int.from_bytes(carried[18:20], "big")
        return carried[14 : 14 + size], got[14 : 14 + int.from_bytes(got[16:18], "big")]

    def test_the_documented_walk(self):
        packet = frames.ipv4_udp(A, G, b"hello-onm", tos=0xB8, ident=0x1234)
        carried, got = self.carry(packet)
        word = int.from_bytes(carried[:4], "big")
        # Whatever the entropy, TTL, DF and mode are in the label.
        self.assertEqual(word & ~0x1FF, 0x6B840A00)
        self.assertEqual(carried[4:8], bytes.fromhex("00111140"))
        self.assertEqual((carried[8:24], carried[24:40]), (SUBSTRATE_A, SUBSTRATE_G))
        self.assertEqual(carried[40:].hex(), "0fa01388001148f4" + b"hello-onm".hex())
        self.assertEqual(
            got.hex(),
            "45b80025000040004011260c0a0000020a000003" + "0fa013880011a831" + b"hello-onm".hex(),
        )

    def test_ttl_df_tos_and_payload_arrive(self):
        for ttl, df, tos in ((1, True, 0), (255, False, 0xFF), (64, True, 0x03), (2, False, 0x28)):
            with self.subTest(ttl=ttl, df=df, tos=tos):
                payload = os.urandom(64)
                packet = frames.ipv4_udp(A, G, payload, ttl=ttl, tos=tos, df=df)
                carried, got = self.carry(packet)
                self.assertEqual(carried[7], 64, "hop limit as R sends it")
                self.assertEqual((got[8], got[6] >> 6 & 1, got[1]), (ttl, df, tos))
                self.assertEqual(got[20:], packet[20:])

    def test_absent_udp_checksum_stays_absent(self):
        packet = bytearray(frames.ipv4_udp(A, G, b"no checksum"))
        packet[26:28] = bytes(2)
        carried, got = self.carry(bytes(packet))
        self.assertEqual((carried[46:48], got[26:28]), (bytes(2), bytes(2)))

    def test_wrong_checksum_stays_wrong(self):
        # A node's own error must reach the far node as one, not be repaired.
        packet = bytearray(frames.ipv4_udp(A, G, b"wrong sum"))
        packet[27] ^= 0x55
        _, got = self.carry(bytes(packet))
        self.assertEqual(got[26:28], bytes(packet[26:28]))

    def test_router_knows_two_routes_and_no_tenant(self):
        routes = self.net.ip("router0", "-6", "route", "show", "proto", "boot").splitlines()
        found = sorted(line.split()[0] for line in routes)
        self.assertEqual(found, sorted(plan.LOCATOR[host] for host in "RS"))
        links = self.net.ip("router0", "-br", "link", "show")
        self.assertEqual(
            sorted(line.split("@")[0].split()[0] for line in links.splitlines()),
            ["lo", "weft-r", "weft-s"],
        )

    def test_tshark_finds_no_fault(self):
        everything = self.world.wire("router0", "weft-r")
        self.assert_ping("a", "10.0.0.3", 5)
        # Without DF: fragmented by the appliances.
        self.assert_ping("a", "10.0.0.3", 2, options=("-M", "dont", "-s", "1472"))
        self.world.transfer("a", "g", "10.0.0.3", os.urandom(200_000))
        self.carry_many()
        path = os.path.join(self.world.directory, "substrate.pcap")
        everything.save(path, lambda frame: frame[12:14] == b"\x86\xdd")
        fields = ("ipv6.src", "ipv6.nxt", "tcp.checksum.status", "udp.checksum.status")
        text = self.tshark(path, *fields, "icmpv6.checksum.status", "_ws.expert.severity")
        rows = [line.split("\t") for line in text.splitlines()]
        self.assertGreater(len(rows), 50)
        for row in rows:
            for status in row[2:5]:
                # 1 is good, 2 not verified (a fragment).
                self.assertIn(status, ("", "1", "2"), row)
        expert = self.tshark(
            path, "frame.number", "_ws.expert.message", filter="_ws.expert.severity >= error"
        )
        self.assertEqual(expert, "")
        # An ICMP error quotes the header of what it is about.
        inside = "(ip or vxlan or geneve or gre) and not icmp"
        inside = self.tshark(path, "frame.number", filter=inside)
        self.assertEqual(inside, "", "a header inside another")

    def carry_many(self):
        for size in (0, 1, 2, 3, 18, 512, 1400):
            self.carry(frames.ipv4_udp(A, G, os.urandom(size)))

    def tshark(self, path, *fields, filter=""):  # pylint: disable=redefined-builtin
        command = ["tshark", "-r", path, "-T", "fields", "-Y", filter]
        # Else it takes what is in the datagrams for messages of ICQ.
        command += ["-d", "udp.port==4000,data", "-d", "udp.port==5000,data"]
        for protocol in ("ip", "tcp", "udp"):
            command += ["-o", f"{protocol}.check_checksum:TRUE"]
        for name in fields:
            command += ["-e", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_protocols_that_would_be_headers_are_not_carried(self):
        before = self.drops(self.r, "protocol_not_carried")
        self.substrate.clear()
        bad = (0, 43, 44, 58, 59, 60, 135, 139, 140)
        for protocol in bad:
            self.wire_a.send(self.head + self.raw(protocol, b"x" * 40))
        # One that is carried comes last: then the others had their chance.
        self.carry(frames.ipv4_udp(A, G, b"last"))
        self.assertEqual(self.drops(self.r, "protocol_not_carried") - before, len(bad))
        seen = self.substrate.seen(
            lambda frame: frame[12:14] == b"\x86\xdd" and frame[22:38] == SUBSTRATE_A
        )
        self.assertEqual({frame[20] for frame in seen}, {17})

    def test_other_protocols_pass_untouched(self):
        for protocol in (47, 50, 51, 89, 132, 254):
            with self.subTest(protocol=protocol):
                body = os.urandom(60)

                def same(frame, body=body):
                    return body in frame

                carried, got = self.carry(self.raw(protocol, body), same)
                self.assertEqual((carried[6], carried[40:]), (protocol, body))
                self.assertEqual((got[9], got[20:]), (protocol, body))

    def raw(self, protocol, body):
        """An IPv4 packet of any protocol."""
        packet = bytearray(frames.ipv4_udp(A, G, body[8:]))
        packet[9] = protocol
        packet[10:12] = bytes(2)
        packet[10:12] = frames.checksum(frames.sum16(bytes(packet[:20]))).to_bytes(2, "big")
        return bytes(packet[:20]) + body


class FramesTransparent(Frames):
    """In mode `transparent` the payload crosses untouched."""

    how = Plan(mode="transparent")
    quick = False

    def test_the_documented_walk(self):
        packet = frames.ipv4_udp(A, G, b"hello-onm", tos=0xB8, ident=0x1234)
        carried, got = self.carry(packet)
        self.assertEqual(int.from_bytes(carried[:4], "big") & ~0x1FF, 0x6B840C00)
        self.assertEqual(carried[40:].hex(), "0fa013880011a831" + b"hello-onm".hex())
        self.assertEqual(got[20:], packet[20:])

    def test_tshark_finds_no_fault(self):
        """Checksums are those of the IPv4 addresses here; the rest holds."""
        self.carry_many()


if __name__ == "__main__":
    unittest.main()
