/* SPDX-License-Identifier: MIT */
/*
 * An IPC namespace: everything that System V IPC and POSIX message queues have.
 *
 * Objects (shared memory segments, semaphore sets, message queues) begin with a
 * struct ipc_object; each kind has a table in the namespace.
 *
 * Locks, in this order:
 *
 *   ids->lock (LX_LOCK_IPC_IDS)	which objects there are: the table, keys, what all of them
 *				use together.  Read to look one up, written to add and remove.
 *   object->lock (LX_LOCK_IPC)	one object: its permissions, state, waiters.
 *
 * No lock is held while a task sleeps or while program memory is touched.  A task
 * that waits for an object has a reference to it and an entry on its stack that is
 * on a list of the object; whoever ends the wait takes the entry off, stores the
 * result, and does not touch the entry afterwards.
 *
 * An object is in its table until it is removed; it is removed with both locks held
 * (`removed` is set), and freed with its last reference.
 */
#pragma once

#include "base/rbtree.h"
#include "lx/cred.h"
#include "lx/lock_rank.h"
#include "lx/types.h"

#define IPC_MNI		32768		/* index part of an id; 15 bits */
#define IPC_SEQ_SHIFT	15
#define IPC_SEQ_MAX	(INT32_MAX >> IPC_SEQ_SHIFT)

enum ipc_kind { IPC_SHM, IPC_SEM, IPC_MSG, IPC_KINDS };

struct ipc_object {
	/* Constant. */
	struct lx_ipcns *ns;		/* valid while the object is not removed; no reference */
	enum ipc_kind kind;
	int id;

	_Atomic(uint32_t) refs;
	struct rb_node key_node;	/* ids->lock; linked unless the key is IPC_PRIVATE */

	struct rt_mutex lock;		/* rank LX_LOCK_IPC */
	/* Protected by lock. */
	int key;			/* written with ids->lock too, and so read with either */
	_Atomic(bool) removed;		/* written with ids->lock too; once true it stays */
	lx_uid_t uid, cuid;
	lx_gid_t gid, cgid;
	lx_mode_t mode;
};

struct ipc_ids {
	struct rt_rwlock lock;		/* rank LX_LOCK_IPC_IDS */
	/* Protected by lock. */
	struct ipc_object **table;	/* by index; NULL: free */
	int size;			/* of the table */
	int used;			/* objects */
	int last;			/* index given out last, or -1 */
	int cursor;			/* where to look for a free index */
	int seq;			/* goes up when indices wrap */
	int next_id;			/* sysctl *_next_id: id wanted by the next object, or -1 */
	struct rb_tree keys;		/* of ipc_object.key_node */
};

struct lx_ipcns {
	_Atomic(uint32_t) refs;
	uint64_t ino;			/* constant */
	struct ipc_ids ids[IPC_KINDS];

	/* Limits, by sysctl: read without locks. */
	_Atomic(uint64_t) shmmax, shmall;
	_Atomic(uint32_t) shmmni, shm_rmid_forced;
	_Atomic(uint32_t) semmsl, semmns, semopm, semmni;
	_Atomic(uint32_t) msgmax, msgmnb, msgmni;

	uint64_t shm_pages;		/* of all segments: ids[IPC_SHM].lock */
	uint64_t semaphores;		/* in all sets: ids[IPC_SEM].lock */
	_Atomic(uint64_t) msg_bytes, msg_count;	/* in all queues */

	/* POSIX message queues: the mount that mq_open(2) works on, NULL until the first use. */
	_Atomic(struct lx_mount *) mq_mount;
	_Atomic(uint32_t) mq_queues;	/* in it */
	_Atomic(uint32_t) mq_queues_max, mq_msg_max, mq_msgsize_max, mq_msg_default, mq_msgsize_default;
};

/* -- sysv/ids.c */

struct ipc64_perm;

void ipc_ids_init(struct ipc_ids *ids);
/* An object that is in no table yet, owned by the caller; one reference. */
void ipc_object_init(struct ipc_object *o, struct lx_ipcns *ns, enum ipc_kind kind, int key,
		     unsigned int flags);
/*
 * With ids->lock written: give @o an index and its id, and make it known; the
 * table takes the caller's reference.  -ENOSPC: @max there are already; -ENOMEM.
 */
int ipc_object_add(struct ipc_object *o, int max);
/* With ids->lock written and o->lock held: out of the table; the caller puts its reference. */
void ipc_object_remove(struct ipc_object *o);
/* Nobody finds it by key any more.  Locks as for removal. */
void ipc_object_forget_key(struct ipc_object *o);
struct ipc_object *ipc_object_get(struct ipc_object *o);
void ipc_object_put(struct ipc_object *o);	/* frees; without locks */

/*
 * The object of @id with a reference and locked: -EINVAL there is none, -EIDRM it
 * just went.  _index: by index, whatever the sequence number (IPC_STAT's cousins).
 */
int ipc_lock(struct lx_ipcns *ns, enum ipc_kind kind, int id, struct ipc_object **out);
int ipc_lock_index(struct lx_ipcns *ns, enum ipc_kind kind, int index, struct ipc_object **out);
/* Lock again after a wait, by who kept a reference: -EIDRM. */
int ipc_relock(struct ipc_object *o);
/* Unlock and drop the reference. */
void ipc_unlock_put(struct ipc_object *o);
/*
 * For the commands that remove or change: ids->lock written, then the object
 * locked, and the caller is its owner or creator: -EPERM.  ipc_release_owned() ends it.
 */
int ipc_lock_owned(struct lx_task *self, enum ipc_kind kind, int id, struct ipc_object **out);
void ipc_release_owned(struct ipc_object *o);
/* The next object with index >= *@index, with a reference, or NULL; *@index becomes its own. */
struct ipc_object *ipc_next(struct lx_ipcns *ns, enum ipc_kind kind, int *index);
/* The largest index in use, 0 if none. */
int ipc_max_index(struct ipc_ids *ids);	/* with ids->lock */

#define IPC_READ	0444u
#define IPC_WRITE	0222u
/* May the caller do this (bits of IPC_READ, IPC_WRITE, 0111)?  Object locked.  -EACCES. */
int ipc_permission(struct lx_task *self, const struct ipc_object *o, unsigned int want);

/*
 * shmget, semget, msgget: look @key up by the rules of IPC_CREAT and IPC_EXCL.
 * @check: is an existing object (locked) what the caller wants?  @create: make and add one,
 * with ids->lock written.  The id or a negative errno.
 */
struct ipc_get {
	int key;
	unsigned int flags;
	uint64_t size;			/* bytes of a segment, semaphores of a set */
};
struct ipc_get_ops {
	enum ipc_kind kind;
	int (*check)(struct ipc_object *o, const struct ipc_get *get);
	struct ipc_object *(*create)(struct lx_task *self, const struct ipc_get *get, int *err);
	/* With ids->lock written: is there room for it?  Then, when it is in the table, count it. */
	int (*admit)(struct lx_ipcns *ns, const struct ipc_get *get);
	void (*count)(struct lx_ipcns *ns, const struct ipc_get *get);
	int (*max)(struct lx_ipcns *ns);
};
long ipc_get(struct lx_task *self, const struct ipc_get_ops *ops, const struct ipc_get *get);

void ipc_export_perm(const struct ipc_object *o, struct ipc64_perm *p);	/* object locked */
/* IPC_SET, object locked: -EINVAL for ids that are none. */
int ipc_set_perm(struct ipc_object *o, const struct ipc64_perm *p);

int64_t ipc_now(void);			/* seconds of the real time */

/* -- each kind's */
void shm_free(struct ipc_object *o);
void sem_free(struct ipc_object *o);
void msg_free(struct ipc_object *o);
/* The namespace ends: remove @o.  ids->lock written, o->lock held. */
void shm_remove(struct ipc_object *o);
void sem_remove(struct ipc_object *o);
void msg_remove(struct ipc_object *o);
/* shm_rmid_forced was set: remove what nobody has attached and nobody alive made. */
void shm_remove_orphans(struct lx_ipcns *ns);

/* -- sysv/proc.c */
int ipc_proc_init(void);

/* -- mqueue/ */
int mq_init(void);			/* the file system type, sys/fs/mqueue */
void mq_ns_init(struct lx_ipcns *ns);
void mq_ns_exit(struct lx_ipcns *ns);
