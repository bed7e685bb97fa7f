/* SPDX-License-Identifier: MIT */
/*
 * File locks: flock(2), POSIX record locks and open-file-description locks.
 *
 * The locks of an inode are on its list.  POSIX locks belong to a descriptor
 * table (a process), the others to an open file.  A POSIX or OFD owner's locks on
 * a file never overlap: setting one splits, cuts or joins those that are there.
 * flock's are whole-file, and do not see the others.
 *
 * One lock (rank LX_LOCK_FLOCK) guards all lists, and the list of waiters, in
 * which a POSIX request looks for a circle before it sleeps: EDEADLK.  Waiters
 * sleep on one of a few queues, by inode, and look again when anything there was
 * unlocked.
 */
#include "base/format.h"
#include "lx/mm.h"
#include "lx/syscall.h"
#include "vfs/vfs_priv.h"

enum kind { POSIX, OFD, FLOCK };

struct lock {
	struct list link;		/* inode->flocks, by start */
	struct list all_link;
	struct lx_inode *inode;		/* not a reference: its list holds us */
	enum kind kind;
	bool write;
	uint64_t start, end;		/* inclusive */
	const void *owner;		/* struct lx_files or struct lx_file */
	lx_pid_t pid;
};

struct waiter {
	struct list link;
	const void *owner, *blocker;
};

#define QUEUES 32u
#define OFFSET_MAX 0x7fffffffffffffffull

static struct rt_mutex lock = RT_MUTEX_INIT(LX_LOCK_FLOCK);
static struct list all = LIST_INIT(all);
static struct list waiters = LIST_INIT(waiters);
static struct lx_waitq queues[QUEUES];
static bool ready;			/* queues initialised: lock */

static struct lx_waitq *queue_of(const struct lx_inode *inode)
{
	return &queues[((uintptr_t)inode >> 7) % QUEUES];
}

static void init_queues(void)
{
	rt_mutex_lock(&lock);
	if (!ready) {
		for (unsigned int i = 0; i < QUEUES; i++)
			lx_waitq_init(&queues[i]);
		ready = true;
	}
	rt_mutex_unlock(&lock);
}

static bool overlap(const struct lock *a, const struct lock *b)
{
	return a->start <= b->end && b->start <= a->end;
}

static bool same_owner(const struct lock *a, const struct lock *b)
{
	return a->kind == b->kind && a->owner == b->owner;
}

/* A lock that keeps @want from being granted, or NULL. */
static struct lock *conflict(struct lx_inode *inode, const struct lock *want)
{
	struct lock *l;

	list_for_each_entry(l, &inode->flocks, link) {
		if ((l->kind == FLOCK) != (want->kind == FLOCK))
			continue;
		if (!same_owner(l, want) && overlap(l, want) && (l->write || want->write))
			return l;
	}
	return NULL;
}

static void insert(struct lx_inode *inode, struct lock *l)
{
	struct lock *at;

	list_for_each_entry(at, &inode->flocks, link)
		if (at->start > l->start)
			break;
	l->inode = inode;
	list_add_last(&at->link, &l->link);
	list_add_last(&all, &l->all_link);
}

static void drop(struct lock *l)
{
	list_remove(&l->link);
	list_remove(&l->all_link);
	rt_free(l);
}

/*
 * Make [want->start, want->end] of the owner what @want says (@unlock: nothing).
 * @spare: two locks to use up; what is not needed stays.
 */
static void apply(struct lx_inode *inode, const struct lock *want, bool unlock,
		  struct lock *spare[2])
{
	struct lock merged = *want, *l, *tmp;

	list_for_each_entry_safe(l, tmp, &inode->flocks, link) {
		if (!same_owner(l, want))
			continue;
		if (!unlock && l->write == want->write) {
			/* the same kind: neighbours become one */
			bool touches = l->start <= (merged.end == OFFSET_MAX ? merged.end
									    : merged.end + 1) &&
				       merged.start <= (l->end == OFFSET_MAX ? l->end : l->end + 1);

			if (touches) {
				merged.start = MIN(merged.start, l->start);
				merged.end = MAX(merged.end, l->end);
				drop(l);
			}
			continue;
		}
		if (!overlap(l, want))
			continue;
		if (l->start < want->start && l->end > want->end) {
			struct lock *right = spare[1];

			spare[1] = NULL;
			*right = *l;
			right->start = want->end + 1;
			l->end = want->start - 1;
			insert(inode, right);
			break;
		}
		if (l->start < want->start)
			l->end = want->start - 1;
		else if (l->end > want->end)
			l->start = want->end + 1;
		else
			drop(l);
	}
	if (!unlock) {
		*spare[0] = merged;
		insert(inode, spare[0]);
		spare[0] = NULL;
	}
}

/* Would @owner wait for itself if it waited for @blocker? */
static bool deadlock(const void *owner, const void *blocker)
{
	for (int steps = 0; steps < 64; steps++) {
		struct waiter *w;
		const void *next = NULL;

		if (blocker == owner)
			return true;
		list_for_each_entry(w, &waiters, link) {
			if (w->owner == blocker) {
				next = w->blocker;
				break;
			}
		}
		if (!next)
			return false;
		blocker = next;
	}
	return false;
}

/* Grant @want, or say who is in the way: -EAGAIN, or -EDEADLK if @w is to wait. */
static int try_lock(struct lx_inode *inode, const struct lock *want, struct lock *spare[2],
		    struct waiter *w)
{
	struct lock *c;
	int err = 0;

	rt_mutex_lock(&lock);
	if (w)
		list_remove(&w->link);
	c = conflict(inode, want);
	if (!c) {
		apply(inode, want, false, spare);
	} else {
		err = -EAGAIN;
		if (w && want->kind == POSIX && deadlock(want->owner, c->owner))
			err = -EDEADLK;
		else if (w) {
			w->owner = want->owner;
			w->blocker = c->owner;
			list_add_last(&waiters, &w->link);
		}
	}
	rt_mutex_unlock(&lock);
	return err;
}

static void stop_waiting(struct waiter *w)
{
	rt_mutex_lock(&lock);
	list_remove(&w->link);
	rt_mutex_unlock(&lock);
}

static int set_lock(struct lx_task *self, struct lx_inode *inode, const struct lock *want,
		    bool wait)
{
	struct lock *spare[2] = { rt_alloc(sizeof(struct lock)), rt_alloc(sizeof(struct lock)) };
	struct waiter w = { 0 };
	int err, slept;

	if (!spare[0] || !spare[1]) {
		rt_free(spare[0]);
		rt_free(spare[1]);
		return -ENOLCK;
	}
	list_init(&w.link);
	init_queues();
	err = try_lock(inode, want, spare, wait ? &w : NULL);
	if (wait && err == -EAGAIN) {
		slept = lx_wait_event(self, queue_of(inode),
				      (err = try_lock(inode, want, spare, &w)) != -EAGAIN,
				      K_DEADLINE_NEVER, LX_WAIT_INTERRUPTIBLE);
		if (slept && err == -EAGAIN)
			err = slept;
		stop_waiting(&w);
	}
	rt_free(spare[0]);
	rt_free(spare[1]);
	return err;
}

static int unlock_range(struct lx_inode *inode, const struct lock *want)
{
	struct lock *spare[2] = { NULL, rt_alloc(sizeof(struct lock)) };

	if (!spare[1])
		return -ENOLCK;
	init_queues();
	rt_mutex_lock(&lock);
	apply(inode, want, true, spare);
	rt_mutex_unlock(&lock);
	rt_free(spare[1]);
	lx_wake_all(queue_of(inode));
	return 0;
}

/* All locks that belong to @owner, of @kind (or of both kinds of open files). */
static void release(struct lx_inode *inode, const void *owner, bool posix)
{
	struct lock *l, *tmp;
	bool any = false;

	rt_mutex_lock(&lock);
	list_for_each_entry_safe(l, tmp, &inode->flocks, link) {
		if (l->owner == owner && (l->kind == POSIX) == posix) {
			drop(l);
			any = true;
		}
	}
	rt_mutex_unlock(&lock);
	if (any)
		lx_wake_all(queue_of(inode));
}

void lx_locks_release_posix(struct lx_task *self, struct lx_files *owner, struct lx_file *f)
{
	release(f->inode, owner, true);
}

void lx_locks_release_file(struct lx_file *f)
{
	if (!list_is_empty(&f->inode->flocks))
		release(f->inode, f, false);
}

/* -- flock(2) */

#define LOCK_SH_ 1u
#define LOCK_EX_ 2u
#define LOCK_NB_ 4u
#define LOCK_UN_ 8u

long lx_sys_flock(struct lx_task *self, int fd, unsigned int op)
{
	struct lx_file *f = lx_fd_get(self, fd);
	unsigned int what = op & ~LOCK_NB_;
	long err = 0;

	if (!f)
		return -EBADF;
	if (what == LOCK_UN_) {
		release(f->inode, f, false);
	} else if (what == LOCK_SH_ || what == LOCK_EX_) {
		struct lock want = { .kind = FLOCK, .write = what == LOCK_EX_, .end = OFFSET_MAX,
				     .owner = f, .pid = self->group->pid };

		if (!(f->mode & (LX_FMODE_READ | LX_FMODE_WRITE)))
			err = -EBADF;
		else
			err = set_lock(self, f->inode, &want, !(op & LOCK_NB_));
		/* a conversion that has to wait gives up what it had: as Linux */
	} else {
		err = -EINVAL;
	}
	lx_file_put(f);
	return err;
}

/* -- fcntl(2) */

static int from_user(struct lx_file *f, const struct flock *u, struct lock *l)
{
	int64_t start, len = u->l_len, end;

	switch (u->l_whence) {
	case 0:
		start = 0;
		break;
	case 1:
		start = atomic_load(&f->pos);
		break;
	case 2:
		start = (int64_t)f->inode->size;
		break;
	default:
		return -EINVAL;
	}
	if (__builtin_add_overflow(start, u->l_start, &start))
		return -EOVERFLOW;
	if (start < 0)
		return -EINVAL;
	if (len > 0) {
		if (__builtin_add_overflow(start, len - 1, &end))
			return -EOVERFLOW;
	} else if (len < 0) {
		end = start - 1;
		if (__builtin_add_overflow(start, len, &start) || start < 0)
			return -EINVAL;
	} else {
		end = (int64_t)OFFSET_MAX;
	}
	l->start = (uint64_t)start;
	l->end = (uint64_t)end;
	return 0;
}

static void test_lock(struct lx_inode *inode, const struct lock *want, struct flock *u)
{
	struct lock *c;

	rt_mutex_lock(&lock);
	c = conflict(inode, want);
	if (!c) {
		u->l_type = F_UNLCK;
	} else {
		u->l_type = c->write ? F_WRLCK : F_RDLCK;
		u->l_whence = 0;
		u->l_start = (int64_t)c->start;
		u->l_len = c->end == OFFSET_MAX ? 0 : (int64_t)(c->end - c->start + 1);
		u->l_pid = c->kind == OFD ? -1 : c->pid;
	}
	rt_mutex_unlock(&lock);
}

long lx_fcntl_lock(struct lx_task *self, int fd, struct lx_file *f, unsigned int cmd, uaddr_t arg)
{
	bool ofd = cmd == F_OFD_GETLK || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW;
	bool wait = cmd == F_SETLKW || cmd == F_OFD_SETLKW;
	struct lock want = { .kind = ofd ? OFD : POSIX, .owner = ofd ? (void *)f : self->files,
			     .pid = self->group->pid };
	struct lx_file *again;
	struct flock u;
	long err;

	if (lx_copy_from_user(&u, arg, sizeof(u)))
		return -EFAULT;
	if (ofd && u.l_pid)
		return -EINVAL;
	if (u.l_type != F_RDLCK && u.l_type != F_WRLCK && u.l_type != F_UNLCK)
		return -EINVAL;
	err = from_user(f, &u, &want);
	if (err)
		return err;
	want.write = u.l_type == F_WRLCK;
	if (cmd == F_GETLK || cmd == F_OFD_GETLK) {
		if (u.l_type == F_UNLCK && !ofd)
			return -EINVAL;
		test_lock(f->inode, &want, &u);
		return lx_copy_to_user(arg, &u, sizeof(u));
	}
	if (u.l_type == F_UNLCK)
		return unlock_range(f->inode, &want);
	if (!(f->mode & (want.write ? LX_FMODE_WRITE : LX_FMODE_READ)))
		return -EBADF;
	err = set_lock(self, f->inode, &want, wait);
	if (err || ofd)
		return err;
	/*
	 * Another thread may have closed the descriptor while we waited: its close
	 * released the process's locks before ours was there.
	 */
	again = lx_fd_get(self, fd);
	if (again != f)
		release(f->inode, self->files, true);
	if (again)
		lx_file_put(again);
	return again == f ? 0 : -EBADF;
}

size_t lx_locks_show(char *buf, size_t size)
{
	static const char *const kinds[] = { "POSIX ", "OFDLCK", "FLOCK " };
	struct lock *l;
	size_t n = 0;
	int i = 1;

	rt_mutex_lock(&lock);
	list_for_each_entry(l, &all, all_link) {
		n += (size_t)scnprintf(buf + n, size - n, "%d: %s %s %s %d %02x:%02x:%llu %llu ", i++,
				       kinds[l->kind], l->kind == FLOCK ? "ADVISORY " : "ADVISORY ",
				       l->write ? "WRITE" : "READ ", l->kind == OFD ? -1 : l->pid,
				       LX_MAJOR(l->inode->sb->dev), LX_MINOR(l->inode->sb->dev),
				       (unsigned long long)l->inode->ino,
				       (unsigned long long)l->start);
		if (l->end == OFFSET_MAX)
			n += (size_t)scnprintf(buf + n, size - n, "EOF\n");
		else
			n += (size_t)scnprintf(buf + n, size - n, "%llu\n",
					       (unsigned long long)l->end);
	}
	rt_mutex_unlock(&lock);
	return n;
}
