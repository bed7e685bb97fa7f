# SPDX-License-Identifier: MIT
"""A bench for boot tests: machines of their own, consoles, initramfs archives."""

import io
import os
import pty
import re
import select
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from . import cpio, initrd, kernels, places, qemu, runner, say
from .scenario import Failed


@dataclass
class Ended:
    """How a machine ended: QEMU's status (None: it had to be stopped) and the console."""
    status: int | None
    console: str
    seconds: float


class Lab:
    def __init__(self, configuration, image, seconds):
        self.configuration = configuration
        self.image = image
        self.kernel = kernels.find(configuration.kernel)
        self.linux = self.kernel.linux
        self.deadline = time.monotonic() + seconds
        self._folder = tempfile.TemporaryDirectory(prefix="concord-lab-")
        self.folder = Path(self._folder.name)
        self._console = self.folder / "console"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._folder.cleanup()

    def console(self):
        """What the last machine's console says."""
        return self._console.read_bytes().decode(errors="replace").replace("\r", "")

    def last_words(self):
        if not self._console.exists():
            return ""
        return "\n".join(["the console ended with:", *self.console().splitlines()[-30:]])

    def machine(self, words=(), **changes):
        """A bare machine of this configuration: no disks, no initrd, words as given."""
        machine = qemu.Machine(self.kernel, machine=self.configuration.machine,
                               memory=self.configuration.memory, cpus=self.configuration.cpus,
                               iommu=self.configuration.has_iommu)
        machine.words = ["console=ttyS0"]
        if self.linux:
            machine.words.append("panic=-1")        # ours ends QEMU after a panic
        elif self.configuration.placement != "kernel":
            machine.words.append(f"concord.placement={self.configuration.placement}")
        machine.words += words
        return machine.with_(**changes)

    def initramfs(self, init, files=(), gzip=False, busybox=True, programs=()):
        """An archive with /init (a script for busybox, or a program's bytes), files and programs."""
        stream = io.BytesIO()
        archive = cpio.Archive(stream)
        for directory in ("bin", "dev", "proc", "sys", "tmp"):
            archive.directory(directory)
        archive.device("dev/console", 5, 1)
        if busybox:
            archive.file("bin/busybox", initrd.BUSYBOX.read_bytes(), 0o755)
            for name in ("sh", "echo", "cat", "mount", "poweroff", "reboot", "ls", "sleep"):
                archive.symlink(f"bin/{name}", "busybox")
        if init is not None:
            archive.file("init", init.encode() if isinstance(init, str) else init, 0o755)
        for name, data in dict(files).items():
            archive.file(name, data)
        for name, data in dict(programs).items():
            archive.file(name, data, 0o755)
        archive.close()
        return self.file("initramfs.cpio" + (".gz" if gzip else ""), stream.getvalue(), gzip)

    def elf(self):
        """The kernel under test as an ELF file's bytes; out of the bzImage, for Linux."""
        return kernels.uncompressed(self.kernel)

    def file(self, name, data, gzip=False):
        path = self.folder / name
        if gzip:
            import gzip as compressor
            data = compressor.compress(data, mtime=0)
        path.write_bytes(data)
        return path

    def left(self, seconds=None):
        """Seconds until the test's deadline, at most `seconds`."""
        left = max(self.deadline - time.monotonic(), 0.1)
        return left if seconds is None else min(left, seconds)

    def boot(self, machine, until=None, seconds=None):
        """Boot and watch the console until QEMU ends, or until the text appears there."""
        self._console.write_bytes(b"")
        begin = time.monotonic()
        process = qemu.Process(machine, self._console)
        try:
            end = begin + self.left(seconds)
            while time.monotonic() < end:
                if process.wait(0.05) is not None:
                    break
                if until and until in self.console():
                    break
            return Ended(process.child.poll(), self.console(), time.monotonic() - begin)
        finally:
            process.stop()

    def expect_boot(self, machine, *texts, status=None, seconds=None):
        """Boot until QEMU ends; the texts must be on the console, and the status be right."""
        ended = self.boot(machine, seconds=seconds)
        for text in texts:
            if text not in ended.console:
                raise Failed(f"the console does not say {text!r}\n{self.last_words()}")
        if status == 0 and "Kernel panic" in ended.console:
            raise Failed(f"it panicked\n{self.last_words()}")
        if status is not None and ended.status != status:
            raise Failed(f"QEMU ended with {ended.status}, not {status}\n{self.last_words()}")
        return ended

    def expect_rounds(self, name, machine):
        """Boot the client of concord.system=test-heal, under which the driver `name` dies at its ring
        operations: every round has to be right, and nearly every one to have had a death.  Returns
        how the device was taken over, a set of the log's words."""
        ended = self.expect_boot(machine, "heal: done", status=0)
        said = re.search(rf"heal: {name}: (\d+) rounds, (\d+) deaths: same data", ended.console)
        if not said:
            raise Failed(f"{name} did not get through its rounds\n{self.last_words()}")
        made, deaths = map(int, said.groups())
        # Where the last operation is depends on how requests meet: the last rounds are without a death.
        if made < 40 or deaths < made * 0.8:
            raise Failed(f"{deaths} deaths in {made} rounds\n{self.last_words()}")
        for wrong in ("no heartbeat", "stalled queue", "in a row"):
            if wrong in ended.console:
                raise Failed(f"the log says {wrong!r}\n{self.last_words()}")
        return set(re.findall(r"serves after \d+ us, ([^:]*):", ended.console))

    def concord(self, *words, stdin=b"", seconds=None):
        """Run ./concord itself with the kernel under test; a CompletedProcess."""
        argv = [str(places.ROOT / "concord"), *words]
        say.command(argv)
        try:
            return subprocess.run(argv, input=stdin, capture_output=True, timeout=self.left(seconds))
        except subprocess.TimeoutExpired:
            raise Failed(f"{' '.join(argv)}: still running after {self.left(seconds):.0f} s") from None

    def run_options(self):
        """Options of `./concord run` for this configuration."""
        options = ["--cpus", str(self.configuration.cpus), "--memory", str(self.configuration.memory),
                   "--machine", self.configuration.machine]
        if self.configuration.kernel:
            return options + ["--kernel", self.configuration.kernel]
        return options + ["--placement", self.configuration.placement]

    def terminal(self, *words, rows=24, columns=80):
        return Terminal([str(places.ROOT / "concord"), *words], rows, columns, self.deadline)


class Terminal:
    """A program on a pseudo-terminal: what a person at a keyboard would see and do."""

    def __init__(self, argv, rows, columns, deadline):
        self.deadline = deadline
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            import fcntl
            import struct
            import termios
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.environ["TERM"] = "xterm"
            try:
                os.execv(argv[0], argv)
            finally:
                os._exit(127)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass

    def type(self, text):
        """Press keys; the one for the end of a line sends a carriage return."""
        os.write(self.fd, text.replace("\n", "\r").encode())

    def _read(self, end):
        ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False        # the other side has closed
        self.seen += data.decode(errors="replace").replace("\r", "")
        return bool(data)

    def expect(self, pattern, seconds=30):
        """Wait until the pattern appears in what was not matched before; the match."""
        end = min(self.deadline, time.monotonic() + seconds)
        while True:
            match = re.search(pattern, self.seen)
            if match:
                self.seen = self.seen[match.end():]
                return match
            if not self._read(end):
                raise Failed(f"the terminal did not show {pattern!r}; it showed:\n{self.seen[-3000:]}")

    def expect_end(self, seconds=30):
        """Wait for the program to end; its exit status."""
        end = min(self.deadline, time.monotonic() + seconds)
        while time.monotonic() < end:
            self._read(min(end, time.monotonic() + 0.1))
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
        raise Failed(f"still running; the terminal showed:\n{self.seen[-3000:]}")
