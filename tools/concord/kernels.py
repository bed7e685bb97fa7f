# SPDX-License-Identifier: MIT
"""Which kernel to boot: ours, a file, or one of Debian's."""

import lzma
import re
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import apt, places, say, scenario

DEBIAN = {"debian": "linux-image-amd64", "debian-cloud": "linux-image-cloud-amd64"}


@dataclass
class Kernel:
    path: Path
    linux: bool
    modules: Path | None = None     # lib/modules/VERSION, for Linux kernels that have it


def _from_debian(name):
    """Fetch and unpack one of Debian's kernels, once; afterwards it works offline."""
    home = places.CACHE / "kernels" / name
    with places.cache_lock(f"kernel-{name}"):
        if not home.exists():
            apt.update()
            package = apt.newest(DEBIAN[name])
            fresh = home.with_name(name + ".new")
            shutil.rmtree(fresh, ignore_errors=True)
            file = apt.download(package, fresh)
            say.run(["dpkg-deb", "-x", file, fresh], f"unpacking {package}")
            file.unlink()
            fresh.rename(home)
    path = next((home / "boot").glob("vmlinuz-*"))
    return Kernel(path, True, _modules_of(path, [home / "lib/modules", home / "usr/lib/modules"]))


def _modules_of(path, directories):
    with open(path, "rb") as file:
        head = file.read(0x8000)
    (offset,) = struct.unpack_from("<H", head, 0x20e)
    version = head[offset + 0x200:].split(b"\0")[0].split(b" ")[0].decode(errors="replace")
    for directory in directories:
        if version and (directory / version).is_dir():
            return directory / version
    return None


def _has_module(kernel, name):
    builtin = kernel.modules / "modules.builtin"
    return any(kernel.modules.glob(f"kernel/**/{name}.ko*")) or \
        (builtin.exists() and f"/{name}.ko" in builtin.read_text())


def check_net_device(kernel, device):
    """Complain if a Linux kernel is known to have no driver for that network card."""
    if device != "virtio" and kernel.linux and kernel.modules and not _has_module(kernel, device):
        raise say.Failure(f"--net-device {device}: {kernel.path.name} has no driver for it (Debian's cloud kernel "
                          "has none; --kernel debian has)", 2)


def check_share(kernel):
    """Complain if a Linux kernel is known to have no 9P."""
    if not kernel.linux or not kernel.modules:
        return
    if not _has_module(kernel, "9pnet_virtio"):
        raise say.Failure(f"--share: {kernel.path.name} has no 9P (Debian's cloud kernel has none; "
                          "--kernel debian has)", 2)


def _is_linux_elf(path):
    """Linux's banner is in its read-only data, uncompressed, in any vmlinux."""
    with open(path, "rb") as file:
        tail = b""
        while block := file.read(1 << 22):
            if re.search(rb"Linux version \d+\.\d+", tail + block):
                return True
            tail = block[-64:]
    return False


def uncompressed(kernel):
    """The ELF file of a kernel; a bzImage has it as a payload, compressed."""
    data = Path(kernel.path).read_bytes()
    if data[:4] == b"\x7fELF":
        return data
    (sectors,) = struct.unpack_from("<B", data, 0x1f1)
    offset, length = struct.unpack_from("<II", data, 0x248)
    payload = data[((sectors or 4) + 1) * 512 + offset:][:length]
    if payload[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor().decompress(payload)
    if payload[:4] == b"\x02!L\x18" and shutil.which("lz4"):
        # The last 4 bytes are the size and no part of the frame: lz4 complains and is right.
        return subprocess.run(["lz4", "-dc"], input=payload[:-4], capture_output=True).stdout
    raise scenario.Skip(f"nothing here decompresses {kernel.path.name}")


def find(name):
    """The kernel that `--kernel NAME` means; no name means ours, which the caller has built."""
    if name is None:
        return Kernel(places.KERNEL, False)
    if name in DEBIAN:
        return _from_debian(name)
    path = Path(name)
    try:
        with open(path, "rb") as file:
            head = file.read(0x210)
    except OSError as error:
        raise say.Failure(f"--kernel {name}: {error.strerror}", 2) from None
    if head[0x202:0x206] == b"HdrS":
        return Kernel(path, True, _modules_of(path, [path.parent.parent / "lib/modules",
                                                     Path("/lib/modules")]))
    if head[:4] == b"\x7fELF":
        return Kernel(path, _is_linux_elf(path))
    raise say.Failure(f"--kernel {name}: neither an ELF file nor a Linux bzImage", 2)
