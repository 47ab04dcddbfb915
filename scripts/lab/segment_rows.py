"""Rows of subnets and routers: sixteen vnets of a thousand nodes each, and the
same packets within one subnet and through a router."""

import os
import random

from . import control, frames, plan, weft
from .measured import CORE, ROUTER_MAC, capture_device, read, running

VNETS = 16
NODES = 1000
FRAMES = 1 << 14
SIZE = 60
FIRST_VNI = 0x600000
# One node in each vnet sends, from a port that all of them share.
SENDER = plan.v4("10.0.0.2")
# The others, at S, begin here.
FAR = plan.v4("10.128.1.0")
NEAR_GATEWAY = "10.0.0.1"
# One subnet with everybody, or two with a router between them.
ONE = [("10.0.0.0/8", "10.255.255.254")]
TWO = [("10.0.0.0/16", NEAR_GATEWAY), ("10.128.0.0/16", "10.128.255.254")]


def mac_of(vnet):
    return bytes([2, 0, 0, 0, 0x16, vnet])


def virtual_mac(vnet, address, kind):
    vni = FIRST_VNI + vnet
    fold = vni >> 24 ^ vni >> 16 & 0xFF ^ vni >> 8 & 0xFF ^ vni & 0xFF
    return bytes([kind, fold]) + address.to_bytes(4, "big")


class SegmentRow:
    """One worker, from a capture to nowhere. The two rows differ in the frames'
    destination MACs, and in what stands between the subnets."""

    yardstick = None
    stream = None

    def __init__(self, routed):
        self.routed = routed

    def capture(self, files):
        path = os.path.join(files.directory, f"segments-{'routed' if self.routed else 'one'}.pcap")
        if os.path.exists(path):
            return path
        # The same order in both rows.
        draw = random.Random(VNETS)
        with frames.Pcap(path + ".part") as pcap:
            for _ in range(FRAMES):
                vnet, dst = draw.randrange(VNETS), FAR + draw.randrange(NODES)
                to = virtual_mac(vnet, dst, 0x76)
                if self.routed:
                    to = virtual_mac(vnet, plan.v4(NEAR_GATEWAY), 0x72)
                packet = frames.ipv4_udp(SENDER, dst, bytes(SIZE - 42))
                pcap.write(to + mac_of(vnet) + b"\x08\x00" + packet)
        os.rename(path + ".part", path)
        return path

    def config(self, files):
        own = ["2001:db8:ffff:a::1/64"]
        router = "2001:db8:ffff:a::ff"
        names = [f"V{number}" for number in range(VNETS)]
        return {
            "name": "R",
            "locator": plan.LOCATOR["R"],
            "runtime": {"control_cpu": 0, "workers": [CORE], "idle": "poll"},
            "limits": {"mbufs": FRAMES + (1 << 15) - 1},
            "port": [
                {
                    "name": "up",
                    "device": "net_null0,no-rx=1",
                    "role": "uplink",
                    "addresses": own,
                    "queues": 1,
                },
                {
                    "name": "nodes",
                    "device": capture_device(0, self.capture(files)),
                    "role": "node",
                    "worker": 0,
                },
            ],
            "vnet": [
                {"name": name, "vni": FIRST_VNI + number, "prefixes": ["10.0.0.0/8"]}
                for number, name in enumerate(names)
            ],
            "subnet": [
                {"name": f"{name}-{at}", "vnet": name, "prefix": prefix, "gateway": gateway}
                for name in names
                for at, (prefix, gateway) in enumerate(TWO if self.routed else ONE)
            ],
            "binding": [
                {
                    "name": f"N{number}",
                    "vnet": name,
                    "address": "10.0.0.2",
                    "port": "nodes",
                    "mac": plan.mac_text(mac_of(number)),
                }
                for number, name in enumerate(names)
            ],
            "host": weft.host_tables("S"),
            "route": [{"prefix": "2001:db8::/32", "via": [{"address": router, "port": "up"}]}],
            "neighbor": [{"port": "up", "address": router, "mac": ROUTER_MAC}],
        }

    def run(self, files, settings):
        with running(self.config(files), settings, files, 0) as (appliance, extra):
            lines = []
            for number in range(VNETS):
                lines += control.mapping_lines(
                    f"V{number}", "S", range(FAR, FAR + NODES), first=3 + len(lines)
                )
            extra["load_seconds"] = control.load(appliance.socket, lines)
            with appliance.control(access="ro") as client:
                reading = read(appliance, client, settings.seconds)
            reading.extra = extra
            return reading
