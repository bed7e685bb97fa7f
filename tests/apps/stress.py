# SPDX-License-Identifier: MIT
"""Debian's stress-ng: each stressor for some seconds, looking for hangs and wrong results."""

import re

from concord.scenario import Failed, Skip, application

STRESSORS = ["fork", "mmap", "vm", "pipe", "futex", "signal", "switch", "clone", "exec", "poll", "epoll",
             "dentry", "rename", "sigfd", "timer", "pthread", "malloc", "sysinval", "shm-sysv",
             "sem-sysv", "msg", "shm", "sem", "mq"]


def _define(name, seconds, full):
    def stress(guest):
        # Memory use is bounded, so that what is tested is the stressor and not the OOM killer; but malloc's is
        # not: that is the size of one allocation, of which it makes many, and it may end what it started.
        sizes = {"vm": ["--vm-bytes", "64m"], "mmap": ["--mmap-bytes", "32m"],
                 "malloc": ["--malloc-bytes", "32m"]}.get(name, [])
        # These two refuse to run as root, or would end the guest by doing what root may do.
        user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] \
            if name in ("exec", "sysinval") else []
        risky = ["--pathological"] if name == "sysinval" else []
        result = guest.run([*user, "stress-ng", f"--{name}", "2", *sizes, *risky, "--verify", "--timeout",
                            f"{seconds}s", "--temp-path", "/tmp"], seconds=seconds + 90)
        text = (result.stdout + result.stderr).decode(errors="replace")
        if re.search(r"skipped|not implemented|unsupported", text) and result.status in (0, 3, 4):
            raise Skip(text.strip().splitlines()[-1])
        if result.status != 0:
            raise Failed(f"status {result.status}\n{text}")

    stress.__name__ = f"{name}_{seconds}s"
    stress.__module__ = "apps.stress"
    application(image="test", seconds=seconds + 120, full=full,
                when=lambda configuration: configuration.cpus == 2)(stress)


for stressor in STRESSORS:
    _define(stressor, 3, full=False)
    _define(stressor, 60, full=True)
