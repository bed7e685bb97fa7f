/* SPDX-License-Identifier: MIT */
#include "client.h"

#include <string.h>

#include "base/byteorder.h"
#include "base/util.h"
#include "drv/die.h"
#include "rig.h"
#include "unit/unit.h"

static struct card card;
static struct drv_window window;
static uint32_t rung;			/* how often the driver rang its own bell */

bool drv_blames(void)
{
	return false;
}

bool drv_talks_nonsense(void)
{
	return false;
}

bool drv_is_deaf(void)
{
	return false;
}

bool drv_is_silent(void)
{
	return false;
}

k_status_t k_bell_ring(k_handle_t bell, uint64_t bits)
{
	rung++;
	return K_OK;
}

/* -- lives ------------------------------------------------------------------------------------- */

k_status_t incarnate(bool first)
{
	k_status_t st;

	rig_incarnate(first, NET_F_CSUM | NET_F_MAC);
	memset(&card, 0, sizeof(card));
	card.d = &rig.d;
	st = nic_open(&card.nic, &window);
	if (st == K_OK)
		st = card_allocate(&card);
	if (st == K_OK)
		st = card_start(&card);
	if (st == K_OK)
		card_describe(&card);
	return st;
}

void serve(void)
{
	io_serve(&card, NIC_RX);
	io_serve(&card, NIC_TX);
	io_look(&card);
	while (rung) {
		rung = 0;
		io_go_on(&card);
	}
}

void give_buffer(uint32_t i)
{
	struct vq_segment s = { LINK_DATA + i * BUFFER, BUFFER, true };
	uint16_t head;

	CHECK(vq_driver_add(&rig.client[NIC_RX], &s, 1, (void *)(uintptr_t)i, &head));
	vq_driver_publish(&rig.client[NIC_RX]);
}

bool begin(void)
{
	pretend_begin();
	window = rig_window(pretend_read, pretend_write);
	rung = 0;
	if (!rig_begin(2) || incarnate(true) != K_OK)
		return false;
	for (uint32_t i = 0; i < BUFFERS; i++)
		give_buffer(i);
	serve();
	return true;
}

/* -- the client -------------------------------------------------------------------------------- */

uint8_t *frame_at(uint32_t i)
{
	return rig.data + FRAMES_AT + i * FRAME_ROOM;
}

uint64_t put_header(uint8_t flags, uint16_t start, uint16_t offset)
{
	uint64_t slot = link_layout_slot(&rig.layout, NIC_TX, rig.client[NIC_TX].free_head);

	memset(rig.control + slot, 0, NET_HEADER);
	rig.control[slot] = flags;
	put_le16(rig.control + slot + 6, start);
	put_le16(rig.control + slot + 8, offset);
	return slot;
}

bool send_pieces(uint64_t slot, const struct vq_segment *piece, unsigned int n)
{
	struct vq_segment s[40] = { { slot, NET_HEADER, false } };
	uint16_t head;

	memcpy(s + 1, piece, n * sizeof(*piece));
	if (!vq_driver_add(&rig.client[NIC_TX], s, n + 1, NULL, &head))
		return false;
	vq_driver_publish(&rig.client[NIC_TX]);
	return true;
}

void send(uint32_t i, uint32_t length, uint8_t flags, uint16_t start, uint16_t offset)
{
	struct vq_segment s = { LINK_DATA + FRAMES_AT + i * FRAME_ROOM, length, false };

	CHECK(send_pieces(put_header(flags, start, offset), &s, 1));
}

void make_frame(uint32_t i, uint32_t length)
{
	for (uint32_t k = 0; k < length; k++)
		frame_at(i)[k] = (uint8_t)(k * 7 + i * 31 + 1);
}

bool take(uint32_t q, uint32_t *buffer, uint32_t *written)
{
	uint16_t head;
	void *cookie;

	if (!vq_driver_take(&rig.client[q], &cookie, &head, written))
		return false;
	*buffer = (uint32_t)(uintptr_t)cookie;
	return true;
}

uint32_t answers(uint32_t q)
{
	uint32_t n = 0, buffer, written;

	while (take(q, &buffer, &written))
		n++;
	return n;
}

