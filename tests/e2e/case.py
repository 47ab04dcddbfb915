"""The base of the end-to-end tests."""

import unittest

from world import Plan, World


class Case(unittest.TestCase):
    """Tests that share a world. After each one both appliances still run and
    every packet is accounted for."""

    how = Plan()
    quick = False
    make = World
    world = None

    @classmethod
    def setUpClass(cls):
        cls.world = cls.make(cls.how).start()
        cls.addClassCleanup(cls.world.close)
        cls.net = cls.world.net
        cls.r = cls.world.hosts["R"]
        cls.s = cls.world.hosts["S"]
        cls.world.warm()

    def tearDown(self):
        for name, host in self.world.hosts.items():
            self.assertTrue(host.process.running(), f"{name} ended:\n{host.process.tail()}")
        self.assertEqual(self.world.imbalance(), {}, "rx is not tx + drops + punted + held")

    def drops(self, host, name):
        return host.counters()[f"drop_{name}"]

    def assert_ping(self, short, address, count=5, options=(), interval=0.05):
        answered, text = self.net.ping(short, address, count, interval, options=options)
        self.assertEqual(answered, count, f"{text}\n{self.world.drops()}")

    def assert_no_ping(self, short, address):
        answered, text = self.net.ping(short, address, 2)
        self.assertEqual(answered, 0, text)
