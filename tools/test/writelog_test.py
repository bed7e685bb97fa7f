#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Logs of writes are replayed as a disk with a volatile cache would: concord/writelog.py.

writelog_test.py TOOLS
"""
import pathlib
import random
import sys
import tempfile

sys.path.insert(0, sys.argv[1])
from concord import writelog  # noqa: E402
from concord.writelog import DISCARD, FLUSH, FUA, MARK  # noqa: E402

SECTOR = 512
SECTORS = 8


def log(*entries, count=None, sector=SECTOR):
    """The bytes of a log of (first sector, letter of each sector or number of them, flags)."""
    out = writelog.SUPER.pack(writelog.MAGIC, 1, len(entries) if count is None else count, sector).ljust(sector, b"\0")
    for first, what, flags in entries:
        if flags & MARK:
            out += (writelog.ENTRY.pack(0, 0, flags, len(what)) + what.encode()).ljust(sector, b"\0")
        elif flags & DISCARD:
            out += writelog.ENTRY.pack(first, what, flags, 0).ljust(sector, b"\0")
        else:
            out += writelog.ENTRY.pack(first, len(what), flags, 0).ljust(sector, b"\0")
            out += b"".join(letter.encode() * sector for letter in what)
    return out


def read(data):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "log")
        path.write_bytes(data)
        entries = writelog.read(path)
        assert writelog.count_entries(path) == len(entries)
        return entries


def shown(image):
    """A letter for each sector, which is all of one kind."""
    sectors = [image[i:i + SECTOR] for i in range(0, len(image), SECTOR)]
    assert all(len(set(s)) == 1 for s in sectors)
    return "".join(chr(s[0]) if s[0] else "-" for s in sectors)


def disk(*entries):
    return writelog.Disk(read(log(*entries)), b"." * SECTORS * SECTOR)


def outcomes(position, *entries):
    """All that a power cut can leave after `position` entries."""
    it = disk(*entries)
    it.advance(position)
    rnd = random.Random(1)
    return {shown(it.after_power_cut(rnd)) for _ in range(600)}


def entries_are_read():
    got = read(log((1, "ab", 0), (0, "", FLUSH), (0, "here", MARK), (2, 3, DISCARD), (7, "z", FUA)))
    assert [(e.offset, e.length, e.flags) for e in got] == [
        (512, 1024, 0), (0, 0, FLUSH), (0, 0, MARK), (1024, 1536, DISCARD), (3584, 512, FUA)]
    assert bytes(got[0].data) == b"a" * 512 + b"b" * 512
    assert bytes(got[2].data) == b"here"
    assert writelog.flush_positions(got) == [2]
    large = read(log((1, "a", 0), (2, "b", 0), sector=4096))
    assert [(e.offset, e.length) for e in large] == [(4096, 4096), (8192, 4096)]


def logs_that_are_none_are_refused():
    whole = log((1, "ab", 0))
    for bad in (b"", whole[:20], b"\0" + whole[1:], whole[:600], whole[:-1], log((1, "a", 0), count=2),
                log(sector=SECTOR)[:24] + b"\3\0\0\0" + bytes(484)):
        try:
            read(bad)
        except writelog.BadLog:
            continue
        raise AssertionError(f"{len(bad)} bytes were taken for a log")


def a_replay_can_stop_anywhere():
    it = disk((0, "ab", 0), (1, "c", 0), (0, "", FLUSH), (4, "d", 0), (0, 2, DISCARD))
    seen = []
    for position in range(6):
        it.advance(position)
        seen.append(shown(it.contents()))
    assert seen == ["........", "ab......", "ac......", "ac......", "ac..d...", "--..d..."], seen


def unflushed_writes_may_be_lost_in_any_combination():
    assert outcomes(2, (0, "a", 0), (3, "b", 0)) == {"........", "a.......", "...b....", "a..b...."}


def flushed_writes_are_not_lost():
    assert outcomes(2, (0, "a", 0), (0, "", FLUSH)) == {"a......."}
    assert outcomes(3, (0, "a", 0), (0, "", FLUSH), (1, "b", 0)) == {"a.......", "ab......"}


def a_flush_does_not_cover_what_comes_with_it():
    assert outcomes(2, (0, "a", 0), (1, "b", FLUSH)) == {"a.......", "ab......"}
    assert outcomes(2, (0, "a", 0), (1, "b", FLUSH | FUA)) == {"ab......"}


def fua_is_safe_and_covers_nothing_else():
    assert outcomes(2, (0, "a", 0), (1, "b", FUA)) == {".b......", "ab......"}
    assert outcomes(2, (0, "a", 0), (0, "b", FUA)) == {"b......."}


def the_later_of_two_writes_wins_if_it_is_there():
    assert outcomes(2, (0, "ab", 0), (1, "c", 0)) == {"........", "ab......", ".c......", "ac......", "a.......",
                                                      ".b......"}


def a_write_is_torn_between_sectors():
    got = outcomes(1, (0, "abc", 0))
    assert {"a.......", ".b......", "ab......", "a.c....."} <= got, got


def main():
    for name, case in list(globals().items()):
        if callable(case) and name.count("_") >= 2 and case.__module__ == "__main__":
            case()


main()
