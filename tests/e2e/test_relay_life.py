"""The relay while things happen to it: garbage, changes of its configuration,
a million mappings, death, and neighbours that leave."""

import os
import signal
import subprocess
import threading
import time
import unittest

from lab import cases, net, plan, relay, weft
from relay_world import CLIENT, CLIENT6, EAMS, SERVER, SERVER4, Plan, RelayCase, RelayWorld
from traffic import Paced, pour

MILLION = 1_000_000


def both_ways(network, rate=1000):
    """Paced datagrams in each direction, as test and cleanup need them."""
    there = Paced(network, "c4", "s6", SERVER4, rate, own=SERVER)
    back = Paced(network, "s6", "c4", CLIENT6, rate, own=CLIENT)
    return there.start(), back.start()


class Garbage(RelayCase):
    """Packets of every kind with bytes changed, cut and added; random ones
    among them. On taps, for the kernel swallows fragments on packet sockets."""

    how = Plan(device="tap")
    count = int(os.environ.get("WEFT_GARBAGE", "100000"))

    def test_both_sides(self):
        kinds = list(cases.generate(4000, seed=7))
        for side, router in ((4, "r4"), (6, "r6")):
            with self.subTest(side=side):
                head = plan.mac(self.net.ip(router, "neigh", "show", relay.OWN[side]).split()[4])
                head += plan.mac(self.net.mac(router, "weft-relay"))
                head += b"\x08\x00" if side == 4 else b"\x86\xdd"
                seeds = [head + case.packet for case in kinds if case.side == side]
                self.pour(router, seeds)

    def pour(self, router, seeds):
        before = self.relay.counters()
        with (
            net.sender(self.net, router, "weft-relay") as sender,
            self.relay.control(access="ro") as client,
        ):
            pour(sender, client, seeds, self.count)
        self.assertEqual(self.world.imbalance(), {})
        after = self.relay.counters()
        # The test is worth something only if the frames did arrive, and some
        # of them came through.
        self.assertGreater(after["rx"] - before["rx"], self.count * 0.8)
        self.assertGreater(after["tx"] - before["tx"], self.count * 0.02)
        told = {
            name: after[name] - before[name]
            for name in after
            if name.startswith("drop_") and after[name] > before[name]
        }
        self.assertGreater(len(told), 15, told)
        self.world.warm()


class Changes(RelayCase):
    """`weft apply` with traffic in both directions."""

    alone = True
    def test_twenty_changes_lose_nothing(self):
        there, back = both_ways(self.net)
        self.addCleanup(there.stop)
        self.addCleanup(back.stop)
        time.sleep(0.3)
        took = []
        for turn in range(20):
            begin = time.monotonic()
            self.world.change(**self.knobs(turn))
            took.append(time.monotonic() - begin)
            time.sleep(0.05)
        there.stop()
        back.stop()
        print(
            f"        20 changes, {1e3 * sum(took) / len(took):.0f} ms each; "
            f"{there.sent + back.sent} datagrams, {there.lost + back.lost} lost"
        )
        self.assertEqual((there.lost, back.lost), (0, 0), self.world.drops())

    def knobs(self, turn):
        """Everything that can change, differently each time."""
        return {
            "traffic_class": ("copy", 0, 0xB8)[turn % 3],
            "tos": (0x28, "copy")[turn % 2],
            "udp_zero_checksum": ("compute", "drop", "forward")[turn % 3],
            "hairpin": ("intrinsic", "simple", "off")[turn % 3],
            "lowest_ipv6_mtu": 1280 + turn,
            "deny4": [f"192.0.2.{200 + turn}/32"],
            "deny6": [f"2001:db8:{turn + 0x100:x}::/48"],
            "error_sources4": [f"203.0.113.{200 + turn}/32"],
            "icmp_rate": ("unlimited", 0, 7)[turn % 3],
            "mtu_plateaus": [1492, 1006 - turn, 68],
            "error_source_extension": turn % 2 == 0,
        }

    def test_a_change_takes_effect_at_once(self):
        ear = self.world.wire("r6", "weft-relay")
        for value in (0x20, 0x40, 0xFC):
            self.world.change(traffic_class=value)
            ear.clear()
            self.assert_ping("c4", SERVER4, 1)
            seen = ear.wait(lambda f: f[12:14] == b"\x86\xdd" and f[20] == 58 and f[54] == 128)
            self.assertEqual(int.from_bytes(seen[14:16], "big") >> 4 & 0xFF, value)
        self.world.change()

    def test_prefix_and_mappings_change(self):
        """Another prefix, no prefix, other mappings: what was reached is not."""
        config = self.world.filed()
        config["relay"]["pool6"] = "2001:db8:65::/96"
        config["eam"] = []
        path = os.path.join(self.world.directory, "other.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(weft.to_toml(config))
        self.relay.cli("apply", path)
        self.assert_no_ping("c4", SERVER4)
        self.assert_no_ping("s6", CLIENT6)
        self.world.change()
        self.assert_ping("c4", SERVER4)
        self.assert_ping("s6", CLIENT6)

    def test_what_needs_a_restart_is_named(self):
        config = self.world.filed()
        config["port"][0]["mtu"] = 1400
        path = os.path.join(self.world.directory, "restart.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(weft.to_toml(config))
        done = self.relay.cli("apply", path, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("port", done.stderr)
        self.assert_ping("c4", SERVER4)


class MillionWorld(RelayWorld):
    """The relay with room for a million explicit mappings and a file of them."""

    def config(self):
        config = super().config()
        config["limits"] = {"eams": MILLION + 1000}
        return config

    def mappings(self, name, host):
        """A file of a million, to IPv6 addresses that differ by `host`."""
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="ascii") as file:
            file.writelines(
                f"10.{n >> 16}.{n >> 8 & 255}.{n & 255} 2001:db8:{host}::{n >> 16:x}:{n & 0xFFFF:x}\n"
                for n in range(MILLION)
            )
        return path


class Million(RelayCase):
    """A million explicit mappings, from a file and over the socket, while
    traffic flows."""

    alone = True
    make = MillionWorld

    def timed(self, what, act):
        there, back = both_ways(self.net)
        self.addCleanup(there.stop)
        self.addCleanup(back.stop)
        time.sleep(0.2)
        begin = time.monotonic()
        act()
        took = time.monotonic() - begin
        time.sleep(0.2)
        there.stop()
        back.stop()
        print(
            f"        {what}: {took:.2f} s; {there.sent + back.sent} datagrams, "
            f"{there.lost + back.lost} lost"
        )
        self.assertEqual((there.lost, back.lost), (0, 0), self.world.drops())
        return took

    def reaches(self, host):
        """The last of the million is translated: the router of the IPv6 side
        sees its packets."""
        ear = self.world.wire("r6", "weft-relay")
        self.net.ip("r4", "route", "replace", "10.0.0.0/8", "via", relay.OWN[4])
        self.net.ping("c4", "10.15.66.63", 1)
        wanted = net.socket.inet_pton(net.socket.AF_INET6, f"2001:db8:{host}::f:423f")
        return ear.wait(lambda f: f[12:14] == b"\x86\xdd" and f[38:54] == wanted) is not None

    def test_from_a_file(self):
        path = self.world.mappings("eam.txt", "e1")
        took = self.timed("1000000 by apply", lambda: self.world.change(eam_file=path))
        self.assertLess(took, 10.0)
        self.assertTrue(self.reaches("e1"))
        # The same again changes nothing; another file, everything.
        again = self.timed("the same again", lambda: self.world.change(eam_file=path))
        self.assertLess(again, 10.0)
        path = self.world.mappings("other.txt", "e2")
        self.timed("1000000 others", lambda: self.world.change(eam_file=path))
        self.assertTrue(self.reaches("e2"))
        self.timed("1000000 removed", self.world.change)
        self.assertFalse(self.reaches("e2"))
        self.assert_ping("c4", SERVER4)

    def test_over_the_socket(self):
        path = self.world.mappings("load.txt", "e3")
        took = self.timed(
            "1000000 by eam load", lambda: self.relay.cli("eam", "load", path, timeout=60)
        )
        self.assertLess(took, 10.0)
        self.assertTrue(self.reaches("e3"))
        empty = os.path.join(self.world.directory, "empty.txt")
        with open(empty, "w", encoding="ascii") as file:
            file.write("# nothing\n")
        self.timed("1000000 swept", lambda: self.relay.cli("eam", "load", empty, timeout=60))
        self.assertFalse(self.reaches("e3"))
        self.assert_ping("c4", SERVER4)


class Death(RelayCase):
    """Killed under traffic: it is back at once, and leaves nothing."""

    def test_kill_and_restart_under_traffic(self):
        for turn in range(3):
            there, back = both_ways(self.net, rate=500)
            time.sleep(0.2)
            self.relay.kill()
            self.assertEqual(net.files_left(self.world.run), [], "after kill -9")
            begin = time.monotonic()
            self.relay.start()
            self.world.warm()
            took = time.monotonic() - begin
            time.sleep(0.2)
            arrived = len(there.arrived), len(back.arrived)
            time.sleep(0.3)
            self.assertGreater(len(there.arrived), arrived[0])
            self.assertGreater(len(back.arrived), arrived[1])
            there.stop()
            back.stop()
            print(f"        restart {turn + 1}: forwarding after {took:.2f} s")
            self.assertLess(took, 5.0)
            self.assertEqual(self.world.imbalance(), {})

    def test_stop_and_start(self):
        self.assertEqual(self.relay.stop(), 0, self.relay.process.tail())
        self.assert_no_ping("c4", SERVER4)
        self.relay.start()
        self.world.warm()

    def test_hangup_reloads(self):
        start = len(self.relay.process.lines)
        self.relay.process.child.send_signal(signal.SIGHUP)
        self.relay.process.expect("reloaded", 5.0, start)
        self.assert_ping("c4", SERVER4)


class Neighbours(RelayCase):
    """The routers beside it go, come back, and come back as another."""

    def test_a_next_hop_leaves_and_returns(self):
        for router, short, address in (("r4", "s6", CLIENT6), ("r6", "c4", SERVER4)):
            with self.subTest(router=router):
                self.net.ip(router, "link", "set", "weft-relay", "down")
                self.assert_no_ping(short, address)
                before = self.relay.counters()
                self.net.ping(short, address, 2)
                after = self.relay.counters()
                lost = [n for n in after if n.startswith("drop_") and after[n] > before[n]]
                self.assertTrue(lost, "gone without a reason")
                self.net.ip(router, "link", "set", "weft-relay", "up")
                self.restore(router)
                self.world.warm()

    def test_a_next_hop_is_exchanged(self):
        """Another card in the same router, which tells so, as those do that
        take over an address."""
        self.net.exec("r4", "sysctl", "-qw", "net.ipv4.conf.all.arp_notify=1")
        for router, short, address in (("r4", "s6", CLIENT6), ("r6", "c4", SERVER4)):
            with self.subTest(router=router):
                self.net.ip(router, "link", "set", "weft-relay", "address", "02:00:00:00:77:01")
                begin = time.monotonic()
                found = net.eventually(lambda s=short, a=address: self.net.ping(s, a, 1)[0], 15.0)
                self.assertTrue(found, self.world.story())
                print(f"        {router}: found after {time.monotonic() - begin:.1f} s")

    def restore(self, router):
        """Addresses and routes that went with the link."""
        side = int(router[1])
        address = f"{relay.VIA[side]}/{relay.LENGTH[side]}"
        family = f"-{side}"
        nodad = ["nodad"] if side == 6 else []
        self.net.ip(router, family, "addr", "replace", address, "dev", "weft-relay", *nodad)
        for to in (relay.POOL6,) if side == 6 else ("203.0.113.0/24",):
            self.net.ip(router, family, "route", "replace", to, "via", relay.OWN[side])


class Seeing(RelayCase):
    """What an operator sees of the relay's packets."""

    def pings(self, command):
        """What a client command prints while pings pass in both directions."""
        child = subprocess.Popen(
            [weft.binary(), *command, "-s", self.relay.socket],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(child.kill)
        ending = threading.Event()

        def run():
            while not ending.is_set():
                self.net.ping("c4", SERVER4, 2, interval=0.05)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            out, err = child.communicate(timeout=20)
        finally:
            ending.set()
            thread.join(10)
        self.assertEqual(child.returncode, 0, err)
        return out

    def test_trace(self):
        text = self.pings(("trace", "-c", "6"))
        for word in ("parse", "classify", "resolve", "rewrite", SERVER4, SERVER):
            self.assertIn(word, text)

    def test_capture(self):
        path = os.path.join(self.world.directory, "seen.pcapng")
        self.pings(("capture", "-w", path, "-c", "8"))
        fields = ("frame.interface_name", "ip.src", "ipv6.src")
        done = subprocess.run(
            ["tshark", "-r", path, "-T", "fields", *(w for f in fields for w in ("-e", f))],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = {tuple(line.split("\t")) for line in done.stdout.splitlines()}
        self.assertIn(("v4 received", CLIENT, ""), rows)
        self.assertIn(("v6 sent", "", CLIENT6), rows)
        self.assertIn(("v6 received", "", SERVER), rows)
        self.assertIn(("v4 sent", SERVER4, ""), rows)

    def test_counters(self):
        before = self.relay.counters()
        self.assert_ping("c4", SERVER4, 10)
        after = self.relay.counters()
        for port in ("v4", "v6"):
            for way in ("rx", "tx"):
                name = f"port_{port}_{way}_packets"
                self.assertGreaterEqual(after[name] - before[name], 10, name)

    def test_status_and_mappings(self):
        said = self.relay.cli("relay", "show").stdout
        for word in (relay.POOL6, relay.OWN[4], relay.OWN[6]):
            self.assertIn(word, said)
        said = self.relay.cli("eam", "list").stdout
        for ipv4, ipv6 in EAMS:
            self.assertIn(ipv4, said)
            self.assertIn(ipv6, said)
        self.assertIn(SERVER, self.relay.cli("eam", "get", SERVER4).stdout)
        self.assertIn(CLIENT6, self.relay.cli("eam", "get", CLIENT).stdout)
        self.assertIn(SERVER4, self.relay.cli("eam", "get", SERVER).stdout)

    def test_dump_is_loadable(self):
        path = os.path.join(self.world.directory, "dump.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.relay.cli("config", "dump").stdout)
        done = subprocess.run(
            [weft.binary(), "check", path], capture_output=True, text=True, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)


if __name__ == "__main__":
    unittest.main()
