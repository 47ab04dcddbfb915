"""`weft stats --cycles` under traffic: the stages add up to what the worker spent."""

import time
import unittest

from case import Case
from traffic import Paced
from world import Plan


class Cycles(Case):
    """Datagrams from A to G at a steady rate, through both appliances."""

    alone = True
    how = Plan()

    def test_stages_add_up_to_what_the_worker_spent(self):
        paced = Paced(self.net, "a", "g", "10.0.0.3", rate=4000).start()
        self.addCleanup(paced.stop)
        time.sleep(0.5)
        before = self.r.counters()
        report = self.r.json("stats", "--cycles", "--watch", "6", "--count", "1")
        after = self.r.counters()
        paced.stop()
        worker = report["workers"][0]
        stages = {stage["stage"]: stage for stage in worker["stages"]}
        moved = stages["round"]["packets"]
        sampled = sum(stage["cycles"] for stage in worker["stages"]) / moved
        spent = worker["busy_cycles"] / worker["packets"]
        print(
            f"        {worker['sampled']} rounds, {moved} packets sampled of "
            f"{worker['packets']}: {sampled:.0f} cycles a packet by stage, {spent:.0f} in all"
        )
        self.assertAlmostEqual(report["over_ms"], 6000, delta=1500)
        self.assertGreater(worker["packets"], 10_000)
        self.assertLessEqual(worker["packets"], after["rx"] - before["rx"])
        bursts = sum(bursts["count"] for bursts in worker["bursts"])
        self.assertGreater(bursts, 0)
        self.assertGreaterEqual(worker["busy_rounds"], worker["sampled"])
        # Datagrams are plain: hardly any goes through the walk.
        self.assertGreater(stages["rewrite"]["packets"], 0.9 * stages["rx"]["packets"])
        self.assertEqual(stages["rewrite"]["packets"], stages["resolve"]["packets"])
        # A worker that sleeps meets few packets, and few rounds are sampled.
        self.assertGreater(moved, 20)
        self.assertLess(sampled, 2 * spent)
        self.assertGreater(sampled, 0.3 * spent)


if __name__ == "__main__":
    unittest.main()
