"""The cases of tests/rfc7915 on the wire: through the running relay, byte by
byte."""

import json
import os
import select
import tempfile
import time
import tomllib
import unittest

from lab import net, plan, weft, written
from lab.probe import Link, Probe
from world import ROOT

FOLDER = os.path.join(ROOT, "tests", "rfc7915")
MAC = b"\x02\0\0\0\0\xfe"
# Reasons of the engine that the appliance counts by another name.
COUNTED = {
    "bad_length": "bad_total_length",
    "denied": "address_denied",
    "first_fragment_too_short": "first_fragment_short",
}


class Wire(unittest.TestCase):
    """The relay of relay.toml. For each case its configuration is applied, in
    the order in which least changes."""

    mtu = 16000
    least = 700

    @classmethod
    def setUpClass(cls):
        run = f"rfc-{os.getpid()}-{cls.__name__.lower()}"
        cls.net = net.Net(run)
        cls.addClassCleanup(cls.net.close)
        cls.directory = tempfile.TemporaryDirectory(prefix="weft-rfc.")
        cls.addClassCleanup(cls.directory.cleanup)
        cls.net.add("w")
        cls.net.exec("w", "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
        cls.cases = [c for c in written.load(os.path.join(FOLDER, "cases")) if cls.takes(c)]
        cls.wires()
        cls.relay = weft.Weft(
            cls.directory.name, cls.config(), namespace=cls.net.name("w"), prefix=f"weft-{run}"
        )
        cls.addClassCleanup(cls.relay.stop)
        cls.relay.start()
        cls.links = {}
        for side in (4, 6):
            short, interface = cls.end(side)
            head = plan.mac(cls.net.mac("w", f"weft-t{side}")) + MAC
            cls.links[side] = Link(cls.net, short, interface, head)
        cls.client = cls.relay.control(access="ro")
        cls.addClassCleanup(cls.client.close)
        cls.applied = None

    @staticmethod
    def takes(case):
        """The kernel puts fragments of IPv4 on packet sockets together."""
        return not fragmented(case)

    @classmethod
    def wires(cls):
        cls.net.add("x")
        cls.net.exec("x", "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
        for side in (4, 6):
            cls.net.link("w", f"weft-t{side}", "x", f"weft-x{side}", mtu=cls.mtu)

    @staticmethod
    def end(side):
        """Where packets are put in and looked for."""
        return "x", f"weft-x{side}"

    @staticmethod
    def device(side):
        return f"net_af_packet{side},iface=weft-t{side}"

    @classmethod
    def config(cls, case=None):
        with open(os.path.join(FOLDER, "relay.toml"), "rb") as file:
            table = tomllib.load(file)
        if case:
            case.settings(table)
        relay = table["relay"]
        for side in (4, 6):
            relay[f"ipv{side}"] |= {"via_mac": plan.mac_text(MAC)}
        return {
            "name": "relay",
            "runtime": {"control_cpu": 0, "workers": [1], "idle": "backoff"},
            "port": [
                {
                    "name": relay[f"ipv{side}"]["port"],
                    "device": cls.device(side),
                    "role": f"relay{side}",
                    "mtu": cls.mtu,
                    "queues": 1,
                }
                for side in (4, 6)
            ],
            **table,
        }

    def apply(self, case):
        config = self.config(case)
        text = json.dumps(config, sort_keys=True)
        if text == self.applied:
            return
        for key in ("control", "runtime"):
            config[key] = self.relay.config[key]
        path = os.path.join(self.directory.name, "case.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(weft.to_toml(config))
        self.relay.cli("apply", path)
        type(self).applied = text

    def counters(self):
        return self.client.counters()[0]

    def test_cases(self):
        self.assertGreater(len(self.cases), self.least)
        for case in sorted(self.cases, key=lambda c: (c.set, c.unset)):
            with self.subTest(case=case.name):
                self.apply(case)
                for number, exchange in enumerate(case.exchanges):
                    self.exchange(exchange, number)
        # Nothing came late, of which nobody knows what it was about.
        self.assertEqual(self.arrived(0.3), [])

    def exchange(self, exchange, number):
        before = self.counters()
        wanted = [(p.side, p) for p in exchange.outputs]
        if exchange.reply:
            wanted.append((exchange.reply.side, exchange.reply))
        side = exchange.sent.side
        self.links[side].send(side, bytes(exchange.sent.octets))
        got = self.arrived(2.0, len(wanted))
        after = self.settled(before)
        got += self.arrived(0.002)
        dropped = {
            name.removeprefix("drop_"): after[name] - before[name]
            for name in after
            if name.startswith("drop_") and after[name] != before[name]
        }
        drop = exchange.drop and COUNTED.get(exchange.drop, exchange.drop)
        self.assertEqual(dropped, {drop: 1} if drop else {}, f"in {number}; sent: {told(got)}")
        self.assertEqual([s for s, _ in got], [s for s, _ in wanted], f"in {number}: {told(got)}")
        for (_, packet), (_, octets) in zip(wanted, got):
            if not packet.matches(octets):
                self.fail(f"in {number}: wanted\n{packet.text()}\ngot\n{octets.hex(' ')}")
        ids = {packet.free_id(octets) for (_, packet), (_, octets) in zip(wanted, got)}
        self.assertLessEqual(len(ids), 1, "fragments of different packets")

    def arrived(self, timeout, count=None):
        """What comes within that time, or until there is so much of it."""
        found = []
        deadline = time.monotonic() + timeout
        links = list(self.links.values())
        while count is None or len(found) < count:
            left = deadline - time.monotonic()
            ready, _, _ = select.select(links, [], [], max(0, left))
            if not ready:
                return found
            for link in ready:
                while got := link.receive():
                    if not Probe.foreign(got):
                        found.append(got)
        return found

    def settled(self, before):
        """Counters when the packet that was sent is accounted for."""
        deadline = time.monotonic() + 2.0
        while True:
            counters = self.counters()
            into, out = weft.balance(counters)
            if counters["rx"] > before["rx"] and into == out:
                return counters
            if time.monotonic() > deadline:
                self.fail(f"{counters['rx'] - before['rx']} received; {into} in, {out} out")


class WireFragments(Wire):
    """The others on taps, which take no more than 1500 bytes."""

    mtu = 1500
    least = 20

    @staticmethod
    def takes(case):
        return fragmented(case)

    @classmethod
    def wires(cls):
        """The driver makes them."""

    @staticmethod
    def end(side):
        return "w", f"weft-t{side}"

    @staticmethod
    def device(side):
        return f"net_tap{side},iface=weft-t{side}"


def fragmented(case):
    """A fragment of IPv4 comes in."""
    sent = [e.sent.octets for e in case.exchanges if e.sent.side == 4 and len(e.sent.octets) > 7]
    return any(int.from_bytes(octets[6:8], "big") & 0x3FFF for octets in sent)


def told(got):
    return [(side, octets.hex(" ")) for side, octets in got] or "nothing"


if __name__ == "__main__":
    unittest.main()
