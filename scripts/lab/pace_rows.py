"""What is shown with the paced generator: that nothing is lost while something
changes, how soon an update is seen, how much passes without a loss, and how
long it takes.

Where tables change, the generator shares core 0 with weft's control thread and
the client. It then sleeps between bursts and runs before them (SCHED_FIFO), as
traffic does not wait for software either; it takes an eighth of the core."""

import os
import statistics
import time
from contextlib import contextmanager

from . import control, load, pace, plan, rows, weft

MILLION = 1 << 20
RATE = 500_000
FIRST = ("chrt", "-f", "10")
# The first address that has no mapping, as the generator knows it.
UNKNOWN = plan.v4("10.64.0.0")
# Beside the flows of the generator, and as many as end at once.
EXPIRING = plan.v4("10.192.0.0")


class Run:
    """What came of the frames that were sent while something happened.
    `waited` is for how long the worker was kept from its core, in ms: what is
    lost then is not the appliance's."""

    def __init__(self, report, drops, waited, extra=None):
        self.report, self.drops, self.waited = report, drops, waited
        self.extra = extra or {}

    @property
    def lost(self):
        return pace.lost(self.report)

    def json(self):
        report = self.report
        return {
            "offered": report["sent"] + report["refused"],
            "lost": pace.lost(report),
            "blocked_ms": round(pace.blocked_ms(report), 4),
            "duplicates": report["duplicates"],
            "reordered": report["reordered"],
            "seconds": round(report["seconds"], 2),
            "waited_ms": round(self.waited, 3),
            "longest_ms": round((report["latency_ns"] or {"max": 0})["max"] / 1e6, 3),
            "dropped": self.drops,
            **self.extra,
        }


@contextmanager
def flowing(under):
    """Traffic at a rate while the body runs, and half a second on both sides of
    it. Yields a place for what came of it."""
    before = under.dropped()
    outcome = {}
    waited = pace.Waited(under.pid)
    under.generator.start(under.rate)
    time.sleep(0.5)
    try:
        yield outcome
        time.sleep(0.5)
    finally:
        report = under.generator.stop()
        after = under.dropped()
        drops = {name: n - before.get(name, 0) for name, n in after.items()}
        extra = outcome.pop("extra", {})
        drops = {name: n for name, n in drops.items() if n}
        outcome["run"] = Run(report, drops, waited.now(), extra)


def quiet(under, seconds=3.0):
    """Nothing happens: what the machine itself does to the traffic."""
    with flowing(under) as outcome:
        time.sleep(seconds)
    return outcome["run"]


def resync(under, entries=MILLION, times=2):
    """The whole set is replaced, every mapping by one to another host."""
    ready = [
        control.mapping_lines("Z", host, range(plan.BENCH_BASE, plan.BENCH_BASE + entries))
        for host in ("T", "S")
    ]
    with flowing(under) as outcome:
        took = [control.load(under.appliance.socket, ready[turn % 2]) for turn in range(times)]
        outcome["extra"] = {"took_seconds": round(statistics.mean(took), 2), "times": times}
    return outcome["run"]


def modes(under, times=100):
    """A vnet's mode changes and changes back."""
    with under.appliance.control() as client, flowing(under) as outcome:
        for turn in range(times):
            mode = ("transparent", "siit")[turn % 2]
            client.call("vnet.set", vnet=weft.vnet_tables("Z", mode=mode)[0])
            time.sleep(0.01)
        outcome["extra"] = {"times": times}
    return outcome["run"]


def expiry(under, entries=500_000, lead=6):
    """So many mappings end in the same second."""
    rows = []
    client = under.appliance.control(timeout=60.0)
    start = time.monotonic()
    with client:
        for first in range(0, entries, 1000):
            # All end at once, however long it takes to say so.
            left = max(1, round(lead - (time.monotonic() - start)))
            rows = [
                {"address": dotted(EXPIRING + number), "host": "S", "expires": left}
                for number in range(first, min(first + 1000, entries))
            ]
            client.call("mapping.set", vnet="Z", mappings=rows)
        before = entries_of(client)
        with flowing(under) as outcome:
            began = ended = None
            deadline = time.monotonic() + lead + 20
            while time.monotonic() < deadline:
                left = entries_of(client)
                if began is None and left < before:
                    began = time.monotonic()
                if left <= before - entries:
                    ended = time.monotonic()
                    break
                time.sleep(0.02)
            if ended is None:
                raise RuntimeError(f"{left} of {before} entries are left after {lead + 20} s")
            outcome["extra"] = {"expired": entries, "took_seconds": round(ended - began, 2)}
    return outcome["run"]


def entries_of(client):
    return client.counters()[0]["table_entries"]


def dotted(number):
    return ".".join(str(octet) for octet in number.to_bytes(4, "big"))


def updates(under, wanted=1_000_000, count=1000, entries=MILLION):
    """How soon a mapping is used once its reply has come, while other mappings
    change so many times a second. The generator sends to an address that has
    none, and says when the first frame comes back."""
    generator, seen, early = under.generator, [], 0
    with load.Updates(under.appliance.socket, wanted, entries) as busy:
        with under.appliance.control() as client, flowing(under) as outcome:
            generator.probe(count)
            for number in range(count):
                # The reply must not be timed with what is left of the last one.
                time.sleep(0.0005)
                mapping = {"address": dotted(UNKNOWN + number), "host": "S"}
                asked = time.monotonic_ns()
                client.call("mapping.set", vnet="Z", mappings=[mapping])
                replied = time.monotonic_ns()
                found = generator.line(10.0)
                if found.get("probe") != number:
                    raise RuntimeError(f"probe {number} was asked for, and found: {found}")
                early += found["seen"] < asked
                seen.append(max(0, found["seen"] - replied) / 1e6)
    cuts = statistics.quantiles(seen, n=100)
    outcome["run"].extra = {
        "updates_per_second": round(busy.rate),
        "probes": count,
        # A frame came back before anybody asked for its mapping.
        "early": early,
        "reply_to_packet_ms": {
            "p50": round(cuts[49], 3),
            "p90": round(cuts[89], 3),
            "p99": round(cuts[98], 3),
            "max": round(max(seen), 3),
        },
    }
    with under.appliance.control() as client:
        gone = [{"address": dotted(UNKNOWN + number)} for number in range(count)]
        client.call("mapping.remove", vnet="Z", mappings=gone)
    return outcome["run"]


@contextmanager
def appliance(directory, prefix, entries=MILLION, rate=RATE):
    """One with so many mappings, through which traffic to all of them flows.
    Whoever changes something meanwhile is on core 0."""
    limits = {"mappings": 2 * entries}
    cores = os.sched_getaffinity(0)
    with pace.Weft(directory, prefix, mappings=entries, settings=limits) as under:
        under.start(first=FIRST, flows=entries)
        under.rate = rate
        os.sched_setaffinity(0, {0})
        try:
            yield under
        finally:
            os.sched_setaffinity(0, cores)


def ports(under, times=10):
    """A node's port is added and removed, over and over; the last time while
    somebody sends to it."""
    running = under.appliance.config
    node = rows.node_table("c", f"net_vhost9,iface={under.sockets[0]}.c,queues=1", 0)
    with_it = dict(running)
    with_it["port"] = [*running["port"], node]
    with_it["binding"] = [*running["binding"], rows.binding("C", "c")]
    with under.appliance.control() as client, flowing(under) as outcome:
        took = []
        for turn in range(times):
            took.append(apply(client, with_it))
            received = use(client, under.sockets[0] + ".c") if turn + 1 == times else None
            took.append(apply(client, running))
        outcome["extra"] = {
            "times": times,
            "took_ms": round(max(took) * 1000, 1),
            "used": received,
        }
    return outcome["run"]


def use(client, path, count=1000):
    """Sends to a new port for a second; how much the appliance got."""
    generator = pace.Generator([f"net_virtio_user9,path={path}"])
    try:
        generator.run(count, 1.0, "sleep")
        return client.counters()[0]["port_c_rx_packets"]
    finally:
        generator.close()


def apply(client, config):
    """Seconds that it took. A device that is still closing cannot be opened."""
    deadline = time.monotonic() + 10
    while True:
        begin = time.monotonic()
        try:
            client.call("config.apply", name="pace", text=weft.to_toml(config))
        except control.ControlError as error:
            if "still closing" not in str(error) or begin > deadline:
                raise
            time.sleep(0.05)
            continue
        took = time.monotonic() - begin
        time.sleep(0.1)
        return took


SHARES = {"10%": 0.1, "50%": 0.5, "90%": 0.9}


def latency(under, seconds=1.0):
    """The highest loss-free rate in Mpps, and percentiles in microseconds at
    shares of it. The generator has its core to itself."""
    rate = pace.highest(under, seconds=seconds)
    found = {"mpps": rate / 1e6}
    for name, share in SHARES.items():
        report = pace.calm(under, rate * share, 2 * seconds)
        times = report["latency_ns"]
        found[name] = {key: times[key] / 1000 for key in ("min", "p50", "p90", "p99", "p999", "max")}
        found[name]["lost"] = pace.lost(report)
        found[name]["waited_ms"] = report["waited_ms"]
    return found
