# SPDX-License-Identifier: MIT
"""Power cuts: what was acknowledged is there, whatever the disk had not been told to keep.

Programs that fsync (guest/acknowledge.py) run on a disk whose writes are all recorded.  The record is
replayed up to some point, with the writes since the last flush there, lost, in part or torn
(concord/writelog.py); then the file system is repaired as after a crash, and what the programs had said
to be done before that point has to be there.

When a program says that something is done it waits until the recorder has looked how long the record is: whatever the
disk had been told by then is before that point, and every cut from there on must keep it."""

import dataclasses
import difflib
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import tempfile
import time
import zlib
from pathlib import Path

from concord import disks, places, qemu, say, writelog
from concord.scenario import Failed, Skip, boot

SAMPLES = 8             # of a record's cuts are mounted by Concord, too
PROGRAM = places.ROOT / "tests/boot/guest/acknowledge.py"


# -- recording -------------------------------------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Event:
    position: int           # entries of the record when it was said
    who: str
    kind: str               # begin, done
    what: dict


class Recorder:
    """Runs the workers in a guest, and notes what they say and when."""

    def __init__(self, log, wanted):
        self.log = log
        self.left = dict(wanted)            # worker: steps
        self.events = []
        self.text = bytearray()
        self.answers, self.to_guest = os.pipe()

    def take(self, data):
        self.text += data
        while b"\n" in self.text:
            line, _, rest = bytes(self.text).partition(b"\n")
            self.text = bytearray(rest)
            self._line(line.decode())

    def _line(self, line):
        who, kind, what = line.split(" ", 2)
        if kind == "failed":
            raise Failed(f"{who} failed: {what}")
        self.events.append(Event(writelog.count_entries(self.log), who, kind, json.loads(what)))
        if kind == "done":
            self.left[who] -= 1
        os.write(self.to_guest, who.encode() + b"\n")
        if not any(self.left.values()):
            os.close(self.to_guest)
            self.to_guest = None

    def run(self, machine, seed, wanted):
        try:
            done = machine.guest.command(
                ["python3", "-c", PROGRAM.read_text(), "/mnt", str(seed), *(f"{n}:{s}" for n, s in wanted.items())],
                self.answers, on_stdout=self.take, deadline=machine.lab.deadline)
        finally:
            os.close(self.answers)
            if self.to_guest is not None:
                os.close(self.to_guest)
        if done.status or any(self.left.values()):
            raise Failed(f"the workers ended with status {done.status}\n{done.stderr.decode(errors='replace')}\n"
                         f"{machine.guest.console_text()[-2000:]}")


def record(lab, disk, seed, wanted, words=()):
    """What the workers said, and the writes of the disk from before it was mounted until it was switched off."""
    log = lab.folder / "log"
    log.write_bytes(b"")
    recorder = Recorder(log, wanted)
    # Every other disk is told which blocks are free: no replay may need one of them.
    option = "discard" if seed % 2 else "nodiscard"
    with disks.Machine(lab, qemu.Drive(disk, log=log, unmaps=True), words=words) as machine:
        machine.shell(f"mount -o {option} /dev/vdb /mnt")
        recorder.run(machine, seed, wanted)
        deaths = machine.guest.console_text().count(" was killed: ")
        machine.guest.process.stop()
    return recorder.events, writelog.read(log), deaths


# -- what has to be there --------------------------------------------------------------------------

class Files:
    """A journal's claims: the last one about each file."""

    def __init__(self, who):
        self.who = who

    def check(self, top, before, after):
        """Of the events before and after the cut; how many claims were looked at."""
        last = {}
        for event in before:
            for claim in event.what.get("files", ()):
                last[claim[0]] = [claim]
            for path in event.what.get("paths", ()):
                if event.what["atomic"]:
                    coming = [claim for later in after[:1] for claim in later.what.get("files", ()) if claim[0] == path]
                    last[path] = last.get(path, [[path, None, None]]) + coming if coming else None
                else:
                    last[path] = None
        held = {path: claims for path, claims in last.items() if claims}
        for path, claims in held.items():
            found = self.look(top, path)
            if found not in claims:
                raise Failed(f"{path}: {found} instead of {' or '.join(map(str, claims))}")
        return len(held)

    @staticmethod
    def look(top, path):
        try:
            data = (top / path).read_bytes()
        except FileNotFoundError:
            return [path, None, None]
        return [path, len(data), zlib.crc32(data)]


class Steps:
    """Steps 1 to n are done, and nothing or all of the next one."""

    def __init__(self, who):
        self.who = who

    def check(self, top, before, after):
        done = max([0, *(event.what["number"] for event in before if event.kind == "done")])
        begun = max([0, *(event.what["number"] for event in before if event.kind == "begin")])
        if begun:
            found = self.steps(top / self.who)
            if not done <= found <= begun:
                raise Failed(f"{self.who}: {found} steps are there: {done} were done, {begun} begun")
        return done

    @staticmethod
    def row(number):
        return ("%d." % number) * (number * 7919 % 900 + 1)


class Sqlite(Steps):
    def steps(self, folder):
        base = sqlite3.connect(folder / "base")
        try:
            sound = base.execute("pragma integrity_check").fetchall()
            rows = base.execute("select number, text from t order by number").fetchall()
            last = base.execute("select number from last").fetchone()[0]
        except (sqlite3.Error, TypeError) as error:     # a database, or a row, is missing
            raise Failed(f"{self.who}: {error}") from None
        finally:
            base.close()
        if sound != [("ok",)]:
            raise Failed(f"{self.who}: integrity_check says {sound}")
        if rows != [(n, self.row(n)) for n in range(1, last + 1)]:
            raise Failed(f"{self.who}: not the rows of {last} transactions")
        return last


class Git(Steps):
    def git(self, folder, *words):
        done = subprocess.run(["git", "-c", "safe.directory=*", "-C", folder, *words], capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"{self.who}: git {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def steps(self, folder):
        if not (folder / ".git/refs/heads/main").exists():
            return 0
        self.git(folder, "fsck", "--full", "--strict", "--no-dangling")
        commits = self.git(folder, "log", "--format=%s").split()
        for number in map(int, commits):
            if self.git(folder, "show", f"HEAD:file{number}") != self.row(number):
                raise Failed(f"{self.who}: commit {number} has another file")
        if commits != [str(n) for n in range(len(commits), 0, -1)]:
            raise Failed(f"{self.who}: commits {commits}")
        return len(commits)


class Dpkg(Steps):
    def steps(self, folder):
        """The status is what the last written update says; dpkg itself takes those in when it begins."""
        done = subprocess.run(["dpkg-query", f"--admindir={folder}/var/lib/dpkg", "--show",
                               "-f", "${Package} ${Status}\n"], capture_output=True, text=True)
        if done.returncode not in (0, 1):
            raise Failed(f"{self.who}: dpkg-query: {done.stderr}")
        installed = {int(m) for m in re.findall(r"^p(\d+) \w+ ok installed$", done.stdout, re.MULTILINE)}
        for number in installed:
            for i in range(4):
                path = folder / f"usr/share/p/{number}-{i}"
                if not path.exists() or path.read_text() != self.row(4 * number + i):
                    raise Failed(f"{self.who}: {path.name} of an installed package is not as it was")
        if installed != set(range(1, len(installed) + 1)):
            raise Failed(f"{self.who}: packages {sorted(installed)} are installed")
        return len(installed)


class Postgres(Steps):
    """The server of this machine recovers what the guest's has left, as an ordinary user, and is asked."""

    SERVER = Path("/usr/lib/postgresql/15/bin/postgres")
    NOBODY = 65534
    WORDS = ("-c", "restart_after_crash=off", "-c", "autovacuum=off", "-c", "ignore_checksum_failure=off", "-D", "base", "postgres")
    # one line each, and what each has to answer; a damaged page is an error
    QUESTIONS = """
select number + 0 as steps from last
select count(*) as rows, coalesce(max(number), 0) as highest, count(*) filter (where text <> repeat(number || '.', number * 7919 % 900 + 1)) as wrong from t
select sum(amount) as money from accounts
select count(bt_index_check(c.oid, true)::text) as indexes from pg_class c join pg_am a on a.oid = c.relam where c.relkind = 'i' and a.amname = 'btree'
select count(*) as damage from pg_class c, lateral verify_heapam(c.oid) where c.relkind in ('r', 't')
"""

    def ask(self, folder):
        with tempfile.TemporaryDirectory() as home:     # where another user gets to
            base = shutil.move(folder / "base", home + "/base")
            as_user = []
            if os.geteuid() == 0:
                subprocess.run(["chown", "-R", f"{self.NOBODY}:{self.NOBODY}", home], check=True)
                as_user = ["setpriv", f"--reuid={self.NOBODY}", f"--regid={self.NOBODY}", "--clear-groups"]
            done = subprocess.run([*as_user, self.SERVER, "--single", *self.WORDS], input=self.QUESTIONS.lstrip(), cwd=home,
                                  env={"LC_ALL": "C"}, capture_output=True, text=True)
            shutil.rmtree(base, ignore_errors=True)
        said = dict(re.findall(r'(\w+) = "(-?\d+)"', done.stdout))
        if done.returncode or re.search("ERROR|FATAL|PANIC|WARNING", done.stderr) or len(said) != 7:
            raise Failed(f"{self.who}: {said}, status {done.returncode}: {done.stderr[-3000:]}")
        return {name: int(value) for name, value in said.items()}

    def steps(self, folder):
        said = self.ask(folder)
        steps = said["steps"]
        wanted = {"steps": steps, "rows": steps, "highest": steps, "wrong": 0, "money": 0, "damage": 0}
        if {**said, "indexes": None} != {**wanted, "indexes": None}:
            raise Failed(f"{self.who}: {said} instead of {wanted}")
        return steps


CHECKERS = {"journal": Files, "wal": Sqlite, "rollback": Sqlite, "git": Git, "dpkg": Dpkg,
            "postgres": Postgres}


# -- cutting ---------------------------------------------------------------------------------------

@dataclasses.dataclass
class Counts:
    flushes: int = 0        # cuts right after a flush
    answers: int = 0        # cuts right after an acknowledgement, with all lost that may be
    between: int = 0        # cuts anywhere, with writes lost or torn as a seed decides
    claims: int = 0         # that were looked at
    lost: int = 0

    def add(self, other):
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def __str__(self):
        return (f"{self.flushes} cuts after a flush, {self.answers} after an acknowledgement, "
                f"{self.between} with writes lost or torn at random, {self.claims} acknowledged things looked for, {self.lost} lost")


class Cutter:
    def __init__(self, lab, image, events, entries, wanted):
        self.lab = lab
        self.disk = writelog.Disk(entries, image)
        self.events = events
        self.checkers = [CHECKERS[name.rstrip("0123456789")](name) for name in wanted]
        self.counts = Counts()
        self.wrong = []
        self.samples = []               # files with images as they were cut
        self.path = lab.folder / "cut"

    def cut(self, image, position, what):
        """Repair the image, and look whether everything is there."""
        self.path.write_bytes(image)
        top = self.lab.folder / "tree"
        try:
            disks.replay_ext4(self.path)
            shutil.rmtree(top, ignore_errors=True)
            top.mkdir()
            disks.extract_ext4(self.path, top)
            for checker in self.checkers:
                mine = [event for event in self.events if event.who == checker.who]
                before = [event for event in mine if event.position <= position]
                self.counts.claims += checker.check(top, before, mine[len(before):])
        except Failed as failure:
            self.counts.lost += 1
            self.wrong.append(f"cut at {position}, {what}: {failure}")

    def at_flush(self, position, seed):
        self.disk.advance(position)
        self.counts.flushes += 1
        self.cut(self.disk.safe, position, "after a flush")

    def at_answer(self, position, seed):
        self.disk.advance(position)
        self.counts.answers += 1
        self.cut(self.disk.safe, position, "after an acknowledgement")

    def between(self, position, seed):
        self.disk.advance(position)
        self.counts.between += 1
        image = self.disk.after_power_cut(random.Random(seed))
        if self.counts.between % 40 == 1 and len(self.samples) < SAMPLES:
            self.samples.append(self.lab.folder / f"sample{len(self.samples)}")
            self.samples[-1].write_bytes(image)
        self.cut(image, position, f"writes lost with seed {seed}")


def sample(rnd, positions, most):
    """At most so many of them; None: all."""
    positions = sorted(set(positions))
    return positions if most is None or len(positions) <= most else rnd.sample(positions, most)


def choose(cutter, rnd, flushes, answers, between, prepared):
    """(position, how to cut there), in the order of the positions."""
    begin = min(event.position for event in cutter.events) if prepared else 0
    at = [position for position in writelog.flush_positions(cutter.disk.entries) if position > begin]
    end = len(cutter.disk.entries)
    chosen = [(position, cutter.at_flush) for position in sample(rnd, at, flushes)]
    chosen += [(position, cutter.at_answer) for position in
               sample(rnd, [event.position for event in cutter.events if event.kind == "done"], answers)]
    # most writes are in the cache right before a flush
    chosen += [(rnd.choice((rnd.choice(at) - 1, rnd.randrange(begin, end + 1))), cutter.between) for _ in range(between)]
    return sorted(chosen, key=lambda cut: cut[0])


def cut_power(lab, seed, wanted, options=("-b4096",), size="48M", words=(), flushes=None, answers=None,
              between=40, prepared=False):
    """Record, cut at that many places (prepared: once the workers are), and say how it went; the Cutter."""
    rnd = random.Random(seed)
    disk = disks.make_ext4(lab.folder / "disk", size, *options)
    image = disk.read_bytes()
    begin = time.monotonic()
    events, entries, deaths = record(lab, disk, seed, wanted, words)
    recorded = time.monotonic()
    cutter = Cutter(lab, image, events, entries, wanted)
    for number, (position, cut) in enumerate(choose(cutter, rnd, flushes, answers, between, prepared)):
        cut(position, f"{seed}/{number}")
    if words and not deaths:
        raise Failed(f"nothing was killed by {words}")
    say.note(f"power cuts, seed {seed}: {len(entries)} writes and flushes, {deaths} deaths of a driver: {cutter.counts} "
             f"({recorded - begin:.0f} + {time.monotonic() - recorded:.0f} s)")
    if cutter.wrong:
        raise Failed("\n".join([f"seed {seed}: {cutter.counts}", *cutter.wrong[:20]]))
    return cutter


LIST = """
cd "$1"
find . -mindepth 1 ! -path ./lost+found -printf '%y %m %n %P %l\\n' | grep -v '^d' | sort
find . -type f -print0 | sort -z | xargs -0r cksum
"""


def listing(run, top):
    """All names, types, modes, link counts and contents but the folders' link counts."""
    return run("bash", "-euc", LIST, "list", str(top))


def list_here(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def mounted_shows_the_same(lab, images):
    """Concord replays the journals of images as they were cut, and has what e2fsck has made of copies."""
    wanted = []
    for image in images:
        copy, top = lab.folder / "copy", lab.folder / "tree"
        shutil.copy(image, copy)
        disks.replay_ext4(copy)
        shutil.rmtree(top, ignore_errors=True)
        top.mkdir()
        disks.extract_ext4(copy, top)
        wanted.append(listing(list_here, top))
    with disks.Machine(lab, *images) as machine:
        for number, text in enumerate(wanted):
            machine.shell(f"mount /dev/vd{chr(ord('b') + number)} /mnt")
            found = listing(machine.run, "/mnt")
            machine.shell("umount /mnt")
            if found != text:
                raise Failed("\n".join(["mounted after a power cut:", *difflib.unified_diff(
                    text.splitlines(), found.splitlines(), "e2fsck's", "Concord's", lineterm="")]))
        machine.power_off()
    for image in images:
        disks.check_ext4(image)


def need_postgresql():
    if not Postgres.SERVER.exists():
        raise Skip("postgresql-15 is not installed")


def small(configuration):
    return configuration.cpus == 2 and configuration.placement == "kernel"


@boot(seconds=300, when=small)
def what_was_acknowledged_survives_a_power_cut(lab):
    cut_power(lab, 1, {"journal": 40, "wal": 6, "rollback": 3}, flushes=10, between=10)


@boot(image="test", seconds=300, when=small)
def what_postgresql_acknowledged_survives_a_power_cut(lab):
    need_postgresql()
    cut_power(lab, 2, {"postgres": 12}, size="96M", flushes=2, answers=2, between=3, prepared=True)


# The inode has left memory before it is synced.
SYNCED_LATE = """
mount -o commit=1000 /dev/vdb /mnt
cd /mnt
mkdir folder
echo x >chmoded
sync
chmod 600 chmoded
echo 3 >/proc/sys/vm/drop_caches
python3 -c "import os; os.fsync(os.open('chmoded', os.O_RDONLY))"
"""
SYNCED_EMPTY = """
cd /mnt
echo data >folder/unsynced
: >folder/empty
python3 -c "import os; os.fdatasync(os.open('folder/empty', os.O_RDONLY))"
"""
SYNCED_FOLDER = """
cd /mnt
mkdir folder/made
python3 -c "import os; os.fsync(os.open('folder', os.O_RDONLY))"
"""


def trees_after(lab, *scripts):
    """The tree of a disk whose power was cut when a script had ended, for each of them: nothing unflushed is
    left.  They run one after the other, and the first one mounts it."""
    disk, log = disks.make_ext4(lab.folder / "disk", "16M"), lab.folder / "log"
    image, ends, tops = disk.read_bytes(), [], []
    log.write_bytes(b"")
    with disks.Machine(lab, qemu.Drive(disk, log=log)) as machine:
        for script in scripts:
            machine.shell(script)
            ends.append(writelog.count_entries(log))
        machine.guest.process.stop()
    it = writelog.Disk(writelog.read(log), image)
    for number, end in enumerate(ends):
        it.advance(end)
        disk.write_bytes(it.safe)
        disks.replay_ext4(disk)
        tops.append(lab.folder / f"tree{number}")
        tops[-1].mkdir()
        disks.extract_ext4(disk, tops[-1])
    return tops


@boot(when=small)
def a_sync_covers_what_was_changed_before_the_file_was_opened(lab):
    late, empty, folder = trees_after(lab, SYNCED_LATE, SYNCED_EMPTY, SYNCED_FOLDER)
    found = (oct((late / "chmoded").stat().st_mode & 0o777), (empty / "folder/empty").exists(),
             (folder / "folder/made").exists())
    if found != ("0o600", True, True):
        raise Failed(f"mode, new file, new folder: {found}")


ON_AN_OVERLAY = """
mount -o commit=1000 /dev/vdb /mnt
mkdir -p /mnt/upper /mnt/work /mnt/lower/folder /mnt/lower/owned /tmp/merged
for name in appended touched folder/kept owned/file; do echo lower >/mnt/lower/$name; done
ln -s somewhere /mnt/lower/link
chown -h 1000:2000 /mnt/lower/owned /mnt/lower/link
touch -h -d @1000000000 /mnt/lower/owned /mnt/lower/link
sync
mount -t overlay -o lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work none /tmp/merged
cd /tmp/merged
python3 - <<'END'
import os
def sync(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
for name, data in (('new', 'new'), ('appended', 'upper'), ('folder/new', 'new')):
    with open(name, 'a') as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
sync('folder')
os.chmod('touched', 0o600)
os.chmod('owned/file', 0o600)
os.rename('link', 'moved')
sync('.')
END
"""


def owner_and_time(disk, path):
    done = say.output([disks.tool("debugfs"), "-R", f"stat {path}", disk], "debugfs")
    return re.findall(r"User: +(\d+) +Group: +(\d+)", done) + re.findall(r" mtime: 0x(\w+)", done)


@boot(when=small)
def what_was_synced_through_an_overlay_survives_a_power_cut(lab):
    top, = trees_after(lab, ON_AN_OVERLAY)
    found = {name: (top / "upper" / name).read_text() if (top / "upper" / name).exists() else None
             for name in ("new", "appended", "touched", "folder/new")}
    if found != {"new": "new", "appended": "lower\nupper", "touched": "lower\n", "folder/new": "new"}:
        raise Failed(f"the upper layer has {found}")
    found = [owner_and_time(lab.folder / "disk", f"/upper/{name}") for name in ("owned", "moved")]
    if found != [[("1000", "2000"), "3b9aca00"]] * 2:
        raise Failed(f"the upper layer has owners and times {found}")


# -- the campaign ----------------------------------------------------------------------------------

EVERYTHING = {"journal1": 60, "journal2": 60, "wal": 25, "rollback": 12, "git": 5, "dpkg": 4}
KINDS = (["-b4096"], ["-b1024", "-Jsize=1"], ["-b4096", "-Jsize=4"], ["-b1024", "-O^metadata_csum"],
         ["-b2048", "-O^64bit", "-I128"])


def campaign(name, words, first, wanted=EVERYTHING, size="64M", flushes=None, between=300):
    def run(lab):
        counts, wrong = Counts(), []
        if "postgres" in wanted:
            need_postgresql()
        for seed in range(first, first + 10):
            try:
                cutter = cut_power(lab, seed, wanted, KINDS[seed % len(KINDS)], size, words,
                                   flushes=flushes, between=between, prepared="postgres" in wanted)
                counts.add(cutter.counts)
                mounted_shows_the_same(lab, cutter.samples)
            except Failed as failure:
                wrong.append(f"seed {seed}: {failure}")
        say.note(f"{name}: {counts}")
        if wrong:
            raise Failed("\n".join(wrong))
    run.__name__ = name
    run.__module__ = __name__
    boot(image="test" if "postgres" in wanted else "default", seconds=7200, full=True, when=lambda configuration: configuration.cpus in (2, 4))(run)


campaign("nothing_is_lost_again_and_again", (), int(os.environ.get("POWERCUT_SEED", "100")))
campaign("nothing_is_lost_while_drivers_die", ("concord.kill=virtio-blk.1@3000/150",),
         int(os.environ.get("POWERCUT_SEED", "200")))
campaign("postgresql_loses_nothing", (), int(os.environ.get("POWERCUT_SEED", "300")), {"postgres": 150}, "160M", 60, 100)
campaign("postgresql_loses_nothing_while_drivers_die", ("concord.kill=virtio-blk.1@3000/150",),
         int(os.environ.get("POWERCUT_SEED", "400")), {"postgres": 150}, "160M", 60, 100)
