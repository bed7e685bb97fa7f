#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Assembly that puts a file into a section, as NAME_start and NAME_end.

usage: gen-blob.py NAME SECTION FILE|--empty

The text names the file's checksum, so that it changes whenever the file does.
"""
import hashlib
import os
import sys

name, section, path = sys.argv[1:]
print('\t.section %s, "a"\n\t.balign 4096\n\t.globl %s_start, %s_end\n%s_start:'
      % (section, name, name, name))
if path != '--empty':
    with open(path, 'rb') as f:
        print('\t# %s' % hashlib.sha256(f.read()).hexdigest())
    print('\t.incbin "%s"' % os.path.abspath(path))
print('%s_end:\n\t.balign 4096\n\t.section .note.GNU-stack, "", @progbits' % name)
