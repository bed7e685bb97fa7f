# SPDX-License-Identifier: MIT
"""`./concord bench`: the same programs in the same machine, on Linux and on Concord.

Each round boots every contender once, in turn, so that whatever else the machine
does hits all of them alike; the medians over the rounds are compared.  With --icount
QEMU executes one instruction per virtual nanosecond: the rows are path lengths then,
which repeat on any machine, and Concord's are compared with the recorded baseline."""

import contextlib
import json
import math
import os
import select
import statistics
import struct
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from . import build, cpio, image, initrd, kernels, places, qemu, runner, say, test

PROGRAMS = places.BUILD / "tests/perf"
BASELINE = places.ROOT / "tests/perf/baseline.json"
DISK_SCRIPT = places.ROOT / "tests/perf/disk.sh"
ROW_SECONDS = 60
DISK_ROW_SECONDS = 120
WORSE = 1.02            # what the comparison with the baseline lets pass

INIT_LINE = b"perf: init runs"
BARE_LINE = b"perf: bare program runs"
BOOT_ROWS = {"boot-q35": "q35", "boot-microvm": "microvm"}
OTHER_ROWS = {"boot-q35": "ms", "boot-microvm": "ms", "memory-used": "KiB", "memory-least": "MiB"}
LEAST_STEPS = [12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 72, 80, 96, 128]


@dataclass(frozen=True)
class Contender:
    name: str
    configuration: test.Configuration


def contenders(disk_bus):
    # Debian's cloud kernel has no AHCI.
    linux = "debian" if disk_bus == "ahci" else "debian-cloud"
    found = [Contender("linux", test.Configuration("kernel", 1, kernel=linux))]
    if places.KERNEL.exists():
        found += [Contender("concord", test.Configuration("kernel", 1)),
                  Contender("process", test.Configuration("process", 1))]
    else:
        say.note("the build makes no concord.elf yet: only Linux is measured")
    return found


# Rows that a program in the guest measures.

def program_rows():
    return [line.split("\t")[0] for line in say.output([PROGRAMS / "perf", "--list"], "perf").splitlines()]


def run_rows(contender, machine, argv, rows, seconds, problems):
    """{row: ns}, as a program in the guest prints them.  A row that fails is left out, with a problem."""
    found, left = {}, list(rows)
    with test.GuestKeeper(machine, contender.configuration) as keeper:
        while left:
            output = bytearray()
            trouble = None
            try:
                session = keeper.session()
                result = session.guest.command([*argv, *left], on_stdout=output.extend,
                                               deadline=time.monotonic() + seconds * len(left))
                if result.status != 0:
                    trouble = result.stderr.decode(errors="replace").strip()
            except runner.GuestTimeout:
                trouble = "hung"
                keeper.drop()
            except runner.GuestDied as death:
                trouble = f"{death}\n{keeper.last_words()}"
                keeper.drop()
            for line in output.decode(errors="replace").splitlines():
                row, _, value = line.partition("\t")
                found[row] = float(value)
            left = [row for row in left if row not in found]
            if trouble and left:
                problems.append(f"{contender.name}: {left[0]}: {trouble}")
            left = left[1:]
    return found


def measure_rows(contender, rows, icount, disk, hz, problems):
    machine = test.machine_for(contender.configuration, image.make(),
                               ["concord.mount=/dev/vdb:erofs:/perf"], [disk]).with_(icount=icount)
    argv = ["/perf/perf", "--hz", str(hz), *(["--fixed"] if icount else [])]
    return run_rows(contender, machine, argv, rows, ROW_SECONDS, problems)


# Rows about disks: programs that people run, on a fresh ext4 file system and on a raw disk.

def disk_rows():
    return say.output([DISK_SCRIPT, "--list"], "the rows about disks").split()


RAW_MIB, FS_MIB = 256, 1024


def partitioned_disk(path):
    """A file with a partition of random blocks, and one of none."""
    entries = ((2048, RAW_MIB << 11), (2048 + (RAW_MIB << 11), FS_MIB << 11))
    table = b"".join(struct.pack("<4xB3xII", 0x83, *entry) for entry in entries)
    with open(path, "wb") as file:
        file.write(bytes(446) + table.ljust(64, b"\0") + b"\x55\xaa")
        file.seek(1 << 20)
        # Blocks that were never written would be read without reading.
        for _ in range(RAW_MIB):
            file.write(os.urandom(1 << 20))
        file.truncate((1 + RAW_MIB + FS_MIB) << 20)


def measure_disk_rows(contender, rows, folder, disk_bus, problems):
    disk = Path(folder) / "disk"
    partitioned_disk(disk)
    programs = test.programs_image([PROGRAMS / "perf-files", DISK_SCRIPT])
    machine = test.machine_for(contender.configuration, image.make("bench"),
                               ["concord.mount=/dev/vdb:erofs:/perf"], [programs])
    if machine.kernel.linux:
        machine.initrd = initrd.make(machine.kernel, disk_bus)
    machine.drives.append(qemu.Drive(disk, bus=disk_bus))
    name = {"virtio": "/dev/vdc", "nvme": "/dev/nvme0n1p", "ahci": "/dev/sda"}[disk_bus]
    return run_rows(contender, machine, ["/perf/disk.sh", f"{name}1", f"{name}2"], rows, DISK_ROW_SECONDS,
                    problems)


# Rows about booting.

def initramfs(folder, init, busybox=False):
    path = Path(folder) / ("busybox.cpio" if busybox else "init.cpio")
    with open(path, "wb") as stream:
        archive = cpio.Archive(stream)
        for directory in ("bin", "dev", "proc", "sys"):
            archive.directory(directory)
        archive.device("dev/console", 5, 1)
        if busybox:
            archive.file("bin/busybox", initrd.BUSYBOX.read_bytes(), 0o755)
            archive.symlink("bin/sh", "busybox")
        archive.file("init", init, 0o755)
        archive.close()
    return path


def time_to_line(machine, line, seconds=60):
    """Seconds from the start of QEMU until the console shows the line, or None."""
    begin = time.monotonic()
    child = qemu.spawn(qemu.arguments(machine, "stdio"), stdout=subprocess.PIPE,
                       stderr=subprocess.DEVNULL)
    try:
        seen = b""
        while (left := begin + seconds - time.monotonic()) > 0:
            if not select.select([child.stdout], [], [], left)[0]:
                break
            data = os.read(child.stdout.fileno(), 65536)
            if not data:
                break
            seen = seen[-200:] + data
            if line in seen:
                return time.monotonic() - begin
        return None
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def bare_machine(contender, **changes):
    """A machine that boots an initramfs and has no disks."""
    machine = qemu.Machine(kernels.find(contender.configuration.kernel), memory=512)
    machine.words = ["console=ttyS0", "quiet"]
    if machine.kernel.linux:
        machine.words.append("panic=-1")
    if contender.configuration.placement != "kernel":
        machine.words.append(f"concord.placement={contender.configuration.placement}")
    return machine.with_(**changes)


def measure_boot(contender, row, folder):
    init = initramfs(folder, (PROGRAMS / "perf-boot-init").read_bytes())
    machine = bare_machine(contender, machine=BOOT_ROWS[row], initrd=init)
    bare = machine.with_(kernel=kernels.Kernel(PROGRAMS / "perf-bare", False), initrd=None)
    whole = time_to_line(machine, INIT_LINE)
    floors = [time_to_line(bare, BARE_LINE) for _ in range(3)]
    return None if whole is None or None in floors else (whole - min(floors)) * 1e3


# What programs have for themselves: private pages.  (Their page tables are the system's.)
PROGRAMS_PAGES = "cat /proc/[0-9]*/status | sed -n 's/^RssAnon:/RssAnon/p'"


def memory_used(guest, memory):
    """KiB of `memory` MiB that are neither free, nor page cache, nor the programs' own."""
    fields = meminfo(guest.expect(["cat", "/proc/meminfo"], seconds=30).stdout)
    programs = guest.expect(["sh", "-c", PROGRAMS_PAGES], seconds=30).stdout.decode().split("\n")
    own = sum(int(line.split()[1]) for line in programs if line)
    return memory * 1024 - own - sum(fields.get(name, 0) for name in ("MemFree", "Buffers", "Cached"))


def meminfo(text):
    return {line.split(":")[0]: int(line.split()[1]) for line in text.decode().splitlines()}


def measure_memory_used(contender):
    """The kernel, components and the personality, page metadata included, with the default image."""
    configuration = test.Configuration(contender.configuration.placement, 1, memory=256,
                                       kernel=contender.configuration.kernel)
    with test.GuestKeeper(test.machine_for(configuration, image.make()), configuration) as keeper:
        return memory_used(keeper.session(), configuration.memory)


def measure_memory_least(contender, folder):
    init = initramfs(folder, b"#!/bin/sh\n/bin/busybox echo " + INIT_LINE + b"\n", busybox=True)
    for memory in LEAST_STEPS:
        if time_to_line(bare_machine(contender, memory=memory, initrd=init), INIT_LINE, 12) is not None:
            return memory
    return None


# Putting it together.

def measure_all(names, icount, rounds, disk_bus, problems):
    """{contender: {row: [values]}}"""
    rows = program_rows()
    ours = contenders(disk_bus)
    values = {contender.name: {} for contender in ours}
    disk = test.programs_image([PROGRAMS / "perf", PROGRAMS / "perf-true"])
    hz = 1e9 if icount else float(say.output([PROGRAMS / "perf", "--measure-hz"], "perf"))
    wanted = [row for row in rows if not names or row in names]
    others = [] if icount else [row for row in OTHER_ROWS if not names or row in names]
    disks = [] if icount else [row for row in disk_rows() if not names or row in names or "disk" in names]
    progress = say.Progress()

    def keep(contender, row, value):
        if value is not None:
            values[contender.name].setdefault(row, []).append(value)
        else:
            problems.append(f"{contender.name}: {row}: the machine did not get that far")

    with tempfile.TemporaryDirectory(prefix="concord-bench-") as folder:
        for turn in range(rounds):
            for contender in ours:
                progress.show(f"round {turn + 1} of {rounds}: {contender.name}")
                if wanted:
                    found = measure_rows(contender, wanted, icount, disk, hz, problems)
                    for row, value in found.items():
                        keep(contender, row, value)
                if disks:
                    progress.show(f"round {turn + 1} of {rounds}: {contender.name}: disks")
                    for row, value in measure_disk_rows(contender, disks, folder, disk_bus, problems).items():
                        keep(contender, row, value)
                for row in others:
                    progress.show(f"round {turn + 1} of {rounds}: {contender.name}: {row}")
                    if row in BOOT_ROWS:
                        keep(contender, row, measure_boot(contender, row, folder))
                    elif turn == 0:
                        with died_is_problem(contender, row, problems):
                            keep(contender, row, measure_memory_used(contender)
                                 if row == "memory-used" else measure_memory_least(contender, folder))
    progress.clear()
    return values


@contextlib.contextmanager
def died_is_problem(contender, row, problems):
    try:
        yield
    except (runner.GuestDied, runner.GuestTimeout, AssertionError) as trouble:
        problems.append(f"{contender.name}: {row}: {trouble or 'hung'}")


def shown(value, row, icount):
    if value is None:
        return "-"
    if row in OTHER_ROWS:
        return f"{value:,.0f} {OTHER_ROWS[row]}"
    if icount:
        return f"{value:,.0f}"
    return f"{value / 1000:,.2f} us" if value < 1e6 else f"{value / 1e6:,.2f} ms"


def table(medians, icount):
    """The rows with the ratios to Linux, and the ratios' geometric means."""
    names = list(medians)
    rows = list(dict.fromkeys(row for found in medians.values() for row in found))
    lines = [["row", *names[:1], *(part for name in names[1:] for part in (name, "ratio"))]]
    ratios = {name: [] for name in names[1:]}
    for row in rows:
        linux = medians[names[0]].get(row)
        line = [row, shown(linux, row, icount)]
        for name in names[1:]:
            value = medians[name].get(row)
            ratio = value / linux if value is not None and linux else None
            if ratio and ratio > 0:
                ratios[name].append(ratio)
            line += [shown(value, row, icount), "-" if ratio is None else f"{ratio:.2f}"]
        lines.append(line)
    if len(names) > 1:
        lines.append(["geometric mean", ""] + [
            part for name in names[1:] for part in
            ("", f"{math.exp(statistics.fmean(map(math.log, ratios[name]))):.2f}" if ratios[name] else "-")])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        print("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                        for i, (cell, width) in enumerate(zip(line, widths))).rstrip())


def compare(medians):
    """Say which rows of Concord are worse than recorded."""
    try:
        recorded = json.loads(BASELINE.read_text())
    except FileNotFoundError:
        say.note("no baseline is recorded; --record makes one")
        return
    for name, rows in recorded.items():
        for row, before in rows.items():
            now = medians.get(name, {}).get(row)
            if name != "linux" and now is not None and now > before * WORSE:
                print(f"WORSE than the baseline: {name} {row}: {now:,.0f}, was {before:,.0f} "
                      f"({(now / before - 1) * 100:+.1f} %)")


def main(names, icount, rounds, output, record, disk_bus):
    build.build()
    known = [*program_rows(), *OTHER_ROWS, *([] if icount else ["disk", *disk_rows()])]
    for name in names:
        if name not in known:
            raise say.Failure(f"no row is called '{name}'; there are {', '.join(known)}", 2)
    if icount:
        rounds = 1              # they are all the same
    problems = []
    values = measure_all(names, icount, rounds, disk_bus, problems)
    medians = {name: {row: statistics.median(found) for row, found in rows.items()}
               for name, rows in values.items()}
    print("instructions per operation" if icount else f"medians of {rounds} alternating runs")
    table(medians, icount)
    for problem in problems:
        print(f"missing: {problem}")
    output = output or places.BUILD / f"bench-{'icount' if icount else 'wall'}.json"
    Path(output).write_text(json.dumps({"mode": "icount" if icount else "wall", "medians": medians,
                                        "runs": values, "problems": problems}, indent="\t") + "\n")
    say.note(f"wrote {os.path.relpath(output)}")
    if icount and record:
        old = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
        for name, rows in medians.items():
            old.setdefault(name, {}).update({row: round(value) for row, value in rows.items()})
        BASELINE.write_text(json.dumps(old, indent="\t") + "\n")
        say.note(f"recorded {os.path.relpath(BASELINE)}")
    elif icount:
        compare(medians)
    return 0 if medians and all(medians.values()) else 1
