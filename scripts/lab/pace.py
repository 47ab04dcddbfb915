"""The paced generator (examples/pace) beside a program under test: weft, or
testpmd, on vhost-user ports of its own. The generator is on core 0, the
program's worker on core 1. What is sent on one port comes back on the other."""

import json
import os
import time

from . import control, plan, rows, testpmd, weft
from .proc import Process, free_hugepages

FLOWS = 1 << 10
MEBIBYTES = 192
# The way in is shallow, so that a pause of the program under test is a loss,
# counted as `refused`; the way back is deep, since the generator shares its
# core and may not be there for a while.
IN_DEPTH, OUT_DEPTH = 1024, 4096
# Milliseconds without its core after which a loss is not the worker's own.
WAITED = 0.5
# How the generator runs where it polls: before all others, but for the kernel.
ALONE = ("nice", "-n", "-20")


def binary():
    """The generator, built beside the program."""
    if given := os.environ.get("PACE"):
        return os.path.abspath(given)
    path = os.path.join(os.path.dirname(weft.binary()), "examples", "pace")
    if not os.path.exists(path):
        raise FileNotFoundError(f"no {path}: cargo build --release --example pace")
    return path


class Generator:
    """The generator, ready. `first` commands go before it, such as `chrt`."""

    def __init__(self, devices, core=0, flows=FLOWS, first=()):
        self.process = Process([*first, binary(), str(core), str(flows), *devices], stdin=True)
        _, self.at = self.process.expect(r'"ready":true', 20.0)

    def line(self, timeout):
        """The next line of JSON; what else is said is passed over."""
        match, self.at = self.process.expect(r"^\{.*\}$", timeout, self.at)
        return json.loads(match[0])

    def report(self, timeout):
        """The next report; what is said of probes meanwhile is passed over."""
        while True:
            found = self.line(timeout)
            if "sent" in found and "probe" not in found:
                return found

    def run(self, rate, seconds, idle="spin"):
        self.process.send(f"run {rate} {seconds} {idle}")
        return self.report(seconds + 20.0)

    def start(self, rate, idle="sleep"):
        self.process.send(f"start {rate} {idle}")

    def probe(self, count):
        self.process.send(f"probe {count}")

    def stop(self):
        self.process.send("stop")
        return self.report(20.0)

    def close(self):
        if self.process.running():
            try:
                self.process.send("quit")
                self.process.child.wait(5.0)
            except Exception:  # pylint: disable=broad-except
                pass
        self.process.stop()


def nice_group(nice):
    """Sets the niceness of our session as a whole, where the kernel groups
    processes by sessions: there it counts before that of each."""
    try:
        with open("/proc/self/autogroup", "w", encoding="ascii") as file:
            file.write(str(nice))
    except OSError:
        pass


def lost(report):
    """What was offered and did not come back, copies apart."""
    return report["lost"] + report["refused"]


def blocked_ms(report):
    """For how long nothing would have passed, had all that is lost been lost in
    a row: lost / offered of the time it ran."""
    offered = report["sent"] + report["refused"]
    return lost(report) / max(offered, 1) * report["seconds"] * 1000


class Under:
    """A program under test with two vhost-user ports, and a generator on them."""

    name = ""

    def __init__(self, directory, prefix):
        self.directory, self.prefix = directory, prefix
        self.generator = None
        self.rate = 0
        self.sockets = [os.path.join(directory, f"{self.name}-{port}.sock") for port in "ab"]

    def devices(self):
        """As the program has them."""
        return [f"net_vhost{n},iface={path},queues=1" for n, path in enumerate(self.sockets)]

    def connect(self, flows=FLOWS, first=ALONE):
        depths = (IN_DEPTH, OUT_DEPTH)
        self.generator = Generator(
            [
                f"net_virtio_user{n},path={path},queue_size={depth}"
                for n, (path, depth) in enumerate(zip(self.sockets, depths))
            ],
            flows=flows,
            first=first,
        )
        self.prefer()
        # Both sides have to see that the other one is there.
        time.sleep(0.3)
        self.generator.run(50_000, 0.3)

    def prefer(self):
        """The worker before whatever else there is for its core, which in life
        is nothing: among our own, and all of our own before others. Not in real
        time: the kernel takes that away for 50 ms each second if others wait."""
        nice_group(-20)
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{thread}/comm", encoding="ascii") as file:
                if "worker" in file.read():
                    os.setpriority(os.PRIO_PROCESS, int(thread), -20)

    def close(self):
        if self.generator:
            self.generator.close()
        self.end()
        nice_group(0)
        for path in self.sockets:
            if os.path.exists(path):
                os.unlink(path)

    def end(self):
        """Ends the program itself."""

    def dropped(self):
        """What the program says that it dropped."""
        return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Weft(Under):
    """Host R with node A on one port and its uplink on the other; or, `local`,
    all that A writes to."""

    name = "weft"

    def __init__(
        self, directory, prefix, mappings=FLOWS, idle="poll", mode="siit", settings=None, local=False
    ):
        super().__init__(directory, prefix)
        self.mappings = 0 if local else mappings
        node, other = self.devices()
        ports, bindings = [rows.node_table("a", node, 0)], [rows.binding("A", "a")]
        if local:
            ports += [rows.uplink_table("net_null0,no-rx=1"), rows.node_table("n", other, 0)]
            bindings += rows.far_bindings(rows.LOCAL_1K, "n")
        else:
            ports.append(rows.uplink_table(other))
        config = rows.appliance_config([rows.CORE], ports, bindings, mode)
        config["runtime"]["idle"] = idle
        config["limits"] = settings or {}
        self.appliance = weft.Weft(directory, config, prefix=prefix)

    def start(self, first=ALONE, flows=FLOWS):
        try:
            self.appliance.start(60.0)
            if self.mappings:
                numbers = range(plan.BENCH_BASE, plan.BENCH_BASE + self.mappings)
                control.load(self.appliance.socket, control.mapping_lines("Z", "S", numbers))
            self.connect(flows, first)
        except BaseException:
            self.close()
            raise
        return self

    @property
    def pid(self):
        return self.appliance.process.pid

    def end(self):
        self.appliance.stop()

    def dropped(self):
        counters = self.appliance.counters()
        return {name: n for name, n in counters.items() if name.startswith("drop_") and n}


class Testpmd(Under):
    """testpmd between the same devices."""

    name = "testpmd"

    def __init__(self, directory, prefix, mode="5tswap"):
        super().__init__(directory, prefix)
        self.mode = mode
        self.process = None

    def start(self, first=ALONE):
        huge = free_hugepages() * 2 >= 2 * MEBIBYTES
        try:
            self.process = Process(
                [
                    "stdbuf",
                    "-oL",
                    testpmd.PROGRAM,
                    "--lcores",
                    f"0@0,1@{rows.CORE}",
                    "--main-lcore=0",
                    "--no-pci",
                    *(["--in-memory"] if huge else ["--no-huge", "--no-shconf"]),
                    "-m",
                    str(MEBIBYTES),
                    "--no-telemetry",
                    f"--file-prefix={self.prefix}-testpmd",
                    *(f"--vdev={device}" for device in self.devices()),
                    "--",
                    "--interactive",
                    "--nb-cores=1",
                    f"--forward-mode={self.mode}",
                    "--total-num-mbufs=32767",
                ],
                stdin=True,
            )
            self.process.send("start")
            self.process.expect(r"packet forwarding - ports=", 20.0)
            self.connect(first=first)
        except BaseException:
            self.close()
            raise
        return self

    @property
    def pid(self):
        return self.process.pid

    def end(self):
        if self.process and self.process.running():
            try:
                self.process.send("quit")
                self.process.child.wait(5.0)
            except Exception:  # pylint: disable=broad-except
                pass
        if self.process:
            self.process.stop()


def calm(under, rate, seconds, times=6):
    """A report of a trial during which others left the worker its core: the
    first such, or else the one with the least of it."""
    best = None
    for _ in range(times):
        waited = Waited(under.pid)
        report = under.generator.run(rate, seconds)
        report["waited_ms"] = round(waited.now(), 3)
        if best is None or report["waited_ms"] < best["waited_ms"]:
            best = report
        if best["waited_ms"] < WAITED:
            break
    return best


def highest(under, top=16e6, steps=7, seconds=1.0):
    """The highest rate at which nothing is lost, by bisection of trials of so
    many seconds. A trial counts only if the generator offered what it was told
    to, and its loss only if the worker had its core."""
    low, high = 0.0, top
    for _ in range(steps):
        rate = (low + high) / 2
        if passes(under, rate, seconds):
            low = rate
        else:
            high = rate
    return low


def passes(under, rate, seconds, times=6):
    for _ in range(times):
        waited = Waited(under.pid)
        report = under.generator.run(rate, seconds)
        offered = report["offered_pps"] >= 0.97 * rate
        if offered and lost(report) == 0:
            return True
        if offered and waited.now() < WAITED:
            return False
    return False


class Waited:
    """How long the worker was ready and not on its core, by the kernel's
    account, and the machine off the core, by the hypervisor's; in ms."""

    def __init__(self, pid):
        self.pid = pid
        self.begin, self.stolen = self.threads(), stolen()

    def threads(self):
        """Nanoseconds on a core and in wait of one, by thread."""
        found = {}
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{thread}/schedstat", encoding="ascii") as file:
                ran, waited, _ = file.read().split()
                found[thread] = int(ran), int(waited)
        return found

    def now(self):
        end = self.threads()
        since = {
            thread: [n - m for n, m in zip(end[thread], self.begin.get(thread, (0, 0)))]
            for thread in end
        }
        # The one that never sleeps.
        _, waited = max(since.values())
        return waited / 1e6 + stolen() - self.stolen


def stolen():
    """Milliseconds that the worker's core was given to other machines."""
    with open("/proc/stat", encoding="ascii") as file:
        for line in file:
            if line.startswith(f"cpu{rows.CORE} "):
                return int(line.split()[8]) * 1000 / os.sysconf("SC_CLK_TCK")
    return 0.0
