/* SPDX-License-Identifier: MIT */
/* What /proc/net shows of sockets of AF_INET (proc(5)): udp, icmp, raw, sockstat. */
#include "base/format.h"
#include "fs/pseudo/pseudo.h"
#include "inet/dgram.h"
#include "inet/ip4.h"
#include "inet/show.h"

#define LINE_WIDTH	127		/* of udp and icmp: filled up with blanks, as on Linux */

typedef unsigned long long ull;

struct listing {
	struct pseudo_buf *b;
	unsigned int nr;
	int nr_width;
	bool is_padded;
};

static void put_line(struct listing *l, const char *line, int len)
{
	int blanks = l->is_padded ? MAX(LINE_WIDTH - len, 0) : 0;

	pseudo_printf(l->b, "%s%*s\n", line, blanks, "");
}

static void show_socket(struct inet_owner *o, void *arg)
{
	const struct inet_tuple *key = &o->entry.key;
	struct inet_sock *is = inet_sock_of(&o->entry);
	struct inet_dgram *d = inet_dgram_of(is);
	struct listing *l = arg;
	char line[160];
	int len;

	/* where it is in memory is nobody's business */
	len = snprintf(line, sizeof(line),
		       "%*u: %08X:%04X %08X:%04X %02X %08X:%08X %02X:%08X %08X %5u %8d %llu %d %016x %u",
		       l->nr_width, l->nr++, inet_addr_to_v4(&key->local), BE16(key->local_port),
		       inet_addr_to_v4(&key->remote), BE16(key->remote_port),
		       inet_has(is, INET_CONNECTED) ? 1u : 7u, inet_sock_queued(is),
		       atomic_load(&d->rmem), 0u, 0u, 0u, o->uid, 0, (ull)atomic_load(&is->ino),
		       (int)atomic_load(&o->entry.refs) + 1, 0u, atomic_load(&d->drops));
	put_line(l, line, len);
}

static void show(struct lx_netns *ns, struct pseudo_buf *b, enum inet_space space, struct listing l)
{
	static const char header[] = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt"
				     "   uid  timeout inode ref pointer drops";

	l.b = b;
	put_line(&l, header, (int)sizeof(header) - 1);
	inet_ports_for_each(ns->inet->tables, space, show_socket, &l);
}

void inet_show_udp(struct lx_netns *ns, struct pseudo_buf *b)
{
	show(ns, b, INET_PORTS_UDP, (struct listing){ .nr_width = 5, .is_padded = true });
}

void inet_show_icmp(struct lx_netns *ns, struct pseudo_buf *b)
{
	show(ns, b, INET_PORTS_PING, (struct listing){ .nr_width = 5, .is_padded = true });
}

void inet_show_raw(struct lx_netns *ns, struct pseudo_buf *b)
{
	show(ns, b, INET_PORTS_RAW, (struct listing){ .nr_width = 4 });
}

static int in_use(struct inet *inet, enum inet_space space)
{
	return atomic_load_explicit(&inet->tables->sockets[space], memory_order_relaxed);
}

/* In pages, begun ones too. */
static unsigned int pages_of(struct inet *inet, enum inet_space space)
{
	int64_t bytes = atomic_load_explicit(&inet->tables->memory[space], memory_order_relaxed);

	return (unsigned int)((MAX(bytes, 0) + 4095) / 4096);
}

void inet_show_sockstat(struct lx_netns *ns, struct pseudo_buf *b)
{
	struct inet *inet = ns->inet;
	uint32_t fragments = 0;
	uint64_t fragment_bytes = 0;

	ip4_fragments_count(inet, &fragments, &fragment_bytes);
	pseudo_printf(b, "sockets: used %d\n",
		      atomic_load_explicit(&ns->sockets, memory_order_relaxed));
	tcp_show_sockstat(inet, b);
	pseudo_printf(b, "UDP: inuse %d mem %u\n", in_use(inet, INET_PORTS_UDP),
		      pages_of(inet, INET_PORTS_UDP));
	pseudo_puts(b, "UDPLITE: inuse 0\n");
	pseudo_printf(b, "RAW: inuse %d\n", in_use(inet, INET_PORTS_RAW));
	pseudo_printf(b, "FRAG: inuse %u memory %llu\n", fragments, (ull)fragment_bytes);
}
