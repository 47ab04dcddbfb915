"""The world of the end-to-end tests: two appliances, nodes, a substrate.

    A 10.0.0.2 (Z) --+                                  +-- G 10.0.0.3 (Z)
    C 10.0.0.5 (Z) --+-- R --- router(s) or wire --- S -+
    twin 10.0.0.2 (Y) +

The same walk over several kinds of devices: what a `Plan` varies is which
driver carries nodes and uplinks, the number of workers, and hugepages.
"""

import atexit
import itertools
import os
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "scripts"))
from lab import frames, net, plan, weft  # noqa: E402

# Short names of wires and the vnet of the node at the far end.
NODES = {
    "R": {"a": ("A", "Z", "10.0.0.2"), "c": ("C", "Z", "10.0.0.5"), "twin": ("twin", "Y", "10.0.0.2")},
    "S": {"g": ("G", "Z", "10.0.0.3")},
}
_numbers = itertools.count()


@dataclass(frozen=True)
class Plan:
    """How a world is built."""

    nodes: str = "af_packet"  # af_packet, tap
    uplink: str = "af_packet"  # af_packet, tap, memif, vhost
    workers: int = 1
    huge: str = "auto"  # auto, yes, no
    routers: int = 1
    substrate_mtu: int = 1500
    router_mtu: int = 1500
    node_mtu: int = 1500
    vlan: int = None
    mode: str = "siit"
    hosts: tuple = ("R", "S")
    limits: dict = field(default_factory=dict, hash=False)
    runtime: dict = field(default_factory=dict, hash=False)

    @property
    def direct(self):
        """The appliances' uplinks are joined without a router."""
        return self.uplink in ("memif", "vhost")

    def __str__(self):
        return f"nodes {self.nodes}, uplink {self.uplink}, {self.workers} workers, huge {self.huge}"


class World:
    """Built by `start`, taken down by `close` whatever happened."""

    def __init__(self, how=Plan()):
        self.how = how
        self.run = f"{os.getpid()}-{next(_numbers)}"
        self.net = net.Net(self.run)
        self.directory = tempfile.mkdtemp(prefix=f"weft-{self.run}.")
        self.hosts = {}
        self.wires = []
        atexit.register(self.close)

    # Building

    def start(self):
        try:
            self._namespaces()
            for name in self.how.hosts:
                self.hosts[name] = weft.Weft(
                    self.directory,
                    self.config(name),
                    namespace=self.net.name(name.lower()),
                    prefix=f"weft-{self.run}",
                )
                self.hosts[name].start()
                self._taps(name)
            return self
        except BaseException:
            self.close()
            raise

    def _namespaces(self):
        for short in ("r", "s", "a", "c", "twin", "g"):
            self.net.add(short)
        for short in ("r", "s"):
            # No frame of the kernel's own on a tap that the driver makes.
            self.net.exec(short, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
        if self.how.nodes == "af_packet":
            for host, nodes in NODES.items():
                for short, (_, _, address) in nodes.items():
                    end = f"weft-{host.lower()}-{short}"
                    self.net.link(
                        short, f"weft-{short}", host.lower(), end, mtu=self.how.node_mtu
                    )
                    self.net.give(host.lower(), end)
                    self.net.address(short, f"weft-{short}", f"{address}/24")
        if not self.how.direct:
            for number in range(self.how.routers):
                self._router(number)

    def _router(self, number):
        """A plain kernel router: two links and two routes."""
        short = f"router{number}"
        self.net.add(short, router=True)
        for host in ("r", "s"):
            if self.how.uplink == "af_packet":
                up = f"weft-{host}-up{number}"
                self.net.link(host, up, short, f"weft-{host}", mtu=self.how.substrate_mtu)
                self.net.give(host, up)
                self.router_side(short, number, host)
        if self.how.router_mtu != self.how.substrate_mtu:
            self.net.ip(short, "link", "set", "weft-s", "mtu", str(self.how.router_mtu))

    def router_side(self, short, number, host):
        name = host.upper()
        self.net.address(short, f"weft-{host}", f"{self.router(name, number)}/64")
        self.net.ip(short, "route", "add", plan.LOCATOR[name], "via", self.own(name, number))

    def _taps(self, host):
        """Joins the kernel's ends of taps to nodes and router."""
        low = host.lower()
        if self.how.nodes == "tap":
            for short, (_, _, address) in NODES[host].items():
                self._bridge(low, f"weft-t-{short}", short, f"weft-{short}")
                self.net.address(short, f"weft-{short}", f"{address}/24")
        if self.how.uplink == "tap":
            for number in range(self.how.routers):
                self._bridge(low, f"weft-t-up{number}", f"router{number}", f"weft-{low}")
                self.router_side(f"router{number}", number, low)

    def _bridge(self, host, tap, short, interface):
        """A bridge from a tap to a wire. The tap must stay where it is, or its
        driver calls the link down; and it needs an address of its own, or the
        bridge keeps frames for the port to itself."""
        far, bridge = tap.replace("-t-", "-v-"), tap.replace("-t-", "-b-")
        self.net.link(host, far, short, interface)
        self.net.ip(host, "link", "add", bridge, "type", "bridge", "mcast_snooping", "0")
        number = sum(tap.encode()) & 0xFF
        self.net.ip(host, "link", "set", tap, "address", f"02:00:00:00:01:{number:02x}")
        for end in (tap, far, bridge):
            self.net.give(host, end)
        for end in (tap, far):
            self.net.ip(host, "link", "set", end, "master", bridge)
        self.net.ip(host, "link", "set", bridge, "up")
        # Where the kernel's filter looks at bridged frames, it drops bad ones.
        for family in ("ip", "ip6", "arp"):
            setting = f"net.bridge.bridge-nf-call-{family}tables=0"
            self.net.exec(host, "sysctl", "-qw", setting, check=False)

    # What is where

    def router(self, host, number=0):
        return f"2001:db8:ffff:{'a' if host == 'R' else 'b'}{number or ''}::ff"

    def own(self, host, number=0):
        """An uplink's own address."""
        if self.how.direct:
            return f"2001:db8:ffff:d::{1 if host == 'R' else 2}"
        return f"2001:db8:ffff:{'a' if host == 'R' else 'b'}{number or ''}::1"

    def uplink_device(self, host, number):
        low, queues = host.lower(), self.how.workers
        path = os.path.join(self.directory, "uplink.sock")
        if self.how.uplink == "af_packet":
            return f"net_af_packet{number},iface=weft-{low}-up{number},qpairs={queues}"
        if self.how.uplink == "tap":
            return f"net_tap{number},iface=weft-t-up{number}"
        if self.how.uplink == "memif":
            role = "server" if host == "R" else "client"
            return f"net_memif0,role={role},id=0,socket={path},socket-abstract=no"
        if host == "R":
            return f"net_vhost0,iface={path},queues={queues}"
        return f"net_virtio_user0,path={path},queues={queues}"

    def node_device(self, host, short, number):
        if self.how.nodes == "tap":
            return f"net_tap{number},iface=weft-t-{short}"
        return f"net_af_packet{number},iface=weft-{host.lower()}-{short}"

    def config(self, host):
        """What the file of a host says."""
        how, other = self.how, "S" if host == "R" else "R"
        uplinks = 1 if how.direct else how.routers
        ports, bindings, hops = [], [], []
        for number in range(uplinks):
            port = {
                "name": f"up{number}",
                "device": self.uplink_device(host, number),
                "role": "uplink",
                "addresses": [f"{self.own(host, number)}/64"],
                "mtu": how.substrate_mtu,
            }
            if how.vlan:
                port["vlan"] = how.vlan
            if how.uplink in ("memif", "tap"):
                port["queues"] = 1
            ports.append(port)
            via = self.own(other) if how.direct else self.router(host, number)
            hops.append({"address": via, "port": f"up{number}"})
        for number, (short, (name, vnet, address)) in enumerate(NODES[host].items()):
            ports.append(
                {
                    "name": short,
                    "device": self.node_device(host, short, 8 + number),
                    "role": "node",
                    "mtu": how.node_mtu,
                }
            )
            binding = {"name": name, "vnet": vnet, "address": address, "port": short}
            bindings.append(binding)
        cpu = 0 if host == "R" else 1
        return {
            "name": host,
            "locator": plan.LOCATOR[host],
            "mtu": how.substrate_mtu,
            "runtime": {
                "control_cpu": cpu,
                "workers": [cpu, 1 - cpu][: how.workers],
                "idle": "backoff",
                "huge": how.huge,
                # virtio-user hands its memory to vhost in at most eight files.
                "eal_args": ["--single-file-segments"] if how.uplink == "vhost" else [],
                **how.runtime,
            },
            "limits": dict(how.limits),
            "port": ports,
            "vnet": weft.vnet_tables("Z", "Y", mode=how.mode, prefixes=["10.0.0.0/8"]),
            "binding": bindings,
            "host": weft.host_tables(other),
            "mapping": [
                {"vnet": "Z", "address": address, "host": other}
                for (_, vnet, address) in NODES[other].values()
                if vnet == "Z"
            ],
            "route": [{"prefix": plan.LOCATOR[other], "via": hops}],
        }

    # Doing

    def wire(self, short, interface):
        wire = net.Wire(self.net, short, interface)
        self.wires.append(wire)
        return wire

    def answers(self, short, timeout):
        """Whether G answers a node's ping in that time; asked fifty times a
        second, and without starting a program, which on a busy machine takes
        longer than what is measured."""
        with self.net.socket(short, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as asker:
            asker.connect(("10.0.0.3", 0))
            asker.settimeout(0.02)
            deadline = time.monotonic() + timeout
            number = 0
            while time.monotonic() < deadline:
                number += 1
                body = struct.pack(">HH", 0x7766, number) + b"is there anybody"
                total = frames.checksum(0x0800 + frames.sum16(body))
                try:
                    asker.send(b"\x08\0" + struct.pack(">H", total) + body)
                    reply = asker.recv(2048)
                except OSError:
                    continue
                if reply[20] == 0 and reply[24:26] == b"\x77\x66":
                    return True
        return False

    def warm(self):
        """Waits until the first ping from A to G is answered."""
        if not self.answers("a", 10.0):
            raise AssertionError(f"A cannot ping G ({self.how})\n{self.story()}")

    def story(self):
        """What is known of a world in which something does not work."""
        told = []
        for name, host in self.hosts.items():
            told.append(f"appliance {name}:\n{host.process.tail(15)}")
            if host.process.running():
                told.append(str({key: n for key, n in host.counters().items() if n}))
        for short in self.net.shorts:
            neighbours = self.net.ip(short, "neigh", "show").strip().replace("\n", "; ")
            told.append(f"neighbours of {short}: {neighbours}")
        return "\n".join(told)

    def drops(self):
        """Counters of drops that are not zero, by host."""
        return {
            name: {key: n for key, n in host.counters().items() if key.startswith("drop_") and n}
            for name, host in self.hosts.items()
            if host.process and host.process.running()
        }

    def imbalance(self):
        """Hosts whose packets do not add up, after they came to rest."""

        def find():
            wrong = {}
            for name, host in self.hosts.items():
                if host.process and host.process.running():
                    into, out = weft.balance(host.counters())
                    if into != out:
                        wrong[name] = (into, out)
            return wrong

        # A packet in a ring is in no counter yet.
        net.eventually(lambda: not find(), 10.0)
        return find()

    def transfer(self, source, target, address, octets, port=5001, timeout=60.0, at=None, by=None):
        """Sends bytes over TCP from one node to another; what arrived. `at` is
        the address where the target listens, if the source knows it by another,
        and `by` the one the source uses, if it has several."""

        def family(of):
            return socket.AF_INET6 if ":" in of else socket.AF_INET

        at = at or address
        server = self.net.socket(target, family(at), socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((at, port))
        server.listen(1)
        server.settimeout(timeout)
        got = bytearray()

        def receive():
            connection, _ = server.accept()
            connection.settimeout(timeout)
            with connection:
                while data := connection.recv(1 << 16):
                    got.extend(data)

        thread = threading.Thread(target=receive, daemon=True)
        thread.start()
        client = self.net.socket(source, family(address), socket.SOCK_STREAM)
        client.settimeout(timeout)
        if by:
            client.bind((by, 0))
        with client, server:
            client.connect((address, port))
            client.sendall(octets)
            client.shutdown(socket.SHUT_WR)
            thread.join(timeout)
        return bytes(got)

    def close(self):
        atexit.unregister(self.close)
        for wire in self.wires:
            wire.close()
        self.wires = []
        for host in self.hosts.values():
            host.stop(5.0)
            net.forget_prefix(host.config["runtime"]["file_prefix"])
        self.net.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()
