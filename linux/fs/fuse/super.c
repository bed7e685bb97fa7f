/* SPDX-License-Identifier: MIT */
/*
 * Mounting FUSE: fd=N names an open /dev/fuse; the server is asked to start (INIT) and
 * everybody waits until it has.
 */

#include <asm/statfs.h>

#include "base/format.h"
#include "base/parse.h"
#include "fuse.h"
#include "vfs/vfs_priv.h"

#define FUSE_MAGIC	0x65735546u
#define MIN_MINOR	12u		/* older servers have shorter messages */

/* -- INIT ------------------------------------------------------------------------------------ */

/* Connection locked.  The answer, or the connection has ended. */
static void init_answered(struct fuse_conn *c, struct fuse_req *r)
{
	const struct fuse_init_out *o = r->out;
	uint32_t pages = FUSE_PAGES_MAX;

	if (c->initialized)
		return;
	if (r->error || r->out_len < FUSE_COMPAT_22_INIT_OUT_SIZE || o->major != FUSE_KERNEL_VERSION ||
	    o->minor < MIN_MINOR) {
		c->failed = true;
	} else {
		c->minor = MIN(o->minor, (uint32_t)FUSE_KERNEL_MINOR_VERSION);
		if ((o->flags & FUSE_MAX_PAGES) && r->out_len >= sizeof(*o) && o->max_pages)
			pages = MIN((uint32_t)o->max_pages, FUSE_PAGES_MAX);
		c->max_write = CLAMP(o->max_write, 4096u, pages * 4096u);
		c->max_read = MIN(c->max_read, pages * 4096u);
		c->no_open = o->flags & FUSE_NO_OPEN_SUPPORT;
		c->no_opendir = o->flags & FUSE_NO_OPENDIR_SUPPORT;
	}
	c->initialized = true;
	lx_wake_all(&c->starting);
}

void fuse_send_init(struct fuse_conn *c, struct fuse_req *r)
{
	struct fuse_init_in *in = fuse_in(r);

	in->major = FUSE_KERNEL_VERSION;
	in->minor = FUSE_KERNEL_MINOR_VERSION;
	in->max_readahead = FUSE_PAGES_MAX * 4096;
	in->flags = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_NO_OPEN_SUPPORT |
		    FUSE_NO_OPENDIR_SUPPORT;
	r->out_exact = false;
	r->done = init_answered;
	fuse_post(c, r);
}

/* -- options --------------------------------------------------------------------------------- */

struct options {
	struct fuse_conn *c;		/* most go there at once */
	int fd;
	bool has_fd, has_mode, has_uid, has_gid;
};

static int parse_number(const char *value, unsigned int base, uint64_t *v)
{
	size_t n = value ? strlen(value) : 0;

	return n && parse_u64(value, n, base, v) == n && *v <= UINT32_MAX ? 0 : -EINVAL;
}

static int parse_option(void *arg, const char *name, const char *value)
{
	struct options *o = arg;
	struct fuse_conn *c = o->c;
	uint64_t v;

	if (str_equal(name, "default_permissions") || str_equal(name, "allow_other")) {
		if (name[0] == 'd')
			c->default_permissions = true;
		else
			c->allow_other = true;
		return 0;
	}
	if (str_equal(name, "subtype") || str_equal(name, "source"))
		return 0;
	if (parse_number(value, str_equal(name, "rootmode") ? 8 : 10, &v))
		return -EINVAL;
	if (str_equal(name, "fd")) {
		o->fd = (int)v;
		o->has_fd = true;
	} else if (str_equal(name, "rootmode")) {
		c->root_mode = (lx_mode_t)v;
		o->has_mode = (v & S_IFMT) == S_IFDIR;
	} else if (str_equal(name, "user_id")) {
		c->uid = (lx_uid_t)v;
		o->has_uid = true;
	} else if (str_equal(name, "group_id")) {
		c->gid = (lx_gid_t)v;
		o->has_gid = true;
	} else if (str_equal(name, "max_read")) {
		c->max_read = (uint32_t)CLAMP(v, 4096u, (uint64_t)FUSE_PAGES_MAX * 4096);
	} else if (!str_equal(name, "blksize")) {
		return -EINVAL;
	}
	return 0;
}

static int parse_options(struct options *o, const char *text)
{
	int err = lx_for_each_option(text, parse_option, o);

	if (!err && !(o->has_fd && o->has_mode && o->has_uid && o->has_gid))
		err = -EINVAL;
	return err;
}

/* -- the super block ------------------------------------------------------------------------- */

static int fuse_statfs(struct lx_super *sb, void *buf)
{
	struct statfs *st = buf;
	struct fuse_statfs_out out;
	int err = fuse_simple(fuse_conn_of(sb), FUSE_STATFS, FUSE_ROOT_ID, NULL, 0, NULL, NULL, &out,
			      sizeof(out));

	if (err)
		return err;
	st->f_type = FUSE_MAGIC;
	st->f_bsize = out.st.bsize;
	st->f_frsize = out.st.frsize ? out.st.frsize : out.st.bsize;
	st->f_blocks = (long)out.st.blocks;
	st->f_bfree = (long)out.st.bfree;
	st->f_bavail = (long)out.st.bavail;
	st->f_files = (long)out.st.files;
	st->f_ffree = (long)out.st.ffree;
	st->f_namelen = out.st.namelen;
	return 0;
}

/* The last mount went: the server reads ENODEV, and ends. */
static void fuse_shutdown(struct lx_super *sb)
{
	if (fuse_conn_of(sb))
		fuse_conn_abort(fuse_conn_of(sb));
}

static void fuse_put(struct lx_super *sb)
{
	struct fuse_conn *c = fuse_conn_of(sb);

	if (!c)
		return;
	fuse_conn_abort(c);
	fuse_conn_put(c);
}

static size_t fuse_show_options(struct lx_super *sb, char *buf, size_t size)
{
	struct fuse_conn *c = fuse_conn_of(sb);

	return (size_t)scnprintf(buf, size, ",user_id=%u,group_id=%u%s%s", c->uid, c->gid,
				 c->default_permissions ? ",default_permissions" : "",
				 c->allow_other ? ",allow_other" : "");
}

static const struct lx_super_ops sops = {
	.evict = fuse_evict, .statfs = fuse_statfs, .shutdown = fuse_shutdown, .put = fuse_put,
	.show_options = fuse_show_options,
};

/* The root is known before the server has answered anything. */
static int make_root(struct lx_super *sb, const struct fuse_conn *c)
{
	struct fuse_entry_out e = {
		.nodeid = FUSE_ROOT_ID,
		.attr = { .ino = FUSE_ROOT_ID, .mode = c->root_mode, .nlink = 2 },
	};
	struct lx_inode *root;
	int err = fuse_iget(sb, &e, &root);

	if (err)
		return err;
	fuse_attr_old(root);
	sb->root = lx_dentry_alloc_root(sb, root);
	return sb->root ? 0 : -ENOMEM;
}

static int attach(struct lx_super *sb, struct fuse_conn *c, int fd)
{
	struct fuse_req *init = fuse_req_new(c, FUSE_INIT, 0, sizeof(struct fuse_init_in),
					     sizeof(struct fuse_init_out));
	struct lx_file *f = lx_fd_get(lx_self(), fd);
	int err = !init ? -ENOMEM : !f ? -EINVAL : make_root(sb, c);

	if (!err)
		err = fuse_dev_attach(f, c);
	if (f)
		lx_file_put(f);
	if (!err)
		fuse_send_init(c, init);
	else if (init)
		fuse_req_put(init);
	return err;
}

static int fuse_mount(const struct lx_fs_type *type, const char *source, unsigned long flags,
		      const char *options, struct lx_super **out)
{
	struct fuse_conn *c = fuse_conn_create();
	struct lx_super *sb = c ? lx_super_alloc(type) : NULL;
	struct options o = { .c = c };
	int err;

	if (!sb) {
		if (c)
			fuse_conn_put(c);
		return -ENOMEM;
	}
	sb->private = c;
	sb->ops = &sops;
	sb->flags = flags;
	sb->magic = FUSE_MAGIC;
	sb->block_size = 4096;
	sb->max_bytes = INT64_MAX;
	c->max_read = FUSE_PAGES_MAX * 4096;
	err = parse_options(&o, options);
	if (!err)
		err = attach(sb, c, o.fd);
	if (err) {
		lx_super_put(sb);
		return err;
	}
	*out = sb;
	return 0;
}

static struct lx_fs_type type = { .name = "fuse", .flags = LX_FS_NODEV | LX_FS_SUBTYPE, .mount = fuse_mount };

int lx_fuse_init(void)
{
	lx_fs_register(&type);
	return fuse_dev_init();
}
