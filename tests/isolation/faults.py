# SPDX-License-Identifier: MIT
"""Faults in the text of running drivers: who else suffers, and who notices (./concord faults)."""

from concord import faults, mutate, tally
from concord.scenario import Failed, Skip, isolation


def decoder():
    try:
        mutate.decoder()
    except ImportError:
        raise Skip("Debian's python3-capstone is not there") from None


def inject(lab, driver, chosen):
    campaign = faults.Campaign(lab, driver, chosen).run()
    if campaign.bugs():
        bad = [one for one in campaign.tally.activated if one["outcome"] in tally.BUGS]
        raise Failed("\n".join([campaign.report(), *(str(one) for one in bad)]))
    return campaign


def stop(lab, driver, chosen):
    """Breakpoints: all data is right, and nobody else sees anything."""
    campaign = inject(lab, driver, chosen)
    if campaign.tally.count("stood-still", "error", "silent", "lost"):
        raise Failed(campaign.report())


# -- some ----------------------------------------------------------------------------------------

@isolation(when=lambda c: not c.kernel and c.placement == "process" and c.cpus == 2, seconds=120)
def a_disk_driver_may_stop_at_any_instruction(lab):
    decoder()
    stop(lab, "virtio-blk", faults.chosen("virtio-blk", 40, 5, ("stop",)))


@isolation(when=lambda c: not c.kernel and c.placement == "kernel" and c.cpus == 2, seconds=120)
def a_port_driver_may_stop_at_any_instruction(lab):
    decoder()
    for driver in ("virtio-console", "uart"):
        stop(lab, driver, faults.chosen(driver, 40, 5, ("stop",)))


@isolation(when=lambda c: not c.kernel and c.placement == "kernel" and c.cpus == 2, seconds=120)
def a_network_driver_may_stop_at_any_instruction(lab):
    decoder()
    for driver in ("virtio-net", "e1000"):
        stop(lab, driver, faults.chosen(driver, 40, 5, ("stop",)))


# -- all, and all kinds ----------------------------------------------------------------------------

def campaigns(driver):
    def stops(lab):
        decoder()
        stop(lab, driver, faults.program(driver).stops())

    def kinds(lab):
        decoder()
        print(inject(lab, driver, faults.chosen(driver, 2000, 1)).report())

    name = driver.replace("-", "_")
    stops.__name__ = f"{name}_may_stop_at_every_instruction"
    kinds.__name__ = f"faults_in_{name}_stay_there"
    for run in (stops, kinds):
        run.__module__ = __name__
        isolation(full=True, when=lambda c: not c.kernel and c.cpus == 2, seconds=3600)(run)


for one in faults.DRIVERS:
    campaigns(one)
