"""Groups and broadcasts of nodes with stock sockets, over two hosts.

    A 10.0.0.2 (Z) --+                         +-- G 10.0.0.3 (Z)
    C 10.0.0.5 (Z) --+-- R --- router0 --- S --+
    twin 10.0.0.2 (Y) +

Nodes join as their kernels do. What a manager does with events, a few lines
here do: they tell each host of the other's members.
"""

import json
import socket
import threading
import time
import unittest
from dataclasses import dataclass

from case import Case
from lab import net, plan
from lab.control import ControlError
from world import Plan, World

GROUP, OTHER = "239.1.2.3", "239.1.2.4"
WITHHELD = "224.0.0.251"
PORT = 6000
ADDRESS = {"a": "10.0.0.2", "c": "10.0.0.5", "g": "10.0.0.3", "twin": "10.0.0.2"}
# Not in every Python's socket module.
IP_ADD_SOURCE_MEMBERSHIP = 39


class Broadcasting(World):
    """Z carries broadcasts, Y does not."""

    def config(self, host):
        config = super().config(host)
        config["vnet"][0]["broadcast"] = True
        config["vnet"][0]["prefixes"] = ["10.0.0.0/24"]
        return config


class Manager:
    """Tells each host which groups the other one's nodes have joined."""

    def __init__(self, hosts):
        self.hosts = hosts
        self.told = []
        self.ending = threading.Event()
        self.threads = []
        for name, other in (("R", "S"), ("S", "R")):
            client = hosts[name].control()
            client.call("subscribe", topics=["group"])
            client.socket.settimeout(0.2)
            thread = threading.Thread(target=self._run, args=(client, name, other), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _run(self, client, name, other):
        rest = b""
        with client, self.hosts[other].control() as tells:
            while not self.ending.is_set():
                try:
                    rest += client.socket.recv(1 << 16)
                except (TimeoutError, socket.timeout):
                    continue
                *lines, rest = rest.split(b"\n")
                for line in lines:
                    self._tell(tells, name, json.loads(line)["params"])

    def _tell(self, tells, name, event):
        member = {"vnet": event["vnet"], "group": event["group"], "host": name}
        if event["joined"]:
            tells.call("member.set", member=member)
        else:
            try:
                tells.call("member.remove", **member)
            except ControlError:
                pass  # told before, and gone with another test's world
        self.told.append((name, event["group"], event["joined"]))

    def close(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(2.0)


class Listener:
    """A node's socket in a group, or for broadcasts; counts what it hears."""

    def __init__(self, world, short, group=None, source=None, version=None):
        self.world, self.short = world, short
        if version:
            setting = f"net.ipv4.conf.weft-{short}.force_igmp_version={version}"
            world.net.exec(short, "sysctl", "-qw", setting)
        self.socket = world.net.socket(short, socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        # Else sockets of other groups on the machine hear it too.
        self.socket.setsockopt(socket.IPPROTO_IP, 49, 0)  # IP_MULTICAST_ALL
        self.socket.bind(("", PORT))
        own = socket.inet_aton(ADDRESS[short])
        self.request = socket.inet_aton(group) + own if group else None
        if group and source:
            request = self.request + socket.inet_aton(source)
            self.socket.setsockopt(socket.IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, request)
        elif group:
            self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, self.request)

    def leave(self):
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, self.request)

    def heard(self, wait=0.0):
        """What has come, after a wait for the first of it."""
        got = []
        self.socket.settimeout(wait or 0.001)
        while True:
            try:
                got.append(self.socket.recv(2048))
            except (TimeoutError, socket.timeout, BlockingIOError):
                return got
            self.socket.settimeout(0.3)

    def close(self):
        self.socket.close()


class Grouped(Case):
    """What nodes join, say and hear."""

    def listen(self, short, group=None, **how):
        listener = Listener(self.world, short, group, **how)
        self.addCleanup(listener.close)
        return listener

    def joined(self, host, group, node):
        """Waits until a host knows a node's membership."""

        def find():
            groups = host.jsons("group", "list")
            return [it for it in groups if it["group"] == group and any(
                member["node"] == node for member in it["members"])]

        found = net.eventually(find, 5.0)
        self.assertTrue(found, f"{node} is not in {group}: {host.jsons('group', 'list')}")
        return next(it for it in found[0]["members"] if it["node"] == node)

    def hosts_of(self, host, group, wanted):
        """Waits until a host knows where else there are members."""

        def find():
            groups = host.jsons("group", "list", "--vnet", "Z")
            groups = [it for it in groups if it["group"] == group]
            return [name for it in groups for name in it["hosts"]] == wanted

        self.assertTrue(net.eventually(find, 8.0), host.jsons("group", "list"))

    def speak(self, short, address, count=20, size=64):
        """Datagrams to a group or to everybody."""
        with self.net.socket(short, socket.AF_INET, socket.SOCK_DGRAM) as speaker:
            own = socket.inet_aton(ADDRESS[short])
            speaker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
            speaker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
            speaker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 8)
            speaker.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            speaker.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, f"weft-{short}".encode())
            said = [f"{short} {number} ".encode().ljust(size, b".") for number in range(count)]
            for octets in said:
                speaker.sendto(octets, (address, PORT))
                time.sleep(0.002)
        return said

    def carried(self, wire, address):
        """Packets on the substrate whose destination is this one in Z."""
        last = plan.v4(address).to_bytes(4, "big")
        return wire.seen(lambda frame: frame[12:14] == b"\x86\xdd" and frame[50:54] == last)


class Multicast(Grouped):
    make = Broadcasting
    how = Plan()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.manager = Manager(cls.world.hosts)
        cls.addClassCleanup(cls.manager.close)

    def test_each_member_hears_all_once_and_nobody_else_any(self):
        a, c, g = (self.listen(short, GROUP) for short in ("a", "c", "g"))
        # Another tenant joins its own group of that address; and G's is heard by C.
        twin = self.listen("twin", GROUP)
        other = self.listen("c", OTHER)
        self.joined(self.r, GROUP, "C")
        self.hosts_of(self.r, GROUP, ["S"])
        self.hosts_of(self.s, GROUP, ["R"])
        wire = self.world.wire("router0", "weft-r")
        said = self.speak("a", GROUP)
        self.assertEqual(g.heard(3.0), said)
        self.assertEqual(c.heard(1.0), said)
        self.assertEqual((a.heard(), twin.heard(), other.heard()), ([], [], []))
        self.assertEqual(len(self.carried(wire, GROUP)), len(said), "once for all of S")
        said = self.speak("g", GROUP)
        self.assertEqual((a.heard(3.0), c.heard(1.0), g.heard()), (said, said, []))

    def test_who_leaves_hears_no_more(self):
        c, g = self.listen("c", GROUP), self.listen("g", GROUP)
        self.joined(self.r, GROUP, "C")
        self.hosts_of(self.r, GROUP, ["S"])
        g.leave()
        self.hosts_of(self.r, GROUP, [])
        wire = self.world.wire("router0", "weft-r")
        said = self.speak("a", GROUP)
        self.assertEqual(c.heard(3.0), said)
        self.assertEqual(self.carried(wire, GROUP), [])

    def test_older_kernels_join_and_leave(self):
        for version in (2, 1):
            with self.subTest(version=version):
                group = f"239.1.3.{version}"
                g = self.listen("g", group, version=version)
                self.assertEqual(self.joined(self.s, group, "G")["version"], version)
                self.hosts_of(self.r, group, ["S"])
                said = self.speak("a", group, 5)
                self.assertEqual(g.heard(3.0), said)
                if version == 2:
                    g.leave()
                    self.hosts_of(self.r, group, [])
        self.net.exec("g", "sysctl", "-qw", "net.ipv4.conf.weft-g.force_igmp_version=0")

    def test_sources_are_chosen(self):
        c = self.listen("c", GROUP, source=ADDRESS["a"])
        member = self.joined(self.r, GROUP, "C")
        self.assertEqual((member["sources"], member["addresses"]), ("only", [ADDRESS["a"]]))
        self.hosts_of(self.s, GROUP, ["R"])
        arrived = self.r.counters()["rx"]
        self.speak("g", GROUP, 5)
        net.eventually(lambda: self.r.counters()["rx"] >= arrived + 5)
        said = self.speak("a", GROUP, 5)
        self.assertEqual(c.heard(3.0), said)
        self.assertGreaterEqual(self.drops(self.r, "no_member"), 5)

    def test_broadcasts_reach_the_subnet(self):
        # A's own kernel gives it what it says; what comes by its wire is an echo.
        wire = self.world.wire("a", "weft-a")
        listeners = {short: self.listen(short) for short in ("c", "g", "twin")}
        for address in ("255.255.255.255", "10.0.0.255"):
            with self.subTest(address=address):
                said = self.speak("a", address, 5)
                self.assertEqual(listeners["g"].heard(3.0), said)
                self.assertEqual(listeners["c"].heard(1.0), said)
                self.assertEqual(listeners["twin"].heard(), [])
                echoes = wire.seen(lambda frame: frame[12:14] == b"\x08\x00" and b"a 0 " in frame, False)
                self.assertEqual(echoes, [])
        before = self.drops(self.r, "broadcast")
        self.speak("twin", "255.255.255.255", 3)
        self.assertTrue(net.eventually(lambda: self.drops(self.r, "broadcast") == before + 3))

    def test_large_datagrams_arrive_in_pieces(self):
        c, g = self.listen("c", GROUP), self.listen("g", GROUP)
        self.joined(self.r, GROUP, "C")
        self.hosts_of(self.r, GROUP, ["S"])
        with self.net.socket("a", socket.AF_INET, socket.SOCK_DGRAM) as speaker:
            own = socket.inet_aton(ADDRESS["a"])
            speaker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
            speaker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
            # No DF: its kernel cuts at 1,500, and R once more.
            speaker.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER
            speaker.sendto(b"x" * 1472, (GROUP, PORT))
        self.assertEqual([len(it) for it in c.heard(3.0) + g.heard(3.0)], [1472, 1472])

    def test_withheld_groups_stay(self):
        c = self.listen("c", WITHHELD)
        before = self.drops(self.r, "group_withheld")
        self.speak("a", WITHHELD, 5)
        self.assertTrue(net.eventually(lambda: self.drops(self.r, "group_withheld") == before + 5))
        self.assertEqual(c.heard(), [])
        # The kernel's report of it may be on its way still: it says so twice.
        self.assertTrue(net.eventually(lambda: self.r.counters()["igmp_withheld"] > 0))

    def test_who_speaks_to_nobody_is_counted(self):
        before = self.drops(self.r, "no_member")
        self.speak("a", "239.9.9.9", 5)
        self.assertTrue(net.eventually(lambda: self.drops(self.r, "no_member") == before + 5))

    def test_copies_are_limited(self):
        c = self.listen("c", GROUP)
        self.joined(self.r, GROUP, "C")
        before = self.drops(self.r, "flood_limited")
        with self.net.socket("a", socket.AF_INET, socket.SOCK_DGRAM) as speaker:
            own = socket.inet_aton(ADDRESS["a"])
            speaker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
            speaker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
            end = time.monotonic() + 1.0
            while time.monotonic() < end:
                for _ in range(20):
                    speaker.sendto(b"flood", (GROUP, PORT))
                time.sleep(0.001)
        heard = len(c.heard(1.0))
        # A thousand a second, and 256 at once.
        self.assertLess(heard, 2000)
        self.assertGreater(heard, 256)
        self.assertGreater(self.drops(self.r, "flood_limited"), before)

    def test_a_binding_takes_its_memberships_along(self):
        self.listen("c", GROUP)
        self.joined(self.r, GROUP, "C")
        self.hosts_of(self.s, GROUP, ["R"])
        binding = {"name": "C", "vnet": "Z", "address": "10.0.0.5", "port": "c"}
        with self.r.control() as control:
            control.call("binding.remove", name="C")
            try:
                self.hosts_of(self.s, GROUP, [])
            finally:
                control.call("binding.set", binding=binding)
        # It is asked as soon as it is back, and answers.
        self.joined(self.r, GROUP, "C")
        self.hosts_of(self.s, GROUP, ["R"])


@dataclass(frozen=True)
class Joined(Plan):
    """One wire joins both uplinks."""

    @property
    def direct(self):
        return True


class Carrying(Broadcasting):
    """The substrate carries groups, and nobody tells hosts of each other's
    members."""

    def _namespaces(self):
        super()._namespaces()
        self.net.link("r", "weft-r-up0", "s", "weft-s-up0", mtu=self.how.substrate_mtu)
        for host in ("r", "s"):
            self.net.give(host, f"weft-{host}-up0")

    def config(self, host):
        return {**super().config(host), "multicast": {"carriage": "native"}}


class Native(Grouped):
    make = Carrying
    how = Joined()

    # What stands for the groups, by the letter.
    GROUP6 = bytes.fromhex("ff15000000000000005a0001ef010203")
    DIRECTED6 = bytes.fromhex("ff36000000000000005a00010a0000ff")

    def sent_to(self, wire, group):
        """Packets to a group of the substrate, its MLD apart."""
        return wire.seen(lambda frame: frame[38:54] == group and frame[20] != 0)

    def report_of(self, wire, group, kind):
        """A report of MLDv2 that says this of a group."""
        return wire.wait(
            lambda frame: frame[:6] == b"\x33\x33\0\0\0\x16"
            and frame[62:63] == b"\x8f"
            and bytes([kind, 0, 0, 0]) + group in frame,
            8.0,
        )

    def test_one_packet_for_the_members_of_all_hosts(self):
        # An end of the wire shows what comes there, from the other one.
        wire, back = self.world.wire("s", "weft-s-up0"), self.world.wire("r", "weft-r-up0")
        c, g = self.listen("c", GROUP), self.listen("g", GROUP)
        twin, other = self.listen("twin", GROUP), self.listen("g", OTHER)
        self.joined(self.r, GROUP, "C")
        self.joined(self.s, GROUP, "G")
        self.assertTrue(self.report_of(back, self.GROUP6, 4), "S joins")
        before = self.r.counters()["native_sent"], self.s.counters()["native_received"]
        said = self.speak("a", GROUP)
        self.assertEqual(g.heard(3.0), said)
        self.assertEqual(c.heard(1.0), said)
        self.assertEqual((twin.heard(), other.heard()), ([], []))
        carried = self.sent_to(wire, self.GROUP6)
        self.assertEqual(len(carried), len(said), "exactly one each")
        self.assertEqual({frame[:6].hex(":") for frame in carried}, {"33:33:ef:01:02:03"})
        self.assertEqual(self.carried(wire, GROUP), carried, "and no copies")
        after = self.r.counters()["native_sent"], self.s.counters()["native_received"]
        self.assertEqual([now - then for now, then in zip(after, before)], [len(said)] * 2)
        # The other way, and not back.
        said = self.speak("g", GROUP)
        self.assertEqual((c.heard(3.0), g.heard()), (said, []))
        steps = self.r.json("explain", "--from", "A", "--to", GROUP)["steps"]
        self.assertIn("group ff15::5a:1:ef01:203 of the substrate", steps[-1]["verdict"])
        # Who leaves is not asked for any more, and the rest has a name.
        g.leave()
        self.assertTrue(self.report_of(back, self.GROUP6, 3), "S leaves")
        before = self.drops(self.s, "group_not_heard")
        said = self.speak("a", GROUP, 5)
        self.assertEqual(c.heard(3.0), said)
        self.assertTrue(net.eventually(lambda: self.drops(self.s, "group_not_heard") == before + 5))
        self.assertEqual(g.heard(), [])

    def test_broadcasts_and_pieces(self):
        wire = self.world.wire("s", "weft-s-up0")
        c, g, twin = (self.listen(short) for short in ("c", "g", "twin"))
        said = self.speak("a", "10.0.0.255", 5)
        self.assertEqual((g.heard(3.0), c.heard(1.0), twin.heard()), (said, said, []))
        self.assertEqual(len(self.sent_to(wire, self.DIRECTED6)), len(said))
        with self.net.socket("a", socket.AF_INET, socket.SOCK_DGRAM) as speaker:
            speaker.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            speaker.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER
            speaker.sendto(b"x" * 1472, ("10.0.0.255", PORT))
        self.assertEqual([len(it) for it in g.heard(3.0) + c.heard(3.0)], [1472, 1472])
        self.assertEqual(len(self.sent_to(wire, self.DIRECTED6)), len(said) + 2)


if __name__ == "__main__":
    unittest.main()
