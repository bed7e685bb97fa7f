# SPDX-License-Identifier: MIT
"""The runner and the host's side of its protocol, without a machine between them.

Usage: serve_test.py CONCORD-INIT"""

import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from concord import runner  # noqa: E402

PROGRAM = None
ENVIRONMENT = {"PATH": os.environ["PATH"]}


class FakeProcess:
    """Stands for QEMU: the runner itself, as a child."""

    def __init__(self, theirs):
        self.child = subprocess.Popen([PROGRAM, "--serve", str(theirs.fileno())], pass_fds=[theirs.fileno()],
                                      stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        theirs.close()

    def wait(self, timeout):
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def complaint(self):
        return ""

    def stop(self):
        self.child.kill()
        self.child.wait()


class FakeGuest(runner.Guest):
    def __init__(self):
        handle, self.console = tempfile.mkstemp()
        os.close(handle)
        self.port, theirs = socket.socketpair()
        self.port.setblocking(False)
        self.incoming, self.outgoing, self.started = bytearray(), bytearray(), False
        self.process = FakeProcess(theirs)


class Serving(unittest.TestCase):
    def setUp(self):
        self.guest = FakeGuest()
        self.guest.boot(time.monotonic() + 10)

    def tearDown(self):
        self.guest.__exit__()

    def run_program(self, *argv, stdin=None, seconds=20, **options):
        return self.guest.command(argv, stdin, deadline=time.monotonic() + seconds, directory="/",
                                  environment=options.pop("environment", ENVIRONMENT), **options)

    def test_arguments_environment_and_directory(self):
        result = self.run_program("sh", "-c", 'printf "%s|" "$@" "$WORD" "$PWD" "${HOME-none}"', "name",
                                  "a b", "", "\udcff*", environment={**ENVIRONMENT, "WORD": "x=y z"})
        self.assertEqual(result.stdout, b"a b||\xff*|x=y z|/|none|")

    def test_statuses(self):
        for argv, status in ((["true"], 0), (["sh", "-c", "exit 77"], 77), (["sh", "-c", "kill -9 $$"], 137),
                             (["no-such-program"], 127), (["/no/such"], 127), (["/etc/passwd"], 126),
                             (["/"], 126)):
            self.assertEqual(self.run_program(*argv).status, status, argv)
        result = self.guest.command(["true"], directory="/nonexistent", deadline=time.monotonic() + 10)
        self.assertEqual(result.status, 126)
        self.assertIn(b"/nonexistent", result.stderr)

    def test_large_streams_both_ways_at_once(self):
        data = os.urandom(1 << 16) * 256
        result = self.run_program("sh", "-c", "tee /dev/stderr", stdin=data, seconds=60)
        self.assertEqual(result.status, 0)
        self.assertTrue(result.stdout == data and result.stderr == data)

    def test_input_from_a_descriptor(self):
        with tempfile.TemporaryFile() as file:
            file.write(b"x" * 1000000)
            file.seek(0)
            self.assertEqual(self.run_program("wc", "-c", stdin=file.fileno()).stdout.strip(), b"1000000")

    def test_input_that_nobody_reads(self):
        self.assertEqual(self.run_program("true", stdin=bytes(4 << 20)).status, 0)
        self.assertEqual(self.run_program("head", "-c", "2", stdin=b"ab" * (1 << 20)).stdout, b"ab")
        closed = self.run_program("sh", "-c", "exec <&-; sleep 0.3; echo on", stdin=bytes(4 << 20))
        self.assertEqual(closed.stdout, b"on\n")
        # What was in flight then must not reach the next program.
        self.assertEqual(self.run_program("cat", stdin=b"next").stdout, b"next")

    def test_processes_left_behind_do_not_delay_the_end(self):
        begin = time.monotonic()
        result = self.run_program("sh", "-c", "sleep 5 & echo out")
        self.assertEqual((result.status, result.stdout), (0, b"out\n"))
        self.assertLess(time.monotonic() - begin, 4)

    def test_signals_are_as_a_shell_leaves_them(self):
        status = self.run_program("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status").stdout.decode()
        self.assertEqual([int(line.split()[1], 16) for line in status.splitlines()], [0, 0])

    def test_descriptors_do_not_leak_into_programs(self):
        shown = self.run_program("ls", "/proc/self/fd").stdout.split()
        self.assertEqual(shown, [b"0", b"1", b"2", b"3"])     # 3: the directory itself

    def test_many_commands_one_after_the_other(self):
        for i in range(200):
            self.assertEqual(self.run_program("echo", str(i)).stdout, b"%d\n" % i)

    def test_deadline(self):
        with self.assertRaises(runner.GuestTimeout):
            self.run_program("sleep", "10", seconds=0.3)

    def test_kill_ends_the_program_group(self):
        self.guest._send(runner.START, start_frame(["sh", "-c", "sleep 100; true"]))
        self.guest._expect(runner.STARTED, time.monotonic() + 5)
        time.sleep(0.2)
        self.guest._send(runner.KILL, struct.pack("<I", 15))
        (status,) = struct.unpack("<I", self.guest._expect(runner.EXIT, time.monotonic() + 5))
        self.assertEqual(status, 143)


def start_frame(argv):
    words = [*argv, "/"]
    return struct.pack("<II", len(argv), 0) + b"".join(word.encode() + b"\0" for word in words)


class BrokenHost(unittest.TestCase):
    """Frames that a correct host never sends end the runner with ERROR."""

    def refused(self, *frames):
        with FakeGuest() as guest:
            guest.boot(time.monotonic() + 10)
            guest.outgoing += b"".join(frames)
            with self.assertRaisesRegex(runner.GuestDied, "gave up"):
                guest._expect(runner.EXIT, time.monotonic() + 10)
            self.assertEqual(guest.process.wait(10), 1)

    def test_frames(self):
        def frame(kind, data=b"", length=None):
            return struct.pack("<II", kind, len(data) if length is None else length) + data

        self.refused(frame(0))
        self.refused(frame(63))
        self.refused(frame(runner.HELLO, b"1234"))
        self.refused(frame(runner.START, length=1 << 30))
        self.refused(frame(runner.START))
        self.refused(frame(runner.START, struct.pack("<II", 0, 0) + b"/\0"))
        self.refused(frame(runner.START, struct.pack("<II", 1, 0) + b"true\0"))
        self.refused(frame(runner.START, struct.pack("<II", 1, 0) + b"true\0/"))
        self.refused(frame(runner.START, struct.pack("<II", 0xffffffff, 0xffffffff) + b"true\0/\0"))
        self.refused(frame(runner.START, start_frame(["sleep", "3"])),
                     frame(runner.START, start_frame(["true"])))
        self.refused(frame(runner.START, start_frame(["sleep", "3"])),
                     frame(runner.STDIN, bytes(runner.WINDOW)), frame(runner.STDIN, bytes(runner.WINDOW)))
        self.refused(frame(runner.KILL, b"1"))

    def test_hang_up_ends_it(self):
        guest = FakeGuest()
        guest.boot(time.monotonic() + 10)
        guest.port.close()
        self.assertEqual(guest.process.wait(10), 0)
        os.unlink(guest.console)


def setUpModule():
    # As the kernel starts an init: a shell in the background, and nohup, have their programs ignore these.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop()
    unittest.main(verbosity=2)
