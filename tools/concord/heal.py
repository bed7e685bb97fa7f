# SPDX-License-Identifier: MIT
"""What the death of a disk driver costs: `./concord demo heal` shows it, `./concord bench heal` measures it.

Both run tools/demo/heal.py in the guest, on a second disk.  Undisturbed and disturbed phases take turns
in one machine, so that whatever else this machine does hits both; what is said is their ratio, and
the stalls.  With --icount these are guest time, at one instruction per nanosecond.  That clock leaps
while the guest waits for a disk: there are no throughputs then, and no updates, as a leap looks like
a program that stalls on probation."""

import json
import tempfile
import time
from pathlib import Path

from . import image, places, qemu, runner, say, test

DISK_BYTES = 16 << 20
SECONDS = 10                # of a phase; a round of `bench heal` has one of each kind
# row: component, device, bus, program
ROWS = {"heal-virtio": ("virtio-blk.1", "/dev/vdb", "virtio", "virtio-blk"),
        "heal-nvme": ("nvme.0", "/dev/nvme0n1", "nvme", "nvme"),
        "heal-ahci": ("ahci.0", "/dev/sda", "ahci", "ahci")}
COLUMNS = ("row", "undisturbed", "kills", "ratio", "stall", "p99", "updates", "ratio", "stall", "p99", "wrong")


def disk(folder):
    path = Path(folder) / "disk"
    with open(path, "wb") as file:
        file.truncate(DISK_BYTES)
    return path


def argv(component, device, seconds, rounds):
    program = (places.ROOT / "tools/demo/heal.py").read_text()
    return ["python3", "-u", "-c", program, component, device, str(seconds), str(rounds)]


def measure(row, configuration, rounds, icount):
    """(status, figures) of one machine."""
    component, device, bus, program = ROWS[row]
    output = bytearray()

    def show(data):
        output.extend(data)
        if say.verbose:
            runner.write_all(1, data)

    with tempfile.TemporaryDirectory(prefix="concord-heal-") as folder, \
            open(places.BUILD / f"drivers/driver-{program}", "rb") as successor:
        # Updates do not wait to prove themselves: the next one would come before that.
        machine = test.machine_for(configuration, image.make(), ["concord.probation=300"])
        machine = machine.with_(icount=icount, iommu=True,
                                drives=[*machine.drives, qemu.Drive(disk(folder), bus=bus)])
        with runner.Guest(machine) as guest:
            guest.boot()
            words = [*argv(component, device, SECONDS, rounds), "json" if icount else "update"]
            # A guest that counts instructions is as slow as this machine makes it.
            most = rounds * 3 * SECONDS * (30 if icount else 3) + 120
            result = guest.command(words, successor.fileno(), show, deadline=time.monotonic() + most)
    lines = output.decode(errors="replace").splitlines()
    if not lines or not lines[-1].startswith("{"):
        raise say.Failure(f"{row}: status {result.status}\n" + "\n".join(lines[-20:])
                          + result.stderr.decode(errors="replace"))
    return result.status, json.loads(lines[-1])


def line_of(name, figures, icount):
    calm, killed, updated = (figures.get(what) for what in ("undisturbed", "kills", "updates"))

    def cost(one):
        if not one:
            return ["-"] * 4
        return [str(one["count"]), "-" if icount else f"{one['ratio']:.3f}", f"{one['stall']:.2f} ms",
                f"{one['stall-p99']:.2f} ms"]

    return [name, "-" if icount else f"{calm['rate']:.1f} MB/s", *cost(killed), *cost(updated), str(figures["wrong"])]


def bench(rows, rounds, icount, output):
    """`./concord bench heal`: 1 if a byte was wrong, or a disk did not come back."""
    lines, found, failed = [COLUMNS], {}, False
    for row in rows:
        for placement in ("kernel", "process"):
            name = row if placement == "kernel" else f"{row} (process)"
            say.note(f"{name}: {rounds} rounds of {(2 if icount else 3) * SECONDS} s")
            status, found[name] = measure(row, test.Configuration(placement, 1), rounds, icount)
            failed |= status != 0
            lines.append(line_of(name, found[name], icount))
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    for line in lines:
        print("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                        for i, (cell, width) in enumerate(zip(line, widths))).rstrip())
    Path(output or places.BUILD / "bench-heal.json").write_text(json.dumps(found, indent="\t") + "\n")
    return int(failed)
