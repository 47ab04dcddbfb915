"""Kernels of both families talk to each other by way of the relay."""

import errno
import hashlib
import os
import re
import socket
import unittest

from lab import net, relay
from relay_world import (
    CLIENT,
    CLIENT6,
    ERROR_SOURCE,
    OTHER,
    OTHER4,
    ROUTERS,
    SERVER,
    SERVER4,
    Plan,
    RelayCase,
)

# What the sockets module has no names for.
SO_NO_CHECK = 11
IP_MTU_DISCOVER, IP_MTU, IP_RECVERR = 10, 14, 11
IPV6_MTU_DISCOVER, IPV6_MTU, IPV6_RECVERR = 23, 24, 25
DONT, DO = 0, 2
UDP_NO_CHECK6_RX = 102

HUNDRED = 100 << 20
# From host, by which address, to host, its own address; and the source as
# the far host sees it.
WAYS = (
    ("c4", SERVER4, "s6", SERVER, CLIENT6),
    ("s6", CLIENT6, "c4", CLIENT, SERVER4),
)


def discover(sender, address, how):
    """Sets what a socket does about path MTUs."""
    if ":" in address:
        sender.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, how)
    else:
        sender.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, how)


def errors_told(sender, address):
    """Has a socket report what ICMP errors say."""
    if ":" in address:
        sender.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
    else:
        sender.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)


class Datagrams:
    """One socket at the far host, one at the near one."""

    def __init__(self, world, way, port=7000, options=()):
        source, to, target, own, _ = way
        self.receiver = world.socket(target, own, socket.SOCK_DGRAM)
        for option in options:
            self.receiver.setsockopt(*option)
        self.receiver.bind((own, port))
        self.receiver.settimeout(5)
        self.sender = world.socket(source, to, socket.SOCK_DGRAM)
        self.sender.connect((to, port))
        self.sender.settimeout(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sender.close()
        self.receiver.close()


class Ends(RelayCase):
    """Everyday traffic in both directions."""

    quick = True

    def test_tcp_carries_a_hundred_mebibytes(self):
        octets = os.urandom(HUNDRED)
        wanted = hashlib.sha256(octets).hexdigest()
        for way in WAYS:
            with self.subTest(way=way):
                self.assertEqual(self.world.carry(*way[:4], octets), (wanted, HUNDRED, way[4]))

    def test_datagrams_there_and_back(self):
        for way in WAYS:
            with Datagrams(self.world, way) as ends:
                for size in (0, 1, 2, 3, 511, 1400):
                    with self.subTest(way=way, size=size):
                        octets = os.urandom(size)
                        ends.sender.send(octets)
                        got, peer = ends.receiver.recvfrom(65536)
                        self.assertEqual((got, peer[0]), (octets, way[4]))
                        ends.receiver.sendto(octets[::-1], peer)
                        self.assertEqual(ends.sender.recv(65536), octets[::-1])

    def test_ping_of_every_size(self):
        for short, address, most in (("c4", SERVER4, 1452), ("s6", CLIENT6, 1452)):
            for size in (0, 1, 8, 56, 1000, 1200, most):
                with self.subTest(short=short, size=size):
                    options = ("-M", "do", "-s", str(size))
                    self.assert_ping(short, address, 3, options=options)

    def test_tos_and_flow_label(self):
        """Bits of the class arrive; what an IPv6 sender labels does not matter."""
        ear = self.world.wire("r6", "weft-relay")
        self.assert_ping("c4", SERVER4, 1, options=("-Q", "0xb8"))
        seen = ear.wait(lambda f: f[12:14] == b"\x86\xdd" and f[20] == 58 and f[54] == 128)
        self.assertEqual(int.from_bytes(seen[14:18], "big"), 6 << 28 | 0xB8 << 20)
        ear = self.world.wire("r4", "weft-relay")
        self.assert_ping("s6", CLIENT6, 1, options=("-Q", "0x28", "-F", "0x12345"))
        seen = ear.wait(lambda f: f[12:14] == b"\x08\x00" and f[23] == 1 and f[34] == 8)
        self.assertEqual(seen[15], 0x28)

    def test_closed_ports_refuse(self):
        """TCP resets, and port unreachable of the other family for UDP."""
        for source, to, _, _, _ in WAYS:
            with self.subTest("tcp", to=to), self.world.socket(source, to) as client:
                client.settimeout(5)
                with self.assertRaises(ConnectionRefusedError):
                    client.connect((to, 4))
            with self.subTest("udp", to=to):
                with self.world.socket(source, to, socket.SOCK_DGRAM) as client:
                    client.settimeout(5)
                    client.connect((to, 4))
                    client.send(b"anybody?")
                    with self.assertRaises(ConnectionRefusedError):
                        client.recv(100)

    def test_errors_of_routers_arrive(self):
        """No such host and forbidden, told by a router of the far family that
        has no address of the near one."""
        for source, to, wanted in (
            ("c4", "203.0.113.65", OSError),  # host unreachable
            ("c4", "203.0.113.66", OSError),  # administratively prohibited
            ("s6", relay.in_pool("198.51.100.41"), OSError),
            ("s6", relay.in_pool("198.51.100.42"), PermissionError),
        ):
            with self.subTest(to=to), self.world.socket(source, to, socket.SOCK_DGRAM) as client:
                client.settimeout(5)
                errors_told(client, to)
                client.connect((to, 4))
                client.send(b"anybody?")
                with self.assertRaises(wanted) as raised:
                    client.recv(100)
                self.assertNotIsInstance(raised.exception, TimeoutError)

    def test_traceroute_sees_every_hop(self):
        """By UDP, ICMP and TCP; the relay by its own address, IPv6 routers by
        the one that stands for those that have none."""
        there = [*ROUTERS[4], self.world.own[4], ERROR_SOURCE, ERROR_SOURCE, SERVER4]
        back = [*ROUTERS[6], self.world.own[6]]
        back += [relay.in_pool(hop) for hop in (relay.VIA[4], "192.0.2.130")] + [CLIENT6]
        for how in ((), ("-I",), ("-T", "-p", "4")):
            with self.subTest("IPv4", how=how):
                self.assertEqual(self.world.traceroute("c4", SERVER4, *how), there)
            with self.subTest("IPv6", how=how):
                self.assertEqual(self.world.traceroute("s6", CLIENT6, *how), back)

    def test_own_addresses_answer(self):
        """ARP, neighbour solicitations and ping."""
        for router, side in (("r4", 4), ("r6", 6)):
            with self.subTest(side=side):
                self.net.ip(router, "neigh", "flush", "dev", "weft-relay")
                self.assert_ping(router, self.world.own[side], 3, interval=0.2)
                self.assertIn("lladdr", self.net.ip(router, "neigh", "show", self.world.own[side]))
        # From further away.
        self.assert_ping("c4", self.world.own[4], 3, interval=0.2)
        self.assert_ping("s6", self.world.own[6], 3, interval=0.2)

    def test_hairpin(self):
        """Two IPv6 hosts that know each other by IPv4 addresses only."""
        octets = os.urandom(4 << 20)
        wanted = hashlib.sha256(octets).hexdigest()
        for source, to, target, own, seen in (
            ("s6", relay.in_pool(OTHER4), "h6", OTHER, relay.in_pool(SERVER4)),
            ("h6", relay.in_pool(SERVER4), "s6", SERVER, relay.in_pool(OTHER4)),
        ):
            with self.subTest(source=source):
                self.assert_ping(source, to, 3)
                arrived = self.world.carry(source, to, target, own, octets)
                self.assertEqual(arrived, (wanted, len(octets), seen))
        # Errors too.
        with self.world.socket("s6", OTHER, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.connect((relay.in_pool(OTHER4), 4))
            client.send(b"anybody?")
            with self.assertRaises(ConnectionRefusedError):
                client.recv(100)

    def test_routers_know_nothing_but_routes(self):
        """Beside the relay nothing is configured but routes to it."""
        for router, side in (("r4", 4), ("r6", 6)):
            links = self.net.ip(router, "-br", "link", "show").splitlines()
            names = sorted(line.split("@")[0].split()[0] for line in links)
            self.assertEqual(
                names, sorted(["lo", "weft-relay", "weft-a4" if side == 4 else "weft-a6"])
            )
            routes = self.net.ip(router, f"-{side}", "route", "show", "via", relay.OWN[side])
            self.assertEqual(len(routes.split("\n")) - 1, 1)


class Narrow(RelayCase):
    """Narrow wires that nobody configured: senders must learn of them."""

    def told(self, way, mtu, size):
        """A datagram of `size` bytes that may not be fragmented is too big, and
        its sender learns `mtu`."""
        self.world.forget()
        source, to, *_ = way
        six = ":" in to
        with Datagrams(self.world, way) as ends:
            discover(ends.sender, to, DO)
            ends.sender.send(os.urandom(size))
            ends.receiver.settimeout(1)
            with self.assertRaises(TimeoutError):
                ends.receiver.recv(65536)
            level, name = (socket.IPPROTO_IPV6, IPV6_MTU) if six else (socket.IPPROTO_IP, IP_MTU)
            self.assertEqual(ends.sender.getsockopt(level, name), mtu)
            self.assertEqual(self.world.learned(source, to), mtu)
            pending = ends.sender.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self.assertEqual(pending, errno.EMSGSIZE)
            # The largest that passes, and one byte more.
            with self.assertRaises(OSError):
                ends.sender.send(os.urandom(mtu - (48 if six else 28) + 1))
            octets = os.urandom(mtu - (48 if six else 28))
            ends.sender.send(octets)
            self.assertEqual(ends.receiver.recv(65536), octets)

    def carries(self, way, mtu=None, size=16 << 20):
        self.world.forget()
        octets = os.urandom(size)
        wanted = hashlib.sha256(octets).hexdigest()
        self.assertEqual(self.world.carry(*way[:4], octets), (wanted, size, way[4]))
        if mtu:
            self.assertEqual(self.world.learned(way[0], way[1]), mtu)


class NarrowIpv6(Narrow):
    """1300 bytes behind an IPv6 router: 1280 for who sends IPv4."""

    how = Plan(narrow6=1300)

    def test_udp_sender_learns(self):
        self.told(WAYS[0], 1280, 1400)

    def test_tcp_sender_learns(self):
        self.carries(WAYS[0], 1280)

    def test_other_direction(self):
        self.carries(WAYS[1])


class NarrowIpv4(Narrow):
    """1300 bytes behind an IPv4 router: 1320 for who sends IPv6."""

    how = Plan(narrow4=1300)

    def test_udp_sender_learns(self):
        self.told(WAYS[1], 1320, 1400)

    def test_tcp_sender_learns(self):
        self.carries(WAYS[1], 1320)

    def test_other_direction(self):
        self.carries(WAYS[0])


class NarrowerIpv4(Narrow):
    """600 bytes, less than IPv6 knows: what is of 1280 bytes or less may be
    fragmented by IPv4 routers, and is."""

    how = Plan(narrow4=600)

    def test_both_directions(self):
        for way in WAYS:
            with self.subTest(way=way):
                self.carries(way, size=4 << 20)


class OwnMtu(Narrow):
    """What the relay itself has no room for: it is told by the relay."""

    how = Plan()

    def test_ipv4_sender_learns(self):
        self.told(WAYS[0], 1480, 1472)

    def test_narrow_side(self):
        """A side's MTU below that of its port."""
        self.assert_ping("s6", CLIENT6, 1, options=("-M", "do", "-s", "1452"))


class Fragments(RelayCase):
    """On taps, since packet sockets of DPDK have the kernel put fragments of
    IPv4 together."""

    how = Plan(device="tap")

    def test_datagrams_of_nine_thousand_bytes(self):
        for way in WAYS:
            with Datagrams(self.world, way) as ends:
                discover(ends.sender, way[1], DONT)
                discover(ends.receiver, way[3], DONT)
                for size in (1453, 1473, 2000, 2961, 9000, 30000):
                    with self.subTest(way=way, size=size):
                        octets = os.urandom(size)
                        ends.sender.send(octets)
                        got, peer = ends.receiver.recvfrom(65536)
                        self.assertEqual(got, octets)
                        ends.receiver.sendto(octets[::-1], peer)
                        self.assertEqual(ends.sender.recv(65536), octets[::-1])

    def test_every_size_about_the_edges(self):
        """Whole packets that become fragments, and fragments that do."""
        for way in WAYS:
            with Datagrams(self.world, way) as ends:
                discover(ends.sender, way[1], DONT)
                for size in (*range(1208, 1242), *range(1440, 1480), *range(2680, 2700)):
                    octets = os.urandom(size)
                    ends.sender.send(octets)
                    self.assertEqual(ends.receiver.recv(65536), octets, size)

    def test_large_pings_are_refused_whole(self):
        """Fragmented ICMP has no translation (RFC 7915 sections 4 and 5)."""
        before = self.drops("icmp_fragment")
        for short, address in (("c4", SERVER4), ("s6", CLIENT6)):
            answered, _ = self.net.ping(short, address, 1, options=("-s", "3000"))
            self.assertEqual(answered, 0)
        self.assertGreaterEqual(self.drops("icmp_fragment") - before, 4)


class TwoWorkers(Ends):
    """The same with a queue of each side for each of two workers."""

    how = Plan(workers=2)


class Jumbo(RelayCase):
    """Wires of 9000 bytes, which is told to the relay: else what may be
    fragmented is cut to 1280, such as a kernel's echo replies."""

    how = Plan(mtu=9000, relay={"lowest_ipv6_mtu": 9000})

    def test_large_packets_travel_whole(self):
        before = self.relay.counters()
        for short, address, size in (("c4", SERVER4, 8952), ("s6", CLIENT6, 8952)):
            with self.subTest(short=short):
                self.assert_ping(short, address, 5, options=("-M", "do", "-s", str(size)))
        after = self.relay.counters()
        self.assertEqual(after["fragmented"], before["fragmented"])

    def test_too_big_for_ipv6_is_told(self):
        self.world.forget()
        answered, text = self.net.ping("c4", SERVER4, 2, options=("-M", "do", "-s", "8953"))
        self.assertEqual(answered, 0)
        self.assertIn("mtu = 8980", text.replace("mtu=", "mtu = "))

    def test_every_size_about_the_edges(self):
        for size in (1472, 1932, 1933, 2020, 4068, 8900):
            for short, address in (("c4", SERVER4), ("s6", CLIENT6)):
                with self.subTest(short=short, size=size):
                    self.assert_ping(short, address, 2, options=("-M", "do", "-s", str(size)))

    def test_datagrams_of_nine_thousand_bytes(self):
        """Too many for one packet by the headers. The kernel hands fragments of
        IPv4 over as one."""
        for way in WAYS:
            with Datagrams(self.world, way) as ends:
                discover(ends.sender, way[1], DONT)
                for size in (8900, 8952, 8953, 8972, 8973, 9000):
                    with self.subTest(way=way, size=size):
                        octets = os.urandom(size)
                        ends.sender.send(octets)
                        self.assertEqual(ends.receiver.recv(65536), octets)

    def test_tcp_carries_every_byte(self):
        octets = os.urandom(32 << 20)
        wanted = hashlib.sha256(octets).hexdigest()
        for way in WAYS:
            with self.subTest(way=way):
                self.assertEqual(self.world.carry(*way[:4], octets), (wanted, 32 << 20, way[4]))


class ZeroChecksums(RelayCase):
    """UDP over IPv4 without a checksum."""

    def got(self, *options):
        """Whether the server gets a datagram that was sent without."""
        with Datagrams(self.world, WAYS[0], options=options) as ends:
            ends.sender.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
            ends.sender.send(b"no checksum")
            ends.receiver.settimeout(1)
            try:
                return ends.receiver.recv(100) == b"no checksum"
            except TimeoutError:
                return False

    def test_modes(self):
        accepting = (socket.IPPROTO_UDP, UDP_NO_CHECK6_RX, 1)
        with self.subTest("compute"):
            self.assertTrue(self.got())
        with self.subTest("drop"):
            self.world.change(udp_zero_checksum="drop")
            before = self.drops("udp_zero_checksum")
            self.assertFalse(self.got(accepting))
            self.assertEqual(self.drops("udp_zero_checksum") - before, 1)
            # RFC 7915 section 4.5 wants addresses and ports told.
            says = r"udp_zero_checksum: \S+ > \S+, ports \d+ > \d+"
            logged = lambda: re.search(says, self.relay.process.tail(20))
            self.assertTrue(net.eventually(logged), self.relay.process.tail(20))
        with self.subTest("forward"):
            self.world.change(udp_zero_checksum="forward")
            self.assertTrue(self.got(accepting))
            # A receiver that was not told to accept it.
            self.assertFalse(self.got())
        self.world.change()
        self.assertTrue(self.got())


class Denied(RelayCase):
    """Addresses that are not translated."""

    how = Plan(relay={"deny4": ["203.0.113.6/32"], "deny6": ["2001:db8:64::c633:6403/128"]})

    def test_neither_as_source_nor_as_destination(self):
        self.net.address("c4", "weft-a4", "198.51.100.3/24")
        for short, address, options in (
            ("c4", OTHER4, ()),
            ("h6", CLIENT6, ()),
            ("c4", SERVER4, ("-I", "198.51.100.3")),
            ("s6", relay.in_pool("198.51.100.3"), ()),
        ):
            with self.subTest(short=short, address=address):
                before = self.drops("address_denied")
                answered, text = self.net.ping(short, address, 2, options=options)
                self.assertEqual(answered, 0, text)
                self.assertEqual(self.drops("address_denied") - before, 2)
        self.assert_ping("c4", SERVER4)
        self.assert_ping("s6", CLIENT6)


if __name__ == "__main__":
    unittest.main()
