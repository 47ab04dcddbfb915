"""The relay built otherwise: with two workers, on VLANs, by the file that is
given as an example; and how much it says of errors."""

import os
import socket
import time
import unittest

from lab import net, packets, plan, relay, weft
from relay_world import CLIENT, CLIENT6, SERVER, SERVER4, Plan, RelayCase
from world import ROOT, World

ROUTER_MAC = "02:00:00:00:00:ff"


class TwoWorkers(RelayCase):
    """Two queues on each side, a worker each."""

    how = Plan(workers=2)

    def test_many_flows(self):
        octets = os.urandom(1 << 20)
        for port in range(5001, 5017):
            for way in (("c4", SERVER4, "s6", SERVER), ("s6", CLIENT6, "c4", CLIENT)):
                _, count, _ = self.world.carry(*way, octets, port=port)
                self.assertEqual(count, len(octets))
        with self.relay.control(access="ro") as client:
            busy = client.call("stats.get")["counters"]["rx"]["workers"]
        self.assertEqual(len(busy), 2)
        self.assertGreater(min(busy), 100, "all was left to one worker")

    def test_pings_and_errors(self):
        self.assert_ping("c4", SERVER4, 20)
        self.assert_ping("s6", CLIENT6, 20)
        self.assertEqual(self.world.traceroute("c4", SERVER4)[2], relay.OWN[4])
        self.assertEqual(self.world.traceroute("s6", CLIENT6)[2], relay.OWN[6])


class Vlan(RelayCase):
    """Both wires carry tags. The routers are this test: it takes and makes
    tagged frames by hand."""

    how = Plan(vlan=40, sides={side: {"via_mac": ROUTER_MAC} for side in (4, 6)})
    TAG = b"\x81\x00\x00\x28"

    @classmethod
    def warm_up(cls):
        cls.ears = {side: cls.world.wire(f"r{side}", "weft-relay") for side in (4, 6)}
        cls.macs = {side: plan.mac(cls.net.mac("relay", f"weft-v{side}")) for side in (4, 6)}

    def send(self, side, packet, tag=TAG):
        kind = b"\x08\x00" if side == 4 else b"\x86\xdd"
        self.ears[side].send(self.macs[side] + plan.mac(ROUTER_MAC) + tag + kind + packet)

    def datagram(self, side, body, hops=64):
        src, dst = (CLIENT, SERVER4) if side == 4 else (SERVER, CLIENT6)
        udp = packets.udp(packets.packed(src), packets.packed(dst), body)
        if side == 4:
            return packets.ipv4(src, dst, packets.UDP, udp, ttl=hops)
        return packets.ipv6(src, dst, packets.UDP, udp, hop_limit=hops)

    def test_tags_in_and_out(self):
        for side, kind in ((4, b"\x86\xdd"), (6, b"\x08\x00")):
            with self.subTest(side=side):
                body = f"from side {side}".encode()
                self.send(side, self.datagram(side, body))
                got = self.ears[10 - side].wait(lambda f, b=body: f.endswith(b), outgoing=False)
                self.assertIsNotNone(got, self.world.drops())
                self.assertEqual(got[:6], plan.mac(ROUTER_MAC))
                self.assertEqual(got[12:18], self.TAG + kind)

    def test_errors_have_them_too(self):
        for side in (4, 6):
            with self.subTest(side=side):
                body = f"no further than {side}".encode()
                self.send(side, self.datagram(side, body, hops=1))
                got = self.ears[side].wait(lambda f, b=body: f.endswith(b), outgoing=False)
                self.assertIsNotNone(got, self.world.drops())
                self.assertEqual(got[12:16], self.TAG)

    def test_others_are_refused(self):
        before = self.drops("wrong_vlan")
        for tag in (b"", b"\x81\x00\x00\x29"):
            self.send(4, self.datagram(4, b"wrong tag"), tag)
        net.eventually(lambda: self.drops("wrong_vlan") - before == 2)
        self.assertEqual(self.drops("wrong_vlan") - before, 2)
        self.assertEqual(self.ears[6].seen(lambda f: f.endswith(b"wrong tag")), [])


class Limits(RelayCase):
    """ICMP errors of the relay's own, each second and side."""

    BURST = 300

    def told(self, short, address, hops):
        """How many of a burst of packets with that many hops were answered by
        the relay."""
        router, side = ("r4", 4) if short == "c4" else ("r6", 6)
        ear = self.world.wire(router, "weft-relay")
        own = packets.packed(relay.OWN[side])
        at = 26 if side == 4 else 22
        with self.world.socket(short, address, socket.SOCK_DGRAM) as sender:
            if side == 4:
                sender.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
            else:
                sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
            for _ in range(self.BURST):
                sender.sendto(b"x", (address, 9))
        time.sleep(0.5)
        kinds = {(8, 0): 34, (0x86, 0xDD): 54}
        errors = ear.seen(
            lambda f: f[at : at + len(own)] == own and f[kinds.get(tuple(f[12:14]), 0)] in (11, 3),
            outgoing=False,
        )
        return len(errors)

    def test_rates(self):
        for rate, least, most in ((0, 0, 0), (20, 10, 45), ("unlimited", self.BURST, self.BURST)):
            self.world.change(icmp_rate=rate)
            for short, address in (("c4", SERVER4), ("s6", CLIENT6)):
                with self.subTest(rate=rate, short=short):
                    time.sleep(1.1)
                    told = self.told(short, address, 3)
                    self.assertGreaterEqual(told, least)
                    self.assertLessEqual(told, most)
        self.world.change()


class Example(unittest.TestCase):
    """configs/siit-relay.toml as it stands, but for the socket, and for the
    addresses of documentation, which the well-known prefix does not translate."""

    def test_it_relays(self):
        world = World()
        self.addCleanup(world.close)
        network = world.net
        for short in ("w", "four", "six"):
            network.add(short)
        for short, near, address in (
            ("four", "eth1", "192.0.2.1/24"),
            ("six", "eth2", "fe80::1/64"),
        ):
            network.link("w", near, short, "weft-w", mtu=9000)
            network.give("w", near)
            network.address(short, "weft-w", address)
        network.address("six", "weft-w", "2001:db8:0:a::1/64")
        network.ip("four", "route", "add", "198.51.100.0/24", "via", "192.0.2.2")
        route = ("64:ff9b::/96", "via", "2001:db8:ffff::2", "dev", "weft-w", "onlink")
        network.ip("six", "-6", "route", "add", *route)
        appliance = self.example(world, network)
        self.addCleanup(appliance.stop)
        appliance.start()
        self.assertTrue(net.eventually(lambda: network.ping("four", "192.0.2.2", 1)[0], 5.0))
        found = net.eventually(lambda: network.ping("four", "198.51.100.1", 1)[0], 10.0)
        self.assertTrue(found, appliance.process.tail())
        self.assertEqual(network.ping("six", "64:ff9b::192.0.2.1", 3)[0], 3)
        self.assertEqual(appliance.stop(), 0)

    @staticmethod
    def example(world, network):
        config = {"name": "relay"}
        appliance = weft.Weft(
            world.directory, config, namespace=network.name("w"), prefix=f"weft-{world.run}"
        )
        with open(os.path.join(ROOT, "configs", "siit-relay.toml"), encoding="utf-8") as file:
            text = file.read()
        text = text.replace("well_known_strict = true", "well_known_strict = false")
        prefix = config["runtime"]["file_prefix"]
        text = text.replace("[runtime]", f'[runtime]\nidle = "backoff"\nfile_prefix = "{prefix}"')
        text += f'\n[control]\nsocket = "{appliance.socket}"\n'
        with open(appliance.file, "w", encoding="utf-8") as file:
            file.write(text)
        return appliance


if __name__ == "__main__":
    unittest.main()
