"""Processes that are ended for certain, and facts about the machine."""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time


class ProcessError(Exception):
    """A process ended early or said nothing in time; the text has its last words."""


class Process:
    """A program whose output is read line by line in the background. It runs
    in its own process group, is ended by its own pid only, and dies with us."""

    def __init__(self, command, stdin=False, env=None):
        self.command = command
        self.lines = []
        self.changed = threading.Condition()
        self.child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=env,
            preexec_fn=die_with_parent,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    @property
    def pid(self):
        return self.child.pid

    def _read(self):
        for line in self.child.stdout:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.lines.append(None)
            self.changed.notify_all()

    def send(self, line):
        try:
            self.child.stdin.write(line + "\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            self.fail("ended")

    def expect(self, pattern, timeout=15.0, start=0):
        """Waits for a line that matches; returns the match and the index of
        the following line."""
        wanted = re.compile(pattern)
        deadline = time.monotonic() + timeout
        at = start
        with self.changed:
            while True:
                while at < len(self.lines):
                    line = self.lines[at]
                    if line is None:
                        self.fail(f"ended before it said {pattern!r}")
                    if match := wanted.search(line):
                        return match, at + 1
                    at += 1
                left = deadline - time.monotonic()
                if left <= 0 or not self.changed.wait(left) and at >= len(self.lines):
                    self.fail(f"did not say {pattern!r} in {timeout} s")

    def fail(self, what):
        raise ProcessError(f"{self.command[0]} {what}; its last lines:\n{self.tail()}")

    def tail(self, count=25):
        lines = [line for line in self.lines if line is not None]
        return "\n".join("    " + line for line in lines[-count:])

    def running(self):
        return self.child.poll() is None

    def stop(self, sig=signal.SIGTERM, timeout=5.0):
        """Ends it, by force if it does not go; returns its exit code."""
        if self.running():
            self.child.send_signal(sig)
            try:
                self.child.wait(timeout)
            except subprocess.TimeoutExpired:
                self.child.kill()
        code = self.child.wait()
        self.reader.join(2.0)
        if self.child.stdin:
            try:
                self.child.stdin.close()
            except BrokenPipeError:
                pass
        self.child.stdout.close()
        return code


def die_with_parent():
    """Run in the child before exec: SIGTERM when its parent thread is gone, so
    that not even our being killed leaves a poll-mode process behind."""
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Share:
    """How much of its core the busiest thread of a process got: what it did
    not get, somebody else took, and the figures of that time are worth little."""

    def __init__(self, pid):
        self.pid = pid
        self.begin, self.start = self.times(), time.perf_counter()

    def times(self):
        """Nanoseconds on a core, by thread."""
        found = {}
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            try:
                with open(f"/proc/{self.pid}/task/{thread}/schedstat", encoding="ascii") as file:
                    found[thread] = int(file.read().split()[0])
            except OSError:
                continue
        return found

    def now(self):
        elapsed = (time.perf_counter() - self.start) * 1e9
        used = [n - self.begin.get(thread, 0) for thread, n in self.times().items()]
        return max(used, default=0) / elapsed


def tsc_hz():
    """Ticks of the time stamp counter per second, as the kernel measured it."""
    sources = []
    try:
        sources.append(
            subprocess.run(["dmesg"], capture_output=True, text=True, check=False).stdout
        )
    except OSError:
        pass
    for text in sources:
        refined = re.findall(r"tsc: (?:Refined TSC clocksource calibration|Detected):? ([\d.]+) MHz", text)
        if refined:
            return float(refined[-1]) * 1e6
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("model name") and (ghz := re.search(r"@ ([\d.]+)GHz", line)):
                return float(ghz[1]) * 1e9
    return measured_tsc_hz()


def measured_tsc_hz():
    """The kernel does not say: BogoMIPS is twice the TSC in MHz on x86."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("bogomips"):
                return float(line.split(":")[1]) * 1e6 / 2
    raise RuntimeError("no way found to know the TSC's frequency")


def machine():
    """What a figure depends on, for the head of a report."""
    model = kernel = ""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    kernel = os.uname().release
    dpdk = subprocess.run(
        ["pkg-config", "--modversion", "libdpdk"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "tsc_hz": int(tsc_hz()),
        "kernel": kernel,
        "dpdk": dpdk,
        "hugepages": free_hugepages(),
        "load": os.getloadavg()[0],
    }


HUGEPAGES = "/sys/kernel/mm/hugepages/hugepages-2048kB/"


def free_hugepages():
    """Free 2 MiB pages."""
    try:
        with open(HUGEPAGES + "free_hugepages", encoding="ascii") as file:
            return int(file.read())
    except OSError:
        return 0


@contextlib.contextmanager
def hugepages(mebibytes):
    """Has so much memory free in 2 MiB pages for a while, where root may ask for
    them and the kernel has them."""
    missing = -(-mebibytes // 2) - free_hugepages()
    if missing <= 0 or os.geteuid() != 0:
        yield
        return
    path = HUGEPAGES + "nr_hugepages"
    with open(path, encoding="ascii") as file:
        before = int(file.read())
    try:
        set_hugepages(path, before + missing)
        yield
    finally:
        set_hugepages(path, before)


def set_hugepages(path, number):
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(str(number))
    except OSError:
        pass
