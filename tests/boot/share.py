# SPDX-License-Identifier: MIT
"""Directories of this machine in the guest (run --share): what both see, and what a driver's death does to it.

The tests run on Debian's kernel, too (./concord test --kernel debian boot/share), whose 9P is the yardstick."""

import dataclasses
import hashlib
import os
import stat

from concord import qemu, runner, test
from concord.scenario import Failed, boot


# A message to the server passes through several threads of QEMU: on a busy machine that takes long, on
# any kernel, and much longer with two processors than with one.  So there is one run of each, mostly with one.

def in_kernel(configuration, cpus=1):
    return configuration.placement == "kernel" and configuration.cpus == cpus


def in_each(configuration):
    return in_kernel(configuration) or (configuration.placement == "process" and configuration.cpus == 1)


def on_concord(configuration):
    return not configuration.kernel


class Machine:
    """A guest with a directory of this machine at /mnt/share, and the test programs at /tests."""

    def __init__(self, lab, read_only=False, words=()):
        self.lab = lab
        self.folder = lab.folder / "shared, with a comma"
        self.folder.mkdir(exist_ok=True)
        mode = "ro" if read_only else "rw"
        machine = test.machine_for(lab.configuration, lab.image,
                                   ["concord.mount=/dev/vdb:erofs:/tests", f"concord.share={qemu.SHARE_TAG}:{mode}:/mnt/share",
                                    *words], [test.programs_image(test.linux_programs())])
        self.guest = runner.Guest(dataclasses.replace(machine, share=qemu.Share(self.folder, read_only)))

    def __enter__(self):
        self.guest.boot(self.lab.deadline)
        return self

    def __exit__(self, *_):
        self.guest.__exit__()

    def shell(self, script, status=0):
        """Its output."""
        done = self.guest.command(["bash", "-euc", "cd /mnt/share; " + script], deadline=self.lab.deadline)
        if done.status != status:
            raise Failed(f"{script[:300]}: status {done.status}\n{done.stdout.decode(errors='replace')[-2000:]}\n"
                         f"{done.stderr.decode(errors='replace')[-2000:]}\n{self.guest.console_text()[-2000:]}")
        return done.stdout.decode(errors="replace")

    def expect(self, script, output):
        found = self.shell(script)
        if found != output:
            raise Failed(f"{script[:300]}:\n{found[-2000:]}\nnot\n{output[-2000:]}")

    def cases(self, program, *names):
        """Run a test program on the share; what failed."""
        done = self.guest.command([f"/tests/{program}_test", *names], deadline=self.lab.deadline,
                                  environment={**runner.ENVIRONMENT, "TEST_DIR": "/mnt/share"})
        lines = done.stdout.decode(errors="replace").splitlines()
        if not lines or done.status not in (0, 1):
            return [f"{program}: status {done.status}"]
        return [f"{program}: {line}" for line in lines if line.startswith("not ok")]


def write(path, data):
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


@boot(seconds=240, when=lambda configuration: in_kernel(configuration, 2))
def both_sides_see_what_the_other_writes(lab):
    with Machine(lab) as machine:
        folder = machine.folder
        there = write(folder / "there", os.urandom(1_000_003))
        machine.expect("sha256sum <there | cut -d' ' -f1; stat -c %s there", f"{there}\n1000003\n")
        machine.shell("head -c 500003 /dev/urandom >back; sha256sum <back | cut -d' ' -f1 >sum")
        if hashlib.sha256((folder / "back").read_bytes()).hexdigest() + "\n" != (folder / "sum").read_text():
            raise Failed("the guest's file has other bytes here")
        # A file that is open there is changed and replaced here.
        machine.shell("exec 3<there; sleep 1000 <&3 & echo $! >/tmp/pid")
        write(folder / "there", b"changed")
        (folder / "back").rename(folder / "moved")
        (folder / "sum").unlink()
        machine.expect("cat there; ls; ! cat back 2>&1; kill $(cat /tmp/pid)",
                       "changedmoved\nthere\ncat: back: No such file or directory\n")
        machine.shell("""mkdir -p a/b && mv moved a/b/c && ln a/b/c a/hard && ln -s b/c a/soft && chmod 640 a/b/c
            touch -d '2001-02-03 04:05:06.5' a/hard && echo x >>a/soft && truncate -s 100 there && rm -r a/b""")
        found = os.stat(folder / "a/hard")
        if (stat.S_IMODE(found.st_mode), found.st_size, found.st_nlink) != (0o640, 500005, 1):
            raise Failed(f"a/hard: {found}")
        if os.readlink(folder / "a/soft") != "b/c" or (folder / "there").read_bytes() != b"changed" + bytes(93):
            raise Failed("a link or a length is wrong")
        machine.expect("rm -r a there; ls -A", "")


MAPPINGS = """
import mmap, os
f = open("f", "w+b")
f.write(b"x" * 5000 + b"end"); f.flush()
m = mmap.mmap(f.fileno(), 0, flags=mmap.MAP_PRIVATE); m[0:1] = b"y"
print(m[0:2], m[-3:], open("f", "rb").read(2))
try: mmap.mmap(f.fileno(), 0)
except OSError as e: print(e.strerror)
g = open("f", "rb")
s = mmap.mmap(g.fileno(), 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
os.unlink("f")
print(s[-3:], os.fstat(f.fileno()).st_size, os.pread(f.fileno(), 3, 5000))
fd = os.open("f", os.O_CREAT | os.O_RDWR | os.O_EXCL, 0o400)
print(os.write(fd, b"z"), oct(os.stat("f").st_mode))
"""


@boot(seconds=240, when=in_kernel)
def programs_work_in_a_share(lab):
    """git, tar, many files, programs that are run from it, mappings, attributes, options, statfs."""
    with Machine(lab) as machine:
        machine.expect("""
            mkdir /tmp/empty /tmp/r && git init -q -b main --template=/tmp/empty /tmp/r && cd /tmp/r && echo text >f && git add f
            git -c user.name=n -c user.email=e commit -qm made && cd /mnt/share && git clone -q --template=/tmp/empty /tmp/r r
            git -C r fsck --no-progress && git -C r log --format=%s
            tar cf t.tar r && mkdir t && tar xf t.tar -C t && diff -r r t/r && echo same
            mkdir m && for i in $(seq 40); do echo $i >m/$i; done; ls m | wc -l; cat m/* | sort -n | tail -1
            cp /bin/echo ./say && ./say runs && rm -r r t m say
            grep -o 'access=client,trans=virtio' /proc/mounts; stat -fc %l .""",
                       "made\nsame\n40\n40\nruns\naccess=client,trans=virtio\n255\n")
        machine.expect(f"python3 -c '{MAPPINGS}'",
                       "b'yx' b'end' b'xx'\nInvalid argument\nb'end' 5003 b'end'\n1 0o100400\n")
        machine.shell("""! mount -t 9p nosuch /tmp 2>/dev/null; ! mount -t 9p share /tmp 2>/dev/null
            cd / && umount /mnt/share && ! mount -t 9p -o trans=nosuch share /mnt/share 2>/dev/null
            mount -t 9p -o trans=virtio,version=9p2000.L,msize=65536,access=any,passed=over share /mnt/share
            grep -q 'access=any,msize=65536,trans=virtio' /proc/mounts && test -e /mnt/share/t.tar""")


# What these need is not in the protocol, or QEMU's server does not do it: shared writable mappings, RENAME_NOREPLACE,
# FIFOs, a file that only a descriptor leads to, empty attributes, O_APPEND that is taken back; other files on this
# machine come and go; or they make thousands of files, each of which takes a dozen messages.
NOT_THERE = {
    "fs": {"unlinked_files_work_and_cannot_be_named_again", "extended_attributes_of_several_sizes",
           "mappings_reads_and_writes_agree", "a_mapping_beyond_the_end_is_a_bus_error",
           "random_changes_agree_with_a_copy_in_memory", "free_space_goes_and_comes_back"},
    "file": {"append_goes_to_the_end_whatever_the_position", "reading_into_a_mapping_of_the_same_file",
             "a_mapping_shows_what_is_written_and_back"},
    "dir": {"rename_noreplace_and_exchange", "entries_say_what_stat_says", "mknod_makes_files_fifos_and_sockets",
            "inotify_on_a_directory", "inotify_on_a_file", "inotify_errors", "listing_a_large_directory",
            "removing_while_listing_misses_nothing"},
    "attr": {"xattrs_are_set_read_listed_removed"},
}


@boot(seconds=900, when=in_kernel, full=True)
def the_tests_of_files_pass_in_a_share(lab):
    wrong = []
    with Machine(lab) as machine:
        for program, excluded in NOT_THERE.items():
            listed = machine.guest.command([f"/tests/{program}_test", "-l"], deadline=lab.deadline).stdout.decode().split()
            wrong += machine.cases(program, *(name for name in listed if name not in excluded))
    if wrong:
        raise Failed("\n".join(["cases fail", *wrong]))


@boot(seconds=120, when=lambda configuration: in_kernel(configuration, 2))
def a_share_can_be_read_only(lab):
    with Machine(lab, read_only=True) as machine:
        write(machine.folder / "f", b"text")
        machine.expect("cat f; ! echo x 2>&1 >g; ! rm f 2>&1; grep -c ' /mnt/share 9p ro,' /proc/mounts",
                       "textbash: line 1: g: Read-only file system\n"
                       "rm: cannot remove 'f': Read-only file system\n1\n")


KILLED = """
head -c 6000000 /dev/urandom >/tmp/source
(for i in 1 2 3 4 5 6; do conctl kill virtio-9p.0; sleep 0.1; done) & killer=$!
cp /tmp/source copied; cmp /tmp/source copied; cp copied again; cmp /tmp/source again
mkdir m; for i in $(seq 20); do echo $i >m/$i; done; cat m/* | sort -n | tail -1; rm -r m
wait $killer; cmp /tmp/source copied; ls
"""


@boot(seconds=180, when=lambda configuration: on_concord(configuration) and in_each(configuration))
def the_driver_of_a_share_can_die(lab):
    """Its successor goes on in the session that is open: nothing is lost, nothing fails."""
    with Machine(lab) as machine:
        machine.expect(KILLED, "20\nagain\ncopied\n")
        machine.shell("conctl log virtio-9p.0 | grep -q 'serves after .* with the live device'")
        if (machine.folder / "copied").read_bytes() != (machine.folder / "again").read_bytes():
            raise Failed("the copies differ")


RESET = """
restarts() { conctl log virtio-9p.0 | grep -c 'serves after' || :; }
restart() { before=$(restarts); conctl kill virtio-9p.0; while [ $(restarts) -le $before ]; do sleep 0.02; done; }
exec 3<there 4>>log; cd sub
read -r line <&3; echo $line
for i in 1 2 3; do
    restart
    echo $i >&4; read -r line <&3; echo $line; cat there; ls; stat -Lc %s /proc/self/fd/4
done
(while :; do cat there || :; done) >/tmp/out 2>/tmp/err & load=$!
for i in 1 2 3 4 5 6 7 8; do conctl kill virtio-9p.0; sleep 0.05; done; kill $load; wait $load || :; restart
grep -v 'Input/output error' /tmp/err || :
cat there; cat /mnt/share/log
"""


@boot(seconds=180, when=lambda configuration: on_concord(configuration) and in_kernel(configuration))
def a_share_begins_anew_after_a_reset(lab):
    """Where the device is reset, what was in flight fails; open files and directories go on."""
    with Machine(lab, words=["virtio-9p.adopt=reset"]) as machine:
        (machine.folder / "sub").mkdir()
        write(machine.folder / "sub/there", b"here\n")
        write(machine.folder / "there", b"one\ntwo\nthree\nfour\n")
        machine.expect(RESET, "one\n" + "".join(f"{word}\nhere\nthere\n{2 * i}\n" for i, word in
                                                enumerate(("two", "three", "four"), 1)) + "here\n1\n2\n3\n")
        machine.shell("conctl log virtio-9p.0 | grep -q 'serves after .* after a reset'")
