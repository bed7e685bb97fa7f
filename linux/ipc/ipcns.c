/* SPDX-License-Identifier: MIT */
/*
 * The life of an IPC namespace.  Tasks hold references through their lx_nsproxy,
 * and so do attached segments and open message queues, whose end may need it.
 */

#include "ipc/ipcns.h"

#include <linux/msg.h>
#include <linux/sem.h>
#include <linux/shm.h>

#include "lx/ipc.h"
#include "lx/ns.h"

#ifndef ULONG_MAX
#define ULONG_MAX	(~0ul)		/* in SHMMAX and SHMALL */
#endif

struct lx_ipcns lx_init_ipcns;

static void init(struct lx_ipcns *ns, uint64_t ino)
{
	atomic_init(&ns->refs, 1);
	ns->ino = ino;
	for (int kind = 0; kind < IPC_KINDS; kind++)
		ipc_ids_init(&ns->ids[kind]);
	atomic_init(&ns->shmmax, SHMMAX);
	atomic_init(&ns->shmall, SHMALL);
	atomic_init(&ns->shmmni, SHMMNI);
	atomic_init(&ns->semmsl, SEMMSL);
	atomic_init(&ns->semmns, SEMMNS);
	atomic_init(&ns->semopm, SEMOPM);
	atomic_init(&ns->semmni, SEMMNI);
	atomic_init(&ns->msgmax, MSGMAX);
	atomic_init(&ns->msgmnb, MSGMNB);
	atomic_init(&ns->msgmni, MSGMNI);
	mq_ns_init(ns);
}

int lx_ipc_init(void)
{
	int err;

	init(&lx_init_ipcns, 0xefffffffu);
	err = ipc_proc_init();
	return err ? err : mq_init();
}

struct lx_ipcns *lx_ipcns_create(void)
{
	struct lx_ipcns *ns = rt_zalloc(sizeof(*ns));

	if (ns)
		init(ns, lx_ns_number_next());
	return ns;
}

struct lx_ipcns *lx_ipcns_get(struct lx_ipcns *ns)
{
	atomic_fetch_add_explicit(&ns->refs, 1, memory_order_relaxed);
	return ns;
}

uint64_t lx_ipcns_ino(const struct lx_ipcns *ns)
{
	return ns->ino;
}

/* Nobody can look an object up any more, but some may still be used. */
static void remove_all(struct lx_ipcns *ns, enum ipc_kind kind, void (*remove)(struct ipc_object *))
{
	struct ipc_ids *ids = &ns->ids[kind];
	struct ipc_object *o;
	int index;

	for (index = 0; (o = ipc_next(ns, kind, &index)); index++) {
		rt_write_lock(&ids->lock);
		rt_mutex_lock(&o->lock);
		remove(o);
		rt_mutex_unlock(&o->lock);
		rt_write_unlock(&ids->lock);
		ipc_object_put(o);	/* the table's */
		ipc_object_put(o);
	}
	rt_free(ids->table);
}

void lx_ipcns_put(struct lx_ipcns *ns)
{
	if (!ns || atomic_fetch_sub(&ns->refs, 1) != 1)
		return;
	mq_ns_exit(ns);
	remove_all(ns, IPC_MSG, msg_remove);
	remove_all(ns, IPC_SEM, sem_remove);
	remove_all(ns, IPC_SHM, shm_remove);
	rt_free(ns);
}
