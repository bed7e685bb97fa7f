/* SPDX-License-Identifier: MIT */
/*
 * Ports of virtio consoles that are no consoles: /dev/vport<N>p<M>, plain byte
 * streams to the host.  What happens on open, hang-up and so on is what Linux's
 * virtio_console driver does:
 *
 *	one open at a time (EBUSY)
 *	read: waits for bytes; end of file while the host has its end closed
 *	write: waits for the host to open its end, and for room
 *	poll: POLLHUP while the host has its end closed
 *
 * A port's name is found in /sys/class/virtio-ports/vport<N>p<M>/name.
 */

#include <asm/fcntl.h>
#include <asm/poll.h>
#include <linux/stat.h>

#include "tty_priv.h"
#include "base/format.h"
#include "fs/pseudo/pseudo.h"
#include "link/console.h"
#include "lx/char.h"
#include "lx/iter.h"

#define VPORT_MAJOR	248u
#define VPORT_MAX	16u
#define VPORT_CHUNK	512u
#define VPORT_WRITE_MAX	32768u		/* of one write(2) */

struct vport {
	/* Constant. */
	struct console_port *port;
	char name[16];

	struct lx_waitq wait;
	_Atomic(bool) open;		/* somebody has it open */
	bool named;			/* only the link's thread: its name was published */
};

static struct rt_mutex vports_lock = RT_MUTEX_INIT(LX_LOCK_LEAF);
static struct vport *vports[VPORT_MAX];		/* vports_lock; by minor number */
static unsigned int nr_vports;			/* vports_lock */

static bool host_open(const struct vport *v)
{
	return READ_ONCE(v->port->host_open) && !READ_ONCE(v->port->dead) &&
	       READ_ONCE(v->port->present);
}

static bool is_gone(const struct vport *v)
{
	return READ_ONCE(v->port->dead) || !READ_ONCE(v->port->present);
}

static bool would_block(const struct lx_file *f)
{
	return atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NONBLOCK;
}

static int64_t vport_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	struct vport *v = f->private;
	uint8_t buf[VPORT_CHUNK];
	int64_t done = 0;
	size_t n, put;
	int err;

	if (!to->count)
		return 0;
	if (!console_readable(v->port)) {
		if (!host_open(v))
			return 0;
		if (would_block(f))
			return -EAGAIN;
		err = lx_wait_event(lx_self(), &v->wait,
				    console_readable(v->port) || !host_open(v),
				    K_DEADLINE_NEVER, LX_WAIT_INTERRUPTIBLE);
		if (err)
			return err;
	}
	while (to->count && (n = console_read(v->port, buf, MIN(sizeof(buf), to->count))) != 0) {
		for (size_t off = 0; off < n; off += put) {
			put = lx_iter_put(to, buf + off, n - off);
			done += (int64_t)put;
			if (off + put < n && lx_iter_fault_in(to, true))
				return done ? done : -EFAULT;
		}
	}
	return done ? done : is_gone(v) ? -ENODEV : 0;
}

static int64_t vport_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	struct vport *v = f->private;
	uint64_t limit = MIN(from->count, (uint64_t)VPORT_WRITE_MAX);
	uint8_t buf[VPORT_CHUNK];
	int64_t done = 0;

	while ((uint64_t)done < limit) {
		size_t n, went;
		int err;

		if (!host_open(v) || !console_write_room(v->port)) {
			if (done)
				break;
			if (is_gone(v))
				return -ENODEV;
			if (would_block(f))
				return -EAGAIN;
			err = lx_wait_event(lx_self(), &v->wait,
					    is_gone(v) ||
					    (host_open(v) && console_write_room(v->port)),
					    K_DEADLINE_NEVER, LX_WAIT_INTERRUPTIBLE);
			if (err)
				return err;
			continue;
		}
		n = lx_iter_get(from, buf, MIN(sizeof(buf), limit - (uint64_t)done));
		if (!n) {
			err = lx_iter_fault_in(from, false);
			if (err)
				return done ? done : err;
			continue;
		}
		went = console_write(v->port, buf, n);
		lx_iter_revert(from, n - went);
		done += (int64_t)went;
	}
	return done;
}

static uint32_t vport_poll(struct lx_file *f, struct lx_poll *p)
{
	struct vport *v = f->private;
	uint32_t mask = 0;

	lx_poll_wait(p, f, &v->wait);
	if (is_gone(v))
		return POLLHUP;
	if (console_readable(v->port) || !host_open(v))
		mask |= POLLIN | POLLRDNORM;
	if (host_open(v) && console_write_room(v->port))
		mask |= POLLOUT;
	if (!host_open(v))
		mask |= POLLHUP;
	return mask;
}

static void vport_release(struct lx_file *f)
{
	struct vport *v = f->private;
	uint8_t rest[64];

	console_port_set_open(v->port, false);
	/* What the host sent to whoever closed the port is not for the next. */
	while (console_read(v->port, rest, sizeof(rest)))
		;
	atomic_store(&v->open, false);
}

static const struct lx_file_ops vport_file_ops = {
	.read = vport_read,
	.write = vport_write,
	.poll = vport_poll,
	.release = vport_release,
};

static int vport_open(struct lx_inode *inode, struct lx_file *f)
{
	uint32_t minor = LX_MINOR(inode->rdev);
	struct vport *v;

	rt_mutex_lock(&vports_lock);
	v = minor < nr_vports ? vports[minor] : NULL;
	rt_mutex_unlock(&vports_lock);
	if (!v || is_gone(v))
		return -ENXIO;
	if (atomic_exchange(&v->open, true))
		return -EBUSY;
	f->private = v;
	f->ops = &vport_file_ops;
	console_port_set_open(v->port, true);
	return 0;
}

static const struct lx_file_ops vport_dev_ops = { .open = vport_open };

/* -- from the link ----------------------------------------------------------------------- */

static bool vport_number(struct vport *v, uint32_t *minor)
{
	bool ok;

	rt_mutex_lock(&vports_lock);
	ok = nr_vports < VPORT_MAX;
	if (ok) {
		*minor = nr_vports;
		vports[nr_vports++] = v;
	}
	rt_mutex_unlock(&vports_lock);
	return ok;
}

static int show_name(struct pseudo_buf *b, void *arg)
{
	const struct vport *v = arg;

	pseudo_printf(b, "%s\n", v->port->name);
	return 0;
}

/* The name is known: sysfs shows it, and it is a link in /dev/virtio-ports as udev makes it. */
static void publish_name(struct vport *v)
{
	char path[96], target[24];

	if (v->named || !v->port->name[0])
		return;
	v->named = true;
	scnprintf(path, sizeof(path), "devices/virtual/virtio-ports/%s/name", v->name);
	if (pseudo_file(lx_sysfs_tree, path, 0444, show_name, NULL, v))
		rt_log(RT_LOG_WARNING, "%s: not in sysfs", v->name);
	if (strchr(v->port->name, '/'))
		return;
	scnprintf(path, sizeof(path), "virtio-ports/%s", v->port->name);
	scnprintf(target, sizeof(target), "../%s", v->name);
	if (lx_devtmpfs_symlink(path, target))
		rt_log(RT_LOG_WARNING, "%s: no link for its name", v->name);
}

void vport_added(struct console_port *p)
{
	struct vport *v = rt_zalloc(sizeof(*v));
	uint32_t minor = 0;

	if (!v)
		goto fail;
	v->port = p;
	lx_waitq_init(&v->wait);
	scnprintf(v->name, sizeof(v->name), "vport%up%u", console_index(p->console), p->id);
	if (!vport_number(v, &minor))
		goto fail;
	p->user = v;
	if (lx_devtmpfs_create(v->name, S_IFCHR | 0600, LX_MKDEV(VPORT_MAJOR, minor)) ||
	    lx_class_device("virtio-ports", v->name, LX_MKDEV(VPORT_MAJOR, minor)))
		rt_log(RT_LOG_WARNING, "%s: no device node", v->name);
	publish_name(v);
	return;
fail:
	rt_free(v);
	rt_log(RT_LOG_ERR, "virtio console: no room for port %u", p->id);
}

void vport_event(struct console_port *p, uint32_t events)
{
	struct vport *v = p->user;
	uint32_t mask = 0;

	if (events & CONSOLE_NAMED)
		publish_name(v);
	if (events & CONSOLE_READABLE)
		mask |= POLLIN | POLLRDNORM;
	if (events & CONSOLE_WRITABLE)
		mask |= POLLOUT;
	if (events & (CONSOLE_HOST_OPEN | CONSOLE_HOST_CLOSED | CONSOLE_REMOVED | CONSOLE_DEAD))
		mask |= POLLIN | POLLRDNORM | POLLOUT | POLLHUP;
	if (mask)
		lx_wake(&v->wait, mask, ~0u);
}

int vport_init(void)
{
	return lx_chrdev_register(VPORT_MAJOR, 0, VPORT_MAX, "virtio-portsdev", &vport_dev_ops);
}
