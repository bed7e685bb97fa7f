/* SPDX-License-Identifier: MIT */
/*
 * Options in the header of a segment: MSS (RFC 9293), window scaling and time stamps (RFC 7323),
 * selective acknowledgements (RFC 2018).
 */
#pragma once

#include "inet/tcp/seq.h"

#define TCP_OPTIONS_MAX	40u		/* bytes behind the 20 of a header */
#define TCP_SACK_MAX	4u		/* blocks that fit into them */
#define TCP_WSCALE_MAX	14u		/* RFC 7323, 2.3 */

struct tcp_options {
	uint16_t mss;			/* 0: not there */
	int8_t wscale;			/* 0 to TCP_WSCALE_MAX; negative: not there */
	bool sack_permitted;
	bool stamps;
	uint32_t stamp, stamp_echo;	/* if stamps */
	uint8_t nr_sacks;
	struct seq_range sack[TCP_SACK_MAX];
};

/*
 * What the @len bytes behind a header say, hostile as they may be: unknown options and those of
 * a wrong length are passed over, and what follows an option that does not fit is not looked at,
 * as on Linux.  MSS, scaling and the permission of SACK count only in a segment with SYN (@syn).
 * The last of several counts.  SACK blocks are as they came: any two numbers.
 */
void tcp_options_parse(const uint8_t *p, unsigned int len, bool syn, struct tcp_options *out);

/*
 * Write options for a segment with or without SYN, in Linux's order and alignment: bytes written,
 * a multiple of 4.  As many SACK blocks as there is room for, the first ones.
 */
unsigned int tcp_options_build(uint8_t p[TCP_OPTIONS_MAX], bool syn, const struct tcp_options *o);
/* How many bytes that takes. */
unsigned int tcp_options_size(bool syn, const struct tcp_options *o);
