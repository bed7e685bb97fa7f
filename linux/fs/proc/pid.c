/* SPDX-License-Identifier: MIT */
/*
 * proc: the directories of processes and threads.
 *
 * What they contain is in tables (pid_entry, pid_dir).  An inode here names a
 * process (by its group) or a thread, and an entry of a table; it is made by each
 * lookup and dropped when it is not used any more.  A process that has been reaped
 * takes its files with it: they fail with ESRCH, and their names are looked up
 * again (revalidate).
 *
 * Lookups and listings here take locks of tasks, which come before the locks of
 * inodes; so these directories are not locked by the VFS (lockless).
 */
#include <linux/capability.h>

#include "base/format.h"
#include "base/parse.h"
#include "fs/proc/pid.h"
#include "lx/mm.h"
#include "lx/ns.h"

struct pid_inode {
	struct lx_group *group;		/* a reference */
	struct lx_task *task;		/* of PID/task/TID: a reference; else NULL */
	const struct pid_entry *entry;
	int number;			/* of numbered entries */
};

static const struct lx_inode_ops dir_iops, file_iops, magic_iops;
static const struct lx_file_ops dir_fops, file_fops;
static const struct pid_entry process_entry, thread_entry;

static struct pid_inode *info(const struct lx_inode *inode)
{
	return inode->private;
}

int pid_number(const struct lx_inode *inode)
{
	return info(inode)->number;
}

int pid_subject_get(struct lx_inode *inode, struct pid_subject *s)
{
	struct pid_inode *pi = info(inode);

	s->entry = pi->entry;
	s->thread = pi->task != NULL;
	s->task = pi->task ? lx_task_get(pi->task) : lx_group_leader(pi->group);
	if (s->task && atomic_load(&s->task->state) == LX_DEAD) {
		lx_task_put(s->task);
		s->task = NULL;
	}
	return s->task ? 0 : -ESRCH;
}

void pid_subject_put(struct pid_subject *s)
{
	lx_task_put(s->task);
}

int pid_may_look(const struct pid_subject *s)
{
	struct lx_task *self = lx_self();
	const struct lx_cred *c = self->cred, *t;
	bool ok;

	if (s->task->group == self->group)
		return 0;
	t = lx_task_cred_get(s->task);
	if (!t)
		return -ESRCH;
	ok = c->fsuid == t->uid && c->fsuid == t->euid && c->fsuid == t->suid &&
	     c->fsgid == t->gid && c->fsgid == t->egid && c->fsgid == t->sgid &&
	     s->task->group->dumpable && !(t->cap_permitted & ~c->cap_effective);
	lx_cred_put(t);
	return ok || lx_capable(self, CAP_SYS_PTRACE) ? 0 : -EACCES;
}

/* -- inodes */

static uint64_t number_inode(const struct pid_inode *pi)
{
	uint64_t id = pi->task ? (uint64_t)pi->task->tid : (uint64_t)pi->group->pid;

	/* the same for the same thing while it lives */
	return 1ull << 52 | id << 20 | ((uintptr_t)pi->entry / 8 + (uint64_t)pi->number * 977) % (1 << 20);
}

static void set_owner(struct lx_inode *inode)
{
	struct pid_subject s;
	const struct lx_cred *c;

	inode->uid = inode->gid = 0;
	if (pid_subject_get(inode, &s))
		return;
	c = s.task->group->dumpable || info(inode)->entry->kind == PID_DIR ? lx_task_cred_get(s.task)
									   : NULL;
	if (c) {
		inode->uid = c->euid;
		inode->gid = c->egid;
		lx_cred_put(c);
	}
	pid_subject_put(&s);
}

static int make(struct lx_dentry *d, struct lx_group *g, struct lx_task *task,
		const struct pid_entry *e, int number)
{
	struct pid_inode *pi = rt_alloc(sizeof(*pi));
	lx_mode_t type = e->kind == PID_DIR ? S_IFDIR : e->kind == PID_LINK ? S_IFLNK : S_IFREG;
	struct lx_inode *inode = pi ? lx_inode_create(d->sb, type | e->mode) : NULL;

	if (!inode) {
		rt_free(pi);
		return -ENOMEM;
	}
	*pi = (struct pid_inode){ lx_group_get(g), task ? lx_task_get(task) : NULL, e, number };
	inode->private = pi;
	inode->ino = number_inode(pi);
	switch (e->kind) {
	case PID_DIR:
		inode->ops = &dir_iops;
		inode->fops = &dir_fops;
		atomic_store(&inode->nlink, 2);
		break;
	case PID_LINK:
		inode->ops = &magic_iops;
		break;
	case PID_FILE:
		inode->ops = &file_iops;
		inode->fops = &file_fops;
		break;
	case PID_SPECIAL:
		inode->ops = &file_iops;
		inode->fops = e->fops;
		break;
	}
	set_owner(inode);
	atomic_fetch_or(&d->dflags, LX_DENTRY_NOCACHE);
	lx_dentry_instantiate(d, inode);
	return 0;
}

static void pid_evict(struct lx_inode *inode)
{
	struct pid_inode *pi = info(inode);

	if (!pi)
		return;
	if (pi->task)
		lx_task_put(pi->task);
	lx_group_put(pi->group);
	rt_free(pi);
}

static bool pid_owns(const struct lx_inode *inode)
{
	return inode->ops == &dir_iops || inode->ops == &file_iops || inode->ops == &magic_iops;
}

/* Numbered entries of directories that hold descriptors: is it still open? */
static bool still_there(struct lx_inode *inode)
{
	struct pid_inode *pi = info(inode);
	struct pid_subject s;
	bool ok = true;

	if (pid_subject_get(inode, &s))
		return false;
	if (pi->number >= 0 && pi->entry != &thread_entry) {
		struct lx_files *files = lx_task_files_get(s.task);
		int fd = pi->number;
		struct lx_file *f = files ? lx_files_next(files, &fd, NULL) : NULL;

		ok = f && fd == pi->number;
		if (f)
			lx_file_put(f);
		if (files)
			lx_files_put(files);
	}
	pid_subject_put(&s);
	if (ok)
		set_owner(inode);
	return ok;
}

static bool pid_revalidate(struct lx_dentry *d)
{
	struct lx_inode *inode = lx_d_inode(d);

	return inode && still_there(inode);
}

/* -- directories */

/* A decimal number without leading zeros, or -1. */
static int parse_number(const char *name, size_t len)
{
	uint64_t v;

	if (!len || len > 9 || (name[0] == '0' && len > 1) ||
	    parse_u64(name, len, 10, &v) != len)
		return -1;
	return (int)v;
}

static int numbered_lookup(struct lx_inode *dir, struct lx_dentry *d, const struct pid_dir *pd,
			   const struct pid_subject *s)
{
	int n = parse_number(d->name, d->name_len);

	if (n < 0 || pd->next(s, n) != n)
		return 0;
	if (pd->numbered.dir == thread_entry.dir) {
		struct lx_task *t = lx_task_find(lx_self(), n);
		int err = 0;

		if (t && t->group == s->task->group)
			err = make(d, t->group, t, &thread_entry, -1);
		if (t)
			lx_task_put(t);
		return err;
	}
	return make(d, s->task->group, s->thread ? s->task : NULL, &pd->numbered, n);
}

static int pid_lookup(struct lx_inode *dir, struct lx_dentry *d)
{
	const struct pid_dir *pd = info(dir)->entry->dir;
	struct pid_subject s;
	int err = pid_subject_get(dir, &s);

	if (err)
		return err == -ESRCH ? -ENOENT : err;
	if (info(dir)->entry->secret)
		err = pid_may_look(&s);
	for (size_t i = 0; !err && i < pd->nr; i++) {
		const struct pid_entry *e = &pd->entries[i];

		if (strlen(e->name) == d->name_len && !memcmp(e->name, d->name, d->name_len)) {
			err = make(d, s.task->group, s.thread ? s.task : NULL, e, -1);
			break;
		}
	}
	if (!err && lx_d_negative(d) && pd->next)
		err = numbered_lookup(dir, d, pd, &s);
	pid_subject_put(&s);
	return err;
}

/* The number of what an entry would be, without making it. */
static uint64_t entry_ino(const struct pid_subject *s, const struct pid_entry *e, int number)
{
	struct pid_inode pi = { s->task->group, s->thread ? s->task : NULL, e, number };

	return number_inode(&pi);
}

static unsigned int dtype(const struct pid_entry *e)
{
	return e->kind == PID_DIR ? 4 : e->kind == PID_LINK ? 10 : 8;
}

static int pid_iterate(struct lx_file *f, struct lx_dir_emit *ctx)
{
	const struct pid_dir *pd = info(f->inode)->entry->dir;
	struct pid_subject s;
	int err = pid_subject_get(f->inode, &s);

	if (err)
		return -ENOENT;
	if (info(f->inode)->entry->secret)
		err = pid_may_look(&s);
	if (err)
		goto out;
	if (!lx_dir_emit_dots(ctx, f->inode->ino, 1))
		goto out;
	for (; (size_t)ctx->pos - 2 < pd->nr; ctx->pos++) {
		const struct pid_entry *e = &pd->entries[ctx->pos - 2];

		if (!ctx->emit(ctx, e->name, strlen(e->name), entry_ino(&s, e, -1), dtype(e)))
			goto out;
	}
	while (pd->next) {
		lx_off_t base = 2 + (lx_off_t)pd->nr;
		int n = pd->next(&s, (int)(ctx->pos - base));
		char name[16];
		int len;

		if (n < 0)
			break;
		ctx->pos = base + n;
		len = scnprintf(name, sizeof(name), "%d", n);
		if (!ctx->emit(ctx, name, (size_t)len, entry_ino(&s, &pd->numbered, n),
			       dtype(&pd->numbered)))
			break;
		ctx->pos++;
	}
out:
	pid_subject_put(&s);
	return err;
}

static const struct lx_file_ops dir_fops = { .iterate = pid_iterate, .llseek = lx_dir_llseek };

/* -- files */

static int fill(struct lx_file *f, struct pseudo_buf *b)
{
	const struct pid_entry *e = info(f->inode)->entry;
	struct pid_subject s;
	int err = pid_subject_get(f->inode, &s);

	if (err)
		return err;
	if (info(f->inode)->number >= 0)
		err = pid_show_fdinfo(b, &s, info(f->inode)->number);
	else
		err = e->show ? e->show(b, &s) : -EINVAL;
	pid_subject_put(&s);
	return err;
}

static int64_t file_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	return pseudo_read_text(f, to, pos, fill);
}

static int64_t file_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	const struct pid_entry *e = info(f->inode)->entry;
	struct pid_subject s;
	char *text;
	size_t n;
	int err;

	if (!e->store)
		return -EINVAL;
	err = pseudo_copy_in(from, &text, &n);
	if (err)
		return err;
	err = pid_subject_get(f->inode, &s);
	if (!err) {
		err = e->store(text, n, &s);
		pid_subject_put(&s);
	}
	rt_free(text);
	*pos += (lx_off_t)n;
	return err ? err : (int64_t)n;
}

static int file_open(struct lx_inode *inode, struct lx_file *f)
{
	struct pid_subject s;
	int err = 0;

	if (info(inode)->entry->secret) {
		err = pid_subject_get(inode, &s);
		if (err)
			return err;
		err = pid_may_look(&s);
		pid_subject_put(&s);
	}
	return err;
}

static const struct lx_file_ops file_fops = {
	.open = file_open,
	.read = file_read,
	.write = file_write,
	.release = pseudo_release,
};

/* -- links */

static int magic_follow(struct lx_dentry *d, struct lx_path *out)
{
	struct lx_inode *inode = lx_d_inode(d);
	struct pid_inode *pi = info(inode);
	struct pid_subject s;
	int err = pid_subject_get(inode, &s);

	if (err)
		return err == -ESRCH ? -ENOENT : err;
	err = pid_may_look(&s);
	if (!err && pi->number >= 0) {
		struct lx_files *files = lx_task_files_get(s.task);
		int fd = pi->number;
		struct lx_file *f = files ? lx_files_next(files, &fd, NULL) : NULL;

		err = f && fd == pi->number ? 0 : -ENOENT;
		if (!err) {
			*out = f->path;
			lx_path_get(out);
		}
		if (f)
			lx_file_put(f);
		if (files)
			lx_files_put(files);
	} else if (!err) {
		err = pi->entry->link(&s, out);
	}
	pid_subject_put(&s);
	return err;
}

static int magic_readlink(struct lx_dentry *d, char *buf, size_t size)
{
	struct lx_path p, root;
	char *tmp, *text;
	int err = magic_follow(d, &p);

	if (err)
		return err;
	tmp = rt_alloc(LX_PATH_MAX);
	if (!tmp) {
		lx_path_put(&p);
		return -ENOMEM;
	}
	lx_fs_paths(lx_self()->fs, &root, NULL);
	text = lx_path_string(&p, &root, tmp, LX_PATH_MAX);
	err = text ? (int)MIN(strlen(text), size) : -ENAMETOOLONG;
	if (text)
		memcpy(buf, text, (size_t)err);
	lx_path_put(&root);
	lx_path_put(&p);
	rt_free(tmp);
	return err;
}

static int link_exe(const struct pid_subject *s, struct lx_path *out)
{
	struct lx_mm *mm = lx_task_mm_get(s->task);
	int err = -ENOENT;

	if (mm && mm->exe) {
		*out = mm->exe->path;
		lx_path_get(out);
		err = 0;
	}
	if (mm)
		lx_mm_put(mm);
	return err;
}

static int link_fs(const struct pid_subject *s, struct lx_path *out, bool root)
{
	struct lx_fs *fs = lx_task_fs_get(s->task);

	if (!fs)
		return -ENOENT;
	lx_fs_paths(fs, root ? out : NULL, root ? NULL : out);
	lx_fs_put(fs);
	return 0;
}

static int link_cwd(const struct pid_subject *s, struct lx_path *out)
{
	return link_fs(s, out, false);
}

static int link_root(const struct pid_subject *s, struct lx_path *out)
{
	return link_fs(s, out, true);
}

static int link_ns(const struct pid_subject *s, struct lx_path *out)
{
	return lx_task_ns_path(s->task, s->entry->name, out);
}

/* -- attributes */

static int pid_setattr(struct lx_inode *inode, const struct lx_attr *a)
{
	return a->valid & (LX_ATTR_UID | LX_ATTR_GID | LX_ATTR_MODE) ? -EPERM : 0;
}

static int pid_getattr(struct lx_inode *inode, struct lx_kstat *st)
{
	st->atime = st->mtime = st->ctime = lx_now_coarse();
	if (lx_is_lnk(inode))
		st->size = 64;
	return 0;
}

#define COMMON .revalidate = pid_revalidate, .setattr = pid_setattr, .getattr = pid_getattr

static const struct lx_inode_ops dir_iops = { .lookup = pid_lookup, .lockless = true, COMMON };
static const struct lx_inode_ops file_iops = { COMMON };
static const struct lx_inode_ops magic_iops = {
	.readlink = magic_readlink, .follow = magic_follow, COMMON,
};

/* -- the tables */

static int next_fd(const struct pid_subject *s, int n)
{
	struct lx_files *files = lx_task_files_get(s->task);
	struct lx_file *f = files ? lx_files_next(files, &n, NULL) : NULL;

	if (files)
		lx_files_put(files);
	if (!f)
		return -1;
	lx_file_put(f);
	return n;
}

static int next_thread(const struct pid_subject *s, int n)
{
	struct lx_task *t = lx_group_next_task(s->task->group, n);
	int tid = t ? t->tid : -1;

	if (t)
		lx_task_put(t);
	return tid;
}

#define FILE_R(n, fn) { .name = n, .mode = 0444, .kind = PID_FILE, .show = fn }
#define FILE_SECRET(n, fn) { .name = n, .mode = 0400, .kind = PID_FILE, .secret = true, .show = fn }
#define FILE_RW(n, fn, st) { .name = n, .mode = 0644, .kind = PID_FILE, .show = fn, .store = st }
#define LINK(n, fn) { .name = n, .mode = 0777, .kind = PID_LINK, .link = fn }
#define DIR(n, m, d, hidden) { .name = n, .mode = m, .kind = PID_DIR, .dir = d, .secret = hidden }

static const struct pid_entry ns_entries[] = {
	LINK("cgroup", link_ns), LINK("ipc", link_ns), LINK("mnt", link_ns), LINK("net", link_ns),
	LINK("pid", link_ns), LINK("pid_for_children", link_ns), LINK("time", link_ns),
	LINK("time_for_children", link_ns), LINK("user", link_ns), LINK("uts", link_ns),
};

static const struct pid_dir ns_dir = { ns_entries, ARRAY_SIZE(ns_entries), NULL, { 0 } };
static const struct pid_dir fd_dir = {
	.next = next_fd,
	.numbered = { .name = "", .mode = 0700, .kind = PID_LINK, .link = link_cwd },
};
static const struct pid_dir fdinfo_dir = {
	.next = next_fd, .numbered = { .name = "", .mode = 0444, .kind = PID_FILE },
};

/* Both of processes and of threads. */
#define COMMON_ENTRIES \
	DIR("fd", 0500, &fd_dir, true), \
	DIR("fdinfo", 0500, &fdinfo_dir, true), \
	DIR("ns", 0511, &ns_dir, false), \
	DIR("net", 0555, &pid_net_dir, false), \
	FILE_SECRET("environ", pid_show_environ), \
	FILE_SECRET("auxv", pid_show_auxv), \
	FILE_R("status", pid_show_status), \
	FILE_SECRET("personality", pid_show_personality), \
	FILE_R("limits", pid_show_limits), \
	FILE_RW("comm", pid_show_comm, pid_store_comm), \
	FILE_SECRET("syscall", pid_show_syscall), \
	FILE_R("cmdline", pid_show_cmdline), \
	FILE_R("stat", pid_show_stat), \
	FILE_R("statm", pid_show_statm), \
	{ .name = "maps", .mode = 0444, .kind = PID_FILE, .secret = true, .show = pid_show_maps }, \
	{ .name = "smaps", .mode = 0444, .kind = PID_FILE, .secret = true, \
	  .show = pid_show_smaps }, \
	{ .name = "smaps_rollup", .mode = 0444, .kind = PID_FILE, .secret = true, \
	  .show = pid_show_smaps_rollup }, \
	{ .name = "mem", .mode = 0600, .kind = PID_SPECIAL, .fops = &pid_mem_fops }, \
	LINK("cwd", link_cwd), \
	LINK("root", link_root), \
	LINK("exe", link_exe), \
	FILE_R("mounts", pid_show_mounts), \
	FILE_R("mountinfo", pid_show_mountinfo), \
	FILE_SECRET("stack", pid_show_stack), \
	FILE_R("wchan", pid_show_wchan), \
	FILE_R("schedstat", pid_show_schedstat), \
	FILE_R("cgroup", pid_show_cgroup), \
	FILE_R("oom_score", pid_show_oom_score), \
	FILE_RW("oom_adj", pid_show_oom_adj, NULL), \
	FILE_RW("oom_score_adj", pid_show_oom_score_adj, pid_store_oom_score_adj), \
	FILE_SECRET("io", pid_show_io), \
	FILE_RW("uid_map", pid_show_uid_map, NULL), \
	FILE_RW("gid_map", pid_show_uid_map, NULL), \
	FILE_RW("setgroups", pid_show_setgroups, NULL)

static const struct pid_entry thread_entries[] = {
	COMMON_ENTRIES,
	FILE_R("children", pid_show_children),
};
static const struct pid_dir thread_dir = { thread_entries, ARRAY_SIZE(thread_entries), NULL, { 0 } };
static const struct pid_entry thread_entry = {
	.name = "", .mode = 0555, .kind = PID_DIR, .dir = &thread_dir,
};

static const struct pid_dir task_dir = {
	.next = next_thread,
	.numbered = { .name = "", .mode = 0555, .kind = PID_DIR, .dir = &thread_dir },
};

static const struct pid_entry process_entries[] = {
	DIR("task", 0555, &task_dir, false),
	COMMON_ENTRIES,
	{ .name = "mountstats", .mode = 0400, .kind = PID_FILE, .show = pid_show_mountstats },
	FILE_RW("coredump_filter", pid_show_coredump_filter, NULL),
	FILE_RW("timerslack_ns", pid_show_timerslack, NULL),
};
static const struct pid_dir process_dir = {
	process_entries, ARRAY_SIZE(process_entries), NULL, { 0 },
};
static const struct pid_entry process_entry = {
	.name = "", .mode = 0555, .kind = PID_DIR, .dir = &process_dir,
};

/* -- the root: numbers, self, thread-self */

struct self_inode { bool thread; };

static int self_readlink(struct lx_dentry *d, char *buf, size_t size)
{
	struct lx_task *self = lx_self();
	char text[48];
	int n = d->name[0] == 's'
			? scnprintf(text, sizeof(text), "%d", self->group->pid)
			: scnprintf(text, sizeof(text), "%d/task/%d", self->group->pid, self->tid);

	n = (int)MIN((size_t)n, size);
	memcpy(buf, text, (size_t)n);
	return n;
}

static const struct lx_inode_ops self_iops = { .readlink = self_readlink, .setattr = pid_setattr };

static int make_self(struct lx_dentry *d, uint64_t ino)
{
	struct lx_inode *inode = lx_inode_create(d->sb, S_IFLNK | 0777);

	if (!inode)
		return -ENOMEM;
	inode->ino = ino;
	inode->ops = &self_iops;
	lx_dentry_instantiate(d, inode);
	return 0;
}

static int root_lookup(struct lx_inode *dir, struct lx_dentry *d)
{
	struct lx_group *g;
	struct lx_task *t;
	int pid, err;

	if (d->name_len == 4 && !memcmp(d->name, "self", 4))
		return make_self(d, 1ull << 51);
	if (d->name_len == 11 && !memcmp(d->name, "thread-self", 11))
		return make_self(d, (1ull << 51) + 1);
	pid = parse_number(d->name, d->name_len);
	if (pid <= 0)
		return -ENOENT;
	g = lx_group_find(lx_self(), pid);
	if (!g) {
		/* a thread's number is not listed, but it can be looked up: its process's directory */
		t = lx_task_find(lx_self(), pid);
		if (!t)
			return 0;
		g = lx_group_get(t->group);
		lx_task_put(t);
	}
	err = make(d, g, NULL, &process_entry, -1);
	lx_group_put(g);
	return err;
}

static int root_iterate(struct lx_file *f, struct lx_dir_emit *ctx, lx_off_t base)
{
	if (ctx->pos == base) {
		if (!ctx->emit(ctx, "self", 4, 1ull << 51, 10))
			return 0;
		ctx->pos = base + 1;
	}
	if (ctx->pos == base + 1) {
		if (!ctx->emit(ctx, "thread-self", 11, (1ull << 51) + 1, 10))
			return 0;
		ctx->pos = base + 2;
	}
	/* position base + 1 + pid */
	for (;;) {
		struct lx_group *g = lx_group_next(lx_self(), (lx_pid_t)(ctx->pos - base - 1));
		struct pid_inode pi = { g, NULL, &process_entry, -1 };
		char name[16];
		int len;

		if (!g)
			return 0;
		ctx->pos = base + 1 + g->pid;
		len = scnprintf(name, sizeof(name), "%d", g->pid);
		if (!ctx->emit(ctx, name, (size_t)len, number_inode(&pi), 4)) {
			lx_group_put(g);
			return 0;
		}
		ctx->pos++;
		lx_group_put(g);
	}
}

static bool root_evict(struct lx_inode *inode)
{
	if (inode->ops == &self_iops)
		return true;
	if (!pid_owns(inode))
		return false;
	pid_evict(inode);
	return true;
}

const struct pseudo_hooks proc_pid_hooks = { root_lookup, root_iterate, root_evict };
