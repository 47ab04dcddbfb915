"""Network namespaces, wires between them, and sockets inside of them."""

import ctypes
import ctypes.util
import os
import re
import socket
import struct
import subprocess
import threading
import time
from contextlib import contextmanager

from . import frames

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 0x0003
PACKET_OUTGOING = 4
SOL_PACKET, PACKET_AUXDATA, VLAN_VALID = 263, 8, 0x10
_libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)


def sh(*command, check=True, **options):
    """Runs a command; its error output is in the exception."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


class Net:
    """Namespaces of one run, removed by `close`."""

    def __init__(self, run):
        self.run = f"weft-{run}"
        self.names = []

    def name(self, short):
        return f"{self.run}-{short}"

    @property
    def shorts(self):
        """Short names of the namespaces there are."""
        return [name.removeprefix(f"{self.run}-") for name in self.names]

    def add(self, short, router=False):
        name = self.name(short)
        sh("ip", "netns", "add", name)
        self.names.append(name)
        settings = ["net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0"]
        settings += ["net.ipv6.conf.default.accept_ra=0"]
        if router:
            settings.append("net.ipv6.conf.all.forwarding=1")
        self.exec(short, "sysctl", "-qw", *settings)
        sh("ip", "-n", name, "link", "set", "lo", "up")

    def exec(self, short, *command, **options):
        return sh("ip", "netns", "exec", self.name(short), *command, **options)

    def ip(self, short, *command):
        return sh("ip", "-n", self.name(short), *command)

    def link(self, left, left_name, right, right_name, mtu=1500):
        """A veth pair whose ends do their checksums in software."""
        sh(
            *("ip", "link", "add", left_name, "mtu", str(mtu), "netns", self.name(left)),
            *("type", "veth", "peer", "name", right_name, "mtu", str(mtu)),
            *("netns", self.name(right)),
        )
        self.up(left, left_name)
        self.up(right, right_name)

    def up(self, short, interface):
        offloads = ("tx", "off", "tso", "off", "gso", "off", "gro", "off")
        self.exec(short, "ethtool", "-K", interface, *offloads)
        self.ip(short, "link", "set", interface, "up")

    def give(self, short, interface):
        """The kernel says nothing of its own there: an appliance owns it."""
        self.exec(short, "sysctl", "-qw", f"net.ipv6.conf.{interface}.disable_ipv6=1")

    def address(self, short, interface, address):
        quick = ["nodad"] if ":" in address else []
        self.ip(short, "addr", "add", address, "dev", interface, *quick)

    def mac(self, short, interface):
        return self.exec(short, "cat", f"/sys/class/net/{interface}/address").strip()

    def close(self):
        for name in self.names:
            sh("ip", "netns", "del", name, check=False)
        self.names = []

    @contextmanager
    def inside(self, short):
        """What this thread opens meanwhile belongs to that namespace, and
        stays there."""
        with open("/proc/thread-self/ns/net", "rb") as home:
            with open(f"/run/netns/{self.name(short)}", "rb") as there:
                enter(there)
            try:
                yield
            finally:
                enter(home)

    def socket(self, short, *kind):
        with self.inside(short):
            return socket.socket(*kind)

    def ping(self, short, address, count=3, interval=0.1, wait=1, options=()):
        """How many of `count` pings were answered, and what ping printed."""
        text = self.exec(
            short,
            *("ping", "-n", "-c", str(count), "-i", str(interval), "-W", str(wait)),
            *options,
            address,
            check=False,
        )
        answered = re.search(r"(\d+) received", text)
        return int(answered[1]) if answered else 0, text


def enter(namespace):
    if _libc.setns(namespace.fileno(), CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Wire:
    """A raw socket on an interface: sends frames and keeps those that pass."""

    def __init__(self, net, short, interface):
        with net.inside(short):
            self.socket = socket.socket(
                socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)
            )
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
            self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
            self.socket.bind((interface, ETH_P_ALL))
        self.socket.settimeout(0.05)
        self.frames = []
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.ending.is_set():
            try:
                octets, extra, _, source = self.socket.recvmsg(65536, 64)
            except (TimeoutError, socket.timeout):
                continue
            except OSError:
                return
            frame = (time.monotonic(), source[2] == PACKET_OUTGOING, with_tag(octets, extra))
            self.frames.append(frame)

    def send(self, octets):
        self.socket.send(octets)

    def seen(self, wanted=lambda octets: True, outgoing=None):
        """Frames that passed, of one direction or both."""
        return [
            octets
            for _, out, octets in list(self.frames)
            if (outgoing is None or out == outgoing) and wanted(octets)
        ]

    def wait(self, wanted, timeout=3.0, outgoing=None):
        """The first frame that `wanted` likes, or None."""
        deadline = time.monotonic() + timeout
        while True:
            if found := self.seen(wanted, outgoing):
                return found[0]
            if time.monotonic() > deadline:
                return None
            time.sleep(0.01)

    def clear(self):
        self.frames.clear()

    def save(self, path, wanted=lambda octets: True):
        with frames.Pcap(path) as pcap:
            for octets in self.seen(wanted):
                pcap.write(octets)

    def close(self):
        self.ending.set()
        self.thread.join(2.0)
        self.socket.close()


def sender(net, short, interface):
    """A raw socket on an interface that only sends: of protocol 0, it is handed
    no frame, which for each one sent would take longer than sending it."""
    with net.inside(short):
        own = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        own.bind((interface, 0))
    return own


def with_tag(octets, extra):
    """The kernel takes a VLAN tag off and hands it over beside the frame."""
    for level, kind, data in extra:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA) and len(data) >= 20:
            status, _, _, _, _, tci, _ = struct.unpack("=IIIHHHH", data[:20])
            if status & VLAN_VALID:
                return octets[:12] + struct.pack(">HH", 0x8100, tci) + octets[12:]
    return octets


def eventually(condition, timeout=5.0, pause=0.05):
    """Waits until `condition()` is true; returns what it gave at the end."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result or time.monotonic() > deadline:
            return result
        time.sleep(pause)


RUNTIME = "/run/dpdk"


def files_left(run):
    """Files of DPDK that name a run. The empty directory that the EAL makes
    for each file prefix, and never removes, is none."""
    found = []
    for place in ("/dev/hugepages", RUNTIME):
        for directory, _, names in os.walk(place):
            found += [os.path.join(directory, name) for name in names]
    return [path for path in found if run in path]


def forget_prefix(prefix):
    """Removes that empty directory."""
    try:
        os.rmdir(os.path.join(RUNTIME, prefix))
    except OSError:
        pass
