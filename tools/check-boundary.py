#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Check what the personality's library asks of the world.

check-boundary.py CALLS.TBL LIBLINUX.A LIBRARY.A...

Every symbol that the library leaves undefined has to be a kernel call of the
table (k_NAME), a function of the runtime (rt_NAME), or defined by one of the
freestanding libraries.  Anything else would tie the personality to one
placement.  Prints the offenders with the members that use them.
"""
import re
import subprocess
import sys


def symbols(archive):
    """(member, symbol, defined) of an archive's global symbols."""
    out = subprocess.run(["nm", "-A", "-g", archive], capture_output=True, text=True, check=True).stdout
    for line in out.splitlines():
        where, _, rest = line.rpartition(": ") if ": " in line else line.rpartition(":")
        fields = (rest or line).split()
        if len(fields) >= 2:
            yield where.split(":")[-1], fields[-1], fields[-2] not in ("U", "w")


def main(table, library, *others):
    calls = {"k_" + m[1] for m in re.finditer(r"^\d+\s+(\w+)\(", open(table).read(), re.M)}
    if not calls:
        sys.exit(f"{table}: no calls found")
    here = list(symbols(library))
    # The compiler names the table whenever code is position independent; nothing is in it.
    known = {s for _, s, defined in here if defined} | calls | {"_GLOBAL_OFFSET_TABLE_"}
    for other in others:
        known |= {s for _, s, defined in symbols(other) if defined}
    wrong = sorted({(s, member) for member, s, defined in here
                    if not defined and s not in known and not s.startswith("rt_")})
    for symbol, member in wrong:
        print(f"{member}: {symbol} is neither a kernel call nor a library function")
    used = {s for _, s, defined in here if not defined}
    if not used & calls:
        sys.exit("no kernel call is used at all: is this the right library?")
    print(f"{len(used & calls)} kernel calls, {len({s for s in used if s.startswith('rt_')})} runtime functions")
    sys.exit(1 if wrong else 0)


main(*sys.argv[1:])
