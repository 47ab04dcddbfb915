"""Subnets and the routers between them, which nobody built: stock Linux stacks
ping them, trace routes through them and find them changed."""

import os
import re
import socket
import threading
import time
import unittest

from case import Case
from lab import plan
from world import NODES, Plan, World

# Who is where: A and the twin of Y in `web` (or flat), C in `db`, G in `far`.
PLACES = {"a": "10.0.1.2", "c": "10.0.2.5", "g": "10.0.3.3"}
GATEWAYS = {"a": "10.0.1.1", "c": "10.0.2.1", "g": "10.0.3.1"}
SUBNETS = {"web": "10.0.1.0/24", "db": "10.0.2.0/24", "far": "10.0.3.0/24"}
ROUTERS = {
    "r1": {"web": "10.0.1.1", "db": "10.0.2.1", "link": "10.0.255.1"},
    "r2": {"far": "10.0.3.1", "link": "10.0.255.2"},
}


class RoutedWorld(World):
    """web and db behind r1, far behind r2, and a link between the two."""

    def config(self, host):
        config = super().config(host)
        for binding in config["binding"]:
            if binding["vnet"] == "Z":
                binding["address"] = PLACES[binding["port"]]
        other = "S" if host == "R" else "R"
        config["mapping"] = [
            {"vnet": "Z", "address": PLACES[short], "host": other}
            for short, (_, vnet, _) in NODES[other].items()
            if vnet == "Z"
        ]
        gateways = {"web": "10.0.1.1", "db": "10.0.2.1", "far": "10.0.3.1"}
        config["subnet"] = [
            {"name": name, "vnet": "Z", "prefix": prefix, "gateway": gateways[name]}
            for name, prefix in SUBNETS.items()
        ] + [{"name": "link", "vnet": "Z", "prefix": "10.0.255.0/30"}]
        config["router"] = [
            {
                "name": name,
                "vnet": "Z",
                "interfaces": [
                    {"subnet": subnet, "address": address} for subnet, address in places.items()
                ],
            }
            for name, places in ROUTERS.items()
        ]
        config["vroute"] = [
            {"router": "r1", "prefix": "10.0.3.0/24", "via": "10.0.255.2"},
            {"router": "r2", "prefix": "10.0.0.0/16", "via": "10.0.255.1"},
            {"router": "r1", "prefix": "192.0.2.0/24", "action": "blackhole"},
            {"router": "r1", "prefix": "198.51.100.0/24", "action": "prohibit"},
        ]
        return config

    def warm(self):
        for short, address in PLACES.items():
            device = f"weft-{short}"
            self.net.ip(short, "addr", "flush", "dev", device)
            self.net.address(short, device, f"{address}/24")
            self.net.ip(short, "route", "add", "default", "via", GATEWAYS[short])
        deadline = time.monotonic() + 10.0
        while time.monotonic() < deadline:
            if self.net.ping("a", PLACES["g"], 1)[0]:
                return
        raise AssertionError(f"A cannot ping G\n{self.story()}")


class Routers(Case):
    make = RoutedWorld
    how = Plan()
    quick = True

    def told(self, short, address, *options):
        """What ping prints of a packet that somebody refused."""
        return self.net.ping(short, address, 1, options=options)[1]

    def test_nodes_of_all_subnets_reach_each_other(self):
        for source in PLACES:
            for target, address in PLACES.items():
                if source != target:
                    self.assert_ping(source, address)

    def test_each_router_spends_one(self):
        for source, target, routers in (("a", "c", 1), ("a", "g", 2), ("g", "c", 2)):
            text = self.net.ping(source, PLACES[target], 1)[1]
            self.assertIn(f"ttl={64 - routers} ", text)

    def test_every_interface_answers(self):
        for source in PLACES:
            for places in ROUTERS.values():
                for address in places.values():
                    with self.subTest(source=source, address=address):
                        self.assert_ping(source, address, 2)
        self.assert_ping("a", "10.0.1.1", 2, options=("-s", "1400"))
        # It answers as something at that distance.
        self.assertIn("ttl=63 ", self.net.ping("a", "10.0.255.2", 1)[1])

    def test_gateways_have_routers_macs(self):
        self.assert_ping("a", PLACES["g"])
        entry = self.net.ip("a", "neigh", "show", GATEWAYS["a"])
        mac = plan.mac_text(plan.virtual_mac("Z", GATEWAYS["a"], 0x72))
        self.assertIn(mac, entry)
        # Nobody of another subnet is on the link.
        self.net.ip("a", "route", "add", PLACES["g"], "dev", "weft-a")
        try:
            self.assert_no_ping("a", PLACES["g"])
        finally:
            self.net.ip("a", "route", "del", PLACES["g"], "dev", "weft-a")

    def hops(self, source, target, *options):
        text = self.net.exec(
            source, "traceroute", "-n", "-q", "1", "-w", "2", "-N", "1", *options, target
        )
        return re.findall(r"^ *\d+ +(\S+)", text, re.M)[0:], text

    def test_traceroute_shows_two_routers(self):
        for options in (("-I",), ("-U",), ("-T", "-p", "5999")):
            found, text = self.hops("a", PLACES["g"], *options)
            self.assertEqual(found, ["10.0.1.1", "10.0.255.2", PLACES["g"]], text)
        found, text = self.hops("g", PLACES["a"], "-I")
        self.assertEqual(found, ["10.0.3.1", "10.0.255.1", PLACES["a"]], text)
        # The far side of the second router is two hops away, and a router's.
        found, text = self.hops("a", "10.0.3.1", "-U")
        self.assertEqual(found, ["10.0.1.1", "10.0.3.1"], text)

    def test_each_end_is_told_as_a_router_would(self):
        before = self.r.counters()
        self.assertIn("Packet filtered", self.told("a", "198.51.100.1"))
        self.assertIn("Net Unreachable", self.told("a", "203.0.113.1"))
        self.assertIn("From 10.0.1.1", self.told("a", "203.0.113.1"))
        self.assertIn("Time to live exceeded", self.told("a", PLACES["g"], "-t", "2"))
        self.assertIn("From 10.0.255.2", self.told("a", PLACES["g"], "-t", "2"))
        # A subnet's address that nobody has: its last router says so.
        told = self.told("a", "10.0.3.77")
        self.assertIn("From 10.0.255.2", told)
        self.assertIn("Destination Host Unreachable", told)
        after = self.r.counters()
        for name in ("no_route", "route_prohibited", "ttl_exceeded", "no_mapping"):
            self.assertGreater(after[f"drop_{name}"], before[f"drop_{name}"], name)

    def test_a_blackhole_is_silent(self):
        before = self.drops(self.r, "blackholed")
        answered, text = self.net.ping("a", "192.0.2.9", 3)
        self.assertEqual(answered, 0)
        self.assertNotIn("From", text)
        self.assertEqual(self.drops(self.r, "blackholed") - before, 3)

    def test_a_port_nobody_listens_at(self):
        with self.net.socket("a", socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(2)
            asker.connect(("10.0.255.2", 9))
            asker.send(b"anybody?")
            with self.assertRaises(ConnectionRefusedError):
                asker.recv(100)
        with self.net.socket("a", socket.AF_INET, socket.SOCK_STREAM) as asker:
            asker.settimeout(2)
            with self.assertRaises(ConnectionRefusedError):
                asker.connect(("10.0.1.1", 23))

    def test_tcp_through_two_routers(self):
        octets = os.urandom(4 << 20)
        for source, target in (("a", "g"), ("g", "c"), ("a", "c")):
            got = self.world.transfer(source, target, PLACES[target], octets)
            self.assertEqual(got, octets)

    def test_a_route_changes_without_loss(self):
        """Back and forth between a route for the subnet and one for the node."""
        lost = []

        def ping():
            answered, text = self.net.ping("a", PLACES["g"], 200, 0.01)
            lost.append((200 - answered, text))

        asking = threading.Thread(target=ping)
        asking.start()
        with self.r.control() as client:
            for number in range(20):
                more = {"router": "r1", "prefix": "10.0.3.3/32", "via": "10.0.255.2"}
                if number % 2 == 0:
                    client.call("vroute.set", vroute=more)
                else:
                    client.call("vroute.remove", router="r1", prefix="10.0.3.3/32")
                time.sleep(0.1)
        asking.join()
        self.assertEqual(lost[0][0], 0, lost[0][1])
        with self.r.control() as client:
            closed = {"router": "r1", "prefix": "10.0.3.3/32", "action": "prohibit"}
            client.call("vroute.set", vroute=closed)
            self.assertIn("Packet filtered", self.told("a", PLACES["g"]))
            client.call("vroute.remove", router="r1", prefix="10.0.3.3/32")
        self.assert_ping("a", PLACES["g"])

    def test_explain_names_the_routers(self):
        text = self.r.cli("explain", "--from", "A", "--to", PLACES["g"]).stdout
        self.assertIn("by router r1, r2 (2 hops), to host S", text)
        text = self.r.cli("explain", "--from", "A", "--to", "10.0.2.1").stdout
        self.assertIn("for a router", text)

    def test_the_other_vnet_has_no_routers(self):
        self.net.ip("twin", "route", "add", "10.0.1.0/24", "dev", "weft-twin")
        try:
            for address in ("10.0.1.1", "10.0.1.2"):
                self.assert_no_ping("twin", address)
        finally:
            self.net.ip("twin", "route", "del", "10.0.1.0/24", "dev", "weft-twin")


class RoutersTwoWorkers(Routers):
    how = Plan(workers=2)
    quick = False


class ManyRoutes(Case):
    """A hundred thousand routes over the socket."""

    make = RoutedWorld
    how = Plan()
    count = 100_000

    def test_loaded_and_used(self):
        def route(number):
            octets = (0xB << 28 | number << 8).to_bytes(4, "big")
            prefix = ".".join(str(octet) for octet in octets) + "/24"
            return {"router": "r1", "prefix": prefix, "via": "10.0.255.2"}

        before = self.resident()
        start = time.monotonic()
        with self.r.control() as client:
            for first in range(0, self.count, 4000):
                changes = [
                    {"method": "vroute.set", "params": {"vroute": route(number)}}
                    for number in range(first, first + 4000)
                ]
                client.call("batch", changes=changes)
            took = time.monotonic() - start
            start = time.monotonic()
            client.call("vroute.set", vroute={**route(7), "via": "10.0.2.77"})
            one = time.monotonic() - start
        grown = self.resident() - before
        print(
            f"{self.count} routes in {took:.1f} s, {grown / self.count:.0f} bytes each; "
            f"one more in {one * 1000:.1f} ms"
        )
        self.assertLess(took, 60.0)
        self.assertLess(one, 0.5)
        self.assert_ping("a", PLACES["g"])
        text = self.r.cli("explain", "--from", "A", "--to", "176.1.134.5").stdout
        self.assertIn("no_route", text, "r2 does not know it")

    def resident(self):
        with open(f"/proc/{self.r.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * 4096


if __name__ == "__main__":
    unittest.main()
