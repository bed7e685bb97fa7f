# SPDX-License-Identifier: MIT
"""Interpreters, the compiler, and programs that are work for an operating system."""

from concord.scenario import application


@application()
def python_computes(guest):
    guest.expect(["python3", "-c", "import math; print(math.factorial(30))"],
                 stdout="265252859812191058636308480000000\n")


@application()
def python_threads_and_processes(guest):
    guest.expect(["python3", "-"], stdin="""
import concurrent.futures, subprocess, threading, queue
q = queue.Queue()
def work():
    for i in range(1000):
        q.put(i)
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
print(q.qsize())
print(subprocess.run(["tr", "a-z", "A-Z"], input=b"text", capture_output=True).stdout)
with concurrent.futures.ProcessPoolExecutor(3) as pool:
    print(list(pool.map(abs, [-1, -2, -3])))
""", stdout="8000\nb'TEXT'\n[1, 2, 3]\n")


@application()
def python_reads_the_system(guest):
    guest.expect(["python3", "-"], stdin="""
import mmap, os, select, signal, socket, tempfile, time
with tempfile.TemporaryFile() as f:
    f.write(b"x" * 8192); f.flush()
    m = mmap.mmap(f.fileno(), 8192); m[4096] = 65
    assert os.pread(f.fileno(), 1, 4096) == b"A"
a, b = socket.socketpair()
a.send(b"hello"); assert select.select([b], [], [], 5)[0] == [b] and b.recv(9) == b"hello"
signal.signal(signal.SIGALRM, lambda *_: print("alarm"))
signal.setitimer(signal.ITIMER_REAL, 0.05); signal.pause()
t = time.monotonic(); time.sleep(0.1); assert 0.09 < time.monotonic() - t < 5
print(os.cpu_count() >= 1, len(os.urandom(16)))
""", stdout="alarm\nTrue 16\n")


@application()
def perl_runs(guest):
    guest.expect(["perl", "-e", 'my %h = map { $_ => $_ ** 2 } 1..5; print join(",", map { $h{$_} } '
                  'sort keys %h), "\\n"; print `echo sub`; fork or exit 3; wait; print $? >> 8, "\\n"'],
                 stdout="1,4,9,16,25\nsub\n3\n")


@application()
def compiler_makes_programs(guest):
    guest.shell(r"""
cd /tmp && mkdir build && cd build
cat >hello.c <<'END'
#include <pthread.h>
#include <stdio.h>
static void *thread(void *arg) { return arg; }
int main(void)
{
	pthread_t t;
	void *result;
	pthread_create(&t, NULL, thread, (void *)42);
	pthread_join(t, &result);
	printf("hello %ld\n", (long)result);
}
END
printf 'all: dynamic static\ndynamic: hello.c\n\tgcc -O2 -o $@ $<\nstatic: hello.c\n\tgcc -static -o $@ $<\n' >Makefile
make -j2 >/dev/null
./dynamic; ./static; make | grep -c 'Nothing to be done'
""", stdout="hello 42\nhello 42\n1\n")


@application()
def git_keeps_history(guest):
    guest.shell("""
cd /tmp && git init -q repo && cd repo && git config user.email a@b && git config user.name n
for i in 1 2 3; do echo $i >file; git add file; git commit -qm "change $i"; done
git log --format=%s; git checkout -q HEAD~1; cat file; git gc -q; git fsck 2>/dev/null; git status --short
cd /tmp && git clone -q repo copy && cd copy && git rev-list --all | wc -l
""", stdout="change 3\nchange 2\nchange 1\n2\n3\n")


@application()
def sqlite_stores_rows(guest):
    guest.shell("""
cd /tmp && sqlite3 db 'create table t(a integer primary key, b text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000) insert into t select i, hex(i) from n;
select count(*), sum(a) from t; pragma integrity_check; pragma journal_mode=wal; update t set b = a; select max(b) from t;'
sqlite3 db 'begin immediate; update t set a = -a;' ; sqlite3 db 'select count(*) from t where a > 0'
""", stdout="5000|12502500\nok\nwal\n999\n5000\n")


@application()
def strace_shows_calls(guest):
    guest.shell("strace -f -o /tmp/trace sh -c 'echo hi; true' && grep -q '^[0-9]* *write(1, \"hi' /tmp/trace "
                "&& tail -1 /tmp/trace | grep -c '+++ exited with 0 +++'", stdout="hi\n1\n")


@application()
def vi_edits(guest):
    guest.shell("printf 'one\\ntwo\\n' >/tmp/f; vim.tiny -es -c '%s/one/three/' -c wq /tmp/f </dev/null || true; "
                "cat /tmp/f", stdout="three\ntwo\n")


@application()
def busybox_runs(guest):
    guest.shell("cd /tmp; busybox sh -c 'busybox seq 3 | busybox awk \"{s += \\$1} END {print s}\"'",
                stdout="6\n")


@application()
def orphans_are_reaped(guest):
    guest.shell("(sh -c 'sleep 0.2 & exit' &); sleep 1; ps -e -o stat= | grep -c '^Z' || true",
                stdout="0\n")
