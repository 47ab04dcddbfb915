"""Native IPv6 systems with virtual addresses in a vnet.

    A 10.0.0.2 (Z) --+
    C 10.0.0.5 (Z) --+-- R --- router0 --- O 2001:db8:0:77::9, P ::10
    twin 10.0.0.2 (Y) +

O is 10.0.0.200 in Z for all nodes, and P 10.0.0.201 for C alone. Nobody on the
IPv6 side has heard of weft.
"""

import os
import socket
import unittest

from case import Case
from world import Plan, World

O, P = "2001:db8:0:77::9", "2001:db8:0:77::10"
STRANGER = "2001:db8:0:77::66"
# R's locator, vnet Z, and the node.
A, C = "2001:db8:0:a:15a:1:a00:2", "2001:db8:0:a:15a:1:a00:5"


class Outside(World):
    """One appliance, and a plain IPv6 host behind the substrate's router."""

    def _namespaces(self):
        super()._namespaces()
        self.net.add("o")
        self.net.link("o", "weft-o", "router0", "weft-o")
        self.net.address("router0", "weft-o", "2001:db8:0:77::1/64")
        for address in (O, P, STRANGER):
            self.net.address("o", "weft-o", f"{address}/64")
        self.net.ip("o", "route", "add", "default", "via", "2001:db8:0:77::1")

    def config(self, host):
        config = super().config(host)
        config["route"].append(
            {"prefix": "2001:db8:0:77::/64", "via": config["route"][0]["via"]}
        )
        config["outsider"] = [
            {"name": "O", "vnet": "Z", "address": "10.0.0.200", "ipv6": O},
            {"name": "P", "vnet": "Z", "address": "10.0.0.201", "ipv6": P, "nodes": ["C"]},
        ]
        return config

    def warm(self):
        answered, text = self.net.ping("a", "10.0.0.200", 30, 0.2)
        if not answered:
            raise AssertionError(f"A cannot ping O\n{text}\n{self.story()}")


class Outsiders(Case):
    how = Plan(hosts=("R",))
    make = Outside

    @classmethod
    def setUpClass(cls):
        cls.world = cls.make(cls.how).start()
        cls.addClassCleanup(cls.world.close)
        cls.net = cls.world.net
        cls.r = cls.world.hosts["R"]
        cls.world.warm()

    def carry(self, source, address, target, octets, at, by=None):
        return self.world.transfer(source, target, address, octets, at=at, by=by)

    def test_ping_goes_both_ways(self):
        self.assert_ping("a", "10.0.0.200")
        self.assert_ping("o", A, options=("-I", O))
        self.assert_ping("c", "10.0.0.201")
        self.assert_ping("o", C, options=("-I", P))

    def test_large_pings_are_fragmented_both_ways(self):
        # As far as O need not fragment its answer: fragmented ICMP is not translated.
        for size in (1300, 1400):
            self.assert_ping("a", "10.0.0.200", 3, options=("-M", "dont", "-s", str(size)))
        self.assert_ping("o", A, 3, options=("-I", O, "-s", "1200"))

    def test_tcp_carries_every_byte_both_ways(self):
        octets = os.urandom(4 << 20)
        self.assertEqual(self.carry("a", "10.0.0.200", "o", octets, O), octets)
        self.assertEqual(self.carry("o", A, "a", octets, "10.0.0.2", by=O), octets)

    def test_a_closed_port_is_told(self):
        with self.net.socket("a", socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.settimeout(3)
            sender.connect(("10.0.0.200", 9))
            sender.send(b"anybody?")
            with self.assertRaises(ConnectionRefusedError):
                sender.recv(64)
        with self.net.socket("o", socket.AF_INET6, socket.SOCK_DGRAM) as sender:
            sender.settimeout(3)
            sender.bind((O, 0))
            sender.connect((A, 9))
            sender.send(b"anybody?")
            with self.assertRaises(ConnectionRefusedError):
                sender.recv(64)

    def test_routers_on_the_way_are_heard(self):
        # The router has no route: "no route", from an address that is nobody's.
        self.net.ip("router0", "route", "add", "unreachable", f"{O}/128")
        try:
            answered, text = self.net.ping("a", "10.0.0.200", 2)
            self.assertEqual(answered, 0, text)
            self.assertIn("From 10.0.0.200 icmp_seq=1 Destination Host Unreachable", text)
        finally:
            self.net.ip("router0", "route", "del", "unreachable", f"{O}/128")

    def test_a_narrow_hop_is_learned(self):
        self.net.ip("router0", "link", "set", "weft-o", "mtu", "1300")
        try:
            octets = os.urandom(1 << 20)
            self.assertEqual(self.carry("a", "10.0.0.200", "o", octets, O), octets)
            route = self.net.ip("a", "route", "get", "10.0.0.200")
            self.assertIn("mtu 1280", route)
        finally:
            self.net.ip("router0", "link", "set", "weft-o", "mtu", "1500")
            self.net.ip("a", "route", "flush", "cache")

    def test_only_listed_nodes_are_reached(self):
        before = self.drops(self.r, "denied")
        self.assert_no_ping("a", "10.0.0.201")
        answered, text = self.net.ping("o", A, 2, options=("-I", P))
        self.assertEqual(answered, 0, text)
        self.assertGreater(self.drops(self.r, "denied"), before)

    def test_strangers_and_other_vnets_are_refused(self):
        # By which name depends on the flow label, which senders choose as they like.
        names = ("label_lost", "label_invalid", "denied", "source_unknown")
        before = sum(self.drops(self.r, name) for name in names)
        answered, text = self.net.ping("o", A, 2, options=("-I", STRANGER))
        self.assertEqual(answered, 0, text)
        self.assertGreaterEqual(sum(self.drops(self.r, name) for name in names), before + 2)
        # Vnet Y knows no outsider, and O has no business there.
        answered, text = self.net.ping("o", A.replace(":15a:", ":159:"), 2, options=("-I", O))
        self.assertEqual(answered, 0, text)
        self.assert_no_ping("twin", "10.0.0.200")

    def test_outsiders_come_and_go(self):
        with self.r.control() as control:
            control.call("outsider.remove", name="O")
        self.assert_no_ping("a", "10.0.0.200")
        outsider = {"name": "O", "vnet": "Z", "address": "10.0.0.200", "ipv6": O}
        with self.r.control() as control:
            control.call("outsider.set", outsider=outsider)
        self.assert_ping("a", "10.0.0.200")


if __name__ == "__main__":
    unittest.main()
