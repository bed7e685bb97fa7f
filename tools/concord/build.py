# SPDX-License-Identifier: MIT
"""`./concord build`: meson and ninja, nothing more."""

import hashlib
import json
import os

from . import places, say


def setup(strict=False):
    """Where there is no build yet; `strict`: with gcc, and warnings as errors."""
    if not (places.BUILD / "build.ninja").exists():
        say.note(f"setting up the build in {os.path.relpath(places.BUILD)}")
        how = ["env", "CC=gcc", "meson", "setup", "--werror"] if strict else ["meson", "setup"]
        say.run([*how, places.BUILD, places.ROOT], "meson setup")


def is_strict():
    """Whether the build was set up so, and by this."""
    options = json.loads((places.BUILD / "meson-info/intro-buildoptions.json").read_text())
    return any(option["name"] == "werror" and option["value"] for option in options)


def build(*targets, strict=False):
    """Bring targets (all, by default) up to date; targets are paths in the build directory."""
    lock = hashlib.sha256(str(places.BUILD).encode()).hexdigest()[:12]
    with places.cache_lock(f"build-{lock}"):
        setup(strict)
        names = [str(target.relative_to(places.BUILD)) for target in targets]
        say.run(["ninja", "-C", places.BUILD, *names], "the build")
