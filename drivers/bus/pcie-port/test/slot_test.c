/* SPDX-License-Identifier: MIT */
/* The slot of a port that is registers in memory: they do what the specification says, and what it does not. */
#include "base/byteorder.h"
#include "slot.h"
#include "unit/unit.h"

enum { AT = 0x54, FLAGS = AT + 2, LINK_CAP = AT + 0xc, LINK_STATUS = AT + 0x12, CAP = AT + 0x14,
       CONTROL = AT + 0x18, STATUS = AT + 0x1a };
enum { BUTTON = 1, PRESENCE = 8, COMPLETED = 16, PRESENT = 64, LINK = 256 };
enum { ON = 0x100, BLINKS = 0x200, OFF = 0x300, POWER_OFF = 0x400 };
#define CAP_ALL		0x5b		/* button, power, both indicators, hot plug */
#define CAP_SILENT	(1u << 18)	/* no completion of commands */
#define LINK_REPORTS	(1u << 20)
#define LINK_ACTIVE	(1u << 13)
#define SECOND		1000000000ull

static struct {
	uint8_t config[256];
	uint64_t now, timer;		/* 0: none */
	bool gone, slow, stuck;		/* the port; commands take until complete(); events never end */
	unsigned int ejects, gones, plugs, writes;
} port;

static struct slot slot;

static uint32_t word(uint32_t at)
{
	return get_le16(port.config + at);
}

static void set(uint32_t at, uint32_t bits)
{
	put_le16(port.config + at, (uint16_t)(word(at) | bits));
}

static void clear(uint32_t at, uint32_t bits)
{
	put_le16(port.config + at, (uint16_t)(word(at) & ~bits));
}

static uint32_t read_register(void *user, uint32_t offset, uint32_t width)
{
	if (port.gone)
		return width == 2 ? 0xffff : 0xffffffff;
	return width == 2 ? word(offset) : get_le32(port.config + offset);
}

static void write_register(void *user, uint32_t offset, uint16_t value)
{
	port.writes++;
	if (offset == STATUS && !port.stuck) {
		clear(STATUS, value & 0x11f);
	} else if (offset == CONTROL) {
		put_le16(port.config + CONTROL, value);
		if (!port.slow && !(get_le32(port.config + CAP) & CAP_SILENT))
			set(STATUS, COMPLETED);
	}
}

static uint64_t now_ns(void *user)
{
	return port.now;
}

static void set_timer(void *user, uint64_t when)
{
	port.timer = when;
}

static void tell(void *user, enum slot_news news)
{
	port.ejects += news == SLOT_EJECT;
	port.gones += news == SLOT_GONE;
	port.plugs += news == SLOT_PLUGGED;
}

static void ignore(void *user, const char *what)
{
}

static const struct slot_ops ops = { read_register, write_register, now_ns, set_timer, tell, ignore };

static bool start(bool succeeds)
{
	return slot_start(&slot, &ops, NULL, SLOT_DELAY_NS, succeeds);
}

/* A root port with a card in its slot, and power. */
static void make(uint32_t cap)
{
	memset(&port, 0, sizeof(port));
	port.now = SECOND;
	put_le16(port.config + 6, 0x10);
	port.config[0x34] = 0x40;
	put_le16(port.config + 0x40, 0x5405);		/* MSI first */
	put_le16(port.config + AT, 0x10);
	put_le16(port.config + FLAGS, 0x142);		/* root port with a slot, version 2 */
	put_le32(port.config + LINK_CAP, LINK_REPORTS);
	set(LINK_STATUS, LINK_ACTIVE);
	put_le32(port.config + CAP, cap);
	set(STATUS, PRESENT);
}

static void event(uint32_t bits)
{
	set(STATUS, bits);
	slot_event(&slot);
	slot_event(&slot);		/* the completion of what followed */
}

static void pull(void)
{
	clear(STATUS, PRESENT);
	clear(LINK_STATUS, LINK_ACTIVE);
	event(PRESENCE | LINK);
}

static void pass(uint64_t ns)
{
	port.now += ns;
	if (port.timer && port.timer <= port.now) {
		port.timer = 0;
		slot_time(&slot);
		slot_event(&slot);
	}
}

static uint32_t control(void)
{
	return word(CONTROL) & (OFF | POWER_OFF);
}

TEST(a_button_blinks_for_five_seconds_and_empties_the_slot)
{
	make(CAP_ALL);
	REQUIRE(start(false));
	CHECK_EQ(slot.state, SLOT_OCCUPIED);
	CHECK_EQ(control(), ON);
	CHECK_EQ(word(CONTROL) & 0x103f, 0x103b);	/* all events but the latch's */
	event(BUTTON);
	CHECK_EQ(control(), BLINKS);
	pass(SLOT_DELAY_NS - 1);
	CHECK_EQ(port.ejects, 0);
	pass(1);
	CHECK_EQ(port.ejects, 1);
	CHECK_EQ(control(), BLINKS);
	slot_free(&slot);
	CHECK_EQ(control(), OFF | POWER_OFF);
	CHECK_EQ(slot.state, SLOT_EMPTY);
	pull();
	CHECK_EQ(port.gones, 0);
	CHECK_EQ(port.plugs, 0);
}

TEST(a_second_press_takes_it_back)
{
	make(CAP_ALL);
	REQUIRE(start(false));
	event(BUTTON);
	pass(SECOND);
	event(BUTTON);
	CHECK_EQ(control(), ON);
	CHECK_EQ(slot.state, SLOT_OCCUPIED);
	pass(2 * SLOT_DELAY_NS);
	CHECK_EQ(port.ejects, 0);
	event(BUTTON);
	pass(SLOT_DELAY_NS);
	CHECK_EQ(port.ejects, 1);
	/* From now on it is too late. */
	event(BUTTON);
	CHECK_EQ(slot.state, SLOT_EMPTYING);
}

TEST(a_card_that_is_pulled_is_gone_in_every_state)
{
	for (int state = SLOT_OCCUPIED; state <= SLOT_EMPTYING; state++) {
		make(CAP_ALL);
		REQUIRE(start(false));
		if (state >= SLOT_ASKED)
			event(BUTTON);
		if (state == SLOT_EMPTYING)
			pass(SLOT_DELAY_NS);
		CHECK_EQ(slot.state, state);
		pull();
		CHECK_EQ(port.gones, 1);
		CHECK_EQ(slot.state, SLOT_EMPTYING);
		pass(2 * SLOT_DELAY_NS);
		CHECK_EQ(port.ejects, state == SLOT_EMPTYING);
		slot_free(&slot);
		CHECK_EQ(control(), OFF | POWER_OFF);
		slot_free(&slot);
		CHECK_EQ(slot.state, SLOT_EMPTY);
	}
}

TEST(a_link_that_goes_down_is_a_card_that_has_gone)
{
	make(CAP_ALL);
	REQUIRE(start(false));
	event(LINK);
	CHECK_EQ(slot.state, SLOT_OCCUPIED);
	clear(LINK_STATUS, LINK_ACTIVE);
	event(LINK);
	CHECK_EQ(port.gones, 1);
	/* Unless nothing is said about it. */
	make(CAP_ALL);
	put_le32(port.config + LINK_CAP, 0);
	clear(LINK_STATUS, LINK_ACTIVE);
	REQUIRE(start(false));
	event(PRESENCE);
	CHECK_EQ(port.gones, 0);
}

TEST(its_own_power_off_is_no_news)
{
	make(CAP_ALL);
	REQUIRE(start(false));
	event(BUTTON);
	pass(SLOT_DELAY_NS);
	slot_free(&slot);
	/* The card is still there, and only the link has gone. */
	clear(LINK_STATUS, LINK_ACTIVE);
	event(LINK);
	CHECK_EQ(port.gones, 0);
	CHECK_EQ(port.plugs, 0);
	event(BUTTON);
	CHECK_EQ(port.plugs, 1);
}

TEST(a_card_that_comes_is_told)
{
	make(CAP_ALL);
	clear(STATUS, PRESENT);
	set(CONTROL, POWER_OFF);
	REQUIRE(start(false));
	CHECK_EQ(slot.state, SLOT_EMPTY);
	set(STATUS, PRESENT);
	event(PRESENCE | BUTTON);
	CHECK_EQ(port.plugs, 1);
	CHECK_EQ(port.gones, 0);
}

TEST(what_was_pending_at_first_is_nobodys_wish_but_a_predecessors_is)
{
	make(CAP_ALL);
	set(STATUS, BUTTON);
	REQUIRE(start(false));
	slot_event(&slot);
	CHECK_EQ(slot.state, SLOT_OCCUPIED);
	make(CAP_ALL);
	set(STATUS, BUTTON);
	REQUIRE(start(true));
	slot_event(&slot);
	CHECK_EQ(slot.state, SLOT_ASKED);
}

/* Whenever a driver dies, its successor gets the slot emptied that was to be. */
TEST(a_successor_goes_on_from_the_registers)
{
	for (int died = 0; died < 5; died++) {
		unsigned int told;

		make(CAP_ALL);
		REQUIRE(start(false));
		event(BUTTON);
		if (died >= 1)
			pass(SLOT_DELAY_NS);
		if (died == 2)
			pull();
		if (died >= 3)
			slot_free(&slot);
		if (died == 4)
			pull();
		told = port.ejects + port.gones;
		CHECK_EQ(told, died == 0 ? 0 : died == 2 ? 2 : 1);
		REQUIRE(start(true));
		slot_event(&slot);
		pass(SLOT_DELAY_NS);
		/* Once more: it may not have been heard. */
		CHECK_EQ(port.ejects + port.gones, told + 1);
		slot_free(&slot);
		CHECK_EQ(slot.state, SLOT_EMPTY);
		CHECK_EQ(control(), OFF | POWER_OFF);
	}
}

TEST(commands_wait_for_each_other_but_not_for_ever)
{
	make(CAP_ALL);
	REQUIRE(start(false));
	event(0);
	port.slow = true;
	event(BUTTON);
	CHECK_EQ(control(), BLINKS);
	event(BUTTON);
	event(BUTTON);
	event(BUTTON);
	CHECK_EQ(control(), BLINKS);	/* none of the three is written */
	port.slow = false;
	event(COMPLETED);
	CHECK_EQ(control(), ON);	/* what is wanted by now */
	port.slow = true;
	event(BUTTON);
	event(BUTTON);
	CHECK_EQ(control(), BLINKS);
	pass(SECOND);
	CHECK_EQ(control(), ON);
}

TEST(a_slot_that_does_not_tell_of_completion_is_not_waited_for)
{
	make(CAP_ALL | CAP_SILENT);
	REQUIRE(start(false));
	CHECK_EQ(word(CONTROL) & 0x10, 0);
	event(BUTTON);
	event(BUTTON);
	CHECK_EQ(control(), ON);
}

TEST(a_slot_without_power_control_keeps_its_bit)
{
	make(CAP_ALL & ~2u);
	REQUIRE(start(false));
	event(BUTTON);
	pass(SLOT_DELAY_NS);
	slot_free(&slot);
	CHECK_EQ(control(), OFF);
	CHECK_EQ(slot.state, SLOT_EMPTY);
}

TEST(functions_without_such_a_slot_are_refused)
{
	make(CAP_ALL);
	put_le16(port.config + FLAGS, 0x42);
	CHECK(!start(false));
	make(CAP_ALL);
	put_le16(port.config + FLAGS, 0x102);	/* an endpoint */
	CHECK(!start(false));
	make(CAP_ALL & ~0x40u);
	CHECK(!start(false));
	make(CAP_ALL);
	put_le16(port.config + AT, 0x05);
	CHECK(!start(false));
	make(CAP_ALL);
	port.config[AT] = 0x05;
	port.config[AT + 1] = AT;		/* a list that bites its tail */
	CHECK(!start(false));
	make(CAP_ALL);
	port.gone = true;
	CHECK(!start(false));
	CHECK_EQ(port.writes, 0);
}

TEST(a_port_that_goes_itself_changes_nothing)
{
	make(CAP_ALL);
	REQUIRE(start(false));
	event(0);
	port.gone = true;
	slot_event(&slot);
	slot_time(&slot);
	CHECK_EQ(slot.state, SLOT_OCCUPIED);
	CHECK_EQ(port.ejects + port.gones, 0);
}

TEST(events_without_end_are_looked_at_later)
{
	make(CAP_ALL);
	REQUIRE(start(false));
	event(0);
	port.stuck = true;
	event(COMPLETED);
	CHECK(port.writes < 100);
	CHECK(port.timer > port.now && port.timer <= port.now + SECOND);
}
