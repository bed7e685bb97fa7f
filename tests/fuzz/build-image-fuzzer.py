#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""build-image-fuzzer.py HOSTED.c... -- PERSONALITY.c... -- CLANG FLAG... -- OUTPUT

The image tool of linux/test/host as a fuzz target: the personality's files are compiled as they
always are, without the C library's headers, the rig around them with."""

import concurrent.futures
import os
import subprocess
import sys
import tempfile


def main():
    words = sys.argv[1:]
    cuts = [i for i, word in enumerate(words) if word == "--"]
    hosted, personality, clang, (output,) = \
        (words[a + 1:b] for a, b in zip([-1, *cuts], [*cuts, len(words)]))
    headers = subprocess.run([clang[0], "-print-resource-dir"], check=True, capture_output=True,
                             text=True).stdout.strip() + "/include"
    freestanding = ["-ffreestanding", "-nostdinc", "-idirafter", headers]
    with tempfile.TemporaryDirectory() as folder:
        jobs = [(path, []) for path in hosted] + [(path, freestanding) for path in personality]

        def compile_one(number):
            path, extra = jobs[number]
            target = os.path.join(folder, f"{number}.o")
            subprocess.run([*clang, *extra, "-c", path, "-o", target], check=True)
            return target

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(compile_one, range(len(jobs))))
        subprocess.run([*clang, *objects, "-lpthread", "-o", output], check=True)


try:
    main()
except subprocess.CalledProcessError as error:
    sys.exit(f"build-image-fuzzer.py: {error}")
