#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Random operations on ext4 images of several kinds: the same results as on tmpfs, clean for
e2fsck afterwards; and after crashes at many moments, what was synced is there, for our recovery
and for e2fsck's."""

import glob
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../../test/host"))
from image_test import find, run  # noqa: E402

KINDS = (["-b4096"], ["-b1024"], ["-b1024", "-O^metadata_csum"], ["-b2048", "-I128", "-O^64bit"])
CRASH_KINDS = (["-b4096"], ["-b1024", "-O^metadata_csum"], ["-b1024", "-Jsize=1"])


def make(image, options, size):
    if os.path.exists(image):
        os.unlink(image)
    return run(find("mke2fs"), "-q", "-F", "-t", "ext4", *options, image, size)


def operations(tool, tmp, seed, options, count):
    image = f"{tmp}/image"
    return (make(image, options, "64M") or run(tool, image, str(seed), str(count)) or
            run(find("e2fsck"), "-fn", image))


def crashes(tool, tmp, seed, options, count, number):
    image, folder = f"{tmp}/image", f"{tmp}/crashes"
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    error = make(image, options, "24M") or run(tool, image, str(seed), str(count), folder, str(number))
    if error:
        return error
    for expect in sorted(glob.glob(f"{folder}/*.expect")):
        crash = expect[:-len(".expect")]
        # e2fsck replays too; exit status 1: it did
        shutil.copy(crash, f"{tmp}/other")
        r = subprocess.run([find("e2fsck"), "-fy", f"{tmp}/other"], capture_output=True, text=True)
        if r.returncode > 1:
            return f"{crash}: e2fsck: {r.stdout}"
        error = run(tool, "--verify", crash, expect) or run(find("e2fsck"), "-fn", crash)
        if error:
            return f"{crash}: {error}"
    return None


def faults(tool, tmp, seed, options, count):
    """Some runs end with an aborted journal, which is replayed by the one that verifies nothing."""
    image = f"{tmp}/image"
    error = make(image, options, "24M") or run(tool, "--faults", image, str(seed), str(count))
    if error:
        return error
    other = f"{tmp}/other"
    shutil.copy(image, other)
    r = subprocess.run([find("e2fsck"), "-fy", "-E", "journal_only", other], capture_output=True, text=True)
    r = subprocess.run([find("e2fsck"), "-fp", other], capture_output=True, text=True)
    if r.returncode > 1:
        return f"e2fsck -fp: {r.stdout}"
    return run(tool, "--verify", image, "/dev/null") or run(find("e2fsck"), "-fn", image)


def main():
    tool = sys.argv[1]
    first, seeds = (int(sys.argv[2]), int(sys.argv[3])) if len(sys.argv) > 3 else (1, 1)
    if not find("mke2fs"):
        print("e2fsprogs is not installed")
        return 77
    with tempfile.TemporaryDirectory() as tmp:
        for seed in range(first, first + seeds):
            for options in KINDS:
                error = operations(tool, tmp, seed, options, 2000)
                if error:
                    print(f"seed {seed} {options}: {error}")
                    return 1
            for options in CRASH_KINDS:
                error = crashes(tool, tmp, seed, options, 500, 8)
                if error:
                    print(f"seed {seed} {options}, crash: {error}")
                    return 1
                for part in range(6):
                    error = faults(tool, tmp, 6 * seed + part, options, 200)
                    if error:
                        print(f"seed {seed}.{part} {options}, faults: {error}")
                        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
