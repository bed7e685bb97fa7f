# SPDX-License-Identifier: MIT
"""Programs that communicate: System V and POSIX IPC, and namespaces of their own."""

from concord.scenario import application


@application()
def util_linux_makes_lists_and_removes_objects(guest):
    guest.expect(["sh", "-c", """
ipcmk -M 10000 >/dev/null && ipcmk -S 3 >/dev/null && ipcmk -Q >/dev/null
ipcs | grep -c 0x
ipcs -m | awk '/^0x/ { print $5, $6 }'
ipcs -s | awk '/^0x/ { print $5 }'
ipcs -u | grep -E 'allocated'
ipcrm --all
ipcs | grep -c 0x
"""], status=1, stdout="""3
10000 0
3
allocated queues = 1
segments allocated 1
pages allocated 3
allocated semaphores = 3
0
""")


@application()
def python_shares_memory_and_semaphores(guest):
    guest.expect(["python3", "-"], stdin="""
import multiprocessing as mp, os, sys
from multiprocessing import shared_memory
context = mp.get_context("fork")

def work(name, semaphore, queue, value):
    memory = shared_memory.SharedMemory(name=name)
    for _ in range(50):
        with semaphore:
            memory.buf[0] += 1
        with value.get_lock():
            value.value += 1
    queue.put(bytes(memory.buf[1:3]))
    memory.close()

memory = shared_memory.SharedMemory(create=True, size=4096)
memory.buf[1:3] = b"ok"
semaphore, queue, value = context.Semaphore(1), context.Queue(), context.Value("i", 0)
workers = [context.Process(target=work, args=(memory.name, semaphore, queue, value)) for _ in range(4)]
[w.start() for w in workers]
print([queue.get() for _ in workers])
[w.join() for w in workers]
print(memory.buf[0], value.value, [w.exitcode for w in workers])
memory.close(); memory.unlink()
print(os.listdir("/dev/shm"))
""", stdout="[b'ok', b'ok', b'ok', b'ok']\n200 200 [0, 0, 0, 0]\n[]\n")


@application()
def unshare_and_nsenter_use_namespaces(guest):
    guest.expect(["sh", "-c", """
touch /tmp/ipc /tmp/uts
unshare --ipc=/tmp/ipc --uts=/tmp/uts sh -c 'ipcmk -Q >/dev/null; hostname inside'
ipcs -q | grep -c 0x
nsenter --ipc=/tmp/ipc --uts=/tmp/uts sh -c 'ipcs -q | grep -c 0x; hostname'
umount /tmp/ipc /tmp/uts
"""], stdout="0\n1\ninside\n")


@application()
def mqueue_file_system_shows_queues(guest):
    guest.expect(["sh", "-c", """
mkdir -p /dev/mqueue && mount -t mqueue none /dev/mqueue
touch /dev/mqueue/one && ls /dev/mqueue && cat /dev/mqueue/one
rm /dev/mqueue/one && ls /dev/mqueue && umount /dev/mqueue
"""], stdout="one\nQSIZE:0          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n")
