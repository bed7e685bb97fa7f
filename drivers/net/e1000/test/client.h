/* SPDX-License-Identifier: MIT */
/* A driver over the card of pretend.h, and the client of its link, for the tests here. */
#pragma once

#include "pretend.h"

/* The link's data: receive buffers, then room for frames to be sent. */
enum { BUFFERS = 8, BUFFER = 4096, FRAMES_AT = BUFFERS * BUFFER, FRAME_ROOM = 4096, FRAMES = 8 };

/* A fresh card and link, the driver's first incarnation, and BUFFERS buffers that it was given. */
bool begin(void);
/* The first incarnation, or the next one. */
k_status_t incarnate(bool first);
/* All that there is to do now. */
void serve(void);

void give_buffer(uint32_t i);
uint8_t *frame_at(uint32_t i);
void make_frame(uint32_t i, uint32_t length);
/* The header of the next frame, whose checksum is wanted if @flags is 1; its slot. */
uint64_t put_header(uint8_t flags, uint16_t start, uint16_t offset);
/* The frame of that header, in pieces; the @i-th frame in one.  Whether there was room. */
bool send_pieces(uint64_t slot, const struct vq_segment *piece, unsigned int n);
void send(uint32_t i, uint32_t length, uint8_t flags, uint16_t start, uint16_t offset);
/* Bytes written into the buffer of the next answer, and which one that is; false: there is none. */
bool take(uint32_t q, uint32_t *buffer, uint32_t *written);
/* Take all answers; how many. */
uint32_t answers(uint32_t q);
