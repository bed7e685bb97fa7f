/* SPDX-License-Identifier: MIT */
/* uname, sethostname, setdomainname, sysinfo, getcpu and other facts. */

#include "lx/uts.h"

#include <linux/capability.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>

#include "abi/calls.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/ns.h"
#include "lx/pid.h"
#include "lx/syscall.h"
#include "lx/system.h"
#include "lx/task.h"
#include "rt/random.h"
#include "rt/time.h"

struct lx_utsns lx_init_utsns = {
	.refs = 1,
	.ino = 0xeffffffeu,
	.lock = RT_MUTEX_INIT(LX_LOCK_LEAF),
	.nodename = "(none)",
	.domainname = "(none)",
};

struct lx_utsns *lx_utsns_get(struct lx_utsns *ns)
{
	atomic_fetch_add_explicit(&ns->refs, 1, memory_order_relaxed);
	return ns;
}

void lx_utsns_put(struct lx_utsns *ns)
{
	if (atomic_fetch_sub(&ns->refs, 1) == 1)
		rt_free(ns);
}

struct lx_utsns *lx_utsns_copy(struct lx_utsns *from)
{
	struct lx_utsns *ns = rt_zalloc(sizeof(*ns));

	if (!ns)
		return NULL;
	atomic_init(&ns->refs, 1);
	rt_mutex_init(&ns->lock, LX_LOCK_LEAF);
	ns->ino = lx_ns_number_next();
	rt_mutex_lock(&from->lock);
	memcpy(ns->nodename, from->nodename, sizeof(ns->nodename));
	memcpy(ns->domainname, from->domainname, sizeof(ns->domainname));
	rt_mutex_unlock(&from->lock);
	return ns;
}

long lx_sys_uname(struct lx_task *self, uaddr_t name)
{
	struct lx_utsns *uts = self->ns->uts;
	struct new_utsname u = { 0 };

	strlcpy(u.sysname, "Linux", sizeof(u.sysname));
	strlcpy(u.release, self->personality & 0x0020000 ? "2.6.61" : LX_RELEASE,
		sizeof(u.release));
	strlcpy(u.version, LX_UTS_VERSION, sizeof(u.version));
	strlcpy(u.machine, LX_MACHINE, sizeof(u.machine));
	rt_mutex_lock(&uts->lock);
	memcpy(u.nodename, uts->nodename, sizeof(u.nodename));
	memcpy(u.domainname, uts->domainname, sizeof(u.domainname));
	rt_mutex_unlock(&uts->lock);
	return lx_copy_to_user(name, &u, sizeof(u));
}

static long set_name(struct lx_task *self, char *name, uaddr_t uname, int length)
{
	struct lx_utsns *uts = self->ns->uts;
	char new[65] = { 0 };

	if (!lx_capable(self, CAP_SYS_ADMIN))
		return -EPERM;
	if (length < 0 || length > 64)
		return -EINVAL;
	if (lx_copy_from_user(new, uname, (size_t)length))
		return -EFAULT;
	rt_mutex_lock(&uts->lock);
	memcpy(name, new, sizeof(new));
	rt_mutex_unlock(&uts->lock);
	return 0;
}

long lx_sys_sethostname(struct lx_task *self, uaddr_t name, int length)
{
	return set_name(self, self->ns->uts->nodename, name, length);
}

long lx_sys_setdomainname(struct lx_task *self, uaddr_t name, int length)
{
	return set_name(self, self->ns->uts->domainname, name, length);
}

long lx_sys_sysinfo(struct lx_task *self, uaddr_t uinfo)
{
	struct k_system_info k;
	struct sysinfo s = { 0 };

	if (k_system_info(&k) != K_OK)
		return -EIO;
	s.uptime = (long)(k.uptime_ns / 1000000000);
	lx_load_averages(s.loads);
	s.totalram = k.memory_bytes;
	s.freeram = k.free_bytes;
	s.sharedram = k.shared_bytes;
	s.procs = (unsigned short)MIN(lx_init_pidns.tasks, 65535u);
	s.mem_unit = 1;
	return lx_copy_to_user(uinfo, &s, sizeof(s));
}

long lx_sys_getcpu(struct lx_task *self, uaddr_t ucpu, uaddr_t unode, uint64_t unused)
{
	struct k_thread_info info;
	uint32_t zero = 0;

	if (k_thread_info(K_HANDLE_NONE, &info) != K_OK)
		info.cpu = 0;
	if (ucpu.v && lx_copy_to_user(ucpu, &info.cpu, sizeof(info.cpu)))
		return -EFAULT;
	if (unode.v && lx_copy_to_user(unode, &zero, sizeof(zero)))
		return -EFAULT;
	return 0;
}

long lx_sys_personality(struct lx_task *self, unsigned int persona)
{
	uint32_t old = self->personality;

	if (persona != 0xffffffff)
		self->personality = persona;
	return old;
}

/* -- parts of the processor's state ------------------------------------------------------- */

#define ARCH_SET_GS	0x1001u
#define ARCH_SET_FS	0x1002u
#define ARCH_GET_FS	0x1003u
#define ARCH_GET_GS	0x1004u
#define ARCH_CET_STATUS	0x3001u

long lx_sys_arch_prctl(struct lx_task *self, unsigned int option, uint64_t addr)
{
	struct k_user_frame *f = self->frame;

	switch (option) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (addr >= K_PROGRAM_MAX)
			return -EPERM;
		if (option == ARCH_SET_FS)
			f->fs_base = addr;
		else
			f->gs_base = addr;
		return 0;
	case ARCH_GET_FS:
		return lx_copy_to_user(uaddr(addr), &f->fs_base, sizeof(f->fs_base));
	case ARCH_GET_GS:
		return lx_copy_to_user(uaddr(addr), &f->gs_base, sizeof(f->gs_base));
	}
	return -EINVAL;
}
