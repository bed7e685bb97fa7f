/* SPDX-License-Identifier: MIT */
/*
 * Sending signals: who gets one, what it does before anybody runs.
 *
 * Everything here works under group->lock.  A signal is queued to a thread or to
 * the process; then one thread that may take it is told to look (attention, kick).
 * A signal that ends the process does so right here: all threads are told to exit,
 * so that a thread that never looks (it sleeps in the kernel) is found too.
 */

#include <asm/siginfo.h>
#include <asm/signal.h>
#include <linux/signal.h>
#include <linux/capability.h>
#include <linux/resource.h>

#include "abi/calls.h"
#include "lx/cred.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/pid.h"
#include "lx/ptrace.h"
#include "lx/signal.h"
#include "lx/task.h"
#include "lx/user.h"
#include "signal/signal_impl.h"
#include "task/task_impl.h"

struct queued {
	struct list link;
	struct lx_siginfo info;
	struct lx_user *user;		/* counted there; a reference */
};

/* -- sets and queues ---------------------------------------------------------------- */

void lx_sigpending_init(struct lx_sigpending *p)
{
	p->set = 0;
	list_init(&p->queue);
}

static void free_queued(struct queued *q)
{
	atomic_fetch_sub(&q->user->sigpending, 1);
	lx_user_put(q->user);
	rt_free(q);
}

/* Throw away the signals of @mask. */
static void flush_mask(struct lx_sigpending *p, uint64_t mask)
{
	struct queued *q, *tmp;

	if (!(p->set & mask))
		return;
	p->set &= ~mask;
	list_for_each_entry_safe(q, tmp, &p->queue, link) {
		if (mask & LX_SIGMASK(q->info.signo)) {
			list_remove(&q->link);
			free_queued(q);
		}
	}
}

void lx_sigpending_flush(struct lx_sigpending *p)
{
	flush_mask(p, ~0ull);
}

void lx_sigpending_drop(struct lx_sigpending *p, uint64_t mask)
{
	flush_mask(p, mask);
}

static int next_signal(uint64_t set)
{
	uint64_t synchronous = set & LX_SIG_SYNCHRONOUS;

	return __builtin_ctzll(synchronous ? synchronous : set) + 1;
}

static int take(struct lx_sigpending *p, uint64_t mask, struct lx_siginfo *info)
{
	struct queued *q, *found = NULL;
	bool more = false;
	int sig;

	if (!(p->set & mask))
		return 0;
	sig = next_signal(p->set & mask);
	list_for_each_entry(q, &p->queue, link) {
		if (q->info.signo != sig)
			continue;
		if (found) {
			more = true;
			break;
		}
		found = q;
	}
	if (!more)
		p->set &= ~LX_SIGMASK(sig);
	if (found) {
		*info = found->info;
		list_remove(&found->link);
		free_queued(found);
	} else {
		*info = (struct lx_siginfo){ .signo = sig, .code = SI_USER };
	}
	return sig;
}

int lx_signal_take_locked(struct lx_task *self, uint64_t mask, struct lx_siginfo *info)
{
	int sig = take(&self->pending, mask, info);

	if (!sig)
		sig = take(&self->group->shared_pending, mask, info);
	if (sig && info->code == SI_TIMER)
		lx_itimer_taken_locked(self->group, info);
	return sig;
}

void lx_signal_recalc_locked(struct lx_task *t)
{
	uint64_t set = t->pending.set | t->group->shared_pending.set;

	if (set & ~t->blocked)
		atomic_fetch_or(&t->attention, LX_ATTN_SIGNAL);
	else
		atomic_fetch_and(&t->attention, ~LX_ATTN_SIGNAL);
}

/* -- sending --------------------------------------------------------------------------- */

static const struct lx_sigaction *action_of(struct lx_group *g, int sig)
{
	return &g->sighand->action[sig - 1];
}

static struct lx_task *any_task(struct lx_group *g)
{
	struct lx_task *t;

	list_for_each_entry(t, &g->tasks, group_link)
		if (!t->exiting)
			return t;
	return NULL;
}

static bool is_ignored(struct lx_group *g, struct lx_task *t, int sig, bool force)
{
	uint64_t handler = action_of(g, sig)->handler;

	/* A blocked signal may find a handler by the time it is unblocked. */
	if ((t->blocked | t->real_blocked) & LX_SIGMASK(sig))
		return false;
	if (lx_ptrace_is_traced(t) && sig != SIGKILL)
		return false;
	if ((g->flags & LX_GROUP_UNKILLABLE) && handler == 0 && !force)
		return true;
	return handler == 1 || (handler == 0 && (LX_SIG_IGNORED & LX_SIGMASK(sig)));
}

static void flush_all(struct lx_group *g, uint64_t mask)
{
	struct lx_task *t;

	flush_mask(&g->shared_pending, mask);
	list_for_each_entry(t, &g->tasks, group_link)
		flush_mask(&t->pending, mask);
}

/* SIGCONT: whatever its handler is, the process goes on now. */
static void continue_group(struct lx_group *g)
{
	struct lx_task *t;

	flush_all(g, LX_SIG_STOPS);
	if (g->flags & LX_GROUP_STOPPED)
		g->flags |= LX_GROUP_CLD_CONTINUED | LX_GROUP_CONTINUED;
	else if (g->flags & LX_GROUP_STOPPING)
		g->flags |= LX_GROUP_CLD_STOPPED;
	g->flags &= ~(LX_GROUP_STOPPED | LX_GROUP_STOPPING | LX_GROUP_STOP_REPORTED);
	g->stop_count = 0;
	list_for_each_entry(t, &g->tasks, group_link) {
		t->stop_counted = false;
		t->stop_dequeued = false;
		atomic_fetch_and(&t->attention, ~LX_ATTN_STOP);
		if (g->flags & (LX_GROUP_CLD_CONTINUED | LX_GROUP_CLD_STOPPED))
			atomic_fetch_or(&t->attention, LX_ATTN_WORK);
		if (atomic_load(&t->state) == LX_STOPPED)
			atomic_store(&t->state, LX_RUNNING);	/* it may take signals now */
		lx_ptrace_continued_locked(t);
		lx_signal_recalc_locked(t);
		lx_task_wake(t);
	}
}

/* What a signal does by being sent.  False: it is not to be queued. */
static bool prepare(struct lx_group *g, struct lx_task *t, int sig, bool force)
{
	if (g->flags & LX_GROUP_CORE_DUMP)
		return sig == SIGKILL;
	if (g->flags & LX_GROUP_EXITING)
		return false;
	if (LX_SIG_STOPS & LX_SIGMASK(sig))
		flush_all(g, LX_SIGMASK(SIGCONT));
	else if (sig == SIGCONT)
		continue_group(g);
	return !is_ignored(g, t, sig, force);
}

static bool enqueue(struct lx_group *g, struct lx_sigpending *p, const struct lx_siginfo *info,
		    struct lx_user *user)
{
	struct queued *q;
	bool explicit = info->code < 0 && info->code != SI_TKILL;
	/* Of an O_ASYNC file: whoever sends it falls back to SIGIO. */
	bool of_file = info->code >= POLL_IN && info->code <= POLL_HUP;

	if (info->signo == SIGKILL)
		return true;
	/* A standard signal that the kernel sends, or kill(2), has its one place whatever the limit is. */
	if (atomic_load(&user->sigpending) >= g->rlimits[RLIMIT_SIGPENDING].cur &&
	    (info->signo >= SIGRTMIN || info->code < 0))
		return info->signo < SIGRTMIN || (!explicit && !of_file) || info->code == SI_USER;
	q = rt_alloc(sizeof(*q));
	if (!q)
		return info->signo < SIGRTMIN || (!explicit && !of_file);
	q->info = *info;
	q->user = lx_user_get(user);
	atomic_fetch_add(&user->sigpending, 1);
	list_add_last(&p->queue, &q->link);
	return true;
}

static bool wants(const struct lx_task *t, int sig)
{
	if ((t->blocked & LX_SIGMASK(sig)) || t->exiting)
		return false;
	if (sig == SIGKILL)
		return true;
	/* Whoever is stopped looks when it goes on. */
	if (atomic_load(&t->state) == LX_TRACED || atomic_load(&t->state) == LX_STOPPED)
		return false;
	return t == lx_self() || !(atomic_load(&t->attention) & LX_ATTN_SIGNAL);
}

static struct lx_task *choose(struct lx_group *g, struct lx_task *t, int sig)
{
	struct lx_task *c;

	if (t)
		return wants(t, sig) ? t : NULL;
	if (g->leader && !g->leader->exiting && wants(g->leader, sig))
		return g->leader;
	list_for_each_entry(c, &g->tasks, group_link)
		if (wants(c, sig))
			return c;
	return NULL;
}

static bool is_fatal(struct lx_group *g, struct lx_task *t, int sig, bool force)
{
	if (action_of(g, sig)->handler != 0 && sig != SIGKILL)
		return false;
	if ((LX_SIG_IGNORED | LX_SIG_STOPS | LX_SIG_CORE) & LX_SIGMASK(sig))
		return false;
	if (t->real_blocked & LX_SIGMASK(sig))
		return false;
	if ((g->flags & LX_GROUP_UNKILLABLE) && !force)
		return false;
	return sig == SIGKILL || !lx_ptrace_is_traced(t);
}

/* 1: queued; 0: it was not to be, or is already; -EAGAIN. */
static int send(struct lx_group *g, struct lx_task *t, const struct lx_siginfo *info, bool force)
{
	int sig = info->signo;
	struct lx_sigpending *p = t ? &t->pending : &g->shared_pending;
	struct lx_task *first = t ? t : any_task(g), *target;

	if (!first || first->exiting || !first->user)
		return 0;
	if (!prepare(g, first, sig, force))
		return 0;
	lx_wake_all(&g->signal_fd_wait);
	if (sig < SIGRTMIN && (p->set & LX_SIGMASK(sig)))
		return 0;
	if (!enqueue(g, p, info, first->user))
		return -EAGAIN;
	p->set |= LX_SIGMASK(sig);
	target = choose(g, t, sig);
	if (!target)
		return 1;
	if (is_fatal(g, target, sig, force))
		lx_group_kill_locked(g, sig);
	else
		lx_task_notify(target, LX_ATTN_SIGNAL);
	return 1;
}

int lx_signal_send_locked(struct lx_group *g, struct lx_task *t, const struct lx_siginfo *info)
{
	/* Init is not hit by SIGKILL from its own processes, nor by defaults. */
	return send(g, t, info, false);
}

int lx_signal_task(struct lx_task *t, const struct lx_siginfo *info)
{
	struct lx_group *g = t->group;
	int err;

	rt_mutex_lock(&g->lock);
	err = send(g, t, info, false);
	rt_mutex_unlock(&g->lock);
	return MIN(err, 0);
}

int lx_signal_group(struct lx_group *g, const struct lx_siginfo *info)
{
	int err;

	rt_mutex_lock(&g->lock);
	err = send(g, NULL, info, false);
	rt_mutex_unlock(&g->lock);
	return MIN(err, 0);
}

/*
 * The program did something that cannot go on.  If the signal is blocked or
 * ignored it becomes the default action: the program ends instead of faulting for
 * ever.
 */
static void force(struct lx_task *self, const struct lx_siginfo *info, bool fatal)
{
	struct lx_group *g = self->group;
	uint64_t bit = LX_SIGMASK(info->signo);
	struct lx_sigaction *act;

	rt_mutex_lock(&g->lock);
	act = &g->sighand->action[info->signo - 1];
	if (fatal || (self->blocked & bit) || act->handler == 1) {
		bool shared = lx_sighand_lock_shared(g);

		act->handler = 0;
		lx_sighand_unlock_shared(g, shared);
		self->blocked &= ~bit;
	}
	if (act->handler == 0)
		g->flags &= ~LX_GROUP_UNKILLABLE;
	(void)send(g, self, info, true);
	lx_signal_recalc_locked(self);
	rt_mutex_unlock(&g->lock);
}

void lx_signal_force(struct lx_task *self, const struct lx_siginfo *info)
{
	force(self, info, false);
}

void lx_signal_force_fatal(struct lx_task *self, const struct lx_siginfo *info)
{
	force(self, info, true);
}

/* @leaving will not take signals of @set any more: others that wait may. */
void lx_signal_retarget_locked(struct lx_task *leaving, uint64_t set)
{
	struct lx_group *g = leaving->group;
	struct lx_task *t;

	set &= g->shared_pending.set;
	if (!set)
		return;
	list_for_each_entry(t, &g->tasks, group_link) {
		if (t == leaving || t->exiting || !(set & ~t->blocked))
			continue;
		lx_task_notify(t, LX_ATTN_SIGNAL);
		set &= t->blocked;
		if (!set)
			break;
	}
}

void lx_task_notify(struct lx_task *t, uint32_t attention)
{
	uint32_t old = atomic_fetch_or(&t->attention, attention);
	k_handle_t thread;

	/* Whoever set the same bits has kicked, and the task has not looked since. */
	if ((old & attention) == attention || t == lx_self())
		return;
	thread = atomic_load(&t->thread);
	if (thread)
		(void)!k_thread_kick(thread);
}

bool lx_signal_pending(struct lx_task *self)
{
	return atomic_load(&self->attention) & ~LX_ATTN_ASYNC;
}

bool lx_fatal_signal_pending(struct lx_task *self)
{
	return atomic_load(&self->attention) & LX_ATTN_EXIT;
}

bool lx_signal_ignored(struct lx_task *self, int sig)
{
	struct lx_group *g = self->group;
	bool ignored;

	rt_mutex_lock(&g->lock);
	ignored = (self->blocked & LX_SIGMASK(sig)) || action_of(g, sig)->handler == 1;
	rt_mutex_unlock(&g->lock);
	return ignored;
}

struct lx_siginfo lx_siginfo_user(struct lx_task *self, int signo, int code)
{
	struct lx_siginfo info = { .signo = signo, .code = code };

	info.rt.pid = self->group->pid;
	info.rt.uid = self->cred->uid;
	return info;
}

int lx_signal_permission(struct lx_task *self, struct lx_task *t, int sig)
{
	const struct lx_cred *from = self->cred, *to;
	int err = 0;

	if (t->group == self->group)
		return 0;
	to = lx_task_cred_get(t);
	if (from->euid != to->suid && from->euid != to->uid && from->uid != to->suid &&
	    from->uid != to->uid && !lx_cred_capable(from, CAP_KILL) &&
	    !(sig == SIGCONT && self->group->sid == t->group->sid))
		err = -EPERM;
	lx_cred_put(to);
	return err;
}

uint64_t lx_signal_pending_set(struct lx_task *self)
{
	uint64_t set;

	rt_mutex_lock(&self->group->lock);
	set = self->pending.set | self->group->shared_pending.set;
	rt_mutex_unlock(&self->group->lock);
	return set;
}

int lx_signal_dequeue(struct lx_task *self, uint64_t mask, struct lx_siginfo *info)
{
	int sig;

	rt_mutex_lock(&self->group->lock);
	sig = lx_signal_take_locked(self, mask & ~LX_SIG_UNBLOCKABLE, info);
	if (sig)
		lx_signal_recalc_locked(self);
	rt_mutex_unlock(&self->group->lock);
	return sig;
}

/* -- masks ------------------------------------------------------------------------------------ */

void lx_sigmask_set_locked(struct lx_task *self, uint64_t mask)
{
	uint64_t newly;

	mask &= ~LX_SIG_UNBLOCKABLE;
	newly = mask & ~self->blocked;
	self->blocked = mask;
	if (newly && self->group->nr_tasks > 1)
		lx_signal_retarget_locked(self, newly);
	lx_signal_recalc_locked(self);
}

void lx_sigmask_set(struct lx_task *self, uint64_t mask)
{
	rt_mutex_lock(&self->group->lock);
	lx_sigmask_set_locked(self, mask);
	rt_mutex_unlock(&self->group->lock);
}

int lx_sigmask_push(struct lx_task *self, uaddr_t umask, size_t size)
{
	uint64_t mask;

	if (!umask.v)
		return 0;
	if (size != sizeof(mask))
		return -EINVAL;
	if (lx_copy_from_user(&mask, umask, sizeof(mask)))
		return -EFAULT;
	self->saved_sigmask = self->blocked;
	self->restore_sigmask = true;
	lx_sigmask_set(self, mask);
	return 0;
}

void lx_sigmask_pop(struct lx_task *self, bool interrupted)
{
	if (!self->restore_sigmask || interrupted)
		return;			/* the delivery of the signal puts it back */
	self->restore_sigmask = false;
	lx_sigmask_set(self, self->saved_sigmask);
}

/* -- handler tables ------------------------------------------------------------------------------ */

struct lx_sighand *lx_sighand_create(void)
{
	struct lx_sighand *s = rt_zalloc(sizeof(*s));

	if (s) {
		atomic_init(&s->refs, 1);
		rt_mutex_init(&s->lock, LX_LOCK_ACTIONS);
	}
	return s;
}

struct lx_sighand *lx_sighand_copy(struct lx_sighand *from)
{
	struct lx_sighand *s = lx_sighand_create();

	if (s) {
		rt_mutex_lock(&from->lock);
		memcpy(s->action, from->action, sizeof(s->action));
		rt_mutex_unlock(&from->lock);
	}
	return s;
}

/* What another group did to the table before it left (lx_sighand_put) is visible: refs is
 * sequentially consistent. */
bool lx_sighand_lock_shared(struct lx_group *g)
{
	if (likely(atomic_load(&g->sighand->refs) == 1))
		return false;
	rt_mutex_lock(&g->sighand->lock);
	return true;
}

void lx_sighand_unlock_shared(struct lx_group *g, bool locked)
{
	if (unlikely(locked))
		rt_mutex_unlock(&g->sighand->lock);
}

void lx_sighand_put(struct lx_sighand *s)
{
	if (s && atomic_fetch_sub(&s->refs, 1) == 1)
		rt_free(s);
}

int lx_signal_exec(struct lx_task *self)
{
	struct lx_group *g = self->group;
	struct lx_sighand *s = g->sighand;
	int i;

	if (atomic_load(&s->refs) > 1) {
		s = lx_sighand_copy(s);
		if (!s)
			return -ENOMEM;
	}
	for (i = 0; i < LX_NSIG; i++) {
		bool ignored = s->action[i].handler == 1;

		s->action[i] = (struct lx_sigaction){ .handler = ignored };
	}
	rt_mutex_lock(&g->lock);
	if (s != g->sighand) {
		struct lx_sighand *old = g->sighand;

		g->sighand = s;
		lx_sighand_put(old);
	}
	rt_mutex_unlock(&g->lock);
	self->altstack = (struct lx_altstack){ .flags = SS_DISABLE };
	return 0;
}
