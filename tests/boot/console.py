# SPDX-License-Identifier: MIT
"""The serial line has one writer: lines of programs and of the kernel come out whole."""

import re

from concord.scenario import Failed, boot

# Programs write whole lines to the console; others, and the kernel itself, write to the log.
FLOOD = """#!/bin/sh
b=/bin/busybox
$b mknod /dev/kmsg c 1 11
flood() { i=0; while [ $i -lt $2 ]; do i=$((i + 1)); echo "$1 $i 0123456789abcdefghijklmnopqrstuvwxyz end"; done; }
log() { i=0; while [ $i -lt $2 ]; do i=$((i + 1)); echo "<4>$1 $i ABCDEFGHIJKLMNOPQRSTUVWXYZ end" >/dev/kmsg; done; }
flood one 300 & flood two 300 & log three 300 & log four 300 &
wait
LAST
"""

PANIC = 'echo "<4>the last line" >/dev/kmsg; exit 3'


def flood(lab, last, **changes):
    machine = lab.machine(initrd=lab.initramfs(FLOOD.replace("LAST", last)), memory=128, **changes)
    return lab.boot(machine)


def check(lab, ended):
    """Every line of each kind there once, whole and in its order.  Of a machine that panicked:
    every line of the log, where the one that the driver was at may come again; what
    programs wrote last may not have reached the line."""
    panicked = "Kernel panic" in ended.console
    program = re.findall(r"^(one|two) (\d+) 0123456789abcdefghijklmnopqrstuvwxyz end$",
                         ended.console, re.M)
    log = re.findall(r"^\[ *\d+\.\d{6}\] (three|four) (\d+) ABCDEFGHIJKLMNOPQRSTUVWXYZ end$",
                     ended.console, re.M)
    for name in ("three", "four") if panicked else ("one", "two", "three", "four"):
        numbers = [int(number) for who, number in program + log if who == name]
        if panicked:
            numbers = list(dict.fromkeys(numbers))
        if numbers != list(range(1, 301)):
            raise Failed(f"{name}: {len(numbers)} whole lines of 300: {numbers[:10]}...\n{lab.last_words()}")


def concord(configuration):
    return not configuration.kernel


@boot(when=concord)
def lines_of_programs_and_kernel_are_whole_on_q35(lab):
    ended = flood(lab, "$b poweroff -f", machine="q35")
    check(lab, ended)
    if not re.search(r"^\[ *\d+\.\d{6}\] reboot: Power down$", ended.console, re.M):
        raise Failed(f"the last line is missing\n{lab.last_words()}")


@boot(when=concord)
def lines_of_programs_and_kernel_are_whole_on_microvm(lab):
    check(lab, flood(lab, "$b poweroff -f", machine="microvm"))


@boot(when=concord)
def a_panic_takes_the_line_back(lab):
    ended = flood(lab, PANIC)
    check(lab, ended)
    for text in (r"\[ *\d+\.\d{6}\] the last line", r"Kernel panic - .*", r"CPU \d+, thread .*",
                 r"Backtrace:", r"---\[ end of panic \]---"):
        if not re.search(f"^{text}$", ended.console, re.M):
            raise Failed(f"the console does not say {text!r} on a line\n{lab.last_words()}")


DYING = """#!/bin/sh
b=/bin/busybox
$b mknod /dev/kmsg c 1 11
i=0
while [ $i -lt 60 ]; do
	i=$((i + 1)); echo "<4>line $i of the log" >/dev/kmsg; $b sleep 0.02
done
$b poweroff -f
"""


@boot(when=concord)
def no_log_line_is_lost_when_the_consoles_driver_dies(lab):
    machine = lab.machine(["panic=-1", "concord.kill=uart.0@600"], memory=128,
                          initrd=lab.initramfs(DYING))
    ended = lab.expect_boot(machine, "uart.0 was killed", status=0)
    for i in range(1, 61):
        if not re.search(rf"^\[ *\d+\.\d{{6}}\] line {i} of the log$", ended.console, re.M):
            raise Failed(f"line {i} is missing\n{lab.last_words()}")
