"""A vnet whose nodes see each other by their own MACs.

    A 10.0.0.2 (Z) --+                         +-- G 10.0.0.3 (Z)
    C 10.0.0.5 (Z) --+-- R --- router0 --- S --+

The vnet begins with computed MACs, and gets given ones under traffic.
"""

import os
import unittest

from case import Case
from lab import net
from world import Plan

A, C, G = "10.0.0.2", "10.0.0.5", "10.0.0.3"
COMPUTED_G = "76:5b:0a:00:00:03"
VNET = {"name": "Z", "vni": 0x5A0001, "prefixes": ["10.0.0.0/8"]}


class GivenMacs(Case):
    quick = True
    how = Plan()

    def call(self, host, method, **params):
        with host.control() as client:
            client.call(method, **params)

    def bind(self, host, name, mac):
        held = {it["object"]["name"]: it["object"] for it in host.jsons("binding", "list")}
        self.call(host, "binding.set", binding={**held[name], "mac": mac})

    def map(self, host, address, other, mac):
        row = {"address": address, "host": other, "mac": mac}
        self.call(host, "mapping.set", vnet="Z", mappings=[row])

    def entry(self, short, address):
        """What the kernel remembers of a neighbour."""
        words = self.net.ip(short, "neigh", "show", address).split()
        return words[words.index("lladdr") + 1] if "lladdr" in words else None

    def asked_anew(self, short, address):
        self.net.ip(short, "neigh", "flush", "dev", f"weft-{short}")
        self.assert_ping(short, address)
        return self.entry(short, address)

    def test_neighbours_have_their_own(self):
        macs = {short: self.net.mac(short, f"weft-{short}") for short in "acg"}
        self.assertEqual(self.asked_anew("a", G), COMPUTED_G)
        for host in (self.r, self.s):
            self.call(host, "vnet.set", vnet={**VNET, "macs": "given"})
        for name in "ac":
            self.bind(self.r, name.upper(), macs[name])
        self.bind(self.s, "G", macs["g"])
        self.map(self.r, G, "S", macs["g"])
        for name, address in (("a", A), ("c", C)):
            self.map(self.s, address, "R", macs[name])
        # What they remember of before is right for as long as they like.
        self.assertEqual(self.entry("a", G), COMPUTED_G)
        self.assert_ping("a", G)
        # And when they ask again, they are told.
        self.assertEqual(self.asked_anew("a", G), macs["g"])
        self.assertEqual(self.asked_anew("a", C), macs["c"])
        self.assertEqual(self.asked_anew("c", A), macs["a"])
        self.assertEqual(self.asked_anew("g", A), macs["a"])
        wire = self.world.wire("g", "weft-g")
        self.assert_ping("a", G)
        a, g = (bytes.fromhex(macs[short].replace(":", "")) for short in "ag")
        net.eventually(lambda: len(wire.seen(lambda frame: frame[:12] == g + a)) >= 5)
        self.assertEqual(wire.seen(lambda frame: frame[6:8] == b"\x76\x5b"), [])
        told = self.r.cli("mapping", "list").stdout
        self.assertIn(macs["g"], told)
        self.assertIn("outcome: sent", self.r.cli("explain", "--from", "A", "--to", G).stdout)
        octets = os.urandom(1 << 20)
        self.assertEqual(self.world.transfer("a", "g", G, octets), octets)
        # G's card is exchanged.
        other = "52:54:00:00:00:03"
        self.net.ip("g", "link", "set", "weft-g", "address", other)
        self.bind(self.s, "G", other)
        self.map(self.r, G, "S", other)
        self.assert_ping("a", G)
        self.assertEqual(self.entry("a", G), macs["g"])
        self.assertEqual(self.asked_anew("a", G), other)
        # One that nobody was ever given.
        before = self.drops(self.r, "mac_mismatch")
        self.net.ip("a", "neigh", "replace", G, "lladdr", "52:54:00:00:00:04", "dev", "weft-a")
        self.assert_no_ping("a", G)
        self.assertEqual(self.drops(self.r, "mac_mismatch") - before, 2)
        self.net.ip("a", "neigh", "del", G, "dev", "weft-a")


if __name__ == "__main__":
    unittest.main()
