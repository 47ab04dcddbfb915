"""Open vSwitch with the userspace datapath on DPDK, the peer that encapsulates:
a private one, with a database, sockets and a network namespace of its own, so
that whatever else of Open vSwitch is on the machine is not touched. All of it
ends with its two processes and the namespace.

One bridge has the capture and the tunnel port, the other the sink and the
address of the tunnel's near end: the shape that a hypervisor has.
"""

import os
import re
import shutil
import subprocess
import time

from . import net, plan, proc

DAEMON = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
DATABASE = "ovsdb-server"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
MEBIBYTES = 512
LOCAL = "2001:db8:ffff:a::1"
# Lines of `dpctl/show -s`.
PORT = re.compile(r"^ +port \d+: (\S+) ")
SENT = re.compile(r"^ +TX packets:(\d+) errors:(\d+) dropped:(\d+)")


def missing():
    """Why it cannot run here; empty if it can."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    if not os.path.exists(DAEMON) or shutil.which(DATABASE, path=path) is None:
        return "no Open vSwitch with DPDK; run scripts/setup --bench"
    if os.geteuid() != 0:
        return "namespaces need root"
    return ""


def remote(number):
    """The far end of a tunnel: an address of host S for each destination."""
    return plan.LOCATOR["S"].split("::", 1)[0] + f"::{number + 1:x}"


class Ovs:
    """One switch that puts the frames of a capture into VXLAN over IPv6, each
    destination to a far end of its own, and sends them to a sink."""

    def __init__(self, directory, run, capture, router, cpu):
        """`router` is the address and the hardware address of the next hop."""
        self.directory = os.path.join(directory, "ovs")
        self.capture, self.router, self.cpu = capture, router, cpu
        self.prefix = run
        self.space = net.Net(run)
        self.database = self.switch = None
        names = "OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"
        self.env = os.environ | {name: self.directory for name in names}
        self.env["PATH"] += ":/usr/sbin:/sbin"

    def call(self, *command, text=None):
        """Runs one of its tools; what it prints."""
        done = subprocess.run(
            command, input=text, env=self.env, capture_output=True, text=True, check=False, timeout=30
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command[:3])}: {done.stderr.strip()}")
        return done.stdout

    def vsctl(self, *arguments):
        return self.call("ovs-vsctl", f"--db=unix:{self.directory}/db.sock", *arguments)

    def appctl(self, *arguments):
        return self.call("ovs-appctl", "-t", f"{self.directory}/switch.ctl", *arguments)

    def flows(self, bridge, lines):
        bridge = f"unix:{self.directory}/{bridge}.mgmt"
        self.call("ovs-ofctl", "replace-flows", bridge, "-", text="\n".join(lines) + "\n")

    def start(self, numbers):
        """Everything up, with a flow for each of the destinations' numbers,
        before the first frame comes in."""
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)
        self.space.add("o")
        self._processes()
        bridge = "datapath_type=netdev", "fail_mode=secure"
        self.vsctl(
            *("add-br", "under", "--", "set", "bridge", "under", *bridge),
            *("--", "add-port", "under", "out", "--", "set", "interface", "out"),
            *("type=dpdk", "options:dpdk-devargs=net_null0", "ofport_request=1"),
            *("--", "add-br", "over", "--", "set", "bridge", "over", *bridge),
            *("--", "add-port", "over", "tunnel", "--", "set", "interface", "tunnel"),
            *("type=vxlan", "options:remote_ip=flow", "options:key=flow", "ofport_request=2"),
        )
        self._near_end()
        self.flows("under", ["in_port=LOCAL,actions=output:1"])
        self.flows("over", [self._flow(number, remote(n)) for n, number in enumerate(numbers)])
        self.vsctl(
            *("add-port", "over", "in", "--", "set", "interface", "in", "type=dpdk"),
            "options:dpdk-devargs=net_pcap0",
        )
        return self

    def _processes(self):
        where, huge = self.directory, proc.free_hugepages() * 2 >= MEBIBYTES
        self.call("ovsdb-tool", "create", f"{where}/conf.db", SCHEMA)
        quiet = ["-vconsole:err", "-vsyslog:off"]
        self.database = proc.Process(
            [DATABASE, f"{where}/conf.db", f"--remote=punix:{where}/db.sock"]
            + [f"--unixctl={where}/db.ctl", *quiet],
            env=self.env,
        )
        self._appears(self.database, "db.sock")
        devices = f"net_pcap0,rx_pcap={self.capture},infinite_rx=1", "net_null0,no-rx=1"
        memory = "--in-memory" if huge else "--no-huge --no-shconf"
        extra = f"--no-pci --no-telemetry --file-prefix={self.prefix} {memory}"
        settings = {
            "dpdk-init": "true",
            "dpdk-alloc-mem": MEBIBYTES,
            "dpdk-lcore-mask": "0x1",
            "pmd-cpu-mask": hex(1 << self.cpu),
            "dpdk-extra": extra + "".join(f" --vdev={device}" for device in devices),
        }
        pairs = [f'other_config:{key}="{value}"' for key, value in settings.items()]
        self.vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".", *pairs)
        inside = ["ip", "netns", "exec", self.space.name("o")]
        self.switch = proc.Process(
            [*inside, DAEMON, f"unix:{where}/db.sock", f"--unixctl={where}/switch.ctl"]
            + ["--no-chdir", *quiet],
            env=self.env,
        )
        self._appears(self.switch, "switch.ctl")

    def _appears(self, process, name):
        path = os.path.join(self.directory, name)
        if not net.eventually(lambda: os.path.exists(path) or not process.running(), 20.0):
            process.fail(f"did not make {name}")
        if not process.running():
            process.fail("ended")

    def _near_end(self):
        """Address, route and next hop of the tunnels: the switch reads the
        first two off its namespace."""
        address, mac = self.router
        self.space.ip("o", "link", "set", "under", "up")
        self.space.address("o", "under", f"{LOCAL}/64")
        self.space.ip("o", "route", "add", "2001:db8::/32", "via", address)
        self.appctl("tnl/neigh/set", "under", address, mac)
        routed = lambda: f"GW {address}" in self.appctl("ovs/route/show")  # noqa: E731
        if not net.eventually(routed):
            raise RuntimeError("Open vSwitch did not take the route of its tunnels")

    @staticmethod
    def _flow(number, far):
        address = ".".join(str(octet) for octet in number.to_bytes(4, "big"))
        key = plan.VNI["Z"]
        return (
            f"ip,nw_dst={address},actions=set_field:{far}->tun_ipv6_dst,"
            f"set_field:{key:#x}->tun_id,output:2"
        )

    def far_ends(self):
        """The destinations that frames really are encapsulated to."""
        text = self.appctl("dpctl/dump-flows", "-m")
        return set(re.findall(r"tnl_push\([^\n]*?ipv6\(src=[^,]+,dst=([0-9a-f:]+)", text))

    def counts(self):
        """Packets sent by the sink's port, those that any port dropped, and when."""
        before = time.perf_counter()
        text = self.appctl("dpctl/show", "-s")
        when = (before + time.perf_counter()) / 2
        port, sent, dropped = "", 0, 0
        for line in text.splitlines():
            if head := PORT.match(line):
                port = head[1]
            elif counts := SENT.match(line):
                sent += int(counts[1]) if port == "out" else 0
                dropped += int(counts[2]) + int(counts[3])
        return sent, dropped, when

    def own_cycles(self):
        """What it says itself a packet took since the last question, and the
        part of the time that it was idle."""
        text = self.appctl("dpif-netdev/pmd-stats-show")
        self.appctl("dpif-netdev/pmd-stats-clear")
        cycles = re.search(r"avg cycles per packet: ([\d.]+)", text)
        idle = re.search(r"idle cycles: \d+ \(([\d.]+)%\)", text)
        return (float(cycles[1]) if cycles else None, float(idle[1]) / 100 if idle else 0.0)

    def stop(self):
        for process in (self.switch, self.database):
            if process:
                process.stop()
        self.space.close()
        net.forget_prefix(self.prefix)
        shutil.rmtree(self.directory, ignore_errors=True)


def version():
    """`3.1.0`, of Debian's package."""
    done = subprocess.run([DAEMON, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\(Open vSwitch\) ([\d.]+)", done.stdout)
    return found[1] if found else ""
