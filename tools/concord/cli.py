# SPDX-License-Identifier: MIT
"""The command line of ./concord: what can be typed, and its help."""

import argparse
import os
import re
import sys
from pathlib import Path

from . import bench, build, demo, faults, heal, image, places, qemu, run, say, test

USAGE = """\
usage: ./concord [-v] COMMAND ...

  run [OPTIONS]                   boot Concord with the default Debian image: a root shell here
  run [OPTIONS] -- PROGRAM [ARG]  run one program in it; its input, output and exit status are ours
  test [--quick|--full] [NAME]    run the tests; the last line counts them
  bench [NAME]                    the same programs on Linux and on Concord, side by side
  demo heal                       kill a disk driver once a second, under a load with checksums
  faults                          put faults into a running driver, and count what comes of them
  build                           build concord.elf and everything else
  image                           make the default image
  setup                           install packages, set the build up, make the image

`./concord COMMAND --help` tells more; -v shows the commands that are run.
The manual: man -l docs/man/concord.1
"""


class Parser(argparse.ArgumentParser):
    """One clear line and status 2 for a command line that cannot be meant."""

    def error(self, message):
        raise say.Failure(f"{message} (see {self.prog} --help)", 2)


def number(low, high, unit):
    def parse(text):
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"'{text}' is not a number of {unit} from {low} to {high}")
        return value
    return parse


def seconds(text):
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 < value < 1e7:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds above 0")
    return value


def existing(text):
    try:
        os.close(os.open(text, os.O_RDONLY))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.strerror}") from None
    if os.path.isdir(text):
        raise argparse.ArgumentTypeError(f"{text}: is a directory")
    return text


def machine(text):
    try:
        qemu.check_machine(text)
    except say.Failure as failure:
        raise argparse.ArgumentTypeError(str(failure).partition(": ")[2]) from None
    return text


def kernel_words(text):
    if "\0" in text or "\n" in text:
        raise argparse.ArgumentTypeError("a kernel command line is one line")
    return text


def directory(text):
    try:
        os.listdir(text)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.strerror}") from None
    return text


def net(text):
    """None, or a qemu.Net."""
    kind, _, name = text.partition(":")
    if kind == "tap" and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}", name):
        return qemu.Net("tap", name=name)
    if text not in ("none", "user"):
        raise argparse.ArgumentTypeError(f"'{text}' is not none, user or tap:NAME")
    return qemu.Net("user") if text == "user" else None


def forward(text):
    ports = re.fullmatch("([0-9]{1,5}):([0-9]{1,5})", text, re.ASCII)
    pair = tuple(int(port) for port in ports.groups()) if ports else (0, 0)
    if not all(1 <= port <= 65535 for port in pair):
        raise argparse.ArgumentTypeError(f"'{text}' is not HOSTPORT:GUESTPORT, two numbers from 1 to 65535")
    return pair


def add_machine_options(parser):
    add = parser.add_argument
    add("--kernel", metavar="PATH", help="a kernel to boot in place of Concord's: a file, or "
        "debian or debian-cloud for Debian's own")
    add("--image", metavar="PATH", type=existing, help="a root file system (erofs, ext4 or cpio) "
        "in place of the default image")
    add("--initrd", metavar="PATH", type=existing, help="an initramfs")
    add("--append", metavar="WORDS", type=kernel_words, help="more words for the kernel's command line")
    add("--memory", metavar="MIB", type=number(8, 1 << 20, "MiB"), default=1024, help="default 1024")
    add("--cpus", metavar="N", type=number(1, 255, "processors"), default=1, help="default 1")
    add("--machine", metavar="TYPE", type=machine, default="q35", help="q35 (the default) or "
        "microvm, also microvm,acpi=off")
    add("--iommu", action=argparse.BooleanOptionalAction, default=True, help="on q35, devices reach "
        "memory and interrupt through an IOMMU (VT-d), unless --no-iommu says otherwise")
    add("--placement", choices=("kernel", "process"), default="kernel", help="where the Linux "
        "personality runs: in the kernel's image (the default) or as an unprivileged process")
    add("--drive", metavar="PATH", type=existing, action="append", default=[],
        help="one more disk (raw); read-only when the file is")
    add("--disk-bus", choices=qemu.DISK_BUSES, default="virtio", help="what the image's disk is "
        "attached to; default virtio")
    add("--net", metavar="none|user|tap:NAME", type=net, default=qemu.DEFAULT_NET, help="a network card: of a "
        "network that QEMU pretends to be (the default), or at the host's interface NAME; or none")
    add("--net-device", choices=qemu.NET_DEVICES, help="what kind of network card it is; default virtio. "
        "e1000 is Intel's 82540EM, on q35")
    add("--forward", metavar="HOST:GUEST", type=forward, action="append", default=[], help="with --net user: "
        "connections to this TCP port of the host's loopback go to that one of the guest; may be repeated")
    add("--share", metavar="DIR", type=directory, help="a directory that the guest sees at /mnt/share; "
        "read-only when it cannot be written")
    add("--timeout", metavar="SECONDS", type=seconds, help="of a PROGRAM, boot included; then the "
        "exit status is 124")
    add("--accel", choices=("auto", "kvm", "tcg"), default="auto", help="auto: KVM if it works")
    add("--gdb", action="store_true", help="wait for a debugger at localhost:1234")


def do_run(words):
    command = None
    if "--" in words:
        at = words.index("--")
        words, command = words[:at], words[at + 1:]
        if not command:
            raise say.Failure("nothing after --: expected PROGRAM [ARG...]", 2)
    parser = Parser("./concord run", usage="./concord run [OPTIONS] [-- PROGRAM [ARG...]]",
                    description="Boot, and give a root shell, or run PROGRAM: argv as given, its "
                    "input, output and exit status ours (128+N for signal N, 124 on timeout, 125 "
                    "if the guest did not boot or panicked).", allow_abbrev=False)
    add_machine_options(parser)
    add_common(parser)
    options = parse(parser, words)
    if options.timeout and not command:
        raise say.Failure("--timeout is for a PROGRAM after --", 2)
    return run.run(options, command)


def do_demo(words):
    parser = Parser("./concord demo", usage="./concord demo NAME [OPTIONS]",
                    description="Show something: " + "; ".join(f"{name}: {text}" for name, text
                                                               in demo.DEMOS.items()) + ".",
                    allow_abbrev=False)
    parser.add_argument("name", metavar="NAME", choices=sorted(demo.DEMOS))
    parser.add_argument("--seconds", metavar="N", type=number(2, 3600, "seconds"), default=10,
                        help="of each part, default 10")
    add_machine_options(parser)
    parser.set_defaults(net=None)
    add_common(parser)
    options = parse(parser, words)
    return demo.main(options.name, options)


def do_faults(words):
    parser = Parser("./concord faults", usage="./concord faults [OPTIONS]",
                    description="Put faults into the text of a running driver, one after the other, under a load "
                    "that knows what every byte should be; a table of what came of them. Details go to "
                    "build/faults.json. The exit status is 1 if the kernel or another component died.",
                    allow_abbrev=False)
    add = parser.add_argument
    add("--driver", choices=sorted(faults.DRIVERS), default="virtio-blk", help="default virtio-blk")
    add("--count", metavar="N", type=number(1, 10 ** 9, "faults"), default=500, help="default 500")
    add("--seed", metavar="N", type=number(0, 1 << 62, "seed"), default=1, help="of the choice, default 1")
    add("--stops", action="store_true", help="no such faults: stop the driver at each of its instructions in turn")
    add("--cpus", metavar="N", type=number(1, 255, "processors"), default=2, help="default 2")
    add("--placement", choices=("kernel", "process"), default="kernel", help="of the personality")
    add_common(parser)
    return faults.main(parse(parser, words))


def do_build(words):
    parser = Parser("./concord build", description="Build everything, with meson and ninja.",
                    allow_abbrev=False)
    add_common(parser)
    parse(parser, words)
    build.build()
    return 0


def do_image(words):
    parser = Parser("./concord image", description="Make the default Debian image, if it is not "
                    "up to date, and print its path.", allow_abbrev=False)
    parser.add_argument("name", nargs="?", default="default",
                        choices=sorted(path.stem for path in image.RECIPES.glob("*.packages")))
    parser.add_argument("--type", choices=["erofs", "ext4"], default="erofs",
                        help="ext4: a new image at PATH, whose changes stay")
    parser.add_argument("--path", metavar="PATH", type=Path, help="where an ext4 image is to be made")
    add_common(parser)
    options = parse(parser, words)
    if (options.type == "ext4") != (options.path is not None):
        raise say.Failure("--type ext4 and --path belong together", 2)
    print(image.make_ext4(options.path, options.name) if options.path else image.make(options.name))
    return 0


def do_setup(words):
    parser = Parser("./concord setup", description="Install packages, set the build up and make "
                    "the default image; what is done already is not done again.", allow_abbrev=False)
    add_common(parser)
    parse(parser, words)
    build.build()
    image.make()
    say.note("ready: ./concord run")
    return 0


def do_test(words):
    parser = Parser("./concord test", usage="./concord test [--quick|--full] [NAME...]",
                    description="Run the tests; NAME is a suite (unit, build, kernel, linux, boot, apps), one of "
                    "its files (linux/process) or a test (linux/process.fork_copies_memory). The "
                    "last line counts them.", allow_abbrev=False)
    depth = parser.add_mutually_exclusive_group()
    depth.add_argument("--quick", dest="depth", action="store_const", const="quick",
                       help="one configuration per placement")
    depth.add_argument("--full", dest="depth", action="store_const", const="full",
                       help="the long campaigns too")
    parser.add_argument("--kernel", metavar="PATH", help="test another kernel, for example "
                        "debian-cloud to see that the tests are right")
    parser.add_argument("names", nargs="*", metavar="NAME")
    add_common(parser)
    options = parse(parser, words)
    for name in options.names:
        if name.partition("/")[0].partition(".")[0] not in test.SUITES:
            raise say.Failure(f"no tests are called '{name}': expected {', '.join(test.SUITES)}, "
                              "or a name below these", 2)
    return test.main(options.names, options.depth or "default", options.kernel)


def do_bench(words):
    parser = Parser("./concord bench", usage="./concord bench [OPTIONS] [ROW...]",
                    description="Measure ROWs (all, by default) on Debian's cloud kernel and on "
                    "Concord, in both placements, and compare.", allow_abbrev=False)
    parser.add_argument("--icount", action="store_true", help="count instructions, and compare "
                        "with tests/perf/baseline.json")
    parser.add_argument("--record", action="store_true", help="with --icount: write the baseline")
    parser.add_argument("--rounds", type=number(1, 99, "rounds"), default=3, metavar="N", help="default 3")
    parser.add_argument("--disk-bus", choices=qemu.DISK_BUSES, default="virtio", help="what the disk of the "
                        "rows about disks is attached to; default virtio")
    parser.add_argument("--json", metavar="PATH", help="where the numbers go (in build/ by default)")
    parser.add_argument("names", nargs="*", metavar="ROW")
    add_common(parser)
    options = parse(parser, words)
    if options.record and not options.icount:
        raise say.Failure("--record goes with --icount", 2)
    if any(name.startswith("heal") for name in options.names):
        wanted = [row for row in heal.ROWS if {"heal", row} & set(options.names)]
        if not wanted or set(options.names) - {"heal", *heal.ROWS}:
            raise say.Failure(f"{', '.join(heal.ROWS)} (heal: all of these) are measured apart from other rows", 2)
        if options.record:
            raise say.Failure("--record is not for the rows of heal", 2)
        return heal.bench(wanted, options.rounds, options.icount, options.json)
    return bench.main(options.names, options.icount, options.rounds, options.json, options.record,
                      options.disk_bus)


def add_common(parser):
    parser.add_argument("-v", "--verbose", action="store_true", help="show the commands that are run")


def parse(parser, words):
    options = parser.parse_args(words)
    say.verbose = say.verbose or options.verbose
    return options


COMMANDS = {"bench": do_bench, "demo": do_demo, "faults": do_faults, "run": do_run, "test": do_test, "build": do_build, "image": do_image, "setup": do_setup}


def open_standard_streams():
    """A stream that is closed becomes /dev/null, so that no other file takes its number."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open("/dev/null", os.O_RDWR)


def main(words):
    open_standard_streams()
    while words[:1] in (["-v"], ["--verbose"]):
        say.verbose = True
        words = words[1:]
    try:
        if not words or words[0] in ("-h", "--help", "help"):
            print(USAGE, end="")
            return 0 if words else 2
        if words[0] not in COMMANDS:
            raise say.Failure(f"unknown command '{words[0]}' (see ./concord --help)", 2)
        return COMMANDS[words[0]](words[1:])
    except say.Failure as failure:
        say.note(str(failure))
        return failure.status
    except KeyboardInterrupt:
        return 130
