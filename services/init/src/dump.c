/* SPDX-License-Identifier: MIT */
/*
 * "concord.dump=handles": what each component holds, on the log, for the test that
 * compares it with the description, and for whoever wants to see it.
 */
#include "base/format.h"
#include "init.h"
#include "rt/log.h"
#include "rt/process.h"

static const char *const types[K_TYPE_COUNT] = {
	[K_TYPE_PROCESS] = "process", [K_TYPE_THREAD] = "thread", [K_TYPE_SPACE] = "space",
	[K_TYPE_MEMORY] = "memory", [K_TYPE_BACKING] = "backing", [K_TYPE_CHANNEL] = "channel",
	[K_TYPE_BELL] = "bell", [K_TYPE_TIMER] = "timer", [K_TYPE_DEVICE] = "device",
	[K_TYPE_GROUP] = "group", [K_TYPE_LOG] = "log", [K_TYPE_POWER] = "power",
};

const char *handle_type_name(uint32_t type)
{
	return type < K_TYPE_COUNT && types[type] ? types[type] : "?";
}

static void rights_text(uint32_t rights, char *text, size_t size)
{
	static const char *const names[] = { "duplicate", "transfer", "read", "write", "execute",
		"map", "manage", "create", "signal", "wait", "send", "receive", "dma" };
	int n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (rights & BIT(i))
			n += scnprintf(text + n, size - (size_t)n, "%s%s", n ? "+" : "", names[i]);
}

static void dump_process(const char *name, k_handle_t process)
{
	static struct k_handle_info infos[64];
	uint64_t count = 0;
	char rights[128];
	k_status_t st = k_handle_list(process, infos, sizeof(infos), &count);

	if (st != K_OK)
		rt_log(RT_LOG_ERR, "handles: %s: status %d", name, st);
	for (uint64_t i = 0; st == K_OK && i < MIN(count, (uint64_t)ARRAY_SIZE(infos)); i++) {
		const struct k_handle_info *h = &infos[i];

		rights_text(h->rights, rights, sizeof(rights));
		rt_log(RT_LOG_NOTICE, "handles: %s: %s %s object %lu", name,
		       handle_type_name(h->type), rights, h->koid);
	}
}

void dump_handles(void)
{
	for (size_t i = 0; i < INSTANCES; i++)
		if (init.instances[i].state == INSTANCE_RUNNING)
			dump_process(init.instances[i].name, init.instances[i].process);
	rt_log(RT_LOG_NOTICE, "handles: end");
}
