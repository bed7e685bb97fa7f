/* SPDX-License-Identifier: MIT */
/*
 * Slots of PCI Express ports whose cards can be unplugged while the system runs.
 *
 * It serves no link, and touches nothing but its port's configuration space.  slot.c decides;
 * init takes away from everybody what is behind the port, and says when that is done.
 */
#include "abi/calls.h"
#include "abi/component.h"
#include "base/parse.h"
#include "base/string.h"
#include "base/util.h"
#include "rt/log.h"
#include "rt/process.h"
#include "rt/time.h"
#include "slot.h"

enum { COMMAND = 0x04, COMMAND_MEMORY = 2, COMMAND_MASTER = 4 };
enum { BELL_IRQ = 1, BELL_TIMER = 2, BELL_CHANNEL = 4 };

static struct component_start start;
static k_handle_t channel, device, bell, timer;
static struct slot slot;
static bool cuts;		/* tests: the card vanishes when it should be asked for */

/* -- for slot.c ------------------------------------------------------------------------------ */

static uint32_t read_register(void *user, uint32_t offset, uint32_t width)
{
	uint32_t ones = width == 2 ? 0xffff : UINT32_MAX;
	uint64_t v;

	return k_device_config_read(device, 0, offset, width, &v) == K_OK ? (uint32_t)v : ones;
}

static void write_register(void *user, uint32_t offset, uint16_t value)
{
	if (k_device_config_write(device, 0, offset, 2, value) != K_OK)
		rt_log(RT_LOG_ERR, "%s: register %x cannot be written", start.name, offset);
}

static uint64_t now_ns(void *user)
{
	return rt_now_ns();
}

static void set_timer(void *user, uint64_t when_ns)
{
	if (k_timer_set(timer, when_ns, 0) != K_OK)
		rt_log(RT_LOG_ERR, "%s: no timer", start.name);
}

static void say(uint32_t kind)
{
	struct k_message m = { .data = (uint64_t)&kind, .length = sizeof(kind) };

	if (k_channel_send(channel, &m) != K_OK)
		rt_log(RT_LOG_WARNING, "%s: init does not listen", start.name);
}

static void tell(void *user, enum slot_news news)
{
	switch (news) {
	case SLOT_EJECT:
		if (cuts)
			slot_cut(&slot);
		else
			say(COMPONENT_SLOT_EJECT);
		break;
	case SLOT_GONE:
		say(COMPONENT_SLOT_GONE);
		break;
	case SLOT_PLUGGED:
		rt_log(RT_LOG_NOTICE, "%s: a card was plugged in; it is used from the next boot on", start.name);
		break;
	}
}

static void log_slot(void *user, const char *what)
{
	rt_log(RT_LOG_NOTICE, "%s: %s", start.name, what);
}

static const struct slot_ops ops = {
	.read = read_register, .write = write_register, .now_ns = now_ns, .set_timer = set_timer,
	.tell = tell, .log = log_slot,
};

/* -- start ------------------------------------------------------------------------------------ */

static bool receive_start(void)
{
	k_handle_t handles[K_MESSAGE_MAX_HANDLES];
	struct k_message m = { .data = (uint64_t)&start, .length = sizeof(start),
			       .handles = (uint64_t)handles, .handle_count = K_MESSAGE_MAX_HANDLES };

	if (k_channel_recv(channel, &m, K_DEADLINE_NEVER) != K_OK || m.length != sizeof(start) ||
	    start.kind != COMPONENT_START || start.version != 1 ||
	    start.granted != 1u << COMPONENT_HANDLE_DEVICE || m.handle_count != 1)
		return false;
	device = handles[0];
	return true;
}

/* The value of "COMPONENT.NAME=VALUE"; @otherwise: not given, or nonsense. */
static uint64_t option(const char *name, uint64_t otherwise)
{
	const char *at = strstr(start.options, name);
	uint64_t v;

	return at && parse_u64(at + strlen(name), strcspn(at + strlen(name), " "), 10, &v) ? v : otherwise;
}

static k_status_t open(void)
{
	k_status_t st = k_bell_create(&bell);

	if (st == K_OK)
		st = k_timer_create(bell, BELL_TIMER, &timer);
	return st == K_OK ? k_channel_watch(channel, bell, BELL_CHANNEL) : st;
}

static k_status_t start_interrupts(void)
{
	uint64_t command = 0;
	k_status_t st = k_device_config_read(device, 0, COMMAND, 2, &command);

	/* Its messages, and what those behind it read and write, are its to pass on. */
	if (st == K_OK)
		st = k_device_config_write(device, 0, COMMAND, 2, command | COMMAND_MEMORY | COMMAND_MASTER);
	return st == K_OK ? k_device_irq_bind(device, 0, bell, BELL_IRQ) : st;
}

static void begin(void)
{
	uint64_t delay_ms = option(".delay=", SLOT_DELAY_NS / 1000000);
	k_status_t st = open();

	cuts = CONFIG_CHECKS && option(".cut=", 0);
	if (st == K_OK && !slot_start(&slot, &ops, NULL, MIN(delay_ms, 60000ul) * 1000000,
				      start.incarnation > 1))
		k_process_exit(COMPONENT_EXIT_ABSENT);
	if (st == K_OK)
		st = start_interrupts();
	if (st != K_OK)
		rt_panic("%s: cannot use its port: status %d", start.name, st);
	/* What came before messages did. */
	slot_event(&slot);
	say(COMPONENT_READY);
}

/* -- life ------------------------------------------------------------------------------------- */

static void look_at_channel(void)
{
	for (;;) {
		uint32_t kind = 0;
		struct k_message m = { .data = (uint64_t)&kind, .length = sizeof(kind) };
		k_status_t st = k_channel_recv(channel, &m, 0);

		if (st == K_ERR_CLOSED)
			k_process_exit(0);
		if (st != K_OK)
			return;
		if (kind == COMPONENT_SLOT_FREE)
			slot_free(&slot);
	}
}

int rt_main(k_handle_t bootstrap)
{
	channel = bootstrap;
	if (!receive_start())
		rt_panic("pcie-port: init granted something else");
	begin();
	for (;;) {
		uint64_t bits = 0;

		if (k_bell_wait(bell, ~0ull, K_DEADLINE_NEVER, 0, &bits) != K_OK)
			rt_panic("%s: cannot wait", start.name);
		if (bits & BELL_IRQ) {
			slot_event(&slot);
			(void)!k_device_irq_ack(device, 0);
		}
		if (bits & BELL_TIMER)
			slot_time(&slot);
		if (bits & BELL_CHANNEL)
			look_at_channel();
	}
}
