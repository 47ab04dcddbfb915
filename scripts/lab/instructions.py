"""Counts the instructions that a packet costs, and holds them against a file.

Cycles differ from minute to minute; instructions do not. The example
`instructions`, which is the benchmark `walk`, runs some cases under callgrind,
twice each, shorter and longer: the difference is what bursts cost, without
making tables and warming up. A case may differ from its figure in
tests/instructions.toml by 3 % either way; one that got better is to be written
down too, or it could get worse again unseen.

Figures are those of one compiler. With another one, or on a processor without
AVX2, what is held against the file is the ratio to `floor`, a loop in the same
benchmark without a line of weft; it may differ by 15 %.

`unwatched/CASE` is `round/CASE` after somebody watched packets and went away: it
must be the same but for chance, within 2 %. The mapping table's hash has a seed
of its own in each run, so more or fewer keys collide: 1 % of a figure or so.
Both walk without a tracer, so what watching costs when off is nothing; a round
that is watched takes twenty times as many instructions.

python3 scripts/lab/instructions.py          compares
python3 scripts/lab/instructions.py --bless  writes the figures down
python3 scripts/lab/instructions.py --profile release   prints those of another profile
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILE = os.path.join(ROOT, "tests", "instructions.toml")
# What end-to-end tests run, so that it is built anyway.
PROFILE = "e2e"
BURST = 32
BURSTS = (256, 1280)
# Runs of each of them, of which the least counts.
RUNS = 4
WITHIN = 0.03
WITHIN_ELSEWHERE = 0.15
WITHIN_UNWATCHED = 0.02
# Functions at whose beginning and end counting goes on or off.
ROUND = ("*Rounds*round*", "*Source*next*")
COUNTED = {
    "floor": ("*least_work*",),
    "walk": ("*walk_plain*",),
    "round": ROUND,
    "unwatched": ROUND,
}
WIDE = {"avx2", "bmi1", "bmi2", "fma", "abm", "movbe"}


def compiler():
    return subprocess.check_output(["rustc", "--version"], text=True).strip()


def is_wide():
    """Whether the hot path's wider instructions run here."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        flags = next((line for line in file if line.startswith("flags")), "")
    return WIDE <= set(flags.split())


def build(profile):
    command = ["cargo", "build", "--locked", "--profile", profile, "--example", "instructions"]
    command.append("--message-format=json-render-diagnostics")
    # Built in increments it is other code.
    env = {**os.environ, "CARGO_INCREMENTAL": "0"}
    built = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, env=env
    )
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "instructions":
            return message["executable"]
    raise RuntimeError("cargo names no example `instructions`")


def run(program, asked, *under):
    done = subprocess.run(
        [*under, program],
        env={**os.environ, "WEFT_WALK_ROUNDS": asked},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join([*under, program])} of {asked} failed:\n{done.stderr}")
    return done


def counted(program, case, bursts):
    """Instructions of so many bursts, and of what is around them."""
    toggles = [f"--toggle-collect={name}" for name in COUNTED[case.split("/", maxsplit=1)[0]]]
    callgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *toggles]
    told = run(program, f"{case}:{bursts}", *callgrind).stderr
    found = re.search(r"Collected : (\d+)", told)
    count = int(found[1]) if found else 0
    if not count:
        sys.exit(f"nothing was counted of {case}; is {' or '.join(toggles)} still right?\n{told}")
    return count


def least(program, case, bursts):
    """The least of some runs: each has another seed of the table's hash, and in
    a few of a hundred the one address that all packets have in common is not
    where it is looked for first."""
    return min(counted(program, case, bursts) for _ in range(RUNS))


def measure(program):
    """Instructions a packet, by case; a run on each core, since one does not see
    what others do."""
    fewer, more = BURSTS
    cases = run(program, "cases").stdout.split()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = {
            (case, bursts): pool.submit(least, program, case, bursts)
            for case in cases
            for bursts in BURSTS
        }
        between = {
            case: counts[case, more].result() - counts[case, fewer].result() for case in cases
        }
    return {case: count / (more - fewer) / BURST for case, count in between.items()}


def bless(figures):
    lines = [
        "# Instructions a packet, as callgrind counts them in the benchmark `walk`;",
        "# written by `python3 scripts/lab/instructions.py --bless`, which says what they are.",
        f'compiler = "{compiler()}"',
        f'profile = "{PROFILE}"',
        f"wide = {str(is_wide()).lower()}",
        "",
        "[instructions]",
    ]
    lines += [f'"{case}" = {figure:.1f}' for case, figure in figures.items()]
    with open(FILE, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def same_machine(written):
    return written["compiler"] == compiler() and written["wide"] == is_wide()


def faults(figures, written):
    """What differs from the file, a line each."""
    known = written["instructions"]
    found = [f"{case} is not in the file" for case in figures.keys() - known.keys()]
    found += [f"{case} is in the file and not in the benchmark" for case in known.keys() - figures]
    same = same_machine(written)
    within = WITHIN if same else WITHIN_ELSEWHERE
    for case in figures.keys() & known.keys():
        now, was = figures[case], known[case]
        if not same:
            now, was = now / figures["floor"], was / known["floor"]
        if abs(now / was - 1) > within:
            unit = "instructions a packet" if same else "times `floor`"
            change = f"{100 * (now / was - 1):+.1f} %, more than {100 * within:.0f} %"
            found.append(f"{case}: {now:.2f} {unit}, {was:.2f} in the file: {change}")
    for case in (case for case in figures if case.startswith("unwatched/")):
        now, never = figures[case], figures[case.replace("unwatched", "round", 1)]
        if abs(now / never - 1) > WITHIN_UNWATCHED:
            found.append(f"{case}: {now:.2f} instructions a packet, {never:.2f} if never watched")
    return sorted(found)


def main():
    parser = argparse.ArgumentParser(description="Counts the instructions that a packet costs.")
    parser.add_argument("--bless", action="store_true", help="write the figures down")
    parser.add_argument("--profile", default=PROFILE, help="print the figures of this profile")
    options = parser.parse_args()
    figures = measure(build(options.profile))
    for case, figure in figures.items():
        print(f"{case:32} {figure:8.1f} instructions a packet")
    if options.profile != PROFILE:
        return 0
    if options.bless:
        bless(figures)
    with open(FILE, "rb") as file:
        written = tomllib.load(file)
    if not same_machine(written):
        print(f"the file is of {written['compiler']}, wide = {written['wide']}: ratios are compared")
    wrong = faults(figures, written)
    for fault in wrong:
        print(f"FAIL {fault}")
    if wrong:
        print("if this is meant to be: python3 scripts/lab/instructions.py --bless, and say why")
    print(f"{max(len(figures) - len(wrong), 0)} passed, {len(wrong)} failed, 0 skipped")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
