# SPDX-License-Identifier: MIT
"""Demonstrations show what they are said to show."""

import json
import re

from concord.scenario import Failed, boot


def heal(lab, bus):
    done = lab.concord("demo", "heal", "--seconds", "3", "--disk-bus", bus, *lab.run_options())
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise Failed(f"it ended with {done.returncode}\n{text}\n{done.stderr.decode(errors='replace')}")
    figures = re.search(r"(\d+) kills, (\d+) blocks compared, 0 wrong or failed; throughput", text)
    if not figures or int(figures[1]) < 2 or not int(figures[2]):
        raise Failed(f"the figures are missing\n{text}")


@boot(when=lambda c: not c.kernel and c.cpus == 2)
def demo_heal_kills_a_disk_driver_and_nothing_is_wrong(lab):
    heal(lab, "virtio")


@boot(when=lambda c: not c.kernel and c.cpus == 2 and c.placement == "process", full=True)
def demo_heal_kills_an_nvme_driver_and_nothing_is_wrong(lab):
    heal(lab, "nvme")


@boot(when=lambda c: not c.kernel and c.cpus == 2 and c.placement == "kernel", full=True)
def demo_heal_kills_an_ahci_driver_and_nothing_is_wrong(lab):
    heal(lab, "ahci")


@boot(when=lambda c: not c.kernel and c.cpus == 1 and c.placement == "kernel", full=True, seconds=900)
def bench_heal_measures_what_deaths_and_updates_cost(lab):
    figures = lab.folder / "figures"
    done = lab.concord("bench", "heal", "--icount", "--rounds", "2", "--json", str(figures))
    text = (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode != 0:
        raise Failed(f"it ended with {done.returncode}\n{text}")
    found = json.loads(figures.read_text())
    if len(found) != 6:
        raise Failed(f"rows are missing\n{text}")
    for row, one in found.items():
        if one["wrong"] or one["kills"]["count"] < 18:
            raise Failed(f"{row}: {one}\n{text}")
        # Guest time, which counts instructions: no other load of the host is in it.
        if one["kills"]["stall-p99"] >= 10:
            raise Failed(f"{row}: stalls of 10 ms and more\n{text}")
