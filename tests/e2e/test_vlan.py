"""An uplink whose frames carry a VLAN tag. The router is this test: it takes
and makes tagged frames by hand."""

import struct
import unittest

from lab import frames, net, plan
from world import Plan, World

A, G = plan.v4("10.0.0.2"), plan.v4("10.0.0.3")
VLAN = 100
ROUTER_MAC = "02:00:00:00:00:ff"


class TaggedWorld(World):
    """Host R alone, its router's address given."""

    def config(self, host):
        config = super().config(host)
        config["neighbor"] = [
            {"port": "up0", "address": self.router(host), "mac": ROUTER_MAC}
        ]
        return config


class Tagged(unittest.TestCase):
    """Out with the tag, in with it, and not without."""

    @classmethod
    def setUpClass(cls):
        cls.world = TaggedWorld(Plan(vlan=VLAN, hosts=("R",))).start()
        cls.addClassCleanup(cls.world.close)
        cls.net = cls.world.net
        cls.r = cls.world.hosts["R"]
        cls.wire_a = cls.world.wire("a", "weft-a")
        cls.uplink = cls.world.wire("router0", "weft-r")
        cls.r_mac = plan.mac(cls.net.mac("r", "weft-r-up0"))

    def test_frames_leave_tagged(self):
        mac = plan.mac(self.net.mac("a", "weft-a"))
        packet = frames.ipv4_udp(A, G, b"outward bound")
        self.wire_a.send(plan.virtual_mac("Z", G) + mac + b"\x08\x00" + packet)
        frame = self.uplink.wait(lambda frame: b"outward bound" in frame, outgoing=False)
        self.assertIsNotNone(frame, self.world.drops())
        self.assertEqual(frame[:6], plan.mac(ROUTER_MAC))
        self.assertEqual(frame[12:18], struct.pack(">HHH", 0x8100, VLAN, 0x86DD))

    def inbound(self, tag, payload):
        packet = frames.ipv6_udp(plan.substrate("S", "Z", G), plan.substrate("R", "Z", A), payload)
        self.uplink.send(self.r_mac + plan.mac(ROUTER_MAC) + tag + b"\x86\xdd" + packet)

    def test_tagged_frames_arrive(self):
        self.inbound(struct.pack(">HH", 0x8100, VLAN), b"inward bound")
        self.assertIsNotNone(
            self.wire_a.wait(lambda frame: b"inward bound" in frame, outgoing=False),
            self.world.drops(),
        )

    def test_other_frames_do_not(self):
        for tag in (b"", struct.pack(">HH", 0x8100, VLAN + 1)):
            with self.subTest(tag=tag.hex()):
                before = self.r.counters()["drop_wrong_vlan"]
                self.inbound(tag, b"wrong place")
                self.assertTrue(
                    net.eventually(lambda: self.r.counters()["drop_wrong_vlan"] > before)
                )
        self.assertEqual(self.wire_a.seen(lambda frame: b"wrong place" in frame), [])


if __name__ == "__main__":
    unittest.main()
