"""tayga, a translator in user space over a kernel's tun device: the peer that
the relay is compared with, and what stands in for it where a test of the test
is wanted."""

import os
import shutil
import subprocess

from .net import eventually
from .proc import Process

PROGRAM = "tayga"
TUN = "nat64"


def program():
    """Where it is, or None."""
    return shutil.which(PROGRAM, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


def version():
    """The version of Debian's package: the program does not tell its own."""
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout or "of unknown version"


def conf(own4, own6, pool6, eams, directory):
    """Its configuration; `eams` are pairs of prefixes."""
    lines = [
        f"tun-device {TUN}",
        f"ipv4-addr {own4}",
        f"ipv6-addr {own6}",
        f"data-dir {directory}",
    ]
    if pool6:
        lines.append(f"prefix {pool6}")
    lines += [f"map {ipv4} {ipv6}" for ipv4, ipv6 in eams]
    return "\n".join(lines) + "\n"


class Tayga:
    """One tayga in a namespace, with its tun device up."""

    def __init__(self, net, short, directory, own4, own6, pool6, eams, mtu=1500, cpu=None, queue=4096):
        self.net, self.short, self.mtu, self.cpu, self.queue = net, short, mtu, cpu, queue
        self.file = os.path.join(directory, "tayga.conf")
        self.process = None
        with open(self.file, "w", encoding="ascii") as file:
            file.write(conf(own4, own6, pool6, eams, directory))

    def start(self):
        base = ["ip", "netns", "exec", self.net.name(self.short)]
        pinned = ["taskset", "-c", str(self.cpu)] if self.cpu is not None else []
        # The device is made first: tayga takes its MTU at the start.
        self.net.exec(self.short, program(), "--mktun", "-c", self.file)
        settings = "mtu", str(self.mtu), "txqueuelen", str(self.queue)
        self.net.ip(self.short, "link", "set", TUN, *settings)
        self.net.ip(self.short, "link", "set", TUN, "up")
        self.process = Process([*base, *pinned, program(), "-d", "-c", self.file])
        carrier = f"/sys/class/net/{TUN}/carrier"
        if not eventually(lambda: self.net.exec(self.short, "cat", carrier).strip() == "1"):
            self.process.fail("did not take its device")
        return self

    def stop(self):
        if self.process:
            self.process.stop()
