"""Packets of every kind for a translator, drawn at random from a seed: what an
IPv4 and an IPv6 network may put before it, and what they never should."""

from dataclasses import dataclass

from . import cases4, cases6, packets, relay
from .drawn import EAMS, KINDS, MTU, Draw

__all__ = ["Case", "EAMS", "MTU", "PLAN", "cases4", "cases6", "generate"]


@dataclass(frozen=True)
class Marked:
    """Addresses by side, source and destination, that are translated for
    certain and that no case uses."""

    marker: dict


PLAN = Marked(
    {
        4: (packets.packed("198.51.100.200"), packets.packed("203.0.113.200")),
        6: (packets.packed("2001:db8:beef::c8"), packets.embed(relay.POOL6, "198.51.100.200")),
    }
)


@dataclass(frozen=True)
class Case:
    """A packet, the side it comes from, and what kind it is of."""

    side: int
    kind: str
    packet: bytes


def generate(count, seed, only=None):
    """`count` cases, those of the IPv4 side first."""
    draw = Draw(seed)
    for side in (4, 6):
        kinds = [k for k in KINDS[side] if not only or only in k[0]]
        if not kinds:
            continue
        weights = [weight for _, weight, _ in kinds]
        for _ in range(count // 2):
            name, _, make = draw.choices(kinds, weights)[0]
            packet = make(draw)
            assert 0 < len(packet) <= MTU, name
            yield Case(side, name, packet)
