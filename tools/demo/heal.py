# SPDX-License-Identifier: MIT
"""heal.py DRIVER DISK SECONDS ROUNDS [json|update]: runs in the guest, by ./concord demo heal and bench heal.

A load with checksums on DISK works undisturbed for SECONDS, then while DRIVER is killed once a second;
ROUNDS times, in turn. With "update", DRIVER is then updated, once a second, to the program on standard input; with both words the
last line is the figures as JSON. Prints what happens, and figures for people; fails if a byte is wrong."""

import json
import mmap
import os
import random
import subprocess
import sys
import threading
import time
import zlib

DRIVER, DISK = sys.argv[1:3]
SECONDS, ROUNDS = map(int, sys.argv[3:5])
JSON, UPDATE = len(sys.argv) > 5, sys.argv[5:] == ["update"]
BLOCK, BLOCKS = 64 << 10, 256
PROGRAM = "/tmp/program"
CALM, KILLS, UPDATES = "undisturbed", "kills", "updates"


class Load(threading.Thread):
    """Writes random blocks, reads others back, and compares their sums; nothing is cached."""

    def __init__(self):
        super().__init__(daemon=True)      # it does not outlive a failure of the main thread
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


def conctl(*words):
    return subprocess.run(["conctl", *words], capture_output=True, check=True, text=True).stdout


def driver():
    return next(one for one in json.loads(conctl("ps", "--json")) if one["name"] == DRIVER)


def disturb(what):
    """What is done to the driver; undisturbed, a program that costs as much runs for nothing."""
    if what == KILLS:
        conctl("kill", DRIVER)
    elif what == UPDATES:
        conctl("update", DRIVER, PROGRAM)
    else:
        conctl("ps")


def percentile(values, percent):
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)] if values else 0.0


class Phase:
    """SECONDS of the load; all times in ms."""

    def __init__(self, load, what):
        self.stalls, self.slowest = [], []      # of incarnations, and each second's request
        begin, start = load.bytes, time.monotonic()
        for second in range(SECONDS):
            before, load.longest = load.bytes, 0.0
            done = driver()["incarnation"]
            disturb(what)
            time.sleep(max(0.0, start + second + 1 - time.monotonic()))
            now = driver()
            self.slowest.append(load.longest * 1000)
            said = ""
            if now["incarnation"] > done:
                self.stalls.append(now["last_stall_us"] / 1000)
                said = f"  {what}: incarnation {now['incarnation']} served after {self.stalls[-1]:.1f} ms;"
            print(f"{second + 1:4} s  {(load.bytes - before) / 1e6:6.1f} MB,{said} slowest request "
                  f"{self.slowest[-1]:.0f} ms, {'all sums right' if not load.wrong else 'WRONG DATA'}", flush=True)
        self.rate = (load.bytes - begin) / (time.monotonic() - start) / 1e6


def median(values):
    return percentile(values, 50)


def summary(phases):
    """Of a list of phases."""
    stalls = [stall for phase in phases for stall in phase.stalls]
    slowest = [request for phase in phases for request in phase.slowest]
    return {"count": len(stalls), "rate": median([phase.rate for phase in phases]),
            "stall": median(stalls), "stall-p99": percentile(stalls, 99), "slowest-p99": percentile(slowest, 99)}


def post_mortem():
    print("The last post-mortem (conctl log):", flush=True)
    log = conctl("log", DRIVER).splitlines()
    at = max((i for i, line in enumerate(log) if "was killed" in line), default=0)
    print("\n".join("  " + line for line in log[at:]))


def main():
    phases = {CALM: [], KILLS: []}
    if UPDATE:
        with open(PROGRAM, "wb") as file:
            file.write(sys.stdin.buffer.read())
        phases[UPDATES] = []
    load = Load()
    load.start()
    print(f"A program writes blocks of {BLOCK >> 10} KiB to {DISK}, reads others back, and compares sums.")
    for _ in range(ROUNDS):
        for what, done in phases.items():
            if what != CALM:
                print(f"Now {DRIVER}, the driver of that disk: {what}, one a second.")
            done.append(Phase(load, what))
    load.stop = True
    load.join()
    if not JSON:
        post_mortem()
    figures = {what: summary(done) for what, done in phases.items()}
    for what in list(phases)[1:]:
        ratios = [one.rate / calm.rate for one, calm in zip(phases[what], phases[CALM])]
        figures[what]["ratio"] = median(ratios)
    calm, killed = figures[CALM], figures[KILLS]
    print(f"{killed['count']} kills, {load.checked} blocks compared, {len(load.wrong)} wrong or failed; throughput "
          f"{killed['rate']:.1f} MB/s with a kill a second, {calm['rate']:.1f} MB/s without "
          f"({100 * killed['ratio']:.0f} %); "
          f"stall per kill: median {killed['stall']:.1f} ms, p99 {killed['stall-p99']:.1f} ms")
    for line in load.wrong[:5]:
        print(line)
    if JSON:
        print(json.dumps({**figures, "compared": load.checked, "wrong": len(load.wrong)}))
    sys.exit(bool(load.wrong) or not killed["count"])


main()
