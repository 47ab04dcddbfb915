"""Checks the documents: README.md, docs/ and whatever else is Markdown here.

Every fenced block says what it is, and blocks that can be wrong say in a
comment on the line above what is done with them:

    <!-- check: run -->          console: its commands are run in the repository
    <!-- check: run NAME -->     the same, but all blocks of this name in a document
                                 share a shell; the last one takes things down and
                                 runs even if one before it failed
    <!-- check: live -->         console: run beside host R of the two-host world of
                                 the end-to-end tests, where A pings G all the time
    <!-- check: parse WHY -->    console: not run, and why; its syntax is checked,
                                 and that weft knows its commands and options
    <!-- check: config -->       toml: `weft check` finds nothing wrong with it; what
                                 a part leaves out is added
    <!-- check: file PATH -->    is that file of the repository, to the letter

A `console` block shows commands after `$ ` or `# ` (root), and below each what
it prints, of which nothing is compared but that the command succeeds. A line
that ends in \\ goes on. Kinds of blocks without commands are in INERT; any
other block without a comment is a fault: somebody has to say whether it is
tested.

Links to files and headings must lead somewhere, tests that are named as
`path::name` must exist, and so must commands and options of weft in a line.
"""

import functools
import itertools
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FENCE = re.compile(r"^ *```(?P<info>.*)$")
CHECK = re.compile(r"^ *<!-- check: (?P<what>\w+) ?(?P<rest>.*?) *-->$")
LINK = re.compile(r"\[[^\]\n]*\]\((?P<target>[^)\s]+)\)")
TEST = re.compile(r"`(?P<path>[\w./-]+\.(?:rs|py))::(?P<name>\w+)`")
INLINE = re.compile(r"`weft (?P<words>[^`]+)`")
HEADING = re.compile(r"^#+ +(?P<text>.+)$")
# Shown for people. Examples in JSON are checked by tests/control.
INERT = ("text", "mermaid", "ini", "json request", "json request error", "json answer", "json event")
NO_SOCKET = "/nonexistent/weft.sock"
# What a part of a configuration needs around it to be one.
FRAME = 'name = "R"\nlocator = "2001:db8:0:a:100::/72"\n'
UPLINK = '[[port]]\nname = "frame-up"\ndevice = "net_null9"\nrole = "uplink"\n'


@dataclass
class Block:
    """A fenced block: where, of what kind, and what is to be done with it."""

    path: str
    line: int
    kind: str
    lines: list
    what: str = ""
    rest: str = ""

    def __str__(self):
        return f"{self.path}:{self.line}"


class Fault(Exception):
    """What is wrong, in words."""


def documents():
    """Markdown files that are part of the repository."""
    for directory, folders, files in os.walk(ROOT):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "target")
        for name in sorted(files):
            if name.endswith(".md"):
                yield os.path.relpath(os.path.join(directory, name), ROOT)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def blocks(path):
    """The fenced blocks of a document."""
    open_block, said = None, None
    for number, line in enumerate(read(path).splitlines(), 1):
        fence = FENCE.match(line)
        if open_block is None and fence:
            open_block = Block(path, number, fence["info"].strip(), [])
            if said:
                open_block.what, open_block.rest = said["what"], said["rest"]
        elif open_block is not None and fence and not fence["info"].strip():
            yield open_block
            open_block = None
        elif open_block is not None:
            open_block.lines.append(line)
        said = CHECK.match(line)
    if open_block is not None:
        raise SystemExit(f"{open_block}: a block that does not end")


def commands(lines):
    """The commands of a block; continuations joined."""
    going = []
    for line in lines:
        text = line.strip()
        if not going and not text.startswith(("$ ", "# ")):
            continue
        going.append(text if going else text[2:])
        if not text.endswith("\\"):
            yield "\n".join(going)
            going = []


def environment():
    """The weft under test comes first on the PATH."""
    env = dict(os.environ)
    if weft := env.get("WEFT"):
        env["WEFT"] = os.path.abspath(weft)
        env["PATH"] = os.path.dirname(env["WEFT"]) + os.pathsep + env["PATH"]
    return env


def shell(script, env=None, cwd=ROOT, timeout=300):
    """Runs it; what it started in the background ends with it."""
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=cwd,
        env=env or environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        text, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        text = f"took more than {timeout} s"
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
    if process.returncode:
        raise Fault(f"exit code {process.returncode}\n{text}")


# What can be done with a block


def run(block, _):
    shell("\n".join(commands(block.lines)))


def session(several):
    """Blocks in one shell. The last one is what takes down."""
    # The shell's own errors must not end it before the last block has run.
    *doing, last = ["\n".join(commands(block.lines)) for block in several]
    steps = "\n".join(doing)
    with tempfile.TemporaryDirectory(prefix="weft-doc.") as directory:
        for name in ("configs", "scripts"):
            os.symlink(os.path.join(ROOT, name), os.path.join(directory, name))
        shell(f"trap {shlex.quote('set +e' + chr(10) + last)} EXIT\n{steps}\n", cwd=directory)


def live(block, world):
    host, running = world.get()
    env = environment() | {"WEFT_SOCKET": host.socket}
    shell("\n".join(commands(block.lines)), env, cwd=running.directory, timeout=60)


def parse(block, _):
    if not block.rest:
        raise Fault("`check: parse` without a reason")
    found = list(commands(block.lines))
    if not found:
        raise Fault("a console block without a command")
    for command in found:
        syntax = subprocess.run(
            ["bash", "-n", "-c", command], capture_output=True, text=True, check=False
        )
        if syntax.returncode:
            raise Fault(f"{command}: {syntax.stderr.strip()}")
        for arguments in calls(command):
            known(arguments)


def calls(command):
    """Arguments of each call of weft in a command line."""
    lexer = shlex.shlex(command.replace("\\\n", " "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = []
    for word in [*lexer, ";"]:
        if set(word) <= set("();<>|&"):
            if "weft" in words and words[0] in ("weft", "sudo", "ip", "nice", "taskset"):
                yield words[words.index("weft") + 1 :]
            words = []
        else:
            words.append(word)


def known(arguments):
    """That weft understands a call. Nothing is done: there is no appliance at
    that socket, and `run` only shows its help."""
    clean, skip = [], False
    for word in arguments:
        if skip or word in ("-s", "--socket"):
            skip = not skip
            continue
        clean.append(word)
    if clean[:1] == ["run"]:
        clean.append("--help")
    env = environment() | {"WEFT_SOCKET": NO_SOCKET}
    done = subprocess.run(
        ["weft", *clean], env=env, capture_output=True, text=True, timeout=20, check=False,
        stdin=subprocess.DEVNULL, cwd=tempfile.gettempdir(),
    )
    if done.returncode == 2:
        raise Fault(f"weft {' '.join(clean)}: {done.stderr.strip()}")


def config(block, _):
    text = "\n".join(block.lines) + "\n"
    if not re.search(r"^name = ", text.split("[", 1)[0], re.M):
        text = FRAME + text
    if 'role = "uplink"' not in text:
        text += UPLINK
    with tempfile.TemporaryDirectory(prefix="weft-doc.") as directory:
        path = os.path.join(directory, "block.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        done = subprocess.run(
            ["weft", "check", path], env=environment(), capture_output=True, text=True,
            timeout=20, check=False,
        )
    if done.returncode:
        raise Fault(done.stdout + done.stderr)


def same(block, _):
    if read(block.rest).splitlines() != block.lines:
        raise Fault(f"differs from {block.rest}")


ACTIONS = {"run": run, "live": live, "parse": parse, "config": config, "file": same}
FOR = {"console": ("run", "live", "parse"), "toml": ("config", "file")}


class LiveWorld:
    """Two hosts, and A that pings G; made when first asked for."""

    def __init__(self):
        self.world = None

    def get(self):
        if self.world is None:
            for folder in ("scripts", os.path.join("tests", "e2e")):
                sys.path.insert(0, os.path.join(ROOT, folder))
            from world import World  # pylint: disable=import-error,import-outside-toplevel

            self.world = World().start()
            self.world.warm()
            self.ping = subprocess.Popen(
                ["ip", "netns", "exec", self.world.net.name("a"), "ping", "-i", "0.1", "10.0.0.3"],
                stdout=subprocess.DEVNULL,
            )
        return self.world.hosts["R"], self.world

    def close(self):
        if self.world is not None:
            self.ping.kill()
            self.ping.wait()
            self.world.close()


# What a document says besides


def links(path):
    """Faults of links and of names of tests."""
    fenced = False
    for number, line in enumerate(read(path).splitlines(), 1):
        if FENCE.match(line):
            fenced = not fenced
        if fenced:
            continue
        for found in LINK.finditer(line):
            if wrong := dead(path, found["target"]):
                yield f"{path}:{number}: {wrong}"
        for found in TEST.finditer(line):
            if wrong := no_test(found["path"], found["name"]):
                yield f"{path}:{number}: {wrong}"
        for found in INLINE.finditer(line):
            if wrong := no_command(found["words"].split()):
                yield f"{path}:{number}: {wrong}"


@functools.cache
def help_of(words):
    done = subprocess.run(
        ["weft", *words, "--help"], env=environment(), capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode == 0 else None


def no_command(words):
    """Of a command in a line only its name and its long options are known;
    what stands for a value is in capitals."""
    name = tuple(itertools.takewhile(lambda word: re.fullmatch("[a-z]+", word), words))
    text = help_of(name)
    if text is None and "Commands:" not in (help_of(name[:-1]) or "Commands:"):
        # The last word is an argument, as a topic of `events` is.
        text = help_of(name[:-1])
    if text is None or (not name and words[0].isidentifier()):
        return f"weft has no command `{' '.join(words)}`"
    for word in words:
        if word.startswith("--") and word not in text:
            return f"`weft {' '.join(name)}` has no option {word}"
    return None


def dead(path, target):
    if "://" in target:
        return None
    file, _, heading = target.partition("#")
    full = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
    if not os.path.exists(os.path.join(ROOT, full)):
        return f"{target}: there is no {full}"
    if heading and heading not in anchors(full):
        return f"{target}: {full} has no such heading"
    return None


def anchors(path):
    fenced, found = False, set()
    for line in read(path).splitlines():
        if FENCE.match(line):
            fenced = not fenced
        heading = HEADING.match(line)
        if heading and not fenced:
            text = heading["text"].lower().replace("`", "")
            found.add(re.sub(r"[^\w\- ]", "", text).replace(" ", "-"))
    return found


def no_test(path, name):
    if not os.path.exists(os.path.join(ROOT, path)):
        return f"there is no {path}"
    if not re.search(rf"\b(fn|def|class|mod) {name}\b", read(path)):
        return f"{path} has no test {name}"
    return None


class Report:
    """Counts, and a line for each check."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, where, action):
        begin = time.monotonic()
        try:
            action()
            self.passed += 1
            print(f"ok      {where} ({time.monotonic() - begin:.1f} s)", flush=True)
        except Fault as fault:
            self.failed += 1
            print(f"FAILED  {where}: {fault}", flush=True)


def faults_of(found):
    """Raises if there are any."""
    if found:
        raise Fault("\n        ".join(found))


def plan(path):
    """What is to be done for the blocks of a document: (name, action) each."""
    sessions = {}
    for block in blocks(path):
        if block.kind in INERT and not block.what:
            continue
        allowed = FOR.get(block.kind, ("file",))
        if block.what not in allowed:
            text = f"`{block.kind}` needs a comment above it: check: {' or '.join(allowed)}"
            yield str(block), lambda _, text=text: faults_of([text])
        elif block.what == "run" and block.rest:
            sessions.setdefault(block.rest, []).append(block)
        else:
            action = ACTIONS[block.what]
            name = f"{block} {block.what}"
            yield name, lambda world, block=block, action=action: action(block, world)
    for name, several in sessions.items():
        yield f"{several[0]} run {name}", lambda _, several=several: session(several)


def main():
    only = sys.argv[1:]
    report, world = Report(), LiveWorld()
    # A signal must pass through what takes worlds down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        for path in documents():
            if only and path not in only:
                continue
            report.check(f"{path} links", lambda path=path: faults_of(list(links(path))))
            for name, action in plan(path):
                report.check(name, lambda action=action: action(world))
    finally:
        world.close()
    print(f"{report.passed} passed, {report.failed} failed, 0 skipped")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
