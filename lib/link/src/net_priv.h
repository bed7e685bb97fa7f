/* SPDX-License-Identifier: MIT */
/*
 * Network cards, for the files net*.c.  Device protocol: virtio 1.1, 5.1.
 *
 * Data memory: the first half holds the receive buffers, as many as the queue has descriptors
 * and all of one size; the second half is cut into chunks, which frames to be sent are copied
 * into.  A frame to be sent is a chain of its header, in a slot of the control memory, and of its
 * chunks, those that follow each other joined.
 *
 * The thread alone receives.  lock guards what is sent.  Who finds a queue broken accuses the
 * driver, and nothing moves until init has replaced it and the thread has made both rings anew
 * (docs/decisions/0011-links-made-anew.md): frames in flight may be sent twice then, and a frame of
 * which a part had come is lost.
 */
#pragma once

#include "link/net.h"
#include "link_priv.h"

#define NET_F_CSUM		BIT(0)
#define NET_F_GUEST_CSUM	BIT(1)
#define NET_F_MTU		BIT(3)
#define NET_F_MAC		BIT(5)
#define NET_F_GUEST_TSO4	BIT(7)
#define NET_F_GUEST_TSO6	BIT(8)
#define NET_F_HOST_TSO4		BIT(11)
#define NET_F_HOST_TSO6		BIT(12)
#define NET_F_MRG_RXBUF		BIT(15)
#define NET_F_STATUS		BIT(16)
#define NET_F_VERSION_1		BIT(32)

enum { NET_RX, NET_TX, NET_QUEUES };

/* The header before each frame: virtio 1.1, 5.1.6. */
enum {
	NET_HDR_FLAGS = 0, NET_HDR_GSO_TYPE = 1, NET_HDR_LEN = 2, NET_HDR_GSO_SIZE = 4,
	NET_HDR_CSUM_START = 6, NET_HDR_CSUM_OFFSET = 8, NET_HDR_BUFFERS = 10, NET_HDR_LENGTH = 12,
};
enum { NET_HDR_NEEDS_CSUM = 1, NET_HDR_DATA_VALID = 2 };
enum { NET_HDR_GSO_TCPV4 = 1, NET_HDR_GSO_TCPV6 = 4 };

enum {
	/* Larger buffers and chunks would only be emptier. */
	NET_BUFFER_MAX = 4096, NET_CHUNK = 2048,
	/* A buffer that holds any frame without segmentation. */
	NET_BUFFER_MIN = NET_HDR_LENGTH + 18 + 1500,
	/* Buffers of one frame: the longest, in the smallest buffers. */
	NET_BUFFERS_MAX = 1 + NET_FRAME_MAX / NET_BUFFER_MIN + 1,
	NET_CHUNKS_MAX = 512,
	NET_FRAME_CHUNKS = NET_FRAME_MAX / NET_CHUNK + 1,
	NET_FRAMES_MAX = LINK_QUEUE_SIZE_MAX / 2,
};

struct net_rx {
	/* Constant. */
	uint32_t count, size;		/* of the buffers */

	/* The thread's. */
	struct vq_driver vq;
	struct vq_driver_slot slots[LINK_QUEUE_SIZE_MAX];
	uint8_t header[NET_HDR_LENGTH];	/* of the frame of which some buffers have come */
	uint32_t have, need;		/* ... buffers; need 0: there is no such frame */
	struct {
		uint16_t buffer;
		uint32_t length;	/* written, with the header */
	} part[NET_BUFFERS_MAX];
};

/* A frame with the device. */
struct net_frame {
	uint64_t order;			/* of those in flight; 0: free */
	uint16_t first, count;		/* chunks: the chain of struct net_tx.next */
	uint32_t length;
	uint16_t next_free;
};

struct net_tx {
	/* Constant. */
	uint32_t offset;		/* of the first chunk, in data memory */
	uint32_t chunks, frames;	/* how many there are */

	/* The card's lock. */
	struct vq_driver vq;
	struct vq_driver_slot slots[LINK_QUEUE_SIZE_MAX];
	uint64_t sent;			/* frames ever: the last one's order */
	struct net_frame frame[NET_FRAMES_MAX];
	uint16_t free_frame;		/* or frames: none */
	uint16_t next[NET_CHUNKS_MAX];	/* of a chunk: free ones, in the order in which they came back */
	uint16_t free_first, free_last, free_count;
	uint32_t wanted;		/* chunks of the largest frame that found no room; 0: none did */
};

struct net {
	/* Constant once the thread runs. */
	struct link *link;
	const struct net_ops *ops;
	void *user;
	uint64_t features;
	uint32_t header_length;
	struct net_info info;
	_Atomic(k_handle_t) thread;

	_Atomic(bool) accused;		/* the driver broke the protocol: no ring is looked at */
	bool is_up;			/* thread; read by anybody (READ_ONCE) */
	/* The thread's. */
	uint32_t incarnation, generation;	/* of the driver and its configuration, as seen last */

	struct net_rx rx;
	struct rt_mutex lock;
	struct net_tx tx;
};

/* The driver broke the protocol. */
void net_accuse(struct net *n, const char *why);

/* net_receive.c: the thread calls these. */
k_status_t net_rx_init(struct net *n);		/* NOT_SUPPORTED: too little memory */
void net_rx_start(struct net *n);		/* an empty ring gets all buffers */
void net_rx_restart(struct net *n);		/* the same, after what has come is taken, if the old ring is sound */
/* Take at most some dozens of frames; true: there are more, which no bell will tell of. */
bool net_rx_look(struct net *n);
bool net_rx_is_ready(struct net *n);		/* the device has used buffers that were not taken */

/* net_send.c */
k_status_t net_tx_init(struct net *n);
void net_tx_restart(struct net *n);		/* what the old ring does not say was sent goes into a new one; locks */
/* Take back what was sent if somebody waits for room; true: there is enough now.  Locks. */
bool net_tx_look(struct net *n);
/* The device has sent frames, and somebody waits for room: it is to ring for them.  Locks. */
bool net_tx_is_ready(struct net *n);
