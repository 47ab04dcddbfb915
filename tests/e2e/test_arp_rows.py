"""ARP of nodes, row by row: a frame goes in, and this very frame comes out, or
none does."""

import time

from case import Case
from lab import plan
from scapy.layers.l2 import ARP, Dot1Q, Ether
from world import Plan

A, C, G, SECOND, NOBODY = "10.0.0.2", "10.0.0.5", "10.0.0.3", "10.0.0.30", "10.0.0.99"
ZERO, EVERYBODY = "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"
# How long a frame is waited for that must not come.
SILENCE = 0.25


def virtual(address, kind=0x76):
    return plan.mac_text(plan.virtual_mac("Z", address, kind))


class Rows(Case):
    """What is sent from A's own wire, and what comes back on it."""

    quick = True
    how = Plan()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # The kernel of the node must not answer beside the appliance.
        cls.net.exec("a", "ip", "link", "set", "weft-a", "arp", "off")
        cls.net.exec("a", "sysctl", "-qw", "net.ipv6.conf.weft-a.disable_ipv6=1")
        cls.wire = cls.world.wire("a", "weft-a")
        cls.mac = cls.net.mac("a", "weft-a")
    def asks(self, sender, target, **other):
        """A broadcast request, with whatever else is to be otherwise."""
        link = {"src": other.pop("src", self.mac), "dst": other.pop("dst", EVERYBODY)}
        message = {"op": 1, "hwsrc": self.mac, "psrc": sender, "hwdst": ZERO, "pdst": target}
        return bytes(Ether(**link) / ARP(**{**message, **other})).ljust(60, b"\0")

    def told(self, sender, target, mac):
        """The answer to that: `mac` has `target`."""
        message = ARP(op=2, hwsrc=mac, psrc=target, hwdst=self.mac, pdst=sender)
        return bytes(Ether(src=mac, dst=self.mac) / message)

    def row(self, frame, expected, counter=None):
        before = self.r.counters()
        self.wire.clear()
        self.wire.send(frame)
        arp = lambda octets: octets[12:14] in (b"\x08\x06", b"\x81\x00", b"\x80\x35")
        if expected is None:
            time.sleep(SILENCE)
            self.assertEqual(self.wire.seen(arp, outgoing=False), [])
        else:
            answer = self.wire.wait(arp, outgoing=False)
            self.assertIsNotNone(answer, self.world.story())
            self.assertEqual(answer[: len(expected)].hex(" "), expected.hex(" "))
            self.assertEqual(answer[len(expected) :].strip(b"\0"), b"")
        if counter:
            self.assertEqual(self.r.counters()[counter] - before[counter], 1, counter)

    def reverse(self, op):
        message = ARP(op=op, hwsrc=self.mac, psrc="0.0.0.0", hwdst=self.mac, pdst="0.0.0.0")
        frame = Ether(src=self.mac, dst=EVERYBODY, type=0x8035) / message
        return bytes(frame).ljust(60, b"\0")

    def rows(self, rows):
        for name, frame, expected, counter in rows:
            with self.subTest(name):
                self.row(frame, expected, counter)

    def change(self, *changes):
        """All of them or none."""
        with self.r.control() as client:
            changes = [{"method": method, "params": params} for method, params in changes]
            client.call("batch", changes=changes)


class ArpRows(Rows):
    """From A, which has a second address."""

    early = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        binding = {"name": "A", "vnet": "Z", "address": A, "port": "a"}
        with cls.r.control() as client:
            client.call("binding.set", binding={**binding, "prefixes": [f"{SECOND}/32"]})

    def test_rows(self):
        mac_g, mac_c = virtual(G), virtual(C)
        other = "02:00:00:00:00:77"
        tagged = bytes(
            Ether(src=self.mac, dst=EVERYBODY)
            / Dot1Q(vlan=7)
            / ARP(op=1, hwsrc=self.mac, psrc=A, pdst=G)
        )
        rows = (
            ("of another host", self.asks(A, G), self.told(A, G, mac_g), "arp_answered"),
            ("of this host", self.asks(A, C), self.told(A, C, mac_c), "arp_answered"),
            ("refreshed", self.asks(A, G, dst=mac_g), self.told(A, G, mac_g), "arp_answered"),
            ("second address", self.asks(SECOND, G), self.told(SECOND, G, mac_g), "arp_answered"),
            # RFC 5227: a probe is answered by whoever has the address.
            ("probe of G's", self.asks("0.0.0.0", G), self.told("0.0.0.0", G, mac_g), "arp_answered"),
            ("probe of its own", self.asks("0.0.0.0", A), None, "arp_probe"),
            ("probe of its second", self.asks("0.0.0.0", SECOND), None, "arp_probe"),
            ("announcement", self.asks(A, A), None, "arp_gratuitous"),
            ("announcement as reply", self.asks(A, A, op=2), None, "arp_reply"),
            ("its own second", self.asks(A, SECOND), None, "arp_own_address"),
            ("nobody", self.asks(A, NOBODY), None, "arp_unknown_target"),
            ("nobody again", self.asks(A, NOBODY), None, "arp_cached_unknown"),
            ("outside the vnet", self.asks(A, "192.0.2.1"), None, "arp_unknown_target"),
            ("multicast", self.asks(A, "224.0.0.251"), None, "arp_no_unicast_target"),
            ("broadcast", self.asks(A, "255.255.255.255"), None, "arp_no_unicast_target"),
            ("zero", self.asks(A, "0.0.0.0"), None, "arp_no_unicast_target"),
            ("as G", self.asks(G, C), None, "arp_spoofed_address"),
            ("announcing G", self.asks(G, G), None, "arp_spoofed_address"),
            ("poisoning", self.asks(G, C, op=2, hwdst=mac_c), None, "arp_spoofed_address"),
            ("sender is no source", self.asks(A, G, hwsrc=other), None, "arp_bad_sender_mac"),
            ("group sender", self.asks(A, G, hwsrc=EVERYBODY), None, "arp_bad_sender_mac"),
            ("operation 9", self.asks(A, G, op=9), None, "arp_bad_operation"),
            ("hardware 6", self.asks(A, G, hwtype=6), None, "arp_not_ethernet_ipv4"),
            ("protocol IPv6", self.asks(A, G, ptype=0x86DD), None, "arp_not_ethernet_ipv4"),
            ("tagged", tagged, None, "drop_unknown_node"),
            ("reverse reply", self.reverse(4), None, "drop_ethertype_rarp"),
            ("guest has come", self.reverse(3), None, "rarp_seen"),
        )
        self.rows(rows)

    def test_a_scan_is_bounded(self):
        """The whole vnet at the speed of a socket: control is asked so much a
        second and no more, tells of each address once, and G is still there."""
        before = self.r.counters()
        hosts = range(4096, 24576)
        frames = [self.asks(A, f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}") for n in hosts]
        for frame in frames:
            self.wire.send(frame)
        self.assert_ping("c", G)
        after = self.r.counters()
        grown = {key: after[key] - before[key] for key in after}
        # What the wire lost before is nobody's.
        self.assertGreater(grown["drop_punt_limited"], len(frames) // 10)
        self.assertLessEqual(grown["misses"], grown["arp_unknown_target"])


class ArpOfSubnets(Rows):
    """A is in a subnet with a gateway, and C in another."""

    def test_rows(self):
        web = {"name": "web", "vnet": "Z", "prefix": "10.0.0.0/30", "gateway": "10.0.0.1"}
        lab = {"name": "lab", "vnet": "Z", "prefix": "10.0.0.4/30"}
        self.change(("subnet.set", {"subnet": web}), ("subnet.set", {"subnet": lab}))
        router = virtual("10.0.0.1", 0x72)
        gateway = "10.0.0.1"
        probed = self.told("0.0.0.0", gateway, router)
        self.rows(
            (
                ("gateway", self.asks(A, gateway), self.told(A, gateway, router), "arp_answered"),
                ("probe of it", self.asks("0.0.0.0", gateway), probed, "arp_answered"),
                ("another subnet", self.asks(A, C), None, "arp_wrong_subnet"),
                ("outside all", self.asks(A, "192.0.2.1"), None, "arp_wrong_subnet"),
                ("as the gateway", self.asks(gateway, C), None, "arp_spoofed_address"),
            )
        )
        self.change(("subnet.remove", {"name": "web"}), ("subnet.remove", {"name": "lab"}))
        # One link again.
        self.row(self.asks(A, C), self.told(A, C, virtual(C)))
