# SPDX-License-Identifier: MIT
"""Work that is acknowledged when it is on the disk: what tests/boot/powercut.py runs in the guest.

acknowledge.py FOLDER SEED WORKER:STEPS ...

Workers run side by side.  Each says on standard output what it is about to do, and after that that
it is done; a line is WHO, "begin" or "done", and JSON.  After each line it waits until the host has
written WHO on standard input: the host knows then what the disk had been told by that time.

A claim about a file is [path, bytes, CRC], or [path, null, null] where it is not there."""

import ctypes
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import zlib


class Worker(threading.Thread):
    def __init__(self, top, name, seed, steps):
        super().__init__()
        self.name = name
        self.steps = steps
        self.random = random.Random(f"{seed} {name}")
        self.folder = os.path.join(top, name)
        self.may_go_on = threading.Semaphore(0)
        os.mkdir(self.folder)

    def say(self, kind, **what):
        with lock:
            print(self.name, kind, json.dumps(what), flush=True)
        self.may_go_on.acquire()

    def run(self):
        try:
            self.prepare()
            for number in range(1, self.steps + 1):
                self.step(number)
        except BaseException as error:      # the host looks for what did not end
            with lock:
                print(self.name, "failed", json.dumps({"why": repr(error)}), flush=True)
            raise
        finally:
            self.end()

    def prepare(self):
        pass

    def end(self):
        pass


def sync_folder(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


class Journal(Worker):
    """Files are appended to, replaced, overwritten, renamed and deleted, each followed by an fsync."""

    def prepare(self):
        self.contents = {}
        self.deck = []                  # of things to do: all kinds come often
        os.mkdir(self.folder + "/sub")
        sync_folder(self.folder)
        sync_folder(os.path.dirname(self.folder))

    def claim(self, *paths):
        top = os.path.dirname(self.folder)
        return [[os.path.relpath(path, top), len(self.contents[path]), zlib.crc32(self.contents[path])]
                if path in self.contents else [os.path.relpath(path, top), None, None] for path in paths]

    def somewhere(self):
        return self.folder + self.random.choice(("/", "/sub/")) + f"file{self.random.randrange(4)}"

    def step(self, number):
        if not self.deck:
            self.deck = [self.append, self.replace, self.overwrite, self.overwrite, self.cut, self.rename,
                         self.delete, self.preallocate, self.collapse, self.insert]
            self.random.shuffle(self.deck)
        doing, path = self.deck.pop(), self.somewhere()
        if doing in (self.overwrite, self.cut, self.rename, self.delete, self.collapse, self.insert):
            if not self.contents:
                doing = self.append
            elif path not in self.contents:
                path = self.random.choice(sorted(self.contents))
        elif doing == self.preallocate and path in self.contents:
            doing = self.replace
        doing(path)

    def begin(self, *paths, atomic=False):
        self.say("begin", paths=[claim[0] for claim in self.claim(*paths)], atomic=atomic)

    def done(self, *paths):
        self.say("done", files=self.claim(*paths))

    def bytes(self, most=30000):
        return self.random.randbytes(self.random.randrange(1, most))

    def append(self, path):
        self.begin(path)
        data, new = self.bytes(), path not in self.contents
        with open(path, "ab") as file:
            for at in range(0, len(data), 5000):
                file.write(data[at:at + 5000])
            file.flush()
            os.fsync(file.fileno())
        if new:
            sync_folder(os.path.dirname(path))
        self.contents[path] = self.contents.get(path, b"") + data
        self.done(path)

    def overwrite(self, path):
        self.begin(path)
        old, data = self.contents[path], self.bytes(9000)
        at = self.random.randrange(len(old) + 1)
        if self.random.random() < 0.7:      # in its blocks: nothing is to be journalled
            data = data[:len(old) - at]
        with open(path, "r+b") as file:
            file.seek(at)
            file.write(data)
            file.flush()
            os.fdatasync(file.fileno())
        self.contents[path] = old[:at] + data + old[at + len(data):]
        self.done(path)

    def cut(self, path):
        self.begin(path)
        size = self.random.randrange(len(self.contents[path]) + 9000)
        fd = os.open(path, os.O_RDWR)
        os.ftruncate(fd, size)
        os.fsync(fd)
        os.close(fd)
        self.contents[path] = self.contents[path][:size].ljust(size, b"\0")
        self.done(path)

    def preallocate(self, path):
        self.begin(path)
        data, room = self.bytes(), self.random.randrange(1, 60000)
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        os.posix_fallocate(fd, 0, room)
        at = self.random.randrange(room)
        os.pwrite(fd, data, at)
        os.fsync(fd)
        os.close(fd)
        sync_folder(os.path.dirname(path))
        self.contents[path] = (bytes(at) + data).ljust(room, b"\0")
        self.done(path)

    def shift(self, path, mode, at, size):
        fd = os.open(path, os.O_RDWR)
        if libc.fallocate64(fd, mode, ctypes.c_int64(at), ctypes.c_int64(size)):
            raise OSError(ctypes.get_errno(), "fallocate")
        os.fsync(fd)
        os.close(fd)

    def collapse(self, path):
        """A range goes, and what is behind it moves."""
        old = self.contents[path]
        blocks = (len(old) - 1) // 4096
        if blocks < 1:
            return self.append(path)
        self.begin(path)
        at = self.random.randrange(blocks)
        end = self.random.randrange(at, blocks) + 1
        self.shift(path, 0x08, 4096 * at, 4096 * (end - at))
        self.contents[path] = old[:4096 * at] + old[4096 * end:]
        self.done(path)

    def insert(self, path):
        old = self.contents[path]
        if not old:
            return self.append(path)
        self.begin(path)
        at, size = self.random.randrange((len(old) + 4095) // 4096) * 4096, self.random.randrange(1, 8) * 4096
        self.shift(path, 0x20, at, size)
        self.contents[path] = old[:at] + bytes(size) + old[at:]
        self.done(path)

    def replace(self, path):
        """Whoever looks after a crash sees the old contents or the new ones."""
        self.begin(path, atomic=True)
        data = self.bytes(60000)
        with open(path + ".new", "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(path + ".new", path)
        sync_folder(os.path.dirname(path))
        self.contents[path] = data
        self.done(path)

    def rename(self, path):
        other = self.somewhere()
        self.begin(path, other)
        os.rename(path, other)
        for folder in {os.path.dirname(path), os.path.dirname(other)}:
            sync_folder(folder)
        self.contents[other] = self.contents[path]
        if other != path:
            del self.contents[path]
        self.done(path, other)

    def delete(self, path):
        self.begin(path, atomic=True)
        os.unlink(path)
        sync_folder(os.path.dirname(path))
        del self.contents[path]
        self.done(path)


class Numbered(Worker):
    """Step after step: those that are done stay."""

    def step(self, number):
        self.say("begin", number=number)
        self.work(number)
        self.say("done", number=number)


def row(number):
    return ("%d." % number) * (number * 7919 % 900 + 1)


class Sqlite(Numbered):
    mode, synchronous = "wal", "full"

    def prepare(self):
        self.base = sqlite3.connect(self.folder + "/base", isolation_level=None, check_same_thread=False)
        self.base.execute(f"pragma journal_mode = {self.mode}")
        # without "extra" the deletion of a rollback journal may be lost, which undoes a transaction
        self.base.execute(f"pragma synchronous = {self.synchronous}")
        self.base.execute("pragma wal_autocheckpoint = 20")
        self.base.execute("create table t (number integer primary key, text text)")
        self.base.execute("create table last (number integer)")
        self.base.execute("insert into last values (0)")
        sync_folder(self.folder)
        sync_folder(os.path.dirname(self.folder))

    def work(self, number):
        self.base.execute("begin")
        self.base.execute("insert into t values (?, ?)", (number, row(number)))
        self.base.execute("update t set text = ? where number = ?", (row(number // 2 + 1), number // 2 + 1))
        self.base.execute("update last set number = ?", (number,))
        self.base.execute("commit")


class SqliteDelete(Sqlite):
    mode, synchronous = "delete", "extra"


class Git(Numbered):
    def git(self, *words):
        subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e", "-c", "core.fsync=all", "-c", "gc.auto=0",
                        "-C", self.folder, *words], check=True, stdout=subprocess.DEVNULL)

    def prepare(self):
        self.git("init", "-q", "-b", "main")
        os.sync()

    def work(self, number):
        with open(f"{self.folder}/file{number}", "w") as file:
            file.write(row(number))
            file.flush()
            os.fsync(file.fileno())
        self.git("add", ".")
        self.git("commit", "-q", "-m", str(number))
        sync_folder(self.folder + "/.git/refs/heads")   # git leaves its rename to the system


class Dpkg(Numbered):
    def prepare(self):
        for name in ("info", "updates", "triggers", "alternatives", "parts"):
            os.makedirs(f"{self.folder}/var/lib/dpkg/{name}")
        for name in ("status", "available"):
            open(f"{self.folder}/var/lib/dpkg/{name}", "w").close()
        os.sync()

    def package(self, number):
        top = f"/tmp/package{number}"
        os.makedirs(top + "/DEBIAN")
        os.makedirs(top + "/usr/share/p")
        with open(top + "/DEBIAN/control", "w") as file:
            file.write(f"Package: p{number}\nVersion: 1\nArchitecture: all\nMaintainer: m <m@m>\nDescription: d\n")
        for i in range(4):
            with open(f"{top}/usr/share/p/{number}-{i}", "w") as file:
                file.write(row(4 * number + i))
        subprocess.run(["dpkg-deb", "-Znone", "--root-owner-group", "--build", top, top + ".deb"], check=True,
                       stdout=subprocess.DEVNULL)
        return top + ".deb"

    def work(self, number):
        # All that is forced includes not to sync what is unpacked: then it may be lost, on Linux, too.
        subprocess.run(["dpkg", f"--root={self.folder}", "--force-all", "--no-force-unsafe-io", "--log=/tmp/dpkg.log",
                        "--install", self.package(number)], check=True, stdout=subprocess.DEVNULL)


class Postgres(Numbered):
    """A server with a client whose transactions are acknowledged, and another one that moves what it does not count."""

    PROGRAMS = "/usr/lib/postgresql/15/bin/"
    # little memory and a short log, so that pages are written and checkpoints come, with background processes at work
    CONFIGURATION = """
listen_addresses = ''
unix_socket_directories = '%s'
max_connections = 10
shared_buffers = 512kB
min_wal_size = 2MB
max_wal_size = 2MB
autovacuum_naptime = 1
autovacuum_vacuum_threshold = 20
"""
    TABLES = """
create extension amcheck;
create table t (number integer primary key, text text);
create table last (number integer);
insert into last values (0);
create table accounts (number integer primary key, amount integer);
insert into accounts select n, 0 from generate_series(0, 49) n;
checkpoint;
"""
    MOVE = """
\\set from random(0, 49)
\\set to (:from + 1) % 50
update accounts set amount = amount + case number when :to then 1 else -1 end where number in (:from, :to);
"""

    def program(self, name, *words, run=subprocess.run, **options):
        """As a user who is not root, which the server insists on."""
        return run(["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", self.PROGRAMS + name, *words],
                   cwd=self.sockets, env={"LC_ALL": "C", "PATH": os.environ["PATH"], "PGHOST": self.sockets},
                   stderr=self.log, **options)

    def prepare(self):
        self.sockets = f"/tmp/{self.name}"
        self.log = open(self.sockets + ".log", "w")
        os.mkdir(self.sockets)
        for path in (self.folder, self.sockets):
            shutil.chown(path, "postgres", "postgres")
        quiet = {"stdout": self.log, "check": True}
        self.program("initdb", "--pgdata", self.folder + "/base", "--username=postgres", "--auth=trust", "--no-sync",
                     "--data-checksums", "--wal-segsize=1", **quiet)
        with open(self.folder + "/base/postgresql.conf", "w") as file:
            file.write(self.CONFIGURATION % self.sockets)
        os.sync()
        self.program("pg_ctl", "--pgdata", self.folder + "/base", "--silent", "--wait", "--log", self.sockets + "/server.log",
                     "start", **quiet)
        self.program("psql", "-qX", "-v", "ON_ERROR_STOP=1", "postgres", input=self.TABLES, text=True, **quiet)
        with open(self.sockets + "/move", "w") as file:
            file.write(self.MOVE)
        self.mover = self.program("pgbench", "--no-vacuum", "--rate=20", "--time=1000000", "--file=move", "postgres",
                                  run=subprocess.Popen, stdout=self.log)
        self.client = self.program("psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "postgres", run=subprocess.Popen, text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def work(self, number):
        self.client.stdin.write(f"""begin;
insert into t values ({number}, '{row(number)}');
update t set text = '{row(number // 2 + 1)}' where number = {number // 2 + 1};
update last set number = {number};
commit;
\\echo {number}
""")
        self.client.stdin.flush()
        if self.client.stdout.readline() != f"{number}\n" or self.mover.poll() is not None:
            with open(self.log.name) as log, open(self.sockets + "/server.log") as server:
                raise RuntimeError(f"the server has failed: {log.read()[-1000:]}{server.read()[-1000:]}")

    def end(self):
        self.program("pg_ctl", "--pgdata", self.folder + "/base", "--silent", "--mode=immediate", "stop", stdout=self.log)


KINDS = {"journal": Journal, "wal": Sqlite, "rollback": SqliteDelete, "git": Git, "dpkg": Dpkg,
         "postgres": Postgres}
lock = threading.Lock()
libc = ctypes.CDLL(None, use_errno=True)


def main():
    top, seed, *wanted = sys.argv[1:]
    workers = {}
    for name in wanted:
        name, steps = name.split(":")
        workers[name] = KINDS[name.rstrip("0123456789")](top, name, seed, int(steps))
    for worker in workers.values():
        worker.start()
    while any(worker.is_alive() for worker in workers.values()):
        line = sys.stdin.readline().strip()
        if not line:
            break
        workers[line].may_go_on.release()
    for worker in workers.values():
        worker.join()


if __name__ == "__main__":
    main()
