# SPDX-License-Identifier: MIT
"""Whether a guest is as empty after many programs as it was before.

The kernel prints what lives, once a second, when it boots with the word "concord.counts"
(kernel/object/leak.c).  The programs run three times; the last two are compared: before
that the caches fill."""

import re
import time
from dataclasses import dataclass

WORD = "concord.counts"
LINE = re.compile(r"counts: (.*)$", re.MULTILINE)
SETTLE_SECONDS = 30
# Pages that may come and go: caches of the personality, page tables of its own.
PAGES_SPARE = 64


@dataclass(frozen=True)
class Counts:
    objects: dict       # kind: number
    pages: int          # neither in use by programs nor kept for them

    @classmethod
    def parse(cls, text):
        objects, _, pages = text.partition(", pages: ")
        number = {kind: int(n) for n, kind in re.findall(r"(\d+) (\w+)", objects)}
        # Free ones, and those that processors keep for the next stack or table.
        return cls(number, sum(int(n) for n, kind in re.findall(r"(\d+) (\w+)", pages) if kind != "slab"))


def settled(guest):
    """The counts once they do not change from one second to the next."""
    guest.sweep(time.monotonic() + 15)
    seen = len(LINE.findall(guest.console_text()))
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        time.sleep(0.3)
        # The first line may have been on its way while the last program ended.
        lines = LINE.findall(guest.console_text())[seen + 1:]
        late = time.monotonic() > deadline
        if len(lines) >= 2 and (late or lines[-1] == lines[-2]):
            return Counts.parse(lines[-1])
        if late and not lines:
            raise AssertionError("the kernel prints no counts")


def differences(before, after):
    """What there is more of, as text."""
    found = [f"{kind}: {n}, were {before.objects[kind]}" for kind, n in after.objects.items()
             if n > before.objects[kind]]
    if after.pages < before.pages - PAGES_SPARE:
        found.append(f"pages: {before.pages - after.pages} less are free")
    return found
