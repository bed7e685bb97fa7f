/* SPDX-License-Identifier: MIT */
/*
 * proc: what a process's files say.  The formats are those of proc(5) to the
 * blank: programs parse them by columns and by names.
 */
#include <linux/resource.h>

#include "abi/calls.h"
#include "base/format.h"
#include "base/parse.h"
#include "fs/proc/pid.h"
#include "lx/mm.h"
#include "lx/pid.h"
#include "lx/seccomp.h"
#include "lx/tty.h"
#include "lx/user.h"

#define TICK_NS 10000000ull		/* USER_HZ is 100 */

static char state_letter(const struct lx_task *t)
{
	static const char letters[] = { 'R', 'S', 'D', 'T', 't', 'Z', 'X' };
	uint32_t st = atomic_load(&((struct lx_task *)t)->state);

	return st < sizeof(letters) ? letters[st] : 'X';
}

static const char *state_text(char letter)
{
	switch (letter) {
	case 'R':
		return "R (running)";
	case 'S':
		return "S (sleeping)";
	case 'D':
		return "D (disk sleep)";
	case 'T':
		return "T (stopped)";
	case 't':
		return "t (tracing stop)";
	case 'Z':
		return "Z (zombie)";
	default:
		return "X (dead)";
	}
}

static void get_comm(struct lx_task *t, char comm[16])
{
	rt_mutex_lock(&t->group->lock);
	memcpy(comm, t->comm, 16);
	rt_mutex_unlock(&t->group->lock);
	comm[15] = '\0';
}

struct signals {
	uint64_t pending, shared, blocked, ignored, caught;
	unsigned int threads;
};

static void get_signals(struct lx_task *t, struct signals *s)
{
	struct lx_group *g = t->group;

	*s = (struct signals){ 0 };
	rt_mutex_lock(&g->lock);
	s->pending = t->pending.set;
	s->shared = g->shared_pending.set;
	s->blocked = t->blocked;
	s->threads = g->nr_tasks;
	if (g->sighand) {
		rt_mutex_lock(&g->sighand->lock);
		for (int i = 0; i < LX_NSIG; i++) {
			if (g->sighand->action[i].handler == 1)
				s->ignored |= 1ull << i;
			else if (g->sighand->action[i].handler)
				s->caught |= 1ull << i;
		}
		rt_mutex_unlock(&g->sighand->lock);
	}
	rt_mutex_unlock(&g->lock);
}

struct memory {
	struct lx_mm *mm;		/* a reference, or NULL */
	struct k_space_info info;
};

static void get_memory(struct lx_task *t, struct memory *m)
{
	m->info = (struct k_space_info){ 0 };
	m->mm = lx_task_mm_get(t);
	if (m->mm && k_space_info(m->mm->space, &m->info) != K_OK)
		m->info = (struct k_space_info){ 0 };
}

static void put_memory(struct memory *m)
{
	if (m->mm)
		lx_mm_put(m->mm);
}

static uint64_t resident(const struct memory *m)
{
	return m->info.resident_anon_pages + m->info.resident_object_pages;
}

/* -- stat */

int pid_show_stat(struct pseudo_buf *b, const struct pid_subject *s)
{
	struct lx_task *t = s->task;
	struct lx_group *g = t->group;
	struct lx_rusage_sum own = { 0 }, dead;
	struct k_thread_info ti = { 0 };
	struct signals sig;
	struct memory m;
	lx_dev_t tty = 0;
	lx_pid_t tpgid = -1;
	char comm[16];
	bool look = !pid_may_look(s);
	uint64_t rlim;
	long priority;

	get_comm(t, comm);
	get_signals(t, &sig);
	get_memory(t, &m);
	if (s->thread)
		lx_task_usage(t, &own);
	else
		lx_group_usage(g, &own);
	if (!lx_tty_of_session(g->sid, &tty, &tpgid))
		tpgid = -1;
	if (t->thread)
		(void)!k_thread_info(t->thread, &ti);
	rt_mutex_lock(&g->lock);
	dead = g->dead_children;
	rlim = g->rlimits[RLIMIT_RSS].cur;
	priority = t->policy == 1 || t->policy == 2 ? -1 - t->rt_priority : 20 + t->nice;
	rt_mutex_unlock(&g->lock);

	pseudo_printf(b, "%d (%s) %c %d %d %d %d %d %u", s->thread ? t->tid : g->pid, comm,
		      state_letter(t), lx_group_ppid(g), g->pgid, g->sid, (int)lx_dev_encode(tty), tpgid,
		      t->is_kernel ? 0x00208040u : 0x00400000u);
	pseudo_printf(b, " %llu %llu %llu %llu", (unsigned long long)own.min_flt,
		      (unsigned long long)dead.min_flt, (unsigned long long)own.maj_flt,
		      (unsigned long long)dead.maj_flt);
	pseudo_printf(b, " %llu %llu %llu %llu", (unsigned long long)(own.utime_ns / TICK_NS),
		      (unsigned long long)(own.stime_ns / TICK_NS),
		      (unsigned long long)(dead.utime_ns / TICK_NS),
		      (unsigned long long)(dead.stime_ns / TICK_NS));
	pseudo_printf(b, " %ld %d %u 0 %llu %llu %llu %llu", priority, t->nice, sig.threads,
		      (unsigned long long)((s->thread ? t->start_ns : g->start_ns) / TICK_NS),
		      (unsigned long long)m.info.mapped_bytes, (unsigned long long)resident(&m),
		      (unsigned long long)rlim);
	/* addresses are for who may look at the memory they are in */
	pseudo_printf(b, " %llu %llu %llu 0 0", (unsigned long long)(m.mm && look ? m.mm->start_code : m.mm ? 1 : 0),
		      (unsigned long long)(m.mm && look ? m.mm->end_code : m.mm ? 1 : 0),
		      (unsigned long long)(m.mm && look ? m.mm->start_stack : 0));
	pseudo_printf(b, " %llu %llu %llu %llu 0 0 0", (unsigned long long)(sig.pending & 0x7fffffff),
		      (unsigned long long)(sig.blocked & 0x7fffffff),
		      (unsigned long long)(sig.ignored & 0x7fffffff),
		      (unsigned long long)(sig.caught & 0x7fffffff));
	pseudo_printf(b, " %d %u %d %d 0 0 0", s->thread && t != g->leader ? -1 : g->exit_signal, ti.cpu,
		      t->rt_priority, t->policy);
	if (m.mm && look)
		pseudo_printf(b, " %llu %llu %llu %llu %llu %llu %llu",
			      (unsigned long long)m.mm->start_data, (unsigned long long)m.mm->end_data,
			      (unsigned long long)m.mm->start_brk, (unsigned long long)m.mm->arg_start,
			      (unsigned long long)m.mm->arg_end, (unsigned long long)m.mm->env_start,
			      (unsigned long long)m.mm->env_end);
	else
		pseudo_puts(b, " 0 0 0 0 0 0 0");
	pseudo_printf(b, " %d\n", look ? t->exit_code : 0);
	put_memory(&m);
	return 0;
}

/* -- status */

static void show_ids(struct pseudo_buf *b, struct lx_task *t)
{
	const struct lx_cred *c = lx_task_cred_get(t);
	struct lx_fs *fs = lx_task_fs_get(t);

	if (fs) {
		pseudo_printf(b, "Umask:\t%04o\n", fs->umask);
		lx_fs_put(fs);
	}
	pseudo_printf(b, "State:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\n",
		      state_text(state_letter(t)), t->group->pid, t->tid, lx_group_ppid(t->group));
	pseudo_printf(b, "TracerPid:\t%d\n", t->ptracer ? t->ptracer->group->pid : 0);
	if (!c)
		return;
	pseudo_printf(b, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n", c->uid, c->euid, c->suid,
		      c->fsuid, c->gid, c->egid, c->sgid, c->fsgid);
	lx_cred_put(c);
}

static void show_groups(struct pseudo_buf *b, struct lx_task *t)
{
	const struct lx_cred *c = lx_task_cred_get(t);
	struct lx_files *files = lx_task_files_get(t);
	struct lx_group *g = t->group;

	pseudo_printf(b, "FDSize:\t%u\nGroups:\t", files ? lx_files_room(files) : 0);
	if (files)
		lx_files_put(files);
	for (uint32_t i = 0; c && i < c->ngroups; i++)
		pseudo_printf(b, "%u ", c->groups[i]);
	pseudo_printf(b, "%s\nNStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\n",
		      c && c->ngroups ? "" : " ", g->pid, t->tid, g->pgid, g->sid);
	if (c)
		lx_cred_put(c);
}

static unsigned long long kib(uint64_t bytes)
{
	return bytes / 1024;
}

static void show_memory(struct pseudo_buf *b, struct lx_task *t)
{
	struct memory m;
	const struct k_space_info *i = &m.info;

	get_memory(t, &m);
	if (m.mm)
		pseudo_printf(b,
			      "VmPeak:\t%8llu kB\nVmSize:\t%8llu kB\nVmLck:\t%8llu kB\n"
			      "VmPin:\t%8u kB\nVmHWM:\t%8llu kB\nVmRSS:\t%8llu kB\n"
			      "RssAnon:\t%8llu kB\nRssFile:\t%8llu kB\nRssShmem:\t%8u kB\n"
			      "VmData:\t%8llu kB\nVmStk:\t%8llu kB\nVmExe:\t%8llu kB\n"
			      "VmLib:\t%8llu kB\nVmPTE:\t%8llu kB\nVmSwap:\t%8u kB\n"
			      "HugetlbPages:\t%8u kB\nCoreDumping:\t0\nTHP_enabled:\t0\n",
			      kib(MAX(i->peak_mapped_bytes, i->mapped_bytes)), kib(i->mapped_bytes),
			      kib(i->locked_bytes), 0u,
			      kib(MAX(i->peak_resident_pages, resident(&m)) * K_PAGE_SIZE),
			      kib(resident(&m) * K_PAGE_SIZE), kib(i->resident_anon_pages * K_PAGE_SIZE),
			      kib(i->resident_object_pages * K_PAGE_SIZE), 0u,
			      kib(i->private_writable_bytes), kib(i->stack_bytes),
			      kib(m.mm->end_code - m.mm->start_code),
			      kib(i->exec_bytes - MIN(i->exec_bytes, m.mm->end_code - m.mm->start_code)),
			      kib(i->page_table_pages * K_PAGE_SIZE), 0u, 0u);
	put_memory(&m);
}

static void show_signals(struct pseudo_buf *b, struct lx_task *t)
{
	const struct lx_cred *c = lx_task_cred_get(t);
	struct signals s;
	uint64_t limit;

	get_signals(t, &s);
	rt_mutex_lock(&t->group->lock);
	limit = t->group->rlimits[RLIMIT_SIGPENDING].cur;
	rt_mutex_unlock(&t->group->lock);
	pseudo_printf(b, "Threads:\t%u\nSigQ:\t0/%llu\nSigPnd:\t%016llx\nShdPnd:\t%016llx\n"
		      "SigBlk:\t%016llx\nSigIgn:\t%016llx\nSigCgt:\t%016llx\n", s.threads,
		      (unsigned long long)limit, (unsigned long long)s.pending,
		      (unsigned long long)s.shared, (unsigned long long)s.blocked,
		      (unsigned long long)s.ignored, (unsigned long long)s.caught);
	if (!c)
		return;
	pseudo_printf(b, "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%016llx\n"
		      "CapAmb:\t%016llx\n", (unsigned long long)c->cap_inheritable,
		      (unsigned long long)c->cap_permitted, (unsigned long long)c->cap_effective,
		      (unsigned long long)c->cap_bounding, (unsigned long long)c->cap_ambient);
	lx_cred_put(c);
}

static void show_cpus(struct pseudo_buf *b, struct lx_task *t)
{
	struct k_system_info info;
	uint32_t cpus = k_system_info(&info) == K_OK ? info.cpus : 1;
	uint64_t all = cpus >= 64 ? ~0ull : (1ull << cpus) - 1, mask;
	bool first = true;

	rt_mutex_lock(&t->group->lock);
	mask = t->affinity & all;
	rt_mutex_unlock(&t->group->lock);
	if (!mask)
		mask = all;
	if (mask >> 32)
		pseudo_printf(b, "Cpus_allowed:\t%x,%08x\nCpus_allowed_list:\t", (uint32_t)(mask >> 32),
			      (uint32_t)mask);
	else
		pseudo_printf(b, "Cpus_allowed:\t%x\nCpus_allowed_list:\t", (uint32_t)mask);
	for (uint32_t i = 0; i < cpus; i++) {
		uint32_t end = i;

		if (!(mask >> i & 1))
			continue;
		while (end + 1 < cpus && (mask >> (end + 1) & 1))
			end++;
		pseudo_printf(b, end > i ? "%s%u-%u" : "%s%u", first ? "" : ",", i, end);
		first = false;
		i = end;
	}
	pseudo_puts(b, "\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
}

int pid_show_status(struct pseudo_buf *b, const struct pid_subject *s)
{
	struct lx_rusage_sum own = { 0 };
	char comm[16];

	get_comm(s->task, comm);
	pseudo_puts(b, "Name:\t");
	for (const char *p = comm; *p; p++) {
		if (*p == '\n')
			pseudo_puts(b, "\\n");
		else if (*p == '\\')
			pseudo_puts(b, "\\\\");
		else
			pseudo_bytes(b, p, 1);
	}
	pseudo_puts(b, "\n");
	show_ids(b, s->task);
	show_groups(b, s->task);
	show_memory(b, s->task);
	show_signals(b, s->task);
	pseudo_printf(b, "NoNewPrivs:\t%d\nSeccomp:\t%u\nSeccomp_filters:\t%u\n"
		      "Speculation_Store_Bypass:\tvulnerable\n"
		      "SpeculationIndirectBranch:\talways enabled\n", s->task->no_new_privs,
		      lx_seccomp_mode(s->task), lx_seccomp_filters(s->task));
	show_cpus(b, s->task);
	lx_task_usage(s->task, &own);
	pseudo_printf(b, "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t%llu\n",
		      (unsigned long long)own.nvcsw, (unsigned long long)own.nivcsw);
	return 0;
}

int pid_show_statm(struct pseudo_buf *b, const struct pid_subject *s)
{
	struct memory m;

	get_memory(s->task, &m);
	pseudo_printf(b, "%llu %llu %llu %llu 0 %llu 0\n",
		      (unsigned long long)(m.info.mapped_bytes / K_PAGE_SIZE),
		      (unsigned long long)resident(&m),
		      (unsigned long long)m.info.resident_object_pages,
		      (unsigned long long)(m.mm ? DIV_ROUND_UP(m.mm->end_code - m.mm->start_code, K_PAGE_SIZE) : 0),
		      (unsigned long long)(m.info.private_writable_bytes / K_PAGE_SIZE));
	put_memory(&m);
	return 0;
}

/* -- memory of the program as text */

static int show_range(struct pseudo_buf *b, struct lx_mm *mm, uint64_t start, uint64_t end)
{
	char chunk[512];

	while (start < end) {
		int64_t n = lx_mm_access(mm, start, chunk, MIN(end - start, (uint64_t)sizeof(chunk)), false);

		if (n <= 0)
			break;
		pseudo_bytes(b, chunk, (size_t)n);
		start += (uint64_t)n;
	}
	return 0;
}

int pid_show_cmdline(struct pseudo_buf *b, const struct pid_subject *s)
{
	struct lx_mm *mm = lx_task_mm_get(s->task);

	if (!mm)
		return 0;
	show_range(b, mm, mm->arg_start, mm->arg_end);
	/*
	 * Programs that write a title over their arguments may write over the NUL at
	 * the end, and on into the environment: the text goes to the first NUL then.
	 */
	if (b->len && b->data[b->len - 1] && mm->env_start == mm->arg_end) {
		const char *nul;

		show_range(b, mm, mm->env_start, MIN(mm->env_end, mm->env_start + K_PAGE_SIZE));
		nul = memchr(b->data, '\0', b->len);
		if (nul)
			b->len = (size_t)(nul - b->data) + 1;
	}
	lx_mm_put(mm);
	return 0;
}

int pid_show_environ(struct pseudo_buf *b, const struct pid_subject *s)
{
	struct lx_mm *mm = lx_task_mm_get(s->task);

	if (!mm)
		return 0;
	show_range(b, mm, mm->env_start, mm->env_end);
	lx_mm_put(mm);
	return 0;
}

int pid_show_auxv(struct pseudo_buf *b, const struct pid_subject *s)
{
	struct lx_mm *mm = lx_task_mm_get(s->task);
	size_t n = 0;

	if (!mm)
		return 0;
	while (n + 2 < ARRAY_SIZE(mm->saved_auxv) && mm->saved_auxv[n])
		n += 2;
	pseudo_bytes(b, mm->saved_auxv, (n + 2) * sizeof(mm->saved_auxv[0]));
	lx_mm_put(mm);
	return 0;
}

/* -- small ones */

int pid_show_comm(struct pseudo_buf *b, const struct pid_subject *s)
{
	char comm[16];

	get_comm(s->task, comm);
	pseudo_printf(b, "%s\n", comm);
	return 0;
}

int pid_store_comm(const char *text, size_t n, const struct pid_subject *s)
{
	char comm[16] = { 0 };

	/* threads of one's own process only */
	if (s->task->group != lx_self()->group)
		return -EINVAL;
	memcpy(comm, text, MIN(n, sizeof(comm) - 1));
	rt_mutex_lock(&s->task->group->lock);
	memcpy(s->task->comm, comm, sizeof(comm));
	rt_mutex_unlock(&s->task->group->lock);
	return 0;
}

int pid_show_limits(struct pseudo_buf *b, const struct pid_subject *s)
{
	static const struct { const char *name, *unit; } limits[LX_NR_RLIMITS] = {
		[RLIMIT_CPU] = { "Max cpu time", "seconds" },
		[RLIMIT_FSIZE] = { "Max file size", "bytes" },
		[RLIMIT_DATA] = { "Max data size", "bytes" },
		[RLIMIT_STACK] = { "Max stack size", "bytes" },
		[RLIMIT_CORE] = { "Max core file size", "bytes" },
		[RLIMIT_RSS] = { "Max resident set", "bytes" },
		[RLIMIT_NPROC] = { "Max processes", "processes" },
		[RLIMIT_NOFILE] = { "Max open files", "files" },
		[RLIMIT_MEMLOCK] = { "Max locked memory", "bytes" },
		[RLIMIT_AS] = { "Max address space", "bytes" },
		[RLIMIT_LOCKS] = { "Max file locks", "locks" },
		[RLIMIT_SIGPENDING] = { "Max pending signals", "signals" },
		[RLIMIT_MSGQUEUE] = { "Max msgqueue size", "bytes" },
		[RLIMIT_NICE] = { "Max nice priority", NULL },
		[RLIMIT_RTPRIO] = { "Max realtime priority", NULL },
		[RLIMIT_RTTIME] = { "Max realtime timeout", "us" },
	};
	struct lx_rlimit r[LX_NR_RLIMITS];

	rt_mutex_lock(&s->task->group->lock);
	memcpy(r, s->task->group->rlimits, sizeof(r));
	rt_mutex_unlock(&s->task->group->lock);
	pseudo_puts(b, "Limit                     Soft Limit           Hard Limit           Units     \n");
	for (int i = 0; i < LX_NR_RLIMITS; i++) {
		char soft[24] = "unlimited", hard[24] = "unlimited";

		if (r[i].cur != ~0ull)
			snprintf(soft, sizeof(soft), "%llu", (unsigned long long)r[i].cur);
		if (r[i].max != ~0ull)
			snprintf(hard, sizeof(hard), "%llu", (unsigned long long)r[i].max);
		pseudo_printf(b, "%-25s %-20s %-20s ", limits[i].name, soft, hard);
		if (limits[i].unit)
			pseudo_printf(b, "%-10s\n", limits[i].unit);
		else
			pseudo_puts(b, "\n");
	}
	return 0;
}

int pid_show_io(struct pseudo_buf *b, const struct pid_subject *s)
{
	uint64_t rchar = 0, wchar = 0, syscr = 0, syscw = 0;
	lx_pid_t tid = 0;
	struct lx_task *t;

	if (s->thread) {
		rchar = s->task->io_rchar;
		wchar = s->task->io_wchar;
		syscr = s->task->io_syscr;
		syscw = s->task->io_syscw;
	} else {
		while ((t = lx_group_next_task(s->task->group, tid))) {
			rchar += t->io_rchar;
			wchar += t->io_wchar;
			syscr += t->io_syscr;
			syscw += t->io_syscw;
			tid = t->tid + 1;
			lx_task_put(t);
		}
	}
	pseudo_printf(b, "rchar: %llu\nwchar: %llu\nsyscr: %llu\nsyscw: %llu\n"
		      "read_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n",
		      (unsigned long long)rchar, (unsigned long long)wchar, (unsigned long long)syscr,
		      (unsigned long long)syscw);
	return 0;
}

int pid_show_oom_score(struct pseudo_buf *b, const struct pid_subject *s)
{
	pseudo_printf(b, "%d\n", lx_oom_score(s->task->group));
	return 0;
}

int pid_show_oom_score_adj(struct pseudo_buf *b, const struct pid_subject *s)
{
	pseudo_printf(b, "%d\n", s->task->group->oom_score_adj);
	return 0;
}

int pid_store_oom_score_adj(const char *text, size_t n, const struct pid_subject *s)
{
	int64_t v;
	size_t used = parse_i64(text, n, 10, &v);

	if (!used || (used < n && text[used] != '\n') || v < -1000 || v > 1000)
		return -EINVAL;
	if (v < s->task->group->oom_score_adj && !lx_capable(lx_self(), 24 /* CAP_SYS_RESOURCE */))
		return -EACCES;
	s->task->group->oom_score_adj = (int)v;
	return 0;
}

int pid_show_oom_adj(struct pseudo_buf *b, const struct pid_subject *s)
{
	pseudo_printf(b, "%d\n", s->task->group->oom_score_adj * 17 / 1000);
	return 0;
}

int pid_show_wchan(struct pseudo_buf *b, const struct pid_subject *s)
{
	pseudo_puts(b, "0");
	return 0;
}

int pid_show_cgroup(struct pseudo_buf *b, const struct pid_subject *s)
{
	pseudo_puts(b, "0::/\n");
	return 0;
}

int pid_show_personality(struct pseudo_buf *b, const struct pid_subject *s)
{
	pseudo_printf(b, "%08x\n", s->task->personality);
	return 0;
}

int pid_show_syscall(struct pseudo_buf *b, const struct pid_subject *s)
{
	pseudo_puts(b, "running\n");
	return 0;
}

int pid_show_stack(struct pseudo_buf *b, const struct pid_subject *s)
{
	return 0;
}

int pid_show_timerslack(struct pseudo_buf *b, const struct pid_subject *s)
{
	pseudo_printf(b, "%llu\n", (unsigned long long)s->task->timer_slack_ns);
	return 0;
}

int pid_show_schedstat(struct pseudo_buf *b, const struct pid_subject *s)
{
	struct lx_rusage_sum own = { 0 };

	lx_task_usage(s->task, &own);
	pseudo_printf(b, "%llu 0 %llu\n", (unsigned long long)(own.utime_ns + own.stime_ns),
		      (unsigned long long)(own.nvcsw + own.nivcsw));
	return 0;
}

int pid_show_coredump_filter(struct pseudo_buf *b, const struct pid_subject *s)
{
	pseudo_puts(b, "00000033\n");
	return 0;
}

int pid_show_uid_map(struct pseudo_buf *b, const struct pid_subject *s)
{
	pseudo_puts(b, "         0          0 4294967295\n");
	return 0;
}

int pid_show_setgroups(struct pseudo_buf *b, const struct pid_subject *s)
{
	pseudo_puts(b, "allow\n");
	return 0;
}

int pid_show_children(struct pseudo_buf *b, const struct pid_subject *s)
{
	struct lx_group *g;
	lx_pid_t pid = 0;

	/* our children belong to the process: the leader's file shows them */
	if (s->task->tid != s->task->group->pid)
		return 0;
	while ((g = lx_group_next(lx_self(), pid))) {
		if (lx_group_ppid(g) == s->task->group->pid)
			pseudo_printf(b, "%d ", g->pid);
		pid = g->pid + 1;
		lx_group_put(g);
	}
	return 0;
}

/* -- mounts */

static int show_mounts(struct pseudo_buf *b, const struct pid_subject *s, enum lx_mount_style style)
{
	struct lx_fs *fs = lx_task_fs_get(s->task);
	struct lx_nsproxy *ns = s->task->ns;
	struct lx_path root;
	char *text;
	size_t n;

	if (!fs)
		return -EINVAL;
	lx_fs_paths(fs, &root, NULL);
	n = lx_mounts_show(ns && ns->mnt ? ns->mnt : lx_init_mntns, &root, style, &text);
	pseudo_bytes(b, text, n);
	rt_free(text);
	lx_path_put(&root);
	lx_fs_put(fs);
	return 0;
}

int pid_show_mounts(struct pseudo_buf *b, const struct pid_subject *s)
{
	return show_mounts(b, s, LX_MOUNTS);
}

int pid_show_mountinfo(struct pseudo_buf *b, const struct pid_subject *s)
{
	return show_mounts(b, s, LX_MOUNTINFO);
}

int pid_show_mountstats(struct pseudo_buf *b, const struct pid_subject *s)
{
	return show_mounts(b, s, LX_MOUNTSTATS);
}

/* -- fdinfo */

int pid_show_fdinfo(struct pseudo_buf *b, const struct pid_subject *s, int fd)
{
	struct lx_files *files = lx_task_files_get(s->task);
	struct lx_file *f;
	bool cloexec = false;
	int n = fd;

	if (!files)
		return -ENOENT;
	f = lx_files_next(files, &n, &cloexec);
	lx_files_put(files);
	if (!f || n != fd) {
		if (f)
			lx_file_put(f);
		return -ENOENT;
	}
	pseudo_printf(b, "pos:\t%lli\nflags:\t0%o\nmnt_id:\t%u\nino:\t%llu\n",
		      (long long)atomic_load(&f->pos),
		      atomic_load(&f->flags) | (cloexec ? O_CLOEXEC : 0),
		      f->path.mnt ? f->path.mnt->id : 0, (unsigned long long)f->inode->ino);
	if (f->ops->fdinfo) {
		char *more = rt_alloc(K_PAGE_SIZE);

		if (more) {
			more[0] = '\0';
			pseudo_bytes(b, more, f->ops->fdinfo(f, more, K_PAGE_SIZE));
			rt_free(more);
		}
	}
	lx_file_put(f);
	return 0;
}
