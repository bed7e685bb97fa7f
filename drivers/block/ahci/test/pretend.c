/* SPDX-License-Identifier: MIT */
#include "pretend.h"

#include <string.h>

#include "base/byteorder.h"
#include "base/util.h"
#include "identify.h"

#define CMD_ST	1u
#define CMD_FRE	(1u << 4)
#define CMD_FR	(1u << 14)
#define CMD_CR	(1u << 15)
#define READY	0x50u
#define FAILED	0x51u

struct pretend pretend;

void pretend_begin(uint32_t block_shift, uint32_t depth)
{
	memset(&pretend, 0, sizeof(pretend));
	pretend.port = 2;
	pretend.ports = 0x3f;
	pretend.block_shift = block_shift;
	pretend.depth = depth;
	pretend.has_cache = pretend.has_trim = pretend.has_log = pretend.has_fua = true;
	pretend.bad_block = UINT64_MAX;
	pretend.bad_times = UINT32_MAX;
	pretend.cmd = 6;
	pretend.tfd = 0x7f;
	for (uint32_t i = 0; i < PRETEND_BYTES; i++)
		pretend.medium[i] = (uint8_t)(i * 7 + (i >> 9));
}

static void put_text(uint8_t *at, const char *text, unsigned int n)
{
	memset(at, ' ', n);
	for (unsigned int i = 0; text[i]; i++)
		at[i ^ 1] = (uint8_t)text[i];
}

void pretend_identify(uint8_t *at)
{
	memset(at, 0, 512);
	put_text(at + 20, "number 7", 20);
	put_text(at + 46, "1.0", 8);
	put_text(at + 54, "A DISK", 40);
	put_le16(at + 98, 3 << 8);
	put_le16(at + 150, (uint16_t)(pretend.depth ? pretend.depth - 1 : 0));
	put_le16(at + 152, pretend.depth ? 1 << 8 : 0);
	put_le16(at + 166, 1 << 14 | 1 << 13 | 1 << 12 | 1 << 10);
	put_le16(at + 168, (uint16_t)(1 << 14 | pretend.has_fua << 6));
	put_le16(at + 170, (uint16_t)(pretend.has_cache << 5));
	put_le64(at + 200, PRETEND_BYTES >> pretend.block_shift);
	if (pretend.block_shift > 9) {
		put_le16(at + 212, 1 << 14 | 1 << 12);
		put_le32(at + 234, 1u << (pretend.block_shift - 1));
	}
	put_le16(at + 338, pretend.has_trim);
}

/* -- commands -------------------------------------------------------------------------------- */

static void *memory_at(uint32_t low, uint32_t high)
{
	return (void *)(uintptr_t)(low | (uint64_t)high << 32);
}

static const struct ahci_header *header_of(uint32_t slot)
{
	return (const struct ahci_header *)memory_at(pretend.clb, pretend.clbu) + slot;
}

static const struct ahci_table *table_of(uint32_t slot)
{
	const struct ahci_header *h = header_of(slot);

	return memory_at(h->table, h->table_high);
}

static uint64_t lba_of(const uint8_t *fis)
{
	uint64_t lba = 0;

	for (unsigned int i = 0; i < 3; i++)
		lba |= (uint64_t)fis[4 + i] << 8 * i | (uint64_t)fis[8 + i] << (24 + 8 * i);
	return lba;
}

static bool is_queued(const uint8_t *fis)
{
	return fis[2] == ATA_READ_QUEUED || fis[2] == ATA_WRITE_QUEUED;
}

static bool is_write(const uint8_t *fis)
{
	return fis[2] == ATA_WRITE_QUEUED || fis[2] == ATA_WRITE_DMA_EXT ||
	       fis[2] == ATA_WRITE_DMA_FUA_EXT;
}

static uint32_t blocks_of(const uint8_t *fis)
{
	uint32_t n = is_queued(fis) ? fis[3] | fis[11] << 8 : fis[12] | fis[13] << 8;

	return n ? n : 65536;
}

/* Move @n bytes between the command's memory and @at. */
static void move(uint32_t slot, uint8_t *at, uint32_t n, bool to_device)
{
	const struct ahci_table *t = table_of(slot);
	uint32_t prds = header_of(slot)->flags >> 16, done = 0;

	pretend.violations += !!(header_of(slot)->flags & 1 << 6) != to_device;
	for (uint32_t i = 0; i < prds && done < n; i++) {
		uint8_t *memory = memory_at(t->prd[i].address, t->prd[i].address_high);
		uint32_t piece = MIN(n - done, t->prd[i].length + 1);

		pretend.violations += ((uintptr_t)memory | (t->prd[i].length + 1)) & 1;
		memcpy(to_device ? at + done : memory, to_device ? memory : at + done, piece);
		done += piece;
	}
	pretend.violations += done != n;
}

static void trim(uint32_t slot)
{
	uint8_t entries[512];

	move(slot, entries, 512, true);
	for (unsigned int i = 0; i < 64; i++) {
		uint64_t e = get_le64(entries + 8 * i), n = e >> 48, lba = e & (BIT(48) - 1);

		if (n)
			memset(pretend.medium + (lba << pretend.block_shift), 0xdd,
			       n << pretend.block_shift);
	}
}

static void read_log(uint32_t slot)
{
	uint8_t log[512] = { 0 }, sum = 0;

	log[0] = pretend.failed_tag;
	if (pretend.log_lie == LOG_OTHER_TAG)
		log[0] = 31;
	if (pretend.log_lie == LOG_NOT_OF_QUEUE)
		log[0] |= 0x80;
	log[2] = 0x41;
	log[3] = PRETEND_UNCORRECTABLE;
	for (unsigned int i = 0; i < 511; i++)
		sum = (uint8_t)(sum + log[i]);
	log[511] = (uint8_t)-sum;
	if (pretend.log_lie == LOG_BAD_SUM)
		log[511]++;
	move(slot, log, 512, false);
	pretend.failed = false;
}

static bool is_bad(const uint8_t *fis)
{
	uint64_t lba = lba_of(fis);

	if (pretend.bad_block < lba || pretend.bad_block >= lba + blocks_of(fis) ||
	    !pretend.bad_times)
		return false;
	pretend.bad_times -= pretend.bad_times != UINT32_MAX;
	return true;
}

static void transfer(uint32_t slot, const uint8_t *fis)
{
	uint32_t n = blocks_of(fis) << pretend.block_shift;
	bool write = is_write(fis);

	pretend.unsafe_writes += write && fis[2] != ATA_WRITE_DMA_FUA_EXT &&
				 !(fis[2] == ATA_WRITE_QUEUED && (fis[7] & 0x80));
	move(slot, pretend.medium + (lba_of(fis) << pretend.block_shift), n, write);
}

static void fail(uint32_t error)
{
	pretend.tfd = error << 8 | FAILED;
	pretend.pis |= PORT_IS_TFES;
}

/* A command without a queue; false: it failed. */
static bool do_single(uint32_t slot, const uint8_t *fis)
{
	uint8_t identity[512];

	if (pretend.failed && !(fis[2] == ATA_READ_LOG_EXT && pretend.has_log))
		return false;
	switch (fis[2]) {
	case ATA_IDENTIFY:
		pretend_identify(identity);
		move(slot, identity, 512, false);
		return true;
	case ATA_READ_LOG_EXT:
		if (pretend.has_log)
			read_log(slot);
		return pretend.has_log;
	case ATA_DATA_SET_MANAGEMENT:
		trim(slot);
		return true;
	case ATA_FLUSH_CACHE_EXT:
		return true;
	case ATA_READ_DMA_EXT:
	case ATA_WRITE_DMA_EXT:
	case ATA_WRITE_DMA_FUA_EXT:
		if (is_bad(fis))
			return false;
		transfer(slot, fis);
		return true;
	}
	return false;
}

static void issue_single(uint32_t slot, const uint8_t *fis)
{
	pretend.violations += pretend.sact || (pretend.ci & ~(1u << slot));
	if (pretend.silent && fis[2] != ATA_IDENTIFY && fis[2] != ATA_READ_LOG_EXT)
		return;
	if (do_single(slot, fis)) {
		pretend.ci &= ~(1u << slot);
		pretend.tfd = READY;
		pretend.pis |= PORT_IS_DHRS;
		return;
	}
	if (pretend.clears_failed)
		pretend.ci &= ~(1u << slot);
	fail(fis[2] == ATA_READ_LOG_EXT || pretend.failed ? 4 : PRETEND_UNCORRECTABLE);
}

static void issue(uint32_t slot)
{
	const uint8_t *fis = table_of(slot)->fis;

	pretend.violations += fis[0] != 0x27 || fis[1] != 0x80 ||
			      (header_of(slot)->flags & 0x1f) != 5;
	pretend.commands[fis[2]]++;
	if (!is_queued(fis)) {
		issue_single(slot, fis);
		return;
	}
	pretend.violations += !(pretend.sact >> slot & 1) || fis[12] >> 3 != slot ||
			      slot >= pretend.depth;
	pretend.ci &= ~(1u << slot);
	pretend.waiting |= 1u << slot;
	pretend.most_at_once = MAX(pretend.most_at_once, popcount_u64(pretend.waiting));
}

static void complete(uint32_t slot)
{
	const uint8_t *fis = table_of(slot)->fis;

	if (is_bad(fis)) {
		pretend.failed = true;
		pretend.failed_tag = (uint8_t)slot;
		pretend.waiting = 0;
		fail(PRETEND_UNCORRECTABLE);
		return;
	}
	transfer(slot, fis);
	pretend.waiting &= ~(1u << slot);
	pretend.sact &= ~(1u << slot);
	pretend.pis |= PORT_IS_SDBS;
}

void pretend_work(void)
{
	for (uint32_t i = 0; i < 32 && !pretend.silent; i++) {
		uint32_t slot = pretend.reverse ? 31 - i : i;

		if (pretend.waiting >> slot & 1)
			complete(slot);
	}
}

static void fetch(void)
{
	for (uint32_t i = 0; i < 32; i++)
		if ((pretend.cmd & CMD_CR) && (pretend.ci >> i & 1) && !(pretend.tfd & TFD_ERR))
			issue(i);
}

/* -- registers ------------------------------------------------------------------------------- */

static void reset_link(void)
{
	pretend.resets++;
	pretend.sact = pretend.ci = pretend.waiting = 0;
	pretend.failed = false;
	pretend.tfd = pretend.never_ready ? 0x80 : READY;
	if (pretend.never_stops)
		pretend.cmd &= ~CMD_CR;
}

static void reset_all(void)
{
	reset_link();
	pretend.stuck = false;
	pretend.cmd = pretend.clb = pretend.clbu = pretend.fb = pretend.fbu = 0;
	pretend.pie = pretend.pis = pretend.is = pretend.sctl = 0;
	pretend.tfd = 0x7f;
	pretend.whole_resets++;
}

static void set_command(uint32_t v)
{
	uint32_t was = pretend.cmd;

	pretend.cmd = (v & ~(CMD_CR | CMD_FR)) | (was & (CMD_CR | CMD_FR));
	pretend.cmd = v & CMD_FRE ? pretend.cmd | CMD_FR : pretend.cmd & ~CMD_FR;
	if ((v & CMD_FRE) && pretend.tfd == 0x7f)
		pretend.tfd = pretend.never_ready ? 0x80 : READY;
	if (v & CMD_ST) {
		pretend.violations += !(v & CMD_FRE);
		pretend.cmd |= CMD_CR;
		if (!(was & CMD_ST))
			pretend.tfd &= pretend.tfd & TFD_ERR ? READY : ~0u;
		return;
	}
	if (!pretend.never_stops && !pretend.stuck)
		pretend.cmd &= ~CMD_CR;
	if (!pretend.keeps_bits)
		pretend.sact = pretend.ci = pretend.waiting = 0;
}

static uint32_t *port_register(uint32_t offset)
{
	switch (offset) {
	case PORT_CLB: return &pretend.clb;
	case PORT_CLBU: return &pretend.clbu;
	case PORT_FB: return &pretend.fb;
	case PORT_FBU: return &pretend.fbu;
	case PORT_IE: return &pretend.pie;
	case PORT_IS: return &pretend.pis;
	case PORT_CMD: return &pretend.cmd;
	case PORT_TFD: return &pretend.tfd;
	case PORT_SCTL: return &pretend.sctl;
	case PORT_SERR: return &pretend.serr;
	case PORT_SACT: return &pretend.sact;
	case PORT_CI: return &pretend.ci;
	}
	return NULL;
}

static uint32_t read_port(uint32_t offset)
{
	const uint32_t *r = port_register(offset);

	if (offset == PORT_SSTS)
		return pretend.no_disk || (pretend.sctl & 0xf) || !(pretend.cmd & 2) ? 0 : 0x123;
	if (offset == PORT_SIG)
		return pretend.optical ? 0xeb140101 : 0x101;
	if (offset == PORT_SACT)
		return pretend.sact | pretend.stray;
	return r ? *r : 0;
}

static void write_port(uint32_t offset, uint32_t v)
{
	uint32_t *r = port_register(offset);

	switch (offset) {
	case PORT_IS:
	case PORT_SERR:
		*r &= ~v;
		break;
	case PORT_CMD:
		set_command(v);
		break;
	case PORT_SCTL:
		if ((pretend.sctl & 0xf) == 1 && !(v & 0xf))
			reset_link();
		pretend.sctl = v;
		break;
	case PORT_SACT:
		pretend.sact |= v;
		break;
	case PORT_CI:
		pretend.violations += !(pretend.cmd & CMD_ST);
		pretend.ci |= v;
		fetch();
		break;
	default:
		if (r && offset != PORT_TFD) {
			pretend.violations += offset <= PORT_FBU && (pretend.cmd & CMD_ST);
			*r = v;
		}
	}
}

uint32_t pretend_read(void *user, uint32_t offset)
{
	if (pretend.gone)
		return ~0u;
	switch (offset) {
	case 0x00:
		return (pretend.no_64bit ? 0 : 1u << 31) | 1u << 30 | 31 << 8 | 5;
	case 0x04:
		return pretend.ghc;
	case 0x08:
		return pretend.is;
	case 0x0c:
		return pretend.ports;
	case 0x10:
		return 0x10301;
	case 0x24:
		return pretend.firmware_owns;
	case 0x28:
		return pretend.bohc;
	}
	if (offset >= 0x100 && (offset - 0x100) / 0x80 == pretend.port)
		return read_port(offset % 0x80);
	return 0;
}

void pretend_write(void *user, uint32_t offset, uint32_t v)
{
	if (offset == 0x04) {
		if (v & 1)
			reset_all();
		pretend.ghc = v & ~1u;
	}
	if (offset == 0x08)
		pretend.is &= ~v;
	else if (offset == 0x28)
		pretend.bohc = pretend.firmware_keeps ? v : v & ~1u;
	else if (offset >= 0x100 && (offset - 0x100) / 0x80 == pretend.port)
		write_port(offset % 0x80, v);
}
