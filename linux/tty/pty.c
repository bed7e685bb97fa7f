/* SPDX-License-Identifier: MIT */
/*
 * Pseudo-terminals.
 *
 * The slave is a terminal like others, whose driver is a ring of output that the
 * master reads; what the master writes is the terminal's input.  The master is not
 * a terminal of its own here: its ioctls work on the slave's settings, as Linux's
 * do in effect.
 *
 * Who closed what:
 *	master closed	the node goes, the slave is hung up (SIGHUP, end of file, EIO)
 *	slave closed	the master reads what is left, then EIO, and polls POLLHUP,
 *			until the slave is opened again
 */

#include <asm/fcntl.h>
#include <asm/ioctls.h>
#include <asm/poll.h>
#include <asm/signal.h>

#include "base/format.h"
#include "pty.h"
#include "lx/iter.h"
#include "lx/mm.h"

#define RING(pos)	((pos) & (PTY_OUT_SIZE - 1))

static struct pty *pty_of(struct lx_tty *tty)
{
	return tty->private;
}

/* -- the slave's driver -------------------------------------------------------------------------- */

static size_t pty_write_room(struct lx_tty *tty)
{
	struct pty *p = pty_of(tty);

	return PTY_OUT_SIZE - (p->out_head - p->out_tail);
}

static size_t pty_write(struct lx_tty *tty, const uint8_t *buf, size_t n)
{
	struct pty *p = pty_of(tty);
	size_t done = 0;

	n = MIN(n, pty_write_room(tty));
	while (done < n) {
		size_t at = RING(p->out_head);
		size_t run = MIN(n - done, PTY_OUT_SIZE - at);

		memcpy(p->out + at, buf + done, run);
		p->out_head += (uint32_t)run;
		done += run;
	}
	if (n)
		lx_wake(&p->wait, POLLIN | POLLRDNORM, 1);
	return n;
}

/* The master may never read: draining does not wait for it. */
static size_t pty_pending(struct lx_tty *tty)
{
	return 0;
}

static void pty_flush_output(struct lx_tty *tty)
{
	struct pty *p = pty_of(tty);

	p->out_tail = p->out_head;
	lx_wake(&p->wait, POLLPRI, ~0u);
}

static void pty_unthrottle(struct lx_tty *tty)
{
	lx_wake(&pty_of(tty)->wait, POLLOUT | POLLWRNORM, ~0u);
}

static void pty_packet_event(struct lx_tty *tty)
{
	lx_wake(&pty_of(tty)->wait, POLLIN | POLLRDNORM | POLLPRI, ~0u);
}

static int pty_may_open(struct lx_tty *tty)
{
	return READ_ONCE(pty_of(tty)->locked) || READ_ONCE(tty->other_closed) ? -EIO : 0;
}

static void pty_opened(struct lx_tty *tty)
{
	rt_mutex_lock(&tty->lock);
	pty_of(tty)->slave_closed = false;
	rt_mutex_unlock(&tty->lock);
}

static void pty_closed(struct lx_tty *tty)
{
	struct pty *p = pty_of(tty);

	rt_mutex_lock(&tty->lock);
	if (!tty->opens)
		p->slave_closed = true;
	tty->packet = false;
	tty->packet_status = 0;
	rt_mutex_unlock(&tty->lock);
	lx_wake(&p->wait, POLLIN | POLLRDNORM | POLLHUP, ~0u);
}

static void pty_destroy(struct lx_tty *tty)
{
	struct pty *p = pty_of(tty);

	devpts_free(p);
	rt_free(p);
	rt_free(tty);
}

static long put_uint(uint64_t arg, unsigned int value)
{
	return lx_copy_to_user(uaddr(arg), &value, sizeof(value));
}

static const struct lx_tty_ops pty_ops = {
	.write = pty_write,
	.write_room = pty_write_room,
	.pending = pty_pending,
	.drain = pty_pending,
	.flush_output = pty_flush_output,
	.unthrottle = pty_unthrottle,
	.packet_event = pty_packet_event,
	.may_open = pty_may_open,
	.opened = pty_opened,
	.closed = pty_closed,
	.destroy = pty_destroy,
};

/* -- the master's file ------------------------------------------------------------------------------ */

static bool would_block(const struct lx_file *f)
{
	return atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NONBLOCK;
}

static bool master_readable(const struct pty *p)
{
	return p->out_head != p->out_tail || (p->tty->packet && p->tty->packet_status);
}

/* Sleep until the master can go on.  Tty locked. */
static int master_sleep(struct pty *p, struct lx_file *f)
{
	return would_block(f) ? -EAGAIN : tty_sleep(p->tty, &p->wait, K_DEADLINE_NEVER);
}

/* What a read gives next, without taking it.  Tty locked, and readable.  *@status: one byte of packet mode. */
static size_t master_peek(struct pty *p, uint8_t *buf, size_t n, bool *status)
{
	struct lx_tty *tty = p->tty;
	size_t len = 0, run;

	*status = false;
	if (tty->packet) {
		buf[len++] = tty->packet_status;
		if (tty->packet_status) {
			*status = true;
			return len;
		}
	}
	run = MIN(n - len, (size_t)(p->out_head - p->out_tail));
	for (size_t i = 0; i < run; i++)
		buf[len++] = p->out[RING(p->out_tail + i)];
	return len;
}

static int64_t master_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	struct tty_file *tf = f->private;
	struct pty *p = tf->master;
	struct lx_tty *tty = tf->tty;
	uint8_t buf[256];
	int64_t done = 0;
	bool status, took = false;
	int err = 0;

	if (!to->count)
		return 0;
	rt_mutex_lock(&tty->lock);
	while (!master_readable(p)) {
		err = p->slave_closed ? -EIO : master_sleep(p, f);
		if (err) {
			rt_mutex_unlock(&tty->lock);
			return err;
		}
	}
	while (to->count && master_readable(p)) {
		bool packet = tty->packet;
		size_t n, got;

		/* A packet is one read; without, as much as there is. */
		if (packet && done)
			break;
		n = master_peek(p, buf, MIN(sizeof(buf), to->count), &status);
		got = lx_iter_put(to, buf, n);
		if (got < n) {
			lx_iter_revert(to, got);
			rt_mutex_unlock(&tty->lock);
			err = lx_iter_fault_in(to, true);
			rt_mutex_lock(&tty->lock);
			if (err)
				break;
			continue;
		}
		done += (int64_t)n;
		if (status)
			tty->packet_status = 0;
		else
			p->out_tail += (uint32_t)(n - packet);
		took = true;
	}
	rt_mutex_unlock(&tty->lock);
	if (took)
		tty_wake_writers(tty);
	return done ? done : err;
}

static int64_t master_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	struct tty_file *tf = f->private;
	struct pty *p = tf->master;
	struct lx_tty *tty = tf->tty;
	uint8_t buf[256];
	int64_t done = 0;
	int err = 0;

	while (from->count && !err) {
		size_t room = tty_receive_room(tty), n, got;

		if (!room) {
			rt_mutex_lock(&tty->lock);
			/* Looked at again with the lock: a reader clears throttled before it wakes. */
			err = tty->throttled ? master_sleep(p, f) : 0;
			rt_mutex_unlock(&tty->lock);
			continue;
		}
		room = MIN(room, sizeof(buf));
		n = lx_iter_get(from, buf, MIN(room, from->count));
		if (!n) {
			err = lx_iter_fault_in(from, false);
			continue;
		}
		got = tty_receive(tty, buf, n);
		lx_iter_revert(from, n - got);
		done += (int64_t)got;
	}
	return done ? done : err;
}

static uint32_t master_poll(struct lx_file *f, struct lx_poll *poll)
{
	struct tty_file *tf = f->private;
	struct pty *p = tf->master;
	struct lx_tty *tty = tf->tty;
	uint32_t mask = 0;

	lx_poll_wait(poll, f, &p->wait);
	rt_mutex_lock(&tty->lock);
	if (master_readable(p))
		mask |= POLLIN | POLLRDNORM;
	if (tty->packet && tty->packet_status)
		mask |= POLLPRI;
	if (p->slave_closed)
		mask |= POLLHUP;
	if (ldisc_input_room(tty) || TTY_FLAG(tty, c_lflag, ICANON))
		mask |= POLLOUT | POLLWRNORM;
	else
		tty->throttled = true;
	rt_mutex_unlock(&tty->lock);
	return mask;
}

static long set_packet(struct lx_tty *tty, uint64_t arg)
{
	int on;

	if (lx_copy_from_user(&on, uaddr(arg), sizeof(on)))
		return -EFAULT;
	rt_mutex_lock(&tty->lock);
	if (!on || !tty->packet)
		tty->packet_status = 0;
	tty->packet = on;
	rt_mutex_unlock(&tty->lock);
	return 0;
}

static long set_locked(struct pty *p, uint64_t arg)
{
	int on;

	if (lx_copy_from_user(&on, uaddr(arg), sizeof(on)))
		return -EFAULT;
	WRITE_ONCE(p->locked, on != 0);
	return 0;
}

/* TIOCSIG: as if the terminal had made it. */
static long send_signal(struct lx_tty *tty, uint64_t signo)
{
	struct tty_signal sig = { .pgrp = READ_ONCE(tty->pgrp), .signo = (int)signo };

	if (signo != SIGINT && signo != SIGQUIT && signo != SIGTSTP)
		return -EINVAL;
	tty_send(&sig);
	return 0;
}

static long open_peer(struct pty *p, uint64_t flags)
{
	struct lx_task *self = lx_self();
	struct lx_file *f;
	int fd, err;

	fd = lx_fd_reserve(self, 0, flags & O_CLOEXEC);
	if (fd < 0)
		return fd;
	err = devpts_open_peer(self, p, (int)flags, &f);
	if (err) {
		lx_fd_unreserve(self, fd);
		return err;
	}
	lx_fd_publish(self, fd, f);
	return fd;
}

static long master_ioctl(struct lx_file *f, unsigned int cmd, uint64_t arg)
{
	struct tty_file *tf = f->private;
	struct pty *p = tf->master;
	struct lx_tty *tty = tf->tty;

	switch (cmd) {
	case TIOCGPTN:
		return put_uint(arg, p->index);
	case TIOCSPTLCK:
		return set_locked(p, arg);
	case TIOCGPTLCK:
		return put_uint(arg, READ_ONCE(p->locked));
	case TIOCPKT:
		return set_packet(tty, arg);
	case TIOCGPKT:
		return put_uint(arg, READ_ONCE(tty->packet));
	case TIOCSIG:
		return send_signal(tty, arg);
	case TIOCGPTPEER:
		return open_peer(p, arg);
	case FIONREAD:
		return put_uint(arg, READ_ONCE(p->out_head) - READ_ONCE(p->out_tail));
	case TIOCOUTQ:
		return put_uint(arg, 0);
	case TIOCSTI:
	case TIOCSCTTY:
	case TIOCNOTTY:
		return -ENOTTY;
	default:
		return tty_common_ioctl(f, tf, cmd, arg);
	}
}

static void master_release(struct lx_file *f)
{
	struct tty_file *tf = f->private;
	struct lx_tty *tty = tf->tty;

	devpts_remove(tf->master);
	rt_mutex_lock(&tty->lock);
	tty->other_closed = true;
	tty->packet = false;
	rt_mutex_unlock(&tty->lock);
	tty_hangup(tty);
	tty_put(tty);
	rt_free(tf);
}

static lx_pid_t master_async(struct lx_file *f)
{
	return lx_self()->group->pid;
}

static const struct lx_file_ops master_ops = {
	.read = master_read,
	.write = master_write,
	.poll = master_poll,
	.async = master_async,
	.ioctl = master_ioctl,
	.release = master_release,
};

/* -- opening ----------------------------------------------------------------------------------------- */

/* A pair that nobody has open: the slave's tty, one reference. */
static int pty_create(struct devpts *fs, struct pty **out)
{
	struct pty *p = rt_zalloc(sizeof(*p));
	struct lx_tty *tty;
	char name[16];
	int err;

	if (!p)
		return -ENOMEM;
	p->fs = fs;
	p->locked = true;
	list_init(&p->link);
	lx_waitq_init(&p->wait);
	err = devpts_add(fs, p);
	if (err) {
		rt_free(p);
		return err;
	}
	scnprintf(name, sizeof(name), "pts/%u", p->index);
	tty = tty_create(&pty_ops, name, LX_MKDEV(PTS_MAJOR, p->index));
	if (!tty) {
		devpts_remove(p);
		devpts_free(p);
		rt_free(p);
		return -ENOMEM;
	}
	tty->is_pty = true;
	tty->private = p;
	p->tty = tty;
	*out = p;
	return 0;
}

static int ptmx_open(struct lx_inode *inode, struct lx_file *f)
{
	struct tty_file *tf = rt_zalloc(sizeof(*tf));
	struct devpts *fs;
	struct pty *p;
	int err;

	if (!tf)
		return -ENOMEM;
	err = devpts_of(f, &fs);
	if (!err)
		err = pty_create(fs, &p);
	if (err) {
		rt_free(tf);
		return err;
	}
	tf->tty = p->tty;
	tf->master = p;
	f->private = tf;
	f->ops = &master_ops;
	return 0;
}

static int pts_open(struct lx_inode *inode, struct lx_file *f)
{
	struct lx_tty *tty = devpts_tty(inode);

	return tty ? tty_open_file(tty, f) : -EIO;
}

const struct lx_file_ops ptmx_dev_ops = { .open = ptmx_open };
const struct lx_file_ops pts_dev_ops = { .open = pts_open };

int pty_init(void)
{
	int err = lx_chrdev_register(TTYAUX_MAJOR, PTMX_MINOR, 1, "/dev/ptmx", &ptmx_dev_ops);

	if (!err)
		err = lx_chrdev_register(PTS_MAJOR, 0, 1u << 20, "pts", &pts_dev_ops);
	return err ? err : devpts_init();
}
