# SPDX-License-Identifier: MIT
"""The host's side of the runner protocol; tools/runner/protocol.h is the contract.

A Guest is a running QEMU with its runner.  Guest.command() runs one program in it
and returns how it ended; several can be run, one after the other, in one boot."""

import os
import select
import socket
import struct
import tempfile
import time
from dataclasses import dataclass

from . import qemu, say

VERSION = 1
WINDOW = 256 << 10
CHUNK = 32 << 10

START, STDIN, STDIN_EOF, KILL, SWEEP, POWEROFF = range(1, 7)
HELLO, STARTED, STDIN_ACK, STDOUT, STDERR, EXIT, SWEPT, ERROR = range(64, 72)

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/bash",
    "LANG": "C.UTF-8", "TERM": "dumb",
}


class GuestDied(Exception):
    """The guest panicked, hung before it served us, or ended in another way than by EXIT."""

    def __init__(self, reason, orderly=False):
        super().__init__(reason)
        self.orderly = orderly      # it powered off by itself


class GuestTimeout(Exception):
    """The deadline passed."""


@dataclass
class Result:
    status: int
    stdout: bytes = b""
    stderr: bytes = b""
    seconds: float = 0.0


def write_all(fd, data):
    """Write everything, however the descriptor is set up."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view):]
        except BlockingIOError:
            select.select([], [fd], [])


class Guest:
    def __init__(self, machine):
        """Start the machine.  The caller adds what makes its init serve the runner."""
        handle, self.console = tempfile.mkstemp(prefix="concord-console-")
        os.close(handle)
        ours, theirs = socket.socketpair()
        self.port = ours
        self.port.setblocking(False)
        self.incoming = bytearray()
        self.outgoing = bytearray()
        self.started = False        # a command has been running
        self.process = qemu.Process(machine, self.console, theirs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stop()
        self.port.close()
        os.unlink(self.console)

    def console_text(self):
        with open(self.console, "rb") as file:
            return file.read().decode(errors="replace").replace("\r", "")

    # Frames.

    def _send(self, kind, data=b""):
        self.outgoing += struct.pack("<II", kind, len(data)) + data
        self._flush()

    def _flush(self):
        try:
            while self.outgoing:
                del self.outgoing[:self.port.send(self.outgoing[:1 << 16])]
        except OSError:
            pass        # full, or QEMU is gone; _receive() finds out

    def _frames(self):
        """The whole frames received so far; each is taken before it is handed out."""
        while len(self.incoming) >= 8:
            kind, length = struct.unpack_from("<II", self.incoming)
            if len(self.incoming) < 8 + length:
                return
            data = bytes(self.incoming[8:8 + length])
            del self.incoming[:8 + length]
            yield kind, data

    def _wait(self, deadline, extra=()):
        """Wait for the port or for `extra` descriptors; those that are ready."""
        while True:
            self._flush()
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise GuestTimeout
            ready, writable, _ = select.select([self.port, *extra],
                                               [self.port] if self.outgoing else [], [], left)
            if ready or writable:
                return ready

    def _receive(self):
        """Take what the port has.  Raises GuestDied when QEMU has gone."""
        try:
            data = self.port.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._died()
        self.incoming += data

    def _died(self):
        status = self.process.wait(10)
        complaint = self.process.complaint() if status is not None else ""
        text = self.console_text()
        if status == qemu.PANIC_STATUS or "Kernel panic - not syncing" in text:
            raise GuestDied("the guest's kernel panicked")
        if status is None:
            raise GuestDied("QEMU closed the runner's port but did not end")
        if status != 0:
            raise GuestDied(f"QEMU ended with status {status}" + (f": {complaint}" if complaint else ""))
        raise GuestDied("the guest powered off or reset" + (f" ({complaint})" if complaint else ""),
                        orderly=True)

    def _expect(self, wanted, deadline):
        while True:
            for kind, data in self._frames():
                if kind == wanted:
                    return data
                if kind == ERROR:
                    raise GuestDied("the runner gave up: " + data.decode(errors="replace"))
                # What an earlier command left behind.
            self._wait(deadline)
            self._receive()

    # What callers use.

    def boot(self, deadline=None):
        """Wait until the runner serves us."""
        (version,) = struct.unpack("<I", self._expect(HELLO, deadline))
        if version != VERSION:
            raise GuestDied(f"the image's runner speaks version {version}, not {VERSION}")

    def command(self, argv, stdin=None, on_stdout=None, on_stderr=None, deadline=None,
                environment=None, directory=""):
        """Run a program.  `stdin` is a descriptor, bytes, or None for nothing.

        Output goes to on_stdout and on_stderr as it comes, or into the Result."""
        begin = time.monotonic()
        out, err = bytearray(), bytearray()
        sinks = {STDOUT: on_stdout or out.extend, STDERR: on_stderr or err.extend}
        strings = [*argv, *(f"{k}={v}" for k, v in (environment or ENVIRONMENT).items()), directory]
        words = [os.fsencode(word) for word in strings]
        self._send(START, struct.pack("<II", len(argv), len(words) - len(argv) - 1)
                   + b"".join(word + b"\0" for word in words))
        self._expect(STARTED, deadline)
        self.started = True

        source = _Source(stdin)
        status = None
        while True:
            for kind, data in self._frames():
                if kind in sinks:
                    sinks[kind](data)
                elif kind == STDIN_ACK:
                    source.unacknowledged -= struct.unpack("<I", data)[0]
                elif kind == EXIT:
                    (status,) = struct.unpack("<I", data)
                    break
                elif kind == ERROR:
                    raise GuestDied("the runner gave up: " + data.decode(errors="replace"))
            if status is not None:
                break
            while (data := source.take_bytes()):
                self._send(STDIN, data)
            if source.ended():
                self._send(STDIN_EOF)
            ready = self._wait(deadline, source.wanted())
            if source.fd in ready:
                data = source.read()
                if data:
                    self._send(STDIN, data)
            if self.port in ready:
                self._receive()
        return Result(status, bytes(out), bytes(err), time.monotonic() - begin)

    def sweep(self, deadline=None):
        """Kill everything that earlier commands left running."""
        self._send(SWEEP)
        self._expect(SWEPT, deadline)

    def power_off(self, timeout):
        """Let the guest write its disks and power off; True if it did."""
        self._send(POWEROFF)
        return self.process.wait(timeout) is not None


class _Source:
    """Standard input for a command, at most WINDOW bytes of it unacknowledged."""

    def __init__(self, stdin):
        self.fd = stdin if isinstance(stdin, int) else None
        self.data = memoryview(stdin) if isinstance(stdin, (bytes, bytearray)) else memoryview(b"")
        self.unacknowledged = 0
        self.told_end = False

    def _room(self):
        return min(CHUNK, WINDOW - self.unacknowledged)

    def take_bytes(self):
        data = bytes(self.data[:self._room()])
        self.data = self.data[len(data):]
        self.unacknowledged += len(data)
        return data

    def wanted(self):
        return [self.fd] if self.fd is not None and self._room() > 0 else []

    def read(self):
        try:
            data = os.read(self.fd, self._room())
        except BlockingIOError:
            return b""
        except OSError as error:
            say.note(f"standard input: {error.strerror}")
            data = b""
        if not data:
            self.fd = None
        self.unacknowledged += len(data)
        return data

    def ended(self):
        """True once: there is no more, and the guest has not been told."""
        if self.told_end or self.fd is not None or self.data:
            return False
        self.told_end = True
        return True
