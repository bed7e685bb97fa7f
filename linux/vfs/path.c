/* SPDX-License-Identifier: MIT */
/*
 * Paths as text: getcwd(2), /proc/PID/fd, /proc/PID/maps, /proc/PID/mounts.
 */
#include "base/format.h"
#include "vfs/vfs_priv.h"

/* Write @n bytes before *@p, not below @low. */
static bool prepend(char **p, const char *low, const char *s, size_t n)
{
	if ((size_t)(*p - low) < n)
		return false;
	*p -= n;
	memcpy(*p, s, n);
	return true;
}

/*
 * Returns the start of the text in @buf, or NULL if it does not fit.  A place that
 * @root is not above begins with "(unreachable)".
 */
char *lx_path_string(const struct lx_path *path, const struct lx_path *root, char *buf, size_t size)
{
	char *p = buf + size;
	struct lx_mount *mnt = path->mnt;
	struct lx_dentry *d = path->dentry;
	bool ok, reached = false, any = false;
	uint32_t flags = lx_d_flags(d);

	*--p = '\0';
	if (flags & LX_DENTRY_PSEUDO) {
		char num[32];
		size_t n = d->name_len;

		if (d->name[0] != '/' && memchr(d->name, ':', n))
			return prepend(&p, buf, d->name, n) ? p : NULL;
		if (d->name[0] == '/')	/* never had a name in a directory */
			return prepend(&p, buf, " (deleted)", 10) && prepend(&p, buf, d->name, n)
				       ? p : NULL;
		n = (size_t)scnprintf(num, sizeof(num), ":[%llu]",
				      (unsigned long long)lx_d_inode(d)->ino);
		ok = prepend(&p, buf, num, n) && prepend(&p, buf, d->name, d->name_len);
		return ok ? p : NULL;
	}
	ok = !(flags & LX_DENTRY_UNLINKED) || prepend(&p, buf, " (deleted)", 10);
	rt_read_lock(&lx_mount_lock);
	lx_names_lock();
	while (ok) {
		if (root && d == root->dentry && (mnt == root->mnt || !root->mnt || !mnt)) {
			reached = true;
			break;
		}
		if (mnt && d == mnt->root) {
			if (!mnt->parent)
				break;
			d = mnt->mountpoint;
			mnt = mnt->parent;
			continue;
		}
		if (d->parent == d)
			break;
		ok = prepend(&p, buf, d->name, d->name_len) && prepend(&p, buf, "/", 1);
		any = true;
		d = d->parent;
	}
	lx_names_unlock();
	if (ok && !any)
		ok = prepend(&p, buf, "/", 1);
	/*
	 * Without a root to compare with: what the namespace's own root leads to.  A mount
	 * that never was in a tree (that of message queues) has no other paths than its own.
	 */
	if (ok && !reached && root && root->mnt && !(mnt && !mnt->ns && !mnt->detached) &&
	    !(mnt && mnt->ns && mnt == mnt->ns->root && root->mnt == mnt && root->dentry == d))
		ok = prepend(&p, buf, "(unreachable)", 13);
	rt_read_unlock(&lx_mount_lock);
	return ok ? p : NULL;
}
