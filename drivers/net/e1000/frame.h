/* SPDX-License-Identifier: MIT */
/*
 * Frames of the link (virtio 1.1, 5.1.6, without VERSION_1: a header of ten bytes) as the card
 * wants them: pieces at bus addresses, and what it is to do about their checksum.
 *
 * The client is hostile.  Its header is copied once; addresses go through the runtime.  What it
 * writes into a frame while that is sent changes that frame alone.
 */
#pragma once

#include "nic.h"

/* Features of the link that are about this, and the header's length. */
#define NET_F_CSUM		BIT(0)
#define NET_F_MTU		BIT(3)
#define NET_F_MAC		BIT(5)
#define NET_F_STATUS		BIT(16)
enum { NET_HEADER = 10 };

/* Bytes of a frame, without its checksum: with a VLAN tag; least, as padded here. */
enum { FRAME_MAX = 14 + 4 + 1500, FRAME_LEAST = 14, FRAME_PADDED = 60 };
/* What the card receives at most, as the manual has it. */
enum { FRAME_RECEIVED_MAX = 1522 };
enum { FRAME_PIECES = 24 };

/* Memory that the card reads beside a frame's own: the client does not reach it. */
struct frame_extra {
	uint8_t checksum[2];
};

struct frame {
	struct vq_segment piece[FRAME_PIECES];
	unsigned int count;
	bool has_checksum;		/* left to the card: from sum_from on, into sum_at */
	uint8_t sum_from, sum_at;
};

enum frame_verdict {
	FRAME_GOOD,
	FRAME_DROPPED,			/* nothing that the card could send */
	FRAME_PROTOCOL,			/* the client broke the protocol, *why says how */
};

/*
 * The frame of @c for a client with @features.  @extra is its own, at @extra_bus; FRAME_PADDED
 * zeroes lie at @zeroes_bus.
 */
enum frame_verdict frame_to_send(struct drv *d, const struct vq_chain *c, uint64_t features,
				 struct frame_extra *extra, uint64_t extra_bus,
				 uint64_t zeroes_bus, struct frame *f, const char **why);

/*
 * The receive buffer of @c: where the card may write NIC_BUFFER bytes, behind a header that
 * asks for nothing, which is written here.  False: it is none, *why says how.
 */
bool frame_buffer(struct drv *d, const struct vq_chain *c, uint64_t *bus, const char **why);
