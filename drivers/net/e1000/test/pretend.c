/* SPDX-License-Identifier: MIT */
#include "pretend.h"

#include <string.h>

#include "base/byteorder.h"
#include "base/util.h"

enum {
	CTRL = 0x0000, STATUS = 0x0008, EERD = 0x0014, ICR = 0x00c0, IMS = 0x00d0, IMC = 0x00d8,
	RCTL = 0x0100, TCTL = 0x0400, RDBAL = 0x2800, RDH = 0x2810, RDT = 0x2818, TDBAL = 0x3800,
	TDH = 0x3810, TDT = 0x3818, RAL = 0x5400, RAH = 0x5404,
};
#define RST	(1u << 26)
#define EN	(1u << 1)
#define LU	(1u << 1)
enum { DATA_MAX = PRETEND_BYTES };

struct pretend pretend;

static uint32_t *reg(uint32_t offset)
{
	return &pretend.regs[offset / 4];
}

static struct nic_desc *desc(uint32_t base, uint32_t i)
{
	uint64_t at = *reg(base) | (uint64_t)*reg(base + 4) << 32;

	return (struct nic_desc *)(uintptr_t)at + i;
}

static void load_address(void)
{
	*reg(RAL) = get_le32(pretend.address);
	*reg(RAH) = get_le16(pretend.address + 4) | 1u << 31;
}

void pretend_begin(void)
{
	static const uint8_t address[NIC_ADDRESS] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };

	memset(&pretend, 0, sizeof(pretend));
	memcpy(pretend.address, address, sizeof(address));
	pretend.resets = true;
	*reg(STATUS) = 0x80000000u | LU;
	load_address();
}

/* -- sending ----------------------------------------------------------------------------------- */

static void sum_up(struct pretend_frame *f)
{
	uint32_t sum = 0;

	for (uint32_t i = pretend.sum_from; i < f->length; i++)
		sum += (i - pretend.sum_from) & 1 ? f->bytes[i] : (uint32_t)f->bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	if (pretend.sum_at + 2u <= f->length)
		put_be16(f->bytes + pretend.sum_at, (uint16_t)~sum);
}

/* True: it was the frame's last. */
static bool send_one(struct nic_desc *d)
{
	uint32_t n = d->low & 0xffff, room = DATA_MAX - pretend.now.length;
	bool is_last = d->low & TX_END;

	if (!(d->low & TX_DATA)) {
		pretend.sum_from = (uint8_t)(d->buffer >> 32);
		pretend.sum_at = (uint8_t)(d->buffer >> 40);
		pretend.contexts++;
		is_last = false;
	} else {
		n = MIN(n, room);
		memcpy(pretend.now.bytes + pretend.now.length, (void *)(uintptr_t)d->buffer, n);
		pretend.now.length += n;
	}
	if (is_last) {
		if (d->high & TX_CHECKSUM)
			sum_up(&pretend.now);
		pretend.sent[pretend.frames++ % PRETEND_FRAMES] = pretend.now;
		pretend.now.length = 0;
	}
	if (d->low & TX_REPORT) {
		d->high |= DESC_DONE;
		*reg(ICR) |= NIC_SENT;
	}
	return is_last;
}

void pretend_send(uint32_t frames)
{
	while (frames && *reg(TDH) != *reg(TDT)) {
		if (!(*reg(TCTL) & EN)) {
			pretend.while_quiet++;
			return;
		}
		frames -= send_one(desc(TDBAL, *reg(TDH)));
		*reg(TDH) = (*reg(TDH) + 1) % NIC_RING_SIZE;
	}
}

/* -- receiving --------------------------------------------------------------------------------- */

bool pretend_receive(const uint8_t *bytes, uint32_t length)
{
	struct nic_desc *d = desc(RDBAL, *reg(RDH));

	if (!(*reg(RCTL) & EN) || *reg(RDH) == *reg(RDT))
		return false;
	memcpy((void *)(uintptr_t)d->buffer, bytes, MIN(length, (uint32_t)NIC_BUFFER));
	d->low = pretend.lie_length ? pretend.lie_length : length;
	d->high = (DESC_DONE | RX_END) ^ pretend.lie_status;
	*reg(RDH) = (*reg(RDH) + 1) % NIC_RING_SIZE;
	*reg(ICR) |= NIC_RECEIVED;
	return true;
}

void pretend_plug(bool in)
{
	*reg(STATUS) = (*reg(STATUS) & ~LU) | (in ? LU : 0);
	*reg(ICR) |= NIC_LINK;
}

/* -- registers --------------------------------------------------------------------------------- */

static uint32_t read_eeprom(uint32_t value)
{
	uint32_t word = value >> 8 & 0xff;

	if (!(value & 1) || pretend.no_eeprom)
		return value;
	return (word < 3 ? (uint32_t)get_le16(pretend.address + 2 * word) << 16 : 0) | 1u << 4;
}

uint32_t pretend_read(void *user, uint32_t offset)
{
	uint32_t value = *reg(offset);

	if (pretend.gone)
		return ~0u;
	if (offset == ICR)
		*reg(ICR) = 0;
	return offset == EERD ? read_eeprom(value) : value;
}

static void reset(uint32_t control)
{
	uint32_t status = *reg(STATUS);

	if (pretend.resets) {
		memset(pretend.regs, 0, sizeof(pretend.regs));
		*reg(STATUS) = status;
		load_address();
	}
	*reg(CTRL) = control & (pretend.stuck ? ~0u : ~RST);
}

void pretend_write(void *user, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case CTRL:
		if (value & RST) {
			reset(value);
			return;
		}
		break;
	case IMS:
		*reg(IMS) |= value;
		return;
	case IMC:
		*reg(IMS) &= ~value;
		return;
	case RCTL:
	case TCTL:
		if (pretend.deaf)
			return;
		break;
	}
	*reg(offset) = value;
	if (offset == TDT && !pretend.slow)
		pretend_send(~0u);
}
