"""The files for Pktgen-DPDK. pktgen itself is in no package; what its scripts
ask for is run by an ordinary Lua, and what they would send goes to a real
weft, whose counters are compared with statistics of pktgen's shapes."""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

from lab import frames, measured, plan, weft
from lab.net import Net, eventually, forget_prefix
from lab.proc import Process

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = os.path.join(weft.ROOT, "scripts", "pktgen")
LUA = "lua5.4"


def script(name, *arguments, **environment):
    """Runs one of the Lua scripts; its calls as lists of words."""
    done = subprocess.run(
        [LUA, os.path.join(HERE, "pktgen.lua"), os.path.join(SCRIPTS, name), *arguments],
        capture_output=True, text=True, check=False, env=os.environ | environment,
    )
    return done, [line.split("\t") for line in done.stdout.splitlines()]


class Ranges:
    """pktgen's range mode: a field that does not count has its start; one that
    counts goes on from what it had, and turns from its end to its beginning."""

    def __init__(self):
        self.field = {}
        self.now = {}

    def set(self, field, key, value):
        self.field.setdefault(field, {})[key] = value

    def packet(self):
        for name, field in self.field.items():
            if not field.get("inc"):
                self.now[name] = field["start"]
                continue
            # Whatever pktgen has at first, it is not where we start.
            value = self.now.get(name, 0) + field["inc"]
            if value < field["min"]:
                value = field["max"]
            elif value > field["max"]:
                value = field["min"]
            self.now[name] = value
        return dict(self.now)


def number(text):
    if ":" in text:
        return int.from_bytes(plan.mac(text), "big")
    return plan.v4(text) if "." in text else int(text)


def sent(calls, count):
    """The packets that pktgen sends by these calls, and `count` after them."""
    ranges, packets, limit = Ranges(), [], None
    for name, *words in calls:
        if name.startswith("range.") and len(words) == 3:
            ranges.set(name, words[1], number(words[2]))
        elif name == "set" and words[1] == "count":
            limit = int(words[2])
        elif name == "start":
            packets += [ranges.packet() for _ in range(limit)]
    return packets + [ranges.packet() for _ in range(count)]


@unittest.skipIf(shutil.which(LUA) is None, "no lua5.4; run scripts/setup")
class Scripts(unittest.TestCase):
    quick = True

    def test_address_and_mac_count_up_together(self):
        for flows in (1024, 1 << 16):
            done, calls = script("outbound.lua", WEFT_FLOWS=str(flows))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(["range.ip_proto", "0", "udp"], calls)
            seen = set()
            for packet in sent(calls, flows + 10):
                address = packet["range.dst_ip"]
                mac = packet["range.dst_mac"].to_bytes(6, "big")
                self.assertEqual(mac, plan.virtual_mac("Z", address))
                self.assertEqual(packet["range.src_ip"], plan.v4(plan.NODE["A"]))
                self.assertEqual(packet["range.pkt_size"], 64)
                seen.add(address)
            self.assertEqual((min(seen), len(seen)), (measured.BASE, flows))
            self.assertEqual(max(seen), measured.BASE + flows - 1)

    def test_a_wrong_environment_is_named(self):
        for name, value in (("WEFT_FLOWS", "many"), ("WEFT_FLOWS", "0"), ("WEFT_RATE", "x")):
            done, _ = script("outbound.lua", **{name: value})
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(name, done.stderr)

    def test_captures_are_sent_on_the_ports_of_the_direction(self):
        for direction, ports in (("outbound", ["0"]), ("inbound", ["1"]), ("both", ["0", "1"])):
            _, calls = script("captures.lua", WEFT_DIRECTION=direction)
            self.assertEqual([call[1] for call in calls if call[0] == "pcap"], ports)
            self.assertNotIn("rate", [call[2] for call in calls if call[0] == "set"])

    def test_what_pktgen_counted_is_written(self):
        shapes = (
            "{[0]={curr={opackets=5,ipackets=0},sizes={runt=0}},"
            "[1]={curr={opackets=0,ipackets=4}},n=2}"
        )
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "stats.json")
            done, calls = script("run.lua", shapes, WEFT_STATS=path, WEFT_DIRECTION="outbound")
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(path, encoding="utf-8") as file:
                report = json.load(file)
        self.assertEqual(report["ports"]["0"]["curr"], {"opackets": 5, "ipackets": 0})
        self.assertEqual(report["ports"]["1"]["curr"]["ipackets"], 4)
        order = [call[0] for call in calls if call[0] in ("clr", "start", "stop")]
        self.assertEqual(order, ["clr", "start", "stop"])


class Crosscheck(unittest.TestCase):
    """A weft that gets the very captures, so that its counters are real."""

    alone = True
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="weft-test.")
        self.addCleanup(shutil.rmtree, self.directory)
        run = f"pktgen-{os.getpid()}"
        self.net = Net(run)
        self.addCleanup(self.net.close)
        self.net.add("w")
        self.net.add("g")
        for name in ("nodes", "up"):
            self.net.link("w", f"weft-{name}", "g", f"weft-g-{name}", mtu=1600)
            self.net.give("w", f"weft-{name}")
            self.net.give("g", f"weft-g-{name}")
        made = subprocess.run(
            [os.path.join(SCRIPTS, "captures"), self.directory]
            + ["--uplink-mac", self.net.mac("w", "weft-up")],
            capture_output=True, text=True, check=False,
        )
        self.assertEqual(made.returncode, 0, made.stderr)
        file = self.appliance(run)
        inside = ["ip", "netns", "exec", self.net.name("w")]
        self.weft = Process([*inside, weft.binary(), "run", "-c", file])
        self.addCleanup(forget_prefix, f"weft-{run}")
        self.addCleanup(self.weft.stop)
        ready = lambda: os.path.exists(self.path("weft.sock"))  # noqa: E731
        self.assertTrue(eventually(ready, 20.0), self.weft.tail())
        load = ["mapping", "load", self.path("mappings.csv"), "-s", self.path("weft.sock")]
        done = subprocess.run(
            [weft.binary(), *load],
            capture_output=True, text=True, check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        # What is said at the start, and duplicate address detection.
        time.sleep(2.0)

    def path(self, name):
        return os.path.join(self.directory, name)

    def appliance(self, run):
        """The configuration of the two cards, on wires in their place."""
        with open(os.path.join(weft.ROOT, "configs", "pktgen.toml"), encoding="utf-8") as file:
            text = file.read()
        changes = {
            r'"0000:17:00\.0"': '"net_af_packet0,iface=weft-nodes"',
            r'"0000:17:00\.1"': '"net_af_packet1,iface=weft-up,framesz=4096,blocksz=8192"',
            r"descriptors = 2048\n": "",
            r"workers = \[2\].*": "workers = [1]",
            r'idle = "poll"': 'idle = "backoff"',
            r'huge = "yes"': f'file_prefix = "weft-{run}"',
            r"mappings = 1_100_000": "mappings = 10_000",
            r"\[runtime\]": f'[control]\nsocket = "{self.path("weft.sock")}"\n\n[runtime]',
        }
        for old, new in changes.items():
            text, count = re.subn(old, new, text)
            self.assertGreater(count, 0, old)
        file = self.path("weft.toml")
        with open(file, "w", encoding="utf-8") as out:
            out.write(text)
        return file

    def send(self, interface, capture):
        """All frames of a capture, slowly enough for everybody; their number."""
        sender = self.net.socket("g", socket.AF_PACKET, socket.SOCK_RAW)
        with sender:
            sender.bind((interface, 0))
            start, count = time.perf_counter(), 0
            for _, octets in frames.read_pcap(self.path(capture)):
                sender.send(octets)
                count += 1
                if count % 32 == 0:
                    while time.perf_counter() - start < count / 10_000:
                        time.sleep(0.0005)
        return count

    def crosscheck(self, *arguments):
        return subprocess.run(
            [os.path.join(SCRIPTS, "crosscheck"), *arguments]
            + ["-s", self.path("weft.sock"), "--keep", self.path("before.json")],
            capture_output=True, text=True, check=False,
        )

    def check(self, stats):
        with open(self.path("stats.json"), "w", encoding="utf-8") as file:
            json.dump(stats, file)
        return self.crosscheck("after", self.path("stats.json"))

    @staticmethod
    def stats(outbound, inbound, **change):
        """As pktgen reports it, in the shape of its newer versions."""
        ports = {}
        for name, out, back in (("0", outbound, inbound), ("1", inbound, outbound)):
            card = {"opackets": out, "ipackets": back, "imissed": 0, "ierrors": 0, "rx_nombuf": 0}
            ports[name] = {"curr": card, "sizes": {"_64": back, "runt": 0}, "qstats": {}}
        report = {"version": "25.08", "direction": "both", "node": "0", "substrate": "1"}
        return report | {"rate": 100, "seconds": 10, "ports": ports | {"n": 2}} | change

    def test_figures_that_agree_and_those_that_do_not(self):
        self.assertEqual(self.crosscheck("before").returncode, 0)
        count = self.send("weft-g-nodes", "outbound-imix.pcap")
        self.assertEqual(count, 12 * 1024)
        self.assertEqual(self.send("weft-g-up", "inbound-imix.pcap"), count)
        time.sleep(0.5)

        fine = self.check(self.stats(count, count))
        self.assertEqual((fine.returncode, fine.stderr), (0, ""), fine.stdout)
        self.assertIn("dropped 0", fine.stdout)

        more = self.check(self.stats(count + 1000, count))
        self.assertEqual(more.returncode, 1)
        self.assertIn(f"0 -> nodes: {count + 1000} sent, but {count} arrived", more.stderr)

        old = self.stats(count, count)
        for port in ("0", "1"):
            old["ports"][port] = old["ports"][port]["curr"]
        self.assertEqual(self.check(old).returncode, 0)

        runts = self.stats(count, count)
        runts["ports"]["1"]["sizes"] = {"_64": count - 700, "runt": 700}
        found = self.check(runts)
        self.assertEqual(found.returncode, 1)
        self.assertIn("port 1: 700 runts", found.stderr)
        self.assertIn("#369", found.stderr)

        slow = self.check(self.stats(count, count, rate=50))
        self.assertIn("#301", slow.stdout)

        self.assertEqual(self.check({"ports": {}}).returncode, 2)

    def test_frames_that_weft_drops_are_named(self):
        # What a range of IPv6 would send: no flow label.
        with frames.Pcap(self.path("bare.pcap")) as pcap:
            for _, octets in frames.read_pcap(self.path("inbound.pcap")):
                pcap.write(octets[:14] + b"\x60\0\0\0" + octets[18:])
        self.assertEqual(self.crosscheck("before").returncode, 0)
        self.send("weft-g-nodes", "outbound.pcap")
        self.send("weft-g-up", "bare.pcap")
        time.sleep(0.5)
        found = self.check(self.stats(1024, 1024))
        self.assertEqual(found.returncode, 1)
        self.assertIn("label_lost: ranges of IPv6 have no flow label", found.stderr)
