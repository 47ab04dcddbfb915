"""A node that does all it can against the others: each thing is counted by its
name, nothing of it comes to the substrate, and nobody else loses a packet."""

import threading

from case import Case
from lab import plan
from scapy.all import ARP, BOOTP, DHCP, ICMP, IP, UDP, Ether, Raw

A, C, G = "10.0.0.2", "10.0.0.5", "10.0.0.3"
EVERYBODY = "ff:ff:ff:ff:ff:ff"
MARK = b"from a hostile node"


def virtual(address):
    return plan.virtual_mac("Z", plan.v4(address)).hex(":")


class Hostile(Case):
    alone = True

    def setUp(self):
        self.wire = self.world.wire("a", "weft-a")
        self.uplink = self.world.wire("router0", "weft-r")
        self.neighbour = self.world.wire("c", "weft-c")
        self.mac = self.net.mac("a", "weft-a")

    def frame(self, packet, dst=None):
        return bytes(Ether(src=self.mac, dst=dst or virtual(G)) / packet)

    def attacks(self):
        """Name, frames, and the counter that has them."""
        offer = BOOTP(op=2, yiaddr="10.0.0.66", siaddr=A) / DHCP(options=[("message-type", 2), "end"])
        join = bytes.fromhex("1600f7f2ef0a0a01")
        scanned = [f"10.{n >> 8}.{n & 255}.9" for n in range(4096)]
        return (
            ("another's address", [self.frame(IP(src=C, dst=G) / UDP() / MARK)], "drop_spoofed_source"),
            (
                "poisoned caches",
                [self.frame(ARP(op=2, hwsrc=self.mac, psrc=G, hwdst=virtual(C), pdst=C), EVERYBODY)],
                "arp_spoofed_address",
            ),
            (
                "a server of its own",
                [self.frame(IP(src=A, dst="255.255.255.255") / UDP(sport=67, dport=68) / offer, EVERYBODY)],
                "drop_dhcp_server",
            ),
            ("to itself", [self.frame(IP(src=A, dst=A) / UDP(sport=7, dport=7) / MARK, virtual(A))], "drop_to_itself"),
            ("another's MAC", [self.frame(IP(src=A, dst=G) / UDP() / MARK, virtual(C))], "drop_mac_mismatch"),
            (
                "an error to nobody",
                [self.frame(IP(src=A, dst=G, ihl=5, len=9) / ICMP() / MARK)],
                "drop_bad_total_length",
            ),
            (
                "a flood of joins",
                [self.frame(IP(src=A, dst="239.10.10.1", ttl=1, proto=2) / Raw(join), "01:00:5e:0a:0a:01")] * 4,
                "drop_punt_limited",
            ),
            ("a scan", [self.frame(ARP(hwsrc=self.mac, psrc=A, pdst=to), EVERYBODY) for to in scanned], "drop_punt_limited"),
        )

    def flood(self, sent, stop):
        for name, these, _ in self.attacks():
            for turn in range(4000):
                if stop.is_set():
                    return
                self.wire.send(these[turn % len(these)])
                sent[name] = sent.get(name, 0) + 1

    def test_nobody_else_is_harmed(self):
        before = self.r.counters()
        sent, stop = {}, threading.Event()
        flood = threading.Thread(target=self.flood, args=(sent, stop))
        flood.start()
        try:
            while flood.is_alive():
                self.assert_ping("c", G, 200, interval=0.005)
        finally:
            stop.set()
            flood.join()
        after = self.r.counters()
        self.assertEqual(set(sent), {name for name, _, _ in self.attacks()})
        for name, _, counter in self.attacks():
            with self.subTest(name):
                grown = after[counter] - before[counter]
                # Control looks at so many a second, and what the wire did not take
                # is nobody's; of all others most came.
                least = 50 if counter.startswith("arp_") else sent[name] // 4
                self.assertGreater(grown, least, f"{counter}: {grown} of {sent[name]}")
        for wire in (self.uplink, self.neighbour):
            self.assertEqual(wire.seen(lambda frame: MARK in frame, outgoing=False), [])
            self.assertEqual(wire.seen(lambda frame: frame[12:14] == b"\x08\x06" and wire is self.uplink), [])
