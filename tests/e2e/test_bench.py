"""The benchmark's own logic, and the programs that it runs beside weft."""

import json
import os
import tempfile
import unittest
from types import SimpleNamespace

from lab import bars, net, ovs, report, rows, tayga
from lab.measured import Reading

HERTZ = 2_000_000_000
MACHINE = {
    "cpu": "a", "cores": 2, "tsc_hz": HERTZ, "dpdk": "22.11", "rounds": 3, "seconds": 1.0,
}
NAMES = """testpmd-io testpmd-macswap testpmd-5tswap testpmd-5tswap-1m testpmd-5tswap-8m
    testpmd-5tswap-512b floor outbound-siit-1k outbound-siit-64k outbound-siit-1m
    outbound-siit-8m inbound-siit-1k inbound-siit-1m outbound-transparent-1k relay-4to6-1k
    relay-6to4-1k local-1k handoff-inbound handoff-local routed-16x1k vhost-pair workers-2v1
    updates-100k updates-1m ovs-vxlan6-1k tayga-1k""".split()


def readings(*mpps, **more):
    return [Reading(value * 1e6, **more) for value in mpps]


def made(found, why=None):
    """A report as `--json` writes it and reads back."""
    names = [name for name in rows.ROWS if name in found or name in (why or {})]
    whole = report.report_of(MACHINE, names, rows.ROWS, found, why or {})
    return json.loads(json.dumps(whole))


def row(whole, name):
    return next(row for row in whole["rows"] if row["name"] == name)


class Report(unittest.TestCase):
    quick = True

    def test_ratios_are_of_the_same_round(self):
        # The machine halves its speed in the second round: the ratio does not
        # see it, as the ratio of medians would.
        found = {
            "testpmd-5tswap": readings(40.0, 20.0, 50.0),
            "outbound-siit-1k": readings(20.0, 10.0, 20.0),
        }
        whole = made(found)
        self.assertEqual(set(whole), {"machine", "yardstick", "rows"})
        mine = row(whole, "outbound-siit-1k")
        self.assertEqual(mine["mpps"], {"median": 20.0, "min": 10.0, "max": 20.0})
        self.assertEqual(mine["cycles"], {"median": 100.0, "min": 100.0, "max": 200.0})
        self.assertEqual(mine["ratio"], {"median": 2.0, "min": 2.0, "max": 2.5})
        self.assertEqual((mine["yardstick"], mine["lost"]), ("testpmd-5tswap", 0))

    def test_cycles_are_those_of_the_time_that_was_used(self):
        whole = made({"tayga-1k": readings(0.5, 0.5, 0.5, busy=0.5)})
        self.assertEqual(row(whole, "tayga-1k")["cycles"]["median"], 2000.0)

    def test_a_row_without_its_yardstick_has_no_ratio(self):
        whole = made({"outbound-siit-1k": readings(1.0)})
        self.assertNotIn("ratio", row(whole, "outbound-siit-1k"))
        self.assertIn("nothing to hold against", report.faults(whole)[0])

    def test_a_skipped_row_says_why(self):
        whole = made({}, {"handoff-local": "nobody else", "local-1k": "no hands"})
        skipped = {"name": "handoff-local", "skipped": "nobody else"}
        self.assertEqual(row(whole, "handoff-local"), skipped)
        # Only what has a bar is missed.
        self.assertEqual(report.faults(whole), ["local-1k: not measured: no hands"])
        self.assertIn("skipped: nobody else", report.table(whole | {"machine": MACHINE}))

    def test_what_weft_loses_is_a_fault_and_what_others_lose_is_not(self):
        found = {
            "testpmd-5tswap": readings(10.0, lost=7),
            "outbound-siit-1k": readings(9.0, lost=7),
            "handoff-local": readings(9.0, lost=7),
            "ovs-vxlan6-1k": readings(1.0, lost=7),
        }
        lost = ["outbound-siit-1k: lost 7 packets", "handoff-local: lost 7 packets"]
        self.assertEqual(report.faults(made(found)), lost)


class Bars(unittest.TestCase):
    quick = True

    def test_a_median_past_its_bar_is_missed_unless_the_rounds_differ_more(self):
        bar = bars.Bar(2.0)
        self.assertEqual(bars.judge(bar, [1.9, 2.0, 2.5]), bars.HELD)
        self.assertEqual(bars.judge(bar, [1.9, 2.1, 2.3]), bars.NEAR)
        self.assertEqual(bars.judge(bar, [2.1, 2.1, 2.2]), bars.MISSED)
        # One good round of five excuses nothing.
        self.assertEqual(bars.judge(bar, [1.5, 2.3, 2.3, 2.3, 2.4]), bars.MISSED)
        least = bars.Bar(0.95, least=True)
        self.assertEqual(bars.judge(least, [0.96, 0.97, 0.5]), bars.HELD)
        self.assertEqual(bars.judge(least, [0.90, 0.90, 0.97]), bars.MISSED)

    def test_a_bar_beside_another_row(self):
        found = {
            "testpmd-5tswap": readings(40.0, 20.0, 40.0),
            "outbound-siit-1k": readings(30.0, 15.0, 30.0),
            "outbound-transparent-1k": readings(25.0, 12.5, 25.0),
        }
        (fault,) = report.faults(made(found))
        self.assertIn("outbound-transparent-1k: 1.2", fault)
        self.assertIn("<= 1.05 x outbound-siit-1k", fault)

    def test_what_is_kept_counts_only_at_the_rate_that_was_asked_for(self):
        extra = {"kept": 1.0, "updates_per_second": 400_000.0}
        found = {
            "testpmd-5tswap-1m": readings(20.0),
            "updates-1m": readings(10.0, extra=extra),
        }
        (fault,) = report.faults(made(found))
        self.assertIn("updates per second >= 980000", fault)

    def test_every_bar_is_of_a_row(self):
        for name, wanted in bars.BARS.items():
            self.assertIn(name, rows.ROWS)
            for bar in wanted:
                self.assertIn(bar.beside, [None, *rows.ROWS])


class Rows(unittest.TestCase):
    quick = True

    def test_all_rows_are_there(self):
        self.assertLessEqual(set(NAMES), set(rows.ROWS))
        self.assertFalse([name for name in rows.QUICK if not name.endswith("1k")
                          and not name.startswith(("testpmd-", "floor"))])

    def test_the_yardstick_comes_right_before_its_rows(self):
        order = rows.in_turn(list(rows.ROWS))
        self.assertEqual(sorted(order), sorted(rows.ROWS))
        for at, name in enumerate(order):
            if wanted := rows.ROWS[name].yardstick:
                before = [other for other in order[:at] if rows.ROWS[other].yardstick != wanted]
                self.assertEqual(before[-1], wanted, name)

    def test_rows_and_yardsticks_have_the_same_frames(self):
        with tempfile.TemporaryDirectory() as directory:
            files = rows.Files(directory)
            for name, mine in rows.ROWS.items():
                other = rows.ROWS.get(mine.yardstick)
                if other is None or mine.stream is other.stream:
                    continue
                self.assertLess(mine.stream.count, 1 << 12, f"{name}: too many frames to compare")
                with open(files.capture(mine.stream), "rb") as one:
                    with open(files.capture(other.stream), "rb") as two:
                        self.assertEqual(one.read(), two.read(), name)


class Peers(unittest.TestCase):
    """The programs beside weft do their work, and leave nothing behind."""

    alone = True
    def reading(self, name):
        before = self.left()
        with tempfile.TemporaryDirectory(prefix="weft-test.") as directory:
            settings = SimpleNamespace(
                directory=directory, prefix=f"weft-test-{os.getpid()}", warm=0.3, seconds=0.5
            )
            reading = rows.ROWS[name].run(rows.Files(directory), settings)
        self.assertEqual(self.left(), before)
        return reading

    @staticmethod
    def left():
        run = f"weft-bench-{os.getpid()}"
        there = [name for name in os.listdir("/run/netns") if name.startswith(run)]
        return there, net.files_left(run), os.path.exists(f"/run/dpdk/{run}")

    def test_open_vswitch_encapsulates_to_every_far_end(self):
        if why := ovs.missing():
            self.skipTest(why)
        # The row itself looks at the flows of all destinations.
        reading = self.reading("ovs-vxlan6-1k")
        self.assertGreater(reading.pps, 100_000)
        self.assertEqual(reading.lost, 0)

    def test_tayga_is_measured_by_its_own_time(self):
        if tayga.program() is None:
            self.skipTest("no tayga; run scripts/setup")
        try:
            reading = self.reading("tayga-1k")
        except rows.Skip as why:
            # On a machine that is busy otherwise; nothing may be left even so.
            self.assertIn("others took the core", str(why))
            return
        self.assertGreater(reading.pps, 1000)
        self.assertLessEqual(reading.busy, 1.05)
        self.assertEqual(reading.lost, 0)
