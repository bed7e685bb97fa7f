/* SPDX-License-Identifier: MIT */
/*
 * Packet buffers.
 *
 * A packet is a list of pieces.  A piece is a range of bytes in a block, and a block is memory with
 * a count of references: what shares bytes (a clone for a tap, a segment kept for retransmission)
 * shares blocks.  The buffer itself, its table of pieces and the bytes of the first piece are one
 * block, so that a frame of Ethernet is one allocation; segments of up to 64 KiB have further
 * blocks, none of which needs much memory in one place.  Nothing is zeroed.
 *
 *	block: refs | lx_pbuf | pieces... | headroom | first piece | tailroom
 *	                                               ^ lx_pbuf_data()
 *
 * A buffer has one owner, and functions that take one over say so; only blocks are shared.  The
 * owner may move the ends of the packet and set its fields at any time, and write bytes where
 * lx_pbuf_is_private() says that nobody shares them.
 *
 * Places in a packet that outlive lx_pbuf_push() and lx_pbuf_pull() (headers, where a checksum
 * starts) are kept as offsets from the head of the first block; functions give them as offsets
 * from the first byte of the packet.
 *
 * Memory is charged to a pool, of which each network namespace has one, for as long as its block
 * lives: so it is bounded whoever forgets to free.  Sockets charge what they send and hold
 * through an owner (struct lx_pbuf_owner) besides.
 *
 * Allocation takes the heap's locks for a moment and never waits for memory; it is fine in any
 * thread of the personality with locks of any rank held, and fails with NULL.
 */
#pragma once

#include "lx/iter.h"
#include "lx/types.h"

/* Room in front of what a protocol sends: Ethernet, IPv6 and TCP with all their options. */
#define LX_PBUF_HEADROOM	128u
/* In front of what a driver receives: the header behind Ethernet's 14 bytes is aligned to 16. */
#define LX_PBUF_RX_HEADROOM	66u
/* Bytes in one further block of a large packet: with its header it is what the heap has at hand. */
#define LX_PBUF_BLOCK		(8192u - 32u)
#define LX_PBUF_MAX		(256u << 10)	/* bytes of a packet */

/* What is known of the checksum of the transport protocol. */
enum lx_csum {
	/* Received: nothing, check it.  To be sent: it is in the packet. */
	LX_CSUM_NONE,
	/*
	 * Sum the packet from csum_start to its end, and store the result csum_offset bytes behind
	 * csum_start (as VIRTIO_NET_HDR_F_NEEDS_CSUM: the sum of the pseudo header is there already).
	 * Received (from a program of this machine): the bytes are good, the field is not.
	 */
	LX_CSUM_PARTIAL,
	LX_CSUM_VERIFIED,		/* received: somebody has checked it */
};

/* How a packet that is larger than the link's MTU is to be cut; the numbers of struct virtio_net_hdr. */
enum lx_gso {
	LX_GSO_NONE = 0,
	LX_GSO_TCPV4 = 1,
	LX_GSO_TCPV6 = 4,
	LX_GSO_UDP = 5,			/* VIRTIO_NET_HDR_GSO_UDP_L4 */
	LX_GSO_ECN = 0x80,		/* flag of TCP: CWR is for the first segment only */
};

/* To whom a received frame was sent: the numbers of sll_pkttype, packet(7). */
enum lx_pkttype {
	LX_PKT_HOST, LX_PKT_BROADCAST, LX_PKT_MULTICAST, LX_PKT_OTHERHOST, LX_PKT_OUTGOING,
};

/* -- pools */

/*
 * Counts bytes.  One word says all: what is in use, plus one for the namespace; whoever brings it
 * to zero frees the pool, so that packets may outlive their namespace.
 */
struct lx_pbuf_pool {
	/* Adding: relaxed.  Taking away: release, and acquire by who comes to zero. */
	_Atomic(uint64_t) used;
	_Atomic(uint64_t) limit;	/* bytes; any time */
	_Atomic(uint64_t) failures;	/* allocations refused by the limit */
};

struct lx_pbuf_pool *lx_pbuf_pool_create(uint64_t limit);	/* NULL: no memory */
/* The namespace's end. */
void lx_pbuf_pool_put(struct lx_pbuf_pool *pool);
uint64_t lx_pbuf_pool_used(const struct lx_pbuf_pool *pool);

/* -- buffers */

struct lx_pbuf_block;

struct lx_piece {
	struct lx_pbuf_block *block;	/* a reference */
	uint8_t *data;
	uint32_t len;
};

struct lx_pbuf;

/*
 * Who a buffer is charged to besides its pool, a socket for example.  release() is called once,
 * when the buffer is freed or orphaned, perhaps with locks held: it takes none but those of wait
 * queues.  @charge is the buffer's charge when it got its owner.
 */
struct lx_pbuf_owner {
	void (*release)(struct lx_pbuf_owner *owner, uint32_t charge);
};

/* All fields are the owner's of the buffer. */
struct lx_pbuf {
	struct list link;		/* of whoever holds the buffer */
	struct lx_pbuf_pool *pool;
	struct lx_pbuf_block *block;	/* in which this structure is; a reference of its own */
	struct lx_pbuf_owner *owner;	/* or NULL */
	uint32_t owner_charge;
	uint32_t charge;		/* bytes of memory it stands for: of all its blocks */
	uint32_t len;			/* of the packet, in bytes */

	uint64_t arrival_ns;		/* real time; 0: nobody has looked at the clock yet */
	uint32_t hash;			/* of the flow: packets with the same stay in order.  0 is fine */
	int ifindex;			/* of the device it came from; 0: made here */
	uint16_t protocol;		/* ETH_P_*, in the machine's byte order */
	uint8_t pkttype;		/* enum lx_pkttype */

	uint8_t csum;			/* enum lx_csum */
	uint8_t gso;			/* enum lx_gso */
	uint16_t gso_size;		/* bytes of payload of a segment */
	uint16_t gso_header;		/* bytes of all headers of it, the link's too */

	/* From the head of the first block; see lx_pbuf_place(). */
	uint16_t link_at, network_at, transport_at;
	uint16_t csum_at, csum_offset;	/* LX_CSUM_PARTIAL; csum_offset is from csum_at */
	uint16_t nr_pieces, max_pieces;	/* at least one, of length 0 perhaps */

	uint8_t cb[48] __attribute__((aligned(8)));	/* the holder's: a protocol's notes on a queued packet */
	struct lx_piece piece[];	/* max_pieces */
};

/*
 * A packet of no bytes, with room for @headroom in front of it and @room more behind, in one
 * piece.  NULL: no memory, or more in use than the pool allows.
 */
struct lx_pbuf *lx_pbuf_alloc(struct lx_pbuf_pool *pool, uint32_t headroom, uint32_t room);
/*
 * A packet of @len bytes, undefined as yet, of which at least @linear are in the first piece and
 * the rest in further ones.  NULL: as above, or @len is more than LX_PBUF_MAX.
 */
struct lx_pbuf *lx_pbuf_alloc_large(struct lx_pbuf_pool *pool, uint32_t headroom, uint32_t linear,
				    uint32_t len);
/*
 * A packet of no bytes, as lx_pbuf_alloc() makes it, with room for @pieces of others' bytes behind
 * its own (lx_pbuf_share()).
 */
struct lx_pbuf *lx_pbuf_alloc_shared(struct lx_pbuf_pool *pool, uint32_t headroom, uint32_t room,
				     uint32_t pieces);
/*
 * Append the @n bytes of @from at @off, which are shared from then on.  False, and nothing has
 * changed: @from does not have them, or @p has no room for so many pieces.  @p stands for the bytes
 * themselves, not for all of their blocks, since several packets may share one.
 */
bool lx_pbuf_share(struct lx_pbuf *p, const struct lx_pbuf *from, uint32_t off, uint32_t n);
/* How many pieces of @p have bytes of the @n at @off. */
uint32_t lx_pbuf_count_pieces(const struct lx_pbuf *p, uint32_t off, uint32_t n);
/* Another buffer with the same bytes and fields, but without the owner; not queued.  NULL: no memory. */
struct lx_pbuf *lx_pbuf_clone(const struct lx_pbuf *p);
/* Takes @p over; NULL is fine. */
void lx_pbuf_free(struct lx_pbuf *p);
/* Charge it to @owner; it has none yet. */
static inline void lx_pbuf_set_owner(struct lx_pbuf *p, struct lx_pbuf_owner *owner)
{
	p->owner = owner;
	p->owner_charge = p->charge;
}
/* The owner hears of it now and no more: the packet changes hands within the machine. */
void lx_pbuf_orphan(struct lx_pbuf *p);
/* Free all of a list of lx_pbuf.link. */
void lx_pbuf_free_list(struct list *list);

/* The first byte of the packet; lx_pbuf_linear() bytes from here on are in one piece. */
static inline uint8_t *lx_pbuf_data(const struct lx_pbuf *p)
{
	return p->piece[0].data;
}

static inline uint32_t lx_pbuf_linear(const struct lx_pbuf *p)
{
	return p->piece[0].len;
}

uint32_t lx_pbuf_headroom(const struct lx_pbuf *p);
uint32_t lx_pbuf_tailroom(const struct lx_pbuf *p);	/* behind the first piece; 0 if there are more */
/* Nobody shares the first piece's block: its bytes, and the room around them, may be written. */
bool lx_pbuf_is_private(const struct lx_pbuf *p);

/* @n more bytes in front (at most the headroom): the new first byte. */
void *lx_pbuf_push(struct lx_pbuf *p, uint32_t n);
/* The first @n bytes (at most lx_pbuf_linear()) are no part of the packet any more: the new first byte. */
void *lx_pbuf_pull(struct lx_pbuf *p, uint32_t n);
/* @n more bytes at the end (at most the tailroom): the first of them. */
void *lx_pbuf_put(struct lx_pbuf *p, uint32_t n);
/* Keep the first @len bytes only; pieces without any go. */
void lx_pbuf_trim(struct lx_pbuf *p, uint32_t len);
/*
 * Make the first @n bytes be in one piece, and that piece private: headers can be read and
 * written.  Bytes in front of it, which were pulled, stay there.  0; -EINVAL: the packet is
 * shorter; -ENOMEM.  The packet is unchanged then.
 */
int lx_pbuf_pull_up(struct lx_pbuf *p, uint32_t n);

/* Copy @n bytes from or to the packet at @off.  False: it has not as many. */
bool lx_pbuf_read(const struct lx_pbuf *p, uint32_t off, void *buf, uint32_t n);
bool lx_pbuf_write(struct lx_pbuf *p, uint32_t off, const void *buf, uint32_t n);
/* The same with an iterator: bytes copied, fewer than @n as lx_iter_put() and lx_iter_get() say. */
size_t lx_pbuf_to_iter(const struct lx_pbuf *p, uint32_t off, struct lx_iter *to, size_t n);
size_t lx_pbuf_from_iter(struct lx_pbuf *p, uint32_t off, struct lx_iter *from, size_t n);

/* Offsets of the packet's first byte, now, as link_at and the others are kept. */
static inline uint16_t lx_pbuf_place(const struct lx_pbuf *p)
{
	return (uint16_t)lx_pbuf_headroom(p);
}

/* From the packet's first byte to @place; negative: it was pulled. */
static inline int32_t lx_pbuf_offset(const struct lx_pbuf *p, uint16_t place)
{
	return (int32_t)place - (int32_t)lx_pbuf_headroom(p);
}

/* -- checksums (RFC 1071) */

/* The sum of @n bytes, in the order of memory, added to @sum; not complemented. */
uint32_t lx_csum_add(uint32_t sum, const void *data, size_t n);
/* The same of a packet's bytes; they may begin and end anywhere. */
uint32_t lx_pbuf_csum(const struct lx_pbuf *p, uint32_t off, uint32_t n, uint32_t sum);
/* A sum as a header has it: complemented, to be stored as it is. */
static inline uint16_t lx_csum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/*
 * Do what LX_CSUM_PARTIAL asks for; it is LX_CSUM_NONE afterwards.  0; -EINVAL: it asks for
 * something outside of the packet; -ENOMEM.
 */
int lx_pbuf_complete_csum(struct lx_pbuf *p);
/* LX_CSUM_PARTIAL from @start, an offset from the packet's first byte; false: outside of the packet. */
bool lx_pbuf_set_csum(struct lx_pbuf *p, uint32_t start, uint16_t offset);
