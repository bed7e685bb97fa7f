/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/util.h"
#include "drv/die.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "rt/process.h"
#include "rt/time.h"
#include "unit/unit.h"

enum { SLOT_STATUS = 16 };

static uint8_t control[1 << 20] __attribute__((aligned(4096)));
static uint8_t data[RIG_DATA] __attribute__((aligned(4096)));
static uint8_t dma[RIG_DMA_PAGES * 4096] __attribute__((aligned(4096)));
static uint8_t record[1 << 20] __attribute__((aligned(4096)));
static struct vq_driver_slot slots[RIG_QUEUES][RIG_DEPTH];
static uint8_t taken[RIG_QUEUES][RIG_DEPTH];
static uint64_t bus_of_dma[RIG_DMA_PAGES], bus_of_data[RIG_DATA / 4096];
static uint64_t bus_of_control[sizeof(control) / 4096];
static jmp_buf end;

struct rig rig = { .control = control, .data = data, .dma = dma };

/* -- the runtime ----------------------------------------------------------------------------- */

void drv_step(void)
{
	if (rig.steps_left && !--rig.steps_left)
		longjmp(end, RIG_DEATH);
}

uint64_t drv_die_sector(void)
{
	return UINT64_MAX;
}

void *drv_pointer(struct drv *unused, uint64_t addr, uint64_t n)
{
	if (addr >= rig.d.layout.slots && range_within(addr, n, rig.d.layout.length))
		return control + addr;
	if (addr >= LINK_DATA && range_within(addr - LINK_DATA, n, RIG_DATA))
		return data + (addr - LINK_DATA);
	return NULL;
}

/* Every page by itself, as if none followed the one before. */
unsigned int drv_bus_segments(struct drv *unused, const struct vq_segment *s,
			      struct vq_segment *out, unsigned int max)
{
	uint8_t *at = drv_pointer(NULL, s->addr, s->len);
	uint32_t left = s->len;
	unsigned int n = 0;

	for (; at && left && n < max; n++) {
		uint32_t piece = MIN(left, 4096 - (uint32_t)((uintptr_t)at % 4096));

		out[n] = (struct vq_segment){ (uintptr_t)at, piece, s->device_writes };
		at += piece;
		left -= piece;
	}
	return left ? 0 : n;
}

bool drv_work_on(struct drv *unused, uint32_t queue, uint16_t head)
{
	return true;
}

bool drv_is_overdue(const struct drv *d, uint32_t queue, uint16_t head)
{
	return record_inflight(&rig.geometry, rig.record, queue)->requests[head].overdue;
}

void drv_work_done(struct drv *unused)
{
}

void drv_publish(struct drv *unused, uint32_t queue)
{
	(void)vq_device_publish(&rig.d.queue[queue]);
}

void drv_break(struct drv *unused, const char *why)
{
	rig.d.broken = true;
	rig.broken = why;
}

void drv_log(struct drv *unused, int level, const char *fmt, ...)
{
}

void drv_config(struct drv *unused, const void *config, size_t n)
{
}

void drv_offer(struct drv *unused, uint64_t features)
{
	rig.d.offered = features;
}

uint32_t drv_adopt_flags(struct drv *unused)
{
	return rig.adopt_flags;
}

void drv_was_reset(struct drv *unused)
{
}

void drv_pci_enable(struct drv *unused, uint32_t bits)
{
}

void rt_panic(const char *fmt, ...)
{
	abort();
}

void *rt_alloc(size_t n)
{
	return malloc(n);
}

void *rt_zalloc(size_t n)
{
	return calloc(1, n);
}

void rt_free(void *p)
{
	free(p);
}

uint64_t rt_now_ns(void)
{
	return rig.now;
}

k_status_t k_timer_create(k_handle_t bell, uint64_t bits, k_handle_t *out)
{
	return K_OK;
}

k_status_t k_timer_set(k_handle_t timer, uint64_t deadline, uint64_t slack)
{
	rig.timer_set = true;
	return K_OK;
}

void k_process_exit(uint32_t status)
{
	longjmp(end, (int)status);
}

static uint64_t window_now(void *user)
{
	return rig.now;
}

static void window_pause(void *user, uint32_t n)
{
	rig.now += 1000000;
}

struct drv_window rig_window(uint32_t (*read)(void *user, uint32_t offset),
			     void (*write)(void *user, uint32_t offset, uint32_t value))
{
	return (struct drv_window){ .read = read, .write = write, .now_ns = window_now,
				    .pause = window_pause, .step = drv_step };
}

/* -- lives ------------------------------------------------------------------------------------- */

bool rig_begin(uint32_t queues)
{
	memset(dma, 0x55, sizeof(dma));
	memset(data, 0, sizeof(data));
	rig.geometry = (struct link_geometry){ .version = LINK_VERSION,
					       .class_id = LINK_CLASS_BLOCK,
					       .queue_count = queues, .queue_size = RIG_DEPTH,
					       .data_length = RIG_DATA };
	if (!link_layout_make(&rig.geometry, &rig.layout))
		return false;
	memset(control, 0, rig.layout.length);
	memset(record, 0, record_length(&rig.geometry));
	rig.record = (struct record *)record;
	rig.record->version = RECORD_VERSION;
	for (uint32_t q = 0; q < queues; q++) {
		struct vring ring = link_layout_ring(&rig.layout, control, q);

		vq_driver_init(&rig.client[q], &ring, slots[q]);
	}
	rig.broken = NULL;
	rig.steps_left = 0;
	rig.adopt_flags = 0;
	return true;
}

static void fill_bus(uint64_t *bus, const uint8_t *memory, uint64_t pages)
{
	for (uint64_t i = 0; i < pages; i++)
		bus[i] = (uintptr_t)(memory + i * 4096);
}

void rig_incarnate(bool first, uint64_t features)
{
	struct drv *d = &rig.d;

	memset(d, 0, sizeof(*d));
	d->start.link = rig.geometry;
	d->start.dma_length = sizeof(dma);
	d->start.incarnation = first ? 1 : 2;
	d->layout = rig.layout;
	d->record = rig.record;
	d->control = control;
	d->data = data;
	d->dma = dma;
	fill_bus(bus_of_dma, dma, RIG_DMA_PAGES);
	fill_bus(bus_of_data, data, RIG_DATA / 4096);
	fill_bus(bus_of_control, control, sizeof(control) / 4096);
	d->dma_bus = bus_of_dma;
	d->data_bus = bus_of_data;
	d->control_bus = bus_of_control;
	d->open = true;
	d->features = features;
	for (uint32_t q = 0; q < rig.geometry.queue_count; q++) {
		struct vring ring = link_layout_ring(&d->layout, control, q);

		vq_device_init(&d->queue[q], &ring, record_inflight(&rig.geometry, record, q),
			       taken[q], !first);
		d->queue[q].step = drv_step;
	}
}

int rig_end_of(void (*what)(void))
{
	int status = setjmp(end);

	if (!status)
		what();
	return status;
}

/* -- the client ---------------------------------------------------------------------------------- */

uint16_t rig_submit(uint32_t q, uint32_t type, uint64_t sector, const struct vq_segment *payload,
		       unsigned int n)
{
	uint64_t slot = link_layout_slot(&rig.layout, q, rig.client[q].free_head);
	struct vq_segment s[20] = { { slot, 16, false } };
	uint16_t head;

	put_le32(control + slot, type);
	put_le32(control + slot + 4, 0);
	put_le64(control + slot + 8, sector);
	control[slot + SLOT_STATUS] = 0xee;
	for (unsigned int i = 0; i < n; i++)
		s[1 + i] = payload[i];
	s[1 + n] = (struct vq_segment){ slot + SLOT_STATUS, 1, true };
	if (!vq_driver_add(&rig.client[q], s, n + 2, (void *)(slot + SLOT_STATUS), &head))
		return UINT16_MAX;
	vq_driver_publish(&rig.client[q]);
	return head;
}

uint16_t rig_submit_one(uint32_t q, uint32_t type, uint64_t sector, uint32_t offset, uint32_t n)
{
	struct vq_segment s = { LINK_DATA + offset, n, type == BLK_T_IN || type == BLK_T_GET_ID };

	return rig_submit(q, type, sector, &s, n ? 1 : 0);
}

uint8_t rig_take(uint32_t q, uint32_t *written)
{
	uint16_t head;
	void *status;
	uint32_t n = 0;

	if (!vq_driver_take(&rig.client[q], &status, &head, &n))
		return 0xff;
	if (written)
		*written = n;
	return control[(uintptr_t)status];
}

void rig_put_range(uint32_t offset, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	put_le64(data + offset, sector);
	put_le32(data + offset + 8, sectors);
	put_le32(data + offset + 12, flags);
}

void rig_make_noise(void)
{
	for (int i = 0; i < 12; i++)
		control[LINK_RINGS + unit_random() % 1024] = (uint8_t)unit_random();
	for (int i = 0; i < 4; i++)
		control[rig.layout.slots + unit_random() % 4096] = (uint8_t)unit_random();
}
