"""Addresses that nodes give themselves with `ip address`, by both policies.

    A 10.0.0.2 (Z) --+                         +-- G 10.0.0.3 (Z)
    C 10.0.0.5 (Z) --+-- R --- router0 --- S --+

What a manager does with events, a few lines here do: they tell S where an
address is that R has learned, before S lets its packets in.
"""

import json
import socket
import threading
import time
import unittest

from case import Case
from lab import net
from lab.control import ControlError
from world import Plan

A, C, G, NEW, NEWER = "10.0.0.2", "10.0.0.5", "10.0.0.3", "10.0.0.9", "10.0.0.10"
TAKEN = {"added", "changed", "watching"}


class Manager:
    """Hears of addresses at R, and answers for them at S."""

    def __init__(self, r, s):
        self.events = []
        self.ending = threading.Event()
        self.listens, self.answers, self.tells = r.control(), s.control(), s.control()
        self.listens.call("subscribe", topics=["address"])
        # Packets of unknown sources wait at S as long as somebody answers.
        self.answers.call("subscribe", topics=["miss"], answers=True)
        self.listens.socket.settimeout(0.1)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        rest = b""
        while not self.ending.is_set():
            try:
                rest += self.listens.socket.recv(1 << 16)
            except (TimeoutError, socket.timeout):
                continue
            *lines, rest = rest.split(b"\n")
            for line in lines:
                self._hear(json.loads(line)["params"])

    def _hear(self, event):
        if event["verdict"] in TAKEN:
            self._call("mapping.set", [{"address": event["seen"], "host": "R"}])
        gone = event["seen"] if event["verdict"] == "dropped" else event.get("replaced")
        if gone and gone != A:
            self._call("mapping.remove", [{"address": gone}])
        self.events.append(event)

    def _call(self, method, mappings):
        try:
            self.tells.call(method, vnet="Z", mappings=mappings)
        except ControlError:
            pass  # gone already

    def heard(self, address, verdict, timeout=5.0):
        def find():
            return [e for e in self.events if (e["seen"], e["verdict"]) == (address, verdict)]

        net.eventually(find, timeout)
        return find()

    def close(self):
        self.ending.set()
        self.thread.join(5)
        for client in (self.listens, self.answers, self.tells):
            client.close()


class Addresses(Case):
    """A's kernel changes its addresses, and weft follows or does not."""

    quick = True
    how = Plan()

    def setUp(self):
        self.net.exec("a", "sysctl", "-qw", "net.ipv4.conf.all.arp_notify=0")
        self.manager = Manager(self.r, self.s)
        self.addCleanup(self.manager.close)
        self.addCleanup(self.policy)
        self.addCleanup(self.only, A)

    def policy(self, **keys):
        with self.r.control() as client:
            vnet = {"name": "Z", "vni": 0x5A0001, "prefixes": ["10.0.0.0/8"], **keys}
            client.call("vnet.set", vnet=vnet)

    def only(self, *addresses):
        """Gives A these addresses and no others."""
        self.net.ip("a", "address", "flush", "dev", "weft-a")
        for address in addresses:
            self.net.ip("a", "address", "add", f"{address}/24", "dev", "weft-a")

    def ping(self, source, count=5):
        return self.net.ping("a", G, count, 0.05, options=("-I", source))

    def learned(self):
        found = {held["object"]["name"]: held for held in self.r.jsons("binding", "list")}
        return [a["address"] for a in found["A"].get("learned", {}).get("addresses", [])]

    def test_forbidden_is_forbidden(self):
        self.policy()
        self.only(A, NEW)
        before = self.drops(self.r, "spoofed_source")
        answered, _ = self.ping(NEW, 2)
        self.assertEqual(answered, 0)
        self.assert_ping("a", G, options=("-I", A))
        # Its ARP is refused, or what it sends by what it knew already.
        arp = self.r.counters()["arp_spoofed_address"]
        self.assertGreater(arp + self.drops(self.r, "spoofed_source") - before, 0)
        self.assertEqual((self.manager.events, self.learned()), ([], []))

    def test_a_further_address_loses_no_packet(self):
        """From the first one on, to a node of another host and of this one."""
        self.policy(learn="auto", learn_as="add")
        self.only(A, NEW)
        answered, text = self.ping(NEW)
        self.assertEqual(answered, 5, f"{text}\n{self.world.story()}")
        self.assertEqual(self.learned(), [NEW])
        (event,) = self.manager.heard(NEW, "added")
        mac = self.net.mac("a", "weft-a")
        self.assertEqual((event["node"], event["bound"], event["mac"]), ("A", A, mac))
        # Both are reached from either side.
        for address in (A, NEW):
            self.assert_ping("g", address)
            self.assert_ping("c", address)
        listed = self.r.cli("binding", "list").stdout
        self.assertIn(f"{A} (also {NEW})", listed)

    def test_an_address_in_place_of_another(self):
        self.policy(learn="auto")
        self.only(NEW)
        answered, text = self.ping(NEW)
        self.assertEqual(answered, 5, f"{text}\n{self.world.story()}")
        (event,) = self.manager.heard(NEW, "changed")
        self.assertEqual(event["replaced"], A)
        self.assert_ping("g", NEW)
        self.assert_no_ping("c", A)
        # It uses both: the guess was wrong.
        self.only(A, NEW)
        self.assert_ping("a", G, options=("-I", A))
        self.assertTrue(self.manager.heard(A, "added"))
        self.assert_ping("a", G, options=("-I", NEW))

    def test_an_announcement_is_asked_for(self):
        self.policy(learn="announce", learn_as="add")
        self.only(A, NEWER)
        answered, _ = self.ping(NEWER, 2)
        self.assertEqual((answered, self.learned()), (0, []))
        # Where it is told to, the kernel announces what it has.
        self.net.exec("a", "sysctl", "-qw", "net.ipv4.conf.all.arp_notify=1")
        mac = self.net.mac("a", "weft-a")
        self.net.ip("a", "link", "set", "weft-a", "address", mac)
        (event,) = self.manager.heard(NEWER, "added")
        self.assertEqual(event["by"], "announce")
        answered, text = self.ping(NEWER)
        self.assertEqual(answered, 5, f"{text}\n{self.world.story()}")

    def test_what_is_not_used_goes(self):
        self.policy(learn="auto", learn_as="watch", learn_seconds=1)
        self.only(NEW)
        self.ping(NEW, 2)
        self.assertTrue(self.manager.heard(NEW, "watching"))
        (event,) = self.manager.heard(NEW, "changed")
        self.assertEqual(event["replaced"], A)
        self.assert_ping("g", NEW)

    def test_nobody_takes_what_another_has(self):
        self.policy(learn="auto", learn_as="add")
        self.only(A, C)
        answered, _ = self.ping(C, 2)
        self.assertEqual(answered, 0)
        (event,) = self.manager.heard(C, "refused")[:1]
        self.assertEqual((event["node"], event["why"]), ("A", "address_taken"))
        # C is where it was.
        self.only(A)
        self.assert_ping("g", C)
        self.assert_ping("a", C)

    def test_the_address_alone_decides(self):
        """A remembers a MAC of G's from elsewhere."""
        stale = "52:54:00:12:34:56"
        self.only(A)
        self.net.ip("a", "neigh", "replace", G, "lladdr", stale, "dev", "weft-a")
        self.addCleanup(self.net.ip, "a", "neigh", "del", G, "dev", "weft-a")
        before = self.drops(self.r, "mac_mismatch")
        self.assert_no_ping("a", G)
        self.assertEqual(self.drops(self.r, "mac_mismatch") - before, 2)
        self.policy(unknown_mac="resolve")
        self.assert_ping("a", G)


if __name__ == "__main__":
    unittest.main()
