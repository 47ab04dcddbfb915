"""A guest that leaves its checksums and the cutting of TCP to others, on a real
virtio ring: what the nodes' kernels send and receive must come through whole,
whoever finishes it on the way."""

import hashlib
import os
import socket
import unittest

from case import Case
from lab import guest, net
from world import NODES, Plan, World

# Of TCP data in a segment. Fits every path here.
SEGMENT = 1300


class GuestWorld(World):
    """One node is behind vhost-user, and its kernel leaves everything undone."""

    of = "a"
    process = None

    def node_device(self, host, short, number):
        if short != self.of:
            return super().node_device(host, short, number)
        return f"net_vhost{number},iface={self.directory}/guest.sock,tso=1"

    def uplink_device(self, host, number):
        device = super().uplink_device(host, number)
        return f"{device},tso=1" if device.startswith("net_vhost") else device

    def config(self, host):
        config = super().config(host)
        if self.of in NODES[host]:
            config["runtime"]["eal_args"] = ["--single-file-segments"]
        return config

    def start(self):
        super().start()
        try:
            host = next(host.lower() for host, nodes in NODES.items() if self.of in nodes)
            node = f"weft-{self.of}"
            offloads = ("tx", "on", "tso", "on", "gso", "on")
            self.net.exec(self.of, "ethtool", "-K", node, *offloads)
            self.net.ip(self.of, "link", "set", node, "gso_max_size", "12000")
            self.process = guest.start(
                self.directory,
                f"weft-{self.run}-guest",
                f"weft-{host}-{self.of}",
                f"{self.directory}/guest.sock",
                self.net.name(host),
                SEGMENT,
            )
            return self
        except BaseException:
            self.close()
            raise

    def close(self):
        if self.process:
            self.process.stop()
            net.forget_prefix(f"weft-{self.run}-guest")
        super().close()


class Guest:
    """What is tested over every kind of uplink."""

    make = GuestWorld

    def counted(self, host, name):
        return host.counters()[name]

    def assert_transfer(self, source, target, address, octets):
        got = self.world.transfer(source, target, address, octets)
        self.assertEqual(len(got), len(octets), self.world.drops())
        self.assertEqual(hashlib.sha256(got).digest(), hashlib.sha256(octets).digest())

    def assert_datagrams(self, source, target, address):
        """Kernels drop datagrams whose checksum is wrong."""
        receiver = self.net.socket(target, socket.AF_INET, socket.SOCK_DGRAM)
        sender = self.net.socket(source, socket.AF_INET, socket.SOCK_DGRAM)
        with receiver, sender:
            receiver.bind((address, 7100))
            receiver.settimeout(2.0)
            sender.connect((address, 7100))
            for length in (0, 1, 100, 1399, 1400):
                octets = os.urandom(length)
                sender.send(octets)
                self.assertEqual(receiver.recv(2048), octets, self.world.drops())


class FromGuest(Guest, Case):
    """The uplink's device does nothing: all is finished in software."""

    quick = True

    def test_datagrams(self):
        before = self.counted(self.r, "checksums_completed")
        self.assert_datagrams("a", "g", "10.0.0.3")
        self.assertGreaterEqual(self.counted(self.r, "checksums_completed"), before + 5)

    def test_a_stream_is_cut(self):
        before = self.counted(self.r, "segmented")
        self.assert_transfer("a", "g", "10.0.0.3", os.urandom(4 << 20))
        self.assertGreater(self.counted(self.r, "segmented"), before + 100)

    def test_a_stream_to_a_node_of_the_same_host(self):
        before = self.counted(self.r, "segmented")
        self.assert_transfer("a", "c", "10.0.0.5", os.urandom(1 << 20))
        self.assertGreater(self.counted(self.r, "segmented"), before)

    def test_a_stream_to_the_guest(self):
        self.assert_transfer("g", "a", "10.0.0.2", os.urandom(1 << 20))
        self.assert_datagrams("g", "a", "10.0.0.2")

    def test_what_is_on_is_named(self):
        ports = {port["name"]: port for port in self.r.jsons("port", "list")}
        self.assertIn("rx-tcp-checksum", ports["a"]["offloads"])
        self.assertNotIn("tx-tcp-checksum", ports["up0"]["offloads"])


class FromGuestTransparent(FromGuest):
    quick = False
    how = Plan(mode="transparent")


class GuestBehindVirtio(Guest, Case):
    """The guest is G, and the uplinks are a virtio ring of their own: what G
    left undone crosses it undone, and R finishes it for a plain wire."""

    how = Plan(uplink="vhost", huge="yes")

    class make(GuestWorld):
        of = "g"

    def test_datagrams_cross_unfinished(self):
        before = self.counted(self.s, "checksums_left"), self.counted(self.r, "checksums_completed")
        self.assert_datagrams("g", "a", "10.0.0.2")
        self.assertGreaterEqual(self.counted(self.s, "checksums_left"), before[0] + 5)
        self.assertGreaterEqual(self.counted(self.r, "checksums_completed"), before[1] + 5)

    def test_a_stream_crosses_uncut(self):
        before = self.counted(self.s, "segments_left"), self.counted(self.r, "segmented")
        self.assert_transfer("g", "a", "10.0.0.2", os.urandom(4 << 20))
        self.assertGreater(self.counted(self.s, "segments_left"), before[0] + 100)
        self.assertGreater(self.counted(self.r, "segmented"), before[1] + 100)

    def test_the_other_way(self):
        self.assert_transfer("a", "g", "10.0.0.3", os.urandom(1 << 20))


if __name__ == "__main__":
    unittest.main()
