# SPDX-License-Identifier: MIT
"""Programs that do everything wrong, as an ordinary user: the guest has to survive them."""

from concord.scenario import Failed, application

USER = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def survive(guest, argv, seconds):
    """Run it until its time is over; afterwards the guest has to work, and be as empty as before.
    What ends it is root's, so that nothing that it does can stop that."""
    guest.run(["mkdir", "-p", "-m", "1777", "/tmp/hostile"])
    before = free_memory(guest)
    result = guest.run(["timeout", "--kill-after=10", str(seconds), *USER, *argv], seconds=seconds + 60,
                       directory="/tmp/hostile")
    if result.status in (126, 127):
        raise Failed(f"it did not run: {result.stderr.decode(errors='replace')}")
    guest.guest.sweep()
    if argv[0] == "sh" and guest.run(["grep", "-q", "Ran ", "/tmp/hostile/log"]).status:
        log = guest.run(["tail", "-c", "2000", "/tmp/hostile/log"]).stdout.decode(errors="replace")
        raise Failed(f"trinity did not come to the end of a run:\n{log}")
    guest.shell("rm -rf /tmp/hostile /tmp/trinity* /dev/shm/*; sync; echo fine", stdout="fine\n")
    lost = before - free_memory(guest)
    if lost > 64 << 10:
        raise Failed(f"{lost} KiB of memory are gone")


def free_memory(guest):
    text = guest.expect(["cat", "/proc/meminfo"]).stdout.decode()
    fields = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines()}
    return fields["MemFree"] + fields.get("Cached", 0) + fields.get("Buffers", 0) \
        + fields.get("SReclaimable", 0)


@application()
def fork_bomb_of_a_user_meets_its_limit(guest):
    result = guest.run([*USER, "prlimit", "--nproc=40", "timeout", "-s", "KILL", "4", "bash", "-c",
                        "bomb() { bomb | bomb & }; bomb; sleep 3"], seconds=60)
    if b"Resource temporarily unavailable" not in result.stderr:
        raise Failed(f"no EAGAIN: {result}")
    guest.guest.sweep()
    guest.shell("echo fine", stdout="fine\n")


# The bombs of root, who has no RLIMIT_NPROC: what the whole system allows is the limit.  The children
# do not fork on, so that how many there are can be counted.
ROOTS_BOMB = """
import errno, os, signal, sys

path, room = sys.argv[1], int(sys.argv[2])
before = open(path).read()
used = int(open('/proc/loadavg').read().split()[3].split('/')[1])
open(path, 'w').write(str(used + room if 'threads' in path else room))
children, error = [], 0
while not error and len(children) < 2000:
    try:
        child = os.fork()
    except OSError as trouble:
        error = trouble.errno
        break
    if not child:
        signal.pause()
    children.append(child)
open(path, 'w').write(before)
for child in children:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
print(errno.errorcode.get(error), len(children) <= room, len(children) > room // 2)
"""


@application()
def fork_bomb_of_root_meets_threads_max(guest):
    guest.expect(["python3", "-c", ROOTS_BOMB, "/proc/sys/kernel/threads-max", "60"],
                 stdout="EAGAIN True True\n", seconds=100)


# Once 300 tasks have been made, numbers below that are not given out again.
@application()
def fork_bomb_of_root_meets_pid_max(guest):
    guest.expect(["python3", "-c", ROOTS_BOMB, "/proc/sys/kernel/pid_max", "800"],
                 stdout="EAGAIN True True\n", seconds=100)


@application()
def limits_of_tasks_are_checked(guest):
    for path, bad in (("threads-max", "0"), ("pid_max", "300"), ("pid_max", "4194305"), ("pid_max", "x")):
        result = guest.run(["python3", "-c", f"open('/proc/sys/kernel/{path}', 'wb', 0).write(b'{bad}')"])
        if b"Invalid argument" not in result.stderr:
            raise Failed(f"{path} takes {bad}: {result}")


@application()
def full_file_system_says_so(guest):
    guest.shell("""
mkdir -p /tmp/small && mount -t tmpfs -o size=1m small /tmp/small && cd /tmp/small
! dd if=/dev/zero of=file bs=64k 2>/tmp/message && grep -c 'No space left on device' /tmp/message
[ "$(stat -c %s file)" -gt 900000 ] && rm file && dd if=/dev/zero of=file bs=64k count=8 2>/dev/null
cd / && umount /tmp/small && echo fine
""", stdout="1\nfine\n")


@application()
def program_that_takes_all_memory_is_ended(guest):
    hog = "kept = []\nwhile True: kept.append(bytearray(b'x') * (1 << 20))"
    guest.expect(["python3", "-c", hog], status=137, seconds=100)
    guest.shell("echo fine", stdout="fine\n")


def twice(name, argv, short):
    """A short run, and the long one of the full campaign."""
    for seconds, full in ((short, False), (300, True)):
        def hostile(guest, seconds=seconds):
            survive(guest, argv(seconds), seconds + 5)
        hostile.__name__ = f"{name}_{seconds}s"
        hostile.__module__ = "apps.hostile"
        application(image="test", seconds=seconds + 120, full=full,
                    when=lambda configuration: configuration.cpus == 2)(hostile)


twice("crashme", lambda seconds: ["crashme", "+2000", "1234", "100000",
                                  f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"], 10)
# Trinity ends when it thinks that the kernel has been damaged, which on Linux it soon does; so it is
# started again and again, with the next seed.  A run is short (2 to 3 s on an idle machine), so that many end in
# the time there is, although each waits for the last of its children.  Preparing its sockets, it crashes by itself where there is
# no network; it calls the socket calls all the same.
TRINITY = """
seed=0
while :; do
	seed=$((seed + 1))
	trinity -q -l off -a64 --disable-fds=sockets -C 4 -N 1000 -s $seed >>log 2>&1 || [ $? != 127 ] || exit 127
done
"""

twice("trinity", lambda seconds: ["sh", "-c", TRINITY], 20)


@application()
def caches_can_be_dropped(guest):
    """All at once, or a file's: its pages are read again afterwards."""
    script = """
import os

disk = os.open('/dev/vda', os.O_RDONLY)

def read():
    return [os.pread(disk, 1 << 20, at << 20) for at in range(16)]

def meminfo(name):
    return int(dict(line.split(':') for line in open('/proc/meminfo'))[name].split()[0])

def both():
    return meminfo('Cached') + meminfo('Buffers')

data, full = read(), both()
open('/proc/sys/vm/drop_caches', 'w').write('3')
print(full - both() >= 16 << 10, read() == data)
full = both()
os.posix_fadvise(disk, 0, 0, os.POSIX_FADV_DONTNEED)
print(full - both() >= 15 << 10, read() == data)
try:
    open('/proc/sys/vm/drop_caches', 'wb', 0).write(b'9')
except OSError as error:
    print(error.strerror)
"""
    guest.expect(["python3", "-c", script], stdout="True True\nTrue True\nInvalid argument\n")
