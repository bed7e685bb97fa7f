#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The kernel's symbol table as assembly, from `nm` of an image that was linked with an empty one.

usage: gen-symbols.py NM IMAGE      (or --empty in the place of both)
       gen-symbols.py --text NM PROGRAM OUTPUT	lines "address name" of a component, for init's
						post-mortems

The table lies behind everything that its own size could move, so that the
addresses of the first pass hold in the second.
"""
import subprocess
import sys


def symbols(nm, image):
    """(address, kind, name) of all that have an address."""
    out = subprocess.run([nm, image], check=True, capture_output=True, text=True).stdout
    for line in out.splitlines():
        fields = line.split()
        if len(fields) == 3:
            yield int(fields[0], 16), fields[1], fields[2]


def write_text(nm, program, output):
    found = {}
    for address, kind, name in symbols(nm, program):
        if kind in 'tTwW':
            found.setdefault(address, name)
    with open(output, 'w') as out:
        for address, name in sorted(found.items()):
            print(f'{address:x} {name}', file=out)


def functions(nm, image):
    """(address, name) of the functions in the kernel's text, ascending, one name per address."""
    start = end = None
    found = {}
    for address, kind, name in symbols(nm, image):
        if name == 'kernel_text_start':
            start = address
        elif name == 'kernel_text_end':
            end = address
        elif kind in 'tTwW' and not name.startswith('.'):
            found.setdefault(address, name)
    return start, sorted((a, n) for a, n in found.items() if start <= a < end)


def write(start, table):
    print('\t.section .symbols, "a"')
    print('\t.globl kernel_symbol_count, kernel_symbol_offsets, kernel_symbol_names, '
          'kernel_symbol_text')
    print('\t.balign 4\nkernel_symbol_count:\n\t.long %d' % len(table))
    print('kernel_symbol_offsets:')
    for address, _ in table:
        print('\t.long %#x' % (address - start))
    print('kernel_symbol_names:')
    offset = 0
    for _, name in table:
        print('\t.long %d' % offset)
        offset += len(name) + 1
    print('kernel_symbol_text:')
    for _, name in table:
        print('\t.asciz "%s"' % name)
    print('\t.section .note.GNU-stack, "", @progbits')


def main():
    if sys.argv[1:] == ['--empty']:
        write(0, [])
    elif sys.argv[1:2] == ['--text']:
        write_text(*sys.argv[2:])
    else:
        write(*functions(sys.argv[1], sys.argv[2]))


main()
