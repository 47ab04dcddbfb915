"""The world of the relay's tests: an IPv4 network, an IPv6 network, plain
kernels in both, and the relay between two of their routers.

    c4 --- a4 --- r4 --- relay --- r6 --- a6 --- s6
                                           +---- h6

The hosts c4, s6 and h6 know a default route. The routers beside the relay, r4
and r6, know two routes and nothing of translation. In the relay's place may
stand tayga (WEFT_TRANSLATOR=tayga), by which a test is tested: what fails with
both is the test's own fault.
"""

import copy
import hashlib
import os
import re
import socket
import threading
import unittest
from dataclasses import dataclass, field

from lab import net, relay, tayga, weft
from world import World

TRANSLATOR = os.environ.get("WEFT_TRANSLATOR", "weft")

CLIENT, SERVER, OTHER = "198.51.100.2", "2001:db8:beef::5", "2001:db8:beef::6"
# The same hosts as the other side knows them.
CLIENT6 = relay.in_pool(CLIENT)
SERVER4, OTHER4 = "203.0.113.5", "203.0.113.6"
EAMS = ((SERVER4, SERVER), (OTHER4, OTHER), ("203.0.113.0/24", "2001:db8:beef::/120"))
# What IPv6 routers are called on the IPv4 side.
ERROR_SOURCE = "192.0.2.9"
# The hops between the hosts, by side, nearest first.
ROUTERS = {4: ("198.51.100.1", "192.0.2.129"), 6: ("2001:db8:beef::ff", "2001:db8:7::1")}

# Wires: an end, its address, the other end, its address.
WIRES4 = (
    ("c4", f"{CLIENT}/24", "a4", "198.51.100.1/24"),
    ("a4", "192.0.2.130/30", "r4", "192.0.2.129/30"),
)
WIRES6 = (
    ("r6", "2001:db8:7::1/64", "a6", "2001:db8:7::2/64"),
    ("a6", "2001:db8:beef::ff/64", "s6", f"{SERVER}/64"),
)
ROUTES = (
    ("c4", "default", "198.51.100.1"),
    ("a4", "default", "192.0.2.129"),
    ("r4", "198.51.100.0/24", "192.0.2.130"),
    ("r4", "203.0.113.0/24", relay.OWN[4]),
    ("r6", relay.POOL6, relay.OWN[6]),
    ("r6", "2001:db8:beef::/64", "2001:db8:7::2"),
    ("a6", "default", "2001:db8:7::1"),
    ("s6", "default", "2001:db8:beef::ff"),
)


@dataclass(frozen=True)
class Plan:
    """How a world is built."""

    device: str = "af_packet"  # af_packet, tap
    mtu: int = 1500
    narrow4: int = 0  # of the wire a4 - r4
    narrow6: int = 0  # of the wire r6 - a6
    workers: int = 1
    vlan: int = None  # of both wires beside the relay
    # What is said of the relay, and of its sides.
    relay: dict = field(default_factory=dict, hash=False)
    sides: dict = field(default_factory=dict, hash=False)

    def __str__(self):
        return f"{TRANSLATOR}, device {self.device}, MTU {self.mtu}"


class RelayWorld(World):
    """Built by `start`, taken down by `close` whatever happened."""

    def __init__(self, how=Plan()):
        super().__init__(how)
        self.tayga = None
        self.own = dict(relay.OWN)

    def start(self):
        try:
            self._networks()
            if TRANSLATOR == "tayga":
                self._tayga()
            else:
                self._weft()
            return self
        except BaseException:
            self.close()
            raise

    def close(self):
        if self.tayga:
            self.tayga.stop()
        super().close()

    # Building

    def _networks(self):
        for short in ("c4", "a4", "r4", "relay", "r6", "a6", "s6", "h6"):
            self.net.add(short, router=short in ("a4", "r4", "r6", "a6"))
            # Each packet is answered here; what is limited is the relay.
            settings = ["net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0"]
            settings += ["net.ipv4.icmp_msgs_per_sec=100000", "net.ipv4.icmp_msgs_burst=1000"]
            self.net.exec(short, "sysctl", "-qw", *settings, check=False)
        for short in ("a4", "r4"):
            self.net.exec(short, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        for short in ("c4", "a4", "r4"):
            # No IPv6 there at all.
            self.net.exec(
                short,
                *("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"),
                "net.ipv6.conf.default.disable_ipv6=1",
            )
        for left, left_address, right, right_address in WIRES4 + WIRES6:
            self._wire(left, left_address, right, right_address)
        self._second_host()
        self._nobody()
        self._beside()
        for short, to, via in ROUTES:
            if via not in relay.OWN.values():
                self.net.ip(short, *self._family(via), "route", "add", to, "via", via)

    def _wire(self, left, left_address, right, right_address):
        names = f"weft-{right}", f"weft-{left}"
        self.net.link(left, names[0], right, names[1], mtu=self._mtu(left, right))
        self.net.address(left, names[0], left_address)
        self.net.address(right, names[1], right_address)

    def _mtu(self, left, right):
        narrow = {("a4", "r4"): self.how.narrow4, ("r6", "a6"): self.how.narrow6}
        return narrow.get((left, right)) or self.how.mtu

    def _second_host(self):
        """On a wire of its own, with nothing but its one address."""
        self.net.link("a6", "weft-h6", "h6", "weft-a6", mtu=self.how.mtu)
        self.net.address("a6", "weft-h6", "fe80::1/64")
        self.net.address("h6", "weft-a6", f"{OTHER}/128")
        self.net.ip("a6", "-6", "route", "add", OTHER, "dev", "weft-h6")
        self.net.ip("h6", "-6", "route", "add", "default", "via", "fe80::1", "dev", "weft-a6")

    def _nobody(self):
        """Addresses of nobody: nothing there, and forbidden."""
        self.net.ip("a6", "-6", "route", "add", "unreachable", "2001:db8:beef::41")
        self.net.ip("a6", "-6", "route", "add", "prohibit", "2001:db8:beef::42")
        self.net.ip("a4", "route", "add", "unreachable", "198.51.100.41")
        self.net.ip("a4", "route", "add", "prohibit", "198.51.100.42")

    @staticmethod
    def _family(address):
        return ["-6"] if ":" in address else []

    def _beside(self):
        """The wires between relay and routers, the relay's ends of which are
        taps or packet sockets."""
        for side, router in ((4, "r4"), (6, "r6")):
            near, far = f"weft-v{side}", "weft-relay"
            if self.how.device == "tap" and TRANSLATOR == "weft":
                continue
            self.net.link("relay", near, router, far, mtu=self.how.mtu)
            self._router_side(side, router)

    def _router_side(self, side, router):
        """The address of a router on its wire to the relay, and its routes."""
        self.net.address(router, "weft-relay", f"{relay.VIA[side]}/{relay.LENGTH[side]}")
        for short, to, via in ROUTES:
            if via == relay.OWN[side]:
                self.net.ip(short, *self._family(via), "route", "add", to, "via", via)

    def _weft(self):
        for side in (4, 6):
            if self.how.device == "af_packet":
                self.net.give("relay", f"weft-v{side}")
        self.net.exec("relay", "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
        appliance = weft.Weft(
            self.directory,
            self.config(),
            namespace=self.net.name("relay"),
            prefix=f"weft-{self.run}",
        )
        self.hosts["relay"] = appliance
        appliance.start()
        self.join_taps()

    def join_taps(self):
        """Joins the kernel's ends of taps to the routers; again after each
        start, for taps go with their appliance."""
        if self.how.device != "tap":
            return
        for side, router in ((4, "r4"), (6, "r6")):
            self._bridge("relay", f"weft-t-v{side}", router, "weft-relay")
            for end in (f"weft-v-v{side}", f"weft-b-v{side}", f"weft-t-v{side}"):
                self.net.ip("relay", "link", "set", end, "mtu", str(self.how.mtu))
            self.net.ip(router, "link", "set", "weft-relay", "mtu", str(self.how.mtu))
            self._router_side(side, router)

    def config(self):
        """What its file says."""
        devices = {
            side: (
                f"net_af_packet{side},iface=weft-v{side},qpairs={self.how.workers}"
                if self.how.device == "af_packet"
                else f"net_tap{side},iface=weft-t-v{side}"
            )
            for side in (4, 6)
        }
        ports = {side: {"mtu": self.how.mtu} for side in (4, 6)}
        if self.how.vlan:
            for port in ports.values():
                port["vlan"] = self.how.vlan
        if self.how.device == "tap":
            for port in ports.values():
                port["queues"] = 1
        return relay.config(
            devices,
            relay={"error_sources4": [f"{ERROR_SOURCE}/32"], **self.how.relay},
            sides=self.how.sides,
            eams=EAMS,
            ports=ports,
            runtime={"workers": [1, 0][: self.how.workers]},
        )

    def _tayga(self):
        """tayga with a kernel router around it: packets take two hops more, and
        it has addresses apart from the router's."""
        self.own = {4: "203.0.113.254", 6: "2001:db8:6:1::1"}
        settings = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]
        self.net.exec("relay", "sysctl", "-qw", *settings)
        for side in (4, 6):
            self.net.address("relay", f"weft-v{side}", f"{relay.OWN[side]}/{relay.LENGTH[side]}")
            self.net.ip("relay", f"-{side}", "route", "add", "default", "via", relay.VIA[side])
        self.tayga = tayga.Tayga(
            self.net, "relay", self.directory, *self.own.values(), relay.POOL6, EAMS, self.how.mtu
        ).start()
        for to in ("203.0.113.0/24", relay.POOL6, self.own[6]):
            self.net.ip("relay", *self._family(to), "route", "add", to, "dev", tayga.TUN)
        self.net.ip("r6", "-6", "route", "add", self.own[6], "via", relay.OWN[6])

    # Doing

    def change(self, **knobs):
        """Has the running relay take a file with other knobs; what it said."""
        path = os.path.join(self.directory, "changed.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(weft.to_toml(self.filed(**knobs)))
        return self.hosts["relay"].cli("apply", path).stdout

    def filed(self, **knobs):
        """The configuration as the appliance was started with, but for knobs of
        the relay."""
        config = copy.deepcopy(self.hosts["relay"].config)
        config["relay"].update(knobs)
        return config

    def warm(self):
        """Waits until both directions work."""
        for short, address in (("c4", SERVER4), ("s6", CLIENT6)):
            answered = net.eventually(lambda s=short, a=address: self.net.ping(s, a, 1)[0], 15.0)
            if not answered:
                raise AssertionError(f"{short} cannot ping {address} ({self.how})\n{self.story()}")

    def socket(self, short, address, kind=socket.SOCK_STREAM):
        """A socket of the family of an address."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return self.net.socket(short, family, kind)

    def carry(self, source, to, target, own, octets, port=5001, timeout=120.0):
        """Sends bytes over TCP: `to` is what `source` calls the target, `own`
        what that calls itself. The hash of what arrived, how many bytes, and
        whom the target saw."""
        seen = []
        server = self.socket(target, own)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((own, port))
        server.listen(1)
        server.settimeout(timeout)

        def receive():
            digest, count = hashlib.sha256(), 0
            connection, peer = server.accept()
            connection.settimeout(timeout)
            with connection:
                while data := connection.recv(1 << 18):
                    digest.update(data)
                    count += len(data)
            seen.extend((digest.hexdigest(), count, peer[0]))

        thread = threading.Thread(target=receive, daemon=True)
        thread.start()
        client = self.socket(source, to)
        client.settimeout(timeout)
        with client, server:
            client.connect((to, port))
            client.sendall(octets)
            client.shutdown(socket.SHUT_WR)
            thread.join(timeout)
        return tuple(seen)

    def learned(self, short, address):
        """The MTU that a host's kernel knows for an address, or None."""
        text = self.net.ip(short, *self._family(address), "route", "get", address)
        found = re.search(r"\bmtu (\d+)", text)
        return int(found[1]) if found else None

    def forget(self):
        """No path MTU of an earlier test."""
        for short in ("c4", "s6", "h6"):
            self.net.ip(short, "route", "flush", "cache")
            self.net.ip(short, "-6", "route", "flush", "cache")

    def traceroute(self, short, address, *options):
        """The address of each hop, or `*`."""
        text = self.net.exec(
            short, "traceroute", "-n", "-q", "1", "-w", "1", "-m", "12", *options, address
        )
        return [line.split()[1] for line in text.splitlines()[1:]]


class RelayCase(unittest.TestCase):
    """Tests that share a world of the relay. After each one it still runs and
    every packet is accounted for."""

    how = Plan()
    quick = False
    make = RelayWorld
    world = None

    @classmethod
    def setUpClass(cls):
        cls.world = cls.make(cls.how).start()
        cls.addClassCleanup(cls.world.close)
        cls.net = cls.world.net
        cls.relay = cls.world.hosts.get("relay")
        cls.warm_up()

    @classmethod
    def warm_up(cls):
        cls.world.warm()

    def tearDown(self):
        for name, host in self.world.hosts.items():
            self.assertTrue(host.process.running(), f"{name} ended:\n{host.process.tail()}")
        self.assertEqual(self.world.imbalance(), {}, "rx is not tx + drops + punted + held")

    def drops(self, name):
        return self.relay.counters()[f"drop_{name}"]

    def assert_ping(self, short, address, count=5, options=(), interval=0.05):
        answered, text = self.net.ping(short, address, count, interval, options=options)
        self.assertEqual(answered, count, f"{text}\n{self.world.drops()}")

    def assert_no_ping(self, short, address):
        answered, text = self.net.ping(short, address, 2)
        self.assertEqual(answered, 0, text)
