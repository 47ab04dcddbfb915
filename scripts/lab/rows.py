"""What the benchmark measures: every row by name, and how one round of it is
run. A row is measured by starting its program anew, so that memory and
placement differ from round to round as they do in life."""

import os
import subprocess

from . import load, plan, testpmd, weft
from .measured import (
    BASE,
    CORE,
    NODE_MAC,
    ROUTER_MAC,
    YARDSTICK,
    Files,
    Reading,
    Skip,
    Stream,
    TestpmdRow,
    capture_device,
    read,
    running,
)
from .pair_rows import PairRow
from .peer_rows import OvsRow, TaygaRow
from .relay_rows import RELAY_4, RELAY_6, RelayRow
from .segment_rows import SegmentRow

__all__ = ["CORE", "Files", "QUICK", "ROWS", "Reading", "Skip", "YARDSTICK", "in_turn", "mebibytes"]

ROUTER = "2001:db8:ffff:a::ff"
# In none of the frames.
UNSEEN = "10.255.255.254"

OUT_1K = Stream("outbound", 1 << 10, 1 << 10)
OUT_64K = Stream("outbound", 1 << 16, 1 << 16)
OUT_1M = Stream("outbound", 1 << 20, 1 << 20)
OUT_8M = Stream("outbound", 1 << 23, 1 << 20)
OUT_512 = Stream("outbound", 1 << 10, 1 << 10, 508)
IN_1K = Stream("inbound", 1 << 10, 1 << 10)
IN_1M = Stream("inbound", 1 << 20, 1 << 20)
LOCAL_1K = Stream("local", 1 << 10, 1 << 10)
LOCAL_1K_C = Stream("local", 1 << 10, 1 << 10, node="C", first=1 << 16)


class WeftRow:
    """One appliance, one worker, in one direction. With `handoff` the frames
    leave by a port of a second worker, on core 0; `observed` by a trace that
    looks at every packet and wants none of them."""

    def __init__(
        self, stream, yardstick, mode="siit", updates=0, handoff=False, observed=False
    ):
        self.stream = stream
        self.yardstick = yardstick
        self.mode = mode
        self.updates = updates
        self.handoff = handoff
        self.observed = observed

    def config(self, files):
        """The receiving port is a capture, the sending one a sink; what is
        what depends on the direction."""
        source = capture_device(0, files.capture(self.stream))
        # A handoff needs a port with one queue to send on: a capture without
        # frames is one, and takes whatever is sent.
        sink = f"net_pcap1,rx_pcap={files.empty()}" if self.handoff else "net_null0,no-rx=1"
        inbound = self.stream.kind == "inbound"
        uplink = uplink_table(source if inbound else sink)
        node = node_table("a", sink if inbound else source, 1 if inbound and self.handoff else 0)
        ports, bindings = [uplink, node], [binding("A", "a")]
        if self.stream.kind == "local":
            # The nodes it sends to are behind a port of their own.
            uplink["device"] = "net_null1,no-rx=1"
            ports.append(node_table("n", sink, 1 if self.handoff else 0))
            bindings += far_bindings(self.stream, "n")
        workers = [CORE, 0] if self.handoff else [CORE]
        config = appliance_config(workers, ports, bindings, self.mode)
        config["limits"] = {
            # The nodes of this host count too.
            "mappings": max(1 << 20, self.stream.entries + 1024),
            # All frames of the capture lie in buffers of their own.
            "mbufs": self.stream.count + (1 << 15) - 1,
        }
        return config

    def run(self, files, settings):
        entries = 0 if self.stream.kind == "local" else self.stream.entries
        with running(self.config(files), settings, files, entries) as (appliance, extra):
            with appliance.control(access="ro") as client:
                if self.observed:
                    # It lasts as long as the connection.
                    client.call("trace.start", filter={"address": UNSEEN}, count=1)
                reading = read(appliance, client, settings.seconds)
                if self.updates:
                    reading = self.with_updates(appliance, client, settings, reading, extra)
            reading.extra = extra
            return reading

    def with_updates(self, appliance, client, settings, quiet, extra):
        """The same again while mappings change: for half a minute in a full
        measurement, so that tables are swept and memory given back meanwhile."""
        seconds = settings.seconds if settings.seconds < 2 else 30.0
        with load.Updates(appliance.socket, self.updates, self.stream.entries) as updates:
            busy = read(appliance, client, seconds)
        extra["kept"] = busy.pps / quiet.pps
        extra["updates_per_second"] = updates.rate
        return busy


class TwoWorkers:
    """Two workers with a port each to receive and one to send, from node to
    node, beside each of them alone. `kept` is what they do together over the
    sum of what each does alone; `yardstick_kept` is the same of testpmd.

    A sink each, as testpmd has: `net_null` counts all its queues in memory
    side by side, so two workers on one slow each other down."""

    streams = (LOCAL_1K, LOCAL_1K_C)

    stream = None
    yardstick = None

    def run(self, files, settings):
        captures = [files.capture(stream) for stream in self.streams]
        alone = [self.weft(files, settings, captures, [core]) for core in (0, CORE)]
        both = self.weft(files, settings, captures, [0, CORE])
        kept = both.pps / sum(reading.pps for reading in alone)
        other = [self.testpmd(settings, captures[0], core) for core in (0, CORE)]
        together = self.testpmd(settings, captures, None)
        theirs = together / sum(other)
        both.extra = {"kept": kept, "yardstick_kept": theirs, "kept_less": theirs - kept}
        return both

    def weft(self, files, settings, captures, cores):
        ports, bindings = [uplink_table("net_null0,no-rx=1")], []
        for number, capture in enumerate(captures[: len(cores)]):
            stream, sink = self.streams[number], f"n{number}"
            name = stream.node.lower()
            ports.append(node_table(name, capture_device(number, capture), number))
            ports.append(node_table(sink, f"net_null{number + 1},no-rx=1", number))
            bindings += [binding(stream.node, name), *far_bindings(stream, sink)]
        config = appliance_config(cores, ports, bindings, "siit")
        with running(config, settings, files, 0) as (appliance, _):
            with appliance.control(access="ro") as client:
                return read(appliance, client, settings.seconds)

    def testpmd(self, settings, capture, core):
        program = testpmd.Testpmd(
            settings.prefix, capture, OUT_1K.count, OUT_1K.held, "5tswap", core
        )
        try:
            return program.measure(settings.warm, settings.seconds).pps
        finally:
            program.close()


def uplink_table(device):
    own = ["2001:db8:ffff:a::1/64"]
    return {"name": "up", "device": device, "role": "uplink", "addresses": own, "queues": 1}


def node_table(name, device, worker):
    return {"name": name, "device": device, "role": "node", "worker": worker}


def far_bindings(stream, port):
    """The nodes that a stream's frames are for, behind a port."""
    first = 0x02_00_00_01_00_00 + stream.first
    return [
        {
            "name": f"N{stream.first + number}",
            "vnet": "Z",
            "address": address(BASE + stream.first + number),
            "port": port,
            "mac": plan.mac_text((first + number).to_bytes(6, "big")),
        }
        for number in range(stream.entries)
    ]


def binding(node, port):
    address_of = plan.NODE[node]
    return {
        "name": node, "vnet": "Z", "address": address_of, "port": port, "mac": NODE_MAC[node]
    }


def appliance_config(workers, ports, bindings, mode):
    """Host R, with a route to everything by a router whose address is given."""
    return {
        "name": "R",
        "locator": plan.LOCATOR["R"],
        # A worker that shares its core with control must make room for it; with
        # frames without end it never gets to.
        "runtime": {
            "control_cpu": 0,
            "workers": workers,
            "idle": "backoff" if 0 in workers else "poll",
        },
        "port": ports,
        "vnet": weft.vnet_tables("Z", mode=mode),
        "binding": bindings,
        "host": weft.host_tables("S", "T"),
        "route": [{"prefix": "2001:db8::/32", "via": [{"address": ROUTER, "port": "up"}]}],
        "neighbor": [{"port": "up", "address": ROUTER, "mac": ROUTER_MAC}],
    }


def address(number):
    return ".".join(str(octet) for octet in number.to_bytes(4, "big"))


class FloorRow:
    """The least code that does the same work; see examples/floor.rs."""

    yardstick = YARDSTICK
    stream = OUT_1K

    def run(self, files, settings):
        if settings.no_weft:
            raise Skip(settings.no_weft)
        program = os.path.join(os.path.dirname(weft.binary()), "examples", "floor")
        if not os.path.exists(program):
            raise Skip("the floor is not built: cargo build --release --example floor")
        done = subprocess.run(
            [program, files.capture(self.stream), str(CORE), str(settings.seconds)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return Reading(float(done.stdout.split()[0]))


# A row is anything with `yardstick` (the name of the row with the same frames,
# or None), `stream` (None if it is not one of those above) and
# `run(files, settings)`, which gives a Reading or raises Skip with the reason.
# It runs once a round; figures of its own go into the reading's `extra`. Rows
# that need generators of their own have modules of their own, as peers do.
ROWS = {
    "testpmd-io": TestpmdRow("io", OUT_1K, YARDSTICK),
    "testpmd-macswap": TestpmdRow("macswap", OUT_1K, YARDSTICK),
    YARDSTICK: TestpmdRow("5tswap", OUT_1K),
    # Yardsticks of other frames: of a million, of all that 8 M keys draw, of
    # 512 bytes, of the table of 64 k, as they come from the substrate, and to
    # the relay from either side.
    "testpmd-5tswap-64k": TestpmdRow("5tswap", OUT_64K),
    "testpmd-5tswap-1m": TestpmdRow("5tswap", OUT_1M),
    "testpmd-5tswap-8m": TestpmdRow("5tswap", OUT_8M),
    "testpmd-5tswap-512b": TestpmdRow("5tswap", OUT_512),
    "testpmd-5tswap-inbound": TestpmdRow("5tswap", IN_1K),
    "testpmd-5tswap-inbound-1m": TestpmdRow("5tswap", IN_1M),
    "testpmd-5tswap-relay4": TestpmdRow("5tswap", RELAY_4),
    "testpmd-5tswap-relay6": TestpmdRow("5tswap", RELAY_6),
    "floor": FloorRow(),
    "outbound-siit-1k": WeftRow(OUT_1K, YARDSTICK),
    "outbound-siit-64k": WeftRow(OUT_64K, "testpmd-5tswap-64k"),
    "outbound-siit-1m": WeftRow(OUT_1M, "testpmd-5tswap-1m"),
    "outbound-siit-8m": WeftRow(OUT_8M, "testpmd-5tswap-8m"),
    "outbound-siit-512b": WeftRow(OUT_512, "testpmd-5tswap-512b"),
    "inbound-siit-1k": WeftRow(IN_1K, "testpmd-5tswap-inbound"),
    "inbound-siit-1m": WeftRow(IN_1M, "testpmd-5tswap-inbound-1m"),
    "outbound-transparent-1k": WeftRow(OUT_1K, YARDSTICK, mode="transparent"),
    "relay-4to6-1k": RelayRow(RELAY_4, "testpmd-5tswap-relay4"),
    "relay-6to4-1k": RelayRow(RELAY_6, "testpmd-5tswap-relay6"),
    "local-1k": WeftRow(LOCAL_1K, YARDSTICK),
    "observed-1k": WeftRow(OUT_1K, YARDSTICK, observed=True),
    "handoff-inbound": WeftRow(IN_1K, "testpmd-5tswap-inbound", handoff=True),
    "handoff-local": WeftRow(LOCAL_1K, YARDSTICK, handoff=True),
    "subnet-16x1k": SegmentRow(routed=False),
    "routed-16x1k": SegmentRow(routed=True),
    "testpmd-vhost": PairRow(peer=True),
    "vhost-pair": PairRow(yardstick="testpmd-vhost"),
    "workers-2v1": TwoWorkers(),
    "updates-100k": WeftRow(OUT_1M, "testpmd-5tswap-1m", updates=100_000),
    "updates-1m": WeftRow(OUT_1M, "testpmd-5tswap-1m", updates=1_000_000),
    "ovs-vxlan6-1k": OvsRow(OUT_1K, YARDSTICK, ROUTER),
    "tayga-1k": TaygaRow(RELAY_4, "testpmd-5tswap-relay4"),
}

QUICK = [
    name
    for name, row in ROWS.items()
    if not getattr(row, "updates", 0)
    and not getattr(row, "handoff", False)
    and row.stream in (OUT_1K, IN_1K, LOCAL_1K, RELAY_4, RELAY_6)
]


def mebibytes(names):
    """Memory in hugepages that the largest of these rows takes."""
    streams = [ROWS[name].stream for name in names]
    return max([testpmd.comparable(stream.count) for stream in streams if stream], default=0)


def in_turn(names):
    """The order of a round: every yardstick right before the rows that are held
    against it, so that as little time as can be lies between."""
    order = []
    for name in names:
        users = [other for other in names if ROWS[other].yardstick == name]
        order += [name, *users] if users else []
    return order + [name for name in names if name not in order]
