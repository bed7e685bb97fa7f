/* SPDX-License-Identifier: MIT */
/* System V message queues: msgget(2), msgctl(2); sending and receiving are in msg_op.c. */

#include "ipc/sysv/msg.h"

#include <linux/capability.h>

#include "lx/mm.h"
#include "lx/ns.h"
#include "lx/syscall.h"
#include "lx/task.h"

static int msg_max(struct lx_ipcns *ns)
{
	return (int)atomic_load(&ns->msgmni);
}

static struct ipc_object *msg_create(struct lx_task *self, const struct ipc_get *get, int *err)
{
	struct msg_queue *q = rt_zalloc(sizeof(*q));

	if (!q) {
		*err = -ENOMEM;
		return NULL;
	}
	ipc_object_init(&q->obj, self->ns->ipc, IPC_MSG, get->key, get->flags);
	q->max_bytes = atomic_load(&self->ns->ipc->msgmnb);
	q->ctime = ipc_now();
	list_init(&q->messages);
	list_init(&q->receivers);
	list_init(&q->senders);
	return &q->obj;
}

void msg_remove(struct ipc_object *o)
{
	struct msg_queue *q = queue_of(o);

	ipc_object_remove(o);
	atomic_fetch_sub(&o->ns->msg_bytes, q->bytes);
	atomic_fetch_sub(&o->ns->msg_count, q->count);
	msg_fail_waiters(q, -EIDRM);
}

void msg_free(struct ipc_object *o)
{
	struct msg *m;

	while ((m = list_pop_entry(&queue_of(o)->messages, struct msg, link)))
		rt_free(m);
	rt_free(queue_of(o));
}

long lx_sys_msgget(struct lx_task *self, int key, unsigned int flags)
{
	static const struct ipc_get_ops ops = {
		.kind = IPC_MSG, .create = msg_create, .max = msg_max,
	};
	struct ipc_get get = { .key = key, .flags = flags };

	return ipc_get(self, &ops, &get);
}

/* -- msgctl */

static void export(const struct msg_queue *q, struct msqid64_ds *ds)
{
	*ds = (struct msqid64_ds){
		.msg_stime = q->stime,
		.msg_rtime = q->rtime,
		.msg_ctime = q->ctime,
		.msg_cbytes = q->bytes,
		.msg_qnum = q->count,
		.msg_qbytes = q->max_bytes,
		.msg_lspid = q->lspid,
		.msg_lrpid = q->lrpid,
	};
	ipc_export_perm(&q->obj, &ds->msg_perm);
}

static long msg_stat(struct lx_task *self, int id, int cmd, uaddr_t buf)
{
	struct lx_ipcns *ns = self->ns->ipc;
	struct msqid64_ds ds;
	struct ipc_object *o;
	long ret;

	ret = cmd == IPC_STAT ? ipc_lock(ns, IPC_MSG, id, &o) : ipc_lock_index(ns, IPC_MSG, id, &o);
	if (ret)
		return ret;
	ret = cmd == MSG_STAT_ANY ? 0 : ipc_permission(self, o, IPC_READ);
	if (!ret) {
		export(queue_of(o), &ds);
		ret = cmd == IPC_STAT ? 0 : o->id;
	}
	ipc_unlock_put(o);
	if (ret >= 0 && lx_copy_to_user(buf, &ds, sizeof(ds)))
		return -EFAULT;
	return ret;
}

static long set_queue(struct lx_task *self, struct msg_queue *q, const struct msqid64_ds *ds)
{
	long err;

	if (ds->msg_qbytes > atomic_load(&q->obj.ns->msgmnb) && !lx_capable(self, CAP_SYS_RESOURCE))
		return -EPERM;
	err = ipc_set_perm(&q->obj, &ds->msg_perm);
	if (err)
		return err;
	q->max_bytes = ds->msg_qbytes;
	q->ctime = ipc_now();
	/* Who waits may not be allowed to any more; who still is may find room. */
	msg_fail_waiters(q, MSG_AGAIN);
	return 0;
}

static long msg_change(struct lx_task *self, int id, int cmd, uaddr_t buf)
{
	struct msqid64_ds ds;
	struct ipc_object *o;
	long err;

	if (cmd == IPC_SET && lx_copy_from_user(&ds, buf, sizeof(ds)))
		return -EFAULT;
	err = ipc_lock_owned(self, IPC_MSG, id, &o);
	if (err)
		return err;
	if (cmd == IPC_RMID)
		msg_remove(o);
	else
		err = set_queue(self, queue_of(o), &ds);
	ipc_release_owned(o);
	return err;
}

static long msg_info(struct lx_ipcns *ns, int cmd, uaddr_t buf)
{
	struct ipc_ids *ids = &ns->ids[IPC_MSG];
	struct msginfo info = {
		.msgpool = MSGPOOL,
		.msgmap = MSGMAP,
		.msgmax = (int)atomic_load(&ns->msgmax),
		.msgmnb = (int)atomic_load(&ns->msgmnb),
		.msgmni = (int)atomic_load(&ns->msgmni),
		.msgssz = MSGSSZ,
		.msgtql = MSGTQL,
		.msgseg = MSGSEG,
	};
	int max;

	rt_read_lock(&ids->lock);
	max = ipc_max_index(ids);
	if (cmd == MSG_INFO) {
		info.msgpool = ids->used;
		info.msgmap = (int)atomic_load(&ns->msg_count);
		info.msgtql = (int)atomic_load(&ns->msg_bytes);
	}
	rt_read_unlock(&ids->lock);
	return lx_copy_to_user(buf, &info, sizeof(info)) ? -EFAULT : max;
}

long lx_sys_msgctl(struct lx_task *self, int id, int cmd, uaddr_t buf)
{
	if (id < 0 || cmd < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO:
	case MSG_INFO:
		return msg_info(self->ns->ipc, cmd, buf);
	case IPC_STAT:
	case MSG_STAT:
	case MSG_STAT_ANY:
		return msg_stat(self, id, cmd, buf);
	case IPC_SET:
	case IPC_RMID:
		return msg_change(self, id, cmd, buf);
	}
	return -EINVAL;
}
