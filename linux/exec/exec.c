/* SPDX-License-Identifier: MIT */
/*
 * execve and execveat.
 *
 * Two halves.  First everything that can fail is done without touching the
 * program: files are opened and checked, strings are copied, the new credentials
 * computed, a new address space made.  Then, from the point of no return on, the
 * other threads go, the new memory replaces the old, and whatever still fails
 * kills the program, because there is none left to return to.
 */

#include <asm/signal.h>
#include <linux/auxvec.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/resource.h>
#include <linux/securebits.h>
#include <linux/stat.h>

#include "abi/calls.h"
#include "base/format.h"
#include "exec/exec_impl.h"
#include "lx/cred.h"
#include "lx/exec.h"
#include "lx/file.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/pid.h"
#include "lx/ptrace.h"
#include "lx/rseq.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "lx/trace.h"
#include "lx/vfs.h"
#include "lx/xstate.h"
#include "task/task_impl.h"

#define MAX_STRING	(32u * K_PAGE_SIZE)
#define MAX_DEPTH	5

/* -- strings ----------------------------------------------------------------------- */

static int reserve(struct exec *e, size_t n)
{
	size_t capacity = e->capacity ? e->capacity : 4096;
	char *s;

	if (n > e->limit || e->length > e->limit - n)
		return -E2BIG;
	if (e->length + n <= e->capacity)
		return 0;
	while (capacity < e->length + n)
		capacity *= 2;
	s = rt_realloc(e->strings, capacity);
	if (!s)
		return -ENOMEM;
	e->strings = s;
	e->capacity = capacity;
	return 0;
}

int exec_append(struct exec *e, const char *s, size_t n)
{
	int err = reserve(e, n + 1);

	if (err)
		return err;
	memcpy(e->strings + e->length, s, n);
	e->strings[e->length + n] = '\0';
	e->length += n + 1;
	return 0;
}

int exec_prepend(struct exec *e, const char *s)
{
	size_t n = strlen(s) + 1;
	int err = reserve(e, n);

	if (err)
		return err;
	memmove(e->strings + n, e->strings, e->length);
	memcpy(e->strings, s, n);
	e->length += n;
	e->env_start += n;
	e->argc++;
	return 0;
}

/* One string of the program, at the end. */
static int append_user(struct exec *e, uaddr_t src)
{
	size_t chunk = 256;
	int64_t n;
	int err;

	for (;;) {
		err = reserve(e, chunk);
		if (err && chunk == 256)
			return err;
		if (err)
			return -E2BIG;
		n = lx_string_from_user(e->strings + e->length, src, chunk);
		if (n == -ENAMETOOLONG) {
			if (chunk >= MAX_STRING)
				return -E2BIG;
			chunk *= 4;
			continue;
		}
		if (n < 0)
			return (int)n;
		e->length += (size_t)n + 1;
		return 0;
	}
}

/* The strings of a NULL-terminated array of the program. */
static int append_array(struct lx_task *self, struct exec *e, uaddr_t array, unsigned int *count)
{
	uint64_t ptr;
	int err;

	for (*count = 0; array.v; (*count)++) {
		if (lx_copy_from_user(&ptr, uaddr_add(array, *count * sizeof(ptr)), sizeof(ptr)))
			return -EFAULT;
		if (!ptr)
			break;
		/* Pointers count against the limit too. */
		if (*count * sizeof(ptr) > e->limit)
			return -E2BIG;
		err = append_user(e, uaddr(ptr));
		if (err)
			return err;
		if (lx_fatal_signal_pending(self))
			return -LX_ERESTARTNOHAND;
	}
	return 0;
}

static int copy_strings(struct lx_task *self, struct exec *e, uaddr_t argv, uaddr_t envp)
{
	uint64_t stack = lx_rlimit(self, RLIMIT_STACK);
	int err;

	e->limit = MAX(MIN(stack / 4, (uint64_t)6 << 20), (uint64_t)128 << 10);
	err = append_array(self, e, argv, &e->argc);
	if (!err && !e->argc) {
		e->argc = 1;
		err = exec_append(e, "", 0);
	}
	e->env_start = e->length;
	if (!err)
		err = append_array(self, e, envp, &e->envc);
	if (!err && e->length + (e->argc + e->envc) * 8ul > e->limit)
		err = -E2BIG;
	return err;
}

/* -- credentials --------------------------------------------------------------------- */

static bool gives_ids(struct lx_task *self, const struct lx_file *f)
{
	if (self->no_new_privs)
		return false;
	return !(f->path.mnt && (atomic_load(&f->path.mnt->flags) & LX_MNT_NOSUID));
}

/* See capabilities(7), "Transformation of capabilities during execve()". */
static void new_capabilities(struct lx_cred *c, bool changed_ids)
{
	uint64_t ambient = changed_ids ? 0 : c->cap_ambient;

	if (!(c->securebits & SECBIT_NOROOT) && (c->euid == 0 || c->uid == 0)) {
		c->cap_permitted = c->cap_inheritable | c->cap_bounding;
		c->cap_effective = c->euid == 0 ? c->cap_permitted : ambient;
	} else {
		c->cap_permitted = ambient;
		c->cap_effective = ambient;
	}
	c->cap_ambient = ambient;
	c->securebits &= ~(uint32_t)SECBIT_KEEP_CAPS;
}

static int new_credentials(struct lx_task *self, struct exec *e)
{
	const struct lx_inode *inode = e->file->inode;
	struct lx_cred *c = lx_cred_copy(self->cred);
	bool changed;

	if (!c)
		return -ENOMEM;
	if (gives_ids(self, e->file)) {
		if (inode->mode & S_ISUID)
			c->euid = inode->uid;
		if ((inode->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
			c->egid = inode->gid;
	}
	/* A tracer without the right to trace such a program must not gain by it. */
	if (lx_ptrace_is_traced(self) && (c->euid != self->cred->euid ||
					  c->egid != self->cred->egid) &&
	    !lx_capable(self, CAP_SYS_PTRACE)) {
		c->euid = self->cred->euid;
		c->egid = self->cred->egid;
	}
	changed = c->euid != self->cred->euid || c->egid != self->cred->egid;
	c->suid = c->fsuid = c->euid;
	c->sgid = c->fsgid = c->egid;
	new_capabilities(c, changed);
	e->secure = c->euid != c->uid || c->egid != c->gid;
	e->cred = c;
	return 0;
}

/* -- the point of no return ---------------------------------------------------------------- */

static void set_comm(struct lx_task *self, const char *path)
{
	const char *base = strrchr(path, '/');
	char comm[sizeof(self->comm)] = { 0 };

	strlcpy(comm, base ? base + 1 : path, sizeof(comm));
	rt_mutex_lock(&self->group->lock);
	memcpy(self->comm, comm, sizeof(comm));
	rt_mutex_unlock(&self->group->lock);
}

/* exec by one thread unshares what threads share. */
static int own_files(struct lx_task *self)
{
	struct lx_files *copy, *old = self->files;

	copy = lx_files_copy(old);
	if (!copy)
		return -ENOMEM;
	rt_mutex_lock(&self->group->lock);
	self->files = copy;
	rt_mutex_unlock(&self->group->lock);
	lx_files_put(old);
	return 0;
}

static void take_new_identity(struct lx_task *self, struct exec *e)
{
	struct lx_group *g = self->group;
	const struct lx_cred *old = self->cred;

	if (e->secure || old->euid != e->cred->euid || old->egid != e->cred->egid) {
		self->pdeath_signal = 0;
		e->mm->dumpable = false;
	}
	rt_mutex_lock(&g->lock);
	self->cred = e->cred;
	g->dumpable = e->mm->dumpable;
	rt_mutex_unlock(&g->lock);
	e->cred = NULL;
	lx_cred_put(old);
}

/* Everything of the old program that the new one does not get.  Nothing goes back from here. */
static int replace_program(struct lx_task *self, struct exec *e)
{
	struct lx_group *g = self->group;
	int err;

	lx_mm_release(self);
	lx_mm_use(self, lx_mm_get(e->mm));
	lx_vfork_release(self);
	err = lx_signal_exec(self);
	if (err)
		return err;
	err = own_files(self);
	if (err)
		return err;
	lx_itimers_exec(g);
	set_comm(self, e->path);
	lx_trace_check(self);
	lx_debug_forget(self);
	self->personality &= ~0x0400000u;	/* READ_IMPLIES_EXEC */
	self->restart.fn = NULL;
	lx_rseq_forget(self);
	rt_mutex_lock(&lx_init_pidns.lock);
	g->exit_signal = SIGCHLD;
	g->did_exec = true;
	rt_mutex_unlock(&lx_init_pidns.lock);
	self->did_exec = true;
	lx_files_close_on_exec(self->files);
	take_new_identity(self, e);
	return 0;
}

static void enter_program(struct lx_task *self, const struct exec *e)
{
	struct k_user_frame *f = self->frame;
	uint64_t nr = f->orig_rax;

	memset(f, 0, sizeof(*f));
	f->orig_rax = nr;
	f->rip = e->entry;
	f->rsp = e->stack;
	f->rflags = 0x202;
	(void)lx_xstate_clear();
}

static int commit(struct lx_task *self, struct exec *e, const struct elf_image *image)
{
	struct lx_siginfo kill = lx_siginfo_kernel(SIGSEGV);
	lx_pid_t old_tid = self->tid;
	int err;

	/* Failing here can still be reported, though the other threads may be gone. */
	err = lx_group_become_single(self);
	if (err)
		return err;
	err = replace_program(self, e);
	if (!err)
		err = exec_elf_load(self, e, image);
	if (err) {
		lx_signal_force(self, &kill);
		return err;
	}
	enter_program(self, e);
	lx_ptrace_exec(self, old_tid);
	return 0;
}

/* -- from the file to the program ----------------------------------------------------------------- */

int exec_read_header(struct exec *e)
{
	int64_t n;

	memset(e->header, 0, sizeof(e->header));
	n = lx_file_read_kernel(e->file, e->header, sizeof(e->header), 0);
	return n < 0 ? (int)n : 0;
}

static int find_program(struct lx_task *self, struct exec *e, struct elf_image *image)
{
	int depth, err;

	for (depth = 0;; depth++) {
		if (depth > MAX_DEPTH)
			return -ELOOP;
		err = exec_read_header(e);
		if (err)
			return err;
		err = exec_script(self, e);
		if (err == -ENOEXEC)
			break;
		if (err)
			return err;
	}
	return exec_elf_parse(self, e, image);
}

static void exec_free(struct exec *e)
{
	if (e->file)
		lx_file_put(e->file);
	if (e->cred)
		lx_cred_put(e->cred);
	if (e->mm)
		lx_mm_put(e->mm);
	rt_free(e->script);
	rt_free(e->strings);
}

/* @path is ours, @file has been opened; both are the caller's still. */
static int do_exec(struct lx_task *self, struct lx_file *file, char *path, bool path_lost,
		   struct exec *e)
{
	struct elf_image image = { 0 };
	int err;

	e->file = file;
	e->path = path;
	e->path_lost = path_lost;
	err = find_program(self, e, &image);
	if (!err)
		err = new_credentials(self, e);
	if (!err)
		err = exec_append(e, path, strlen(path));
	if (!err && !(e->mm = lx_mm_create()))
		err = -ENOMEM;
	if (!err)
		err = commit(self, e, &image);
	exec_elf_free(&image);
	return err;
}

/* The name of a program that was given by descriptor. */
static char *fd_path(int dfd, const char *name)
{
	char *path = rt_alloc(LX_PATH_MAX + 32);

	if (path && *name)
		snprintf(path, LX_PATH_MAX + 32, "/dev/fd/%d/%s", dfd, name);
	else if (path)
		snprintf(path, 32, "/dev/fd/%d", dfd);
	return path;
}

static bool fd_is_cloexec(struct lx_task *self, int fd)
{
	struct lx_file *f;
	bool cloexec = false;
	int at = fd;

	f = lx_files_next(self->files, &at, &cloexec);
	if (f)
		lx_file_put(f);
	return f && at == fd && cloexec;
}

static long exec_at(struct lx_task *self, int dfd, uaddr_t uname, uaddr_t argv, uaddr_t envp,
		    unsigned int flags)
{
	struct exec *e;
	struct lx_file *f = NULL, *opened;
	char *name, *path = NULL;
	bool lost = false;
	int err;

	if (flags & ~(unsigned int)(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	err = lx_name_from_user(self, uname, flags & AT_EMPTY_PATH, &name);
	if (err)
		return err;
	e = rt_zalloc(sizeof(*e));
	err = e ? 0 : -ENOMEM;
	if (!err) {
		err = lx_open_exec(self, dfd, name, flags, &opened);
		if (!err)
			f = opened;
	}
	if (!err && dfd != AT_FDCWD && name[0] != '/') {
		path = fd_path(dfd, name);
		lost = fd_is_cloexec(self, dfd);
		if (!path)
			err = -ENOMEM;
	}
	if (!err)
		err = copy_strings(self, e, argv, envp);
	if (!err) {
		err = do_exec(self, f, path ? path : name, lost, e);
		f = NULL;		/* e's now */
	}
	if (f)
		lx_file_put(f);
	if (e) {
		exec_free(e);
		rt_free(e);
	}
	rt_free(path);
	lx_name_free(name);
	return err;
}

long lx_sys_execve(struct lx_task *self, uaddr_t name, uaddr_t argv, uaddr_t envp)
{
	return exec_at(self, AT_FDCWD, name, argv, envp, 0);
}

long lx_sys_execveat(struct lx_task *self, int dfd, uaddr_t name, uaddr_t argv, uaddr_t envp,
		     unsigned int flags)
{
	return exec_at(self, dfd, name, argv, envp, flags);
}

int lx_exec_kernel(struct lx_task *self, const char *path, const char *const *argv,
		   const char *const *envp)
{
	struct exec *e = rt_zalloc(sizeof(*e));
	struct lx_file *f;
	int err;

	if (!e)
		return -ENOMEM;
	e->limit = (size_t)128 << 10;
	for (err = 0; !err && argv[e->argc]; e->argc++)
		err = exec_append(e, argv[e->argc], strlen(argv[e->argc]));
	e->env_start = e->length;
	for (; !err && envp[e->envc]; e->envc++)
		err = exec_append(e, envp[e->envc], strlen(envp[e->envc]));
	if (!err)
		err = lx_open_exec(self, AT_FDCWD, path, 0, &f);
	if (!err)
		err = do_exec(self, f, (char *)(uintptr_t)path, false, e);
	exec_free(e);
	rt_free(e);
	return err;
}
