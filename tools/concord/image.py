# SPDX-License-Identifier: MIT
"""The default image: Debian 12 as a read-only erofs file system; and writable ones for users.

Two steps, each cached under a hash of what goes into it: mmdebstrap makes a tar
file from the list of packages (minutes, needs the network once); the tar file,
the files in tools/image/overlay and concord-init become the image (seconds,
offline).  Nothing needs root: mmdebstrap uses user namespaces, or fakechroot
where there are none, and fakeroot keeps the owners of files in the second step.

The image is not compressed: reading it costs the guest less, and an emulated
guest decompresses slowly."""

import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

from . import apt, build, places, say

RECIPES = places.ROOT / "tools/image"
OVERLAY = RECIPES / "overlay"
IMAGES_KEPT = 12        # assembled ones, the last used
STEP = "2"              # raised when the steps below change what they make


def packages(name):
    """The packages of the image `name`: those of its recipe and of the one it extends."""
    found = []
    for line in (RECIPES / f"{name}.packages").read_text().splitlines():
        words = line.partition("#")[0].split()
        if words[:1] == ["extends"]:
            found += packages(words[1])
        else:
            found += words
    return found


def _digest(*parts):
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:16]


def _mode():
    """How mmdebstrap gets a root of its own."""
    def works(*options):
        return subprocess.run(["unshare", *options, "true"], stdin=subprocess.DEVNULL,
                              capture_output=True).returncode == 0

    if os.geteuid() == 0:       # which in a container need not mean much
        return "root" if works("--mount") else "fakechroot"
    return "unshare" if works("--map-auto", "--map-root-user") else "fakechroot"


# What to do before a package is installed, by the package: a shell command, with the new root as $1.
BEFORE = {
    "postgresql-15":                   # no data base of its own
        'mkdir -p "$1/etc/postgresql-common" && '
        'echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"',
}


def _make_tar(name, path):
    apt.update()
    sources = path.with_suffix(".list")
    sources.write_text("\n".join(apt.debian_sources()) + "\n")
    say.note(f"making the {name} image from Debian packages: this takes some minutes, once")
    fresh = path.with_suffix(".new.tar")
    hooks = [f"--essential-hook={BEFORE[package]}" for package in packages(name) if package in BEFORE]
    say.run(["mmdebstrap", f"--mode={_mode()}", "--variant=minbase", "--format=tar",
             f"--include={','.join(packages(name))}", *hooks,
             "--aptopt=Acquire::Languages \"none\"",
             "--dpkgopt=path-exclude=/usr/share/doc/*",
             "--dpkgopt=path-include=/usr/share/doc/*/copyright",
             "--dpkgopt=path-exclude=/usr/share/locale/*",
             "--dpkgopt=path-exclude=/usr/share/man/*",
             "--dpkgopt=path-exclude=/usr/share/info/*",
             apt.RELEASE, fresh, sources], "making the image")
    fresh.rename(path)


def _as_root(argv):
    return argv if os.geteuid() == 0 else ["fakeroot", "--", *argv]


# Arguments: the tar file, the directory to unpack into, the overlay, concord-init, the image, conctl.
ASSEMBLE = r"""
set -eu
tar -x -f "$1" -C "$2" --numeric-owner
cp -R "$3/." "$2/"
install -m 755 "$4" "$2/sbin/concord-init"
install -m 755 "$6" "$2/sbin/conctl"
rm -rf "$2"/var/lib/apt/lists/* "$2"/var/cache/apt/* "$2"/var/log/*.log "$2"/dev/*
# a machine's own, so whoever wants to serve makes some (ssh-keygen -A); and where this machine found its names
rm -f "$2"/etc/ssh/ssh_host_* "$2"/etc/resolv.conf
chown -R 0:0 "$2/root"
mkfs.erofs -d1 -U c0c0c0c0-0000-4000-8000-000000000001 "$5" "$2"
"""

# The same for a writable image: room for twice what is in it, and half a gigabyte.
ASSEMBLE_EXT4 = ASSEMBLE[:ASSEMBLE.rindex("mkfs.erofs")] + r"""
size=$(du -sm "$2" | cut -f1)
PATH=$PATH:/usr/sbin:/sbin
mke2fs -q -F -t ext4 -L root -E root_owner=0:0 -d "$2" "$5" "$((size * 2 + 512))M"
"""


def _assemble(tar, path, script=ASSEMBLE):
    say.note("assembling the image")
    tree, fresh = path.with_name(path.name + ".tree"), path.with_name(path.name + ".new")
    shutil.rmtree(tree, ignore_errors=True)
    fresh.unlink(missing_ok=True)
    tree.mkdir(mode=0o755)
    try:
        say.run(_as_root(["sh", "-c", script, "assemble", tar, tree, OVERLAY, places.INIT, fresh,
                          places.CONCTL]),
                "assembling the image")
    finally:
        say.run(["chmod", "-R", "u+rwX", tree], "cleaning up")
        shutil.rmtree(tree, ignore_errors=True)
    fresh.rename(path)


def _forget_old(home):
    """Other checkouts may share the cache, so only what nobody has used for long goes.  Images that were
    assembled are large, differ with every build of the programs in them, and are made again in a
    minute: of them a few stay."""
    now = time.time()
    used = {path: path.stat().st_mtime for path in home.iterdir()}
    assembled = sorted((path for path in used if path.suffix == ".erofs"), key=used.get, reverse=True)
    for path, when in used.items():
        surplus = path in assembled[IMAGES_KEPT:] and now - when > 3600
        if surplus or now - when > 14 * 24 * 3600:
            path.unlink(missing_ok=True)


def _tar(home, name):
    return home / f"{name}-{_digest(STEP, apt.RELEASE, *packages(name))}.tar"


def _fresh_tar(home, name):
    tar = _tar(home, name)
    if not tar.exists():
        _make_tar(name, tar)
    os.utime(tar)
    return tar


def make(name="default"):
    """Bring the image up to date and return its path."""
    build.build(places.INIT)
    build.build(places.CONCTL)
    home = places.CACHE / "image"
    home.mkdir(parents=True, exist_ok=True)
    overlay = []
    for file in sorted(OVERLAY.rglob("*")):
        overlay += [file.relative_to(OVERLAY), file.stat().st_mode,
                    file.read_bytes() if file.is_file() else b""]
    tar = _tar(home, name)
    image = home / f"{name}-{_digest(STEP, tar.name, ASSEMBLE, places.INIT.read_bytes(), places.CONCTL.read_bytes(), *overlay)}.erofs"
    with places.cache_lock(f"image-{name}"):
        if image.exists():
            os.utime(image)
            return image
        _assemble(_fresh_tar(home, name), image)
        _forget_old(home)
    return image


def make_ext4(path, name="default"):
    """A new writable image at @path, which belongs to the user: one that is there is left alone."""
    if path.exists():
        raise say.Failure(f"--path {path}: exists already; its contents may be wanted", 2)
    build.build(places.INIT)
    build.build(places.CONCTL)
    home = places.CACHE / "image"
    home.mkdir(parents=True, exist_ok=True)
    with places.cache_lock(f"image-{name}"):
        _assemble(_fresh_tar(home, name), path, ASSEMBLE_EXT4)
    return path


def kind(path):
    """erofs, ext4 or cpio, from the contents of an image given by the user."""
    try:
        with open(path, "rb") as file:
            head = file.read(1200)
    except OSError as error:
        raise say.Failure(f"--image {path}: {error.strerror}", 2) from None
    if head[1024:1028] == b"\xe2\xe1\xf5\xe0":
        return "erofs"
    if head[1024 + 56:1024 + 58] == b"\x53\xef":
        return "ext4"
    if head[:6] == b"070701" or head[:2] == b"\x1f\x8b":
        return "cpio"
    raise say.Failure(f"--image {path}: not an erofs, ext4 or cpio image", 2)
