# SPDX-License-Identifier: MIT
"""Debian's packages, from the machine's own sources, without being root.

apt keeps its lists in a directory of ours, so that looking up and downloading a
package changes nothing on the machine."""

import re

from . import places, say

RELEASE = "bookworm"


def _options():
    state = places.CACHE / "apt"
    for directory in ("lists/partial", "archives/partial"):
        (state / directory).mkdir(parents=True, exist_ok=True)
    return ["-o", f"Dir::State::lists={state}/lists", "-o", f"Dir::Cache={state}",
            "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=",
            "-o", "APT::Sandbox::User=", "-o", "Acquire::Languages=none"]


def update():
    say.note("reading the lists of Debian packages")
    say.run(["apt-get", *_options(), "update"], "reading the lists of Debian packages")


def newest(package):
    """The one real package that a metapackage such as linux-image-amd64 depends on, or itself."""
    shown = say.output(["apt-cache", *_options(), "show", "--no-all-versions", package],
                       f"looking up {package}")
    depends = re.search(r"^Depends: (linux-image-[^ ,]+)", shown, re.MULTILINE)
    return depends.group(1) if depends else package


def download(package, directory):
    """Fetch a package file into a directory; its path."""
    directory.mkdir(parents=True, exist_ok=True)
    say.note(f"downloading {package}")
    say.run(["apt-get", *_options(), "download", package], f"downloading {package}", cwd=directory)
    return next(directory.glob(f"{package}_*.deb"))


def debian_sources():
    """The machine's sources of Debian itself, as lines of a sources.list, for the default image."""
    fields = "$(REPO_URI)|$(CODENAME)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)|$(SIGNED_BY)"
    shown = say.output(["apt-get", *_options(), "indextargets", "--format", fields,
                        "Created-By: Packages"], "reading the package sources")
    rows = sorted({tuple(line.split("|")) for line in shown.splitlines()})
    lines = []
    for uri, codename, release, component, origin, signed_by in rows:
        if origin != "Debian" or not codename.startswith(RELEASE):
            continue
        options = f"[signed-by={signed_by}] " if signed_by.startswith("/") else ""
        lines.append(f"deb {options}{uri} {release} {component}")
    if not lines:
        raise say.Failure(f"this machine's package sources have no Debian 12 ({RELEASE}), "
                          "which the default image is made from; add such a source, or use --image")
    return lines
