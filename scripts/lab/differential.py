"""The same packets before two translators; see scripts/differential."""

import os
from collections import Counter
from dataclasses import dataclass, field

from . import cases, net, oracle, packets, plan, relay, tayga, tayga_differences
from . import tayga_model, weft
from .probe import Link, Probe

MAC = b"\x02\0\0\0\0\xfe"


class TaygaRig:
    """tayga in a namespace in which nothing else is. Packets are put on its
    tun device from outside of the kernel's own IP, which would refuse half of
    them."""

    name = "tayga"

    def __init__(self, directory, mtu=cases.MTU):
        self.net = net.Net(f"diff-{os.getpid()}")
        try:
            self.net.add("t")
            # The kernel must not answer what tayga sends.
            self.net.exec("t", "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
            self.process = tayga.Tayga(
                self.net, "t", directory, relay.OWN[4], relay.OWN[6], relay.POOL6, cases.EAMS, mtu
            ).start()
            link = Link(self.net, "t", tayga.TUN)
            self.links = {4: link, 6: link}
        except BaseException:
            self.net.close()
            raise

    def close(self):
        self.links[4].close()
        self.process.stop()
        self.net.close()


class WeftRig:
    """The relay on two taps, for packet sockets of DPDK have the kernel put
    fragments together."""

    name = "weft"

    def __init__(self, directory, mtu=cases.MTU, **knobs):
        run = f"difw-{os.getpid()}"
        self.net = net.Net(run)
        self.appliance = None
        devices = {side: f"net_tap{side},iface=weft-d{side}" for side in (4, 6)}
        config = relay.config(
            devices,
            relay={"icmp_rate": "unlimited", "error_source_extension": False, **knobs},
            sides={side: {"via_mac": plan.mac_text(MAC)} for side in (4, 6)},
            eams=cases.EAMS,
            ports={side: {"mtu": mtu} for side in (4, 6)},
        )
        try:
            self.net.add("w")
            self.net.exec("w", "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
            self.appliance = weft.Weft(
                directory, config, namespace=self.net.name("w"), prefix=f"weft-{run}"
            )
            self.appliance.start()
            self.links = {}
            for side in (4, 6):
                tap = f"weft-d{side}"
                head = plan.mac(self.net.mac("w", tap)) + MAC
                self.links[side] = Link(self.net, "w", tap, head)
        except BaseException:
            self.close()
            raise

    def close(self):
        if self.appliance:
            self.appliance.stop()
            net.forget_prefix(self.appliance.config["runtime"]["file_prefix"])
        self.net.close()


def ask(rig, drawn):
    """What a translator makes of each case."""
    probe = Probe(rig.links, cases.PLAN)
    found = []
    for side in (4, 6):
        found += probe.answers(side, [case.packet for case in drawn if case.side == side])
    return found


@dataclass
class Report:
    """What came of a comparison."""

    packets: int = 0
    same: int = 0
    classes: Counter = field(default_factory=Counter)
    unexplained: Counter = field(default_factory=Counter)
    examples: dict = field(default_factory=dict)

    def differ(self, counts, name, case, theirs, ours):
        counts[name] += 1
        self.examples.setdefault(name, (case, theirs, ours))

    def text(self, examples=False):
        lines = [f"{self.packets} packets, {self.same} translated alike, to the byte"]
        for title, counts in (("explained", self.classes), ("unexplained", self.unexplained)):
            lines.append(f"{sum(counts.values())} {title}")
            for name, count in counts.most_common():
                lines.append(f"  {count:7} {name}")
                if examples or counts is self.unexplained:
                    lines += self.example(name)
        named = {name for names in self.classes for name in names.split(" + ")}
        for name in sorted(named):
            sentence, what = tayga_differences.DIFFERENCES[name]
            lines.append(f"{name}: {what} ({sentence})")
        return "\n".join(lines)

    def example(self, name):
        case, theirs, ours = self.examples[name]
        yield f"          {case.kind}"
        for who, answers in (
            ("in", [(case.side, case.packet)]),
            ("tayga", theirs),
            ("weft", ours),
        ):
            for side, octets in answers or [(0, b"")]:
                told = octets[:96].hex(" ") + (" ..." if len(octets) > 96 else "")
                yield f"          {who:>5}: {f'IPv{side} ' + told if side else 'nothing'}"


def compare(directory, count, seed=1, only=None):
    """Both translators on the same packets, and what explains the differences:
    the relay must do what the oracle says, and tayga what its model says, which
    is the oracle but for differences that have a name."""
    drawn = list(cases.generate(count, seed, only))
    found = {}
    for rig_of in (TaygaRig, WeftRig):
        rig = rig_of(directory)
        try:
            found[rig.name] = ask(rig, drawn)
        finally:
            rig.close()
    report = Report(len(drawn))
    right, model = oracle.Oracle(), tayga_model.Model()
    for case, theirs, ours in zip(drawn, found["tayga"], found["weft"]):
        wanted = right.answers(case.side, case.packet, chosen(case, ours))
        modelled = model.answers(case.side, case.packet)
        if ours != wanted:
            name = f"{case.kind}: weft {describe(ours)}, by the RFCs {describe(wanted)}"
            report.differ(report.unexplained, name, case, theirs, ours)
        elif theirs == ours:
            report.same += 1
        elif theirs != modelled or not model.names:
            name = f"{case.kind}: tayga {describe(theirs)}, expected of it {describe(modelled)}"
            report.differ(report.unexplained, name, case, theirs, ours)
        else:
            report.differ(report.classes, " + ".join(sorted(model.names)), case, theirs, ours)
    return report


def chosen(case, answers):
    """The identification that the relay chose, which is its own affair."""
    if case.side == 6 and answers and answers[0][0] == 4:
        return int.from_bytes(answers[0][1][4:6], "big")
    return 0


def alone(directory, options):
    """Prints what tayga does, by kind."""
    drawn = list(cases.generate(options.count, options.seed, options.only))
    rig = TaygaRig(directory)
    try:
        found = ask(rig, drawn)
    finally:
        rig.close()
    outcomes = {}
    for case, answers in zip(drawn, found):
        outcomes.setdefault(case.kind, Counter())[describe(answers)] += 1
    for kind, counts in outcomes.items():
        print(f"{kind}")
        for text, count in counts.most_common():
            print(f"  {count:6} {text}")
    print(f"{len(drawn)} packets")
    return 0


def describe(answers):
    """What was sent, in a few words."""
    return "; ".join(sorted(describe_one(*answer) for answer in answers)) or "nothing"


def describe_one(side, octets):
    if side == 0:
        return "what is no IP"
    protocol, at = upper(side, octets)
    text = f"IPv{side}"
    if side == 6 and octets[6] == packets.FRAGMENT:
        text += " fragment"
    if side == 4 and int.from_bytes(octets[6:8], "big") & 0x3FFF:
        text += " fragment"
    if protocol in (packets.ICMP, packets.IPV6_ICMP) and len(octets) > at + 1:
        return f"{text} ICMP {octets[at]}/{octets[at + 1]}"
    return f"{text} protocol {protocol}"


def upper(side, octets):
    """The protocol above IP, and where its message begins."""
    if side == 4:
        return octets[9], (octets[0] & 15) * 4
    if octets[6] == packets.FRAGMENT and len(octets) >= 48:
        return octets[40], 48
    return octets[6], 40
