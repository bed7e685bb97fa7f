#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare what erofs_tool reads from an image with the directory that mkfs.erofs made it from,
then let it read images with changed bytes."""

import os
import shutil
import subprocess
import sys
import tempfile
import zlib


def make_tree(top):
    os.makedirs(f"{top}/dir/sub")
    os.mkdir(f"{top}/empty")
    os.mkdir(f"{top}/many")
    for i in range(700):
        with open(f"{top}/many/a-rather-long-name-to-fill-blocks-{i:04}", "w") as f:
            f.write(str(i))
    sizes = [0, 1, 31, 4000, 4095, 4096, 4097, 8192, 10000, 65536, 300001]
    for n in sizes:
        with open(f"{top}/dir/file{n}", "wb") as f:
            f.write(bytes((i * 7 + n) & 255 for i in range(n)))
    os.link(f"{top}/dir/file10000", f"{top}/dir/sub/hardlink")
    os.symlink("../dir/file1", f"{top}/dir/symlink")
    os.symlink("x" * 3000, f"{top}/long-symlink")
    os.mkfifo(f"{top}/fifo")
    os.chmod(f"{top}/dir/file31", 0o4750)
    os.utime(f"{top}/dir/file1", ns=(10**18, 10**18 + 123456789))
    for name, size in (("dir/file0", 5), ("dir/file1", 200), ("many/a-rather-long-name-to-fill-blocks-0001", 5)):
        try:
            os.setxattr(f"{top}/{name}", "user.note", b"v" * size)
            os.setxattr(f"{top}/{name}", "user.other", b"shared value")
        except OSError:
            pass


def describe(top):
    lines = {}
    for folder, dirs, files in os.walk(top):
        for name in [""] * (folder == top) + dirs + files:
            path = os.path.join(folder, name).rstrip("/")
            st = os.lstat(path)
            is_dir = os.path.isdir(path) and not os.path.islink(path)
            text = ""
            if os.path.islink(path):
                text = " -> " + os.readlink(path)
            elif os.path.isfile(path):
                with open(path, "rb") as f:
                    text = " %08x" % zlib.crc32(f.read())
            xattrs = []
            if not os.path.islink(path):
                for key in os.listxattr(path):
                    if key.startswith("user."):
                        value = os.getxattr(path, key)
                        xattrs.append(" %s=%d:%08x" % (key, len(value), zlib.crc32(value)))
            lines[path[len(top):]] = (f"{st.st_mode:o}", f"{st.st_uid}:{st.st_gid}",
                                      "0" if is_dir else str(st.st_size),
                                      text, "".join(sorted(xattrs)),
                                      None if is_dir else str(st.st_nlink))
    return lines


def parse(output):
    lines = {}
    for line in output.splitlines():
        fields = line.split(" ")
        xattrs = [" " + f for f in fields[6:] if f.startswith("user.")]
        rest = [f for f in fields[6:] if "=" not in f]
        is_dir = fields[1].startswith("4")
        lines[fields[0]] = (fields[1], fields[2], fields[3],
                            "".join(" " + f for f in rest), "".join(sorted(xattrs)),
                            None if is_dir else fields[5])
    return lines


def main():
    tool = sys.argv[1]
    rounds = sys.argv[2] if len(sys.argv) > 2 else "150"
    mkfs = shutil.which("mkfs.erofs") or "/usr/sbin/mkfs.erofs"
    if not os.path.exists(mkfs):
        print("mkfs.erofs is not installed")
        return 77
    with tempfile.TemporaryDirectory() as tmp:
        make_tree(f"{tmp}/tree")
        expected = describe(f"{tmp}/tree")
        for options in ([], ["-Eforce-inode-compact"], ["-Eforce-inode-extended"], ["-Enoinline_data"],
                        ["-x1"]):
            image = f"{tmp}/image"
            r = subprocess.run([mkfs, *options, image, f"{tmp}/tree"], capture_output=True, text=True)
            if r.returncode:
                print(f"mkfs.erofs {options}: {r.stderr}")
                continue
            out = subprocess.run([tool, image], capture_output=True, text=True)
            got = parse(out.stdout)
            if out.returncode or got != expected:
                print(f"{options}: exit {out.returncode}\n{out.stderr[:3000]}")
                for path in sorted(set(got) | set(expected)):
                    if got.get(path) != expected.get(path):
                        print(f"{path!r}:\n  is       {got.get(path)}\n  expected {expected.get(path)}")
                return 1
            if subprocess.run([tool, "--mutate", rounds, "1", image]).returncode:
                print(f"{options}: a changed image broke it")
                return 1
            os.unlink(image)
    return 0


sys.exit(main())
