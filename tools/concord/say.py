# SPDX-License-Identifier: MIT
"""What the user sees: notes, progress, failures, and with -v the commands that run."""

import os
import shlex
import subprocess
import sys

verbose = False


class Failure(Exception):
    """Something that the user has to know and that ends the command with a status."""

    def __init__(self, message, status=1):
        super().__init__(message)
        self.status = status


def note(message):
    """One line on standard error."""
    print(f"concord: {message}", file=sys.stderr, flush=True)


def command(argv):
    """With -v, show a command as a shell would take it."""
    if verbose:
        print("+ " + " ".join(shlex.quote(str(word)) for word in argv), file=sys.stderr, flush=True)


class Progress:
    """A line that is overwritten while something long is going on; on a terminal only."""

    def __init__(self, stream=sys.stderr):
        self.stream = stream
        self.live = stream.isatty() and not verbose

    def show(self, text):
        if self.live:
            width = os.get_terminal_size(self.stream.fileno()).columns
            self.stream.write("\r\x1b[K" + text[:max(width - 1, 10)])
            self.stream.flush()

    def clear(self):
        if self.live:
            self.stream.write("\r\x1b[K")
            self.stream.flush()


def run(argv, what, **options):
    """Run a command, its output as progress; if it fails, its last lines and a Failure.

    With -v the output is shown in full.  `options` go to subprocess.Popen."""
    argv = [str(word) for word in argv]
    command(argv)
    progress, lines = Progress(), []
    try:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True, errors="replace", **options)
    except OSError as error:
        raise Failure(f"{what}: cannot run {argv[0]}: {error.strerror}") from None
    with child:
        for line in child.stdout:
            line = line.rstrip()
            lines = lines[-200:] + [line]
            if verbose:
                print(line, file=sys.stderr)
            progress.show(f"  {line.strip()}")
    progress.clear()
    if child.returncode != 0:
        if not verbose:
            print("\n".join(lines[-40:]), file=sys.stderr)
        raise Failure(f"{what} failed (status {child.returncode}); the command was: {shlex.join(argv)}")


def output(argv, what):
    """The standard output of a short command."""
    argv = [str(word) for word in argv]
    command(argv)
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except OSError as error:
        raise Failure(f"{what}: cannot run {argv[0]}: {error.strerror}") from None
    if done.returncode != 0:
        print(done.stderr, end="", file=sys.stderr)
        raise Failure(f"{what} failed (status {done.returncode}); the command was: {shlex.join(argv)}")
    return done.stdout
