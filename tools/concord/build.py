# SPDX-License-Identifier: MIT
"""`./concord build`: meson and ninja, nothing more."""

import hashlib
import os

from . import places, say


def setup():
    if not (places.BUILD / "build.ninja").exists():
        say.note(f"setting up the build in {os.path.relpath(places.BUILD)}")
        say.run(["meson", "setup", places.BUILD, places.ROOT], "meson setup")


def build(*targets):
    """Bring targets (all, by default) up to date; targets are paths in the build directory."""
    lock = hashlib.sha256(str(places.BUILD).encode()).hexdigest()[:12]
    with places.cache_lock(f"build-{lock}"):
        setup()
        names = [str(target.relative_to(places.BUILD)) for target in targets]
        say.run(["ninja", "-C", places.BUILD, *names], "the build")
