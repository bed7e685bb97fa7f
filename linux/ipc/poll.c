/* SPDX-License-Identifier: MIT */
/*
 * poll, ppoll, select, pselect6.
 *
 * All four are one loop: ask each file what holds now and, the first time round,
 * queue an entry with each queue that the file names; sleep; ask again.  Entries
 * are queued only until something was found, and not at all when the caller does
 * not want to wait, which makes the common "look, don't wait" cheap.
 *
 * An entry remembers the events that its file is asked for, so that a wake-up for
 * others (room in a socket that we want to read) lets us sleep.
 */

#include <asm/poll.h>
#include <linux/resource.h>

#include "timeout_priv.h"
#include "lx/file.h"
#include "lx/syscall.h"

/* -- the table of queued entries ------------------------------------------------ */

#define POLL_INLINE	6
#define POLL_CHUNK	40

struct poll_entry {
	struct lx_wait_entry wait;
	struct lx_waitq *wq;
	struct lx_file *file;		/* a reference: it keeps the queue */
	uint32_t events;
};

struct poll_chunk {
	struct poll_chunk *next;
	unsigned int used;
	struct poll_entry entries[POLL_CHUNK];
};

struct poll_table {
	struct lx_poll poll;		/* poll.queue is NULL while nothing is to be queued */
	struct lx_task *self;
	unsigned int used;
	int err;			/* -ENOMEM: an entry could not be queued */
	struct poll_chunk *chunks;	/* the one being filled first */
	struct poll_entry entries[POLL_INLINE];
};

static bool poll_wake(struct lx_wait_entry *wait, uint32_t events)
{
	struct poll_entry *e = container_of(wait, struct poll_entry, wait);

	if (events && !(events & e->events))
		return false;
	return lx_task_wake(wait->task);
}

static struct poll_entry *table_entry(struct poll_table *t)
{
	struct poll_chunk *c = t->chunks;

	if (t->used < POLL_INLINE)
		return &t->entries[t->used++];
	if (!c || c->used == POLL_CHUNK) {
		c = rt_alloc(sizeof(*c));
		if (!c)
			return NULL;
		c->used = 0;
		c->next = t->chunks;
		t->chunks = c;
	}
	return &c->entries[c->used++];
}

static void table_queue(struct lx_poll *p, struct lx_file *f, struct lx_waitq *wq)
{
	struct poll_table *t = container_of(p, struct poll_table, poll);
	struct poll_entry *e = table_entry(t);

	if (!e) {
		t->err = -ENOMEM;
		return;
	}
	e->wq = wq;
	e->file = lx_file_get(f);
	e->events = p->events;
	lx_wait_entry_init(&e->wait, t->self);
	e->wait.wake = poll_wake;
	lx_waitq_add(wq, &e->wait);
}

static void table_init(struct poll_table *t, struct lx_task *self, uint64_t deadline)
{
	t->poll.queue = deadline ? table_queue : NULL;
	t->self = self;
	t->used = 0;
	t->err = 0;
	t->chunks = NULL;
}

static void entry_free(struct poll_entry *e)
{
	lx_waitq_remove(e->wq, &e->wait);
	lx_file_put(e->file);
}

static void table_free(struct poll_table *t)
{
	struct poll_chunk *c, *next;

	for (unsigned int i = 0; i < t->used; i++)
		entry_free(&t->entries[i]);
	for (c = t->chunks; c; c = next) {
		next = c->next;
		for (unsigned int i = 0; i < c->used; i++)
			entry_free(&c->entries[i]);
		rt_free(c);
	}
}

/*
 * The loop.  @scan asks all files and says how many are ready, or a negative
 * errno.  Returns that, 0 at the deadline, or -LX_ERESTARTSYS.
 */
static long poll_loop(struct poll_table *t, uint64_t deadline, long (*scan)(struct poll_table *, void *),
		      void *arg)
{
	bool timed_out = deadline == 0;
	int stop = 0;

	for (;;) {
		long found;

		if (!timed_out)
			lx_wait_prepare(t->self);
		found = scan(t, arg);
		t->poll.queue = NULL;
		if (found || timed_out)
			return found;
		if (t->err)
			return t->err;
		if (stop)
			return stop;
		stop = lx_wait_block(t->self, deadline, LX_WAIT_INTERRUPTIBLE);
		if (stop == -ETIMEDOUT)
			timed_out = true;	/* look once more */
	}
}

/* Ask one file.  Once anything was found there is nothing to queue for. */
static inline __attribute__((always_inline)) uint32_t
poll_file(struct poll_table *t, int fd, uint32_t events, uint32_t bad)
{
	bool counted;
	struct lx_file *f = lx_fd_use(t->self, fd, &counted);
	uint32_t got;

	if (unlikely(!f))
		return bad;
	t->poll.events = events;
	got = f->ops->poll ? f->ops->poll(f, &t->poll) : LX_POLL_ALWAYS;
	got &= events;
	lx_fd_unuse(f, counted);
	if (got)
		t->poll.queue = NULL;
	return got;
}

/* -- poll ------------------------------------------------------------------------- */

#define POLL_FDS_INLINE	16

struct poll_args {
	struct pollfd *fds;
	unsigned int nfds;
};

static long poll_scan(struct poll_table *t, void *arg)
{
	struct poll_args *a = arg;
	long found = 0;

	for (unsigned int i = 0; i < a->nfds; i++) {
		struct pollfd *p = &a->fds[i];
		uint32_t events = (uint16_t)p->events | POLLERR | POLLHUP, got;

		if (p->fd < 0) {
			p->revents = 0;
			continue;
		}
		got = poll_file(t, p->fd, events, POLLNVAL);
		if (got)
			t->poll.queue = NULL;
		p->revents = (short)got;
		found += got != 0;
	}
	return found;
}

/* Only revents goes back: the program may have changed the rest meanwhile. */
static int poll_store(uaddr_t ufds, const struct pollfd *fds, unsigned int nfds)
{
	for (unsigned int i = 0; i < nfds; i++) {
		uaddr_t at = uaddr_add(ufds, i * sizeof(*fds) + offsetof(struct pollfd, revents));

		if (lx_copy_to_user(at, &fds[i].revents, sizeof(fds[i].revents)))
			return -EFAULT;
	}
	return 0;
}

static long do_poll(struct lx_task *self, uaddr_t ufds, unsigned int nfds, uint64_t deadline)
{
	struct pollfd inline_fds[POLL_FDS_INLINE];
	struct poll_args args = { .fds = inline_fds, .nfds = nfds };
	struct poll_table table;
	long ret = -EFAULT;

	if (nfds > lx_rlimit(self, RLIMIT_NOFILE))
		return -EINVAL;
	if (nfds > POLL_FDS_INLINE) {
		args.fds = rt_alloc(nfds * sizeof(*args.fds));
		if (!args.fds)
			return -ENOMEM;
	}
	if (nfds && lx_copy_from_user(args.fds, ufds, nfds * sizeof(*args.fds)))
		goto free_fds;
	table_init(&table, self, deadline);
	ret = poll_loop(&table, deadline, poll_scan, &args);
	table_free(&table);
	if (ret >= 0 && poll_store(ufds, args.fds, nfds))
		ret = -EFAULT;
free_fds:
	if (args.fds != inline_fds)
		rt_free(args.fds);
	return ret;
}

static long poll_restart(struct lx_task *self);

/* A stop and continue go on with the same deadline; a handler ends the call. */
static long poll_result(struct lx_task *self, long ret, uaddr_t ufds, unsigned int nfds,
			uint64_t deadline)
{
	if (ret != -LX_ERESTARTSYS)
		return ret;
	self->restart.fn = poll_restart;
	self->restart.args[0] = ufds.v;
	self->restart.args[1] = nfds;
	self->restart.args[2] = deadline;
	return -LX_ERESTART_BLOCK;
}

static long poll_restart(struct lx_task *self)
{
	uaddr_t ufds = uaddr(self->restart.args[0]);
	unsigned int nfds = (unsigned int)self->restart.args[1];
	uint64_t deadline = self->restart.args[2];

	return poll_result(self, do_poll(self, ufds, nfds, deadline), ufds, nfds, deadline);
}

long lx_sys_poll(struct lx_task *self, uaddr_t ufds, unsigned int nfds, int timeout)
{
	uint64_t deadline = timeout_from_ms(timeout);

	return poll_result(self, do_poll(self, ufds, nfds, deadline), ufds, nfds, deadline);
}

/*
 * The end of the calls with a signal mask and a timeout in a timespec or timeval:
 * Linux tells the program what is left of the timeout, if it can.
 */
static long finish_timed(struct lx_task *self, long ret, uint64_t deadline, uaddr_t timeout,
			 bool timeval)
{
	lx_sigmask_pop(self, ret == -LX_ERESTARTSYS);
	if (timeout.v && deadline != K_DEADLINE_NEVER) {
		struct timeout_spec left = { 0, 0 };

		if (deadline)
			left = timeout_left(deadline);
		if (timeval)
			left.nsec /= 1000;
		/* A timeout in memory that cannot be written is no error, but then no restart. */
		if (lx_copy_to_user(timeout, &left, sizeof(left)))
			return ret == -LX_ERESTARTSYS ? -EINTR : ret;
	}
	return ret == -LX_ERESTARTSYS ? -LX_ERESTARTNOHAND : ret;
}

long lx_sys_ppoll(struct lx_task *self, uaddr_t ufds, unsigned int nfds, uaddr_t timeout,
		  uaddr_t sigmask, size_t size)
{
	uint64_t deadline;
	int err = timeout_from_timespec(timeout, &deadline);

	if (!err)
		err = lx_sigmask_push(self, sigmask, size);
	if (err)
		return err;
	return finish_timed(self, do_poll(self, ufds, nfds, deadline), deadline, timeout, false);
}

/* -- select ------------------------------------------------------------------------- */

#define SELECT_IN	(POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR)
#define SELECT_OUT	(POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR)
#define SELECT_EX	POLLPRI

#define SELECT_INLINE_WORDS 4		/* of each set */

struct select_args {
	unsigned int nfds, words;	/* words: of one set */
	uint64_t *in[3];		/* what is wanted: read, write, except */
	uint64_t *out[3];
};

/* Only one set has files in this word: ask for its events.  How many are ready, or -EBADF. */
static int64_t select_one(struct poll_table *t, uint64_t all, unsigned int first, uint32_t events,
			  uint64_t *ready)
{
	uint64_t got = 0;

	while (all) {
		uint64_t bit = all & -all;
		uint32_t mask = poll_file(t, (int)(first + log2_u64(bit)), events, POLLNVAL);

		all ^= bit;
		if (mask & POLLNVAL)
			return -EBADF;
		if (mask)
			got |= bit;
	}
	*ready = got;
	return popcount_u64(got);
}

/* Ask the files of one word of the sets. */
static long select_word(struct poll_table *t, struct select_args *a, unsigned int w)
{
	uint64_t in = a->in[0][w], out = a->in[1][w], ex = a->in[2][w], all = in | out | ex;
	uint64_t got_in = 0, got_out = 0, got_ex = 0;

	if (!(out | ex)) {
		a->out[1][w] = a->out[2][w] = 0;
		return select_one(t, in, w * 64, SELECT_IN, &a->out[0][w]);
	}
	while (all) {
		uint64_t bit = all & -all;
		uint32_t events = 0, got;

		all ^= bit;
		events |= in & bit ? SELECT_IN : 0;
		events |= out & bit ? SELECT_OUT : 0;
		events |= ex & bit ? SELECT_EX : 0;
		got = poll_file(t, (int)(w * 64 + log2_u64(bit)), events, POLLNVAL);
		if (!got)
			continue;
		if (unlikely(got & POLLNVAL))
			return -EBADF;
		got_in |= got & SELECT_IN ? in & bit : 0;
		got_out |= got & SELECT_OUT ? out & bit : 0;
		got_ex |= got & SELECT_EX ? ex & bit : 0;
	}
	a->out[0][w] = got_in;
	a->out[1][w] = got_out;
	a->out[2][w] = got_ex;
	return popcount_u64(got_in) + popcount_u64(got_out) +
	       popcount_u64(got_ex);
}

static long select_scan(struct poll_table *t, void *arg)
{
	struct select_args *a = arg;
	long found = 0;

	for (unsigned int w = 0; w < a->words; w++) {
		long n = select_word(t, a, w);

		if (n < 0)
			return n;
		found += n;
	}
	return found;
}

/* The sets are arrays of longs; bits from nfds on are not looked at. */
static int select_load(struct select_args *a, const uaddr_t sets[3])
{
	size_t bytes = a->words * sizeof(uint64_t);

	for (int i = 0; i < 3; i++) {
		if (!sets[i].v)
			memset(a->in[i], 0, bytes);
		else if (lx_copy_from_user(a->in[i], sets[i], bytes))
			return -EFAULT;
		if (a->nfds % 64)
			a->in[i][a->words - 1] &= BIT(a->nfds % 64) - 1;
	}
	return 0;
}

static int select_store(const struct select_args *a, const uaddr_t sets[3])
{
	for (int i = 0; i < 3; i++)
		if (sets[i].v && lx_copy_to_user(sets[i], a->out[i], a->words * sizeof(uint64_t)))
			return -EFAULT;
	return 0;
}

static long do_select(struct lx_task *self, int n, const uaddr_t sets[3], uint64_t deadline)
{
	uint64_t inline_words[6 * SELECT_INLINE_WORDS], *words = inline_words;
	struct select_args args;
	struct poll_table table;
	long ret;

	if (n < 0)
		return -EINVAL;
	/* Numbers beyond the descriptor table are not looked at. */
	args.nfds = MIN((unsigned int)n, lx_files_limit(self));
	args.words = DIV_ROUND_UP(args.nfds, 64);
	if (args.words > SELECT_INLINE_WORDS) {
		words = rt_alloc(6 * args.words * sizeof(*words));
		if (!words)
			return -ENOMEM;
	}
	for (unsigned int i = 0; i < 3; i++) {
		args.in[i] = words + i * args.words;
		args.out[i] = words + (3 + i) * args.words;
	}
	ret = select_load(&args, sets);
	if (!ret) {
		table_init(&table, self, deadline);
		ret = poll_loop(&table, deadline, select_scan, &args);
		table_free(&table);
	}
	if (ret >= 0 && select_store(&args, sets))
		ret = -EFAULT;
	if (words != inline_words)
		rt_free(words);
	return ret;
}

long lx_sys_select(struct lx_task *self, int n, uaddr_t in, uaddr_t out, uaddr_t ex,
		   uaddr_t timeout)
{
	uint64_t deadline = K_DEADLINE_NEVER;
	struct { int64_t sec, usec; } tv;

	if (timeout.v) {
		if (lx_copy_from_user(&tv, timeout, sizeof(tv)))
			return -EFAULT;
		/* Whole seconds in tv_usec are accepted, as Linux does. */
		if (tv.sec < 0 || tv.usec < 0)
			return -EINVAL;
		deadline = timeout_deadline((uint64_t)tv.sec + (uint64_t)tv.usec / 1000000,
					    (uint64_t)tv.usec % 1000000 * 1000);
	}
	return finish_timed(self, do_select(self, n, (uaddr_t[3]){ in, out, ex }, deadline),
			    deadline, timeout, true);
}

long lx_sys_pselect6(struct lx_task *self, int n, uaddr_t in, uaddr_t out, uaddr_t ex,
		     uaddr_t timeout, uaddr_t sig)
{
	struct { uint64_t mask, size; } set = { 0, 0 };
	uint64_t deadline;
	int err;

	if (sig.v && lx_copy_from_user(&set, sig, sizeof(set)))
		return -EFAULT;
	err = timeout_from_timespec(timeout, &deadline);
	if (!err)
		err = lx_sigmask_push(self, uaddr(set.mask), set.size);
	if (err)
		return err;
	return finish_timed(self, do_select(self, n, (uaddr_t[3]){ in, out, ex }, deadline),
			    deadline, timeout, false);
}
