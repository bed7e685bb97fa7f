# SPDX-License-Identifier: MIT
"""Who has 10.0.2.2?  Asked on eth0 by a packet socket, of the network that QEMU pretends to be.

arp.py ROUNDS [COMMAND...]: each question has a hardware address of its own as the asker, to which the answer
goes, so that every answer is known by it: each comes once.  COMMAND runs as long as questions are asked, again and again."""

import fcntl
import select
import socket
import struct
import subprocess
import sys
import threading
import time

ETH_P_ARP, ARP_REQUEST, ARP_REPLY = 0x0806, 1, 2
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCGIFHWADDR, IFF_UP, IFF_RUNNING = 0x8913, 0x8914, 0x8927, 1, 0x40
OURS, THEIRS = socket.inet_aton("10.0.2.15"), socket.inet_aton("10.0.2.2")
AT_ONCE, PATIENCE = 8, 20


def ioctl(s, request, payload=b""):
    return fcntl.ioctl(s, request, struct.pack("16s16s8x", b"eth0", payload))[16:32]


def bring_up(s):
    flags = struct.unpack("h", ioctl(s, SIOCGIFFLAGS)[:2])[0]
    ioctl(s, SIOCSIFFLAGS, struct.pack("h", flags | IFF_UP))
    deadline = time.monotonic() + PATIENCE          # Linux takes its time to see the cable
    while not (flags := struct.unpack("h", ioctl(s, SIOCGIFFLAGS)[:2])[0]) & IFF_RUNNING:
        if time.monotonic() > deadline:
            sys.exit(f"eth0 was set up, and has flags {flags:#x}")
        time.sleep(0.01)


def asker(number):
    return b"\x02\x00" + struct.pack(">I", number)


def ask(s, source, number):
    s.send(b"\xff" * 6 + source + struct.pack(">H", ETH_P_ARP) +
           struct.pack(">HHBBH6s4s6s4s", 1, 0x0800, 6, 4, ARP_REQUEST, asker(number), OURS, bytes(6), THEIRS))


def hear(s):
    """The number of the question that is answered; None: something else, or a question of ours."""
    frame = s.recv(2000)
    kind, sender, protocol, target = struct.unpack(">6xH6s4s6s", frame[14:38])
    if kind != ARP_REPLY or protocol != THEIRS:
        return None
    if sender[2:] != THEIRS or target[:2] != b"\x02\x00":
        sys.exit(f"an answer from {sender.hex()} to {target.hex()}")
    return struct.unpack(">I", target[2:])[0]


def rounds(s, source, count):
    answers = {}
    asked = 0
    while asked < count or len(answers) < count:
        while asked < count and asked - len(answers) < AT_ONCE:
            ask(s, source, asked)
            asked += 1
        if not select.select([s], [], [], PATIENCE)[0]:
            sys.exit(f"{len(answers)} of {asked} questions were answered")
        number = hear(s)
        if number is not None:
            answers[number] = answers.get(number, 0) + 1
    while select.select([s], [], [], 0.2)[0]:
        number = hear(s)
        if number is not None:
            answers[number] = answers.get(number, 0) + 1
    if sorted(answers) != list(range(count)) or set(answers.values()) != {1}:
        sys.exit(f"answers came more than once: { {n: c for n, c in answers.items() if c > 1} }")


def disturb(command, ended):
    while not ended.wait(0.02):
        subprocess.run(command, check=True)


def main(count, command):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    bring_up(s)
    s.bind(("eth0", ETH_P_ARP))
    source = ioctl(s, SIOCGIFHWADDR)[2:8]
    ended = threading.Event()
    thread = threading.Thread(target=disturb, args=(command, ended), daemon=True)
    if command:
        thread.start()
    rounds(s, source, count)
    ended.set()
    print(f"{count} questions, each answered once by {THEIRS[0]}.{THEIRS[1]}.{THEIRS[2]}.{THEIRS[3]}, "
          f"of {source.hex(':')}")


main(int(sys.argv[1]), sys.argv[2:])
