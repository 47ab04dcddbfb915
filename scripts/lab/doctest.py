"""Runs the commands that the documents show.

A fenced block of kind `console` shows commands after `$ ` or `# ` (root) and
below each what it prints, of which nothing is compared but that the command
succeeds. What stands after `console` says what is done with it:

    ```console runnable          run it in the repository, `weft` on the PATH
    ```console shown: REASON     not run; the reason is for the reader of the file

A block without either is a fault: somebody has to say whether it is tested.
Lines of one block share a shell. A line that ends in \\ goes on.
"""

import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FENCE = re.compile(r"^(?P<indent> *)```(?P<info>.*)$")
DIRECTORIES = (".", "docs")


def documents():
    for directory in DIRECTORIES:
        for name in sorted(os.listdir(os.path.join(ROOT, directory))):
            if name.endswith(".md"):
                yield os.path.normpath(os.path.join(directory, name))


def blocks(path):
    """Line number, info string and lines of every fenced block."""
    info, start, lines = None, 0, []
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            fence = FENCE.match(line)
            if info is None and fence:
                info, start, lines = fence["info"].strip(), number, []
            elif info is not None and fence and not fence["info"].strip():
                yield start, info, lines
                info = None
            elif info is not None:
                lines.append(line.rstrip("\n"))
    if info is not None:
        raise SystemExit(f"{path}:{start}: a block that does not end")


def commands(lines):
    """The commands of a block, their continuations joined."""
    going = False
    for line in lines:
        text = line.strip()
        if going:
            command = text
        elif text.startswith(("$ ", "# ")):
            command = text[2:]
        else:
            continue
        going = command.endswith("\\")
        yield command


def run(script):
    """Runs a block in one shell; the weft under test comes first on the PATH."""
    env = dict(os.environ)
    if weft := env.get("WEFT"):
        env["PATH"] = os.path.dirname(os.path.abspath(weft)) + os.pathsep + env["PATH"]
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )


def main():
    passed = failed = 0
    for path in documents():
        for line, info, lines in blocks(path):
            kind, _, rest = info.partition(" ")
            if kind != "console" or rest.startswith("shown:"):
                continue
            where = f"{path}:{line}"
            if rest != "runnable":
                failed += 1
                print(f"FAILED  {where}: say `console runnable` or `console shown: REASON`")
                continue
            begin = time.monotonic()
            done = run("\n".join(commands(lines)))
            took = f"({time.monotonic() - begin:.1f} s)"
            if done.returncode:
                failed += 1
                print(f"FAILED  {where} {took}: exit code {done.returncode}\n{done.stdout}")
            else:
                passed += 1
                print(f"ok      {where} {took}")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
