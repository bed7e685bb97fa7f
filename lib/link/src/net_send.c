/* SPDX-License-Identifier: MIT */
/*
 * Frames that go, see net_priv.h.
 *
 * Frames that were sent are taken back when the next one is sent; the device rings for them only
 * while somebody waits for room.  Chunks are given out in the order in which they came back,
 * which is mostly the order of memory: the chunks of a frame follow each other.
 */
#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"
#include "net_priv.h"

k_status_t net_tx_init(struct net *n)
{
	const struct link_geometry *g = link_geometry(n->link);
	struct net_tx *t = &n->tx;

	t->offset = (uint32_t)ALIGN_UP(g->data_length / 2, (uint64_t)NET_CHUNK);
	t->chunks = (uint32_t)MIN((g->data_length - t->offset) / NET_CHUNK, (uint64_t)NET_CHUNKS_MAX);
	t->frames = MIN(g->queue_size / 2, (uint32_t)NET_FRAMES_MAX);
	if (t->chunks < NET_FRAME_CHUNKS || g->queue_size < NET_FRAME_CHUNKS + 1)
		return K_ERR_NOT_SUPPORTED;
	for (uint32_t i = 0; i < t->frames; i++)
		t->frame[i].next_free = (uint16_t)(i + 1);
	for (uint32_t i = 0; i < t->chunks; i++)
		t->next[i] = (uint16_t)(i + 1);
	t->free_last = (uint16_t)(t->chunks - 1);
	t->free_count = (uint16_t)t->chunks;
	link_queue_init(n->link, NET_TX, &t->vq, t->slots);
	vq_driver_interrupts(&t->vq, false);
	return K_OK;
}

static uint8_t *chunk_at(const struct net *n, uint32_t chunk)
{
	return n->link->data + n->tx.offset + (uint64_t)chunk * NET_CHUNK;
}

/* -- room: the lock is held ------------------------------------------------------------------------ */

static uint32_t chunks_of(size_t length)
{
	return (uint32_t)DIV_ROUND_UP(length, (size_t)NET_CHUNK);
}

static bool has_room(const struct net_tx *t, uint32_t chunks)
{
	return t->free_frame < t->frames && t->free_count >= chunks && t->vq.free_count > chunks;
}

static struct net_frame *take_frame(struct net_tx *t, size_t length)
{
	struct net_frame *f = &t->frame[t->free_frame];
	uint16_t last;

	t->free_frame = f->next_free;
	f->length = (uint32_t)length;
	f->count = (uint16_t)chunks_of(length);
	f->first = last = t->free_first;
	for (uint16_t i = 1; i < f->count; i++)
		last = t->next[last];
	t->free_first = t->next[last];
	t->free_count = (uint16_t)(t->free_count - f->count);
	return f;
}

static void give_back(struct net_tx *t, uint32_t index)
{
	struct net_frame *f = &t->frame[index];
	uint16_t last = f->first;

	for (uint16_t i = 1; i < f->count; i++)
		last = t->next[last];
	if (t->free_count)
		t->next[t->free_last] = f->first;
	else
		t->free_first = f->first;
	t->free_last = last;
	t->free_count = (uint16_t)(t->free_count + f->count);
	f->order = 0;
	f->next_free = t->free_frame;
	t->free_frame = (uint16_t)index;
}

static void reclaim(struct net *n)
{
	uint32_t written;
	uint16_t head;
	void *cookie;

	while (vq_driver_take(&n->tx.vq, &cookie, &head, &written))
		give_back(&n->tx, (uint32_t)(uintptr_t)cookie);
	if (n->tx.vq.broken)
		net_accuse(n, n->tx.vq.broken);
}

/* Room for so many chunks, or writable() when there is. */
static bool find_room(struct net *n, uint32_t chunks)
{
	struct net_tx *t = &n->tx;

	reclaim(n);
	if (!n->accused && has_room(t, chunks))
		return true;
	if (!t->wanted)
		vq_driver_interrupts(&t->vq, true);
	t->wanted = MAX(t->wanted, chunks);
	/* What the device used before it could know that it is to ring. */
	reclaim(n);
	return !n->accused && has_room(t, chunks);
}

bool net_tx_look(struct net *n)
{
	struct net_tx *t = &n->tx;
	bool room = false;

	rt_mutex_lock(&n->lock);
	if (t->wanted && !n->accused) {
		reclaim(n);
		room = !n->accused && has_room(t, t->wanted);
	}
	if (room) {
		t->wanted = 0;
		vq_driver_interrupts(&t->vq, false);
	}
	rt_mutex_unlock(&n->lock);
	return room;
}

bool net_tx_is_ready(struct net *n)
{
	bool ready;

	rt_mutex_lock(&n->lock);
	ready = n->tx.wanted && !n->accused && vq_driver_ready(&n->tx.vq);
	rt_mutex_unlock(&n->lock);
	return ready;
}

/* -- into the ring: the lock is held ------------------------------------------------------------------ */

static void enqueue(struct net *n, struct net_frame *f)
{
	struct net_tx *t = &n->tx;
	struct vq_segment s[1 + NET_FRAME_CHUNKS];
	uint32_t index = (uint32_t)(f - t->frame), left = f->length, at = 0;
	uint16_t head, chunk = f->first, before = UINT16_MAX - 1;

	s[0] = (struct vq_segment){ link_slot(n->link, NET_TX, index), n->header_length, false };
	for (; left; before = chunk, chunk = t->next[chunk]) {
		uint32_t part = MIN(left, (uint32_t)NET_CHUNK);

		if (chunk == before + 1)
			s[at].len += part;
		else
			s[++at] = (struct vq_segment){ LINK_DATA + t->offset +
						       (uint64_t)chunk * NET_CHUNK, part, false };
		left -= part;
	}
	/* There was room for it. */
	(void)vq_driver_add(&t->vq, s, at + 1, (void *)(uintptr_t)index, &head);
}

static struct net_frame *next_in_flight(struct net_tx *t, uint64_t order)
{
	struct net_frame *found = NULL;

	for (uint32_t i = 0; i < t->frames; i++) {
		struct net_frame *f = &t->frame[i];

		if (f->order > order && (!found || f->order < found->order))
			found = f;
	}
	return found;
}

void net_tx_restart(struct net *n)
{
	struct net_tx *t = &n->tx;
	struct net_frame *f = NULL;

	rt_mutex_lock(&n->lock);
	reclaim(n);
	link_queue_init(n->link, NET_TX, &t->vq, t->slots);
	vq_driver_interrupts(&t->vq, t->wanted != 0);
	while ((f = next_in_flight(t, f ? f->order : 0)))
		enqueue(n, f);
	link_publish(n->link, NET_TX, &t->vq);
	rt_mutex_unlock(&n->lock);
}

/* -- sending --------------------------------------------------------------------------------------------- */

static bool wishes_fit(const struct net *n, const struct net_offload *o, size_t length)
{
	uint32_t can = n->info.can;

	if (!o->needs_checksum)
		return o->gso == NET_GSO_NONE;
	if (!(can & NET_CAN_CHECKSUM) || o->csum_start + o->csum_offset + 2u > length)
		return false;
	switch (o->gso) {
	case NET_GSO_NONE:
		return true;
	case NET_GSO_TCPV4:
		return (can & NET_CAN_TSO4) && o->gso_size && o->header_length <= length;
	case NET_GSO_TCPV6:
		return (can & NET_CAN_TSO6) && o->gso_size && o->header_length <= length;
	default:
		return false;
	}
}

static void write_header(const struct net *n, uint32_t index, const struct net_offload *o)
{
	static const uint8_t types[] = { [NET_GSO_TCPV4] = NET_HDR_GSO_TCPV4,
					 [NET_GSO_TCPV6] = NET_HDR_GSO_TCPV6 };
	uint8_t h[NET_HDR_LENGTH] = { 0 };

	if (o->needs_checksum) {
		h[NET_HDR_FLAGS] = NET_HDR_NEEDS_CSUM;
		put_le16(h + NET_HDR_CSUM_START, o->csum_start);
		put_le16(h + NET_HDR_CSUM_OFFSET, o->csum_offset);
	}
	if (o->gso != NET_GSO_NONE) {
		h[NET_HDR_GSO_TYPE] = types[o->gso];
		put_le16(h + NET_HDR_LEN, o->header_length);
		put_le16(h + NET_HDR_GSO_SIZE, o->gso_size);
	}
	memcpy(link_slot_pointer(n->link, NET_TX, index), h, n->header_length);
}

static void gather(const struct net *n, const struct net_frame *f, const struct net_piece *pieces,
		   unsigned int count)
{
	uint16_t chunk = f->first;
	size_t at = 0;			/* in the chunk */

	for (unsigned int i = 0; i < count; i++) {
		const uint8_t *src = pieces[i].base;

		for (size_t left = pieces[i].length; left;) {
			size_t part = MIN(left, NET_CHUNK - at);

			memcpy(chunk_at(n, chunk) + at, src, part);
			src += part;
			left -= part;
			at += part;
			if (at == NET_CHUNK) {
				chunk = n->tx.next[chunk];
				at = 0;
			}
		}
	}
}

static k_status_t send_locked(struct net *n, const struct net_piece *pieces, unsigned int count,
			      size_t length, const struct net_offload *o)
{
	struct net_tx *t = &n->tx;
	struct net_frame *f;

	if (length < NET_FRAME_MIN || length > NET_FRAME_MAX || !wishes_fit(n, o, length))
		return K_ERR_BAD_ARGUMENT;
	if (link_is_dead(n->link))
		return K_ERR_CLOSED;
	if (!find_room(n, chunks_of(length)))
		return K_ERR_SHOULD_WAIT;
	f = take_frame(t, length);
	f->order = ++t->sent;
	gather(n, f, pieces, count);
	write_header(n, (uint32_t)(f - t->frame), o);
	enqueue(n, f);
	return K_OK;
}

k_status_t net_send(struct net *n, const struct net_piece *pieces, unsigned int count,
		    const struct net_offload *wishes, bool more)
{
	static const struct net_offload none;
	const struct net_offload *o = wishes ? wishes : &none;
	size_t length = 0;
	k_status_t st;

	for (unsigned int i = 0; i < count && length <= NET_FRAME_MAX; i++)
		length += MIN(pieces[i].length, NET_FRAME_MAX + (size_t)1);
	rt_mutex_lock(&n->lock);
	st = send_locked(n, pieces, count, length, o);
	/* Those before this one that were not to be told of yet, also if this one was refused. */
	if (!more || st != K_OK)
		link_publish(n->link, NET_TX, &n->tx.vq);
	rt_mutex_unlock(&n->lock);
	return st;
}

bool net_has_room(struct net *n)
{
	bool room;

	rt_mutex_lock(&n->lock);
	room = link_is_dead(n->link) || has_room(&n->tx, NET_FRAME_CHUNKS) ||
	       find_room(n, NET_FRAME_CHUNKS);
	/* Nothing follows then: frames that were not told of yet are what there will be room from. */
	if (!room)
		link_publish(n->link, NET_TX, &n->tx.vq);
	rt_mutex_unlock(&n->lock);
	return room;
}
