# SPDX-License-Identifier: MIT
"""Disks with partition tables, as programs see them."""

import struct
import zlib

from concord.scenario import Failed, boot

SECTOR = 512
SECTORS = 16384


def once(configuration):
    """The partitions are found the same way on any number of processors."""
    return configuration.cpus == 2 and configuration.placement == "kernel"


def record(*entries):
    """A boot record with (type, first sector, sectors)."""
    table = b"".join(struct.pack("<4xB3xII", *entry) for entry in entries)
    return b"\0" * 440 + struct.pack("<IH", 0xc0c0cafe, 0) + table.ljust(64, b"\0") + b"\x55\xaa"


def put(disk, sector, data):
    disk[sector * SECTOR:sector * SECTOR + len(data)] = data


def mbr_disk():
    """Two partitions, one of which is longer than the disk, and an extended one that holds two."""
    disk = bytearray(SECTORS * SECTOR)
    put(disk, 0, record((0x83, 2048, 1024), (0x83, 16000, 5000), (0x05, 4096, 8192)))
    put(disk, 2048, b"first")
    put(disk, 4096, record((0x83, 64, 512), (0x05, 2048, 2048)))
    put(disk, 4160, b"fifth")
    put(disk, 6144, record((0x83, 64, 512)))
    return disk


def gpt_disk(broken=False):
    disk = bytearray(SECTORS * SECTOR)
    put(disk, 0, record((0xee, 1, 0xffffffff)))
    table = b"".join(struct.pack("<16s16sQQQ72s", b"t" * 16, b"u" * 16, first, last, 0, name.encode("utf-16-le"))
                     for first, last, name in ((2048, 4095, "boot"), (4096, 8191, "data")))
    table = table.ljust(128 * 128, b"\0")
    for mine, other, at in ((1, SECTORS - 1, 2), (SECTORS - 1, 1, SECTORS - 33)):
        header = struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, mine, other, 34,
                             SECTORS - 34, b"g" * 16, at, 128, 128, zlib.crc32(table))
        checksum = zlib.crc32(header) ^ broken
        put(disk, mine, header[:16] + struct.pack("<I", checksum) + header[20:])
        put(disk, at, table)
    return disk


LOOK = """
cd /sys/class/block
for name in vd[bcd]*; do
	[ ! -f $name/partition ] || echo $name $(cat $name/dev $name/partition $name/start $name/size)
done
awk '$4 ~ /^vd[bcd]/ { print $3, $4 }' /proc/partitions
grep PARTNAME vd*/uevent
head -c 5 /dev/vdb1; head -c 5 /dev/vdb5; echo
"""

SEEN = """\
vdb1 254:17 1 2048 1024
vdb2 254:18 2 16000 384
vdb3 254:19 3 4096 2
vdb5 254:21 5 4160 512
vdb6 254:22 6 6208 512
vdc1 254:33 1 2048 2048
vdc2 254:34 2 4096 4096
8192 vdb
512 vdb1
192 vdb2
1 vdb3
256 vdb5
256 vdb6
8192 vdc
1024 vdc1
2048 vdc2
8192 vdd
vdc1/uevent:PARTNAME=boot
vdc2/uevent:PARTNAME=data
firstfifth
"""


@boot(when=once)
def partition_tables_are_read(lab):
    drives = [lab.file(name, bytes(data)) for name, data in
              (("mbr", mbr_disk()), ("gpt", gpt_disk()), ("broken", gpt_disk(broken=True)))]
    options = [word for drive in drives for word in ("--drive", str(drive))]
    ended = lab.concord("run", *lab.run_options(), *options, "--", "sh", "-c", LOOK)
    text = ended.stdout.decode(errors="replace")
    if text != SEEN:
        raise Failed(f"programs see\n{text}")
