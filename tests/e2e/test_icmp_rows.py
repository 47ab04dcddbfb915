"""ICMP of nodes, row by row: a packet goes in by A's own wire, and this very
frame comes out, or none does.

    A 10.0.1.2 web --- r1 --- link --- r2 --- far G 10.0.3.3 at S
                       |
                       db C 10.0.2.5

Expected frames are worked out from RFC 792, 1122 and 1812: who speaks, at what
distance, and the packet as that router had got it."""

import struct
import time

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_LSRR, IPOption_SSRR
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lab import frames, net, plan
from test_arp_rows import virtual
from test_routers import GATEWAYS, PLACES, RoutedWorld
from case import Case
from world import Plan

A, C, G = PLACES["a"], PLACES["c"], PLACES["g"]
# Interfaces: r1's in web, in db and in link, r2's in link.
R1, R1_DB, R1_LINK, R2 = "10.0.1.1", "10.0.2.1", "10.0.255.1", "10.0.255.2"
GATEWAY = virtual(R1, 0x72)
# Where more routes lead than other tests need.
ROUTES = (
    ("r1", "10.7.0.0/16", {"via": R2}),
    ("r1", "10.8.0.0/16", {"via": R2}),
    ("r2", "10.8.0.0/16", {"action": "prohibit"}),
    ("r1", "10.9.0.0/16", {"via": R2}),
    ("r2", "10.9.0.0/16", {"via": R1_LINK}),
    ("r1", "10.10.0.0/16", {"via": C}),
    ("r1", "10.11.0.0/16", {"via": "10.0.2.99"}),
)
NET, HOST, PROTOCOL, PORT, TOO_BIG, SOURCE_ROUTE, HOST_PROHIBITED, PROHIBITED = (
    *(0, 1, 2, 3, 4, 5, 10, 13),
)
UNREACHABLE, TIME_EXCEEDED = 3, 11
# Of a substrate of 1,500 bytes, less what IPv6 and a Fragment header take.
MTU = 1472
# An answer has 576 bytes at most, headers included.
QUOTED = 576 - 28


class IcmpWorld(RoutedWorld):
    """Errors as fast as they come at R, ten a second at S."""

    def config(self, host):
        config = super().config(host)
        config["limits"]["icmp_rate"] = 10_000 if host == "R" else 10
        routes = [{"router": router, "prefix": prefix, **to} for router, prefix, to in ROUTES]
        config["vroute"] += routes
        if host == "R":
            config["mapping"].append({"vnet": "Z", "address": "10.10.0.1", "host": "S"})
            # Whom no node may write to.
            far_off = {"name": "far-off", "vnet": "Z", "address": "10.0.1.50", "nodes": []}
            config["outsider"] = [{**far_off, "ipv6": "2001:db8:64::50"}]
        return config


class IcmpRows(Case):
    """Over taps: af_packet has the kernel put fragments together."""

    make = IcmpWorld
    how = Plan(nodes="tap")
    quick = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.wire = cls.world.wire("a", "weft-a")
        cls.up = cls.world.wire("router0", "weft-r")
        cls.own = cls.net.mac("a", "weft-a")

    def sent(self, dst, payload=None, to=GATEWAY, **ip):
        """A's packet, UDP unless told otherwise, as a frame."""
        head = IP(dst=dst, **{"src": A, "ttl": 64, "id": 7, "flags": "DF", **ip})
        payload = UDP(sport=4000, dport=5000) / Raw(b"who is there") if payload is None else payload
        return bytes(Ether(src=self.own, dst=to) / head / payload)

    def told(self, frame, problem, by=R1, hops=0, word=0, mac=GATEWAY):
        """The error about it: `by` is `hops` routers behind A's gateway."""
        quoted = IP(frame[14:])
        quoted.ttl -= hops
        del quoted.chksum
        return self.error(bytes(quoted), problem, (by, 64 - hops), word, mac)

    def error(self, quoted, problem, origin, word=0, mac=GATEWAY):
        (kind, code), (by, ttl) = problem, origin
        message = struct.pack(">BBHI", kind, code, 0, word) + quoted[:QUOTED]
        total = frames.checksum(frames.sum16(message))
        message = message[:2] + struct.pack(">H", total) + message[4:]
        head = IP(src=by, dst=A, ttl=ttl, tos=0xC0, id=0, flags="DF", proto=1)
        return bytes(Ether(src=mac, dst=self.own) / head / Raw(message))

    def answer(self, dst, payload, ttl=64, **ip):
        head = IP(src=dst, dst=A, ttl=ttl, id=0, flags="DF", **ip)
        return bytes(Ether(src=GATEWAY, dst=self.own) / head / payload)

    def comes(self, octets):
        """Whether a frame is for A from anybody."""
        return octets[12:14] == b"\x08\x00" and octets[30:34] == plan.v4(A).to_bytes(4, "big")

    def row(self, frame, expected):
        self.wire.clear()
        self.wire.send(frame)
        got = self.wire.wait(self.comes, outgoing=False)
        self.assertIsNotNone(got, f"no answer; {self.world.drops()}")
        self.assertEqual(got[: len(expected)].hex(" "), expected.hex(" "))
        self.assertEqual(got[len(expected) :].strip(b"\0"), b"")

    def silent(self, rows):
        """Each is counted by its name, and none is answered."""
        self.wire.clear()
        before = self.r.counters()["icmp_sent"]
        for name, frame, counter in rows:
            with self.subTest(name):
                count = self.r.counters()[counter]
                self.wire.send(frame)
                counted = net.eventually(lambda: self.r.counters()[counter] == count + 1, 3.0, 0.01)
                self.assertTrue(counted, f"{counter} is not one more; {self.world.drops()}")
        time.sleep(0.3)
        self.assertEqual([it.hex(" ") for it in self.wire.seen(self.comes, False)], [])
        self.assertEqual(self.r.counters()["icmp_sent"], before)

    def test_each_error(self):
        def near(address):
            return {"to": virtual(address)}

        loose = {"options": [IPOption_LSRR(routers=["10.0.2.9"])]}
        strict = {"options": [IPOption_SSRR(routers=["10.0.2.9"])]}
        large = UDP(sport=4000, dport=5000) / Raw(bytes(range(243)) * 6)
        first = {"flags": "MF", "proto": 17}
        rows = (
            ("no route", "203.0.113.1", {}, (UNREACHABLE, NET), {}),
            ("none at r2", "10.7.0.1", {}, (UNREACHABLE, NET), {"by": R2, "hops": 1}),
            ("prohibited", "198.51.100.1", {}, (UNREACHABLE, PROHIBITED), {}),
            ("at r2", "10.8.0.1", {}, (UNREACHABLE, PROHIBITED), {"by": R2, "hops": 1}),
            ("outside", "192.0.2.1", near("192.0.2.1"), (UNREACHABLE, PROHIBITED), {}),
            ("not for A", "10.0.1.50", near("10.0.1.50"), (UNREACHABLE, PROHIBITED), {}),
            ("TTL 1", G, {"ttl": 1}, (TIME_EXCEEDED, 0), {}),
            ("TTL 2", G, {"ttl": 2}, (TIME_EXCEEDED, 0), {"by": R2, "hops": 1}),
            ("TTL 1, db", C, {"ttl": 1}, (TIME_EXCEEDED, 0), {}),
            # Sixteen routers pass it on, the last one to r1.
            ("a circle", "10.9.0.1", {}, (TIME_EXCEEDED, 0), {"by": R1_LINK, "hops": 16}),
            ("TTL 5 in it", "10.9.0.1", {"ttl": 5}, (TIME_EXCEEDED, 0), {"by": R1_LINK, "hops": 4}),
            ("nobody here", "10.0.1.77", near("10.0.1.77"), (UNREACHABLE, HOST), {}),
            ("nobody in db", "10.0.2.77", {}, (UNREACHABLE, HOST), {}),
            ("nobody far", "10.0.3.77", {}, (UNREACHABLE, HOST), {"by": R2, "hops": 1}),
            ("not behind C", "10.10.0.1", {}, (UNREACHABLE, HOST), {}),
            ("no next hop", "10.11.0.1", {}, (UNREACHABLE, HOST), {}),
            ("loose route", G, loose, (UNREACHABLE, SOURCE_ROUTE), {}),
            ("strict route", C, strict, (UNREACHABLE, SOURCE_ROUTE), {}),
            ("too big", G, {"payload": large}, (UNREACHABLE, TOO_BIG), {"by": R2, "hops": 1, "word": MTU}),
            # The first fragment of a packet is told of, the others are not.
            ("a fragment", "203.0.113.1", {**first, "payload": Raw(bytes(24))}, (UNREACHABLE, NET), {}),
            ("TCP", "203.0.113.1", {"payload": TCP(dport=80)}, (UNREACHABLE, NET), {}),
            ("a ping", "203.0.113.1", {"payload": ICMP() / b"ping"}, (UNREACHABLE, NET), {}),
            ("an answer", "203.0.113.1", {"payload": ICMP(type=0)}, (UNREACHABLE, NET), {}),
            ("protocol 47", "203.0.113.1", {"payload": Raw(b"GRE"), "proto": 47}, (UNREACHABLE, NET), {}),
            ("nobody listens", R1, {}, (UNREACHABLE, PORT), {}),
            ("at r1's other side", R1_DB, {}, (UNREACHABLE, PORT), {"by": R1_DB}),
            ("at r2", R2, {}, (UNREACHABLE, PORT), {"by": R2, "hops": 1}),
            ("no such protocol", R2, {"payload": Raw(b"GRE"), "proto": 47},
             (UNREACHABLE, PROTOCOL), {"by": R2, "hops": 1}),
        )
        for name, dst, how, problem, who in rows:
            with self.subTest(name):
                frame = self.sent(dst, **how)
                self.row(frame, self.told(frame, problem, **who))

    def test_routers_answer(self):
        echo = ICMP(id=9, seq=3) / Raw(bytes(range(200)) * 5)
        reply = ICMP(type=0, id=9, seq=3) / Raw(bytes(range(200)) * 5)
        syn = TCP(sport=4000, dport=22, seq=1000, flags="S")
        reset = TCP(sport=22, dport=4000, seq=0, ack=1001, flags="RA", window=0)
        late = TCP(sport=4000, dport=22, seq=1, ack=77, flags="A")
        refused = TCP(sport=22, dport=4000, seq=77, ack=0, flags="R", window=0)
        for name, frame, expected in (
            ("ping", self.sent(R1, echo), self.answer(R1, reply)),
            ("ping of r2", self.sent(R2, echo, tos=0xB8), self.answer(R2, reply, 63, tos=0xB8)),
            ("SYN", self.sent(R1, syn), self.answer(R1, reset)),
            ("ACK", self.sent(R2, late), self.answer(R2, refused, 63)),
        ):
            with self.subTest(name):
                self.row(frame, expected)

    def test_never_answered(self):
        nowhere = "203.0.113.1"

        def icmp(kind, code=0):
            return {"payload": ICMP(type=kind, code=code) / Raw(bytes(28))}

        later = {"frag": 3, "flags": 0, "proto": 17, "payload": Raw(bytes(64))}
        wrong = bytearray(self.sent(nowhere))
        wrong[24] ^= 1
        errors = [(3, 1), (4, 0), (5, 0), (11, 0), (12, 0), (42, 0)]
        rows = [
            (f"about ICMP {kind}", self.sent(nowhere, **icmp(kind, code)), "drop_no_route")
            for kind, code in errors
        ]
        rows += [
            ("a later fragment", self.sent(nowhere, **later), "drop_no_route"),
            ("to loopback", self.sent("127.0.0.1"), "drop_no_route"),
            ("to no network", self.sent("0.0.0.9"), "drop_no_route"),
            ("to class E", self.sent("240.0.0.1"), "drop_no_route"),
            ("its subnet's broadcast", self.sent("10.0.1.255"), "drop_broadcast"),
            ("another's broadcast", self.sent("10.0.2.255"), "drop_broadcast"),
            ("everybody by the router", self.sent("255.255.255.255"), "drop_broadcast"),
            ("in a broadcast frame", self.sent(nowhere, to="ff:ff:ff:ff:ff:ff"), "drop_broadcast"),
            ("in a group's frame", self.sent(nowhere, to="01:00:5e:00:71:01"), "drop_group_mismatch"),
            ("to a group", self.sent("239.1.2.3", to="01:00:5e:01:02:03"), "drop_no_member"),
            ("a group by the router", self.sent("239.1.2.3"), "drop_group_mismatch"),
            ("TTL 0", self.sent(G, ttl=0), "drop_ttl_zero"),
            ("a blackhole", self.sent("192.0.2.9"), "drop_blackholed"),
            ("from another", self.sent(nowhere, src=C), "drop_spoofed_source"),
            ("from nobody", self.sent(nowhere, src="0.0.0.0"), "drop_spoofed_source"),
            ("from a group", self.sent(nowhere, src="239.1.2.3"), "drop_spoofed_source"),
            ("another subnet's", self.sent(C, to=virtual(C)), "drop_wrong_subnet"),
            ("another router's", self.sent(G, to=virtual(R2, 0x72)), "drop_mac_mismatch"),
            ("a wrong checksum", bytes(wrong), "drop_bad_header_checksum"),
            ("a router's error", self.sent(R1, **icmp(3, 1)), "router_icmp_type"),
            ("a part of a ping", self.sent(R1, **later), "router_fragment"),
            ("a reset", self.sent(R1, TCP(flags="R")), "router_error"),
        ]
        self.silent(rows)

    def test_so_many_a_second(self):
        """Of two hundred packets S answers those that ten a second allow, and
        the first burst of them."""
        wire, own = self.world.wire("g", "weft-g"), self.net.mac("g", "weft-g")
        before = self.s.counters()
        gateway = virtual(GATEWAYS["g"], 0x72)
        packet = IP(src=G, dst="203.0.113.1", flags="DF") / UDP(sport=1, dport=2)
        frame = bytes(Ether(src=own, dst=gateway) / packet)
        for _ in range(200):
            wire.send(frame)
        counted = net.eventually(
            lambda: self.s.counters()["drop_no_route"] == before["drop_no_route"] + 200
        )
        self.assertTrue(counted)
        sent = self.s.counters()["icmp_sent"] - before["icmp_sent"]
        self.assertGreater(sent, 0)
        self.assertLess(sent, 60)

    def test_what_the_substrate_says(self):
        """A router of the substrate complains about A's packet. Last of all, as
        R remembers what the path takes."""
        # Nothing that G answers.
        payload = TCP(sport=4000, dport=5000, flags="R") / Raw(bytes(1000) + b"the end")
        frame = self.sent(G, payload)
        self.up.clear()
        self.wire.send(frame)
        outer = plan.substrate("R", "Z", A)
        carried = self.up.wait(lambda it: it[22:38] == outer and it[20] == 6, outgoing=False)
        self.assertIsNotNone(carried, str(self.world.drops()))
        # As it left the last router; DF, so without an identification.
        restored = IP(frame[14:])
        restored.ttl, restored.id = 62, 0
        del restored.chksum
        quoted = bytes(restored)
        big = len(carried) - 14 - 1
        rows = [
            ("no route", 1, 0, 0, (UNREACHABLE, HOST), 0),
            ("prohibited", 1, 1, 0, (UNREACHABLE, HOST_PROHIBITED), 0),
            ("address unreachable", 1, 3, 0, (UNREACHABLE, HOST), 0),
            ("port unreachable", 1, 4, 0, (UNREACHABLE, PORT), 0),
            ("source refused", 1, 5, 0, (UNREACHABLE, HOST_PROHIBITED), 0),
            ("hop limit", 3, 0, 0, (TIME_EXCEEDED, 0), 0),
            ("reassembly", 3, 1, 0, (TIME_EXCEEDED, 1), 0),
        ]
        for name, kind, code, word, problem, told in rows:
            with self.subTest(name):
                error = self.substrate_error(carried, kind, code, word)
                self.from_router(error, self.error(quoted, problem, (R2, 64), told))
        ignored = [
            ("too small", self.substrate_error(carried, 2, 0, 1279)),
            ("it fits", self.substrate_error(carried, 2, 0, big + 1)),
            ("parameter problem", self.substrate_error(carried, 4, 0, 0)),
            ("wrong checksum", self.substrate_error(carried, 1, 0, 0, spoil=1)),
            ("not from here", self.substrate_error(carried, 1, 0, 0, source=plan.substrate("R", "Z", "10.0.1.9"))),
        ]
        self.wire.clear()
        for name, error in ignored:
            with self.subTest(name):
                before = self.r.counters()["substrate_errors_ignored"]
                self.up.send(error)
                counted = net.eventually(
                    lambda count=before: self.r.counters()["substrate_errors_ignored"] == count + 1, 3.0
                )
                self.assertTrue(counted)
        self.assertEqual(self.wire.seen(self.comes, False), [])
        # One that is too big for what lies ahead.
        frame = self.sent(G, TCP(sport=4000, dport=5000, flags="R") / Raw(bytes(MTU - 40)))
        self.up.clear()
        self.wire.send(frame)
        carried = self.up.wait(lambda it: it[22:38] == outer and len(it) > 1400, outgoing=False)
        restored = IP(frame[14:])
        restored.ttl, restored.id = 62, 0
        del restored.chksum
        error = self.substrate_error(carried, 2, 0, 1400)
        told = self.error(bytes(restored), (UNREACHABLE, TOO_BIG), (R2, 64), 1400 - 28)
        self.from_router(error, told)

    def substrate_error(self, carried, kind, code, word, spoil=0, source=None):
        """An ICMPv6 error of the router to whom a packet came from."""
        quoted = carried[14:]
        if source:
            quoted = quoted[:8] + source + quoted[24:]
        to = carried[22:38]
        own = bytes.fromhex("20010db8ffff000a00000000000000ff")
        message = struct.pack(">BBHI", kind, code, 0, word) + quoted[: 1280 - 48]
        total = frames.sum16(own + to) + 58 + len(message) + frames.sum16(message)
        message = message[:2] + struct.pack(">H", frames.checksum(total) ^ spoil) + message[4:]
        head = struct.pack(">IHBB", 6 << 28, len(message), 58, 64) + own + to
        return carried[6:12] + carried[:6] + b"\x86\xdd" + head + message

    def from_router(self, error, expected):
        self.wire.clear()
        self.up.send(error)
        got = self.wire.wait(self.comes, outgoing=False)
        self.assertIsNotNone(got, f"no answer; {self.world.drops()}")
        self.assertEqual(got.hex(" "), expected.hex(" "))
