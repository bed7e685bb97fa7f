# SPDX-License-Identifier: MIT
"""`./concord run`: a shell, or one command, in a virtual machine."""

import dataclasses
import os
import sys
import threading
import time
from pathlib import Path

from . import build, cpio, image, initrd, kernels, places, qemu, runner, say

TIMED_OUT, NOT_RUN = 124, 125
INIT = "/sbin/concord-init"
SHARE = "/mnt/share"
BOOT_SECONDS = 180          # a guest that does not serve us by then has hung


def machine_of(options, command):
    """The Machine that the command line describes; makes whatever is missing."""
    kernel = kernels.find(options.kernel)
    machine = qemu.Machine(kernel, machine=options.machine, memory=options.memory,
                           cpus=options.cpus, accel=qemu.choose_accel(options.accel),
                           gdb=options.gdb, initrd=options.initrd, iommu=options.iommu)
    if options.placement != "kernel" and kernel.linux:
        raise say.Failure("--placement process is for Concord's kernel, not Linux", 2)
    qemu.check_disk_bus(options.disk_bus, options.machine)
    _plug_in(machine, options)
    if options.image:
        image.kind(options.image)
    if options.share:
        qemu.check_share()
        kernels.check_share(kernel)
    # From here on the command line is right, and things may take time.
    if options.kernel is None:
        build.build(places.KERNEL)
    words = ["console=ttyS0"]
    if options.placement != "kernel":
        words.append(f"concord.placement={options.placement}")
    if kernel.linux:
        # Concord's panic ends QEMU with a status of its own; Linux's would hang until the timeout.
        words += ["panic=-1"] if command else ["quiet"]
    words += _root(machine, options, command)
    words += [word for net in machine.nets[:1] if (word := qemu.net_word(net))]
    if command:
        words.append("concord.runner")
    machine.drives += [qemu.Drive(Path(path), not os.access(path, os.W_OK)) for path in options.drive]
    if options.share:
        machine.share = qemu.Share(Path(options.share).resolve(), not os.access(options.share, os.W_OK))
        words.append(f"concord.share={qemu.SHARE_TAG}:{'ro' if machine.share.read_only else 'rw'}:{SHARE}")
    if options.append:
        words.append(options.append)
    machine.words = words
    return machine


def _plug_in(machine, options):
    """The network card."""
    unasked = options.net is qemu.DEFAULT_NET and not options.forward and not options.net_device
    if unasked and not qemu.has_net(options.net.kind):
        return
    ports = [here for here, _ in options.forward]
    twice = next((port for port in ports if ports.count(port) > 1), None)
    if ports and (not options.net or options.net.kind != "user"):
        raise say.Failure("--forward is for --net user", 2)
    if twice:
        raise say.Failure(f"--forward: port {twice} is given twice", 2)
    device = options.net_device or "virtio"
    if options.net_device and not options.net:
        raise say.Failure(f"--net-device {device}: there is no card without --net", 2)
    qemu.check_net_device(device, options.machine)
    kernels.check_net_device(machine.kernel, device)
    if options.net:
        machine.nets.append(dataclasses.replace(options.net, forwards=options.forward, device=device))
        qemu.check_net(machine.nets[0])


def _root(machine, options, command):
    """Set the root file system up; the words of the command line that tell the kernel."""
    path = Path(options.image) if options.image else None
    kind = image.kind(path) if path else "erofs"
    if kind == "cpio":
        if machine.initrd:
            raise say.Failure("--initrd and a cpio --image exclude each other", 2)
        machine.initrd = path
        if not command:
            return []
        machine.initrd = _with_init(path)
        return [f"rdinit={INIT}"]
    if machine.kernel.linux and not machine.initrd:
        machine.initrd = initrd.make(machine.kernel, options.disk_bus, machine.nets[0].device if machine.nets else None)
    words = [f"root={qemu.root_device(options.disk_bus)}"]
    if kind == "ext4":
        machine.drives.insert(0, qemu.Drive(path, bus=options.disk_bus))
        words += ["rootfstype=ext4", "rw"]
    else:
        machine.drives.insert(0, qemu.Drive(path or image.make(), True, options.disk_bus))
        words += ["rootfstype=erofs", "ro", "concord.overlay=tmpfs"]
    if command or not path:
        words.append(f"init={INIT}")
    return words


def _with_init(path):
    """A cpio image with concord-init added, as a second archive after the first."""
    build.build(places.INIT)
    home = places.CACHE / "initrd"
    home.mkdir(parents=True, exist_ok=True)
    made = home / f"with-init-{os.getpid()}.cpio"
    with open(made, "wb") as stream:
        data = path.read_bytes()
        stream.write(data + bytes(-len(data) % 512))
        archive = cpio.Archive(stream)
        archive.file(INIT, places.INIT.read_bytes(), 0o755)
        archive.close()
    return made


def _interactive(machine):
    """Become QEMU, with the guest's console on this terminal."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        size = os.get_terminal_size()
        machine.words.append(f"concord.tty={size.lines}x{size.columns}")
        machine.words.append(f"concord.term={os.environ.get('TERM') or 'vt100'}")
    say.note("to leave: `exit` in the shell powers off; Ctrl-A x ends the emulator at once "
             "(Ctrl-A twice types one Ctrl-A)")
    if machine.gdb:
        say.note("waiting for a debugger: target remote :1234")
    argv = qemu.arguments(machine, "mon:stdio")
    say.command(argv)
    sys.stdout.flush()
    os.execvp(argv[0], argv)


def _command(machine, argv, timeout):
    """Run one command; the exit status for the user."""
    def deadline_of(seconds):
        return None if seconds is None else time.monotonic() + seconds

    deadline = deadline_of(timeout)
    persistent = any(not drive.read_only for drive in machine.drives)
    with runner.Guest(machine) as guest:
        if say.verbose:
            threading.Thread(target=_follow, args=(guest.console,), daemon=True).start()
        try:
            try:
                guest.boot(deadline or (None if machine.gdb else deadline_of(BOOT_SECONDS)))
            except runner.GuestTimeout:
                if timeout is None:
                    raise runner.GuestDied(f"the guest did not boot in {BOOT_SECONDS} s") from None
                raise
            result = guest.command(argv, 0,
                                   lambda data: runner.write_all(1, data),
                                   lambda data: runner.write_all(2, data), deadline)
        except runner.GuestTimeout:
            say.note(f"timeout after {timeout:g} s")
            _show_console(guest)
            return TIMED_OUT
        except runner.GuestDied as death:
            if death.orderly and guest.started:
                return 0            # the command was to power off, or did so
            say.note(str(death))
            _show_console(guest)
            return NOT_RUN
        if persistent and not guest.power_off(30):
            say.note("the guest did not power off; its disks may not be up to date")
    return result.status


def _follow(path):
    """With -v: copy the guest's console to standard error as it grows."""
    with open(path, "rb") as file:
        while True:
            data = file.read().replace(b"\r", b"")
            if data:
                runner.write_all(2, data)
            else:
                time.sleep(0.05)


def _show_console(guest):
    if say.verbose:
        return              # it has been seen
    lines = guest.console_text().splitlines()
    kept = lines[-40:]
    print("---- the guest's console" + (", its last lines" if len(kept) < len(lines) else ""),
          *kept, "----", sep="\n", file=sys.stderr)


def run(options, command, drives=()):
    """`drives` follow the image's disk, before those of the options."""
    machine = machine_of(options, command)
    machine.drives[1:1] = drives
    if not command:
        _interactive(machine)
    try:
        return _command(machine, command, options.timeout)
    except BrokenPipeError:
        return 128 + 13             # whoever read our output has stopped
    finally:
        if machine.initrd and machine.initrd.name.startswith("with-init-"):
            machine.initrd.unlink(missing_ok=True)
