# SPDX-License-Identifier: MIT
"""Disks that are unplugged while they are used: native PCI Express hot plug, behind a port of their own.

What programs see is what they see on Linux 6.1, where these tests hold, too, but for those of drivers' ends.  With one
processor: QEMU 7.2 can crash when memory's map changes, as a card goes, while another one runs."""

from concord import disks, qemu
from concord.scenario import Failed, boot

FILE = 65536

PRELUDE = disks.PRELUDE + """
def lost(*call):                    # an error of a file system that has lost its disk, or of its journal
    error = run(*call)
    return 'lost' if error in ('EIO', 'EROFS') else error

def gone(name):                     # from wherever it is told of
    lists = [line.split() for path in ('/proc/partitions', '/proc/diskstats') for line in open(path)]
    places = ['/dev/' + name, '/sys/block/' + name, '/sys/class/block/' + name]
    return not any(os.path.lexists(place) for place in places) and not any(name in words for words in lists)
"""

# Holds the disk in every way, writes to it all the time, and looks at what is left when it has gone.
USER = """
NAME = 'DISK'
print(command('mount', '-t', 'ext4', '-o', 'noatime,commit=1000', '/dev/' + NAME, '/mnt'))
number = os.stat('/dev/' + NAME).st_rdev
os.mknod('/dev/node', 0o60600, number)
open('/mnt/a').read()
fd, top = opened('/mnt/a'), opened('/mnt', os.O_RDONLY)
raw, direct = opened('/dev/' + NAME), opened('/dev/' + NAME, os.O_RDONLY | os.O_DIRECT)
area = mmap.mmap(-1, 4096)
print(length(raw, 4096, 0), run(os.preadv, direct, [area], 0))
with open('/mnt/image', 'wb') as file:
    file.truncate(1 << 20)
loop = None
if os.path.exists('/dev/loop-control'):     # Debian's has it as a module
    loop = subprocess.run(['losetup', '-f', '--show', '/mnt/image'], capture_output=True, text=True).stdout.strip()
    loop_fd = opened(loop, os.O_RDONLY | os.O_DIRECT)
    assert os.preadv(loop_fd, [area], 4096) == 4096

def write():                        # what it is told is on the disk, until it is told of an error
    log, n, failed = opened('/mnt/log', os.O_RDWR | os.O_CREAT), 0, None
    while failed is None:
        failed = lost(os.pwrite, log, b'%08d' % n, 8 * n)
        failed = lost(os.fsync, log) if failed == 8 else failed
        n += failed is None
        if n == 3:
            open('/run/ready', 'w').close()
    os.close(log)
    open('/run/synced', 'w').write(str(n))
    return failed

writer = threading.Thread(target=lambda: seen.append(write()))
seen = []
os.pwrite(fd, b'late', 0)           # synced by nobody but who unplugs the disk
writer.start()
while not gone(NAME):
    time.sleep(0.05)
writer.join()
print(*seen)
print(length(fd, 4096, 0), command('cat', '/mnt/b'))
print(length(raw, 4096, 0), run(os.pwrite, raw, b'x' * 4096, 0), run(os.preadv, direct, [area], 0), os.lseek(raw, 0, 2))
print(run(os.fsync, raw), lost(os.fsync, fd), run(opened, '/dev/node'))
if loop:                            # there is nothing written there
    assert os.preadv(loop_fd, [area], 8192) == 4096 and not command('losetup', '-d', loop)
    os.close(loop_fd)
print(lost(lambda: os.unlink('/mnt/c') or os.fsync(top)), lost(made, '/mnt/new'), run(os.sync))
for each in fd, top, raw, direct:
    os.close(each)
print(command('umount', '/mnt'), command('mount', '/dev/node', '/mnt') > 0, gone(NAME), command('ls', '/'))
open('/run/over', 'w').close()
"""


def once(configuration):
    return configuration.cpus == 1 and configuration.placement == "kernel"


def twice(configuration):
    return configuration.cpus == 1


def disk_with_files(lab):
    tree = lab.folder / "tree"
    tree.mkdir()
    for name in "abc":
        (tree / name).write_bytes(name.encode() * FILE)
    return disks.make_ext4(lab.folder / "disk", "32M", "-b4096", "-d", tree)


def wait_for_file(machine, path):
    machine.shell(f"for i in $(seq 600); do [ -e {path} ] && exit 0; sleep 0.1; done; cat /run/said /run/errors >&2; exit 1")


def unplug(lab, drive, name, words=(), meanwhile="true"):
    """Use the drive, which is /dev/NAME in the guest, and unplug it: what its user sees, how much it
    synced, and what the console says."""
    monitor = lab.folder / "monitor"
    script = PRELUDE + USER.replace("DISK", name)
    # every other test has an IOMMU, and the blinking does not have to last
    with disks.Machine(lab, drive, monitor=monitor, words=["pcie-port.delay=200", *words],
                       iommu=lab.configuration.placement == "process") as machine, qemu.Monitor(monitor) as operator:
        machine.run("python3", "-c", f"open('/run/user.py', 'w').write({script!r})")
        machine.shell(f"python3 /run/user.py >/run/said 2>/run/errors </dev/null & ({meanwhile}) >/dev/null 2>&1 </dev/null &")
        wait_for_file(machine, "/run/ready")
        said = operator.command("device_del disk1")     # the attention button, on behalf of the disk
        if said:
            raise Failed(f"device_del: {said}")
        if not operator.wait_for("DEVICE_DELETED", 60):
            raise Failed(f"it is not unplugged\n{machine.guest.console_text()[-3000:]}")
        wait_for_file(machine, "/run/over")
        found = machine.run("cat", "/run/said", "/run/errors")
        synced = int(machine.run("cat", "/run/synced"))
        machine.power_off()
        return found, synced, machine.guest.console_text()


def look_at(lab, disk, synced):
    """The first bytes of /a on the disk; what the user was told that it is there is there."""
    tree = lab.folder / "after"
    tree.mkdir()
    disks.replay_ext4(disk)
    disks.extract_ext4(disk, tree)
    log = (tree / "log").read_bytes()
    if not log.startswith(b"".join(b"%08d" % n for n in range(synced))):
        raise Failed(f"{synced} numbers were synced, and of {len(log)} bytes some are others")
    return (tree / "a").read_bytes()[:4]


SEEN = """\
0
4096 4096
lost
4096 1
0 ENOSPC 0 0
EIO lost ENXIO
lost lost None
0 True True 0
"""


def check(found, seen, console):
    if found != seen:
        raise Failed(f"programs see\n{found}and not\n{seen}{console[-3000:]}")


@boot(when=twice)
def a_disk_is_unplugged_while_it_is_used(lab):
    disk = disk_with_files(lab)
    found, synced, console = unplug(lab, qemu.Drive(disk, slot=True), "vdb")
    check(found, SEEN, console)
    if look_at(lab, disk, synced) != b"late" and not lab.configuration.kernel:      # Linux syncs as far as it comes
        raise Failed("what was written before it was unplugged is lost")


@boot(when=once)
def an_nvme_disk_is_unplugged_while_it_is_used(lab):
    disk = disk_with_files(lab)
    found, synced, console = unplug(lab, qemu.Drive(disk, bus="nvme", slot=True), "nvme0n1")
    check(found, SEEN, console)
    if look_at(lab, disk, synced) != b"late" and not lab.configuration.kernel:      # Linux syncs as far as it comes
        raise Failed("what was written before it was unplugged is lost")


@boot(when=lambda configuration: twice(configuration) and not configuration.kernel)
def a_disk_is_pulled_while_it_is_used(lab):
    """As near as QEMU comes to it: the power goes off, and nobody is asked.  What was synced stays."""
    disk = disk_with_files(lab)
    found, synced, console = unplug(lab, qemu.Drive(disk, slot=True), "vdb", words=["pcie-port.cut=1"])
    check(found, SEEN, console)
    look_at(lab, disk, synced)


@boot(when=lambda configuration: once(configuration) and not configuration.kernel)
def drivers_die_while_their_disk_is_unplugged(lab):
    """That of the disk and that of the slot, again and again."""
    disk = disk_with_files(lab)
    found, synced, console = unplug(lab, qemu.Drive(disk, slot=True), "vdb", meanwhile="""
        until [ -e /run/ready ]; do sleep 0.05; done
        for i in 1 2 3 4 5; do
            conctl kill virtio-blk.1
            sleep 0.05
            conctl restart pcie-port.0
        done""")
    check(found, SEEN, console)
    if look_at(lab, disk, synced) != b"late" and not lab.configuration.kernel:      # Linux syncs as far as it comes
        raise Failed("what was written before it was unplugged is lost")
