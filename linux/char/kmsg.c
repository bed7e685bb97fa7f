/* SPDX-License-Identifier: MIT */
/*
 * The kernel's log for programs: /dev/kmsg and syslog(2).
 *
 * The kernel keeps a ring of lines "<level>[seconds.micros] text"; a position in it
 * counts bytes since boot.  /dev/kmsg gives one record per read, with its own
 * position per open file; syslog(2) has one position for all, and one for "clear".
 *
 * The log rings a bell, on which one task waits for all readers; it is started when
 * the first reader has to wait.
 */

#include <asm/fcntl.h>
#include <asm/poll.h>
#include <linux/capability.h>

#include "abi/calls.h"
#include "base/format.h"
#include "base/parse.h"
#include "char_priv.h"
#include "lx/iter.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/syscall.h"
#include "lx/system.h"
#include "lx/task.h"

#define RECORD_MAX	1024u
#define LOG_SIZE	65536u
#define DEFAULT_LEVEL	6
#define CONSOLE_LEVEL_MIN 1

static struct lx_waitq log_wait = {
	.lock = RT_MUTEX_INIT(LX_LOCK_WAITQ), .entries = LIST_INIT(log_wait.entries),
};
static _Atomic(bool) watching;
static struct rt_mutex syslog_lock = RT_MUTEX_INIT(LX_LOCK_LEAF);
static uint64_t syslog_pos, clear_pos;		/* syslog_lock */
static int console_level = 7;			/* syslog_lock */

/* -- the ring ------------------------------------------------------------------------------------ */

/* Whole lines from *@pos on into @buf; *@pos becomes where the next ones are.  0: none there. */
static size_t log_lines(uint64_t *pos, char *buf, size_t size)
{
	uint64_t length = 0, next = *pos;

	if (k_log_read(lx_system.log, *pos, buf, size, &length, &next) != K_OK)
		length = 0;
	*pos = next;
	return (size_t)length;
}

/* One line, without its newline; false: there is none yet. */
static bool log_line(uint64_t *pos, char *line, size_t *len)
{
	uint64_t next = *pos;
	size_t n = log_lines(&next, line, RECORD_MAX);
	char *end = n ? memchr(line, '\n', n) : NULL;

	if (!end)
		return false;
	/* The lines that came along are read again; *pos moved over what was lost. */
	*pos = next - n + (size_t)(end - line) + 1;
	*len = (size_t)(end - line);
	return true;
}

static bool log_has(uint64_t pos)
{
	char line[RECORD_MAX];
	size_t len;

	return log_line(&pos, line, &len);
}

static void watch(void *bell_arg)
{
	k_handle_t bell = (k_handle_t)(uintptr_t)bell_arg;
	uint64_t bits;

	for (;;) {
		if (k_bell_wait(bell, 1, K_DEADLINE_NEVER, 0, &bits) != K_OK)
			return;
		lx_wake_all(&log_wait);
	}
}

/* From now on log_wait is woken. */
static void watch_start(void)
{
	k_handle_t bell;

	if (atomic_exchange(&watching, true))
		return;
	if (k_bell_create(&bell) != K_OK)
		return;
	if (k_log_watch(lx_system.log, bell, 1) != K_OK ||
	    !lx_kthread_create("klog", watch, (void *)(uintptr_t)bell))
		(void)!k_handle_close(bell);
}

/* -- /dev/kmsg --------------------------------------------------------------------------------------- */

/* "<6>[    1.234567] text" as "6,4711,1234567,-;text\n". */
static size_t format_record(char *out, size_t size, const char *line, size_t len, uint64_t pos)
{
	uint64_t level = DEFAULT_LEVEL, sec = 0, us = 0;
	size_t at = 0;

	if (len > 2 && line[0] == '<') {
		at = 1 + parse_u64(line + 1, len - 1, 10, &level);
		at += at < len && line[at] == '>';
	}
	if (at < len && line[at] == '[') {
		at++;
		while (at < len && line[at] == ' ')
			at++;
		at += parse_u64(line + at, len - at, 10, &sec);
		at += at < len && line[at] == '.';
		at += parse_u64(line + at, len - at, 10, &us);
		at += at < len && line[at] == ']';
		at += at < len && line[at] == ' ';
	}
	return (size_t)scnprintf(out, size, "%llu,%llu,%llu,-;%.*s\n", (unsigned long long)level,
				 (unsigned long long)pos,
				 (unsigned long long)(sec * 1000000 + us), (int)(len - at),
				 line + at);
}

static int64_t kmsg_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	char line[RECORD_MAX], record[RECORD_MAX + 64];
	uint64_t at = (uint64_t)*pos, next;
	size_t len = 0, n, put = 0;
	int err;

	for (;;) {
		next = at;
		if (log_line(&next, line, &len))
			break;
		if (atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NONBLOCK)
			return -EAGAIN;
		watch_start();
		err = lx_wait_event(lx_self(), &log_wait, log_has(at), K_DEADLINE_NEVER,
				    LX_WAIT_INTERRUPTIBLE);
		if (err)
			return err;
	}
	n = format_record(record, sizeof(record), line, len, next - len - 1);
	if (n > to->count)
		return -EINVAL;
	while (put < n) {
		put += lx_iter_put(to, record + put, n - put);
		if (put < n && lx_iter_fault_in(to, true))
			return -EFAULT;
	}
	*pos = (lx_off_t)next;
	return (int64_t)n;
}

/* "<6>text": a line of a program's. */
static int64_t kmsg_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	char text[RECORD_MAX];
	uint64_t level = DEFAULT_LEVEL;
	size_t n = 0, at = 0, want = from->count;

	if (want > sizeof(text) - 32)
		return -EINVAL;
	while (n < want) {
		n += lx_iter_get(from, text + n, want - n);
		if (n < want && lx_iter_fault_in(from, false))
			return -EFAULT;
	}
	if (n > 2 && text[0] == '<') {
		size_t digits = parse_u64(text + 1, n - 1, 10, &level);

		if (digits && 1 + digits < n && text[1 + digits] == '>')
			at = digits + 2;
		else
			level = DEFAULT_LEVEL;
	}
	(void)!k_log_write((uint32_t)(level & 7), text + at, n - at);
	return (int64_t)want;
}

static uint32_t kmsg_poll(struct lx_file *f, struct lx_poll *p)
{
	if (p && p->queue)
		watch_start();
	lx_poll_wait(p, f, &log_wait);
	return log_has((uint64_t)f->pos) ? POLLIN | POLLRDNORM : 0;
}

static lx_off_t kmsg_llseek(struct lx_file *f, lx_off_t off, int whence)
{
	char buf[256];
	uint64_t pos = 0;

	if (off)
		return -ESPIPE;
	switch (whence) {
	case 0:	/* SEEK_SET */
		f->pos = 0;
		return 0;
	case 2:	/* SEEK_END */
		while (log_lines(&pos, buf, sizeof(buf)))
			;
		f->pos = (lx_off_t)pos;
		return 0;
	case 3:	/* SEEK_DATA: from the last clear on */
		rt_mutex_lock(&syslog_lock);
		f->pos = (lx_off_t)clear_pos;
		rt_mutex_unlock(&syslog_lock);
		return 0;
	default:
		return -EINVAL;
	}
}

const struct lx_file_ops kmsg_file_ops = {
	.read = kmsg_read, .write = kmsg_write, .poll = kmsg_poll, .llseek = kmsg_llseek,
};

/* -- syslog(2) ------------------------------------------------------------------------------------------- */

enum {
	SYSLOG_CLOSE, SYSLOG_OPEN, SYSLOG_READ, SYSLOG_READ_ALL, SYSLOG_READ_CLEAR, SYSLOG_CLEAR,
	SYSLOG_CONSOLE_OFF, SYSLOG_CONSOLE_ON, SYSLOG_CONSOLE_LEVEL, SYSLOG_SIZE_UNREAD,
	SYSLOG_SIZE_BUFFER
};

static uint64_t log_end(void)
{
	uint64_t pos = 0;
	char buf[256];

	while (log_lines(&pos, buf, sizeof(buf)))
		;
	return pos;
}

/* The last @length bytes, in whole lines, from @from on. */
static long read_all(uaddr_t out, uint64_t length, uint64_t from)
{
	uint64_t end = log_end(), pos = from;
	char line[RECORD_MAX];
	size_t n, done = 0;

	if (end - pos > length)
		pos = end - length;
	if (pos > from) {
		/* Into the middle of a line: to the next. */
		n = log_lines(&pos, line, sizeof(line));
		pos -= n;
		if (n) {
			char *nl = memchr(line, '\n', n);

			pos += nl ? (uint64_t)(nl - line) + 1 : 0;
		}
	}
	while (done < length && log_line(&pos, line, &n)) {
		line[n++] = '\n';
		if (n > length - done)
			break;
		if (lx_copy_to_user(uaddr_add(out, done), line, n))
			return done ? (long)done : -EFAULT;
		done += n;
	}
	return (long)done;
}

static long read_next(struct lx_task *self, uaddr_t out, uint64_t length)
{
	char line[RECORD_MAX];
	uint64_t pos;
	size_t n = 0;
	int err;

	for (;;) {
		bool got;

		rt_mutex_lock(&syslog_lock);
		pos = syslog_pos;
		rt_mutex_unlock(&syslog_lock);
		got = log_line(&pos, line, &n);
		if (got)
			break;
		watch_start();
		err = lx_wait_event(self, &log_wait, log_has(syslog_pos), K_DEADLINE_NEVER,
				    LX_WAIT_INTERRUPTIBLE);
		if (err)
			return err;
	}
	line[n++] = '\n';
	n = MIN((uint64_t)n, length);
	if (lx_copy_to_user(out, line, n))
		return -EFAULT;
	rt_mutex_lock(&syslog_lock);
	syslog_pos = pos;
	rt_mutex_unlock(&syslog_lock);
	return (long)n;
}

static long set_level(int level)
{
	if (level < CONSOLE_LEVEL_MIN || level > 8)
		return -EINVAL;
	rt_mutex_lock(&syslog_lock);
	console_level = level;
	rt_mutex_unlock(&syslog_lock);
	return 0;
}

static void clear(void)
{
	uint64_t end = log_end();

	rt_mutex_lock(&syslog_lock);
	clear_pos = end;
	rt_mutex_unlock(&syslog_lock);
}

long lx_sys_syslog(struct lx_task *self, int type, uaddr_t buf, int length)
{
	uint64_t from;
	long ret;

	if (type != SYSLOG_READ_ALL && type != SYSLOG_SIZE_BUFFER &&
	    !lx_capable(self, CAP_SYSLOG) && !lx_capable(self, CAP_SYS_ADMIN))
		return -EPERM;
	switch (type) {
	case SYSLOG_CLOSE:
	case SYSLOG_OPEN:
	case SYSLOG_CONSOLE_OFF:
	case SYSLOG_CONSOLE_ON:
		return 0;
	case SYSLOG_READ:
	case SYSLOG_READ_ALL:
	case SYSLOG_READ_CLEAR:
		if (!buf.v || length < 0)
			return -EINVAL;
		if (!length)
			return 0;
		if (type == SYSLOG_READ)
			return read_next(self, buf, (uint64_t)length);
		rt_mutex_lock(&syslog_lock);
		from = clear_pos;
		rt_mutex_unlock(&syslog_lock);
		ret = read_all(buf, (uint64_t)length, from);
		if (ret >= 0 && type == SYSLOG_READ_CLEAR)
			clear();
		return ret;
	case SYSLOG_CLEAR:
		clear();
		return 0;
	case SYSLOG_CONSOLE_LEVEL:
		return set_level(length);
	case SYSLOG_SIZE_UNREAD:
		rt_mutex_lock(&syslog_lock);
		from = syslog_pos;
		rt_mutex_unlock(&syslog_lock);
		from = MAX(from, log_end() > LOG_SIZE ? log_end() - LOG_SIZE : 0);
		return (long)(log_end() - from);
	case SYSLOG_SIZE_BUFFER:
		return LOG_SIZE;
	default:
		return -EINVAL;
	}
}
