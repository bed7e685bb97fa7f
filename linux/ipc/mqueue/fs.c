/* SPDX-License-Identifier: MIT */
/*
 * The mqueue file system: a directory of message queues.
 *
 * Every IPC namespace has one, made when it is first used and held by a mount that is
 * in no tree (ns->mq_mount); mounting the type shows it.  Open queues hold that mount,
 * or the one they were opened through, and so the super block can outlive the
 * namespace: it then only loses its connection (mq_super.ns).
 *
 * Entries are kept by name, and in the order of their cookies, which are the positions
 * of readdir.  They are protected by the lock of the directory's inode.
 */

#include <asm/poll.h>
#include <asm/statfs.h>
#include <asm/signal.h>
#include <asm/siginfo.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/resource.h>

#include "base/format.h"
#include "ipc/ipcns.h"
#include "ipc/mqueue/mqueue.h"
#include "lx/iter.h"
#include "lx/pid.h"
#include "lx/user.h"

#ifndef MQUEUE_MAGIC
#define MQUEUE_MAGIC	0x19800202
#endif
#define ENTRY_SIZE	20		/* what an entry adds to st_size of the directory */
#define STATUS_SIZE	80		/* st_size of a queue */
#define FIRST_COOKIE	2		/* 0 and 1 are "." and ".." */

struct entry {
	struct rb_node by_name;
	struct list by_cookie;
	struct lx_inode *inode;		/* a reference */
	lx_off_t cookie;
	uint32_t len;
	char name[];
};

struct mq_super {
	struct rt_mutex lock;		/* rank LX_LOCK_LEAF */
	struct lx_ipcns *ns;		/* lock; NULL when the namespace is gone; no reference */
	/* The directory's lock. */
	struct rb_tree names;		/* of entry.by_name */
	struct list entries;		/* of entry.by_cookie */
	lx_off_t next_cookie;
};

static const struct lx_inode_ops dir_iops, queue_iops;
static const struct lx_file_ops dir_fops;

static struct mq_super *super_of(const struct lx_inode *inode)
{
	return inode->sb->private;
}

/* -- entries: the directory is locked */

static int compare(const char *name, uint32_t len, const struct entry *e)
{
	int c = memcmp(name, e->name, MIN(len, e->len));

	return c ? c : (len > e->len) - (len < e->len);
}

static struct rb_node **find(struct mq_super *s, const struct lx_dentry *d, struct rb_node **parent)
{
	struct rb_node **link = &s->names.root;

	*parent = NULL;
	while (*link) {
		int c = compare(d->name, d->name_len, container_of(*link, struct entry, by_name));

		if (!c)
			break;
		*parent = *link;
		link = c < 0 ? &(*parent)->left : &(*parent)->right;
	}
	return link;
}

/* @inode's reference moves in: 0 or -ENOMEM (it stays the caller's then). */
static int link_entry(struct lx_inode *dir, const struct lx_dentry *d, struct lx_inode *inode)
{
	struct mq_super *s = super_of(dir);
	struct entry *e = rt_alloc(sizeof(*e) + d->name_len);
	struct rb_node *parent, **link;

	if (!e)
		return -ENOMEM;
	e->inode = inode;
	e->len = d->name_len;
	memcpy(e->name, d->name, d->name_len);
	link = find(s, d, &parent);
	rb_insert(&s->names, &e->by_name, parent, link);
	e->cookie = s->next_cookie++;
	list_add_last(&s->entries, &e->by_cookie);
	atomic_fetch_add(&dir->size, ENTRY_SIZE);
	lx_inode_touch(dir, LX_ATTR_ATIME | LX_ATTR_MTIME | LX_ATTR_CTIME);
	return 0;
}

/* Its reference to the inode is the caller's. */
static struct lx_inode *unlink_entry(struct mq_super *s, struct entry *e)
{
	struct lx_inode *inode = e->inode;

	rb_remove(&s->names, &e->by_name);
	list_remove(&e->by_cookie);
	rt_free(e);
	return inode;
}

/* -- queues */

/* Count one more queue in the namespace: -ENOSPC, -EACCES if that is gone. */
static int count_queue(struct mq_super *s, int64_t *max_messages, int64_t *message_size,
		       const struct mq_attr *attr)
{
	bool privileged = lx_capable(lx_self(), CAP_SYS_RESOURCE);
	int64_t msg_max, size_max;
	struct lx_ipcns *ns;
	int err = 0;

	rt_mutex_lock(&s->lock);
	ns = s->ns;
	if (!ns) {
		rt_mutex_unlock(&s->lock);
		return -EACCES;
	}
	msg_max = privileged ? MQ_HARD_MSG_MAX : (int64_t)atomic_load(&ns->mq_msg_max);
	size_max = privileged ? MQ_HARD_MSGSIZE_MAX : (int64_t)atomic_load(&ns->mq_msgsize_max);
	*max_messages = MIN(atomic_load(&ns->mq_msg_max), atomic_load(&ns->mq_msg_default));
	*message_size = MIN(atomic_load(&ns->mq_msgsize_max), atomic_load(&ns->mq_msgsize_default));
	if (attr) {
		*max_messages = attr->mq_maxmsg;
		*message_size = attr->mq_msgsize;
	}
	if (!privileged && atomic_load(&ns->mq_queues) >= atomic_load(&ns->mq_queues_max))
		err = -ENOSPC;
	else if (*max_messages <= 0 || *message_size <= 0 ||
		 (attr && (*max_messages > msg_max || *message_size > size_max)))
		err = -EINVAL;
	else
		atomic_fetch_add(&ns->mq_queues, 1);
	rt_mutex_unlock(&s->lock);
	return err;
}

static void uncount_queue(struct mq_super *s)
{
	rt_mutex_lock(&s->lock);
	if (s->ns)
		atomic_fetch_sub(&s->ns->mq_queues, 1);
	rt_mutex_unlock(&s->lock);
}

/* RLIMIT_MSGQUEUE counts what the queue may come to hold. */
static int charge(struct lx_task *self, struct mqueue *q)
{
	uint64_t bytes = (uint64_t)q->max_messages * ((uint64_t)q->message_size + MQ_MESSAGE_OVERHEAD) +
			 (uint64_t)MIN(q->max_messages, MQ_PRIO_MAX) * MQ_MESSAGE_OVERHEAD;
	uint64_t limit = lx_rlimit(self, RLIMIT_MSGQUEUE);
	struct lx_user *user = self->user;
	uint64_t used = atomic_fetch_add(&user->mqueue_bytes, bytes);

	if (used + bytes < used || used + bytes > limit) {
		atomic_fetch_sub(&user->mqueue_bytes, bytes);
		return -EMFILE;
	}
	q->charge = bytes;
	q->user = lx_user_get(user);
	return 0;
}

/* A counted queue of a new inode: *@out, or an errno and nothing is counted. */
static int make_queue(struct lx_super *sb, lx_mode_t mode, const struct mq_attr *attr,
		      struct lx_inode **out)
{
	struct lx_task *self = lx_self();
	int64_t max_messages, message_size;
	struct lx_inode *inode;
	struct mqueue *q;
	int err = count_queue(sb->private, &max_messages, &message_size, attr);

	if (err)
		return err;
	inode = lx_inode_create(sb, S_IFREG | (mode & 07777));
	if (!inode) {
		uncount_queue(sb->private);
		return -ENOMEM;
	}
	/* From here on the end of the inode undoes it all. */
	inode->uid = self->cred->fsuid;
	inode->gid = self->cred->fsgid;
	inode->ops = &queue_iops;
	inode->fops = &mq_file_ops;
	atomic_store(&inode->size, STATUS_SIZE);
	inode->private = q = mq_create(inode, max_messages, message_size);
	err = q ? charge(self, q) : -ENOMEM;
	if (err) {
		lx_inode_put(inode);
		return err;
	}
	*out = inode;
	return 0;
}

int mq_create_at(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode,
		 const struct mq_attr *attr)
{
	struct lx_inode *inode;
	int err = make_queue(dir->sb, mode, attr, &inode);

	if (err)
		return err;
	err = link_entry(dir, d, lx_inode_get(inode));
	if (err) {
		lx_inode_put(inode);
		lx_inode_put(inode);
		return err;
	}
	lx_dentry_instantiate(d, inode);
	return 0;
}

/* -- operations of the directory */

static int dir_lookup(struct lx_inode *dir, struct lx_dentry *d)
{
	struct rb_node *parent, *found = *find(super_of(dir), d, &parent);

	if (found)
		lx_dentry_instantiate(d, lx_inode_get(container_of(found, struct entry,
								   by_name)->inode));
	return 0;
}

static int dir_create(struct lx_inode *dir, struct lx_dentry *d, lx_mode_t mode)
{
	return mq_create_at(dir, d, mode, NULL);
}

static int dir_unlink(struct lx_inode *dir, struct lx_dentry *d)
{
	struct rb_node *parent, *found = *find(super_of(dir), d, &parent);
	struct lx_inode *inode;

	if (!found)
		return -ENOENT;
	inode = unlink_entry(super_of(dir), container_of(found, struct entry, by_name));
	atomic_fetch_sub(&dir->size, ENTRY_SIZE);
	lx_inode_touch(dir, LX_ATTR_ATIME | LX_ATTR_MTIME | LX_ATTR_CTIME);
	atomic_fetch_sub(&inode->nlink, 1);
	lx_inode_put(inode);
	return 0;
}

static int dir_iterate(struct lx_file *f, struct lx_dir_emit *ctx)
{
	struct entry *e;

	if (!lx_dir_emit_dots(ctx, f->inode->ino, f->inode->ino))
		return 0;
	list_for_each_entry(e, &super_of(f->inode)->entries, by_cookie) {
		if (e->cookie < ctx->pos)
			continue;
		ctx->pos = e->cookie;
		if (!ctx->emit(ctx, e->name, e->len, e->inode->ino, 8))
			return 0;
		ctx->pos = e->cookie + 1;
	}
	return 0;
}

static const struct lx_inode_ops dir_iops = {
	.lookup = dir_lookup, .create = dir_create, .unlink = dir_unlink,
};
static const struct lx_file_ops dir_fops = { .iterate = dir_iterate, .llseek = lx_dir_llseek };
static const struct lx_inode_ops queue_iops = { 0 };

/* -- operations of an open queue */

static int queue_open(struct lx_inode *inode, struct lx_file *f)
{
	return 0;
}

/* A line about the queue, for people. */
static int64_t queue_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	struct mqueue *q = f->inode->private;
	char line[STATUS_SIZE + 32];
	int64_t total = 0;
	size_t len;

	rt_mutex_lock(&q->lock);
	len = (size_t)scnprintf(line, sizeof(line),
				"QSIZE:%-10llu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n",
				(unsigned long long)q->bytes, q->notify.owner ? q->notify.how : 0,
				q->notify.owner && q->notify.how == SIGEV_SIGNAL ? q->notify.signo : 0,
				q->notify.owner ? q->notify.owner->nr : 0);
	rt_mutex_unlock(&q->lock);
	while (to->count && (uint64_t)*pos < len) {
		size_t n = lx_iter_put(to, line + *pos, len - (size_t)*pos);

		*pos += (lx_off_t)n;
		total += (int64_t)n;
		if (to->count && (uint64_t)*pos < len && lx_iter_fault_in(to, true))
			return total ? total : -EFAULT;
	}
	lx_inode_touch(f->inode, LX_ATTR_ATIME | LX_ATTR_CTIME);
	return total;
}

static uint32_t queue_poll(struct lx_file *f, struct lx_poll *p)
{
	struct mqueue *q = f->inode->private;
	uint32_t mask = 0;

	lx_poll_wait(p, f, &q->wait);
	rt_mutex_lock(&q->lock);
	if (q->count)
		mask |= POLLIN | POLLRDNORM;
	if (q->count < q->max_messages)
		mask |= POLLOUT | POLLWRNORM;
	rt_mutex_unlock(&q->lock);
	return mask;
}

static int queue_flush(struct lx_file *f)
{
	mq_notify_cancel(lx_self(), f->inode->private);
	return 0;
}

const struct lx_file_ops mq_file_ops = {
	.open = queue_open,
	.read = queue_read,
	.poll = queue_poll,
	.flush = queue_flush,
	.llseek = lx_generic_llseek,
};

/* -- super blocks */

static void evict(struct lx_inode *inode)
{
	if (lx_is_dir(inode))
		return;
	if (inode->private)
		mq_free(inode->private);
	uncount_queue(super_of(inode));
}

static void shutdown(struct lx_super *sb)
{
	struct mq_super *s = sb->private;
	struct entry *e;

	while ((e = list_first_entry(&s->entries, struct entry, by_cookie)))
		lx_inode_put(unlink_entry(s, e));
}

static void put(struct lx_super *sb)
{
	rt_free(sb->private);
}

static int mqueue_statfs(struct lx_super *sb, void *out)
{
	struct statfs *st = out;

	st->f_type = (long)sb->magic;
	st->f_bsize = st->f_frsize = K_PAGE_SIZE;
	st->f_namelen = LX_NAME_MAX;
	return 0;
}

static const struct lx_super_ops sops = {
	.evict = evict, .shutdown = shutdown, .put = put, .statfs = mqueue_statfs,
};

static int mount_mqueue(const struct lx_fs_type *type, const char *source, unsigned long flags,
			const char *options, struct lx_super **out)
{
	struct lx_mount *m;
	int err = mq_mount_get(lx_self()->ns->ipc, &m);

	if (err)
		return err;
	*out = lx_super_get(m->sb);
	lx_mount_put(m);
	return 0;
}

static struct lx_fs_type type = { .name = "mqueue", .flags = LX_FS_NODEV, .mount = mount_mqueue };

static int fill_super(struct lx_super *sb, struct mq_super *s, struct lx_ipcns *ns)
{
	struct lx_inode *root;

	rt_mutex_init(&s->lock, LX_LOCK_LEAF);
	s->ns = ns;
	s->next_cookie = FIRST_COOKIE;
	list_init(&s->entries);
	sb->ops = &sops;
	sb->private = s;
	sb->magic = MQUEUE_MAGIC;
	root = lx_inode_create(sb, S_IFDIR | 01777);
	if (!root)
		return -ENOMEM;
	root->ops = &dir_iops;
	root->fops = &dir_fops;
	atomic_store(&root->nlink, 2);
	atomic_store(&root->size, 2 * ENTRY_SIZE);
	sb->root = lx_dentry_alloc_root(sb, root);
	return sb->root ? 0 : -ENOMEM;
}

static struct lx_mount *make_mount(struct lx_ipcns *ns)
{
	struct mq_super *s = rt_zalloc(sizeof(*s));
	struct lx_super *sb = s ? lx_super_alloc(&type) : NULL;
	struct lx_mount *m = NULL;

	if (!sb) {
		rt_free(s);
		return NULL;
	}
	if (!fill_super(sb, s, ns))
		m = lx_mount_alloc(sb, sb->root, "mqueue");
	lx_super_put(sb);
	return m;
}

int mq_mount_get(struct lx_ipcns *ns, struct lx_mount **out)
{
	struct lx_mount *m = atomic_load(&ns->mq_mount), *fresh;

	if (!m) {
		fresh = make_mount(ns);
		if (!fresh)
			return -ENOMEM;
		/* Somebody else may have been faster. */
		if (atomic_compare_exchange_strong(&ns->mq_mount, &m, fresh))
			m = fresh;
		else
			lx_mount_put(fresh);
	}
	*out = lx_mount_get(m);
	return 0;
}

void mq_ns_exit(struct lx_ipcns *ns)
{
	struct lx_mount *m = atomic_load(&ns->mq_mount);
	struct mq_super *s;

	if (!m)
		return;
	s = m->sb->private;
	rt_mutex_lock(&s->lock);
	s->ns = NULL;
	rt_mutex_unlock(&s->lock);
	lx_mount_put(m);
}

int mq_init(void)
{
	lx_fs_register(&type);
	return mq_proc_init();
}
