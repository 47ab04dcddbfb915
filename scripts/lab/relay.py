"""The relay of tests and benchmarks: its addresses, and its configuration."""

import ipaddress

from . import packets

POOL6 = "2001:db8:64::/96"
# Of the relay itself, and of the routers beside it.
OWN = {4: "192.0.2.1", 6: "2001:db8:6::1"}
VIA = {4: "192.0.2.2", 6: "2001:db8:6::2"}
LENGTH = {4: 28, 6: 64}
ROLE = {4: "relay4", 6: "relay6"}


def config(devices, name="relay", relay=None, sides=None, eams=(), runtime=None, ports=None):
    """A configuration as `lab.weft` writes it. `devices` by side; `relay`,
    `sides` and `ports` add to what is said of the relay, of a side and of its
    port."""
    sides, ports = sides or {}, ports or {}
    own = {
        f"ipv{side}": {
            "port": f"v{side}",
            "address": f"{OWN[side]}/{LENGTH[side]}",
            "via": VIA[side],
            **sides.get(side, {}),
        }
        for side in (4, 6)
    }
    return {
        "name": name,
        "runtime": {"control_cpu": 0, "workers": [1], "idle": "backoff", **(runtime or {})},
        "port": [
            {"name": f"v{side}", "device": devices[side], "role": ROLE[side], **ports.get(side, {})}
            for side in (4, 6)
        ],
        "relay": {"pool6": POOL6, **(relay or {}), **own},
        "eam": [{"ipv4": ipv4, "ipv6": ipv6} for ipv4, ipv6 in eams],
    }


def embedded(address):
    """The IPv6 address of an IPv4 host without explicit mapping."""
    return packets.embed(POOL6, address)


def in_pool(address):
    """The same as text."""
    return str(ipaddress.IPv6Address(embedded(address)))


# Of the benchmark: an IPv4 host, and where its IPv6 hosts are, each of which
# has an explicit mapping.
BENCH_PEER = "198.51.100.2"
BENCH_HOSTS = ipaddress.IPv6Address("2001:db8:beef::").packed[:12]


def bench_host(number):
    """The IPv6 address of the IPv4 address with that number."""
    return BENCH_HOSTS + number.to_bytes(4, "big")


def bench_eams(first, count):
    """Explicit mappings one by one, as text."""
    for number in range(first, first + count):
        yield (
            str(ipaddress.IPv4Address(number)) + "/32",
            str(ipaddress.IPv6Address(bench_host(number))) + "/128",
        )
