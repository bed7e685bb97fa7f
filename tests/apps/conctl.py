# SPDX-License-Identifier: MIT
"""The components below, seen and restarted from inside (tools/conctl)."""

import json

from concord.scenario import Failed, application


def on_concord(configuration):
    return not configuration.kernel


def component(guest, name):
    for one in json.loads(guest.expect(["conctl", "ps", "--json"]).stdout):
        if one["name"] == name:
            return one
    raise Failed(f"conctl ps does not show {name}")


@application(when=on_concord)
def conctl_restarts_the_driver_of_the_root_disk_under_load(guest):
    before = component(guest, "virtio-blk.0")
    guest.shell("""
        sum() { dd if=/dev/vda bs=64k count=300 iflag=direct 2>/dev/null | sha256sum; }
        sum >/tmp/before
        sum >/tmp/after & work=$!
        for i in 1 2 3 4 5 6; do
            conctl kill virtio-blk.0
            sleep 0.05
        done
        wait $work
        cmp /tmp/before /tmp/after
        conctl restart virtio-rng.0
    """)
    after = component(guest, "virtio-blk.0")
    if after["restarts"] < before["restarts"] + 1 or after["state"] != "running":
        raise Failed(f"before {before}, after {after}")
    guest.shell("conctl log virtio-blk.0 | grep -q 'was killed: conctl kill'")
    guest.shell("conctl log virtio-blk.0 | grep -q 'serves after .* with the live device'")


@application(when=on_concord)
def conctl_restarts_the_driver_of_its_own_output(guest):
    guest.expect(["sh", "-c", "for i in 1 2 3 4 5; do seq 1 3000; conctl kill virtio-console.0; done; seq 1 20000"],
                 stdout="".join(f"{i}\n" for i in range(1, 3001)) * 5 +
                 "".join(f"{i}\n" for i in range(1, 20001)))


@application(when=on_concord)
def conctl_says_who_holds_what(guest):
    guest.shell("conctl graph | grep -q 'virtio-blk.0 serves block to linux main'")
    guest.shell("conctl graph --dot | grep -q '\"linux main\" -> \"uart.0\"'")


@application(when=on_concord)
def conctl_counts_kernel_calls(guest):
    guest.shell("conctl calls virtio-blk.0 | grep -q ' bell_wait$'")
    if guest.configuration.placement == "process":
        guest.shell("conctl calls | grep -q ' user_run$'")
    guest.expect(["conctl", "calls", "nobody.0"], status=1, stderr="conctl: nobody.0: no such component\n")


@application(when=on_concord)
def conctl_is_for_root_and_complains(guest):
    guest.expect(["conctl", "kill", "nobody.0"], status=1, stderr="conctl: nobody.0: no such component\n")
    guest.expect(["conctl", "colour"], status=2)
    guest.expect(["su", "nobody", "-s", "/bin/sh", "-c", "conctl ps"], status=1,
                 stderr="conctl: /dev/concord: Permission denied\n")
    # Nonsense is refused, not believed.
    guest.shell("""python3 - <<'EOF'
import errno, os
f = os.open('/dev/concord', os.O_RDWR)
for n in (0, 1, 47, 48, 49, 1000, 1024):
    os.write(f, b'\\xff' * n)
    assert len(os.read(f, 4096)) > 4
    assert os.read(f, 4096) == b''
try:
    os.write(f, b'x' * 1025)
    raise SystemExit('too long a request was taken')
except OSError as e:
    assert e.errno == errno.EMSGSIZE, e
EOF""")
