/* SPDX-License-Identifier: MIT */
/*
 * From the kernel's boot message to a running system, and then supervision.
 *
 * Order: what finds devices first, as others wait for it; the personality next,
 * which does without devices until they come; everything else as it is found.
 */
#include "base/format.h"
#include "base/parse.h"
#include "base/string.h"
#include "init.h"
#include "rt/log.h"
#include "rt/process.h"

struct init init;

static void boot_receive(k_handle_t channel)
{
	struct k_message m = { .data = (uint64_t)&init.boot, .length = sizeof(init.boot),
			       .handles = (uint64_t)init.handle, .handle_count = K_BOOT_HANDLES };
	k_status_t st = k_channel_recv(channel, &m, K_DEADLINE_NEVER);

	if (st != K_OK || m.length != sizeof(init.boot) || m.handle_count < K_BOOT_INITRD)
		rt_panic("init: no boot message: status %d, %u bytes, %u handles", st, m.length,
			 m.handle_count);
	rt_close(channel);
}

static void bundle_map(void)
{
	struct k_map map = {
		.length = ALIGN_UP(init.boot.bundle_length, (uint64_t)K_PAGE_SIZE),
		.prot = K_PROT_READ, .max_prot = K_PROT_READ, .flags = K_MAP_SHARED,
		.memory = init.handle[K_BOOT_BUNDLE],
	};
	k_status_t st = k_space_map(0, &map);

	if (st != K_OK)
		rt_panic("init: cannot map the boot bundle: status %d", st);
	init.bundle = (const void *)map.addr;
}

/* system/NAME.conf, where concord.system= gives the name. */
static void conf_read(void)
{
	char name[CONF_NAME] = "default", path[CONF_NAME + 16];
	struct conf_error error;
	const void *text;
	size_t length;

	option_value(init.boot.command_line, "concord.system", name, sizeof(name));
	snprintf(path, sizeof(path), "system/%s.conf", name);
	if (!bundle_find(path, &text, &length))
		rt_panic("init: %s is not in the boot bundle", path);
	if (!conf_parse(text, length, &init.conf, &error))
		rt_panic("init: %s:%u: %s", path, error.line, error.text);
}

static void personalities_prepare(void)
{
	char word[16];
	bool given = option_value(init.boot.command_line, "concord.placement", word, sizeof(word));

	for (uint32_t l = 0; l < init.conf.linux_count; l++) {
		struct personality *p = &init.personalities[l];

		p->conf = &init.conf.linuxes[l];
		p->placement = p->conf->placement;
		if (given && strcmp(word, "kernel") == 0)
			p->placement = LINUX_PLACEMENT_KERNEL;
		else if (given && strcmp(word, "process") == 0)
			p->placement = LINUX_PLACEMENT_PROCESS;
		else if (given)
			rt_log(RT_LOG_WARNING, "init: concord.placement is \"kernel\" or \"process\"");
	}
}

static void groups_make(void)
{
	struct k_group_limits limits = { .cpu_weight = 1024, .flags = K_GROUP_RESERVE };
	k_status_t st = k_group_create(init.handle[K_BOOT_GROUP], &limits, &init.components_group);

	if (st != K_OK)
		rt_panic("init: cannot make a group: status %d", st);
}

/* Components that wait for no device; "devices" also talks to us. */
static void components_start(void)
{
	for (uint32_t i = 0; i < init.conf.component_count; i++) {
		const struct conf_component *c = &init.conf.components[i];

		if (c->match_count)
			continue;
		instance_start(c, NULL);
		for (size_t k = 0; k < INSTANCES; k++) {
			struct instance *in = &init.instances[k];

			if (in->conf != c || !(c->needs & CONF_NEEDS_DEVICES) || !in->channel)
				continue;
			init.devices_channel = in->channel;
			if (k_channel_watch(in->channel, init.bell, BIT(BELL_DEVICES)) != K_OK)
				rt_log(RT_LOG_ERR, "init: cannot listen to %s", in->name);
		}
	}
}

static void device_found(const struct component_device *d)
{
	const struct conf_component *c = conf_match(&init.conf, d);

	if (!c) {
		rt_log(RT_LOG_DEBUG, "init: no component for bus %u device %04x:%04x", d->bus,
		       d->vendor, d->device);
		return;
	}
	instance_start(c, d);
	supervise();		/* the first one sets the clock going */
}

static void ring_later(uint64_t delay_ms, unsigned int bit)
{
	static k_handle_t timers[64];
	uint64_t now = 0;

	if (k_clock_read(K_CLOCK_MONOTONIC, &now) != K_OK ||
	    (!timers[bit] && k_timer_create(init.bell, BIT(bit), &timers[bit]) != K_OK) ||
	    k_timer_set(timers[bit], now + delay_ms * 1000000, 0) != K_OK)
		rt_log(RT_LOG_ERR, "init: no timer for the command line's wishes");
}

/*
 * What the command line wants for tests, a while after all components were started:
 * concord.dump=handles, concord.kill=INSTANCE@MILLISECONDS or, again and again,
 * concord.kill=INSTANCE@MILLISECONDS/MILLISECONDS.
 */
static struct {
	char name[32];
	uint64_t first_ms, every_ms;	/* every_ms 0: once */
} kill_wish;

static bool parse_kill(const char *text)
{
	const char *at = strchr(text, '@');
	size_t n, digits;

	if (!at)
		return false;
	n = (size_t)(at - text);
	if (n >= sizeof(kill_wish.name))
		return false;
	memcpy(kill_wish.name, text, n);
	kill_wish.name[n] = '\0';
	at++;
	digits = parse_u64(at, strlen(at), 10, &kill_wish.first_ms);
	if (!digits || kill_wish.first_ms > 1000000)
		return false;
	at += digits;
	return !*at || (*at == '/' && parse_u64_all(at + 1, &kill_wish.every_ms) &&
			kill_wish.every_ms && kill_wish.every_ms <= 1000000);
}

static void wishes_schedule(void)
{
	char what[48];

	if (option_value(init.boot.command_line, "concord.dump", what, sizeof(what)) &&
	    strcmp(what, "handles") == 0)
		ring_later(300, BELL_DUMP);
	if (!option_value(init.boot.command_line, "concord.kill", what, sizeof(what)))
		return;
	if (parse_kill(what))
		ring_later(kill_wish.first_ms, BELL_KILL);
	else
		rt_log(RT_LOG_WARNING, "init: concord.kill wants INSTANCE@MILLISECONDS[/MILLISECONDS]");
}

static void wished_kill(void)
{
	struct instance *in = instance_find(kill_wish.name);

	if (in)
		instance_end(in, "concord.kill", true);
	else
		rt_log(RT_LOG_WARNING, "init: concord.kill: there is no %s", kill_wish.name);
	if (kill_wish.every_ms)
		ring_later(kill_wish.every_ms, BELL_KILL);
}

/* Also when "devices" ends before it said so, or is not in the description. */
static void all_found(void)
{
	static bool said;

	if (said)
		return;
	said = true;
	for (uint32_t l = 0; l < init.conf.linux_count; l++)
		personality_settled(&init.personalities[l]);
	wishes_schedule();
}

static void devices_message(void)
{
	for (;;) {
		struct component_device d = { 0 };
		k_handle_t handles[K_MESSAGE_MAX_HANDLES];
		struct k_message m = { .data = (uint64_t)&d, .length = sizeof(d),
				       .handles = (uint64_t)handles,
				       .handle_count = K_MESSAGE_MAX_HANDLES };

		if (!init.devices_channel ||
		    k_channel_recv(init.devices_channel, &m, 0) != K_OK)
			return;
		for (uint32_t i = 0; i < m.handle_count; i++)
			rt_close(handles[i]);
		if (m.length == sizeof(d) && d.kind == COMPONENT_DEVICE)
			device_found(&d);
		else if (m.length >= 4 && d.kind == COMPONENT_DEVICES_SETTLED)
			all_found();
	}
}

static void ended(struct instance *in)
{
	if (in->channel == init.devices_channel && in->state == INSTANCE_RUNNING) {
		devices_message();
		init.devices_channel = 0;
		all_found();
	}
	instance_ended(in);
}

static void messages(void)
{
	uint64_t bits = 0;

	if (k_bell_wait(init.messages, ~0ull, 0, 0, &bits) != K_OK)
		return;
	for (size_t i = 0; i < INSTANCES; i++)
		if (bits & BIT(i))
			instance_message(&init.instances[i]);
	for (uint32_t l = 0; l < init.conf.linux_count; l++) {
		if (bits & BIT(BELL_LINUX + l))
			control_serve(&init.personalities[l]);
		if (bits & BIT(BELL_ANSWERS + l))
			personality_message(&init.personalities[l]);
	}
}

static void dispatch(uint64_t bits)
{
	if (bits & BIT(BELL_DEVICES))
		devices_message();
	if (bits & BIT(BELL_MESSAGES))
		messages();
	if (bits & BIT(BELL_DUMP))
		dump_handles();
	if (bits & BIT(BELL_KILL))
		wished_kill();
	for (size_t i = 0; i < INSTANCES; i++)
		if (bits & BIT(i))
			ended(&init.instances[i]);
	for (uint32_t l = 0; l < init.conf.linux_count; l++)
		if (bits & BIT(BELL_LINUX + l))
			personality_ended(&init.personalities[l]);
	if (bits & BIT(BELL_TICK))
		supervise();
}

static void bells_make(void)
{
	k_status_t st = k_bell_create(&init.bell);

	if (st == K_OK)
		st = k_bell_create(&init.messages);
	if (st == K_OK)
		st = k_bell_chain(init.messages, init.bell, BIT(BELL_MESSAGES));
	if (st == K_OK)
		st = k_timer_create(init.bell, BIT(BELL_TICK), &init.tick);
	if (st != K_OK)
		rt_panic("init: cannot make its bells: status %d", st);
}

#define STALL_MS	20000u
#define PROBATION_MS	10000u
#define HOUR_MS		3600000u

/* NAME=MILLISECONDS, or @otherwise. */
static uint64_t option_ms(const char *name, uint64_t otherwise)
{
	char word[24];
	uint64_t ms;

	if (!option_value(init.boot.command_line, name, word, sizeof(word)))
		return otherwise;
	if (parse_u64_all(word, &ms) && ms && ms <= HOUR_MS)
		return ms;
	rt_log(RT_LOG_WARNING, "init: %s wants milliseconds, at most %u", name, HOUR_MS);
	return otherwise;
}

static void options_read(void)
{
	char word[16];

	init.probation_ms = option_ms("concord.probation", PROBATION_MS);
	init.stall_ms = option_ms("concord.stall", STALL_MS);
	init.never_restart = option_value(init.boot.command_line, "concord.restart", word,
					  sizeof(word)) && strcmp(word, "never") == 0;
}

int rt_main(k_handle_t bootstrap)
{
	boot_receive(bootstrap);
	bundle_map();
	conf_read();
	bells_make();
	options_read();
	groups_make();
	personalities_prepare();
	components_start();
	for (uint32_t l = 0; l < init.conf.linux_count; l++)
		personality_start(&init.personalities[l]);
	if (!init.devices_channel)
		all_found();
	supervise();
	for (;;) {
		uint64_t bits = 0;
		k_status_t st = k_bell_wait(init.bell, ~0ull, K_DEADLINE_NEVER, 0, &bits);

		if (st != K_OK)
			rt_panic("init: cannot wait: status %d", st);
		dispatch(bits);
	}
}
