/* SPDX-License-Identifier: MIT */
/*
 * What /proc shows of mounts: /proc/PID/mounts, mountinfo and mountstats (proc(5)).
 *
 * Sources and places are any bytes of a program's choice: what would break a line or a
 * field is escaped in octal.
 */
#include <linux/mount.h>

#include "base/format.h"
#include "vfs/vfs_priv.h"

size_t lx_mount_options(struct lx_mount *m, char *buf, size_t size)
{
	uint32_t f = atomic_load(&m->flags);

	return (size_t)scnprintf(buf, size, "%s%s%s%s%s%s%s", f & LX_MNT_READONLY ? "ro" : "rw",
				 f & LX_MNT_NOSUID ? ",nosuid" : "", f & LX_MNT_NODEV ? ",nodev" : "",
				 f & LX_MNT_NOEXEC ? ",noexec" : "",
				 f & LX_MNT_NOATIME ? ",noatime" : "",
				 f & LX_MNT_NODIRATIME ? ",nodiratime" : "",
				 f & LX_MNT_RELATIME ? ",relatime" : "");
}

/* Options of the file system that are flags of mount(2). */
static const char *super_flags(const struct lx_super *sb)
{
	switch (sb->flags & (MS_SYNCHRONOUS | MS_DIRSYNC)) {
	case MS_SYNCHRONOUS:
		return ",sync";
	case MS_DIRSYNC:
		return ",dirsync";
	case MS_SYNCHRONOUS | MS_DIRSYNC:
		return ",sync,dirsync";
	default:
		return "";
	}
}

struct text {
	char *buf;
	size_t len, size;
	bool failed;
};

static char *room(struct text *t, size_t n)
{
	if (t->len + n > t->size) {
		size_t size = MAX(t->size * 2, t->len + n);
		char *p = rt_realloc(t->buf, size);

		if (!p) {
			t->failed = true;
			return NULL;
		}
		t->buf = p;
		t->size = size;
	}
	return t->buf + t->len;
}

static void put_str(struct text *t, const char *s)
{
	size_t n = strlen(s);
	char *p = room(t, n);

	if (p) {
		memcpy(p, s, n);
		t->len += n;
	}
}

/* Spaces, tabs, newlines and backslashes as \ooo, so that the fields can be told apart. */
static void put_escaped(struct text *t, const char *s)
{
	for (; *s; s++) {
		char one[5] = { *s };

		if (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\\' || *s == '#')
			snprintf(one, sizeof(one), "\\%03o", (unsigned char)*s);
		put_str(t, one);
	}
}

static void show_one(struct text *t, struct lx_mount *m, const char *where, const char *sub,
		     enum lx_mount_style style)
{
	char opts[512], line[256];
	size_t n;

	switch (style) {
	case LX_MOUNTS:
		put_escaped(t, m->source);
		put_str(t, " ");
		put_escaped(t, where);
		snprintf(line, sizeof(line), " %s%s ", m->sb->type->name, m->sb->subtype);
		put_str(t, line);
		lx_mount_options(m, opts, sizeof(opts));
		if ((m->sb->flags & MS_RDONLY) && opts[1] == 'w')
			opts[1] = 'o';
		put_str(t, opts[1] == 'o' ? "ro" : "rw");
		put_str(t, super_flags(m->sb));
		put_str(t, opts + 2);
		n = m->sb->ops && m->sb->ops->show_options
			    ? m->sb->ops->show_options(m->sb, opts, sizeof(opts)) : 0;
		opts[n] = '\0';
		put_str(t, opts);
		put_str(t, " 0 0\n");
		break;
	case LX_MOUNTINFO:
		snprintf(line, sizeof(line), "%u %u %u:%u ", m->id, m->parent ? m->parent->id : m->id,
			 LX_MAJOR(m->sb->dev), LX_MINOR(m->sb->dev));
		put_str(t, line);
		put_escaped(t, sub);
		put_str(t, " ");
		put_escaped(t, where);
		put_str(t, " ");
		lx_mount_options(m, opts, sizeof(opts));
		put_str(t, opts);
		if (m->propagation == MS_SHARED) {
			snprintf(line, sizeof(line), " shared:%u", m->peer_group);
			put_str(t, line);
		} else if (m->propagation == MS_UNBINDABLE) {
			put_str(t, " unbindable");
		}
		snprintf(line, sizeof(line), " - %s%s ", m->sb->type->name, m->sb->subtype);
		put_str(t, line);
		put_escaped(t, m->source);
		put_str(t, m->sb->flags & MS_RDONLY ? " ro" : " rw");
		put_str(t, super_flags(m->sb));
		n = m->sb->ops && m->sb->ops->show_options
			    ? m->sb->ops->show_options(m->sb, opts, sizeof(opts)) : 0;
		opts[n] = '\0';
		put_str(t, opts);
		put_str(t, "\n");
		break;
	case LX_MOUNTSTATS:
		put_str(t, "device ");
		put_escaped(t, m->source);
		put_str(t, " mounted on ");
		put_escaped(t, where);
		snprintf(line, sizeof(line), " with fstype %s%s\n", m->sb->type->name, m->sb->subtype);
		put_str(t, line);
		break;
	}
}

/*
 * The paths are made without the lock (lx_path_string takes it), from a list of
 * references gathered under it.
 */
size_t lx_mounts_show(struct lx_mntns *ns, const struct lx_path *root, enum lx_mount_style style,
		      char **out)
{
	struct text t = { 0 };
	struct lx_mount **list, *m;
	size_t n = 0, count;
	char *buf = rt_alloc(2 * LX_PATH_MAX);

	*out = NULL;
	if (!buf)
		return 0;
	rt_read_lock(&lx_mount_lock);
	count = list_count(&ns->mounts);
	list = rt_alloc((count + 1) * sizeof(*list));
	if (list)
		list_for_each_entry(m, &ns->mounts, ns_link)
			list[n++] = lx_mount_get(m);
	rt_read_unlock(&lx_mount_lock);
	for (size_t i = 0; i < n; i++) {
		struct lx_path p = { list[i], list[i]->root };
		struct lx_path fsroot = { NULL, list[i]->sb->root }, sub = { NULL, list[i]->root };
		char *where = lx_path_string(&p, root, buf, LX_PATH_MAX);
		char *part = lx_path_string(&sub, &fsroot, buf + LX_PATH_MAX, LX_PATH_MAX);

		/* what lies outside the caller's root is not its business */
		if (where && where[0] == '/' && !t.failed)
			show_one(&t, list[i], where, part ? part : "/", style);
		lx_mount_put(list[i]);
	}
	rt_free(list);
	rt_free(buf);
	*out = t.buf;
	return t.len;
}
