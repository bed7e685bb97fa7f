# SPDX-License-Identifier: MIT
"""Disks with an ext4 for boot tests: made and looked at with e2fsprogs, used by a guest."""

import dataclasses
import shutil
import subprocess

from . import qemu, runner, test
from .scenario import Failed, Skip

# What programs in guests begin with that use a disk, and say what becomes of it.
PRELUDE = """
import ctypes, errno, functools, mmap, os, subprocess, sys, threading, time
print = functools.partial(print, flush=True)

def run(function, *arguments):      # its result, or the name of its error
    try:
        return function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]

def length(*arguments):
    return len(os.pread(*arguments))

def command(*words):
    return subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode

def opened(path, flags=os.O_RDWR):
    return os.open(path, flags)

def made(path):
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
"""


def tool(name):
    """A program of e2fsprogs, which may be outside of an ordinary user's PATH."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if not path:
        raise Skip(f"{name} is not installed")
    return path


def make_ext4(path, size, *options):
    """A new file system in the file, which is its return value."""
    path.unlink(missing_ok=True)
    subprocess.run([tool("mke2fs"), "-q", "-F", "-t", "ext4", *options, path, size], check=True,
                   capture_output=True)
    return path


def check_ext4(path):
    """e2fsck finds nothing, not even a journal to replay."""
    done = subprocess.run([tool("e2fsck"), "-fn", path], capture_output=True, text=True)
    if done.returncode or "recover" in done.stdout + done.stderr:
        raise Failed(f"e2fsck -fn {path.name}: status {done.returncode}\n{done.stdout}{done.stderr}")


def replay_ext4(path):
    """e2fsck's replay of the journal, which changes the file, leaves nothing to repair."""
    subprocess.run([tool("e2fsck"), "-fy", "-E", "journal_only", path], capture_output=True)
    done = subprocess.run([tool("e2fsck"), "-fp", path], capture_output=True, text=True)
    # 1: orphans were freed, counts in the super block brought up to date
    if done.returncode > 1:
        raise Failed(f"e2fsck -fp after the cut: status {done.returncode}\n{done.stdout}{done.stderr}")


def extract_ext4(path, folder):
    """The whole tree of a file system without a journal to replay, into an empty folder."""
    done = subprocess.run([tool("debugfs"), "-R", f"rdump / {folder}", path], capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if not line.startswith("debugfs ")]
    if done.returncode or said:
        raise Failed(f"debugfs {path.name}: status {done.returncode}\n" + "\n".join(said))


class Machine:
    """A guest with the image at /, and writable disks (files, or qemu.Drive) from /dev/vdb on.

    With `programs` the test programs are at /tests, on a disk of their own, and the others follow it."""

    def __init__(self, lab, *drives, kernel=None, memory=None, programs=False, words=(), **changes):
        configuration = dataclasses.replace(lab.configuration, kernel=kernel or lab.configuration.kernel,
                                            memory=memory or lab.configuration.memory)
        words = ["concord.mount=/dev/vdb:erofs:/tests", *words] if programs else list(words)
        machine = test.machine_for(configuration, lab.image, words,
                                   [test.programs_image(test.linux_programs())] if programs else [])
        machine.drives += [d if isinstance(d, qemu.Drive) else qemu.Drive(d) for d in drives]
        self.lab = lab
        self.guest = runner.Guest(machine.with_(**changes))

    def __enter__(self):
        self.guest.boot(self.lab.deadline)
        return self

    def __exit__(self, *_):
        self.guest.__exit__()

    def run(self, *argv, environment=None, status=0):
        """Its output."""
        done = self.guest.command(argv, deadline=self.lab.deadline,
                                  environment={**runner.ENVIRONMENT, **(environment or {})})
        if done.status != status:
            raise Failed(f"{' '.join(argv)[:200]}: status {done.status}\n{done.stdout.decode(errors='replace')}\n"
                         f"{done.stderr.decode(errors='replace')}\n{self.guest.console_text()[-2000:]}")
        return done.stdout.decode(errors="replace")

    def shell(self, script):
        return self.run("bash", "-euc", script)

    def power_off(self):
        if not self.guest.power_off(self.lab.left(30)):
            raise Failed(f"it does not power off\n{self.guest.console_text()[-2000:]}")

    def cases(self, program, where, *names):
        """Run a test program in a folder; what failed."""
        done = self.guest.command([f"/tests/{program}_test", *names], deadline=self.lab.deadline,
                                  environment={**runner.ENVIRONMENT, "TEST_DIR": where})
        lines = done.stdout.decode(errors="replace").splitlines()
        if not lines or done.status not in (0, 1):
            return [f"{program} in {where}: status {done.status}"]
        return [f"{program} in {where}: {line}" for line in lines if line.startswith("not ok")]
