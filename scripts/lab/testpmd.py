"""Debian's dpdk-testpmd on the benchmark's devices: the yardstick."""

import re
import time

from .proc import Process, Share, free_hugepages

PROGRAM = "dpdk-testpmd"
# Memory of one packet buffer: structure, headroom and pool header.
OVERHEAD = 128 + 128 + 64
# Kept small for captures of a million frames, so that all of them fit.
SMALL_DATA, ROOM_DATA = 256, 2176


class Measured:
    """One reading: packets per second sent, and packets dropped meanwhile."""

    def __init__(self, pps, lost, share):
        self.pps = pps
        self.lost = lost
        self.share = share


def memory(frames, size):
    """Buffers and their data room for a capture that is held in them (once in
    the device's own ring), and MiB in all."""
    data = SMALL_DATA if size <= 100 else ROOM_DATA
    buffers = max(frames, 0) + 16384
    mebibytes = (buffers * (data + OVERHEAD) >> 20) + 96
    return buffers, data, mebibytes


def comparable(frames):
    """MiB of hugepages that weft asks for with so many frames: its buffers are
    the larger ones, and a quarter more is for what does not fit in between."""
    return ((frames + (1 << 15)) * (ROOM_DATA + OVERHEAD) * 5 // 4 >> 20) + 96


class Testpmd:
    """testpmd between a capture that repeats without end and a sink."""

    def __init__(self, prefix, pcap, frames, size, mode, cpu=1):
        """`pcap` may be a list: then there is a sink and a core for each, from
        core 0 up."""
        pcaps = pcap if isinstance(pcap, list) else [pcap]
        # Ports are paired in order: each capture with the sink after it.
        self.sinks = range(1, 2 * len(pcaps), 2)
        frames *= len(pcaps)
        cores = [f"{1 + n}@{n}" for n in range(len(pcaps))] if len(pcaps) > 1 else [f"1@{cpu}"]
        devices = []
        for number, path in enumerate(pcaps):
            devices.append(f"--vdev=net_pcap{number},rx_pcap={path},infinite_rx=1")
            devices.append(f"--vdev=net_null{number},no-rx=1")
        buffers, data, mebibytes = memory(frames, size)
        # Where weft has ordinary pages for want of others, this has them too: a
        # million buffers miss in the translation cache otherwise, in one only.
        huge = free_hugepages() * 2 >= max(mebibytes, comparable(frames))
        self.process = Process(
            [
                # Its replies would wait in a buffer when read from a pipe.
                "stdbuf",
                "-oL",
                PROGRAM,
                "--lcores",
                ",".join(["0@0", *cores]),
                "--main-lcore=0",
                "--no-pci",
                # EAL refuses the two together; neither leaves files behind.
                *(["--in-memory"] if huge else ["--no-huge", "--no-shconf"]),
                "-m",
                str(mebibytes),
                "--no-telemetry",
                f"--file-prefix={prefix}",
                *devices,
                "--",
                "--interactive",
                f"--nb-cores={len(pcaps)}",
                "--no-flush-rx",
                "--record-core-cycles",
                f"--forward-mode={mode}",
                f"--total-num-mbufs={buffers}",
                f"--mbuf-size={data}",
            ],
            stdin=True,
        )

    def measure(self, warm, seconds):
        """Forwards for `warm` seconds, then measures for `seconds`."""
        self.process.send("start")
        self.process.expect(r"packet forwarding - ports=", 20.0)
        time.sleep(warm)
        share = Share(self.process.pid)
        first = self.reading()
        time.sleep(seconds)
        second = self.reading()
        elapsed = second[2] - first[2]
        pps = (second[0] - first[0]) / elapsed
        return Measured(pps, second[1] - first[1], share.now())

    def reading(self):
        """Packets sent by the sinks' ports, packets they did not take, and when."""
        total = lost = 0
        before = time.perf_counter()
        for port in self.sinks:
            start = len(self.process.lines)
            self.process.send(f"show port stats {port}")
            sent, _ = self.process.expect(r"TX-packets:\s*(\d+)\s+TX-errors:\s*(\d+)", 10.0, start)
            total += int(sent[1])
            lost += int(sent[2])
        return total, lost, (before + time.perf_counter()) / 2

    def cycles(self):
        """What testpmd itself says a packet took, where it says so."""
        start = len(self.process.lines)
        self.process.send("stop")
        match, _ = self.process.expect(r"CPU cycles/packet=([\d.]+)|^Done\.", 10.0, start)
        return float(match[1]) if match[1] else None

    def close(self):
        if self.process.running():
            try:
                self.process.send("quit")
            except Exception:  # pylint: disable=broad-except
                pass
            try:
                self.process.child.wait(5.0)
            except Exception:  # pylint: disable=broad-except
                pass
        self.process.stop()


def modes():
    """The forward modes that rows are named after."""
    return ("io", "macswap", "5tswap")


def version(text):
    """`22.11.11` in testpmd's banner."""
    match = re.search(r"DPDK ([\d.]+)", text)
    return match[1] if match else ""
