/* SPDX-License-Identifier: MIT */
/*
 * IPC namespaces (System V objects and POSIX message queues), and what the life of
 * tasks and address spaces means for them.  See ipc_namespaces(7), sysvipc(7).
 */
#pragma once

#include "lx/types.h"

struct lx_sem_undos;
struct lx_shm_segment;

extern struct lx_ipcns lx_init_ipcns;

/* The first namespace and its files in /proc; after lx_vfs_init().  -ENOMEM. */
int lx_ipc_init(void);
struct lx_ipcns *lx_ipcns_get(struct lx_ipcns *ns);
/* The last one removes every object of the namespace.  No locks held. */
void lx_ipcns_put(struct lx_ipcns *ns);
/* clone, unshare(CLONE_NEWIPC): an empty one with default limits; NULL: no memory. */
struct lx_ipcns *lx_ipcns_create(void);
/* The number of /proc/PID/ns/ipc. */
uint64_t lx_ipcns_ino(const struct lx_ipcns *ns);

/*
 * -- System V shared memory.  A mm whose sysv_shm is set has, or once had, segments
 * attached; these are called for such ones only, without locks.
 */
/* [@from, @to) is about to be unmapped by @self: detach what lies in it (the regions go). */
void lx_shm_unmap(struct lx_task *self, struct lx_mm *mm, uint64_t from, uint64_t to);
/* The child's @mm has what the caller had attached. */
void lx_shm_fork(struct lx_task *self, struct lx_mm *mm);
/* The last task that used @mm leaves it. */
void lx_shm_mm_exit(struct lx_task *self, struct lx_mm *mm);
/* After that, when the task ends: segments that it made and that nobody has attached (shm_rmid_forced). */
void lx_shm_task_exit(struct lx_task *self);

/* -- semaphores: the adjustments of SEM_UNDO, shared by CLONE_SYSVSEM */
/* A child is made: its task->sem_undos from the caller's. 0 or -ENOMEM. */
int lx_sem_clone(struct lx_task *self, struct lx_task *child, bool share);
/* Exit, unshare(CLONE_SYSVSEM): apply them, if the task was the last to use them. */
void lx_sem_exit(struct lx_task *self);
