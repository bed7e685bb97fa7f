/* SPDX-License-Identifier: MIT */
#include "disk.h"

#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"
#include "drv/die.h"
#include "rt/log.h"
#include "rt/memory.h"

#define DISCARD_SECTORS	(1u << 22)	/* 2 GiB at a time */
#define VERSION_1_1	0x00010100u	/* from then on there are lists of namespaces */

void *disk_page(struct disk *k, uint32_t page, uint64_t *bus)
{
	*bus = k->d->dma_bus[page];
	return (char *)k->d->dma + page * K_PAGE_SIZE;
}

k_status_t disk_allocate(struct disk *k)
{
	const struct link_layout *l = &k->d->layout;
	uint64_t pages;

	k->slots = DISK_QUEUES + 2 * l->queue_count;
	pages = k->slots + DIV_ROUND_UP(l->queue_count * l->queue_size * DISK_SLOT, K_PAGE_SIZE);
	if (!k->d->dma || k->d->start.dma_length < pages * K_PAGE_SIZE) {
		drv_log(k->d, RT_LOG_ERR, "needs %lu KiB of DMA memory", pages * K_PAGE_SIZE / 1024);
		return K_ERR_NO_MEMORY;
	}
	return blk_server_init(&k->server, k->d, &disk_ops);
}

/* -- what it is ------------------------------------------------------------------------------ */

/* A copy of what it says: the buffer stays the device's to write. */
static k_status_t identify(struct disk *k, uint32_t cns, uint32_t nsid, uint8_t *copy)
{
	uint64_t bus;
	void *buffer = disk_page(k, DISK_BUFFER, &bus);
	k_status_t st;

	memset(buffer, 0, NVME_IDENTIFY_LENGTH);
	st = nvme_admin(&k->controller, nvme_identify(0, cns, nsid, bus), NULL);
	memcpy(copy, buffer, NVME_IDENTIFY_LENGTH);
	return st;
}

/* Its first namespace is the disk. */
static k_status_t find_namespace(struct disk *k, uint8_t *data)
{
	bool more = false;
	k_status_t st;

	k->ns.id = 1;
	if (k->controller.version < VERSION_1_1)
		return K_OK;
	st = identify(k, NVME_CNS_NAMESPACES, 0, data);
	if (st != K_OK)
		return st;
	k->ns.id = nvme_first_namespace(data, &more);
	if (more)
		drv_log(k->d, RT_LOG_WARNING, "namespaces after the first, %u, are not used",
			k->ns.id);
	return k->ns.id ? K_OK : K_ERR_NOT_FOUND;
}

static k_status_t read_identity(struct disk *k, uint8_t *data, const char **why)
{
	k_status_t st = identify(k, NVME_CNS_CONTROLLER, 0, data);

	if (st == K_OK)
		st = nvme_identity_read(data, &k->identity, why);
	if (st == K_OK)
		st = find_namespace(k, data);
	if (st == K_OK)
		st = identify(k, NVME_CNS_NAMESPACE, k->ns.id, data);
	return st == K_OK ? nvme_namespace_read(data, &k->ns, why) : st;
}

/* -- setting it up --------------------------------------------------------------------------- */

static k_status_t enable(struct disk *k)
{
	uint64_t sq_bus, cq_bus;
	void *sq = disk_page(k, DISK_ADMIN_SQ, &sq_bus), *cq = disk_page(k, DISK_ADMIN_CQ, &cq_bus);

	memset(sq, 0, K_PAGE_SIZE);
	memset(cq, 0, K_PAGE_SIZE);
	return nvme_enable(&k->controller, sq, sq_bus, cq, cq_bus);
}

static k_status_t make_queue(struct disk *k, uint32_t q)
{
	struct record_ring *record = record_ring(&k->d->start.link, k->d->record, q);
	uint32_t size = MIN((uint32_t)DISK_RING, 1u << log2_u64(k->controller.queue_max));
	uint64_t sq_bus, cq_bus;
	void *sq = disk_page(k, DISK_QUEUES + 2 * q, &sq_bus);
	void *cq = disk_page(k, DISK_QUEUES + 2 * q + 1, &cq_bus);

	memset(sq, 0, K_PAGE_SIZE);
	memset(cq, 0, K_PAGE_SIZE);
	nvme_queue_init(&k->ring[q], (uint16_t)(q + 1), size, sq, cq, 0);
	record->size = size;
	record->used_idx = 0;
	/* All interrupts come to one thread: one vector is enough. */
	return nvme_make_queue(&k->controller, &k->ring[q], sq_bus, cq_bus, 0);
}

static k_status_t make_queues(struct disk *k)
{
	k_status_t st = nvme_queues(&k->controller, k->d->layout.queue_count, &k->server.queue_count);

	for (uint32_t q = 0; q < k->server.queue_count && st == K_OK; q++)
		st = make_queue(k, q);
	return st;
}

static k_status_t set_up(struct disk *k, const char **why)
{
	uint8_t *data = rt_alloc(NVME_IDENTIFY_LENGTH);
	k_status_t st = data ? enable(k) : K_ERR_NO_MEMORY;

	if (st == K_OK)
		st = read_identity(k, data, why);
	rt_free(data);
	if (st == K_OK)
		st = make_queues(k);
	k->max_transfer = MIN(k->identity.max_transfer, DISK_TRANSFER);
	return st;
}

k_status_t disk_set_up(struct disk *k)
{
	struct record *r = k->d->record;
	const char *why = NULL;
	k_status_t st;

	/* What the record says of queues holds only while it says LIVE. */
	r->phase = RECORD_SETUP;
	atomic_signal_fence(memory_order_release);
	drv_step();
	r->words[BLK_WORD_LAYOUT] = DISK_LAYOUT;
	st = set_up(k, &why);
	if (st == K_ERR_NOT_FOUND)
		drv_log(k->d, RT_LOG_ERR, "the controller has no active namespace");
	else if (st != K_OK)
		drv_log(k->d, RT_LOG_ERR, "cannot set the controller up: %s (last status %x)",
			why ? why : "it fails", k->controller.status);
	if (st != K_OK)
		return st;
	r->queue_count = k->server.queue_count;
	atomic_signal_fence(memory_order_release);
	drv_step();
	r->phase = RECORD_LIVE;
	drv_step();
	return K_OK;
}

/* -- what the link says of it ---------------------------------------------------------------- */

static uint64_t features(const struct disk *k)
{
	const struct nvme_identity *id = &k->identity;

	return BLK_F_BLK_SIZE | (k->ns.read_only ? BLK_F_RO : 0) | (id->has_cache ? BLK_F_FLUSH : 0) |
	       (k->server.queue_count > 1 ? BLK_F_MQ : 0) | (id->has_deallocate ? BLK_F_DISCARD : 0) |
	       (id->has_write_zeroes ? BLK_F_WRITE_ZEROES : 0);
}

void disk_describe(struct disk *k)
{
	uint32_t per_block = 1u << (k->ns.block_shift - 9);
	uint8_t config[BLK_CONFIG_LENGTH] = { 0 };

	put_le64(config + BLK_CONFIG_CAPACITY, k->ns.blocks * per_block);
	put_le32(config + BLK_CONFIG_BLK_SIZE, 1u << k->ns.block_shift);
	put_le16(config + BLK_CONFIG_QUEUES, (uint16_t)k->server.queue_count);
	put_le32(config + BLK_CONFIG_DISCARD_MAX, DISCARD_SECTORS);
	put_le32(config + BLK_CONFIG_DISCARD_RANGES, BLK_RANGES);
	put_le32(config + BLK_CONFIG_DISCARD_ALIGN, per_block);
	/* Controllers before 1.4 may hold MDTS against zeroes, too. */
	put_le32(config + BLK_CONFIG_ZEROES_MAX, MIN(0x10000u * per_block,
						  k->identity.max_transfer / BLK_SECTOR));
	put_le32(config + BLK_CONFIG_ZEROES_RANGES, 1);
	config[BLK_CONFIG_ZEROES_UNMAP] = 1;
	drv_config(k->d, config, sizeof(config));
	drv_offer(k->d, features(k));
	drv_log(k->d, RT_LOG_INFO, "%s %s (serial %s, firmware %s)", k->identity.model,
		k->ns.read_only ? "read only" : "", k->identity.serial, k->identity.firmware);
}
