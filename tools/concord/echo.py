# SPDX-License-Identifier: MIT
"""The other end of a guest's port: sends back what comes, without hurry and in pieces of any length."""

import collections
import socket
import threading
import time


class Echo(threading.Thread):
    """Of the socket at `path`, at which an emulator listens, or will.  Ends with the machine, or with the block."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path = path
        self.ended = False
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended = True
        self.join()

    def hears(self, data):
        """For others that look at what comes."""

    def run(self):
        with socket.socket(socket.AF_UNIX) as s:
            while not self.ended:
                try:
                    s.connect(str(self.path))
                    break
                except OSError:
                    time.sleep(0.02)
            try:
                while not self.ended and (data := s.recv(1777)):
                    self.hears(data)
                    s.sendall(data)
            except OSError:
                pass            # the machine ended


class FrameEcho(Echo):
    """The same of a network card (qemu.Net "stream"): `came` counts each frame that the guest sent."""

    def __init__(self, path):
        self.came = collections.Counter()
        self._rest = b""
        super().__init__(path)

    def hears(self, data):
        self._rest += data
        while len(self._rest) >= 4:
            end = 4 + int.from_bytes(self._rest[:4], "big")
            if len(self._rest) < end:
                break
            self.came[self._rest[4:end]] += 1
            self._rest = self._rest[end:]
