/* SPDX-License-Identifier: MIT */
/*
 * The host rig: the portable parts of the personality in an ordinary process.
 *
 * rig_kernel.c imitates the kernel calls and the runtime on top of the C library:
 * memory objects are arrays of pages, waiting words are futexes, threads are
 * pthreads.  rig_task.c imitates what the core of the personality does for the
 * rest: the current task, credentials, limits, signals that only count.
 *
 * Program memory is an arena; a test takes room in it (rig_user) and passes its
 * addresses to handlers.  A page of it can be made absent, so that copies stop
 * there as they do at a page whose owner has to supply it: lx_fault_in() makes it
 * present again, unless it is forbidden for good (rig_forbid).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rt/user.h"

struct lx_task;

/* Start the VFS and be the first task: root.  Once per program. */
void rig_start(void);
/* Forget all program memory (the next test begins at the start of the arena). */
void rig_reset(void);

/* -- program memory */
uaddr_t rig_user(size_t n);		/* room, 16-aligned, zeros */
uaddr_t rig_str(const char *s);
uaddr_t rig_bytes(const void *p, size_t n);
void *rig_ptr(uaddr_t a);		/* to look at it from the test */
void rig_absent(uaddr_t a, size_t n);	/* pages of it: until faulted in */
void rig_forbid(uaddr_t a, size_t n);	/* for good */
unsigned int rig_faults(void);		/* how often lx_fault_in() was asked */

/* -- files, as programs see them */
long rig_put_file(const char *path, const char *text);	/* it has this text alone: bytes, or negative errno */
const char *rig_get_file(const char *path);	/* its text, until the next call; "(not there)" */

/* -- tasks */
struct lx_task *rig_self(void);
/* Another task on a pthread: shares nothing; runs fn(arg).  rig_join waits for it. */
struct lx_task *rig_task(void (*fn)(void *arg), void *arg);
void rig_join(struct lx_task *t);
void rig_become(uint32_t uid, uint32_t gid);	/* the calling task; 0: root with all capabilities */
void rig_set_rlimit(unsigned int which, unsigned long value);
unsigned int rig_signals(int signo);	/* how many were sent to the calling task */
void rig_interrupt(struct lx_task *t);	/* as by a signal */
void rig_kill(struct lx_task *t);	/* as by SIGKILL; it goes on until it ends by itself */

/* -- kernel objects alive, for leak checks */
unsigned int rig_memory_objects(void);
/* A memory object with these bytes: an initramfs. */
uint32_t rig_memory_of(const void *data, size_t n);
/* A disk /dev/vdX (@index: 0 is vda) with these bytes, which stay the caller's; it may be replaced. */
void rig_disk(unsigned int index, const void *data, size_t n);
/* The same, and writable. */
void rig_disk_rw(unsigned int index, void *data, size_t n);
/*
 * Tell @fn of each write to a writable disk before it is done, and of each flush
 * (@data is NULL).  If it returns false the request fails.
 */
typedef bool (*rig_disk_hook)(unsigned int index, uint64_t off, const void *data, size_t n);
void rig_disk_watch(rig_disk_hook fn);
/*
 * A 9P server: @serve gets each message, and writes the answer into @room bytes; returns its length,
 * or RIG_9P_SILENT: it never answers this one.  The server stays.
 */
#define RIG_9P_SILENT SIZE_MAX
struct p9link;
typedef size_t (*rig_9p_server)(struct p9link *link, const uint8_t *message, size_t n, uint8_t *answer, size_t room);
struct p9link *rig_9p(const char *tag, rig_9p_server serve);
void rig_9p_reset(struct p9link *link);		/* its session ends, as by a reset of a device */
unsigned int rig_9p_requests(const struct p9link *link);	/* not given back */
/* The @n-th allocation from now on fails; 0: none. */
void rig_fail_alloc(unsigned int n);
void rig_fail_allocs(unsigned int n, unsigned int count);	/* and those after it, @count in all */
