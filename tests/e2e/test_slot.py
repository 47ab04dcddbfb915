"""Two hosts in layout `slot`: bits 64 to 71 of addresses are slot, U/L and I/G.

A is in slot 3 of R, C in the lowest free one, G in slot 9 of S, with
10.0.9.0/28 behind it.
"""

import os
import unittest

import test_multicast as multicast
from case import Case
from lab import net, plan

LOCATOR = {"R": "2001:db8:0:a::/64", "S": "2001:db8:0:b::/64"}
SLOT = {"A": 3, "G": 9}
BEHIND, RANGE = "10.0.9.7", "10.0.9.0/28"


def saddr(host, mark, address):
    """locator | mark | Z | IPv4."""
    high = bytes.fromhex("20010db80000000a" if host == "R" else "20010db80000000b")
    return high + bytes([mark]) + plan.VNI["Z"].to_bytes(3, "big") + plan.v4(address).to_bytes(4, "big")


class Slotted(multicast.Broadcasting):
    def router_side(self, short, number, host):
        name = host.upper()
        self.net.address(short, f"weft-{host}", f"{self.router(name, number)}/64")
        self.net.ip(short, "route", "add", LOCATOR[name], "via", self.own(name, number))

    def config(self, host):
        config = super().config(host)
        other = "S" if host == "R" else "R"
        config["layout"] = "slot"
        config["locator"] = LOCATOR[host]
        config["host"] = [{"name": other, "locator": LOCATOR[other]}]
        config["route"][0]["prefix"] = LOCATOR[other]
        config["vnet"][0]["prefixes"] = ["10.0.0.0/20"]
        for binding in config["binding"]:
            if binding["name"] in SLOT:
                binding["slot"] = SLOT[binding["name"]]
            if binding["name"] == "G":
                binding["prefixes"] = [RANGE]
        for mapping in config["mapping"]:
            names = {"10.0.0.2": "A", "10.0.0.3": "G"}
            if mapping["address"] in names:
                mapping["slot"] = SLOT[names[mapping["address"]]]
        if host == "R":
            behind = {"vnet": "Z", "address": RANGE, "host": "S", "slot": SLOT["G"]}
            config["mapping"].append(behind)
        return config


class Slots(Case):
    make = Slotted
    listen = multicast.Multicast.listen
    speak = multicast.Multicast.speak
    hosts_of = multicast.Multicast.hosts_of

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        manager = multicast.Manager(cls.world.hosts)
        cls.addClassCleanup(manager.close)

    def passed(self, wire, source, destination, count):
        """Waits for packets from one address of the substrate to another."""

        def seen():
            return wire.seen(
                lambda frame: frame[12:14] == b"\x86\xdd" and frame[22:54] == source + destination
            )

        net.eventually(lambda: len(seen()) >= count)
        self.assertEqual(len(seen()), count)

    def test_addresses_bear_slots(self):
        wire = self.world.wire("router0", "weft-r")
        self.assert_ping("a", "10.0.0.3")
        a, g = saddr("R", 3 << 2, "10.0.0.2"), saddr("S", 9 << 2, "10.0.0.3")
        self.passed(wire, a, g, 5)
        self.passed(wire, g, a, 5)
        # C and the twin were given the free ones, in order of their names.
        held = {it["object"]["name"]: it for it in self.r.jsons("binding", "list")}
        self.assertEqual(held["A"]["object"]["slot"], 3)
        self.assertEqual(held["C"]["learned"]["slot"], 0)
        self.assertEqual(held["twin"]["learned"]["slot"], 1)
        self.assert_ping("c", "10.0.0.3")

    def test_tcp(self):
        sent = os.urandom(4 << 20)
        self.assertTrue(self.world.transfer("a", "g", "10.0.0.3", sent) == sent)
        self.assertTrue(self.world.transfer("g", "a", "10.0.0.2", sent) == sent)

    def test_what_is_behind_a_node_goes_by_its_slot(self):
        # S is not told of the range, so only the slot can lead there.
        with self.s.control() as control:
            binding = {"name": "G", "vnet": "Z", "address": "10.0.0.3", "port": "g", "slot": 9}
            control.call("binding.set", binding={**binding, "prefixes": []})
            self.addCleanup(self._routes_again, {**binding, "prefixes": [RANGE]})
        self.net.ip("a", "route", "add", RANGE, "via", "10.0.0.3")
        self.addCleanup(self.net.ip, "a", "route", "del", RANGE)
        wire = self.world.wire("router0", "weft-r")
        taken = self.world.wire("g", "weft-g")
        self.net.ping("a", BEHIND, 3, 0.05)
        there = saddr("S", 9 << 2 | 2, BEHIND)
        self.passed(wire, saddr("R", 3 << 2, "10.0.0.2"), there, 3)
        last = plan.v4(BEHIND).to_bytes(4, "big")
        arrived = taken.wait(lambda frame: frame[12:14] == b"\x08\0" and frame[30:34] == last)
        self.assertTrue(arrived, self.world.story())
        # And it answers as who it is, once its host knows that it may.
        self._routes_again({**binding, "prefixes": [RANGE]})
        self.net.address("g", "weft-g", f"{BEHIND}/32")
        self.addCleanup(self.net.ip, "g", "address", "del", f"{BEHIND}/32", "dev", "weft-g")
        self.assert_ping("a", BEHIND)

    def _routes_again(self, binding):
        with self.s.control() as control:
            control.call("binding.set", binding=binding)

    def test_unknown_slots_and_wrong_vnets(self):
        """Frames as S would send them, on R's uplink."""
        wire = self.world.wire("router0", "weft-r")
        macs = (self.net.mac("r", "weft-r-up0"), self.net.mac("router0", "weft-r"))
        link = b"".join(map(plan.mac, macs)) + b"\x86\xdd"
        for mark, why in ((60 << 2 | 2, "unknown_slot"), (1 << 2 | 2, "slot_vnet"), (1, "group_bit")):
            before = self.drops(self.r, why)
            payload = bytes(20)
            # TTL 64, DF, transparent.
            first = (6 << 28 | 64 << 12 | 1 << 11 | 2 << 9).to_bytes(4, "big")
            header = first + len(payload).to_bytes(2, "big") + bytes([253, 64])
            ends = saddr("S", 9 << 2, "10.0.0.3") + saddr("R", mark, "10.0.0.2")
            wire.send(link + header + ends + payload)
            counted = net.eventually(lambda: self.drops(self.r, why) == before + 1)
            self.assertTrue(counted, f"{why}: {self.world.drops()}")

    def test_groups_bear_the_group_bit(self):
        group = multicast.GROUP
        g = self.listen("g", group)
        self.hosts_of(self.r, group, ["S"])
        wire = self.world.wire("router0", "weft-r")
        said = self.speak("a", group)
        self.assertEqual(g.heard(3.0), said)
        self.passed(wire, saddr("R", 3 << 2, "10.0.0.2"), saddr("S", 1, group), len(said))


if __name__ == "__main__":
    unittest.main()
