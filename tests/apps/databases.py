# SPDX-License-Identifier: MIT
"""Database servers, as Debian has them, over sockets of their own host."""

from concord.scenario import application


def two(configuration):
    return configuration.cpus == 2


POSTGRESQL = """
set -eu
export PATH=/usr/lib/postgresql/15/bin:$PATH LC_ALL=C PGHOST=/tmp/pg
cd $PGHOST
initdb --pgdata=base --auth=trust --username=postgres --no-sync --data-checksums >initdb.log 2>&1
pg_ctl --pgdata=base --silent --wait --log=log --options="-c listen_addresses='' -c unix_socket_directories=$PGHOST" start
trap 'pg_ctl --pgdata=base --silent --mode=immediate stop' EXIT
pgbench --initialize --quiet postgres 2>/dev/null
pgbench --client=2 --jobs=2 --transactions=20 postgres 2>/dev/null | grep -o 'processed: .*'
cat >sums <<'END'
select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history), count(*) from pgbench_history;
select count(*) from generate_series(1, 100000);
END
psql --no-psqlrc --tuples-only --no-align --file=sums postgres
trap - EXIT
pg_ctl --pgdata=base --silent --wait --mode=fast stop
pg_checksums --pgdata=base --check | grep 'Bad checksums'
"""


@application(image="test", when=two)
def postgresql_makes_a_cluster_and_serves(guest):
    guest.shell(f"""
mkdir /tmp/pg && chown postgres:postgres /tmp/pg
cat >/tmp/postgresql.sh <<'SCRIPT'
{POSTGRESQL}
SCRIPT
setpriv --reuid=postgres --regid=postgres --clear-groups bash /tmp/postgresql.sh || {{ cat /tmp/pg/log; exit 1; }}
rm -r /tmp/pg /tmp/postgresql.sh
""", stdout="processed: 40/40\nt|40\n100000\nBad checksums:  0\n")
