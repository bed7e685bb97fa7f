/* SPDX-License-Identifier: MIT */
/* Extended attributes of FUSE: the server's, not cached. */

#include "fuse.h"

/* GETXATTR and LISTXATTR: @size 0 asks how much room is needed. */
static int get(struct lx_inode *inode, uint32_t opcode, uint32_t missing, const char *name, void *buf,
	       size_t size)
{
	struct fuse_conn *c = fuse_conn_of(inode->sb);
	size_t name_len = name ? strlen(name) + 1 : 0;
	struct fuse_getxattr_in *in;
	struct fuse_req *r;
	int n;

	if (fuse_is_missing(c, missing))
		return -EOPNOTSUPP;
	r = fuse_req_new(c, opcode, fuse_inode_of(inode)->nodeid, sizeof(*in) + name_len,
			 size ? size : sizeof(struct fuse_getxattr_out));
	if (!r)
		return -ENOMEM;
	in = fuse_in(r);
	in->size = (uint32_t)size;
	memcpy(in + 1, name, name_len);
	r->out_exact = !size;
	n = fuse_call(c, r);
	if (!n && !size) {
		n = (int)MIN(((struct fuse_getxattr_out *)r->out)->size, 65536u);
	} else if (!n) {
		n = (int)r->out_len;
		memcpy(buf, r->out, r->out_len);
	} else if (n == -ENOSYS) {
		atomic_fetch_or(&c->missing, missing);
		n = -EOPNOTSUPP;
	}
	fuse_req_put(r);
	return n;
}

int fuse_getxattr(struct lx_inode *inode, const char *name, void *buf, size_t size)
{
	return get(inode, FUSE_GETXATTR, FUSE_NO_GETXATTR, name, buf, size);
}

int fuse_listxattr(struct lx_inode *inode, char *buf, size_t size)
{
	int n = get(inode, FUSE_LISTXATTR, FUSE_NO_LISTXATTR, NULL, buf, size);

	/* A list of names, each with its NUL. */
	if (n > 0 && size && buf[n - 1])
		return -EIO;
	return n;
}

int fuse_setxattr(struct lx_inode *inode, const char *name, const void *val, size_t size, int flags)
{
	struct fuse_conn *c = fuse_conn_of(inode->sb);
	size_t name_len = strlen(name) + 1, head = FUSE_COMPAT_SETXATTR_IN_SIZE;
	struct fuse_setxattr_in *in;
	struct fuse_req *r;
	int err;

	if (fuse_is_missing(c, FUSE_NO_SETXATTR))
		return -EOPNOTSUPP;
	r = fuse_req_new(c, FUSE_SETXATTR, fuse_inode_of(inode)->nodeid, head + name_len + size, 0);
	if (!r)
		return -ENOMEM;
	in = fuse_in(r);
	in->size = (uint32_t)size;
	in->flags = (uint32_t)flags;
	memcpy((char *)in + head, name, name_len);
	memcpy((char *)in + head + name_len, val, size);
	err = fuse_call(c, r);
	if (err == -ENOSYS) {
		atomic_fetch_or(&c->missing, FUSE_NO_SETXATTR);
		err = -EOPNOTSUPP;
	}
	fuse_req_put(r);
	fuse_attr_old(inode);		/* it has another ctime */
	return err;
}

int fuse_removexattr(struct lx_inode *inode, const char *name)
{
	struct fuse_conn *c = fuse_conn_of(inode->sb);
	int err;

	if (fuse_is_missing(c, FUSE_NO_REMOVEXATTR))
		return -EOPNOTSUPP;
	err = fuse_simple(c, FUSE_REMOVEXATTR, fuse_inode_of(inode)->nodeid, NULL, 0, name, NULL, NULL, 0);
	if (err == -ENOSYS) {
		atomic_fetch_or(&c->missing, FUSE_NO_REMOVEXATTR);
		err = -EOPNOTSUPP;
	}
	fuse_attr_old(inode);
	return err;
}
