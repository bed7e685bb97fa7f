/* SPDX-License-Identifier: MIT */
/*
 * proc: the system as a whole, and its parameters (sys/).  The forms are those of
 * proc(5); numbers that do not exist here are 0.
 */
#include <linux/capability.h>
#include <linux/sysinfo.h>

#include "abi/calls.h"
#include "base/format.h"
#include "base/parse.h"
#include "block/block.h"
#include "fs/proc/proc.h"
#include "fs/sysfs/sysfs.h"
#include "lx/arch.h"
#include "lx/mm.h"
#include "lx/pid.h"
#include "lx/pipe.h"
#include "lx/system.h"
#include "lx/uts.h"
#include "rt/random.h"
#include "rt/time.h"

#define TICK_NS 10000000ull		/* USER_HZ is 100 */
#define PAGE ((unsigned long long)K_PAGE_SIZE)

static struct k_system_info system_info(void)
{
	struct k_system_info info;

	if (k_system_info(&info) != K_OK)
		info = lx_system.info;
	return info;
}

/* -- memory */

static int show_meminfo(struct pseudo_buf *b, void *arg)
{
	struct k_system_info k = system_info();
	struct k_object_counts c = { 0 };
	uint64_t cached = k.cached_bytes + k.shared_bytes, anon = k.anon_bytes;
	/* As Linux: not all of the cache can go without harm. */
	uint64_t available = k.free_bytes + k.cached_bytes - MIN(k.cached_bytes / 2, lx_memory_mark());
	struct { const char *name; uint64_t bytes; } rows[] = {
		{ "MemTotal", k.memory_bytes }, { "MemFree", k.free_bytes },
		{ "MemAvailable", available }, { "Buffers", 0 }, { "Cached", cached },
		{ "SwapCached", 0 }, { "Active", 0 }, { "Inactive", 0 }, { "SwapTotal", 0 },
		{ "SwapFree", 0 }, { "Dirty", lx_dirty_bytes() }, { "Writeback", 0 }, { "AnonPages", 0 },
		{ "Mapped", 0 }, { "Shmem", k.shared_bytes }, { "KReclaimable", 0 }, { "Slab", 0 },
		{ "SReclaimable", 0 }, { "SUnreclaim", 0 }, { "KernelStack", 0 },
		{ "PageTables", 0 }, { "CommitLimit", k.memory_bytes / 2 }, { "Committed_AS", 0 },
		{ "VmallocTotal", 34359738367ull * 1024 }, { "VmallocUsed", 0 },
	};

	(void)!k_system_objects(&c);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *n = rows[i].name;
		uint64_t v = rows[i].bytes;

		if (str_equal(n, "AnonPages"))
			v = anon;
		else if (str_equal(n, "Active") || str_equal(n, "Committed_AS"))
			v = anon + k.shared_bytes;
		else if (str_equal(n, "Inactive"))
			v = k.cached_bytes;
		else if (str_equal(n, "Slab") || str_equal(n, "SUnreclaim"))
			v = c.slab_pages * PAGE;
		else if (str_equal(n, "KernelStack"))
			v = c.stack_pages * PAGE;
		else if (str_equal(n, "PageTables"))
			v = c.table_pages * PAGE;
		pseudo_printf(b, "%s:%*s%8llu kB\n", n, (int)(15 - strlen(n)), "",
			      (unsigned long long)(v / 1024));
	}
	pseudo_puts(b, "HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\n"
		       "HugePages_Surp:        0\nHugepagesize:       2048 kB\n");
	return 0;
}

static int show_vmstat(struct pseudo_buf *b, void *arg)
{
	struct k_system_info k = system_info();
	unsigned long long free = k.free_bytes / PAGE, file = k.cached_bytes / PAGE;
	unsigned long long shared = k.shared_bytes / PAGE;

	pseudo_printf(b, "nr_free_pages %llu\nnr_inactive_anon 0\nnr_active_anon 0\nnr_inactive_file %llu\n"
		      "nr_active_file 0\nnr_file_pages %llu\nnr_dirty 0\nnr_writeback 0\nnr_mapped 0\n"
		      "nr_anon_pages %llu\nnr_shmem %llu\nnr_slab_reclaimable 0\nnr_slab_unreclaimable 0\n"
		      "pgpgin 0\npgpgout 0\npswpin 0\npswpout 0\npgfault 0\npgmajfault %llu\n"
		      "pgsteal_file %llu\nworkingset_refault_file %llu\nworkingset_activate_file %llu\n"
		      "oom_kill %llu\n", free, file, file + shared,
		      (unsigned long long)(k.anon_bytes / PAGE), shared,
		      (unsigned long long)lx_major_faults(), (unsigned long long)lx_reclaim_evicted(),
		      (unsigned long long)lx_workingset_refaults(),
		      (unsigned long long)lx_workingset_activations(), (unsigned long long)lx_oom_kills());
	return 0;
}

static int show_swaps(struct pseudo_buf *b, void *arg)
{
	pseudo_puts(b, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
	return 0;
}

/* -- processors */

/* Names of feature bits, by CPUID word: 1.edx, 1.ecx, 7.ebx, 7.ecx. */
static const char *const feature_names[4][32] = {
	{ "fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce", "cx8", "apic", NULL, "sep", "mtrr",
	  "pge", "mca", "cmov", "pat", "pse36", "pn", "clflush", NULL, "dts", "acpi", "mmx", "fxsr",
	  "sse", "sse2", "ss", "ht", "tm", "ia64", "pbe" },
	{ "pni", "pclmulqdq", "dtes64", "monitor", "ds_cpl", "vmx", "smx", "est", "tm2", "ssse3", "cid",
	  "sdbg", "fma", "cx16", "xtpr", "pdcm", NULL, "pcid", "dca", "sse4_1", "sse4_2", "x2apic",
	  "movbe", "popcnt", "tsc_deadline_timer", "aes", "xsave", NULL, "avx", "f16c", "rdrand",
	  "hypervisor" },
	{ "fsgsbase", "tsc_adjust", "sgx", "bmi1", "hle", "avx2", NULL, "smep", "bmi2", "erms",
	  "invpcid", "rtm", "cqm", NULL, "mpx", "rdt_a", "avx512f", "avx512dq", "rdseed", "adx", "smap",
	  "avx512ifma", NULL, "clflushopt", "clwb", "intel_pt", "avx512pf", "avx512er", "avx512cd",
	  "sha_ni", "avx512bw", "avx512vl" },
	{ NULL, "avx512vbmi", "umip", "pku", "ospke", "waitpkg", "avx512_vbmi2", NULL, "gfni", "vaes",
	  "vpclmulqdq", "avx512_vnni", "avx512_bitalg", "tme", "avx512_vpopcntdq", NULL, "la57" },
};

static int show_cpuinfo(struct pseudo_buf *b, void *arg)
{
	struct k_system_info k = system_info();

	for (uint32_t cpu = 0; cpu < k.cpus; cpu++) {
		struct k_cpu_info c;

		if (k_cpu_info(cpu, &c) != K_OK || !c.online)
			continue;
		pseudo_printf(b, "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n"
			      "model name\t: %s\nstepping\t: %u\ncpu MHz\t\t: %llu.%03llu\n"
			      "cache size\t: 0 KB\nphysical id\t: %u\nsiblings\t: 1\ncore id\t\t: 0\n"
			      "cpu cores\t: 1\napicid\t\t: %u\ninitial apicid\t: %u\nfpu\t\t: yes\n"
			      "fpu_exception\t: yes\ncpuid level\t: 13\nwp\t\t: yes\nflags\t\t:", cpu, c.vendor,
			      c.family, c.model_number, c.model, c.stepping,
			      (unsigned long long)(c.khz / 1000), (unsigned long long)(c.khz % 1000), cpu,
			      c.apic_id, c.apic_id);
		for (int w = 0; w < 4; w++)
			for (int i = 0; i < 32; i++)
				if ((k.features[w] >> i & 1) && feature_names[w][i])
					pseudo_printf(b, " %s", feature_names[w][i]);
		/* every processor in 64-bit mode has these */
		pseudo_printf(b, " syscall nx lm\nbugs\t\t:\nbogomips\t: %llu.%02llu\nclflush size\t: 64\n"
			      "cache_alignment\t: 64\naddress sizes\t: 48 bits physical, 48 bits virtual\n"
			      "power management:\n\n", (unsigned long long)(c.khz / 500),
			      (unsigned long long)(c.khz / 5 % 100));
	}
	return 0;
}

static void cpu_line(struct pseudo_buf *b, const char *name, const struct k_cpu_info *c)
{
	pseudo_printf(b, "%s %llu 0 %llu %llu 0 %llu 0 0 0 0\n", name,
		      (unsigned long long)(c->user_ns / TICK_NS),
		      (unsigned long long)(c->system_ns / TICK_NS),
		      (unsigned long long)(c->idle_ns / TICK_NS),
		      (unsigned long long)(c->interrupt_ns / TICK_NS));
}

static int show_stat(struct pseudo_buf *b, void *arg)
{
	struct k_system_info k = system_info();
	struct k_cpu_info sum = { 0 }, c;
	struct lx_task_counts tasks;
	uint64_t boot = (rt_realtime_ns() - rt_now_ns()) / 1000000000;

	for (uint32_t i = 0; i < k.cpus; i++) {
		if (k_cpu_info(i, &c) != K_OK)
			continue;
		sum.user_ns += c.user_ns;
		sum.system_ns += c.system_ns;
		sum.idle_ns += c.idle_ns;
		sum.interrupt_ns += c.interrupt_ns;
	}
	cpu_line(b, "cpu ", &sum);
	for (uint32_t i = 0; i < k.cpus; i++) {
		char name[16];

		if (k_cpu_info(i, &c) != K_OK || !c.online)
			continue;
		snprintf(name, sizeof(name), "cpu%u", i);
		cpu_line(b, name, &c);
	}
	lx_count_tasks(lx_self(), &tasks);
	pseudo_printf(b, "intr %llu\nctxt %llu\nbtime %llu\nprocesses %llu\nprocs_running %u\n"
		      "procs_blocked %u\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
		      (unsigned long long)k.interrupts, (unsigned long long)k.context_switches,
		      (unsigned long long)boot, (unsigned long long)atomic_load(&lx_init_pidns.forks),
		      MAX(tasks.running, 1u), tasks.blocked);
	return 0;
}

static int show_uptime(struct pseudo_buf *b, void *arg)
{
	struct k_system_info k = system_info();
	uint64_t up = rt_now_ns() / TICK_NS, idle = 0;

	for (uint32_t i = 0; i < k.cpus; i++) {
		struct k_cpu_info c;

		if (k_cpu_info(i, &c) == K_OK)
			idle += c.idle_ns / TICK_NS;
	}
	pseudo_printf(b, "%llu.%02llu %llu.%02llu\n", (unsigned long long)(up / 100),
		      (unsigned long long)(up % 100), (unsigned long long)(idle / 100),
		      (unsigned long long)(idle % 100));
	return 0;
}

static int show_loadavg(struct pseudo_buf *b, void *arg)
{
	unsigned long loads[LX_LOADS];
	struct lx_task_counts tasks;

	lx_load_averages(loads);
	for (unsigned int i = 0; i < LX_LOADS; i++) {
		/* to the nearest hundredth */
		unsigned long hundredths = (loads[i] * 100 + (1ul << (SI_LOAD_SHIFT - 1))) >> SI_LOAD_SHIFT;

		pseudo_printf(b, "%lu.%02lu ", hundredths / 100, hundredths % 100);
	}
	lx_count_tasks(lx_self(), &tasks);
	pseudo_printf(b, "%u/%u %d\n", MAX(tasks.running, 1u), tasks.all, lx_init_pidns.last);
	return 0;
}

/* One line of /proc/interrupts: what @of finds, for each CPU. */
static void interrupt_line(struct pseudo_buf *b, const char *label, uint32_t cpus,
			   uint64_t (*of)(const struct k_cpu_info *c), const char *what)
{
	struct k_cpu_info c;

	pseudo_printf(b, "%4s: ", label);
	for (uint32_t i = 0; i < cpus; i++)
		pseudo_printf(b, "%10llu ", (unsigned long long)(k_cpu_info(i, &c) == K_OK ? of(&c) : 0));
	pseudo_printf(b, "  %s\n", what);
}

static uint64_t timer_interrupts(const struct k_cpu_info *c)
{
	return c->timer_interrupts;
}

static uint64_t reschedules(const struct k_cpu_info *c)
{
	return c->reschedules;
}

static uint64_t shootdowns(const struct k_cpu_info *c)
{
	return c->shootdowns;
}

/* Numbers of messages, which have none, begin behind those of all lines. */
enum { FIRST_MESSAGE = 256 };

static void device_line(struct pseudo_buf *b, const struct k_irq_info *irq, uint32_t cpus)
{
	bool message = irq->line == UINT32_MAX;

	pseudo_printf(b, "%4u: ", message ? FIRST_MESSAGE + irq->next - 1 : irq->line);
	for (uint32_t i = 0; i < cpus; i++)
		pseudo_printf(b, "%10llu ", (unsigned long long)(i == irq->cpu ? irq->count : 0));
	pseudo_printf(b, " %s %s\n", message ? "PCI-MSI   edge" : irq->level ? "IO-APIC  level" :
									  "IO-APIC   edge",
		      irq->name);
}

static int show_interrupts(struct pseudo_buf *b, void *arg)
{
	struct k_system_info k = system_info();
	struct k_irq_info irq = { 0 };

	pseudo_puts(b, "      ");
	for (uint32_t i = 0; i < k.cpus; i++)
		pseudo_printf(b, "%s%u%*s", "      CPU", i, i < 10 ? 1 : 0, "");
	pseudo_puts(b, "\n");
	while (k_irq_info(irq.next, &irq) == K_OK)
		device_line(b, &irq, k.cpus);
	interrupt_line(b, "LOC", k.cpus, timer_interrupts, "Local timer interrupts");
	interrupt_line(b, "RES", k.cpus, reschedules, "Rescheduling interrupts");
	interrupt_line(b, "TLB", k.cpus, shootdowns, "TLB shootdowns");
	return 0;
}

/* -- names and lists */

static int show_version(struct pseudo_buf *b, void *arg)
{
	pseudo_printf(b, "Linux version %s (concord@concord) (gcc) %s\n", LX_RELEASE, LX_UTS_VERSION);
	return 0;
}

static int show_filesystems(struct pseudo_buf *b, void *arg)
{
	for (const struct lx_fs_type *t = lx_fs_next(NULL); t; t = lx_fs_next(t))
		pseudo_printf(b, "%s\t%s\n", t->flags & LX_FS_NODEV ? "nodev" : "", t->name);
	return 0;
}

/* A table that somebody else writes into a plain buffer. */
static int show_table(struct pseudo_buf *b, size_t (*write)(char *buf, size_t size))
{
	char *buf = rt_alloc(16384);

	if (!buf)
		return -ENOMEM;
	pseudo_bytes(b, buf, write(buf, 16384));
	rt_free(buf);
	return 0;
}

static int show_devices(struct pseudo_buf *b, void *arg)
{
	int err;

	pseudo_puts(b, "Character devices:\n");
	err = show_table(b, lx_chrdev_show);
	pseudo_puts(b, "\nBlock devices:\n");
	lx_blkdev_show_majors(b);
	return err;
}

static int show_partitions(struct pseudo_buf *b, void *arg)
{
	lx_blkdev_show_partitions(b);
	return 0;
}

static int show_diskstats(struct pseudo_buf *b, void *arg)
{
	lx_blkdev_show_stats(b);
	return 0;
}

static int show_locks(struct pseudo_buf *b, void *arg)
{
	return show_table(b, lx_locks_show);
}

/* -- sys */

static int show_nothing(struct pseudo_buf *b, void *arg)
{
	return 0;
}

static int show_u32(struct pseudo_buf *b, void *arg)
{
	pseudo_printf(b, "%u\n", atomic_load((_Atomic(uint32_t) *)arg));
	return 0;
}

static int store_within(const char *text, size_t n, uint64_t min, uint64_t max, void *arg)
{
	uint64_t v;

	if (!pseudo_parse_u64(text, n, &v) || v < min || v > max)
		return -EINVAL;
	if (!lx_capable(lx_self(), CAP_SYS_ADMIN))
		return -EPERM;
	atomic_store((_Atomic(uint32_t) *)arg, (uint32_t)v);
	return 0;
}

static int store_u32(const char *text, size_t n, void *arg)
{
	return store_within(text, n, 0, INT32_MAX, arg);
}

/* The bounds are Linux's: RESERVED_PIDS + 1 and PID_MAX_LIMIT, ... */
static int store_pid_max(const char *text, size_t n, void *arg)
{
	return store_within(text, n, 301, 4194304, arg);
}

/* ... and FUTEX_TID_MASK. */
static int store_threads_max(const char *text, size_t n, void *arg)
{
	return store_within(text, n, 1, 0x3fffffff, arg);
}

static int store_drop_caches(const char *text, size_t n, void *arg)
{
	uint64_t what;
	size_t used = parse_u64(text, n, 10, &what);

	if (!used || what < 1 || what > 4 || (used < n && !char_is_space(text[used])))
		return -EINVAL;
	lx_reclaim_drop(what & 1, what & 2);
	return 0;
}

static int show_hostname(struct pseudo_buf *b, void *arg)
{
	struct lx_utsns *uts = lx_self()->ns->uts;
	char name[65];

	rt_mutex_lock(&uts->lock);
	memcpy(name, arg ? uts->domainname : uts->nodename, sizeof(name));
	rt_mutex_unlock(&uts->lock);
	pseudo_printf(b, "%s\n", name);
	return 0;
}

static int store_hostname(const char *text, size_t n, void *arg)
{
	struct lx_utsns *uts = lx_self()->ns->uts;
	char name[65] = { 0 };

	if (!lx_capable(lx_self(), CAP_SYS_ADMIN))
		return -EPERM;
	while (n && char_is_space(text[n - 1]))
		n--;
	memcpy(name, text, MIN(n, sizeof(name) - 1));
	rt_mutex_lock(&uts->lock);
	memcpy(arg ? uts->domainname : uts->nodename, name, sizeof(name));
	rt_mutex_unlock(&uts->lock);
	return 0;
}

static void show_uuid(struct pseudo_buf *b, const uint8_t id[16])
{
	for (int i = 0; i < 16; i++)
		pseudo_printf(b, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", id[i]);
	pseudo_puts(b, "\n");
}

static void make_uuid(uint8_t id[16])
{
	rt_random(id, 16);
	id[6] = (id[6] & 0x0f) | 0x40;	/* version 4: random */
	id[8] = (id[8] & 0x3f) | 0x80;
}

static uint8_t boot_id[16];		/* constant after proc_system_init() */

static int show_boot_id(struct pseudo_buf *b, void *arg)
{
	show_uuid(b, boot_id);
	return 0;
}

static int show_new_uuid(struct pseudo_buf *b, void *arg)
{
	uint8_t id[16];

	make_uuid(id);
	show_uuid(b, id);
	return 0;
}

static int show_core_pattern(struct pseudo_buf *b, void *arg)
{
	pseudo_printf(b, "%s\n", lx_core_pattern);
	return 0;
}

static int store_core_pattern(const char *text, size_t n, void *arg)
{
	if (!lx_capable(lx_self(), CAP_SYS_ADMIN))
		return -EPERM;
	while (n && text[n - 1] == '\n')
		n--;
	n = MIN(n, sizeof(lx_core_pattern) - 1);
	memcpy(lx_core_pattern, text, n);
	lx_core_pattern[n] = '\0';
	return 0;
}

static int show_file_nr(struct pseudo_buf *b, void *arg)
{
	pseudo_printf(b, "%llu\t0\t9223372036854775807\n", (unsigned long long)lx_dcache_count());
	return 0;
}

/* Parameters that cannot be changed here, with the values that programs expect to find. */
static const struct { const char *path, *text; } constants[] = {
	{ "sys/kernel/ostype", "Linux\n" },
	{ "sys/kernel/osrelease", LX_RELEASE "\n" },
	{ "sys/kernel/version", LX_UTS_VERSION "\n" },
	{ "sys/kernel/cap_last_cap", "40\n" },
	{ "sys/kernel/ngroups_max", "65536\n" },
	{ "sys/kernel/printk", "7\t4\t1\t7\n" },
	{ "sys/kernel/tainted", "0\n" },
	{ "sys/kernel/panic", "0\n" },
	{ "sys/kernel/sched_rr_timeslice_ms", "100\n" },
	{ "sys/kernel/perf_event_paranoid", "3\n" },
	{ "sys/kernel/kptr_restrict", "1\n" },
	{ "sys/kernel/dmesg_restrict", "0\n" },
	{ "sys/kernel/yama/ptrace_scope", "0\n" },
	{ "sys/kernel/overflowuid", "65534\n" },
	{ "sys/kernel/overflowgid", "65534\n" },
	{ "sys/kernel/core_uses_pid", "0\n" },
	{ "sys/kernel/random/entropy_avail", "256\n" },
	{ "sys/kernel/random/poolsize", "256\n" },
	{ "sys/kernel/seccomp/actions_avail",
	  "kill_process kill_thread trap errno trace log allow\n" },
	{ "sys/fs/file-max", "9223372036854775807\n" },
	{ "sys/fs/nr_open", "1048576\n" },
	{ "sys/fs/inotify/max_queued_events", "16384\n" },
	{ "sys/fs/inotify/max_user_instances", "128\n" },
	{ "sys/fs/inotify/max_user_watches", "65536\n" },
	{ "sys/fs/protected_hardlinks", "0\n" },
	{ "sys/fs/protected_symlinks", "0\n" },
	{ "sys/fs/suid_dumpable", "0\n" },
	{ "sys/fs/aio-max-nr", "65536\n" },
	{ "sys/vm/swappiness", "60\n" },
	{ "sys/vm/max_map_count", "65530\n" },
	{ "sys/vm/nr_hugepages", "0\n" },
	{ "sys/vm/dirty_ratio", "20\n" },
	{ "sys/vm/dirty_background_ratio", "10\n" },
	{ "sys/net/core/somaxconn", "4096\n" },
	{ "sys/net/unix/max_dgram_qlen", "512\n" },
};

static const struct {
	const char *path;
	lx_mode_t mode;
	pseudo_show show;
	pseudo_store store;
	void *arg;
} files[] = {
	{ "meminfo", 0444, show_meminfo, NULL, NULL },
	{ "cpuinfo", 0444, show_cpuinfo, NULL, NULL },
	{ "stat", 0444, show_stat, NULL, NULL },
	{ "uptime", 0444, show_uptime, NULL, NULL },
	{ "loadavg", 0444, show_loadavg, NULL, NULL },
	{ "version", 0444, show_version, NULL, NULL },
	{ "filesystems", 0444, show_filesystems, NULL, NULL },
	{ "devices", 0444, show_devices, NULL, NULL },
	{ "partitions", 0444, show_partitions, NULL, NULL },
	{ "diskstats", 0444, show_diskstats, NULL, NULL },
	{ "vmstat", 0444, show_vmstat, NULL, NULL },
	{ "swaps", 0444, show_swaps, NULL, NULL },
	{ "interrupts", 0444, show_interrupts, NULL, NULL },
	{ "locks", 0444, show_locks, NULL, NULL },
	{ "sys/kernel/hostname", 0644, show_hostname, store_hostname, NULL },
	{ "sys/kernel/domainname", 0644, show_hostname, store_hostname, &lx_system },
	{ "sys/kernel/pid_max", 0644, show_u32, store_pid_max, &lx_init_pidns.pid_max },
	{ "sys/kernel/threads-max", 0644, show_u32, store_threads_max, &lx_init_pidns.threads_max },
	{ "sys/kernel/randomize_va_space", 0644, show_u32, store_u32, &lx_randomize_va_space },
	{ "sys/kernel/core_pattern", 0644, show_core_pattern, store_core_pattern, NULL },
	{ "sys/kernel/random/boot_id", 0444, show_boot_id, NULL, NULL },
	{ "sys/kernel/random/uuid", 0444, show_new_uuid, NULL, NULL },
	{ "sys/vm/overcommit_memory", 0644, show_u32, store_u32, &lx_overcommit_memory },
	{ "sys/vm/overcommit_ratio", 0644, show_u32, store_u32, &lx_overcommit_ratio },
	{ "sys/vm/drop_caches", 0200, show_nothing, store_drop_caches, NULL },
	{ "sys/fs/pipe-max-size", 0644, show_u32, store_u32, &lx_pipe_max_size },
	{ "sys/fs/file-nr", 0444, show_file_nr, NULL, NULL },
};

/* -- /sys/devices/system/cpu */

static int show_cpu_list(struct pseudo_buf *b, void *arg)
{
	struct k_system_info k = system_info();

	if (k.cpus > 1)
		pseudo_printf(b, "0-%u\n", k.cpus - 1);
	else
		pseudo_puts(b, "0\n");
	return 0;
}

static int add_cpus(void)
{
	static const char *const lists[] = { "online", "possible", "present" };
	struct k_system_info k = system_info();
	char path[64];
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(lists) && !err; i++) {
		snprintf(path, sizeof(path), "devices/system/cpu/%s", lists[i]);
		err = pseudo_file(lx_sysfs_tree, path, 0444, show_cpu_list, NULL, NULL);
	}
	for (uint32_t i = 0; i < k.cpus && !err; i++) {
		snprintf(path, sizeof(path), "devices/system/cpu/cpu%u/topology/core_id", i);
		err = pseudo_text(lx_sysfs_tree, path, "0\n");
	}
	if (!err)
		err = pseudo_text(lx_sysfs_tree, "devices/system/cpu/kernel_max", "63\n");
	if (!err)
		err = pseudo_text(lx_sysfs_tree, "devices/system/cpu/offline", "\n");
	return err;
}

int lx_proc_system_init(void)
{
	int err = 0;

	make_uuid(boot_id);
	for (size_t i = 0; i < ARRAY_SIZE(files) && !err; i++)
		err = pseudo_file(lx_proc_tree, files[i].path, files[i].mode, files[i].show,
				  files[i].store, files[i].arg);
	for (size_t i = 0; i < ARRAY_SIZE(constants) && !err; i++)
		err = pseudo_text(lx_proc_tree, constants[i].path, constants[i].text);
	return err ? err : add_cpus();
}
