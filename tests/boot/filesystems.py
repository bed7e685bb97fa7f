# SPDX-License-Identifier: MIT
"""File systems: the same programs on each, and ext4's disks as other kernels and e2fsck see them."""

import random
import shutil

from concord import disks, qemu
from concord.scenario import Failed, boot


def make_ext4(lab, name, size, *options):
    return disks.make_ext4(lab.folder / name, size, *options)


def machine_with(lab, *files, **options):
    """With the test programs; the files' disks are /dev/vdc and so on."""
    return disks.Machine(lab, *files, programs=True, **options)


EVERYWHERE = ("fs", "fallocate", "names", "file", "dir", "attr", "acl", "direct")


@boot(seconds=600, when=lambda configuration: configuration.cpus == 2)
def programs_see_the_same_on_every_file_system(lab):
    """tmpfs, an overlay, ext4 with large and small blocks; and e2fsck likes what is left on the disks."""
    large = make_ext4(lab, "large", "96M", "-b4096")
    small = make_ext4(lab, "small", "48M", "-b1024")
    left = make_ext4(lab, "left", "48M")
    wrong = []
    with machine_with(lab, large, small, left) as machine:
        machine.shell("""mkdir -p /mnt/tmpfs /mnt/large /mnt/small /mnt/left
            mount -t tmpfs -o size=48m none /mnt/tmpfs; mount /dev/vdc /mnt/large; mount /dev/vdd /mnt/small
            mount /dev/vde /mnt/left; chmod 755 /mnt/*""")
        # a tmpfs's limit does not hold for pages that appear by touching a mapping (CAVEATS.md)
        limited = machine.run("/tests/fs_test", "-l").split()
        limited.remove("a_mapped_hole_that_gets_no_block_is_a_bus_error")
        wrong += machine.cases("fs", "/mnt/tmpfs", *limited)
        for program in ("fallocate", "names", "acl", "flags"):
            wrong += machine.cases(program, "/mnt/tmpfs")
        for program in EVERYWHERE:
            wrong += machine.cases(program, "/mnt/large")
            # what Linux's overlay puts into d_ino, and refuses in pwritev2, is its own
            wrong += [] if lab.linux else machine.cases(program, "/root")
        for program in ("fs", "fallocate", "names", "acl", "flags", "direct"):
            wrong += machine.cases(program, "/mnt/small")
        # one is unmounted, one only read-only, and one is left to the init, with somebody at work in it
        machine.shell("""umount /mnt/large; mount -o remount,ro /mnt/small
            sleep 1000 >/mnt/left/open & cp -r /usr/share/perl5 /mnt/left""")
        machine.power_off()
    if wrong:
        raise Failed("\n".join(["cases fail", *wrong]))
    for disk in (large, small, left):
        disks.check_ext4(disk)


MORE_THAN_MEMORY = """
import mmap, os, sys

def field(path, name):
    for line in open(path):
        words = line.replace(':', ' ').split()
        if words[0] == name: return int(words[1])

def contents(i, n):
    return (b'%08d' % i) * (n // 8)

most = 0
for i in range(160):
    with open(f'/mnt/many{i}', 'wb') as f: f.write(contents(i, 1 << 20))
    most = max(most, field('/proc/meminfo', 'Dirty'))
fd = os.open('/mnt/large', os.O_CREAT | os.O_RDWR)
for i in range(100):
    os.write(fd, contents(i, 1 << 20))
os.ftruncate(fd, 200 << 20)
area = mmap.mmap(fd, 200 << 20)
for i in range(50, 150):
    area[i << 20:(i + 1) << 20] = contents(i + 1000, 1 << 20)
    most = max(most, field('/proc/meminfo', 'Dirty'))
for i in range(150):
    assert os.pread(fd, 1 << 20, i << 20) == contents(i + 1000 if i >= 50 else i, 1 << 20), i
for i in range(160):
    assert open(f'/mnt/many{i}', 'rb').read() == contents(i, 1 << 20), i
assert not field('/proc/vmstat', 'oom_kill'), 'somebody was ended'
assert 1000 < most < 30 << 10, most
"""


@boot(seconds=300, when=lambda configuration: configuration.cpus == 1 and not configuration.kernel)
def more_is_written_than_memory_holds(lab):
    """By write and through a mapping, in one file and in many: dirty memory has a limit."""
    disk = make_ext4(lab, "disk", "600M")
    with machine_with(lab, disk, memory=64) as machine:
        machine.shell("mount /dev/vdc /mnt")
        machine.run("python3", "-c", MORE_THAN_MEMORY)
        machine.shell("umount /mnt")
        machine.power_off()
    disks.check_ext4(disk)


# Cut off in the middle: one kernel writes, the other replays its journal, and goes on.

WRITER = """
import os, random, struct, sys, zlib
ACCESS, DEFAULT = 'system.posix_acl_access', 'system.posix_acl_default'
top, seed = sys.argv[1], int(sys.argv[2])
rnd = random.Random(seed)
keep, work = f'{top}/keep{seed}', f'{top}/work{seed}'
os.makedirs(keep); os.makedirs(work + '/sub')

def data(n):
    return rnd.randbytes(n)

def acl():          # a list with named users and groups, sometimes too many for an inode
    ids = sorted(rnd.sample(range(100000), rnd.randrange(1, 20)))
    entry = lambda tag, id=0xffffffff: struct.pack('<HHI', tag, rnd.randrange(8), id)
    return struct.pack('<I', 2) + entry(1) + b''.join(entry(2, i) for i in ids) + entry(4) + entry(8, ids[0]) + entry(16) + entry(32)

os.setxattr(keep, DEFAULT, acl())

def somewhere():
    return f'{work}/' + rnd.choice(('', 'sub/')) + f'name-{rnd.randrange(60)}' + '-long' * rnd.randrange(12)

def disturb():      # anything, and never mind whether it works: what must not be broken is the file system
    a, b, what = somewhere(), somewhere(), rnd.randrange(10)
    try:
        if what < 4:
            with open(a, 'ab' if what % 2 else 'wb') as f:
                f.write(data(rnd.randrange(30000)))
        elif what == 4: os.truncate(a, rnd.randrange(20000))
        elif what == 5: os.unlink(a)
        elif what == 6: os.rename(a, b)
        elif what == 7: os.link(a, b)
        elif what == 8: os.symlink('t' * rnd.randrange(1, 100), a)
        elif rnd.randrange(4) == 0: os.setxattr(a, rnd.choice((ACCESS, DEFAULT)), acl())
        elif rnd.randrange(2): os.mkdir(a)
        else: os.rmdir(a)
    except OSError:
        pass

held = [open(f'{work}/gone{i}', 'wb') for i in range(5)]
for i, f in enumerate(held):        # without names: the next mount has to free them
    f.write(data(50000)); f.flush(); os.unlink(f'{work}/gone{i}')
for i in range(1000000):
    for _ in range(20):
        disturb()
    name, contents = f'{keep}/{i}', data(rnd.randrange(1, 40000))
    fd = os.open(name + '.new', os.O_CREAT | os.O_WRONLY, 0o640)
    for at in range(0, len(contents), 7000):
        os.write(fd, contents[at:at + 7000])
    if i % 2:       # else it keeps what it has inherited
        os.setxattr(fd, ACCESS, acl())
    contents += os.getxattr(fd, ACCESS)
    os.fsync(fd); os.close(fd)
    os.rename(name + '.new', name)
    fd = os.open(keep, os.O_RDONLY); os.fsync(fd); os.close(fd)
    print(name, len(contents), zlib.crc32(contents), flush=True)
"""

READER = """
import os, sys, zlib
wrong = []
for line in sys.stdin:
    name, size, crc = line.split()
    try:
        contents = open(name, 'rb').read() + os.getxattr(name, 'system.posix_acl_access')
        if (len(contents), zlib.crc32(contents)) != (int(size), int(crc)): wrong.append(name + ' is not as it was')
    except OSError as error:
        wrong.append(str(error))
for folder, folders, files in os.walk('/mnt'):      # and everything can be read
    for name in files:
        path = os.path.join(folder, name)
        if not os.path.islink(path): open(path, 'rb').read()
sys.exit(', '.join(wrong) or 0)
"""


class Enough(Exception):
    pass


def write_and_cut_off(machine, seed, lines):
    """What had been synced when the machine was switched off."""
    synced = bytearray()

    def take(data):
        synced.extend(data)
        if synced.count(b"\n") >= lines:
            raise Enough
    try:
        done = machine.guest.command(["python3", "-c", WRITER, "/mnt", str(seed)], on_stdout=take,
                                     deadline=machine.lab.deadline)
        raise Failed(f"the writer ended with status {done.status}\n{done.stderr.decode(errors='replace')}")
    except Enough:
        machine.guest.process.stop()
    return synced[:synced.rindex(b"\n") + 1]


def can_be_repaired(lab, disk):
    """Of a copy, for the disk is for the other kernel."""
    copy = lab.folder / "copy"
    shutil.copy(disk, copy)
    disks.replay_ext4(copy)


def check_files(machine, synced):
    machine.shell("mount /dev/vdc /mnt")
    done = machine.guest.command(["python3", "-c", READER], bytes(synced), deadline=machine.lab.deadline)
    if done.status:
        raise Failed(f"{done.stderr.decode(errors='replace')}\n{machine.guest.console_text()[-2000:]}")


def cut_off_and_replay(lab, seed, options):
    rnd = random.Random(seed)
    disk = make_ext4(lab, "disk", "64M", *options)
    with machine_with(lab, disk) as ours:
        ours.shell("mount /dev/vdc /mnt")
        synced = write_and_cut_off(ours, 2 * seed, rnd.randrange(15, 40))
    can_be_repaired(lab, disk)
    with machine_with(lab, disk, kernel="debian-cloud") as linux:
        check_files(linux, synced)
        synced += write_and_cut_off(linux, 2 * seed + 1, rnd.randrange(15, 40))
    can_be_repaired(lab, disk)
    with machine_with(lab, disk) as ours:
        check_files(ours, synced)
        ours.shell("umount /mnt")
        ours.power_off()
    disks.check_ext4(disk)


@boot(seconds=300, when=lambda configuration: configuration.cpus == 2 and configuration.placement == "kernel")
def kernels_replay_each_others_journals(lab):
    cut_off_and_replay(lab, 1, ["-b4096"])


@boot(seconds=3000, full=True, when=lambda configuration: configuration.cpus == 4)
def kernels_replay_each_others_journals_again_and_again(lab):
    kinds = (["-b4096"], ["-b1024"], ["-b1024", "-O^metadata_csum"], ["-b4096", "-Jsize=4"],
             ["-b2048", "-O^64bit", "-I128"])
    for seed in range(2, 22):
        try:
            cut_off_and_replay(lab, seed, kinds[seed % len(kinds)])
        except Failed as failure:
            raise Failed(f"seed {seed}: {failure}") from None


DISCARDED = """
import re, subprocess, sys
def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout

def trimmed():
    return int(re.search('([0-9]+) bytes', run('fstrim', '-v', '/mnt'))[1])

run('mount', '-t', 'ext4', '-o', sys.argv[1], '/dev/vdb', '/mnt')
with open('/mnt/stays', 'wb') as file:
    file.write(b's' * (4 << 20))
with open('/mnt/goes', 'wb') as file:
    file.write(b'g' * (32 << 20))
run('sync')
run('rm', '/mnt/goes')
run('sync')
if sys.argv[1] != 'discard':
    print(trimmed() >= 32 << 20, trimmed())
print(open('/mnt/stays').read() == 's' * (4 << 20), 'discard' in open('/proc/mounts').read())
run('umount', '/mnt')
"""


def discarded(lab, name, option, wanted):
    """What a file system does not need any more, its disk does not have any more."""
    disk = make_ext4(lab, name, "64M", "-b4096")
    with disks.Machine(lab, qemu.Drive(disk, unmaps=True)) as machine:
        found = machine.run("python3", "-c", DISCARDED, option)
        if found != wanted:
            raise Failed(f"programs see\n{found}and not\n{wanted}")
        machine.power_off()
    held = disk.stat().st_blocks * 512
    if not 4 << 20 <= held < 16 << 20:
        raise Failed(f"the disk's file still has {held} bytes")
    disks.check_ext4(disk)


@boot(when=lambda configuration: configuration.cpus == 2 and configuration.placement == "kernel")
def free_blocks_are_discarded(lab):
    discarded(lab, "asked-for", "nodiscard", "True 0\nTrue False\n")
    discarded(lab, "at-once", "discard", "True True\n")
