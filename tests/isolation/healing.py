# SPDX-License-Identifier: MIT
"""Drivers die, and their clients do not notice.

The client of test-heal (components/heal_client.c) works in rounds and compares every byte; its
driver dies at the n-th ring operation of the n-th round, until all operations of a round
have been tried (lib/drv/include/drv/die.h)."""

import re

from concord import qemu
from concord.echo import Echo, FrameEcho
from concord.scenario import Failed, isolation

MEMORY = 64


def on(cpus):
    return lambda c: c.placement == "kernel" and not c.kernel and c.cpus == cpus


def everywhere(c):
    return c.placement == "kernel" and not c.kernel


def sweep_disk(lab, machine, adopt, sweep):
    disk = lab.file("disk", bytes(1 << 20))
    machine = lab.machine(["concord.system=test-heal", "loglevel=6", f"virtio-blk.die={sweep}",
                           f"virtio-blk.adopt={adopt}"],
                          memory=MEMORY, machine=machine, drives=[qemu.Drive(disk, False)])
    how = lab.expect_rounds("virtio-blk.0", machine)
    wanted = {"with the live device"} if adopt == "live" else {"after a reset"}
    if how != wanted:
        raise Failed(f"devices were taken over as {how}, not {wanted}")


def sweep_console(lab, machine, adopt, sweep):
    path = lab.folder / "port"
    machine = lab.machine(["concord.system=test-heal", "loglevel=6", f"virtio-console.die={sweep}",
                           f"virtio-console.adopt={adopt}"],
                          memory=MEMORY, machine=machine, ports=[path])
    Echo(path)
    lab.expect_rounds("virtio-console.0", machine)


def sweep_serial(lab, machine, adopt, sweep):
    """The port's kernel calls are in between two kill points each: what passed is known all the same."""
    path = lab.folder / "serial"
    machine = lab.machine(["concord.system=test-heal", "loglevel=6", f"uart.die={sweep}"],
                          memory=MEMORY, machine=machine, serials=[path])
    Echo(path)
    lab.expect_rounds("uart.1", machine)


NET_DRIVERS = {"virtio": "virtio-net", "e1000": "e1000"}


def sweep_net(lab, machine, adopt, sweep, device="virtio"):
    path = lab.folder / "net"
    driver = NET_DRIVERS[device]
    machine = lab.machine(["concord.system=test-heal", "loglevel=6", f"{driver}.die={sweep}",
                           f"{driver}.adopt={adopt}"],
                          memory=MEMORY, machine=machine, nets=[qemu.Net("stream", path=path, device=device)])
    with FrameEcho(path) as echo:
        how = lab.expect_rounds(f"{driver}.0", machine)
    wanted = {"with the live device"} if adopt == "live" else {"after a reset"}
    if how != wanted:
        raise Failed(f"devices were taken over as {how}, not {wanted}")
    sent, lost = map(int, re.search(r"(\d+) frames sent, (\d+) of them did not", lab.console()).groups())
    twice = sum(echo.came.values()) - len(echo.came)
    # A reset leaves it open how much of a frame is out, and what comes during it is lost.
    if len(echo.came) != sent or (adopt == "live" and (twice or lost)):
        raise Failed(f"of {sent} frames {len(echo.came)} came, {twice} of them twice, and {lost} did not come back")


def sweep_e1000(lab, machine, adopt, sweep):
    sweep_net(lab, machine, adopt, sweep, "e1000")


# -- every kill point ------------------------------------------------------------------------------

@isolation(when=on(2))
def a_disk_driver_may_die_at_any_step(lab):
    sweep_disk(lab, "q35", "live", "sweep")


@isolation(when=on(2))
def a_disk_driver_may_die_at_any_step_if_its_device_has_to_be_reset(lab):
    sweep_disk(lab, "microvm", "reset", "sweep2")


@isolation(when=on(2))
def a_console_driver_may_die_at_any_step(lab):
    sweep_console(lab, "microvm", "live", "sweep2")


@isolation(when=on(2))
def a_network_driver_may_die_at_any_step(lab):
    sweep_net(lab, "q35", "live", "sweep")


@isolation(when=on(2))
def a_network_driver_may_die_at_any_step_if_its_device_has_to_be_reset(lab):
    sweep_net(lab, "microvm", "reset", "sweep2")


@isolation(when=on(2))
def an_e1000_driver_may_die_at_any_step(lab):
    sweep_net(lab, "q35", "live", "sweep", "e1000")


@isolation(when=on(2))
def an_e1000_card_may_have_to_be_reset_under_its_frames(lab):
    """At each step: in the full tests, as QEMU's card receives nothing for a second after each reset."""
    path = lab.folder / "net"
    machine = lab.machine(["concord.system=test-heal", "loglevel=6", "e1000.die=100", "e1000.adopt=reset"],
                          memory=MEMORY, nets=[qemu.Net("stream", path=path, device="e1000")])
    with FrameEcho(path):
        lab.expect_boot(machine, "after a reset", "rounds, 1 deaths: same data", "heal: done", status=0)


@isolation(when=on(2))
def a_serial_driver_may_die_at_any_step(lab):
    sweep_serial(lab, "q35", "live", "sweep")


def campaign(sweep, machine, adopt, how):
    def run(lab):
        sweep(lab, machine, adopt, how)
    run.__name__ = f"{sweep.__name__}_{machine}_{adopt}_{how}"
    run.__module__ = __name__
    isolation(when=everywhere, full=True, seconds=300)(run)


for one in (sweep_disk, sweep_console, sweep_net):
    for board in ("q35", "microvm"):
        for way in ("live", "reset"):
            for depth in ("sweep", "sweep2"):
                campaign(one, board, way, depth)
for depth in ("sweep", "sweep2"):
    campaign(sweep_serial, "q35", "live", depth)
    for way in ("live", "reset"):
        campaign(sweep_e1000, "q35", way, depth)


# -- with a Linux on top ---------------------------------------------------------------------------

DISK_USER = """#!/bin/sh
b=/bin/busybox
$b mount -t proc proc /proc
until [ -b /dev/vda ]; do $b sleep 0.02; done
i=0
while [ $i -lt 25 ]; do
	i=$((i + 1))
	$b dd if=/dev/urandom of=/tmp/wanted bs=64k count=8 2>/dev/null
	$b dd if=/tmp/wanted of=/dev/vda bs=64k conv=fsync 2>/dev/null || echo "write: $?"
	$b dd if=/dev/vda of=/tmp/found bs=64k count=8 iflag=direct 2>/dev/null || echo "read: $?"
	$b cmp /tmp/wanted /tmp/found || echo "round $i: other data"
done
echo "rounds: $i"
$b poweroff -f
"""


@isolation(when=lambda c: not c.kernel)
def programs_do_not_notice_that_a_disk_driver_dies(lab):
    disk = lab.file("disk", bytes(1 << 20))
    machine = lab.machine(["panic=-1", "concord.kill=virtio-blk.0@100/100"], memory=128,
                          initrd=lab.initramfs(DISK_USER), drives=[qemu.Drive(disk, False)])
    ended = lab.expect_boot(machine, "virtio-blk.0 was killed: concord.kill", "with the live device",
                            "rounds: 25", status=0)
    for wrong in ("write:", "read:", "other data", "differ", "error"):
        if wrong in ended.console:
            raise Failed(f"the console says {wrong!r}\n{lab.last_words()}")


POISON_USER = """#!/bin/sh
b=/bin/busybox
until [ -b /dev/vda ]; do $b sleep 0.02; done
$b dd if=/dev/vda of=/tmp/a bs=4k count=4 iflag=direct 2>/dev/null; echo "before: $?"
$b dd if=/dev/vda of=/tmp/a bs=4k skip=40 count=1 iflag=direct 2>&1 | $b grep -o "Input/output error"
$b dd if=/dev/vda of=/tmp/a bs=4k skip=41 count=4 iflag=direct 2>/dev/null; echo "after: $?"
$b poweroff -f
"""


@isolation(when=lambda c: not c.kernel)
def a_request_that_kills_its_driver_fails_and_the_disk_goes_on(lab):
    disk = lab.file("disk", bytes(1 << 20))
    machine = lab.machine(["panic=-1", "virtio-blk.die=sector:320"], memory=128,
                          initrd=lab.initramfs(POISON_USER), drives=[qemu.Drive(disk, False)])
    ended = lab.expect_boot(machine, "before: 0", "told to die of this sector",
                            "read of sector 320 (at work on it)",
                            "ended 3 incarnations in a row: it fails", "Input/output error",
                            "after: 0", status=0)
    deaths, requests = ended.console.count("virtio-blk.0 died"), ended.console.count("in a row")
    if deaths != 3 * requests:
        raise Failed(f"{deaths} incarnations ended for {requests} requests\n{lab.last_words()}")


CONSOLE_USER = """#!/bin/sh
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
	echo "line $i of a program that does not know, which is not short at all 0123456789abcdefghijklmnopqrstuvwxyz"
	/bin/busybox sleep 0.05
done
/bin/busybox poweroff -f
"""


@isolation(when=lambda c: not c.kernel and c.cpus == 2)
def a_killed_serial_driver_goes_on_where_it_was(lab):
    machine = lab.machine(["panic=-1", "quiet", "concord.kill=uart.0@100/100"], memory=128,
                          initrd=lab.initramfs(CONSOLE_USER))
    ended = lab.expect_boot(machine, status=0)
    lines = re.findall(r"line (\d+) of a program that does not know, which is not short at all "
                       r"0123456789abcdefghijklmnopqrstuvwxyz", ended.console)
    if lines != [str(i) for i in range(1, 13)]:
        raise Failed(f"lines {lines} are whole\n{lab.last_words()}")


# -- supervision -------------------------------------------------------------------------------------

@isolation(when=on(2), seconds=90)
def a_driver_without_a_heartbeat_is_replaced(lab):
    machine = lab.machine(["concord.system=test-restart", "loglevel=6", "client.seconds=30", "faulty.mode=hang"],
                          memory=MEMORY)
    lab.expect_boot(machine, "faulty.0 was killed: no heartbeat", "ended 3 incarnations in a row",
                    "client: done", status=0)


@isolation(when=on(2))
def a_disk_that_answers_nothing_is_reset(lab):
    """Its driver does not tell it of requests any more, which looks like a device gone silent."""
    disk = lab.file("disk", bytes(1 << 20))
    machine = lab.machine(["concord.system=test-heal", "loglevel=6", "concord.stall=1000",
                           "virtio-blk.die=silent:20"], memory=MEMORY, drives=[qemu.Drive(disk, False)])
    ended = lab.expect_boot(machine, "virtio-blk.0 was killed: a stalled queue", "in flight: queue ",
                            "same data", "heal: done", status=0)
    if not re.search(r"virtio-blk.0: incarnation 2 serves after \d+ us, after a reset", ended.console):
        raise Failed(f"it was not reset\n{lab.last_words()}")


def misbehave(lab, deed, *texts, words=()):
    disk = lab.file("disk", bytes(1 << 20))
    machine = lab.machine(["concord.system=test-heal", "loglevel=6", f"virtio-blk.die={deed}", *words],
                          memory=MEMORY, drives=[qemu.Drive(disk, False)])
    return lab.expect_boot(machine, *texts, "rounds, 1 deaths: same data", "heal: done", status=0)


@isolation(when=on(2))
def a_driver_that_blames_its_client_is_replaced(lab):
    misbehave(lab, "blame:20", "the client broke the protocol: it was told to say so",
              "virtio-blk.0 ended, status 64 (its client broke the protocol)", "with the live device")


@isolation(when=on(2))
def a_driver_that_answers_what_nobody_asked_is_replaced_and_its_link_made_anew(lab):
    misbehave(lab, "nonsense:20", "the driver broke the protocol",
              "virtio-blk.0 was killed: its client says that it broke the protocol", "after a reset")


@isolation(when=on(2))
def a_driver_that_answers_without_a_status_is_replaced_and_its_link_made_anew(lab):
    misbehave(lab, "mute:20", "the driver broke the protocol: an answer without a status",
              "virtio-blk.0 was killed: its client says that it broke the protocol", "after a reset")


@isolation(when=on(2))
def a_driver_that_does_not_tell_of_its_answers_is_replaced(lab):
    misbehave(lab, "quiet:20", "the driver broke the protocol: it does not tell of its answers", "after a reset")


@isolation(when=on(2))
def a_driver_whose_answers_go_astray_is_replaced_and_its_link_made_anew(lab):
    misbehave(lab, "astray:20", "virtio-blk.0 was killed: a stalled queue", "after a reset",
              words=["concord.stall=1000"])


def mute_net(lab, device):
    path = lab.folder / "net"
    machine = lab.machine(["concord.system=test-heal", "loglevel=6", f"{NET_DRIVERS[device]}.die=quiet:5"],
                          memory=MEMORY, nets=[qemu.Net("stream", path=path, device=device)])
    with FrameEcho(path):
        lab.expect_boot(machine, "the driver broke the protocol: it does not tell of its answers", "after a reset",
                        "rounds, 1 deaths: same data", "heal: done", status=0)


@isolation(when=on(2))
def a_network_driver_that_does_not_tell_of_its_answers_is_replaced(lab):
    mute_net(lab, "virtio")


@isolation(when=on(2))
def an_e1000_driver_that_does_not_tell_of_its_answers_is_replaced(lab):
    mute_net(lab, "e1000")


@isolation(when=on(2))
def a_driver_that_does_nothing_but_die_is_given_up(lab):
    machine = lab.machine(["concord.system=test-restart", "loglevel=6", "client.seconds=30", "faulty.mode=start"],
                          memory=MEMORY)
    ended = lab.expect_boot(machine, "faulty.0: it ends without having done anything",
                            "client: done", status=0)
    if ended.console.count("faulty.0 ended") < 5:
        raise Failed(f"it was given up too early\n{lab.last_words()}")


@isolation(when=everywhere)
def a_post_mortem_names_functions_and_requests(lab):
    machine = lab.machine(["concord.system=test-restart", "loglevel=6", "faulty.mode=fault"],
                          memory=MEMORY)
    lab.expect_boot(machine, "faulty.0 died: exception 14", "called from rt_main+0x",
                    "in flight: queue 0, request 2 (at work on it)",
                    "ended 3 incarnations in a row", "faulty.0: incarnation 4 serves after",
                    "client: done", status=0)
