"""Asks a translator what becomes of packets, thousands at a time, and knows
which of its answers belongs to which packet.

After each packet comes a marker, an ordinary datagram with a number. What a
translator sends on the far side between two markers is of the packet between
them. What it sends back, errors mostly, may be made aside and come at any time:
that is told by what it quotes. After a round comes a packet whose time is up:
when the error about it is there, so are the errors before it.
"""

import errno
import selectors
import socket
import struct
import time

from . import packets

PACKET_IGNORE_OUTGOING = 23
SO_RCVBUFFORCE = 33
ETH_P = {4: 0x0800, 6: 0x86DD}
SIDES = (4, 6)


class Link:
    """The kernel's end of a device behind which a translator is. With `head`,
    a hardware address and our own, packets travel in Ethernet frames."""

    def __init__(self, net, short, interface, head=None):
        self.head = head
        self.interface = interface
        kind = socket.SOCK_RAW if head else socket.SOCK_DGRAM
        with net.inside(short):
            self.socket = socket.socket(socket.AF_PACKET, kind, socket.htons(3))
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
            self.socket.setsockopt(263, PACKET_IGNORE_OUTGOING, 1)
            self.socket.bind((interface, 3))
        self.socket.setblocking(False)

    def fileno(self):
        return self.socket.fileno()

    def send(self, side, packet):
        while True:
            try:
                if self.head:
                    self.socket.send(self.head + struct.pack(">H", ETH_P[side]) + packet)
                else:
                    self.socket.sendto(packet, (self.interface, ETH_P[side]))
                return
            except OSError as error:
                if error.errno not in (errno.ENOBUFS, errno.EAGAIN):
                    raise
                time.sleep(0.0005)  # its queue is full for a moment

    def receive(self):
        """The next packet of a translator, as (side, bytes), or None."""
        try:
            octets, source = self.socket.recvfrom(65536)
        except BlockingIOError:
            return None
        if self.head:
            kind, octets = struct.unpack(">H", octets[12:14])[0], octets[14:]
        else:
            kind = source[1]
        for side in SIDES:
            if ETH_P[side] == kind:
                return side, octets
        return 0, octets

    def close(self):
        self.socket.close()


class Lost(Exception):
    """A marker did not come back."""


class Probe:
    """`links` by side; the same link for both where a translator has but one.
    `plan` tells addresses that are translated for certain, see `lab.relay`."""

    MARK = b"weft marker "

    def __init__(self, links, plan, window=32):
        self.links, self.plan, self.window = links, plan, window
        self.number = 0
        self.selector = selectors.DefaultSelector()
        for link in set(links.values()):
            self.selector.register(link, selectors.EVENT_READ)

    def answers(self, side, asked):
        """What came of each packet: a list of (side, bytes) for each."""
        found = []
        for start in range(0, len(asked), self.window):
            found += self._round(side, asked[start : start + self.window])
        return found

    def marker(self, side, hops=64):
        self.number += 1
        body = self.MARK + struct.pack(">I", self.number)
        src, dst = self.plan.marker[side]
        udp = packets.udp(src, dst, body, sport=9, dport=9)
        if side == 4:
            packet = packets.ipv4(src, dst, packets.UDP, udp, ttl=hops, flags=packets.DF)
        else:
            packet = packets.ipv6(src, dst, packets.UDP, udp, hop_limit=hops)
        return body, packet

    def _round(self, side, asked):
        bodies, far = {}, 10 - side
        link = self.links[side]
        for number, packet in enumerate(asked):
            body, marker = self.marker(side)
            bodies[body] = number
            link.send(side, packet)
            link.send(side, marker)
        last, marker = self.marker(side, hops=1)
        link.send(side, marker)
        found = [[] for _ in asked]
        back, at, seen_last = [], 0, False
        deadline = time.monotonic() + 3.0
        while at < len(asked) or not seen_last:
            if (got := self.next()) is None:
                if time.monotonic() > deadline:
                    raise Lost(f"marker {at} of {len(asked)}, error about the last: {seen_last}")
                continue
            where, octets = got
            tail = octets[-len(last) :]
            if self.foreign(got):
                continue
            if where == far and tail in bodies:
                at = bodies[tail] + 1
            elif where == side and last in octets:
                seen_last = True
            elif where == far and at < len(asked):
                found[at].append(got)
            else:
                back.append(got)
        for got in back:
            found[self.owner(got, asked, side)].append(got)
        return found

    def next(self):
        """The next packet of the translator, or None if there is none for a
        moment. What comes by one link comes in order."""
        for key, _ in self.selector.select(0.05):
            return key.fileobj.receive()
        return None

    @staticmethod
    def foreign(got):
        """What nobody asked for: ARP, neighbour discovery, and reports of the
        groups that it needs."""
        side, octets = got
        if side != 6 or len(octets) < 48:
            return side == 0
        report = octets[6] == 0 and octets[40] == 58 and octets[48] in (131, 143)
        return report or octets[6] == 58 and octets[7] == 255 and octets[40] in range(133, 138)

    def owner(self, got, asked, side):
        """The number of the packet that an answer on the same side is about:
        it quotes it, or carries the same bytes at its end."""
        _, octets = got
        quote = octets[28:] if side == 4 else octets[48:]
        same = []
        for number, packet in enumerate(asked):
            size = min(len(quote), len(packet), 64)
            where = 8 if side == 4 else 7  # what is left of its life
            if (
                size >= 28
                and quote[:where] == packet[:where]
                and quote[where + (4 if side == 4 else 1) : size]
                == packet[where + (4 if side == 4 else 1) : size]
            ):
                same.append(number)
        if not same:
            same = [n for n, packet in enumerate(asked) if octets[-8:] == packet[-8:]]
        if len(same) != 1:
            raise Lost(f"{len(same)} packets may have brought about {octets.hex()}")
        return same[0]
