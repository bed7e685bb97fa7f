/* SPDX-License-Identifier: MIT */
/* Limits of POSIX message queues: /proc/sys/fs/mqueue, of the reader's IPC namespace. */

#include "fs/pseudo/pseudo.h"
#include "ipc/ipcns.h"
#include "ipc/mqueue/mqueue.h"

static const struct limit {
	const char *path;
	size_t offset;
	uint32_t min, max, initial;
} limits[] = {
	{ "sys/fs/mqueue/queues_max", offsetof(struct lx_ipcns, mq_queues_max), 0, INT32_MAX, 256 },
	{ "sys/fs/mqueue/msg_max", offsetof(struct lx_ipcns, mq_msg_max), 1, MQ_HARD_MSG_MAX, 10 },
	{ "sys/fs/mqueue/msgsize_max", offsetof(struct lx_ipcns, mq_msgsize_max), 128,
	  MQ_HARD_MSGSIZE_MAX, 8192 },
	{ "sys/fs/mqueue/msg_default", offsetof(struct lx_ipcns, mq_msg_default), 1,
	  MQ_HARD_MSG_MAX, 10 },
	{ "sys/fs/mqueue/msgsize_default", offsetof(struct lx_ipcns, mq_msgsize_default), 128,
	  MQ_HARD_MSGSIZE_MAX, 8192 },
};

static _Atomic(uint32_t) *field(struct lx_ipcns *ns, const struct limit *l)
{
	return (_Atomic(uint32_t) *)((char *)ns + l->offset);
}

void mq_ns_init(struct lx_ipcns *ns)
{
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		atomic_init(field(ns, &limits[i]), limits[i].initial);
}

static int show_limit(struct pseudo_buf *b, void *arg)
{
	pseudo_printf(b, "%u\n", atomic_load(field(lx_self()->ns->ipc, arg)));
	return 0;
}

static int store_limit(const char *text, size_t n, void *arg)
{
	const struct limit *l = arg;
	uint64_t value;

	if (!pseudo_parse_u64(text, n, &value) || value < l->min || value > l->max)
		return -EINVAL;
	atomic_store(field(lx_self()->ns->ipc, l), (uint32_t)value);
	return 0;
}

int mq_proc_init(void)
{
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(limits) && !err; i++)
		err = pseudo_file(lx_proc_tree, limits[i].path, 0644, show_limit, store_limit,
				  (void *)(uintptr_t)&limits[i]);
	return err;
}
