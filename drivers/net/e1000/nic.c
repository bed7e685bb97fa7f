/* SPDX-License-Identifier: MIT */
#include "nic.h"

#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"

/* Section 13.4 and table 13-2. */
enum {
	CTRL = 0x0000, STATUS = 0x0008, EERD = 0x0014, ICR = 0x00c0, ITR = 0x00c4, IMS = 0x00d0,
	IMC = 0x00d8, RCTL = 0x0100, TCTL = 0x0400, TIPG = 0x0410, RDTR = 0x2820, RADV = 0x282c,
	TIDV = 0x3820, TXDCTL = 0x3828, TADV = 0x382c, RXCSUM = 0x5000, MTA = 0x5200,
	RAL = 0x5400, RAH = 0x5404, MANC = 0x5820,
};
/* Of a ring, from its base on. */
enum { BASE_LOW = 0x00, BASE_HIGH = 0x04, LENGTH = 0x08, HEAD = 0x10, TAIL = 0x18 };
static const uint32_t ring_at[NIC_RINGS] = { [NIC_RX] = 0x2800, [NIC_TX] = 0x3800 };
enum { DESCRIPTOR = 16, MTA_ENTRIES = 128, RA_ENTRIES = 16 };

#define CTRL_ASDE	(1u << 5)	/* the speed is what the other side has, too */
#define CTRL_SLU	(1u << 6)	/* the link is wanted */
#define CTRL_RST	(1u << 26)
/* Link reset, loss of signal turned round, speed and duplex forced, tags taken out, PHY reset. */
#define CTRL_UNWANTED	(1u << 3 | 1u << 7 | 1u << 11 | 1u << 12 | CTRL_RST | 1u << 30 | 1u << 31)
#define STATUS_LU	(1u << 1)
#define EERD_START	(1u << 0)
#define EERD_DONE	(1u << 4)
#define EERD_WORD(word)	((uint32_t)(word) << 8)
#define RAH_AV		(1u << 31)
#define MANC_ARP	(1u << 13)	/* answers questions by itself */

/*
 * It receives everything, as filters are the client's: unicast and multicast of any address, and
 * broadcasts; not what is longer than a tagged frame, or broken.  Buffers are of 2048 bytes (0).
 * The checksum at the frame's end is cut off.
 */
#define RCTL_EN		(1u << 1)
#define RCTL_RECEIVE	(RCTL_EN | 1u << 3 | 1u << 4 | 1u << 15 | 1u << 26)
/* Short frames are padded; collision threshold and distance as the manual has them (13.4.33). */
#define TCTL_EN		(1u << 1)
#define TCTL_SEND	(TCTL_EN | 1u << 3 | 0x0fu << 4 | 0x40u << 12)
#define TIPG_COPPER	(10u | 8u << 10 | 6u << 20)
/* At most 20,000 interrupts a second: steps of 256 ns. */
#define ITR_PACE	195u

#define GONE		0xffffffffu
#define MS		1000000ull
#define FLUSH_NS	(10 * MS)	/* what it had begun with the bus is over by then */
#define RESET_NS	(100 * MS)
#define LOADED_NS	(5 * MS)	/* the EEPROM was read into the registers (14.3) */
#define EEPROM_NS	(5 * MS)

static uint32_t reg(const struct nic *n, uint32_t offset)
{
	return n->window->read(n->window->user, offset);
}

/* Each register that is written is a place to be killed at. */
static void set_reg(const struct nic *n, uint32_t offset, uint32_t value)
{
	n->window->write(n->window->user, offset, value);
	n->window->step();
}

static uint64_t now(const struct nic *n)
{
	return n->window->now_ns(n->window->user);
}

static void wait(const struct nic *n, uint64_t ns)
{
	uint64_t begin = now(n);

	for (uint32_t i = 0; now(n) - begin < ns; i++)
		n->window->pause(n->window->user, i);
}

/* Until the bits @mask of the register are @value. */
static k_status_t wait_reg(const struct nic *n, uint32_t offset, uint32_t mask, uint32_t value,
			   uint64_t ns)
{
	uint64_t deadline = now(n) + ns;

	for (uint32_t i = 0;; i++) {
		/* In this order: the last look is after the deadline. */
		bool late = now(n) >= deadline;
		uint32_t v = reg(n, offset);

		if (v == GONE)
			return K_ERR_IO;
		if ((v & mask) == value)
			return K_OK;
		if (late)
			return K_ERR_TIMED_OUT;
		n->window->pause(n->window->user, i);
	}
}

bool nic_is_gone(const struct nic *n)
{
	return reg(n, STATUS) == GONE;
}

k_status_t nic_open(struct nic *n, const struct drv_window *window)
{
	*n = (struct nic){ .window = window };
	return nic_is_gone(n) ? K_ERR_IO : K_OK;
}

/* -- the address ------------------------------------------------------------------------------- */

static bool is_usable(const uint8_t *a)
{
	bool zero = !(a[0] | a[1] | a[2] | a[3] | a[4] | a[5]);

	return !zero && !(a[0] & 1);	/* not that of a group */
}

static bool read_registers(const struct nic *n, uint8_t *address)
{
	uint32_t high = reg(n, RAH);

	put_le32(address, reg(n, RAL));
	put_le16(address + 4, (uint16_t)high);
	return high != GONE && (high & RAH_AV);
}

/* The first three words of the EEPROM (5.6.1). */
static bool read_eeprom(const struct nic *n, uint8_t *address)
{
	for (uint32_t word = 0; word < NIC_ADDRESS / 2; word++) {
		set_reg(n, EERD, EERD_WORD(word) | EERD_START);
		if (wait_reg(n, EERD, EERD_DONE, EERD_DONE, EEPROM_NS) != K_OK)
			return false;
		put_le16(address + 2 * word, (uint16_t)(reg(n, EERD) >> 16));
	}
	return true;
}

bool nic_find_address(struct nic *n)
{
	if (read_registers(n, n->address) && is_usable(n->address))
		return true;
	if (read_eeprom(n, n->address) && is_usable(n->address))
		return true;
	memset(n->address, 0, sizeof(n->address));
	return false;
}

/* -- quiet ------------------------------------------------------------------------------------- */

static void quiet(const struct nic *n)
{
	const bool works = (reg(n, RCTL) & RCTL_EN) || (reg(n, TCTL) & TCTL_EN);

	set_reg(n, IMC, ~0u);
	set_reg(n, RCTL, 0);
	set_reg(n, TCTL, 0);
	(void)reg(n, STATUS);		/* what was written has arrived */
	if (works)
		wait(n, FLUSH_NS);
}

k_status_t nic_reset(const struct nic *n)
{
	k_status_t st;

	quiet(n);
	set_reg(n, CTRL, reg(n, CTRL) | CTRL_RST);
	wait(n, LOADED_NS);
	st = wait_reg(n, CTRL, CTRL_RST, 0, RESET_NS);
	if (st != K_OK)
		return st;
	/* A reset that does nothing but clear its bit, as QEMU's, leaves it quiet all the same. */
	quiet(n);
	(void)nic_causes(n);
	return (reg(n, RCTL) & RCTL_EN) || (reg(n, TCTL) & TCTL_EN) ? K_ERR_IO : K_OK;
}

/* -- running ----------------------------------------------------------------------------------- */

static void set_ring(const struct nic *n, unsigned int i, uint64_t bus)
{
	set_reg(n, ring_at[i] + BASE_LOW, (uint32_t)bus);
	set_reg(n, ring_at[i] + BASE_HIGH, (uint32_t)(bus >> 32));
	set_reg(n, ring_at[i] + LENGTH, NIC_RING_SIZE * DESCRIPTOR);
	set_reg(n, ring_at[i] + HEAD, 0);
	set_reg(n, ring_at[i] + TAIL, 0);
}

static bool ring_is_at(const struct nic *n, unsigned int i, uint64_t bus)
{
	return reg(n, ring_at[i] + BASE_LOW) == (uint32_t)bus &&
	       reg(n, ring_at[i] + BASE_HIGH) == (uint32_t)(bus >> 32) &&
	       reg(n, ring_at[i] + LENGTH) == NIC_RING_SIZE * DESCRIPTOR;
}

/* Its own address, and no filters: everything is received. */
static void set_filters(const struct nic *n)
{
	set_reg(n, RAL, get_le32(n->address));
	set_reg(n, RAH, get_le16(n->address + 4) | (is_usable(n->address) ? RAH_AV : 0));
	for (uint32_t i = 1; i < RA_ENTRIES; i++)
		set_reg(n, RAH + 8 * i, 0);
	for (uint32_t i = 0; i < MTA_ENTRIES; i++)
		n->window->write(n->window->user, MTA + 4 * i, 0);
}

k_status_t nic_run(const struct nic *n, const uint64_t rings[NIC_RINGS])
{
	set_reg(n, CTRL, (reg(n, CTRL) & ~CTRL_UNWANTED) | CTRL_SLU | CTRL_ASDE);
	set_filters(n);
	set_reg(n, MANC, reg(n, MANC) & ~MANC_ARP);
	set_reg(n, RXCSUM, 0);
	/* One pace for all interrupts, and none of the timers that delay some of them more. */
	set_reg(n, ITR, ITR_PACE);
	set_reg(n, RDTR, 0);
	set_reg(n, RADV, 0);
	set_reg(n, TIDV, 0);
	set_reg(n, TADV, 0);
	set_reg(n, TXDCTL, 0);		/* each descriptor is written back when it is done */
	set_reg(n, TIPG, TIPG_COPPER);
	for (unsigned int i = 0; i < NIC_RINGS; i++) {
		set_ring(n, i, rings[i]);
		if (!ring_is_at(n, i, rings[i]) || nic_tail(n, i) != 0)
			return K_ERR_IO;
	}
	set_reg(n, TCTL, TCTL_SEND);
	set_reg(n, RCTL, RCTL_RECEIVE);
	return reg(n, RCTL) == RCTL_RECEIVE && reg(n, TCTL) == TCTL_SEND ? K_OK : K_ERR_IO;
}

bool nic_runs_on(const struct nic *n, const uint64_t rings[NIC_RINGS])
{
	return reg(n, RCTL) == RCTL_RECEIVE && reg(n, TCTL) == TCTL_SEND &&
	       ring_is_at(n, NIC_RX, rings[NIC_RX]) && ring_is_at(n, NIC_TX, rings[NIC_TX]);
}

bool nic_has_drained(const struct nic *n)
{
	return reg(n, ring_at[NIC_TX] + HEAD) == reg(n, ring_at[NIC_TX] + TAIL);
}

uint32_t nic_tail(const struct nic *n, unsigned int ring)
{
	return reg(n, ring_at[ring] + TAIL);
}

void nic_show(const struct nic *n, unsigned int ring, uint32_t tail)
{
	/* release: descriptors, and what they name, come first */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	set_reg(n, ring_at[ring] + TAIL, tail);
}

bool nic_is_linked(const struct nic *n)
{
	uint32_t status = reg(n, STATUS);

	return status != GONE && (status & STATUS_LU);
}

/* -- interrupts -------------------------------------------------------------------------------- */

uint32_t nic_causes(const struct nic *n)
{
	return reg(n, ICR);
}

void nic_listen(const struct nic *n, uint32_t causes)
{
	set_reg(n, IMS, causes);
}

void nic_ignore(const struct nic *n, uint32_t causes)
{
	set_reg(n, IMC, causes);
}
