"""Rows of the relay."""

from . import relay
from .measured import BASE, CORE, ROUTER_MAC, Stream, capture_device, read, running

RELAY_4 = Stream("relay4", 1 << 10, 1 << 10)
RELAY_6 = Stream("relay6", 1 << 10, 1 << 10)


class RelayRow:
    """The relay with one worker, in one direction: every frame is for an
    explicit mapping of its own, or from one."""

    def __init__(self, stream, yardstick):
        self.stream = stream
        self.yardstick = yardstick

    def config(self, files):
        near = 4 if self.stream.kind == "relay4" else 6
        devices = {
            near: capture_device(0, files.capture(self.stream)),
            10 - near: "net_null0,no-rx=1",
        }
        config = relay.config(
            devices,
            sides={side: {"via_mac": ROUTER_MAC} for side in (4, 6)},
            eams=relay.bench_eams(BASE, self.stream.entries),
            runtime={"idle": "poll", "workers": [CORE]},
        )
        # All frames of the capture lie in buffers of their own.
        config["limits"] = {"mbufs": self.stream.count + (1 << 15) - 1}
        return config

    def run(self, files, settings):
        with running(self.config(files), settings, files, 0) as (appliance, _):
            with appliance.control(access="ro") as client:
                return read(appliance, client, settings.seconds)
