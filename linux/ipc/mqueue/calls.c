/* SPDX-License-Identifier: MIT */
/*
 * The calls of POSIX message queues; mq_notify is in notify.c.  Names come without the
 * slash that programs write: the C library takes it off.
 */

#include "ipc/mqueue/mqueue.h"

#include <linux/inotify.h>

#include "ipc/ipcns.h"
#include "ipc/timeout_priv.h"
#include "lx/mm.h"
#include "lx/syscall.h"
#include "lx/timer.h"

/* -- names */

/* One name of a directory: -EACCES for what is none, -ENAMETOOLONG. */
static int check_name(const struct lx_name *n)
{
	if (str_equal(n->s, ".") || str_equal(n->s, "..") || strchr(n->s, '/'))
		return -EACCES;
	return n->len > LX_NAME_MAX ? -ENAMETOOLONG : 0;
}

/* The queue's dentry, maybe negative; its directory stays locked.  Both in *@path; mq_unlock_name() ends it. */
static int lock_name(struct lx_task *self, const struct lx_name *n, struct lx_path *path)
{
	struct lx_qstr q = { n->s, (uint32_t)n->len, lx_name_hash(n->s, (uint32_t)n->len) };
	struct lx_mount *mnt;
	int err = check_name(n);

	if (!err)
		err = mq_mount_get(self->ns->ipc, &mnt);
	if (err)
		return err;
	path->mnt = mnt;
	rt_mutex_lock(&lx_d_inode(mnt->root)->lock);
	err = lx_lookup_locked(mnt->root, &q, &path->dentry);
	if (err) {
		rt_mutex_unlock(&lx_d_inode(mnt->root)->lock);
		lx_mount_put(mnt);
	}
	return err;
}

static void unlock_name(struct lx_path *path)
{
	rt_mutex_unlock(&lx_d_inode(path->mnt->root)->lock);
}

/* -- mq_open, mq_unlink */

static int create(struct lx_task *self, struct lx_path *path, lx_mode_t mode,
		  const struct mq_attr *attr)
{
	struct lx_inode *dir = lx_d_inode(path->mnt->root);
	int err = lx_may_create(self, dir);

	if (!err)
		err = mq_create_at(dir, path->dentry, mode & ~self->fs->umask, attr);
	if (!err)
		lx_notify(dir, path->dentry, IN_CREATE);
	return err;
}

static int find_or_create(struct lx_task *self, struct lx_path *path, int flags, lx_mode_t mode,
			  const struct mq_attr *attr)
{
	static const int may[] = {
		[O_RDONLY] = LX_MAY_READ, [O_WRONLY] = LX_MAY_WRITE,
		[O_RDWR] = LX_MAY_READ | LX_MAY_WRITE,
	};

	if (lx_d_negative(path->dentry))
		return flags & O_CREAT ? create(self, path, mode, attr) : -ENOENT;
	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	return lx_inode_permission(self, lx_d_inode(path->dentry), may[flags & O_ACCMODE]);
}

static int open_queue(struct lx_task *self, const struct lx_name *name, int flags, lx_mode_t mode,
		      const struct mq_attr *attr, struct lx_file **out)
{
	static const uint32_t fmode[] = {
		[O_RDONLY] = LX_FMODE_READ, [O_WRONLY] = LX_FMODE_WRITE,
		[O_RDWR] = LX_FMODE_READ | LX_FMODE_WRITE, [O_ACCMODE] = 0,
	};
	struct lx_path path;
	int err = lock_name(self, name, &path);

	if (err)
		return err;
	err = find_or_create(self, &path, flags, mode, attr);
	unlock_name(&path);
	if (!err)
		err = lx_file_open_path(self, &path, flags, fmode[flags & O_ACCMODE], out);
	if (err)
		lx_path_put(&path);
	return err;
}

long lx_sys_mq_open(struct lx_task *self, uaddr_t uname, int flags, uint32_t mode, uaddr_t uattr)
{
	struct mq_attr attr;
	struct lx_name name;
	struct lx_file *f;
	int err, fd;

	if (uattr.v && lx_copy_from_user(&attr, uattr, sizeof(attr)))
		return -EFAULT;
	err = lx_name_copy(&name, uname, false);
	if (err)
		return err;
	err = open_queue(self, &name, flags, mode & 07777, uattr.v ? &attr : NULL, &f);
	lx_name_done(&name);
	if (err)
		return err;
	fd = lx_fd_install(self, f, 0, true);
	if (fd < 0)
		lx_file_put(f);
	return fd;
}

long lx_sys_mq_unlink(struct lx_task *self, uaddr_t uname)
{
	struct lx_name name;
	struct lx_path path;
	int err = lx_name_copy(&name, uname, false);

	if (err)
		return err;
	err = lock_name(self, &name, &path);
	lx_name_done(&name);
	if (err)
		return err;
	err = lx_d_negative(path.dentry) ? -ENOENT
		: lx_vfs_unlink(self, lx_d_inode(path.mnt->root), path.dentry);
	unlock_name(&path);
	lx_path_put(&path);
	return err;
}

/* -- sending and receiving */

/* The open queue of @fd for reading or writing: a reference to the file, or NULL (EBADF). */
static struct lx_file *queue_get(struct lx_task *self, int fd, uint32_t fmode)
{
	struct lx_file *f = lx_fd_get(self, fd);

	if (f && f->ops == &mq_file_ops && (f->mode & fmode) == fmode)
		return f;
	if (f)
		lx_file_put(f);
	return NULL;
}

/* An absolute time of the realtime clock; null: never. */
static int get_deadline(uaddr_t utimeout, uint64_t *deadline)
{
	struct timeout_spec ts;

	*deadline = K_DEADLINE_NEVER;
	if (!utimeout.v)
		return 0;
	if (lx_copy_from_user(&ts, utimeout, sizeof(ts)))
		return -EFAULT;
	if (ts.sec < 0 || ts.nsec < 0 || ts.nsec >= (int64_t)NS_PER_SEC)
		return -EINVAL;
	if ((uint64_t)ts.sec < UINT64_MAX / NS_PER_SEC - 1)
		*deadline = lx_deadline_from((uint64_t)ts.sec * NS_PER_SEC + (uint64_t)ts.nsec, true);
	return 0;
}

static bool may_wait(const struct lx_file *f)
{
	return !(atomic_load(&f->flags) & O_NONBLOCK);
}

static int load(uaddr_t umsg, size_t size, unsigned int priority, struct mq_message **out)
{
	struct mq_message *m = rt_alloc(sizeof(*m) + size);

	if (!m)
		return -ENOMEM;
	if (lx_copy_from_user(m->data, umsg, size)) {
		rt_free(m);
		return -EFAULT;
	}
	rb_node_init(&m->node);
	m->priority = priority;
	m->size = size;
	*out = m;
	return 0;
}

long lx_sys_mq_timedsend(struct lx_task *self, int fd, uaddr_t umsg, size_t size,
			 unsigned int priority, uaddr_t utimeout)
{
	struct mq_message *m;
	struct lx_file *f;
	uint64_t deadline;
	int err = get_deadline(utimeout, &deadline);

	if (err)
		return err;
	if (priority >= MQ_PRIO_MAX)
		return -EINVAL;
	f = queue_get(self, fd, LX_FMODE_WRITE);
	if (!f)
		return -EBADF;
	if (size > (uint64_t)((struct mqueue *)f->inode->private)->message_size)
		err = -EMSGSIZE;
	else
		err = load(umsg, size, priority, &m);
	if (!err) {
		err = mq_send(self, f->inode->private, m, may_wait(f), deadline);
		if (err)
			rt_free(m);
	}
	lx_file_put(f);
	return err;
}

static long store(uaddr_t umsg, uaddr_t upriority, const struct mq_message *m)
{
	uint32_t priority = m->priority;

	if ((upriority.v && lx_copy_to_user(upriority, &priority, sizeof(priority))) ||
	    lx_copy_to_user(umsg, m->data, m->size))
		return -EFAULT;
	return (long)m->size;
}

long lx_sys_mq_timedreceive(struct lx_task *self, int fd, uaddr_t umsg, size_t size,
			    uaddr_t upriority, uaddr_t utimeout)
{
	struct mq_message *m;
	struct lx_file *f;
	uint64_t deadline;
	long ret = get_deadline(utimeout, &deadline);

	if (ret)
		return ret;
	f = queue_get(self, fd, LX_FMODE_READ);
	if (!f)
		return -EBADF;
	if (size < (uint64_t)((struct mqueue *)f->inode->private)->message_size)
		ret = -EMSGSIZE;
	else
		ret = mq_receive(self, f->inode->private, &m, may_wait(f), deadline);
	lx_file_put(f);
	if (ret)
		return ret;
	ret = store(umsg, upriority, m);
	rt_free(m);
	return ret;
}

/* -- mq_getsetattr */

static void export(struct lx_file *f, struct mq_attr *attr)
{
	struct mqueue *q = f->inode->private;

	memset(attr, 0, sizeof(*attr));
	rt_mutex_lock(&q->lock);
	attr->mq_curmsgs = q->count;
	rt_mutex_unlock(&q->lock);
	attr->mq_flags = atomic_load(&f->flags) & O_NONBLOCK;
	attr->mq_maxmsg = q->max_messages;
	attr->mq_msgsize = q->message_size;
}

long lx_sys_mq_getsetattr(struct lx_task *self, int fd, uaddr_t uattr, uaddr_t uold)
{
	struct mq_attr attr, old;
	struct lx_file *f;

	if (uattr.v) {
		if (lx_copy_from_user(&attr, uattr, sizeof(attr)))
			return -EFAULT;
		if (attr.mq_flags & ~(long)O_NONBLOCK)
			return -EINVAL;
	}
	f = queue_get(self, fd, 0);
	if (!f)
		return -EBADF;
	export(f, &old);
	if (uattr.v) {
		if (attr.mq_flags & O_NONBLOCK)
			atomic_fetch_or(&f->flags, O_NONBLOCK);
		else
			atomic_fetch_and(&f->flags, ~(uint32_t)O_NONBLOCK);
		lx_inode_touch(f->inode, LX_ATTR_ATIME | LX_ATTR_CTIME);
	}
	lx_file_put(f);
	return uold.v && lx_copy_to_user(uold, &old, sizeof(old)) ? -EFAULT : 0;
}
