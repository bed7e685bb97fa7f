# SPDX-License-Identifier: MIT
"""Disks that take their time, fall silent, or fail for a while: nbdkit has them (concord/nbd.py).

A program in the guest says when something is to happen to the disk; what programs see then is what they
see on Linux 6.1, where these tests hold, too, but for those of the driver's replacement."""

import os
import time

from concord import disks, nbd, qemu, runner
from concord.scenario import Failed, boot

PRELUDE = disks.PRELUDE + """
def operator(deed):                 # whoever has the disk does something to it
    print('!' + deed)
    sys.stdin.readline()

def mount(disk, where):             # and nothing is committed but by those who wait for it
    os.makedirs(where, exist_ok=True)
    return command('mount', '-t', 'ext4', '-o', 'noatime,commit=1000', '/dev/' + disk, where)

def store(path, data, sync=os.fsync):
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.pwrite(fd, data, 0)
        sync(fd)
    finally:
        os.close(fd)

def load(path, n=65536, offset=0):  # past the page cache
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        area = mmap.mmap(-1, n)
        return area[:os.preadv(fd, [area], offset)]
    finally:
        os.close(fd)

class Task(threading.Thread):       # run() in a thread of its own
    def __init__(self, *call):
        super().__init__()
        self.call = call
        self.start()

    def run(self):
        self.found = run(*self.call)

    def result(self):
        self.join()
        return self.found
"""


def once(configuration):
    return configuration.cpus == 2 and configuration.placement == "kernel"


def twice(configuration):
    return configuration.cpus == 2


class Play:
    """A program's lines; those with a ! are for the operator, who answers with a line when it is done."""

    def __init__(self, deeds):
        self.deeds = deeds
        self.lines, self.rest = [], b""
        self.answers, self.to_guest = os.pipe()

    def take(self, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"!"):
                self.deeds[line[1:].decode()]()
                os.write(self.to_guest, b"\n")
            else:
                self.lines.append(line.decode())

    def run(self, machine, script):
        try:
            done = machine.guest.command(["python3", "-c", PRELUDE + script], stdin=self.answers,
                                         on_stdout=self.take, deadline=machine.lab.deadline,
                                         environment=runner.ENVIRONMENT)
        finally:
            os.close(self.answers)
            os.close(self.to_guest)
        if done.status:
            self.lines.append(f"status {done.status}: {done.stderr.decode(errors='replace')}")
        return "\n".join(self.lines) + "\n"


def expect(lab, script, wanted, delay=0, words=(), more=None):
    """Run it in a guest whose /dev/vdb an NBD server has, and whose /dev/vdc is an ordinary disk; its console."""
    served = disks.make_ext4(lab.folder / "served", "32M", "-b4096")
    plain = disks.make_ext4(lab.folder / "plain", "32M", "-b4096")
    with nbd.Server(lab, served, delay) as server, \
            disks.Machine(lab, server.drive(), plain, words=words) as machine:
        deeds = {"pause": server.pause, "resume": server.resume, "break": server.fail,
                 "mend": server.mend, **(more(server, machine) if more else {})}
        found = Play(deeds).run(machine, script)
        if found != wanted:
            raise Failed(f"programs see\n{found}and not\n{wanted}{machine.guest.console_text()[-2000:]}")
        machine.power_off()
        console = machine.guest.console_text()
    for disk in (served, plain):
        disks.check_ext4(disk)
    return console


# -- beneath the limits ------------------------------------------------------------------------------

SLOW = """
print(mount('vdb', '/slow'), mount('vdc', '/fast'))
slow = [Task(store, f'/slow/{i}', bytes([i]) * 65536) for i in range(6)]
rounds = 0
while any(task.is_alive() for task in slow):
    store('/fast/file', b'f' * 65536)
    rounds += load('/fast/file') == b'f' * 65536
print(*[task.result() for task in slow], rounds > 6)
slow = [Task(load, f'/slow/{i}') for i in range(6)]
print(*[task.result() == bytes([i]) * 65536 for i, task in enumerate(slow)])
print(command('umount', '/slow'), command('umount', '/fast'))
"""
SLOW_SEEN = "0 0\nNone None None None None None True\nTrue True True True True True\n0 0\n"


def is_not_replaced(console):
    if "died" in console or "was killed" in console or "serves after" in console:
        raise Failed(f"its driver was replaced\n{console[-2000:]}")


@boot(when=once)
def a_slow_disk_makes_its_users_wait_and_nobody_else(lab):
    is_not_replaced(expect(lab, SLOW, SLOW_SEEN, delay=100))


VERY_SLOW = SLOW + """
mount('vdb', '/slow')
fd = os.open('/slow/3', os.O_RDONLY | os.O_DIRECT)
area = mmap.mmap(-1, 4096)
print(all(os.preadv(fd, [area], i % 16 * 4096) == 4096 and area[0] == 3 for i in range(40)))
os.close(fd)
print(command('umount', '/slow'))
"""


@boot(when=twice, full=True)
def a_disk_that_always_answers_in_time_is_never_replaced(lab):
    """Busy for much longer without a break than a single request may take."""
    is_not_replaced(expect(lab, VERY_SLOW, SLOW_SEEN + "True\n0\n", delay=500, words=["concord.stall=8000"]))


# -- silence -----------------------------------------------------------------------------------------

SILENT = """
print(mount('vdb', '/silent'), mount('vdc', '/fast'))
store('/silent/cached', b'c' * 65536)
operator('pause')
waiting = [Task(store, '/silent/new', b'n' * 65536), Task(load, '/silent/cached')]
for i in range(20):
    store('/fast/file', b'%d' % i * 32768)
    if load('/fast/file', 32768) != (b'%d' % i * 32768)[:32768]:
        print('other data', i)
print(open('/silent/cached').read() == 'c' * 65536, 'cached' in os.listdir('/silent'), command('ls', '/'))
print(*[task.is_alive() for task in waiting])
operator('resume')
print(waiting[0].result(), waiting[1].result() == b'c' * 65536, load('/silent/new') == b'n' * 65536)
print(command('umount', '/silent'), command('umount', '/fast'))
"""


@boot(when=twice)
def a_silent_disk_holds_up_those_who_need_it_only(lab):
    is_not_replaced(expect(lab, SILENT, "0 0\nTrue True 0\nTrue True\nNone True True\n0 0\n",
                           words=["concord.stall=1000000"]))


STALLED = """
print(mount('vdb', '/silent'), mount('vdc', '/fast'))
store('/silent/old', b'o' * 65536)
operator('pause')
waiting = [Task(store, '/silent/new', b'n' * 65536), Task(load, '/silent/old')]
operator('stall')
print(waiting[0].result(), waiting[1].result() == b'o' * 65536, load('/silent/new') == b'n' * 65536)
print(command('umount', '/silent'), command('umount', '/fast'))
"""


def until_it_is_replaced(server, machine):
    """Silent until its driver is ended for that: the successor's reset waits for the disk, in this emulator."""
    def stall():
        # The reset may come before the line is out: then all of the emulator waits for the disk.
        end = time.monotonic() + min(10, machine.lab.left())
        while "a stalled queue" not in machine.guest.console_text() and time.monotonic() < end:
            time.sleep(0.02)
        server.resume()
    return {"stall": stall}


@boot(when=lambda configuration: once(configuration) and not configuration.kernel)
def a_disk_that_is_silent_for_too_long_is_reset(lab):
    console = expect(lab, STALLED, "0 0\nNone True True\n0 0\n", words=["concord.stall=1000"],
                     more=until_it_is_replaced)
    if "virtio-blk.1 was killed: a stalled queue" not in console or "after a reset" not in console:
        raise Failed(f"its driver was not replaced\n{console[-2000:]}")


DEAF = """#!/bin/sh
b=/bin/busybox
until [ -b /dev/vda ]; do $b sleep 0.02; done
i=0 failed=0
while [ $i -lt 60 ]; do
	$b dd if=/dev/vda of=/dev/null bs=4k skip=$i count=1 iflag=direct 2>/tmp/said || failed=$((failed + 1))
	$b grep -o "Input/output error" /tmp/said
	i=$((i + 1))
done
echo "failed: $failed of $i"
$b poweroff -f
"""


@boot(when=lambda configuration: once(configuration) and not configuration.kernel)
def a_request_that_a_disk_is_silent_about_again_and_again_fails_and_the_disk_goes_on(lab):
    """Its drivers do not tell it of requests, which looks like a device that resets do not help."""
    disk = lab.file("disk", bytes(1 << 20))
    machine = lab.machine(["panic=-1", "concord.stall=1000", "virtio-blk.die=deaf:30"], memory=128,
                          initrd=lab.initramfs(DEAF), drives=[qemu.Drive(disk)])
    lab.expect_boot(machine, "virtio-blk.0: its device answered nothing 3 times in a row: 1 requests fail",
                    "Input/output error", "failed: 1 of 60", status=0)


# -- broken for a while ------------------------------------------------------------------------------

BROKEN = """
print(mount('vdb', '/mnt'))
store('/mnt/file', b'1' * 65536)
store('/mnt/other', b'o' * 65536)
operator('break')
print(run(store, '/mnt/file', b'2' * 65536, os.fdatasync), run(load, '/mnt/file'), run(load, '/mnt/other'))
print(open('/mnt/other').read() == 'o' * 65536)
operator('mend')
print(load('/mnt/file') == b'1' * 65536, load('/mnt/other') == b'o' * 65536)
print(run(store, '/mnt/file', b'3' * 65536), load('/mnt/file') == b'3' * 65536, command('umount', '/mnt'))
"""


@boot(when=once)
def a_disk_that_fails_for_a_while_is_used_again(lab):
    is_not_replaced(expect(lab, BROKEN, "0\nEIO EIO EIO\nTrue\nTrue True\nNone True 0\n"))
