/* SPDX-License-Identifier: MIT */
/*
 * /proc/sys/net/ipv4: the words of conf.h.  A file is that of the network namespace of who reads or
 * writes it.
 */
#include "inet/sysctl.h"

#include "base/format.h"
#include "base/parse.h"
#include "fs/proc/proc.h"
#include "inet/inet.h"
#include "lx/ns.h"
#include "lx/task.h"

/* A word of struct inet_conf. */
struct setting {
	const char *name;		/* below sys/net */
	uint16_t at;			/* in inet_conf */
	int32_t least, most;
};

static const struct setting settings[] = {
#define INET_CONF(name, value, least, most) \
	{ "ipv4/" #name, offsetof(struct inet_conf, name), least, most },
	INET_CONF_WORDS(INET_CONF)
#undef INET_CONF
#define NEIGH(file, name, least, most) \
	{ "ipv4/neigh/default/" file, offsetof(struct inet_conf, name), least, most }
	NEIGH("retrans_time_ms", neigh_retrans_ms, 10, 60000),
	NEIGH("base_reachable_time_ms", neigh_reachable_ms, 100, INT32_MAX),
	NEIGH("delay_first_probe_time", neigh_delay_s, 0, 3600),
	NEIGH("ucast_solicit", neigh_ucast_probes, 0, 100),
	NEIGH("mcast_solicit", neigh_mcast_probes, 1, 100),
	NEIGH("unres_qlen_bytes", neigh_queue_bytes, 0, 1 << 20),
	NEIGH("gc_thresh3", neigh_gc_thresh3, 16, 65536),
#undef NEIGH
};

/* Two numbers in one file. */
enum pair { PORT_RANGE, PING_GROUPS };

static struct inet_conf *conf_of_reader(void)
{
	return &lx_self()->ns->net->inet->conf;
}

static _Atomic(int32_t) *word_of(const struct setting *s)
{
	return (_Atomic(int32_t) *)((uint8_t *)conf_of_reader() + s->at);
}

static int show(struct pseudo_buf *b, void *arg)
{
	pseudo_printf(b, "%d\n", inet_conf(word_of(arg)));
	return 0;
}

/* A number, with a sign perhaps, and blanks around it: what is behind it, or NULL. */
static const char *get_number(const char *text, const char *end, int64_t *value)
{
	bool is_negative = false;
	uint64_t n;
	size_t used;

	while (text < end && char_is_space(*text))
		text++;
	if (text < end && *text == '-') {
		is_negative = true;
		text++;
	}
	used = parse_u64(text, (size_t)(end - text), 10, &n);
	if (!used || n > INT32_MAX)
		return NULL;
	*value = is_negative ? -(int64_t)n : (int64_t)n;
	text += used;
	if (text < end && !char_is_space(*text))
		return NULL;
	while (text < end && char_is_space(*text))
		text++;
	return text;
}

static int store(const char *text, size_t n, void *arg)
{
	const struct setting *s = arg;
	int64_t value;

	if (get_number(text, text + n, &value) != text + n || value < s->least || value > s->most)
		return -EINVAL;
	atomic_store_explicit(word_of(s), (int32_t)value, memory_order_relaxed);
	return 0;
}

static int show_pair(struct pseudo_buf *b, void *arg)
{
	struct inet_conf *c = conf_of_reader();
	uint32_t range = atomic_load_explicit(&c->port_range, memory_order_relaxed);

	if ((enum pair)(uintptr_t)arg == PORT_RANGE)
		pseudo_printf(b, "%u\t%u\n", range & 0xffff, range >> 16);
	else
		pseudo_printf(b, "%d\t%d\n", inet_conf(&c->ping_group_low),
			      inet_conf(&c->ping_group_high));
	return 0;
}

static int store_pair(const char *text, size_t n, void *arg)
{
	const char *end = text + n, *next;
	struct inet_conf *c = conf_of_reader();
	int64_t low, high;

	next = get_number(text, end, &low);
	if (!next || get_number(next, end, &high) != end || low < 0 || high < 0)
		return -EINVAL;
	if ((enum pair)(uintptr_t)arg == PORT_RANGE) {
		if (low < 1 || high > 65535 || low > high)
			return -EINVAL;
		atomic_store_explicit(&c->port_range, (uint32_t)high << 16 | (uint32_t)low,
				      memory_order_relaxed);
		return 0;
	}
	if (high < low) {		/* nobody */
		low = 1;
		high = 0;
	}
	atomic_store_explicit(&c->ping_group_low, (int32_t)low, memory_order_relaxed);
	atomic_store_explicit(&c->ping_group_high, (int32_t)high, memory_order_relaxed);
	return 0;
}

int inet_sysctl_init(void)
{
	char path[96];
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(settings) && !err; i++) {
		snprintf(path, sizeof(path), "sys/net/%s", settings[i].name);
		err = pseudo_file(lx_proc_tree, path, 0644, show, store, (void *)&settings[i]);
	}
	if (!err)
		err = pseudo_file(lx_proc_tree, "sys/net/ipv4/ip_local_port_range", 0644, show_pair,
				  store_pair, (void *)(uintptr_t)PORT_RANGE);
	if (!err)
		err = pseudo_file(lx_proc_tree, "sys/net/ipv4/ping_group_range", 0644, show_pair,
				  store_pair, (void *)(uintptr_t)PING_GROUPS);
	if (!err)
		err = tcp_sysctl_init();
	return err;
}
