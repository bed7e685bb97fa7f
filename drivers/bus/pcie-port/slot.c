/* SPDX-License-Identifier: MIT */
#include "slot.h"

#include "base/util.h"

enum {	/* configuration space */
	STATUS = 0x06, STATUS_HAS_CAPABILITIES = 0x10, CAPABILITIES = 0x34, CAP_EXPRESS = 0x10,
};
enum {	/* of the capability */
	FLAGS = 0x02, LINK_CAPABILITIES = 0x0c, LINK_STATUS = 0x12, SLOT_CAPABILITIES = 0x14,
	SLOT_CONTROL = 0x18, SLOT_STATUS = 0x1a,
};
#define FLAGS_TYPE(flags)	((flags) >> 4 & 0xf)
#define TYPE_ROOT_PORT		4u
#define TYPE_DOWNSTREAM_PORT	6u
#define FLAGS_HAS_SLOT		(1u << 8)
#define LINK_REPORTS		(1u << 20)
#define LINK_ACTIVE		(1u << 13)

#define CAP_BUTTON		(1u << 0)
#define CAP_POWER		(1u << 1)
#define CAP_HOT_PLUG		(1u << 6)
#define CAP_NO_COMPLETION	(1u << 18)

#define CONTROL_EVENTS		0x103fu		/* which ones interrupt, and that they do */
#define   EVENT_BUTTON		(1u << 0)
#define   EVENT_POWER_FAULT	(1u << 1)
#define   EVENT_PRESENCE	(1u << 3)
#define   EVENT_COMPLETION	(1u << 4)
#define   EVENT_INTERRUPT	(1u << 5)
#define   EVENT_LINK		(1u << 12)
#define CONTROL_ATTENTION_OFF	(3u << 6)
#define CONTROL_INDICATOR	(3u << 8)
#define   INDICATOR_ON		(1u << 8)
#define   INDICATOR_BLINKS	(2u << 8)
#define   INDICATOR_OFF		(3u << 8)
#define CONTROL_POWER_OFF	(1u << 10)

#define STATUS_BUTTON		(1u << 0)
#define STATUS_POWER_FAULT	(1u << 1)
#define STATUS_PRESENCE		(1u << 3)
#define STATUS_COMPLETED	(1u << 4)
#define STATUS_PRESENT		(1u << 6)
#define STATUS_LINK		(1u << 8)
#define STATUS_EVENTS		0x011fu

#define COMMAND_NS		1000000000ull	/* it is complete by then, or never */
#define CAPABILITIES_MAX	48
#define ROUNDS_MAX		16

static uint32_t read16(const struct slot *s, uint32_t offset)
{
	return s->ops->read(s->user, s->at + offset, 2);
}

static bool is_gone(uint32_t value)
{
	return value == 0xffff;
}

static uint32_t find_express(const struct slot *s)
{
	uint32_t status = s->ops->read(s->user, STATUS, 2), at;

	if (is_gone(status) || !(status & STATUS_HAS_CAPABILITIES))
		return 0;
	at = s->ops->read(s->user, CAPABILITIES, 2) & 0xfc;
	for (int i = 0; i < CAPABILITIES_MAX && at >= 0x40; i++) {
		uint32_t head = s->ops->read(s->user, at, 2);

		if ((head & 0xff) == CAP_EXPRESS)
			return at;
		at = head >> 8 & 0xfc;
	}
	return 0;
}

static bool has_slot(struct slot *s)
{
	uint32_t flags;

	s->at = find_express(s);
	if (!s->at)
		return false;
	flags = read16(s, FLAGS);
	if (is_gone(flags) || !(flags & FLAGS_HAS_SLOT) ||
	    (FLAGS_TYPE(flags) != TYPE_ROOT_PORT && FLAGS_TYPE(flags) != TYPE_DOWNSTREAM_PORT))
		return false;
	s->capabilities = s->ops->read(s->user, s->at + SLOT_CAPABILITIES, 4);
	s->link_capabilities = s->ops->read(s->user, s->at + LINK_CAPABILITIES, 4);
	return (s->capabilities & CAP_HOT_PLUG) && s->capabilities != UINT32_MAX;
}

/* -- commands -------------------------------------------------------------------------------- */

static void set_timer(struct slot *s)
{
	uint64_t when = UINT64_MAX;

	if (s->state == SLOT_ASKED)
		when = s->asked_until_ns;
	if (s->busy_until_ns)
		when = MIN(when, s->busy_until_ns);
	if (when != UINT64_MAX)
		s->ops->set_timer(s->user, when);
}

static void write_wanted(struct slot *s)
{
	if (s->busy_until_ns || s->wanted == s->written)
		return;
	s->written = s->wanted;
	s->ops->write(s->user, s->at + SLOT_CONTROL, s->wanted);
	if (!(s->capabilities & CAP_NO_COMPLETION))
		s->busy_until_ns = s->ops->now_ns(s->user) + COMMAND_NS;
}

static void command(struct slot *s, uint32_t indicator, bool power)
{
	s->wanted = (uint16_t)((s->wanted & ~(CONTROL_INDICATOR | CONTROL_POWER_OFF)) | indicator |
			       (power ? 0 : CONTROL_POWER_OFF));
	write_wanted(s);
	set_timer(s);
}

/* -- what happens ------------------------------------------------------------------------------ */

static void ask(struct slot *s)
{
	s->state = SLOT_ASKED;
	s->asked_until_ns = s->ops->now_ns(s->user) + s->delay_ns;
	command(s, INDICATOR_BLINKS, true);
}

static void button(struct slot *s)
{
	if (s->state == SLOT_OCCUPIED) {
		s->ops->log(s->user, "the attention button was pressed: its card is to be unplugged");
		ask(s);
	} else if (s->state == SLOT_ASKED) {
		s->ops->log(s->user, "the attention button was pressed again: its card stays");
		s->state = SLOT_OCCUPIED;
		command(s, INDICATOR_ON, true);
	}
}

/* Something is in it, and answers. */
static bool is_occupied(const struct slot *s, uint32_t status)
{
	return (status & STATUS_PRESENT) &&
	       (!(s->link_capabilities & LINK_REPORTS) || (read16(s, LINK_STATUS) & LINK_ACTIVE));
}

static void presence(struct slot *s, uint32_t status)
{
	if (s->state == SLOT_EMPTY || is_occupied(s, status))
		return;
	s->ops->log(s->user, "its card has gone");
	s->state = SLOT_EMPTYING;
	s->ops->tell(s->user, SLOT_GONE);
}

/* Events are messages: what happens between two looks makes no other. */
void slot_event(struct slot *s)
{
	for (int round = 0; round < ROUNDS_MAX; round++) {
		uint32_t status = read16(s, SLOT_STATUS), events = status & STATUS_EVENTS;

		if (is_gone(status) || !events)
			return;
		s->ops->write(s->user, s->at + SLOT_STATUS, (uint16_t)events);
		if (events & STATUS_COMPLETED)
			s->busy_until_ns = 0;
		/* What ends with its power (the link) is no news. */
		if (s->state == SLOT_EMPTY && (events & (STATUS_BUTTON | STATUS_PRESENCE)) &&
		    (status & STATUS_PRESENT))
			s->ops->tell(s->user, SLOT_PLUGGED);
		if (events & STATUS_POWER_FAULT)
			s->ops->log(s->user, "its power has failed");
		if (events & STATUS_BUTTON)
			button(s);
		if (events & (STATUS_PRESENCE | STATUS_LINK))
			presence(s, status);
		write_wanted(s);
		set_timer(s);
	}
	/* It does not stop: look again later, as no other message may come. */
	s->ops->set_timer(s->user, s->ops->now_ns(s->user) + COMMAND_NS);
}

void slot_time(struct slot *s)
{
	uint64_t now;

	slot_event(s);
	now = s->ops->now_ns(s->user);
	if (s->busy_until_ns && s->busy_until_ns <= now) {
		s->busy_until_ns = 0;
		write_wanted(s);
	}
	if (s->state == SLOT_ASKED && s->asked_until_ns <= now) {
		s->state = SLOT_EMPTYING;
		s->ops->tell(s->user, SLOT_EJECT);
	}
	set_timer(s);
}

void slot_free(struct slot *s)
{
	if (s->state != SLOT_EMPTYING)
		return;
	s->state = SLOT_EMPTY;
	command(s, INDICATOR_OFF, !(s->capabilities & CAP_POWER));
}

void slot_cut(struct slot *s)
{
	s->ops->write(s->user, s->at + SLOT_CONTROL, s->written | INDICATOR_OFF | CONTROL_POWER_OFF);
}

/* -- start --------------------------------------------------------------------------------------- */

static uint32_t events_of(const struct slot *s)
{
	uint32_t events = EVENT_POWER_FAULT | EVENT_PRESENCE | EVENT_INTERRUPT;

	if (s->capabilities & CAP_BUTTON)
		events |= EVENT_BUTTON;
	if (!(s->capabilities & CAP_NO_COMPLETION))
		events |= EVENT_COMPLETION;
	if (s->link_capabilities & LINK_REPORTS)
		events |= EVENT_LINK;
	return events;
}

bool slot_start(struct slot *s, const struct slot_ops *ops, void *user, uint64_t delay_ns, bool succeeds)
{
	uint32_t control, status;
	bool powered;

	*s = (struct slot){ .ops = ops, .user = user, .delay_ns = delay_ns };
	if (!has_slot(s))
		return false;
	control = read16(s, SLOT_CONTROL);
	status = read16(s, SLOT_STATUS);
	if (is_gone(control) || is_gone(status))
		return false;
	/* What was pending before anybody saw to it is nobody's wish. */
	if (!succeeds)
		s->ops->write(user, s->at + SLOT_STATUS, (uint16_t)(status & STATUS_EVENTS));
	s->written = (uint16_t)control;
	s->wanted = (uint16_t)((control & ~CONTROL_EVENTS) | events_of(s) | CONTROL_ATTENTION_OFF);
	powered = !(s->capabilities & CAP_POWER) || !(control & CONTROL_POWER_OFF);
	if (!powered || !(status & STATUS_PRESENT)) {
		s->state = SLOT_EMPTY;
		command(s, INDICATOR_OFF, !(s->capabilities & CAP_POWER));
		if (succeeds)
			s->ops->tell(user, SLOT_GONE);	/* nobody may have been told yet */
	} else if (succeeds && (control & CONTROL_INDICATOR) == INDICATOR_BLINKS) {
		ask(s);
	} else {
		s->state = SLOT_OCCUPIED;
		command(s, INDICATOR_ON, true);
	}
	return true;
}
