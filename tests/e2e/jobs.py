"""Classes of tests side by side, each in a process with worlds of its own.

Nearly all that these tests do is wait: by themselves they would leave more than
half of two cores idle. One that takes a quarter of a minute says `early = True`
and is begun before the others, so that none is left to run when the others have
ended. A class that measures how long something takes, or that needs both cores,
says `alone = True` and runs then."""

import subprocess
import sys
import threading

# Ends a class in the output of a process; the numbers follow.
ENDED = "== ended"


def name_of(kind):
    return f"{kind.__module__}.{kind.__qualname__}"


class Jobs:
    """Processes that are given the names of classes until none is left."""

    def __init__(self, program, count, patterns):
        self.command = [sys.executable, program, "--serve", *patterns]
        self.count = count
        self.lock = threading.Lock()
        self.processes = []
        self.results = {}
        self.stopped = False

    def run(self, names):
        """Passed, failed and skipped of each of them."""
        waiting = list(reversed(names))
        threads = [
            threading.Thread(target=self._feed, args=(waiting,)) for _ in range(self.count)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # Nobody was left to run these.
        self.results.update((name, [0, 1, 0]) for name in waiting)
        return self.results

    def stop(self):
        """They take down their worlds and end; only then are they left alone."""
        with self.lock:
            self.stopped = True
            processes = list(self.processes)
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()

    def _next(self, waiting):
        with self.lock:
            return waiting.pop() if waiting and not self.stopped else None

    def _feed(self, waiting):
        with self.lock:
            if self.stopped:
                return
            process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            self.processes.append(process)
        while (name := self._next(waiting)) is not None:
            try:
                print(name, file=process.stdin, flush=True)
            except BrokenPipeError:
                pass  # It says below that it has ended.
            if not self._relay(process, name):
                return
        process.stdin.close()
        process.wait()

    def _relay(self, process, name):
        """Prints what the class says; whether its process goes on."""
        for line in process.stdout:
            if line.startswith(ENDED):
                numbers = [int(word) for word in line.removeprefix(ENDED).split()]
                with self.lock:
                    self.results[name] = numbers
                return True
            sys.stdout.write(line)
            sys.stdout.flush()
        with self.lock:
            if self.stopped:
                return False
            self.results[name] = [0, 1, 0]
        print(f"FAILED  {name}: its process ended", flush=True)
        return False
