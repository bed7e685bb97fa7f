# SPDX-License-Identifier: MIT
"""What a disk holds when the power goes: replays logs of a disk's writes.

The log is what QEMU's blklogwrites driver writes, in the format of Linux's dm-log-writes
target (Documentation/admin-guide/device-mapper/log-writes.rst): a super block in the first
sector, then entries, each a sector with a header and, for a write, its data behind it.
Sectors are as long as the super block says, and all numbers are little-endian.

The disk is one with a volatile cache.  A write is in the cache when it has been answered, and safe
after the next flush, or at once with FUA.  So the disk at a moment is what is safe, and
of the writes since the last flush any that the disk likes, whole or in part: a sector is
written or is not.  Of two that overlap, the later one covers the earlier one, if it is there: the
cache has one copy of a sector.  Whatever order a disk writes them in, a power cut leaves a
subset of them, applied in the order of the log.

A limit: a write that was under way while the guest sent a flush may be in the log before that flush,
and counts as safe from there on, which a real disk does not promise."""

import struct
from dataclasses import dataclass

MAGIC = 0x6a736677736872
VERSION = 1
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
SUPER = struct.Struct("<QQQI")          # magic, version, entries, bytes of a sector
ENTRY = struct.Struct("<QQQQ")          # sector, sectors, flags, bytes of a mark
UNIT = 512                              # a disk writes so many bytes or none of them


class BadLog(Exception):
    pass


@dataclass(frozen=True)
class Entry:
    offset: int             # on the disk, bytes
    length: int             # bytes; 0: a flush alone, or a mark
    flags: int
    data: memoryview        # `length` bytes; none of a discard; the text of a mark

    @property
    def flushes(self):
        return bool(self.flags & FLUSH)


def _read_super(data):
    if len(data) < SUPER.size:
        raise BadLog("the log has no super block")
    magic, version, count, sector = SUPER.unpack_from(data)
    if magic != MAGIC or version != VERSION:
        raise BadLog(f"not a log of writes: magic {magic:#x}, version {version}")
    if sector < SUPER.size or sector & (sector - 1):
        raise BadLog(f"sectors of {sector} bytes")
    return count, sector


def count_entries(path):
    """How many entries the super block tells of: of a log that is being written, a moment ago."""
    with open(path, "rb") as file:
        return _read_super(file.read(SUPER.size))[0]


def read(path):
    """The entries of a log, in its order.  Raises BadLog."""
    with open(path, "rb") as file:
        data = memoryview(file.read())
    count, sector = _read_super(data)
    entries, at = [], sector
    for number in range(count):
        if at + ENTRY.size > len(data):
            raise BadLog(f"entry {number} of {count} is behind the end")
        first, sectors, flags, text = ENTRY.unpack_from(data, at)
        # a mark's text follows its header in the same sector
        begin = at + ENTRY.size if flags & MARK else at + sector
        length = 0 if flags & MARK else sectors * sector
        stored = text if flags & MARK else 0 if flags & DISCARD else length
        if begin + stored > len(data):
            raise BadLog(f"the data of entry {number} of {count} is behind the end")
        entries.append(Entry(first * sector, length, flags, data[begin:begin + stored]))
        at += sector if flags & (MARK | DISCARD) else sector + length
    return entries


class Disk:
    """The disk after some entries of a log: what is safe, and what is only in its cache."""

    def __init__(self, entries, image):
        """`image`: the disk's bytes when the log began."""
        self.entries = entries
        self.position = 0               # entries that have happened
        self.safe = bytearray(image)
        self.cached = []                # writes and discards since the last flush

    def advance(self, position):
        """Let the entries before `position` happen: it only grows."""
        assert self.position <= position <= len(self.entries), (self.position, position)
        for entry in self.entries[self.position:position]:
            self._take(entry)
        self.position = position

    def _take(self, entry):
        if entry.flushes:               # what comes with it is not covered by it
            for earlier in self.cached:
                _apply(self.safe, earlier)
            self.cached.clear()
        if not entry.length:
            return
        if entry.flags & FUA:
            # An older copy in the cache must not come after it: it is replaced there.
            self._replace_cached(entry)
            _apply(self.safe, entry)
        else:
            self.cached.append(entry)

    def _replace_cached(self, entry):
        end = entry.offset + entry.length
        if any(e.offset < end and entry.offset < e.offset + e.length for e in self.cached):
            self.cached.append(entry)

    def contents(self):
        """As if nothing of the cache was lost."""
        image = bytearray(self.safe)
        for entry in self.cached:
            _apply(image, entry)
        return image

    def after_power_cut(self, random):
        """One of the possible contents after a power cut now; `random` (a random.Random) chooses."""
        image = bytearray(self.safe)
        keep = _choose(random, len(self.cached))
        torn = random.choice(self.cached) if self.cached and random.random() < 0.3 else None
        for entry, kept in zip(self.cached, keep):
            # FUA is safe already: here it only hides what is older
            if entry is torn and not entry.flags & FUA:
                _apply_units(image, entry, [random.random() < 0.5 for _ in range(0, entry.length, UNIT)])
            elif kept or entry.flags & FUA:
                _apply(image, entry)
        return image


def _choose(random, count):
    """Which of `count` writes are kept: most cuts are near to all, none, or all but one."""
    kind = random.choice(("none", "one", "half", "most", "but one", "first", "last"))
    chosen = random.randrange(count) if count else 0
    chance = {"none": 0, "half": 0.5, "most": 0.9}.get(kind, 0)
    decide = {"one": lambda i: i == chosen, "but one": lambda i: i != chosen,
              "first": lambda i: i <= chosen, "last": lambda i: i >= chosen}
    return [decide[kind](i) if kind in decide else random.random() < chance for i in range(count)]


def _apply(image, entry):
    if entry.flags & DISCARD:
        image[entry.offset:entry.offset + entry.length] = bytes(entry.length)
    else:
        image[entry.offset:entry.offset + entry.length] = entry.data


def _apply_units(image, entry, keep):
    data = bytes(entry.length) if entry.flags & DISCARD else entry.data
    for number, kept in enumerate(keep):
        begin, end = number * UNIT, min((number + 1) * UNIT, entry.length)
        if kept:
            image[entry.offset + begin:entry.offset + end] = data[begin:end]


def flush_positions(entries):
    """How many entries have happened when a flush has: one number for each of them."""
    return [number + 1 for number, entry in enumerate(entries) if entry.flushes]
