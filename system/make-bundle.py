#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make-bundle.py OUTPUT NAME=FILE...

Make the boot bundle: a cpio archive (newc) whose files start on page boundaries, so that init
maps programs straight out of it.  The gap before a file's data is filled by NULs after its name,
which readers of the format skip.  A name's length is at most a page, NULs included: where that is
not enough, empty directories "." come first.  The archive is the same for the same input.
"""
import sys

PAGE = 4096
HEADER = 110


def entry(offset, name, data, mode, ino):
    name = name.encode() + b"\0"
    if data:
        gap = -(offset + HEADER + len(name)) % PAGE
        if len(name) + gap > PAGE:
            filler = entry(offset, ".", b"", 0o40755, 0)
            return filler + entry(offset + len(filler), name[:-1].decode(), data, mode, ino)
        name += b"\0" * gap
    fields = [ino, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
    out = b"070701" + b"".join(b"%08x" % f for f in fields) + name
    out += b"\0" * (-(offset + len(out)) % 4)
    out += data
    return out + b"\0" * (-(offset + len(out)) % 4)


def main():
    out = bytearray()
    for ino, arg in enumerate(sys.argv[2:], 1):
        name, path = arg.split("=", 1)
        with open(path, "rb") as f:
            data = f.read()
        mode = 0o100644 if name.endswith((".conf", ".symbols")) else 0o100755
        out += entry(len(out), name, data, mode, ino)
    out += entry(len(out), "TRAILER!!!", b"", 0, 0)
    out += b"\0" * (-len(out) % PAGE)
    with open(sys.argv[1], "wb") as f:
        f.write(out)


if __name__ == "__main__":
    main()
