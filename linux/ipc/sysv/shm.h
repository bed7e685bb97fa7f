/* SPDX-License-Identifier: MIT */
/*
 * A shared memory segment: an unnamed tmpfs file, and who did what with it.
 *
 * Each attachment (shmat) is an open file of its own on the segment's inode, mapped
 * like any other; fork, mprotect and munmap do with it what they do with mappings.
 * How many attachments there are is how many regions of the kernel map the memory
 * object, so nothing is counted twice.  The file of an attachment holds the segment
 * and the namespace; the kernel reports its end when the last region of it, in
 * whatever process, is gone (mm/backing.c).
 */
#pragma once

#include "ipc/ipcns.h"

struct lx_pid;

struct shm_segment {
	struct ipc_object obj;		/* first */

	/* Constant. */
	uint64_t size;			/* bytes, as asked for */
	struct lx_file *file;		/* a reference */
	char name[16];			/* "/SYSV%08x" */
	struct lx_pid *creator;		/* a reference */

	/* Protected by obj.lock. */
	unsigned int attaching;		/* shmats between lookup and mapping */
	lx_pid_t cpid, lpid;
	int64_t atime, dtime, ctime;
};

static inline struct shm_segment *shm_of(struct ipc_object *o)
{
	return container_of(o, struct shm_segment, obj);
}

static inline uint64_t shm_pages(const struct shm_segment *s)
{
	return DIV_ROUND_UP(s->size, (uint64_t)K_PAGE_SIZE);
}

/* Attachments; locked. */
uint64_t shm_attachments(const struct shm_segment *s);
/* Pages of it that are in memory. */
uint64_t shm_resident(const struct shm_segment *s);
/*
 * Somebody detached: remove the segment if nobody has it attached and it was marked
 * for that.  No locks; the caller has a reference.
 */
void shm_check_unused(struct shm_segment *s);

extern const struct lx_file_ops shm_file_ops;
