"""An appliance under test: its configuration as Python data, its process, its
socket. Whatever of the command line the tests rely on is named here once."""

import json
import os
import signal
import subprocess
import time

from . import control, plan
from .proc import Process, ProcessError

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def binary():
    """The program: $WEFT, else the newest of the profiles that are built."""
    if given := os.environ.get("WEFT"):
        return os.path.abspath(given)
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    built = [os.path.join(target, profile, "weft") for profile in ("release", "e2e")]
    built = [path for path in built if os.path.exists(path)]
    if not built:
        raise FileNotFoundError(f"no weft in {target}: cargo build --release")
    return max(built, key=os.path.getmtime)


def toml_value(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        inner = ", ".join(f"{key} = {toml_value(item)}" for key, item in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    return json.dumps(value)


def to_toml(config):
    """A configuration as text: keys first, then tables, then arrays of tables."""
    lines, tables = [], []
    for key, value in config.items():
        if isinstance(value, dict):
            tables.append((f"[{key}]", value))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            tables.extend((f"[[{key}]]", item) for item in value)
        else:
            lines.append(f"{key} = {toml_value(value)}")
    for head, table in tables:
        lines += ["", head]
        lines += [f"{key} = {toml_value(value)}" for key, value in table.items() if value is not None]
    return "\n".join(lines) + "\n"


class Weft:
    """One appliance. `config` is what its file says; socket and file prefix
    are filled in, so that several runs do not meet."""

    def __init__(self, directory, config, namespace=None, prefix="weft", env=None):
        self.name = config["name"]
        self.socket = os.path.join(directory, f"{self.name}.sock")
        self.file = os.path.join(directory, f"{self.name}.toml")
        self.namespace = namespace
        config.setdefault("runtime", {}).setdefault("file_prefix", f"{prefix}-{self.name}")
        config.setdefault("control", {}).setdefault("socket", self.socket)
        self.config = config
        self.process = None
        self.env = env
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(to_toml(config))

    def command(self, *arguments):
        inside = ["ip", "netns", "exec", self.namespace] if self.namespace else []
        return [*inside, binary(), *arguments]

    def start(self, timeout=20.0):
        """Starts it and waits until its socket answers; returns the seconds."""
        begin = time.monotonic()
        self.process = Process(self.command("run", "-c", self.file), env=self.env)
        deadline = begin + timeout
        while True:
            if not self.process.running():
                raise ProcessError(f"appliance {self.name} ended:\n{self.process.tail()}")
            try:
                self.control().close()
                return time.monotonic() - begin
            except (FileNotFoundError, ConnectionError, TimeoutError):
                if time.monotonic() > deadline:
                    raise ProcessError(
                        f"appliance {self.name} does not answer:\n{self.process.tail()}"
                    ) from None
                time.sleep(0.02)

    def control(self, **options):
        return control.Control(self.socket, **options)

    def counters(self):
        with self.control(access="ro") as client:
            return client.counters()[0]

    def cli(self, *arguments, check=True, timeout=30):
        """Runs a client command on this appliance's socket."""
        command = [binary(), *arguments, "-s", self.socket]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=False
        )
        if check and done.returncode:
            raise ProcessError(f"{' '.join(command)}: {done.stderr or done.stdout}")
        return done

    def json(self, *arguments):
        return json.loads(self.cli(*arguments, "--json").stdout)

    def jsons(self, *arguments):
        """The same for a command that prints an object a line."""
        return [json.loads(line) for line in self.cli(*arguments, "--json").stdout.splitlines()]

    def kill(self):
        """As a crash would: no chance to clean up."""
        self.process.stop(signal.SIGKILL)

    def stop(self, timeout=10.0):
        """SIGTERM; returns its exit code."""
        if self.process is None:
            return None
        return self.process.stop(signal.SIGTERM, timeout)


def balance(counters):
    """Both sides of: packets that came in or were made = packets that went
    out, were dropped, went to control, or wait."""
    into = counters["rx"] + counters["generated"] + counters["from_control"]
    drops = sum(value for name, value in counters.items() if name.startswith("drop_"))
    return into, counters["tx"] + drops + counters["punted"] + counters["held"]


def host_tables(*hosts):
    return [{"name": host, "locator": plan.LOCATOR[host]} for host in hosts]


def vnet_tables(*vnets, **settings):
    return [{"name": vnet, "vni": plan.VNI[vnet], **settings} for vnet in vnets]
