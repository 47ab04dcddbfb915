"""Load on the control socket at a given rate."""

import random
import threading
import time

from . import control
from .plan import BENCH_BASE as BASE


class Updates:
    """While entered, changes mappings at `rate` per second: addresses drawn
    at random, all of them to host T and then back to host S. Paced by the clock; what
    was reached is in `rate` afterwards."""

    def __init__(self, path, rate, entries, batch=1000):
        self.wanted = rate
        self.rate = 0.0
        self.batch = batch
        self.client = control.Control(path, timeout=60.0)
        spread = random.Random(entries).sample(range(BASE, BASE + entries), min(entries, 100_000))
        self.lines = []
        for host in ("T", "S"):
            self.lines += control.mapping_lines("Z", host, spread, batch, first=2)
        self.ending = threading.Event()
        self.error = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        start = time.perf_counter()
        sent = taken = 0
        try:
            while not self.ending.is_set():
                due = (time.perf_counter() - start) * self.wanted / self.batch
                while sent < due and sent - taken < 64:
                    self.client.socket.sendall(self.lines[sent % len(self.lines)])
                    sent += 1
                if taken < sent:
                    if b'"error"' in (reply := self.client.file.readline()):
                        raise RuntimeError(reply.decode())
                    taken += 1
                else:
                    time.sleep(0.0005)
            self.rate = taken * self.batch / (time.perf_counter() - start)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.ending.set()
        self.thread.join(60.0)
        self.client.close()
        if self.error and kind is None:
            raise self.error
