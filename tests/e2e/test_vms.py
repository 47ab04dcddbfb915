"""Virtual machines as nodes: Debian's kernel under QEMU, three guests on two
hosts, over a substrate with a hop of 1,400 bytes. What a stand-in for a guest
does not do: features negotiated by a stock driver, clients of DHCP that ask
when they boot, QEMU that ends and comes back or hands its guest to another, an
appliance that ends while guests go on."""

import json
import re
import signal
import time
import unittest

from case import Case
from lab import initrd, net
from test_multicast import Manager
from vm_world import ADDRESS, BEHIND, CLIENT, DNS, HOP_MTU, MACS, MOVED, MTU, NODE_MTU, ROUTERS
from vm_world import VmWorld, expected
from world import Plan

# 200 MB.
BLOCKS = 200_000_000 // initrd.BLOCK + 1
# What of the substrate's narrowest hop is a node's.
PATH = HOP_MTU - 28
GROUP = "239.1.2.3"
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
        address = self.world.address.get(target, target)
        answered, text = self.vms[source].ping(address, count, options)
        self.assertEqual(answered, count, f"{text}\n{self.world.drops()}")

    def assert_stream(self, source, target, blocks):
        whole, took = self.world.stream(source, target, blocks)
        print(f"        {source} to {target}: {blocks * initrd.BLOCK / took / 1e6:.0f} MB/s")
        self.assertTrue(whole, "the stream's hash is another")

    def counted(self, host, name):
        return host.counters()[name]

    def test_addresses_come_from_the_host(self):
        """Three clients are told the same, each in its own way."""
        for short, host in (("a", self.r), ("c", self.r), ("g", self.s)):
            with self.subTest(client=CLIENT[short]):
                has = self.world.lease(short)
                self.assertEqual(has["address"], [f"{ADDRESS[short]}/24"])
                self.assertEqual(has["mtu"], [str(MTU)])
                self.assertIn("default 10.0.0.1", has["route"])
                self.assertIn(" ".join(BEHIND), has["route"])
                self.assertEqual(has["dns"], [DNS])
                # Without D-Bus networkd can name nobody; it has the name.
                name = has["told"] if CLIENT[short] == "networkd" else has["name"]
                self.assertEqual(name, [short.upper()])
                found = [one for one in host.jsons("lease", "list") if one["node"] == short.upper()]
                self.assertEqual([one["mac"] for one in found], [MACS[short]])
        before = self.counted(self.r, "dhcp_ack_out")
        self.vms["a"].run("rm -f /tmp/udhcpc.renew; kill -USR1 $(cat /run/udhcpc.pid)")
        self.vms["a"].run("until [ -e /tmp/udhcpc.renew ]; do sleep 0.1; done")
        self.assertGreater(self.counted(self.r, "dhcp_ack_out"), before)
        self.assertEqual(self.world.lease("a")["address"], [f"{ADDRESS['a']}/24"])
        self.assert_pings("a", "g", 2)

    def test_routers_on_the_way(self):
        """G moves to a subnet behind two routers, with the address that it is
        told there."""
        self.world.tell("g", "S", "g", "10.0.3.3")
        self.world.lease_again("g")
        try:
            self.assertEqual(self.world.lease("g")["address"], ["10.0.3.3/24"])
            self.world.reaches("a", "g")
            for source, target, wanted in (
                ("a", "10.0.3.3", ["10.0.0.1", "10.0.255.2", "10.0.3.3"]),
                ("g", ADDRESS["c"], ["10.0.3.1", "10.0.255.1", ADDRESS["c"]]),
            ):
                for how in ("", "-I"):
                    text = self.vms[source].run(f"traceroute -n -q 1 -w 3 -m 6 {how} {target}")
                    hops = re.findall(r"^ *\d+ +(\S+)", text, re.M)
                    self.assertEqual(hops, wanted, text)
            for source in ("a", "g"):
                for places in ROUTERS.values():
                    for address in places.values():
                        self.assert_pings(source, address, 1)
            self.assert_stream("g", "a", 2)
        finally:
            self.world.tell("g", "S", "g", ADDRESS["g"])
            self.world.lease_again("g")
        self.world.reaches("a", "g")

    def hears(self, short):
        """Lines that a guest's sockets have got of the group."""
        return [line for line in self.vms[short].run("cat /tmp/heard").split("\n") if line.strip()]

    def speaks(self, word):
        """A says twenty datagrams to the group."""
        self.vms["a"].run(
            f"for n in $(seq 20); do echo {word} $n; sleep 0.02; done |"
            f" socat -u - UDP4-DATAGRAM:{GROUP}:6000,ip-multicast-ttl=4,"
            f"ip-multicast-if={ADDRESS['a']},ip-multicast-loop=0"
        )
        return [f"{word} {number}" for number in range(1, 21)]

    def test_multicast_to_members_alone(self):
        """C and G have joined, on two hosts; d, beside G, has not. Then C leaves."""
        manager = Manager(self.world.hosts)
        self.addCleanup(manager.close)
        for short in ("c", "g"):
            self.vms[short].run(
                f"rm -f /tmp/heard; socat -u UDP4-RECV:6000,ip-add-membership={GROUP}:{ADDRESS[short]}"
                " OPEN:/tmp/heard,creat,append >/tmp/socat 2>&1 & echo $! >/tmp/member"
            )
        self.assertTrue(net.eventually(lambda: {"C"} == self.members(self.r), 10.0))
        self.assertTrue(net.eventually(lambda: ["S"] == self.hosts_of(self.r), 10.0))
        wires = [self.world.wire(short, f"weft-{short}") for short in ("d", "other", "twin")]
        said = self.speaks("to-all")
        for short in ("c", "g"):
            heard = net.eventually(lambda one=short: sorted(self.hears(one)) == sorted(said), 10.0, 0.3)
            self.assertTrue(heard, (short, self.hears(short), self.world.drops()))
        self.vms["c"].run("kill $(cat /tmp/member)")
        self.assertTrue(net.eventually(lambda: set() == self.members(self.r), 15.0))
        dump = "tcpdump -Z root -i eth0 -U -w /tmp/group.pcap"
        self.vms["c"].run(f"{dump} dst host {GROUP} >/tmp/tcpdump.txt 2>&1 & sleep 1")
        again = self.speaks("to-one")
        heard = net.eventually(lambda: sorted(self.hears("g")) == sorted(said + again), 10.0, 0.3)
        self.assertTrue(heard, (self.hears("g"), self.world.drops()))
        self.vms["g"].run("kill $(cat /tmp/member)")
        told = self.vms["c"].run("killall tcpdump; sleep 0.5; tcpdump -Z root -nr /tmp/group.pcap udp 2>/dev/null")
        self.assertEqual(told.strip(), "")
        self.assertEqual(sorted(self.hears("c")), sorted(said))
        for wire in wires:
            self.assertEqual(wire.seen(lambda frame: b"to-all" in frame or b"to-one" in frame), [])

    def members(self, host):
        groups = [one for one in host.jsons("group", "list") if one["group"] == GROUP]
        return {member["node"] for one in groups for member in one["members"]}

    def hosts_of(self, host):
        groups = [one for one in host.jsons("group", "list") if one["group"] == GROUP]
        return [name for one in groups for name in one["hosts"]]

    def test_iperf(self):
        """Each of C's processors sends by a queue of its own."""
        guest, server = self.vms["c"], self.vms["g"]
        before = self.queued(guest)
        self.assertEqual(len(before), 2)
        for port in (5201, 5202):
            server.run(f"iperf3 -s -1 -D -p {port}")
        time.sleep(1.0)
        clients = " ".join(
            f"taskset {1 << number} iperf3 -c {ADDRESS['g']} -p {5201 + number} -t 3 -J >/tmp/{number} &"
            for number in (0, 1)
        )
        guest.run(f"{clients} wait", 60.0)
        rates = [self.rate(guest, f"/tmp/{number}") for number in (0, 1)]
        print(f"        iperf3 c to g: {rates[0]:.0f} and {rates[1]:.0f} Mbit/s")
        self.assertGreater(min(rates), 1.0)
        for name, count in self.queued(guest).items():
            self.assertGreater(count, before[name] + 100, name)

    def rate(self, guest, path):
        """Mbit/s that arrived, by a report of iperf3."""
        report = json.loads(guest.run(f"cat {path}"))
        return report["end"]["sum_received"]["bits_per_second"] / 1e6

    def queued(self, guest, side="tx"):
        """Packets by queue of sending, or of receiving, as the driver counts them."""
        told = guest.run("/usr/bin/ethtool -S eth0")
        return {name: int(n) for name, n in re.findall(rf"({side}_queue_\d+_packets): (\d+)", told)}

    def test_a_guest_receives_by_each_queue_that_it_uses(self):
        """Flow by flow; what it does not use is given nothing."""
        guest, server = self.vms["c"], self.vms["g"]
        for queues in (2, 1, 2):
            with self.subTest(queues=queues):
                guest.run(f"/usr/bin/ethtool -L eth0 combined {queues}")
                self.assert_pings("g", "c", 10)
                before = self.queued(guest, "rx")
                server.run("iperf3 -s -1 -D -p 5203")
                time.sleep(1.0)
                many = f"iperf3 -c {ADDRESS['g']} -p 5203 -P 16 -R -t 2 -J >/tmp/many"
                guest.run(many, 60.0)
                after = self.queued(guest, "rx")
                grown = {name: count - before.get(name, 0) for name, count in after.items()}
                used = [name for name, count in grown.items() if count > 50]
                self.assertEqual(len(used), queues, grown)
                print(f"        by {queues}: {grown}")

    def test_live_migration(self):
        """G moves from S to R and back while A and C send to it: the pages that
        weft writes meanwhile go along, or the hash would be another."""
        for host, port, listens in (("R", MOVED, False), ("S", "g", True)):
            with self.subTest(to=host), self.world.hosts[host].control() as client:
                client.call("subscribe", topics=["node"])
                _, hashed = self.world.listen("g")
                time.sleep(0.5)
                sender, sent = self.world.send("a", "g", 9)
                pinging = self.vms["c"].post(f"/usr/bin/ping -n -c 20 -i 0.2 {ADDRESS['g']}")
                time.sleep(1.0)
                told = self.world.migrate("g", host, port, listens)
                print(f"        to {host} in {told['total-time']} ms, stopped {told['downtime']} ms")
                seen = net.eventually(lambda one=client: self.arrival(one), 5.0, 0.2)
                self.assertTrue(seen, client.events)
                self.assertEqual((seen[0]["port"], seen[0]["mac"]), (port, MACS["g"]))
                sender.take(sent, 120.0)
                # The command that was given there is answered here.
                whole = self.vms["g"].take(hashed, 120.0).split()[0]
                self.assertEqual(whole, expected(9))
                answered = re.search(r"(\d+) received", self.vms["c"].take(pinging, 60.0))
                self.assertGreater(int(answered[1]), 10, answered[0])
                self.assert_pings("g", "a")
                self.assert_pings("c", "g")

    def arrival(self, client):
        """What a host says of G that has come."""
        client.counters()
        events = [event["params"] for event in client.events]
        return [one for one in events if one["node"] == "G" and one.get("seen") in ("rarp", "announce")]

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
        """Both ways at once: who receives takes a core, and there are two."""
        before = {host: host.counters() for host in (self.r, self.s)}
        whole, took = self.world.exchange("a", "g", BLOCKS)
        print(f"        each way: {BLOCKS * initrd.BLOCK / took / 1e6:.0f} MB/s")
        self.assertTrue(whole, "a stream's hash is another")
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
                self.vms[short].run(f"ip link set eth0 mtu {MTU}")

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
