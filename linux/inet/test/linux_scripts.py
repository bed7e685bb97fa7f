#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""linux_scripts.py [NAME...]: the scripts of tcp_scripts.h on this machine's Linux, in real time.

Each has a network namespace of its own with a TUN device, whose other side is the script.  What Linux
does otherwise is printed.  Needs root; a busy machine makes steps that count milliseconds fail."""

import ctypes
import errno
import fcntl
import os
import pathlib
import re
import select
import socket
import struct
import subprocess
import sys
import time

HEADER = pathlib.Path(__file__).with_name("tcp_scripts.h")
LOCAL, PEER = "10.9.0.1", "10.9.0.2"
PEER_ISN = 0xfffffc00
LETTERS = "FSRPAUEW"
STATES = ["", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
          "LAST_ACK", "LISTEN", "CLOSING"]


def scripts():
    """Name and lines of each, from the C source."""
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.S).replace("\\\n", "")
    macros = {}
    strings = r'(?:\s*"(?:[^"\\]|\\.)*")+'
    for name, body in re.findall(rf"#define (\w+)({strings})", text):
        macros[name] = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', body))
    for name, body in re.findall(r'\{ "(\w+)",(.*?)\},\n', text, flags=re.S):
        lines = "".join(macros[word] if word else quoted
                        for quoted, word in re.findall(r'"((?:[^"\\]|\\.)*)"|\b([A-Z_]{5,})\b', body))
        yield name, [line.strip() for line in lines.split("\\n") if line.strip()]


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


class Run:
    def __init__(self, name, lines):
        self.name, self.lines, self.problems = name, lines, 0
        ctypes.CDLL(None, use_errno=True).unshare(0x40000000)
        self.tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.tun, 0x400454ca, struct.pack("16sH22x", b"t0", 0x1001))
        stamps = int(any("ts=" in line for line in lines))
        sack = int("set sack=0" not in lines)
        subprocess.run(f"ip link set lo up; ip addr add {LOCAL}/24 dev t0; sysctl -qw net.ipv6.conf.all.disable_ipv6=1 "
                       f"net.ipv4.tcp_timestamps={stamps} net.ipv4.tcp_sack={sack}; ip link set t0 up",
                       shell=True, check=True)
        self.now = self.isn = self.stamp = 0
        self.patience = 0.08
        self.sock = self.listener = None
        self.mine, self.theirs = 5001, 40000
        self.options = []

    def fail(self, line, what):
        self.problems += 1
        print(f"{self.name}: {line}: {what}", flush=True)

    def fields(self, line):
        return dict(word.split("=", 1) for word in line.split()[2:] if "=" in word)

    def wait(self):
        end = self.start + self.now / 1000
        while time.monotonic() < end:
            time.sleep(max(0, min(end - time.monotonic(), 1)))

    def receive(self, patience):
        end = time.monotonic() + patience
        while True:
            left = end - time.monotonic()
            if not select.select([self.tun], [], [], max(left, 0))[0]:
                return None
            packet = os.read(self.tun, 70000)
            if packet[0] >> 4 == 4 and packet[9] == 6:
                return packet[20:]
            if left < 0:
                return None

    def segment(self, line):
        words, options = self.fields(line), b""
        flags = sum(1 << LETTERS.index(letter) for letter in line.split()[1])
        if "mss" in words:
            options += struct.pack("!BBH", 2, 4, int(words["mss"]))
        if "sackok" in words:
            options += b"\1\1\4\2"
        if "ws" in words:
            options += struct.pack("!BBBB", 1, 3, 3, int(words["ws"]))
        if "ts" in words:
            options += struct.pack("!BBBBII", 1, 1, 8, 10, int(words["ts"]), self.stamp + int(words.get("ecr", 0)) & 0xffffffff)
        blocks = re.findall(r"sack=(\d+)-(\d+)", line)
        if blocks:
            options += struct.pack("!BBBB", 1, 1, 5, 2 + 8 * len(blocks))
            for block in blocks:
                options += struct.pack("!II", *(self.isn + int(number) & 0xffffffff for number in block))
        data = bytes(ord("a") + i % 26 for i in range(int(words.get("len", 0))))
        ack = self.isn + int(words.get("ack", 0)) & 0xffffffff if flags & 0x10 else 0
        header = struct.pack("!HHIIBBHHH", self.theirs, self.mine, PEER_ISN + int(words.get("seq", 0)) & 0xffffffff, ack,
                             5 + len(options) // 4 << 4, flags, int(words.get("win", 0)), 0, int(words.get("urg", 0)))
        tcp = header + options + data
        pseudo = socket.inet_aton(PEER) + socket.inet_aton(LOCAL) + struct.pack("!HH", 6, len(tcp))
        tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0, socket.inet_aton(PEER),
                         socket.inet_aton(LOCAL))
        os.write(self.tun, ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + tcp)
        time.sleep(0.002)

    def expect(self, line):
        tcp = self.receive(self.patience)
        self.patience = 0.08
        if tcp is None:
            return self.fail(line, "nothing was sent")
        source, _, seq, ack, offset, flags, window, _, urgent = struct.unpack("!HHIIBBHHH", tcp[:20])
        header = (offset >> 4) * 4
        is_ = {"len": len(tcp) - header, "win": window, "urg": urgent, "sackok": 0, "mss": 0}
        options, blocks = tcp[20:header], []
        while options and options[0]:
            if options[0] == 1:
                options = options[1:]
                continue
            kind, size = options[:2]
            if kind == 2:
                is_["mss"] = struct.unpack("!H", options[2:4])[0]
            elif kind == 3:
                is_["ws"] = options[2]
            elif kind == 4:
                is_["sackok"] = 1
            elif kind == 8:
                is_["ts"], is_["ecr"] = struct.unpack("!II", options[2:10])
            elif kind == 5:
                numbers = struct.unpack(f"!{(size - 2) // 4}I", options[2:size])
                blocks = [tuple(n - PEER_ISN & 0xffffffff for n in numbers[i:i + 2]) for i in range(0, len(numbers), 2)]
            options = options[size:]
        if flags & 2:
            self.isn, self.stamp = seq, is_.get("ts", 0)
            if not flags & 0x10:
                self.mine = source
        is_["seq"], is_["ack"] = seq - self.isn & 0xffffffff, ack - PEER_ISN & 0xffffffff
        want = sum(1 << LETTERS.index(letter) for letter in line.split()[1])
        if (flags ^ want) & ~8:
            self.fail(line, "flags are " + "".join(l for i, l in enumerate(LETTERS) if flags >> i & 1) +
                      f" seq {is_['seq']} ack {is_['ack']} len {is_['len']}")
        for field, value in self.fields(line).items():
            if field != "sack" and is_.get(field) != int(value):
                self.fail(line, f"{field} is {is_.get(field)}")
        told = [tuple(map(int, block)) for block in re.findall(r"sack=(\d+)-(\d+)", line)]
        if not flags & 2 and told != blocks:
            self.fail(line, f"SACK blocks are {blocks}")

    def setting(self, line):
        name, value = line.split()[1].split("=")
        value = int(value)
        table = {"nodelay": (6, 1), "cork": (6, 3), "keepidle": (6, 4), "keepintvl": (6, 5), "keepcnt": (6, 6),
                 "keepalive": (1, 9), "user_timeout": (6, 18), "rcvbuf": (1, 8)}
        if name == "sack":
            return
        option = (*table[name], value // 2 if name == "rcvbuf" else value)
        self.options.append(option)
        if self.sock:
            self.sock.setsockopt(*option)

    def socket(self):
        sock = socket.socket()
        sock.setblocking(False)
        for option in self.options:
            sock.setsockopt(*option)
        return sock

    def accept(self):
        if not self.sock and self.listener:
            try:
                self.sock = self.listener.accept()[0]
                self.sock.setblocking(False)
            except BlockingIOError:
                pass
        return self.sock

    def step(self, line):
        word, *rest = line.split()
        if word[0] == "+":
            self.now += int(word)
            # timers of Linux are late by up to an eighth
            self.patience += int(word) / 7000
            return
        self.wait()
        self.accept()
        if word == "in":
            self.segment(line)
        elif word == "out":
            self.expect(line)
        elif word == "none":
            tcp = self.receive(0.004)
            if tcp is not None:
                seq, ack, _, flags = struct.unpack("!IIBB", tcp[4:14])
                self.fail(line, f"flags {flags:#x} seq {seq - self.isn & 0xffffffff} were sent")
        elif word == "connect":
            self.sock = self.socket()
            self.sock.connect_ex((PEER, self.theirs))
        elif word == "listen":
            self.listener = self.socket()
            self.listener.bind((LOCAL, self.mine))
            self.listener.listen()
        elif word == "write":
            self.sock.send(b"x" * int(rest[0]))
        elif word == "urgent":
            self.sock.send(b"x" * int(rest[0]), socket.MSG_OOB)
        elif word == "oob":
            self.sock.recv(1, socket.MSG_OOB)
        elif word == "read":
            self.sock.recv(int(rest[0]))
        elif word == "readable":
            have = struct.unpack("i", fcntl.ioctl(self.sock, 0x541b, b"\0" * 4))[0]
            if have != int(rest[0]):
                self.fail(line, f"there are {have}")
        elif word == "close":
            self.sock.close()
            self.sock = False
        elif word == "shut":
            self.sock.shutdown(socket.SHUT_WR)
        elif word == "abort":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.close()
            self.sock = False
        elif word == "set":
            self.setting(line)
        elif word == "error" and self.sock:
            err = errno.errorcode.get(self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "none")
            if err != rest[0]:
                self.fail(line, f"it is {err}")
        elif word == "state" and self.sock:
            state = STATES[self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]]
            # a socket whose connection is in TIME_WAIT says CLOSE
            if state != rest[0] and (state, rest[0]) != ("CLOSE", "TIME_WAIT"):
                self.fail(line, f"it is {state}")

    def run(self):
        while self.receive(0) is not None:
            pass
        self.start = time.monotonic()
        for line in self.lines:
            try:
                self.step(line)
            except OSError as error:
                self.fail(line, error)
            self.now = max(self.now, (time.monotonic() - self.start) * 1000)
        return self.problems


def main():
    children = {}
    for name, lines in scripts():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        pid = os.fork()
        if not pid:
            os._exit(1 if Run(name, lines).run() else 0)
        children[pid] = name
        while len(children) > 8:
            children.pop(os.wait()[0])
    while children:
        children.pop(os.wait()[0])


main()
