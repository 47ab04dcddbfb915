"""The root file system of a virtual machine under test: an initial ramdisk of
busybox, the modules of virtio, and whatever programs of this machine are asked
for with the libraries they need. There is no disk and nothing to boot from it;
a machine is up in seconds under plain emulation.

After boot, /init reads commands from the second serial port, one a line, and
answers with their output and their code (`vm.py` has the other end)."""

import os
import random
import re
import shutil
import stat
import subprocess

# Where scripts/setup puts the kernel.
KERNEL = os.path.join(os.environ.get("WEFT_CACHE", "/var/cache/weft"), "kernel")
# In the order in which they need each other.
MODULES = (
    *("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci"),
    *("failover", "net_failover", "virtio_net"),
)
BUSYBOX = "/bin/busybox"
# Programs that busybox has as well, but with less of what tests look at. Its
# shell prefers its own: call these by their path.
PROGRAMS = ("ping", "ethtool")
# What /block has. Senders repeat it, so that hours of emulation are not spent
# on drawing bytes; random, so that no byte looks like its neighbour.
BLOCK = 4 << 20

INIT = """#!/bin/sh
export PATH=/usr/bin:/bin HOME=/ TERM=dumb
mount -t devtmpfs none /dev
mount -t proc none /proc
mount -t sysfs none /sys
mount -t tmpfs none /tmp
mount -t tmpfs none /run
echo 3 >/proc/sys/kernel/printk
for module in $(cat /modules/order); do insmod /modules/$module.ko; done
hostname "$(sed -n 's/.*weft.name=\\([^ ]*\\).*/\\1/p' /proc/cmdline)"
ip link set lo up
exec </dev/ttyS1 >/dev/ttyS1 2>&1
stty raw -echo
echo "(ready)"
# A line is a token and a command; a line with the token alone ends the answer.
while read -r token line; do
    (eval "$line") </dev/null
    code=$?
    printf '\\n(%s %s)\\n' "$token" "$code"
done
"""


class Tree:
    """Files of the ramdisk, by path without the leading slash."""

    def __init__(self):
        self.entries = {}

    def _parents(self, path):
        parent = os.path.dirname(path)
        if parent and parent not in self.entries:
            self._parents(parent)
            self.entries[parent] = (stat.S_IFDIR | 0o755, b"", 0)

    def folder(self, path):
        self._parents(os.path.join(path, "x"))

    def file(self, path, octets, mode=0o644):
        self._parents(path)
        self.entries[path] = (stat.S_IFREG | mode, octets, 0)

    def copy(self, source, path=None):
        """A file of this machine, under its own path unless told another."""
        with open(source, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o755
            self.file((path or source).lstrip("/"), file.read(), mode)

    def link(self, path, target):
        self._parents(path)
        self.entries.setdefault(path, (stat.S_IFLNK | 0o777, target.encode(), 0))

    def device(self, path, major, minor):
        self._parents(path)
        self.entries[path] = (stat.S_IFCHR | 0o600, b"", (major, minor))

    def program(self, name):
        """A program of this machine, its libraries and its interpreter."""
        source = shutil.which(name, path="/usr/bin:/usr/sbin:/bin:/sbin:/lib/systemd")
        if source is None:
            raise FileNotFoundError(f"{name} is not installed: scripts/setup")
        self.copy(source, f"usr/bin/{os.path.basename(name)}")
        told = subprocess.run(["ldd", source], capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"(?:=> |^\s+)(/\S+) \(0x", told, re.M):
            self.copy(library)

    def write(self, path):
        """As the kernel reads it (Documentation/driver-api/early-userspace):
        headers of hexadecimal numbers, everything at multiples of four."""
        with open(path, "wb") as out:
            entries = [*self.entries.items(), ("TRAILER!!!", (0, b"", 0))]
            for number, (name, (mode, octets, device)) in enumerate(entries, 1):
                major, minor = device or (0, 0)
                fields = (number, mode, 0, 0, 1, 0, len(octets), 0, 0, major, minor)
                head = b"070701" + b"".join(b"%08x" % field for field in fields)
                head += b"%08x%08x" % (len(name) + 1, 0) + name.encode() + b"\0"
                out.write(head + bytes(-len(head) % 4))
                out.write(octets + bytes(-len(octets) % 4))


def block():
    """The bytes of /block; the same in every run."""
    return random.Random(0x5A0001).randbytes(BLOCK)


def kernel():
    path = os.path.join(KERNEL, "vmlinuz")
    if not os.path.exists(path):
        raise FileNotFoundError(f"no kernel for virtual machines at {path}: scripts/setup")
    return path


def make(path, programs=(), files=()):
    """Writes a ramdisk with these programs beside the usual ones, and these
    files (path, text, mode). Not compressed: unpacking it under emulation takes
    longer than reading it."""
    kernel()
    tree = Tree()
    for folder in ("dev", "proc", "sys", "tmp", "run", "var/lib/dhcp", "etc"):
        tree.folder(folder)
    tree.device("dev/console", 5, 1)
    tree.file("init", INIT.encode(), 0o755)
    tree.copy(BUSYBOX, "bin/busybox")
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True)
    for applet in applets.stdout.split():
        tree.link(f"bin/{applet}", "busybox")
    there = [name for name in MODULES if os.path.exists(os.path.join(KERNEL, f"{name}.ko"))]
    for name in there:
        tree.copy(os.path.join(KERNEL, f"{name}.ko"), f"modules/{name}.ko")
    tree.file("modules/order", " ".join(there).encode())
    # For programs that ask who they are, or become somebody less.
    tree.file("etc/passwd", b"root:x:0:0::/:/bin/sh\nsystemd-network:x:998:998::/:/bin/false\n")
    tree.file("etc/group", b"root:x:0:\nsystemd-network:x:998:\n")
    tree.file("block", block())
    for name in (*PROGRAMS, *programs):
        tree.program(name)
    for name, text, mode in files:
        tree.file(name, text.encode(), mode)
    tree.write(path)
