# SPDX-License-Identifier: MIT
"""`./concord demo NAME`: a short run that shows what the system is for."""

import tempfile
from pathlib import Path

from . import places, run

DEMOS = {"heal": "a disk driver is killed once a second under a load that compares checksums"}
DISK_BYTES = 16 << 20


def heal(options):
    """A second disk, and tools/demo/heal.py in the guest."""
    program = (places.ROOT / "tools/demo/heal.py").read_text()
    with tempfile.TemporaryDirectory(prefix="concord-demo-") as folder:
        disk = Path(folder) / "disk"
        disk.touch()
        with disk.open("r+b") as file:
            file.truncate(DISK_BYTES)
        options.drive = [*options.drive, str(disk)]
        return run.run(options, ["python3", "-u", "-c", program, str(options.seconds)])


def main(name, options):
    return {"heal": heal}[name](options)
