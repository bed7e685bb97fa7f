# SPDX-License-Identifier: MIT
"""`./concord demo NAME`: a short run that shows what the system is for."""

import tempfile

from . import heal as healing, qemu, run

DEMOS = {"heal": "a disk driver is killed once a second under a load that compares checksums"}


def heal(options):
    """A second disk, on the bus that was asked for, and tools/demo/heal.py in the guest."""
    component, device, bus, _ = healing.ROWS[f"heal-{options.disk_bus}"]
    qemu.check_disk_bus(bus, options.machine)
    options.disk_bus = "virtio"     # the image's own disk
    with tempfile.TemporaryDirectory(prefix="concord-demo-") as folder:
        drive = qemu.Drive(healing.disk(folder), bus=bus)
        return run.run(options, healing.argv(component, device, options.seconds, 1), [drive])


def main(name, options):
    return {"heal": heal}[name](options)
