/* SPDX-License-Identifier: MIT */
/*
 * Terminals: the structure, open files on them, reading, writing, hanging up.
 *
 * References: each open file holds one, and so does the driver while its device
 * exists.  A hang-up does not close files: it counts tty->hangups up, and a file
 * that was opened before it is dead: it reads end of file, and everything else
 * fails with EIO.
 *
 * A write(2) is one unit: tty->writing keeps other writers out until it is done.
 */

#include <asm/fcntl.h>
#include <asm/poll.h>
#include <asm/signal.h>

#include "lx/ref.h"
#include "tty_priv.h"
#include "lx/iter.h"
#include "lx/pid.h"
#include "rt/time.h"

static struct rt_mutex ttys_lock = RT_MUTEX_INIT(LX_LOCK_LEAF);
static struct list ttys = LIST_INIT(ttys);

#define WRITE_ROOM_MIN	1		/* POLLOUT from here on */

/* -- references ------------------------------------------------------------------- */

struct lx_tty *tty_create(const struct lx_tty_ops *ops, const char *name, lx_dev_t dev)
{
	struct lx_tty *tty = rt_zalloc(sizeof(*tty));

	if (!tty)
		return NULL;
	tty->ops = ops;
	tty->dev = dev;
	strlcpy(tty->name, name, sizeof(tty->name));
	atomic_init(&tty->refs, 1);
	lx_waitq_init(&tty->read_wait);
	lx_waitq_init(&tty->write_wait);
	rt_mutex_init(&tty->lock, LX_LOCK_TTY);
	ldisc_init(tty);
	rt_mutex_lock(&ttys_lock);
	list_add_last(&ttys, &tty->link);
	rt_mutex_unlock(&ttys_lock);
	return tty;
}

struct lx_tty *tty_get(struct lx_tty *tty)
{
	atomic_fetch_add_explicit(&tty->refs, 1, memory_order_relaxed);
	return tty;
}

void tty_put(struct lx_tty *tty)
{
	bool last;

	/*
	 * The last reference goes under the list's lock, so that tty_find() never
	 * sees a terminal without references.
	 */
	if (lx_ref_drop_shared(&tty->refs))
		return;
	rt_mutex_lock(&ttys_lock);
	last = atomic_fetch_sub_explicit(&tty->refs, 1, memory_order_acq_rel) == 1;
	if (last)
		list_remove(&tty->link);
	rt_mutex_unlock(&ttys_lock);
	if (last)
		tty->ops->destroy(tty);
}

struct lx_tty *tty_find(bool (*match)(struct lx_tty *tty, const void *arg), const void *arg)
{
	struct lx_tty *tty, *found = NULL;

	rt_mutex_lock(&ttys_lock);
	list_for_each_entry(tty, &ttys, link) {
		if (match(tty, arg)) {
			found = tty_get(tty);
			break;
		}
	}
	rt_mutex_unlock(&ttys_lock);
	return found;
}

/* -- from the driver ---------------------------------------------------------------- */

size_t tty_receive(struct lx_tty *tty, const uint8_t *buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		struct tty_signal sig;
		bool readable, packet;
		size_t got;

		rt_mutex_lock(&tty->lock);
		got = ldisc_receive(tty, buf + done, n - done, &sig);
		/* Not VMIN: a reader that has some bytes already waits for the rest. */
		readable = ldisc_readable(tty, false);
		packet = tty->packet_status != 0;
		rt_mutex_unlock(&tty->lock);
		tty_send(&sig);
		if (packet && tty->ops->packet_event)
			tty->ops->packet_event(tty);
		if (readable)
			lx_wake(&tty->read_wait, POLLIN | POLLRDNORM, 1);
		done += got;
		if (!got)
			break;
	}
	return done;
}

size_t tty_receive_room(struct lx_tty *tty)
{
	size_t room;

	rt_mutex_lock(&tty->lock);
	/* A line that is too long is taken, and cut. */
	if (TTY_FLAG(tty, c_lflag, ICANON) && tty->canon_head == tty->tail)
		room = TTY_READ_SIZE;
	else
		room = ldisc_input_room(tty);
	if (!room)
		tty->throttled = true;
	rt_mutex_unlock(&tty->lock);
	return room;
}

void tty_receive_break(struct lx_tty *tty)
{
	struct tty_signal sig;

	rt_mutex_lock(&tty->lock);
	ldisc_break(tty, &sig);
	rt_mutex_unlock(&tty->lock);
	tty_send(&sig);
	lx_wake(&tty->read_wait, POLLIN | POLLRDNORM, 1);
}

void tty_wake_writers(struct lx_tty *tty)
{
	rt_mutex_lock(&tty->lock);
	ldisc_flush_echo(tty);
	rt_mutex_unlock(&tty->lock);
	lx_wake(&tty->write_wait, POLLOUT | POLLWRNORM, ~0u);
}

void tty_set_winsize(struct lx_tty *tty, const struct winsize *ws)
{
	struct tty_signal sig = { .signo = SIGWINCH };
	bool changed;

	rt_mutex_lock(&tty->lock);
	changed = memcmp(&tty->winsize, ws, sizeof(*ws)) != 0;
	tty->winsize = *ws;
	sig.pgrp = tty->pgrp;
	rt_mutex_unlock(&tty->lock);
	if (changed)
		tty_send(&sig);
}

/* The leader hears of it by its own number: it may not be in the foreground. */
static void hangup_leader(lx_pid_t session)
{
	struct lx_siginfo hup = lx_siginfo_kernel(SIGHUP), cont = lx_siginfo_kernel(SIGCONT);
	struct lx_group *leader = NULL;
	struct lx_pid *pid;

	/* By the table: a driver's thread is no task that could be asked for its namespace. */
	rt_mutex_lock(&lx_init_pidns.lock);
	pid = lx_pid_lookup(&lx_init_pidns, session);
	if (pid && pid->group)
		leader = lx_group_get(pid->group);
	rt_mutex_unlock(&lx_init_pidns.lock);
	if (!leader)
		return;
	lx_signal_group(leader, &hup);
	lx_signal_group(leader, &cont);
	lx_group_put(leader);
}

void tty_hangup(struct lx_tty *tty)
{
	struct tty_signal hup = { .signo = SIGHUP }, cont = { .signo = SIGCONT };
	lx_pid_t session;

	rt_mutex_lock(&tty->lock);
	tty->hangups++;
	session = tty->session;
	hup.pgrp = cont.pgrp = tty->pgrp;
	tty->session = tty->pgrp = 0;
	tty->stopped = tty->tco_stopped = false;
	ldisc_init(tty);
	if (tty->ops->flush_output)
		tty->ops->flush_output(tty);
	rt_mutex_unlock(&tty->lock);
	lx_wake_all(&tty->read_wait);
	lx_wake_all(&tty->write_wait);
	if (session && session != hup.pgrp)
		hangup_leader(session);
	tty_send(&hup);
	tty_send(&cont);
}

/* -- sleeping ----------------------------------------------------------------------- */

int tty_sleep(struct lx_tty *tty, struct lx_waitq *wq, uint64_t deadline)
{
	struct lx_task *self = lx_self();
	struct lx_wait_entry entry;
	int err;

	lx_wait_entry_init(&entry, self);
	lx_wait_prepare(self);
	lx_waitq_add(wq, &entry);
	rt_mutex_unlock(&tty->lock);
	err = lx_wait_block(self, deadline, LX_WAIT_INTERRUPTIBLE);
	err = lx_wait_finish(wq, &entry, err);
	rt_mutex_lock(&tty->lock);
	return err;
}

int tty_drain(struct lx_tty *tty)
{
	uint32_t hangups = tty->hangups;
	int err = 0;

	while (!err && tty->hangups == hangups && !tty->other_closed &&
	       ((tty->echo_len && !tty->is_pty) || tty->ops->drain(tty)))
		err = tty_sleep(tty, &tty->write_wait, K_DEADLINE_NEVER);
	return err;
}

bool tty_file_dead(const struct tty_file *tf)
{
	return tf->hangups != READ_ONCE(tf->tty->hangups);
}

/* -- read ----------------------------------------------------------------------------- */

/*
 * What VMIN and VTIME ask of a read of @want bytes (termios(3), "noncanonical
 * mode"): at least min bytes; wait for the first one at most first_ns, for
 * each further one at most next_ns.
 */
struct read_rule {
	size_t min;
	uint64_t first_ns, next_ns;	/* K_DEADLINE_NEVER: no limit */
};

static struct read_rule read_rule(const struct lx_tty *tty, size_t want)
{
	uint64_t time = tty->termios.c_cc[VTIME] * 100000000ull;
	size_t min = tty->termios.c_cc[VMIN];

	if (TTY_FLAG(tty, c_lflag, ICANON))
		return (struct read_rule){ 1, K_DEADLINE_NEVER, K_DEADLINE_NEVER };
	if (!min)
		return (struct read_rule){ 1, time, time };
	return (struct read_rule){ MIN(min, want), K_DEADLINE_NEVER, time ? time : K_DEADLINE_NEVER };
}

static uint64_t deadline_in(uint64_t ns)
{
	return ns == K_DEADLINE_NEVER || ns == 0 ? ns : rt_now_ns() + ns;
}

void tty_unthrottle(struct lx_tty *tty)
{
	bool room = false;

	if (!READ_ONCE(tty->throttled))
		return;
	rt_mutex_lock(&tty->lock);
	if (tty->throttled && tty->head - tty->tail <= TTY_READ_SIZE / 4) {
		tty->throttled = false;
		room = true;
	}
	rt_mutex_unlock(&tty->lock);
	if (room && tty->ops->unthrottle)
		tty->ops->unthrottle(tty);
}

/* One stretch of input: sleeps until there is some.  Tty locked.  Bytes, or why there are none. */
static int64_t read_some(struct tty_file *tf, struct lx_file *f, uint8_t *buf, size_t n,
			 uint64_t wait_ns, bool *line)
{
	struct lx_tty *tty = tf->tty;
	uint64_t deadline = deadline_in(wait_ns);
	int err = 0;

	*line = true;			/* the read ends, unless there is data */
	for (;;) {
		if (tty_file_dead(tf))
			return 0;
		if (ldisc_readable(tty, false))
			return (int64_t)ldisc_read(tty, buf, n, line);
		if (tty->other_closed)
			return -EIO;
		if (err)
			return err == -ETIMEDOUT ? 0 : err;
		if (!deadline)
			return 0;
		if (atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NONBLOCK)
			return -EAGAIN;
		rt_mutex_unlock(&tty->lock);
		err = tty_check_job(tty, SIGTTIN);
		rt_mutex_lock(&tty->lock);
		if (err)
			return err;
		err = tty_sleep(tty, &tty->read_wait, deadline);
	}
}

static int64_t tty_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	struct tty_file *tf = f->private;
	struct lx_tty *tty = tf->tty;
	uint8_t chunk[256];
	struct read_rule rule;
	int64_t done = 0, got;
	bool line = false;
	int err;

	if (tty_file_dead(tf) || !to->count)
		return 0;
	err = tty_check_job(tty, SIGTTIN);
	if (err)
		return err;
	rt_mutex_lock(&tty->lock);
	rule = read_rule(tty, to->count);
	rt_mutex_unlock(&tty->lock);
	do {
		rt_mutex_lock(&tty->lock);
		got = read_some(tf, f, chunk, MIN(sizeof(chunk), to->count),
				done ? rule.next_ns : rule.first_ns, &line);
		rt_mutex_unlock(&tty->lock);
		tty_unthrottle(tty);
		if (got <= 0)
			break;
		while (got) {
			size_t n = lx_iter_put(to, chunk, (size_t)got);

			memmove(chunk, chunk + n, (size_t)got - n);
			got -= (int64_t)n;
			done += (int64_t)n;
			if (got && lx_iter_fault_in(to, true))
				return done ? done : -EFAULT;
		}
		/* Enough: the rest only if it is there already. */
		if ((size_t)done >= rule.min && !TTY_FLAG(tty, c_lflag, ICANON))
			rule.next_ns = 0;
	} while (to->count && !line);
	return done ? done : got;
}

/* -- write ---------------------------------------------------------------------------- */

/* Write one chunk, sleeping for room.  Tty locked.  *@done says how much went. */
static int write_chunk(struct tty_file *tf, struct lx_file *f, const uint8_t *buf, size_t n,
		       size_t *done)
{
	struct lx_tty *tty = tf->tty;

	for (*done = 0;;) {
		int err;

		if (tty_file_dead(tf) || tty->other_closed)
			return -EIO;
		*done += ldisc_write(tty, buf + *done, n - *done);
		if (*done == n)
			return 0;
		if (atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NONBLOCK)
			return -EAGAIN;
		err = tty_sleep(tty, &tty->write_wait, K_DEADLINE_NEVER);
		if (err)
			return err;
	}
}

/* Become the one writer.  Tty locked. */
static int write_begin(struct lx_tty *tty, struct lx_file *f)
{
	while (tty->writing) {
		int err;

		if (atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NONBLOCK)
			return -EAGAIN;
		err = tty_sleep(tty, &tty->write_wait, K_DEADLINE_NEVER);
		if (err)
			return err;
	}
	tty->writing = true;
	return 0;
}

static int64_t tty_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	struct tty_file *tf = f->private;
	struct lx_tty *tty = tf->tty;
	uint8_t chunk[TTY_CHUNK];
	int64_t done = 0;
	int err;

	if (tty_file_dead(tf))
		return -EIO;
	if (TTY_FLAG(tty, c_lflag, TOSTOP)) {
		err = tty_check_job(tty, SIGTTOU);
		if (err)
			return err;
	}
	rt_mutex_lock(&tty->lock);
	err = write_begin(tty, f);
	rt_mutex_unlock(&tty->lock);
	if (err)
		return err;
	while (from->count && !err) {
		size_t n = lx_iter_get(from, chunk, MIN(sizeof(chunk), from->count)), went = 0;

		if (!n) {
			err = lx_iter_fault_in(from, false);
			continue;
		}
		rt_mutex_lock(&tty->lock);
		err = write_chunk(tf, f, chunk, n, &went);
		rt_mutex_unlock(&tty->lock);
		done += (int64_t)went;
		lx_iter_revert(from, n - went);
	}
	rt_mutex_lock(&tty->lock);
	tty->writing = false;
	rt_mutex_unlock(&tty->lock);
	lx_wake(&tty->write_wait, POLLOUT | POLLWRNORM, ~0u);
	return done ? done : err;
}

/* -- poll, open, release ----------------------------------------------------------------- */

static uint32_t tty_poll(struct lx_file *f, struct lx_poll *p)
{
	struct tty_file *tf = f->private;
	struct lx_tty *tty = tf->tty;
	uint32_t mask = 0;

	lx_poll_wait(p, f, &tty->read_wait);
	lx_poll_wait(p, f, &tty->write_wait);
	if (tty_file_dead(tf))
		return POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDNORM | POLLWRNORM;
	rt_mutex_lock(&tty->lock);
	if (ldisc_readable(tty, true))
		mask |= POLLIN | POLLRDNORM;
	if (tty->other_closed)
		mask |= POLLHUP;
	if (ldisc_write_room(tty) >= WRITE_ROOM_MIN && !tty->other_closed)
		mask |= POLLOUT | POLLWRNORM;
	rt_mutex_unlock(&tty->lock);
	return mask;
}

int tty_open_file(struct lx_tty *tty, struct lx_file *f)
{
	struct tty_file *tf = rt_zalloc(sizeof(*tf));
	int err = tf ? 0 : -ENOMEM;
	bool busy;

	if (!err && tty->ops->may_open)
		err = tty->ops->may_open(tty);
	if (err) {
		rt_free(tf);
		tty_put(tty);
		return err;
	}
	rt_mutex_lock(&tty->lock);
	busy = tty->exclusive && !lx_capable(lx_self(), 21 /* CAP_SYS_ADMIN */);
	if (!busy) {
		tty->opens++;
		tf->hangups = tty->hangups;
	}
	rt_mutex_unlock(&tty->lock);
	if (busy) {
		rt_free(tf);
		tty_put(tty);
		return -EBUSY;
	}
	tf->tty = tty;
	f->private = tf;
	f->ops = &tty_file_ops;
	if (tty->ops->opened)
		tty->ops->opened(tty);
	if (!(f->flags & O_NOCTTY))
		tty_acquire(tty);
	return 0;
}

static void tty_release(struct lx_file *f)
{
	struct tty_file *tf = f->private;
	struct lx_tty *tty = tf->tty;
	bool last;

	rt_mutex_lock(&tty->lock);
	last = --tty->opens == 0;
	if (last)
		tty->exclusive = false;
	rt_mutex_unlock(&tty->lock);
	if (last && tty->ops->closed)
		tty->ops->closed(tty);
	tty_put(tty);
	rt_free(tf);
}

/* SIGIO goes to the terminal's foreground group, or to who asked for it. */
static lx_pid_t tty_async(struct lx_file *f)
{
	struct tty_file *tf = f->private;
	lx_pid_t pgrp;

	rt_mutex_lock(&tf->tty->lock);
	pgrp = tf->tty->pgrp;
	rt_mutex_unlock(&tf->tty->lock);
	return pgrp ? -pgrp : lx_self()->group->pid;
}

const struct lx_file_ops tty_file_ops = {
	.read = tty_read,
	.write = tty_write,
	.poll = tty_poll,
	.async = tty_async,
	.ioctl = tty_ioctl,
	.release = tty_release,
};
