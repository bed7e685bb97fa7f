/* SPDX-License-Identifier: MIT */
/*
 * inotify.
 *
 * An instance has watches, each on one inode.  Events go to the watches of the
 * inode itself, and with the name to those of the directory that the file was
 * reached through.  One lock (rank LX_LOCK_PIPE, below the inode locks under
 * which events happen) guards all instances, watches and queues; while no watch
 * exists an event costs one load.
 *
 * A watch holds its inode while that has a name.  When the last name goes the
 * reference goes too, so that the inode can end; then the watch reports that
 * (IN_DELETE_SELF) and ends with it (IN_IGNORED).
 */
#include <linux/fcntl.h>
#include <linux/inotify.h>
#include <asm/ioctls.h>
#include <asm/poll.h>

#include "lx/async.h"
#include "lx/mm.h"
#include "lx/syscall.h"
#include "vfs/vfs_priv.h"

#define MAX_EVENTS	16384u		/* fs.inotify.max_queued_events */
#define MAX_WATCHES	65536u
#define NAMED		(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)

struct event {
	struct list link;
	uint32_t len;			/* of the name, padded; what the event carries */
	struct inotify_event head;
	/* the name follows (head.name) */
};

struct instance {
	struct list events, watches;
	unsigned int nr_events;
	uint64_t bytes;			/* what FIONREAD reports */
	int next_wd;
	struct lx_waitq wait;
};

struct watch {
	struct list inode_link;		/* inode->watches */
	struct list link;		/* instance's */
	struct instance *instance;
	struct lx_inode *inode;
	bool holds;			/* a reference to inode */
	uint32_t mask;
	int wd;
};

static struct rt_mutex lock = RT_MUTEX_INIT(LX_LOCK_PIPE);
static _Atomic(uint32_t) nr_watches;
static _Atomic(uint32_t) next_cookie;

/* -- events: lock held */

static void queue(struct instance *in, int wd, uint32_t mask, uint32_t cookie, const char *name)
{
	size_t len = name ? ALIGN_UP(strlen(name) + 1, sizeof(struct inotify_event)) : 0;
	struct event *last = list_last_entry(&in->events, struct event, link), *e;

	if (last && last->head.wd == wd && last->head.mask == mask && last->head.cookie == cookie &&
	    last->len == len && (!len || str_equal(last->head.name, name)))
		return;			/* the same again, unread */
	if (in->nr_events >= MAX_EVENTS) {
		if (last && (last->head.mask & IN_Q_OVERFLOW))
			return;
		wd = -1;
		mask = IN_Q_OVERFLOW;
		cookie = 0;
		len = 0;
	}
	e = rt_zalloc(sizeof(*e) + len);
	if (!e)
		return;
	e->len = (uint32_t)len;
	e->head = (struct inotify_event){ .wd = wd, .mask = mask, .cookie = cookie,
					  .len = (uint32_t)len };
	if (len)
		memcpy(e->head.name, name, strlen(name));
	list_add_last(&in->events, &e->link);
	in->nr_events++;
	in->bytes += sizeof(e->head) + len;
	lx_wake(&in->wait, POLLIN | POLLRDNORM, 1);
}

/* Take @w out; the reference it held goes to the caller. */
static struct lx_inode *unwatch(struct watch *w)
{
	struct lx_inode *held = w->holds ? w->inode : NULL;

	queue(w->instance, w->wd, IN_IGNORED, 0, NULL);
	list_remove(&w->inode_link);
	list_remove(&w->link);
	rt_free(w);
	atomic_fetch_sub(&nr_watches, 1);
	return held;
}

static void tell(struct lx_inode *inode, uint32_t mask, uint32_t cookie, const char *name)
{
	struct watch *w, *tmp;

	list_for_each_entry_safe(w, tmp, &inode->watches, inode_link) {
		if (!(w->mask & mask & IN_ALL_EVENTS))
			continue;
		queue(w->instance, w->wd, mask, cookie, name);
		if (w->mask & IN_ONESHOT) {
			struct lx_inode *held = unwatch(w);

			/* not the last: the caller works with the inode */
			if (held)
				lx_inode_put(held);
		}
	}
}

/* The last name of @inode is gone: watches let go of it.  Returns how many references to put. */
static unsigned int let_go(struct lx_inode *inode)
{
	unsigned int n = 0;
	struct watch *w;

	if (!inode || atomic_load(&inode->nlink))
		return 0;
	list_for_each_entry(w, &inode->watches, inode_link) {
		n += w->holds;
		w->holds = false;
	}
	return n;
}

static void put_many(struct lx_inode *inode, unsigned int n)
{
	while (n--)
		lx_inode_put(inode);
}

void lx_notify(struct lx_inode *inode, struct lx_dentry *d, uint32_t mask)
{
	char name[LX_NAME_MAX + 1];
	struct lx_dentry *parent = NULL;
	unsigned int puts = 0;

	if (likely(!atomic_load_explicit(&nr_watches, memory_order_relaxed)))
		return;
	if (mask & NAMED) {
		struct lx_inode *child = d ? lx_d_inode(d) : NULL;

		lx_dentry_name(d, name);
		if (child && lx_is_dir(child))
			mask |= IN_ISDIR;
		rt_mutex_lock(&lock);
		tell(inode, mask, 0, name);
		if (mask & IN_DELETE)
			puts = let_go(child);
		rt_mutex_unlock(&lock);
		put_many(child, puts);
		return;
	}
	if (lx_is_dir(inode))
		mask |= IN_ISDIR;
	if (d && !(lx_d_flags(d) & (LX_DENTRY_PSEUDO | LX_DENTRY_UNLINKED)) && d->parent != d) {
		lx_dentry_name(d, name);
		parent = lx_dentry_parent_get(d);
	}
	rt_mutex_lock(&lock);
	if (parent)
		tell(lx_d_inode(parent), mask, 0, name);
	tell(inode, mask, 0, NULL);
	rt_mutex_unlock(&lock);
	if (parent)
		lx_dentry_put(parent);
}

void lx_notify_move(struct lx_inode *odir, struct lx_inode *ndir, const char *oname,
		    struct lx_dentry *d, struct lx_inode *victim)
{
	struct lx_inode *inode = lx_d_inode(d);
	uint32_t cookie, dir = lx_is_dir(inode) ? IN_ISDIR : 0;
	char name[LX_NAME_MAX + 1];
	unsigned int puts;

	if (likely(!atomic_load_explicit(&nr_watches, memory_order_relaxed)))
		return;
	cookie = atomic_fetch_add(&next_cookie, 1) + 1;
	lx_dentry_name(d, name);
	rt_mutex_lock(&lock);
	tell(odir, IN_MOVED_FROM | dir, cookie, oname);
	tell(ndir, IN_MOVED_TO | dir, cookie, name);
	tell(inode, IN_MOVE_SELF, 0, NULL);
	if (victim)
		tell(victim, IN_ATTRIB, 0, NULL);
	puts = let_go(victim);
	rt_mutex_unlock(&lock);
	put_many(victim, puts);
}

void lx_notify_inode_gone(struct lx_inode *inode)
{
	struct watch *w;

	rt_mutex_lock(&lock);
	while ((w = list_first_entry(&inode->watches, struct watch, inode_link))) {
		if (w->mask & IN_DELETE_SELF)
			queue(w->instance, w->wd, IN_DELETE_SELF, 0, NULL);
		unwatch(w);
	}
	rt_mutex_unlock(&lock);
}

/* -- the file */

static int64_t inotify_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	struct instance *in = f->private;
	int64_t total = 0;

	for (;;) {
		struct event *e;
		size_t n;
		int err;

		rt_mutex_lock(&lock);
		e = list_first_entry(&in->events, struct event, link);
		if (e && sizeof(e->head) + e->len > to->count) {
			rt_mutex_unlock(&lock);
			return total ? total : -EINVAL;
		}
		if (e) {
			list_remove(&e->link);
			in->nr_events--;
			in->bytes -= sizeof(e->head) + e->len;
		}
		rt_mutex_unlock(&lock);
		if (e) {
			n = sizeof(e->head) + e->len;
			while (lx_iter_put(to, &e->head, n) != n) {
				if (lx_iter_fault_in(to, true)) {
					rt_free(e);
					return total ? total : -EFAULT;
				}
			}
			rt_free(e);
			total += (int64_t)n;
			continue;
		}
		if (total)
			return total;
		if (atomic_load(&f->flags) & O_NONBLOCK)
			return -EAGAIN;
		err = lx_wait_event(lx_self(), &in->wait, !list_is_empty(&in->events),
				    K_DEADLINE_NEVER, LX_WAIT_INTERRUPTIBLE);
		if (err)
			return err;
	}
}

static uint32_t inotify_poll(struct lx_file *f, struct lx_poll *p)
{
	struct instance *in = f->private;

	lx_poll_wait(p, f, &in->wait);
	return list_is_empty(&in->events) ? 0 : POLLIN | POLLRDNORM;
}

static long inotify_ioctl(struct lx_file *f, unsigned int cmd, uint64_t arg)
{
	struct instance *in = f->private;
	int n = (int)in->bytes;

	return cmd == FIONREAD ? lx_copy_to_user(uaddr(arg), &n, sizeof(n)) : -ENOTTY;
}

static void inotify_release(struct lx_file *f)
{
	struct instance *in = f->private;
	struct event *e;
	struct watch *w;

	rt_mutex_lock(&lock);
	while ((w = list_first_entry(&in->watches, struct watch, link))) {
		struct lx_inode *held = unwatch(w);

		rt_mutex_unlock(&lock);
		if (held)
			lx_inode_put(held);
		rt_mutex_lock(&lock);
	}
	while ((e = list_pop_entry(&in->events, struct event, link)))
		rt_free(e);
	rt_mutex_unlock(&lock);
	rt_free(in);
}

static const struct lx_file_ops inotify_fops = {
	.read = inotify_read,
	.poll = inotify_poll,
	.async = lx_async_no_owner,
	.ioctl = inotify_ioctl,
	.release = inotify_release,
};

/* -- calls */

long lx_sys_inotify_init1(struct lx_task *self, unsigned int flags)
{
	struct instance *in;
	struct lx_file *f;
	int fd;

	if (flags & ~(unsigned int)(IN_CLOEXEC | IN_NONBLOCK))
		return -EINVAL;
	in = rt_zalloc(sizeof(*in));
	if (!in)
		return -ENOMEM;
	list_init(&in->events);
	list_init(&in->watches);
	in->next_wd = 1;
	lx_waitq_init(&in->wait);
	f = lx_file_anon("anon_inode:inotify", &inotify_fops, in, flags & IN_NONBLOCK, LX_FMODE_READ);
	if (!f) {
		rt_free(in);
		return -ENOMEM;
	}
	fd = lx_fd_install(self, f, 0, flags & IN_CLOEXEC);
	if (fd < 0)
		lx_file_put(f);
	return fd;
}

long lx_sys_inotify_init(struct lx_task *self)
{
	return lx_sys_inotify_init1(self, 0);
}

static struct lx_file *get_instance(struct lx_task *self, int fd, int *err)
{
	struct lx_file *f = lx_fd_get(self, fd);

	*err = f ? 0 : -EBADF;
	if (f && f->ops != &inotify_fops) {
		lx_file_put(f);
		*err = -EINVAL;
		return NULL;
	}
	return f;
}

static struct watch *find(struct instance *in, const struct lx_inode *inode)
{
	struct watch *w;

	list_for_each_entry(w, &in->watches, link)
		if (w->inode == inode)
			return w;
	return NULL;
}

static long add_watch(struct instance *in, struct lx_inode *inode, uint32_t mask)
{
	struct watch *w, *fresh = rt_zalloc(sizeof(*fresh));
	uint32_t keep = mask & (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK);
	long wd;

	if (!fresh)
		return -ENOMEM;
	rt_mutex_lock(&lock);
	w = find(in, inode);
	if (w && (mask & IN_MASK_CREATE)) {
		wd = -EEXIST;
	} else if (w) {
		w->mask = mask & IN_MASK_ADD ? w->mask | keep : keep;
		wd = w->wd;
	} else if (atomic_load(&nr_watches) >= MAX_WATCHES || in->next_wd == INT32_MAX) {
		wd = -ENOSPC;
	} else {
		*fresh = (struct watch){ .instance = in, .inode = lx_inode_get(inode),
					 .holds = true, .mask = keep, .wd = in->next_wd++ };
		list_add_last(&inode->watches, &fresh->inode_link);
		list_add_last(&in->watches, &fresh->link);
		atomic_fetch_add(&nr_watches, 1);
		wd = fresh->wd;
		fresh = NULL;
	}
	rt_mutex_unlock(&lock);
	rt_free(fresh);
	return wd;
}

long lx_sys_inotify_add_watch(struct lx_task *self, int fd, uaddr_t name, unsigned int mask)
{
	struct lx_file *f;
	struct lx_path p;
	int err;
	long wd;

	if (!(mask & (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK)) ||
	    ((mask & IN_MASK_ADD) && (mask & IN_MASK_CREATE)))
		return -EINVAL;
	f = get_instance(self, fd, &err);
	if (!f)
		return err;
	wd = lx_path_at_user(self, AT_FDCWD, name,
			     (mask & IN_DONT_FOLLOW ? 0 : LX_LOOKUP_FOLLOW) |
			     (mask & IN_ONLYDIR ? LX_LOOKUP_DIRECTORY : 0), &p);
	if (!wd) {
		wd = lx_inode_permission(self, lx_d_inode(p.dentry), LX_MAY_READ);
		if (!wd)
			wd = add_watch(f->private, lx_d_inode(p.dentry), mask);
		lx_path_put(&p);
	}
	lx_file_put(f);
	return wd;
}

long lx_sys_inotify_rm_watch(struct lx_task *self, int fd, int wd)
{
	struct lx_inode *held = NULL;
	struct instance *in;
	struct lx_file *f;
	struct watch *w;
	int err;
	long ret = -EINVAL;

	f = get_instance(self, fd, &err);
	if (!f)
		return err;
	in = f->private;
	rt_mutex_lock(&lock);
	list_for_each_entry(w, &in->watches, link) {
		if (w->wd == wd) {
			held = unwatch(w);
			ret = 0;
			break;
		}
	}
	rt_mutex_unlock(&lock);
	if (held)
		lx_inode_put(held);
	lx_file_put(f);
	return ret;
}
