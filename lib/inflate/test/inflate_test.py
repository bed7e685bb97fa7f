#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Decompression against Python's zlib: all block types, piece sizes, damage."""
import gzip
import os
import random
import subprocess
import sys
import zlib

TOOL = sys.argv[1]


def run(data, *args):
    p = subprocess.run([TOOL, *args], input=data, capture_output=True)
    if p.returncode not in (0, 2) or p.stderr:
        sys.exit(f"inflate_tool {args}: status {p.returncode}\n{p.stderr.decode()}")
    return p.returncode, p.stdout


def compress(data, level, strategy=zlib.Z_DEFAULT_STRATEGY):
    c = zlib.compressobj(level, zlib.DEFLATED, 31, 8, strategy)
    return c.compress(data) + c.flush()


def main():
    rng = random.Random(1)
    text = open(__file__, "rb").read()
    inputs = [
        b"", b"a", b"a" * 100000, text, text * 20,
        rng.randbytes(70000),
        bytes(rng.choice(b"abcdefgh \n") for _ in range(200000)),
        bytes(min(255, int(rng.expovariate(0.05))) for _ in range(300000)),
    ]
    for data in inputs:
        pieces = ("65536", "1000", "1") if len(data) < 5000 else ("65536", "4093")
        ways = {compress(data, level, strategy): (level, strategy) for level in (0, 1, 6, 9)
                for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY)}
        for z, way in ways.items():
            status, out = run(z, *pieces)
            assert status == 0 and out == data * len(pieces), (len(data), way)
    named = gzip.compress(text)
    named = named[:3] + b"\x0c" + named[4:10] + b"\x03\x00xyz" + b"name\0" + named[10:]
    assert run(named) == (0, text)
    z = compress(text, 9)
    assert run(z, "cut", "7")[0] == 2
    assert run(z[:-5] + bytes([z[-5] ^ 1]) + z[-4:])[0] == 2
    assert run(z + b"trailing bytes are not looked at") == (0, text)
    run(compress(inputs[6][:5000], 9), "damage", "3000")
    run(compress(inputs[6][:5000], 9, zlib.Z_FIXED), "damage", "1000")
    print("ok", os.path.basename(TOOL))


main()
