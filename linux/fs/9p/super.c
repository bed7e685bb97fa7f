/* SPDX-License-Identifier: MIT */
/*
 * Mounting 9P: the source is the tag of a server, options are Linux's.  Those that Linux's
 * parsers pass over are passed over here; a protocol, transport, way of caching or of access that
 * is not there is refused.
 */
#include <linux/mount.h>

#include "base/format.h"
#include "base/parse.h"
#include "fs/9p/p9.h"

/* -- options --------------------------------------------------------------------------------- */

static int one_of(const char *value, const char *a, const char *b)
{
	return value && (str_equal(value, a) || str_equal(value, b)) ? 0 : -EINVAL;
}

static int keep(char **where, const char *value)
{
	size_t n = value ? strlen(value) + 1 : 0;
	char *copy = n ? rt_alloc(n) : NULL;

	if (!copy)
		return n ? -ENOMEM : -EINVAL;
	memcpy(copy, value, n);
	rt_free(*where);
	*where = copy;
	return 0;
}

static int parse_msize(struct p9_conn *c, const char *value)
{
	uint64_t v;

	if (!value || !parse_u64_all(value, &v) || v < P9_MSIZE_MIN)
		return -EINVAL;
	c->asked_msize = (uint32_t)MIN(v, (uint64_t)P9LINK_MESSAGE_MAX);
	return 0;
}

static int parse_option(void *arg, const char *name, const char *value)
{
	struct p9_conn *c = arg;

	if (str_equal(name, "trans"))
		return one_of(value, "virtio", "virtio");
	if (str_equal(name, "version"))
		return one_of(value, "9p2000.L", "9p2000.L");
	if (str_equal(name, "msize"))
		return parse_msize(c, value);
	if (str_equal(name, "cache"))
		return one_of(value, "none", "none");
	if (str_equal(name, "access")) {
		c->access_any = value && str_equal(value, "any");
		return one_of(value, "client", "any");
	}
	if (str_equal(name, "uname"))
		return keep(&c->uname, value);
	if (str_equal(name, "aname"))
		return keep(&c->aname, value);
	return 0;
}

/* -- the super block ------------------------------------------------------------------------- */

static int statfs(struct lx_super *sb, void *buf)
{
	struct p9_fid *f;
	int err = p9_inode_fid(lx_d_inode(sb->root), &f);

	if (err)
		return err;
	err = p9_statfs(f, buf);
	p9_fid_put(f);
	return err;
}

static void put(struct lx_super *sb)
{
	struct p9_conn *c = p9_conn_of(sb);
	struct p9link *link = c->link;

	p9_fid_put(c->root);
	p9_conn_free(c);
	if (link)
		p9_channel_give_back(link);
}

static size_t show_options(struct lx_super *sb, char *buf, size_t size)
{
	const struct p9_conn *c = p9_conn_of(sb);
	size_t n = 0;

	if (c->uname)
		n += (size_t)scnprintf(buf + n, size - n, ",uname=%s", c->uname);
	if (c->aname)
		n += (size_t)scnprintf(buf + n, size - n, ",aname=%s", c->aname);
	n += (size_t)scnprintf(buf + n, size - n, ",access=%s", c->access_any ? "any" : "client");
	if (c->asked_msize != P9_MSIZE_DEFAULT)
		n += (size_t)scnprintf(buf + n, size - n, ",msize=%u", c->msize);
	return n + (size_t)scnprintf(buf + n, size - n, ",trans=virtio");
}

static const struct lx_super_ops sops = {
	.evict = p9_evict,
	.statfs = statfs,
	.put = put,
	.show_options = show_options,
};

static int make_root(struct lx_super *sb, struct p9_conn *c)
{
	struct lx_inode *root;
	int err = p9_session_check(c);

	if (!err)
		err = p9_iget(sb, p9_fid_get(c->root), NULL, NULL, &root);
	if (err)
		return err;
	if (!lx_is_dir(root)) {
		lx_inode_put(root);
		return -EIO;
	}
	sb->root = lx_dentry_alloc_root(sb, root);
	return sb->root ? 0 : -ENOMEM;
}

static int mount(const struct lx_fs_type *type, const char *source, unsigned long flags,
		 const char *options, struct lx_super **out)
{
	struct p9_conn *c = p9_conn_create();
	struct lx_super *sb = c ? lx_super_alloc(type) : NULL;
	int err;

	if (!sb) {
		if (c)
			p9_conn_free(c);
		return -ENOMEM;
	}
	sb->private = c;
	sb->ops = &sops;
	/* What is written is the server's at once, and Linux says so. */
	sb->flags = flags | MS_SYNCHRONOUS | MS_DIRSYNC;
	sb->magic = P9_MAGIC;
	err = lx_for_each_option(options, parse_option, c);
	if (!err)
		err = source && *source ? p9_channel_take(source, &c->link) : -EINVAL;
	if (!err)
		err = make_root(sb, c);
	if (err) {
		lx_super_put(sb);
		return err;
	}
	*out = sb;
	return 0;
}

static struct lx_fs_type type = {.name = "9p", .flags = LX_FS_NODEV, .mount = mount};

void lx_9p_init(void)
{
	lx_fs_register(&type);
}
