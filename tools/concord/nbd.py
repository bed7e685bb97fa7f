# SPDX-License-Identifier: MIT
"""Disks that are slow, silent, or broken for a while: nbdkit serves a file, with its filters in between.

QEMU's own faults (Drive.faults) are errors where a sector is touched; what takes time is here."""

import shutil
import socket
import subprocess
import time

from . import qemu, say
from .scenario import Failed, Skip


class Server:
    """A disk that nbdkit has: it ends with the `with` block, or when we do.

    delay   milliseconds that each read and each write takes; they do not wait for each other"""

    def __init__(self, lab, path, delay=0):
        program = shutil.which("nbdkit")
        if not program:
            raise Skip("nbdkit is not installed")
        self.lab = lab
        self.socket = path.with_name(path.name + ".nbd")
        self.control = path.with_name(path.name + ".pause")
        self.trigger = path.with_name(path.name + ".broken")
        self.started = path.with_name(path.name + ".pid")
        self.argv = [program, "-f", "-U", self.socket, "-P", self.started,
                     "--filter=pause", "--filter=error", "--filter=delay", "file", path,
                     f"pause-control={self.control}", f"rdelay={delay}ms", f"wdelay={delay}ms",
                     "error=EIO", "error-rate=100%", f"error-file={self.trigger}"]

    def __enter__(self):
        say.command(self.argv)
        self.child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *self.argv],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.PIPE, start_new_session=True)
        # The file with its number is written when it serves.
        while not self.started.exists():
            if self.child.poll() is not None or time.monotonic() > self.lab.deadline:
                raise Failed(f"nbdkit does not start: {self._end()}")
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        self._end()

    def _end(self):
        """What it said."""
        self.child.kill()
        return self.child.communicate()[1].decode(errors="replace")

    def drive(self, **options):
        return qemu.Drive(self.socket, is_served=True, **options)

    def _tell(self, letter):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(self.lab.left())
            s.connect(str(self.control))
            s.sendall(letter)
            if s.recv(1) != letter.upper():
                raise Failed("nbdkit does not do what it is told")

    def pause(self):
        """All that was asked for is answered, and nothing more until resume()."""
        self._tell(b"p")

    def resume(self):
        self._tell(b"r")

    def fail(self):
        """From now on everything fails with EIO, until mend()."""
        self.trigger.touch()

    def mend(self):
        self.trigger.unlink()
