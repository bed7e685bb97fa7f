/* SPDX-License-Identifier: MIT */
/* Frames of a link through a card in memory. */
#include <string.h>

#include "base/byteorder.h"
#include "base/util.h"
#include "client.h"
#include "rig.h"
#include "unit/unit.h"

/* -- frames ------------------------------------------------------------------------------------ */

TEST(frames_are_sent_as_they_are)
{
	REQUIRE(begin());
	for (uint32_t i = 0; i < FRAMES; i++) {
		make_frame(i, 60 + i * 200);
		send(i, 60 + i * 200, 0, 0, 0);
	}
	serve();
	CHECK_EQ(answers(NIC_TX), FRAMES);
	CHECK_EQ(pretend.frames, FRAMES);
	CHECK_EQ(pretend.contexts, 0);
	for (uint32_t i = 0; i < FRAMES; i++) {
		CHECK_EQ(pretend.sent[i].length, 60 + i * 200);
		CHECK(memcmp(pretend.sent[i].bytes, frame_at(i), pretend.sent[i].length) == 0);
	}
}

TEST(short_frames_are_padded_with_zeroes)
{
	static const uint8_t zeroes[FRAME_PADDED];

	REQUIRE(begin());
	make_frame(0, 20);
	send(0, 20, 0, 0, 0);
	serve();
	CHECK_EQ(pretend.sent[0].length, FRAME_PADDED);
	CHECK(memcmp(pretend.sent[0].bytes, frame_at(0), 20) == 0);
	CHECK(memcmp(pretend.sent[0].bytes + 20, zeroes, FRAME_PADDED - 20) == 0);
}

TEST(frames_that_a_card_does_not_send_are_dropped)
{
	REQUIRE(begin());
	send(0, FRAME_MAX + 1, 0, 0, 0);
	send(1, FRAME_LEAST - 1, 0, 0, 0);
	send(2, FRAME_MAX, 0, 0, 0);
	serve();
	CHECK_EQ(answers(NIC_TX), 3);
	CHECK_EQ(pretend.frames, 1);
	CHECK(!rig.broken);
}

/* Of big-endian words from @from on; 0: it is right. */
static uint16_t sum_of(const struct pretend_frame *f, uint32_t from)
{
	uint32_t sum = 0;

	for (uint32_t i = from; i < f->length; i++)
		sum += (i - from) & 1 ? f->bytes[i] : (uint32_t)f->bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

TEST(checksums_are_left_to_the_card)
{
	REQUIRE(begin());
	for (uint32_t i = 0; i < 3; i++) {
		make_frame(i, 101 + i);
		put_be16(frame_at(i) + 50, 0);		/* a pseudo header's */
		send(i, 101 + i, 1, 34, 16);
	}
	make_frame(3, 200);
	put_be16(frame_at(3) + 60, 0);
	send(3, 200, 1, 54, 6);
	serve();
	CHECK_EQ(pretend.frames, 4);
	CHECK_EQ(pretend.contexts, 2);		/* the first one is good for three */
	for (uint32_t i = 0; i < 4; i++)
		CHECK_EQ(sum_of(&pretend.sent[i], i < 3 ? 34 : 54), 0);
}

TEST(checksums_that_no_context_can_name_are_made_here)
{
	const struct vq_segment pieces[] = {
		{ LINK_DATA + FRAMES_AT, 301, false }, { LINK_DATA + FRAMES_AT + 301, 0, false },
		{ LINK_DATA + FRAMES_AT + 301, 99, false },
		{ LINK_DATA + FRAMES_AT + 400, 401, false },
	};
	uint8_t before[801];

	REQUIRE(begin());
	make_frame(0, 801);
	put_be16(frame_at(0) + 300, 0);
	memcpy(before, frame_at(0), sizeof(before));
	CHECK(send_pieces(put_header(1, 284, 16), pieces, 4));	/* its place is in two pieces */
	serve();
	CHECK_EQ(pretend.frames, 1);
	CHECK_EQ(pretend.contexts, 0);
	CHECK_EQ(pretend.sent[0].length, 801);
	CHECK_EQ(sum_of(&pretend.sent[0], 284), 0);
	CHECK(memcmp(pretend.sent[0].bytes, before, 300) == 0);
	CHECK(memcmp(pretend.sent[0].bytes + 302, before + 302, 499) == 0);
	/* And not in the client's memory. */
	CHECK(memcmp(frame_at(0), before, sizeof(before)) == 0);
}

TEST(frames_are_received_behind_a_header)
{
	uint32_t buffer, written;

	REQUIRE(begin());
	make_frame(0, 1514);
	CHECK(pretend_receive(frame_at(0), 1514));
	CHECK(pretend_receive(frame_at(0), 60));
	serve();
	CHECK(take(NIC_RX, &buffer, &written));
	CHECK_EQ(buffer, 0);
	CHECK_EQ(written, NET_HEADER + 1514);
	CHECK(memcmp(rig.data + NET_HEADER, frame_at(0), 1514) == 0);
	for (uint32_t i = 0; i < NET_HEADER; i++)
		CHECK_EQ(rig.data[i], 0);
	CHECK(take(NIC_RX, &buffer, &written));
	CHECK_EQ(written, NET_HEADER + 60);
	for (uint32_t i = 0; i < 1000; i++) {		/* round the ring, some times */
		give_buffer(buffer);
		serve();
		CHECK(pretend_receive(frame_at(0), 60 + i));
		serve();
		CHECK(take(NIC_RX, &buffer, &written));
		CHECK_EQ(written, NET_HEADER + 60 + i);
	}
}

TEST(interrupts_tell_of_sent_frames_only_while_some_are_under_way)
{
	REQUIRE(begin());
	send(0, 100, 0, 0, 0);
	serve();
	CHECK(!(pretend.regs[0xd0 / 4] & NIC_SENT));
	pretend.slow = true;
	send(1, 100, 0, 0, 0);
	serve();
	CHECK(pretend.regs[0xd0 / 4] & NIC_SENT);
	pretend_send(1);
	serve();
	CHECK(!(pretend.regs[0xd0 / 4] & NIC_SENT));
	CHECK_EQ(answers(NIC_TX), 2);
}

/* -- devices and clients that lie -------------------------------------------------------------- */

TEST(a_frame_that_cannot_be_so_long_ends_the_driver)
{
	REQUIRE(begin());
	pretend.lie_length = 0xffff;
	CHECK(pretend_receive(frame_at(0), 100));
	CHECK_EQ(rig_end_of(serve), 2);
	CHECK_EQ(rig.record->phase, RECORD_SETUP);
	pretend.lie_length = 0;
	REQUIRE(incarnate(false) == K_OK);
	CHECK_EQ(rig.record->adoption, RECORD_RESET);
	serve();
	CHECK(pretend_receive(frame_at(0), 100));
	serve();
	CHECK_EQ(answers(NIC_RX), 1);
}

TEST(broken_frames_and_their_tails_are_spoiled)
{
	uint32_t buffer, written;

	REQUIRE(begin());
	pretend.lie_status = 1u << 8;			/* a bad checksum */
	CHECK(pretend_receive(frame_at(0), 100));
	pretend.lie_status = RX_END;			/* only the beginning */
	CHECK(pretend_receive(frame_at(0), 100));
	pretend.lie_status = 0;
	serve();
	REQUIRE(incarnate(false) == K_OK);		/* the next one knows, too */
	serve();
	CHECK(pretend_receive(frame_at(0), 100));	/* the end of that */
	CHECK(pretend_receive(frame_at(0), 100));
	serve();
	for (uint32_t i = 0; i < 4; i++) {
		CHECK(take(NIC_RX, &buffer, &written));
		CHECK_EQ(written, i < 3 ? 1 : NET_HEADER + 100);
	}
}

TEST(noise_in_the_rings_harms_nobody)
{
	for (int round = 0; round < 300; round++) {
		REQUIRE(begin());
		pretend.slow = true;
		for (uint32_t i = 0; i < 4; i++)
			send(i, 100, 1, 34, 16);
		serve();
		for (int i = 0; i < 40; i++)
			rig.dma[unit_random() % (2 * K_PAGE_SIZE)] = (uint8_t)unit_random();
		(void)rig_end_of(serve);
		CHECK(!rig.broken);
		REQUIRE(incarnate(false) == K_OK);
	}
}

static void refused(uint32_t q, const struct vq_segment *s, unsigned int n)
{
	uint16_t head;

	REQUIRE(begin());
	CHECK(vq_driver_add(&rig.client[q], s, n, NULL, &head));
	vq_driver_publish(&rig.client[q]);
	serve();
	CHECK(rig.broken);
}

TEST(clients_that_break_the_protocol_are_left)
{
	uint64_t slot;
	const struct vq_segment data = { LINK_DATA, 100, false }, small = { LINK_DATA, 2000, true },
		beyond = { LINK_DATA + RIG_DATA - 100, BUFFER, true },
		apart = { LINK_DATA + BUFFER - 500, BUFFER, true };
	struct vq_segment two[2] = { { LINK_DATA, 10, false }, { LINK_DATA, 100, true } };

	refused(NIC_TX, &data, 1);			/* no header */
	refused(NIC_TX, two, 2);			/* a frame to be written */
	refused(NIC_RX, &data, 1);
	refused(NIC_RX, &small, 1);
	refused(NIC_RX, &beyond, 1);
	refused(NIC_RX, &apart, 1);			/* over the end of a page */
	REQUIRE(begin());
	slot = put_header(1, 90, 20);			/* a checksum behind the frame */
	CHECK(send_pieces(slot, &data, 1));
	serve();
	CHECK(rig.broken);
	REQUIRE(begin());
	slot = put_header(0, 0, 0);
	rig.control[slot + 1] = 1;			/* segments were not offered */
	CHECK(send_pieces(slot, &data, 1));
	serve();
	CHECK(rig.broken);
}

TEST(noise_from_a_client_harms_nobody)
{
	for (int round = 0; round < 500; round++) {
		REQUIRE(begin());
		for (uint32_t i = 0; i < 6; i++)
			send(i, (uint32_t)unit_random() % 3000, unit_random() & 1,
			     (uint16_t)(unit_random() % 400), (uint16_t)(unit_random() % 400));
		rig_make_noise();
		CHECK_EQ(rig_end_of(serve), 0);
	}
}
