# SPDX-License-Identifier: MIT
"""Demonstrations show what they are said to show."""

import re

from concord.scenario import Failed, boot


@boot(when=lambda c: not c.kernel and c.cpus == 2)
def demo_heal_kills_a_disk_driver_and_nothing_is_wrong(lab):
    done = lab.concord("demo", "heal", "--seconds", "3", *lab.run_options())
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise Failed(f"it ended with {done.returncode}\n{text}\n{done.stderr.decode(errors='replace')}")
    figures = re.search(r"(\d+) kills, (\d+) blocks compared, 0 wrong or failed; throughput", text)
    if not figures or int(figures[1]) < 2 or not int(figures[2]):
        raise Failed(f"the figures are missing\n{text}")
