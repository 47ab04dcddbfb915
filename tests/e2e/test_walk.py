"""The walk itself, over every kind of device, with one and two workers, with
hugepages and without: ping, TCP with a hash, isolation."""

import hashlib
import os
import threading
import unittest

from case import Case
from world import Plan


class Walk:
    """Tests of one world."""

    def test_ping_both_ways(self):
        self.assert_ping("a", "10.0.0.3", 20, interval=0.02)
        self.assert_ping("g", "10.0.0.2", 20, interval=0.02)

    def test_what_was_learned_is_shown(self):
        self.assert_ping("a", "10.0.0.3")
        held = {item["object"]["name"]: item for item in self.r.jsons("binding", "list")}
        self.assertEqual(held["A"]["learned"]["mac"], self.net.mac("a", "weft-a"))
        for neighbor in self.r.jsons("neighbor", "list"):
            if neighbor["state"] == "reachable":
                self.assertLess(neighbor["confirmed_ms"], 2000)
                self.assertNotIn("origin", neighbor)

    def test_ping_on_the_same_host(self):
        before = self.r.counters()
        self.assert_ping("a", "10.0.0.5")
        self.assert_ping("c", "10.0.0.2")
        after = self.r.counters()
        # Packets to a neighbour on the host never see the substrate.
        for number in range(1 if self.how.direct else self.how.routers):
            name = f"port_up{number}_tx_packets"
            self.assertLess(after[name] - before[name], 10, name)

    def test_tcp_carries_every_byte(self):
        octets = os.urandom(8 << 20)
        for source, target, address in (("a", "g", "10.0.0.3"), ("g", "a", "10.0.0.2")):
            with self.subTest(source=source):
                got = self.world.transfer(source, target, address, octets)
                self.assertEqual(len(got), len(octets))
                self.assertEqual(hashlib.sha256(got).digest(), hashlib.sha256(octets).digest())

    def test_many_flows_at_once(self):
        octets = os.urandom(1 << 20)
        got = {}

        def one(port):
            got[port] = self.world.transfer("a", "g", "10.0.0.3", octets, port)

        threads = [threading.Thread(target=one, args=(port,)) for port in range(6000, 6008)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([len(got.get(port, b"")) for port in range(6000, 6008)], [1 << 20] * 8)

    def test_twin_sees_nothing_and_reaches_nobody(self):
        wire = self.world.wire("twin", "weft-twin")
        self.assert_ping("a", "10.0.0.3", 10)
        self.assert_ping("g", "10.0.0.2", 10)
        self.assert_no_ping("twin", "10.0.0.3")
        own = bytes.fromhex(self.net.mac("twin", "weft-twin").replace(":", ""))
        foreign = wire.seen(lambda frame: frame[6:12] != own and frame[12:14] == b"\x08\x00")
        self.assertEqual([frame.hex() for frame in foreign], [])
        # Its ears do work: it heard its own question.
        self.assertTrue(wire.seen(lambda frame: frame[12:14] == b"\x08\x06"))


class AfPacket(Walk, Case):
    quick = True

    def test_a_node_may_get_another_card(self):
        self.assert_ping("a", "10.0.0.3")
        self.net.ip("a", "link", "set", "weft-a", "address", "02:00:00:00:0a:0a")
        # Its neighbours' addresses are asked for again, as by a new machine.
        self.net.ip("a", "neigh", "flush", "dev", "weft-a")
        self.assert_ping("a", "10.0.0.3")
        self.assert_ping("g", "10.0.0.2")


class AfPacketTwoWorkers(Walk, Case):
    how = Plan(workers=2)


class AfPacketNoHuge(Walk, Case):
    how = Plan(huge="no")


class AfPacketTransparent(Walk, Case):
    how = Plan(mode="transparent")


class Tap(Walk, Case):
    how = Plan(nodes="tap", uplink="tap")


class Memif(Walk, Case):
    how = Plan(uplink="memif")


class MemifTwoWorkers(Walk, Case):
    how = Plan(uplink="memif", workers=2)


class Vhost(Walk, Case):
    how = Plan(uplink="vhost", huge="yes")


if __name__ == "__main__":
    unittest.main()
