/* SPDX-License-Identifier: MIT */
/*
 * Requests of a link to a disk (virtio 1.1, 5.2.6), for drivers that translate them: header,
 * payload, status, checked and copied once.
 */
#pragma once

#include "drv/drv.h"

#define BLK_SECTOR	512u

enum blk_type {
	BLK_T_IN = 0, BLK_T_OUT = 1, BLK_T_FLUSH = 4, BLK_T_GET_ID = 8, BLK_T_DISCARD = 11,
	BLK_T_WRITE_ZEROES = 13,
};
enum blk_status { BLK_S_OK = 0, BLK_S_IOERR = 1, BLK_S_UNSUPP = 2 };
enum { BLK_ID_LENGTH = 20, BLK_RANGES = 16 };

/* Feature bits that drivers offer, and the places of the configuration (virtio 1.1, 5.2.3, 5.2.4). */
#define BLK_F_RO		(1ull << 5)
#define BLK_F_BLK_SIZE		(1ull << 6)
#define BLK_F_FLUSH		(1ull << 9)
#define BLK_F_TOPOLOGY		(1ull << 10)
#define BLK_F_MQ		(1ull << 12)
#define BLK_F_DISCARD		(1ull << 13)
#define BLK_F_WRITE_ZEROES	(1ull << 14)

enum {
	BLK_CONFIG_CAPACITY = 0, BLK_CONFIG_BLK_SIZE = 20, BLK_CONFIG_PHYSICAL_EXPONENT = 24,
	BLK_CONFIG_ALIGNMENT = 25, BLK_CONFIG_IO_MIN = 26, BLK_CONFIG_QUEUES = 34,
	BLK_CONFIG_DISCARD_MAX = 36, BLK_CONFIG_DISCARD_RANGES = 40, BLK_CONFIG_DISCARD_ALIGN = 44,
	BLK_CONFIG_ZEROES_MAX = 48, BLK_CONFIG_ZEROES_RANGES = 52, BLK_CONFIG_ZEROES_UNMAP = 56,
	BLK_CONFIG_LENGTH = 60,
};

struct blk_range {
	uint64_t sector;
	uint32_t sectors;
	uint32_t flags;			/* 1: unmap */
};

struct blk_request {
	uint16_t head;
	uint32_t type;			/* enum blk_type, or what nobody knows */
	uint64_t sector;
	uint32_t length;		/* bytes of payload */
	const struct vq_segment *payload;	/* of the chain: in link memory */
	uint32_t segments;
	uint8_t *status;		/* the client's, in link memory: written only */
};

/* False: the chain is against the protocol, *@why says how. */
bool blk_request_read(struct drv *d, const struct vq_chain *c, struct blk_request *r,
		      const char **why);
/*
 * The ranges of a discard or of zeroes; how many, 0: there are none, or more than
 * BLK_RANGES, or they lie where they cannot be read.
 */
uint32_t blk_request_ranges(struct drv *d, const struct blk_request *r, struct blk_range *ranges);
/* Copy what an IN or GET_ID request is to get; false: it has less room. */
bool blk_request_write(struct drv *d, const struct blk_request *r, const void *data, uint32_t n);
/*
 * Bus addresses of the payload from byte @skip on, at most @bytes of it (and less, if it is in many
 * pieces), in @out with room for @max, more than @bytes / 4096 + 2; how many.  0: an address
 * is not the link's.
 */
unsigned int blk_request_pieces(struct drv *d, const struct blk_request *r, uint32_t skip,
				uint32_t bytes, struct vq_segment *out, unsigned int max);
