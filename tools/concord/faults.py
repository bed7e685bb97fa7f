# SPDX-License-Identifier: MIT
"""`./concord faults`: faults in the text of a running driver, and what came of them.

The faults are chosen here, by seed (mutate.py); tools/faults, which is init of an initramfs of its own, injects
them one by one and says what it sees.  A machine serves for many faults; where a disk does not come
back, or the kernel dies, the next machine goes on behind that fault."""

import json
import re
import statistics
import time
from dataclasses import dataclass, field

from . import mutate, places, qemu, say

DRIVERS = {"virtio-blk": ("virtio-blk", "/dev/vda")}
DISK_BYTES = 1 << 20
MEMORY = 192
MACHINE_SECONDS = 3600          # for one machine: more than all its faults can take
# Of these the kernel or another component is to blame; there must be none.
DEADLY = ("Kernel panic", "panic:", "PANIC")
CLASSES = (
    ("not-activated", "not reached by the load: nothing was injected"),
    ("no-effect", "reached; all data right, no driver ended"),
    ("recovered", "a driver ended, or was ended; all data right, no errors"),
    ("error", "the load got errors (EIO), for a while; no wrong data"),
    ("silent", "wrong data that was acknowledged or read without an error"),
    ("disk-lost", "the disk gave errors until the next boot"),
    ("stuck", "the load did not end"),
    ("died", "the kernel, the personality or another component died"),
    ("unsound", "wrong data or errors where a driver had merely stopped (a bug)"),
)


@dataclass
class Outcome:
    kind: str = ""                      # of CLASSES
    words: dict = field(default_factory=dict)
    probe: dict = field(default_factory=dict)
    console: str = ""                   # the end of it, if the machine ended


def numbers(words):
    return {key: int(value) if value.isdigit() else value
            for key, value in (word.split("=", 1) for word in words if "=" in word)}


def classify(outcome):
    """From what the guest said of the fault that was injected."""
    said = outcome.words
    if outcome.probe and (outcome.probe["errors"] or outcome.probe["wrong"] or outcome.probe["disk"]):
        return "unsound"
    if "lost" in said:
        return "stuck" if "stuck" in said["lost"] else "disk-lost"
    if said["wrong"] or said["disk"]:
        return "silent"
    if said["errors"]:
        return "error"
    return "recovered" if said["deaths"] else "no-effect"


class Campaign:
    def __init__(self, lab, driver, faults):
        self.lab = lab
        self.driver = driver
        self.faults = faults
        self.outcomes = {}
        self.machines = 0
        self.checksums = []             # of disks, compared from outside

    def run(self, progress=lambda done: None):
        first = 0
        while first < len(self.faults):
            first = self._machine(first)
            progress(first)

    def _archive(self, first):
        listed = "".join(f"{i} {fault.address:x} {fault.old.hex()} {fault.new.hex()}\n"
                         for i, fault in enumerate(self.faults) if i >= first)
        return self.lab.initramfs((places.BUILD / "tools/faults/faults").read_bytes(),
                                  {"faults": listed.encode()}, busybox=False)

    def _machine(self, first):
        """Boot, inject from the fault `first` on; the number of the first that is left."""
        component, disk = DRIVERS[self.driver]
        image = self.lab.file("disk", bytes(DISK_BYTES))
        words = ["panic=-1", "quiet", "loglevel=4", "concord.stall=1000", "--", f"{component}.0", disk]
        machine = self.lab.machine(words, memory=MEMORY, drives=[qemu.Drive(image, False)],
                                   initrd=self._archive(first))
        self.machines += 1
        ended = self.lab.boot(machine, seconds=MACHINE_SECONDS)
        (places.BUILD / "faults.console").write_text(ended.console)
        if "faults: no" in ended.console or "faults: " in ended.console and "begins" not in ended.console:
            raise say.Failure(f"the guest cannot inject faults\n{self.lab.last_words()}")
        following = self._read(ended, first)
        done = re.search(r"faults: all done, checksum ([0-9a-f]{16})", ended.console)
        if done:
            self.checksums.append((int(done[1], 16), checksum(image.read_bytes())))
        return following

    def _read(self, ended, first):
        current = None
        for line in ended.console.splitlines():
            match = re.match(r"fault: (\d+) (.*)", line)
            if not match:
                continue
            number, words = int(match[1]), match[2].split()
            if words == ["begins"]:
                current = number
                self.outcomes[number] = Outcome()
                continue
            outcome = self.outcomes[number]
            if words[0] == "probe":
                outcome.probe = numbers(words)
                continue
            if words[0] == "not-reached":
                outcome.kind = "not-activated" if not outcome.probe else "unsound"
            else:
                outcome.words = numbers(words)
                outcome.kind = classify(outcome)
            if "lost" in outcome.words:
                outcome.console = ended.console[-6000:]
        if current is None:
            raise say.Failure(f"the guest did not begin\n{self.lab.last_words()}")
        if not self.outcomes[current].kind:
            self.outcomes[current].kind = "died"
            self.outcomes[current].console = ended.console[-6000:]
        return current + 1

    # -- what came of it ---------------------------------------------------------------------------

    def count(self, kind):
        return sum(outcome.kind == kind for outcome in self.outcomes.values())

    def table(self):
        activated = [o for o in self.outcomes.values() if o.kind != "not-activated"]
        lines = [f"{len(self.outcomes)} faults in {self.driver}, {len(activated)} activated; "
                 f"{self.machines} machines", ""]
        for kind, meaning in CLASSES:
            lines.append(f"{self.count(kind):7} {kind:14} {meaning}")
        lines += ["", f"{'':14}" + "".join(f"{kind:>15}" for kind, _ in CLASSES)]
        for kind in mutate.TYPES:
            of_kind = [self.outcomes[i] for i, fault in enumerate(self.faults)
                       if fault.kind == kind and i in self.outcomes]
            lines.append(f"{kind:14}" + "".join(f"{sum(o.kind == c for o in of_kind):15}"
                                                for c, _ in CLASSES))
        lines += ["", "detected by:"]
        ways = {}
        for outcome in activated:
            if outcome.words.get("deaths"):
                ways[outcome.words["how"]] = ways.get(outcome.words["how"], 0) + 1
        lines += [f"{n:7} {way}" for way, n in sorted(ways.items(), key=lambda w: -w[1])]
        stalls = sorted(o.words["stall"] for o in activated if o.kind == "recovered")
        if stalls:
            lines += ["", "longest wait of a program for one transfer, where a driver was replaced: median "
                      f"{statistics.median(stalls) / 1000:.1f} ms, 99 % {stalls[len(stalls) * 99 // 100] / 1000:.1f} ms, "
                      f"longest {stalls[-1] / 1000:.1f} ms"]
        stops = sorted(o.probe["stall"] for o in activated if "stall" in o.probe)
        if stops:
            lines += [f"the same where it merely stopped at the instruction: median {statistics.median(stops) / 1000:.1f} ms, "
                      f"99 % {stops[len(stops) * 99 // 100] / 1000:.1f} ms, longest {stops[-1] / 1000:.1f} ms"]
        return "\n".join(lines)

    def details(self):
        """All faults that were activated, for people and tools."""
        return [{"number": i, "outcome": o.kind, "kind": f.kind, "place": f"{f.function}+{f.offset:#x}",
                 "change": f.text, **o.words, "console": o.console}
                for i, f in enumerate(self.faults) if (o := self.outcomes.get(i)) and o.kind != "not-activated"]


def checksum(data):
    """FNV-1a, as in tools/faults/blocks.c."""
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return value


def program(driver):
    return (places.BUILD / f"drivers/driver-{driver}").read_bytes()


def campaign(lab, driver, count, seed):
    return Campaign(lab, driver, mutate.choose(program(driver), count, seed))


def main(options):
    """The subcommand."""
    from . import build, lab as labs, test
    build.build()
    configuration = test.Configuration(options.placement, options.cpus)
    with labs.Lab(configuration, None, 10 ** 7) as lab:
        begin = time.monotonic()
        run = campaign(lab, options.driver, options.count, options.seed)
        run.run(lambda done: say.note(f"{done} of {options.count} faults, {time.monotonic() - begin:.0f} s"))
        print(run.table())
        for said, found in run.checksums:
            print("the disk from outside:", "as it should be" if said == found else "OTHER DATA")
        path = places.BUILD / "faults.json"
        path.write_text(json.dumps(run.details(), indent=1))
        say.note(f"all of them: {path}")
    return 1 if run.count("died") or run.count("unsound") else 0
