#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The benchmark's rows about disks, as programs that people run see them.
#
# Usage: disk.sh --list | disk.sh RAW-DISK DISK ROW...: a file system is made on the second one.
#
# Prints "ROW<tab>nanoseconds of one operation" for each.  What is written is on the disk when the
# time is taken; what is read has to come from there, unless it was written by the row itself.

set -e

seconds=2           # of the rows that go on for some time
files=10000

fail() { printf '%s: %s\n' "$row" "$*" >&2; exit 1; }

# time_of OPERATIONS COMMAND...: the row is how long that takes, divided.
time_of() {
    local operations=$1 begin end
    shift
    begin=$EPOCHREALTIME
    "$@" >/tmp/said 2>&1 </dev/null || fail "$* failed: $(tail -n 3 /tmp/said)"
    end=$EPOCHREALTIME
    printf '%s\t%s\n' "$row" $(((${end/./} - ${begin/./}) * 1000 / operations))
}

forget() { sync; echo 3 >/proc/sys/vm/drop_caches; }

# fio_of KIND BLOCK JOBS DIRECT: one operation of fio's.
fio_of() {
    local line column=8
    [ "${1#*write}" = "$1" ] || column=49
    forget
    line=$(fio --name=row --filename=/mnt/fio --size=128m --rw="$1" --bs="$2" --numjobs="$3" --direct="$4" \
        --ioengine=psync --thread --group_reporting --time_based --runtime="$seconds" --randseed=1 \
        --output-format=terse --terse-version=3 2>&1) || fail "fio failed: $line"
    line=$(cut -d';' -f "$column" <<<"$(tail -n 1 <<<"$line")")
    [ "${line:-0}" -gt 0 ] || fail "fio measured nothing"
    printf '%s\t%s\n' "$row" $((1000000000 / line))
}

and_sync() { "$@" && sync; }

sql() { sqlite3 /mnt/base <"$1"; }

prepare_sql() {
    rm -f /mnt/base
    sqlite3 /mnt/base 'create table t (id integer primary key, name text, value integer); create index i on t (value);'
    awk -v n="$1" -v one="$2" 'BEGIN {
        if (one) print "begin;"
        for (i = 0; i < n; i++)
            printf "insert into t (name, value) values (\047name of number %d\047, %d);\n", i, (i * 7919) % n
        if (one) print "commit;"
    }' >/tmp/sql
    sync
}

prepare_tree() {
    [ -e /tmp/tree.tar ] || tar cf /tmp/tree.tar -C / usr/include usr/share/perl
}

prepare_git() {
    [ -d /mnt/repository ] && return
    prepare_tree
    mkdir /mnt/repository
    tar xf /tmp/tree.tar -C /mnt/repository
    (
        cd /mnt/repository
        git init -q . && git add . && git -c user.name=bench -c user.email=bench@localhost commit -qm tree
    ) || fail "git failed"
    sync
}

checkout() {
    cd /mnt/clone && rm -rf usr && git checkout -q -- . && cd / && sync
}

rows=(fio-read-4k-direct-1 fio-read-4k-direct-32 fio-write-4k-direct-1 fio-write-4k-direct-32
    fio-read-4k-cached-1 fio-read-4k-cached-32 fio-write-4k-cached-1 fio-write-4k-cached-32
    fio-read-1m-direct fio-write-1m-direct fio-read-1m-cached fio-write-1m-cached
    ext4-create ext4-stat ext4-delete sqlite-each sqlite-one untar git-clone git-checkout dd-read dd-write)

run() {
    case $row in
    fio-read-4k-*|fio-write-4k-*)
        local kind=${row#fio-} jobs=${row##*-} direct=0
        [ "${row#*direct}" = "$row" ] || direct=1
        fio_of "rand${kind%%-*}" 4k "$jobs" "$direct" ;;
    fio-*-1m-direct)
        local kind=${row#fio-}
        fio_of "${kind%%-*}" 1m 1 1 ;;
    fio-*-1m-cached)
        local kind=${row#fio-}
        fio_of "${kind%%-*}" 1m 1 0 ;;
    ext4-create)
        rm -rf /mnt/files; sync
        time_of $files and_sync /perf/perf-files create /mnt/files $files ;;
    ext4-stat)
        [ -d /mnt/files ] || /perf/perf-files create /mnt/files $files
        forget
        time_of $files /perf/perf-files stat /mnt/files $files ;;
    ext4-delete)
        [ -d /mnt/files ] || /perf/perf-files create /mnt/files $files
        forget
        time_of $files and_sync /perf/perf-files delete /mnt/files $files ;;
    sqlite-each) prepare_sql 200; time_of 200 sql /tmp/sql ;;
    sqlite-one) prepare_sql 20000 1; time_of 20000 sql /tmp/sql ;;
    untar)
        prepare_tree
        rm -rf /mnt/tree; mkdir /mnt/tree; sync
        time_of 1 and_sync tar xf /tmp/tree.tar -C /mnt/tree ;;
    git-clone)
        prepare_git
        rm -rf /mnt/clone; forget
        time_of 1 and_sync git clone -q --no-hardlinks /mnt/repository /mnt/clone ;;
    git-checkout)
        prepare_git
        [ -d /mnt/clone ] || git clone -q --no-hardlinks /mnt/repository /mnt/clone
        sync
        time_of 1 checkout ;;
    dd-read) forget; time_of 1 dd if="$raw" of=/dev/null bs=1M count=256 status=none ;;
    dd-write) forget; time_of 1 dd if=/dev/zero of="$raw" bs=1M count=256 conv=fsync status=none ;;
    *) fail "there is no such row" ;;
    esac
}

if [ "$1" = --list ]; then
    printf '%s\n' "${rows[@]}"
    exit
fi
raw=$1
row=mkfs
/sbin/mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$2" || fail "no file system"
mount -t ext4 "$2" /mnt
shift 2
for row; do
    run
done
umount /mnt
