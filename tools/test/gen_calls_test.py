#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What gen-calls.py makes of a small table is kept as a golden, so that a change is seen.

gen_calls_test.py GENERATOR FOLDER [--update]
"""
import pathlib
import subprocess
import sys
import tempfile

MODES = ('status-h', 'calls-h', 'stubs-c', 'kcalls-h', 'dispatch-c', 'direct-c')


def run(generator, mode, folder, calls):
    return subprocess.run([sys.executable, generator, mode, folder / 'status.tbl', calls],
                          capture_output=True, text=True)


def check_goldens(generator, folder, update):
    failed = 0
    for mode in MODES:
        golden = folder / f'{mode}.golden'
        result = run(generator, mode, folder, folder / 'calls.tbl')
        if result.returncode:
            print(f'{mode}: {result.stderr}')
            failed += 1
        elif update:
            golden.write_text(result.stdout)
        elif golden.read_text() != result.stdout:
            print(f'{mode}: output differs from {golden.name}; if that is wanted, run with --update')
            failed += 1
    return failed


def check_broken_lines_are_refused(generator, folder):
    failed = 0
    good = (folder / 'calls.tbl').read_text()
    for line in (folder / 'broken.txt').read_text().splitlines():
        if line.startswith('#'):
            continue
        bad, message = line.split(' => ')
        with tempfile.NamedTemporaryFile('w', suffix='.tbl') as table:
            table.write(good + bad + '\n')
            table.flush()
            result = run(generator, 'calls-h', folder, table.name)
        where = f'{table.name}:{len(good.splitlines()) + 1}: '
        if result.returncode == 0 or result.stderr.strip('\n') != where + message:
            print(f'expected "{where}{message}", got "{result.stderr.strip()}"')
            failed += 1
    return failed


def main():
    generator, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    failed = check_goldens(generator, folder, '--update' in sys.argv)
    failed += check_broken_lines_are_refused(generator, folder)
    sys.exit(1 if failed else 0)


main()
