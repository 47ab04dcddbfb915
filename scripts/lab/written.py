"""Cases of tests/rfc7915 as they are written: packets in hex with comments,
and bytes that may be anything. What the words mean is in its README."""

import os
import tomllib
from dataclasses import dataclass, field

from .packets import checksum, sum16


@dataclass
class Packet:
    """A packet, or what is known of one."""

    side: int
    octets: bytearray = field(default_factory=bytearray)
    mask: bytearray = field(default_factory=bytearray)
    # Where a checksum of an IPv4 header stands that is whatever is right.
    sums: list = field(default_factory=list)

    def add(self, line):
        words = line.split("#")[0].split()
        if words[0] == "pattern":
            start, end = words[1].split("..")
            self.known(bytes(n % 251 for n in range(int(start), int(end))))
        elif words[0] == "zero":
            self.known(bytes(int(words[1])))
        else:
            for word in words:
                self._byte(word)

    def known(self, octets):
        self.octets += octets
        self.mask += b"\xff" * len(octets)

    def _byte(self, word):
        at = len(self.octets)
        second = bool(self.sums) and self.sums[-1] + 1 == at
        if word == "cc" and (second or (at >= 10 and self.mask[at - 6 : at - 4] == b"\0\0")):
            if not second:
                self.sums.append(at)
            value, mask = 0, 0
        else:
            value = int(word.replace("x", "0"), 16)
            mask = int("".join("0" if digit == "x" else "f" for digit in word), 16)
        self.octets.append(value)
        self.mask.append(mask)

    def matches(self, octets):
        return (
            len(octets) == len(self.octets)
            and all(a & m == b & m for a, b, m in zip(octets, self.octets, self.mask))
            and all(header_is_right(octets[at - 10 :]) for at in self.sums)
        )

    def free_id(self, octets):
        """The identification if it may be any."""
        free = self.side == 4 and self.mask[4:6] == b"\0\0"
        return octets[4:6] if free else None

    def text(self):
        return " ".join(
            f"{octet:02x}" if mask == 0xFF else "xx" for octet, mask in zip(self.octets, self.mask)
        )


def header_is_right(octets):
    size = (octets[0] & 15) * 4
    return checksum(sum16(bytes(octets[:size]))) == 0


@dataclass
class Exchange:
    """A packet and all that comes of it, in order."""

    sent: Packet
    outputs: list = field(default_factory=list)
    drop: str = None
    reply: Packet = None


@dataclass
class Case:
    """One file."""

    name: str
    set: list = field(default_factory=list)
    unset: list = field(default_factory=list)
    exchanges: list = field(default_factory=list)

    def settings(self, table):
        """Changes `table`, a parsed relay.toml, to what the case wants."""
        changes = tomllib.loads("\n".join(self.set))
        if "eam" in changes:
            table["eam"] = changes.pop("eam")
        merge(table["relay"], changes)
        for key in self.unset:
            del table["relay"][key]
        return table


def merge(into, changes):
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


SIDES = {"ipv4": 4, "ipv6": 6}


def parse(name, text):
    case = Case(name)
    place = None
    for line in text.splitlines():
        line = line.rstrip()
        if not line or line.startswith("#"):
            continue
        if line.startswith(" "):
            place.add(line)
            continue
        key, _, value = line.partition(": ")
        if key in ("set", "unset"):
            getattr(case, key).append(value)
            continue
        if key == "covers":
            continue
        word, what = line.split(" ")
        if word == "drop":
            case.exchanges[-1].drop = what
            continue
        place = Packet(SIDES[what])
        if word == "in":
            case.exchanges.append(Exchange(place))
        elif word == "out":
            case.exchanges[-1].outputs.append(place)
        else:
            case.exchanges[-1].reply = place
    return case


def load(folder):
    """All cases of a folder, by name."""
    cases = []
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            cases.append(parse(name.removesuffix(".txt"), file.read()))
    return cases
