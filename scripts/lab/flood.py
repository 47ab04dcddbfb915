"""The same packets into a device again and again, as fast as the kernel takes
them."""

import ctypes
import os
import socket
import struct
import threading

PACKET_QDISC_BYPASS = 20


class _Message(ctypes.Structure):
    """`struct mmsghdr`."""

    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent", ctypes.c_uint32),
    ]


class _Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("length", ctypes.c_size_t)]


class Flood:
    """IP packets of one family on an interface without link headers, from a
    thread on a core of its own, while entered. What its queue refuses is
    counted by the device."""

    def __init__(self, net, short, interface, ethertype, octets, cpu):
        self.cpu = cpu
        self.socket = net.socket(short, socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self.socket.setsockopt(263, PACKET_QDISC_BYPASS, 1)
        with net.inside(short):
            index = socket.if_nametoindex(interface)
        where = struct.pack(
            "=HHiHBB8s", socket.AF_PACKET, socket.htons(ethertype), index, 0, 0, 0, b""
        )
        self.where = ctypes.create_string_buffer(where, len(where))
        self.vectors = (_Vector * len(octets))(*[_Vector(packet, len(packet)) for packet in octets])
        self.messages = (_Message * len(octets))()
        for number, message in enumerate(self.messages):
            message.name = ctypes.addressof(self.where)
            message.name_length = len(where)
            message.vectors = ctypes.addressof(self.vectors) + number * ctypes.sizeof(_Vector)
            message.vector_count = 1
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        os.sched_setaffinity(threading.get_native_id(), {self.cpu})
        while not self.ending.is_set():
            # A refused packet ends the call, and is passed over by the next.
            done = 0
            while done < len(self.messages) and not self.ending.is_set():
                at = ctypes.byref(self.messages, done * ctypes.sizeof(_Message))
                sent = self.libc.sendmmsg(self.socket.fileno(), at, len(self.messages) - done, 0)
                done += max(sent, 0) + 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join(5.0)
        self.socket.close()
