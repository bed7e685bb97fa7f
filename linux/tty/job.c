/* SPDX-License-Identifier: MIT */
/*
 * Terminals and job control: sessions, foreground groups, the signals between.
 *
 * tty->session says whose controlling terminal this is, tty->pgrp which of its
 * groups is in the foreground.  A group outside the foreground is stopped by
 * SIGTTIN when it reads and by SIGTTOU when it changes settings (or writes, with
 * TOSTOP); if nobody could continue it (an orphaned group) it gets EIO instead.
 *
 * The invariant: at most one terminal has a given session.  It holds because a
 * session gets one only under acquire_lock, after a look at all others.
 */

#include <asm/ioctls.h>
#include <asm/signal.h>
#include <linux/capability.h>

#include "tty_priv.h"
#include "lx/mm.h"
#include "lx/pid.h"
#include "lx/syscall.h"

static struct rt_mutex acquire_lock = RT_MUTEX_INIT(LX_LOCK_TTY_ACQUIRE);

void tty_send(const struct tty_signal *sig)
{
	struct lx_siginfo info;

	if (!sig->signo || !sig->pgrp)
		return;
	info = lx_siginfo_kernel(sig->signo);
	lx_signal_pgrp(sig->pgrp, &info);
}

/* The first process has session 0, which is none. */
static bool is_controlling(const struct lx_tty *tty, const struct lx_task *self)
{
	lx_pid_t session = READ_ONCE(tty->session);

	return session && session == READ_ONCE(self->group->sid);
}

int tty_check_job(struct lx_tty *tty, int signo)
{
	struct lx_task *self = lx_self();
	lx_pid_t mine = READ_ONCE(self->group->pgid), pgrp = READ_ONCE(tty->pgrp);
	struct lx_siginfo info;

	if (!is_controlling(tty, self) || !pgrp || pgrp == mine)
		return 0;
	/* Reading is refused where stopping would not help; the rest goes ahead. */
	if (lx_signal_ignored(self, signo))
		return signo == SIGTTIN ? -EIO : 0;
	if (lx_pgrp_is_orphaned(mine))
		return -EIO;
	info = lx_siginfo_kernel(signo);
	lx_signal_pgrp(mine, &info);
	return -LX_ERESTARTSYS;
}

/* -- finding ------------------------------------------------------------------------- */

static bool has_session(struct lx_tty *tty, const void *arg)
{
	return READ_ONCE(tty->session) == *(const lx_pid_t *)arg;
}

static struct lx_tty *tty_of_session(lx_pid_t sid)
{
	return sid ? tty_find(has_session, &sid) : NULL;
}

struct lx_tty *tty_current(struct lx_task *self)
{
	return tty_of_session(READ_ONCE(self->group->sid));
}

bool lx_tty_of_session(lx_pid_t sid, lx_dev_t *dev, lx_pid_t *pgrp)
{
	struct lx_tty *tty = tty_of_session(sid);

	if (!tty)
		return false;
	*dev = tty->dev;
	*pgrp = READ_ONCE(tty->pgrp);
	tty_put(tty);
	return true;
}

/* -- acquiring and giving up ----------------------------------------------------------- */

static bool is_session_leader(struct lx_task *self)
{
	return READ_ONCE(self->group->sid) == self->group->pid;
}

static void set_session(struct lx_tty *tty, lx_pid_t session, lx_pid_t pgrp)
{
	rt_mutex_lock(&tty->lock);
	tty->session = session;
	tty->pgrp = pgrp;
	rt_mutex_unlock(&tty->lock);
}

void tty_acquire(struct lx_tty *tty)
{
	struct lx_task *self = lx_self();
	struct lx_tty *other;

	if (!is_session_leader(self) || READ_ONCE(tty->session))
		return;
	rt_mutex_lock(&acquire_lock);
	other = tty_current(self);
	if (!other && !tty->session)
		set_session(tty, self->group->sid, self->group->pgid);
	rt_mutex_unlock(&acquire_lock);
	if (other)
		tty_put(other);
}

/* The session loses its terminal: the foreground is told. */
static void disassociate(struct lx_tty *tty, lx_pid_t sid)
{
	struct tty_signal hup = { .signo = SIGHUP }, cont = { .signo = SIGCONT };

	rt_mutex_lock(&tty->lock);
	if (tty->session == sid) {
		hup.pgrp = cont.pgrp = tty->pgrp;
		tty->session = tty->pgrp = 0;
	}
	rt_mutex_unlock(&tty->lock);
	tty_send(&hup);
	tty_send(&cont);
}

void lx_tty_session_exit(lx_pid_t sid)
{
	struct lx_tty *tty = tty_of_session(sid);

	if (!tty)
		return;
	/* A console or serial line is hung up; a pty's other end stays usable for its holder. */
	if (tty->is_pty)
		disassociate(tty, sid);
	else
		tty_hangup(tty);
	tty_put(tty);
}

/* -- ioctls ------------------------------------------------------------------------------ */

/* TIOCSCTTY: make @tty the controlling terminal; @steal (root) takes it from another session. */
static long set_controlling(struct lx_file *f, struct lx_tty *tty, bool steal)
{
	struct lx_task *self = lx_self();
	struct lx_tty *other;
	long err = 0;

	rt_mutex_lock(&acquire_lock);
	other = tty_current(self);
	if (is_session_leader(self) && other == tty)
		;		/* it is already */
	else if (!is_session_leader(self) || other)
		err = -EPERM;
	else if (tty->session && !(steal && lx_capable(self, CAP_SYS_ADMIN)))
		err = -EPERM;
	else if (!(f->mode & LX_FMODE_READ) && !lx_capable(self, CAP_SYS_ADMIN))
		err = -EPERM;
	else
		set_session(tty, self->group->sid, self->group->pgid);
	rt_mutex_unlock(&acquire_lock);
	if (other)
		tty_put(other);
	return err;
}

static long give_up(struct lx_tty *tty)
{
	struct lx_task *self = lx_self();

	if (!is_controlling(tty, self))
		return -ENOTTY;
	/*
	 * TODO(tiocnotty): a process that is not the leader gives up the terminal for
	 * itself alone on Linux; here it keeps it until its session changes.
	 */
	if (is_session_leader(self))
		disassociate(tty, self->group->sid);
	return 0;
}

static long get_pgrp(struct tty_file *tf, uaddr_t out)
{
	struct lx_tty *tty = tf->tty;
	struct lx_task *self = lx_self();
	lx_pid_t pgrp;

	/* The master of a pty may ask whoever it belongs to. */
	if (!tf->master && !is_controlling(tty, self))
		return -ENOTTY;
	pgrp = READ_ONCE(tty->pgrp);
	return lx_copy_to_user(out, &pgrp, sizeof(pgrp));
}

static long set_pgrp(struct tty_file *tf, uaddr_t in)
{
	struct lx_tty *tty = tf->tty;
	struct lx_task *self = lx_self();
	lx_pid_t pgrp, sid = READ_ONCE(self->group->sid);
	struct lx_pid *pid;
	int err;

	err = tty_check_job(tty, SIGTTOU);
	if (err == -EIO)
		return -ENOTTY;
	if (err)
		return err;
	if (!sid || READ_ONCE(tty->session) != sid)
		return -ENOTTY;
	if (lx_copy_from_user(&pgrp, in, sizeof(pgrp)))
		return -EFAULT;
	if (pgrp < 0)
		return -EINVAL;
	pid = lx_pid_find(self, pgrp);
	if (!pid)
		return -ESRCH;
	lx_pid_put(pid);
	if (!lx_pgrp_in_session(pgrp, sid))
		return -EPERM;
	rt_mutex_lock(&tty->lock);
	if (tty->session == sid)
		tty->pgrp = pgrp;
	rt_mutex_unlock(&tty->lock);
	return 0;
}

static long get_sid(struct tty_file *tf, uaddr_t out)
{
	struct lx_tty *tty = tf->tty;
	lx_pid_t sid = READ_ONCE(tty->session);

	if (!tf->master && sid != READ_ONCE(lx_self()->group->sid))
		return -ENOTTY;
	if (!sid)
		return -ENOTTY;
	return lx_copy_to_user(out, &sid, sizeof(sid));
}

long tty_job_ioctl(struct lx_file *f, struct tty_file *tf, unsigned int cmd, uint64_t arg)
{
	switch (cmd) {
	case TIOCSCTTY:
		return set_controlling(f, tf->tty, arg == 1);
	case TIOCNOTTY:
		return give_up(tf->tty);
	case TIOCGPGRP:
		return get_pgrp(tf, uaddr(arg));
	case TIOCSPGRP:
		return set_pgrp(tf, uaddr(arg));
	case TIOCGSID:
		return get_sid(tf, uaddr(arg));
	default:
		return -ENOTTY;
	}
}

/* The controlling terminal of the caller is hung up: for login programs. */
long lx_sys_vhangup(struct lx_task *self)
{
	struct lx_tty *tty;

	if (!lx_capable(self, CAP_SYS_TTY_CONFIG))
		return -EPERM;
	tty = tty_current(self);
	if (tty) {
		tty_hangup(tty);
		tty_put(tty);
	}
	return 0;
}
