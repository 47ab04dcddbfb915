"""The world of tests with virtual machines: A and C at R, G at S are guests
of QEMU behind vhost-user; two twins of another tenant are namespaces.

    A  10.0.0.2 (Z)  weft makes the socket    --+               +-- G 10.0.0.3 (Z)
    C  10.0.0.5 (Z)  QEMU does, two queues    --+-- R --- S ----+   QEMU makes the socket
    twin  10.0.0.2 (Y), a veth                --+               +-- other 10.0.0.3 (Y)

Between R and S are two routers, and between those a link of 1,400 bytes: both
hosts have to learn what the path carries.
"""

import hashlib
import os
import time

from lab import initrd, plan, vm
from world import NODES, Plan, World

MACS = {"a": "02:00:00:00:0a:02", "c": "02:00:00:00:0a:05", "g": "02:00:00:00:0a:03"}
ADDRESS = {"a": "10.0.0.2", "c": "10.0.0.5", "g": "10.0.0.3"}
HOST = {"a": "R", "c": "R", "g": "S"}
# Whose socket QEMU makes: weft connects, and connects again by itself.
LISTENS = ("c", "g")
QUEUES = {"c": 2}
HOP_MTU = 1400
# What guests of one host may send each other: more than a buffer of theirs has.
NODE_MTU = 4000
# What the ends of a stream run, with the connection as input and output: a
# block goes to the socket as one piece, to be cut by whoever is told to.
FILES = (
    ("receive", "#!/bin/sh\nsha256sum >/tmp/sum\n", 0o755),
    ("send", "#!/bin/sh\nfor n in $(seq $blocks); do echo $n; cat /block; done\n", 0o755),
)
OTHER = ("other", "Y", "10.0.0.3")


class VmWorld(World):
    """Built by `start` and taken down by `close`, as every world."""

    # Programs of this machine that guests have beside the usual ones.
    programs = ("tcpdump",)

    def __init__(self, how=Plan()):
        super().__init__(how)
        self.vms = {}

    def socket_of(self, short):
        return os.path.join(self.directory, f"{short}.sock")

    def _namespaces(self):
        super()._namespaces()
        self.net.add("other")
        self.net.link("other", "weft-other", "s", "weft-s-other")
        self.net.give("s", "weft-s-other")
        self.net.address("other", "weft-other", "10.0.0.3/24")

    def _router(self, number):
        for short, host in (("router0", "r"), ("hop", "s")):
            self.net.add(short, router=True)
            self.net.link(host, f"weft-{host}-up0", short, f"weft-{host}")
            self.net.give(host, f"weft-{host}-up0")
            self.router_side(short, number, host)
        self.net.link("router0", "weft-hop", "hop", "weft-hop", mtu=HOP_MTU)
        ends = (("router0", "e", "f", "S"), ("hop", "f", "e", "R"))
        for short, own, far, behind in ends:
            self.net.address(short, "weft-hop", f"2001:db8:ffff:e::{own}/64")
            via = f"2001:db8:ffff:e::{far}"
            self.net.ip(short, "route", "add", plan.LOCATOR[behind], "via", via)

    def node_device(self, host, short, number):
        if short not in MACS:
            return super().node_device(host, short, number)
        client = ",client=1" if short in LISTENS else ""
        queues = QUEUES.get(short, 1)
        return f"net_vhost{number},iface={self.socket_of(short)},queues={queues},tso=1{client}"

    def config(self, host):
        config = super().config(host)
        for port in config["port"]:
            if port["name"] in MACS:
                port.update(queues=QUEUES.get(port["name"], 1), mtu=NODE_MTU)
        name, vnet, address = OTHER
        if host == "S":
            config["port"].append(
                {
                    "name": name,
                    "device": super().node_device("S", name, 15),
                    "role": "node",
                }
            )
            binding = {"name": name, "vnet": vnet, "address": address, "port": name}
            config["binding"].append(binding)
            config["mapping"].append({"vnet": "Y", "address": "10.0.0.2", "host": "R"})
        else:
            config["mapping"].append({"vnet": "Y", "address": address, "host": "S"})
        return config

    def start(self):
        super().start()
        try:
            image = os.path.join(self.directory, "initrd")
            initrd.make(image, self.programs, FILES)
            for short, mac in MACS.items():
                self.vms[short] = vm.Vm(
                    self.directory,
                    short,
                    mac,
                    self.socket_of(short),
                    image,
                    queues=QUEUES.get(short, 1),
                    listens=short in LISTENS,
                ).start()
            for short in self.vms:
                self.vms[short].ready()
                self.settle(short)
            return self
        except BaseException:
            self.close()
            raise

    def settle(self, short):
        """What is done in a guest after each of its boots."""
        self.vms[short].address(f"{ADDRESS[short]}/24")

    def warm(self):
        for source, target in (("a", "g"), ("c", "a"), ("g", "c")):
            self.reaches(source, target)

    def reaches(self, source, target, timeout=20.0):
        """Waits until one guest's ping to another is answered."""
        deadline = time.monotonic() + timeout
        while not self.vms[source].ping(ADDRESS[target], 1)[0]:
            if time.monotonic() > deadline:
                raise AssertionError(f"{source} cannot ping {target}\n{self.story()}")

    def listen(self, target, port=5001):
        """Has a guest wait for a stream; `take` gets its hash."""
        guest = self.vms[target]
        return guest, guest.post(f"nc -l -p {port} -e /receive; cat /tmp/sum")

    def send(self, source, target, blocks, port=5001):
        """Has a guest send so many blocks, each behind its number; posted."""
        guest = self.vms[source]
        return guest, guest.post(f"blocks={blocks} nc {ADDRESS[target]} {port} -e /send")

    def stream(self, source, target, blocks, timeout=120.0):
        """Sends blocks from guest to guest; whether they arrived whole, and
        the seconds it took."""
        receiver, hashed = self.listen(target)
        time.sleep(0.5)
        begin = time.monotonic()
        sender, sent = self.send(source, target, blocks)
        sender.take(sent, timeout)
        told = receiver.take(hashed, timeout).split()[0]
        return told == expected(blocks), time.monotonic() - begin

    def story(self):
        told = [super().story()]
        told += [guest.story() for guest in self.vms.values() if guest.process]
        return "\n".join(told)

    def close(self):
        for guest in self.vms.values():
            guest.stop()
        super().close()


def expected(blocks):
    """The hash of what `send` sends."""
    block, total = initrd.block(), hashlib.sha256()
    for number in range(1, blocks + 1):
        total.update(f"{number}\n".encode())
        total.update(block)
    return total.hexdigest()


assert set(MACS) | {"twin"} == {short for nodes in NODES.values() for short in nodes}
