# SPDX-License-Identifier: MIT
"""Components hold what the description gives them, and a bad one hurts only its client.

The systems test-links and test-faulty (system/) run a client without Linux in it; it says on the
log what came of using its links."""

import re

from concord import places, qemu
from concord.scenario import Failed, isolation

MEMORY = 64


def once(configuration):
    return configuration.cpus == 2 and configuration.placement == "kernel" and not configuration.kernel


def any_cpus(configuration):
    return configuration.placement == "kernel" and not configuration.kernel


def client(lab, system, *words, **changes):
    changes = {"memory": MEMORY, **changes}
    return lab.machine([f"concord.system={system}", "loglevel=6", *words], **changes)


# -- drivers that misbehave ---------------------------------------------------------------------

GOOD = "client: faulty.0: read 0: 16 bytes a5a5a5a5"
FAILED = "client: faulty.0: read -4118: 0 bytes"       # K_ERR_IO
LATE = "client: faulty.0: read -4106: 0 bytes"         # K_ERR_TIMED_OUT


def faulty(lab, mode, *texts, good):
    machine = client(lab, "test-faulty", f"faulty.mode={mode}")
    ended = lab.expect_boot(machine, *texts, "client: done", status=0)
    if ended.console.count(GOOD) != good:
        raise Failed(f"{ended.console.count(GOOD)} good answers, not {good}\n{lab.last_words()}")


@isolation(when=once)
def a_good_driver_answers(lab):
    faulty(lab, "good", good=3)


@isolation(when=any_cpus)
def a_driver_that_faults_gives_its_client_an_error(lab):
    faulty(lab, "fault", FAILED, "faulty.0 died: exception 14", "rsp", "called from", good=1)


@isolation(when=once)
def data_does_not_run(lab):
    faulty(lab, "jump", FAILED, "faulty.0 died: exception 14", good=1)


@isolation(when=once)
def kernel_memory_is_out_of_reach(lab):
    faulty(lab, "kernel", FAILED, "faulty.0 died: exception 14", good=1)


@isolation(when=any_cpus)
def a_driver_that_ends_gives_its_client_an_error(lab):
    faulty(lab, "exit", FAILED, "faulty.0 ended, status 3", good=1)


@isolation(when=once)
def answers_that_nobody_asked_for_are_an_error(lab):
    faulty(lab, "used", FAILED, "the driver broke the protocol", good=1)
    faulty(lab, "id", FAILED, "the driver broke the protocol", good=1)


@isolation(when=once)
def a_claimed_length_is_cut_to_the_buffer(lab):
    faulty(lab, "length", good=3)


@isolation(when=any_cpus)
def noise_in_shared_memory_is_an_error(lab):
    faulty(lab, "scribble", FAILED, "broke the protocol", good=1)


@isolation(when=once)
def a_silent_driver_runs_into_the_clients_deadline(lab):
    faulty(lab, "silent", LATE, good=1)


@isolation(when=once)
def a_driver_reaches_nothing_that_it_was_not_given(lab):
    faulty(lab, "reach", "faulty: all was denied", good=3)


@isolation(when=once)
def a_driver_keeps_to_its_registers(lab):
    """On microvm, eight devices share a page; the neighbour is a disk that goes on working."""
    disk = lab.file("disk", bytes([0x11, 0x22, 0x33, 0x44]) + bytes((1 << 20) - 4))
    for kind in ("microvm", "microvm,acpi=off"):
        machine = client(lab, "test-nosy", "client.seconds=30", machine=kind, drives=[qemu.Drive(disk, False)])
        lab.expect_boot(machine, "nosy.0: all was denied", "client: virtio-blk.0: read 0: 11 22 33 44",
                        "client: nosy.0: read 0: 16 bytes", "client: done", status=0)


@isolation(when=lambda c: c.placement == "kernel" and not c.kernel and c.cpus != 1)
def a_device_reaches_only_its_drivers_memory(lab):
    """The driver of a DMA engine has it reach beyond; the disk's driver, and all else, goes on."""
    disk = lab.file("disk", bytes([0x11, 0x22, 0x33, 0x44]) + bytes((1 << 20) - 4))
    machine = client(lab, "test-greedy", "client.seconds=30", iommu=True, devices=["edu,dma_mask=0xffffffff"],
                     drives=[qemu.Drive(disk, False)])
    lab.expect_boot(machine, "iommu: DMA of drivers is confined by VT-d, and their interrupts are",
                    "iommu: greedy.0 (", "reading memory at 0x8000 was stopped", "greedy.0: nothing was reached",
                    "client: virtio-blk.0: read 0: 11 22 33 44",
                    "client: virtio-blk.0: write and read back 0: 5a",
                    "client: greedy.0: read 0: 16 bytes", "client: done", status=0)


# -- drivers that do not --------------------------------------------------------------------------

def use_links(lab, machine):
    disk = lab.file("disk", bytes([0x11, 0x22, 0x33, 0x44]) + bytes((1 << 20) - 4))
    machine = client(lab, "test-links", machine=machine, drives=[qemu.Drive(disk, False)])
    lab.expect_boot(machine,
                    "client: virtio-blk.0: 2048 sectors of 512",
                    "client: virtio-blk.0: read 0: 11 22 33 44",
                    "client: virtio-blk.0: write and read back 0: 5a",
                    "client: virtio-blk.0: beyond the end -4115",
                    "client: virtio-rng.0: read 0: 16 bytes",
                    "client: hello on this port",
                    "client: done", status=0)
    if disk.read_bytes()[4096:8192] != b"\x5a" * 4096:
        raise Failed("what was written is not on the disk")


@isolation(when=any_cpus)
def drivers_work_on_q35(lab):
    use_links(lab, "q35")


@isolation(when=any_cpus)
def drivers_work_on_microvm(lab):
    use_links(lab, "microvm")


@isolation(when=once)
def drivers_work_on_microvm_without_acpi(lab):
    use_links(lab, "microvm,acpi=off")


# -- handles and the description ---------------------------------------------------------------------

# Every handle may be duplicated and passed on within what it is.
ANY = {"duplicate", "transfer"}


def blocks(text):
    """A system description as a list of (kind, name, {key: [values]}); a second reader of it."""
    found = []
    for line in text.splitlines():
        words = line.partition("#")[0].split(None, 1)
        if not words or words[0] == "}":
            continue
        if words[1].endswith("{"):
            found.append((words[0], words[1][:-1].strip(), {}))
        else:
            found[-1][2].setdefault(words[0], []).extend(
                " ".join(value.split()) for value in words[1].split(","))
    return found


def expected(keys):
    """The handles of one instance, as sorted (type, rights) pairs."""
    needs = {value.split()[0] for value in keys.get("needs", [])}
    handles = [("channel", {"send", "receive"})]
    if "devices" in needs:
        handles.append(("device", {"read"}))
    elif needs & {"mmio", "ports", "irq"}:
        handles.append(("device", {"read", "manage"}))
    if "dma" in needs:
        handles.append(("memory", {"read", "write", "map", "dma"}))
    if "serves" in keys:
        mapped = "data mapped" in keys["serves"]
        data = {"read", "write", "map"} if mapped else {"dma"}
        handles += [("memory", {"read", "write", "map", "dma"}),
                    ("memory", data | {"dma"} if "dma" in needs else data),
                    ("memory", {"read", "write", "map"}),       # its record
                    ("bell", {"signal"}), ("bell", {"signal", "wait"})]
    return sorted((kind, "+".join(sorted(rights))) for kind, rights in handles)


def held(console):
    """The handles on the log, by instance, without what everybody may do with a handle."""
    found = {}
    for name, kind, rights in re.findall(r"handles: (\S+): (\S+) (\S*) object \d+", console):
        rights = set(rights.split("+")) - ANY
        found.setdefault(name, []).append((kind, "+".join(sorted(rights))))
    return {name: sorted(handles) for name, handles in found.items()}


@isolation(when=once)
def live_handles_are_those_of_the_description(lab):
    system = "test-links"
    description = (places.ROOT / "system" / f"{system}.conf").read_text()
    components = {name: keys for kind, name, keys in blocks(description) if kind == "component"}
    disk, second, third = (lab.file(name, bytes(1 << 20)) for name in ("disk", "second", "third"))
    machine = client(lab, system, "concord.dump=handles",
                     drives=[qemu.Drive(disk, True), qemu.Drive(second, bus="nvme"),
                             qemu.Drive(third, bus="ahci")])
    ended = lab.expect_boot(machine, "handles: end", "client: done", status=0)
    live = held(ended.console)
    for name in ("devices.0", "uart.0", "virtio-blk.0", "nvme.0", "ahci.0", "virtio-rng.0"):
        if name not in live:
            raise Failed(f"{name} does not run\n{lab.last_words()}")
    for name, handles in live.items():
        wanted = expected(components[name.rpartition(".")[0]])
        # What a component makes for itself is no authority: timers, a bell that nobody else has.
        handles = [handle for handle in handles if handle[0] != "timer"]
        own = [handle for handle in handles if handle == ("bell", "signal+wait")]
        extra = own[wanted.count(("bell", "signal+wait")):]
        for handle in extra:
            handles.remove(handle)
        if handles != wanted:
            raise Failed(f"{name} holds {handles}, its block gives {wanted}")


# -- with a Linux on top ---------------------------------------------------------------------------

DISK_USER = """#!/bin/sh
b=/bin/busybox
# As initramfs scripts do: disks appear when their drivers have found them.
until [ -b /dev/vda ]; do $b sleep 0.02; done
$b dd if=/dev/vda of=/dev/null bs=64k count=4 2>/dev/null; echo "before: $?"
while $b dd if=/dev/vda of=/tmp/part bs=64k count=1 skip=8 iflag=direct 2>/dev/null &&
	$b dd if=/dev/zero of=/dev/vda bs=64k count=1 conv=fsync 2>/dev/null; do
	$b sleep 0.1
done
$b dd if=/dev/vda of=/dev/null bs=64k count=1 skip=12 2>&1 | $b grep -o "Input/output error"
echo "alive: $((6 * 7))"
$b poweroff -f
"""


@isolation(when=lambda c: not c.kernel)
def a_disk_driver_that_stays_dead_gives_programs_EIO(lab):
    disk = lab.file("disk", bytes(1 << 20))
    machine = lab.machine(["panic=-1", "concord.kill=virtio-blk.0@700", "concord.restart=never"],
                          memory=128, initrd=lab.initramfs(DISK_USER), drives=[qemu.Drive(disk, False)])
    lab.expect_boot(machine, "before: 0", "virtio-blk.0 was killed", "Input/output error",
                    "alive: 42", status=0)


CONSOLE_USER = """#!/bin/sh
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
	echo "line $i of a program that does not know"
	/bin/busybox sleep 0.1
done
/bin/busybox poweroff -f
"""


@isolation(when=lambda c: not c.kernel and c.cpus == 2)
def a_console_driver_that_stays_dead_leaves_the_system_running(lab):
    machine = lab.machine(["panic=-1", "concord.kill=uart.0@500", "concord.restart=never"], memory=128,
                          initrd=lab.initramfs(CONSOLE_USER))
    lab.expect_boot(machine, "line 1 of", "uart.0 was killed", status=0)
