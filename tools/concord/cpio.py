# SPDX-License-Identifier: MIT
"""A writer of cpio archives in the "newc" format, which every kernel takes as an initramfs.

Writing it here, and not with cpio(1), allows device nodes without being root and
makes the same bytes from the same contents."""

import stat


class Archive:
    def __init__(self, stream):
        self.stream = stream
        self.inode = 0
        self.directories = set()

    def _entry(self, name, mode, data=b"", rdev=(0, 0)):
        name = name.strip("/").encode() + b"\0"
        self.inode += 1
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = (self.inode, mode, 0, 0, links, 0, len(data), 0, 0, *rdev, len(name), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
        self.stream.write(head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4))

    def directory(self, name, mode=0o755):
        """A directory, and the ones above it, unless it is there already."""
        name = name.strip("/")
        if not name or name in self.directories:
            return
        self.directory(name.rpartition("/")[0])
        self.directories.add(name)
        self._entry(name, stat.S_IFDIR | mode)

    def file(self, name, data, mode=0o644):
        self.directory(name.rpartition("/")[0])
        self._entry(name, stat.S_IFREG | mode, data)

    def symlink(self, name, target):
        self.directory(name.rpartition("/")[0])
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name, major, minor, mode=0o600):
        self.directory(name.rpartition("/")[0])
        self._entry(name, stat.S_IFCHR | mode, rdev=(major, minor))

    def close(self):
        """The trailer, and padding that keeps a following archive aligned."""
        self.inode = -1
        self._entry("TRAILER!!!", 0)
        self.stream.write(bytes(-self.stream.tell() % 512))
