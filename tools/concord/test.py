# SPDX-License-Identifier: MIT
"""`./concord test`: find the tests, run them, count.

  unit    tests of the parts, on the host, with sanitizers (meson test --suite unit)
  fuzz    every fuzz target for FUZZ_SECONDS (20), only in the full run (meson test --suite fuzz)
  build   both compilers, with warnings as errors
  kernel  the kernel's self-tests, which it runs when it boots with the word "selftest"
  linux   tests/linux: each case on this machine's Linux, then on the kernel under test
  shuffle a part of it on a kernel whose scheduler decides at random (sched.shuffle)
  leaks   the same in a guest that counts pages, handles and objects: nothing is left behind
  isolation  tests/isolation: bad drivers, and what components hold; without a Linux in the guest
  apps    tests/apps: programs of the default image
  boot    tests/boot: booting, the command line, hostile images

Tests that need a guest run once per configuration: where the personality runs and
how many processors there are.  Booting costs more than most tests, so one guest
serves many of them; when one brings it down or hangs it, that test has failed, and
the rest goes on in a fresh guest."""

import fnmatch
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
import traceback
from dataclasses import dataclass, replace

from . import build, image, initrd, kernels, lab, leaks, places, qemu, runner, say, scenario

SUITES = ("unit", "fuzz", "build", "kernel", "isolation", "linux", "shuffle", "leaks", "boot", "apps")
# Without those that assert how the processors' time is shared.  The first ones are quick.
SHUFFLED_QUICK = ("thread", "process", "ptrace", "pipe", "event")
SHUFFLED = (*SHUFFLED_QUICK, "signal", "futex", "task", "exec", "poll", "unix", "unix_control", "mmap", "tty", "itimer")
PROGRAM_SECONDS = 120       # for one test program with all its cases
BOOT_SECONDS = 60
MOST_DEATHS = 8             # of guests in one suite and configuration, before the rest is given up


@dataclass(frozen=True)
class Configuration:
    placement: str
    cpus: int
    machine: str = "q35"
    memory: int = 1024
    kernel: str | None = None

    @property
    def has_iommu(self):
        """With two processors devices are behind one, as in `run`; with one and four they are not."""
        return self.cpus == 2

    def __str__(self):
        name = "linux" if self.kernel else self.placement
        machine = "" if self.machine == "q35" else f" {self.machine}"
        return f"{name} {self.cpus}cpu{machine}"


def matrix(depth, kernel):
    """The configurations to test; a Linux kernel has no placements."""
    placements = ["kernel"] if kernel else ["kernel", "process"]
    cpus = [2] if depth == "quick" else [1, 2, 4]
    # Neighbours in this list are tested at the same time, if they are small.
    return [Configuration(placement, n, kernel=kernel) for placement in placements for n in cpus]


class KnownFailures:
    """tests/known-failures: lines of TEST-PATTERN CONFIGURATION-PATTERN REASON, shell patterns.

    What is listed there may fail without failing the whole: it counts as skipped, with its
    reason.  The list may only shrink; a test that passes says that its line can go."""

    def __init__(self, path):
        self.entries = []
        for number, line in enumerate(path.read_text().splitlines() if path.exists() else (), 1):
            if not line.strip() or line.startswith("#"):
                continue
            fields = line.split(None, 2)
            if len(fields) != 3:
                raise SystemExit(f"{path}:{number}: not TEST CONFIGURATION REASON")
            self.entries.append(fields)

    def reason(self, name):
        """Why the test "NAME [CONFIGURATION]" is known to fail; None: it is not."""
        test, _, configuration = name.partition(" [")
        configuration = configuration.rstrip("]").replace(" ", "-") or "host"
        for pattern, where, reason in self.entries:
            if fnmatch.fnmatchcase(test, pattern) and fnmatch.fnmatchcase(configuration, where):
                return reason
        return None


class Report:
    """Verdicts as they come; problems in full, the rest as counts."""

    def __init__(self, known):
        self.known = known
        self.passed, self.failed, self.skipped = 0, [], []
        self.progress = say.Progress()
        self.lock = threading.Lock()        # several configurations report at the same time

    def ok(self, name):
        with self.lock:
            self.passed += 1
            if self.known.reason(name):
                self._print(f"passes, though listed in tests/known-failures: {name}")
            if say.verbose:
                print(f"ok {name}", flush=True)
            self.progress.show(f"ok {name}")

    def skip(self, name, why):
        with self.lock:
            self.skipped.append(name)
            self._print(f"skip {name}: {why}")

    def fail(self, name, why):
        first, _, rest = why.strip().partition("\n")
        known = self.known.reason(name)
        if known:
            self.skip(name, f"known failure ({known}): {first}")
            return
        with self.lock:
            self.failed.append(name)
            self._print(f"FAILED {name}: {first}", *(f"    {line}" for line in rest.splitlines()))

    def heading(self, text):
        with self.lock:
            self._print(f"== {text}")

    def _print(self, *lines):
        self.progress.clear()
        print(*lines, sep="\n", flush=True)


class Selection:
    """Names given on the command line: a suite, a file of it, or a test."""

    def __init__(self, names):
        self.names = names

    def has(self, name):
        """Whether the test, or any test below this prefix, was asked for."""
        return not self.names or any(
            name == wanted or name.startswith((wanted + "/", wanted + "."))
            or wanted.startswith((name + "/", name + ".")) for wanted in self.names)


def machine_for(configuration, image_path, words=(), drives=(), net=None):
    """The machine that serves commands in one configuration; `net` is a qemu.Net."""
    kernel = kernels.find(configuration.kernel)
    machine = qemu.Machine(kernel, machine=configuration.machine, memory=configuration.memory,
                           cpus=configuration.cpus, iommu=configuration.has_iommu)
    machine.words = ["console=ttyS0", "root=/dev/vda", "rootfstype=erofs", "ro",
                     "concord.overlay=tmpfs", "init=/sbin/concord-init", "concord.runner", *words]
    if kernel.linux:
        machine.initrd = initrd.make(kernel, net=net.device if net else None)
        machine.words.append("panic=-1")
    elif configuration.placement != "kernel":
        machine.words.append(f"concord.placement={configuration.placement}")
    if net:
        machine.nets = [net]
        machine.words.append(qemu.net_word(net))
    machine.drives = [qemu.Drive(image_path, True), *(qemu.Drive(path, True) for path in drives)]
    return machine


class GuestKeeper:
    """A guest that is there when it is needed, and replaced after it has failed."""

    def __init__(self, machine, configuration):
        self.machine = machine
        self.configuration = configuration
        self.guest = None
        self.deaths = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.guest is not None:
            self.guest.__exit__()
            self.guest = None

    def session(self):
        if self.guest is None:
            self.guest = runner.Guest(self.machine)
            try:
                self.guest.boot(time.monotonic() + BOOT_SECONDS)
            except runner.GuestTimeout:
                raise runner.GuestDied(f"the guest did not boot in {BOOT_SECONDS} s") from None
        else:
            try:
                self.guest.sweep(time.monotonic() + 15)
            except (runner.GuestTimeout, runner.GuestDied):
                self.drop()     # damaged by the test before: that one has its verdict
                return self.session()
        forwards = [pair for net in self.machine.nets for pair in net.forwards]
        return scenario.Session(self.guest, self.configuration, {there: here for here, there in forwards})

    def drop(self):
        """The guest has died or hung: the next session is in a fresh one."""
        self.deaths += 1
        self.__exit__()

    def hopeless(self, report, suite):
        """Whether so many guests have died that going on would only take time."""
        if self.deaths < MOST_DEATHS:
            return False
        report.fail(f"{suite} [{self.configuration}]",
                    f"{self.deaths} guests have died or hung: the rest was not run")
        return True

    def last_words(self):
        if self.guest is None:
            return ""
        lines = self.guest.console_text().splitlines()[-30:]
        return "\n".join(["the guest's console ended with:", *lines])


# Unit tests.

def run_on_host(report, suite, heading):
    """A suite of Meson's: "unit", or "fuzz"."""
    report.heading(heading)
    build.build()
    log = places.BUILD / "meson-logs/testlog.json"
    log.unlink(missing_ok=True)
    argv = ["meson", "test", "-C", str(places.BUILD), "--no-rebuild", "--suite", suite]
    if suite == "fuzz":
        # Targets share nothing, and one is as long as its time: one after the other leaves time for all.
        argv += ["--num-processes", "1"]
        say.run(["ninja", "-C", places.BUILD, "meson-test-prereq"], "building the fuzz targets")
    say.command(argv)
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if not log.exists():
        report.fail(suite, f"meson test ended with status {done.returncode}\n{done.stdout}{done.stderr}")
        return
    for line in log.read_text().splitlines():
        test = json.loads(line)
        name = f"{suite}/" + test["name"].rpartition(" / ")[2]
        if test["result"] in ("OK", "EXPECTEDFAIL"):
            report.ok(name)
        elif test["result"] == "SKIP":
            report.skip(name, "skipped by itself")
        else:
            tail = (test.get("stdout", "") + test.get("stderr", "")).splitlines()[-40:]
            report.fail(name, "\n".join([test["result"], *tail]))


# Both compilers.

def run_build(report, selection):
    for compiler in ("gcc", "clang"):
        name = f"build/{compiler}"
        if not selection.has(name):
            continue
        if compiler == "gcc" and build.is_strict():
            report.ok(name)         # it is what everything here was built with
            continue
        report.heading(f"the build with {compiler}, warnings as errors")
        folder = places.BUILD.with_name(places.BUILD.name + f"-{compiler}")
        try:
            if not (folder / "build.ninja").exists():
                say.run(["env", f"CC={compiler}", "meson", "setup", "--werror", folder, places.ROOT],
                        f"meson setup with {compiler}")
            say.run(["ninja", "-C", folder], f"the build with {compiler}")
            report.ok(name)
        except say.Failure as failure:
            report.fail(name, str(failure))


# The kernel's self-tests.

SELFTEST_STATUS = 33        # QEMU's when all have passed


def run_kernel(report, depth, selection):
    for machine in ("q35", "microvm"):
        for cpus in [2] if depth == "quick" else [1, 2, 4]:
            configuration = Configuration("kernel", cpus, machine)
            report.heading(f"self-tests of the kernel [{configuration}]")
            with lab.Lab(configuration, None, 300) as bench:
                # edu is the device that is told to reach beyond the IOMMU.
                devices = ["edu,dma_mask=0xffffffff"] if machine == "q35" else []
                ended = bench.boot(bench.machine(["selftest"], devices=devices))
                tell_selftests(report, configuration, ended, bench.last_words(), selection)


def tell_selftests(report, configuration, ended, last_words, selection):
    results = re.findall(r"selftest (\w+): (ok|FAILED)$", ended.console, re.MULTILINE)
    for name, verdict in results:
        if not selection.has(f"kernel/{name}"):
            continue
        if verdict == "ok":
            report.ok(f"kernel/{name} [{configuration}]")
        else:
            said = re.findall(rf"selftest {name}: (?!FAILED)(.*)", ended.console)
            report.fail(f"kernel/{name} [{configuration}]", "\n".join(said) or "FAILED")
    if ended.status != SELFTEST_STATUS and (ended.status in (None, qemu.PANIC_STATUS) or not results):
        report.fail(f"kernel [{configuration}]", f"QEMU's status is {ended.status}\n{last_words}")


# Linux-behaviour tests.

# On Concord these are run on file systems of disks, by tests/boot/filesystems.py, and not in memory.
ON_DISKS = ("direct_test",)


def linux_programs():
    return sorted((places.BUILD / "tests/linux").glob("*_test"))


def verdicts(output):
    """{case: (verdict, why)} of a test program's output."""
    found = {}
    for line in output.decode(errors="replace").splitlines():
        for verdict in ("not ok", "skip", "ok"):
            if line.startswith(verdict + " "):
                case, _, why = line[len(verdict) + 1:].partition(": ")
                found[case] = (verdict, why)
                break
    return found


def tell(report, name, verdict, why):
    if verdict == "ok":
        report.ok(name)
    elif verdict == "skip":
        report.skip(name, why)
    else:
        report.fail(name, why)


def holds(verdict, why):
    """Whether a case is for guests, too: what this machine's processor lacks, theirs has."""
    return verdict == "ok" or (verdict == "skip" and why.startswith("this machine"))


def reference(report, programs, selection):
    """Run the programs here; {program: cases that hold on Linux and are wanted}."""
    report.heading("linux tests on this machine's Linux")
    wanted = {}
    for program in programs:
        name = program.name.removesuffix("_test")
        prefix = f"linux/{name}"
        elsewhere = selection.has("leaks") or (selection.has("shuffle") and name in SHUFFLED)
        cases = say.output([program, "-l"], prefix).split()
        cases = [case for case in cases if selection.has(f"{prefix}.{case}") or elsewhere]
        if not cases:
            continue
        try:
            done = subprocess.run([program, *cases], stdin=subprocess.DEVNULL, capture_output=True,
                                  timeout=PROGRAM_SECONDS, cwd="/tmp", start_new_session=True)
            found = verdicts(done.stdout)
        except subprocess.TimeoutExpired as late:
            found = verdicts(late.stdout or b"")
        for case in cases:
            tell(report, f"{prefix}.{case} [here]", *found.get(case, ("not ok", "no verdict")))
        wanted[program] = [case for case in cases if holds(*found.get(case, ("", "")))]
    return wanted


def programs_image(programs):
    """An erofs image with the test programs, for the guest's second disk."""
    digest = hashlib.sha256()
    for program in programs:
        digest.update(program.name.encode() + b"\0" + program.read_bytes())
    path = places.CACHE / "image" / f"programs-{digest.hexdigest()[:16]}.erofs"
    with places.cache_lock("image-programs"):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory() as tree:
                os.chmod(tree, 0o755)
                for program in programs:
                    shutil.copy(program, tree)
                fresh = path.with_suffix(".new")
                say.run(["mkfs.erofs", "--all-root", fresh, tree], "making the image of test programs")
                fresh.rename(path)
        os.utime(path)
    return path


def run_program(report, keeper, program, cases, suite="linux"):
    """All wanted cases of one program in the guest, over as many boots as it takes."""
    prefix = f"{suite}/{program.name.removesuffix('_test')}"
    suffix = f" [{keeper.configuration}]"
    left = list(cases)
    while left and keeper.deaths < MOST_DEATHS:
        output, trouble = bytearray(), None
        try:
            session = keeper.session()
            result = session.guest.command([f"/tests/{program.name}", *left],
                                           on_stdout=output.extend,
                                           deadline=time.monotonic() + PROGRAM_SECONDS)
            trouble = f"the program ended with status {result.status} before it: " \
                + result.stderr.decode(errors="replace")
        except runner.GuestTimeout:
            trouble = f"hung for {PROGRAM_SECONDS} s\n{keeper.last_words()}"
            keeper.drop()
        except runner.GuestDied as death:
            trouble = f"{death}\n{keeper.last_words()}"
            keeper.drop()
        found = verdicts(output)
        for case in [case for case in left if case in found]:
            tell(report, f"{prefix}.{case}{suffix}", *found[case])
        left = [case for case in left if case not in found]
        if left:
            # The first case without a verdict is the one that was running.
            report.fail(f"{prefix}.{left[0]}{suffix}", trouble)
            left = left[1:]


class LinuxTests:
    """Made once: what holds on this machine, and the disk with the programs."""

    def __init__(self, report, selection, in_guests):
        programs = linux_programs()
        self.wanted = {program: cases for program, cases in reference(report, programs, selection).items()
                       if program.name not in ON_DISKS}
        self.disk = programs_image(programs) if in_guests else None

    def run(self, report, configuration):
        report.heading(f"linux tests [{configuration}]")
        machine = machine_for(configuration, image.make(),
                              ["concord.mount=/dev/vdb:erofs:/tests"], [self.disk])
        with GuestKeeper(machine, configuration) as keeper:
            if not boots(report, keeper, "linux"):
                return
            for program, cases in self.wanted.items():
                run_program(report, keeper, program, cases)
                if keeper.hopeless(report, "linux"):
                    break

    def run_shuffled(self, report, configuration, seed, names):
        """Programs that are about order, with a scheduler that decides at random."""
        report.heading(f"linux tests, shuffled with seed {seed} [{configuration}]")
        machine = machine_for(configuration, image.make(),
                              ["concord.mount=/dev/vdb:erofs:/tests", f"sched.shuffle={seed}"],
                              [self.disk])
        with GuestKeeper(machine, configuration) as keeper:
            if not boots(report, keeper, "shuffle"):
                return
            for program, cases in self.wanted.items():
                if program.name.removesuffix("_test") in names:
                    run_program(report, keeper, program, cases, suite=f"shuffle-{seed}")
                if keeper.hopeless(report, "shuffle"):
                    break

    def run_leaks(self, report, configuration):
        """The programs leave nothing behind: all of them, again and again, in one guest that counts."""
        report.heading(f"leaks of the linux tests [{configuration}]")
        machine = machine_for(configuration, image.make(),
                              ["concord.mount=/dev/vdb:erofs:/tests", leaks.WORD], [self.disk])
        with GuestKeeper(machine, configuration) as keeper:
            verdict_of(report, f"leaks/linux_tests [{configuration}]",
                       functools.partial(self._leave_nothing, keeper), keeper.last_words)

    def _leave_nothing(self, keeper):
        counts = []
        for _ in range(3):
            for program, cases in self.wanted.items():
                keeper.session().guest.command([f"/tests/{program.name}", *cases],
                                               deadline=time.monotonic() + PROGRAM_SECONDS)
            counts.append(leaks.settled(keeper.guest))
        more = leaks.differences(*counts[-2:])
        assert not more, "\n".join(["more is there than before", *more])


def boots(report, keeper, suite):
    """Whether the guest boots at all; if not, that is one failure and not hundreds."""
    try:
        keeper.session()
        return True
    except runner.GuestDied as death:
        report.fail(f"{suite} [{keeper.configuration}]",
                    f"no test could run: {death}\n{keeper.last_words()}")
        keeper.drop()
        return False


# Scenarios.

def verdict_of(report, name, function, last_words):
    """Run a test function and report it.  False when the guest may have been damaged."""
    try:
        function()
        report.ok(name)
        return True
    except scenario.Skip as why:
        report.skip(name, str(why))
        return True
    except AssertionError as failure:
        report.fail(name, str(failure) or traceback.format_exc())
        return True
    except runner.GuestTimeout:
        report.fail(name, f"hung\n{last_words()}")
    except runner.GuestDied as death:
        report.fail(name, f"{death}\n{last_words()}")
    except Exception:           # a mistake in the test is that test's failure
        report.fail(name, traceback.format_exc())
    return False


def run_apps(report, configuration, tests):
    for image_name, net in sorted({(test.image, test.net) for test in tests}):
        where = f"image {image_name}" + (", network" if net else "")
        report.heading(f"application tests [{configuration}], {where}")
        machine = machine_for(configuration, image.make(image_name),
                              net=qemu.user_net(scenario.FORWARDED) if net else None)
        with GuestKeeper(machine, configuration) as keeper:
            if not boots(report, keeper, f"apps, {where}"):
                continue
            for test in [test for test in tests if (test.image, test.net) == (image_name, net)]:
                run_app(report, keeper, test)
                if keeper.hopeless(report, "apps"):
                    break


def run_app(report, keeper, test):
    def body():
        session = keeper.session()
        session.deadline = time.monotonic() + test.seconds
        test.run(session)
    if not verdict_of(report, f"{test.name} [{keeper.configuration}]", body, keeper.last_words):
        keeper.drop()


def run_boot(report, configuration, tests, kind, try_first):
    report.heading(f"{kind} tests [{configuration}]")
    if try_first:
        # A kernel that boots nothing would fail each of these by a timeout.
        with GuestKeeper(machine_for(configuration, image.make()), configuration) as keeper:
            if not boots(report, keeper, "boot"):
                return
    for test in tests:
        with lab.Lab(configuration, test.image and image.make(test.image), test.seconds) as bench:
            verdict_of(report, f"{test.name} [{configuration}]",
                       functools.partial(test.run, bench), bench.last_words)


# All of it.

class Crew:
    """Runs jobs in parallel as far as their guests have processors to share.

    Three virtual processors for two of ours keep the machine busy without making the guests'
    processors wait for each other too often; a job that needs more than there are runs alone."""

    def __init__(self, report):
        self.report = report
        self.capacity = max(3, (os.cpu_count() or 1) * 3 // 2)
        self.used = 0
        self.changed = threading.Condition()
        self.threads = []

    def start(self, cpus, name, job):
        weight = min(cpus, self.capacity)
        with self.changed:
            self.changed.wait_for(lambda: self.used + weight <= self.capacity)
            self.used += weight
        thread = threading.Thread(target=self._run, args=(weight, name, job), daemon=True)
        self.threads.append(thread)
        thread.start()

    def _run(self, weight, name, job):
        try:
            job()
        except Exception:       # of the test system, not of a test
            self.report.fail(name, traceback.format_exc())
        finally:
            with self.changed:
                self.used -= weight
                self.changed.notify_all()

    def wait(self):
        for thread in self.threads:
            while thread.is_alive():
                thread.join(0.5)        # in steps, so that an interrupt gets through


def shuffles(configuration, depth):
    """(configuration, seed, names of programs) of the shuffled runs that go with a configuration."""
    if configuration.cpus == 4 and depth == "full":
        for seed in range(1, 6):
            for cpus in (4, 8):
                yield replace(configuration, cpus=cpus), seed, SHUFFLED
    elif configuration.cpus == 4:
        yield configuration, 1, SHUFFLED_QUICK


def guest_jobs(report, configurations, selection, depth):
    """(processors, name, job) for everything that runs in guests of the configurations."""
    tests = [test for kind in ("isolation", "boot", "apps") for test in scenario.load(kind)
             if selection.has(test.name) and (depth == "full" or not test.full)]
    linux = None
    if selection.has("linux") or selection.has("leaks") or selection.has("shuffle"):
        linux = LinuxTests(report, selection, bool(configurations))
    for configuration in configurations:
        if linux and selection.has("linux"):
            yield configuration.cpus, f"linux [{configuration}]", \
                functools.partial(linux.run, report, configuration)
        if linux and selection.has("shuffle") and not configuration.kernel:
            for where, seed, names in shuffles(configuration, depth):
                yield where.cpus, f"shuffle [{where}]", \
                    functools.partial(linux.run_shuffled, report, where, seed, names)
        if linux and selection.has("leaks") and configuration.cpus == 2 and not configuration.kernel:
            yield configuration.cpus, f"leaks [{configuration}]", \
                functools.partial(linux.run_leaks, report, configuration)
        for kind in ("isolation", "boot", "apps"):
            ours = [test for test in tests if test.kind == kind and test.when(configuration)]
            if not ours:
                continue
            job = functools.partial(run_apps, report, configuration, ours) if kind == "apps" else \
                functools.partial(run_boot, report, configuration, ours, kind,
                                  kind == "boot" and not selection.names)
            yield configuration.cpus, f"{kind} [{configuration}]", job


def main(names, depth, kernel):
    begin = time.monotonic()
    report = Report(KnownFailures(places.ROOT / "tests/known-failures"))
    selection = Selection(names)
    # On a fresh clone the build that everything needs is one of the two that are tested.
    build.build(strict=depth != "quick" and selection.has("build/gcc"))
    configurations = matrix(depth, kernel)
    if kernel is None and not places.KERNEL.exists():
        report.skip("everything in a guest", "the build makes no concord.elf yet")
        configurations = []
    try:
        if selection.has("unit") and kernel is None:
            run_on_host(report, "unit", "unit tests")
        if selection.has("fuzz") and kernel is None and (depth == "full" or names):
            run_on_host(report, "fuzz", "fuzz targets")
        if selection.has("build") and kernel is None and (depth != "quick" or names):
            run_build(report, selection)
        if selection.has("kernel") and configurations and kernel is None:
            run_kernel(report, depth, selection)
        crew = Crew(report)
        for cpus, name, job in guest_jobs(report, configurations, selection, depth):
            crew.start(cpus, name, job)
        crew.wait()
    finally:
        report.progress.clear()
        if report.failed:
            print("failed:", *report.failed, sep="\n  ")
        print(f"in {time.monotonic() - begin:.0f} s")
        print(f"{report.passed} passed, {len(report.failed)} failed, {len(report.skipped)} skipped",
              flush=True)
    return 1 if report.failed or not report.passed else 0
