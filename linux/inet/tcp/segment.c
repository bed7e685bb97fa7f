/* SPDX-License-Identifier: MIT */
/* Headers: read, checked, written; the RST for what nobody waits for. */
#include "base/byteorder.h"
#include "inet/tcp/tcp_priv.h"

enum { AT_SOURCE = 0, AT_DEST = 2, AT_SEQ = 4, AT_ACK = 8, AT_OFFSET = 12, AT_FLAGS = 13,
       AT_WINDOW = 14, AT_CSUM = 16, AT_URGENT = 18 };

/* What nearly all segments have: two NOPs and a time stamp. */
#define STAMP_ONLY	0x0101080au

static void parse_options(const uint8_t *h, struct tcp_segment *s)
{
	if (s->header == TCP_HEADER) {
		s->opt = (struct tcp_options){ .wscale = -1 };
	} else if (s->header == TCP_HEADER + 12 && get_be32(h + TCP_HEADER) == STAMP_ONLY) {
		s->opt = (struct tcp_options){ .wscale = -1, .stamps = true,
					       .stamp = get_be32(h + TCP_HEADER + 4),
					       .stamp_echo = get_be32(h + TCP_HEADER + 8) };
	} else {
		tcp_options_parse(h + TCP_HEADER, s->header - TCP_HEADER, s->flags & TCP_FLAG_SYN,
				  &s->opt);
	}
}

bool tcp_parse(struct lx_pbuf *p, struct tcp_segment *s)
{
	const uint8_t *h;

	if (p->len < TCP_HEADER || lx_pbuf_pull_up(p, TCP_HEADER))
		return false;
	s->header = (uint8_t)(lx_pbuf_data(p)[AT_OFFSET] >> 4 << 2);
	if (s->header < TCP_HEADER || s->header > p->len || lx_pbuf_pull_up(p, s->header))
		return false;
	h = lx_pbuf_data(p);
	s->source = get_u16(h + AT_SOURCE);
	s->dest = get_u16(h + AT_DEST);
	s->seq = get_be32(h + AT_SEQ);
	s->ack = get_be32(h + AT_ACK);
	s->flags = h[AT_FLAGS];
	s->window = get_be16(h + AT_WINDOW);
	s->urgent = get_be16(h + AT_URGENT);
	s->ce = false;
	s->len = p->len - s->header;
	s->end = s->seq + s->len + !!(s->flags & TCP_FLAG_SYN) + !!(s->flags & TCP_FLAG_FIN);
	parse_options(h, s);
	return true;
}

bool tcp_checksum_ok(const struct lx_pbuf *p, uint32_t pseudo)
{
	return p->csum != LX_CSUM_NONE || !lx_csum_fold(lx_pbuf_csum(p, 0, p->len, pseudo));
}

void tcp_set_pseudo(struct lx_pbuf *p, uint32_t pseudo)
{
	put_u16(lx_pbuf_data(p) + AT_CSUM, (uint16_t)~lx_csum_fold(pseudo));
}

void tcp_header_put(uint8_t *at, const struct tcp_header *h, const uint8_t *options, unsigned int len)
{
	put_u16(at + AT_SOURCE, h->source);
	put_u16(at + AT_DEST, h->dest);
	put_be32(at + AT_SEQ, h->seq);
	put_be32(at + AT_ACK, h->ack);
	at[AT_OFFSET] = (uint8_t)((TCP_HEADER + len) >> 2 << 4);
	at[AT_FLAGS] = h->flags;
	put_be16(at + AT_WINDOW, h->window);
	put_u16(at + AT_CSUM, 0);
	put_be16(at + AT_URGENT, h->urgent);
	memcpy(at + TCP_HEADER, options, len);
}

struct lx_pbuf *tcp_header_packet(struct tcp_context *x, const struct tcp_header *h, bool syn,
				  const struct tcp_options *o)
{
	uint8_t options[TCP_OPTIONS_MAX];
	unsigned int len = tcp_options_build(options, syn, o);
	struct lx_pbuf *p = lx_pbuf_alloc(x->pool, LX_PBUF_HEADROOM, TCP_HEADER + len);

	if (!p)
		return NULL;
	tcp_header_put(lx_pbuf_put(p, TCP_HEADER + len), h, options, len);
	lx_pbuf_set_csum(p, 0, AT_CSUM);
	return p;
}

struct lx_pbuf *tcp_reset_for(struct tcp_context *x, const struct tcp_segment *s)
{
	struct tcp_header h = { .source = s->dest, .dest = s->source, .flags = TCP_FLAG_RST };
	struct lx_pbuf *p;

	if (s->flags & TCP_FLAG_RST)
		return NULL;
	if (s->flags & TCP_FLAG_ACK) {
		h.seq = s->ack;
	} else {
		h.ack = s->end;
		h.flags |= TCP_FLAG_ACK;
	}
	p = tcp_header_packet(x, &h, false, &(struct tcp_options){ .wscale = -1 });
	if (p)
		tcp_count(x, TCP_C_OUT_RSTS);
	return p;
}
