"""A virtual machine behind a vhost-user port: QEMU by plain emulation (`tcg`:
it runs wherever the tests run), Debian's kernel, a ramdisk (`initrd.py`).

Commands go over the machine's second serial port, so that nothing of the
harness shares the wire under test."""

import json
import os
import re
import signal
import socket
import time

from . import initrd
from .proc import Process, ProcessError

QEMU = "qemu-system-x86_64"
# Of memory, in MiB. The kernel and the ramdisk take some 120.
MEMORY = 224
# A machine that shares two cores with everything else boots in 5 to 20 s.
BOOT = 90.0


class VmError(Exception):
    """A command in a machine failed, or the machine did not answer."""


class Vm:
    """One machine. `path` is the socket of vhost-user; with `listens` QEMU
    makes it and weft connects (`client=1`), otherwise the other way round.
    `incoming` is where a machine that migrates comes from."""

    def __init__(self, directory, name, mac, path, image, queues=1, listens=False, incoming=None):
        self.name, self.mac, self.path, self.image = name, mac, path, image
        self.queues, self.listens, self.incoming = queues, listens, incoming
        base = os.path.join(directory, f"vm-{name}")
        self.log, self.serial, self.qmp_path = f"{base}.log", f"{base}.cmd", f"{base}.qmp"
        self.process = self.line = None
        self.heard = b""
        self.asked = 0

    def command(self):
        peer = "server=on,wait=off" if self.listens else "reconnect=1"
        mq = "on" if self.queues > 1 else "off"
        # Without MSI-X: QEMU 7.2 has no table of vectors for vhost unless KVM
        # has one for it, and ends itself when a driver asks for vectors.
        card = f"virtio-net-pci,netdev=n0,mac={self.mac},romfile=,mq={mq},vectors=0"
        return [
            *(QEMU, "-name", f"weft-{self.name}", "-nodefaults", "-no-user-config"),
            *("-display", "none", "-machine", "q35,accel=tcg,memory-backend=m0"),
            *("-cpu", "max", "-smp", str(self.queues), "-m", str(MEMORY)),
            # vhost-user reads and writes the guest's memory itself.
            *("-object", f"memory-backend-memfd,id=m0,size={MEMORY}M,share=on"),
            *("-kernel", initrd.kernel(), "-initrd", self.image, "-append"),
            # An emulated timer may come late; the kernel would take it for broken.
            f"console=ttyS0 quiet panic=-1 no_timer_check mitigations=off weft.name={self.name}",
            *("-serial", f"file:{self.log}"),
            *("-serial", f"unix:{self.serial},server=on,wait=off"),
            *("-qmp", f"unix:{self.qmp_path},server=on,wait=off"),
            *("-chardev", f"socket,id=c0,path={self.path},{peer}"),
            *("-netdev", f"vhost-user,id=n0,chardev=c0,queues={self.queues}"),
            *("-device", card),
            *(("-incoming", self.incoming) if self.incoming else ()),
        ]

    def start(self):
        """Starts it; `ready` waits until it has booted, which one that migrates
        has long since. What it says while nobody is connected would be lost."""
        for path in (self.serial, self.qmp_path, *([self.path] if self.listens else [])):
            if os.path.exists(path):
                os.unlink(path)
        self.process = Process(self.command())
        self.line = self._connect(time.monotonic() + 10.0)
        return self

    def ready(self, timeout=BOOT):
        """Waits for the command loop of a machine that boots."""
        self._until(rb"\(ready\)\n", timeout)
        return self

    def _connect(self, deadline):
        while True:
            line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                line.connect(self.serial)
                return line
            except OSError:
                line.close()
            if not self.process.running():
                raise VmError(f"{self.name}: QEMU ended\n{self.process.tail()}")
            if time.monotonic() > deadline:
                raise VmError(f"{self.name}: QEMU does not open its serial port")
            time.sleep(0.05)

    def _until(self, wanted, timeout):
        """Reads the line up to what matches; returns the match and the bytes
        before it."""
        deadline = time.monotonic() + timeout
        while not (found := re.search(wanted, self.heard)):
            self.line.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                octets = self.line.recv(65536)
            except (TimeoutError, socket.timeout):
                octets = None
            if not octets:
                why = "ended" if octets == b"" else f"said no {wanted!r} in {timeout:.0f} s"
                raise VmError(f"{self.name} {why}; it said {self.heard[-500:]!r}\n{self.story()}")
            self.heard += octets
        before, self.heard = self.heard[: found.start()], self.heard[found.end() :]
        return found, before

    def post(self, command):
        """Gives it a command without waiting; `take` has the answer."""
        self.asked += 1
        self.line.settimeout(5.0)
        self.line.sendall(f"t{self.asked} {command}\n".encode())
        return self.asked

    def take(self, number, timeout=30.0, check=True):
        """What the command printed."""
        found, before = self._until(rb"\n\(t%d (\d+)\)\n" % number, timeout)
        text = before.decode(errors="replace")
        if check and found[1] != b"0":
            raise VmError(f"{self.name}: exit code {found[1].decode()}: {text}")
        return text

    def run(self, command, timeout=30.0, check=True):
        return self.take(self.post(command), timeout, check)

    def address(self, address, via=None):
        """Gives its card an address, statically."""
        self.run("ip link set eth0 up")
        self.run(f"ip addr flush dev eth0; ip addr add {address} dev eth0")
        if via:
            self.run(f"ip route add default via {via}")

    def ping(self, address, count=5, options=""):
        """How many pings were answered, and what ping printed."""
        text = self.run(
            f"/usr/bin/ping -n -c {count} -i 0.2 -W 2 {options} {address}", count * 2 + 20, check=False
        )
        found = re.search(r"(\d+) received", text)
        return int(found[1]) if found else 0, text

    def features(self):
        """Numbers of the virtio features that driver and device agreed upon."""
        bits = self.run("cat /sys/class/net/eth0/device/features").strip()
        return {number for number, bit in enumerate(bits) if bit == "1"}

    def reboot(self, timeout=BOOT):
        """From inside, as an operator of the machine would."""
        self.post("reboot -f")
        self.ready(timeout)

    def qmp(self, *commands, timeout=10.0):
        """Has QEMU itself do something; the answer to the last of `commands`,
        each a name or a name with arguments."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(timeout)
            line.connect(self.qmp_path)
            file = line.makefile("rw", encoding="utf-8")
            file.readline()
            for command in ("qmp_capabilities", *commands):
                name, arguments = command if isinstance(command, tuple) else (command, {})
                file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
                file.flush()
                while "event" in (reply := json.loads(file.readline())):
                    pass
                if "error" in reply:
                    raise VmError(f"{self.name}: {name}: {reply['error']}")
            return reply["return"]

    def migrate(self, other, timeout=60.0):
        """Moves the machine to `other`, whose QEMU waits for it (`incoming`),
        while it runs. Returns what QEMU says of it."""
        self.qmp(
            ("migrate-set-parameters", {"max-bandwidth": 1 << 30, "downtime-limit": 500}),
            ("migrate", {"uri": other.incoming}),
        )
        deadline = time.monotonic() + timeout
        while (told := self.qmp("query-migrate"))["status"] != "completed":
            if told["status"] in ("failed", "cancelled") or time.monotonic() > deadline:
                raise VmError(f"{self.name} does not migrate: {told}\n{other.story()}")
            time.sleep(0.02)
        # Commands go on with their answers there.
        self.line.settimeout(0.1)
        try:
            while octets := self.line.recv(65536):
                self.heard += octets
        except (TimeoutError, socket.timeout):
            pass
        other.heard, other.asked = self.heard + other.heard, self.asked
        return told

    def story(self):
        """The last words of its kernel and of QEMU."""
        try:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                console = "".join(file.readlines()[-15:])
        except OSError:
            console = ""
        return f"console of {self.name}:\n{console}\nQEMU:\n{self.process.tail(8)}"

    def stop(self, how=signal.SIGTERM):
        """Ends QEMU, as pulling the plug would. It may be started again."""
        if self.line:
            self.line.close()
            self.line, self.heard = None, b""
        if self.process:
            process, self.process = self.process, None
            try:
                process.stop(how)
            except ProcessError:
                pass
