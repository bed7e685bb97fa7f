/* SPDX-License-Identifier: MIT */
/*
 * Signals that tell of input and output: fcntl(2) F_SETOWN, F_SETSIG, O_ASYNC.
 *
 * A file with O_ASYNC listens to its own wait queues, as epoll does: its poll operation names
 * them, and an entry in each is woken with the events.  That happens under the queue's lock,
 * where no signal can be sent, so the wake function only puts the file on a list:
 *
 *	idle -> pending		[wake]		events are collected
 *	pending -> idle		[lx_async_run]	the signals are sent
 *
 * Whoever caused the event sends the signals before it goes back to its program, so that
 * write(2) to a pipe has signalled the reader when it returns: LX_ATTN_ASYNC of its attention
 * asks for that.  If it has no program to go back to, or sleeps first, a task of ours does it.
 *
 * What events say, as Linux sends them: POLL_IN for data, connections and the end of a pipe or
 * stream, POLL_HUP when both directions of a socket have ended, POLL_OUT for room in a pipe, and
 * for room in a socket if somebody found none (LX_WAKE_SPACE).  A terminal tells of input only.
 *
 * Not everything with a queue has signals: lx_file_ops.async says so.
 */
#include <asm/ioctls.h>
#include <asm/poll.h>
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <asm/sockios.h>
#include <linux/fcntl.h>
#include <linux/stat.h>

#include "lx/async.h"
#include "lx/cred.h"
#include "lx/file.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/pid.h"
#include "lx/signal.h"
#include "lx/task.h"

/* A file's place in one of its queues. */
struct async_entry {
	struct lx_wait_entry wait;
	struct lx_waitq *wq;
	struct lx_async *async;
	struct async_entry *next;
};

struct lx_async {
	struct lx_file *file;		/* constant; no reference: lx_async_release() comes first */

	/* file->lock */
	struct lx_pid *owner;		/* a reference, or NULL */
	int type;			/* F_OWNER_* */
	lx_uid_t uid, euid;		/* of who set the owner */
	int sig;			/* F_SETSIG */
	int fd;				/* what si_fd says: O_ASYNC was set through it */

	/* setup_lock */
	struct async_entry *entries;	/* empty: O_ASYNC is off */
	bool failed;			/* no memory for one of them */

	/* pending_lock */
	struct list link;
	bool pending;
	uint32_t events;
};

/* Held while a file is polled for its queues: the rank of those who do that. */
static struct rt_mutex setup_lock = RT_MUTEX_INIT(LX_LOCK_EPOLL);
static struct lx_task *worker;		/* setup_lock; set once, before any file is O_ASYNC */

static struct rt_mutex pending_lock = RT_MUTEX_INIT(LX_LOCK_LEAF);
static struct list pending = LIST_INIT(pending);

lx_pid_t lx_async_no_owner(struct lx_file *f)
{
	return 0;
}

/* -- the owner ------------------------------------------------------------------------------ */

/* @f's, made if need be; NULL: no memory.  Never changes afterwards. */
static struct lx_async *async_of(struct lx_file *f)
{
	struct lx_async *a;

	rt_mutex_lock(&f->lock);
	a = f->async;
	if (!a) {
		a = rt_zalloc(sizeof(*a));
		if (a) {
			a->file = f;
			list_init(&a->link);
			f->async = a;
		}
	}
	rt_mutex_unlock(&f->lock);
	return a;
}

/* Does the number still name what it named? */
static bool is_alive(struct lx_pid *pid, int type)
{
	struct lx_task *t;
	struct lx_group *g;

	switch (type) {
	case F_OWNER_TID:
		t = lx_pid_task(pid);
		if (t)
			lx_task_put(t);
		return t;
	case F_OWNER_PID:
		g = lx_pid_group(pid);
		if (g)
			lx_group_put(g);
		return g;
	default:
		return !lx_pgrp_is_empty(pid);
	}
}

/* @nr 0: nobody.  @keep: only if there is none yet. */
static int set_owner(struct lx_task *self, struct lx_file *f, int type, lx_pid_t nr, bool keep)
{
	struct lx_async *a = async_of(f);
	struct lx_pid *pid = NULL, *old;

	if (!a)
		return -ENOMEM;
	if (nr) {
		pid = lx_pid_find(self, nr);
		if (!pid)
			return -ESRCH;
	}
	rt_mutex_lock(&f->lock);
	old = a->owner;
	if (keep && old) {
		old = pid;
	} else {
		a->owner = pid;
		a->type = type;
		a->uid = pid ? self->cred->uid : 0;
		a->euid = pid ? self->cred->euid : 0;
	}
	rt_mutex_unlock(&f->lock);
	if (old)
		lx_pid_put(old);
	return 0;
}

/* As F_SETOWN and the ioctls name it: a process, or minus a process group. */
static int set_owner_by_sign(struct lx_task *self, struct lx_file *f, int who, bool keep)
{
	if (who == INT32_MIN)
		return -EINVAL;
	return who < 0 ? set_owner(self, f, F_OWNER_PGRP, -who, keep)
		       : set_owner(self, f, F_OWNER_PID, who, keep);
}

/* The owner as far as it is still there, with a reference; or NULL. */
static struct lx_pid *get_owner(struct lx_file *f, struct lx_async *copy)
{
	struct lx_pid *pid = NULL;

	*copy = (struct lx_async){ .type = F_OWNER_TID };
	rt_mutex_lock(&f->lock);
	if (f->async) {
		*copy = *f->async;
		if (copy->owner)
			pid = lx_pid_get(copy->owner);
	}
	rt_mutex_unlock(&f->lock);
	if (pid && !is_alive(pid, copy->type)) {
		lx_pid_put(pid);
		pid = NULL;
	}
	return pid;
}

static struct f_owner_ex owner_of(struct lx_file *f)
{
	struct lx_async copy;
	struct lx_pid *pid = get_owner(f, &copy);
	struct f_owner_ex ex = { .type = copy.type, .pid = pid ? pid->nr : 0 };

	if (pid)
		lx_pid_put(pid);
	return ex;
}

static int owner_by_sign(struct lx_file *f)
{
	struct f_owner_ex ex = owner_of(f);

	return ex.type == F_OWNER_PGRP ? -ex.pid : ex.pid;
}

static int set_signal(struct lx_file *f, unsigned long sig)
{
	struct lx_async *a;

	if (sig > LX_NSIG)
		return -EINVAL;
	a = async_of(f);
	if (!a)
		return -ENOMEM;
	rt_mutex_lock(&f->lock);
	a->sig = (int)sig;
	rt_mutex_unlock(&f->lock);
	return 0;
}

long lx_async_fcntl(struct lx_task *self, struct lx_file *f, unsigned int cmd, unsigned long arg)
{
	struct f_owner_ex ex;
	struct lx_async *a;
	long ret = 0;

	switch (cmd) {
	case F_SETOWN:
		return set_owner_by_sign(self, f, (int)arg, false);
	case F_GETOWN:
		return owner_by_sign(f);
	case F_SETOWN_EX:
		if (lx_copy_from_user(&ex, uaddr(arg), sizeof(ex)))
			return -EFAULT;
		if (ex.type < F_OWNER_TID || ex.type > F_OWNER_PGRP)
			return -EINVAL;
		return set_owner(self, f, ex.type, ex.pid, false);
	case F_GETOWN_EX:
		ex = owner_of(f);
		return lx_copy_to_user(uaddr(arg), &ex, sizeof(ex));
	case F_SETSIG:
		return set_signal(f, arg);
	case F_GETSIG:
		rt_mutex_lock(&f->lock);
		a = f->async;
		ret = a ? a->sig : 0;
		rt_mutex_unlock(&f->lock);
		return ret;
	}
	return -EINVAL;
}

long lx_async_ioctl(struct lx_task *self, struct lx_file *f, unsigned int cmd, uaddr_t arg)
{
	int who;

	switch (cmd) {
	case FIOSETOWN:
	case SIOCSPGRP:
		if (lx_copy_from_user(&who, arg, sizeof(who)))
			return -EFAULT;
		return set_owner_by_sign(self, f, who, false);
	case FIOGETOWN:
	case SIOCGPGRP:
		who = owner_by_sign(f);
		return lx_copy_to_user(arg, &who, sizeof(who));
	}
	return -ENOTTY;
}

/* -- listening -------------------------------------------------------------------------------- */

/* Under the queue's lock. */
static bool wake(struct lx_wait_entry *entry, uint32_t events)
{
	struct lx_async *a = container_of(entry, struct async_entry, wait)->async;
	struct lx_task *self = lx_self();

	rt_mutex_lock(&pending_lock);
	a->events |= events;
	if (!a->pending) {
		a->pending = true;
		list_add_last(&pending, &a->link);
	}
	rt_mutex_unlock(&pending_lock);
	if (self && !self->is_kernel && !self->exiting)
		atomic_fetch_or(&self->attention, LX_ATTN_ASYNC);
	else
		lx_task_wake(worker);
	return false;
}

struct setup {
	struct lx_poll poll;
	struct lx_async *async;
};

static void add_entry(struct lx_poll *p, struct lx_file *f, struct lx_waitq *wq)
{
	struct lx_async *a = container_of(p, struct setup, poll)->async;
	struct async_entry *e = rt_zalloc(sizeof(*e));

	if (!e) {
		a->failed = true;
		return;
	}
	lx_wait_entry_init(&e->wait, NULL);
	e->wait.wake = wake;
	e->wq = wq;
	e->async = a;
	e->next = a->entries;
	a->entries = e;
	lx_waitq_add(wq, &e->wait);
}

/* Afterwards no wake function of @a runs, and none will. */
static void remove_entries(struct lx_async *a)
{
	struct async_entry *e;

	while ((e = a->entries)) {
		a->entries = e->next;
		lx_waitq_remove(e->wq, &e->wait);
		rt_free(e);
	}
	rt_mutex_lock(&pending_lock);
	if (a->pending)
		list_remove(&a->link);
	a->pending = false;
	a->events = 0;
	rt_mutex_unlock(&pending_lock);
}

static int listen(struct lx_file *f, struct lx_async *a)
{
	struct setup s = { .poll = { .queue = add_entry, .events = POLLIN | POLLOUT }, .async = a };

	a->failed = false;
	(void)f->ops->poll(f, &s.poll);
	if (!a->failed)
		return 0;
	remove_entries(a);
	return -ENOMEM;
}

static void work(void *arg)
{
	struct lx_task *self = lx_self();

	for (;;) {
		lx_wait_prepare(self);
		lx_async_run(self);
		(void)lx_wait_block(self, K_DEADLINE_NEVER, 0);
	}
}

int lx_async_set(struct lx_task *self, struct lx_file *f, int fd, bool on)
{
	struct lx_async *a;
	int err = 0;

	if (!f->ops->async)
		return -ENOTTY;
	a = async_of(f);
	if (!a)
		return -ENOMEM;
	if (on)
		(void)set_owner_by_sign(self, f, f->ops->async(f), true);
	rt_mutex_lock(&setup_lock);
	if (on && !worker)
		worker = lx_kthread_create("sigio", work, NULL);
	if (on && !worker) {
		err = -ENOMEM;
	} else if (on && !a->entries) {
		rt_mutex_lock(&f->lock);
		a->fd = fd;
		rt_mutex_unlock(&f->lock);
		err = listen(f, a);
		if (!err)
			atomic_fetch_or(&f->flags, (uint32_t)FASYNC);
	} else if (!on && a->entries) {
		atomic_fetch_and(&f->flags, ~(uint32_t)FASYNC);
		remove_entries(a);
	}
	rt_mutex_unlock(&setup_lock);
	return err;
}

void lx_async_release(struct lx_file *f)
{
	struct lx_async *a = f->async;

	/* Nobody else has the file: no locks. */
	remove_entries(a);
	if (a->owner)
		lx_pid_put(a->owner);
	rt_free(a);
}

/* -- telling the owner -------------------------------------------------------------------------- */

struct message {
	const struct lx_async *from;	/* a copy */
	struct lx_siginfo info;
	bool plain;			/* SIGIO without details */
};

static const long bands[] = {
	[POLL_IN] = POLLIN | POLLRDNORM,
	[POLL_OUT] = POLLOUT | POLLWRNORM | POLLWRBAND,
	[POLL_HUP] = POLLHUP | POLLERR,
};

/* Has the signal codes of its own that POLL_IN would be taken for? */
static bool has_codes(int sig)
{
	return sig == SIGILL || sig == SIGFPE || sig == SIGSEGV || sig == SIGBUS || sig == SIGTRAP ||
	       sig == SIGCHLD || sig == SIGSYS;
}

/* May who set the owner signal @t? */
static bool may_signal(const struct lx_async *a, struct lx_task *t)
{
	const struct lx_cred *to = lx_task_cred_get(t);
	bool may;

	if (!to)
		return false;
	may = a->euid == 0 || a->euid == to->suid || a->euid == to->uid || a->uid == to->suid ||
	      a->uid == to->uid;
	lx_cred_put(to);
	return may;
}

/* @g NULL: to the thread @t itself. */
static void tell_task(struct lx_task *t, struct lx_group *g, const struct message *m)
{
	struct lx_siginfo plain = lx_siginfo_kernel(SIGIO);
	int err = -EAGAIN;

	if (!may_signal(m->from, t))
		return;
	if (!m->plain)
		err = g ? lx_signal_group(g, &m->info) : lx_signal_task(t, &m->info);
	/* A queue that is full, too, makes it the signal that needs no place there. */
	if (err)
		(void)!(g ? lx_signal_group(g, &plain) : lx_signal_task(t, &plain));
}

static void tell_group(struct lx_group *g, void *message)
{
	if (g->leader)
		tell_task(g->leader, g, message);
}

static void tell(struct lx_pid *to, const struct lx_async *a, int code)
{
	struct message m = { .from = a, .plain = a->sig == 0,
			     .info = { .signo = a->sig, .code = code,
				       .poll = { .band = bands[code], .fd = a->fd } } };
	struct lx_task *t;

	if (has_codes(a->sig))
		m.info.code = SI_SIGIO;
	if (a->type == F_OWNER_PGRP) {
		lx_pgrp_for_each(to, tell_group, &m);
		return;
	}
	t = lx_pid_task(to);
	if (!t)
		return;
	tell_task(t, a->type == F_OWNER_PID ? t->group : NULL, &m);
	lx_task_put(t);
}

/* What @events of @f are worth a signal, as bits 1 << POLL_*. */
static unsigned int news(struct lx_file *f, uint32_t events)
{
	lx_mode_t type = f->inode->mode & S_IFMT;
	unsigned int what = 0;

	if (type == S_IFSOCK && (events & POLLHUP)) {
		/* Its state has changed: to what? */
		uint32_t now = lx_file_poll(f, NULL);

		if (now & POLLHUP)
			return 1u << POLL_HUP;
		return now & POLLRDHUP ? 1u << POLL_IN : 0;
	}
	if (events & (POLLIN | POLLRDNORM))
		what |= 1u << POLL_IN;
	if (type == S_IFIFO ? events & (POLLOUT | POLLWRNORM) : events & LX_WAKE_SPACE)
		what |= 1u << POLL_OUT;
	return what;
}

static void send_signals(struct lx_file *f, uint32_t events)
{
	unsigned int what = news(f, events);
	struct lx_async copy;
	struct lx_pid *to;

	if (!what)
		return;
	to = get_owner(f, &copy);
	if (!to)
		return;
	for (int code = POLL_IN; code <= POLL_HUP; code++)
		if (what & 1u << code)
			tell(to, &copy, code);
	lx_pid_put(to);
}

/* A reference, unless the last one went already. */
static struct lx_file *get_living(struct lx_file *f)
{
	uint32_t refs = atomic_load(&f->refs);

	while (refs)
		if (atomic_compare_exchange_weak(&f->refs, &refs, refs + 1))
			return f;
	return NULL;
}

/* Take one off the list: its file with a reference (NULL: it is going), and its events. */
static bool take_pending(struct lx_file **f, uint32_t *events)
{
	struct lx_async *a;

	rt_mutex_lock(&pending_lock);
	a = list_pop_entry(&pending, struct lx_async, link);
	if (a) {
		a->pending = false;
		*events = a->events;
		a->events = 0;
		*f = get_living(a->file);
	}
	rt_mutex_unlock(&pending_lock);
	return a;
}

void lx_async_run(struct lx_task *self)
{
	struct lx_file *f;
	uint32_t events;

	atomic_fetch_and(&self->attention, ~LX_ATTN_ASYNC);
	while (take_pending(&f, &events)) {
		if (!f)
			continue;
		send_signals(f, events);
		lx_file_put(f);
	}
}

void lx_async_hand_over(struct lx_task *self)
{
	atomic_fetch_and(&self->attention, ~LX_ATTN_ASYNC);
	lx_task_wake(worker);
}
