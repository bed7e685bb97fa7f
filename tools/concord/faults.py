# SPDX-License-Identifier: MIT
"""`./concord faults`: faults in the text of a running driver, and what came of them.

The faults are chosen here, by seed (mutate.py); tools/faults, which is init of an initramfs of its own,
injects them one by one and says what it sees.  A machine serves for many faults; where a disk does
not come back, or the kernel dies, the next machine goes on behind that fault."""

import json
import random
import re
import time

from . import mutate, places, qemu, say, tally

DRIVERS = {"virtio-blk": ("virtio-blk.0", "/dev/vda", "virtio"),
           "nvme": ("nvme.0", "/dev/nvme0n1", "nvme"),
           "ahci": ("ahci.0", "/dev/sda", "ahci")}
DISK_BYTES = 1 << 20
MEMORY = 192
BATCH = 1000                    # faults that one machine is given at most
MACHINE_SECONDS = 4 * 3600      # for these: more than they can take
STALL_MS = 1000                 # how long a disk may answer nothing; 10 s by default are long for a campaign


def program(driver):
    return (places.BUILD / f"drivers/driver-{driver}").read_bytes()


def checksum(data):
    """FNV-1a, as in tools/faults/blocks.c."""
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return value


def words_of(line):
    return {key: int(value) if value.isdigit() else value
            for key, value in (word.split("=", 1) for word in line.split() if "=" in word)}


class Campaign:
    """`count` faults of `seed` in the driver; what came of them is in .tally."""

    def __init__(self, lab, driver, count, seed, kinds=mutate.TYPES):
        self.lab = lab
        self.driver = driver
        self.count = count
        self.kinds = kinds
        self.program = mutate.Program(program(driver))
        self.source = random.Random(seed)
        self.tally = tally.Tally()
        self.machines = 0
        self.wrong_disks = 0            # that were not from outside what they were from inside

    def run(self, progress=lambda done: None):
        for begin in range(0, self.count, BATCH):
            end = min(begin + BATCH, self.count)
            faults = {i: self.program.choose(self.kinds[i % len(self.kinds)], self.source)
                      for i in range(begin, end)}
            while begin < end:
                begin = self._machine({i: fault for i, fault in faults.items() if i >= begin})
                progress(begin)
        return self

    def _archive(self, faults):
        listed = "".join(f"{i} {fault.address:x} {fault.old.hex()} {fault.new.hex()}\n"
                         for i, fault in faults.items())
        return self.lab.initramfs((places.BUILD / "tools/faults/faults").read_bytes(),
                                  {"faults": listed.encode()}, busybox=False)

    def _machine(self, faults):
        """Boot, and inject; the number of the first fault that is left."""
        component, disk, bus = DRIVERS[self.driver]
        image = self.lab.file("disk", bytes(DISK_BYTES))
        machine = self.lab.machine(["panic=-1", "quiet", "loglevel=4", f"concord.stall={STALL_MS}", "--",
                                    component, disk],
                                   memory=MEMORY, drives=[qemu.Drive(image, False, bus)],
                                   initrd=self._archive(faults))
        self.machines += 1
        ended = self.lab.boot(machine, seconds=MACHINE_SECONDS)
        following = self._read(faults, ended.console)
        done = re.search(r"^faults: all done, checksum ([0-9a-f]{16})", ended.console, re.MULTILINE)
        if done:
            self.wrong_disks += int(done[1], 16) != checksum(image.read_bytes())
        return following

    def _read(self, faults, console):
        """What the guest said, up to where it ended."""
        number = None
        probe, kind, said = {}, None, {}
        for match in re.finditer(r"^fault: (\d+) (.*)$", console, re.MULTILINE):
            if match[2] == "begins":
                if number is not None:
                    self.tally.add(number, faults[number], kind, probe, said)
                number, probe, kind, said = int(match[1]), {}, "died", {}
            elif match[2].startswith("probe"):
                probe = words_of(match[2])
            elif match[2] == "not-reached":
                kind = "unsound" if probe else "not-activated"
            else:
                said = words_of(match[2])
                kind = tally.classify(probe, said)
        refused = re.search(r"^faults: (?!all done).*$", console, re.MULTILINE)
        if number is None or refused:
            raise say.Failure(f"the guest cannot inject faults\n{self.lab.last_words()}")
        last = kind in ("died", "disk-lost", "stuck", "unsound")
        self.tally.add(number, faults[number], kind, probe, said, console[-6000:] if last else "")
        return number + 1

    def report(self):
        outside = "OTHER DATA" if self.wrong_disks else "what they should hold"
        return (f"{self.driver}: {self.tally.table()}\n\n{self.machines} machines; their disks held, "
                f"seen from outside, {outside}")

    def bugs(self):
        return self.tally.count(*tally.BUGS) + self.wrong_disks


def main(options):
    """The subcommand."""
    from . import build, lab as labs, test
    try:
        mutate.decoder()
    except ImportError:
        raise say.Failure("Debian's python3-capstone is needed, and not there") from None
    build.build()
    begin = time.monotonic()

    def progress(done):
        say.note(f"{done} of {options.count} faults, {time.monotonic() - begin:.0f} s")

    with labs.Lab(test.Configuration(options.placement, options.cpus), None, 10 ** 9) as lab:
        campaign = Campaign(lab, options.driver, options.count, options.seed).run(progress)
    print(campaign.report())
    path = places.BUILD / "faults.json"
    path.write_text(json.dumps(campaign.tally.activated, indent=1))
    say.note(f"all that were activated: {path}")
    return 1 if campaign.bugs() else 0
