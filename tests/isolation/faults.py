# SPDX-License-Identifier: MIT
"""Faults in the text of running drivers: who else suffers, and who notices (./concord faults)."""

from concord import faults, mutate
from concord.scenario import Failed, Skip, isolation


def inject(lab, driver, count, seed, kinds=mutate.TYPES):
    try:
        mutate.decoder()
    except ImportError:
        raise Skip("Debian's python3-capstone is not there") from None
    campaign = faults.Campaign(lab, driver, count, seed, kinds).run()
    if campaign.bugs():
        bad = [one for one in campaign.tally.activated if one["outcome"] in ("died", "unsound", "stuck")]
        raise Failed("\n".join([campaign.report(), *(str(one) for one in bad)]))
    return campaign


@isolation(when=lambda c: not c.kernel and c.placement == "process" and c.cpus == 2, seconds=120)
def a_disk_driver_may_stop_at_any_instruction(lab):
    """A breakpoint at some: all data is right, and nobody else sees anything."""
    campaign = inject(lab, "virtio-blk", 24, 5, ("stop",))
    if campaign.tally.count("error", "silent", "disk-lost"):
        raise Failed(campaign.report())


@isolation(full=True, when=lambda c: not c.kernel and c.cpus == 2, seconds=3 * 3600)
def faults_in_a_disk_driver_stay_there(lab):
    print(inject(lab, "virtio-blk", 2000, 1).report())
