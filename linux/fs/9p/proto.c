/* SPDX-License-Identifier: MIT */
/* The messages of 9P2000.L: one function each, see p9.h. */
#include <asm/statfs.h>

#include "fs/9p/p9.h"

#define GETATTR_BASIC 0x7ffu /* what stat(2) shows */
#define GETATTR_BTIME 0x800u
#define UNLINKAT_DIR 0x200u /* AT_REMOVEDIR */
#define GETATTR_SIZE 153u
#define STATFS_SIZE 60u

enum {
	SETATTR_MODE = 1,
	SETATTR_UID = 2,
	SETATTR_GID = 4,
	SETATTR_SIZE = 8,
	SETATTR_ATIME = 16,
	SETATTR_MTIME = 32,
	SETATTR_CTIME = 64,
	SETATTR_ATIME_SET = 128,
	SETATTR_MTIME_SET = 256,
};

/* Send what was begun; the answer, which nothing is read of, has to be @size bytes at least. */
static int finish(struct p9_call *m, int err, uint32_t size)
{
	if (!err)
		err = p9_call_send(m);
	if (!err && m->r.size < size)
		err = -EIO;
	p9_call_end(m);
	return err;
}

int p9_walk(struct p9_fid *from, const char *name, struct p9_fid **out, struct p9_qid *qid)
{
	struct p9_fid *f = p9_fid_new(from->conn);
	struct p9_call m;
	int err;

	if (!f)
		return -ENOMEM;
	f->session = from->session;
	err = p9_call_begin(&m, from, P9_TWALK, 6 + (name ? p9_string_size(name) : 0),
			    2 + P9_QID_SIZE);
	if (!err) {
		p9_put32(&m.t, f->number);
		p9_put16(&m.t, name ? 1 : 0);
		if (name)
			p9_put_string(&m.t, name);
		err = p9_call_send(&m);
	}
	if (!err) {
		uint16_t n = p9_get16(&m.r);

		if (name)
			*qid = p9_get_qid(&m.r);
		if (m.r.bad || n != (name ? 1 : 0))
			err = name && !n ? -ENOENT : -EIO;
	}
	p9_call_end(&m);
	if (err)
		p9_fid_put(f);
	else
		*out = f;
	return err;
}

static struct lx_time get_time(struct p9_cursor *r)
{
	uint64_t sec = p9_get64(r), nsec = p9_get64(r);

	return (struct lx_time){.sec = (int64_t)sec,
				.nsec = nsec < 1000000000 ? (uint32_t)nsec : 0};
}

/* Type bits of the mode and of the qid have to agree. */
static bool attr_is_valid(const struct p9_attr *a)
{
	lx_mode_t type = a->mode & S_IFMT;

	return (type == S_IFREG || type == S_IFDIR || type == S_IFLNK || type == S_IFCHR ||
		type == S_IFBLK || type == S_IFIFO || type == S_IFSOCK) &&
	       (type == S_IFDIR) == !!(a->qid.type & P9_QID_DIR) && a->size <= (uint64_t)INT64_MAX;
}

int p9_getattr(struct p9_fid *f, struct p9_attr *a)
{
	struct p9_call m;
	uint64_t valid;
	int err = p9_call_begin(&m, f, P9_TGETATTR, 8, GETATTR_SIZE);

	if (!err) {
		p9_put64(&m.t, GETATTR_BASIC | GETATTR_BTIME);
		err = p9_call_send(&m);
	}
	if (!err) {
		valid = p9_get64(&m.r);
		a->qid = p9_get_qid(&m.r);
		a->mode = p9_get32(&m.r);
		a->uid = p9_get32(&m.r);
		a->gid = p9_get32(&m.r);
		a->nlink = p9_get64(&m.r);
		a->rdev = p9_get64(&m.r);
		a->size = p9_get64(&m.r);
		a->blksize = p9_get64(&m.r);
		a->blocks = p9_get64(&m.r);
		a->atime = get_time(&m.r);
		a->mtime = get_time(&m.r);
		a->ctime = get_time(&m.r);
		a->btime = get_time(&m.r);
		a->has_btime = valid & GETATTR_BTIME;
		if (m.r.bad || (valid & GETATTR_BASIC) != GETATTR_BASIC || !attr_is_valid(a))
			err = -EIO;
	}
	p9_call_end(&m);
	return err;
}

static uint32_t setattr_valid(const struct lx_attr *a)
{
	uint32_t v = 0;

	if (a->valid & LX_ATTR_MODE)
		v |= SETATTR_MODE;
	if (a->valid & LX_ATTR_UID)
		v |= SETATTR_UID;
	if (a->valid & LX_ATTR_GID)
		v |= SETATTR_GID;
	if (a->valid & LX_ATTR_SIZE)
		v |= SETATTR_SIZE;
	if (a->valid & LX_ATTR_ATIME)
		v |= SETATTR_ATIME | SETATTR_ATIME_SET;
	if (a->valid & LX_ATTR_MTIME)
		v |= SETATTR_MTIME | SETATTR_MTIME_SET;
	return v;
}

int p9_setattr(struct p9_fid *f, const struct lx_attr *a)
{
	uint32_t valid = setattr_valid(a);
	struct p9_call m;
	int err;

	if (!valid)
		return 0;
	err = p9_call_begin(&m, f, P9_TSETATTR, 56, 0);
	if (!err) {
		p9_put32(&m.t, valid | SETATTR_CTIME);
		p9_put32(&m.t, a->mode & 07777);
		p9_put32(&m.t, a->uid);
		p9_put32(&m.t, a->gid);
		p9_put64(&m.t, a->size);
		p9_put64(&m.t, (uint64_t)a->atime.sec);
		p9_put64(&m.t, a->atime.nsec);
		p9_put64(&m.t, (uint64_t)a->mtime.sec);
		p9_put64(&m.t, a->mtime.nsec);
	}
	return finish(&m, err, 0);
}

/* -- opening and making ---------------------------------------------------------------------- */

int p9_lopen(struct p9_fid *f, uint32_t flags)
{
	struct p9_call m;
	int err = p9_call_begin(&m, f, P9_TLOPEN, 4, P9_QID_SIZE + 4);

	if (!err)
		p9_put32(&m.t, flags);
	return finish(&m, err, P9_QID_SIZE + 4);
}

int p9_lcreate(struct p9_fid *f, const char *name, uint32_t flags, lx_mode_t mode, lx_gid_t gid)
{
	struct p9_call m;
	int err = p9_call_begin(&m, f, P9_TLCREATE, p9_string_size(name) + 12, P9_QID_SIZE + 4);

	if (!err) {
		p9_put_string(&m.t, name);
		p9_put32(&m.t, flags);
		p9_put32(&m.t, mode);
		p9_put32(&m.t, gid);
	}
	return finish(&m, err, P9_QID_SIZE + 4);
}

int p9_mkdir(struct p9_fid *dir, const char *name, lx_mode_t mode, lx_gid_t gid)
{
	struct p9_call m;
	int err = p9_call_begin(&m, dir, P9_TMKDIR, p9_string_size(name) + 8, P9_QID_SIZE);

	if (!err) {
		p9_put_string(&m.t, name);
		p9_put32(&m.t, mode);
		p9_put32(&m.t, gid);
	}
	return finish(&m, err, P9_QID_SIZE);
}

int p9_mknod(struct p9_fid *dir, const char *name, lx_mode_t mode, lx_dev_t dev, lx_gid_t gid)
{
	struct p9_call m;
	int err = p9_call_begin(&m, dir, P9_TMKNOD, p9_string_size(name) + 16, P9_QID_SIZE);

	if (!err) {
		p9_put_string(&m.t, name);
		p9_put32(&m.t, mode);
		p9_put32(&m.t, LX_MAJOR(dev));
		p9_put32(&m.t, LX_MINOR(dev));
		p9_put32(&m.t, gid);
	}
	return finish(&m, err, P9_QID_SIZE);
}

int p9_symlink(struct p9_fid *dir, const char *name, const char *target, lx_gid_t gid)
{
	struct p9_call m;
	int err = p9_call_begin(&m, dir, P9_TSYMLINK,
				p9_string_size(name) + p9_string_size(target) + 4, P9_QID_SIZE);

	if (!err) {
		p9_put_string(&m.t, name);
		p9_put_string(&m.t, target);
		p9_put32(&m.t, gid);
	}
	return finish(&m, err, P9_QID_SIZE);
}

int p9_link(struct p9_fid *dir, struct p9_fid *f, const char *name)
{
	struct p9_call m;
	int err = p9_call_begin(&m, dir, P9_TLINK, 4 + p9_string_size(name), 0);

	if (!err) {
		p9_put32(&m.t, f->number);
		p9_put_string(&m.t, name);
	}
	return finish(&m, err, 0);
}

/* -- moving and removing --------------------------------------------------------------------- */

static int rename_by_fid(struct p9_fid *f, struct p9_fid *ndir, const char *nname)
{
	struct p9_call m;
	int err = p9_call_begin(&m, f, P9_TRENAME, 4 + p9_string_size(nname), 0);

	if (!err) {
		p9_put32(&m.t, ndir->number);
		p9_put_string(&m.t, nname);
	}
	return finish(&m, err, 0);
}

int p9_rename(struct p9_fid *f, struct p9_fid *odir, const char *oname, struct p9_fid *ndir,
	      const char *nname)
{
	struct p9_call m;
	int err = p9_call_begin(&m, odir, P9_TRENAMEAT,
				p9_string_size(oname) + 4 + p9_string_size(nname), 0);

	if (!err) {
		p9_put_string(&m.t, oname);
		p9_put32(&m.t, ndir->number);
		p9_put_string(&m.t, nname);
	}
	err = finish(&m, err, 0);
	/* Servers of the first years of the protocol have only the other. */
	return err == -EOPNOTSUPP ? rename_by_fid(f, ndir, nname) : err;
}

int p9_unlinkat(struct p9_fid *dir, const char *name, bool is_dir)
{
	struct p9_call m;
	int err = p9_call_begin(&m, dir, P9_TUNLINKAT, p9_string_size(name) + 4, 0);

	if (!err) {
		p9_put_string(&m.t, name);
		p9_put32(&m.t, is_dir ? UNLINKAT_DIR : 0);
	}
	return finish(&m, err, 0);
}

/* -- the rest ---------------------------------------------------------------------------------- */

int p9_readlink(struct p9_fid *f, char *buf, size_t size)
{
	struct p9_call m;
	const char *target;
	uint32_t n = 0;
	int err = p9_call_begin(&m, f, P9_TREADLINK, 0, 2 + LX_PATH_MAX);

	if (!err)
		err = p9_call_send(&m);
	if (!err) {
		target = p9_get_string(&m.r, &n);
		if (m.r.bad || !n || memchr(target, '\0', n))
			err = -EIO;
		n = (uint32_t)MIN((size_t)n, size);
		if (!err)
			memcpy(buf, target, n);
	}
	p9_call_end(&m);
	return err ? err : (int)n;
}

int p9_fsync(struct p9_fid *f, bool datasync)
{
	struct p9_call m;
	int err = p9_call_begin(&m, f, P9_TFSYNC, 4, 0);

	if (!err)
		p9_put32(&m.t, datasync);
	return finish(&m, err, 0);
}

int p9_statfs(struct p9_fid *f, void *linux_statfs)
{
	struct statfs *st = linux_statfs;
	struct p9_call m;
	int err = p9_call_begin(&m, f, P9_TSTATFS, 0, STATFS_SIZE);

	if (!err)
		err = p9_call_send(&m);
	if (!err) {
		uint64_t id;

		st->f_type = p9_get32(&m.r);
		st->f_bsize = p9_get32(&m.r);
		st->f_frsize = st->f_bsize;
		st->f_blocks = (long)p9_get64(&m.r);
		st->f_bfree = (long)p9_get64(&m.r);
		st->f_bavail = (long)p9_get64(&m.r);
		st->f_files = (long)p9_get64(&m.r);
		st->f_ffree = (long)p9_get64(&m.r);
		id = p9_get64(&m.r);
		st->f_fsid.val[0] = (int)id;
		st->f_fsid.val[1] = (int)(id >> 32);
		st->f_namelen = p9_get32(&m.r);
		err = m.r.bad ? -EIO : 0;
	}
	p9_call_end(&m);
	return err;
}

/*
 * To the caller, whose memory may be a file of this server: with its request in our hands, and all
 * others waiting for one in the same way, that could never be read.  So what does not get there at
 * once is copied, and the request given back.
 */
static int64_t take_data(struct p9_call *m, uint32_t n, struct lx_iter *to)
{
	const uint8_t *data = p9_call_data(m, 4);
	size_t done = lx_iter_put(to, data, n), left = n - done;
	uint8_t *rest;
	int err;

	if (!left)
		return n;
	rest = rt_alloc(left);
	if (!rest)
		return done ? (int64_t)done : -ENOMEM;
	memcpy(rest, data + done, left);
	p9_call_end(m);
	do {
		err = lx_iter_fault_in(to, true);
		if (!err)
			done += lx_iter_put(to, rest + left - (n - done), n - done);
	} while (!err && done < n);
	rt_free(rest);
	return done ? (int64_t)done : err;
}

int64_t p9_read(struct p9_fid *f, uint64_t off, uint32_t n, void *buf, struct lx_iter *to)
{
	struct p9_call m;
	int64_t got = p9_call_begin(&m, f, P9_TREAD, 12, 4 + n);

	if (!got) {
		p9_put64(&m.t, off);
		p9_put32(&m.t, n);
		got = p9_call_send_head(&m, 4);
	}
	if (!got) {
		got = p9_get32(&m.r);
		if (m.r.bad || got > n || got > m.req->answer_len - P9_HEADER - 4)
			got = -EIO;
	}
	if (got > 0 && to)
		got = take_data(&m, (uint32_t)got, to);
	else if (got > 0)
		memcpy(buf, p9_call_data(&m, 4), (size_t)got);
	p9_call_end(&m);
	return got;
}

int64_t p9_write(struct p9_fid *f, uint64_t off, uint32_t n, struct lx_iter *from)
{
	struct p9_call m;
	uint32_t put = 0, took = 0;
	int err = p9_call_begin(&m, f, P9_TWRITE, 12 + n, 4);

	if (!err) {
		uint8_t *data = m.t.p + m.t.at + 12;

		put = (uint32_t)lx_iter_get(from, data, n);
		p9_put64(&m.t, off);
		p9_put32(&m.t, put);
		m.t.at += put;
		err = put ? p9_call_send(&m) : -EAGAIN;
	}
	if (!err) {
		took = p9_get32(&m.r);
		if (m.r.bad || !took || took > put)
			err = -EIO;
	}
	if (err)
		took = 0;
	lx_iter_revert(from, put - took);
	p9_call_end(&m);
	return err ? err : (int64_t)took;
}

/* -- extended attributes ----------------------------------------------------------------------- */

int p9_xattrwalk(struct p9_fid *f, const char *name, struct p9_fid **out, uint64_t *size)
{
	struct p9_fid *x = p9_fid_new(f->conn);
	struct p9_call m;
	int err;

	if (!x)
		return -ENOMEM;
	x->session = f->session;
	err = p9_call_begin(&m, f, P9_TXATTRWALK, 4 + p9_string_size(name), 8);
	if (!err) {
		p9_put32(&m.t, x->number);
		p9_put_string(&m.t, name);
		err = p9_call_send(&m);
	}
	if (!err) {
		*size = p9_get64(&m.r);
		err = m.r.bad ? -EIO : 0;
	}
	p9_call_end(&m);
	if (err)
		p9_fid_put(x);
	else
		*out = x;
	return err;
}

int p9_xattrcreate(struct p9_fid *f, const char *name, uint64_t size, uint32_t flags)
{
	struct p9_call m;
	int err = p9_call_begin(&m, f, P9_TXATTRCREATE, p9_string_size(name) + 12, 0);

	if (!err) {
		p9_put_string(&m.t, name);
		p9_put64(&m.t, size);
		p9_put32(&m.t, flags);
	}
	return finish(&m, err, 0);
}
