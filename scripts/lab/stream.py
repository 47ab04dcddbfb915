"""What nodes of the demonstration send and receive:

receive ADDRESS        takes one connection, prints the hash of what came
send ADDRESS MEBIBYTES  sends that much, prints its hash
datagram ADDRESS       sends one UDP datagram with every field of note set
"""

import hashlib
import os
import socket
import sys
import time

PORT = 5000
CHUNK = 1 << 16


def receive(address):
    with socket.create_server((address, PORT)) as server:
        server.settimeout(30)
        print("listening", flush=True)
        connection, _ = server.accept()
        digest, count = hashlib.sha256(), 0
        with connection:
            connection.settimeout(30)
            while data := connection.recv(CHUNK):
                digest.update(data)
                count += len(data)
    print(f"received {count} bytes, sha256 {digest.hexdigest()}")


def send(address, mebibytes):
    data = os.urandom(1 << 20)
    digest = hashlib.sha256()
    start = time.monotonic()
    with socket.create_connection((address, PORT), timeout=30) as connection:
        for _ in range(mebibytes):
            connection.sendall(data)
            digest.update(data)
        connection.shutdown(socket.SHUT_WR)
        # The far end closes when it has everything.
        connection.recv(1)
    rate = mebibytes * 8.388608 / (time.monotonic() - start)
    print(f"sent {mebibytes << 20} bytes at {rate:.0f} Mbit/s, sha256 {digest.hexdigest()}")


def datagram(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("", 4000))
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xB8)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 64)
        # IP_MTU_DISCOVER = IP_PMTUDISC_DO: the don't-fragment bit.
        sender.setsockopt(socket.IPPROTO_IP, 10, 2)
        sender.sendto(b"hello-weft", (address, PORT))


if __name__ == "__main__":
    if sys.argv[1] == "receive":
        receive(sys.argv[2])
    elif sys.argv[1] == "send":
        send(sys.argv[2], int(sys.argv[3]))
    else:
        datagram(sys.argv[2])
