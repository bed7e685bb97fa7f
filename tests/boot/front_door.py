# SPDX-License-Identifier: MIT
"""./concord itself, as its users type it."""

import os
import signal
import subprocess
import time

from concord import places
from concord.scenario import Failed, boot


def once(configuration):
    return configuration.cpus == 2 and configuration.placement == "kernel"


def check(done, status, stdout=None, stderr=None):
    if done.returncode != status or (stdout is not None and done.stdout != stdout) \
            or (stderr is not None and stderr not in done.stderr):
        raise Failed(f"{done.args}: status {done.returncode}, not {status}\n"
                     f"stdout: {done.stdout[:1000]}\nstderr: {done.stderr[-3000:]}")


@boot(when=once)
def command_lines_that_cannot_be_meant(lab):
    for words in (["nonsense"], ["run", "--nonsense"], ["run", "--"], ["run", "program"],
                  ["run", "--cpus", "0"], ["run", "--cpus", "many"], ["run", "--memory", "-1"],
                  ["run", "--machine", "pc"], ["run", "--machine", "microvm,acpi=maybe"],
                  ["run", "--placement", "nowhere"], ["run", "--image", "/nonexistent"],
                  ["run", "--image", "/etc/passwd"], ["run", "--image", "/"],
                  ["run", "--kernel", "/nonexistent"], ["run", "--kernel", "/etc/passwd"],
                  ["run", "--initrd", "/nonexistent"], ["run", "--drive", "/nonexistent"],
                  ["run", "--timeout", "0", "--", "true"], ["run", "--timeout", "nan", "--", "true"],
                  ["run", "--timeout", "5"], ["run", "--net", "x"],
                  ["run", "--net", "tap:"], ["run", "--net", "tap:../x"], ["run", "--net", "tap:a,script=/bin/sh"],
                  ["run", "--net", "none", "--net-device", "e1000"], ["run", "--net", "user", "--net-device", "x"],
                  ["run", "--net", "user", "--net-device", "e1000", "--machine", "microvm"],
                  ["run", "--net", "tap:nosuchthing"], ["run", "--net", "none", "--forward", "1:2"],
                  *(["run", "--net", "user", "--forward", bad] for bad in (
                      "", "1", "1:", ":2", "0:2", "1:0", "1:65536", "-1:2", "1:2:3", "::1:2", "1:2,x=y")),
                  ["run", "--net", "user", "--forward", "5001:1", "--forward", "5001:2"], ["run", "--share", "/nonexistent"],
                  ["run", "--share", "/etc/passwd"], ["run", "--append", "a\nb"],
                  ["run", "--accel", "x"], ["run", "--disk-bus", "x"],
                  ["run", "--disk-bus", "nvme", "--machine", "microvm"],
                  ["run", "--mem", "64"], ["test", "nonsense"],
                  ["test", "--quick", "--full"], ["bench", "--record"], ["bench", "nonsense"], []):
        done = lab.concord(*words, seconds=60)
        if done.returncode != 2 or b"Traceback" in done.stderr:
            raise Failed(f"{words}: status {done.returncode}\n{done.stderr.decode()}")
        if words and len(done.stderr.splitlines()) != 1:
            raise Failed(f"{words}: not one line:\n{done.stderr.decode()}")


@boot(when=once)
def help_is_there(lab):
    for words in (["--help"], ["run", "--help"], ["test", "--help"], ["bench", "--help"]):
        check(lab.concord(*words), 0, stderr=b"")


@boot()
def command_has_its_streams_and_status(lab):
    done = lab.concord("run", *lab.run_options(), "--", "sh", "-c",
                       "cat; echo err >&2; printf '%s|' \"$@\"; exit 7", "name", "a b", "", "*",
                       stdin=b"input\n")
    check(done, 7, b"input\na b||*|")
    if done.stderr != b"err\n":
        raise Failed(f"standard error has more than the program's: {done.stderr}")


@boot(when=once)
def commands_that_end_badly(lab):
    run = ["run", *lab.run_options()]
    check(lab.concord(*run, "--", "no-such-program"), 127)
    check(lab.concord(*run, "--", "/etc/passwd"), 126)
    check(lab.concord(*run, "--", "sh", "-c", "kill -SEGV $$"), 139)
    check(lab.concord(*run, "--timeout", "8", "--", "sleep", "100"), 124, stderr=b"timeout")
    check(lab.concord(*run, "--append", "init=/nonexistent root=/dev/nonexistent", "--timeout", "60",
                      "--", "true"), 125)
    check(lab.concord(*run, "--", "busybox", "poweroff", "-f"), 0)


@boot(when=once)
def closed_standard_streams(lab):
    done = subprocess.run(["sh", "-c", '"$0" "$@" <&-', str(places.ROOT / "concord"), "run",
                           *lab.run_options(), "--", "cat"], capture_output=True, timeout=lab.left())
    check(done, 0, b"")
    done = subprocess.run(["sh", "-c", '"$0" "$@" | head -1', str(places.ROOT / "concord"), "run",
                           *lab.run_options(), "--", "yes"], capture_output=True, timeout=lab.left())
    check(done, 0, b"y\n")


@boot(when=once)
def drive_keeps_what_was_written(lab):
    drive = lab.file("drive", bytes(1 << 20))
    check(lab.concord("run", *lab.run_options(), "--drive", str(drive), "--", "sh", "-c",
                      "printf written | dd of=/dev/vdb bs=1 seek=4096 conv=notrunc status=none"), 0, b"")
    if drive.read_bytes()[4096:4103] != b"written":
        raise Failed("it is not in the file")
    drive.chmod(0o444)
    if os.geteuid() != 0:           # root may write to any file, so its drives are never read-only
        check(lab.concord("run", *lab.run_options(), "--drive", str(drive), "--", "sh", "-c",
                          "cat /sys/block/vdb/ro"), 0, b"1\n")


@boot(when=lambda c: once(c) and not c.kernel)
def initramfs_as_the_image(lab):
    archive = lab.initramfs("#!/bin/sh\nexit 1\n")
    check(lab.concord("run", *lab.run_options(), "--image", str(archive), "--", "/bin/echo", "hi"), 0, b"hi\n")


@boot(when=once)
def interrupt_ends_it(lab):
    child = subprocess.Popen([str(places.ROOT / "concord"), "run", *lab.run_options(), "--",
                              "sh", "-c", "echo ready; sleep 100"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, start_new_session=True)
    child.stdout.readline()
    os.killpg(child.pid, signal.SIGINT)
    try:
        status = child.wait(15)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        raise Failed("still running after an interrupt") from None
    finally:
        child.stdout.close()
        child.stderr.close()
    if status != 130:
        raise Failed(f"status {status}, not 130")


@boot()
def terminal_is_a_terminal(lab):
    """Line editing, size, Ctrl-C, Ctrl-Z, job control, full-screen programs, leaving."""
    with lab.terminal("run", *lab.run_options(), rows=33, columns=101) as t:
        t.expect("to leave:")
        t.expect("Changes to files last until power-off")
        t.expect(r"# $", 60)
        t.type("stty size; tty; echo $TERM\n")
        t.expect(r"33 101\n/dev/ttyS0\nxterm\n")
        t.type("echo onX\b\b\x7f\x1b[D\x05e-two\n")        # Backspace, an arrow, Ctrl-E
        t.expect(r"\n[^\n]*e-two\n")
        t.expect(r"# ")
        t.type("cat\n")
        t.expect(r"cat\n")
        time.sleep(0.5)         # what is typed while readline has the terminal is another matter
        t.type("typed\n")
        t.expect(r"typed\n(\x1b\[\?2004l)?typed\n")
        t.type("\x03")
        t.expect(r"\^C[^#]*# ")
        t.type("sleep 60\n")
        time.sleep(0.5)
        t.type("\x1a")
        t.expect(r"\[1\]\+ +Stopped +sleep 60\n")
        t.type("bg\n")
        t.expect(r"\[1\]\+ sleep 60 &")
        t.type("fg\n")
        time.sleep(0.5)
        t.type("\x03")
        t.expect(r"\^C[^#]*# ")
        t.type("jobs; seq 1000 | less\n")
        t.expect(r"\n:")
        t.type("Gq")
        t.expect(r"# ")
        t.type("vi /tmp/file\n")
        t.expect(r"~")
        t.type("ihello\x1b:wq\n")
        t.expect(r"# ")
        t.type("clear; cat /tmp/file\n")
        t.expect(r"hello\n")
        t.type("top\n")
        t.expect(r"load average")
        t.type("q")
        t.expect(r"# ")
        t.type("reset; echo was-reset\n")
        t.expect(r"was-reset\n", 15)
        t.type("exit\n")
        t.expect_end()


@boot(when=once)
def emulator_ends_by_its_escape(lab):
    with lab.terminal("run", *lab.run_options()) as t:
        t.expect(r"# $", 60)
        t.type("\x01x")
        t.expect_end()


def on_bus(lab, bus, name):
    disk = lab.file("disk", b"the second disk".ljust(1 << 20))
    ended = lab.concord("run", *lab.run_options(), "--disk-bus", bus, "--drive", str(disk), "--", "sh", "-ec",
                        "lsblk -nro NAME,TYPE | sort; blkid -s TYPE; head -c 15 /dev/vda")
    said = f'{name} disk\nvda disk\n/dev/{name}: TYPE="erofs"\nthe second disk'
    check(ended, 0, said.encode())


@boot(when=lambda configuration: configuration.cpus == 2)
def the_image_on_nvme(lab):
    on_bus(lab, "nvme", "nvme0n1")


@boot(when=lambda configuration: configuration.cpus == 2)
def the_image_on_ahci(lab):
    on_bus(lab, "ahci", "sda")
