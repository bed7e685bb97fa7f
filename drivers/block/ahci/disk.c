/* SPDX-License-Identifier: MIT */
#include "disk.h"

#include "base/bitmap.h"
#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"
#include "drv/die.h"
#include "rt/log.h"

#define SIGNATURE_DISK	0x00000101u
#define ASK_NS		(10 * BLK_SECOND)
#define LINK_NS		(BLK_SECOND / 20)	/* a device answers the first signal in 10 ms */
#define LINK_AGAIN_NS	BLK_SECOND
/* As much as one block of entries takes. */
#define DISCARD_BLOCKS	(ATA_TRIM_ENTRIES * ATA_TRIM_BLOCKS)

/* -- memory ---------------------------------------------------------------------------------- */

void *disk_memory(struct disk *k, uint32_t page, uint32_t offset, uint64_t *bus)
{
	*bus = k->d->dma_bus[page] + offset;
	return (char *)k->d->dma + page * K_PAGE_SIZE + offset;
}

struct ahci_table *disk_table(struct disk *k, uint32_t slot, uint64_t *bus)
{
	uint32_t at = slot * AHCI_TABLE;

	return disk_memory(k, DISK_TABLES + at / (uint32_t)K_PAGE_SIZE, at % (uint32_t)K_PAGE_SIZE,
			   bus);
}

struct ahci_header *disk_header(struct disk *k, uint32_t slot)
{
	uint64_t bus;

	return (struct ahci_header *)disk_memory(k, DISK_LISTS, 0, &bus) + slot;
}

struct record_chain *disk_chain(struct disk *k, uint32_t slot)
{
	return &record_ring(&k->d->start.link, k->d->record, 0)->chains[slot];
}

/* An adapter without 64-bit addresses must not be given one. */
static bool is_reachable(const struct disk *k)
{
	const struct drv *d = k->d;
	uint64_t all = 0;

	for (uint64_t i = 0; i < d->start.dma_length / K_PAGE_SIZE; i++)
		all |= d->dma_bus[i];
	for (uint64_t i = 0; i < d->start.link.data_length / K_PAGE_SIZE; i++)
		all |= d->data_bus[i];
	for (uint64_t i = 0; i < d->layout.length / K_PAGE_SIZE; i++)
		all |= d->control_bus[i];
	return k->hba.has_64bit || !(all >> 32);
}

k_status_t disk_allocate(struct disk *k)
{
	if (!k->d->dma || k->d->start.dma_length < DISK_PAGES * K_PAGE_SIZE) {
		drv_log(k->d, RT_LOG_ERR, "needs %u KiB of DMA memory",
			DISK_PAGES * 4);
		return K_ERR_NO_MEMORY;
	}
	if (!is_reachable(k)) {
		drv_log(k->d, RT_LOG_ERR, "the adapter reaches no memory above 4 GiB");
		return K_ERR_NOT_SUPPORTED;
	}
	return blk_server_init(&k->server, k->d, &disk_ops);
}

/* -- asking the device ----------------------------------------------------------------------- */

static k_status_t wait_answer(struct disk *k)
{
	const struct drv_window *w = k->hba.window;
	uint64_t deadline = w->now_ns(w->user) + ASK_NS;

	for (uint32_t n = 0;; n++) {
		bool late = w->now_ns(w->user) >= deadline;
		uint32_t status = port_read(&k->hba, k->port, PORT_IS);

		if (status & (PORT_IS_TFES | PORT_IS_FATAL | PORT_IS_LINK))
			return K_ERR_IO;
		if (!(port_read(&k->hba, k->port, PORT_CI) & 1))
			break;
		if (late)
			return K_ERR_TIMED_OUT;
		w->pause(w->user, n);
	}
	return port_read(&k->hba, k->port, PORT_TFD) & (TFD_ERR | TFD_BSY | TFD_DRQ) ? K_ERR_IO
										   : K_OK;
}

k_status_t disk_ask(struct disk *k, const struct ata_command *c, uint64_t bus, uint32_t length)
{
	struct vq_segment piece = { bus, length, true };
	uint64_t table_bus;
	struct ahci_table *table = disk_table(k, 0, &table_bus);
	uint32_t prds;

	(void)ahci_prdt(table, &piece, 1, length, 1, &prds);
	ahci_put(disk_header(k, 0), table, table_bus, c, prds);
	/* release: what lies in memory comes before the register */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	port_write(&k->hba, k->port, PORT_CI, 1);
	return wait_answer(k);
}

/* -- finding it ------------------------------------------------------------------------------ */

static bool is_any_linked(struct disk *k)
{
	for (uint32_t p = 0; p < HBA_PORTS; p++)
		if ((k->hba.ports >> p & 1) && port_is_linked(&k->hba, p))
			return true;
	return false;
}

bool disk_is_there(struct disk *k)
{
	const struct drv_window *w = k->hba.window;
	uint64_t begin = w->now_ns(w->user), wait_ns;
	bool fresh = false, succeeds = k->d->start.incarnation > 1;

	for (uint32_t p = 0; p < HBA_PORTS; p++)
		fresh |= (k->hba.ports >> p & 1) && port_power_up(&k->hba, p);
	/* All of them at the same time: which one comes first must not depend on chance. */
	wait_ns = fresh || (succeeds && !is_any_linked(k)) ? LINK_NS : 0;
	for (uint32_t n = 0; w->now_ns(w->user) - begin < wait_ns; n++) {
		w->pause(w->user, n);
		/* There was one: its link may be on its way back. */
		if (succeeds)
			wait_ns = is_any_linked(k) ? 0 : LINK_AGAIN_NS;
	}
	return is_any_linked(k);
}

static k_status_t stop_ports(struct disk *k)
{
	for (uint32_t p = 0; p < HBA_PORTS; p++) {
		k_status_t st = k->hba.ports >> p & 1 ? port_stop(&k->hba, p) : K_OK;

		if (st != K_OK) {
			drv_log(k->d, RT_LOG_ERR, "port %u does not stop: status %d", p, st);
			return st;
		}
	}
	return K_OK;
}

/* Whoever used it before us may have ports write to memory that is not ours. */
static k_status_t stop_all(struct disk *k)
{
	k_status_t st = stop_ports(k);

	if (st != K_ERR_TIMED_OUT)
		return st;
	st = hba_reset(&k->hba);
	if (st == K_OK)
		return disk_is_there(k) ? stop_ports(k) : K_ERR_NOT_FOUND;
	return st;
}

/* Receive what the device at port @p says, until it is ready. */
static k_status_t wake(struct disk *k, uint32_t p, bool reset)
{
	uint64_t lists, fises;
	k_status_t st;

	memset(disk_memory(k, DISK_LISTS, 0, &lists), 0, K_PAGE_SIZE);
	(void)disk_memory(k, DISK_LISTS, LISTS_FISES, &fises);
	st = port_receive(&k->hba, p, lists, fises);
	if (st == K_OK && !reset)
		st = port_wait_ready(&k->hba, p);
	if (reset || st == K_ERR_TIMED_OUT)
		st = st == K_OK || st == K_ERR_TIMED_OUT ? port_reset(&k->hba, p) : st;
	return st;
}

/* A disk is at port @p, and it is ready. */
static bool is_disk(struct disk *k, uint32_t p, bool reset)
{
	k_status_t st;
	uint32_t signature;

	if (!port_is_linked(&k->hba, p))
		return false;
	st = wake(k, p, reset);
	signature = port_read(&k->hba, p, PORT_SIG);
	if (st != K_OK)
		drv_log(k->d, RT_LOG_ERR, "the device at port %u is not ready: status %d", p, st);
	else if (signature == SIGNATURE_DISK)
		return true;
	else
		drv_log(k->d, RT_LOG_INFO, "port %u: signature %08x: no disk", p, signature);
	if (port_stop(&k->hba, p) != K_OK)
		drv_log(k->d, RT_LOG_ERR, "port %u does not stop", p);
	return false;
}

static k_status_t find_port(struct disk *k, bool reset)
{
	uint32_t p = 0, others = 0;

	while (p < HBA_PORTS && !(k->hba.ports >> p & 1 && is_disk(k, p, reset)))
		p++;
	if (p == HBA_PORTS)
		return K_ERR_NOT_FOUND;
	k->port = p;
	for (p++; p < HBA_PORTS; p++)
		others += k->hba.ports >> p & 1 && port_is_linked(&k->hba, p);
	if (others)
		drv_log(k->d, RT_LOG_WARNING, "devices after the disk at port %u are not used: %u",
			k->port, others);
	return K_OK;
}

/* -- setting it up --------------------------------------------------------------------------- */

k_status_t disk_read_identity(struct disk *k, const char **why)
{
	uint8_t copy[ATA_IDENTIFY_LENGTH];
	uint64_t bus;
	k_status_t st;

	memcpy(copy, disk_memory(k, DISK_BUFFERS, BUFFER_IDENTITY, &bus), sizeof(copy));
	st = ata_identity_read(copy, &k->identity, why);
	k->depth = k->hba.has_ncq && st == K_OK ? MIN(k->identity.depth, k->hba.slots) : 1;
	return st;
}

static k_status_t identify(struct disk *k, const char **why)
{
	struct ata_command c = { .opcode = ATA_IDENTIFY };
	uint64_t bus;
	k_status_t st;

	memset(disk_memory(k, DISK_BUFFERS, BUFFER_IDENTITY, &bus), 0, ATA_IDENTIFY_LENGTH);
	st = port_run(&k->hba, k->port);
	if (st == K_OK)
		st = disk_ask(k, &c, bus, ATA_IDENTIFY_LENGTH);
	return st == K_OK ? disk_read_identity(k, why) : st;
}

static k_status_t set_up(struct disk *k, bool reset, const char **why)
{
	k_status_t st = stop_all(k);

	if (st != K_OK)
		return st;
	/* Only now: nothing that is written to is not ours. */
	drv_pci_enable(k->d, DRV_PCI_MASTER);
	st = find_port(k, reset);
	return st == K_OK ? identify(k, why) : st;
}

k_status_t disk_set_up(struct disk *k, bool reset)
{
	struct record *r = k->d->record;
	const char *why = NULL;
	k_status_t st;

	/* What the record says of slots holds only while it says LIVE. */
	r->phase = RECORD_SETUP;
	atomic_signal_fence(memory_order_release);
	drv_step();
	r->words[BLK_WORD_LAYOUT] = DISK_LAYOUT;
	r->words[WORD_PENDING] = 0;
	for (uint32_t i = 0; i < HBA_SLOTS; i++)
		disk_chain(k, i)->counter = 0;
	st = set_up(k, reset, &why);
	if (st != K_OK && st != K_ERR_NOT_FOUND)
		drv_log(k->d, RT_LOG_ERR, "cannot set the adapter up: %s (status %d)",
			why ? why : "it fails", st);
	if (st != K_OK)
		return st;
	r->words[WORD_PORT] = k->port;
	atomic_signal_fence(memory_order_release);
	drv_step();
	r->phase = RECORD_LIVE;
	drv_step();
	return K_OK;
}

void disk_listen(struct disk *k)
{
	port_write(&k->hba, k->port, PORT_IE, PORT_IS_DHRS | PORT_IS_SDBS | PORT_IS_LINK |
		   PORT_IS_FATAL | PORT_IS_TFES);
	hba_interrupts(&k->hba, true);
}

/* -- what the link says of it ---------------------------------------------------------------- */

void disk_describe(struct disk *k)
{
	const struct ata_identity *id = &k->identity;
	uint32_t per_block = 1u << (id->block_shift - 9);
	uint8_t config[BLK_CONFIG_LENGTH] = { 0 };

	put_le64(config + BLK_CONFIG_CAPACITY, id->blocks * per_block);
	put_le32(config + BLK_CONFIG_BLK_SIZE, 1u << id->block_shift);
	config[BLK_CONFIG_PHYSICAL_EXPONENT] = (uint8_t)id->physical_exponent;
	config[BLK_CONFIG_ALIGNMENT] = (uint8_t)MIN(id->alignment, 255u);
	put_le16(config + BLK_CONFIG_IO_MIN, (uint16_t)MIN(1u << id->physical_exponent, 0xffffu));
	put_le16(config + BLK_CONFIG_QUEUES, 1);
	put_le32(config + BLK_CONFIG_DISCARD_MAX, DISCARD_BLOCKS * per_block);
	put_le32(config + BLK_CONFIG_DISCARD_RANGES, 1);
	put_le32(config + BLK_CONFIG_DISCARD_ALIGN, per_block << id->physical_exponent);
	drv_config(k->d, config, sizeof(config));
	drv_offer(k->d, BLK_F_BLK_SIZE | BLK_F_TOPOLOGY | (id->has_cache ? BLK_F_FLUSH : 0) |
		  (id->has_trim ? BLK_F_DISCARD : 0));
	drv_log(k->d, RT_LOG_INFO, "port %u: %s (serial %s, firmware %s), %u commands at a time",
		k->port, id->model, id->serial, id->firmware, k->depth);
}
