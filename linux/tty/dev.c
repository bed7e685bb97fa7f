/* SPDX-License-Identifier: MIT */
/*
 * Device nodes of terminals: /dev/tty, /dev/console, and the terminals themselves
 * by number.
 */

#include <asm/fcntl.h>
#include <linux/stat.h>

#include "tty_priv.h"
#include "fs/pseudo/pseudo.h"
#include "lx/char.h"

#define TTYAUX_MAJOR	5u
#define SERIAL_MAJOR	4u
#define HVC_MAJOR	229u

static bool has_dev(struct lx_tty *tty, const void *arg)
{
	return tty->dev == *(const lx_dev_t *)arg && !tty->is_pty;
}

static int node_open(struct lx_inode *inode, struct lx_file *f)
{
	struct lx_tty *tty = tty_find(has_dev, &inode->rdev);

	return tty ? tty_open_file(tty, f) : -ENXIO;
}

/* /dev/tty: the caller's controlling terminal, which it need not acquire again. */
static int tty_open(struct lx_inode *inode, struct lx_file *f)
{
	struct lx_tty *tty = tty_current(lx_self());

	f->flags |= O_NOCTTY;
	return tty ? tty_open_file(tty, f) : -ENXIO;
}

/* /dev/console never becomes a controlling terminal by being opened. */
static int console_dev_open(struct lx_inode *inode, struct lx_file *f)
{
	struct lx_tty *tty = console_current();

	f->flags |= O_NOCTTY;
	return tty ? tty_open_file(tty, f) : -ENODEV;
}

static const struct lx_file_ops node_ops = { .open = node_open };
static const struct lx_file_ops dev_tty_ops = { .open = tty_open };
static const struct lx_file_ops dev_console_ops = { .open = console_dev_open };

void tty_node_create(struct lx_tty *tty, lx_mode_t mode)
{
	int err = lx_devtmpfs_create(tty->name, S_IFCHR | mode, tty->dev);

	if (!err)
		err = lx_class_device("tty", tty->name, tty->dev);
	if (err)
		rt_log(RT_LOG_WARNING, "%s: no device node: error %d", tty->name, -err);
}

/* Consoles, /dev/console last. */
static int show_active(struct pseudo_buf *b, void *arg)
{
	struct lx_tty *tty = console_current();

	if (tty) {
		pseudo_printf(b, "%s\n", tty->name);
		tty_put(tty);
	}
	return 0;
}

int lx_tty_init(void)
{
	int err = lx_chrdev_register(TTYAUX_MAJOR, 0, 1, "/dev/tty", &dev_tty_ops);

	if (!err)
		err = lx_chrdev_register(TTYAUX_MAJOR, 1, 1, "/dev/console", &dev_console_ops);
	if (!err)
		err = lx_chrdev_register(SERIAL_MAJOR, 64, 32, "ttyS", &node_ops);
	if (!err)
		err = lx_chrdev_register(HVC_MAJOR, 0, 8, "hvc", &node_ops);
	if (!err)
		err = vport_init();
	if (!err)
		err = pty_init();
	if (!err)
		err = lx_devtmpfs_create("tty", S_IFCHR | 0666, LX_MKDEV(TTYAUX_MAJOR, 0));
	if (!err)
		err = lx_devtmpfs_create("console", S_IFCHR | 0600, LX_MKDEV(TTYAUX_MAJOR, 1));
	if (!err)
		err = lx_class_device("tty", "tty", LX_MKDEV(TTYAUX_MAJOR, 0));
	if (!err)
		err = lx_class_device("tty", "console", LX_MKDEV(TTYAUX_MAJOR, 1));
	if (!err)
		err = lx_class_device("tty", "ptmx", LX_MKDEV(TTYAUX_MAJOR, 2));
	if (!err)
		err = pseudo_file(lx_sysfs_tree, "devices/virtual/tty/console/active", 0444,
				  show_active, NULL, NULL);
	return err;
}
