"""Start, stop, crash, restart."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from lab import net, plan, weft
from world import Plan, World


class Access(unittest.TestCase):
    """Who may do what on the socket of a running appliance."""

    GROUP, OTHER = 60001, 60002

    def test_a_group_that_may_only_look(self):
        with tempfile.TemporaryDirectory(prefix="weft-") as directory:
            os.chmod(directory, 0o755)
            host = weft.Weft(directory, self.config("ro"))
            self.addCleanup(host.stop)
            host.start()
            found = os.stat(host.socket)
            self.assertEqual((found.st_mode & 0o777, found.st_gid), (0o660, self.GROUP))
            self.assertEqual(self.asks(host, self.GROUP, "vnet.list")[0], "result")
            what, answer = self.asks(host, self.GROUP, "vnet.remove", "rw", name="Z")
            self.assertEqual((what, answer["data"]["field"]), ("error", "access"))
            what, answer = self.asks(host, self.GROUP, "vnet.remove", name="Z")
            self.assertEqual((what, answer["code"]), ("error", -32003))
            self.assertEqual(self.asks(host, self.OTHER, "vnet.list")[0], "PermissionError")
            self.assertEqual(host.control().call("vnet.remove", name="Z")["applied"], 1)

    def config(self, access):
        return {
            "name": "R",
            "locator": "2001:db8:0:a:100::/72",
            "runtime": {"workers": [0], "idle": "backoff", "huge": "no"},
            "control": {"group": str(self.GROUP), "group_access": access},
            "port": [{"name": "up", "device": "net_null0,no-rx=1", "role": "uplink"}],
            "vnet": [{"name": "Z", "vni": 0x5A0001}],
        }

    def asks(self, host, group, method, access="ro", **params):
        """One request of a user who is in one group; what came of it."""
        script = (
            "import json, sys; sys.path.insert(0, sys.argv[1])\n"
            "from lab import control\n"
            "try: print(json.dumps(['result', control.Control(sys.argv[2], access=sys.argv[3])"
            ".call(sys.argv[4], **json.loads(sys.argv[5]))]))\n"
            "except control.ControlError as e: print(json.dumps(['error', e.error]))\n"
            "except OSError as e: print(json.dumps([type(e).__name__, str(e)]))\n"
        )
        scripts = os.path.dirname(os.path.dirname(os.path.abspath(weft.__file__)))
        arguments = [scripts, host.socket, access, method, json.dumps(params)]
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            user=65534,
            group=group,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)


class Single(unittest.TestCase):
    """A world for each test, since it does not survive most of them."""

    how = Plan()
    make = World
    quick = False

    def setUp(self):
        self.world = self.make(self.how)
        self.addCleanup(self.world.close)
        self.world.start()
        self.world.warm()
        self.net = self.world.net
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

    def rewrite(self, change):
        """The configuration file with its text changed."""
        with open(self.r.file, encoding="utf-8") as file:
            text = file.read()
        with open(self.r.file, "w", encoding="utf-8") as file:
            file.write(change(text))

    def refused(self, *arguments, env=None):
        """What an instance says that must not start."""
        done = subprocess.run(
            self.r.command("run", *arguments),
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            env=env,
        )
        self.assertNotIn(done.returncode, (0, -signal.SIGSEGV, -signal.SIGABRT))
        return done.stderr + done.stdout


class Crash(Single):
    """Killed or stopped under traffic: it is back at once, and leaves nothing."""

    def test_kill_and_restart_under_traffic(self):
        for turn in range(3):
            end = self.traffic()
            time.sleep(0.3)
            self.r.kill()
            self.assertEqual(net.files_left(self.world.run), [], "after kill -9")
            begin = time.monotonic()
            self.r.start()
            socket_after = time.monotonic() - begin
            self.assertTrue(self.world.answers("c", 10.0))
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
        self.assertFalse(os.path.exists(self.r.socket + ".lock"), "the lock is still there")
        self.assertEqual(net.files_left(self.r.config["runtime"]["file_prefix"]), [])


class CrashWithoutHugepages(Crash):
    """Ordinary pages leave other things behind, or nothing."""

    how = Plan(huge="no")


class CrashWithFiles(Single):
    """With `in_memory = false` hugepages are files, which stay. They are no
    obstacle to the next start, and a lock among them keeps others out."""

    how = Plan(runtime={"in_memory": False})

    def setUp(self):
        super().setUp()
        self.addCleanup(self.forget)

    def forget(self):
        self.world.close()
        for path in net.files_left(self.world.run):
            os.unlink(path)

    def test_files_of_a_killed_one(self):
        self.r.kill()
        before = net.files_left(self.r.config["runtime"]["file_prefix"])
        self.assertTrue(before)
        self.r.start()
        self.world.warm()
        after = net.files_left(self.r.config["runtime"]["file_prefix"])
        self.assertLess(len(after), 2 * len(before), "it takes more with each start")

    def test_second_instance_with_the_same_prefix(self):
        other = os.path.join(self.world.directory, "other.sock")
        path = os.path.join(self.world.directory, "second.toml")
        with open(path, "w", encoding="utf-8") as file:
            config = dict(self.r.config, control={"socket": other})
            file.write(weft.to_toml(config))
        said = self.refused("-c", path)
        self.assertIn(self.r.config["runtime"]["file_prefix"], said)
        self.assertFalse(os.path.exists(other))
        self.assertEqual(self.net.ping("a", "10.0.0.3", 5)[0], 5)


class Instances(Single):
    """Who else may run, and who tells systemd."""

    def test_second_instance_is_refused(self):
        said = self.refused("-c", self.r.file)
        self.assertIn(self.r.socket, said)
        self.assertIn("another appliance", said)
        # The first one does not mind.
        self.assertEqual(self.net.ping("a", "10.0.0.3", 5)[0], 5)
        self.r.control().close()
        # A stale socket is no obstacle.
        self.r.kill()
        self.assertTrue(os.path.exists(self.r.socket))
        self.r.start()
        self.world.warm()

    def test_systemd_is_told(self):
        self.r.stop()
        path = os.path.join(self.world.directory, "notify.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(path)
            listener.settimeout(5)
            self.r.env = dict(os.environ, NOTIFY_SOCKET=path)
            self.r.start()
            self.assertIn(b"READY=1", listener.recv(4096))
            self.r.process.child.send_signal(signal.SIGHUP)
            said = listener.recv(4096) + b"\n" + listener.recv(4096)
            self.assertIn(b"RELOADING=1", said)
            self.assertIn(b"MONOTONIC_USEC=", said)
            self.assertIn(b"READY=1", said)
            self.r.stop()
            listener.settimeout(0.2)
            said = []
            while True:
                try:
                    said.append(listener.recv(4096))
                except TimeoutError:
                    break
            self.assertTrue(any(b"STOPPING=1" in line for line in said), said)


class Reload(Single):
    """SIGHUP."""

    def hup(self, pattern):
        start = len(self.r.process.lines)
        self.r.process.child.send_signal(signal.SIGHUP)
        self.r.process.expect(pattern, 5.0, start)
        return "\n".join(line for line in self.r.process.lines[start:] if line)

    def test_sighup(self):
        mapping = '\n[[mapping]]\nvnet = "Z"\naddress = "10.0.0.77"\nhost = "S"\n'
        end = self.traffic()
        with self.subTest("applies what can change"):
            self.rewrite(lambda text: text + mapping)
            self.hup("reloaded: 1 applied")
            self.assertIn("10.0.0.77", self.r.cli("mapping", "list").stdout)
        with self.subTest("sweeps what is gone"):
            self.rewrite(lambda text: text.replace(mapping, ""))
            self.hup("reloaded: .* 1 removed")
            self.assertNotIn("10.0.0.77", self.r.cli("mapping", "list").stdout)
        with self.subTest("names what cannot"):
            self.rewrite(lambda text: text.replace("mtu = 1500", "mtu = 1400"))
            said = self.hup("reloaded: ")
            for key in ("mtu", r"port\[0\].mtu"):
                self.assertRegex(
                    said, rf"R.toml:\d+:1: `{key}` has changed \(1500 -> 1400\).* next start"
                )
            self.rewrite(lambda text: text.replace("mtu = 1400", "mtu = 1500"))
        with self.subTest("refuses nonsense as a whole"):
            before = self.r.cli("mapping", "list").stdout
            self.rewrite(lambda text: text + mapping + "\nnonsense = 1\n")
            said = self.hup("not reloaded")
            self.assertIn("nonsense", said)
            self.assertEqual(self.r.cli("mapping", "list").stdout, before)
        end()
        self.assertEqual(self.net.ping("a", "10.0.0.3", 5)[0], 5)


class JournalWorld(World):
    """Operator's changes of host R are kept on a disk of 2 MiB."""

    def start(self):
        self.disk = os.path.join(self.directory, "disk")
        os.mkdir(self.disk)
        net.sh("mount", "-t", "tmpfs", "-o", "size=2m", "weft", self.disk)
        return super().start()

    def config(self, host):
        config = super().config(host)
        if host == "R":
            config["state"] = {"journal": os.path.join(self.disk, "journal")}
        return config

    def close(self):
        super().close()
        net.sh("umount", "-l", self.disk, check=False)
        shutil.rmtree(self.directory, ignore_errors=True)


class Journal(Single):
    """What was acknowledged survives; what cannot be kept is refused."""

    make = JournalWorld

    def addresses(self):
        listed = self.r.cli("mapping", "list", "--json").stdout
        return {json.loads(line)["object"]["address"] for line in listed.splitlines()}

    def test_changes_survive_a_kill(self):
        self.r.cli("mapping", "add", "10.0.0.55", "--vnet", "Z", "--host", "S")
        self.r.cli("mapping", "add", "10.0.0.56", "--vnet", "Z", "--host", "S")
        self.r.cli("mapping", "remove", "10.0.0.56", "--vnet", "Z")
        self.r.kill()
        # As if it had been killed within a write.
        with open(self.r.config["state"]["journal"], "ab") as file:
            file.write(b'00000100 12345678 {"time":17900')
        self.r.start()
        found = self.addresses()
        self.assertTrue(any("10.0.0.55" in address for address in found), found)
        self.assertFalse(any("10.0.0.56" in address for address in found), found)
        self.assertTrue(os.path.exists(self.r.config["state"]["journal"] + ".torn"))
        self.world.warm()

    def test_journal_has_one_owner(self):
        other = os.path.join(self.world.directory, "other.sock")
        path = os.path.join(self.world.directory, "second.toml")
        with open(path, "w", encoding="utf-8") as file:
            runtime = dict(self.r.config["runtime"], file_prefix=f"weft-{self.world.run}-other")
            config = dict(self.r.config, control={"socket": other}, runtime=runtime)
            file.write(weft.to_toml(config))
        said = self.refused("-c", path)
        self.assertIn(self.r.config["state"]["journal"], said)
        self.assertIn("another", said)
        self.assertFalse(os.path.exists(other))

    def test_full_disk_refuses_and_applies_nothing(self):
        before = self.addresses()
        ballast = os.path.join(self.world.disk, "ballast")
        with open(ballast, "wb", buffering=0) as file:
            with self.assertRaises(OSError):
                while True:
                    file.write(bytes(4096))
        lines = weft.control.mapping_lines(
            "Z", "S", range(plan.v4("10.9.0.0"), plan.v4("10.9.0.0") + 1000)
        )
        with self.r.control() as client:
            client.socket.sendall(lines[0])
            reply = json.loads(client.file.readline())
        self.assertEqual(reply["error"]["code"], -32008, reply)
        self.assertIn("journal", reply["error"]["message"])
        self.assertEqual(self.addresses(), before)
        self.assertEqual(self.net.ping("a", "10.0.0.3", 5)[0], 5)
        self.assertEqual(self.net.ping("a", "10.9.0.7", 1)[0], 0)
        # With room again it goes on, and nothing half written is in the way.
        os.unlink(ballast)
        self.r.cli("mapping", "add", "10.0.0.57", "--vnet", "Z", "--host", "S")
        self.r.kill()
        self.r.start()
        found = self.addresses()
        self.assertTrue(any("10.0.0.57" in address for address in found), found)
        self.assertEqual(len(found), len(before) + 1)


class Vanishing(Single):
    """What an appliance stands on goes away while it runs."""

    def test_an_interface_is_deleted(self):
        with self.r.control(access="ro") as client:
            client.call("subscribe", topics=["port"])
            self.net.ip("a", "link", "del", "weft-a")
            client.socket.settimeout(3.0)
            while not client.events:
                client.events.append(json.loads(client.file.readline()))
            event = client.events[0]["params"]
        self.assertEqual((event["port"], event["up"]), ("a", False))
        # The others do not notice.
        self.assertEqual(self.net.ping("c", "10.0.0.3", 10)[0], 10)
        self.assertEqual(self.net.ping("g", "10.0.0.5", 10)[0], 10)
        # Packets to the lost node are no reason to stumble.
        self.assertEqual(self.net.ping("c", "10.0.0.2", 2)[0], 0)
        self.assertEqual(self.net.ping("g", "10.0.0.2", 2)[0], 0)
        self.assertTrue(self.r.process.running(), self.r.process.tail())
        # Nor is the uplink.
        self.net.ip("router0", "link", "del", "weft-r")
        self.assertTrue(
            net.eventually(lambda: any("port up0 is down" in (line or "") for line in self.r.process.lines))
        )
        self.assertEqual(self.net.ping("c", "10.0.0.3", 2)[0], 0)
        time.sleep(1.5)
        self.assertTrue(self.r.process.running(), self.r.process.tail())
        self.assertEqual(self.world.imbalance(), {})
        # It is not polled in vain: a log line each time would be.
        self.assertLess(len(self.r.process.lines), 200)
        self.assertEqual(self.r.stop(), 0, self.r.process.tail())

    def test_the_other_host_is_gone(self):
        self.world.hosts["S"].kill()
        self.assertEqual(self.net.ping("a", "10.0.0.3", 2)[0], 0)
        self.assertEqual(self.net.ping("a", "10.0.0.5", 5)[0], 5)
        self.world.hosts["S"].start()
        self.world.warm()


class VanishingMemif(Single):
    """The far side of shared memory goes away and comes back."""

    how = Plan(uplink="memif")

    def test_far_side_restarts(self):
        server, client = self.world.hosts["R"], self.world.hosts["S"]
        client.kill()
        time.sleep(0.3)
        client.start()
        self.world.warm()
        # The socket it served is still there. The driver of the other side
        # does not connect again by itself.
        server.kill()
        self.assertTrue(os.path.exists(os.path.join(self.world.directory, "uplink.sock")))
        server.start()
        client.kill()
        client.start()
        self.world.warm()
        self.assertEqual(self.world.imbalance(), {})


class Unprivileged(unittest.TestCase):
    """`weft run --no-huge` as an ordinary user, on devices that need nothing."""

    def test_no_root_no_hugepages(self):
        world = World(Plan())
        self.addCleanup(world.close)
        os.chmod(world.directory, 0o777)
        config = {
            "name": "R",
            "locator": plan.LOCATOR["R"],
            "runtime": {"workers": [1], "idle": "backoff", "memory_mb": 128},
            "port": [
                {"name": "up0", "device": "net_null0", "role": "uplink",
                 "addresses": ["2001:db8:ffff:a::1/64"]},
                {"name": "a", "device": "net_ring0", "role": "node"},
            ],
            "vnet": weft.vnet_tables("Z"),
            "binding": [{"name": "A", "vnet": "Z", "address": "10.0.0.2", "port": "a"}],
        }
        run = os.path.join(world.directory, "run")
        os.mkdir(run)
        os.chown(run, 65534, 65534)
        os.chmod(run, 0o700)
        config["control"] = {"socket": os.path.join(run, "weft.sock")}
        appliance = weft.Weft(world.directory, config, prefix=f"weft-{world.run}")
        appliance.socket = config["control"]["socket"]
        plain = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        plain += ["--inh-caps=-all", "--bounding-set=-all"]
        appliance.env = dict(os.environ, XDG_RUNTIME_DIR=run, HOME=run)
        appliance.command = lambda *words: [*plain, weft.binary(), *words, "--no-huge"]
        self.addCleanup(appliance.stop)
        appliance.start()
        with open(f"/proc/{appliance.process.pid}/status", encoding="ascii") as file:
            status = file.read()
        self.assertIn("Uid:\t65534", status)
        self.assertIn("CapEff:\t0000000000000000", status)
        self.assertIn("A", appliance.cli("binding", "list").stdout)
        self.assertEqual(appliance.stop(), 0, appliance.process.tail())


if __name__ == "__main__":
    unittest.main()
