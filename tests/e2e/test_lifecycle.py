"""Start, stop, crash, restart."""

import os
import signal
import subprocess
import threading
import time
import unittest

from lab import net
from world import Plan, World


class Lifecycle(unittest.TestCase):
    """A world for each test, since it does not survive most of them."""

    how = Plan()
    quick = False

    def setUp(self):
        self.world = World(self.how)
        self.addCleanup(self.world.close)
        self.world.start()
        self.world.warm()
        self.r = self.world.hosts["R"]

    def traffic(self):
        """Pings from A to G until told to end."""
        ending = threading.Event()

        def run():
            while not ending.is_set():
                self.world.net.ping("a", "10.0.0.3", 20, interval=0.01)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def end():
            ending.set()
            thread.join(30)

        self.addCleanup(end)
        return end

    def test_kill_and_restart_under_traffic(self):
        for turn in range(3):
            end = self.traffic()
            time.sleep(0.3)
            self.r.kill()
            self.assertEqual(net.files_left(self.world.run), [], "after kill -9")
            begin = time.monotonic()
            self.r.start()
            socket_after = time.monotonic() - begin
            self.assertTrue(
                net.eventually(lambda: self.world.net.ping("c", "10.0.0.3", 1)[0], 10.0, 0.01)
            )
            took = time.monotonic() - begin
            end()
            print(
                f"        restart {turn + 1}: socket after {socket_after:.2f} s, "
                f"forwarding after {took:.2f} s"
            )
            self.assertLess(took, 5.0)
            self.assertEqual(self.world.imbalance(), {})

    def test_sigterm_leaves_nothing(self):
        end = self.traffic()
        time.sleep(0.3)
        begin = time.monotonic()
        code = self.r.stop()
        took = time.monotonic() - begin
        end()
        self.assertEqual(code, 0, self.r.process.tail())
        self.assertLess(took, 3.0)
        self.assertFalse(os.path.exists(self.r.socket), "the socket is still there")
        self.assertEqual(net.files_left(self.world.run), [])

    def test_second_instance_is_refused(self):
        done = subprocess.run(
            self.r.command("run", "-c", self.r.file),
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(self.r.socket, done.stderr + done.stdout)
        # The first one does not mind.
        self.assertEqual(self.world.net.ping("a", "10.0.0.3", 5)[0], 5)

    def test_stale_socket_is_no_obstacle(self):
        self.r.kill()
        self.assertTrue(os.path.exists(self.r.socket))
        self.r.start()
        self.world.warm()

    def test_sighup_applies_the_file(self):
        with open(self.r.file, encoding="utf-8") as file:
            text = file.read()
        with open(self.r.file, "w", encoding="utf-8") as file:
            file.write(text + '\n[[mapping]]\nvnet = "Z"\naddress = "10.0.0.77"\nhost = "S"\n')
        self.r.process.child.send_signal(signal.SIGHUP)

        def known():
            return "10.0.0.77" in self.r.cli("mapping", "list").stdout

        self.assertTrue(net.eventually(known, 5.0))
        self.assertEqual(self.world.net.ping("a", "10.0.0.3", 5)[0], 5)


class WithoutHugepages(Lifecycle):
    """Ordinary pages leave other things behind, or nothing."""

    how = Plan(huge="no")


if __name__ == "__main__":
    unittest.main()
