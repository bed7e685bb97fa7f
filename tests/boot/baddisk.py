# SPDX-License-Identifier: MIT
"""Bad disks: those that fail where they are read or written, take half a write, lose their end, vanish, or hold garbage.

What programs see is what they see on Linux 6.1, where these tests hold, too, unless they say otherwise; and the machine goes on."""

import random
import re
import shutil
import subprocess

from concord import disks, qemu
from concord.scenario import Failed, boot

SECTORS_PER_BLOCK = 8
FILE = 16           # blocks of each file

PRELUDE = disks.PRELUDE + """
libc = ctypes.CDLL(None, use_errno=True)

def syncfs(fd):
    if libc.syncfs(fd):
        raise OSError(ctypes.get_errno(), 'syncfs')

def mount(options='noatime'):       # and nothing is committed but by those who wait for it
    return command('mount', '-t', 'ext4', '-o', 'commit=1000,' + options, '/dev/vdb', '/mnt')

def writable():
    return [line.split()[3].split(',')[0] for line in open('/proc/mounts') if line.split()[1] == '/mnt']
"""


def once(configuration):
    return configuration.cpus == 2 and configuration.placement == "kernel"


def twice(configuration):
    return configuration.cpus == 2


def disk_with_files(lab):
    """An ext4 with files a to d and the folder `dir`."""
    tree = lab.folder / "tree"
    (tree / "dir").mkdir(parents=True)
    for name in "abcd":
        (tree / name).write_bytes(name.encode() * FILE * 4096)
    (tree / "dir/file").write_bytes(b"x")
    return disks.make_ext4(lab.folder / "disk", "32M", "-b4096", "-d", tree)


def debugfs(disk, request):
    return subprocess.run([disks.tool("debugfs"), "-R", request, disk], capture_output=True, text=True).stdout


def sector_of(disk, path, block):
    return int(debugfs(disk, f"blocks {path}").split()[block]) * SECTORS_PER_BLOCK


def sector_of_bitmap(disk):
    return int(re.search(r"block bitmap at (\d+)", debugfs(disk, "stats")).group(1)) * SECTORS_PER_BLOCK


def fails(kind, sector):
    """A blkdebug that reports an error for each request of the kind ("read", "write") that touches the sector."""
    return (f"inject-error.0.event=none,inject-error.0.iotype={kind},inject-error.0.sector={sector},"
            "inject-error.0.errno=5,inject-error.0.once=off")


def expect(lab, drive, script, wanted, **changes):
    """Run the script in a guest whose /dev/vdb is the drive; its output, and the console's."""
    with disks.Machine(lab, drive, **changes) as machine:
        found = machine.run("python3", "-c", PRELUDE + script)
        if found != wanted:
            raise Failed(f"programs see\n{found}and not\n{wanted}{machine.guest.console_text()[-2000:]}")
        return machine.guest.console_text()


# -- data ------------------------------------------------------------------------------------------

READ_DATA = """
print(mount())
fd = os.open('/mnt/a', os.O_RDONLY)
print(*[run(length, fd, 4096, i * 4096) for i in range(7, 10)])
print(run(length, fd, 65536, 0), run(length, fd, 65536, 32768), run(length, fd, 65536, 36864))
area = mmap.mmap(-1, 65536)
direct = os.open('/mnt/a', os.O_RDONLY | os.O_DIRECT)
print(run(os.preadv, direct, [area], 0), run(os.preadv, direct, [memoryview(area)[:32768]], 0))
print(command('python3', '-c', "import mmap; f = open('/mnt/a'); m = mmap.mmap(f.fileno(), 0, prot=1); m[0]; m[32768]"))
print(command('cat', '/mnt/a'), command('cat', '/mnt/b'), writable(), run(made, '/mnt/new'), run(os.sync))
"""


@boot(when=once)
def a_block_that_cannot_be_read_is_an_error_for_its_readers_only(lab):
    disk = disk_with_files(lab)
    expect(lab, qemu.Drive(disk, faults=fails("read", sector_of(disk, "/a", 8))), READ_DATA, """\
0
4096 EIO 4096
32768 EIO 28672
EIO 32768
-7
1 0 ['rw'] None None
""")


WRITE_DATA = """
print(mount())
one, other, file_b = opened('/mnt/a'), opened('/mnt/a'), opened('/mnt/b')
print(run(os.pwrite, one, b'z' * 65536, 0))
print('fsync', run(os.fsync, one), run(os.fsync, one), run(os.fsync, other), run(os.fsync, other))
print('late', run(os.fsync, opened('/mnt/a')), run(os.fsync, file_b))
print('again', run(os.pwrite, one, b'y' * 65536, 0), run(os.fdatasync, one), run(os.fdatasync, one))
print('sync', run(os.pwrite, one, b'x' * 65536, 0), run(os.sync), run(os.fsync, one), run(os.fsync, other))
print('untold', run(os.pwrite, one, b'w' * 65536, 0), run(os.sync), run(os.fsync, opened('/mnt/a')))
print('syncfs', run(syncfs, file_b), run(syncfs, file_b), run(os.pwrite, one, b'v' * 65536, 0),
      run(syncfs, file_b), run(syncfs, file_b))
print('others', run(os.pwrite, file_b, b'b' * 65536, 0), run(os.fsync, file_b), writable())
synced = opened('/mnt/a', os.O_RDWR | os.O_SYNC)
print('O_SYNC', run(os.pwrite, synced, b'u' * 4096, 32768), run(os.pwrite, synced, b'u' * 4096, 0))
direct, area = opened('/mnt/a', os.O_RDWR | os.O_DIRECT), mmap.mmap(-1, 4096)
print('O_DIRECT', run(os.pwritev, direct, [area], 32768), run(os.pwritev, direct, [area], 0))
area = mmap.mmap(one, 65536)
area[32768] = 7
print('msync', run(area.flush), run(area.flush))
print(run(made, '/mnt/new'), run(os.fsync, opened('/mnt', os.O_RDONLY)), writable())
"""


@boot(when=twice)
def data_that_cannot_be_written_is_told_once_to_each_open_file(lab):
    disk = disk_with_files(lab)
    expect(lab, qemu.Drive(disk, faults=fails("write", sector_of(disk, "/a", 8))), WRITE_DATA, """\
0
65536
fsync EIO None EIO None
late None None
again 65536 EIO None
sync 65536 None EIO EIO
untold 65536 None EIO
syncfs EIO None 65536 EIO None
others 65536 None ['rw']
O_SYNC EIO 4096
O_DIRECT EIO 4096
msync EIO None
None None ['rw']
""")


TORN_WRITE = """
print(mount())
def letters(path, flags):
    fd, area = os.open(path, flags), mmap.mmap(-1, 65536)
    os.preadv(fd, [area], 0)
    return ''.join(chr(area[i]) for i in range(0, 65536, 4096))
area = mmap.mmap(-1, 65536)
area[:] = b'z' * 65536
direct, file_b = opened('/mnt/a', os.O_RDWR | os.O_DIRECT), opened('/mnt/b')
print(run(os.pwritev, direct, [area], 0), letters('/mnt/a', os.O_DIRECT), letters('/mnt/a', 0))
print(run(os.pwrite, file_b, area, 0), run(os.fdatasync, file_b), run(os.fdatasync, file_b), letters('/mnt/b', 0))
open('/proc/sys/vm/drop_caches', 'w').write('3')
print(letters('/mnt/b', 0), letters('/mnt/c', 0), writable())
print(run(os.pwrite, file_b, area[:32768], 0), run(os.fdatasync, file_b), letters('/mnt/b', os.O_DIRECT))
"""


@boot(when=once)
def a_write_whose_second_half_fails_is_an_error_and_leaves_half(lab):
    """The disk takes 4 KiB at a time, and one of the pieces in the middle never."""
    disk = disk_with_files(lab)
    faults = ",".join(["max-transfer=4096", fails("write", sector_of(disk, "/a", 8)),
                       fails("write", sector_of(disk, "/b", 8)).replace(".0.", ".1.")])
    expect(lab, qemu.Drive(disk, faults=faults), TORN_WRITE, """\
0
EIO zzzzzzzzaaaaaaaa zzzzzzzzaaaaaaaa
65536 EIO None zzzzzzzzzzzzzzzz
zzzzzzzzbbbbbbbb cccccccccccccccc ['rw']
32768 None zzzzzzzzbbbbbbbb
""")


# -- what the file system needs --------------------------------------------------------------------

BROKEN_JOURNAL = """
print(mount())
fd = opened('/mnt/a')
print(run(os.pwrite, fd, b'z' * 100000, 0), run(os.fsync, fd))
print(run(made, '/mnt/new'), run(os.unlink, '/mnt/b'), run(os.mkdir, '/mnt/n'), run(os.truncate, '/mnt/b', 0))
print(len(open('/mnt/c').read()), os.listdir('/mnt/dir'), run(os.sync))
os.close(fd)
print(command('umount', '/mnt'), mount(), len(open('/mnt/b').read()), command('umount', '/mnt'))
"""


@boot(when=once)
def without_its_journal_a_file_system_is_read_only(lab):
    disk = disk_with_files(lab)
    console = expect(lab, qemu.Drive(disk, faults=fails("write", sector_of(disk, "<8>", 2))), BROKEN_JOURNAL, """\
0
100000 EIO
EROFS EROFS EROFS EROFS
65536 ['file'] None
0 0 65536 0
""")
    if "Remounting filesystem read-only" not in console:
        raise Failed("nobody is told that it is read-only")
    disks.replay_ext4(disk)


BROKEN_FOLDER = """
print(mount(OPTIONS))
def mode():                         # the inode can be read
    at = run(os.stat, '/mnt/dir')
    return at if isinstance(at, str) else oct(at.st_mode)

print(mode())
print(run(os.listdir, '/mnt/dir'), run(os.stat, '/mnt/dir/file'), run(made, '/mnt/dir/new'), mode())
print(run(made, '/mnt/new'), run(os.unlink, '/mnt/' + min(os.listdir('/mnt'))), len(open('/mnt/c').read()))
print(command('umount', '/mnt'))
"""


@boot(when=once)
def errors_remount_ro_holds_for_folders_that_cannot_be_read(lab):
    disk = disk_with_files(lab)
    drive = qemu.Drive(disk, faults=fails("read", sector_of(disk, "/dir", 0)))
    expect(lab, drive, BROKEN_FOLDER.replace("OPTIONS", "'errors=continue'"), """\
0
0o40755
EIO EIO EIO 0o40755
None None 65536
0
""")
    expect(lab, drive, BROKEN_FOLDER.replace("OPTIONS", "'errors=remount-ro'"), """\
0
0o40755
EIO EIO EIO 0o40755
EROFS EROFS 65536
0
""")


def journal_with_torn(lab, kind):
    """Two transactions wait to be replayed; half of the second one's block of that kind is not what was written."""
    disk = disk_with_files(lab)
    shutil.rmtree(lab.folder / "tree")
    requests = ["jo -c -v 3"]
    for name in "ab":
        content = lab.file(f"new-{name}", name.upper().encode() * 4096)
        requests.append(f"jw -b {debugfs(disk, f'blocks /{name}').split()[0]} {content}")
    script = lab.file("requests", "\n".join([*requests, "jc", ""]).encode())
    subprocess.run([disks.tool("debugfs"), "-w", "-f", script, disk], check=True, capture_output=True)
    blocks = [int(block) for block in debugfs(disk, "blocks <8>").split()]
    log = [int(block) for block in re.findall(rf"{kind}\D*at block (\d+)", debugfs(disk, "logdump -a"))]
    with open(disk, "r+b") as file:
        file.seek(blocks[log[1]] * 4096 + 2048)
        file.write(b"\xa5" * 2048)
    return disk


TORN_JOURNAL = """
print(mount())
print(open('/mnt/a').read(2), open('/mnt/b').read(2), writable(), run(made, '/mnt/new'), run(os.sync), command('umount', '/mnt'))
"""


@boot(when=lambda configuration: once(configuration) and not configuration.kernel)
def a_journal_is_replayed_until_a_torn_commit(lab):
    """As e2fsck replays it, without which Linux does not mount it."""
    disk = journal_with_torn(lab, "commit")
    expect(lab, disk, TORN_JOURNAL, "0\nAA bb ['rw'] None None 0\n")
    disks.check_ext4(disk)


@boot(when=once)
def a_journal_with_a_torn_descriptor_before_a_commit_is_refused(lab):
    """What was committed is not given up in silence."""
    expect(lab, journal_with_torn(lab, "descriptor"), "print(mount() > 0, writable())\n", "True []\n")


# -- disks that go, or are not what they say ---------------------------------------------------------

def operated(lab, action, before, after, wanted):
    """What `after` prints, in a guest to whose /dev/vdb something was done in the middle."""
    disk = disk_with_files(lab)
    monitor = lab.folder / "monitor"
    with disks.Machine(lab, disk, monitor=monitor) as machine:
        machine.run("python3", "-c", PRELUDE + before)
        with qemu.Monitor(monitor) as operator:
            said = operator.command(action)
            if said:
                raise Failed(f"{action}: {said}")
        found = machine.run("python3", "-c", PRELUDE + after)
        if found != wanted:
            raise Failed(f"programs see\n{found}and not\n{wanted}{machine.guest.console_text()[-2000:]}")
        machine.power_off()
    disks.replay_ext4(disk)


USE = """
mount()
open('/mnt/a').read()
with open('/mnt/b', 'w') as file:
    file.write('synced')
    os.fsync(file.fileno())
"""

WITHOUT_DISK = """
fd, top = opened('/mnt/a'), opened('/mnt', os.O_RDONLY)
print(length(fd, 4096, 0), run(os.pwrite, fd, b'z' * 4096, 0), run(os.fsync, fd), run(os.fsync, fd))
print(command('cat', '/mnt/d'), command('dd', 'if=/dev/vdb', 'iflag=direct'))
print(run(os.unlink, '/mnt/c') or run(os.fsync, top), command('touch', '/mnt/new'), run(os.sync))
os.close(fd)
os.close(top)
print(command('umount', '/mnt'), mount() > 0, command('ls', '/'))
"""


@boot(when=once)
def a_disk_vanishes(lab):
    operated(lab, "drive_del drive1", USE, WITHOUT_DISK, """\
4096 4096 EIO EIO
1 1
EROFS 1 None
0 True 0
""")


SHRUNKEN = """
print(mount() > 0, command('dd', 'if=/dev/vdb', 'of=/dev/null', 'bs=1M'), command('ls', '/'))
"""


@boot(when=once)
def a_file_system_that_is_longer_than_its_disk_is_refused(lab):
    disk = disk_with_files(lab)
    with open(disk, "r+b") as file:
        file.truncate(20 << 20)
    console = expect(lab, qemu.Drive(disk), SHRUNKEN, "True 0 0\n")
    if "bad geometry: block count 8192 exceeds size of device (5120 blocks)" not in console:
        raise Failed("nobody is told why")


GARBAGE = """
print([command('mount', '-t', 'ext4', f'/dev/vd{letter}', '/mnt') for letter in 'bcde'], command('mount', '/dev/vdb', '/mnt'))
print([command('dd', f'if=/dev/vd{letter}', 'of=/dev/null', 'bs=1M') for letter in 'bcde'], command('ls', '/'))
"""


@boot(when=once)
def disks_of_garbage_are_refused(lab):
    """All of it, all but the super block, all but a super block and groups, and no disk worth the name."""
    rnd = random.Random(1)
    whole = disk_with_files(lab).read_bytes()
    drives = [lab.file("garbage", rnd.randbytes(len(whole))),
              lab.file("super", whole[:2048] + rnd.randbytes(len(whole) - 2048)),
              lab.file("groups", whole[:8192] + rnd.randbytes(len(whole) - 8192)),
              lab.file("short", rnd.randbytes(512))]
    with disks.Machine(lab, *drives) as machine:
        found = machine.run("python3", "-c", PRELUDE + GARBAGE)
    if found != "[32, 32, 32, 32] 32\n[0, 0, 0, 0] 0\n":
        raise Failed(f"programs see\n{found}")
