"""The test plan of addresses, and how a substrate address is put together."""

import ipaddress

LOCATOR = {
    "R": "2001:db8:0:a:100::/72",
    "S": "2001:db8:0:b:200::/72",
    "T": "2001:db8:0:c:500::/72",
}
VNI = {"Z": 0x5A0001, "Y": 0x590001}
NODE = {"A": "10.0.0.2", "C": "10.0.0.5", "G": "10.0.0.3", "Y": "10.0.0.2"}

# Where the benchmark's destinations begin: 8 M addresses follow.
BENCH_BASE = int(ipaddress.IPv4Address("10.128.0.0"))


def v4(address):
    """An IPv4 address as a number."""
    return int(ipaddress.IPv4Address(address))


def substrate(host, vnet, address):
    """Layout p72: locator 72 | vni 24 | IPv4 32, as sixteen bytes."""
    locator = int(ipaddress.IPv6Network(LOCATOR[host]).network_address)
    number = address if isinstance(address, int) else v4(address)
    return (locator | VNI[vnet] << 32 | number).to_bytes(16, "big")


def split(address):
    """The host's name (or its locator), the vni and the IPv4 address of a
    substrate address in layout p72."""
    number = int(ipaddress.IPv6Address(address))
    locator = ipaddress.IPv6Network((number >> 56 << 56, 72))
    names = [name for name, prefix in LOCATOR.items() if prefix == str(locator)]
    vaddr = ipaddress.IPv4Address(number & 0xFFFFFFFF)
    return names[0] if names else str(locator), number >> 32 & 0xFFFFFF, str(vaddr)


def virtual_mac(vnet, address, kind=0x76):
    """The MAC by which nodes of `vnet` know `address`: kind | fold of the vni
    | IPv4. `kind` is 0x76 for a node, 0x72 for an emulated router."""
    number = address if isinstance(address, int) else v4(address)
    vni = VNI[vnet]
    fold = vni >> 24 ^ vni >> 16 & 0xFF ^ vni >> 8 & 0xFF ^ vni & 0xFF
    return bytes([kind, fold]) + number.to_bytes(4, "big")


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def mac_text(octets):
    return ":".join(f"{octet:02x}" for octet in octets)
