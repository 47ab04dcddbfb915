"""Changes of the tables while traffic flows: nothing is lost, nobody waits."""

import os
import subprocess
import sys
import time
import unittest

from case import Case
from lab import plan, weft
from traffic import Paced, asked_by_arp, asked_by_discovery
from world import Plan

MILLION = 1_000_000


class Load(Case):
    """A million mappings over the socket. What is measured includes the test's
    own machine: senders, receivers and the client share two cores with both
    appliances."""

    alone = True
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
        arp, discovery = self.askers()
        paced = Paced(self.net, "a", "g", "10.0.0.3", rate=1000).start()
        self.addCleanup(paced.stop)
        time.sleep(0.3)
        loader.stdin.write("\n")
        loader.stdin.flush()
        begin = time.monotonic()
        while loader.poll() is None and time.monotonic() < begin + 60:
            self.ask(arp, discovery)
        loader.wait(60)
        seconds = float(loader.stdout.read())
        while len(arp.times) < 200:
            self.ask(arp, discovery)
        paced.stop()
        print(
            f"        {MILLION} mappings in {seconds:.2f} s; ARP {arp}; ND {discovery}; "
            f"{paced.sent} datagrams, {paced.lost} lost"
        )
        counters = self.r.counters()
        self.assertGreaterEqual(counters["table_entries"], MILLION)
        self.assertEqual(paced.lost, 0)
        for asked in (arp, discovery):
            self.assertEqual(asked.unanswered, 0)
            self.assertLess(asked.percentile(0.99), 0.010)
        self.assertLess(seconds, 2.0)

    def askers(self):
        """C asks for G by ARP, the router asks for R's own address."""
        c = self.world.wire("c", "weft-c"), plan.mac(self.net.mac("c", "weft-c"))
        router = self.world.wire("router0", "weft-r"), plan.mac(self.net.mac("router0", "weft-r"))
        return (
            asked_by_arp(*c, "10.0.0.5", "10.0.0.3"),
            asked_by_discovery(*router, self.world.router("R"), self.world.own("R")),
        )

    @staticmethod
    def ask(*askers):
        # The appliance answers each node, and each router, so many a second.
        for asked in askers:
            asked.ask()
            time.sleep(0.006)

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
