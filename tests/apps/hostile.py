# SPDX-License-Identifier: MIT
"""Programs that do everything wrong, as an ordinary user: the guest has to survive them."""

from concord.scenario import Failed, application

USER = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def survive(guest, argv, seconds):
    """Run it until its time is over; afterwards the guest has to work, and be as empty as before."""
    guest.run(["mkdir", "-p", "-m", "1777", "/tmp/hostile"])
    before = free_memory(guest)
    result = guest.run([*USER, "timeout", "--kill-after=10", str(seconds), *argv], seconds=seconds + 60,
                       directory="/tmp/hostile")
    if result.status in (126, 127):
        raise Failed(f"it did not run: {result.stderr.decode(errors='replace')}")
    guest.guest.sweep()
    if argv[0] == "sh" and b"Ran " not in guest.run(["cat", "/tmp/hostile/log"]).stdout:
        raise Failed("trinity did not get as far as making calls")
    guest.shell("rm -rf /tmp/hostile /tmp/trinity* /dev/shm/*; sync; echo fine", stdout="fine\n")
    lost = before - free_memory(guest)
    if lost > 64 << 10:
        raise Failed(f"{lost} KiB of memory are gone")


def free_memory(guest):
    text = guest.expect(["cat", "/proc/meminfo"]).stdout.decode()
    fields = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines()}
    return fields["MemFree"] + fields.get("Cached", 0) + fields.get("Buffers", 0) \
        + fields.get("SReclaimable", 0)


def twice(name, argv, short):
    """A short run, and the long one of the full campaign."""
    for seconds, full in ((short, False), (300, True)):
        def hostile(guest, seconds=seconds):
            survive(guest, argv(seconds), seconds + 5)
        hostile.__name__ = f"{name}_{seconds}s"
        hostile.__module__ = "apps.hostile"
        application(image="test", seconds=seconds + 120, full=full,
                    when=lambda configuration: configuration.cpus == 2)(hostile)


twice("crashme", lambda seconds: ["crashme", "+2000", "1234", "100000",
                                  f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"], 10)
# Trinity ends when it thinks that the kernel has been damaged, which on Linux it soon does; so it is
# started again and again, with the next seed.  Preparing its sockets, it crashes by itself where there is
# no network; it calls the socket calls all the same.
TRINITY = """
seed=0
while :; do
	seed=$((seed + 1))
	trinity -q -l off -a64 --disable-fds=sockets -C 4 -N 5000 -s $seed >>log 2>&1 || [ $? != 127 ] || exit 127
done
"""

twice("trinity", lambda seconds: ["sh", "-c", TRINITY], 20)
