/* SPDX-License-Identifier: MIT */
/* The part of an isolation test's client that is the same in all: client.h. */
#include "client.h"

#include "base/format.h"
#include "base/util.h"
#include "rt/lock.h"
#include "rt/log.h"
#include "rt/process.h"
#include "rt/thread.h"
#include "rt/time.h"

static k_handle_t handles[K_MESSAGE_MAX_HANDLES];
static _Atomic(uint32_t) running;

void say(const char *name, const char *fmt, ...)
{
	char text[200];
	va_list args;

	va_start(args, fmt);
	vscnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	rt_log(RT_LOG_NOTICE, "%s: %s: %s", client.word, name, text);
}

static void use(void *arg)
{
	client.use(arg);
	atomic_fetch_sub(&running, 1);
}

static void start_using(const struct linux_link *m)
{
	struct link *l;
	_Atomic(k_handle_t) thread;
	k_status_t st = link_open(&m->geometry, handles, 0, &l);

	if (client.opened)
		client.opened(m, st);
	else if (st != K_OK)
		say(m->geometry.name, "status %d", st);
	if (st != K_OK)
		return;
	atomic_fetch_add(&running, 1);
	st = rt_thread_create(use, l, NULL, 0, 0, m->geometry.name, &thread);
	if (st != K_OK)
		rt_panic("%s: cannot start a thread: status %d", client.word, st);
	rt_close(atomic_load(&thread));
}

static void finish(k_handle_t power)
{
	_Atomic(uint32_t) nobody = 0;

	while (atomic_load(&running))
		(void)!rt_wait(&nobody, 0, rt_now_ns() + SECONDS / 100, false);
	if (client.linger_ns)
		(void)!rt_wait(&nobody, 0, rt_now_ns() + client.linger_ns, false);
	rt_log(RT_LOG_NOTICE, "%s: done", client.word);
	rt_log(RT_LOG_ERR, "%s: no power-off: status %d", client.word,
	       k_power(power, K_POWER_OFF, 0));
}

int rt_main(k_handle_t bootstrap)
{
	static union linux_message m;
	k_handle_t power = 0;

	while (link_bus_receive(bootstrap, &m, handles, K_DEADLINE_NEVER) == K_OK) {
		switch (m.kind) {
		case LINUX_START:
			power = handles[LINUX_HANDLE_POWER];
			if (client.start)
				client.start(&m.start);
			break;
		case LINUX_LINK:
			start_using(&m.link);
			break;
		case LINUX_SETTLED:
			finish(power);
			break;
		}
	}
	return 0;
}
