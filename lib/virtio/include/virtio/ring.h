/* SPDX-License-Identifier: MIT */
/*
 * Split virtqueues as they lie in shared memory (virtio 1.1, 2.6), and where their
 * parts go.  All numbers little endian.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define VRING_DESC_NEXT		1u
#define VRING_DESC_WRITE	2u	/* the device writes here */
#define VRING_DESC_INDIRECT	4u

#define VRING_AVAIL_NO_INTERRUPT 1u
#define VRING_USED_NO_NOTIFY	1u

struct vring_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct vring_avail {
	_Atomic(uint16_t) flags;
	_Atomic(uint16_t) idx;
	uint16_t ring[];
};

struct vring_used {
	_Atomic(uint16_t) flags;
	_Atomic(uint16_t) idx;
	struct vring_used_elem {
		uint32_t id;
		uint32_t len;
	} ring[];
};

/* One queue's parts; size is a power of two and private to each side. */
struct vring {
	uint16_t size;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
};

/*
 * Offsets of the parts and the length of the whole, for @size descriptors with the
 * used ring aligned to @align: the layout of legacy devices, of links, and of ours.
 */
struct vring_layout {
	size_t avail, used, length;
};

static inline struct vring_layout vring_layout(uint32_t size, size_t align)
{
	struct vring_layout l;

	l.avail = 16ul * size;
	l.used = (l.avail + 4 + 2ul * size + 2 + align - 1) & ~(align - 1);
	l.length = l.used + 4 + 8ul * size + 2;
	return l;
}

static inline struct vring vring_at(void *base, uint32_t size, size_t align)
{
	struct vring_layout l = vring_layout(size, align);

	return (struct vring){ .size = (uint16_t)size, .desc = base,
			       .avail = (struct vring_avail *)((char *)base + l.avail),
			       .used = (struct vring_used *)((char *)base + l.used) };
}
