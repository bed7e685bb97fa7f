# SPDX-License-Identifier: MIT
"""A virtual machine: from the options of `run` to a QEMU process.

The machine is the same whatever kernel boots in it: a serial port for the
console, disks (virtio's unless told otherwise), an entropy source, a shared directory if there is one, and one
virtio-serial port for the runner when a command is to be run.  Devices sit on PCI (q35) or on virtio-mmio
windows (microvm)."""

import contextlib
import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import say

EMULATOR = "qemu-system-x86_64"
PANIC_STATUS = 99       # what QEMU exits with when the kernel writes 0x31 to isa-debug-exit
MACHINES = ("q35", "microvm")
MICROVM_OPTIONS = ("acpi", "pit", "pic", "rtc")
DISK_BUSES = ("virtio", "nvme", "ahci")
NET_DEVICES = ("virtio", "e1000")


@dataclass
class Drive:
    path: Path
    read_only: bool = False
    bus: str = "virtio"                     # one of DISK_BUSES; the others need q35
    options: str = ""                       # more properties of the device, "a=1,b=2"
    log: Path | None = None                 # an empty file: every write goes there too (writelog.py)
    faults: str = ""                        # properties of a blkdebug: what goes wrong at the disk
    unmaps: bool = False                    # what the guest discards leaves the file
    is_fleeting: bool = False               # nobody wants it when this machine crashes: flushes cost nothing
    is_served: bool = False                 # the path is a socket: an NBD server has the disk (nbd.py)
    slot: bool = False                      # behind a port of its own, to be unplugged as disk<n> (not of ahci; needs q35)


def root_device(bus):
    """What the first disk on a bus is called in the guest."""
    return {"virtio": "/dev/vda", "nvme": "/dev/nvme0n1", "ahci": "/dev/sda"}[bus]


SHARE_TAG = "share"     # what a guest mounts


@dataclass
class Share:
    """A directory of this machine that the guest sees, by 9P."""
    path: Path
    read_only: bool = False


@dataclass
class Net:
    """A network card, and what it is plugged into."""
    kind: str                               # user, tap, or stream (for tests)
    forwards: list = field(default_factory=list)    # user: (port of this machine's loopback, port of the guest)
    name: str = ""                          # tap: the interface
    path: Path | None = None                # stream: a socket to listen at, for frames with their lengths
    options: str = ""                       # more properties of the device, "a=1,b=2"
    device: str = "virtio"                  # one of NET_DEVICES; the others need q35


@dataclass
class Machine:
    """What `run`, `test` and `bench` ask for."""
    kernel: object                          # kernels.Kernel
    machine: str = "q35"                    # or microvm, possibly with ",acpi=off" and the like
    initrd: Path | None = None
    drives: list = field(default_factory=list)
    share: Share | None = None
    nets: list = field(default_factory=list)    # network cards
    ports: list = field(default_factory=list)   # sockets to listen at: virtio-serial ports, port0...
    serials: list = field(default_factory=list) # the same: serial ports, from the second one on
    monitor: Path | None = None                 # a socket to listen at: QEMU's monitor (class Monitor)
    words: list = field(default_factory=list)   # of the kernel's command line
    memory: int = 1024
    cpus: int = 1
    accel: str = "tcg"
    icount: bool = False
    iommu: bool = False                     # on q35: devices reach memory through VT-d
    devices: list = field(default_factory=list) # values of more -device options
    reserve: bool = True                    # False: more memory than this machine has
    gdb: bool = False

    def with_(self, **changes):
        return dataclasses.replace(self, **changes)


def check_machine(text):
    """Complain about a --machine that is not q35, or microvm with on/off options."""
    name, *options = text.split(",")
    if name not in MACHINES:
        raise say.Failure(f"--machine {text}: expected q35 or microvm", 2)
    for option in options:
        if name != "microvm" or not re.fullmatch(f"({'|'.join(MICROVM_OPTIONS)})=(on|off)", option):
            raise say.Failure(f"--machine {text}: after microvm, {', '.join(MICROVM_OPTIONS)} "
                              "can be =on or =off", 2)


def choose_accel(wanted):
    """KVM only where the processor has it: the device file alone proves nothing."""
    if wanted == "tcg":
        return "tcg"
    with open("/proc/cpuinfo") as file:
        flags = set(re.findall(r"\b(vmx|svm)\b", file.read()))
    reason = None if flags else "the processor shows neither vmx nor svm"
    if not reason:
        try:
            os.close(os.open("/dev/kvm", os.O_RDWR))
        except OSError as error:
            reason = f"/dev/kvm: {error.strerror}"
    if not reason:
        return "kvm"
    if wanted == "kvm":
        raise say.Failure(f"--accel kvm: {reason}", 2)
    return "tcg"


def check_disk_bus(bus, machine):
    """Complain about a machine that has no such bus."""
    if bus != "virtio" and not machine.startswith("q35"):
        raise say.Failure(f"--disk-bus {bus}: --machine {machine} has no PCI", 2)


def check_net_device(device, machine):
    """Complain about a machine that has no such network card."""
    if device != "virtio" and not machine.startswith("q35"):
        raise say.Failure(f"--net-device {device}: --machine {machine} has no PCI", 2)


def check_share():
    """Complain if this QEMU cannot share directories."""
    argv = [EMULATOR, "-M", "none", "-device", "help"]
    devices = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    if '"virtio-9p-pci"' not in devices:
        raise say.Failure(f"--share: this {EMULATOR} was built without virtio-9p", 2)


# What `run` has unless it is told otherwise, if this QEMU can.
DEFAULT_NET = Net("user")


def has_net(kind):
    """Whether this QEMU was built with that kind of network."""
    argv = [EMULATOR, "-M", "none", "-netdev", "help"]
    kinds = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    return kind in kinds.split()


def check_net(net):
    """Complain if what a network card is to be plugged into is not there."""
    if not has_net(net.kind):
        raise say.Failure(f"--net {net.kind}: this {EMULATOR} was built without it", 2)
    if net.kind == "tap":
        try:
            socket.if_nametoindex(net.name)
            os.close(os.open("/dev/net/tun", os.O_RDWR))
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise say.Failure(f"--net tap:{net.name}: {where}{error.strerror or error}", 2) from None
    for port, _ in net.forwards:
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", port))
            except OSError as error:
                raise say.Failure(f"--forward: port {port} of 127.0.0.1: {error.strerror}", 2) from None


# What QEMU's user network has: the same in each, so that nobody needs to ask for it.
USER_NET = "ip=10.0.2.15::10.0.2.2:255.255.255.0:::off:10.0.2.3"


def net_word(net):
    """What the kernel's command line tells the guest of its network; "" for nothing."""
    return {"user": USER_NET, "tap": "ip=dhcp"}.get(net.kind, "")


def user_net(guest_ports):
    """A user network with free ports of this machine's loopback for the guest's ports."""
    with contextlib.ExitStack() as stack:
        # all are held until each has its own
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in guest_ports]
        ports = [one.getsockname()[1] for one in sockets]
    return Net("user", forwards=list(zip(ports, guest_ports)))


def _netdev(number, net):
    """The value of -netdev."""
    words = [net.kind, f"id=net{number}"]
    # the loopback's ports only: what the guest serves is not this machine's to offer to others
    words += [f"hostfwd=tcp:127.0.0.1:{here}-:{there}" for here, there in net.forwards]
    if net.kind == "tap":
        words += [f"ifname={net.name}", "script=no", "downscript=no"]
    if net.kind == "stream":
        path = str(net.path).replace(",", ",,")
        words += ["server=on", "addr.type=unix", f"addr.path={path}"]
    return ",".join(words)


def _machine_option(machine):
    name, *options = machine.machine.split(",")
    properties = {}
    if name == "microvm":
        # Linux needs ACPI to find the devices and the PIT to calibrate its clock.
        properties = {"acpi": "on"}
        if machine.kernel.linux:
            properties["pit"] = "on"
        properties.update(option.split("=") for option in options)
    return ",".join([name, *(f"{key}={value}" for key, value in properties.items())])


def _words(machine):
    """The kernel's command line, with what only this emulator is the reason for."""
    if not machine.kernel.linux:
        # Concord writes to the isa-debug-exit device only when it is told that there is one.
        return ["concord.debugexit", *machine.words]
    if machine.machine.startswith("q35"):
        return machine.words
    # microvm has nothing but the PIT to measure the time stamp counter by, and on a busy host
    # that fails, which Linux does not survive.  An emulated counter is the host's, or counts
    # instructions.
    with open("/proc/cpuinfo") as file:
        mhz = re.search(r"^cpu MHz\s*: ([0-9.]+)", file.read(), re.MULTILINE)
    khz = 1000000 if machine.icount else int(float(mhz.group(1)) * 1000) if mhz else None
    return [f"tsc_early_khz={khz}", *machine.words] if khz else machine.words


def _drive(number, drive):
    """The value of -drive."""
    # A comma in a file name is doubled for QEMU.
    words = [f"if=none,id=drive{number}"]
    if drive.read_only:
        # an IDE disk cannot be: what is written to it is lost
        words += ["snapshot=on" if drive.bus == "ahci" else "read-only=on"]
    if drive.unmaps:
        words += ["discard=unmap"]
    if drive.is_fleeting:
        words += ["cache=unsafe"]
    prefix = ""
    if drive.log:
        log = str(drive.log).replace(",", ",,")
        # the log's super block tells of every entry at once: whoever reads it misses none
        words += ["driver=blklogwrites", "log.driver=file", f"log.filename={log}", "log.cache.no-flush=on",
                  "log-sector-size=512", "log-super-update-interval=1"]
        prefix = "file."
    if drive.faults:
        words += [f"{prefix}driver=blkdebug", *(f"{prefix}{word}" for word in drive.faults.split(","))]
        prefix += "image."
    path = str(drive.path).replace(",", ",,")
    if drive.is_served:
        return ",".join([*words, f"{prefix}driver=raw", f"{prefix}file.driver=nbd",
                         f"{prefix}file.server.type=unix", f"{prefix}file.server.path={path}"])
    words += [f"{prefix}driver=raw" if prefix else "format=raw"]
    return ",".join([*words, f"{prefix}file.filename={path}" if prefix else f"file={path}"])


def arguments(machine, serial, runner_fd=None):
    """QEMU's command line.  `serial` is the value of -serial."""
    pci = machine.machine.startswith("q35")
    iommu = machine.iommu and pci

    def virtio(device, *options):
        behind = ["iommu_platform=on", "disable-legacy=on"] if iommu else []
        return ["-device", ",".join([f"virtio-{device}-{'pci' if pci else 'device'}", *options, *behind])]

    argv = [EMULATOR, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-M", _machine_option(machine), "-cpu", "max" if machine.accel == "tcg" else "host",
            "-m", str(machine.memory), "-smp", str(machine.cpus)]
    if not machine.reserve:
        argv += ["-object", f"memory-backend-ram,id=ram,size={machine.memory}M,reserve=off",
                 "-machine", "memory-backend=ram"]
    if machine.icount:
        argv += ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"]
    else:
        argv += ["-accel", machine.accel]
    argv += ["-kernel", str(machine.kernel.path)]
    if machine.initrd:
        argv += ["-initrd", str(machine.initrd)]
    argv += ["-append", " ".join(_words(machine)), "-serial", serial]
    if iommu:
        argv += ["-device", "intel-iommu,intremap=on"]      # before the devices behind it
        if machine.accel == "kvm":
            argv += ["-machine", "kernel-irqchip=split"]    # interrupts are remapped by QEMU
    if not pci:
        argv += ["-global", "virtio-mmio.force-legacy=false"]
    if any(drive.slot for drive in machine.drives):
        # q35 leaves hot plug to ACPI unless it is told not to
        argv += ["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"]
    for number, drive in enumerate(machine.drives):
        argv += ["-drive", _drive(number, drive)]
        options = [f"drive=drive{number}", *([drive.options] if drive.options else [])]
        if drive.slot:
            argv += ["-device", f"pcie-root-port,id=slot{number},chassis={number + 1}"]
            options += [f"bus=slot{number}", f"id=disk{number}"]
        if drive.bus == "nvme":
            argv += ["-device", ",".join(["nvme", f"serial=concord{number}", *options])]
        elif drive.bus == "ahci":
            # an adapter of its own: Concord drives one disk of each
            argv += ["-device", f"ich9-ahci,id=ahci{number}",
                     "-device", ",".join(["ide-hd", f"bus=ahci{number}.0", f"serial=concord{number}", *options])]
        else:
            argv += virtio("blk", *options)
    if machine.share:
        # Files that the guest makes belong to whoever runs it, whatever it says of owners.
        path = str(machine.share.path).replace(",", ",,")
        read_only = ",readonly=on" if machine.share.read_only else ""
        argv += ["-fsdev", f"local,id=share,path={path},security_model=none,multidevs=remap{read_only}"]
        argv += virtio("9p", "fsdev=share", f"mount_tag={SHARE_TAG}")
    for number, net in enumerate(machine.nets):
        argv += ["-netdev", _netdev(number, net)]
        options = [f"netdev=net{number}", f"id=card{number}", *([net.options] if net.options else [])]
        options += ["romfile="] if pci else []      # nobody boots from it
        argv += virtio("net", *options) if net.device == "virtio" else ["-device", ",".join([net.device, *options])]
    argv += virtio("rng")
    if runner_fd is not None:
        argv += ["-chardev", f"socket,id=runner,fd={runner_fd}"]
        argv += virtio("serial")
        argv += ["-device", "virtserialport,chardev=runner,name=concord.runner"]
    if machine.ports and runner_fd is None:
        argv += virtio("serial")
    for number, path in enumerate(machine.ports):
        argv += ["-chardev", f"socket,id=port{number},path={path},server=on,wait=off",
                 "-device", f"virtserialport,chardev=port{number},name=port{number}"]
    for number, path in enumerate(machine.serials):
        argv += ["-chardev", f"socket,id=line{number},path={path},server=on,wait=off",
                 "-serial", f"chardev:line{number}"]
    if machine.monitor:
        argv += ["-qmp", f"unix:{machine.monitor},server=on,wait=off"]
    for device in machine.devices:
        argv += ["-device", device]
    argv += ["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]
    if machine.gdb:
        argv += ["-s", "-S"]
    return argv


def spawn(argv, **options):
    """Start QEMU, apart from the terminal's signals, and ending when we do, however we end."""
    say.command(argv)
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *argv], stdin=subprocess.DEVNULL,
                            start_new_session=True, **options)


class Process:
    """A QEMU that runs without a terminal; its console goes to a file."""

    def __init__(self, machine, console, runner=None):
        """`runner` is our QEMU-side end of a socket pair; it is closed here afterwards."""
        fds = (runner.fileno(),) if runner else ()
        argv = arguments(machine, f"file:{console}", runner.fileno() if runner else None)
        self.child = spawn(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, pass_fds=fds)
        if runner:
            runner.close()

    def wait(self, timeout=None):
        """The exit status, or None when it is still running after `timeout` seconds."""
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def stop(self):
        """End it now: what the guest has not written to its disks is lost."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGKILL)
        self.child.wait()
        self.child.stderr.close()

    def complaint(self):
        """What QEMU itself said, once it has ended."""
        return self.child.stderr.read().decode(errors="replace").strip()


class Monitor:
    """The other end of Machine.monitor: what an operator can do to a machine that runs."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.stream = self.socket.makefile("rw")
        self.events = []
        self.stream.readline()                  # the greeting
        self._ask("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()

    def _ask(self, name, **arguments):
        self.stream.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.stream.flush()
        while True:
            answer = json.loads(self.stream.readline())
            if "return" in answer or "error" in answer:
                return answer
            self.events.append(answer)

    def wait_for(self, name, timeout):
        """Whether there is an event of that name, once, within as many seconds."""
        deadline = time.monotonic() + timeout
        while not (found := next((e for e in self.events if e.get("event") == name), None)):
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                self.events.append(json.loads(self.stream.readline()))
            except TimeoutError:
                return False        # and it hears nothing any more
        self.socket.settimeout(None)
        self.events.remove(found)
        return True

    def command(self, line):
        """A line for the human monitor; what it says, which is nothing when all is well."""
        answer = self._ask("human-monitor-command", **{"command-line": line})
        return answer["return"].strip() if "return" in answer else str(answer["error"])
