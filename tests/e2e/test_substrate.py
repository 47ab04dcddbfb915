"""What the host itself says and answers on its links: discovery, listener
reports, echo; what it leaves to a routing daemon; and an uplink of two wires."""

import ipaddress
import json
import os
import socket
import unittest

from case import Case
from lab import frames, plan
from world import Plan, World

ALL_NODES = ipaddress.IPv6Address("ff02::1").packed
SOLICITATION, ADVERTISEMENT, LISTENER_REPORT = 135, 136, 143
CONTROL = "2001:db8:0:a:100::1"


def group_of(address):
    """The solicited-node group of an address."""
    low = ipaddress.IPv6Address(address).packed[13:]
    return ipaddress.IPv6Address("ff02::1:ff00:0").packed[:13] + low


def discovery(kind, target):
    """Neighbour discovery about an address, as a filter of frames."""
    packed = ipaddress.IPv6Address(target).packed
    return lambda frame: (
        frame[12:14] == b"\x86\xdd"
        and frame[20] == 58
        and frame[54] == kind
        and frame[62:78] == packed
    )


def checked(frame):
    """Whether the ICMPv6 checksum of a frame without extension headers is right."""
    length = int.from_bytes(frame[18:20], "big")
    body = frame[54 : 54 + length]
    return frames.checksum(frames.sum16(frame[22:54]) + 58 + length + frames.sum16(body)) == 0


class Discovery(Case):
    """Own addresses are checked, announced, reported and answered for."""

    def restarted(self):
        """The router's link while R starts."""
        wire = self.world.wire("router0", "weft-r")
        self.r.stop()
        wire.clear()
        self.r.start()
        return wire

    def test_what_is_said_at_the_start(self):
        wire = self.restarted()
        own = self.world.own("R")
        mac = plan.mac(self.net.mac("r", "weft-r-up0"))
        advert = wire.wait(discovery(ADVERTISEMENT, own), 5.0, outgoing=False)
        self.assertIsNotNone(advert, "no unsolicited advertisement")
        probe = wire.wait(discovery(SOLICITATION, own), outgoing=False)
        self.assertIsNotNone(probe, "no check for duplicates")
        # From nobody, to the group of the address, before it is used.
        self.assertEqual((probe[22:38], probe[38:54]), (bytes(16), group_of(own)))
        self.assertLess(
            wire.seen(lambda frame: frame in (probe, advert)).index(probe),
            wire.seen(lambda frame: frame in (probe, advert)).index(advert),
        )
        # To everybody: override, not solicited, with the hardware address.
        self.assertEqual(advert[38:54], ALL_NODES)
        self.assertEqual(advert[58] & 0x60, 0x20)
        self.assertEqual(advert[78:86], b"\x02\x01" + mac)
        self.assertEqual(advert[21], 255)
        self.assertTrue(checked(probe) and checked(advert))
        # MLDv2 behind a router alert, with that group among its records.
        report = wire.wait(
            lambda frame: frame[20] == 0
            and frame[62] == LISTENER_REPORT
            and group_of(own) in frame[62:],
            outgoing=False,
        )
        self.assertIsNotNone(report, "no listener report of the solicited-node group")
        self.assertEqual(report[54:62], bytes.fromhex("3a00050200000100"))
        self.assertEqual((report[21], report[0:6]), (1, bytes.fromhex("333300000016")))
        self.world.warm()

    def test_router_finds_the_host(self):
        own = self.world.own("R")
        self.net.ip("router0", "neigh", "flush", "dev", "weft-r")
        self.assert_ping("router0", own, 3)
        self.assertIn(
            self.net.mac("r", "weft-r-up0"), self.net.ip("router0", "neigh", "show", own)
        )

    def test_echo_to_the_host(self):
        for address in (self.world.own("R"), CONTROL):
            with self.subTest(address=address):
                self.assert_ping("router0", address, 5)
                self.assert_ping("router0", address, 2, options=("-s", "1400"))
        # An address of the locator that nobody has is silent.
        self.assert_no_ping("router0", "2001:db8:0:a:100::2")

    def test_somebody_claims_our_address(self):
        own = self.world.own("R")
        wire = self.world.wire("router0", "weft-r")
        theirs = bytes.fromhex("0200000000aa")
        with self.r.control(access="ro") as client:
            client.call("subscribe", topics=["limit"])
            body = b"\x20\0\0\0" + ipaddress.IPv6Address(own).packed + b"\x02\x01" + theirs
            source = ipaddress.IPv6Address("2001:db8:ffff:a::aa").packed
            claim = frames.icmpv6(source, ALL_NODES, ADVERTISEMENT, body)
            wire.send(bytes.fromhex("333300000001") + theirs + b"\x86\xdd" + claim)
            event = self.event(client)
        self.assertEqual(event["limit"], "address_conflict")
        self.assertIn(own, event["detail"])
        self.assertIn("02:00:00:00:00:aa", event["detail"])
        self.world.warm()

    def test_duplicate_at_the_start_is_not_used(self):
        own = self.world.own("R")
        self.r.stop()
        self.net.ip("router0", "link", "set", "weft-r", "down")
        self.r.start()
        try:
            with self.r.control(access="ro") as client:
                client.call("subscribe", topics=["limit"])
                # Its link comes up, and the router is who it is not.
                self.net.ip("router0", "link", "set", "weft-r", "up")
                self.net.address("router0", "weft-r", f"{own}/64")
                event = self.event(client)
            self.assertEqual(event["limit"], "address_duplicate")
            self.assertIn(own, event["detail"])
            listed = self.r.cli("port", "list", "--json").stdout.splitlines()
            ports = {port["name"]: port for port in map(json.loads, listed)}
            port = ports["up0"]
            self.assertIn(f"{own}/64 (duplicate)", port["addresses"])
            self.assertTrue(any(own in line for line in self.r.process.lines if line))
        finally:
            self.net.ip("router0", "addr", "flush", "dev", "weft-r")
            self.r.stop()
            self.world.router_side("router0", 0, "r")
            self.r.start()
            self.world.warm()

    def event(self, client):
        """The next event of a client."""
        client.socket.settimeout(5.0)
        while not client.events:
            client.events.append(json.loads(client.file.readline()))
        return client.events.pop(0)["params"]


class DaemonWorld(World):
    """Host R with an exception tap, which a routing daemon's namespace holds."""

    def config(self, host):
        config = super().config(host)
        if host == "R":
            config["port"][0]["exception"] = "daemon"
            config["port"].append(
                {"name": "daemon", "device": "net_tap30,iface=weft-t-bgp", "role": "exception"}
            )
        return config

    def _taps(self, host):
        super()._taps(host)
        if host != "R":
            return
        self.net.add("bgp")
        # The uplink's own address: frames reach the daemon as they came.
        mac = self.net.mac("r", "weft-r-up0")
        self.net.ip("r", "link", "set", "weft-t-bgp", "netns", self.net.name("bgp"))
        self.net.ip("bgp", "link", "set", "weft-t-bgp", "address", mac)
        self.net.up("bgp", "weft-t-bgp")
        self.net.address("bgp", "weft-t-bgp", "2001:db8:ffff:a::2/64")
        self.net.address("bgp", "weft-t-bgp", "192.0.2.2/24")
        self.net.address("router0", "weft-r", "192.0.2.1/24")


class RoutingDaemon(Case):
    """Everything on the uplink that is not weft's reaches the daemon, and what
    the daemon says reaches the link; the overlay does not notice."""

    make = DaemonWorld

    def test_pings_both_ways(self):
        self.assert_ping("router0", "2001:db8:ffff:a::2", 5)
        self.assert_ping("bgp", self.world.router("R"), 5)
        # Not only IPv6, and ARP with it.
        self.assert_ping("router0", "192.0.2.2", 3)
        # The host's own address is still the appliance's to answer.
        self.assert_ping("router0", self.world.own("R"), 3)

    def test_a_session_as_of_bgp(self):
        octets = os.urandom(300_000)
        for source, target, address in (
            ("router0", "bgp", "2001:db8:ffff:a::2"),
            ("bgp", "router0", self.world.router("R")),
        ):
            with self.subTest(source=source):
                got = self.world.transfer(
                    source, target, address, octets, port=179
                )
                self.assertEqual(got, octets)

    def test_nodes_are_no_traffic_of_the_daemon(self):
        wire = self.world.wire("bgp", "weft-t-bgp")
        self.assert_ping("a", "10.0.0.3", 10)
        locators = (plan.substrate("R", "Z", "10.0.0.2"), plan.substrate("S", "Z", "10.0.0.3"))
        leaked = wire.seen(lambda frame: any(address in frame for address in locators))
        self.assertEqual([frame.hex() for frame in leaked], [])


class BondWorld(World):
    """Host R's uplink is two wires to a bridge beside the router's link; one
    is in use, the other waits (mode 1, active-backup)."""

    def _router(self, number):
        short = f"router{number}"
        self.net.add(short, router=True)
        self.net.link("s", "weft-s-up0", short, "weft-s")
        self.net.give("s", "weft-s-up0")
        self.router_side(short, number, "s")
        self.net.ip(short, "link", "add", "weft-r", "type", "bridge", "mcast_snooping", "0")
        self.net.ip(short, "link", "set", "weft-r", "up")
        self.router_side(short, number, "r")

    def _taps(self, host):
        super()._taps(host)
        if host == "R":
            for wire in (0, 1):
                self._bridge("r", f"weft-t-up{wire}", "router0", f"weft-r{wire}")
                self.net.ip("router0", "link", "set", f"weft-r{wire}", "master", "weft-r")

    def config(self, host):
        config = super().config(host)
        if host == "R":
            wires = [f"net_tap{20 + wire}" for wire in (0, 1)]
            members = ",".join(f"slave={wire}" for wire in wires)
            config["port"][0]["device"] = f"net_bonding0,mode=1,{members}"
            config["port"][0]["queues"] = 1
            config["runtime"]["eal_args"] = [
                f"--vdev={wire},iface=weft-t-up{number}" for number, wire in enumerate(wires)
            ]
        return config


class Bonded(Case):
    """`net_bonding` as a device string, with members that are no ports."""

    make = BondWorld

    def test_it_carries_both_ways(self):
        self.assert_ping("a", "10.0.0.3", 10)
        self.assert_ping("g", "10.0.0.2", 10)
        octets = os.urandom(1 << 20)
        self.assertEqual(self.world.transfer("a", "g", "10.0.0.3", octets), octets)
        listed = self.r.cli("port", "list", "--json").stdout.splitlines()
        ports = {port["name"]: port for port in map(json.loads, listed)}
        self.assertEqual((ports["up0"]["driver"], ports["up0"]["up"]), ("net_bonding", True))


if __name__ == "__main__":
    unittest.main()
