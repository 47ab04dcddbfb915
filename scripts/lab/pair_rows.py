"""Rows of a pair of vhost-user ports: what guests see. The generator behind
them (examples/pace, on virtio_user) offers more than anything takes, so the way
into the program under test is always full; what counts is what comes back.

It has core 0 for both directions. Where a program takes more than one core can
offer and take back, the figure is the generator's: `refused` tells, which is
then nothing."""

from .measured import Reading, Skip
from .proc import Share

# More than any core sends.
RATE = 40e6


class PairRow:
    """testpmd between the two ports, or weft from node to node. The same frames
    and devices, so the ratio is that of the programs."""

    stream = None

    def __init__(self, peer=False, yardstick=None):
        self.peer = peer
        self.yardstick = yardstick

    def under(self, settings):
        # It has rows of its own, and so needs this table first.
        from . import pace  # pylint: disable=import-outside-toplevel

        try:
            pace.binary()
        except FileNotFoundError as error:
            raise Skip(str(error)) from None
        if self.peer:
            return pace.Testpmd(settings.directory, settings.prefix)
        if settings.no_weft:
            raise Skip(settings.no_weft)
        return pace.Weft(settings.directory, settings.prefix, local=True)

    def run(self, files, settings):
        with self.under(settings) as under:
            under.start()
            under.generator.run(RATE, settings.warm)
            before, share = under.dropped() or {}, Share(under.pid)
            report = under.generator.run(RATE, settings.seconds)
            got = share.now()
            drops = {name: n - before.get(name, 0) for name, n in (under.dropped() or {}).items()}
        # What found no room on the way back was carried; who was to take it shares
        # its core with who sends.
        full = drops.pop("drop_tx_full", 0)
        offered = report["sent"] + report["refused"]
        extra = {"refused": report["refused"] / max(offered, 1), "unreceived": full}
        return Reading(report["received"] / report["seconds"], sum(drops.values()), got, extra)
