"""Rows of other programs that do comparable work, from Debian's packages: Open
vSwitch on DPDK, which encapsulates, and tayga, which translates in user space
over a kernel's tun device."""

import json
import os
import signal
import time

from . import flood, frames, net, ovs, relay, tayga
from .measured import BASE, CORE, ROUTER_MAC, Reading, Skip
from .proc import Share


class OvsRow:
    """Open vSwitch with one polling thread: VXLAN over IPv6, a far end for
    every destination. The very frames of the yardstick; their destination MAC
    means nothing to its flows."""

    def __init__(self, stream, yardstick, router):
        self.stream = stream
        self.yardstick = yardstick
        self.router = router

    def run(self, files, settings):
        if why := ovs.missing():
            raise Skip(why)
        run = f"bench-{os.getpid()}"
        capture = files.capture(self.stream)
        switch = ovs.Ovs(settings.directory, run, capture, (self.router, ROUTER_MAC), CORE)
        try:
            switch.start(range(BASE, BASE + self.stream.entries))
            # Its caches fill by the first frames of each flow.
            time.sleep(settings.warm)
            self.encapsulates(switch)
            switch.own_cycles()
            return self.measure(switch, settings)
        finally:
            switch.stop()

    def encapsulates(self, switch):
        wanted = {ovs.remote(number) for number in range(self.stream.entries)}
        if not net.eventually(lambda: wanted <= switch.far_ends(), 10.0):
            found = len(wanted & switch.far_ends())
            raise RuntimeError(f"only {found} of {len(wanted)} destinations are encapsulated")

    def measure(self, switch, settings):
        share = Share(switch.switch.pid)
        first = switch.counts()
        time.sleep(settings.seconds)
        second = switch.counts()
        got = share.now()
        own, idle = switch.own_cycles()
        pps = (second[0] - first[0]) / (second[2] - first[2])
        if pps <= 0:
            raise RuntimeError("Open vSwitch sent nothing")
        extra = {"own_cycles": own}
        return Reading(pps, second[1] - first[1], got, extra, busy=1.0 - idle)


class TaygaRow:
    """tayga alone on its core. It is faster than a kernel takes packets from a
    generator, so it is held until its device's queue is long, and measured
    while it works that off with the generator going on: it never waits. What
    counts is the time that it was on its core, so that the figure holds where
    others took some of it. Its system calls are its own time; what the kernel
    does to bring packets to the device is the generator's, on the other core."""

    # The longest that a tun device can have is 512 Ki. It lasts for a second.
    QUEUE = 400_000
    FILL, LONGEST = 1.5, 1.0
    # With less to do than this, being woken is most of it.
    LEAST = 0.5

    def __init__(self, stream, yardstick):
        self.stream = stream
        self.yardstick = yardstick

    def run(self, files, settings):
        if tayga.program() is None:
            raise Skip("no tayga; run scripts/setup")
        if os.geteuid() != 0:
            raise Skip("tun devices and namespaces need root")
        space = net.Net(f"bench-{os.getpid()}")
        peer = None
        try:
            space.add("t")
            space.exec("t", "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
            eams = relay.bench_eams(BASE, self.stream.entries)
            own = relay.OWN[4], relay.OWN[6]
            peer = tayga.Tayga(
                *(space, "t", settings.directory, *own, relay.POOL6, eams),
                cpu=CORE,
                queue=self.QUEUE,
            )
            peer.start()
            octets = [frame[14:] for _, frame in frames.read_pcap(files.capture(self.stream))]
            with flood.Flood(space, "t", tayga.TUN, 0x0800, octets, cpu=0):
                self.fill(space, peer)
                time.sleep(0.05)
                return self.measure(space, peer, min(settings.seconds, self.LONGEST))
        finally:
            if peer:
                peer.stop()
            space.close()

    def fill(self, space, peer):
        """Holds tayga until packets are refused, or for long enough."""
        os.kill(peer.process.pid, signal.SIGSTOP)
        try:
            net.eventually(lambda: self.counts(space)[1], self.FILL)
        finally:
            os.kill(peer.process.pid, signal.SIGCONT)

    def measure(self, space, peer, seconds):
        share = Share(peer.process.pid)
        first, start = self.counts(space), time.perf_counter()
        time.sleep(seconds)
        second, end = self.counts(space), time.perf_counter()
        busy = share.now()
        taken, _, sent = (after - before for before, after in zip(first, second))
        if not sent:
            raise RuntimeError("tayga sent nothing")
        if busy < self.LEAST:
            raise Skip("others took the core of the generator: tayga had too little to do")
        # The counters are not read all at once.
        lost = taken - sent if taken - sent > 64 else 0
        return Reading(sent / (end - start), lost, busy, {"busy": busy}, busy=busy)

    @staticmethod
    def counts(space):
        """Packets that tayga took from its device, that the device refused, and
        that tayga gave back."""
        text = space.ip("t", "-s", "-j", "link", "show", tayga.TUN)
        stats = json.loads(text)[0]["stats64"]
        return stats["tx"]["packets"], stats["tx"]["dropped"], stats["rx"]["packets"]
