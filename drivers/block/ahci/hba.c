/* SPDX-License-Identifier: MIT */
#include "hba.h"

#include "base/util.h"

/* Generic host control (3.1). */
enum { CAP = 0x00, GHC = 0x04, IS = 0x08, PI = 0x0c, VS = 0x10, CAP2 = 0x24, BOHC = 0x28 };
#define CAP_S64A	(1u << 31)
#define CAP_SNCQ	(1u << 30)
#define CAP_NCS(cap)	(((cap) >> 8 & 0x1f) + 1)
#define GHC_AE		(1u << 31)
#define GHC_IE		(1u << 1)
#define GHC_HR		(1u << 0)
#define CAP2_BOH	(1u << 0)
#define BOHC_BOS	(1u << 0)	/* firmware owns it */
#define BOHC_OOS	(1u << 1)	/* we do */
#define BOHC_BB		(1u << 4)	/* firmware is at work */
#define GONE		0xffffffffu

/* Of PxCMD. */
#define CMD_ST		(1u << 0)
#define CMD_SUD		(1u << 1)
#define CMD_POD		(1u << 2)
#define CMD_FRE		(1u << 4)
#define CMD_FR		(1u << 14)
#define CMD_CR		(1u << 15)
#define CMD_ALPE	(1u << 26)
#define CMD_ICC		(0xfu << 28)
#define CMD_ACTIVE	(1u << 28)

#define SSTS_DET(ssts)	((ssts) & 0xf)
enum { DET_LINKED = 3 };
#define SCTL_DET(sctl)	((sctl) & 0xf)
#define SCTL_NO_PARTIAL	(3u << 8)	/* no power management of the link */

#define MS		1000000ull
#define STOP_NS		(500 * MS)	/* 10.1.2: ST and FRE take at most so long */
#define LINK_NS		(1000 * MS)	/* a link that comes is there after a few ms */
#define READY_NS	(10000 * MS)	/* a disk spins up in this time */
#define COMRESET_NS	(2 * MS)	/* 10.4.2: at least 1 ms */
#define FIRMWARE_NS	(2000 * MS)
#define RESET_NS	(1000 * MS)	/* 10.4.3 */

static uint32_t reg(const struct hba *h, uint32_t offset)
{
	return h->window->read(h->window->user, offset);
}

/* Each register that is written is a place to be killed at. */
static void set_reg(const struct hba *h, uint32_t offset, uint32_t value)
{
	h->window->write(h->window->user, offset, value);
	h->window->step();
}

static uint64_t now(const struct hba *h)
{
	return h->window->now_ns(h->window->user);
}

/* Until the bits @mask of the register are @value; IO if it is gone. */
static k_status_t wait_reg(const struct hba *h, uint32_t offset, uint32_t mask, uint32_t value,
			   uint64_t ns)
{
	uint64_t deadline = now(h) + ns;

	for (uint32_t n = 0;; n++) {
		/* In this order: the last look is after the deadline. */
		bool late = now(h) >= deadline;
		uint32_t v = reg(h, offset);

		if (v == GONE)
			return K_ERR_IO;
		if ((v & mask) == value)
			return K_OK;
		if (late)
			return K_ERR_TIMED_OUT;
		h->window->pause(h->window->user, n);
	}
}

/* -- the adapter ----------------------------------------------------------------------------- */

k_status_t hba_open(struct hba *h, const struct drv_window *window)
{
	uint32_t cap, control;

	*h = (struct hba){ .window = window };
	h->version = reg(h, VS);
	control = reg(h, GHC);
	if (h->version == GONE || control == GONE)
		return K_ERR_IO;
	if (!(control & GHC_AE))
		set_reg(h, GHC, control | GHC_AE);
	if (!(reg(h, GHC) & GHC_AE)) {
		h->why = "no AHCI mode";
		return K_ERR_NOT_SUPPORTED;
	}
	cap = reg(h, CAP);
	h->ports = reg(h, PI);
	h->slots = CAP_NCS(cap);
	h->has_ncq = cap & CAP_SNCQ;
	h->has_64bit = cap & CAP_S64A;
	return K_OK;
}

uint64_t hba_window_length(const struct hba *h)
{
	return 0x100 + (h->ports ? log2_u64(h->ports) + 1 : 0) * 0x80ull;
}

k_status_t hba_take_from_firmware(struct hba *h)
{
	uint32_t owner;
	k_status_t st;

	if (!(reg(h, CAP2) & CAP2_BOH))
		return K_OK;
	owner = reg(h, BOHC);
	if (!(owner & BOHC_BOS))
		return K_OK;
	set_reg(h, BOHC, owner | BOHC_OOS);
	st = wait_reg(h, BOHC, BOHC_BOS | BOHC_BB, 0, FIRMWARE_NS);
	/* Firmware that does not let go in this time never will: it is ours (10.6.3). */
	return st == K_ERR_TIMED_OUT ? K_OK : st;
}

k_status_t hba_reset(struct hba *h)
{
	k_status_t st;

	set_reg(h, GHC, GHC_AE | GHC_HR);
	st = wait_reg(h, GHC, GHC_HR, 0, RESET_NS);
	if (st == K_OK)
		set_reg(h, GHC, GHC_AE);
	return st;
}

void hba_interrupts(struct hba *h, bool enable)
{
	uint32_t control = reg(h, GHC) & ~GHC_IE;

	set_reg(h, IS, ~0u);
	set_reg(h, GHC, control | GHC_AE | (enable ? GHC_IE : 0));
}

void hba_acknowledge(struct hba *h, uint32_t p, uint32_t bits)
{
	/* The port's first: the adapter's bit would be set again otherwise (10.7.2.1). */
	port_write(h, p, PORT_IS, bits);
	set_reg(h, IS, 1u << p);
}

/* -- a port ---------------------------------------------------------------------------------- */

static uint32_t at(uint32_t p, uint32_t offset)
{
	return 0x100 + p % HBA_PORTS * 0x80 + offset;
}

uint32_t port_read(const struct hba *h, uint32_t p, uint32_t offset)
{
	return reg(h, at(p, offset));
}

void port_write(const struct hba *h, uint32_t p, uint32_t offset, uint32_t value)
{
	set_reg(h, at(p, offset), value);
}

static void set_command(const struct hba *h, uint32_t p, uint32_t clear, uint32_t set)
{
	port_write(h, p, PORT_CMD, (port_read(h, p, PORT_CMD) & ~clear) | set);
}

bool port_is_linked(const struct hba *h, uint32_t p)
{
	uint32_t status = port_read(h, p, PORT_SSTS);

	return status != GONE && SSTS_DET(status) == DET_LINKED;
}

bool port_is_running(const struct hba *h, uint32_t p)
{
	const uint32_t all = CMD_ST | CMD_CR | CMD_FRE | CMD_FR;
	uint32_t command = port_read(h, p, PORT_CMD);

	return command != GONE && (command & all) == all;
}

static uint64_t read64(const struct hba *h, uint32_t p, uint32_t low)
{
	return port_read(h, p, low) | (uint64_t)port_read(h, p, low + 4) << 32;
}

bool port_is_at(const struct hba *h, uint32_t p, uint64_t commands, uint64_t fises)
{
	return read64(h, p, PORT_CLB) == commands && read64(h, p, PORT_FB) == fises;
}

k_status_t port_stop(const struct hba *h, uint32_t p)
{
	k_status_t st;

	port_write(h, p, PORT_IE, 0);
	set_command(h, p, CMD_ST, 0);
	st = wait_reg(h, at(p, PORT_CMD), CMD_CR, 0, STOP_NS);
	if (st == K_ERR_TIMED_OUT) {	/* the reset of the link is what ends it, too */
		st = port_reset(h, p);
		if (st == K_OK || st == K_ERR_NOT_FOUND)
			st = wait_reg(h, at(p, PORT_CMD), CMD_CR, 0, STOP_NS);
	}
	if (st != K_OK)
		return st;
	set_command(h, p, CMD_FRE, 0);
	return wait_reg(h, at(p, PORT_CMD), CMD_FR, 0, STOP_NS);
}

bool port_power_up(const struct hba *h, uint32_t p)
{
	uint32_t command = port_read(h, p, PORT_CMD), control = port_read(h, p, PORT_SCTL);
	const uint32_t wanted = CMD_POD | CMD_SUD;
	bool is_held = SCTL_DET(control), is_off = (command & wanted) != wanted;

	if (command == GONE || control == GONE)
		return false;
	/* A predecessor can have died while it reset the link. */
	if (is_held)
		port_write(h, p, PORT_SCTL, SCTL_NO_PARTIAL);
	/* The bits read as set where firmware has been, and where they cannot be cleared. */
	if (is_off)
		set_command(h, p, 0, wanted);
	return is_held || is_off;
}

k_status_t port_receive(const struct hba *h, uint32_t p, uint64_t commands, uint64_t fises)
{
	port_write(h, p, PORT_CLB, (uint32_t)commands);
	port_write(h, p, PORT_CLBU, (uint32_t)(commands >> 32));
	port_write(h, p, PORT_FB, (uint32_t)fises);
	port_write(h, p, PORT_FBU, (uint32_t)(fises >> 32));
	if (!port_is_at(h, p, commands, fises))
		return K_ERR_IO;
	set_command(h, p, CMD_ALPE | CMD_ICC, CMD_POD | CMD_SUD | CMD_ACTIVE | CMD_FRE);
	return wait_reg(h, at(p, PORT_CMD), CMD_FR, CMD_FR, STOP_NS);
}

k_status_t port_wait_ready(const struct hba *h, uint32_t p)
{
	uint64_t deadline = now(h) + READY_NS;

	/* Until then, nothing that the device says is taken (3.3.12). */
	port_write(h, p, PORT_SERR, ~0u);
	for (uint32_t n = 0;; n++) {
		bool late = now(h) >= deadline;
		uint32_t tfd = port_read(h, p, PORT_TFD);

		if (tfd == GONE)
			return K_ERR_IO;
		if (!port_is_linked(h, p))
			return K_ERR_NOT_FOUND;
		if (!(tfd & (TFD_BSY | TFD_DRQ)))
			return K_OK;
		if (late)
			return K_ERR_TIMED_OUT;
		h->window->pause(h->window->user, n);
	}
}

k_status_t port_run(const struct hba *h, uint32_t p)
{
	port_write(h, p, PORT_SERR, ~0u);
	port_write(h, p, PORT_IS, ~0u);
	set_command(h, p, 0, CMD_ST);
	return wait_reg(h, at(p, PORT_CMD), CMD_CR, CMD_CR, STOP_NS);
}

static void hold_reset(const struct hba *h, uint32_t p)
{
	uint64_t begin = now(h);

	port_write(h, p, PORT_SCTL, SCTL_NO_PARTIAL | 1);
	for (uint32_t n = 0; now(h) - begin < COMRESET_NS; n++)
		h->window->pause(h->window->user, n);
	port_write(h, p, PORT_SCTL, SCTL_NO_PARTIAL);
}

k_status_t port_reset(const struct hba *h, uint32_t p)
{
	k_status_t st;

	hold_reset(h, p);
	st = wait_reg(h, at(p, PORT_SSTS), SSTS_DET(~0u), DET_LINKED, LINK_NS);
	if (st == K_ERR_TIMED_OUT)
		return K_ERR_NOT_FOUND;
	return st == K_OK ? port_wait_ready(h, p) : st;
}

k_status_t port_restart(const struct hba *h, uint32_t p, bool reset)
{
	k_status_t st;

	set_command(h, p, CMD_ST, 0);
	st = wait_reg(h, at(p, PORT_CMD), CMD_CR, 0, STOP_NS);
	if (st == K_ERR_IO)
		return st;
	if (st != K_OK || reset || (port_read(h, p, PORT_TFD) & (TFD_BSY | TFD_DRQ))) {
		st = port_reset(h, p);
		if (st == K_OK)
			st = wait_reg(h, at(p, PORT_CMD), CMD_CR, 0, STOP_NS);
	}
	return st == K_OK ? port_run(h, p) : st;
}
