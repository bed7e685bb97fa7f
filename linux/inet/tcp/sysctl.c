/* SPDX-License-Identifier: MIT */
/*
 * namespace of who reads or writes.  There is nothing here that is not honoured.
 */
#include "base/format.h"
#include "base/parse.h"
#include "fs/proc/proc.h"
#include "inet/sysctl.h"
#include "inet/tcp/sock.h"
#include "lx/ns.h"

struct setting {
	const char *name;		/* below sys/net */
	uint16_t at;			/* in struct tcp_ns */
	uint8_t size;			/* bytes of a number: 1 or 4 */
	uint8_t count;			/* of them: 1 or 3, one behind the other */
	int32_t least, most;
};

#define IN_CONF(name, count, least, most) \
	{ "ipv4/tcp_" #name, offsetof(struct tcp_ns, context.conf.name), \
	  sizeof(((struct tcp_conf *)0)->name) / (count), (count), (least), (most) }
#define IN_SOCK(file, name, least, most) \
	{ file, offsetof(struct tcp_ns, conf.name), 4, 1, (least), (most) }

static const struct setting settings[] = {
	IN_CONF(rmem, 3, 1, INT32_MAX), IN_CONF(wmem, 3, 1, INT32_MAX),
	IN_CONF(mem, 3, 1, INT32_MAX),
	IN_CONF(keepalive_time, 1, 1, 32767), IN_CONF(keepalive_intvl, 1, 1, 32767),
	IN_CONF(keepalive_probes, 1, 1, 127), IN_CONF(fin_timeout, 1, 1, INT32_MAX / 1000),
	IN_CONF(syn_retries, 1, 1, 127), IN_CONF(synack_retries, 1, 0, 255),
	IN_CONF(retries1, 1, 0, 255), IN_CONF(retries2, 1, 0, 255),
	IN_CONF(orphan_retries, 1, 0, 255),
	IN_CONF(timestamps, 1, 0, 2), IN_CONF(sack, 1, 0, 1), IN_CONF(dsack, 1, 0, 1),
	IN_CONF(window_scaling, 1, 0, 1), IN_CONF(ecn, 1, 0, 2),
	IN_CONF(slow_start_after_idle, 1, 0, 1), IN_CONF(moderate_rcvbuf, 1, 0, 1),
	IN_CONF(rfc1337, 1, 0, 1), IN_CONF(tw_reuse, 1, 0, 2), IN_CONF(early_retrans, 1, 0, 4),
	IN_CONF(challenge_ack_limit, 1, 1, INT32_MAX), IN_CONF(invalid_ratelimit, 1, 0, INT32_MAX),
	IN_SOCK("ipv4/tcp_syncookies", syncookies, 0, 1),
	IN_SOCK("ipv4/tcp_abort_on_overflow", abort_on_overflow, 0, 1),
	IN_SOCK("ipv4/tcp_max_tw_buckets", max_tw_buckets, 0, INT32_MAX),
	IN_SOCK("ipv4/tcp_max_orphans", max_orphans, 0, INT32_MAX),
};

static void *words_of(const struct setting *s)
{
	return (uint8_t *)lx_self()->ns->net->inet->tcp + s->at;
}

static int32_t get(const struct setting *s, unsigned int n)
{
	void *at = words_of(s);

	if (s->size == 1)
		return atomic_load_explicit((_Atomic(uint8_t) *)at + n, memory_order_relaxed);
	return (int32_t)atomic_load_explicit((_Atomic(uint32_t) *)at + n, memory_order_relaxed);
}

static void set(const struct setting *s, unsigned int n, int32_t v)
{
	void *at = words_of(s);

	if (s->size == 1)
		atomic_store_explicit((_Atomic(uint8_t) *)at + n, (uint8_t)v, memory_order_relaxed);
	else
		atomic_store_explicit((_Atomic(uint32_t) *)at + n, (uint32_t)v, memory_order_relaxed);
}

static int show(struct pseudo_buf *b, void *arg)
{
	const struct setting *s = arg;

	for (unsigned int i = 0; i < s->count; i++)
		pseudo_printf(b, "%s%d", i ? "\t" : "", get(s, i));
	pseudo_puts(b, "\n");
	return 0;
}

/* A number within what is allowed, with blanks around it: what is behind it, or NULL. */
static const char *parse(const struct setting *s, const char *text, const char *end, int32_t *v)
{
	uint64_t n;
	size_t used;

	while (text < end && char_is_space(*text))
		text++;
	used = parse_u64(text, (size_t)(end - text), 10, &n);
	if (!used || n > INT32_MAX || (int32_t)n < s->least || (int32_t)n > s->most)
		return NULL;
	*v = (int32_t)n;
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
	const char *end = text + n;
	int32_t v[3];

	for (unsigned int i = 0; i < s->count; i++) {
		text = parse(s, text, end, &v[i]);
		if (!text)
			return -EINVAL;
	}
	if (text != end)
		return -EINVAL;
	for (unsigned int i = 0; i < s->count; i++)
		set(s, i, v[i]);
	return 0;
}

/* What is not there by any other name. */
static int show_available(struct pseudo_buf *b, void *arg)
{
	pseudo_puts(b, "reno cubic\n");
	return 0;
}

static int show_default(struct pseudo_buf *b, void *arg)
{
	struct tcp_conf *conf = &lx_self()->ns->net->inet->tcp->context.conf;

	pseudo_printf(b, "%s\n", atomic_load_explicit(&conf->cc, memory_order_relaxed)->name);
	return 0;
}

static int store_default(const char *text, size_t n, void *arg)
{
	struct tcp_conf *conf = &lx_self()->ns->net->inet->tcp->context.conf;
	const struct tcp_cc_ops *cc;
	char name[16];

	while (n && char_is_space(text[n - 1]))
		n--;
	if (n >= sizeof(name))
		return -ENOENT;
	memcpy(name, text, n);
	name[n] = '\0';
	cc = tcp_cc_find(name);
	if (!cc)
		return -ENOENT;
	atomic_store_explicit(&conf->cc, cc, memory_order_relaxed);
	return 0;
}

int tcp_sysctl_init(void)
{
	char path[96];
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(settings) && !err; i++) {
		snprintf(path, sizeof(path), "sys/net/%s", settings[i].name);
		err = pseudo_file(lx_proc_tree, path, 0644, show, store, (void *)&settings[i]);
	}
	if (!err)
		err = pseudo_file(lx_proc_tree, "sys/net/ipv4/tcp_available_congestion_control", 0444,
				  show_available, NULL, NULL);
	if (!err)
		err = pseudo_file(lx_proc_tree, "sys/net/ipv4/tcp_congestion_control", 0644,
				  show_default, store_default, NULL);
	return err;
}
