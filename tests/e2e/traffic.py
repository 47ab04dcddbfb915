"""Paced traffic with sequence numbers, and questions with the time their
answers took."""

import socket
import struct
import threading
import time

from lab import plan


class Paced:
    """Datagrams from one node to another at a steady rate, over several flows.
    `lost` and `longest_gap` are known after `stop`."""

    def __init__(self, net, source, target, address, rate=1000, flows=8):
        self.rate = rate
        self.receiver = net.socket(target, socket.AF_INET, socket.SOCK_DGRAM)
        self.receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.receiver.bind((address, 7000))
        self.receiver.settimeout(0.2)
        self.senders = []
        for _ in range(flows):
            sender = net.socket(source, socket.AF_INET, socket.SOCK_DGRAM)
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
    """ARP questions of a node, and the seconds until each was answered."""

    def __init__(self, wire, mac, own, target):
        self.wire, self.mac, self.own, self.target = wire, mac, own, target
        self.times = []
        self.unanswered = 0

    def ask(self, timeout=1.0):
        own = plan.v4(self.own).to_bytes(4, "big")
        target = plan.v4(self.target).to_bytes(4, "big")
        body = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + self.mac + own + bytes(6) + target
        self.wire.clear()
        start = time.monotonic()
        self.wire.send((b"\xff" * 6 + self.mac + b"\x08\x06" + body).ljust(60, b"\0"))
        while time.monotonic() - start < timeout:
            for when, out, frame in list(self.wire.frames):
                if not out and frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\2":
                    self.times.append(when - start)
                    return
            time.sleep(0.0002)
        self.unanswered += 1

    def percentile(self, share):
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
