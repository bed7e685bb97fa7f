/* SPDX-License-Identifier: MIT */
/* Reading directories. */
#include "lx/mm.h"
#include "lx/syscall.h"
#include "vfs/vfs_priv.h"

/*
 * Entries are gathered in a buffer of ours while the directory is locked, and
 * copied out after: the program's memory may need a file to be read.
 */
struct gather {
	struct lx_dir_emit emit;
	char *buf;
	size_t size, used, last;	/* last: offset of the last entry */
	bool old;			/* struct linux_dirent of getdents(2) */
	bool too_small;
};

#define HEADER (8 + 8 + 2)		/* d_ino, d_off, d_reclen */
#define GATHER_MAX 32768u

static bool gather_one(struct lx_dir_emit *e, const char *name, size_t len, uint64_t ino,
		       unsigned int type)
{
	struct gather *g = container_of(e, struct gather, emit);
	/* getdents64 has d_type before the name, getdents after it */
	size_t n = ALIGN_UP(HEADER + len + 2, 8);
	char *p = g->buf + g->used;
	uint16_t reclen = (uint16_t)n;

	if (n > g->size - g->used) {
		g->too_small = !g->used;
		return false;
	}
	memset(p, 0, n);
	memcpy(p, &ino, 8);
	memcpy(p + 16, &reclen, 2);
	if (g->old) {
		memcpy(p + HEADER, name, len);
		p[n - 1] = (char)type;
	} else {
		p[HEADER] = (char)type;
		memcpy(p + HEADER + 1, name, len);
	}
	/* d_off of an entry is where the next one is: known when that comes */
	if (g->used)
		memcpy(g->buf + g->last + 8, &e->pos, 8);
	g->last = g->used;
	g->used += n;
	return true;
}

static long do_getdents(struct lx_task *self, int fd, uaddr_t user, unsigned int count, bool old)
{
	struct lx_file *f = lx_fd_get(self, fd);
	struct gather g = { .emit.emit = gather_one, .old = old };
	struct lx_inode *dir;
	long n;

	if (!f)
		return -EBADF;
	dir = f->inode;
	if (!f->ops->iterate) {
		lx_file_put(f);
		return -ENOTDIR;
	}
	g.size = MIN(count, GATHER_MAX);
	g.buf = rt_alloc(MAX(g.size, (size_t)1));
	if (!g.buf) {
		lx_file_put(f);
		return -ENOMEM;
	}
	rt_mutex_lock(&f->pos_lock);
	g.emit.pos = atomic_load(&f->pos);
	if (dir->ops->lockless) {
		n = f->ops->iterate(f, &g.emit);
	} else {
		rt_mutex_lock(&dir->lock);
		n = dir->iflags & LX_INODE_DELETED ? -ENOENT : f->ops->iterate(f, &g.emit);
		rt_mutex_unlock(&dir->lock);
	}
	if (!n && g.too_small)
		n = -EINVAL;
	if (g.used) {
		memcpy(g.buf + g.last + 8, &g.emit.pos, 8);
		if (lx_copy_to_user(user, g.buf, g.used)) {
			n = -EFAULT;
		} else {
			atomic_store(&f->pos, g.emit.pos);
			n = (long)g.used;
		}
	}
	rt_mutex_unlock(&f->pos_lock);
	if (n >= 0)
		lx_inode_accessed(f->path.mnt, dir);
	rt_free(g.buf);
	lx_file_put(f);
	return n;
}

long lx_sys_getdents(struct lx_task *self, int fd, uaddr_t buf, unsigned int count)
{
	return do_getdents(self, fd, buf, count, true);
}

long lx_sys_getdents64(struct lx_task *self, int fd, uaddr_t buf, unsigned int count)
{
	return do_getdents(self, fd, buf, count, false);
}
