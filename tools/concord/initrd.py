# SPDX-License-Identifier: MIT
"""The initramfs that lets a Linux kernel mount our root file systems.

Debian's kernels have their drivers as modules.  This archive holds busybox, the
modules that our virtual machines need, in the order of their dependencies, and
an /init that understands the same words on the command line as Concord's kernel
does: root= rootfstype= rootflags= ro rw init= concord.overlay=tmpfs."""

import hashlib
import lzma
import re
from pathlib import Path

from . import cpio, places, say

BUSYBOX = Path("/bin/busybox")

# Some of these are built in, depending on the kernel.
MODULES = ["virtio_pci", "virtio_mmio", "virtio_blk", "virtio_console", "virtio_rng",
           "erofs", "ext4", "overlay", "9pnet_virtio", "9p"]
# ... for the disks of a machine that has them: loading takes time, which is compared with ours.
BUS_MODULES = {"virtio": [], "nvme": ["nvme"], "ahci": ["ahci", "sd_mod"]}
NET_MODULES = {"virtio": ["virtio_net"], "e1000": ["e1000"]}    # the same, of one that has such a network card

INIT = """\
#!/bin/busybox sh
# Mount the root file system and start its init.
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs dev /dev
for module in $($bb cat /modules/order); do
	$bb insmod /modules/$module || echo "initrd: cannot load $module"
done

root= type=auto flags= mode=ro init= overlay= args= rest=
for word in $($bb cat /proc/cmdline); do
	if [ -n "$rest" ]; then
		args="$args $word"
		continue
	fi
	case $word in
	--) rest=1 ;;
	root=*) root=${word#root=} ;;
	rootfstype=*) type=${word#rootfstype=} ;;
	rootflags=*) flags=,${word#rootflags=} ;;
	ro | rw) mode=$word ;;
	init=*) init=${word#init=} ;;
	concord.overlay=tmpfs) overlay=1 ;;
	esac
done

tries=0
while [ ! -b "$root" ] && [ $tries -lt 1000 ]; do
	$bb usleep 10000
	tries=$((tries + 1))
done

if [ -n "$overlay" ]; then
	$bb mount -t "$type" -o "ro$flags" "$root" /lower &&
	$bb mount -t tmpfs -o mode=0755 upper /upper &&
	$bb mkdir /upper/data /upper/work &&
	$bb mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work root /root
else
	$bb mount -t "$type" -o "$mode$flags" "$root" /root
fi || { echo "initrd: cannot mount root=$root ($type)"; $bb poweroff -f; }

if [ -z "$init" ]; then
	for init in /sbin/init /etc/init /bin/init /bin/sh; do
		[ -x "/root$init" ] || [ -L "/root$init" ] && break
	done
fi
$bb umount /proc /sys
$bb mount --move /dev /root/dev
# shellcheck disable=SC2086
exec $bb switch_root /root "$init" $args
"""


def _module_data(path):
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def _modules_in_order(modules, names):
    """(name, data) of what is named and what that depends on, dependencies first."""
    files = {}
    for path in sorted(modules.glob("kernel/**/*.ko*")):
        files[path.name.partition(".")[0].replace("-", "_")] = path
    ordered = {}

    def add(name):
        name = name.replace("-", "_")
        if name in ordered or name not in files:
            return              # built in, or not of this kernel
        data = _module_data(files[name])
        needs = re.search(rb"\0depends=([^\0]*)\0", data)
        for need in filter(None, (needs.group(1) if needs else b"").decode().split(",")):
            add(need)
        for need in re.findall(rb"\0softdep=pre: ([^\0]*)\0", data):
            for alias in need.decode().split():
                add(alias)
                add(alias + "_generic")
        ordered[name] = data

    for name in names:
        add(name)
    return ordered


def make(kernel, disk_bus="virtio", net=None):
    """The path of the initramfs for a Linux kernel; made once per kernel and recipe.  `net`: a card's device, or None."""
    names = MODULES + BUS_MODULES[disk_bus] + (NET_MODULES[net] if net else [])
    recipe = hashlib.sha256(Path(__file__).read_bytes() + BUSYBOX.read_bytes()
                            + f"{kernel.modules} {disk_bus} {net}".encode()).hexdigest()[:16]
    path = places.CACHE / "initrd" / f"{recipe}.cpio"
    with places.cache_lock("initrd"):
        if path.exists():
            return path
        say.note("making the initrd for the Linux kernel")
        path.parent.mkdir(parents=True, exist_ok=True)
        modules = _modules_in_order(kernel.modules, names) if kernel.modules else {}
        fresh = path.with_suffix(".new")
        with open(fresh, "wb") as stream:
            archive = cpio.Archive(stream)
            for directory in ("bin", "dev", "proc", "sys", "root", "lower", "upper", "modules"):
                archive.directory(directory)
            archive.device("dev/console", 5, 1)
            archive.device("dev/null", 1, 3, 0o666)
            archive.file("bin/busybox", BUSYBOX.read_bytes(), 0o755)
            archive.symlink("bin/sh", "busybox")
            archive.file("init", INIT.encode(), 0o755)
            archive.file("modules/order", "\n".join(f"{name}.ko" for name in modules).encode())
            for name, data in modules.items():
                archive.file(f"modules/{name}.ko", data)
            archive.close()
        fresh.rename(path)
    return path
