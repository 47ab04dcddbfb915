"""A running appliance is changed to another file: nothing is lost, nothing is
done by half."""

import copy
import os
import threading
import time
import unittest

from case import Case
from lab import plan, weft
from test_lifecycle import Single
from traffic import Paced
from world import Plan

ENTRIES = [{"vnet": "Z", "address": f"10.9.0.{n}", "host": "S"} for n in range(200)]


def other(config):
    """The file with something else in all that can change."""
    new = copy.deepcopy(config)
    new["log"] = {"level": "debug"}
    z = next(vnet for vnet in new["vnet"] if vnet["name"] == "Z")
    z.update(mode="transparent", dscp=10, verify="locator")
    new["vnet"].append({"name": "X", "vni": 0x5A0009})
    # The same host by another name, and one more.
    new["host"] = [{"name": "S2", "locator": plan.LOCATOR["S"]}, *weft.host_tables("T")]
    # G is now in a prefix; many come and go.
    new["mapping"] = [{"vnet": "Z", "address": "10.0.0.0/28", "host": "S2"}]
    new["mapping"] += [{**entry, "host": "T"} for entry in ENTRIES[:100]]
    # The same way, said otherwise.
    via = new["route"][0]["via"]
    new["route"] = [{"prefix": prefix, "via": via} for prefix in ("2001:db8:0:b::/64", "::/0")]
    return new


class Files:
    """Files beside the one that the appliance was started with."""

    def __init__(self, host):
        self.host = host

    def put(self, name, config):
        text = config if isinstance(config, str) else weft.to_toml(config)
        path = os.path.join(os.path.dirname(self.host.file), name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def state(self):
        """Everything that an apply could change."""
        dump = self.host.cli("config", "dump", "--no-mappings").stdout
        return dump, sorted(self.host.cli("mapping", "list", "--json").stdout.splitlines())


class Apply(Case):
    """What `weft apply` does to R while A and G talk."""

    alone = True
    how = Plan()

    def setUp(self):
        self.files = Files(self.r)
        first = copy.deepcopy(self.r.config)
        first["mapping"] += ENTRIES
        self.first = self.files.put("first.toml", first)
        self.second = self.files.put("second.toml", other(first))
        self.r.cli("apply", self.first)
        self.addCleanup(self.r.cli, "apply", self.r.file)

    def refused(self, config, *options):
        path = self.files.put("refused.toml", config)
        done = self.r.cli("apply", path, *options, check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        return path, done.stderr

    def test_twenty_changes_lose_nothing(self):
        there = Paced(self.net, "a", "g", "10.0.0.3", rate=1000).start()
        back = Paced(self.net, "g", "a", "10.0.0.2", rate=1000).start()
        self.addCleanup(there.stop)
        self.addCleanup(back.stop)
        time.sleep(0.3)
        took = []
        for turn in range(20):
            path = self.first if turn % 2 else self.second
            begin = time.monotonic()
            said = self.r.cli("apply", path).stdout
            took.append(time.monotonic() - begin)
            self.assertIn("vnet Z: mode", said)
            self.assertIn("changes applied", said)
            time.sleep(0.05)
        there.stop()
        back.stop()
        print(
            f"        20 changes, {1e3 * sum(took) / len(took):.0f} ms each; "
            f"{there.sent + back.sent} datagrams, {there.lost + back.lost} lost"
        )
        self.assertEqual((there.lost, back.lost), (0, 0), self.world.drops())

    def test_the_difference_is_told_and_a_dry_run_changes_nothing(self):
        before = self.files.state()
        said = self.r.cli("apply", self.second, "--dry-run").stdout
        for line in (
            "log.level: info -> debug",
            "vnet Z: mode siit -> transparent, dscp copy -> 10, verify strict -> locator",
            "vnet X: added",
            "host S: removed",
            "mapping Z 10.0.0.0/28 -> S2: added",
            "mapping Z 10.9.0.0/32: host S -> T",
            "mapping Z 10.0.0.3/32 -> S: removed",
        ):
            self.assertIn(line + "\n", said)
        self.assertRegex(said, r"would be applied \(6 added, 102 changed, 103 removed\)")
        self.assertEqual(self.files.state(), before)
        done = self.r.cli("apply", self.second).stdout
        self.assertEqual(done.splitlines()[:-1], said.splitlines()[:-1])
        self.assertEqual(self.r.cli("apply", self.second).stdout.split(",")[0], "nothing to change")
        # What runs is what a start with the dump would run.
        dump = self.r.cli("config", "dump").stdout
        self.assertIn('level = "debug"', dump)
        again = self.r.cli("apply", self.files.put("dump.toml", dump)).stdout
        self.assertIn("nothing to change", again)
        self.assert_ping("a", "10.0.0.3")

    def test_what_needs_a_restart_is_refused_by_name(self):
        before = self.files.state()
        wanted = copy.deepcopy(other(self.r.config))
        wanted["runtime"]["workers"] = [0, 1]
        wanted["port"][1]["mtu"] = 1400
        own = ["2001:db8:fffe::1/64"]
        new = {"name": "new", "device": "net_null7", "role": "uplink", "addresses": own}
        wanted["port"].append(new)
        path, said = self.refused(wanted)
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()

        def line(text, after=0):
            return lines.index(text, after) + 1

        ports = [number for number, text in enumerate(lines) if text == "[[port]]"]
        for expected in (
            f"{path}:{line('workers = [0, 1]')}:1: runtime.workers: "
            "cannot change while running: [0] -> [0,1]",
            f"{path}:{line('mtu = 1400')}:1: port[1].mtu: "
            "mtu of port a cannot change while running: 1500 -> 1400",
            f"{path}:{ports[4] + 1}:1: port[4]: port new cannot be added while running",
            f"weft: {path} changes 3 keys that need a restart; nothing was changed",
        ):
            self.assertIn(expected, said)
        self.assertEqual(self.files.state(), before)
        # A dry run is refused alike.
        self.assertEqual(self.refused(wanted, "--dry-run")[1], said)

    def test_a_broken_file_is_refused_with_its_place(self):
        before = self.files.state()
        text = weft.to_toml(other(self.r.config))
        path, said = self.refused(text + '\n[[mapping]]\nvnet = "Q"\naddress = "10.0.0.9"\n')
        line = text.count("\n") + 2
        self.assertIn(f"{path}:{line}:1: mapping[{text.count('[[mapping]]')}].host", said)
        checked = self.r.cli("check", path, check=False).stderr
        self.assertTrue(said.startswith(checked), (said, checked))
        self.assertEqual(self.files.state(), before)
        # Right in itself, and too much for the table.
        wanted = copy.deepcopy(self.r.config)
        wanted["limits"] = dict(wanted.get("limits", {}), mappings=1)
        self.assertIn("limits.mappings", self.refused(wanted)[1])
        self.assertEqual(self.files.state(), before)

    def test_what_an_operator_set_stays(self):
        self.r.cli("host", "add", "S", plan.LOCATOR["S"])
        self.addCleanup(self.r.cli, "mapping", "remove", "--vnet", "Z", "10.0.0.3")
        self.r.cli("mapping", "add", "--vnet", "Z", "10.0.0.3", "--host", "S")
        said = self.r.cli("apply", self.first).stdout
        self.assertIn("nothing to change", said)
        path = self.files.put("refused.toml", other(self.r.config))
        done = self.r.cli("apply", path, check=False)
        # Two hosts of one locator: the operator's stays, so the file's cannot be.
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assert_ping("a", "10.0.0.3")


class Killed(Single):
    """kill -9 while files are applied: the next start has the file it is given,
    whole, and what operators were told is kept."""

    how = Plan()

    def test_kill_in_the_middle(self):
        files = Files(self.r)
        started = files.state()
        first = self.files_of(files)
        for turn in range(3):
            ending = threading.Event()

            def run():
                while not ending.is_set():
                    for path in first:
                        self.r.cli("apply", path, check=False)

            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            time.sleep(0.4 + 0.07 * turn)
            self.r.kill()
            ending.set()
            thread.join(30)
            self.r.start()
            self.assertEqual(files.state(), started)
            self.assertTrue(self.world.answers("a", 10.0))
            self.assertEqual(self.world.imbalance(), {})

    def files_of(self, files):
        config = copy.deepcopy(self.r.config)
        config["mapping"] += ENTRIES
        return files.put("first.toml", config), files.put("second.toml", other(config))


if __name__ == "__main__":
    unittest.main()
