"""Changes under a paced generator that accounts for every frame: none is lost.

Short versions of what `scripts/loss` measures. The worker has a core to itself
in life; here others may take it for a while, and what is lost then is theirs:
the kernel says how long that was, and the test is repeated."""

import os
import tempfile
import unittest

from lab import pace, pace_rows

ENTRIES = 1 << 14
# The device holds 1,024 frames, 5 ms of these: longer than the kernel lets
# others run who are less nice.
RATE = 200_000
AGAIN = 6


@unittest.skipUnless((os.cpu_count() or 1) > 1, "generator and worker need a core each")
class Blocked(unittest.TestCase):
    """200,000 frames a second through one worker."""

    alone = True
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="weft-blocked.")
        self.addCleanup(directory.cleanup)
        self.under = self.enterContext(
            pace_rows.appliance(directory.name, f"weft-blocked-{os.getpid()}", ENTRIES, RATE)
        )

    def nothing_is_lost(self, event, **how):
        for _ in range(AGAIN):
            run = event(self.under, **how)
            print(f"        {run.json()}")
            report = run.report
            self.assertEqual((report["duplicates"], report["reordered"]), (0, 0))
            if not run.lost:
                return run
            if run.waited < pace.WAITED:
                self.fail(f"{run.lost} frames lost; the worker waited {run.waited:.2f} ms")
        raise unittest.SkipTest("others take the worker's core all the time")

    def test_a_whole_set_is_replaced(self):
        self.nothing_is_lost(pace_rows.resync, entries=ENTRIES, times=10)

    def test_a_vnet_changes_its_mode(self):
        self.nothing_is_lost(pace_rows.modes, times=50)

    def test_mappings_end_all_at_once(self):
        self.nothing_is_lost(pace_rows.expiry, entries=10_000, lead=3)

    def test_a_port_is_added_and_removed(self):
        run = self.nothing_is_lost(pace_rows.ports, times=4)
        self.assertGreaterEqual(run.extra["used"], 900)

    def test_updates_are_seen_soon(self):
        run = self.nothing_is_lost(
            pace_rows.updates, wanted=100_000, count=100, entries=ENTRIES
        )
        self.assertEqual(run.extra["early"], 0)
        self.assertLess(run.extra["reply_to_packet_ms"]["p99"], 10.0)


if __name__ == "__main__":
    unittest.main()
