"""Paced traffic with sequence numbers, and questions with the time their
answers took."""

import ipaddress
import random
import socket
import struct
import threading
import time

from lab import frames, plan


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Paced:
    """Datagrams from one node to another at a steady rate, over several flows.
    `own` is the target's own address where the source knows it by another.
    `lost` and `longest_gap` are known after `stop`."""

    def __init__(self, net, source, target, address, rate=1000, flows=8, own=None):
        self.rate = rate
        own = own or address
        self.receiver = net.socket(target, family(own), socket.SOCK_DGRAM)
        self.receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.receiver.bind((own, 7000))
        self.receiver.settimeout(0.2)
        self.senders = []
        for _ in range(flows):
            sender = net.socket(source, family(address), socket.SOCK_DGRAM)
            sender.connect((address, 7000))
            self.senders.append(sender)
        self.sent = 0
        self.arrived = {}
        self.ending = threading.Event()
        self.threads = [
            threading.Thread(target=run, daemon=True) for run in (self._send, self._receive)
        ]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def _send(self):
        start = time.perf_counter()
        while not self.ending.is_set():
            due = (time.perf_counter() - start) * self.rate
            while self.sent < due:
                flow = self.senders[self.sent % len(self.senders)]
                try:
                    flow.send(struct.pack(">I", self.sent))
                except OSError:
                    pass  # unreachable for now: it counts as lost
                self.sent += 1
            time.sleep(0.0005)

    def _receive(self):
        while True:
            try:
                number = struct.unpack(">I", self.receiver.recv(64)[:4])[0]
                self.arrived[number] = time.perf_counter()
            except (TimeoutError, socket.timeout):
                if self.ending.is_set():
                    return
            except OSError:
                return

    def stop(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(5.0)
        for sender in self.senders:
            sender.close()
        self.receiver.close()

    @property
    def lost(self):
        return self.sent - len(self.arrived)

    def longest_gap(self):
        """Seconds of the longest row of datagrams of one flow that are missing."""
        longest = 0
        for flow in range(len(self.senders)):
            missing = 0
            for number in range(flow, self.sent, len(self.senders)):
                missing = 0 if number in self.arrived else missing + 1
                longest = max(longest, missing)
        return longest * len(self.senders) / self.rate


class Asked:
    """Questions of the same kind, and the seconds until each was answered.
    `question` is the frame, `is_answer` knows the answer among others."""

    def __init__(self, wire, question, is_answer):
        self.wire, self.question, self.is_answer = wire, question, is_answer
        self.times = []
        self.unanswered = 0

    def ask(self, timeout=1.0):
        self.wire.clear()
        start = time.monotonic()
        self.wire.send(self.question)
        while time.monotonic() - start < timeout:
            for when, out, frame in list(self.wire.frames):
                if not out and self.is_answer(frame):
                    self.times.append(when - start)
                    return
            time.sleep(0.0002)
        self.unanswered += 1

    def percentile(self, share):
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    def __str__(self):
        median, high = self.percentile(0.5) * 1e3, self.percentile(0.99) * 1e3
        return f"p50 {median:.2f} ms, p99 {high:.2f} ms of {len(self.times)}"


def asked_by_arp(wire, mac, own, target):
    """A node asks for another."""
    own, target = plan.v4(own).to_bytes(4, "big"), plan.v4(target).to_bytes(4, "big")
    body = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + mac + own + bytes(6) + target
    question = (b"\xff" * 6 + mac + b"\x08\x06" + body).ljust(60, b"\0")
    return Asked(wire, question, lambda f: f[12:14] == b"\x08\x06" and f[20:22] == b"\0\2")


def asked_by_discovery(wire, mac, own, target):
    """A router asks for the host's own address on their link."""
    own, target = (ipaddress.IPv6Address(address).packed for address in (own, target))
    group = ipaddress.IPv6Address("ff02::1:ff00:0").packed[:13] + target[13:]
    body = bytes(4) + target + b"\x01\x01" + mac
    message = frames.icmpv6(own, group, 135, body)
    question = b"\x33\x33" + group[12:] + mac + b"\x86\xdd" + message

    def is_answer(frame):
        return frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] == 136 and (
            frame[62:78] == target
        )

    return Asked(wire, question, is_answer)


def settle(client, wanted):
    """Waits until `wanted` frames have come in, or none has for a tenth of a
    second, since the machine may keep a worker waiting; how many it was."""
    last, since = -1, 0.0
    while True:
        rx, now = client.counters()[0]["rx"], time.monotonic()
        if rx != last:
            last, since = rx, now
        if rx >= wanted or now - since > 0.1:
            return rx
        time.sleep(0.001)


def mutant(draw, seeds):
    """A frame that is one of `seeds` but for some bytes, or one in eight that
    is random throughout."""
    # Two thirds of the time would go into `randrange` and `choice`.
    chance = draw.random
    if chance() < 0.125:
        return draw.randbytes(14 + int(chance() * 186))
    frame = bytearray(seeds[int(chance() * len(seeds))])
    for _ in range((1, 1, 1, 2, 8)[int(chance() * 5)]):
        kind = chance()
        if kind < 0.7:
            # Headers are where it hurts.
            frame[int(chance() * min(len(frame), 74))] = int(chance() * 256)
        elif kind < 0.85:
            del frame[14 + int(chance() * (len(frame) - 14)) :]
            if len(frame) <= 15:
                break
        else:
            frame += draw.randbytes(1 + int(chance() * 63))
    return bytes(frame)


# A device's queue holds 500 or so, and overflows uncounted: of a batch, and of
# what may still be under way when the next one is sent.
POURED, UNDER_WAY = 256, 192


def pour(sender, client, seeds, count, seed=1):
    """Sends so many mutations of `seeds` by a socket of `net.sender`. While a
    batch is taken in, the next one is made."""
    draw = random.Random(seed)
    start = client.counters()[0]["rx"]
    # Of the frames sent, those that the kernel kept: known when all is at rest,
    # and never more than have not come in.
    sent = kept = 0
    for done in range(0, count, POURED):
        batch = [mutant(draw, seeds) for _ in range(min(POURED, count - done))]
        due = sent - kept - UNDER_WAY
        came = settle(client, start + due) - start
        kept = min(kept if came >= due else sent, sent - came)
        for frame in batch:
            try:
                sender.send(frame)
            except OSError:
                # The queue is full for a moment.
                time.sleep(0.001)
        # A bridge takes none that comes from a group.
        sent += sum(not frame[6] & 1 for frame in batch)
    settle(client, start + sent)
