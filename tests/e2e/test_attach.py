"""How nodes are attached: bare hosts behind one port, by VLAN and by source
MAC; ports that come and go one by one; the driver af_xdp."""

import os
import select
import socket
import struct
import threading
import unittest

from case import Case
from lab import net, plan
from traffic import Paced
from world import Plan, World

# Bare hosts behind one wire: short name, VLAN, address. Who has no VLAN is told
# from its neighbours by its MAC.
BARE = {
    "v10": (10, "10.0.1.10"),
    "v20": (20, "10.0.1.20"),
    "m1": (None, "10.0.1.1"),
    "m2": (None, "10.0.1.2"),
}


class Switch:
    """A switch with private VLANs: tagged or not, hosts hear the trunk and the
    trunk hears them, and they do not hear each other. In this process, since
    not every kernel has VLANs."""

    def __init__(self, world):
        self.trunk = self._open(world.net, "weft-trunk")
        self.hosts = {}
        for short, (vlan, _) in BARE.items():
            tag = struct.pack(">HH", 0x8100, vlan) if vlan else b""
            wire = self._open(world.net, f"weft-s-{short}")
            self.hosts[wire] = tag, bytes.fromhex(world.net.mac(short, f"weft-{short}").replace(":", ""))
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    @staticmethod
    def _open(network, interface):
        wire = network.socket("switch", socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        wire.setsockopt(net.SOL_PACKET, net.PACKET_AUXDATA, 1)
        wire.bind((interface, net.ETH_P_ALL))
        return wire

    def _run(self):
        while not self.ending.is_set():
            for wire in select.select([self.trunk, *self.hosts], [], [], 0.2)[0]:
                octets, extra, _, source = wire.recvmsg(65536, 64)
                if source[2] == net.PACKET_OUTGOING:
                    continue
                frame = net.with_tag(octets, extra)
                if wire is self.trunk:
                    self._to_hosts(frame)
                else:
                    self.trunk.send(frame[:12] + self.hosts[wire][0] + frame[12:])

    def _to_hosts(self, frame):
        tagged = frame[12:14] == b"\x81\x00"
        for wire, (tag, mac) in self.hosts.items():
            for_it = frame[:6] == mac or frame[0] & 1
            if tagged and frame[12:16] == tag:
                wire.send(frame[:12] + frame[16:])
            elif not tagged and not tag and for_it:
                wire.send(frame)

    def close(self):
        self.ending.set()
        self.thread.join(2.0)
        for wire in (self.trunk, *self.hosts):
            wire.close()


class TrunkWorld(World):
    """R has one more port, the trunk of a switch with four bare hosts."""

    switch = None

    def _namespaces(self):
        super()._namespaces()
        self.net.add("switch")
        self.net.link("switch", "weft-trunk", "r", "weft-r-trunk")
        self.net.give("r", "weft-r-trunk")
        self.net.give("switch", "weft-trunk")
        for short, (_, address) in BARE.items():
            self.net.add(short)
            self.net.link(short, f"weft-{short}", "switch", f"weft-s-{short}")
            self.net.give("switch", f"weft-s-{short}")
            self.net.address(short, f"weft-{short}", f"{address}/8")

    def config(self, host):
        config = super().config(host)
        addresses = [address for _, address in BARE.values()]
        if host == "R":
            device = self.node_device("R", "trunk", 15)
            config["port"].append({"name": "trunk", "device": device, "role": "node"})
            for short, (vlan, address) in BARE.items():
                told = {"vlan": vlan} if vlan else {"mac": self.net.mac(short, f"weft-{short}")}
                binding = {"name": short, "vnet": "Z", "address": address, "port": "trunk"}
                config["binding"].append({**binding, **told})
        else:
            rows = [{"vnet": "Z", "address": address, "host": "R"} for address in addresses]
            config["mapping"] += rows
        return config

    def start(self):
        super().start()
        # One subnet for all, so that the others ask for them on the wire.
        for short in ("a", "g"):
            address = plan.NODE[short.upper()]
            self.net.ip(short, "addr", "flush", "dev", f"weft-{short}")
            self.net.address(short, f"weft-{short}", f"{address}/8")
        self.switch = Switch(self)
        return self

    def close(self):
        if self.switch:
            self.switch.close()
        super().close()


class Trunk(Case):
    """Several nodes behind one port."""

    make = TrunkWorld

    def test_each_reaches_hosts_here_and_elsewhere(self):
        for short in BARE:
            with self.subTest(host=short):
                self.assert_ping(short, "10.0.0.3")
                self.assert_ping(short, "10.0.0.2")
                self.assert_ping("g", BARE[short][1])

    def test_each_reaches_each(self):
        for short in BARE:
            for other, (_, address) in BARE.items():
                if other != short:
                    with self.subTest(source=short, target=other):
                        self.assert_ping(short, address, 3)

    def test_frames_keep_to_their_vlan(self):
        wire = self.world.wire("switch", "weft-trunk")
        self.assert_ping("g", BARE["v10"][1], 5)
        self.assert_ping("g", BARE["m1"][1], 5)
        asked = wire.seen(lambda frame: b"\x08\x00\x45" in frame[12:20], outgoing=False)
        tags = {frame[12:16].hex() for frame in asked}
        self.assertEqual(tags, {"8100000a", "08004500"})

    def test_a_mac_that_no_binding_names_gets_nowhere(self):
        before = self.drops(self.r, "unknown_node")
        self.net.ip("m2", "link", "set", "weft-m2", "address", "02:00:00:00:ee:ee")
        try:
            self.assert_no_ping("m2", "10.0.0.3")
            self.assertGreater(self.drops(self.r, "unknown_node"), before)
        finally:
            mac = next(
                held["object"]["mac"]
                for held in self.r.jsons("binding", "list")
                if held["object"]["name"] == "m2"
            )
            self.net.ip("m2", "link", "set", "weft-m2", "address", mac)
            self.net.ip("m2", "neigh", "flush", "dev", "weft-m2")
        self.assert_ping("m2", "10.0.0.3")


class OneByOne(Case):
    """A port comes and goes while others are in use."""

    def test_a_port_comes_and_goes(self):
        self.net.add("new")
        self.net.link("new", "weft-new", "r", "weft-r-new")
        self.net.give("r", "weft-r-new")
        self.net.address("new", "weft-new", "10.0.0.9/24")
        self.s.cli("mapping", "add", "10.0.0.9", "--vnet", "Z", "--host", "R")
        paced = Paced(self.net, "a", "g", "10.0.0.3", rate=500).start()
        try:
            for _ in range(3):
                self.r.cli("port", "add", "new", "net_af_packet14,iface=weft-r-new")
                bind = ("--vnet", "Z", "--address", "10.0.0.9", "--port", "new")
                self.r.cli("binding", "add", "N", *bind)
                self.assert_ping("new", "10.0.0.3", 5)
                self.assertEqual(self.r.cli("port", "remove", "new", check=False).returncode, 1)
                self.r.cli("binding", "remove", "N")
                self.r.cli("port", "remove", "new")
                self.assertNotIn("new", [port["name"] for port in self.r.jsons("port", "list")])
                # A device that closes is gone a moment later.
                self.assertTrue(net.eventually(self.closed, 10.0))
        finally:
            paced.stop()
        self.assertEqual(paced.lost, 0, f"of {paced.sent}")

    def test_a_binding_moves_to_a_wire_that_says_nothing(self):
        self.net.add("mute")
        self.net.link("mute", "weft-mute", "r", "weft-r-mute")
        self.net.give("r", "weft-r-mute")
        self.net.address("mute", "weft-mute", "10.0.0.5/24")
        self.assert_ping("c", "10.0.0.2", 2)
        self.r.cli("port", "add", "mute", "net_af_packet15,iface=weft-r-mute")
        binding = ("binding", "add", "C", "--vnet", "Z", "--address", "10.0.0.5", "--port")
        # Whoever is there has another hardware address, and is asked for it.
        for port in ("mute", "c"):
            self.r.cli(*binding, port)
            self.assert_ping("a", "10.0.0.5", 3)
        self.r.cli("port", "remove", "mute")

    def closed(self):
        with open(f"/proc/{self.r.process.pid}/net/packet", encoding="ascii") as file:
            index = self.net.exec("r", "cat", "/sys/class/net/weft-r-new/ifindex").strip()
            return not any(line.split()[4] == index for line in list(file)[1:])

    def test_what_does_not_fit_is_refused_by_name(self):
        for arguments, said in (
            (("up9", "net_af_packet13,iface=nobody"), "there is no interface `nobody`"),
            (("up9", "net_af_packet13"), "lacks `iface=`"),
            (("q", "net_vhost13,iface=/nowhere/q.sock"), "there is no directory /nowhere"),
            (("q", "0000:fe:1f.7"), "there is no PCI device 0000:fe:1f.7"),
            (("a", "net_af_packet13,iface=weft-r-new"), "there is another port a"),
            (("b", "net_af_packet8,iface=weft-r-b"), "net_af_packet8"),
            (("q", "net_vhost13,iface=/tmp/q.sock,queues=2"), "queues"),
        ):
            with self.subTest(arguments=arguments):
                done = self.r.cli("port", "add", *arguments, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn(said, done.stderr)
        self.assertIn("is not of role", self.r.cli("port", "remove", "up0", check=False).stderr)
        self.assert_ping("a", "10.0.0.3")


class XdpWorld(World):
    """A's port is the driver af_xdp, in the kernel's generic mode."""

    def node_device(self, host, short, number):
        if short != "a":
            return super().node_device(host, short, number)
        return f"net_af_xdp{number},iface=weft-r-a,force_copy=1"


class AfXdp(Case):
    make = XdpWorld

    def test_ping_and_tcp(self):
        self.assert_ping("a", "10.0.0.3", 10)
        self.assert_ping("g", "10.0.0.2", 10)
        octets = os.urandom(2 << 20)
        for source, target, address in (("a", "g", "10.0.0.3"), ("g", "a", "10.0.0.2")):
            self.assertEqual(self.world.transfer(source, target, address, octets), octets)
        drivers = {port["name"]: port["driver"] for port in self.r.jsons("port", "list")}
        self.assertEqual(drivers["a"], "net_af_xdp")


if __name__ == "__main__":
    unittest.main()
