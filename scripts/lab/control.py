"""A client of the control socket: newline-delimited JSON-RPC 2.0."""

import json
import socket
import time


class ControlError(Exception):
    """An error reply."""

    def __init__(self, error):
        super().__init__(f"{error.get('message')} ({json.dumps(error)})")
        self.error = error


class Control:
    """One connection. Events that arrive between replies are kept in `events`."""

    def __init__(self, path, access="rw", origin="operator", timeout=30.0):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")
        self.sequence = 0
        self.events = []
        self.welcome = self.call(
            "hello", version=1, access=access, origin=origin, client="weft lab"
        )

    def post(self, method, params):
        """Sends a request without waiting; returns its number."""
        self.sequence += 1
        request = {"jsonrpc": "2.0", "id": self.sequence, "method": method, "params": params}
        self.socket.sendall(json.dumps(request, separators=(",", ":")).encode() + b"\n")
        return self.sequence

    def take(self, number):
        """Waits for the reply to a request."""
        while True:
            line = self.file.readline()
            if not line:
                raise ConnectionError("the appliance closed the control socket")
            reply = json.loads(line)
            if reply.get("id") == number:
                if "error" in reply:
                    raise ControlError(reply["error"])
                return reply["result"]
            self.events.append(reply)

    def call(self, method, **params):
        return self.take(self.post(method, params))

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def counters(self):
        """Counters by name, in total, and the appliance's own clock in seconds."""
        report = self.call("stats.get")
        totals = {name: counter["total"] for name, counter in report["counters"].items()}
        return totals, report["uptime_ms"] / 1000


def mapping_lines(vnet, host, addresses, batch=1000, first=2):
    """Ready-made `mapping.set` requests of `batch` mappings each, so that what
    is timed is the appliance and not Python. Addresses are numbers."""
    lines, rows = [], []

    def flush():
        params = f'{{"vnet":"{vnet}","mappings":[{",".join(rows)}]}}'
        number = first + len(lines)
        lines.append(
            f'{{"jsonrpc":"2.0","id":{number},"method":"mapping.set","params":{params}}}\n'.encode()
        )
        rows.clear()

    for number in addresses:
        text = f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        rows.append(f'{{"address":"{text}","host":"{host}"}}')
        if len(rows) == batch:
            flush()
    if rows:
        flush()
    return lines


def load(path, lines, ahead=16):
    """Sends ready-made lines inside one sync, a few ahead of their replies;
    returns the seconds it took. `lines` are those of `mapping_lines`."""
    with Control(path, timeout=120.0) as control:
        start = time.perf_counter()
        control.call("sync.begin", kinds=["mapping"])
        base = control.sequence
        sent = 0
        for done in range(len(lines)):
            while sent < len(lines) and sent - done < ahead:
                control.socket.sendall(lines[sent])
                sent += 1
            reply = json.loads(control.file.readline())
            if "error" in reply:
                raise ControlError(reply["error"])
        control.sequence = base + len(lines) + 8
        control.call("sync.commit")
        return time.perf_counter() - start


if __name__ == "__main__":
    # python3 -m lab.control SOCKET COUNT HOST: loads so many mappings of vnet
    # Z in one sync, in a process of its own; prints the seconds it took.
    import sys

    ready = mapping_lines("Z", sys.argv[3], range(10 << 24 | 1 << 23, (10 << 24 | 1 << 23) + int(sys.argv[2])))
    print("ready", flush=True)
    sys.stdin.readline()
    print(load(sys.argv[1], ready))
