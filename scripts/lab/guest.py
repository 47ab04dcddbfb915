"""A stand-in for a virtual machine with all its offloads on: dpdk-testpmd
between an interface of the kernel and a virtio device. What the kernel sends it
hands on as a guest's driver would: checksums partial, and TCP packets larger
than a segment left to be cut, in the header that virtio has for it."""

import os

from .proc import Process

PROGRAM = "dpdk-testpmd"
# Of a slot between kernel and testpmd: the kernel leaves TCP to be cut as well.
SLOT = 16384


def start(directory, prefix, interface, path, namespace, size, cpu=1):
    """`path` is the socket where vhost-user listens, `size` what a segment of
    TCP has of data."""
    commands = os.path.join(directory, f"{prefix}.testpmd")
    with open(commands, "w", encoding="ascii") as file:
        for line in (
            "port stop all",
            "port config 1 tx_offload tcp_cksum on",
            "port config 1 tx_offload udp_cksum on",
            "port config 1 tx_offload tcp_tso on",
            "csum set tcp hw 1",
            "csum set udp hw 1",
            f"tso set {size} 1",
            "csum mac-swap off 0",
            "csum mac-swap off 1",
            "set fwd csum",
            "port start all",
            "start",
        ):
            file.write(line + "\n")
    process = Process(
        [
            *("ip", "netns", "exec", namespace, "stdbuf", "-oL", PROGRAM),
            *("--lcores", f"0@0,1@{cpu}", "--no-pci", "--in-memory", "-m", "128"),
            *("--single-file-segments", "--no-telemetry", f"--file-prefix={prefix}"),
            f"--vdev=net_af_packet0,iface={interface},framesz={SLOT},blocksz={SLOT},framecnt=256",
            f"--vdev=net_virtio_user0,path={path}",
            *("--", "--interactive", "--nb-cores=1", "--total-num-mbufs=4095"),
            *(f"--mbuf-size={SLOT + 512}", f"--cmdline-file={commands}"),
        ],
        stdin=True,
    )
    process.expect(r"csum packet forwarding", 30.0)
    return process
