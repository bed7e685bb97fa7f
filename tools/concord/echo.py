# SPDX-License-Identifier: MIT
"""The other end of a guest's port: sends back what comes, without hurry and in pieces of any length."""

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
                    s.sendall(data)
            except OSError:
                pass            # the machine ended
