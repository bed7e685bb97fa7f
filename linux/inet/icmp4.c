/* SPDX-License-Identifier: MIT */
/*
 * ICMP for IPv4 (RFC 792, 1122 3.2.2): answers to questions, errors to whom they concern, and our own
 * errors.
 *
 * An error says which packet it is about by that packet's first bytes.  Nothing of them is
 * believed but that the source is ours; the protocol decides whether it sent such a packet.
 * Redirects are not followed: a host has one gateway here, or routes by an administrator.
 */
#include <linux/icmp.h>
#include <linux/if.h>
#include <linux/in.h>

#include "inet/ip4.h"
#include "rt/time.h"

#define ICMP_HEADER	8u
#define ERROR_MAX	576u		/* bytes of IP of an error: RFC 1812, 4.3.2.3 */
#define QUOTE_MAX	128u		/* of the packet in an error, what is laid out in one piece */
#define TOS_MASK	0x1eu		/* as IPTOS_TOS_MASK; with the precedence below for errors */
#define TOS_CONTROL	0xc0u
#define TIMESTAMPS	12u		/* bytes of ICMP_TIMESTAMP's three */

/* -- counters */

static void count(struct inet *inet, _Atomic(uint64_t) *by_type, uint8_t type)
{
	if (type < ARRAY_SIZE(inet->mib[0].icmp_in))
		lx_netdev_count(&by_type[type], 1);
}

static void count_in(struct inet *inet, uint8_t type)
{
	static const uint8_t of_type[] = {
		[ICMP_ECHOREPLY] = ICMP_MIB_INECHOREPS, [ICMP_DEST_UNREACH] = ICMP_MIB_INDESTUNREACHS,
		[ICMP_SOURCE_QUENCH] = ICMP_MIB_INSRCQUENCHS, [ICMP_REDIRECT] = ICMP_MIB_INREDIRECTS,
		[ICMP_ECHO] = ICMP_MIB_INECHOS, [ICMP_TIME_EXCEEDED] = ICMP_MIB_INTIMEEXCDS,
		[ICMP_PARAMETERPROB] = ICMP_MIB_INPARMPROBS, [ICMP_TIMESTAMP] = ICMP_MIB_INTIMESTAMPS,
		[ICMP_TIMESTAMPREPLY] = ICMP_MIB_INTIMESTAMPREPS,
		[ICMP_ADDRESS] = ICMP_MIB_INADDRMASKS, [ICMP_ADDRESSREPLY] = ICMP_MIB_INADDRMASKREPS,
	};

	count(inet, inet_mib(inet)->icmp_in, type);
	if (type < ARRAY_SIZE(of_type) && of_type[type])
		lx_netdev_count(&inet_mib(inet)->icmp[of_type[type]], 1);
}

void icmp4_count_out(struct inet *inet, uint8_t type)
{
	static const uint8_t of_type[] = {
		[ICMP_ECHOREPLY] = ICMP_MIB_OUTECHOREPS, [ICMP_DEST_UNREACH] = ICMP_MIB_OUTDESTUNREACHS,
		[ICMP_ECHO] = ICMP_MIB_OUTECHOS, [ICMP_TIME_EXCEEDED] = ICMP_MIB_OUTTIMEEXCDS,
		[ICMP_PARAMETERPROB] = ICMP_MIB_OUTPARMPROBS,
		[ICMP_TIMESTAMPREPLY] = ICMP_MIB_OUTTIMESTAMPREPS,
	};

	inet_count(inet, icmp[ICMP_MIB_OUTMSGS]);
	count(inet, inet_mib(inet)->icmp_out, type);
	if (type < ARRAY_SIZE(of_type) && of_type[type])
		lx_netdev_count(&inet_mib(inet)->icmp[of_type[type]], 1);
}

/* -- answers */

/* The sum goes in, whose field is zero. */
static void put_csum(struct lx_pbuf *p)
{
	struct icmphdr *h = (struct icmphdr *)lx_pbuf_data(p);

	h->checksum = 0;
	h->checksum = lx_csum_fold(lx_pbuf_csum(p, 0, p->len, 0));
	p->csum = LX_CSUM_NONE;
}

static int send_to(struct inet *inet, struct lx_pbuf *p, const struct ip_tx *t)
{
	struct inet_flow flow = { .dst = t->dst, .src = t->src, .protocol = IPPROTO_ICMP };
	uint8_t type = lx_pbuf_data(p)[0];
	struct inet_dst d;
	int err = inet_route_output(inet, &flow, &d);
	struct ip_tx tx = *t;

	if (err) {
		inet_count(inet, icmp[ICMP_MIB_OUTERRORS]);
		lx_pbuf_free(p);
		return err;
	}
	tx.src = d.src;
	tx.protocol = IPPROTO_ICMP;
	tx.ttl = -1;
	icmp4_count_out(inet, type);
	err = ip_send(inet, &d, p, &tx);
	inet_dst_release(&d);
	return err;
}

/* Back to who sent it, as a message of @type; taken over.  Its header is private. */
static void answer(struct inet *inet, struct lx_pbuf *p, uint8_t type)
{
	struct ip_rx rx = *ip_rx(p);
	struct ip_tx t = { .dst = rx.src, .tos = rx.tos };

	if (rx.type == RTN_LOCAL)
		t.src = rx.dst;
	((struct icmphdr *)lx_pbuf_data(p))->type = type;
	put_csum(p);
	p->hash = 0;
	p->arrival_ns = 0;
	(void)send_to(inet, p, &t);
}

static bool is_to_one(const struct lx_pbuf *p)
{
	return ip_rx((struct lx_pbuf *)p)->type == RTN_LOCAL;
}

static void echo(struct inet *inet, struct lx_pbuf *p)
{
	if (inet_conf(&inet->conf.icmp_echo_ignore_all) ||
	    (!is_to_one(p) && inet_conf(&inet->conf.icmp_echo_ignore_broadcasts)) ||
	    lx_pbuf_pull_up(p, ICMP_HEADER)) {
		lx_pbuf_free(p);
		return;
	}
	answer(inet, p, ICMP_ECHOREPLY);
}

static void timestamp(struct inet *inet, struct lx_pbuf *p)
{
	uint32_t ms = (uint32_t)(rt_realtime_ns() / 1000000 % 86400000);
	uint8_t *data;

	if ((!is_to_one(p) && inet_conf(&inet->conf.icmp_echo_ignore_broadcasts)) ||
	    p->len < ICMP_HEADER + TIMESTAMPS || lx_pbuf_pull_up(p, ICMP_HEADER + TIMESTAMPS)) {
		lx_pbuf_free(p);
		return;
	}
	data = lx_pbuf_data(p) + ICMP_HEADER;
	put_be32(data + 4, ms);		/* when it came, and when the answer goes */
	put_be32(data + 8, ms);
	lx_pbuf_trim(p, ICMP_HEADER + TIMESTAMPS);
	answer(inet, p, ICMP_TIMESTAMPREPLY);
}

/* -- errors of others */

/* As programs hear of ICMP_DEST_UNREACH, by code: what Linux makes of it. */
static const struct {
	int err;
	bool fatal;
} unreachable[] = {
	[ICMP_NET_UNREACH] = { ENETUNREACH, false }, [ICMP_HOST_UNREACH] = { EHOSTUNREACH, false },
	[ICMP_PROT_UNREACH] = { ENOPROTOOPT, true }, [ICMP_PORT_UNREACH] = { ECONNREFUSED, true },
	[ICMP_FRAG_NEEDED] = { EMSGSIZE, false }, [ICMP_SR_FAILED] = { EOPNOTSUPP, false },
	[ICMP_NET_UNKNOWN] = { ENETUNREACH, true }, [ICMP_HOST_UNKNOWN] = { EHOSTDOWN, true },
	[ICMP_HOST_ISOLATED] = { ENONET, true }, [ICMP_NET_ANO] = { ENETUNREACH, true },
	[ICMP_HOST_ANO] = { EHOSTUNREACH, true }, [ICMP_NET_UNR_TOS] = { ENETUNREACH, false },
	[ICMP_HOST_UNR_TOS] = { EHOSTUNREACH, false }, [ICMP_PKT_FILTERED] = { EHOSTUNREACH, true },
	[ICMP_PREC_VIOLATION] = { EHOSTUNREACH, true }, [ICMP_PREC_CUTOFF] = { EHOSTUNREACH, true },
};

/* False: nobody is to hear of it. */
static bool meaning_of(const struct icmphdr *h, struct ip_error *e)
{
	e->type = h->type;
	e->code = h->code;
	switch (h->type) {
	case ICMP_DEST_UNREACH:
		if (h->code > NR_ICMP_UNREACH)
			return false;
		e->err = unreachable[h->code].err;
		e->fatal = unreachable[h->code].fatal;
		if (h->code == ICMP_FRAG_NEEDED)
			e->mtu = BE16(h->un.frag.mtu);
		return true;
	case ICMP_TIME_EXCEEDED:
		e->err = EHOSTUNREACH;
		return true;
	case ICMP_PARAMETERPROB:
		e->err = EPROTO;
		e->fatal = true;
		return true;
	}
	return false;			/* RFC 6633 for source quench */
}

static void tell(struct inet *inet, struct lx_netdev *dev, const struct ip_error *e)
{
	const struct inet_protocol *protocol = ip4_protocol(e->protocol);

	raw_error(inet, e);
	if (protocol && protocol->error)
		protocol->error(inet, dev, e);
}

/* @p begins with the packet that the error is about.  False: it does not say which one that was. */
static bool quote(struct lx_pbuf *p, struct ip_error *e)
{
	const struct iphdr *h;
	uint32_t len;

	if (lx_pbuf_pull_up(p, MIN(p->len, QUOTE_MAX)) || p->len < IP4_HEADER)
		return false;
	h = (const struct iphdr *)lx_pbuf_data(p);
	len = h->ihl * 4u;
	if (h->version != 4 || len < IP4_HEADER || lx_pbuf_linear(p) < len + ICMP_HEADER)
		return false;
	e->src = inet_addr_v4(h->saddr);
	e->dst = inet_addr_v4(h->daddr);
	e->protocol = h->protocol;
	e->transport = lx_pbuf_data(p) + len;
	e->transport_len = lx_pbuf_linear(p) - len;
	e->packet = p;
	return true;
}

static void error(struct inet *inet, struct lx_netdev *dev, struct lx_pbuf *p)
{
	struct ip_error e = { .offender = ip_rx(p)->src };
	const struct iphdr *inner;

	if (!meaning_of((const struct icmphdr *)lx_pbuf_data(p), &e))
		return;
	lx_pbuf_pull(p, ICMP_HEADER);
	if (!quote(p, &e)) {
		inet_count(inet, icmp[ICMP_MIB_INERRORS]);
		return;
	}
	inner = (const struct iphdr *)lx_pbuf_data(p);
	if (ip4_addr_type(inet, inner->saddr) != RTN_LOCAL ||
	    ip4_addr_type(inet, inner->daddr) == RTN_BROADCAST || BE16(inner->frag_off) & IP4_OFFSET)
		return;			/* not of a packet that we send alone */
	tell(inet, dev, &e);
}

/* ICMP in an error is ours if somebody asked for an echo; more of it is not told. */
static void own_error(struct inet *inet, struct lx_netdev *dev, const struct ip_error *e)
{
	if (e->transport[0] == ICMP_ECHO)
		ping_error(inet, e);
}

/* -- in */

static bool is_sum_good(const struct lx_pbuf *p)
{
	return p->csum != LX_CSUM_NONE || !lx_csum_fold(lx_pbuf_csum(p, 0, p->len, 0));
}

static void receive(struct inet *inet, struct lx_netdev *dev, struct lx_pbuf *p)
{
	const struct icmphdr *h;

	inet_count(inet, icmp[ICMP_MIB_INMSGS]);
	if (p->len < ICMP_HEADER || !is_sum_good(p) ||
	    (lx_pbuf_linear(p) < ICMP_HEADER && lx_pbuf_pull_up(p, ICMP_HEADER))) {
		if (p->len >= ICMP_HEADER)
			inet_count(inet, icmp[ICMP_MIB_CSUMERRORS]);
		inet_count(inet, icmp[ICMP_MIB_INERRORS]);
		lx_pbuf_free(p);
		return;
	}
	h = (const struct icmphdr *)lx_pbuf_data(p);
	count_in(inet, h->type);
	switch (h->type) {
	case ICMP_ECHO:
		echo(inet, p);
		return;
	case ICMP_TIMESTAMP:
		timestamp(inet, p);
		return;
	case ICMP_ECHOREPLY:
		(void)ping_receive(inet, dev, p);
		break;
	case ICMP_DEST_UNREACH:
	case ICMP_TIME_EXCEEDED:
	case ICMP_PARAMETERPROB:
		error(inet, dev, p);
		break;
	}
	lx_pbuf_free(p);
}

const struct inet_protocol icmp4_protocol = { .receive = receive, .error = own_error };

/* -- errors of ours */

/* RFC 1122, 3.2.2: never about errors, pieces, and what was sent to or from many.  @h: with options. */
static bool may_complain(const struct lx_pbuf *p, const struct iphdr *h)
{
	uint8_t type;

	if (p->pkttype != LX_PKT_HOST || BE16(h->frag_off) & IP4_OFFSET)
		return false;
	if (ip4_is_multicast(h->saddr) || ip4_is_zeronet(h->saddr) || h->saddr == IP4_BROADCAST)
		return false;
	if (h->protocol != IPPROTO_ICMP)
		return true;
	return lx_pbuf_read(p, h->ihl * 4u, &type, 1) &&
	       (type == ICMP_ECHO || type == ICMP_ECHOREPLY || type == ICMP_TIMESTAMP ||
		type == ICMP_TIMESTAMPREPLY);
}

/* A new message with the first bytes of @p, which begins with its IP header.  NULL: no memory. */
static struct lx_pbuf *make_error(struct inet *inet, const struct lx_pbuf *p, uint8_t type,
				  uint8_t code, uint32_t info_be)
{
	uint32_t n = MIN(p->len, ERROR_MAX - IP4_HEADER - ICMP_HEADER);
	struct lx_pbuf *e = lx_pbuf_alloc(inet->ns->pool, LX_PBUF_HEADROOM, ICMP_HEADER + n);
	struct icmphdr *h;

	if (!e)
		return NULL;
	h = lx_pbuf_put(e, ICMP_HEADER + n);
	*h = (struct icmphdr){ .type = type, .code = code };
	h->un.gateway = info_be;
	lx_pbuf_read(p, 0, h + 1, n);
	put_csum(e);
	return e;
}

/* @p begins with its IP header; @src: the error's, or any. */
static void complain(struct inet *inet, struct lx_netdev *dev, const struct lx_pbuf *p, uint8_t type,
		     uint8_t code, uint32_t info_be)
{
	const struct iphdr *h = (const struct iphdr *)lx_pbuf_data(p);
	bool is_limited = !(atomic_load_explicit(&dev->flags, memory_order_relaxed) & IFF_LOOPBACK);
	struct ip_tx t = { .dst = inet_addr_v4(h->saddr), .tos = (h->tos & TOS_MASK) | TOS_CONTROL };
	struct lx_pbuf *e;

	if (!may_complain(p, h))
		return;
	if (is_limited && !icmp4_may_send(inet, type, h->saddr))
		return;
	if (ip4_addr_type(inet, h->daddr) == RTN_LOCAL)
		t.src = inet_addr_v4(h->daddr);
	e = make_error(inet, p, type, code, info_be);
	if (e)
		(void)send_to(inet, e, &t);
}

void icmp4_send_error(struct inet *inet, struct lx_netdev *dev, struct lx_pbuf *p, uint8_t type,
		      uint8_t code, uint32_t info_be)
{
	struct ip_rx *rx = ip_rx(p);

	if (rx->type != RTN_LOCAL)
		return;
	/* the header is in front: it was pulled, and is in the same piece */
	lx_pbuf_push(p, rx->header_len);
	complain(inet, dev, p, type, code, info_be);
	lx_pbuf_pull(p, rx->header_len);
}

void icmp4_host_unreachable(struct inet *inet, struct lx_pbuf *p)
{
	const struct iphdr *h;

	if (lx_pbuf_linear(p) < IP4_HEADER)
		return;
	h = (const struct iphdr *)lx_pbuf_data(p);
	p->pkttype = LX_PKT_HOST;
	if (ip4_addr_type(inet, h->saddr) == RTN_LOCAL)
		complain(inet, inet->ns->loopback, p, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0);
}
