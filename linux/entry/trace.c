/* SPDX-License-Identifier: MIT */
/*
 * The built-in tracer: what strace shows, without ptrace, from the first program
 * on.  On the command line:
 *
 *	lx.trace=all			every call of every program
 *	lx.trace=open*,read		these calls of every program
 *	lx.trace=bash:open*,read;ls:*	by program name (comm)
 *	lx.trace=+all			a line when a call begins, too: for calls that hang
 *
 * Names and calls may contain *.  A line appears when the call ends; what the call
 * wrote into the program's memory is shown then.  Reading the program's memory
 * here never sleeps for a page: what is not there is shown as an address.
 *
 * The rules are parsed once at the start and never change, so that they need no lock.
 */

#include "lx/trace.h"

#include <linux/fcntl.h>
#include <linux/futex.h>
#include <linux/mman.h>
#include <linux/sched.h>

#include <asm/mman.h>

#include "base/format.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "rt/log.h"

#define MAX_RULES 8
#define MAX_SHOWN 32		/* bytes of a string */

struct rule {
	const char *name;	/* of the program, a pattern */
	const char *calls;	/* patterns, separated by commas, in place */
};

static char buffer[256];
static struct rule rules[MAX_RULES];
static unsigned int nr_rules;
static bool at_entry;

/* -- rules ------------------------------------------------------------------------ */

/* Does @s match @p, whose end is @end; "*" stands for anything. */
static bool matches(const char *p, const char *end, const char *s)
{
	while (p < end && *p != '*') {
		if (*p++ != *s++)
			return false;
	}
	if (p == end)
		return !*s;
	for (;; s++) {
		if (matches(p + 1, end, s))
			return true;
		if (!*s)
			return false;
	}
}

static bool any_matches(const char *patterns, const char *s)
{
	for (;;) {
		size_t n = strcspn(patterns, ",");

		if (matches(patterns, patterns + n, s))
			return true;
		if (!patterns[n])
			return false;
		patterns += n + 1;
	}
}

void lx_trace_setup(const char *text)
{
	char *p = buffer, *next, *colon;

	if (!text || !*text)
		return;
	at_entry = *text == '+';
	strlcpy(buffer, text + at_entry, sizeof(buffer));
	for (; p && nr_rules < MAX_RULES; p = next) {
		next = strchr(p, ';');
		if (next)
			*next++ = '\0';
		colon = strchr(p, ':');
		if (colon)
			*colon++ = '\0';
		rules[nr_rules].name = colon ? p : "*";
		rules[nr_rules].calls = colon ? colon : p;
		if (!strcmp(rules[nr_rules].calls, "all"))
			rules[nr_rules].calls = "*";
		nr_rules++;
	}
}

void lx_trace_check(struct lx_task *self)
{
	unsigned int i;

	for (i = 0; i < nr_rules; i++) {
		if (any_matches(rules[i].name, self->comm)) {
			atomic_fetch_or(&self->syscall_work, LX_WORK_TRACER);
			return;
		}
	}
	if (nr_rules)
		atomic_fetch_and(&self->syscall_work, ~LX_WORK_TRACER);
}

static bool wanted(const struct lx_task *self, const char *call)
{
	unsigned int i;

	for (i = 0; i < nr_rules; i++)
		if (any_matches(rules[i].name, self->comm) && any_matches(rules[i].calls, call))
			return true;
	return false;
}

/* -- text ---------------------------------------------------------------------------- */

static void put(struct lx_trace *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct lx_trace *t, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	t->used += (size_t)vscnprintf(t->line + t->used, sizeof(t->line) - t->used, fmt, args);
	va_end(args);
}

static void put_quoted(struct lx_trace *t, const uint8_t *s, size_t n, bool more)
{
	size_t i;

	put(t, "\"");
	for (i = 0; i < n; i++) {
		if (s[i] == '\n')
			put(t, "\\n");
		else if (s[i] == '\t')
			put(t, "\\t");
		else if (s[i] == '"' || s[i] == '\\')
			put(t, "\\%c", s[i]);
		else if (s[i] >= ' ' && s[i] < 127)
			put(t, "%c", s[i]);
		else
			put(t, "\\%o", s[i]);
	}
	put(t, more ? "\"..." : "\"");
}

static void put_address(struct lx_trace *t, uint64_t v)
{
	if (v)
		put(t, "0x%llx", (unsigned long long)v);
	else
		put(t, "NULL");
}

static void put_string(struct lx_trace *t, uint64_t addr)
{
	uint8_t s[128];
	size_t done;
	long n;

	n = addr ? rt_strncpy_from_user((char *)s, uaddr(addr), sizeof(s), &done) : -1;
	if (n < 0)
		put_address(t, addr);
	else
		put_quoted(t, s, (size_t)n, (size_t)n == sizeof(s));
}

static void put_bytes(struct lx_trace *t, uint64_t addr, uint64_t n)
{
	uint8_t s[MAX_SHOWN];
	size_t shown = MIN(n, sizeof(s));

	if (!addr || rt_copy_from_user(s, uaddr(addr), shown))
		put_address(t, addr);
	else
		put_quoted(t, s, shown, n > shown);
}

struct bit_name { uint64_t bit; const char *name; };

static void put_bits(struct lx_trace *t, uint64_t v, const struct bit_name *names, size_t count,
		     const char *none)
{
	const char *sep = "";
	size_t i;

	for (i = 0; i < count; i++) {
		if ((v & names[i].bit) == names[i].bit) {
			put(t, "%s%s", sep, names[i].name);
			v &= ~names[i].bit;
			sep = "|";
		}
	}
	if (v)
		put(t, "%s0x%llx", sep, (unsigned long long)v);
	else if (!*sep)
		put(t, "%s", none);
}

#define BIT_NAME(prefix, name) { prefix##name, #prefix #name }

static void put_oflags(struct lx_trace *t, uint64_t v)
{
	static const struct bit_name names[] = {
		BIT_NAME(O_, WRONLY), BIT_NAME(O_, RDWR), BIT_NAME(O_, CREAT), BIT_NAME(O_, EXCL),
		BIT_NAME(O_, NOCTTY), BIT_NAME(O_, TRUNC), BIT_NAME(O_, APPEND),
		BIT_NAME(O_, NONBLOCK), BIT_NAME(O_, SYNC), BIT_NAME(O_, DSYNC),
		BIT_NAME(O_, TMPFILE), BIT_NAME(O_, DIRECTORY), BIT_NAME(O_, NOFOLLOW),
		BIT_NAME(O_, NOATIME), BIT_NAME(O_, CLOEXEC), BIT_NAME(O_, PATH),
		BIT_NAME(O_, DIRECT), BIT_NAME(O_, LARGEFILE),
	};

	put_bits(t, v, names, ARRAY_SIZE(names), "O_RDONLY");
}

static void put_prot(struct lx_trace *t, uint64_t v)
{
	static const struct bit_name names[] = {
		BIT_NAME(PROT_, READ), BIT_NAME(PROT_, WRITE), BIT_NAME(PROT_, EXEC),
	};

	put_bits(t, v, names, ARRAY_SIZE(names), "PROT_NONE");
}

static void put_mflags(struct lx_trace *t, uint64_t v)
{
	static const struct bit_name names[] = {
		BIT_NAME(MAP_, SHARED_VALIDATE), BIT_NAME(MAP_, SHARED), BIT_NAME(MAP_, PRIVATE),
		BIT_NAME(MAP_, FIXED), BIT_NAME(MAP_, ANONYMOUS), BIT_NAME(MAP_, GROWSDOWN),
		BIT_NAME(MAP_, DENYWRITE), BIT_NAME(MAP_, LOCKED), BIT_NAME(MAP_, NORESERVE),
		BIT_NAME(MAP_, POPULATE), BIT_NAME(MAP_, STACK), BIT_NAME(MAP_, FIXED_NOREPLACE),
	};

	put_bits(t, v, names, ARRAY_SIZE(names), "0");
}

static void put_cflags(struct lx_trace *t, uint64_t v)
{
	static const struct bit_name names[] = {
		BIT_NAME(CLONE_, VM), BIT_NAME(CLONE_, FS), BIT_NAME(CLONE_, FILES),
		BIT_NAME(CLONE_, SIGHAND), BIT_NAME(CLONE_, PIDFD), BIT_NAME(CLONE_, VFORK),
		BIT_NAME(CLONE_, PARENT), BIT_NAME(CLONE_, THREAD), BIT_NAME(CLONE_, NEWNS),
		BIT_NAME(CLONE_, SYSVSEM), BIT_NAME(CLONE_, SETTLS),
		BIT_NAME(CLONE_, PARENT_SETTID), BIT_NAME(CLONE_, CHILD_CLEARTID),
		BIT_NAME(CLONE_, CHILD_SETTID),
	};

	put_bits(t, v & ~(uint64_t)CSIGNAL, names, ARRAY_SIZE(names), "0");
	if (v & CSIGNAL)
		put(t, "|SIG%s", lx_signal_name((int)(v & CSIGNAL)));
}

static void put_futexop(struct lx_trace *t, uint64_t v)
{
	static const char *const names[] = {
		"WAIT", "WAKE", "FD", "REQUEUE", "CMP_REQUEUE", "WAKE_OP", "LOCK_PI", "UNLOCK_PI",
		"TRYLOCK_PI", "WAIT_BITSET", "WAKE_BITSET", "WAIT_REQUEUE_PI", "CMP_REQUEUE_PI",
		"LOCK_PI2",
	};
	uint64_t cmd = v & FUTEX_CMD_MASK;

	put(t, "FUTEX_%s%s%s", cmd < ARRAY_SIZE(names) ? names[cmd] : "?",
	    v & FUTEX_PRIVATE_FLAG ? "_PRIVATE" : "",
	    v & FUTEX_CLOCK_REALTIME ? "|CLOCK_REALTIME" : "");
}

static void put_argv(struct lx_trace *t, uint64_t addr)
{
	uint64_t ptr;
	int i;

	if (!addr) {
		put(t, "NULL");
		return;
	}
	put(t, "[");
	for (i = 0; i < 8; i++) {
		if (rt_copy_from_user(&ptr, uaddr(addr + 8 * (uint64_t)i), sizeof(ptr)) || !ptr)
			break;
		if (i)
			put(t, ", ");
		put_string(t, ptr);
	}
	put(t, i == 8 ? ", ...]" : "]");
}

static void put_words(struct lx_trace *t, uint64_t addr, enum lx_arg_kind kind)
{
	int64_t ts[2];
	int32_t v[2];
	uint64_t set;

	if (addr && kind == LX_ARG_TIMESPEC && !rt_copy_from_user(ts, uaddr(addr), sizeof(ts)))
		put(t, "{%lld, %lld}", (long long)ts[0], (long long)ts[1]);
	else if (addr && kind == LX_ARG_INTPTR && !rt_copy_from_user(v, uaddr(addr), 4))
		put(t, "[%d]", v[0]);
	else if (addr && kind == LX_ARG_INT2 && !rt_copy_from_user(v, uaddr(addr), sizeof(v)))
		put(t, "[%d, %d]", v[0], v[1]);
	else if (addr && kind == LX_ARG_SIGSET && !rt_copy_from_user(&set, uaddr(addr), 8))
		put(t, "{%llx}", (unsigned long long)set);
	else
		put_address(t, addr);
}

/* @after: the call has been made, with the result @ret. */
static void put_arg(struct lx_trace *t, enum lx_arg_kind kind, uint64_t v, uint64_t next, bool after,
		    long ret)
{
	switch (kind) {
	case LX_ARG_INT:
		put(t, "%d", (int)v);
		break;
	case LX_ARG_UINT:
		put(t, "%u", (unsigned int)v);
		break;
	case LX_ARG_LONG:
		put(t, "%lld", (long long)v);
		break;
	case LX_ARG_ULONG:
		put(t, "%llu", (unsigned long long)v);
		break;
	case LX_ARG_UHEX:
		put(t, v ? "0x%x" : "%x", (unsigned int)v);
		break;
	case LX_ARG_DIRFD:
		if ((int)v == AT_FDCWD)
			put(t, "AT_FDCWD");
		else
			put(t, "%d", (int)v);
		break;
	case LX_ARG_SIG:
		put(t, "SIG%s", lx_signal_name((int)v));
		break;
	case LX_ARG_MODE:
		put(t, "0%o", (unsigned int)v);
		break;
	case LX_ARG_OFLAGS:
		put_oflags(t, (uint32_t)v);
		break;
	case LX_ARG_PROT:
		put_prot(t, v);
		break;
	case LX_ARG_MFLAGS:
		put_mflags(t, v);
		break;
	case LX_ARG_CFLAGS:
		put_cflags(t, v);
		break;
	case LX_ARG_FUTEXOP:
		put_futexop(t, v);
		break;
	case LX_ARG_PATH:
		put_string(t, v);
		break;
	case LX_ARG_ARGV:
		put_argv(t, v);
		break;
	case LX_ARG_BYTES:
		put_bytes(t, v, next);
		break;
	case LX_ARG_TIMESPEC:
	case LX_ARG_INTPTR:
	case LX_ARG_INT2:
	case LX_ARG_SIGSET:
		put_words(t, v, kind);
		break;
	case LX_ARG_BYTES_OUT:
		if (after && ret >= 0)
			put_bytes(t, v, (uint64_t)ret);
		else
			put_address(t, v);
		break;
	case LX_ARG_PATH_OUT:
		if (after && ret >= 0)
			put_string(t, v);
		else
			put_address(t, v);
		break;
	case LX_ARG_TIMESPEC_OUT:
	case LX_ARG_INTPTR_OUT:
	case LX_ARG_INT2_OUT:
	case LX_ARG_SIGSET_OUT:
		if (after && ret >= 0)
			put_words(t, v, kind - LX_ARG_TIMESPEC_OUT + LX_ARG_TIMESPEC);
		else
			put_address(t, v);
		break;
	default:
		put_address(t, v);
	}
}

static bool is_written(enum lx_arg_kind kind)
{
	return kind >= LX_ARG_BYTES_OUT;
}

/* Arguments from @from on, up to the first that has to wait for the call's end (unless @after). */
static uint8_t put_args(struct lx_trace *t, const struct lx_syscall_info *info, const uint64_t *args,
			uint8_t from, bool after, long ret)
{
	uint8_t i;

	for (i = from; i < info->nargs; i++) {
		if (!after && is_written(info->args[i]))
			break;
		if (i)
			put(t, ", ");
		put_arg(t, info->args[i], args[i], i < 5 ? args[i + 1] : 0, after, ret);
	}
	return i;
}

void lx_trace_enter(struct lx_task *self, const struct k_user_frame *f, struct lx_trace *t)
{
	uint64_t nr = LX_SYSCALL_NR(f);
	const struct lx_syscall_info *info = nr < LX_NR_COUNT ? &lx_syscall_info[nr] : NULL;

	t->used = 0;
	t->wanted = wanted(self, info && info->name ? info->name : "?");
	if (!t->wanted)
		return;
	t->args[0] = LX_ARG0(f);
	t->args[1] = LX_ARG1(f);
	t->args[2] = LX_ARG2(f);
	t->args[3] = LX_ARG3(f);
	t->args[4] = LX_ARG4(f);
	t->args[5] = LX_ARG5(f);
	t->info = info;
	put(t, "%s[%d] ", self->comm, self->tid);
	if (!info || !info->name) {
		put(t, "syscall_%llu(0x%llx", (unsigned long long)nr, (unsigned long long)t->args[0]);
		t->shown = 6;
	} else {
		put(t, "%s(", info->name);
		t->shown = put_args(t, info, t->args, 0, false, 0);
	}
	if (at_entry || nr == LX_NR_exit || nr == LX_NR_exit_group)
		rt_log(RT_LOG_NOTICE, "%s ...", t->line);
}

void lx_trace_exit(struct lx_task *self, const struct k_user_frame *f, struct lx_trace *t, long ret)
{
	if (!t->wanted)
		return;
	if (t->info && t->info->name)
		(void)put_args(t, t->info, t->args, t->shown, true, ret);
	if (ret < 0 && ret >= -4095)
		put(t, ") = %ld (%s)", ret, lx_errno_name((int)-ret));
	else if (ret > 0x10000000 || ret < 0)
		put(t, ") = 0x%lx", (unsigned long)ret);
	else
		put(t, ") = %ld", ret);
	rt_log(RT_LOG_NOTICE, "%s", t->line);
}

void lx_trace_signal(struct lx_task *self, const struct lx_siginfo *info, bool handler)
{
	if (atomic_load(&self->syscall_work) & LX_WORK_TRACER)
		rt_log(RT_LOG_NOTICE, "%s[%d] --- SIG%s code=%d addr=0x%llx ip=0x%llx%s ---", self->comm,
		       self->tid, lx_signal_name(info->signo), info->code,
		       (unsigned long long)info->fault.addr,
		       (unsigned long long)LX_PC(self->frame), handler ? "" : " (default)");
}
