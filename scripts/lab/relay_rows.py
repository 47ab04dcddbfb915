"""Rows of the relay, and of tayga, which does the same in user space over a
kernel's tun device."""

import json
import os
import time

from . import flood, frames, net, relay, tayga
from .measured import BASE, CORE, ROUTER_MAC, Reading, Skip, Stream, capture_device, read, running
from .proc import Share

RELAY_4 = Stream("relay4", 1 << 10, 1 << 10)
RELAY_6 = Stream("relay6", 1 << 10, 1 << 10)


class RelayRow:
    """The relay with one worker, in one direction: every frame is for an
    explicit mapping of its own, or from one."""

    def __init__(self, stream, yardstick):
        self.stream = stream
        self.yardstick = yardstick

    def config(self, files):
        near = 4 if self.stream.kind == "relay4" else 6
        devices = {
            near: capture_device(0, files.capture(self.stream)),
            10 - near: "net_null0,no-rx=1",
        }
        config = relay.config(
            devices,
            sides={side: {"via_mac": ROUTER_MAC} for side in (4, 6)},
            eams=relay.bench_eams(BASE, self.stream.entries),
            runtime={"idle": "poll", "workers": [CORE]},
        )
        # All frames of the capture lie in buffers of their own.
        config["limits"] = {"mbufs": self.stream.count + (1 << 15) - 1}
        return config

    def run(self, files, settings):
        with running(self.config(files), settings, files, 0) as (appliance, _):
            with appliance.control(access="ro") as client:
                return read(appliance, client, settings.seconds)


class TaygaRow:
    """tayga alone on its core, with more packets on its device than it takes;
    those it has no time for are refused by the device's queue. What the kernel
    does on both sides of the device is done by the core of the generator."""

    yardstick = None
    stream = None
    QUEUE = 4096

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
            eams = relay.bench_eams(BASE, RELAY_4.entries)
            own = relay.OWN[4], relay.OWN[6]
            peer = tayga.Tayga(space, "t", settings.directory, *own, relay.POOL6, eams, cpu=CORE)
            peer.start()
            octets = [frame[14:] for _, frame in frames.read_pcap(files.capture(RELAY_4))]
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
        taken, refused, sent = (after - before for before, after in zip(first, second))
        if not refused:
            raise Skip("others took the core of the generator: tayga was not kept busy")
        # What waits in the queue is not lost.
        lost = max(0, abs(taken - sent) - self.QUEUE)
        extra = {"offered_mpps": (taken + refused) / (end - start) / 1e6}
        return Reading(sent / (end - start), lost, share.now(), extra)

    @staticmethod
    def counts(space):
        """Packets that the device took, refused, and got back from tayga."""
        text = space.ip("t", "-s", "-j", "link", "show", tayga.TUN)
        stats = json.loads(text)[0]["stats64"]
        return stats["tx"]["packets"], stats["tx"]["dropped"], stats["rx"]["packets"]
