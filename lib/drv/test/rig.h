/* SPDX-License-Identifier: MIT */
/*
 * What surrounds a driver of a disk in tests on the host: a link with its client, the runtime of
 * drivers as a few functions, and memory in which a bus address is an address of this
 * program.  An end of the driver is a jump back into the test, which then begins the next
 * incarnation over the same link, record and DMA memory.
 */
#pragma once

#include "drv/blk_server.h"
#include "drv/registers.h"

enum { RIG_QUEUES = 2, RIG_DEPTH = 64, RIG_DATA = 256 * 1024, RIG_DMA_PAGES = 24 };

struct rig {
	struct drv d;			/* of the incarnation */
	uint8_t *control, *data, *dma;
	struct record *record;
	struct link_geometry geometry;
	struct link_layout layout;
	struct vq_driver client[RIG_QUEUES];

	uint64_t now;			/* ns */
	const char *broken;		/* what drv_break() said */
	uint32_t steps_left;		/* to a death; 0: none */
	bool timer_set;
	uint32_t adopt_flags;		/* COMPONENT_ADOPT_* */
};
extern struct rig rig;

/* A window over these registers, whose time is rig.now. */
struct drv_window rig_window(uint32_t (*read)(void *user, uint32_t offset),
			     void (*write)(void *user, uint32_t offset, uint32_t value));

/* A fresh link with @queues queues, and a fresh record.  False: it cannot be made. */
bool rig_begin(uint32_t queues);
/* The first incarnation of a driver, or the next one; its client chose @features. */
void rig_incarnate(bool first, uint64_t features);

/* How the incarnation ended while it did that; 0: it did not. */
int rig_end_of(void (*what)(void));
enum { RIG_DEATH = 77 };

/* A request with its payload in pieces; the head, or UINT16_MAX. */
uint16_t rig_submit(uint32_t q, uint32_t type, uint64_t sector, const struct vq_segment *payload,
		    unsigned int n);
/* One payload at @offset of the link's data. */
uint16_t rig_submit_one(uint32_t q, uint32_t type, uint64_t sector, uint32_t offset, uint32_t n);
/* Take the one answer that there is; its status, 0xff: none.  *@written: bytes, its own included. */
uint8_t rig_take(uint32_t q, uint32_t *written);
/* A range of a discard, or of zeroes, in the link's data. */
void rig_put_range(uint32_t offset, uint64_t sector, uint32_t sectors, uint32_t flags);
/* Noise in the rings and slots of the link. */
void rig_make_noise(void);
