/* SPDX-License-Identifier: MIT */
/*
 * To the medium: what the upper layer has is synced there.  What is not in it was never changed.
 *
 * The upper file system is asked by a file of its own, opened for that; what the overlay's
 * file has been told of lost data (lx/errseq.h) goes along with it.
 */
#include "fs/overlay/overlay.h"
#include "lx/file.h"

int ovl_sync_upper(struct ovl_super *s, struct lx_dentry *upper, _Atomic(uint32_t) *seen, bool datasync)
{
	struct lx_path path = { .mnt = s->upper.mnt, .dentry = upper };
	struct lx_file *real;
	int err;

	lx_path_get(&path);
	err = lx_file_open_path(lx_self(), &path, O_RDONLY, LX_FMODE_READ, &real);
	if (err) {
		lx_path_put(&path);
		return err;
	}
	if (seen)
		atomic_store(&real->wb_seen, atomic_load(seen));
	if (real->ops->fsync)
		err = real->ops->fsync(real, 0, INT64_MAX, datasync);
	if (seen)
		atomic_store(seen, atomic_load(&real->wb_seen));
	lx_file_put(real);
	return err;
}

int ovl_fsync(struct lx_file *f, lx_off_t start, lx_off_t end, bool datasync)
{
	struct lx_dentry *upper = ovl_upper(f->inode);

	return upper ? ovl_sync_upper(ovl_super(f->inode->sb), upper, &f->wb_seen, datasync) : 0;
}

int ovl_sync_fs(struct lx_super *sb)
{
	struct lx_dentry *upper = ovl_super(sb)->upper.dentry;

	return upper && upper->sb->ops && upper->sb->ops->sync ? upper->sb->ops->sync(upper->sb) : 0;
}
