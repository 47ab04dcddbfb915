"""What the rows of the benchmark must reach, in one place, and how a row is
held against it.

A bar is about medians of ratios of the same round, never about an absolute
figure. A median that is past its bar by no more than the rounds differ among
themselves proves nothing: it is `near`, and neither held nor missed.
"""

import statistics
from dataclasses import dataclass

HELD, NEAR, MISSED = "held", "near", "missed"


@dataclass(frozen=True)
class Bar:
    """At most (or at least) so much of one of a row's figures. `beside` names
    a row whose cycles in the same round are the measure, where it is not the
    yardstick; `key` a figure beside mpps, cycles and ratio."""

    limit: float
    least: bool = False
    key: str = "ratio"
    beside: str = None

    def text(self):
        sign = ">=" if self.least else "<="
        if self.beside:
            return f"{sign} {self.limit:g} x {self.beside}"
        key = "" if self.key == "ratio" else self.key.replace("_", " ") + " "
        return f"{key}{sign} {self.limit:g}"


def under_updates(kept, rate):
    """So much of the throughput is left while really so many mappings a second
    change."""
    return (
        Bar(kept, least=True, key="kept"),
        Bar(0.98 * rate, least=True, key="updates_per_second"),
    )


# Ratios of TSC cycles a packet to those of testpmd 5tswap on the same frames,
# unless a bar says otherwise.
BARS = {
    "outbound-siit-1k": (Bar(1.8),),
    "outbound-siit-1m": (Bar(2.2),),
    "outbound-siit-8m": (Bar(3.0),),
    "inbound-siit-1k": (Bar(2.0),),
    "inbound-siit-1m": (Bar(2.6),),
    "outbound-transparent-1k": (Bar(1.05, beside="outbound-siit-1k"),),
    "relay-4to6-1k": (Bar(2.2),),
    "relay-6to4-1k": (Bar(2.2),),
    "local-1k": (Bar(1.8),),
    "routed-16x1k": (Bar(1.25, beside="subnet-16x1k"),),
    "vhost-pair": (Bar(1.5),),
    # Together over one by one, and how far that is below testpmd's own.
    "workers-2v1": (Bar(0.96, least=True, key="kept"), Bar(0.03, key="kept_less")),
    "updates-100k": under_updates(0.98, 100_000),
    "updates-1m": under_updates(0.95, 1_000_000),
}


def noise(values):
    """How far the rounds are from their median, by the median of that: one
    round that was disturbed does not excuse the others."""
    middle = statistics.median(values)
    return statistics.median(abs(value - middle) for value in values)


def judge(bar, values):
    """The word for the rounds of a row."""
    middle = statistics.median(values)
    past = bar.limit - middle if bar.least else middle - bar.limit
    if past <= 0:
        return HELD
    return NEAR if past <= noise(values) else MISSED
