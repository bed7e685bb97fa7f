# SPDX-License-Identifier: MIT
"""What programs see of the machine."""

from concord.scenario import Failed, application


def interrupts(guest):
    """/proc/interrupts as {label: (counts, what)}, and the number of its columns."""
    header, *lines = guest.run(["cat", "/proc/interrupts"]).stdout.decode().splitlines()
    cpus = header.split()
    if cpus != [f"CPU{i}" for i in range(len(cpus))]:
        raise Failed(f"the header is {header!r}")
    found = {}
    for line in lines:
        label, _, rest = line.partition(":")
        words = rest.split()
        found[label.strip()] = ([int(word) for word in words[:len(cpus)] if word.isdigit()],
                                " ".join(words[len(cpus):]))
    return len(cpus), found


@application()
def interrupts_are_counted_where_they_go(guest):
    cpus, before = interrupts(guest)
    if cpus != guest.configuration.cpus:
        raise Failed(f"{cpus} columns for {guest.configuration.cpus} processors")
    guest.shell("dd if=/dev/vda of=/dev/null bs=64k count=16 skip=1000 iflag=direct")
    _, after = interrupts(guest)
    more = {label: sum(counts) - sum(before[label][0]) for label, (counts, what) in after.items()
            if "virtio" in what and label in before}
    if not more or max(more.values()) < 1:
        raise Failed(f"reading a disk was no interrupt: {more}")
    for label in ("LOC", "RES", "TLB"):
        counts, _ = after[label]
        if len(counts) != cpus or any(now < then for now, then in zip(counts, before[label][0])):
            raise Failed(f"{label}: {before[label]} became {after[label]}")
