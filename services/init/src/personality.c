/* SPDX-License-Identifier: MIT */
/* Personalities: their start, their links, their end. */
#include "base/format.h"
#include "base/string.h"
#include "init.h"
#include "rt/log.h"
#include "rt/process.h"

struct personality *personality_using(const struct conf_component *c)
{
	for (uint32_t l = 0; l < init.conf.linux_count; l++) {
		const struct conf_linux *conf = &init.conf.linuxes[l];

		for (uint32_t u = 0; u < conf->use_count; u++)
			if (&init.conf.components[conf->uses[u].component] == c)
				return &init.personalities[l];
	}
	return NULL;
}

static k_status_t send_start(struct personality *p)
{
	const struct conf_linux *c = p->conf;
	struct linux_start s = { .kind = LINUX_START, .version = 1, .placement = p->placement };
	struct grants g = { .status = K_OK };

	strlcpy(s.name, c->name, sizeof(s.name));
	strlcpy(s.command_line, init.boot.command_line, sizeof(s.command_line));
	grant(&g, LINUX_HANDLE_PROCESS, p->process, K_RIGHTS_SAME);
	grant(&g, LINUX_HANDLE_GROUP, p->group, K_RIGHTS_SAME);
	if (c->grants & CONF_GRANT_INITRD) {
		grant(&g, LINUX_HANDLE_INITRD, init.handle[K_BOOT_INITRD],
		      K_RIGHT_READ | K_RIGHT_WRITE | K_RIGHT_MAP);
		s.initrd_length = init.handle[K_BOOT_INITRD] ? init.boot.initrd_length : 0;
	}
	if (c->grants & CONF_GRANT_POWER)
		grant(&g, LINUX_HANDLE_POWER, init.handle[K_BOOT_POWER], K_RIGHT_MANAGE);
	if (c->grants & CONF_GRANT_LOG)
		grant(&g, LINUX_HANDLE_LOG, init.handle[K_BOOT_LOG], K_RIGHT_READ);
	if (p->placement == LINUX_PLACEMENT_PROCESS)
		grant(&g, LINUX_HANDLE_SPACE, p->space, K_RIGHTS_SAME);
	if (c->grants & CONF_GRANT_CONTROL)
		grant(&g, LINUX_HANDLE_CONTROL, control_open(p), K_RIGHT_SEND);
	s.granted = g.mask;
	return grants_send(&g, p->channel, &s, sizeof(s));
}

static k_status_t start_in_process(struct personality *p, k_handle_t channel)
{
	struct k_thread_start start = { 0 };
	struct program program;
	struct image image;
	k_status_t st = program_find(p->conf->binary, &program) ?
			image_load(&program, p->space, K_PERSONALITY_BASE, &image) :
			K_ERR_NOT_FOUND;

	if (st != K_OK)
		return st;
	start.entry = image.entry;
	start.stack_top = image.stack_top;
	start.frame = image.frame;
	strlcpy(start.name, p->conf->name, sizeof(start.name));
	return k_process_start(p->process, &start, channel);
}

static k_status_t start(struct personality *p)
{
	struct k_group_limits limits = { .memory_bytes = p->conf->memory, .cpu_weight = 1024 };
	unsigned int index = (unsigned int)(p - init.personalities);
	char name[sizeof("linux-") + CONF_NAME];
	k_handle_t theirs;
	k_status_t st;

	snprintf(name, sizeof(name), "linux-%s", p->conf->name);
	st = k_group_create(init.handle[K_BOOT_GROUP], &limits, &p->group);
	if (st == K_OK)
		st = k_process_create(p->group, name, strlen(name), &p->process, &p->space);
	if (st == K_OK)
		st = k_channel_create(&p->channel, &theirs);
	if (st == K_OK)
		st = k_channel_watch(p->channel, init.messages, BIT(BELL_ANSWERS + index));
	if (st == K_OK)
		st = k_process_watch(p->process, init.bell, BIT(BELL_LINUX + index));
	if (st == K_OK)
		st = send_start(p);
	if (st != K_OK)
		return st;
	return p->placement == LINUX_PLACEMENT_PROCESS ?
		start_in_process(p, theirs) :
		k_personality_start(init.handle[K_BOOT_POWER], p->process, theirs);
}

void personality_give_link(struct personality *p, struct instance *in)
{
	struct linux_link m = { .kind = LINUX_LINK, .geometry = in->link };
	const uint32_t shared = K_RIGHT_READ | K_RIGHT_WRITE | K_RIGHT_MAP;
	struct grants g = { .status = K_OK };
	k_status_t st;

	m.index = p->links[in->link.class_id]++;
	in->link.index = m.geometry.index = m.index;
	grant(&g, LINUX_LINK_CONTROL, in->control, shared);
	grant(&g, LINUX_LINK_DATA, in->data, shared);
	grant(&g, LINUX_LINK_CLIENT_BELL, in->client_bell, K_RIGHT_WAIT);
	grant(&g, LINUX_LINK_SERVER_BELL, in->server_bell, K_RIGHT_SIGNAL);
	st = grants_send(&g, p->channel, &m, sizeof(m));
	if (st != K_OK)
		rt_log(RT_LOG_ERR, "init: cannot give %s to linux %s: status %d", in->name,
		       p->conf->name, st);
}

bool personality_take_link(struct personality *p, const struct instance *in)
{
	struct linux_link_removal r = { .kind = LINUX_LINK_REMOVE, .class_id = in->link.class_id,
					.index = in->link.index };
	struct k_message m = { .data = (uint64_t)&r, .length = sizeof(r) };

	return k_channel_send(p->channel, &m) == K_OK;
}

void personality_message(struct personality *p)
{
	for (;;) {
		struct linux_link_removal r = { 0 };
		k_handle_t handles[K_MESSAGE_MAX_HANDLES];
		struct k_message m = { .data = (uint64_t)&r, .length = sizeof(r),
				       .handles = (uint64_t)handles,
				       .handle_count = K_MESSAGE_MAX_HANDLES };

		if (!p->running || k_channel_recv(p->channel, &m, 0) != K_OK)
			return;
		for (uint32_t i = 0; i < m.handle_count; i++)
			rt_close(handles[i]);
		if (m.length == sizeof(r) && r.kind == LINUX_LINK_REMOVED)
			slot_link_removed(p, r.class_id, r.index);
	}
}

void personality_start(struct personality *p)
{
	k_status_t st = start(p);

	p->running = st == K_OK;
	if (st != K_OK)
		rt_log(RT_LOG_CRIT, "init: cannot start linux %s: status %d", p->conf->name, st);
	/* Of components that were started before it. */
	for (size_t i = 0; p->running && i < INSTANCES; i++)
		if (init.instances[i].client == p && init.instances[i].server_bell)
			personality_give_link(p, &init.instances[i]);
}

void personality_settled(struct personality *p)
{
	uint32_t kind = LINUX_SETTLED;
	struct k_message m = { .data = (uint64_t)&kind, .length = sizeof(kind) };

	if (p->running && k_channel_send(p->channel, &m) != K_OK)
		rt_log(RT_LOG_ERR, "init: linux %s does not listen", p->conf->name);
}

/* The system is there to run its programs: without them it ends, as Linux's would. */
void personality_ended(struct personality *p)
{
	if (!p->running)
		return;
	p->running = false;
	post_mortem(p->conf->name, p->conf->binary, NULL, p->process);
	for (uint32_t l = 0; l < init.conf.linux_count; l++)
		if (init.personalities[l].running)
			return;
	rt_log(RT_LOG_EMERG, "init: linux %s is gone", p->conf->name);
	(void)!k_power(init.handle[K_BOOT_POWER], K_POWER_PANIC, 0);
}
