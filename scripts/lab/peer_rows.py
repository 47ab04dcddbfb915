"""Rows of other programs that do comparable work, from Debian's packages: Open
vSwitch on DPDK, which encapsulates, and tayga, which translates in user space
over a kernel's tun device."""

import json
import os
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
    """tayga alone on its core. It is faster than a kernel brings packets to
    its device one by one, so it sleeps in between, and what counts is the time
    that it was on its core: with its system calls, and with being woken, which
    a tayga that is never idle does without. What the kernel does to bring
    packets there is the time of the generator, on the other core."""

    QUEUE = 4096
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
            peer = tayga.Tayga(space, "t", settings.directory, *own, relay.POOL6, eams, cpu=CORE)
            peer.start()
            octets = [frame[14:] for _, frame in frames.read_pcap(files.capture(self.stream))]
            with flood.Flood(space, "t", tayga.TUN, 0x0800, octets, cpu=0):
                time.sleep(settings.warm)
                return self.measure(space, peer, settings)
        finally:
            if peer:
                peer.stop()
            space.close()

    def measure(self, space, peer, settings):
        share = Share(peer.process.pid)
        first, start = self.counts(space), time.perf_counter()
        time.sleep(settings.seconds)
        second, end = self.counts(space), time.perf_counter()
        busy = share.now()
        taken, refused, sent = (after - before for before, after in zip(first, second))
        if not sent:
            raise RuntimeError("tayga sent nothing")
        if busy < self.LEAST:
            raise Skip("others took the core of the generator: tayga had too little to do")
        # What waits in the queue is not lost.
        lost = max(0, abs(taken - sent) - self.QUEUE)
        extra = {"offered_mpps": (taken + refused) / (end - start) / 1e6, "busy": busy}
        return Reading(sent / (end - start), lost, 1.0, extra, busy=busy)

    @staticmethod
    def counts(space):
        """Packets that the device took, refused, and got back from tayga."""
        text = space.ip("t", "-s", "-j", "link", "show", tayga.TUN)
        stats = json.loads(text)[0]["stats64"]
        return stats["tx"]["packets"], stats["tx"]["dropped"], stats["rx"]["packets"]
