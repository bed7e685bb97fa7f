# SPDX-License-Identifier: MIT
"""What administrators' programs make of disks: loop devices, partitions, file systems."""

from concord.scenario import application


def concord(configuration):
    """Debian's cloud kernel has its loop devices in a module, which the image does not have."""
    return not configuration.kernel


@application(when=concord)
def loop_devices_are_listed(guest):
    guest.shell("""
cd /tmp && truncate -s 1M image
loop=$(losetup --find --show --read-only --offset 4096 --sizelimit 65536 image)
losetup --noheadings --list --output BACK-FILE,OFFSET,SIZELIMIT,RO $loop | tr -s ' '
lsblk --noheadings --output SIZE,RO,TYPE $loop | tr -s ' '
losetup --associated image | wc -l
losetup --detach $loop
losetup --associated image
""", stdout="/tmp/image 4096 65536 1\n 64K 1 loop\n1\n")


@application(when=concord)
def partition_tables_are_read_again(guest):
    """A table that the program writes itself: no partition editor is needed."""
    guest.shell("""
cd /tmp && truncate -s 8M image
python3 - <<'END'
import struct
with open("image", "r+b") as disk:
    disk.seek(446)
    disk.write(struct.pack("<4xB3xII", 0x83, 2048, 4096) + struct.pack("<4xB3xII", 0x83, 8192, 2048))
    disk.seek(510)
    disk.write(bytes([0x55, 0xaa]))
END
loop=$(losetup --find --show --partscan image)
lsblk --noheadings --raw --output SIZE,TYPE $loop
cat /sys/class/block/${loop#/dev/}p2/start
exec 3<${loop}p1
blockdev --rereadpt $loop 2>/dev/null || echo busy
exec 3<&-
blockdev --rereadpt $loop && echo read
partx --delete --nr 2 $loop && ls ${loop}p*  | wc -l
losetup --detach $loop
ls ${loop}p* 2>/dev/null | wc -l
""", stdout="8M loop\n2M part\n1M part\n8192\nbusy\nread\n1\n0\n")


@application(image="test", when=concord)
def file_systems_on_loop_devices(guest):
    guest.shell("""
cd /tmp && truncate -s 16M image && mkfs.ext4 -q image && mkdir point
mount -o loop image point
findmnt --noheadings --output FSTYPE point
cp /bin/bash point && cmp /bin/bash point/bash
umount point
losetup --associated image
e2fsck -fn image >/dev/null 2>&1 && echo clean
mount -o loop,ro image point && cmp /bin/bash point/bash && umount point && echo same
rm -r image point
""", stdout="ext4\nclean\nsame\n")


@application(image="test", when=concord)
def direct_transfers_and_the_page_cache_agree(guest):
    guest.shell("""
cd /tmp && truncate -s 16M image && mkfs.ext4 -q image && mkdir point && mount -o loop image point && cd point
head -c 1M /dev/urandom >/tmp/data
dd if=/tmp/data of=file bs=64k oflag=direct status=none && cmp /tmp/data file && echo new
dd if=file of=/tmp/seen bs=128k iflag=direct status=none && cmp /tmp/data /tmp/seen && echo read
head -c 1M /dev/urandom >/tmp/data
cat file >/dev/null                                 # now it is in the cache
dd if=/tmp/data of=file bs=32k oflag=direct conv=notrunc status=none && cmp /tmp/data file && echo overwritten
printf changed | dd of=file bs=1 seek=5000 conv=notrunc status=none
dd if=file bs=512 skip=9 count=2 iflag=direct status=none | tail -c +393 | head -c 7; echo
dd if=/tmp/data of=file bs=1000 count=1 oflag=direct conv=notrunc status=none 2>/dev/null || echo unaligned
printf tail >short; dd if=short bs=4096 iflag=direct status=none; echo
cd /tmp && umount point && e2fsck -fn image >/dev/null 2>&1 && echo clean
rm -r image point data seen
""", stdout="new\nread\noverwritten\nchanged\nunaligned\ntail\nclean\n")
