# SPDX-License-Identifier: MIT
"""Debian's gdb on programs of its own: what a developer does in an afternoon."""

import re

from concord.scenario import Failed, application

PROGRAM = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int counter;

int leaf(int n)
{
	counter += n;
	return counter;
}

int middle(int n)
{
	return leaf(n) + 1;
}

static void *worker(void *arg)
{
	for (;;)
		pause();
	return arg;
}

int main(int argc, char **argv)
{
	int sum = 0;

	if (argc > 1 && !strcmp(argv[1], "abort")) {
		middle(42);
		abort();
	}
	if (argc > 1) {
		pthread_t thread;

		pthread_create(&thread, NULL, worker, NULL);
		printf("ready\n");
		fflush(stdout);
		for (;;)
			usleep(1000 + 0 * middle(1));
	}
	for (int i = 1; i <= 5; i++)
		sum += middle(i);
	printf("sum %d\n", sum);
	return sum;
}
"""


def gdb(guest, commands, *arguments, setup=""):
    """What gdb says to the commands, after building the program and running setup."""
    guest.run(["mkdir", "-p", "/tmp/gdb"])
    guest.expect(["sh", "-c", "test -x program || { cat >program.c && gcc -g -O0 -pthread program.c -o program; }"],
                 stdin=PROGRAM, directory="/tmp/gdb")
    words = " ".join(f"-ex '{command}'" for command in commands)
    result = guest.run(["bash", "-c", f"{setup}\ngdb -q -nx -batch {words} {' '.join(arguments)} 2>&1"],
                       directory="/tmp/gdb")
    return result.stdout.decode(errors="replace")


def expect(text, *patterns):
    """The patterns have to come in this order."""
    at = 0
    for pattern in patterns:
        match = re.compile(pattern).search(text, at)
        if not match:
            raise Failed(f"gdb does not say {pattern!r} there:\n{text}")
        at = match.end()


def often(configuration):
    return configuration.cpus <= 2


@application(image="test", when=often)
def gdb_breaks_steps_and_shows_the_stack(guest):
    text = gdb(guest, ["break leaf", "run", "bt", "print n", "next", "print counter", "finish", "step",
                       "info registers rip", "delete", "continue"], "./program")
    expect(text, r"Breakpoint 1, leaf \(n=1\)", r"#0 .*leaf \(n=1\)", r"#1 .*middle \(n=1\)", r"#2 .*main \(",
           r"\$1 = 1", r"\$2 = 1", r"Value returned is \$3 = 1", r"rip .*<main\+|rip .*<middle\+", "sum 40",
           "exited with code 050")


@application(image="test", when=often)
def gdb_watches_a_variable_by_hardware(guest):
    text = gdb(guest, ["break main", "run", "watch counter", "continue", "continue", "delete", "continue"],
               "./program")
    expect(text, "Hardware watchpoint 2: counter", "Old value = 0", "New value = 1", "Old value = 1",
           "New value = 3", "sum 40")


@application(image="test", when=often)
def gdb_breaks_by_hardware(guest):
    text = gdb(guest, ["break main", "run", "hbreak leaf", "continue", "continue", "print n", "delete", "continue"],
               "./program")
    expect(text, "Hardware assisted breakpoint 2", r"Breakpoint 2, leaf \(n=1\)", r"Breakpoint 2, leaf \(n=2\)",
           r"\$1 = 2", "sum 40")


@application(image="test", when=often)
def gdb_stops_where_a_variable_is_read(guest):
    text = gdb(guest, ["break main", "run", "rwatch counter", "continue", "delete", "continue"], "./program")
    expect(text, "Hardware read watchpoint 2", "Value = [01]", "sum 40")


@application(image="test", when=often)
def gdb_attaches_to_a_program_with_threads(guest):
    text = gdb(guest, ["info threads", "thread apply all bt", "break middle", "continue", "print counter >= 0",
                       "delete", "detach"], "-p $!",
               setup="./program forever >out & until grep -q ready out; do sleep 0.05; done")
    expect(text, r"[12]  +Thread .*\(LWP \d+\)", r"[12]  +Thread .*\(LWP \d+\)", "worker|main", "worker|main",
           r"hit Breakpoint 1, middle|Breakpoint 1, middle", r"\$1 = 1", r"Detaching|detached")
    # It goes on afterwards.
    guest.shell("pkill -0 program && pkill program; true")
    if "program" in guest.run(["ps", "-eo", "comm"]).stdout.decode().split():
        guest.shell("sleep 0.2; pkill -KILL program; true")


@application(image="test", when=often)
def gdb_reads_a_core_file(guest):
    text = gdb(guest, ["bt", "print counter"], "./program", "core*",
               setup="rm -f core*; ulimit -c unlimited; echo core >/proc/sys/kernel/core_pattern; "
                     "./program abort")
    expect(text, "Program terminated with signal SIGABRT", r"#\d .*abort \(", r"#\d .*main \(argc=2", r"\$1 = 42")
