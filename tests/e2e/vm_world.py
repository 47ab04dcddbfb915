"""The world of tests with virtual machines: A and C at R, G at S are guests
of QEMU behind vhost-user; two twins of another tenant are namespaces.

    A  10.0.0.2 (Z)  weft makes the socket    --+               +-- G 10.0.0.3 (Z)
    C  10.0.0.5 (Z)  QEMU does, two queues    --+-- R --- S ----+   QEMU makes the socket
    twin  10.0.0.2 (Y), a veth                --+               +-- other 10.0.0.3 (Y)
    a port for a guest that comes             --+               +-- d 10.0.0.7 (Z)

Between R and S are two routers, and between those a link of 1,400 bytes: both
hosts have to learn what the path carries. Z has virtual ones as well: r1 is the
gateway of `web`, where all are, and r2 that of `far`, with a link in between.
Guests get their addresses from their host, each with another client.
"""

import hashlib
import os
import time

from lab import initrd, leases, net, plan, vm
from world import NODES, Plan, World

MACS = {"a": "02:00:00:00:0a:02", "c": "02:00:00:00:0a:05", "g": "02:00:00:00:0a:03"}
ADDRESS = {"a": "10.0.0.2", "c": "10.0.0.5", "g": "10.0.0.3"}
HOST = {"a": "R", "c": "R", "g": "S"}
# Whose socket QEMU makes: weft connects, and connects again by itself.
LISTENS = ("c", "g")
QUEUES = {"c": 2}
CLIENT = {"a": "udhcpc", "c": "dhclient", "g": "networkd"}
# Where guests come to that move: at R, on a port that weft makes the socket of.
MOVED = "m"
HOP_MTU = 1400
# What guests of one host may send each other: more than a buffer of theirs has.
NODE_MTU = 4000
# What the ends of a stream run, with the connection as input and output: a
# block goes to the socket as one piece, to be cut by whoever is told to.
FILES = (
    ("receive", "#!/bin/sh\nsha256sum >/tmp/sum\n", 0o755),
    ("send", "#!/bin/sh\nfor n in $(seq $blocks); do echo $n; cat /block; done\n", 0o755),
)
# Namespaces at S, beside the guest.
BESIDE = {"other": ("Y", "10.0.0.3"), "d": ("Z", "10.0.0.7")}
# What the host tells nodes of `web`.
DNS, BEHIND = "10.0.0.53", ("172.16.0.0/16", "10.0.0.9")
MTU = 1500 - 28
SUBNETS = [
    {
        **{"name": "web", "vnet": "Z", "prefix": "10.0.0.0/24", "gateway": "10.0.0.1"},
        "dhcp": {
            **{"dns": [DNS], "domain": "z.example", "lease_seconds": 3600},
            "routes": [{"prefix": BEHIND[0], "via": BEHIND[1]}],
        },
    },
    {"name": "far", "vnet": "Z", "prefix": "10.0.3.0/24", "gateway": "10.0.3.1"},
    {"name": "link", "vnet": "Z", "prefix": "10.0.255.0/30", "gateway": "10.0.255.1"},
]
ROUTERS = {
    "r1": {"web": "10.0.0.1", "link": "10.0.255.1"},
    "r2": {"far": "10.0.3.1", "link": "10.0.255.2"},
}
ROUTES = [
    {"router": "r1", "prefix": "10.0.3.0/24", "via": "10.0.255.2"},
    {"router": "r2", "prefix": "10.0.0.0/24", "via": "10.0.255.1"},
]


class VmWorld(World):
    """Built by `start` and taken down by `close`, as every world."""

    # Programs of this machine that guests have beside the usual ones.
    programs = ("tcpdump", "socat", "iperf3", *leases.PROGRAMS)

    def __init__(self, how=Plan()):
        super().__init__(how)
        self.vms = {}
        # Those that were started to take one over.
        self.comers, self.moves = [], 0
        self.address, self.place = dict(ADDRESS), dict(HOST)

    def socket_of(self, short):
        return os.path.join(self.directory, f"{short}.sock")

    def _namespaces(self):
        super()._namespaces()
        for short, (_, address) in BESIDE.items():
            self.net.add(short)
            self.net.link(short, f"weft-{short}", "s", f"weft-s-{short}")
            self.net.give("s", f"weft-s-{short}")
            self.net.address(short, f"weft-{short}", f"{address}/24")

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
        config["vnet"][0]["dhcp"] = "host"
        config["subnet"], config["vroute"] = SUBNETS, ROUTES
        config["router"] = [
            {
                **{"name": name, "vnet": "Z"},
                "interfaces": [
                    {"subnet": subnet, "address": address} for subnet, address in places.items()
                ],
            }
            for name, places in ROUTERS.items()
        ]
        beside = [{"vnet": vnet, "address": address} for vnet, address in BESIDE.values()]
        if host == "S":
            for number, (name, (vnet, address)) in enumerate(BESIDE.items()):
                device = super().node_device("S", name, 14 + number)
                config["port"].append({"name": name, "device": device, "role": "node"})
                binding = {"name": name, "vnet": vnet, "address": address, "port": name}
                config["binding"].append(binding)
            config["mapping"].append({"vnet": "Y", "address": "10.0.0.2", "host": "R"})
        else:
            device = f"net_vhost14,iface={self.socket_of(MOVED)},queues=1,tso=1"
            port = {"name": MOVED, "device": device, "role": "node", "mtu": NODE_MTU}
            config["port"].append(port)
            config["mapping"] += [{**one, "host": "S"} for one in beside]
        return config

    def start(self):
        super().start()
        try:
            self.image = os.path.join(self.directory, "initrd")
            initrd.make(self.image, self.programs, (*FILES, *leases.FILES))
            for short in MACS:
                self.vms[short] = self.guest(short, short in LISTENS).start()
            for short in self.vms:
                self.vms[short].ready()
            self.settle(*self.vms)
            return self
        except BaseException:
            self.close()
            raise

    def guest(self, short, listens, path=None, incoming=None):
        """A machine; one that comes from elsewhere (`incoming`) has files of its
        own, and all else must be as it was."""
        mark = f"{short}-{self.moves}" if incoming else short
        return vm.Vm(
            self.directory,
            mark,
            MACS[short],
            path or self.socket_of(short),
            self.image,
            queues=QUEUES.get(short, 1),
            listens=listens,
            incoming=incoming,
        )

    def settle(self, *shorts):
        """What is done in guests after each of their boots."""
        asked = [(self.vms[short], leases.START[CLIENT[short]]) for short in shorts]
        asked = [(guest, guest.post(command)) for guest, command in asked]
        for guest, number in asked:
            guest.take(number, 60.0)

    def lease_again(self, short):
        """Its client begins anew, as for a machine that is plugged in elsewhere."""
        client = CLIENT[short]
        self.vms[short].run(leases.STOP[client], check=False)
        self.settle(short)

    def lease(self, short):
        """What a guest has: lists of words by what they are."""
        told = {}
        for line in self.vms[short].run("/show").split("\n"):
            name, _, value = line.strip().partition(" ")
            if value:
                told.setdefault(name, []).append(value)
        return told

    def tell(self, short, host, port, address=None):
        """Tells both hosts where a guest is from now on, as a manager would: at
        which host and port, and with which address."""
        old, was = self.place[short], self.address[short]
        address = address or was
        binding = {"name": short.upper(), "vnet": "Z", "address": address, "port": port}
        gone = change("mapping.remove", vnet="Z", mappings=[{"address": was}])
        new = change("mapping.set", vnet="Z", mappings=[{"address": address, "host": host}])
        here = [change("binding.set", binding=binding)]
        if old != host:
            changes = {host: [gone, *here], old: [change("binding.remove", name=short.upper()), new]}
        else:
            other = "S" if host == "R" else "R"
            changes = {host: here, other: [gone, new]}
        for name, batch in changes.items():
            with self.hosts[name].control() as client:
                client.call("batch", changes=batch)
        self.place[short], self.address[short] = host, address

    def migrate(self, short, host, port, listens):
        """Moves a guest while it runs, to a QEMU on a port of `host`; what QEMU
        says of it."""
        leaves = self.vms[short]
        self.moves += 1
        path = os.path.join(self.directory, f"move-{self.moves}")
        comes = self.guest(short, listens, self.socket_of(port), f"unix:{path}")
        self.comers.append(comes)
        comes.start()
        if not net.eventually(lambda: os.path.exists(path), 20.0):
            raise vm.VmError(f"nobody waits for {short}\n{comes.story()}")
        # Where QEMU listens, weft looks once a second.
        time.sleep(1.5 if listens else 0.0)
        told = leaves.migrate(comes)
        self.tell(short, host, port)
        leaves.stop()
        # Started again, it boots.
        comes.incoming = None
        self.vms[short] = comes
        return told

    def warm(self):
        for source, target in (("a", "g"), ("c", "a"), ("g", "c")):
            self.reaches(source, target)

    def reaches(self, source, target, timeout=20.0):
        """Waits until one guest's ping to another is answered."""
        deadline = time.monotonic() + timeout
        while not self.vms[source].ping(self.address[target], 1)[0]:
            if time.monotonic() > deadline:
                raise AssertionError(f"{source} cannot ping {target}\n{self.story()}")

    def listen(self, target, port=5001):
        """Has a guest wait for a stream; `take` gets its hash."""
        guest = self.vms[target]
        return guest, guest.post(f"nc -l -p {port} -e /receive; cat /tmp/sum")

    def send(self, source, target, blocks, port=5001):
        """Has a guest send so many blocks, each behind its number; posted."""
        guest = self.vms[source]
        return guest, guest.post(f"blocks={blocks} nc {self.address[target]} {port} -e /send")

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

    def exchange(self, one, other, blocks, port=5001, timeout=180.0):
        """Sends blocks both ways at once; as `stream`."""
        ends = ((self.vms[one], other), (self.vms[other], one))
        for guest, _ in ends:
            receive = f"nc -l -p {port} -e /receive >/tmp/nc 2>&1"
            guest.run(f"rm -f /tmp/sum; {receive} & echo $! >/tmp/receiver")
        time.sleep(0.5)
        begin = time.monotonic()
        sending = [
            (guest, guest.post(f"blocks={blocks} nc {self.address[far]} {port} -e /send"))
            for guest, far in ends
        ]
        for guest, number in sending:
            guest.take(number, timeout)
        ended = "while [ -d /proc/$(cat /tmp/receiver) ]; do sleep 0.1; done"
        told = [guest.run(f"{ended}; cat /tmp/sum", timeout).split()[:1] for guest, _ in ends]
        return told == [[expected(blocks)]] * 2, time.monotonic() - begin

    def story(self):
        told = [super().story()]
        told += [guest.story() for guest in self.vms.values() if guest.process]
        return "\n".join(told)

    def close(self):
        for guest in (*self.vms.values(), *self.comers):
            guest.stop()
        super().close()


def change(method, **params):
    """One of a batch."""
    return {"method": method, "params": params}


def expected(blocks):
    """The hash of what `send` sends."""
    block, total = initrd.block(), hashlib.sha256()
    for number in range(1, blocks + 1):
        total.update(f"{number}\n".encode())
        total.update(block)
    return total.hexdigest()


assert set(MACS) | {"twin"} == {short for nodes in NODES.values() for short in nodes}
