# SPDX-License-Identifier: MIT
"""A network card at the network that QEMU pretends to be: frames, and the cable."""

import dataclasses

from concord import initrd, places, qemu, runner, test
from concord.scenario import Failed, Skip, boot

ARP = (places.ROOT / "tests/boot/guest/arp.py").read_text()

# Says whether the cable is in, whenever that changes; three times.
CABLE = """
import fcntl, socket, struct, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
def flags(request, value=0):
    return struct.unpack('16sh', fcntl.ioctl(s, request, struct.pack('16sh22x', b'eth0', value))[:18])[1]
flags(0x8914, flags(0x8913) | 1)            # IFF_UP
before = False
for turn in range(3):
    while (now := bool(flags(0x8913) & 0x40)) == before:        # IFF_RUNNING
        time.sleep(0.005)
    before = now
    print('in' if now else 'out', flush=True)
"""


def in_each(configuration):
    """On Linux, and in both placements; the card is on PCI, as in nearly every machine."""
    return configuration.kernel or configuration.cpus == (1 if configuration.placement == "process" else 2)


def guest_of(lab, device):
    monitor = lab.folder / "monitor"
    machine = test.machine_for(lab.configuration, lab.image)
    machine = dataclasses.replace(machine, nets=[qemu.Net("user", device=device)], monitor=monitor)
    if lab.linux:
        machine.initrd = initrd.make(machine.kernel, net=device)
    return runner.Guest(machine), monitor


def run(lab, guest, argv, hear=None):
    output = bytearray()

    def came(data):
        output.extend(data)
        if hear:
            hear(data)

    done = guest.command(argv, on_stdout=came, deadline=lab.deadline)
    if done.status:
        raise Failed(f"status {done.status}\n{output.decode()}\n{done.stderr.decode()}\n{guest.console_text()[-2000:]}")
    return output.decode()


def exchange(lab, device, driver):
    """Frames while the driver dies, and then the cable out and in."""
    guest, monitor = guest_of(lab, device)
    with guest:
        guest.boot(lab.deadline)
        disturbance = [] if lab.linux else ["conctl", "kill", f"{driver}.0"]
        run(lab, guest, ["python3", "-c", ARP, "1000", *disturbance])
        if disturbance:
            run(lab, guest, ["sh", "-c", f"conctl log {driver}.0 | grep -q 'serves after .* with the live device'"])
        with qemu.Monitor(monitor) as operator:
            def hear(data):
                if data.strip() in (b"in", b"out"):
                    operator.command("set_link card0 " + ("off" if data.strip() == b"in" else "on"))
            said = run(lab, guest, ["python3", "-c", CABLE], hear)
        if said != "in\nout\nin\n":
            raise Failed(f"the cable was {said!r}")


@boot(when=in_each)
def programs_exchange_frames_with_the_network_while_the_driver_dies(lab):
    exchange(lab, "virtio", "virtio-net")


@boot(when=in_each)
def programs_exchange_frames_through_an_e1000_while_its_driver_dies(lab):
    if lab.linux and "cloud" in lab.kernel.path.name:
        raise Skip("Debian's cloud kernel has no driver for it")
    exchange(lab, "e1000", "e1000")
