/* SPDX-License-Identifier: MIT */
#include "inet/tcp/option.h"

#include "base/byteorder.h"
#include "base/util.h"

enum { OPT_END, OPT_NOP, OPT_MSS, OPT_WSCALE, OPT_SACK_PERMITTED, OPT_SACK, OPT_STAMPS = 8 };
enum { LEN_MSS = 4, LEN_WSCALE = 3, LEN_SACK_PERMITTED = 2, LEN_STAMPS = 10, LEN_BLOCK = 8 };

static void parse_sack(const uint8_t *p, unsigned int len, struct tcp_options *out)
{
	if (len <= 2 || (len - 2) % LEN_BLOCK)
		return;
	out->nr_sacks = (uint8_t)MIN((len - 2) / LEN_BLOCK, TCP_SACK_MAX);
	for (unsigned int i = 0; i < out->nr_sacks; i++) {
		out->sack[i].from = BE32(get_u32(p + 2 + i * LEN_BLOCK));
		out->sack[i].to = BE32(get_u32(p + 6 + i * LEN_BLOCK));
	}
}

/* One option of @len bytes, its kind and length included. */
static void parse_one(const uint8_t *p, unsigned int len, bool syn, struct tcp_options *out)
{
	switch (p[0]) {
	case OPT_MSS:
		if (syn && len == LEN_MSS && get_u16(p + 2))
			out->mss = BE16(get_u16(p + 2));
		break;
	case OPT_WSCALE:
		if (syn && len == LEN_WSCALE)
			out->wscale = (int8_t)MIN(p[2], TCP_WSCALE_MAX);
		break;
	case OPT_SACK_PERMITTED:
		if (syn && len == LEN_SACK_PERMITTED)
			out->sack_permitted = true;
		break;
	case OPT_SACK:
		if (!syn)
			parse_sack(p, len, out);
		break;
	case OPT_STAMPS:
		if (len != LEN_STAMPS)
			break;
		out->stamps = true;
		out->stamp = BE32(get_u32(p + 2));
		out->stamp_echo = BE32(get_u32(p + 6));
		break;
	}
}

void tcp_options_parse(const uint8_t *p, unsigned int len, bool syn, struct tcp_options *out)
{
	const uint8_t *end = p + len;

	*out = (struct tcp_options){ .wscale = -1 };
	while (p < end && *p != OPT_END) {
		if (*p == OPT_NOP) {
			p++;
			continue;
		}
		if (end - p < 2 || p[1] < 2 || p[1] > end - p)
			return;
		parse_one(p, p[1], syn, out);
		p += p[1];
	}
}

/* Blocks for which there is room behind @used bytes, with the option's head and two NOPs. */
static unsigned int sacks_that_fit(const struct tcp_options *o, unsigned int used)
{
	unsigned int room = TCP_OPTIONS_MAX - used;

	return room < 4 + LEN_BLOCK ? 0 : MIN((unsigned int)o->nr_sacks, (room - 4) / LEN_BLOCK);
}

unsigned int tcp_options_size(bool syn, const struct tcp_options *o)
{
	unsigned int size = o->stamps ? LEN_STAMPS + 2 : 0, blocks;

	if (syn)
		return size + (o->mss ? LEN_MSS : 0) + (o->wscale >= 0 ? LEN_WSCALE + 1 : 0) +
		       (o->sack_permitted && !o->stamps ? LEN_SACK_PERMITTED + 2 : 0);
	blocks = sacks_that_fit(o, size);
	return size + (blocks ? 4 + blocks * LEN_BLOCK : 0);
}

static uint8_t *put_head(uint8_t *p, unsigned int kind, unsigned int len)
{
	*p++ = (uint8_t)kind;
	*p++ = (uint8_t)len;
	return p;
}

static uint8_t *put_number(uint8_t *p, uint32_t v)
{
	put_u32(p, BE32(v));
	return p + 4;
}

static uint8_t *put_nops(uint8_t *p, unsigned int n)
{
	while (n--)
		*p++ = OPT_NOP;
	return p;
}

/* Aligned to 4 by NOPs in front, whose place the permission of SACK takes if both are there. */
static uint8_t *put_stamps(uint8_t *p, bool sack_permitted, const struct tcp_options *o)
{
	if (sack_permitted != o->stamps)
		p = put_nops(p, 2);
	if (sack_permitted)
		p = put_head(p, OPT_SACK_PERMITTED, LEN_SACK_PERMITTED);
	if (!o->stamps)
		return p;
	p = put_head(p, OPT_STAMPS, LEN_STAMPS);
	p = put_number(p, o->stamp);
	return put_number(p, o->stamp_echo);
}

static uint8_t *put_sacks(uint8_t *p, const struct tcp_options *o, unsigned int blocks)
{
	p = put_nops(p, 2);
	p = put_head(p, OPT_SACK, 2 + blocks * LEN_BLOCK);
	for (unsigned int i = 0; i < blocks; i++) {
		p = put_number(p, o->sack[i].from);
		p = put_number(p, o->sack[i].to);
	}
	return p;
}

unsigned int tcp_options_build(uint8_t start[TCP_OPTIONS_MAX], bool syn,
			       const struct tcp_options *o)
{
	uint8_t *p = start;
	unsigned int blocks;

	if (syn && o->mss) {
		p = put_head(p, OPT_MSS, LEN_MSS);
		put_u16(p, BE16(o->mss));
		p += 2;
	}
	p = put_stamps(p, syn && o->sack_permitted, o);
	if (syn && o->wscale >= 0) {
		p = put_nops(p, 1);
		p = put_head(p, OPT_WSCALE, LEN_WSCALE);
		*p++ = (uint8_t)o->wscale;
	}
	blocks = syn ? 0 : sacks_that_fit(o, (unsigned int)(p - start));
	if (blocks)
		p = put_sacks(p, o, blocks);
	return (unsigned int)(p - start);
}
