"""Two routers share the flows; one of them fails."""

import time
import unittest

from case import Case
from traffic import Paced
from world import Plan


class Failover(Case):
    """Within a second no flow goes to the failed one."""

    alone = True
    how = Plan(routers=2)

    def setUp(self):
        self.net.ping("a", "10.0.0.3", 2)

    def gap(self, fail, repair):
        paced = Paced(self.net, "a", "g", "10.0.0.3", rate=800, flows=16).start()
        self.addCleanup(paced.stop)
        time.sleep(0.5)
        fail()
        self.addCleanup(repair)
        time.sleep(2.5)
        paced.stop()
        gap = paced.longest_gap()
        print(f"        longest gap {gap:.2f} s, {paced.lost} of {paced.sent} lost")
        # Some flows did go that way, or the test shows nothing.
        self.assertGreater(paced.lost, 0)
        self.assertLess(gap, 1.0)
        # And later ones are whole.
        self.assertTrue(all(n in paced.arrived for n in range(paced.sent - 200, paced.sent)))

    def test_both_ways_are_used(self):
        paced = Paced(self.net, "a", "g", "10.0.0.3", rate=800, flows=16).start()
        time.sleep(0.5)
        paced.stop()
        counters = self.r.counters()
        self.assertEqual(paced.lost, 0)
        for number in range(2):
            self.assertGreater(counters[f"port_up{number}_tx_packets"], 50)

    def test_link_goes_down(self):
        link = ("link", "set", "weft-r")
        self.gap(
            lambda: self.net.ip("router0", *link, "down"),
            lambda: self.revive("router0"),
        )

    def test_router_falls_silent(self):
        setting = "net.ipv6.conf.weft-r.disable_ipv6"
        self.gap(
            lambda: self.net.exec("router1", "sysctl", "-qw", f"{setting}=1"),
            lambda: self.revive("router1"),
        )

    def revive(self, router):
        """The router as it was; addresses went with the link."""
        number = int(router[-1])
        self.net.exec(router, "sysctl", "-qw", "net.ipv6.conf.weft-r.disable_ipv6=0")
        self.net.ip(router, "link", "set", "weft-r", "up")
        own = f"{self.world.router('R', number)}/64"
        self.net.ip(router, "addr", "replace", own, "dev", "weft-r", "nodad")
        route = ("2001:db8:0:a:100::/72", "via", self.world.own("R", number))
        self.net.ip(router, "route", "replace", *route)
        time.sleep(2.0)


if __name__ == "__main__":
    unittest.main()
