/* SPDX-License-Identifier: MIT */
/*
 * The inside of terminals.
 *
 *	program   <- read -  line discipline <- lx_tty_receive -  driver (link, pty master)
 *	          - write -> output processing - ops->write ---->
 *
 * ldisc.c is pure: it changes the structure and calls the driver's write, never
 * sleeps, and does not know tasks.  tty.c has the file operations, ioctl.c the
 * ioctls, job.c sessions and job control; console.c and pty.c are the drivers.
 *
 * One lock, tty->lock, protects everything; a pty pair has one tty and one lock.
 * Signals are sent after it is dropped: the process table's lock comes first in
 * the order.
 */
#pragma once

#include <asm/termbits.h>
#include <asm/termios.h>

#include "base/bitmap.h"
#include "lx/file.h"
#include "lx/lock_rank.h"
#include "lx/task.h"
#include "lx/tty.h"

struct console_port;

#define TTY_READ_SIZE	4096u		/* of the input buffer; a power of two */
#define TTY_ECHO_SIZE	1024u		/* echo that the driver had no room for yet */
#define TTY_CHUNK	512u		/* bytes of a write that are processed at a time */

struct lx_tty_ops {
	/* All with the tty locked; they do not sleep. */
	size_t (*write)(struct lx_tty *tty, const uint8_t *buf, size_t n);
	size_t (*write_room)(struct lx_tty *tty);
	size_t (*pending)(struct lx_tty *tty);		/* written, not sent yet */
	size_t (*drain)(struct lx_tty *tty);		/* the same; if not 0, write_wait is woken later */
	void (*flush_output)(struct lx_tty *tty);	/* forget what is pending; may be NULL */
	/* Without the lock. */
	/* There is room in the input buffer again: receive what was held back.  May be NULL. */
	void (*unthrottle)(struct lx_tty *tty);
	void (*packet_event)(struct lx_tty *tty);	/* packet_status became non-zero; may be NULL */
	int (*may_open)(struct lx_tty *tty);		/* may be NULL */
	void (*opened)(struct lx_tty *tty);		/* may be NULL */
	void (*closed)(struct lx_tty *tty);		/* the last file went; may be NULL */
	void (*destroy)(struct lx_tty *tty);		/* the last reference went; frees */
	/* Driver's own ioctls, after the common ones; -ENOTTY.  May be NULL. */
	long (*ioctl)(struct lx_tty *tty, struct lx_file *f, unsigned int cmd, uint64_t arg);
};

struct lx_tty {
	/* Constant. */
	const struct lx_tty_ops *ops;
	void *private;			/* the driver's */
	char name[16];			/* "ttyS0" */
	lx_dev_t dev;
	bool is_pty;

	_Atomic(uint32_t) refs;
	struct list link;		/* LX_LOCK_LEAF (tty.c): all terminals */

	struct lx_waitq read_wait;	/* input, hang-up */
	struct lx_waitq write_wait;	/* room, output drained, writer done, hang-up */

	struct rt_mutex lock;		/* rank LX_LOCK_TTY; everything below */
	unsigned int opens;		/* open files */
	uint32_t hangups;		/* files opened before the last one are dead */
	bool exclusive;			/* TIOCEXCL */
	bool other_closed;		/* pty: the master is closed */
	bool writing;			/* a write(2) is in progress: others wait */
	bool stopped;			/* by TCXOFF or STOP */
	bool tco_stopped;		/* by TCXOFF: only TCXON starts */
	bool packet;			/* pty: TIOCPKT */
	uint8_t packet_status;		/* pty: TIOCPKT_* to report */
	lx_pid_t session, pgrp;		/* 0: none */
	struct winsize winsize;
	struct ktermios termios;

	/* -- line discipline (ldisc.c) */
	/* Input: free-running positions, tail <= canon_head <= head, head - tail <= TTY_READ_SIZE. */
	uint32_t head, canon_head, tail;
	bool lnext, erasing;		/* the last character was VLNEXT; in a \.../ of ECHOPRT */
	bool throttled;			/* the driver holds input back for want of room */
	uint32_t column, canon_column;	/* of the cursor; where the line being edited began */
	uint32_t echo_len;
	uint8_t buf[TTY_READ_SIZE];
	DECLARE_BITMAP(line_end, TTY_READ_SIZE);	/* buf[i] ends a line */
	uint8_t echo[TTY_ECHO_SIZE];	/* processed already */
};

/* A signal that has to be sent to the foreground group when the tty is unlocked. */
struct tty_signal {
	lx_pid_t pgrp;
	int signo;			/* 0: none */
};

/* -- ldisc.c: all with the tty locked */
void ldisc_init(struct lx_tty *tty);
/* Settings changed from @old: what is in the buffer gets its new meaning. */
void ldisc_set_termios(struct lx_tty *tty, const struct ktermios *old);
/*
 * Take received bytes; returns how many.  Stops early when the buffer is full, or
 * after a byte that makes a signal (*@sig), which the caller sends, without the
 * lock, before it goes on.
 */
size_t ldisc_receive(struct lx_tty *tty, const uint8_t *buf, size_t n, struct tty_signal *sig);
/* A break, a parity error (@data broken) from the line. */
void ldisc_break(struct lx_tty *tty, struct tty_signal *sig);
size_t ldisc_input_room(const struct lx_tty *tty);
/* Is there something that read(2) would return?  @poll: VMIN counts. */
bool ldisc_readable(const struct lx_tty *tty, bool poll);
/*
 * Copy input: canonical: up to the end of a line (*@line: reached it; an end of
 * file is taken but not copied), else whatever there is.
 */
size_t ldisc_read(struct lx_tty *tty, uint8_t *buf, size_t n, bool *line);
size_t ldisc_inq(const struct lx_tty *tty);		/* FIONREAD */
void ldisc_flush_input(struct lx_tty *tty);
/* Process output; returns how many bytes of @buf were taken. */
size_t ldisc_write(struct lx_tty *tty, const uint8_t *buf, size_t n);
/* The driver has room: send waiting echo.  True: all of it went. */
bool ldisc_flush_echo(struct lx_tty *tty);
void ldisc_stop(struct lx_tty *tty);
void ldisc_start(struct lx_tty *tty);
size_t ldisc_write_room(struct lx_tty *tty);

/* -- tty.c */
struct lx_tty *tty_create(const struct lx_tty_ops *ops, const char *name, lx_dev_t dev);
struct lx_tty *tty_get(struct lx_tty *tty);
void tty_put(struct lx_tty *tty);
/*
 * From the driver, without the lock: bytes came in.  Returns how many were taken;
 * fewer when there is no room: ops->unthrottle follows.
 */
size_t tty_receive(struct lx_tty *tty, const uint8_t *buf, size_t n);
/* How many bytes tty_receive() will take; 0: none until ops->unthrottle. */
size_t tty_receive_room(struct lx_tty *tty);
void tty_receive_break(struct lx_tty *tty);
/* Input was taken or flushed: let the driver go on, if it was held back.  Not locked. */
void tty_unthrottle(struct lx_tty *tty);
void tty_wake_writers(struct lx_tty *tty);	/* from the driver: room again */
void tty_set_winsize(struct lx_tty *tty, const struct winsize *ws);	/* SIGWINCH */
void tty_hangup(struct lx_tty *tty);
/* Run @fn for every terminal with the list locked, until it returns true (reference taken). */
struct lx_tty *tty_find(bool (*match)(struct lx_tty *tty, const void *arg), const void *arg);

struct tty_file {			/* lx_file.private of files on terminals */
	struct lx_tty *tty;		/* a reference */
	uint32_t hangups;		/* tty->hangups when it was opened */
	void *master;			/* pty.c: of the master's file */
};

extern const struct lx_file_ops tty_file_ops;
/* What open(2) does with @tty (a reference moves in, also on failure). */
int tty_open_file(struct lx_tty *tty, struct lx_file *f);
bool tty_file_dead(const struct tty_file *tf);
/* Sleep on @wq with the tty unlocked meanwhile: 0, -ETIMEDOUT, -LX_ERESTARTSYS. */
int tty_sleep(struct lx_tty *tty, struct lx_waitq *wq, uint64_t deadline);
/* Wait until what was written is sent.  Tty locked. */
int tty_drain(struct lx_tty *tty);

/* -- ioctl.c */
long tty_ioctl(struct lx_file *f, unsigned int cmd, uint64_t arg);
/* The part that a pty's master shares; @tf->tty is the slave. */
long tty_common_ioctl(struct lx_file *f, struct tty_file *tf, unsigned int cmd, uint64_t arg);

/* -- job.c */
void tty_send(const struct tty_signal *sig);
/*
 * May the caller do this to its controlling terminal (@signo: SIGTTIN reads,
 * SIGTTOU changes)?  0, -EIO, or -LX_ERESTARTSYS after the signal was sent.
 */
int tty_check_job(struct lx_tty *tty, int signo);
/* open(2) of a session leader without terminal makes this one its own. */
void tty_acquire(struct lx_tty *tty);
struct lx_tty *tty_current(struct lx_task *self);	/* a reference, or NULL */
long tty_job_ioctl(struct lx_file *f, struct tty_file *tf, unsigned int cmd, uint64_t arg);

/* A device node whose open(2) finds its terminal by number: make it. */
void tty_node_create(struct lx_tty *tty, lx_mode_t mode);
/* The terminal of /dev/console: a reference, or NULL. */
struct lx_tty *console_current(void);
int console_init(void);
int vport_init(void);
void vport_added(struct console_port *p);
void vport_event(struct console_port *p, uint32_t events);
int pty_init(void);

#define TTY_FLAG(tty, field, flag)	((tty)->termios.field & (flag))
