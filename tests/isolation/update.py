# SPDX-License-Identifier: MIT
"""conctl update: drivers get other programs while they work, and their clients do not notice."""

from concord import places, qemu
from concord.scenario import Failed, isolation

# Works on the disk, and compares, until it is told to stop.
LOAD = """
load() {
	i=0
	until [ -e /tmp/stop ]; do
		i=$((i + 1))
		$b dd if=/dev/urandom of=/tmp/wanted bs=64k count=8 2>/dev/null
		$b dd if=/tmp/wanted of=/dev/vda bs=64k conv=fsync 2>/dev/null || echo "write: $?"
		$b dd if=/dev/vda of=/tmp/found bs=64k count=8 iflag=direct 2>/dev/null || echo "read: $?"
		$b cmp /tmp/wanted /tmp/found || echo "round $i: other data"
	done
	echo "rounds: $i"
}
"""

BEGIN = """#!/bin/sh
b=/bin/busybox
$b mount -t proc proc /proc
until [ -b /dev/vda ]; do $b sleep 0.02; done
"""


def start(lab, script, *words):
    disk = lab.file("disk", bytes(1 << 20))
    built = places.BUILD / "tests/isolation/components"
    files = {"good": places.BUILD / "drivers/driver-virtio-blk",
             "uart": places.BUILD / "drivers/driver-uart16550",
             **{bad: built / f"bad-driver-{bad}" for bad in ("fault", "hang", "late", "silent")}}
    machine = lab.machine(["panic=-1", *words], memory=256, drives=[qemu.Drive(disk, False)])
    archive = lab.initramfs(BEGIN + script + "$b poweroff -f\n",
                            {name: path.read_bytes() for name, path in files.items()},
                            programs={"bin/conctl": places.CONCTL.read_bytes()})
    return machine.with_(initrd=archive)


def no_errors(lab, ended):
    for wrong in ("write:", "read:", "other data", "differ", "I/O error"):
        if wrong in ended.console:
            raise Failed(f"the console says {wrong!r}\n{lab.last_words()}")


@isolation(when=lambda c: not c.kernel and c.cpus == 2)
def a_driver_is_updated_under_load(lab):
    """Twice, so that the first update is what the second one replaces, and one that died after it."""
    machine = start(lab, LOAD + """
load & work=$!
for i in 1 2; do conctl update virtio-blk.0 /good; echo "update $i: $?"; done
conctl kill virtio-blk.0
conctl update uart.0 /uart; echo "serial: $?"
: >/tmp/stop
wait $work
conctl ps
""", "concord.probation=300")
    ended = lab.expect_boot(machine, "virtio-blk.0: incarnation 2 serves after", "virtio-blk.0: kept",
                            "update 1: 0", "virtio-blk.0: incarnation 3 serves after", "update 2: 0",
                            "uart.0: kept", "serial: 0", "rounds: ", status=0)
    no_errors(lab, ended)


@isolation(when=lambda c: not c.kernel and c.placement == "kernel" and c.cpus == 2)
def a_bad_update_is_taken_back(lab):
    machine = start(lab, LOAD + """
load & work=$!
for i in fault hang late silent; do conctl update virtio-blk.0 /$i; echo "$i: $?"; done
: >/tmp/stop
wait $work
""", "concord.probation=3000")
    ended = lab.expect_boot(machine, "fault: 1", "hang: 1", "late: 1", "silent: 1",
                            "the new program died: exception 14", "the new program was ended: no heartbeat",
                            "the new program was ended: a stalled queue", "rounds: ", status=0)
    no_errors(lab, ended)
    if ended.console.count("the old one is back") != 4:
        raise Failed(f"not all were taken back\n{lab.last_words()}")


@isolation(when=lambda c: not c.kernel and c.placement == "kernel" and c.cpus == 2)
def an_update_with_nonsense_is_refused(lab):
    machine = start(lab, """
try() { conctl update "$@" 2>&1; }
$b head -c 5000 /good >/tmp/short; try virtio-blk.0 /tmp/short
try virtio-blk.0 /init
$b head -c 5000000 /dev/zero >/tmp/large; try virtio-blk.0 /tmp/large
: >/tmp/empty; try virtio-blk.0 /tmp/empty
$b cp /good /tmp/other; $b chown 1000 /tmp/other; try virtio-blk.0 /tmp/other
$b cp /good /tmp/open; $b chmod 666 /tmp/open; try virtio-blk.0 /tmp/open
try virtio-blk.0 /tmp
try virtio-blk.0 /nowhere
try virtio-blk.7 /good
try a-name-that-is-longer-than-any-component-has /good
try devices.0 /good
$b head -c 4096 /dev/urandom >/tmp/r; $b cat /good /tmp/r >/tmp/more; $b dd if=/tmp/r of=/tmp/more bs=1 seek=64 count=56 conv=notrunc 2>/dev/null; try virtio-blk.0 /tmp/more
try virtio-blk.0; echo "usage: $?"
$b dd if=/dev/vda of=/dev/null bs=64k count=1 iflag=direct 2>/dev/null; echo "read: $?"
conctl ps
""")
    lab.expect_boot(machine,
                    "virtio-blk.0: the program is truncated", "virtio-blk.0: the program is not an ELF file",
                    "/tmp/large: larger than 4 MiB", "/tmp/empty: empty",
                    "/tmp/other: others than root can write it", "/tmp/open: others than root can write it",
                    "/tmp: not a regular file", "/nowhere: No such file", "virtio-blk.7: no such component",
                    "than-any-component-has: no such component",
                    "devices.0: it is none that can be replaced while it runs",
                    "usage: 2", "read: 0", status=0)
