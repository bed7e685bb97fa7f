/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes: to the protocol, a file of their own that is read (XATTRWALK), or written
 * and clunked (XATTRCREATE).  A list of names is the attribute without a name.
 */
#include "fs/9p/p9.h"

#define XATTR_MAX 65536u

static int read_all(struct p9_conn *c, struct p9_fid *x, uint8_t *buf, uint64_t size)
{
	uint64_t done = 0;

	while (done < size) {
		int64_t n = p9_read(x, done, (uint32_t)MIN(size - done, (uint64_t)c->io_max),
				    buf + done, NULL);

		if (n <= 0)
			return n ? (int)n : -EIO;
		done += (uint64_t)n;
	}
	return 0;
}

/* @size 0 asks how much room is needed. */
static int get(struct lx_inode *inode, const char *name, void *buf, size_t size)
{
	struct p9_fid *f, *x;
	uint64_t n;
	int err = p9_inode_fid(inode, &f);

	if (err)
		return err;
	err = p9_xattrwalk(f, name, &x, &n);
	p9_fid_put(f);
	if (err)
		return err;
	if (n > XATTR_MAX)
		err = -EIO;
	else if (size && n > size)
		err = -ERANGE;
	else if (size)
		err = read_all(p9_conn_of(inode->sb), x, buf, n);
	p9_fid_put(x);
	return err ? err : (int)n;
}

int p9_getxattr(struct lx_inode *inode, const char *name, void *buf, size_t size)
{
	return get(inode, name, buf, size);
}

int p9_listxattr(struct lx_inode *inode, char *buf, size_t size)
{
	int n = get(inode, "", buf, size);

	/* A list of names, each with its NUL. */
	return n > 0 && size && buf[n - 1] ? -EIO : n;
}

static int write_all(struct p9_conn *c, struct p9_fid *x, const void *val, size_t size)
{
	struct lx_iter from;
	uint64_t done = 0;

	lx_iter_init_kernel(&from, (void *)(uintptr_t)val, size);
	while (done < size) {
		int64_t n = p9_write(x, done, (uint32_t)MIN(size - done, (size_t)c->io_max), &from);

		if (n < 0)
			return (int)n;
		done += (uint64_t)n;
	}
	return 0;
}

int p9_setxattr(struct lx_inode *inode, const char *name, const void *val, size_t size, int flags)
{
	struct p9_fid *f, *x;
	struct p9_qid qid;
	int err = p9_inode_fid(inode, &f);

	if (err)
		return err;
	err = p9_walk(f, NULL, &x, &qid);
	p9_fid_put(f);
	if (err)
		return err;
	err = p9_xattrcreate(x, name, size, (uint32_t)flags);
	if (!err)
		err = write_all(p9_conn_of(inode->sb), x, val, size);
	/* It is set by the clunk, whose answer is the outcome. */
	return p9_fid_close(x, err);
}

/* An attribute of no bytes is none, to servers of this protocol. */
int p9_removexattr(struct lx_inode *inode, const char *name)
{
	return p9_setxattr(inode, name, "", 0, 2 /* XATTR_REPLACE */);
}
