"""What Pktgen-DPDK says it sent and received, held against what weft's cards
and weft itself counted. pktgen is known to misreport; a figure of its that
nobody else confirms is no figure.

Known faults, by number in pktgen's own list of issues:

#369  false runts, and sizes that do not add up, with two receive queues and
      ranges: counts of the same memory from two cores
#301  flows that are never sent below 100 % of the rate, on mlx5
#295  ranges that send fewer destinations than they should
#281  random mode that leaves fields as they are (23.06)
#270  latencies of seconds as maximum and average
#372  a rate that is wrong while captures are sent
"""

# Packets that are nobody's load: neighbour discovery, ARP, listener reports.
BESIDE = 64
RECEIVED = ("rx_good_packets", "rx_missed_errors", "rx_errors", "rx_mbuf_allocation_errors")


class Unusable(Exception):
    """The file is not what run.lua writes."""


class Port:
    """What one port of pktgen counted. Newer versions have the counters of
    the card in a table of its own, with sizes and queues beside it."""

    def __init__(self, table):
        card = table.get("curr", table)
        try:
            self.sent, self.received = int(card["opackets"]), int(card["ipackets"])
        except (KeyError, TypeError, ValueError) as error:
            raise Unusable(f"no packets in what pktgen says of a port: {error}") from None
        # Came, but pktgen had no room for them.
        self.missed = int(card.get("imissed", 0)) + int(card.get("rx_nombuf", 0))
        self.errors = int(card.get("ierrors", 0)), int(card.get("oerrors", 0))
        sizes = table.get("sizes", {})
        self.runts = int(sizes.get("runt", 0))
        kinds = [key for key in sizes if key.startswith("_")] + ["jumbo", "runt", "unknown"]
        self.sized = sum(int(sizes.get(key, 0)) for key in kinds) if sizes else None
        self.queues = list(table.get("qstats", {}).values())


class Stats:
    """The file that run.lua wrote."""

    def __init__(self, report):
        try:
            self.node, self.substrate = str(report["node"]), str(report["substrate"])
            self.direction, self.rate = report["direction"], float(report["rate"])
            self.version, self.seconds = report.get("version", "?"), float(report["seconds"])
            ports = report["ports"]
            self.ports = {name: Port(ports[name]) for name in (self.node, self.substrate)}
        except (KeyError, TypeError, ValueError) as error:
            raise Unusable(f"not what run.lua writes: {error!r}") from None


def difference(before, now):
    return {name: value - before.get(name, 0) for name, value in now.items()}


def compare(stats, before, now, wires):
    """Lines for people, and what does not agree. `wires` has weft's port by
    pktgen's."""
    counters = difference(before["counters"], now["counters"])
    lines = [f"pktgen {stats.version}, {stats.direction}, {stats.rate:g} %, {stats.seconds:g} s"]
    faults = []
    for name, port in stats.ports.items():
        wire = wires[name]
        if wire not in now["ports"]:
            raise Unusable(f"weft has no port {wire!r}: {', '.join(now['ports'])}")
        card = difference(before["ports"].get(wire, {}), now["ports"][wire])
        lines += wired(name, wire, port, card, faults)
        faults += own(name, port)
    lines += inside(counters, faults)
    if stats.rate < 100:
        lines.append(
            "note: below 100 % pktgen may leave flows out (#301): count the destinations in a"
            " capture, as the instructions say"
        )
    return lines, faults


def wired(name, wire, port, card, faults):
    """Both directions of one cable."""
    came = {key: card.get(key, 0) for key in RECEIVED}
    total, sent = sum(came.values()), card.get("tx_good_packets", 0)
    arrived = port.received + port.missed + port.errors[0]
    lines = [
        f"{name} -> {wire}: pktgen sent {port.sent}, weft's card saw {total}: "
        f"received {came['rx_good_packets']}, missed {came['rx_missed_errors']}, "
        f"errors {came['rx_errors']}, no buffer {came['rx_mbuf_allocation_errors']}",
        f"{wire} -> {name}: weft's card sent {sent}, pktgen saw {arrived}: "
        f"received {port.received}, missed {port.missed}, errors {port.errors[0]}",
    ]
    if abs(port.sent - total) > BESIDE:
        faults.append(f"{name} -> {wire}: {port.sent} sent, but {total} arrived")
    if abs(sent - arrived) > BESIDE:
        faults.append(f"{wire} -> {name}: {sent} sent, but {arrived} arrived")
    return lines


def own(name, port):
    """What pktgen says that cannot be, whatever weft says."""
    if port.runts:
        yield (
            f"port {name}: {port.runts} runts, and nobody sends any: false with two receive "
            "queues and ranges (#369); give the port one queue, and believe no sizes"
        )
    if port.sized is not None and abs(port.sized - port.received) > BESIDE:
        yield (
            f"port {name}: the sizes add up to {port.sized} of {port.received} packets: cores "
            "count in the same memory (#369); give the port one queue"
        )
    for number, key, whole in ((0, "ipackets", port.received), (1, "opackets", port.sent)):
        total = sum(int(queue.get(key, 0)) for queue in port.queues)
        # Some drivers do not count by queue.
        if total and abs(total - whole) > BESIDE:
            what = ("received", "sent")[number]
            yield f"port {name}: its queues {what} {total} of {whole} packets"


def inside(counters, faults):
    """What became of the packets within weft."""
    drops = {
        name.removeprefix("drop_"): value
        for name, value in counters.items()
        if name.startswith("drop_") and value
    }
    lost = sum(drops.values())
    lines = [f"weft: received {counters['rx']}, sent {counters['tx']}, dropped {lost}"]
    for name, value in sorted(drops.items(), key=lambda item: -item[1]):
        lines.append(f"  {name}: {value}")
    if lost > BESIDE:
        faults.append(f"weft dropped {lost} packets: {', '.join(drops)}")
    if drops.get("mac_mismatch", 0) > BESIDE:
        faults.append(
            "mac_mismatch: pktgen's address and MAC do not count up together; load outbound.lua"
            " anew, or send a capture"
        )
    if drops.get("label_lost", 0) > BESIDE:
        faults.append("label_lost: ranges of IPv6 have no flow label of ours; send inbound.pcap")
    return lines
