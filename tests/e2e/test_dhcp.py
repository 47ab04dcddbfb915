"""DHCP by the host: frames that scapy makes with the exact answers, and the
clients that machines run, with the addresses of their bindings and of pools."""

import os
import shutil
import subprocess
import textwrap

from case import Case
from lab import net, plan
from scapy.layers.dhcp import BOOTP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from world import Plan, World

SERVER = "10.0.0.1"
EVERYBODY = "ff:ff:ff:ff:ff:ff"
XID = 0x12345678
# What the subnet says, as options: in the order in which the rows ask for it.
MASK = (1, bytes([255, 255, 255, 0]))
ROUTER = (3, bytes([10, 0, 0, 1]))
DNS = (6, bytes([10, 0, 0, 53, 10, 0, 0, 54]))
NAME = (12, b"A")
DOMAIN = (15, b"z.example")
MTU = (26, (1472).to_bytes(2, "big"))
BROADCAST = (28, bytes([10, 0, 0, 255]))
NTP = (42, bytes([10, 0, 0, 123]))
SEARCH = (119, b"\1z\7example\0\7example\0")
ROUTES = (121, bytes([16, 172, 16, 10, 0, 0, 9, 0, 10, 0, 0, 1]))
GIVEN = [
    (54, bytes([10, 0, 0, 1])),
    (51, (3600).to_bytes(4, "big")),
    (58, (1800).to_bytes(4, "big")),
    (59, (3150).to_bytes(4, "big")),
]
SUBNET = {
    "name": "web",
    "vnet": "Z",
    "prefix": "10.0.0.0/24",
    "gateway": SERVER,
    "dhcp": {
        "dns": ["10.0.0.53", "10.0.0.54"],
        "ntp": ["10.0.0.123"],
        "domain": "z.example",
        "search": ["z.example", "example"],
        "lease_seconds": 3600,
        "routes": [{"prefix": "172.16.0.0/16", "via": "10.0.0.9"}],
    },
}


class Served(World):
    """Hosts answer the nodes of Z, and nobody those of Y."""

    def config(self, host):
        config = super().config(host)
        config["vnet"][0]["dhcp"] = "host"
        config["subnet"] = [SUBNET]
        return config


def octets(address):
    return bytes(int(part) for part in address.split("."))


def message(options, *, op=1, chaddr, **fields):
    """A message of at least 300 bytes."""
    fixed = BOOTP(op=op, xid=XID, chaddr=plan.mac(chaddr) + bytes(10), options=b"c\x82Sc", **fields)
    ended = b"".join(bytes([code, len(value)]) + value for code, value in options) + b"\xff"
    return (bytes(fixed) + ended).ljust(300, b"\0")


def frame(link, ends, ports, data, **ip):
    (destination, source), (src, dst), (sport, dport) = link, ends, ports
    packet = IP(src=src, dst=dst, ttl=64, **ip) / UDP(sport=sport, dport=dport) / Raw(data)
    return bytes(Ether(dst=destination, src=source) / packet)


class Rows(Case):
    """A frame in, the exact frame out, or none and a counter."""

    how = Plan(nodes="af_packet")
    make = Served
    quick = True

    def setUp(self):
        self.wire = self.world.wire("a", "weft-a")
        self.own = self.net.mac("a", "weft-a")
        self.server_mac = plan.mac_text(plan.virtual_mac("Z", SERVER, 0x72))

    def ask(self, options, to=EVERYBODY, ends=("0.0.0.0", "255.255.255.255"), **fields):
        (src, dst), ports = ends, fields.pop("ports", (68, 67))
        fields.setdefault("chaddr", self.own)
        data = message(options, ciaddr=fields.pop("ciaddr", src), **fields)
        return frame((to, self.own), (src, dst), ports, data)

    def told(self, options, to=None, dst="10.0.0.2", **fields):
        data = message(options, op=2, chaddr=self.own, **fields)
        return frame(
            (to or self.own, self.server_mac), (SERVER, dst), (67, 68), data, id=0, flags="DF"
        )

    def answered(self, what, asked, expected):
        self.wire.clear()
        self.wire.send(asked)
        got = self.wire.wait(lambda octets: octets[23:24] == b"\x11", outgoing=False)
        self.assertIsNotNone(got, f"{what}: no answer; {self.world.drops()}")
        self.assertEqual(got.hex(), expected.hex(), what)

    def silent(self, what, asked, counter):
        before = self.r.counters()[counter]
        self.wire.clear()
        self.wire.send(asked)
        counted = net.eventually(lambda: self.r.counters()[counter] == before + 1, 3.0)
        self.assertTrue(counted, f"{what}: {counter} is not one more")
        self.assertIsNone(self.wire.wait(lambda octets: octets[23:24] == b"\x11", 0.1, False), what)

    def test_every_message(self):
        asked = (55, bytes([1, 6, 12, 15, 28, 42, 119, 121]))
        facts = [MASK, DNS, NAME, DOMAIN, BROADCAST, NTP, SEARCH, ROUTES, MTU]
        needed = [MASK, ROUTER, MTU]
        wish = (50, octets("10.0.0.2"))
        other = (50, octets("10.0.0.7"))
        server = (54, octets(SERVER))
        nak = [(53, b"\6"), server, (56, b"the address of this node is 10.0.0.2")]
        refused = self.told(nak, to=EVERYBODY, dst="255.255.255.255")
        offered = self.told([(53, b"\2"), *GIVEN, *facts], yiaddr="10.0.0.2")
        granted = self.told([(53, b"\5"), *GIVEN, *needed], yiaddr="10.0.0.2")
        used = self.told([(53, b"\5"), *GIVEN, *needed], yiaddr="10.0.0.2", ciaddr="10.0.0.2")
        informed = self.told([(53, b"\5"), server, *needed], ciaddr="10.0.0.2")
        few = (55, b"\1")
        alone = {"to": self.server_mac, "ends": ("10.0.0.2", SERVER)}
        rebinding = {"ends": ("10.0.0.2", "255.255.255.255")}
        elsewhere = {"ends": ("10.0.0.7", "255.255.255.255")}
        deaf = self.told(
            [(53, b"\2"), *GIVEN, *needed],
            to=EVERYBODY,
            dst="255.255.255.255",
            yiaddr="10.0.0.2",
            flags=0x8000,
        )
        for what, sent, expected in (
            ("discover", self.ask([(53, b"\1"), asked]), offered),
            ("discover, deaf", self.ask([(53, b"\1"), few], flags=0x8000), deaf),
            ("selecting", self.ask([(53, b"\3"), server, wish, few]), granted),
            ("selecting another", self.ask([(53, b"\3"), server, other, few]), refused),
            ("rebooting", self.ask([(53, b"\3"), wish, few]), granted),
            ("rebooting elsewhere", self.ask([(53, b"\3"), other, few]), refused),
            ("renewing", self.ask([(53, b"\3"), few], **alone), used),
            ("rebinding", self.ask([(53, b"\3"), few], **rebinding), used),
            ("rebinding another", self.ask([(53, b"\3"), few], **elsewhere), refused),
            ("inform", self.ask([(53, b"\x08"), few], **alone), informed),
        ):
            with self.subTest(what):
                self.answered(what, sent, expected)

    def test_what_gets_no_answer(self):
        discover = [(53, b"\1")]
        wish = (50, octets("10.0.0.2"))
        other = (54, octets("10.0.0.9"))
        from_c = {"ends": ("10.0.0.5", "255.255.255.255")}
        rogue = {"ends": ("10.0.0.2", "255.255.255.255"), "ports": (67, 68), "op": 2}
        for what, sent, counter in (
            ("decline", self.ask([(53, b"\4"), wish]), "dhcp_decline_in"),
            ("relayed", self.ask(discover, giaddr="10.0.0.9"), "dhcp_relayed"),
            ("a relay's option", self.ask([*discover, (82, b"\1\2ab")]), "dhcp_relayed"),
            ("another's MAC", self.ask(discover, chaddr="02:00:00:00:00:99"), "dhcp_chaddr"),
            ("another server", self.ask([(53, b"\3"), other, wish]), "dhcp_other_server"),
            ("another's address", self.ask([(53, b"\x08")], **from_c), "dhcp_no_address"),
            ("a server's message", self.ask([(53, b"\2")]), "dhcp_not_a_request"),
            ("a wrong checksum", self.ask(discover)[:-1] + b"\1", "dhcp_bad_packet"),
            ("a rogue server", self.ask([(53, b"\2")], **rogue), "drop_dhcp_server"),
            ("nobody's port", self.ask(discover, ports=(68, 69)), "drop_broadcast"),
        ):
            with self.subTest(what):
                self.silent(what, sent, counter)

    def test_nodes_of_another_vnet_get_none(self):
        wire, own = self.world.wire("twin", "weft-twin"), self.net.mac("twin", "weft-twin")
        before = self.r.counters()["dhcp_not_served"]
        data = message([(53, b"\1")], chaddr=own)
        wire.send(frame((EVERYBODY, own), ("0.0.0.0", "255.255.255.255"), (68, 67), data))
        counted = net.eventually(lambda: self.r.counters()["dhcp_not_served"] == before + 1)
        self.assertTrue(counted)
        self.assertEqual(wire.seen(lambda octets: octets[23:24] == b"\x11", False), [])


# What both clients call: they name what they were given by variables.
UDHCPC = """
    #!/bin/sh
    env > {told}.$1
    case "$1" in
    deconfig) ip link set "$interface" up; ip -4 addr flush dev "$interface";;
    bound|renew)
        ip addr replace "$ip/$mask" dev "$interface"
        ip link set "$interface" mtu "$mtu"
        ip route replace default via "$router" dev "$interface";;
    esac
"""
DHCLIENT = """
    #!/bin/sh
    env > {told}.$reason
    case "$reason" in
    PREINIT) ip link set "$interface" up;;
    BOUND|RENEW|REBIND|REBOOT)
        ip addr replace "$new_ip_address/$new_subnet_mask" dev "$interface"
        ip link set "$interface" mtu "$new_interface_mtu";;
    RELEASE|EXPIRE|STOP) ip -4 addr flush dev "$interface";;
    esac
"""
CONFIG = """
    option routes code 121 = array of unsigned integer 8;
    send host-name "alpha";
    request subnet-mask, routers, domain-name-servers, domain-name, interface-mtu, routes;
"""


class Machines(Case):
    """What runs clients."""

    def script(self, name, text):
        path = os.path.join(self.world.directory, name)
        told = os.path.join(self.world.directory, f"{name}-told")
        with open(path, "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(text).lstrip().replace("{told}", told))
        os.chmod(path, 0o755)
        return path, told

    def variables(self, path):
        with open(path, encoding="utf-8") as file:
            return dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)

    def lease(self, node, host=None):
        leases = (host or self.r).jsons("lease", "list", "--vnet", "Z")
        found = [one for one in leases if one["node"] == node]
        return found[0] if found else None

    def start(self, short, *command):
        inside = ["ip", "netns", "exec", self.net.name(short), *command]
        process = subprocess.Popen(inside, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait, 5)
        self.addCleanup(process.kill)
        return process

    def has(self, short, text):
        def shown():
            return self.net.ip(short, "-4", "addr", "show", "dev", f"weft-{short}")

        return net.eventually(lambda: text in shown(), 10.0), shown()

    def udhcpc(self, short, *options):
        """A client that stays, and where it tells what it was given."""
        self.assertTrue(shutil.which("busybox"), "busybox is not installed: scripts/setup")
        script, told = self.script(f"udhcpc-{short}", UDHCPC)
        self.net.ip(short, "-4", "addr", "flush", "dev", f"weft-{short}")
        command = ["busybox", "udhcpc", "-f", "-i", f"weft-{short}", "-s", script, "-t5", "-T1"]
        return self.start(short, *command, *options), told


class Clients(Machines):
    """Machines get, renew and give back their addresses, and then talk."""

    how = Plan(nodes="af_packet")
    make = Served

    def test_udhcpc(self):
        options = [f"-O{name}" for name in ("mtu", "search", "ntpsrv")]
        client, told = self.udhcpc("c", "-x", "hostname:beta", *options)
        ready, shown = self.has("c", "10.0.0.5/24")
        self.assertTrue(ready, f"{shown}\n{self.world.drops()}")
        given = self.variables(f"{told}.bound")
        for name, value in (
            ("subnet", "255.255.255.0"),
            ("router", SERVER),
            ("dns", "10.0.0.53 10.0.0.54"),
            ("domain", "z.example"),
            ("mtu", "1472"),
            ("lease", "3600"),
            ("serverid", SERVER),
        ):
            self.assertEqual(given.get(name), value, name)
        self.assertEqual(self.net.mac("c", "weft-c"), self.lease("C")["mac"])
        self.assert_ping("c", "10.0.0.3")
        self.assert_ping("c", "10.0.0.2")
        # Renewing goes to the server alone, as ARP finds it.
        before = self.r.counters()["dhcp_ack_out"]
        client.send_signal(10)
        renewed = net.eventually(lambda: os.path.exists(f"{told}.renew"), 10.0)
        self.assertTrue(renewed, str(self.world.drops()))
        self.assertEqual(self.r.counters()["dhcp_ack_out"], before + 1)

    def test_dhclient(self):
        self.assertTrue(shutil.which("dhclient"), "dhclient is not installed: scripts/setup")
        script, told = self.script("dhclient", DHCLIENT)
        config, _ = self.script("dhclient.conf", CONFIG)
        self.net.ip("a", "-4", "addr", "flush", "dev", "weft-a")
        files = ["-lf", f"{told}.leases", "-pf", f"{told}.pid"]
        command = ["dhclient", "-4", "-sf", script, "-cf", config, *files]
        self.start("a", *command, "-d", "weft-a")
        ready, shown = self.has("a", "10.0.0.2/24")
        self.assertTrue(ready, f"{shown}\n{self.world.drops()}")
        given = self.variables(f"{told}.BOUND")
        self.assertEqual(given["new_interface_mtu"], "1472")
        self.assertEqual(given["new_domain_name_servers"], "10.0.0.53 10.0.0.54")
        self.assertEqual(given["new_routes"], "16 172 16 10 0 0 9 0 10 0 0 1")
        self.assertNotIn("new_routers", given)
        lease = self.lease("A")
        self.assertEqual(lease["host_name"], "alpha")
        self.assertLessEqual(lease["expires"], 3600)
        self.assert_ping("a", "10.0.0.3")
        # Giving it back, it says so to the server alone.
        self.net.exec("a", *command, "-r", "weft-a", timeout=30)
        gone = net.eventually(lambda: self.lease("A") is None, 10.0)
        self.assertTrue(gone, str(self.world.drops()))
        # Other tests talk from there.
        self.net.address("a", "weft-a", "10.0.0.2/24")


# Of one subnet each host gives away a part, which lies behind it as a whole.
POOLS = {"R": ("10.0.0.128", 29), "S": ("10.0.0.136", 29)}


class Pooled(Served):
    """C and G have no addresses of their own."""

    def config(self, host):
        config = super().config(host)
        other = "S" if host == "R" else "R"
        first, length = POOLS[host]
        last = first[: first.rindex(".") + 1] + str(int(first.rsplit(".", 1)[1]) + 7)
        dhcp = {**SUBNET["dhcp"], "pool": f"{first}-{last}"}
        config["subnet"] = [{**SUBNET, "dhcp": dhcp}]
        for binding in config["binding"]:
            if binding["name"] in ("C", "G"):
                del binding["address"]
                binding["subnet"] = "web"
        known = [one for one in config["mapping"] if one["address"] == "10.0.0.2"]
        there, length = POOLS[other]
        known.append({"vnet": "Z", "address": f"{there}/{length}", "host": other})
        config["mapping"] = known
        config["state"] = {"journal": os.path.join(self.directory, f"journal-{host}")}
        return config

    def warm(self):
        """Nobody has an address yet but A."""


class Pools(Machines):
    """Nodes of two hosts, and what they have of the subnet's pools."""

    how = Plan(nodes="af_packet")
    make = Pooled

    def shown(self, short, host, node):
        ready, shown = self.has(short, "10.0.0.1")
        self.assertTrue(ready, f"{shown}\n{self.world.drops()}")
        address = self.lease(node, host)["address"]
        self.assertIn(f"{address}/24", shown)
        return address

    def test_addresses_of_two_hosts(self):
        self.net.ip("c", "-4", "addr", "flush", "dev", "weft-c")
        # What it takes by itself is not its own.
        self.net.address("c", "weft-c", "10.0.0.130/24")
        self.assert_no_ping("c", "10.0.0.2")
        client, _ = self.udhcpc("c", "-R")
        self.udhcpc("g")
        mine, its = self.shown("c", self.r, "C"), self.shown("g", self.s, "G")
        self.assertIn(int(mine.rsplit(".", 1)[1]), range(128, 136))
        self.assertIn(int(its.rsplit(".", 1)[1]), range(136, 144))
        self.assert_ping("c", its)
        self.assert_ping("g", mine)
        self.assert_ping("a", its)
        # It stays when the host is restarted, and the client does nothing.
        self.r.kill()
        self.r.start()
        held = net.eventually(lambda: self.lease("C") is not None, 5.0)
        self.assertTrue(held)
        self.assertEqual(self.lease("C")["address"], mine)
        answered = net.eventually(lambda: self.net.ping("c", its, 1)[0] == 1, 10.0)
        self.assertTrue(answered, str(self.world.drops()))
        self.assert_ping("g", mine)
        # And goes when it is given back, whatever the machine still says.
        client.send_signal(12)
        gone = net.eventually(lambda: self.lease("C") is None, 5.0)
        self.assertTrue(gone, str(self.world.drops()))
        shown = lambda: self.net.ip("c", "-4", "addr", "show", "dev", "weft-c")
        self.assertTrue(net.eventually(lambda: mine not in shown(), 5.0), shown())
        self.net.ip("c", "addr", "replace", f"{mine}/24", "dev", "weft-c")
        before = self.refused()
        self.assert_no_ping("c", "10.0.0.2")
        self.assertGreater(self.refused(), before)

    def refused(self):
        """Frames of nodes with addresses that are not theirs."""
        counters = self.r.counters()
        return counters["drop_spoofed_source"] + counters["arp_spoofed_address"]


class ServedByG(World):
    """The server of Z is G, at S. C, at R, has no address of its own, and R and
    S know where those are that the server gives away."""

    def config(self, host):
        config = super().config(host)
        config["vnet"][0].update({"dhcp": "node", "dhcp_server": "10.0.0.3"})
        for binding in config["binding"]:
            if binding["name"] == "C":
                del binding["address"]
        if host == "S":
            known = [one for one in config["mapping"] if one["address"] == "10.0.0.2"]
            known.append({"vnet": "Z", "address": "10.0.0.128/29", "host": "R"})
            config["mapping"] = known
        return config


class Server(Machines):
    """A server that is a node, on another host than its clients."""

    how = Plan(nodes="af_packet")
    make = ServedByG

    def dnsmasq(self, short, first, last):
        """A server behind this node's wire, and where it writes what it does."""
        self.assertTrue(shutil.which("dnsmasq"), "dnsmasq-base is not installed: scripts/setup")
        log = os.path.join(self.world.directory, f"dnsmasq-{short}")
        command = ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--no-ping"]
        command += ["--user=root", f"--interface=weft-{short}", "--bind-interfaces"]
        command += [f"--dhcp-range={first},{last},255.255.255.0,120", "--dhcp-authoritative"]
        command += [f"--dhcp-leasefile={log}.leases", f"--pid-file={log}.pid"]
        command += ["--log-dhcp", f"--log-facility={log}", "--dhcp-option=option:mtu,1472"]
        self.start(short, *command, "--dhcp-option=option:router,10.0.0.3")
        started = net.eventually(lambda: os.path.exists(log), 5.0)
        self.assertTrue(started, f"no {log}")
        return log

    def test_a_node_is_the_server(self):
        # One that the vnet does not name offers another address, and is not heard.
        rogue = self.dnsmasq("a", "10.0.0.200", "10.0.0.207")
        log = self.dnsmasq("g", "10.0.0.128", "10.0.0.135")
        client, told = self.udhcpc("c", "-R", "-Omtu")
        ready, shown = self.has("c", "10.0.0.1")
        self.assertTrue(ready, f"{shown}\n{self.world.story()}")
        lease = self.lease("C")
        self.assertIn(int(lease["address"].rsplit(".", 1)[1]), range(128, 136))
        self.assertEqual(lease["mac"], self.net.mac("c", "weft-c"))
        self.assertIn(f"{lease['address']}/24", shown)
        self.assertLessEqual(lease["expires"], 120)
        with open(log, encoding="utf-8") as file:
            self.assertIn(f"DHCPACK(weft-g) {lease['address']}", file.read())
        # The requests of clients reach the server and nobody else.
        with open(rogue, encoding="utf-8") as file:
            self.assertNotIn("DHCPDISCOVER", file.read())
        self.assert_ping("c", "10.0.0.3")
        self.assert_ping("c", "10.0.0.2")
        self.assert_ping("g", lease["address"])
        # It asks the server alone to renew, and its host hears the answer.
        seen = self.r.counters()["dhcp_ack_out"]
        client.send_signal(10)
        renewed = net.eventually(lambda: os.path.exists(f"{told}.renew"), 10.0)
        self.assertTrue(renewed, str(self.world.drops()))
        self.assertEqual(self.r.counters()["dhcp_ack_out"], seen + 1)
        # Even one that answers unasked is not heard.
        before = self.drops(self.r, "dhcp_server")
        wire, own = self.world.wire("a", "weft-a"), self.net.mac("a", "weft-a")
        offer = message([(53, b"\5")], op=2, chaddr=self.net.mac("c", "weft-c"), yiaddr="10.0.0.200")
        ends = ("10.0.0.2", "255.255.255.255")
        wire.send(frame((EVERYBODY, own), ends, (67, 68), offer))
        counted = net.eventually(lambda: self.drops(self.r, "dhcp_server") == before + 1, 3.0)
        self.assertTrue(counted)
        self.assertEqual(self.lease("C")["address"], lease["address"])
