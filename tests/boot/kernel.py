# SPDX-License-Identifier: MIT
"""What a kernel does from the loader's jump to the first program, and when it cannot get there."""

import io

from concord import cpio, kernels, places, qemu
from concord.scenario import Failed, boot

HELLO = """#!/bin/sh
echo "init runs: $0 $*"
poweroff -f
"""

# What follows the console's prompt would also match in the echo of a command line; this does not.
SAYS = "init runs: /init"


def once(configuration):
    return configuration.cpus == 2


def hello(lab, words=(), init=HELLO, gzip=False, files=(), **changes):
    return lab.machine(words, initrd=lab.initramfs(init, files, gzip), **changes)


def expect_panic(lab, machine, *texts, seconds=60):
    """The kernel says why it cannot go on, and ends the machine instead of hanging."""
    ended = lab.expect_boot(machine, *texts, seconds=seconds)
    if ended.status is None:
        raise Failed(f"it hangs\n{lab.last_words()}")
    if lab.linux:
        if "Kernel panic" not in ended.console:
            raise Failed(f"no panic\n{lab.last_words()}")
    elif ended.status != qemu.PANIC_STATUS:
        raise Failed(f"QEMU ended with {ended.status}, not {qemu.PANIC_STATUS}\n{lab.last_words()}")


@boot()
def initramfs_runs(lab):
    lab.expect_boot(hello(lab), SAYS, status=0)


@boot(when=once)
def compressed_initramfs_runs(lab):
    lab.expect_boot(hello(lab, gzip=True), SAYS, status=0)


@boot(when=once)
def archives_after_one_another_are_one_initramfs(lab):
    first = lab.initramfs("#!/bin/sh\necho the first one\n").read_bytes()
    second = lab.initramfs(HELLO, busybox=False).read_bytes()
    lab.expect_boot(lab.machine(initrd=lab.file("both", first + second)), SAYS, status=0)


@boot()
def microvm_boots(lab):
    lab.expect_boot(hello(lab, machine="microvm"), SAYS, seconds=60)


@boot()
def linux_boot_protocol_works(lab):
    """The 64-bit entry that Firecracker and others use, by a loader of ours."""
    stream = io.BytesIO()
    archive = cpio.Archive(stream)
    archive.file("kernel", lab.elf())
    archive.file("initrd", lab.initramfs(HELLO, gzip=True).read_bytes())
    archive.close()
    loader = kernels.Kernel(places.BUILD / "tests/boot/loader/linux-loader", False)
    machine = lab.machine(["--", "by", "loader"], kernel=loader,
                          initrd=lab.file("module", stream.getvalue()))
    lab.expect_boot(machine, SAYS + " by loader", status=0)


@boot(when=lambda c: once(c) and not c.kernel)
def microvm_without_acpi_boots(lab):
    lab.expect_boot(hello(lab, machine="microvm,acpi=off"), SAYS, seconds=60)


@boot(when=once)
def words_reach_init(lab):
    """Unknown words become its environment, those after -- its arguments."""
    init = '#!/bin/sh\necho "args: $*; color $color; number $number"\npoweroff -f\n'
    lab.expect_boot(hello(lab, ["color=blue", "number=7", "--", "one", "two"], init),
                    "args: one two; color blue; number 7", status=0)


@boot(when=once)
def rdinit_names_another_program(lab):
    # Not executable: it must be refused, and there is nothing else.
    expect_panic(lab, lab.machine(["rdinit=/other"], initrd=lab.initramfs(
        None, {"other": b"#!/other\n"}, busybox=False)))
    machine = lab.machine(["rdinit=/bin/echo", "--", "init runs: echo"],
                          initrd=lab.initramfs(None))
    expect_panic(lab, machine, "init runs: echo")


@boot(when=once)
def init_that_ends_is_a_panic(lab):
    expect_panic(lab, hello(lab, init="#!/bin/sh\nexit 3\n"))
    expect_panic(lab, hello(lab, init="#!/bin/sh\nkill -KILL $$; kill -SEGV $$; exit 4\n"))


@boot(when=once)
def init_that_faults_is_a_panic(lab):
    expect_panic(lab, hello(lab, init="#!/bin/sh\nf() { f; }\nf\n"))


@boot(when=lambda c: once(c) and not c.kernel)
def panic_can_reboot_instead(lab):
    lab.expect_boot(hello(lab, ["panic=-1"], init="#!/bin/sh\nexit 3\n"), "Kernel panic", status=None)
    ended = lab.boot(hello(lab, ["panic=2"], init="#!/bin/sh\nexit 3\n"))
    if ended.status != 0:
        raise Failed(f"QEMU's status is {ended.status}\n{lab.last_words()}")


@boot(when=once)
def no_program_to_start_is_a_panic(lab):
    expect_panic(lab, lab.machine(initrd=lab.initramfs(None, busybox=False)))
    expect_panic(lab, lab.machine())
    expect_panic(lab, lab.machine(["root=/dev/nonexistent", "rootfstype=erofs"]))


@boot(when=once)
def broken_programs_are_refused(lab):
    """/init with the right magic and nothing right behind it."""
    for init in (b"\x7fELF", b"\x7fELF\x02\x01\x01" + b"\xff" * 200, b"", b"#!", b"#!/nonexistent\n",
                 b"MZ" + b"\0" * 100):
        expect_panic(lab, lab.machine(initrd=lab.initramfs(init, busybox=False)))


@boot(when=once, seconds=240)
def broken_archives_do_no_harm(lab):
    whole = lab.initramfs(HELLO).read_bytes()
    packed = lab.initramfs(HELLO, gzip=True).read_bytes()
    broken = {
        "cut": whole[:len(whole) // 2],
        "cut-gzip": packed[:len(packed) // 2],
        "text": b"this is no archive\n" * 100,
        "huge-name": b"070701" + b"FFFFFFFF" * 13,
        "huge-file": whole.replace(b"070701", b"070701", 1)[:54] + b"FFFFFFFF" + whole[62:],
        "empty-gzip": b"\x1f\x8b\x08\x00" + bytes(6),
        "zeros": bytes(4096),
    }
    for name, data in broken.items():
        expect_panic(lab, lab.machine(initrd=lab.file(name, data)))


@boot(when=once)
def strange_command_lines_do_no_harm(lab):
    for words in (["x" * 1500], ["=" * 500], ['"', "'", '"a b', "\\"], ["console="], ["console=nothing0"],
                  ["loglevel=99999999999", "panic=abc", "quiet", "quiet=quiet"], ["--"],
                  [f"a{i}=b" for i in range(200)]):
        # Linux refuses more words for init than it has room for, which is right as well.
        ended = lab.boot(hello(lab, ["console=ttyS0", *words]), seconds=60)
        if ended.status is None or (SAYS not in ended.console and "console=" not in words[0]
                                    and "panic" not in ended.console.lower()):
            raise Failed(f"with {words[0][:40]!r}\n{lab.last_words()}")


@boot(when=once)
def little_memory_is_said(lab):
    """Either it boots, or it says that the memory does not do; it never hangs."""
    for memory in (4, 5, 8, 12, 16):
        ended = lab.boot(hello(lab, memory=memory), seconds=30)
        if ended.status is None and not lab.linux:
            raise Failed(f"with {memory} MiB it hangs\n{lab.last_words()}")
        if not lab.linux and SAYS not in ended.console and "memory" not in ended.console:
            raise Failed(f"with {memory} MiB it does not say why\n{lab.last_words()}")


@boot(when=lambda c: once(c) and not c.kernel)
def image_that_is_not_whole_is_said(lab):
    """Less memory than the image, and an initrd that QEMU can only put on top of it."""
    expect_panic(lab, lab.machine(memory=2), "not enough memory for the kernel image")
    expect_panic(lab, lab.machine(memory=6, initrd=lab.file("initrd", bytes(4 << 20))),
                 "the loader put the initrd over the kernel image")


@boot(when=lambda c: not c.kernel and c.cpus == 2)
def busybox_shell_in_24_mib(lab):
    lab.expect_boot(hello(lab, memory=24), SAYS, status=0)


@boot(when=once)
def much_memory_boots(lab):
    init = HELLO.replace("poweroff", "mount -t proc p /proc; cat /proc/meminfo\npoweroff")
    ended = lab.expect_boot(hello(lab, init=init, memory=65536, reserve=False), "MemTotal:", status=0)
    total = int(ended.console.split("MemTotal:")[1].split()[0])
    if not 60 << 20 < total < 65 << 20:
        raise Failed(f"MemTotal is {total} kB")


@boot(when=once)
def reboot_and_poweroff_end_the_machine(lab):
    lab.expect_boot(hello(lab, init="#!/bin/sh\nreboot -f\n"), status=0)
    lab.expect_boot(hello(lab, init="#!/bin/sh\npoweroff -f\n"), status=0)


@boot()
def all_processors_work(lab):
    cpus = lab.configuration.cpus
    init = ("#!/bin/sh\nmount -t proc p /proc; mount -t sysfs s /sys\n"
            "busybox grep -c ^processor /proc/cpuinfo; busybox nproc; echo end\npoweroff -f\n")
    lab.expect_boot(hello(lab, init=init.replace("busybox", "/bin/busybox")), f"{cpus}\n{cpus}\nend", status=0)


@boot(when=once)
def default_image_boots_on_microvm(lab):
    done = lab.concord("run", *lab.run_options(), "--machine", "microvm", "--", "cat", "/etc/debian_version")
    if done.returncode != 0 or not done.stdout.startswith(b"12"):
        raise Failed(f"status {done.returncode}, {done.stdout}\n{done.stderr.decode(errors='replace')}")

