/* SPDX-License-Identifier: MIT */
/* proc: PID/net, of the network namespace of a task; files are empty after its end. */
#include "fs/proc/pid.h"
#include "inet/show.h"
#include "lx/net.h"
#include "lx/ns.h"

static int show(struct pseudo_buf *b, const struct pid_subject *s,
		void (*of)(struct lx_netns *ns, struct pseudo_buf *b))
{
	struct lx_nsproxy *ns = lx_task_ns_get(s->task);

	if (ns)
		of(ns->net, b);
	lx_nsproxy_put(ns);
	return 0;
}

static int show_nothing(struct pseudo_buf *b, const struct pid_subject *s)
{
	return 0;
}

/* What shows a namespace as what shows a task. */
#define OF_TASK(fn) \
	static int task_##fn(struct pseudo_buf *b, const struct pid_subject *s) \
	{ \
		return show(b, s, fn); \
	}

OF_TASK(lx_net_show_devices)
OF_TASK(lx_net_show_packet_sockets)
OF_TASK(inet_show_routes)
OF_TASK(inet_show_arp)
OF_TASK(inet_show_igmp)
OF_TASK(inet_show_dev_mcast)
OF_TASK(inet_show_snmp)
OF_TASK(inet_show_netstat)
OF_TASK(inet_show_tcp)
OF_TASK(inet_show_udp)
OF_TASK(inet_show_icmp)
OF_TASK(inet_show_raw)
OF_TASK(inet_show_sockstat)

#define FILE_R(n, fn) { .name = n, .mode = 0444, .kind = PID_FILE, .show = fn }

static const struct pid_entry entries[] = {
	FILE_R("dev", task_lx_net_show_devices),
	FILE_R("packet", task_lx_net_show_packet_sockets),
	FILE_R("route", task_inet_show_routes),
	FILE_R("arp", task_inet_show_arp),
	FILE_R("igmp", task_inet_show_igmp),
	FILE_R("dev_mcast", task_inet_show_dev_mcast),
	FILE_R("snmp", task_inet_show_snmp),
	FILE_R("netstat", task_inet_show_netstat),
	FILE_R("tcp", task_inet_show_tcp),
	FILE_R("udp", task_inet_show_udp),
	FILE_R("icmp", task_inet_show_icmp),
	FILE_R("raw", task_inet_show_raw),
	FILE_R("sockstat", task_inet_show_sockstat),
	FILE_R("if_inet6", show_nothing),
};

const struct pid_dir pid_net_dir = { entries, ARRAY_SIZE(entries), NULL, { 0 } };
