/* SPDX-License-Identifier: MIT */
/* Filters of sockets: see filter.h; the machine is in sys/bpf.c. */
#include "lx/mm.h"
#include "net/filter.h"
#include "sys/bpf.h"

struct packet_filter {
	unsigned int len;
	struct sock_filter insns[];
};

/* struct sock_fprog of the program. */
struct user_program {
	uint16_t len, pad[3];
	uint64_t insns;
};

int packet_filter_load(uaddr_t fprog, struct packet_filter **out)
{
	struct user_program prog;
	struct packet_filter *f;
	size_t size;
	int err;

	if (lx_copy_from_user(&prog, fprog, sizeof(prog)))
		return -EFAULT;
	if (!prog.insns || !prog.len || prog.len > BPF_MAX_INSNS)
		return -EINVAL;
	size = prog.len * sizeof(f->insns[0]);
	f = rt_alloc(sizeof(*f) + size);
	if (!f)
		return -ENOMEM;
	f->len = prog.len;
	err = lx_copy_from_user(f->insns, uaddr(prog.insns), size);
	if (!err && !bpf_check_packet(f->insns, f->len))
		err = -EINVAL;
	if (err) {
		rt_free(f);
		return err;
	}
	*out = f;
	return 0;
}

void packet_filter_free(struct packet_filter *f)
{
	rt_free(f);
}

/* A packet as a program of a filter sees it. */
struct view {
	const struct lx_pbuf *p;
	int32_t start;			/* of what it sees, from the packet's first byte */
	const struct lx_netdev *dev;
	uint8_t pkttype;
};

/* Bytes from the packet's first one on, or, negative, in front of it in the same block. */
static bool read_at(const struct lx_pbuf *p, int64_t at, void *buf, uint32_t n)
{
	if (at >= 0)
		return at <= UINT32_MAX && lx_pbuf_read(p, (uint32_t)at, buf, n);
	if (-at > lx_pbuf_headroom(p) || at + n > lx_pbuf_linear(p))
		return false;
	memcpy(buf, lx_pbuf_data(p) + at, n);
	return true;
}

static bool view_read(const void *packet, uint32_t off, void *buf, uint32_t n)
{
	const struct view *v = packet;
	int32_t place = (int32_t)off;

	if (place >= 0)
		return read_at(v->p, (int64_t)v->start + place, buf, n);
	if (place >= SKF_NET_OFF)
		return read_at(v->p, (int64_t)lx_pbuf_offset(v->p, v->p->network_at) + place - SKF_NET_OFF,
			       buf, n);
	if (place >= SKF_LL_OFF)
		return read_at(v->p, (int64_t)lx_pbuf_offset(v->p, v->p->link_at) + place - SKF_LL_OFF,
			       buf, n);
	return false;
}

static uint32_t view_fact(const void *packet, uint32_t fact)
{
	const struct view *v = packet;

	switch (fact) {
	case SKF_AD_PROTOCOL:
		return v->p->protocol;
	case SKF_AD_PKTTYPE:
		return v->pkttype;
	case SKF_AD_IFINDEX:
		return (uint32_t)v->dev->ifindex;
	case SKF_AD_HATYPE:
		return v->dev->type;
	case SKF_AD_RXHASH:
		return v->p->hash;
	default:
		return 0;
	}
}

uint32_t packet_filter_run(const struct packet_filter *f, const struct lx_pbuf *p, uint16_t place,
			   const struct lx_netdev *dev, uint8_t pkttype)
{
	const struct view v = { p, lx_pbuf_offset(p, place), dev, pkttype };
	const struct bpf_packet packet = {
		.packet = &v, .len = (uint32_t)((int32_t)p->len - v.start), .read = view_read,
		.fact = view_fact,
	};

	return bpf_run_packet(f->insns, &packet);
}
