#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare what image_tool reads from an image with the directory that it was made from, then let
it read images with changed bytes."""

import os
import shutil
import subprocess
import sys
import tempfile
import zlib


def make_tree(top, kind):
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
    # within a block, for the smallest ones of ext4
    os.symlink("x" * (3000 if kind == "erofs" else 1000), f"{top}/long-symlink")
    with open(f"{top}/dir/holes", "wb") as f:
        for at in (0, 70000, 1 << 20, 3 << 20):
            f.seek(at)
            f.write(b"data")
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


def find(program):
    """The program, which may be outside of an ordinary user's PATH; None: not installed."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")


def run(*command):
    r = subprocess.run(command, capture_output=True, text=True)
    return None if r.returncode == 0 else f"{' '.join(command)}: {r.stdout}{r.stderr}"


def make_erofs(image, tree, options):
    return run(find("mkfs.erofs"), *options, image, tree)


def make_ext4(image, tree, options):
    """With "index", directories get the hash trees that mke2fs does not make."""
    error = run(find("mke2fs"), "-q", "-F", "-t", "ext4", "-d", tree,
                *(o for o in options if o != "index"), image, "48M")
    if not error and "index" in options:
        # exit status 1: changed, as asked for
        subprocess.run([find("e2fsck"), "-fyD", image], capture_output=True)
        error = run(find("e2fsck"), "-fn", image)
    return error


KINDS = {
    "erofs": ("mkfs.erofs", make_erofs,
              ([], ["-Eforce-inode-compact"], ["-Eforce-inode-extended"], ["-Enoinline_data"],
               ["-x1"])),
    "ext4": ("mke2fs", make_ext4,
             (["index"], ["-b4096", "index"], ["-b2048", "-I128"], ["-b1024", "-O^metadata_csum", "index"],
              ["-O^extent,^64bit"], ["-O^has_journal,^metadata_csum,uninit_bg"],
              ["-Ometa_bg,^resize_inode,metadata_csum_seed", "index"],
              ["-g1024", "-O^metadata_csum,^uninit_bg"])),
}


def compare(got, expected):
    """Print what differs; attributes of lost+found are mke2fs's own business."""
    got.pop("/lost+found", None)
    for path in sorted(set(got) | set(expected)):
        if got.get(path) != expected.get(path):
            print(f"{path!r}:\n  is       {got.get(path)}\n  expected {expected.get(path)}")
    return got == expected


def main():
    tool, kind = sys.argv[1:3]
    rounds = sys.argv[3] if len(sys.argv) > 3 else "150" if kind == "erofs" else "40"
    program, make, variants = KINDS[kind]
    if not find(program):
        print(f"{program} is not installed")
        return 77
    with tempfile.TemporaryDirectory() as tmp:
        make_tree(f"{tmp}/tree", kind)
        expected = describe(f"{tmp}/tree")
        for options in variants:
            image = f"{tmp}/image"
            error = make(image, f"{tmp}/tree", options)
            if error:
                print(error)
                if kind != "erofs":
                    return 1
                continue
            out = subprocess.run([tool, kind, image], capture_output=True, text=True)
            if not compare(parse(out.stdout), expected) or out.returncode:
                print(f"{options}: exit {out.returncode}\n{out.stderr[:3000]}")
                return 1
            if subprocess.run([tool, kind, "--mutate", rounds, "1", image]).returncode:
                print(f"{options}: a changed image broke it")
                return 1
            os.unlink(image)
    return 0


if __name__ == "__main__":
    sys.exit(main())
