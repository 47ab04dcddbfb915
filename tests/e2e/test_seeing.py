"""What an operator sees: explain, trace, capture, events, metrics, the live
table."""

import json
import os
import re
import subprocess
import threading
import time
import unittest
import urllib.request

from case import Case
from lab import frames, net, plan, weft
from world import World

METRICS = "127.0.0.1:9464"


class SeenWorld(World):
    """Host R with a listener for scrapers, in its own namespace."""

    def config(self, host):
        config = super().config(host)
        if host == "R":
            config["metrics"] = {"listen": METRICS}
        return config


class Seeing(Case):
    """Each way to look, against traffic that is known."""

    make = SeenWorld

    def client(self, *arguments):
        """A client command that runs until it ends by itself."""
        command = [weft.binary(), *arguments, "-s", self.r.socket]
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.addCleanup(child.kill)
        return child

    def finished(self, child, timeout=15):
        out, err = child.communicate(timeout=timeout)
        self.assertEqual(child.returncode, 0, err)
        return out

    def under_pings(self, *arguments, source="a", address="10.0.0.3"):
        """What a client command prints while pings pass."""
        child = self.client(*arguments)
        ending = threading.Event()

        def pings():
            while not ending.is_set():
                self.net.ping(source, address, 3, interval=0.05)

        thread = threading.Thread(target=pings, daemon=True)
        thread.start()
        try:
            return self.finished(child)
        finally:
            ending.set()
            thread.join(10)

    def test_explain_says_what_the_walk_does(self):
        before = self.r.counters()
        for arguments, wanted in (
            (("--to", "10.0.0.3", "--proto", "tcp", "--dport", "80"), ("2001:db8:0:b:2", "up0")),
            (("--to", "10.0.0.5",), ("c",)),
            (("--to", "10.0.0.99",), ("no_mapping",)),
            (("--to", "10.0.0.3", "--size", "1481"), ("too_big",)),
            (("--to", "10.0.0.3", "--proto", "44"), ("protocol_not_carried",)),
        ):
            with self.subTest(arguments=arguments):
                text = self.r.cli("explain", "--from", "A", *arguments).stdout
                for word in wanted:
                    self.assertIn(word, text)
                report = self.r.json("explain", "--from", "A", *arguments)
                self.assertTrue(report)
        after = self.r.counters()
        # Without effects: nothing was counted as dropped or sent.
        for name in ("drop_no_mapping", "drop_too_big", "drop_protocol_not_carried"):
            self.assertEqual(after[name], before[name], name)

    def test_trace_shows_stages(self):
        text = self.under_pings("trace", "--node", "A", "-c", "6")
        for stage in ("parse", "classify", "authorize", "resolve", "rewrite"):
            self.assertIn(stage, text)
        self.assertIn("10.0.0.3", text)
        # By substrate address, and as JSON.
        address = "2001:db8:0:b:25a:1:a00:3"
        import ipaddress

        address = str(ipaddress.IPv6Address(plan.substrate("S", "Z", "10.0.0.3")))
        lines = self.under_pings("trace", "--address", address, "-c", "4", "--json").splitlines()
        self.assertGreaterEqual(len(lines), 4)
        for line in lines:
            json.loads(line)

    def test_trace_shows_drops(self):
        wire = self.world.wire("a", "weft-a")
        mac = plan.mac(self.net.mac("a", "weft-a"))
        packet = frames.ipv4_udp(plan.v4("10.0.0.77"), plan.v4("10.0.0.3"), b"spoofed")
        child = self.client("trace", "--drops", "--node", "A", "-c", "1")
        ending = time.monotonic() + 10
        while child.poll() is None and time.monotonic() < ending:
            wire.send(plan.virtual_mac("Z", "10.0.0.3") + mac + b"\x08\x00" + packet)
            time.sleep(0.05)
        self.assertIn("spoofed_source", self.finished(child))

    def test_capture_is_readable(self):
        path = os.path.join(self.world.directory, "seen.pcapng")
        self.under_pings("capture", "-w", path, "--node", "A", "-c", "8")
        done = subprocess.run(
            ["tshark", "-r", path, "-T", "fields"]
            + [word for name in FIELDS for word in ("-e", name)],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("damaged", done.stderr)
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        # Eight records; a packet that was sent on is there before and after.
        self.assertGreaterEqual(len(rows), 12)
        by_record = {}
        for record, name, comment, inner, outer in rows:
            self.assertIn("record", comment)
            by_record.setdefault(record, []).append((name, inner, outer))
        pairs = [sorted(names) for names in by_record.values() if len(names) == 2]
        out = [("a received", "10.0.0.2", ""), ("up0 sent", "", OUTER_A)]
        back = [("a sent", "10.0.0.3", ""), ("up0 received", "", OUTER_G)]
        self.assertIn(out, pairs)
        self.assertIn(back, pairs)

    def test_events_are_told(self):
        child = self.client("events", "miss", "config", "--json", "--seconds", "2.5")
        time.sleep(0.3)
        # Who only looks on makes no packet wait; who answers does.
        self.assertEqual(self.misses_answered(), "no")
        with self.r.control() as agent:
            agent.call("subscribe", topics=["miss"], answers=True)
            self.assertEqual(self.misses_answered(), "yes")
        self.net.ping("a", "10.0.0.98", 1, wait=1)
        self.r.cli("mapping", "add", "10.0.0.97", "--vnet", "Z", "--host", "S")
        events = [json.loads(line) for line in self.finished(child).splitlines()]
        topics = {event["topic"]: event for event in events}
        self.assertEqual(set(topics), {"miss", "config"})
        self.assertEqual((topics["miss"]["address"], topics["miss"]["node"]), ("10.0.0.98", "A"))
        self.assertEqual(topics["config"]["applied"], 1)
        self.r.cli("mapping", "remove", "10.0.0.97", "--vnet", "Z")

    def misses_answered(self):
        time.sleep(0.05)
        return self.r.json("status")["plant"]["facts"]["misses answered"]

    def test_live_table(self):
        text = self.under_pings("stats", "--watch", "0.3", "-c", "3")
        self.assertGreaterEqual(text.count("rx"), 3)
        text = self.r.cli("stats", "--explain", "--all").stdout
        self.assertIn("drop_spoofed_source", text)

    def scrape(self, path="/metrics"):
        with self.net.inside("r"):
            # The name is not looked up and the connection is made in here.
            with urllib.request.urlopen(f"http://{METRICS}{path}", timeout=5) as reply:
                return reply.headers["content-type"], reply.read().decode()

    def test_metrics_are_well_formed(self):
        self.assert_ping("a", "10.0.0.3", 3)
        kind, text = self.scrape()
        self.assertIn("application/openmetrics-text", kind)
        self.assertTrue(text.endswith("# EOF\n"))
        families, samples = {}, 0
        for line in text.splitlines()[:-1]:
            if line.startswith("# "):
                _, word, family, rest = line.split(" ", 3)
                self.assertIn(word, ("HELP", "TYPE", "UNIT"))
                self.assertNotIn(word, families.setdefault(family, {}), line)
                families[family][word] = rest
                continue
            found = SAMPLE.fullmatch(line)
            self.assertIsNotNone(found, line)
            family = found["name"].removesuffix("_total")
            self.assertIn(family, families, line)
            self.assertTrue(families[family].get("HELP", "").strip(), f"{family} without help")
            self.assertEqual(
                families[family]["TYPE"] == "counter", found["name"].endswith("_total"), line
            )
            samples += 1
        self.assertGreater(samples, 100)
        # Every counter that the socket knows is there: drops by name.
        for name in self.r.counters():
            if name.startswith("drop_"):
                self.assertIn(name.removeprefix("drop_"), text)
        for wanted in ("table", "ring", "cycles"):
            self.assertTrue(any(wanted in family for family in families), wanted)

    def test_other_paths_are_refused(self):
        with self.assertRaises(urllib.error.HTTPError) as raised:
            self.scrape("/")
        self.assertEqual(raised.exception.code, 404)
        raised.exception.close()

    def test_dump_is_loadable(self):
        path = os.path.join(self.world.directory, "dump.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.r.cli("config", "dump").stdout)
        done = subprocess.run(
            [weft.binary(), "check", path], capture_output=True, text=True, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)


FIELDS = ("frame.packet_id", "frame.interface_name", "frame.comment", "ip.src", "ipv6.src")


def text_of(host, address):
    import ipaddress

    return str(ipaddress.IPv6Address(plan.substrate(host, "Z", address)))


OUTER_A, OUTER_G = text_of("R", "10.0.0.2"), text_of("S", "10.0.0.3")
SAMPLE = re.compile(
    r'(?P<name>[a-z_:][a-z0-9_:]*)(\{([a-z_]+="([^"\\]|\\.)*",?)+\})? [0-9.e+-]+', re.IGNORECASE
)


if __name__ == "__main__":
    unittest.main()
