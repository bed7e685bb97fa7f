/* SPDX-License-Identifier: MIT */
/*
 * A ring of descriptors (8254x manual, 3.2.3 and 3.3.3): memory and the record of it, without
 * registers.
 *
 * Positions count descriptors from the beginning of the ring's life; the one at a position lies at
 * the position modulo NIC_RING_SIZE.  Of a ring with descriptors
 *
 *	before next	all is answered, and on record; free
 *	next to added	with a request each, or several to a request: an entry
 *
 * and the device was shown some of the latter, up to its tail register.  The device does entries in
 * their order, and says so in the last descriptor of each.  One descriptor is always free, as
 * equal positions mean an empty ring.
 *
 * The record (struct record_ring) has added, next as used_idx, and an entry's request and length at
 * its first descriptor; position is there to tell it from what an earlier entry left.
 *
 * The device is hostile: it can write what it likes into its descriptors.  What an entry is
 * is never read from there, and a descriptor that is done is read once.
 */
#pragma once

#include "nic.h"

struct nic_desc {
	uint64_t buffer;
	union {
		struct {
			uint32_t low, high;
		};
		uint64_t words;		/* of one that is done: read at once */
	};
};
_Static_assert(sizeof(struct nic_desc) == 16, "size of a descriptor");

/* Of a descriptor to send (3.3.6, 3.3.7): in low, and in high. */
#define TX_END		(1u << 24)	/* of the frame */
#define TX_FCS		(1u << 25)	/* the frame's checksum is the card's to add */
#define TX_REPORT	(1u << 27)	/* say when it is done */
#define TX_EXTENDED	(1u << 29)
#define TX_DATA		(1u << 20)	/* extended ones: data, otherwise a context */
#define TX_CHECKSUM	(2u << 8)	/* that of the context, TCP's or UDP's */
/* Of one that was received (3.2.3): length in low; in high. */
#define RX_END		(1u << 1)
#define RX_ERRORS	(0x97u << 8)	/* of the wire: CRC, symbol, sequence, extension, data */
#define DESC_DONE	(1u << 0)	/* of both */

struct ring {
	/* Constant from ring_open() on. */
	struct nic_desc *at;
	struct record_ring *record;
	const struct vq_device *link;	/* the queue whose requests these are */
	void (*step)(void);

	uint64_t added, next;		/* positions */
};

/* Nothing is read or written yet. */
void ring_open(struct ring *r, void *memory, struct record_ring *record,
	       const struct vq_device *link, void (*step)(void));
/* An empty ring, while the device does not look. */
void ring_make(struct ring *r);
/*
 * Take over what a predecessor left, of which the device was shown what is before @tail (modulo the
 * size), or, of a device that is quiet, NIC_RING_SIZE: what it did is all that counts.  What was
 * answered is on record as such afterwards; what was not shown is forgotten.  False: it does not
 * fit together.
 */
bool ring_adopt(struct ring *r, uint32_t tail);

/* Descriptors that can be added. */
uint32_t ring_room(const struct ring *r);
/* The i-th of them. */
struct nic_desc *ring_free(const struct ring *r, uint32_t i);
/* The first @count of them are an entry, of the link's request @head. */
void ring_add(struct ring *r, uint16_t head, uint32_t count);
/* What the tail register is to say. */
uint32_t ring_tail(const struct ring *r);

bool ring_is_empty(const struct ring *r);
/*
 * The request of the entry at *@position, which is set to the next one's; false: no more.
 * The first is at next.
 */
bool ring_entry(const struct ring *r, uint64_t *position, uint16_t *head);

struct ring_done {
	uint16_t head;
	uint32_t low, high;		/* of its last descriptor */
	bool is_tail;			/* received: the buffer before had the frame's beginning */
};

/* The next entry that is done; false: none is. */
bool ring_take(struct ring *r, struct ring_done *done);
/* All that was taken is answered, and the client was shown that. */
void ring_settle(struct ring *r);
