# SPDX-License-Identifier: MIT
"""Machines with too little memory for what runs on them."""

import textwrap

from concord.scenario import Failed, boot

LITTLE = "64"           # MiB; the default image's programs need some 20

PRELUDE = """
import os, mmap, signal, subprocess, sys, time

def fields(path):
    lines = (line.replace(':', ' ').split() for line in open(path))
    return {line[0]: int(line[1]) for line in lines if len(line) > 1 and line[1].isdigit()}

def meminfo(name):
    return fields('/proc/meminfo')[name]

def kills():
    return fields('/proc/vmstat')['oom_kill']

def free():
    return meminfo('MemAvailable')

def back(before):
    '''Memory comes back when the last process that has some is gone.'''
    for i in range(100):
        if free() > before - 8192:
            return
        time.sleep(0.1)
    sys.exit(f'{before - free()} KiB of memory are gone')
"""


HOG = """
def texts(megabytes):
    '''Programs and libraries of so much altogether, mapped as when they run.'''
    maps = []
    for folder in ('/usr/bin', '/usr/lib/x86_64-linux-gnu'):
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.is_file(follow_symlinks=False) and 1 << 17 <= entry.stat().st_size <= 1 << 23:
                with open(entry.path, 'rb') as file:
                    maps.append(mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ))
                if sum(map(len, maps)) > megabytes << 20:
                    return maps
    sys.exit(f'there are only {sum(map(len, maps))} bytes of programs')

def run(maps):
    for area in maps:
        for at in range(0, len(area), 4096):
            area[at]

def protect(score):
    open('/proc/self/oom_score_adj', 'w').write(str(score))

def child(work):
    pid = os.fork()
    if not pid:
        try:
            work()
        finally:
            os._exit(1)
    return pid

def hog(megabytes):
    '''Takes memory until so much is left for everybody's files, and keeps it.'''
    def take():
        protect(0)
        kept = []
        while meminfo('MemFree') + meminfo('Cached') > megabytes << 10:
            kept.append(mmap.mmap(-1, 1 << 18, mmap.MAP_PRIVATE))
            for at in range(0, 1 << 18, 4096):
                kept[-1][at] = 1
        os.write(full, b'x')
        while True:
            signal.pause()
    ready, full = os.pipe()
    pid = child(take)
    os.close(full)
    if not os.read(ready, 1):
        sys.exit('the hog could not take what there was')
    return pid
"""


def in_guest(lab, script, *texts, memory=LITTLE):
    """Without a network card, whose driver and buffers take 1.7 MiB (CAVEATS)."""
    options = [*lab.run_options(), "--net", "none"]
    options[options.index("--memory") + 1] = memory
    done = lab.concord("run", *options, "--", "python3", "-c", PRELUDE + HOG + textwrap.dedent(script))
    for text in (*texts, "end"):
        if done.returncode != 0 or text not in done.stdout.decode(errors="replace"):
            raise Failed(f"status {done.returncode}, no {text!r} in\n{done.stdout.decode(errors='replace')}\n"
                         f"{done.stderr.decode(errors='replace')}")


@boot(seconds=300)
def file_larger_than_memory_can_be_read(lab):
    """And mapped; nobody is ended for it, and what is used all the time stays."""
    in_guest(lab, """
        size, chunk = 160 << 20, 1 << 17
        disk = os.open('/dev/vda', os.O_RDONLY)
        for at in range(0, size, chunk):
            if len(os.pread(disk, chunk, at)) != chunk:
                sys.exit(f'short read at {at}')
        print('read')
        area = mmap.mmap(disk, size, mmap.MAP_SHARED, mmap.PROT_READ)
        for at in range(0, size, 1 << 16):
            if area[at:at + 4096] != os.pread(disk, 4096, at):
                sys.exit(f'wrong bytes at {at}')
        print('mapped')
        if kills():
            sys.exit('somebody was ended')
        if meminfo('MemAvailable') < 20 << 10 or meminfo('Cached') < 16 << 10:
            sys.exit(open('/proc/meminfo').read())
        print('end')
        """, "read", "mapped")


@boot(seconds=300)
def programs_that_take_too_much_are_ended(lab):
    """Nothing else is, and memory comes back: a hog, many of them, and a full tmpfs."""
    in_guest(lab, """
        before = free()
        hog = "kept = []\\nwhile True: kept.append(bytearray(b'x') * (1 << 20))"
        if subprocess.run([sys.executable, '-c', hog]).returncode != -signal.SIGKILL:
            sys.exit('the hog was not ended')
        back(before)
        print('hog')

        # The largest goes first, but for one that is protected.
        open('/proc/self/oom_score_adj', 'w').write('-1000')
        children = []
        for i in range(16):
            child = os.fork()
            if not child:
                open('/proc/self/oom_score_adj', 'w').write('0')
                kept = bytearray(b'x') * (8 << 20)
                os._exit(0) if len(kept) else None
            children.append(child)
        ends = [os.waitpid(child, 0)[1] for child in children]
        if any(end not in (0, signal.SIGKILL) for end in ends):
            sys.exit(f'ends: {ends}')
        back(before)
        print('many')

        os.mkdir('/tmp/full')
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1g', 'full', '/tmp/full'], check=True)
        dd = subprocess.run(['dd', 'if=/dev/zero', 'of=/tmp/full/file', 'bs=64k'], capture_output=True)
        if dd.returncode == 0 or os.path.getsize('/tmp/full/file') < 20 << 20:
            sys.exit(f'dd: {dd}')
        os.unlink('/tmp/full/file')     # a program for it might not find room
        subprocess.run(['umount', '/tmp/full'], check=True)
        back(before)
        log = subprocess.run(['dmesg'], capture_output=True, text=True).stdout
        for words in ('invoked oom-killer', 'Out of memory: Killed process'):
            if words not in log:
                sys.exit(f'no {words!r} in\\n{log}')
        print('end')
        """, "hog", "many")


@boot(when=lambda configuration: configuration.cpus == 1 and not configuration.kernel)
def calls_find_the_memory_that_they_need(lab):
    """They do not fail with ENOMEM while there is somebody to end for it: threads are made of the last pages."""
    in_guest(lab, """
        import ctypes, threading
        victims = []
        for i in range(4):
            victims.append(os.fork())
            if not victims[-1]:
                open('/proc/self/oom_score_adj', 'w').write('1000')
                kept = bytearray(b'x') * (3 << 20)
                while True:
                    signal.pause()
        open('/proc/self/oom_score_adj', 'w').write('-1000')
        stop = threading.Event()
        threading.stack_size(64 << 10)
        for i in range(2):
            threading.Thread(target=stop.wait).start()
        # What is tried is not how well this program runs without its text.
        if ctypes.CDLL(None).mlockall(1):
            sys.exit('mlockall')
        area, at = mmap.mmap(-1, 64 << 20), 0
        while kills() < 3:
            for i in range(16):
                area[at] = 1
                at += 4096
            if free() < 4096:
                threading.Thread(target=stop.wait).start()
        stop.set()
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        print('end')
        """)


@boot(seconds=300, when=lambda configuration: configuration.cpus == 2 and configuration.placement == "process")
def programs_that_leave_no_room_to_run_are_ended(lab):
    """No allocation fails, but what programs run does not fit into what one of them leaves for it: it is ended
    when they have done nothing but read the same pages again and again, and they go on."""
    in_guest(lab, """
        protect(-1000)
        turns = mmap.mmap(-1, 4096)
        def work(i):
            maps = texts(24)
            while True:
                run(maps)
                turns[i] = min(turns[i] + 1, 255)
        big = hog(11)
        print('full')
        workers = [child(lambda: work(i)) for i in range(2)]
        pid, status = os.wait()
        if (pid, status) != (big, signal.SIGKILL):
            sys.exit(f'{status:#x} ended {pid}, which is not the hog {big}')
        log = subprocess.run(['dmesg'], capture_output=True, text=True).stdout
        if 'invoked oom-killer: thrashing' not in log:
            sys.exit(log)
        if fields('/proc/vmstat')['workingset_refault_file'] < 10000:
            sys.exit(open('/proc/vmstat').read())
        print('ended')
        turns[:2] = bytes(2)
        while min(turns[:2]) < 2:
            time.sleep(0.1)
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        if kills() != 1:
            sys.exit(f'{kills()} were ended')
        print('end')
        """, "full", "ended", memory="96")


@boot(seconds=300, when=lambda configuration: configuration.cpus == 2 and configuration.placement == "kernel")
def streams_go_through_what_little_there_is(lab):
    """Files that are much larger than what a program has left of memory are read and mapped, and one that is a
    little larger again and again; nobody is ended for it."""
    in_guest(lab, """
        protect(-500)
        big = hog(11)
        disk = os.open('/dev/vda', os.O_RDONLY)
        for at in range(0, 96 << 20, 1 << 17):
            os.pread(disk, 1 << 17, at)
        print('read')
        area = mmap.mmap(disk, 96 << 20, mmap.MAP_SHARED, mmap.PROT_READ)
        for at in range(0, len(area), 4096):
            area[at]
        print('mapped')
        for i in range(16):
            for at in range(0, 12 << 20, 1 << 17):
                os.pread(disk, 1 << 17, at)
        if kills() or os.waitpid(big, os.WNOHANG)[0]:
            sys.exit('somebody was ended')
        print('end')
        """, "read", "mapped", memory="96")


@boot(when=lambda configuration: not configuration.kernel)
def system_takes_little_for_itself(lab):
    """Kernel, components and personality, all page metadata included; without programs and page cache.
    Promised are 12 MiB; it is less by so much that growth is noticed before."""
    in_guest(lab, """
        own = 0
        for pid in filter(str.isdigit, os.listdir('/proc')):
            own += fields(f'/proc/{pid}/status')['RssAnon']
        used = (256 << 10) - own - sum(map(meminfo, ('MemFree', 'Buffers', 'Cached')))
        if not 4 << 10 < used < 23 << 9:
            sys.exit(f'it takes {used} KiB')
        print('end')
        """, memory="256")
