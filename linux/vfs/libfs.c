/* SPDX-License-Identifier: MIT */
/*
 * What file systems have in common besides the page cache: positions in directories, and
 * the options of a mount.
 */
#include "vfs/vfs_priv.h"

lx_off_t lx_dir_llseek(struct lx_file *f, lx_off_t off, int whence)
{
	if (whence == 1)		/* SEEK_CUR */
		off += atomic_load(&f->pos);
	else if (whence != 0)		/* SEEK_SET */
		return -EINVAL;
	if (off < 0)
		return -EINVAL;
	atomic_store(&f->pos, off);
	return off;
}

bool lx_dir_emit_dots(struct lx_dir_emit *ctx, uint64_t ino, uint64_t parent)
{
	if (ctx->pos == 0) {
		if (!ctx->emit(ctx, ".", 1, ino, 4))
			return false;
		ctx->pos = 1;
	}
	if (ctx->pos == 1) {
		if (!ctx->emit(ctx, "..", 2, parent, 4))
			return false;
		ctx->pos = 2;
	}
	return true;
}

int lx_for_each_option(const char *options, lx_option_fn *fn, void *arg)
{
	char *copy, *p;
	int err = 0;

	if (!options)
		return 0;
	copy = rt_alloc(strlen(options) + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, options, strlen(options) + 1);
	for (p = copy; p && !err;) {
		char *next = strchr(p, ','), *value;

		if (next)
			*next++ = '\0';
		value = strchr(p, '=');
		if (value)
			*value++ = '\0';
		if (*p)
			err = fn(arg, p, value);
		p = next;
	}
	rt_free(copy);
	return err;
}
