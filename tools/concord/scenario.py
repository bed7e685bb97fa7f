# SPDX-License-Identifier: MIT
"""What the files in tests/apps and tests/boot are written with.

An application test is a function that gets a Session: a running guest, shared with
other tests of the same image, in which it runs programs.

    from concord.scenario import application

    @application()
    def python_counts(guest):
        guest.expect(["python3", "-c", "print(6 * 7)"], stdout="42\\n")

A boot test gets a Lab, with which it starts machines of its own.

    from concord.scenario import boot

    @boot()
    def missing_init_is_said(lab): ...

A test fails by an assertion (Failed, AssertionError), skips itself by raising
Skip, and passes by returning.  Both kinds run for each configuration of the
matrix (placement and number of processors), unless they say otherwise."""

import importlib.util
import inspect
import sys
import time
from dataclasses import dataclass

from . import places, runner


HOST = "10.0.2.2"                           # what the guest calls this machine's loopback
FORWARDED = (22, 80, 5201)                  # TCP ports of the guest that are reached from here


class Failed(AssertionError):
    pass


class Skip(Exception):
    pass


@dataclass
class Scenario:
    name: str
    kind: str               # "apps", "boot" or "isolation"
    run: object
    image: str | None       # name of a recipe in tools/image
    net: bool               # apps: the guest has a network card, at QEMU's user network
    seconds: float          # for the whole test
    full: bool              # only in `test --full`
    when: object            # of a Configuration: whether the test is for it
    position: int


_found = []


def _register(kind, image, seconds, full, when, net=False):
    def decorate(function):
        module = function.__module__.rpartition(".")[2]
        _found.append(Scenario(f"{kind}/{module}.{function.__name__}", kind, function, image, net,
                               seconds, full, when, len(_found)))
        return function
    return decorate


def application(image="default", seconds=150, full=False, when=lambda configuration: True, net=False):
    """With `net` the guest has a network card: this machine's loopback is HOST for it, and its
    FORWARDED ports are those of this machine that Session.ports says."""
    return _register("apps", image, seconds, full, when, net)


def boot(image="default", seconds=180, full=False, when=lambda configuration: True):
    return _register("boot", image, seconds, full, when)


def isolation(seconds=60, full=False, when=lambda configuration: True):
    """Like a boot test, for a guest without an image: its system has no Linux in it."""
    return _register("isolation", None, seconds, full, when)


def load(kind):
    """The scenarios of tests/KIND, in the order of their files."""
    _found.clear()
    for path in sorted((places.ROOT / "tests" / kind).glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"{kind}.{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    return list(_found)


def describe(function):
    return inspect.getdoc(function) or function.__name__.replace("_", " ")


def _shown(data, limit=2000):
    text = data.decode(errors="replace") if isinstance(data, bytes) else str(data)
    return text if len(text) <= limit else text[:limit] + f"... ({len(text)} characters)"


class Session:
    """A booted guest, as tests see it."""

    def __init__(self, guest, configuration, ports=None):
        self.guest = guest
        self.configuration = configuration
        self.ports = ports or {}        # {port of the guest: port of this machine's loopback}
        self.deadline = None            # of the test that is running

    def run(self, argv, stdin=None, seconds=None, environment=None, directory="/root"):
        """Run a program; a Result with status, stdout and stderr (bytes)."""
        deadline = self.deadline
        if seconds is not None:
            mine = time.monotonic() + seconds
            deadline = mine if deadline is None else min(deadline, mine)
        if isinstance(stdin, str):
            stdin = stdin.encode()
        if environment is not None:
            environment = {**runner.ENVIRONMENT, **environment}
        return self.guest.command(argv, stdin, deadline=deadline, environment=environment,
                                  directory=directory)

    def expect(self, argv, stdout=None, status=0, stderr=None, **options):
        """Run a program and check how it ended and exactly what it wrote."""
        result = self.run(argv, **options)
        problem = None
        if result.status != status:
            problem = f"exit status {result.status}, not {status}"
        for name, wanted in (("stdout", stdout), ("stderr", stderr)):
            got = getattr(result, name)
            if wanted is not None and got != (wanted.encode() if isinstance(wanted, str) else wanted):
                problem = problem or f"{name} is not {_shown(wanted)!r}"
        if problem:
            raise Failed(f"{' '.join(map(str, argv))[:300]}: {problem}\n"
                         f"stdout: {_shown(result.stdout)}\nstderr: {_shown(result.stderr)}")
        return result

    def shell(self, script, stdout=None, **options):
        """expect() of a script for bash, which stops at the first command that fails."""
        return self.expect(["bash", "-euc", script], stdout, **options)
