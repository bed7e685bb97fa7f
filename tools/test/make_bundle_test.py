#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Files of a boot bundle start on page boundaries, wherever the ones before end.

make_bundle_test.py MAKE-BUNDLE
"""
import pathlib
import subprocess
import sys
import tempfile

PAGE = 4096
HEADER = 110
NAMES = ("drivers/block/a-driver-with-a-longer-name.symbols", "init", "n" * 200)


def entries(archive):
    """Name, its length with what follows it, where the data is, and the data."""
    at = 0
    while True:
        fields = [int(archive[at + i:at + i + 8], 16) for i in range(6, HEADER, 8)]
        size, name_size = fields[6], fields[11]
        name = archive[at + HEADER:at + HEADER + name_size].split(b"\0")[0].decode()
        data = (at + HEADER + name_size + 3) & ~3
        if name == "TRAILER!!!":
            return
        yield name, name_size, data, archive[data:data + size]
        at = (data + size + 3) & ~3


def check(make_bundle, folder, size):
    """One bundle whose first file has `size` bytes; what is wrong with it."""
    files = {name: bytes([i + 1]) * (size if i == 0 else 10) for i, name in enumerate(NAMES)}
    arguments = []
    for i, (name, data) in enumerate(files.items()):
        (folder / str(i)).write_bytes(data)
        arguments.append(f"{name}={folder / str(i)}")
    subprocess.run([sys.executable, make_bundle, folder / "out", *arguments], check=True)
    found = {}
    for name, name_size, data, content in entries((folder / "out").read_bytes()):
        if name_size > PAGE:
            return f"{name}: a name of {name_size} bytes"
        if content and data % PAGE:
            return f"{name}: data at {data}"
        if content:
            found[name] = content
    return None if found == files else f"holds {list(found)}"


def main():
    make_bundle = sys.argv[1]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        # All ends that are close to what a header, a name or both take, and some others.
        for size in (*range(PAGE - 460, PAGE, 12), *range(100, PAGE, 500), PAGE):
            wrong = check(make_bundle, pathlib.Path(folder), size)
            if wrong:
                print(f"first file of {size} bytes: {wrong}")
                failed += 1
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
