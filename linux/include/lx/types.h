/* SPDX-License-Identifier: MIT */
/*
 * What every file of the personality sees: numbers, errno, forward declarations.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <asm/errno.h>		/* UAPI */

#include "abi/status.h"
#include "abi/types.h"
#include "base/list.h"
#include "base/string.h"
#include "base/util.h"
#include "rt/lock.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "rt/user.h"

/* Never leave the personality: an interrupted call asks to be restarted (signal/restart rules). */
#define LX_ERESTARTSYS		512	/* restart if the handler has SA_RESTART, else EINTR */
#define LX_ERESTARTNOINTR	513	/* always restart */
#define LX_ERESTARTNOHAND	514	/* restart only if no handler ran */
#define LX_ERESTART_BLOCK	516	/* restart through restart_syscall(2) */

typedef int32_t lx_pid_t;
typedef int64_t lx_off_t;
typedef uint32_t lx_uid_t, lx_gid_t;
typedef uint32_t lx_mode_t;
typedef uint64_t lx_dev_t;	/* kernel-internal: major << 20 | minor */

#define LX_MKDEV(ma, mi)	(((lx_dev_t)(ma) << 20) | (mi))
#define LX_MAJOR(d)		((uint32_t)((d) >> 20))
#define LX_MINOR(d)		((uint32_t)((d) & 0xfffff))

/* In 32 bits, as programs, disks and protocols have it; majors below 4096. */
static inline uint32_t lx_dev_encode(lx_dev_t dev)
{
	return (LX_MINOR(dev) & 0xff) | LX_MAJOR(dev) << 8 | (LX_MINOR(dev) & ~0xffu) << 12;
}

static inline lx_dev_t lx_dev_decode(uint32_t dev)
{
	return LX_MKDEV(dev >> 8 & 0xfff, (dev & 0xff) | (dev >> 12 & 0xfff00));
}

struct lx_time { int64_t sec; uint32_t nsec; };

/* For times that have no lock: each half in one access. */
static inline struct lx_time lx_time_get(const struct lx_time *t)
{
	return (struct lx_time){ .sec = READ_ONCE(t->sec), .nsec = READ_ONCE(t->nsec) };
}

static inline void lx_time_set(struct lx_time *t, struct lx_time value)
{
	WRITE_ONCE(t->sec, value.sec);
	WRITE_ONCE(t->nsec, value.nsec);
}

struct lx_task;
struct lx_group;
struct lx_mm;
struct lx_files;
struct lx_fs;
struct lx_sighand;
struct lx_cred;
struct lx_pidns;
struct lx_mntns;
struct lx_utsns;
struct lx_ipcns;
struct lx_netns;
struct lx_nsproxy;
struct lx_inode;
struct lx_dentry;
struct lx_mount;
struct lx_super;
struct lx_file;
struct lx_tty;
struct lx_iter;
struct lx_poll;
struct lx_mmap;

/* A kernel status as a negative errno (linux/entry/errno.c); OK is 0. */
int lx_errno(k_status_t st);
/* "ENOENT", for logs. */
const char *lx_errno_name(int err);
