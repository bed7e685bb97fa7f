# SPDX-License-Identifier: MIT
"""Runs in the guest, by ./concord demo heal: a load with checksums on /dev/vdb, whose driver is
killed once a second. Prints what happens, and figures; fails if a byte is wrong."""

import json
import mmap
import os
import random
import subprocess
import sys
import threading
import time
import zlib

DRIVER, DISK = "virtio-blk.1", "/dev/vdb"
BLOCK, BLOCKS = 64 << 10, 256
SECONDS = int(sys.argv[1])


class Load(threading.Thread):
    """Writes random blocks, reads others back, and compares their sums; nothing is cached."""

    def __init__(self):
        super().__init__()
        self.stop = False
        self.bytes = self.checked = 0
        self.longest = 0.0              # since somebody last looked
        self.wrong = []
        self.disk = os.open(DISK, os.O_RDWR | os.O_DIRECT)
        self.buffer = mmap.mmap(-1, BLOCK)
        self.sums = {}

    def transfer(self, call, block):
        begin = time.monotonic()
        if call(self.disk, [self.buffer], block * BLOCK) != BLOCK:
            self.wrong.append(f"block {block}: short transfer")
        self.longest = max(self.longest, time.monotonic() - begin)
        self.bytes += BLOCK

    def run(self):
        source = random.Random(1)
        try:
            while not self.stop:
                block = source.randrange(BLOCKS)
                self.buffer[:] = source.randbytes(1024) * (BLOCK // 1024)
                self.sums[block] = zlib.crc32(self.buffer)
                self.transfer(os.pwritev, block)
                block = source.choice(list(self.sums))
                self.buffer[:] = bytes(BLOCK)
                self.transfer(os.preadv, block)
                self.checked += 1
                if zlib.crc32(self.buffer) != self.sums[block]:
                    self.wrong.append(f"block {block}: another sum")
        except OSError as error:
            self.wrong.append(str(error))


def driver():
    listed = json.loads(subprocess.run(["conctl", "ps", "--json"], capture_output=True, check=True).stdout)
    return next(one for one in listed if one["name"] == DRIVER)


def phase(load, kills):
    """SECONDS of load; MB/s, and the stalls in ms."""
    stalls = []
    begin, start = load.bytes, time.monotonic()
    for second in range(SECONDS):
        before, load.longest = load.bytes, 0.0
        done = driver()["restarts"]
        if kills:
            subprocess.run(["conctl", "kill", DRIVER], check=True)
        time.sleep(max(0.0, start + second + 1 - time.monotonic()))
        now = driver()
        said = ""
        if now["restarts"] > done:
            stalls.append(now["last_stall_us"] / 1000)
            said = f"  killed; incarnation {now['incarnation']} served after {stalls[-1]:.1f} ms;"
        print(f"{second + 1:4} s  {(load.bytes - before) / 1e6:6.1f} MB,{said} slowest request "
              f"{load.longest * 1000:.0f} ms, {'all sums right' if not load.wrong else 'WRONG DATA'}", flush=True)
    return (load.bytes - begin) / (time.monotonic() - start) / 1e6, sorted(stalls)


def main():
    load = Load()
    load.start()
    print(f"A program writes blocks of {BLOCK >> 10} KiB to {DISK}, reads others back, and compares sums.")
    calm, _ = phase(load, False)
    print(f"Now {DRIVER}, the driver of that disk, is killed once a second.")
    killed, stalls = phase(load, True)
    load.stop = True
    load.join()
    print("The last post-mortem (conctl log):", flush=True)
    log = subprocess.run(["conctl", "log", DRIVER], capture_output=True, text=True).stdout.splitlines()
    at = max((i for i, line in enumerate(log) if "was killed" in line), default=0)
    print("\n".join("  " + line for line in log[at:]))
    p99 = stalls[min(len(stalls) - 1, int(len(stalls) * 0.99))] if stalls else 0.0
    print(f"{len(stalls)} kills, {load.checked} blocks compared, {len(load.wrong)} wrong or failed; throughput "
          f"{killed:.1f} MB/s with a kill a second, {calm:.1f} MB/s without ({100 * killed / calm:.0f} %); "
          f"stall per kill: median {stalls[len(stalls) // 2] if stalls else 0:.1f} ms, p99 {p99:.1f} ms")
    for line in load.wrong[:5]:
        print(line)
    sys.exit(bool(load.wrong) or not stalls)


main()
