# SPDX-License-Identifier: MIT
"""Servers, as Debian has them, and what measures them, over TCP."""

import contextlib
import hashlib
import subprocess
import tempfile
from pathlib import Path

from concord import peers
from concord.scenario import HOST, Failed, application


def two(configuration):
    """They take minutes; network.py is for both placements."""
    return configuration.cpus == 2 and (configuration.kernel or configuration.placement == "process")


MIB = 1 << 20


SSHD = """
mkdir -p /run/sshd /root/.ssh
[ -e /tmp/host_key ] || ssh-keygen -q -t ed25519 -N '' -f /tmp/host_key
[ -e /tmp/user_key ] || ssh-keygen -q -t ed25519 -N '' -f /tmp/user_key
cp /tmp/user_key.pub /root/.ssh/authorized_keys
/usr/sbin/sshd -h /tmp/host_key -o PidFile=/tmp/sshd.pid -o StrictModes=no
true            # a child of process 1 that leads its session takes itself for a daemon already
"""
SSHD_END = "kill $(cat /tmp/sshd.pid); rm -r /root/.ssh /tmp/host_key* /tmp/user_key*"


class Ssh:
    """The host's programs, as a user whom the guest's server knows."""

    def __init__(self, guest, folder):
        self.guest, self.port = guest, guest.ports[22]
        self.key = Path(folder) / "key"
        self.key.write_bytes(guest.shell("cat /tmp/user_key").stdout)
        self.key.chmod(0o600)
        self.known = Path(folder) / "known"
        host_key = guest.shell("cut -d' ' -f1,2 /tmp/host_key.pub").stdout.decode()
        self.known.write_text(f"[127.0.0.1]:{self.port} {host_key}")

    def run(self, program, *words, stdin=None):
        return subprocess.run([program, "-F", "none", "-P" if program == "scp" else "-p", str(self.port), "-i", self.key,
                               "-o", f"UserKnownHostsFile={self.known}", "-o", "BatchMode=yes",
                               "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes", *words],
                              input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
                              capture_output=True, timeout=120)


@contextlib.contextmanager
def sshd(guest):
    guest.shell(SSHD)
    with tempfile.TemporaryDirectory() as folder:
        yield Ssh(guest, folder)
    guest.shell(SSHD_END)


def check(done, status=0, stdout=None):
    if done.returncode != status or (stdout is not None and done.stdout != stdout):
        raise Failed(f"{done.args}: status {done.returncode}\n{done.stdout[:500]}\n{done.stderr[-1500:].decode()}")


def copy_both_ways(ssh, size):
    data = hashlib.shake_256(b"scp").digest(size)
    here = ssh.key.with_name("data")
    here.write_bytes(data)
    check(ssh.run("scp", here, "root@127.0.0.1:/tmp/data"))
    ssh.guest.shell("sha256sum </tmp/data", stdout=hashlib.sha256(data).hexdigest() + "  -\n")
    back = ssh.key.with_name("back")
    check(ssh.run("scp", "root@127.0.0.1:/tmp/data", back))
    if back.read_bytes() != data:
        raise Failed("a file came back different")
    ssh.guest.shell("rm /tmp/data")


@application(net=True, seconds=300, when=two)
def ssh_runs_commands_from_here(guest):
    with sshd(guest) as ssh:
        check(ssh.run("ssh", "root@127.0.0.1", "uname -n; exit 7"), 7, b"concord\n")
        check(ssh.run("ssh", "root@127.0.0.1", "tr a-z A-Z", stdin=b"through the wire\n"), 0, b"THROUGH THE WIRE\n")
        check(ssh.run("ssh", "-tt", "root@127.0.0.1", "tty; stty size >/dev/null && echo terminal"), 0,
              b"/dev/pts/0\r\nterminal\r\n")
        copy_both_ways(ssh, 10 * MIB)


@application(net=True, seconds=900, full=True, when=two)
def ssh_copies_large_files(guest):
    with sshd(guest) as ssh:
        copy_both_ways(ssh, 100 * MIB)


@application(net=True, seconds=300, full=True, when=two)
def git_clones_over_ssh(guest):
    with sshd(guest):
        guest.shell("""
cut -d' ' -f1,2 /tmp/host_key.pub | sed 's/^/127.0.0.1 /' >/root/.ssh/known_hosts
export GIT_SSH_COMMAND='ssh -i /tmp/user_key -o BatchMode=yes'
git init -q -b main /tmp/tree && cd /tmp/tree && cp -r /usr/include/linux . && git add .
git -c user.name=test -c user.email=test@localhost commit -q -m tree
git clone -q root@127.0.0.1:/tmp/tree /tmp/clone
diff -r /usr/include/linux /tmp/clone/linux && echo same
rm -r /tmp/tree /tmp/clone
""", stdout="same\n")


NGINX = """
mkdir -p /tmp/nginx/www && cd /tmp/nginx
head -c 1024 /dev/zero >www/1k; head -c 102400 /dev/zero >www/100k
cat >nginx.conf <<'END'
worker_processes 2;
pid /tmp/nginx/pid;
error_log /tmp/nginx/error.log;
events { worker_connections 512; }
http { access_log off; sendfile on; keepalive_requests 1000000; server { listen 80; root /tmp/nginx/www; } }
END
nginx -c /tmp/nginx/nginx.conf
"""


@application(image="test", net=True, seconds=200, when=two)
def nginx_serves_many(guest):
    guest.shell(NGINX + """
for what in 1k 100k; do
    curl -sS http://127.0.0.1/$what | cmp - www/$what
    wrk -t 2 -c 20 -d 2 http://127.0.0.1/$what >log
    grep -q '^Requests/sec' log && ! grep -E 'Socket errors|Non-2xx' log
    ab -q -n 200 -c 8 http://127.0.0.1/$what >log && grep -E '^(Complete|Failed) requests' log | tr -s ' '
    ab -q -k -n 200 -c 8 http://127.0.0.1/$what | grep -E '^(Complete|Failed|Keep-Alive) requests' | tr -s ' '
done
nginx -c /tmp/nginx/nginx.conf -s quit && cd / && rm -r /tmp/nginx
""", stdout=("Complete requests: 200\nFailed requests: 0\n"
             "Complete requests: 200\nFailed requests: 0\nKeep-Alive requests: 200\n") * 2)


@application(image="test", net=True, seconds=200, when=two)
def redis_answers(guest):
    guest.shell("""
mkdir /tmp/redis && cd /tmp/redis
redis-server --bind 127.0.0.1 --port 6379 --save '' --daemonize yes --dir /tmp/redis --logfile log
until redis-cli ping 2>/dev/null; do :; done
redis-cli set counter 41 && redis-cli incr counter
(for i in $(seq 1000); do echo "set key:$i $i"; done) | redis-cli --pipe | tail -n 1
redis-cli dbsize
redis-benchmark -q -n 2000 -c 20 -t get,set --csv | cut -d, -f1
redis-benchmark -q -n 4000 -c 20 -P 16 -t get,set --csv | cut -d, -f1
redis-cli subscribe news >heard & listener=$!
until [ "$(redis-cli publish news hello)" = 1 ]; do :; done
until grep -q hello heard; do :; done
kill $listener
redis-cli shutdown nosave; cd / && rm -r /tmp/redis
""", stdout='PONG\nOK\n42\nerrors: 0, replies: 1000\n1001\n' + '"test"\n"SET"\n"GET"\n' * 2)


@application(image="test", net=True, seconds=200, when=two)
def memcached_keeps(guest):
    guest.shell("""
memcached -l 127.0.0.1 -p 11211 -U 11211 -u nobody -d -P /tmp/memcached.pid
until memcping --servers=127.0.0.1 2>/dev/null; do :; done
cd /tmp && head -c 100000 /dev/urandom >blob && memccp --servers=127.0.0.1 blob
memccat --servers=127.0.0.1 --file=back blob && cmp blob back && echo same
memccapable -h 127.0.0.1 -a >log 2>&1 && tail -n 1 log
kill $(cat /tmp/memcached.pid); rm blob back log
""", stdout="same\nAll tests passed\n")


POSTGRESQL = """
set -eu
export PATH=/usr/lib/postgresql/15/bin:$PATH LC_ALL=C PGHOST=127.0.0.1 PGUSER=postgres
cd /tmp/pg
initdb --pgdata=base --auth=trust --username=postgres --no-sync >initdb.log 2>&1
pg_ctl --pgdata=base --silent --wait --log=log --options="-c listen_addresses=127.0.0.1 -c unix_socket_directories=''" start
trap 'pg_ctl --pgdata=base --silent --mode=immediate stop' EXIT
pgbench --initialize --quiet postgres 2>/dev/null
pgbench --client=4 --jobs=2 --transactions=20 postgres 2>/dev/null | grep -o 'processed: .*'
pgbench --client=4 --jobs=2 --transactions=20 --select-only --protocol=prepared postgres 2>/dev/null | grep -o 'processed: .*'
psql --no-psqlrc --tuples-only --no-align -c 'select count(*) from generate_series(1, 100000)' postgres
psql --no-psqlrc --tuples-only --no-align -c 'select inet_client_addr(), inet_server_port()' postgres
"""


@application(image="test", net=True, seconds=300, full=True, when=two)
def postgresql_serves_over_tcp(guest):
    guest.shell(f"""
mkdir /tmp/pg && chown postgres:postgres /tmp/pg
cat >/tmp/postgresql.sh <<'SCRIPT'
{POSTGRESQL}
SCRIPT
setpriv --reuid=postgres --regid=postgres --clear-groups bash /tmp/postgresql.sh || {{ cat /tmp/pg/log; exit 1; }}
rm -r /tmp/pg /tmp/postgresql.sh
""", stdout="processed: 80/80\nprocessed: 80/80\n100000\n127.0.0.1|5432\n")


@application(image="test", net=True, seconds=200, when=two)
def iperf3_measures_the_loopback(guest):
    guest.shell("""
iperf3 --server --bind 127.0.0.1 --daemon --pidfile /tmp/iperf3.pid
until iperf3 --client 127.0.0.1 --bytes 1M >/dev/null 2>&1; do :; done
received() { python3 -c 'import json, sys; print(json.load(sys.stdin)["end"][sys.argv[1]]["bytes"] >= 1 << 20)' "$1"; }
iperf3 --client 127.0.0.1 --time 1 --json | received sum_received
iperf3 --client 127.0.0.1 --time 1 --reverse --json | received sum_received
iperf3 --client 127.0.0.1 --time 1 --parallel 4 --json | received sum_received
iperf3 --client 127.0.0.1 --time 1 --bidir --json | received sum_received_bidir_reverse
iperf3 --client 127.0.0.1 --time 1 --udp --bitrate 100M --json | received sum
kill $(cat /tmp/iperf3.pid)
""", stdout="True\n" * 5)


@application(net=True, seconds=300, when=two)
def transfers_share_the_card(guest):
    """Four at a time, both ways, with checksums."""
    data = hashlib.shake_256(b"shared").digest(4 * MIB)
    digest = hashlib.sha256(data).hexdigest()
    with peers.Web({"/data": data}) as web:
        guest.shell(f"""
cd /tmp && curl -sS -o data http://{HOST}:{web.port}/data
for i in 1 2 3 4; do
    curl -sS http://{HOST}:{web.port}/data | sha256sum >sum.$i &
    curl -sS -T data http://{HOST}:{web.port}/put$i &
done
wait
cat sum.*; rm sum.* data
""", stdout=f"{digest}  -\n" * 4)
        if web.received != {f"/put{i}": digest for i in (1, 2, 3, 4)}:
            raise Failed(f"the server received {web.received}, not {digest} four times")
