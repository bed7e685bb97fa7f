/* SPDX-License-Identifier: MIT */
/*
 * Open files of FUSE.  Reads go through the page cache unless the server wants direct I/O;
 * writes go to the server at once and make it forget the pages that they change, so that
 * what a write returned for is the server's.
 */

#include <linux/mman.h>

#include "abi/calls.h"
#include "fuse.h"

/* -- opening and closing --------------------------------------------------------------------- */

static void handle_put(struct fuse_handle *h)
{
	if (atomic_fetch_sub(&h->refs, 1) != 1)
		return;
	if (h->release)
		fuse_req_put(h->release);
	rt_free(h);
}

static struct fuse_handle *handle_new(struct fuse_conn *c, struct lx_inode *inode, bool dir)
{
	struct fuse_handle *h = rt_zalloc(sizeof(*h));

	if (!h)
		return NULL;
	atomic_store(&h->refs, 1);
	list_init(&h->link);
	h->release = fuse_req_new(c, dir ? FUSE_RELEASEDIR : FUSE_RELEASE, fuse_inode_of(inode)->nodeid,
				  sizeof(struct fuse_release_in), 0);
	if (!h->release) {
		handle_put(h);
		return NULL;
	}
	return h;
}

/* Ask the server to open; it need not know how. */
static int send_open(struct fuse_conn *c, struct lx_inode *inode, uint32_t flags, struct fuse_handle *h)
{
	bool dir = lx_is_dir(inode);
	uint32_t missing = dir ? FUSE_NO_OPENDIR : FUSE_NO_OPEN;
	struct fuse_open_in in = { .flags = flags & ~(uint32_t)(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC) };
	struct fuse_open_out out;
	int err;

	if (fuse_is_missing(c, missing)) {
		h->open_flags = FOPEN_KEEP_CACHE;
		return 0;
	}
	err = fuse_simple(c, dir ? FUSE_OPENDIR : FUSE_OPEN, fuse_inode_of(inode)->nodeid, &in, sizeof(in),
			  NULL, NULL, &out, sizeof(out));
	if (err == -ENOSYS && (dir ? c->no_opendir : c->no_open)) {
		atomic_fetch_or(&c->missing, missing);
		h->open_flags = FOPEN_KEEP_CACHE;
		return 0;
	}
	if (err)
		return err;
	h->fh = out.fh;
	h->open_flags = out.open_flags;
	h->opened = true;
	return 0;
}

int fuse_open_file(struct lx_inode *inode, struct lx_file *f)
{
	struct fuse_conn *c = fuse_conn_of(inode->sb);
	uint32_t flags = atomic_load(&f->flags);
	struct fuse_handle *h = handle_new(c, inode, lx_is_dir(inode));
	struct fuse_release_in *rel;
	int err;

	if (!h)
		return -ENOMEM;
	err = send_open(c, inode, flags, h);
	if (err) {
		handle_put(h);
		return err;
	}
	rel = fuse_in(h->release);
	rel->fh = h->fh;
	rel->flags = flags;
	h->can_read = (flags & O_ACCMODE) != O_WRONLY;
	if (lx_is_reg(inode) && !(h->open_flags & FOPEN_KEEP_CACHE)) {
		/* Somebody may have changed it while nobody had it open here. */
		fuse_attr_old(inode);
		fuse_pages_drop(inode, 0, atomic_load(&inode->size));
	}
	rt_mutex_lock_nested(&c->lock);
	list_add_last(&fuse_inode_of(inode)->handles, &h->link);
	rt_mutex_unlock(&c->lock);
	f->private = h;
	return 0;
}

void fuse_release_file(struct lx_file *f)
{
	struct fuse_conn *c = fuse_conn_of(f->inode->sb);
	struct fuse_handle *h = f->private;
	struct fuse_req *r;

	if (!h)
		return;
	rt_mutex_lock_nested(&c->lock);
	list_remove(&h->link);
	rt_mutex_unlock(&c->lock);
	r = h->release;
	h->release = NULL;
	if (h->opened)
		fuse_post(c, r);
	else
		fuse_req_put(r);
	handle_put(h);
}

static int flush(struct lx_file *f)
{
	struct fuse_conn *c = fuse_conn_of(f->inode->sb);
	struct fuse_handle *h = f->private;
	struct fuse_flush_in in = { .fh = h->fh };
	int err;

	if (fuse_is_missing(c, FUSE_NO_FLUSH))
		return 0;
	err = fuse_simple(c, FUSE_FLUSH, fuse_inode_of(f->inode)->nodeid, &in, sizeof(in), NULL, NULL,
			  NULL, 0);
	if (err == -ENOSYS) {
		atomic_fetch_or(&c->missing, FUSE_NO_FLUSH);
		err = 0;
	}
	return err;
}

int fuse_fsync_file(struct lx_file *f, lx_off_t start, lx_off_t end, bool datasync)
{
	struct fuse_conn *c = fuse_conn_of(f->inode->sb);
	struct fuse_handle *h = f->private;
	struct fuse_fsync_in in = { .fh = h->fh, .fsync_flags = datasync ? FUSE_FSYNC_FDATASYNC : 0 };
	bool dir = lx_is_dir(f->inode);
	uint32_t missing = dir ? FUSE_NO_FSYNCDIR : FUSE_NO_FSYNC;
	int err;

	if (fuse_is_missing(c, missing))
		return 0;
	err = fuse_simple(c, dir ? FUSE_FSYNCDIR : FUSE_FSYNC, fuse_inode_of(f->inode)->nodeid, &in,
			  sizeof(in), NULL, NULL, NULL, 0);
	if (err == -ENOSYS) {
		atomic_fetch_or(&c->missing, missing);
		err = 0;
	}
	return err;
}

/* -- reading ------------------------------------------------------------------------------------ */

/* @n <= max_read bytes at @off with handle @h; *@r has them (r->out_len), and is the caller's to put. */
static int send_read(struct lx_inode *inode, const struct fuse_handle *h, uint64_t off, uint32_t n,
		     struct fuse_req **out)
{
	struct fuse_conn *c = fuse_conn_of(inode->sb);
	struct fuse_req *r = fuse_req_new(c, FUSE_READ, fuse_inode_of(inode)->nodeid,
					  sizeof(struct fuse_read_in), n);
	struct fuse_read_in *in;
	int err;

	if (!r)
		return -ENOMEM;
	in = fuse_in(r);
	in->fh = h ? h->fh : 0;
	in->offset = off;
	in->size = n;
	r->out_exact = false;
	err = fuse_call(c, r);
	if (err) {
		fuse_req_put(r);
		return err;
	}
	*out = r;
	return 0;
}

/* Any handle that reads; NULL: none (servers that need none get 0). */
static struct fuse_handle *reading_handle(struct lx_inode *inode)
{
	struct fuse_conn *c = fuse_conn_of(inode->sb);
	struct fuse_handle *h, *found = NULL;

	rt_mutex_lock_nested(&c->lock);
	list_for_each_entry(h, &fuse_inode_of(inode)->handles, link) {
		if (h->can_read) {
			atomic_fetch_add(&h->refs, 1);
			found = h;
			break;
		}
	}
	rt_mutex_unlock(&c->lock);
	return found;
}

int fuse_readpages(struct lx_inode *inode, uint64_t off, void *buf, size_t n)
{
	struct fuse_conn *c = fuse_conn_of(inode->sb);
	struct fuse_handle *h = reading_handle(inode);
	size_t done = 0;
	int err = 0;

	while (!err && done < n) {
		uint32_t part = (uint32_t)MIN(n - done, (size_t)c->max_read);
		struct fuse_req *r;

		err = send_read(inode, h, off + done, part, &r);
		if (err)
			break;
		memcpy((char *)buf + done, r->out, r->out_len);
		done += r->out_len;
		part -= (uint32_t)r->out_len;
		fuse_req_put(r);
		if (part)
			break;			/* the end of the file */
	}
	memset((char *)buf + done, 0, n - done);
	if (h)
		handle_put(h);
	return err == -EINTR ? -EIO : err;
}

/* Past the page cache. */
static int64_t read_direct(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	struct fuse_conn *c = fuse_conn_of(f->inode->sb);
	int64_t total = 0;
	int err = 0;

	while (to->count) {
		uint32_t want = (uint32_t)MIN(to->count, (uint64_t)c->max_read);
		size_t done = 0;
		struct fuse_req *r;

		err = send_read(f->inode, f->private, (uint64_t)*pos, want, &r);
		if (err)
			break;
		while (done < r->out_len) {
			done += lx_iter_put(to, (char *)r->out + done, r->out_len - done);
			if (done < r->out_len && lx_iter_fault_in(to, true)) {
				err = -EFAULT;
				break;
			}
		}
		want -= (uint32_t)r->out_len;
		fuse_req_put(r);
		*pos += (lx_off_t)done;
		total += (int64_t)done;
		if (err || want)
			break;
	}
	return total ? total : err;
}

static int64_t file_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	struct fuse_handle *h = f->private;
	int err;

	if ((h->open_flags & FOPEN_DIRECT_IO) || (atomic_load(&f->flags) & O_DIRECT))
		return read_direct(f, to, pos);
	if ((uint64_t)*pos + to->count > atomic_load(&f->inode->size)) {
		err = fuse_refresh(f->inode, false);
		if (err)
			return err;
	}
	return lx_generic_read(f, to, pos);
}

/* -- writing ------------------------------------------------------------------------------------- */

/* One message's worth at @off.  Inode locked.  Bytes, or an error: -EAGAIN, memory is to be faulted in. */
static int64_t write_once(struct lx_file *f, struct lx_iter *from, uint64_t off)
{
	struct lx_inode *inode = f->inode;
	struct fuse_conn *c = fuse_conn_of(inode->sb);
	struct fuse_handle *h = f->private;
	size_t n = MIN(from->count, (uint64_t)c->max_write), got;
	struct fuse_req *r = fuse_req_new(c, FUSE_WRITE, fuse_inode_of(inode)->nodeid,
					  sizeof(struct fuse_write_in) + n, sizeof(struct fuse_write_out));
	struct fuse_write_in *in;
	int64_t wrote;

	if (!r)
		return -ENOMEM;
	in = fuse_in(r);
	got = lx_iter_get(from, in + 1, n);
	if (!got) {
		fuse_req_put(r);
		return -EAGAIN;
	}
	in->fh = h->fh;
	in->offset = off;
	in->size = (uint32_t)got;
	in->flags = atomic_load(&f->flags);
	r->in->len -= (uint32_t)(n - got);
	wrote = fuse_call(c, r);
	if (!wrote) {
		wrote = ((struct fuse_write_out *)r->out)->size;
		if ((uint64_t)wrote > got)
			wrote = -EIO;
	}
	lx_iter_revert(from, got - (size_t)MAX(wrote, (int64_t)0));
	fuse_req_put(r);
	if (wrote <= 0)
		return wrote ? wrote : -EIO;
	if (off + (uint64_t)wrote > atomic_load(&inode->size)) {
		if (atomic_load(&inode->has_pages))
			(void)lx_pages_grow(inode, off + (uint64_t)wrote);
		atomic_store(&inode->size, off + (uint64_t)wrote);
	}
	fuse_pages_drop(inode, off, (uint64_t)wrote);
	fuse_attr_old(inode);
	return wrote;
}

static int64_t file_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	struct lx_inode *inode = f->inode;
	bool append = atomic_load(&f->flags) & O_APPEND;
	int64_t total = 0, n = 0;

	if (append) {
		n = fuse_refresh(inode, true);
		if (n)
			return n;
	}
	while (from->count) {
		rt_mutex_lock(&inode->lock);
		if (append)
			*pos = (lx_off_t)atomic_load(&inode->size);
		n = (uint64_t)*pos + from->count > (uint64_t)INT64_MAX ? -EFBIG
								       : write_once(f, from, (uint64_t)*pos);
		rt_mutex_unlock(&inode->lock);
		if (n == -EAGAIN && from->fault_addr && !lx_iter_fault_in(from, false))
			continue;
		if (n < 0)
			break;
		*pos += n;
		total += n;
	}
	return total ? total : n == -EAGAIN ? -EFAULT : n;
}

static int file_mmap(struct lx_file *f, struct lx_mmap *m)
{
	struct fuse_handle *h = f->private;

	/* Pages that a program has written to would have to be written back: not done. */
	if ((m->flags & MAP_SHARED) && ((h->open_flags & FOPEN_DIRECT_IO) || (m->prot & PROT_WRITE)))
		return -ENODEV;
	if (m->flags & MAP_SHARED)
		m->max_prot &= ~K_PROT_WRITE;
	return lx_generic_mmap(f, m);
}

static int file_fallocate(struct lx_file *f, int mode, lx_off_t off, lx_off_t len)
{
	struct fuse_conn *c = fuse_conn_of(f->inode->sb);
	struct fuse_handle *h = f->private;
	struct fuse_fallocate_in in = { .fh = h->fh, .offset = (uint64_t)off, .length = (uint64_t)len,
					.mode = (uint32_t)mode };
	int err;

	if (fuse_is_missing(c, FUSE_NO_FALLOCATE))
		return -EOPNOTSUPP;
	err = fuse_simple(c, FUSE_FALLOCATE, fuse_inode_of(f->inode)->nodeid, &in, sizeof(in), NULL, NULL,
			  NULL, 0);
	if (err == -ENOSYS) {
		atomic_fetch_or(&c->missing, FUSE_NO_FALLOCATE);
		return -EOPNOTSUPP;
	}
	if (!err)
		err = fuse_refresh(f->inode, true);
	fuse_pages_drop(f->inode, (uint64_t)off, (uint64_t)len);
	return err;
}

static lx_off_t file_llseek(struct lx_file *f, lx_off_t off, int whence)
{
	int err = whence == 2 ? fuse_refresh(f->inode, false) : 0;

	return err ? err : lx_generic_llseek(f, off, whence);
}

const struct lx_file_ops fuse_reg_fops = {
	.can_direct = true,
	.open = fuse_open_file, .release = fuse_release_file, .flush = flush, .read = file_read,
	.write = file_write, .mmap = file_mmap, .fsync = fuse_fsync_file, .llseek = file_llseek,
	.fallocate = file_fallocate,
};
