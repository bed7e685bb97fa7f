/* SPDX-License-Identifier: MIT */
/*
 * Open files of 9P.  Reads and writes go to the server; the page cache is for mappings, and
 * forgets what a write changed, and everything when the file is opened anew.
 */
#include <linux/capability.h>
#include <linux/inotify.h>
#include <linux/mman.h>

#include "abi/calls.h"
#include "fs/9p/p9.h"

/* -- opening and closing ---------------------------------------------------------------------- */

static void handle_put(struct p9_handle *h)
{
	if (atomic_fetch_sub(&h->refs, 1) != 1)
		return;
	p9_fid_put(h->fid);
	rt_free(h);
}

/* What the task that has just created the file may use, whatever its mode; NULL: nothing. */
static struct p9_fid *take_fresh(struct lx_inode *inode)
{
	struct p9_conn *c = p9_conn_of(inode->sb);
	struct p9_inode *pi = p9_inode_of(inode);
	struct p9_fid *f = NULL;

	rt_mutex_lock(&c->lock);
	if (pi->fresh && pi->fresh_for == lx_self() &&
	    pi->fresh->session == atomic_load(&c->session)) {
		f = pi->fresh;
		pi->fresh = NULL;
	}
	rt_mutex_unlock(&c->lock);
	return f;
}

int p9_open_file(struct lx_inode *inode, struct lx_file *file)
{
	struct p9_conn *c = p9_conn_of(inode->sb);
	const uint32_t once =
		O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW;
	struct p9_handle *h = rt_zalloc(sizeof(*h));
	struct p9_fid *fresh;
	int err = 0;

	if (!h)
		return -ENOMEM;
	atomic_store(&h->refs, 1);
	list_init(&h->link);
	h->inode = inode;
	h->flags = atomic_load(&file->flags) & ~once;
	h->can_read = (h->flags & O_ACCMODE) != O_WRONLY;
	fresh = take_fresh(inode);
	if (fresh && !(h->flags & (O_APPEND | O_SYNC | O_DSYNC))) {
		h->fid = fresh;
	} else {
		err = p9_open_fid(inode, h->flags, &h->fid);
		if (err == -EACCES && fresh) {
			h->fid = fresh;
			err = 0;
		} else {
			p9_fid_put(fresh);
		}
	}
	if (err) {
		rt_free(h);
		return err;
	}
	/* Somebody may have changed it while nobody had it open here. */
	if (lx_is_reg(inode))
		p9_pages_drop(inode, 0, atomic_load(&inode->size));
	rt_mutex_lock(&c->lock);
	list_add_last(&p9_inode_of(inode)->handles, &h->link);
	rt_mutex_unlock(&c->lock);
	file->private = h;
	return 0;
}

void p9_release_file(struct lx_file *file)
{
	struct p9_conn *c = p9_conn_of(file->inode->sb);
	struct p9_handle *h = file->private;

	if (!h)
		return;
	rt_mutex_lock(&c->lock);
	list_remove(&h->link);
	rt_mutex_unlock(&c->lock);
	handle_put(h);
}

int p9_fsync_file(struct lx_file *file, lx_off_t start, lx_off_t end, bool datasync)
{
	struct p9_fid *f;
	int err = p9_handle_fid(file->private, &f);

	if (err)
		return err;
	err = p9_fsync(f, datasync);
	p9_fid_put(f);
	return err;
}

/* -- reading ---------------------------------------------------------------------------------- */

/* Any handle that reads, with a reference: who maps a file has one. */
static struct p9_handle *reading_handle(struct lx_inode *inode)
{
	struct p9_conn *c = p9_conn_of(inode->sb);
	struct p9_handle *h, *found = NULL;

	rt_mutex_lock(&c->lock);
	list_for_each_entry(h, &p9_inode_of(inode)->handles, link)
	{
		if (h->can_read) {
			atomic_fetch_add(&h->refs, 1);
			found = h;
			break;
		}
	}
	rt_mutex_unlock(&c->lock);
	return found;
}

int p9_readpages(struct lx_inode *inode, uint64_t off, void *buf, size_t n)
{
	struct p9_conn *c = p9_conn_of(inode->sb);
	struct p9_handle *h = reading_handle(inode);
	size_t done = 0;
	struct p9_fid *f = NULL;
	int64_t got = h ? p9_handle_fid(h, &f) : -EIO;

	while (f && done < n) {
		got = p9_read(f, off + done, (uint32_t)MIN(n - done, (size_t)c->io_max),
			      (char *)buf + done, NULL);
		if (got <= 0)
			break;
		done += (size_t)got;
	}
	p9_fid_put(f);
	if (h)
		handle_put(h);
	memset((char *)buf + done, 0, n - done);
	return got >= 0 ? 0 : got == -EINTR ? -EIO : (int)got;
}

static int64_t file_read(struct lx_file *file, struct lx_iter *to, lx_off_t *pos)
{
	struct p9_conn *c = p9_conn_of(file->inode->sb);
	int64_t total = 0, n = 0;
	struct p9_fid *f;
	int err = p9_handle_fid(file->private, &f);

	if (err)
		return err;
	while (to->count) {
		uint32_t want = (uint32_t)MIN(to->count, (uint64_t)c->io_max);

		n = p9_read(f, (uint64_t)*pos, want, NULL, to);
		if (n <= 0)
			break;
		*pos += n;
		total += n;
		if (n < want)
			break;
	}
	p9_fid_put(f);
	return total ? total : n;
}

/* -- writing ----------------------------------------------------------------------------------- */

/* @n bytes at @off are the server's: what we keep of the file follows.  Inode locked. */
static void wrote(struct lx_inode *inode, uint64_t off, uint64_t n)
{
	if (off + n > atomic_load(&inode->size)) {
		if (atomic_load(&inode->has_pages))
			(void)!lx_pages_grow(inode, off + n);
		atomic_store(&inode->size, off + n);
	}
	p9_pages_drop(inode, off, n);
}

/* Writing takes set-id bits away from whoever may not give them.  Inode locked. */
static int remove_privs(struct lx_task *self, struct lx_inode *inode)
{
	lx_mode_t kill = inode->mode & S_ISUID;
	struct lx_attr a = {.valid = LX_ATTR_MODE};

	if ((inode->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		kill |= S_ISGID;
	if (!kill || !self || lx_capable(self, CAP_FSETID))
		return 0;
	a.mode = inode->mode & 07777 & ~kill;
	return p9_inode_setattr(inode, &a);
}

/* One message's worth at *@pos, or at the end if @append.  Bytes, which *@pos moves by, or an
 * error. */
static int64_t write_some(struct lx_file *file, struct p9_fid *f, struct lx_iter *from, bool append,
			  lx_off_t *pos)
{
	struct lx_inode *inode = file->inode;
	struct lx_task *self = lx_self();
	int64_t n;

	rt_mutex_lock(&inode->lock);
	if (append)
		*pos = (lx_off_t)atomic_load(&inode->size);
	n = lx_write_limit(self, inode, (uint64_t)*pos,
			   MIN(from->count, (uint64_t)f->conn->io_max));
	if (n > 0) {
		int err = remove_privs(self, inode);

		n = err ? err : p9_write(f, (uint64_t)*pos, (uint32_t)n, from);
	}
	if (n > 0) {
		wrote(inode, (uint64_t)*pos, (uint64_t)n);
		*pos += n;
	}
	rt_mutex_unlock(&inode->lock);
	return n;
}

static int64_t file_write(struct lx_file *file, struct lx_iter *from, lx_off_t *pos)
{
	bool append = atomic_load(&file->flags) & O_APPEND;
	int64_t total = 0, n = 0;
	struct p9_fid *f;
	int err = p9_handle_fid(file->private, &f);

	if (err)
		return err;
	if (append)
		n = p9_refresh(file->inode, false);
	while (n >= 0 && from->count) {
		n = write_some(file, f, from, append, pos);
		if (n == -EAGAIN && from->fault_addr && !lx_iter_fault_in(from, false))
			n = 0;
		if (n > 0)
			total += n;
	}
	p9_fid_put(f);
	if (total)
		lx_notify(file->inode, file->path.dentry, IN_MODIFY);
	return total ? total : n == -EAGAIN ? -EFAULT : n;
}

static int file_mmap(struct lx_file *file, struct lx_mmap *m)
{
	/* Pages that a program has written to would have to be written back: Linux does not either.
	 */
	if ((m->flags & MAP_SHARED) && (file->mode & LX_FMODE_WRITE))
		return -EINVAL;
	if (m->flags & MAP_SHARED)
		m->max_prot &= ~K_PROT_WRITE;
	/* The size that a mapping sees is the one now. */
	(void)!p9_refresh(file->inode, false);
	return lx_generic_mmap(file, m);
}

static lx_off_t file_llseek(struct lx_file *file, lx_off_t off, int whence)
{
	int err = whence >= 2 ? p9_refresh(file->inode, false) : 0;

	return err ? err : lx_generic_llseek(file, off, whence);
}

const struct lx_file_ops p9_reg_fops = {
	.can_direct = true,
	.open = p9_open_file,
	.release = p9_release_file,
	.read = file_read,
	.write = file_write,
	.mmap = file_mmap,
	.fsync = p9_fsync_file,
	.llseek = file_llseek,
};
