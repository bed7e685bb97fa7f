# SPDX-License-Identifier: MIT
"""Disks of other hardware than virtio's (NVMe, AHCI): what a Linux on top does with one, and what it
notices when the driver dies.

What hardware can say that is wrong is tried on the host (drivers/block/*/test)."""

import hashlib
import random
import re
import shutil
import subprocess

from concord import disks, initrd, qemu
from concord.scenario import Failed, isolation

NAMES = {"nvme": "/dev/nvme0n1", "ahci": "/dev/sda"}


def on(cpus):
    return lambda c: c.placement == "kernel" and not c.kernel and c.cpus == cpus


def both_placements(c):
    return not c.kernel and c.cpus == 2


# -- under a client that compares every byte -----------------------------------------------------

def sweep(lab, bus, how, succession, *words, sometimes=()):
    disk = lab.file("disk", bytes(1 << 20))
    machine = lab.machine(["concord.system=test-heal", "loglevel=6", f"{bus}.die={how}", *words],
                          memory=64, drives=[qemu.Drive(disk, bus=bus)])
    seen = lab.expect_rounds(f"{bus}.0", machine)
    if succession not in seen or not seen <= {succession, *sometimes}:
        raise Failed(f"devices were taken over as {seen}\n{lab.last_words()}")


@isolation(when=on(2))
def an_nvme_driver_may_die_at_any_step_and_its_successor_too(lab):
    sweep(lab, "nvme", "sweep2", "after a reset")


@isolation(when=lambda c: c.placement == "kernel" and not c.kernel, full=True, seconds=300)
def an_nvme_driver_may_die_at_any_step(lab):
    sweep(lab, "nvme", "sweep", "after a reset")


@isolation(when=on(2))
def an_ahci_driver_may_die_at_any_step_and_its_successor_too(lab):
    sweep(lab, "ahci", "sweep2", "with the live device", sometimes=["after a reset"])


@isolation(when=lambda c: c.placement == "kernel" and not c.kernel, full=True, seconds=300)
def an_ahci_driver_may_die_at_any_step(lab):
    sweep(lab, "ahci", "sweep", "with the live device", sometimes=["after a reset"])


@isolation(when=on(4), full=True, seconds=300)
def an_ahci_driver_may_die_at_any_step_with_resets(lab):
    sweep(lab, "ahci", "sweep2", "after a reset", "ahci.adopt=reset")


# -- under a Linux -------------------------------------------------------------------------------

ROOT_USER = """#!/bin/sh
b=/bin/busybox
$b mount -t proc proc /proc
echo "root: $($b grep ' / ' /proc/mounts)"
echo "blocks: $($b blockdev --getss DISK)"
$b dd if=/dev/urandom of=/written bs=64k count=16 2>/dev/null
$b cp /written /copy
$b sync
echo 3 > /proc/sys/vm/drop_caches
$b cmp /written /copy && echo "the same"
echo "sum: $($b sha256sum < /written)"
$b mount -o remount,ro /
$b poweroff -f
"""


def root_disk(lab, bus, script):
    """A disk with an ext4 file system, whose /init is the script."""
    tree = lab.folder / "tree"
    for folder in ("bin", "dev", "proc", "sys", "tmp"):
        (tree / folder).mkdir(parents=True)
    shutil.copy(initrd.BUSYBOX, tree / "bin/busybox")
    (tree / "bin/sh").symlink_to("busybox")
    (tree / "init").write_text(script.replace("DISK", NAMES[bus]))
    (tree / "init").chmod(0o755)
    disk = lab.folder / "disk"
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-d", tree, disk, "24M"],
                   check=True, capture_output=True)
    return disk


def file_on(disk, name):
    """The bytes of a file in the file system on a disk."""
    out = disk.with_name("out")
    subprocess.run(["debugfs", "-R", f"dump {name} {out}", disk], check=True, capture_output=True)
    return out.read_bytes()


def root_file_system(lab, bus, options, block):
    disk = root_disk(lab, bus, ROOT_USER)
    name = NAMES[bus]
    machine = lab.machine([f"root={name}", "rw", "init=/init", "panic=-1"], memory=128,
                          drives=[qemu.Drive(disk, bus=bus, options=options)])
    ended = lab.expect_boot(machine, f"root: {name} / ext4 rw", f"blocks: {block}", "the same", status=0)
    said = re.search(r"sum: ([0-9a-f]{64})", ended.console)
    for name in ("/written", "/copy"):
        if not said or hashlib.sha256(file_on(disk, name)).hexdigest() != said.group(1):
            raise Failed(f"{name} on the disk has other contents\n{lab.last_words()}")
    disks.check_ext4(disk)


@isolation(when=both_placements)
def a_root_file_system_on_nvme(lab):
    """Blocks of 4096 bytes, and commands of 8 KiB at the most, so that requests are split."""
    root_file_system(lab, "nvme", "logical_block_size=4096,physical_block_size=4096,mdts=1", 4096)


@isolation(when=both_placements)
def a_root_file_system_on_ahci(lab):
    root_file_system(lab, "ahci", "", 512)


USER = """#!/bin/sh
b=/bin/busybox
$b mount -t proc proc /proc
until [ -b DISK ]; do $b sleep 0.02; done
i=0
while [ $i -lt 25 ]; do
	i=$((i + 1))
	$b dd if=/dev/urandom of=/tmp/wanted bs=64k count=8 2>/dev/null
	$b dd if=/tmp/wanted of=DISK bs=64k conv=fsync 2>/dev/null || echo "write: $?"
	$b dd if=DISK of=/tmp/found bs=64k count=8 iflag=direct 2>/dev/null || echo "read: $?"
	$b cmp /tmp/wanted /tmp/found || echo "round $i: other data"
done
echo "rounds: $i"
echo "sum: $($b sha256sum < /tmp/wanted)"
$b poweroff -f
"""


def deaths_go_unnoticed(lab, bus, succession):
    disk = lab.file("disk", bytes(1 << 20))
    machine = lab.machine(["panic=-1", f"concord.kill={bus}.0@100/100"], memory=128,
                          initrd=lab.initramfs(USER.replace("DISK", NAMES[bus])),
                          drives=[qemu.Drive(disk, bus=bus)])
    ended = lab.expect_boot(machine, f"{bus}.0 was killed: concord.kill", succession, "rounds: 25", status=0)
    for wrong in ("write:", "read:", "other data", "differ", "error"):
        if wrong in ended.console:
            raise Failed(f"the console says {wrong!r}\n{lab.last_words()}")
    wanted = hashlib.sha256(disk.read_bytes()[:512 << 10]).hexdigest()
    if f"sum: {wanted}" not in ended.console:
        raise Failed(f"the disk has other contents\n{lab.last_words()}")


@isolation(when=both_placements)
def programs_do_not_notice_that_an_nvme_driver_dies(lab):
    deaths_go_unnoticed(lab, "nvme", "after a reset")


@isolation(when=both_placements)
def programs_do_not_notice_that_an_ahci_driver_dies(lab):
    deaths_go_unnoticed(lab, "ahci", "with the live device")


FAULTY_USER = """#!/bin/sh
b=/bin/busybox
until [ -b DISK ]; do $b sleep 0.02; done
$b dd if=DISK of=/tmp/a bs=4k count=4 iflag=direct 2>/dev/null; echo "before: $?"
$b dd if=DISK of=/tmp/a bs=4k skip=40 count=1 iflag=direct 2>&1 | $b grep -o "Input/output error"
$b dd if=DISK of=/tmp/a bs=4k skip=41 count=4 iflag=direct 2>/dev/null; echo "after: $?"
for i in 1 2 3 4 5 6; do
	$b dd if=DISK of=/tmp/$i bs=4k skip=$((i * 5)) count=5 iflag=direct 2>/dev/null || echo "other: $?" &
done
$b dd if=DISK of=/tmp/a bs=4k skip=40 count=1 iflag=direct 2>&1 | $b grep -c "Input/output error"
wait
for i in 1 2 3 4 5 6; do $b cat /tmp/$i; done | $b sha256sum
$b poweroff -f
"""


def errors_of_the_device(lab, bus):
    """A bad sector, which blkdebug makes, in a read of its own and beside others."""
    data = random.Random(1).randbytes(1 << 20)
    disk = lab.file("disk", data)
    rules = lab.file("rules", b'[inject-error]\nevent = "read_aio"\nsector = "320"\n')
    machine = lab.machine(["panic=-1"], memory=128, initrd=lab.initramfs(FAULTY_USER.replace("DISK", NAMES[bus])),
                          drives=[qemu.Drive(f"blkdebug:{rules}:{disk}", bus=bus)])
    ended = lab.expect_boot(machine, "before: 0", "Input/output error", "after: 0", "\n1",
                            hashlib.sha256(data[5 * 4096:35 * 4096]).hexdigest(), status=0)
    if "other:" in ended.console:
        raise Failed(f"another read failed\n{lab.last_words()}")


@isolation(when=on(2))
def an_error_of_an_nvme_disk_is_an_error_of_the_request(lab):
    errors_of_the_device(lab, "nvme")


@isolation(when=on(2))
def an_error_of_an_ahci_disk_is_an_error_of_the_request(lab):
    errors_of_the_device(lab, "ahci")
