"""Packets that are too large: in pieces, or told to the sender."""

import os
import unittest

from case import Case
from world import Plan

# Substrate 1500: unfragmented packets to 1480 pass; nodes are told 1472.
LARGEST, TOLD = 1480, 1472


class Sizes(Case):
    """A plain substrate of 1500 bytes. Nodes are on taps: a packet socket in a
    fanout group, which is what net_af_packet makes, puts fragments of IPv4
    together before it hands them over, and cuts off what it has no room for."""

    how = Plan(nodes="tap")

    def test_large_pings_are_fragmented_and_come_together(self):
        for size in (1444, 1453, 1472, 3000, 8000, 20000):
            with self.subTest(size=size):
                self.assert_ping("a", "10.0.0.3", 3, options=("-M", "dont", "-s", str(size)))

    def test_largest_unfragmented_packet_passes(self):
        self.forget()
        self.assert_ping("a", "10.0.0.3", 2, options=("-M", "do", "-s", str(LARGEST - 28)))

    def test_too_big_with_df_is_told(self):
        self.forget()
        before = self.drops(self.r, "too_big")
        answered, text = self.net.ping(
            "a", "10.0.0.3", 2, options=("-M", "do", "-s", str(LARGEST - 28 + 1))
        )
        self.assertEqual(answered, 0)
        self.assertIn(f"mtu = {TOLD}", text.replace("mtu=", "mtu = "))
        self.assertGreater(self.drops(self.r, "too_big"), before)

    def test_fragmented_datagram_arrives_whole(self):
        # As the kernel fragments it, and without DF, which TCP always sets.
        import socket

        octets = os.urandom(9000)
        with self.net.socket("g", socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("10.0.0.3", 7000))
            receiver.settimeout(5)
            with self.net.socket("a", socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.setsockopt(socket.IPPROTO_IP, 10, 0)
                sender.sendto(octets, ("10.0.0.3", 7000))
            self.assertEqual(receiver.recv(65536), octets)

    def forget(self):
        """No path MTU of an earlier test."""
        self.net.ip("a", "route", "flush", "cache")


class Jumbo(Case):
    """A substrate of 9000 bytes, over packet sockets, whose slots have 2048
    bytes if nobody says otherwise. Nodes have the largest MTU they may."""

    how = Plan(substrate_mtu=9000, router_mtu=9000, node_mtu=8972)

    def test_large_packets_travel_whole(self):
        before = self.r.counters()
        self.assert_ping("a", "10.0.0.3", 10, options=("-M", "do", "-s", str(8972 - 28)))
        after = self.r.counters()
        octets = after["port_up0_tx_bytes"] - before["port_up0_tx_bytes"]
        # IPv6 header for IPv4 header, and the link's.
        self.assertGreaterEqual(octets, 10 * (8972 + 20 + 14))
        self.assertEqual(after["fragmented"], before["fragmented"])

    def test_every_size_about_the_edges(self):
        for size in (1472, 1932, 1933, 2020, 4068, 8944):
            with self.subTest(size=size):
                self.assert_ping("a", "10.0.0.3", 2, options=("-M", "do", "-s", str(size)))
                self.assert_ping("a", "10.0.0.5", 2, options=("-M", "do", "-s", str(size)))

    def test_tcp_carries_every_byte(self):
        octets = os.urandom(8 << 20)
        self.assertEqual(self.world.transfer("a", "g", "10.0.0.3", octets), octets)


class NarrowHop(Case):
    """The substrate's router has a link of 1400 bytes to S, which nobody
    configured: Packet Too Big must come back to the node."""

    how = Plan(router_mtu=1400)

    def test_sender_learns_the_narrow_link(self):
        self.net.ip("a", "route", "flush", "cache")
        answered, text = self.net.ping(
            "a", "10.0.0.3", 4, interval=0.3, options=("-M", "do", "-s", "1440")
        )
        self.assertEqual(answered, 0, text)
        self.assertRegex(text.replace("mtu=", "mtu = "), r"mtu = 13[67]\d")
        self.assertGreater(self.r.counters()["substrate_errors"], 0)

    def test_tcp_finds_its_size(self):
        self.net.ip("a", "route", "flush", "cache")
        octets = os.urandom(1 << 20)
        self.assertEqual(self.world.transfer("a", "g", "10.0.0.3", octets), octets)


if __name__ == "__main__":
    unittest.main()
