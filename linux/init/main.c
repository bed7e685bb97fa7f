/* SPDX-License-Identifier: MIT */
/*
 * Where the personality begins, in both placements.
 *
 * lx_main() runs on the first thread.  It learns from init what it was given,
 * starts the subsystems in the order of their dependencies, starts process 1 on a
 * thread of its own, and then goes on listening: links to devices arrive whenever
 * their drivers find them.
 */

#include "abi/calls.h"
#include "abi/link.h"
#include "init/init_impl.h"
#include "link/blk.h"
#include "link/link.h"
#include "link/p9.h"
#include "block/block.h"
#include "fs/9p/init.h"
#include "fs/fuse/init.h"
#include "fs/proc/proc.h"
#include "fs/pseudo/pseudo.h"
#include "lx/char.h"
#include "lx/cred.h"
#include "lx/ipc.h"
#include "lx/link_dev.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/netns.h"
#include "lx/pid.h"
#include "lx/system.h"
#include "lx/task.h"
#include "lx/timer.h"
#include "lx/trace.h"
#include "lx/tty.h"
#include "lx/vdso.h"
#include "lx/xstate.h"
#include "rt/log.h"
#include "rt/thread.h"
#include "task/task_impl.h"

struct lx_system lx_system;
struct cmdline lx_cmdline;

void lx_main(k_handle_t bootstrap);

static void close_all(const k_handle_t *handles)
{
	unsigned int i;

	for (i = 0; i < K_MESSAGE_MAX_HANDLES; i++)
		if (handles[i])
			(void)!k_handle_close(handles[i]);
}

/* The first message: everything that is given at the start. */
static void receive_start(k_handle_t channel, union linux_message *m, k_handle_t *handles)
{
	k_status_t st;

	do {
		st = link_bus_receive(channel, m, handles, K_DEADLINE_NEVER);
		if (st != K_OK)
			rt_panic("init does not say what to start: %d", st);
		if (m->kind != LINUX_START)
			close_all(handles);
	} while (m->kind != LINUX_START);
	lx_system.process = handles[LINUX_HANDLE_PROCESS];
	lx_system.group = handles[LINUX_HANDLE_GROUP];
	lx_system.power = handles[LINUX_HANDLE_POWER];
	lx_system.log = handles[LINUX_HANDLE_LOG];
	lx_system.control = handles[LINUX_HANDLE_CONTROL];
	lx_system.space = handles[LINUX_HANDLE_SPACE];
	lx_system.in_process = m->start.placement == LINUX_PLACEMENT_PROCESS;
	m->start.name[sizeof(m->start.name) - 1] = '\0';
	m->start.command_line[sizeof(m->start.command_line) - 1] = '\0';
	strlcpy(lx_system.name, m->start.name, sizeof(lx_system.name));
	strlcpy(lx_system.command_line, m->start.command_line, sizeof(lx_system.command_line));
	lx_memory_group = lx_system.group;
	if (k_system_info(&lx_system.info) != K_OK)
		rt_panic("no information about the system");
}

/* This thread's own task: locks and sleeps need one. */
static void become_task(void)
{
	struct lx_group *g = lx_group_alloc();
	struct lx_task *self = g ? lx_task_alloc(g) : NULL;

	if (!self)
		rt_panic("no memory to start");
	self->is_kernel = true;
	self->cred = lx_cred_get(&lx_init_cred);
	strlcpy(self->comm, "links", sizeof(self->comm));
	self->frame = rt_frame();
	rt_set_self(self);
}

static void must(int err, const char *what)
{
	/* ENOSPC: of files that are memory only, which leave some to programs */
	if (err == -ENOMEM || err == -ENOSPC)
		init_panic("not enough memory to start %s", what);
	if (err)
		init_panic("cannot start %s: error %d", what, err);
}

static int show_cmdline(struct pseudo_buf *b, void *arg)
{
	pseudo_printf(b, "%s\n", lx_system.command_line);
	return 0;
}

static void start_subsystems(void)
{
	lx_xstate_init(&lx_system.info);
	lx_pidns_limits(&lx_system.info);
	must(lx_timer_start(), "timers");
	lx_loadavg_start();
	lx_vdso_init();
	must(lx_vfs_init(), "file systems");
	must(lx_reclaim_start(), "reclaim");
	must(pseudo_file(lx_proc_tree, "cmdline", 0444, show_cmdline, NULL, NULL), "/proc/cmdline");
	must(lx_proc_system_init(), "/proc");
	must(lx_ipc_init(), "IPC");
	must(lx_net_init(), "the network");
	must(lx_char_init(), "character devices");
	must(lx_block_init(), "block devices");
	must(lx_fuse_init(), "FUSE");
	lx_9p_init();
	must(lx_tty_init(), "terminals");
	lx_console_setup(lx_system.command_line);
}

/*
 * Opening a device waits for its driver, so that each gets a task of its own.  The
 * devices of the start are settled when init has said so and all of these are done.
 */
static _Atomic(uint32_t) unsettled = 1;	/* devices being opened, and init's word */

static void settle_one(void)
{
	if (atomic_fetch_sub(&unsettled, 1) == 1)
		init_settled();
}

static void open_disk(void *link)
{
	struct blk *blk;
	k_status_t st = blk_open(link, K_DEADLINE_NEVER, &blk);

	if (st == K_OK)
		(void)lx_blkdev_add(blk);
	else
		link_close(link);
	/* A link that is closed is of a driver that found nothing, or of one that init has spoken of. */
	if (st != K_OK && st != K_ERR_CLOSED)
		rt_log(RT_LOG_ERR, "linux: a disk cannot be opened: %d", st);
	settle_one();
}

static void open_9p(void *link)
{
	struct p9link *p;
	k_status_t st = p9link_open(link, K_DEADLINE_NEVER, &p);

	if (st == K_OK)
		lx_9p_channel_add(p);
	else
		rt_log(RT_LOG_ERR, "linux: a 9P server cannot be opened: %d", st);
	settle_one();
}

static void open_card(void *link)
{
	lx_link_dev_add(link);
	settle_one();
}

static void device_arrived(const struct linux_link *l, k_handle_t *handles, void (*open)(void *link))
{
	struct link *link;
	k_status_t st = link_open(&l->geometry, handles, LX_LOCK_LINK, &link);

	if (st != K_OK) {
		rt_log(RT_LOG_ERR, "linux: link %s: %d", l->geometry.name, st);
		return;
	}
	atomic_fetch_add(&unsettled, 1);
	if (!lx_kthread_create("device", open, link)) {
		link_close(link);
		settle_one();
	}
}

/* -- devices that go */

static k_handle_t init_channel;		/* constant: to init */

static void link_removed(void *arg)
{
	struct linux_link_removal *r = arg;
	struct k_message m = { .data = (uint64_t)(uintptr_t)r, .length = sizeof(*r) };

	if (r->class_id == LINK_CLASS_BLOCK)
		lx_blkdev_remove(r->index);
	r->kind = LINUX_LINK_REMOVED;
	if (k_channel_send(init_channel, &m) != K_OK)
		rt_log(RT_LOG_ERR, "linux: init does not hear that a link is used no more");
	rt_free(r);
}

/* What is on a disk is synced first, which may take its time. */
static void link_leaves(const struct linux_link_removal *m)
{
	struct linux_link_removal *r = rt_alloc(sizeof(*r)), here = *m;

	if (!r) {
		rt_log(RT_LOG_ERR, "linux: no memory to remove a disk");
		return;
	}
	*r = here;
	if (!lx_kthread_create("remove", link_removed, r))
		link_removed(r);
}

static void link_arrived(const struct linux_link *l, k_handle_t *handles)
{
	switch (l->geometry.class_id) {
	case LINK_CLASS_CONSOLE:
		lx_console_link(l, handles);
		break;
	case LINK_CLASS_BLOCK:
		device_arrived(l, handles, open_disk);
		break;
	case LINK_CLASS_NET:
		device_arrived(l, handles, open_card);
		break;
	case LINK_CLASS_9P:
		device_arrived(l, handles, open_9p);
		break;
	default:
		close_all(handles);
	}
}

static void listen(k_handle_t channel)
{
	union linux_message m;
	k_handle_t handles[K_MESSAGE_MAX_HANDLES];

	while (link_bus_receive(channel, &m, handles, K_DEADLINE_NEVER) == K_OK) {
		if (m.kind == LINUX_LINK)
			link_arrived(&m.link, handles);
		else if (m.kind == LINUX_LINK_REMOVE)
			link_leaves(&m.removal);
		else if (m.kind == LINUX_SETTLED)
			settle_one();
		else
			close_all(handles);
	}
	rt_log(RT_LOG_WARNING, "linux: init has gone; no more devices will come");
	for (;;) {
		_Atomic(uint32_t) never = 0;

		(void)rt_wait(&never, 0, K_DEADLINE_NEVER, false);
	}
}

void lx_main(k_handle_t bootstrap)
{
	union linux_message m;
	k_handle_t handles[K_MESSAGE_MAX_HANDLES];

	receive_start(bootstrap, &m, handles);
	become_task();
	cmdline_parse(&lx_cmdline, lx_system.command_line);
	lx_trace_setup(lx_cmdline.trace);
	lx_block_force_gpt = lx_cmdline.gpt;
	start_subsystems();
	init_channel = bootstrap;
	init_task_start(handles[LINUX_HANDLE_INITRD], m.start.initrd_length);
	listen(bootstrap);
}
