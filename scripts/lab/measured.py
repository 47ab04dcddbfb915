"""What rows of the benchmark have in common: captures that repeat without
end, an appliance that runs meanwhile, and what is read of it."""

import os
import random
import time
from contextlib import contextmanager
from dataclasses import dataclass

from . import control, frames, plan, proc, relay, testpmd, weft

CORE = 1
BASE = plan.BENCH_BASE
NODE_MAC = {"A": "02:00:00:00:00:0a", "C": "02:00:00:00:00:0c"}
ROUTER_MAC = "02:00:00:00:00:ff"
# The driver numbers its ports and makes their address from "pcap".
PCAP_MAC = "02:70:63:61:70:00"
YARDSTICK = "testpmd-5tswap"


@dataclass
class Reading:
    """One round of one row. `busy` is the part of its core that the program
    itself kept busy, 1 for whatever polls; `share` is what it got of the time
    that it could have used, less when somebody else was there."""

    pps: float
    lost: int = 0
    share: float = 1.0
    extra: dict = None
    busy: float = 1.0

    def cycles(self, hertz):
        """TSC cycles that a packet took of the core."""
        return hertz * self.busy / self.pps


class Skip(Exception):
    """The row cannot be measured here; the text says why."""


@dataclass(frozen=True)
class Stream:
    """A capture that is repeated without end."""

    kind: str  # outbound, inbound, local, relay4, relay6
    entries: int  # size of the table the frames are for
    count: int  # frames
    size: int = 60  # of the IPv4 frame, without check sequence
    node: str = "A"
    first: int = 0  # of the far nodes, from BASE on

    @property
    def held(self):
        """Size of the frames themselves."""
        return self.size + 20 * (self.kind in ("inbound", "relay6"))


class Files:
    """Captures and ready-made requests, each made once."""

    def __init__(self, directory):
        self.directory = directory
        self.lines = {}

    def capture(self, stream):
        path = os.path.join(
            self.directory, f"{stream.kind}-{stream.entries}-{stream.size}-{stream.node}{stream.first}.pcap"
        )
        if not os.path.exists(path):
            self._write(path, stream)
        return path

    def _write(self, path, stream):
        # The order is random, so that neighbours in time are none in memory;
        # the seed is fixed, so that every run has the same frames.
        draw = random.Random(stream.entries)
        if stream.count == stream.entries:
            order = list(range(stream.entries))
            draw.shuffle(order)
        else:
            order = [draw.randrange(stream.entries) for _ in range(stream.count)]
        numbers = [BASE + stream.first + number for number in order]
        part = path + ".part"
        macs = plan.mac(PCAP_MAC), plan.mac(ROUTER_MAC)
        if stream.kind == "inbound":
            prefix, dst = plan.substrate("S", "Z", 0)[:12], plan.substrate("R", "Z", plan.NODE["A"])
            frames.write_inbound(part, *macs, prefix, dst, numbers, stream.size)
        elif stream.kind == "relay6":
            # From hosts with explicit mappings to one of the prefix.
            prefix, dst = relay.bench_host(0)[:12], relay.embedded(relay.BENCH_PEER)
            frames.write_inbound(part, *macs, prefix, dst, numbers, stream.size)
        elif stream.kind == "relay4":
            peer = plan.v4(relay.BENCH_PEER)
            frames.write_outbound(part, lambda _: macs[0], macs[1], peer, numbers, stream.size)
        else:
            frames.write_outbound(
                part,
                frames.node_macs("Z"),
                plan.mac(NODE_MAC[stream.node]),
                plan.v4(plan.NODE[stream.node]),
                numbers,
                stream.size,
            )
        os.rename(part, path)

    def empty(self):
        """A capture without frames."""
        path = os.path.join(self.directory, "empty.pcap")
        with frames.Pcap(path):
            return path

    def mappings(self, entries):
        if entries not in self.lines:
            self.lines[entries] = control.mapping_lines("Z", "S", range(BASE, BASE + entries), first=3)
        return self.lines[entries]


class TestpmdRow:
    """testpmd between the same devices on the same frames."""

    def __init__(self, mode, stream, yardstick=None):
        self.mode = mode
        self.stream = stream
        self.yardstick = yardstick

    def run(self, files, settings):
        capture = files.capture(self.stream)
        program = testpmd.Testpmd(
            settings.prefix, capture, self.stream.count, self.stream.held, self.mode, CORE
        )
        try:
            measured = program.measure(settings.warm, settings.seconds)
            own = {"own_cycles": program.cycles()}
            return Reading(measured.pps, measured.lost, measured.share, own)
        finally:
            program.close()


def capture_device(number, path):
    return f"net_pcap{number},rx_pcap={path},infinite_rx=1"


@contextmanager
def running(config, settings, files, entries):
    """An appliance with so many mappings, warm; and what loading them took."""
    if settings.no_weft:
        raise Skip(settings.no_weft)
    appliance = weft.Weft(settings.directory, config, prefix=settings.prefix)
    extra = {}
    try:
        appliance.start(60.0)
        if entries:
            extra["load_seconds"] = control.load(appliance.socket, files.mappings(entries))
        time.sleep(settings.warm)
        yield appliance, extra
    finally:
        appliance.stop()
        os.unlink(appliance.file)


def read(appliance, client, seconds):
    """Packets per second that were sent, and those that were dropped."""
    share = proc.Share(appliance.process.pid)
    first, start = client.counters()
    time.sleep(seconds)
    second, end = client.counters()
    sent = second["tx"] - first["tx"]
    drops = [name for name in second if name.startswith("drop_")]
    if sent == 0:
        raise RuntimeError(
            f"nothing was sent; dropped: { {name: second[name] for name in drops if second[name]} }"
        )
    lost = sum(second[name] - first.get(name, 0) for name in drops)
    return Reading(sent / (end - start), lost, share.now())
