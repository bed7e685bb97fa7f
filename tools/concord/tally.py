# SPDX-License-Identifier: MIT
"""What came of faults: classes of outcomes, and the table that `./concord faults` ends with."""

import statistics
from collections import Counter

CLASSES = (
    ("not-activated", "the load does not reach it: not injected"),
    ("no-effect", "reached; all data right, no driver ended"),
    ("recovered", "a driver ended or was ended; all data right, no errors"),
    ("stood-still", "a port let nothing pass until its driver was restarted; then all data was right"),
    ("error", "the load got errors (EIO) for a while; no wrong data"),
    ("silent", "wrong data, acknowledged or read without an error"),
    ("lost", "the device gave errors until the next boot"),
    ("stuck", "the load did not end"),
    ("died", "the kernel, the personality or another component died"),
    ("unsound", "wrong data or errors where a driver had merely stopped"),
)
# There must be none of these: the first two are what isolation is for, the third what recovery is for.
BUGS = ("died", "unsound", "stuck")


def classify(probe, said):
    """From the words that the guest said of a fault that was injected, and of the stop before it."""
    if probe and (probe["errors"] or probe["wrong"] or probe["after"] or probe["stopped"]):
        return "unsound"
    if "lost" in said:
        return "stuck" if "stuck" in said["lost"] else "lost"
    if said["wrong"] or said["after"]:
        return "silent"
    if said["errors"]:
        return "error"
    if said["stopped"]:
        return "stood-still"
    return "recovered" if said["deaths"] else "no-effect"


def spread(what, microseconds):
    if not microseconds:
        return []
    values = sorted(value / 1000 for value in microseconds)
    return [f"{what}: median {statistics.median(values):.1f} ms, 99 % {values[len(values) * 99 // 100]:.1f} ms, "
            f"longest {values[-1]:.1f} ms"]


class Tally:
    def __init__(self):
        self.outcomes = Counter()       # (kind of fault, class)
        self.ways = Counter()           # how a driver was found out
        self.stalls, self.stops = [], []
        self.activated = []             # all that is known of them, for people and tools

    def add(self, number, fault, kind, probe, said, console=""):
        self.outcomes[fault.kind, kind] += 1
        if kind == "not-activated":
            return
        if said.get("deaths"):
            self.ways[said["how"]] += 1
        if kind == "recovered":
            self.stalls.append(said["stall"])
        if "stall" in probe:
            self.stops.append(probe["stall"])
        self.activated.append({"number": number, "outcome": kind, "kind": fault.kind,
                               "place": f"{fault.function}+{fault.offset:#x}", "change": fault.text,
                               **said, "probe": probe, **({"console": console} if console else {})})

    def count(self, *kinds):
        return sum(n for (_, kind), n in self.outcomes.items() if kind in kinds)

    def table(self):
        total = sum(self.outcomes.values())
        lines = [f"{total} faults, {total - self.count('not-activated')} activated", ""]
        lines += [f"{self.count(kind):8} {kind:14} {meaning}" for kind, meaning in CLASSES]
        lines += ["", f"{'':12}" + "".join(f"{kind:>14}" for kind, _ in CLASSES)]
        for fault in sorted({fault for fault, _ in self.outcomes}):
            lines.append(f"{fault:12}" + "".join(f"{self.outcomes[fault, kind]:14}" for kind, _ in CLASSES))
        lines += ["", "how drivers with a fault were found out:"]
        lines += [f"{n:8} {way}" for way, n in self.ways.most_common()]
        lines += ["", *spread("longest wait for one transfer where a driver was replaced", self.stalls),
                  *spread("... where it merely stopped at the instruction", self.stops)]
        return "\n".join(lines)
