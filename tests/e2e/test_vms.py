"""Virtual machines as nodes: Debian's kernel under QEMU, three guests on two
hosts, over a substrate with a hop of 1,400 bytes. What a stand-in for a guest
does not do: features negotiated by a stock driver, boots, QEMU that ends and
comes back, an appliance that does while guests go on."""

import signal
import time
import unittest

from case import Case
from lab import initrd, net
from vm_world import ADDRESS, HOP_MTU, NODE_MTU, VmWorld
from world import Plan

# 200 MB.
BLOCKS = 200_000_000 // initrd.BLOCK + 1
# What of the substrate's narrowest hop is a node's.
PATH = HOP_MTU - 28
# Bits of virtio (section 5.1.3): the guest may leave checksums, is left them,
# may leave TCP to be cut, is given uncut TCP; receive buffers merge; queues.
CSUM, GUEST_CSUM, GUEST_TSO4, HOST_TSO4, MRG_RXBUF, MQ = 0, 1, 7, 11, 15, 22


class Vms(Case):
    """One world for all."""

    alone = True
    how = Plan(workers=2)
    make = VmWorld

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.vms = cls.world.vms

    def assert_pings(self, source, target, count=5, options=""):
        answered, text = self.vms[source].ping(ADDRESS[target], count, options)
        self.assertEqual(answered, count, f"{text}\n{self.world.drops()}")

    def assert_stream(self, source, target, blocks):
        whole, took = self.world.stream(source, target, blocks)
        print(f"        {source} to {target}: {blocks * initrd.BLOCK / took / 1e6:.0f} MB/s")
        self.assertTrue(whole, "the stream's hash is another")

    def counted(self, host, name):
        return host.counters()[name]

    def test_ping_from_each_to_each(self):
        for source in ADDRESS:
            for target in ADDRESS:
                if source != target:
                    self.assert_pings(source, target)

    def test_what_the_driver_negotiated(self):
        wanted = {CSUM, GUEST_CSUM, GUEST_TSO4, HOST_TSO4, MRG_RXBUF}
        for short, guest in self.vms.items():
            with self.subTest(guest=short):
                self.assertEqual(wanted - guest.features(), set())
                told = guest.run("/usr/bin/ethtool -k eth0")
                self.assertIn("tx-checksum-ip-generic: on", told)
                self.assertIn("tx-tcp-segmentation: on", told)
        self.assertIn(MQ, self.vms["c"].features())
        self.assertNotIn(MQ, self.vms["a"].features())

    def test_two_hundred_megabytes(self):
        before = {host: host.counters() for host in (self.r, self.s)}
        self.assert_stream("a", "g", BLOCKS)
        self.assert_stream("g", "a", BLOCKS)
        for host in (self.r, self.s):
            after = host.counters()
            for name in ("segmented", "checksums_completed"):
                self.assertGreater(after[name] - before[host][name], 1000, (host.name, name))

    def test_guests_of_one_host(self):
        """The checksum that A leaves is left to C. Packets that are larger than
        one of C's buffers fill several of them."""
        before = self.counted(self.r, "checksums_left")
        self.assert_stream("a", "c", 8)
        self.assert_stream("c", "a", 8)
        self.assertGreater(self.counted(self.r, "checksums_left"), before + 1000)
        for short in ("a", "c"):
            self.vms[short].run(f"ip link set eth0 mtu {NODE_MTU}")
        try:
            self.assert_pings("a", "c", options=f"-M do -s {NODE_MTU - 28}")
            self.assert_pings("c", "a", options=f"-M do -s {NODE_MTU - 28}")
        finally:
            for short in ("a", "c"):
                self.vms[short].run("ip link set eth0 mtu 1500")

    def test_path_mtu(self):
        guest = self.vms["a"]
        guest.run("ip route flush cache; echo 1 >/proc/sys/net/ipv4/route/flush")
        _, text = guest.ping(ADDRESS["g"], 3, "-M do -s 1440")
        self.assertIn(f"mtu = {PATH}", text.replace("mtu=", "mtu = "))
        self.assert_pings("a", "g", options=f"-M do -s {PATH - 28}")
        # Without DF the packet is cut on the way and put together there.
        # The first one may be lost, while S learns what its way back carries.
        guest.ping(ADDRESS["g"], 1, "-M dont -s 1440")
        self.assert_pings("a", "g", options="-M dont -s 1440")

    def test_two_tenants_with_the_same_addresses(self):
        """A, G and their twins talk at the same time; on no port passes a
        frame of the other tenant."""
        wires = {
            short: self.world.wire(short, f"weft-{short}") for short in ("twin", "other")
        }
        up = self.world.wire("router0", "weft-r")
        for short in ("a", "g"):
            self.vms[short].run("tcpdump -Z root -i eth0 -U -w /tmp/all.pcap >/tmp/tcpdump.txt 2>&1 & sleep 1")
        pinging = self.vms["a"].post(f"/usr/bin/ping -c 20 -i 0.1 -p aa {ADDRESS['g']}")
        self.assertEqual(self.net.ping("twin", "10.0.0.3", 20, 0.1, options=("-p", "bb"))[0], 20)
        self.assertIn(" 20 received", self.vms["a"].take(pinging))
        for short in ("a", "g"):
            self.vms[short].run("killall tcpdump; sleep 1")
            of_a, of_twin = (
                int(self.vms[short].run(f"tcpdump -Z root -nxr /tmp/all.pcap icmp 2>/dev/null | grep -c '{row}'", check=False))
                for row in (": *" + " ".join(["aaaa"] * 8), ": *" + " ".join(["bbbb"] * 8))
            )
            self.assertGreater(of_a, 39, self.vms[short].run("cat /tmp/tcpdump.txt"))
            self.assertEqual(of_twin, 0, short)
        for short, wire in wires.items():
            self.assertEqual(len(wire.seen(lambda frame: b"\xbb" * 16 in frame)), 40, short)
            self.assertEqual(wire.seen(lambda frame: b"\xaa" * 16 in frame), [], short)
        # The substrate has both, under addresses that differ.
        for pattern, vni in ((b"\xaa", "5a0001"), (b"\xbb", "590001")):
            seen = up.seen(lambda frame, one=pattern: one * 16 in frame)
            self.assertEqual(len(seen), 40)
            self.assertEqual({frame[22 + 9 : 22 + 12].hex() for frame in seen}, {vni})
            self.assertEqual({frame[38 + 9 : 38 + 12].hex() for frame in seen}, {vni})

    def test_a_guest_with_two_queues_may_use_one(self):
        guest = self.vms["c"]
        self.assertIn("rx-1", guest.run("ls /sys/class/net/eth0/queues"))
        for queues in (1, 2):
            with self.subTest(queues=queues):
                guest.run(f"/usr/bin/ethtool -L eth0 combined {queues}")
                self.assert_pings("c", "a", 10)
                self.assert_pings("g", "c", 10)
                self.assert_stream("c", "g", 4)
                self.assert_stream("g", "c", 4)

    def test_a_guest_boots_again(self):
        self.vms["a"].reboot()
        self.world.settle("a")
        self.world.reaches("a", "g")
        self.assert_pings("g", "a")
        self.assert_stream("a", "g", 2)

    def test_qemu_ends_and_comes_back(self):
        for short in ("a", "g"):
            with self.subTest(guest=short):
                guest = self.vms[short]
                guest.stop(signal.SIGKILL)
                host = self.r if short == "a" else self.s
                down = f"port_{short}_up"
                self.assertTrue(net.eventually(lambda: not host.counters().get(down), 10.0))
                # What is sent to it meanwhile is dropped by name, and nothing stops.
                other = "c" if short == "a" else "a"
                self.assertEqual(self.vms[other].ping(ADDRESS[short], 2)[0], 0)
                guest.start().ready()
                self.world.settle(short)
                self.world.reaches(short, other)
                self.assert_stream("g", "a", 2)

    def test_weft_ends_and_comes_back(self):
        """Guests stay up, and a stream under way goes on: to a guest whose
        socket weft makes, and to one whose QEMU listens."""
        for target in ("a", "c"):
            with self.subTest(target=target):
                receiver, hashed = self.world.listen(target)
                time.sleep(0.5)
                sender, sent = self.world.send("g", target, 12)
                time.sleep(1.0)
                self.r.kill()
                self.r.start()
                sender.take(sent, 120.0)
                self.assertTrue(receiver.take(hashed, 120.0))
                self.world.reaches(target, "g")
                self.assert_pings("a", "c")
                self.assert_stream("c", "g", 2)


if __name__ == "__main__":
    unittest.main()
