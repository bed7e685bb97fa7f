# SPDX-License-Identifier: MIT
"""Where things are in the tree, and a lock on what several commands share."""

import contextlib
import fcntl
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CONCORD_BUILD") or ROOT / "build")
CACHE = Path(os.environ.get("CONCORD_CACHE") or ROOT / ".cache")

KERNEL = BUILD / "concord.elf"
INIT = BUILD / "tools/runner/concord-init"
CONCTL = BUILD / "tools/conctl/conctl"


@contextlib.contextmanager
def cache_lock(name):
    """Only one process at a time makes the cache entry `name`."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f".lock-{name}", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
