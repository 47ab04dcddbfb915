"""IGMP frame by frame: what scapy makes of a message goes in, what weft keeps
of it and what it asks comes out."""

import unittest

# pylint: disable=no-name-in-module
from scapy.contrib.igmp import IGMP
from scapy.contrib.igmpv3 import IGMPv3, IGMPv3gr, IGMPv3mq, IGMPv3mr
from scapy.layers.inet import IP, IPOption_Router_Alert
from scapy.layers.l2 import Ether
from scapy.packet import raw

from case import Case
from lab import net

A = "10.0.0.2"
GROUP = "239.1.2.3"
FIRST, SECOND = "10.0.0.3", "10.0.0.5"
IS_IN, IS_EX, TO_IN, TO_EX, ALLOW, BLOCK = range(1, 7)


def group_mac(group):
    octets = [int(part) for part in group.split(".")]
    return f"01:00:5e:{octets[1] & 0x7F:02x}:{octets[2]:02x}:{octets[3]:02x}"


def older(kind, group=GROUP, to=None, source=A):
    """A message of version 1 or 2."""
    ip = IP(src=source, dst=to or group, ttl=1, tos=0xC0, options=[IPOption_Router_Alert()])
    return ip / IGMP(type=kind, gaddr=group, mrcode=0)


def report(*records):
    """A report of version 3: (kind, group, sources) each."""
    ip = IP(src=A, dst="224.0.0.22", ttl=1, tos=0xC0, options=[IPOption_Router_Alert()])
    told = [IGMPv3gr(rtype=kind, maddr=group, srcaddrs=list(sources)) for kind, group, sources in records]
    message = IGMPv3mr(records=told)
    # The kind of message is a field of scapy's outer layer.
    return ip / IGMPv3(type=0x22) / message


class Rows(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.mac = cls.net.mac("a", "weft-a")

    def setUp(self):
        self.wire = self.world.wire("a", "weft-a")
        self.forget()

    def forget(self):
        """Ends every membership: with its binding."""
        binding = {"name": "A", "vnet": "Z", "address": A, "port": "a", "mac": self.mac}
        with self.r.control() as control:
            control.call("binding.remove", name="A")
            control.call("binding.set", binding=binding)
        self.assertTrue(net.eventually(lambda: not self.kept(), 3.0))

    def send(self, packet, to=None):
        # The length and both checksums are scapy's.
        frame = Ether(src=self.mac, dst=to or group_mac(packet[IP].dst)) / packet
        self.wire.send(raw(frame).ljust(60, b"\0"))

    def kept(self):
        """What R says of A's memberships: (group, version, sources, addresses)."""
        return [
            (it["group"], member["version"], member["sources"], member.get("addresses", []))
            for it in self.r.jsons("group", "list")
            for member in it["members"]
            if member["node"] == "A"
        ]

    def becomes(self, wanted, timeout=3.0):
        got = net.eventually(lambda: self.kept() == wanted, timeout)
        self.assertTrue(got, f"{self.kept()}, not {wanted}")

    def test_messages_and_what_is_kept(self):
        everything = [(GROUP, 3, "any", [])]
        rows = [
            ("v1 report", [older(0x12)], [(GROUP, 1, "any", [])]),
            ("v2 report", [older(0x16)], [(GROUP, 2, "any", [])]),
            ("v2 report without an address", [older(0x16, source="0.0.0.0")], [(GROUP, 2, "any", [])]),
            ("v3 to all", [report((TO_EX, GROUP, []))], everything),
            ("v3 is all", [report((IS_EX, GROUP, []))], everything),
            ("v3 to one", [report((TO_IN, GROUP, [FIRST]))], [(GROUP, 3, "only", [FIRST])]),
            ("v3 is one", [report((IS_IN, GROUP, [FIRST]))], [(GROUP, 3, "only", [FIRST])]),
            ("v3 allow", [report((ALLOW, GROUP, [SECOND, FIRST]))], [(GROUP, 3, "only", [FIRST, SECOND])]),
            ("v3 all but", [report((TO_EX, GROUP, [FIRST]))], [(GROUP, 3, "except", [FIRST])]),
            ("v3 block of nothing", [report((BLOCK, GROUP, [FIRST]))], []),
            (
                "one after the other",
                [report((TO_IN, GROUP, [FIRST])), report((ALLOW, GROUP, [SECOND]))],
                [(GROUP, 3, "only", [FIRST, SECOND])],
            ),
            (
                "several records",
                [report((TO_EX, GROUP, []), (TO_IN, "239.1.2.4", [FIRST]))],
                [(GROUP, 3, "any", []), ("239.1.2.4", 3, "only", [FIRST])],
            ),
        ]
        for name, packets, wanted in rows:
            with self.subTest(name):
                self.forget()
                reports = self.r.counters()["igmp_reports"]
                for packet in packets:
                    self.send(packet)
                net.eventually(lambda: self.r.counters()["igmp_reports"] >= reports + len(packets))
                self.becomes(wanted)

    def test_what_is_ignored_is_counted_by_name(self):
        wrong = older(0x16)
        wrong[IGMP].chksum = 0x1234
        short = IP(src=A, dst=GROUP, ttl=1, proto=2) / b"\x16\x00\xf8"
        records = report((TO_EX, GROUP, []))
        records[IGMPv3mr].numgrp = 3
        rows = [
            ("igmp_bad_checksum", wrong),
            ("igmp_too_short", short),
            ("igmp_bad_records", records),
            ("igmp_spoofed_source", older(0x16, source="10.0.0.5")),
            ("igmp_query", older(0x11, group="0.0.0.0", to="224.0.0.1")),
            ("igmp_unknown_type", older(0x13)),
            ("igmp_withheld", older(0x16, group="224.0.0.251")),
            ("igmp_bad_group", older(0x16, group="10.0.0.1", to=GROUP)),
            ("igmp_too_many_sources", report((TO_IN, GROUP, [f"10.0.1.{n}" for n in range(65)]))),
        ]
        for name, packet in rows:
            with self.subTest(name):
                before = self.r.counters()[name]
                self.send(packet)
                counted = net.eventually(lambda n=name, b=before: self.r.counters()[n] == b + 1, 3.0)
                self.assertTrue(counted, {k: v for k, v in self.r.counters().items() if "igmp" in k and v})
                self.assertEqual(self.kept(), [])

    def test_a_frame_to_another_group_s_mac_is_dropped(self):
        before = self.drops(self.r, "group_mismatch")
        self.send(older(0x16), to="01:00:5e:7f:ff:fa")
        self.assertTrue(net.eventually(lambda: self.drops(self.r, "group_mismatch") == before + 1))
        self.assertEqual(self.kept(), [])

    def queries(self, group):
        """Queries that A was sent for a group, as scapy reads them."""
        to = bytes.fromhex(group_mac(group).replace(":", ""))
        mine = bytes.fromhex(self.mac.replace(":", ""))
        found = self.wire.seen(lambda f: f[:6] == to and f[23] == 2 and f[6:12] != mine and f[38] == 0x11)
        return [Ether(frame) for frame in found]

    def test_general_queries_come_when_a_binding_does(self):
        self.wire.clear()
        self.forget()
        found = net.eventually(lambda: self.queries("224.0.0.1"), 3.0)
        self.assertTrue(found)
        query = found[0]
        self.assertEqual(query.src, "72:5b:00:00:00:00")
        ip = query[IP]
        self.assertEqual((ip.src, ip.dst, ip.ttl, ip.tos), ("0.0.0.0", "224.0.0.1", 1, 0xC0))
        self.assertEqual(raw(ip)[20:24], bytes.fromhex("94040000"), "router alert")
        self.assertEqual(raw(ip)[24:36].hex(), "110a" + "ec78" + "00000000" + "027d0000")

    def test_a_leave_is_asked_about_and_believed(self):
        self.send(older(0x16))
        self.becomes([(GROUP, 2, "any", [])])
        self.wire.clear()
        self.send(older(0x17, to="224.0.0.2"))
        self.becomes([], 6.0)
        asked = self.queries(GROUP)
        self.assertEqual(len(asked), 2)
        for query in asked:
            self.assertEqual(query[IP].dst, GROUP)
            message = raw(query[IP])[24:36]
            self.assertEqual((message[:2].hex(), message[4:].hex()), ("110a", "ef010203" + "027d0000"))
            self.assertIsNotNone(query.getlayer(IGMPv3mq) or query.getlayer(IGMPv3) or query.getlayer(IGMP))

    def test_sources_that_are_blocked_are_asked_about(self):
        self.send(report((TO_IN, GROUP, [FIRST, SECOND])))
        self.becomes([(GROUP, 3, "only", [FIRST, SECOND])])
        self.wire.clear()
        self.send(report((BLOCK, GROUP, [SECOND])))
        self.becomes([(GROUP, 3, "only", [FIRST])], 6.0)
        asked = [raw(query[IP])[24:40].hex() for query in self.queries(GROUP)]
        self.assertEqual([text[8:] for text in asked], ["ef010203" + "027d0001" + "0a000005"] * 2)


if __name__ == "__main__":
    unittest.main()
