#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How many lines of code the kernel has, by folder, without tests, comments and blank lines.

kernel-size.py [--most N] FOLDER: status 1 if there are more than N in all."""

import argparse
import collections
import pathlib
import re
import sys

COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def code_lines(path):
    return sum(1 for line in COMMENT.sub("", path.read_text()).splitlines() if line.strip())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, metavar="N")
    parser.add_argument("folder", type=pathlib.Path)
    arguments = parser.parse_args()
    parts = collections.Counter()
    for path in arguments.folder.rglob("*"):
        inside = path.relative_to(arguments.folder)
        if path.suffix in (".c", ".h", ".S") and "test" not in inside.parts:
            parts[inside.parts[0] if len(inside.parts) > 1 else "."] += code_lines(path)
    for part, lines in sorted(parts.items()):
        print(f"{lines:7} {part}")
    total = sum(parts.values())
    print(f"{total:7} in all")
    if arguments.most is not None and total > arguments.most:
        print(f"more than {arguments.most}: see docs/decisions/0008-size-of-the-kernel.md", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
