/* SPDX-License-Identifier: MIT */
/* Pseudo-terminals: between pty.c (the device) and devpts.c (the file system). */
#pragma once

#include "tty_priv.h"

#define PTMX_MINOR	2u
#define TTYAUX_MAJOR	5u
#define PTS_MAJOR	136u
#define PTY_OUT_SIZE	8192u		/* output the master has not read; a power of two */

struct devpts;

struct pty {
	/* Constant. */
	struct lx_tty *tty;		/* the slave: the pair's only struct lx_tty; no reference */
	struct devpts *fs;		/* whose; holds a reference to its super block */
	unsigned int index;

	struct lx_waitq wait;		/* the master's readers, writers and pollers */

	/* tty->lock */
	bool locked;			/* TIOCSPTLCK: the slave cannot be opened */
	bool slave_closed;		/* it was open once, and no file is left */
	uint32_t out_head, out_tail;	/* free-running */
	uint8_t out[PTY_OUT_SIZE];

	/* devpts lock */
	struct lx_inode *inode;		/* of the node: a reference, until the master is closed */
	struct list link;
};

/* -- devpts.c */
int devpts_init(void);
/* The instance that opening @f (a node of /dev/ptmx) means: a super block reference, or -ENODEV. */
int devpts_of(struct lx_file *f, struct devpts **fs);
int devpts_add(struct devpts *fs, struct pty *p);	/* number and node: -ENOSPC, -ENOMEM */
void devpts_remove(struct pty *p);			/* the node */
void devpts_free(struct pty *p);			/* the number, and the reference to @fs */
struct lx_tty *devpts_tty(struct lx_inode *inode);	/* a reference, or NULL */
/* Open the slave's node (TIOCGPTPEER). */
int devpts_open_peer(struct lx_task *self, struct pty *p, int flags, struct lx_file **out);

/* -- pty.c */
extern const struct lx_file_ops pts_dev_ops, ptmx_dev_ops;
