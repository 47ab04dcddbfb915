"""What virtual routers tell of themselves: net-snmp's tools ask them from stock
Linux stacks, and weft says the same."""

import re
import socket
import time

from case import Case
from test_routers import ROUTERS, RoutedWorld
from world import Plan

MIB = ".1.3.6.1.2.1"
SYSTEM = f"{MIB}.1"
NAME = f"{SYSTEM}.5.0"
IFACES = f"{MIB}.2.2.1"
HIGH = f"{MIB}.31.1.1.1"
ADDRESSES = f"{MIB}.4.20.1"
OLD_ROUTES = f"{MIB}.4.21.1"
ROUTES = f"{MIB}.4.24.7.1"
ENGINE = ".1.3.6.1.6.3.10.2.1.1.0"
PASSWORDS = ("maplesyrup", "mapletree")
SNMP = {
    "communities": ["public"],
    "contact": "noc@example.net",
    "location": "nowhere",
    "users": [
        {
            "name": "alice",
            "auth": "sha256",
            "auth_key": PASSWORDS[0],
            "priv": "aes128",
            "priv_key": PASSWORDS[1],
        },
        {
            "name": "carol",
            "auth": "sha1",
            "auth_key": PASSWORDS[0],
            "priv": "aes128",
            "priv_key": PASSWORDS[1],
        },
        {"name": "bob", "auth": "sha1", "auth_key": PASSWORDS[0]},
        {"name": "dave"},
    ],
}
V2C = ("-v2c", "-c", "public")


def user(name, level, auth="SHA-256", keys=PASSWORDS):
    options = ["-v3", "-u", name, "-l", level]
    if level != "noAuthNoPriv":
        options += ["-a", auth, "-A", keys[0]]
    if level == "authPriv":
        options += ["-x", "AES", "-X", keys[1]]
    return tuple(options)


class SnmpWorld(RoutedWorld):
    """r1 lets itself be asked, r2 does not."""

    def config(self, host):
        config = super().config(host)
        for router in config["router"]:
            if router["name"] == "r1":
                router["snmp"] = SNMP
        return config


class Asking(Case):
    """The tools, and their answers as a table."""

    def tool(self, name, *arguments, short="a", target="10.0.1.1", options=V2C, times=("-r3", "-t2")):
        command = (name, "-m", "", "-Onq", *times, *options, target, *arguments)
        return self.net.exec(short, *command)

    def table(self, text):
        rows = (line.split(" ", 1) for line in text.splitlines() if line.startswith("."))
        return {name: value[0].strip().strip('"') if value else "" for name, *value in rows}

    def walk(self, *arguments, tool="snmpwalk", **how):
        return self.table(self.tool(tool, *arguments, **how))

    def column(self, table, column):
        """Values of a column by the rest of the name."""
        prefix = f"{column}."
        return {
            name[len(prefix) :]: value for name, value in table.items() if name.startswith(prefix)
        }

    def refused(self, *arguments, **how):
        """What a tool says that fails."""
        with self.assertRaises(RuntimeError) as failed:
            self.tool(*arguments, times=("-r0", "-t0.5"), **how)
        # Behind the command, which has the router's name in that of the namespace.
        return str(failed.exception).split(": ", 1)[1]

    def counted(self, name, action):
        before = self.r.counters()[f"snmp_{name}"]
        result = action()
        self.assertGreater(self.r.counters()[f"snmp_{name}"], before, name)
        return result


class Snmp(Asking):
    early = True
    make = SnmpWorld
    how = Plan()

    def test_system(self):
        told = self.walk(SYSTEM)
        self.assertRegex(told[f"{SYSTEM}.1.0"], r"^weft \d+\.\d+\.\d+, a virtual router$")
        self.assertEqual(told[f"{SYSTEM}.4.0"], SNMP["contact"])
        self.assertEqual(told[NAME], "r1")
        self.assertEqual(told[f"{SYSTEM}.6.0"], SNMP["location"])
        self.assertEqual(told[f"{SYSTEM}.7.0"], "4")

    def test_interfaces_are_those_of_weft_router_list(self):
        held = [one["object"] for one in self.r.jsons("router", "list")]
        (router,) = (one for one in held if one["name"] == "r1")
        told = self.walk(MIB)
        self.assertEqual(told[f"{MIB}.2.1.0"], str(len(router["interfaces"])))
        subnets = [interface["subnet"] for interface in router["interfaces"]]
        names = {str(number): name for number, name in enumerate(subnets, 1)}
        self.assertEqual(self.column(told, f"{IFACES}.2"), names)
        self.assertEqual(self.column(told, f"{HIGH}.1"), names)
        addresses = {
            interface["address"]: str(number)
            for number, interface in enumerate(router["interfaces"], 1)
        }
        self.assertEqual(self.column(told, f"{ADDRESSES}.2"), addresses)
        masks = {
            address: "255.255.255.252" if address == "10.0.255.1" else "255.255.255.0"
            for address in addresses
        }
        self.assertEqual(self.column(told, f"{ADDRESSES}.3"), masks)
        # The MAC that ARP tells.
        number = addresses["10.0.1.1"]
        self.net.ping("a", "10.0.1.1", 1)
        entry = self.net.ip("a", "neigh", "show", "10.0.1.1")
        mac = self.column(told, f"{IFACES}.6")[number].replace(" ", ":").strip(":").lower()
        self.assertIn(mac, entry)

    def expected_routes(self):
        """Of r1, by name of the row: type, and number of the interface."""
        held = [one["object"] for one in self.r.jsons("router", "list")]
        (router,) = (one for one in held if one["name"] == "r1")
        numbers = {one["subnet"]: n for n, one in enumerate(router["interfaces"], 1)}
        subnets = {one["object"]["name"]: one["object"] for one in self.r.jsons("subnet", "list")}
        rows = {}
        for subnet, number in numbers.items():
            address, length = subnets[subnet]["prefix"].split("/")
            rows[f"1.4.{address}.{length}.2.0.0.0.0"] = ("3", str(number))
        for held in self.r.jsons("vroute", "list"):
            route = held["object"]
            if route["router"] != "r1":
                continue
            address, length = route["prefix"].split("/")
            if "via" in route:
                hop, kind, number = f"1.4.{route['via']}", "4", str(numbers["link"])
            else:
                kinds = {"blackhole": "5", "prohibit": "2"}
                hop, kind, number = "0.0", kinds[route["action"]], "0"
            rows[f"1.4.{address}.{length}.2.0.0.{hop}"] = (kind, number)
        return rows

    def told_routes(self):
        told = self.walk(ROUTES)
        kinds, numbers = self.column(told, f"{ROUTES}.8"), self.column(told, f"{ROUTES}.7")
        self.assertEqual(list(kinds), list(numbers))
        return {row: (kind, numbers[row]) for row, kind in kinds.items()}

    def test_routes_are_those_of_weft_vroute_list(self):
        expected = self.expected_routes()
        self.assertEqual(len(expected), 6)
        self.assertEqual(self.told_routes(), expected)
        count = self.walk(f"{MIB}.4.24.6")
        self.assertEqual(count[f"{MIB}.4.24.6.0"], str(len(expected)))
        old = self.column(self.walk(OLD_ROUTES), f"{OLD_ROUTES}.7")
        self.assertEqual(old["10.0.3.0"], "10.0.255.2")
        self.assertEqual(old["10.0.1.0"], "10.0.1.1")
        self.assertEqual(old["192.0.2.0"], "0.0.0.0")

    def test_changed_routes_are_told_at_once(self):
        added = {"router": "r1", "prefix": "203.0.113.0/25", "via": "10.0.255.2"}
        with self.r.control() as client:
            client.call("vroute.set", vroute=added)
            try:
                rows = self.told_routes()
                self.assertIn("1.4.203.0.113.0.25.2.0.0.1.4.10.0.255.2", rows)
                self.assertEqual(rows, self.expected_routes())
            finally:
                client.call("vroute.remove", router="r1", prefix="203.0.113.0/25")
        self.assertEqual(self.told_routes(), self.expected_routes())

    def traffic(self, number):
        """What an interface of r1 has passed on, by SNMP: packets and bytes in,
        packets and bytes out, as its table has them."""
        told = self.walk(HIGH)
        columns = ("7", "6", "11", "10")
        return [int(self.column(told, f"{HIGH}.{column}")[number]) for column in columns]

    def counted_at(self, subnet):
        """The same, by weft."""
        counters = self.r.counters()
        names = ("in_packets", "in_bytes", "out_packets", "out_bytes")
        return [counters[f"iface_r1_{subnet}_{name}"] for name in names]

    def test_counters_are_those_of_weft_stats(self):
        numbers = {name: n for n, name in self.column(self.walk(HIGH), f"{HIGH}.1").items()}
        before = {subnet: self.counted_at(subnet) for subnet in ("web", "db", "link")}
        dropped = self.r.counters()["iface_r1_web_dropped"]
        with self.net.socket("c", socket.AF_INET, socket.SOCK_DGRAM) as listener, self.net.socket(
            "a", socket.AF_INET, socket.SOCK_DGRAM
        ) as speaker:
            listener.bind(("", 7000))
            listener.settimeout(3)
            for _ in range(20):
                speaker.sendto(b"x" * 100, ("10.0.2.5", 7000))
                listener.recv(200)
            for _ in range(5):
                speaker.sendto(b"x" * 100, ("192.0.2.1", 7000))
        frames = 14 + 20 + 8 + 100
        after = {subnet: self.counted_at(subnet) for subnet in before}
        grown = [now - then for now, then in zip(after["db"], before["db"])]
        self.assertEqual(grown, [0, 0, 20, 20 * frames])
        self.assertEqual(after["link"], before["link"])
        grown = [now - then for now, then in zip(after["web"], before["web"])]
        self.assertEqual(grown, [25, 25 * frames, 0, 0])
        self.assertEqual(self.r.counters()["iface_r1_web_dropped"], dropped + 5)
        # Where nothing moves, both say the same.
        for subnet in ("db", "link"):
            self.assertEqual(self.traffic(numbers[subnet]), self.counted_at(subnet))
        # Here the questions do: each is one in, and its answer one out.
        told = self.walk(f"{HIGH}.7.{numbers['web']}", f"{HIGH}.11.{numbers['web']}", tool="snmpget")
        came, left = (int(value) for value in told.values())
        now = self.counted_at("web")
        self.assertEqual((came, left + 1), (now[0], now[2]))

    def test_walks_of_all_kinds_see_the_same(self):
        """Without what changes from one to the next."""
        moving = re.compile(
            rf"^({SYSTEM}\.3\.|{IFACES}\.1[01367]\.|{HIGH}\.([67]|1[01])\.|\.1\.3\.6\.1\.6\.3\.)"
        )

        def seen(**how):
            told = self.walk(".1.3.6.1", **how)
            return [(name, value) for name, value in told.items() if not moving.match(name)]

        first = seen()
        self.assertGreater(len(first), 80)
        for options in (V2C, user("alice", "authPriv"), user("bob", "authNoPriv", "SHA")):
            for tool in ("snmpwalk", "snmpbulkwalk"):
                with self.subTest(tool=tool, options=options):
                    self.assertEqual(seen(tool=tool, options=options), first)

    def test_every_interface_answers_nodes_of_every_subnet(self):
        for short in ("a", "c", "g"):
            for address in ROUTERS["r1"].values():
                with self.subTest(short=short, address=address):
                    told = self.walk(NAME, tool="snmpget", short=short, target=address)
                    self.assertEqual(told, {NAME: "r1"})

    def test_users_of_version_3(self):
        for options in (
            user("alice", "authPriv"),
            user("carol", "authPriv", "SHA"),
            user("bob", "authNoPriv", "SHA"),
            user("dave", "noAuthNoPriv"),
        ):
            with self.subTest(options=options):
                told = self.walk(NAME, tool="snmpget", options=options)
                self.assertEqual(told, {NAME: "r1"})

    def test_each_host_has_an_engine_of_its_own(self):
        here = self.walk(ENGINE, tool="snmpget")
        there = self.walk(ENGINE, tool="snmpget", short="g")
        self.assertNotEqual(here[ENGINE], there[ENGINE])
        self.assertEqual(self.walk(ENGINE, tool="snmpget", short="c"), here)

    def test_who_may_not_ask_is_refused_and_counted(self):
        get = ("snmpget", NAME)
        text = self.counted("community", lambda: self.refused(*get, options=("-v2c", "-c", "guess")))
        self.assertIn("Timeout", text)
        self.counted("version", lambda: self.refused(*get, options=("-v1", "-c", "public")))
        for counter, options, words in (
            ("unknown_user", user("eve", "authPriv"), "Unknown user name"),
            ("wrong_digest", user("alice", "authPriv", keys=("wrongwrong", PASSWORDS[1])), ""),
            ("undecryptable", user("alice", "authPriv", keys=(PASSWORDS[0], "wrongwrong")), ""),
            ("unsupported_level", user("bob", "authPriv", "SHA"), "security level"),
            ("access", user("alice", "authNoPriv"), "authorizationError"),
            ("access", user("alice", "noAuthNoPriv"), "authorizationError"),
        ):
            with self.subTest(options=options):
                text = self.counted(counter, lambda o=options: self.refused(*get, options=o))
                self.assertIn(words, text)
                self.assertNotIn("r1", text)

    def test_nothing_can_be_set(self):
        text = self.counted("read_only", lambda: self.refused("snmpset", NAME, "s", "mine"))
        self.assertIn("noAccess", text)
        self.assertEqual(self.walk(NAME, tool="snmpget"), {NAME: "r1"})

    def test_a_router_without_it_has_nobody_listening(self):
        with self.net.socket("g", socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(2)
            asker.connect((ROUTERS["r2"]["far"], 161))
            asker.send(b"anybody?")
            with self.assertRaises(ConnectionRefusedError):
                asker.recv(100)

    def test_it_can_be_switched_on_and_changed(self):
        (held,) = (one for one in self.r.jsons("router", "list") if one["object"]["name"] == "r2")
        asked = {"tool": "snmpget", "target": ROUTERS["r2"]["link"]}
        with self.r.control() as client:
            try:
                for community in ("one", "other"):
                    changed = {**held["object"], "snmp": {"communities": [community]}}
                    client.call("router.set", router=changed)
                    told = self.walk(NAME, options=("-v2c", "-c", community), **asked)
                    self.assertEqual(told, {NAME: "r2"})
                self.refused("snmpget", NAME, options=("-v2c", "-c", "one"), target=asked["target"])
            finally:
                client.call("router.set", router=held["object"])


class OwnRouterWorld(RoutedWorld):
    """The gateways are nobody's, so the vnet's own router has them."""

    def config(self, host):
        config = super().config(host)
        config["router"], config["vroute"] = [], []
        (vnet,) = (vnet for vnet in config["vnet"] if vnet["name"] == "Z")
        vnet["snmp"] = {"communities": ["public"], "location": "nowhere"}
        return config


class OwnRouter(Asking):
    make = OwnRouterWorld
    how = Plan()

    def test_a_vnets_own_router(self):
        names = {"1": "web", "2": "db", "3": "far"}
        # On two hosts, by each gateway.
        for short, gateway in (("a", "10.0.1.1"), ("c", "10.0.2.1"), ("g", "10.0.3.1")):
            told = self.walk(MIB, short=short, target=gateway)
            self.assertEqual((told[NAME], told[f"{SYSTEM}.6.0"]), ("Z", "nowhere"))
            self.assertEqual(self.column(told, f"{IFACES}.2"), names)
            self.assertIn(gateway, self.column(told, f"{ADDRESSES}.2"))
        # Its counters are those of `weft stats`.
        self.assert_ping("a", "10.0.2.5")
        counters = self.r.counters()
        told = self.column(self.walk(IFACES), f"{IFACES}.11")
        self.assertGreaterEqual(int(told["1"]), counters["iface_Z_web_in_packets"])
        self.assertGreaterEqual(counters["iface_Z_web_in_packets"], 5)
        # It is what the vnet says now.
        with self.r.control() as client:
            held = next(
                one["object"] for one in self.r.jsons("vnet", "list") if one["object"]["name"] == "Z"
            )
            client.call("vnet.set", vnet={**held, "snmp": {"communities": ["other"]}})
            self.refused("snmpget", NAME)
            told = self.walk(NAME, tool="snmpget", options=("-v2c", "-c", "other"))
            self.assertEqual(told, {NAME: "Z"})
            del held["snmp"]
            client.call("vnet.set", vnet=held)
        with self.net.socket("a", socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(2)
            asker.connect(("10.0.1.1", 161))
            asker.send(b"anybody?")
            with self.assertRaises(ConnectionRefusedError):
                asker.recv(100)


class SnmpManyRoutes(Asking):
    """A walk of a hundred thousand routes."""

    make = SnmpWorld
    how = Plan(limits={"punt_rate": 100_000})
    count = 100_000

    def test_all_of_them_in_order(self):
        def route(number):
            octets = (0xB << 28 | number << 8).to_bytes(4, "big")
            prefix = ".".join(str(octet) for octet in octets) + "/24"
            return {"router": "r1", "prefix": prefix, "via": "10.0.255.2"}

        with self.r.control() as client:
            for first in range(0, self.count, 4000):
                changes = [
                    {"method": "vroute.set", "params": {"vroute": route(number)}}
                    for number in range(first, first + 4000)
                ]
                client.call("batch", changes=changes)
        start = time.monotonic()
        told = self.walk(
            f"{ROUTES}.8", tool="snmpbulkwalk", options=(*V2C, "-Cr50"), times=("-r5", "-t1")
        )
        took = time.monotonic() - start
        print(f"{len(told)} routes in {took:.1f} s")
        self.assertEqual(len(told), self.count + 6)
        self.assertLess(took, 120)
