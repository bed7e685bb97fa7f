# SPDX-License-Identifier: MIT
"""The shell and the small programs that every script uses."""

from concord.scenario import Failed, application


@application()
def arguments_arrive_as_given(guest):
    words = ["a b", "", "'\"\\", "$HOME", "*", "é", "-n", "x" * 20000]
    guest.expect(["printf", "%s\\0", *words], stdout="".join(word + "\0" for word in words))


@application()
def output_streams_stay_apart(guest):
    guest.expect(["sh", "-c", "echo out; echo err >&2"], stdout="out\n", stderr="err\n")


@application()
def exit_statuses(guest):
    guest.expect(["true"], status=0)
    guest.expect(["sh", "-c", "exit 77"], status=77)
    guest.expect(["sh", "-c", "kill -KILL $$"], status=137)
    guest.expect(["no-such-program"], status=127)
    guest.expect(["/etc/passwd"], status=126)
    guest.expect(["/"], status=126)


@application()
def input_reaches_the_program(guest):
    data = bytes(range(256)) * 4096
    guest.expect(["cat"], stdin=data, stdout=data)
    guest.expect(["head", "-c", "3"], stdin=data, stdout=data[:3])
    guest.expect(["cat"], stdout="")


@application()
def large_output_is_complete(guest):
    result = guest.expect(["sh", "-c", "yes 0123456789abcde | head -c 33554432; echo end >&2"],
                          stderr="end\n")
    if result.stdout != b"0123456789abcde\n" * (33554432 // 16):
        raise Failed(f"{len(result.stdout)} bytes, or wrong ones")


@application()
def pipelines(guest):
    guest.shell("seq 1 100000 | grep 7 | sort -rn | head -3 | tr '\\n' ' '", stdout="99997 99987 99979 ")
    guest.shell("set -o pipefail; (exit 3) | cat && exit 1 || [ $? = 3 ]")
    guest.shell("yes | head -1", stdout="y\n")


@application()
def redirections_and_here_documents(guest):
    guest.shell("cd /tmp; echo one >f; echo two >>f; cat f; cat <<END\nthree\nEND\nwc -l <f",
                stdout="one\ntwo\nthree\n2\n")
    guest.shell("exec 3>/tmp/three; echo x >&3; exec 3>&-; cat /tmp/three; ls /proc/self/fd | wc -w",
                stdout="x\n4\n")


@application()
def background_jobs_and_signals(guest):
    guest.shell("sleep 100 & p=$!; kill $p; wait $p || echo $?", stdout="143\n")
    guest.shell("trap 'echo caught' USR1; kill -USR1 $$; echo after", stdout="caught\nafter\n")
    guest.shell("(sleep 0.1; echo late) & wait; echo done", stdout="late\ndone\n")
    guest.expect(["timeout", "0.2", "sleep", "10"], status=124)


@application()
def processes_left_behind_do_not_delay_the_end(guest):
    guest.expect(["sh", "-c", "sleep 1000 & echo started"], stdout="started\n", seconds=20)


@application()
def files_and_directories(guest):
    guest.shell("""
mkdir -p /tmp/t/a/b && cd /tmp/t
echo hello >a/b/file && ln a/b/file hard && ln -s a/b soft
[ "$(stat -c %h hard)" = 2 ] && [ "$(cat soft/file)" = hello ]
chmod 640 hard && [ "$(stat -c %a a/b/file)" = 640 ]
mv a moved && [ ! -e soft/file ] && [ -L soft ]
cp -a moved copy && diff -r moved copy
touch -d '2001-02-03 04:05:06 UTC' hard && [ "$(stat -c %Y hard)" = 981173106 ]
find . -type f | sort | tr '\\n' ' '
rm -rf /tmp/t && [ ! -e /tmp/t ]
""", stdout="./copy/b/file ./hard ./moved/b/file ")


@application()
def root_file_system_takes_changes(guest):
    guest.shell("echo '# more' >>/etc/passwd; tail -1 /etc/passwd; touch /usr/bin/new; "
                "rm /bin/ptx; ! [ -e /usr/bin/ptx ]; rm -r /usr/share/base-files; ls -d /usr/share/base-files "
                "2>/dev/null || echo gone", stdout="# more\ngone\n")


@application()
def archives_round_trip(guest):
    guest.shell("""
cd /tmp && mkdir src && cp /bin/bash /bin/ls /etc/*.conf src/
for kind in gzip "xz -1"; do
	tar -c --use-compress-program="$kind" -f archive src
	mkdir out && tar -x --use-compress-program="$kind" -f archive -C out
	diff -r src out/src && rm -rf out archive
done
rm -rf src
""")


@application()
def text_tools(guest):
    guest.shell("printf 'b 2\\na 1\\nc 3\\n' | sort | sed 's/ /:/' | tr a-c A-C | paste -sd, ",
                stdout="A:1,B:2,C:3\n")
    guest.shell("echo '2^100' | bc", stdout="1267650600228229401496703205376\n")
    guest.shell("file /bin/bash | grep -c 'ELF 64-bit LSB pie executable'", stdout="1\n")


@application(when=lambda configuration: configuration.cpus == 2)
def load_average_rises_with_the_load(guest):
    # It is counted once in five seconds.
    guest.shell("""
for i in 1 2 3 4; do while :; do :; done & done
sleep 6
kill %1 %2 %3 %4
cut -d' ' -f1 /proc/loadavg | awk '{ print ($1 >= 0.1) }'
""", stdout="1\n")


@application()
def process_tools(guest):
    guest.shell("ps -e -o pid=,comm= | awk '$1 == 1 {print $2}'", stdout="concord-init\n")
    guest.shell("top -bn1 | head -1 | grep -c '^top - '", stdout="1\n")
    guest.shell("free | grep -c '^Mem: *[1-9]'; uptime >/dev/null; mount | grep -c ' / '; df / >/dev/null",
                stdout="1\n1\n")
    guest.shell("nproc", stdout=f"{guest.configuration.cpus}\n")
    guest.shell("sleep 50 & pgrep -x sleep >/dev/null; pkill -x sleep; wait $! || echo $?", stdout="143\n")
