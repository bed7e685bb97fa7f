# SPDX-License-Identifier: MIT
"""File systems that are programs: Debian's squashfuse and fuse2fs, unmodified."""

from concord.scenario import application

SQUASHFUSE = """
mkdir -p /tmp/fuse/src/dir /tmp/fuse/mnt && cd /tmp/fuse && echo hello >src/a && cp /bin/bash src/dir && ln -s a src/l
mksquashfs src img -quiet -no-progress && squashfuse img mnt && cat mnt/a mnt/l && ls mnt && cmp /bin/bash mnt/dir/bash
mnt/dir/bash -c 'echo runs'
grep -c ' fuse.squashfuse ' /proc/mounts
umount mnt
for i in 1 2 3 4 5 6 7 8 9 10; do pgrep squashfuse >/dev/null || break; sleep 1; done; pgrep squashfuse || echo gone
cd / && rm -r /tmp/fuse
"""

FUSE2FS = """
mkdir -p /tmp/fuse/mnt && cd /tmp/fuse && truncate -s 32M img && mkfs.ext4 -q img && fuse2fs img mnt && cd mnt
mkdir -p d/e && cp /bin/bash b && cmp b /bin/bash && for i in $(seq 50); do echo $i >d/f$i; done && cat d/f* | sort -n | tail -1
mv d/f50 d/e/two && ln d/e/two l2 && stat -c %h l2 && ln -s d/e/two s && cat s && rm d/f1 && ls d | wc -l
chmod 600 b && truncate -s 100 b && echo more >>b && stat -c '%a %s' b && tail -c 5 b
python3 -c '
import os
f = open("r", "w+b"); f.write(b"x" * 300000); f.seek(100000); f.write(b"abc"); f.flush(); f.seek(99999)
print(f.read(5)); f.seek(0); d = f.read(); print(len(d), d.count(b"x"))
os.setxattr("r", "user.k", b"v"); print(os.getxattr("r", "user.k"), os.listxattr("r"))'
cd .. && umount mnt
for i in 1 2 3 4 5 6 7 8 9 10; do pgrep fuse2fs >/dev/null || break; sleep 1; done
e2fsck -fn img >/dev/null 2>&1 && echo clean
fuse2fs img mnt && exec 3<mnt/b && cat mnt/d/e/two
pkill -9 fuse2fs; while pgrep fuse2fs >/dev/null; do sleep 0.1; done
! cat mnt/d/e/two 2>&1; ! head -c 5 <&3 2>&1; ! ls mnt 2>&1
exec 3<&-; umount mnt; cd / && rm -r /tmp/fuse && echo fine
"""


@application(image="test", seconds=120)
def squashfuse_shows_an_image(guest):
    guest.shell(SQUASHFUSE, stdout="hello\nhello\na\ndir\nl\nruns\n1\ngone\n")


@application(image="test", seconds=120)
def fuse2fs_reads_and_writes_and_its_death_is_an_error(guest):
    not_connected = "Transport endpoint is not connected\n"
    guest.shell(FUSE2FS, stdout="50\n2\n50\n49\n600 105\nmore\nb'xabcx'\n300000 299997\nb'v' ['user.k']\nclean\n50\n"
                f"cat: mnt/d/e/two: {not_connected}head: error reading 'standard input': {not_connected}"
                f"ls: cannot open directory 'mnt': {not_connected}fine\n")
