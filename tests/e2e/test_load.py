"""Changes of the tables while traffic flows: nothing is lost, nobody waits."""

import os
import subprocess
import sys
import time
import unittest

from case import Case
from lab import plan, weft
from traffic import Asked, Paced
from world import Plan

MILLION = 1_000_000


class Load(Case):
    """A million mappings over the socket."""

    how = Plan(limits={"mappings": 1 << 21})

    def test_a_million_mappings_under_traffic(self):
        loader = subprocess.Popen(
            [sys.executable, "-m", "lab.control", self.r.socket, str(MILLION), "S"],
            cwd=os.path.join(weft.ROOT, "scripts"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(loader.kill)
        self.assertEqual(loader.stdout.readline().strip(), "ready")
        wire = self.world.wire("c", "weft-c")
        asked = Asked(wire, plan.mac(self.net.mac("c", "weft-c")), "10.0.0.5", "10.0.0.3")
        paced = Paced(self.net, "a", "g", "10.0.0.3", rate=1000).start()
        self.addCleanup(paced.stop)
        time.sleep(0.3)
        loader.stdin.write("\n")
        loader.stdin.flush()
        begin = time.monotonic()
        while loader.poll() is None and time.monotonic() < begin + 60:
            asked.ask()
            time.sleep(0.011)
        loader.wait(60)
        while len(asked.times) < 200:
            asked.ask()
            time.sleep(0.011)
        paced.stop()
        seconds = float(loader.stdout.read())
        p99 = asked.percentile(0.99)
        print(
            f"        {MILLION} mappings in {seconds:.2f} s; ARP p50 {asked.percentile(0.5) * 1e3:.2f} ms, "
            f"p99 {p99 * 1e3:.2f} ms; {paced.sent} datagrams, {paced.lost} lost"
        )
        counters = self.r.counters()
        self.assertGreaterEqual(counters["table_entries"], MILLION)
        self.assertEqual(paced.lost, 0)
        self.assertEqual(asked.unanswered, 0)
        self.assertLess(p99, 0.010)
        self.assertLess(seconds, 2.0)

    def test_modes_change_under_traffic(self):
        paced = Paced(self.net, "a", "g", "10.0.0.3", rate=1000).start()
        self.addCleanup(paced.stop)
        with self.r.control() as client:
            for mode in ("transparent", "siit") * 10:
                vnet = weft.vnet_tables("Z", mode=mode, prefixes=["10.0.0.0/8"])[0]
                client.call("vnet.set", vnet=vnet)
                time.sleep(0.02)
        paced.stop()
        self.assertEqual(paced.lost, 0, self.world.drops())


if __name__ == "__main__":
    unittest.main()
