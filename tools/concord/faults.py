# SPDX-License-Identifier: MIT
"""`./concord faults`: faults in the text of a running driver, and what came of them.

The faults are chosen here, by seed (mutate.py); tools/faults, which is init of an initramfs of its own,
injects them one by one and says what it sees.  A machine serves for many faults; where a device does
not come back, or the kernel dies, the next machine goes on with those that are left."""

import contextlib
import itertools
import json
import random
import re
import time
from dataclasses import dataclass

from . import mutate, places, qemu, say, tally
from .echo import Echo


@dataclass(frozen=True)
class Target:
    """A driver, and the device that the load is on."""
    program: str
    component: str
    node: str
    bus: str = ""               # of a disk, or
    port: str = ""              # "port" or "serial", whose other end sends back what it gets, or
    net: str = ""               # a network card (qemu.NET_DEVICES), the same


DRIVERS = {"virtio-blk": Target("virtio-blk", "virtio-blk.0", "/dev/vda", bus="virtio"),
           "nvme": Target("nvme", "nvme.0", "/dev/nvme0n1", bus="nvme"),
           "ahci": Target("ahci", "ahci.0", "/dev/sda", bus="ahci"),
           "virtio-console": Target("virtio-console", "virtio-console.0", "/dev/vport0p1", port="port"),
           # the second port: the first has the console, on which the guest says what it sees
           "uart": Target("uart16550", "uart.1", "/dev/ttyS1", port="serial"),
           "virtio-net": Target("virtio-net", "virtio-net.0", "eth0", net="virtio"),
           "e1000": Target("e1000", "e1000.0", "eth0", net="e1000")}
DISK_BYTES = 1 << 20
MEMORY = 192
BATCH = 1000                    # faults that one machine is given at most
GROUP = 25                      # faults that share a round of the load (tools/faults/main.c)
MACHINE_SECONDS = 4 * 3600      # for these: more than they can take
STALL_MS = 1000                 # how long a disk may answer nothing; 10 s by default are long for a campaign


def checksum(data):
    """FNV-1a, as in tools/faults/blocks.c."""
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return value


def words_of(line):
    return {key: int(value) if value.isdigit() else value
            for key, value in (word.split("=", 1) for word in line.split() if "=" in word)}


def program(driver):
    return mutate.Program((places.BUILD / f"drivers/driver-{DRIVERS[driver].program}").read_bytes())


def chosen(driver, count, seed, kinds=mutate.TYPES):
    """That many faults for it: the kinds take turns, the places follow from the seed."""
    text, source = program(driver), random.Random(seed)
    return (text.choose(kinds[i % len(kinds)], source) for i in range(count))


class Campaign:
    """All these faults in the driver; what came of them is in .tally."""

    def __init__(self, lab, driver, faults):
        self.lab = lab
        self.driver = driver
        self.target = DRIVERS[driver]
        self.faults = enumerate(faults)
        self.tally = tally.Tally()
        self.machines = 0
        self.wrong_disks = 0            # that were not from outside what they were from inside

    def run(self, progress=lambda done: None):
        done = 0
        while left := dict(itertools.islice(self.faults, BATCH)):
            while left:
                known = self._machine(left)
                for number in known:
                    del left[number]
                done += len(known)
                progress(done)
        return self

    def _archive(self, faults):
        listed = "".join(f"{i} {i // GROUP} {fault.address:x} {fault.old.hex()} {fault.new.hex()}\n"
                         for i, fault in faults.items())
        return self.lab.initramfs((places.BUILD / "tools/faults/faults").read_bytes(),
                                  {"faults": listed.encode()}, busybox=False)

    def _machine(self, faults):
        """Boot, and inject; the numbers of those that something is known of afterwards."""
        target = self.target
        image = self.lab.file("disk", bytes(DISK_BYTES))
        path = self.lab.folder / "port"
        machine = self.lab.machine(["panic=-1", "quiet", "loglevel=4", f"concord.stall={STALL_MS}", "--",
                                    target.component, target.node],
                                   memory=MEMORY, initrd=self._archive(faults),
                                   drives=[qemu.Drive(image, bus=target.bus, is_fleeting=True)] if target.bus else [],
                                   ports=[path] if target.port == "port" else [],
                                   serials=[path] if target.port == "serial" else [],
                                   nets=[qemu.Net("stream", path=path, device=target.net)] if target.net else [])
        self.machines += 1
        with Echo(path) if target.port or target.net else contextlib.nullcontext():
            ended = self.lab.boot(machine, seconds=MACHINE_SECONDS)
        done = re.search(r"^faults: all done, checksum ([0-9a-f]{16})", ended.console, re.MULTILINE)
        if done and target.bus:
            self.wrong_disks += int(done[1], 16) != checksum(image.read_bytes())
        return self._read(faults, ended.console, bool(done))

    def _read(self, faults, console, is_done):
        """What the guest said, up to where it ended."""
        number, probes, known = None, {}, set()
        for match in re.finditer(r"^fault: (\d+) (.*)$", console, re.MULTILINE):
            number, said = int(match[1]), words_of(match[2])
            probe = probes.get(number, {})
            if match[2] == "probes":
                continue
            if match[2].startswith("probe "):
                probes[number] = said
                continue
            if match[2] == "none":          # the stop was all
                said = {**probe, "how": "stop"}
            if match[2] == "not-reached":
                kind = "unsound" if probe else "not-activated"
            else:
                kind = tally.classify(probe, said)
            shown = console[max(match.end() - 6000, 0):match.end()] if kind in ("lost", "stuck", "unsound") else ""
            self.tally.add(number, faults[number], kind, probe, said, shown)
            known.add(number)
        if re.search(r"^faults: (?!all done)", console, re.MULTILINE) or number is None:
            raise say.Failure(f"the guest cannot inject faults\n{self.lab.last_words()}")
        if not is_done and "lost" not in said:
            # It ended in the middle of that one, or before it said what is next.
            if number in known:
                number = min(set(faults) - known, default=number)
            self.tally.add(number, faults[number], "died", probes.get(number, {}), {}, console[-6000:])
            known.add(number)
        return known

    def report(self):
        outside = "OTHER DATA" if self.wrong_disks else "what they should hold"
        disks = f"; their disks held, seen from outside, {outside}" if self.target.bus else ""
        return f"{self.driver}: {self.tally.table()}\n\n{self.machines} machines{disks}"

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
    faults = program(options.driver).stops() if options.stops else \
        chosen(options.driver, options.count, options.seed)

    def progress(done):
        say.note(f"{done} faults, {time.monotonic() - begin:.0f} s")

    with labs.Lab(test.Configuration(options.placement, options.cpus), None, 10 ** 9) as lab:
        campaign = Campaign(lab, options.driver, faults).run(progress)
    print(campaign.report())
    path = places.BUILD / "faults.json"
    path.write_text(json.dumps(campaign.tally.activated, indent=1))
    say.note(f"all that were activated: {path}")
    return 1 if campaign.bugs() else 0
