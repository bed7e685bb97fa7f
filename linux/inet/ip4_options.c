/* SPDX-License-Identifier: MIT */
/* Options of IPv4 (RFC 791, 3.1; 2113): whether they are whole, and which there are. */
#include <linux/ip.h>

#include "inet/ip4.h"

/* Is one with a pointer (a route, time stamps) as it should be?  @least: the pointer's. */
static bool is_pointer_good(const uint8_t *o, unsigned int least)
{
	return o[1] >= 3 && o[2] >= least;
}

/* One of more than a byte, whole: the byte of it that is wrong, or -1. */
static int check_one(const uint8_t *o, struct ip4_options *out)
{
	switch (o[0]) {
	case IPOPT_LSRR:
	case IPOPT_SSRR:
		if (!is_pointer_good(o, 4) || out->source_route)
			return o[1] < 3 ? 1 : 2;
		out->source_route = true;
		return -1;
	case IPOPT_RR:
		if (!is_pointer_good(o, 4))
			return o[1] < 3 ? 1 : 2;
		return o[2] <= o[1] && o[2] + 3 > o[1] ? 2 : -1;
	case IPOPT_TIMESTAMP:
		if (o[1] < 4)
			return 1;
		return o[2] < 5 ? 2 : -1;
	case IPOPT_RA:
		if (o[1] < 4)
			return 1;
		out->router_alert = !o[2] && !o[3];
		return -1;
	default:			/* not ours to understand */
		return -1;
	}
}

int ip4_options_parse(const uint8_t *options, unsigned int len, struct ip4_options *out)
{
	unsigned int at = 0;

	*out = (struct ip4_options){ .bad_at = 0 };
	while (at < len && options[at] != IPOPT_END) {
		int wrong;

		if (options[at] == IPOPT_NOOP) {
			at++;
			continue;
		}
		out->bad_at = (uint8_t)at;
		if (len - at < 2 || options[at + 1] < 2 || options[at + 1] > len - at)
			return -EINVAL;
		wrong = check_one(options + at, out);
		if (wrong >= 0) {
			out->bad_at = (uint8_t)(at + (unsigned int)wrong);
			return -EINVAL;
		}
		at += options[at + 1];
	}
	return 0;
}

int ip4_options_check(const uint8_t *options, unsigned int len)
{
	struct ip4_options o;

	if (len > IP4_HEADER_MAX - IP4_HEADER || len % 4)
		return -EINVAL;
	/* a source route would change where the packet goes first, which nobody here does */
	return ip4_options_parse(options, len, &o) || o.source_route ? -EINVAL : 0;
}
