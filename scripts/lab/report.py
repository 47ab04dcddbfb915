"""What the benchmark found: the object of `--json`, and the table for people.

A row of the report comes from its readings, one of each round. Figures that a
row has beside Mpps, cycles and ratio (see `Reading.extra`) are written the same
way under their own names.
"""

import statistics

from . import bars
from .measured import CORE, YARDSTICK

# Rows of other programs: what they lose is theirs.
OTHERS = ("testpmd-", "floor", "ovs-", "tayga-")


def spread(values):
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
    }


def beside(mine, other, hertz):
    """Cycles over those of another row, round by round."""
    if not other or len(other) != len(mine):
        return None
    return [a.cycles(hertz) / b.cycles(hertz) for a, b in zip(mine, other)]


def row_of(name, row, readings, why, hertz):
    """A row of the report; `row` is what measured it."""
    report = {"name": name}
    mine = readings.get(name)
    if why or not mine:
        report["skipped"] = why or "not measured"
        return report
    report["mpps"] = spread([reading.pps / 1e6 for reading in mine])
    report["cycles"] = spread([reading.cycles(hertz) for reading in mine])
    yardstick = row.yardstick or YARDSTICK
    if ratios := beside(mine, readings.get(yardstick), hertz):
        report["ratio"] = spread(ratios)
        report["yardstick"] = yardstick
    report["lost"] = sum(reading.lost for reading in mine)
    report["share"] = spread([reading.share for reading in mine])
    extra = {}
    for reading in mine:
        for key, value in (reading.extra or {}).items():
            if value is not None:
                extra.setdefault(key, []).append(value)
    report.update({key: spread(values) for key, values in extra.items()})
    if wanted := bars.BARS.get(name):
        report["bars"] = [barred(bar, mine, ratios, extra, readings, hertz) for bar in wanted]
    return report


def barred(bar, mine, ratios, extra, readings, hertz):
    """A bar and whether it holds; what could not be compared has no verdict."""
    values = ratios
    if bar.beside:
        values = beside(mine, readings.get(bar.beside), hertz)
    elif bar.key != "ratio":
        values = extra.get(bar.key)
    result = {"text": bar.text(), "limit": bar.limit}
    if values:
        result["median"] = round(statistics.median(values), 3)
        result["noise"] = round(bars.noise(values), 3)
        result["verdict"] = bars.judge(bar, values)
    return result


def report_of(machine, names, table, readings, why):
    """The whole object. `table` has the rows by name, `why` what was skipped."""
    rows = [row_of(name, table[name], readings, why.get(name), machine["tsc_hz"]) for name in names]
    return {"machine": machine, "yardstick": YARDSTICK, "rows": rows}


def faults(report):
    """What is not as it must be: bars that are missed or could not be held
    against anything, and packets that weft lost."""
    found = []
    for row in report["rows"]:
        name = row["name"]
        if "skipped" in row:
            if name in bars.BARS:
                found.append(f"{name}: not measured: {row['skipped'].splitlines()[0]}")
            continue
        for bar in row.get("bars", []):
            if "verdict" not in bar:
                found.append(f"{name}: nothing to hold against {bar['text']}")
            elif bar["verdict"] == bars.MISSED:
                now = f"{bar['median']:.4g} +- {bar['noise']:.2g}"
                found.append(f"{name}: {now}, must be {bar['text']}")
        if row["lost"] and not name.startswith(OTHERS):
            found.append(f"{name}: lost {row['lost']} packets")
    return found


def line(row):
    """A row of the table."""
    name = f"{row['name']:<26}"
    if "skipped" in row:
        return f"{name} skipped: {row['skipped'].splitlines()[0]}"
    cycles, ratio = row["cycles"], row.get("ratio")
    text = f"{cycles['median']:.1f} ({cycles['min']:.1f}, {cycles['max']:.1f})"
    of = f"{ratio['median']:.2f} ({ratio['min']:.2f}, {ratio['max']:.2f})" if ratio else "-"
    held = [f"{bar['text']}: {bar.get('verdict', 'not compared')}" for bar in row.get("bars", [])]
    figures = f"{row['mpps']['median']:8.2f} {text:>22} {of:>22} {row['lost']:>6}"
    return f"{name} {figures}  {'; '.join(held)}".rstrip()


def table(report):
    """The report for people."""
    heads = f"{'cycles (min, max)':>22} {'ratio (min, max)':>22} {'lost':>6}  bar"
    lines = [f"\n{'row':<26} {'Mpps':>8} {heads}"]
    lines += [line(row) for row in report["rows"]]
    for row in report["rows"]:
        for key in ("kept", "yardstick_kept", "updates_per_second", "busy", "refused"):
            if value := row.get(key):
                text = f"{value['median']:.4g} ({value['min']:.4g}, {value['max']:.4g})"
                lines.append(f"  {row['name']}: {key.replace('_', ' ')} {text}")
    machine = report["machine"]
    lines.append(
        f"\n{machine['cpu']}, {machine['cores']} cores, TSC {machine['tsc_hz'] / 1e6:.0f} MHz, DPDK "
        f"{machine['dpdk']}; core {CORE}; {machine['rounds']} rounds of {machine['seconds']} s; "
        f"ratio: cycles beside testpmd 5tswap on the row's own frames, same round"
    )
    shares = [row["share"]["min"] for row in report["rows"] if "share" in row]
    if shares and min(shares) < 0.97:
        taken = f"{1 - min(shares):.0%}"
        lines.append(f"others took up to {taken} of the core: run it again on a quiet machine")
    return "\n".join(lines)
