/* SPDX-License-Identifier: MIT */
/*
 * Process 1: from nothing to the first program.
 */

#include <asm/signal.h>
#include <linux/fcntl.h>
#include <linux/resource.h>

#include <stdarg.h>

#include "abi/calls.h"
#include "base/format.h"
#include "init/init_impl.h"
#include "lx/cred.h"
#include "lx/exec.h"
#include "lx/file.h"
#include "lx/fs.h"
#include "lx/lock_rank.h"
#include "lx/ns.h"
#include "lx/pid.h"
#include "lx/system.h"
#include "lx/task.h"
#include "lx/tty.h"
#include "lx/user.h"
#include "lx/vfs.h"
#include "rt/log.h"
#include "rt/thread.h"
#include "rt/time.h"
#include "task/task_impl.h"

static k_handle_t initrd;		/* constant after the start */
static uint64_t initrd_length;
static _Atomic(uint32_t) settled;

/* How long a console may take to appear before init starts without one. */
#define CONSOLE_PATIENCE_NS	10000000000ull

void init_panic(const char *fmt, ...)
{
	char text[200];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	rt_log(RT_LOG_EMERG, "Kernel panic - not syncing: %s", text);
	if (lx_system.power)
		(void)!k_power(lx_system.power, K_POWER_PANIC, 0);
	rt_panic("%s", text);
}

void lx_init_died(int code)
{
	init_panic("Attempted to kill init! exitcode=0x%08x", (unsigned int)code);
}

void init_settled(void)
{
	atomic_store(&settled, 1);
	rt_wake(&settled, ~0u);
}

static void wait_for_console(void)
{
	uint64_t deadline = rt_now_ns() + CONSOLE_PATIENCE_NS;

	/* (The arrival of a console has no bell of its own: look every millisecond.) */
	while (!lx_console_ready() && !atomic_load(&settled) && rt_now_ns() < deadline)
		(void)rt_wait(&settled, 0, rt_now_ns() + 1000000, false);
}

static void wait_until_settled(void)
{
	uint64_t deadline = rt_now_ns() + CONSOLE_PATIENCE_NS;

	while (!atomic_load(&settled))
		if (rt_wait(&settled, 0, deadline, false) == K_ERR_TIMED_OUT)
			break;
}

static void open_console(struct lx_task *self)
{
	struct lx_file *f;
	int err = lx_open_at(self, AT_FDCWD, "/dev/console", O_RDWR, 0, &f), i;

	if (err) {
		rt_log(RT_LOG_ERR, "Warning: unable to open an initial console.");
		return;
	}
	for (i = 0; i < 3; i++)
		if (lx_fd_install(self, lx_file_get(f), 0, false) < 0)
			lx_file_put(f);
	lx_file_put(f);
}

static int run_program(struct lx_task *self, const char *path)
{
	rt_log(RT_LOG_INFO, "Run %s as init process", path);
	lx_cmdline.argv[0] = path;
	return lx_exec_kernel(self, path, lx_cmdline.argv, lx_cmdline.envp);
}

/* Returns when a program has been loaded. */
static void find_init(struct lx_task *self, bool ramdisk)
{
	static const char *const defaults[] = { "/sbin/init", "/etc/init", "/bin/init", "/bin/sh" };
	const char *rdinit = lx_cmdline.rdinit ? lx_cmdline.rdinit : "/init";
	size_t i;
	int err;

	if (ramdisk) {
		err = run_program(self, rdinit);
		if (!err)
			return;
		rt_log(RT_LOG_ERR, "Failed to execute %s (error %d)", rdinit, err);
	}
	if (lx_cmdline.init) {
		err = run_program(self, lx_cmdline.init);
		if (!err)
			return;
		init_panic("Requested init %s failed (error %d).", lx_cmdline.init, err);
	}
	for (i = 0; i < ARRAY_SIZE(defaults); i++) {
		err = run_program(self, defaults[i]);
		if (!err)
			return;
		if (err != -ENOENT)
			rt_log(RT_LOG_ERR, "Starting init: %s exists but couldn't execute it (error %d)",
			       defaults[i], err);
	}
	init_panic("No working init found.  Try passing init= option to kernel.");
}

static void init_main(void *arg)
{
	struct lx_task *self = arg;
	bool ramdisk = false;
	char name[64];
	int err;

	self->frame = rt_frame();
	if (initrd && initrd_length) {
		err = lx_initramfs_unpack(initrd, initrd_length);
		if (err == -ENOMEM)
			rt_log(RT_LOG_EMERG, "Initramfs unpacking failed: out of memory");
		else if (err)
			rt_log(RT_LOG_EMERG, "Initramfs unpacking failed: error %d", err);
		(void)!k_handle_close(initrd);
		ramdisk = lx_initramfs_has(self, lx_cmdline.rdinit ? lx_cmdline.rdinit : "/init");
	}
	wait_for_console();
	if (ramdisk) {
		(void)lx_do_mkdir(self, "/dev", 0755);
		(void)lx_devtmpfs_mount(self);
	} else {
		wait_until_settled();
		err = lx_mount_root(self, &lx_cmdline.root, name);
		if (err)
			init_panic("VFS: Unable to mount root fs on %s", name);
		(void)lx_devtmpfs_mount(self);
	}
	open_console(self);
	find_init(self, ramdisk);
	lx_task_main(self);
}

static void set_limits(struct lx_group *g)
{
	uint64_t threads = atomic_load(&lx_init_pidns.threads_max) / 2;
	int i;

	for (i = 0; i < RLIM_NLIMITS; i++)
		g->rlimits[i] = (struct lx_rlimit){ ~0ull, ~0ull };
	g->rlimits[RLIMIT_STACK].cur = 8 << 20;
	g->rlimits[RLIMIT_CORE].cur = 0;
	g->rlimits[RLIMIT_NPROC] = (struct lx_rlimit){ threads, threads };
	g->rlimits[RLIMIT_NOFILE] = (struct lx_rlimit){ 1024, 4096 };
	g->rlimits[RLIMIT_MEMLOCK] = (struct lx_rlimit){ 8 << 20, 8 << 20 };
	g->rlimits[RLIMIT_SIGPENDING] = (struct lx_rlimit){ threads, threads };
	g->rlimits[RLIMIT_MSGQUEUE] = (struct lx_rlimit){ 819200, 819200 };
	g->rlimits[RLIMIT_NICE] = (struct lx_rlimit){ 0, 0 };
	g->rlimits[RLIMIT_RTPRIO] = (struct lx_rlimit){ 0, 0 };
}

struct lx_task *lx_task_create_init(void)
{
	struct lx_group *g = lx_group_alloc();
	struct lx_task *t = g ? lx_task_alloc(g) : NULL;

	if (!t || lx_pid_alloc(&lx_init_pidns, &t->pid))
		return NULL;
	t->tid = g->pid = t->pid->nr;
	g->pid_struct = lx_pid_get(t->pid);
	g->sighand = lx_sighand_create();
	t->cred = lx_cred_get(&lx_init_cred);
	t->user = lx_user_get_uid(0);
	t->files = lx_files_create();
	t->fs = lx_fs_create();
	t->ns = lx_nsproxy_create_init();
	if (!g->sighand || !t->user || !t->files || !t->fs || !t->ns)
		return NULL;
	atomic_fetch_add(&t->user->processes, 1);
	t->altstack.flags = 2;		/* SS_DISABLE */
	strlcpy(t->comm, "swapper", sizeof(t->comm));
	set_limits(g);
	g->flags = LX_GROUP_UNKILLABLE;
	g->exit_signal = SIGCHLD;

	rt_mutex_lock(&lx_init_pidns.lock);
	g->leader = lx_task_get(t);
	list_add_last(&g->tasks, &t->group_link);
	g->nr_tasks = g->live = 1;
	t->pid->task = t;
	t->pid->group = g;
	t->pid->uses++;
	/* Session and process group 0, as on Linux: nobody's. */
	lx_group_join_pgrp_locked(g, &lx_no_pid);
	lx_group_join_session_locked(g, &lx_no_pid);
	lx_init_pidns.init = g;
	lx_init_pidns.tasks++;
	rt_mutex_unlock(&lx_init_pidns.lock);
	lx_group_put(g);		/* the task's reference stays */
	return t;
}

void init_task_start(k_handle_t memory, uint64_t length)
{
	struct lx_task *t = lx_task_create_init();

	initrd = memory;
	initrd_length = length;
	if (!t || rt_thread_create(init_main, t, NULL, K_HANDLE_NONE, 0, "init",
				   &t->thread) != K_OK)
		init_panic("no memory for the first process");
}
