#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Journals that debugfs writes are replayed: image_tool mounts the image, and finds in a file what
was only in the log; blocks that were revoked later are left alone."""

import os
import subprocess
import sys
import tempfile
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../../test/host"))
from image_test import find, run  # noqa: E402

MAGIC = bytes.fromhex("c03b3998")


def debugfs(image, commands):
    script = image + ".cmd"
    with open(script, "w") as f:
        f.write("\n".join(commands) + "\n")
    r = subprocess.run([find("debugfs"), "-w", "-f", script, image], capture_output=True, text=True)
    return r.stdout


def blocks_of(image, path):
    out = subprocess.run([find("debugfs"), "-R", f"blocks {path}", image], capture_output=True, text=True)
    return out.stdout.split()


def listing(tool, image):
    out = subprocess.run([tool, "ext4", image], capture_output=True, text=True)
    return {line.split(" ")[0]: line.split(" ") for line in out.stdout.splitlines()}


def check(tool, tmp, options, checksum):
    image = f"{tmp}/image"
    error = run(find("mke2fs"), "-q", "-F", "-t", "ext4", "-b", "1024", "-d", f"{tmp}/tree", *options,
                image, "32M")
    if error:
        return error
    a, b, c = (blocks_of(image, f"/{n}")[0] for n in "abc")
    contents = {"a": b"A" * 1024, "b": MAGIC + b"B" * 1020, "c": b"C" * 1024}
    for name, data in contents.items():
        with open(f"{tmp}/{name}.new", "wb") as f:
            f.write(data)
    debugfs(image, [f"jo {checksum}", f"jw -b {a} {tmp}/a.new", f"jw -b {b},{c} {tmp}/bc.new",
                    f"jw -r {c}", "jc"])
    got = listing(tool, image)
    for name, expected in (("a", contents["a"]), ("b", contents["b"]), ("c", b"c" * 1024)):
        if got.get(f"/{name}", [""])[-1] != "%08x" % zlib.crc32(expected):
            return f"{options} {checksum}: /{name} is {got.get('/' + name)}"
    return None


def main():
    tool = sys.argv[1]
    if not find("debugfs") or not find("mke2fs"):
        print("e2fsprogs is not installed")
        return 77
    with tempfile.TemporaryDirectory() as tmp:
        os.mkdir(f"{tmp}/tree")
        for name in "abc":
            with open(f"{tmp}/tree/{name}", "w") as f:
                f.write(name * 1024)
        with open(f"{tmp}/bc.new", "wb") as f:
            f.write(MAGIC + b"B" * 1020 + b"C" * 1024)
        for options in ([], ["-O^64bit"], ["-O^metadata_csum"]):
            for checksum in ("", "-c", "-v 2", "-v 3"):
                if "^metadata_csum" in "".join(options) and checksum:
                    continue
                error = check(tool, tmp, options, checksum)
                if error:
                    print(error)
                    return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
