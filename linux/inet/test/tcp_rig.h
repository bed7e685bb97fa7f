/* SPDX-License-Identifier: MIT */
/*
 * Two ends of TCP in virtual time, with a link between them that has a rate, a queue, delay, and losses
 * that repeat; and programs that write and read what can be checked.
 */
#pragma once

#include "base/util.h"
#include "inet/tcp/tcp.h"
#include "unit/unit.h"

#define MS	1000000ull
#define SEC	1000000000ull
#define NEVER	UINT64_MAX

struct rig_path {
	uint64_t rtt_ns;
	uint32_t loss, late;		/* per million */
	uint32_t burst;			/* losses in a row, on average; 0: they come alone */
	uint32_t twice;			/* per million: duplicated */
	uint32_t ack_loss;		/* per million, the way back; loss is there, too */
	bool loopback;			/* no time, no losses, packets as they are */
	uint32_t mtu;			/* 0: 1500 */
	bool gso;
	uint32_t ns_per_byte;		/* 0: 80, 100 Mbit/s */
	bool ce;			/* a tenth of what may be is marked */
};

struct rig_packet {
	struct rig_packet *next;
	uint64_t at;
	struct lx_pbuf *p;
	bool ce;
};

struct rig_way {
	struct rig_packet *head;	/* by time of arrival */
	uint64_t busy_until;
	uint64_t lost_at;		/* the last packet, while losing */
	bool losing;
};

struct rig_end {
	struct tcp_conn c;
	struct tcp_context x;
	struct tcp_listener l;
	struct tcp_request r;
	struct tcp_timewait tw;
	bool listening, half_open, in_timewait, accepted;
	unsigned int events;		/* all so far */
	struct rig_way in;
	struct rig_end *peer;
	/* The program. */
	uint64_t to_write, written, to_close;	/* bytes; closes when written is to_close */
	uint64_t read;
	uint32_t read_rate;		/* bytes per wake-up at most; 0: all */
	bool lazy;			/* reads only when told to */
	bool closes;			/* after writing */
	bool halves;			/* shuts down after writing, and closes after the peer's FIN */
	bool closed, saw_fin;
};

extern uint64_t rig_now;
extern struct rig_end rig_a, rig_b;
extern const struct rig_path *rig_path_now;
extern unsigned int rig_wrong;		/* pieces that were not what was written */
extern unsigned int rig_check_every;	/* invariants: after each n-th call */

/* Two new ends; b listens. */
void rig_begin(const struct rig_path *path, uint64_t seed);
void rig_end_all(void);			/* everything freed, and nothing is left */
void rig_connect(void);			/* a to b: the SYN is on its way */
/* Until @time, or until @done says so. */
void rig_run(uint64_t time, bool (*done)(void));
void rig_program(struct rig_end *e);	/* it does what it can now */
uint64_t rig_random(void);
