#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""fuzz.py replay|run NAME FUZZER|BUILDER.py ARG...: a fuzz target on seeds that are made on the spot.

"replay" feeds it the seeds, and a few thousand inputs made from them: a unit test.
"run" goes on for FUZZ_SECONDS (20), with the machine's choice of inputs: a campaign.
What fails stays in FUZZ_ARTIFACTS, or its bytes are printed."""

import gzip
import io
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from concord import cpio  # noqa: E402


def conf_seeds():
    for path in sorted((ROOT / "system").glob("*.conf")):
        yield path.read_bytes()


def cpio_seeds():
    stream = io.BytesIO()
    archive = cpio.Archive(stream)
    archive.directory("bin")
    archive.file("bin/init", b"#!/bin/sh\n", 0o755)
    archive.symlink("sh", "bin/init")
    archive.device("console", 5, 1)
    archive.close()
    yield stream.getvalue()
    yield stream.getvalue()[:-200]


def elf_seeds():
    """One header and two segments; the check is of them, not of the code behind."""
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, 0x401000, 64, 0, 0, 64, 56, 2,
                         0, 0, 0)
    text = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 0x1000, 0x1000, 0x1000)
    data = struct.pack("<IIQQQQQQ", 1, 6, 0x1000, 0x402000, 0x402000, 0x100, 0x2000, 0x1000)
    yield (header + text + data).ljust(0x1100, b"\x90")
    yield (header + data + text).ljust(0x1100, b"\x90")


def inflate_seeds():
    text = (ROOT / "README.md").read_bytes()[:3000]
    for level in (0, 1, 9):
        yield b"\x40" + gzip.compress(text, level, mtime=0)
        raw = zlib.compressobj(level, zlib.DEFLATED, -15, 9, zlib.Z_FIXED)
        yield b"\x41" + raw.compress(text) + raw.flush() + struct.pack("<II", zlib.crc32(text), len(text))


def tcp_seeds():
    """Steps of four bytes, see tcp.c: opened from both sides, data, losses, closing."""
    active = bytes([6, 0, 0, 0, 0x80, 10, 0, 0, 0x06, 0, 5, 1])
    passive = bytes([6, 0, 0, 0, 0x05, 0, 5, 1, 0x00, 0, 0, 0])
    write, read, wait = (bytes([0x80, kind, 200, 7]) for kind in (0, 3, 5))
    data, hole, ack, sack = bytes([3, 6, 0, 0]), bytes([3, 6, 0x80, 7]), bytes(4), bytes([0, 0x10, 0, 7])
    for begin in active, passive:
        yield begin + (write + ack + data + read) * 8 + bytes([0x80, 9, 0, 0]) + ack + bytes([4, 0, 0, 0])
        yield begin + write + sack + wait + hole * 3 + data + bytes([0x80, 8, 0, 0]) + read + ack + wait * 4
        yield begin + bytes([0x80, 13, 0, 0]) + (hole + data + write + wait) * 20


def virtqueue_seeds():
    yield bytes(range(256)) * 2
    yield b"\x00\x10\x00\x01\xff\x03" * 40


def cmdline_seeds():
    yield b"console=ttyS0 root=/dev/vda rootfstype=erofs ro concord.overlay=tmpfs init=/sbin/init -- a b"
    yield b'"quoted word" name="a b" x=1 x=2 rdinit=/init rootdelay=5 rootwait lx.trace=bash:open'
    yield b" ".join(b"a%d=b" % i for i in range(60))


def table_seeds():
    """Disks of 64 KiB with partition tables; the first byte chooses how they are read."""
    def entry(kind, start, sectors):
        return struct.pack("<4xB3xII", kind, start, sectors)

    def record(*entries):
        return b"\0" * 446 + b"".join(entries).ljust(64, b"\0") + b"\x55\xaa"

    chain = bytearray(0x10000)
    chain[:512] = record(entry(0x83, 8, 8), entry(5, 16, 64))
    chain[16 * 512:17 * 512] = record(entry(0x83, 1, 4), entry(5, 32, 16))
    chain[48 * 512:49 * 512] = record(entry(0x82, 1, 4), entry(5, 0, 64))
    yield b"\0" + bytes(chain)
    gpt = bytearray(0x10000)
    gpt[:512] = record(entry(0xee, 1, 0xffffffff))
    table = b"".join(struct.pack("<16s16sQQQ72s", b"t" * 16, b"u" * 16, at, at + 7, 0, "name".encode("utf-16-le"))
                     for at in (40, 48)).ljust(4 * 128, b"\0")
    for mine, other, at in ((1, 127, 2), (127, 1, 126)):
        header = struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, mine, other, 34, 100, b"g" * 16,
                             at, 4, 128, zlib.crc32(table))
        header = header[:16] + struct.pack("<I", zlib.crc32(header)) + header[20:]
        gpt[mine * 512:mine * 512 + 92] = header
        gpt[at * 512:at * 512 + 512] = table
    yield b"\0" + bytes(gpt)
    yield b"\1" + bytes(gpt)


def ip4_seeds():
    """Packets, each behind a byte that says what is put right of it and its length."""
    def packet(how, protocol, payload, frag=0, options=b""):
        header = struct.pack(">BBHHHBBHII", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), 7, frag, 64,
                             protocol, 0, 0x0a000009, 0x0a000002)
        return struct.pack(">BH", how, len(header + options + payload)) + header + options + payload

    echo = b"\x08\x00\xf7\xff\x00\x00\x00\x00"
    inner = struct.pack(">BBHHHBBHII", 0x45, 0, 28, 1, 0, 64, 17, 0, 0x0a000002, 0x0a000009) + b"\0" * 8
    yield packet(3, 1, echo)
    yield packet(3, 253, b"data", options=b"\x07\x07\x04\0\0\0\0\0")
    yield packet(3, 1, b"\x03\x03\0\0\0\0\0\0" + inner)
    yield packet(3, 17, b"a" * 16, 0x2000) + packet(3, 17, b"b" * 16, 0x2002) + packet(7, 17, b"c" * 9, 4)


def options_seeds():
    yield b"concord.placement=process\0concord.placement=kernel panic=-1 -- concord.placement=no"
    yield b"uart.\0uart.speed=9600 uart.parity=even virtio-blk.depth=4"


def image_seeds(program, *argv):
    """A small file system image."""
    tool = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if not tool:
        return
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder, "tree")
        (tree / "sub").mkdir(parents=True)
        (tree / "file").write_bytes(b"contents\n" * 600)
        (tree / "sub/link").symlink_to("../file")
        (tree / "sub/long").symlink_to("x" * 100)
        (tree / "many").mkdir()
        for i in range(60):
            (tree / "many" / f"a-name-that-fills-a-block-of-the-directory-soon-{i}").write_bytes(b"")
        with open(tree / "holes", "wb") as file:
            for at in range(0, 40 * 8192, 8192):
                file.seek(at)
                file.write(b"x")
        image = pathlib.Path(folder, "image")
        argv = [str(image) if word == "IMAGE" else str(tree) if word == "TREE" else word for word in argv]
        subprocess.run([tool, *argv], check=True, capture_output=True)
        yield image.read_bytes()


def ext4_base():
    """Without checksums, so that what is changed is seen; small, so that it is quick."""
    return next(image_seeds("mke2fs", "-q", "-F", "-t", "ext4", "-b1024", "-O^metadata_csum,^uninit_bg,^resize_inode",
                            "-d", "TREE", "IMAGE", "3M"), None)


def ext4_seeds():
    """Changes, see image_tool.c."""
    yield b""
    yield bytes(range(60))


def erofs_seeds():
    yield from image_seeds("mkfs.erofs", "IMAGE", "TREE")
    yield from image_seeds("mkfs.erofs", "-Enoinline_data", "IMAGE", "TREE")


def main():
    how, name, fuzzer = sys.argv[1:4]
    seconds = os.environ.get("FUZZ_SECONDS", "20")
    artifacts = os.environ.get("FUZZ_ARTIFACTS")
    seeds = list(globals()[f"{name}_seeds"]())
    with tempfile.TemporaryDirectory(prefix=f"concord-fuzz-{name}-") as folder, \
            tempfile.TemporaryDirectory() as tools:
        for number, seed in enumerate(seeds):
            pathlib.Path(folder, f"seed{number}").write_bytes(seed)
        if fuzzer.endswith(".py"):
            built = os.path.join(tools, name)
            subprocess.run([sys.executable, fuzzer, *sys.argv[4:], built], check=True)
            fuzzer = built
        base = globals().get(f"{name}_base", lambda: None)()
        if base:
            os.environ["FUZZ_BASE"] = os.path.join(tools, "base")
            pathlib.Path(os.environ["FUZZ_BASE"]).write_bytes(base)
        longest = max([4096, *(len(seed) for seed in seeds)])
        limits = ["-runs=3000", "-seed=1"] if how == "replay" else [f"-max_total_time={seconds}"]
        done = subprocess.run([fuzzer, *limits, f"-max_len={longest}", "-timeout=20", "-verbosity=0",
                               f"-artifact_prefix={artifacts or folder}/", folder],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        print(done.stdout[-4000:], done.stderr[-8000:], sep="", end="")
        if done.returncode and not artifacts:
            for path in pathlib.Path(folder).glob("*-*"):
                if path.name.startswith(("crash-", "leak-", "timeout-", "oom-")):
                    print(f"{path.name}: {path.read_bytes()[:2000].hex()}")
    return 1 if done.returncode else 0


sys.exit(main())
