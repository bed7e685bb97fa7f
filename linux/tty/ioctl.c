/* SPDX-License-Identifier: MIT */
/*
 * ioctls of terminals: ioctl_tty(2).
 *
 * The master of a pty answers most of them for its slave, so they work on
 * struct tty_file, whose tty is the slave in both cases.
 */

#include <asm/ioctls.h>
#include <asm/signal.h>
#include <linux/capability.h>
#include <linux/tty.h>

#include "tty_priv.h"
#include "lx/mm.h"

/* The master's holder may change the slave's settings whoever is in the foreground. */
static int check_change(struct tty_file *tf)
{
	return tf->master ? 0 : tty_check_job(tf->tty, SIGTTOU);
}

/* A pty's master hears of changes, in packet mode. */
static void packet_event(struct lx_tty *tty)
{
	if (tty->ops->packet_event && READ_ONCE(tty->packet_status))
		tty->ops->packet_event(tty);
}

/* -- settings --------------------------------------------------------------------------- */

static const unsigned int baud_table[] = {
	0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400,
};
static const unsigned int baud_table_high[] = {	/* CBAUDEX */
	0, 57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000,
	2000000, 2500000, 3000000, 3500000, 4000000,
};

static unsigned int baud_of(tcflag_t cbaud, unsigned int given)
{
	if (cbaud == BOTHER)
		return given;
	if (cbaud & CBAUDEX)
		return baud_table_high[cbaud & 0xf];
	return baud_table[cbaud & 0xf];
}

static void set_speeds(struct ktermios *t)
{
	t->c_ospeed = baud_of(t->c_cflag & CBAUD, t->c_ospeed);
	if (!((t->c_cflag >> IBSHIFT) & CBAUD))
		t->c_ispeed = t->c_ospeed;
	else
		t->c_ispeed = baud_of((t->c_cflag >> IBSHIFT) & CBAUD, t->c_ispeed);
}

/* What a pty cannot be: Linux keeps these so. */
static void fix_termios(const struct lx_tty *tty, struct ktermios *t)
{
	if (tty->is_pty)
		t->c_cflag = (t->c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8 | CREAD;
	set_speeds(t);
}

static void apply_termios(struct lx_tty *tty, struct ktermios *t)
{
	struct ktermios old;

	fix_termios(tty, t);
	rt_mutex_lock(&tty->lock);
	old = tty->termios;
	tty->termios = *t;
	ldisc_set_termios(tty, &old);
	if (tty->packet) {
		bool was = old.c_iflag & IXON && old.c_cc[VSTOP] == '\023' &&
			   old.c_cc[VSTART] == '\021';
		bool is = t->c_iflag & IXON && t->c_cc[VSTOP] == '\023' &&
			  t->c_cc[VSTART] == '\021';

		if (was != is) {
			tty->packet_status &= (uint8_t)~(TIOCPKT_DOSTOP | TIOCPKT_NOSTOP);
			tty->packet_status |= is ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP;
		}
		if ((old.c_lflag ^ t->c_lflag) & EXTPROC ||
		    (t->c_lflag & EXTPROC && memcmp(&old, t, sizeof(old))))
			tty->packet_status |= TIOCPKT_IOCTL;
	}
	rt_mutex_unlock(&tty->lock);
	/* Input may count as readable now. */
	lx_wake_all(&tty->read_wait);
	lx_wake_all(&tty->write_wait);
	packet_event(tty);
}

/* The old System V structure has 16-bit flags. */
static void from_termio(struct ktermios *t, const struct termio *old)
{
	t->c_iflag = (t->c_iflag & 0xffff0000) | old->c_iflag;
	t->c_oflag = (t->c_oflag & 0xffff0000) | old->c_oflag;
	t->c_cflag = (t->c_cflag & 0xffff0000) | old->c_cflag;
	t->c_lflag = (t->c_lflag & 0xffff0000) | old->c_lflag;
	t->c_line = old->c_line;
	memcpy(t->c_cc, old->c_cc, NCC);
}

static int load_termios(struct lx_tty *tty, struct ktermios *t, unsigned int cmd, uaddr_t arg)
{
	struct termio old;
	struct termios one;

	rt_mutex_lock(&tty->lock);
	*t = tty->termios;
	rt_mutex_unlock(&tty->lock);
	switch (cmd) {
	case TCSETA:
	case TCSETAW:
	case TCSETAF:
		if (lx_copy_from_user(&old, arg, sizeof(old)))
			return -EFAULT;
		from_termio(t, &old);
		return 0;
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		if (lx_copy_from_user(&one, arg, sizeof(one)))
			return -EFAULT;
		memcpy(t, &one, sizeof(one));
		return 0;
	default:
		return lx_copy_from_user(t, arg, sizeof(*t));
	}
}

static long set_termios(struct tty_file *tf, unsigned int cmd, uaddr_t arg)
{
	struct lx_tty *tty = tf->tty;
	bool wait = cmd == TCSETSW || cmd == TCSETSF || cmd == TCSETAW || cmd == TCSETAF ||
		    cmd == TCSETSW2 || cmd == TCSETSF2;
	bool flush = cmd == TCSETSF || cmd == TCSETAF || cmd == TCSETSF2;
	struct ktermios t;
	int err = check_change(tf);

	if (!err)
		err = load_termios(tty, &t, cmd, arg);
	if (err)
		return err;
	rt_mutex_lock(&tty->lock);
	if (flush)
		ldisc_flush_input(tty);
	if (wait && !tf->master)
		err = tty_drain(tty);
	rt_mutex_unlock(&tty->lock);
	if (flush)
		tty_unthrottle(tty);
	if (err)
		return err;
	apply_termios(tty, &t);
	return 0;
}

static long get_termios(struct lx_tty *tty, unsigned int cmd, uaddr_t arg)
{
	struct ktermios t;
	struct termio old;

	rt_mutex_lock(&tty->lock);
	t = tty->termios;
	rt_mutex_unlock(&tty->lock);
	switch (cmd) {
	case TCGETS:
		return lx_copy_to_user(arg, &t, sizeof(struct termios));
	case TCGETS2:
		return lx_copy_to_user(arg, &t, sizeof(t));
	default:
		old = (struct termio){
			.c_iflag = (unsigned short)t.c_iflag, .c_oflag = (unsigned short)t.c_oflag,
			.c_cflag = (unsigned short)t.c_cflag, .c_lflag = (unsigned short)t.c_lflag,
			.c_line = t.c_line,
		};
		memcpy(old.c_cc, t.c_cc, NCC);
		return lx_copy_to_user(arg, &old, sizeof(old));
	}
}

/* -- flow, flushing, draining -------------------------------------------------------------- */

static long flush(struct tty_file *tf, uint64_t queue)
{
	struct lx_tty *tty = tf->tty;
	int err;

	if (queue != TCIFLUSH && queue != TCOFLUSH && queue != TCIOFLUSH)
		return -EINVAL;
	err = check_change(tf);
	if (err)
		return err;
	rt_mutex_lock(&tty->lock);
	if (queue != TCOFLUSH) {
		ldisc_flush_input(tty);
		if (tty->packet)
			tty->packet_status |= TIOCPKT_FLUSHREAD;
	}
	if (queue != TCIFLUSH) {
		tty->echo_len = 0;
		if (tty->ops->flush_output)
			tty->ops->flush_output(tty);
		if (tty->packet)
			tty->packet_status |= TIOCPKT_FLUSHWRITE;
	}
	rt_mutex_unlock(&tty->lock);
	tty_unthrottle(tty);
	lx_wake_all(&tty->write_wait);
	packet_event(tty);
	return 0;
}

static long flow(struct tty_file *tf, uint64_t action)
{
	struct lx_tty *tty = tf->tty;
	uint8_t c = 0;
	int err = check_change(tf);

	if (err)
		return err;
	rt_mutex_lock(&tty->lock);
	switch (action) {
	case TCOOFF:
		tty->tco_stopped = true;
		ldisc_stop(tty);
		break;
	case TCOON:
		tty->tco_stopped = false;
		ldisc_start(tty);
		break;
	case TCIOFF:
		c = tty->termios.c_cc[VSTOP];
		break;
	case TCION:
		c = tty->termios.c_cc[VSTART];
		break;
	default:
		err = -EINVAL;
	}
	if (c && tty->ops->write_room(tty))
		tty->ops->write(tty, &c, 1);
	rt_mutex_unlock(&tty->lock);
	lx_wake_all(&tty->write_wait);
	packet_event(tty);
	return err;
}

/* TCSBRK: a break, or (arg not 0) only wait for output.  Links have no break to send. */
static long drain(struct tty_file *tf)
{
	struct lx_tty *tty = tf->tty;
	int err = check_change(tf);

	if (err)
		return err;
	rt_mutex_lock(&tty->lock);
	err = tty_drain(tty);
	rt_mutex_unlock(&tty->lock);
	return err;
}

/* TIOCSTI: as if typed. */
static long fake_input(struct tty_file *tf, uaddr_t arg)
{
	struct lx_tty *tty = tf->tty;
	struct lx_task *self = lx_self();
	uint8_t c;

	if (READ_ONCE(tty->session) != READ_ONCE(self->group->sid) &&
	    !lx_capable(self, CAP_SYS_ADMIN))
		return -EPERM;
	if (lx_copy_from_user(&c, arg, 1))
		return -EFAULT;
	tty_receive(tty, &c, 1);
	return 0;
}

/* -- window size, counts, discipline, modes ------------------------------------------------- */

static long set_winsize(struct lx_tty *tty, uaddr_t arg)
{
	struct winsize ws;

	if (lx_copy_from_user(&ws, arg, sizeof(ws)))
		return -EFAULT;
	tty_set_winsize(tty, &ws);
	return 0;
}

static long get_winsize(struct lx_tty *tty, uaddr_t arg)
{
	struct winsize ws;

	rt_mutex_lock(&tty->lock);
	ws = tty->winsize;
	rt_mutex_unlock(&tty->lock);
	return lx_copy_to_user(arg, &ws, sizeof(ws));
}

static long put_int(uaddr_t arg, int value)
{
	return lx_copy_to_user(arg, &value, sizeof(value));
}

static long queue_length(struct lx_tty *tty, unsigned int cmd, uaddr_t arg)
{
	size_t n;

	rt_mutex_lock(&tty->lock);
	n = cmd == TIOCOUTQ ? tty->ops->pending(tty) + tty->echo_len : ldisc_inq(tty);
	rt_mutex_unlock(&tty->lock);
	return put_int(arg, (int)n);
}

static long set_discipline(struct lx_tty *tty, uaddr_t arg)
{
	int ldisc;

	if (lx_copy_from_user(&ldisc, arg, sizeof(ldisc)))
		return -EFAULT;
	return ldisc == N_TTY ? 0 : -EINVAL;
}

static long set_soft_carrier(struct lx_tty *tty, uaddr_t arg)
{
	int on;

	if (lx_copy_from_user(&on, arg, sizeof(on)))
		return -EFAULT;
	rt_mutex_lock(&tty->lock);
	tty->termios.c_cflag &= ~(tcflag_t)CLOCAL;
	if (on)
		tty->termios.c_cflag |= CLOCAL;
	rt_mutex_unlock(&tty->lock);
	return 0;
}

static long hangup(struct lx_tty *tty)
{
	if (!lx_capable(lx_self(), CAP_SYS_ADMIN))
		return -EPERM;
	tty_hangup(tty);
	return 0;
}

long tty_common_ioctl(struct lx_file *f, struct tty_file *tf, unsigned int cmd, uint64_t arg)
{
	struct lx_tty *tty = tf->tty;
	uaddr_t uarg = uaddr(arg);

	switch (cmd) {
	case TCGETS:
	case TCGETS2:
	case TCGETA:
		return get_termios(tty, cmd, uarg);
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
	case TCSETS2:
	case TCSETSW2:
	case TCSETSF2:
	case TCSETA:
	case TCSETAW:
	case TCSETAF:
		return set_termios(tf, cmd, uarg);
	case TCSBRK:
	case TCSBRKP:
		return drain(tf);
	case TIOCSBRK:
	case TIOCCBRK:
		return 0;
	case TCXONC:
		return flow(tf, arg);
	case TCFLSH:
		return flush(tf, arg);
	case TIOCGWINSZ:
		return get_winsize(tty, uarg);
	case TIOCSWINSZ:
		return set_winsize(tty, uarg);
	case TIOCSTI:
		return fake_input(tf, uarg);
	case TIOCOUTQ:
	case FIONREAD:
		return queue_length(tty, cmd, uarg);
	case TIOCEXCL:
	case TIOCNXCL:
		WRITE_ONCE(tty->exclusive, cmd == TIOCEXCL);
		return 0;
	case TIOCGEXCL:
		return put_int(uarg, READ_ONCE(tty->exclusive));
	case TIOCGETD:
		return put_int(uarg, N_TTY);
	case TIOCSETD:
		return set_discipline(tty, uarg);
	case TIOCGSOFTCAR:
		return put_int(uarg, !!TTY_FLAG(tty, c_cflag, CLOCAL));
	case TIOCSSOFTCAR:
		return set_soft_carrier(tty, uarg);
	case TIOCGDEV:
		return put_int(uarg, (int)lx_dev_encode(tty->dev));
	case TIOCVHANGUP:
		return hangup(tty);
	default:
		return tty_job_ioctl(f, tf, cmd, arg);
	}
}

long tty_ioctl(struct lx_file *f, unsigned int cmd, uint64_t arg)
{
	struct tty_file *tf = f->private;
	struct lx_tty *tty = tf->tty;
	long ret;

	if (tty_file_dead(tf))
		return cmd == TIOCSPGRP ? -ENOTTY : -EIO;
	ret = tty_common_ioctl(f, tf, cmd, arg);
	if (ret == -ENOTTY && tty->ops->ioctl)
		ret = tty->ops->ioctl(tty, f, cmd, arg);
	return ret;
}
