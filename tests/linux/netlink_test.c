/* SPDX-License-Identifier: MIT */
/* Netlink sockets and links: netlink(7), rtnetlink(7). */
#include "net.h"

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

static int netlink_socket(void)
{
	struct timeval limit = { .tv_sec = 10 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	CHECK(fd >= 0);
	CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	return fd;
}

struct request {
	struct nlmsghdr h;
	struct ifinfomsg info;
	char attrs[128];
};

static struct request link_request(int type, int flags, int index)
{
	return (struct request){
		.h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)), .nlmsg_type = (uint16_t)type,
		       .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags), .nlmsg_seq = 7 },
		.info = { .ifi_index = index },
	};
}

static void add(struct request *r, int type, const void *data, size_t n)
{
	struct rtattr *a = (struct rtattr *)((char *)r + NLMSG_ALIGN(r->h.nlmsg_len));

	a->rta_type = (unsigned short)type;
	a->rta_len = (unsigned short)RTA_LENGTH(n);
	memcpy(RTA_DATA(a), data, n);
	r->h.nlmsg_len = NLMSG_ALIGN(r->h.nlmsg_len) + RTA_ALIGN(a->rta_len);
}

static void ask(int fd, const struct request *r)
{
	CHECK_EQ(send(fd, r, r->h.nlmsg_len, 0), r->h.nlmsg_len);
}

/* The next message. */
static struct nlmsghdr *answer(int fd)
{
	static char buf[16384] __attribute__((aligned(8)));
	struct nlmsghdr *h = (struct nlmsghdr *)buf;
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	CHECK(n >= (ssize_t)sizeof(*h));
	CHECK(NLMSG_OK(h, (size_t)n));
	return h;
}

/* The request is answered by an acknowledgement: its (positive) errno, or 0. */
static int acknowledged(int fd, const struct request *r)
{
	const struct nlmsghdr *h;
	const struct nlmsgerr *e;

	ask(fd, r);
	h = answer(fd);
	CHECK_EQ(h->nlmsg_type, NLMSG_ERROR);
	CHECK_EQ(h->nlmsg_seq, r->h.nlmsg_seq);
	e = NLMSG_DATA(h);
	CHECK_EQ(e->msg.nlmsg_type, r->h.nlmsg_type);
	if (e->error)		/* with the whole request */
		CHECK_EQ(h->nlmsg_len, NLMSG_LENGTH(sizeof(int)) + r->h.nlmsg_len);
	else
		CHECK_EQ(h->nlmsg_len, NLMSG_LENGTH(sizeof(*e)));
	return -e->error;
}

static const struct rtattr *find(const struct nlmsghdr *h, int type)
{
	const struct ifinfomsg *info = NLMSG_DATA(h);
	int left = (int)(h->nlmsg_len - NLMSG_LENGTH(sizeof(*info)));

	for (const struct rtattr *a = IFLA_RTA(info); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if ((a->rta_type & NLA_TYPE_MASK) == type)
			return a;
	return NULL;
}

static uint32_t number(const struct nlmsghdr *h, int type)
{
	const struct rtattr *a = find(h, type);
	uint32_t v;

	CHECK(a && RTA_PAYLOAD(a) == sizeof(v));
	memcpy(&v, RTA_DATA(a), sizeof(v));
	return v;
}

static void check_loopback(const struct nlmsghdr *h, const char *name)
{
	const struct ifinfomsg *info = NLMSG_DATA(h);

	CHECK_EQ(h->nlmsg_type, RTM_NEWLINK);
	CHECK_EQ(info->ifi_family, AF_UNSPEC);
	CHECK_EQ(info->ifi_type, ARPHRD_LOOPBACK);
	CHECK_EQ(info->ifi_index, LO);
	CHECK(find(h, IFLA_IFNAME));
	CHECK_STR(RTA_DATA(find(h, IFLA_IFNAME)), name);
	CHECK(find(h, IFLA_ADDRESS) && RTA_PAYLOAD(find(h, IFLA_ADDRESS)) == 6);
	CHECK(find(h, IFLA_STATS64));
	CHECK(find(h, IFLA_QDISC));
}

/* -- sockets */

TEST(netlink_sockets_are_datagrams)
{
	int fd, sv[2];

	CHECK_ERRNO(socket(AF_NETLINK, SOCK_STREAM, NETLINK_ROUTE), ESOCKTNOSUPPORT);
	CHECK_ERRNO(socket(AF_NETLINK, SOCK_RAW, 99), EPROTONOSUPPORT);
	CHECK_ERRNO(socket(AF_NETLINK, SOCK_RAW, -1), EPROTONOSUPPORT);
	CHECK_OK(socket(AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE));
	fd = netlink_socket();
	CHECK_ERRNO(listen(fd, 1), EOPNOTSUPP);
	CHECK_ERRNO(accept(fd, NULL, NULL), EOPNOTSUPP);
	CHECK_ERRNO(shutdown(fd, SHUT_RDWR), EOPNOTSUPP);
	CHECK_ERRNO(socketpair(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, sv), EOPNOTSUPP);
}

static uint32_t port_of(int fd)
{
	struct sockaddr_nl a;
	socklen_t len = sizeof(a);

	CHECK_OK(getsockname(fd, (struct sockaddr *)&a, &len));
	CHECK_EQ(len, sizeof(a));
	CHECK_EQ(a.nl_family, AF_NETLINK);
	return a.nl_pid;
}

TEST(ports_are_given_once)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK };
	int first = netlink_socket(), second = netlink_socket(), third = netlink_socket();

	CHECK_EQ(port_of(first), 0);
	CHECK_ERRNO(bind(first, (struct sockaddr *)&a, sizeof(a) - 1), EINVAL);
	CHECK_OK(bind(first, (struct sockaddr *)&a, sizeof(a)));
	CHECK_EQ(port_of(first), getpid());
	CHECK_ERRNO(bind(first, (struct sockaddr *)&a, sizeof(a)), EINVAL);
	/* the process has one socket of its number */
	CHECK_OK(bind(second, (struct sockaddr *)&a, sizeof(a)));
	CHECK((int)port_of(second) < 0);
	a.nl_pid = port_of(first);
	CHECK_ERRNO(bind(third, (struct sockaddr *)&a, sizeof(a)), EADDRINUSE);
	CHECK_OK(bind(first, (struct sockaddr *)&a, sizeof(a)));
	close(first);
	CHECK_OK(bind(third, (struct sockaddr *)&a, sizeof(a)));
	a.nl_family = AF_UNIX;
	CHECK_ERRNO(bind(third, (struct sockaddr *)&a, sizeof(a)), EINVAL);
}

TEST(options_and_memberships)
{
	static const int flags[] = {
		NETLINK_PKTINFO, NETLINK_BROADCAST_ERROR, NETLINK_NO_ENOBUFS, NETLINK_CAP_ACK,
		NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK,
	};
	int fd = netlink_socket(), v;
	socklen_t len = sizeof(v);

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		v = 1;
		CHECK_OK(setsockopt(fd, SOL_NETLINK, flags[i], &v, sizeof(v)));
		v = -1;
		CHECK_OK(getsockopt(fd, SOL_NETLINK, flags[i], &v, &len));
		CHECK_EQ(v, 1);
	}
	v = 0;
	CHECK_ERRNO(setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &v, sizeof(v)), EINVAL);
	CHECK_ERRNO(setsockopt(fd, SOL_NETLINK, 99, &v, sizeof(v)), ENOPROTOOPT);
	CHECK_ERRNO(getsockopt(fd, SOL_NETLINK, 99, &v, &len), ENOPROTOOPT);
}

/* -- links */

TEST(links_are_listed)
{
	struct request r = link_request(RTM_GETLINK, NLM_F_DUMP, 0);
	const struct nlmsghdr *h;
	struct sockaddr_nl from;
	socklen_t len = sizeof(from);
	int fd, size;
	char byte;

	own_network();
	fd = netlink_socket();
	ask(fd, &r);
	/* as ip(8) does: how long is it? */
	size = (int)recvfrom(fd, &byte, 1, MSG_PEEK | MSG_TRUNC, (struct sockaddr *)&from, &len);
	CHECK(size > 100);
	CHECK_EQ(len, sizeof(from));
	CHECK_EQ(from.nl_family, AF_NETLINK);
	CHECK_EQ(from.nl_pid, 0);
	h = answer(fd);
	CHECK_EQ(h->nlmsg_len, size);
	CHECK_EQ(h->nlmsg_flags, NLM_F_MULTI);
	CHECK_EQ(h->nlmsg_seq, 7);
	CHECK_EQ(h->nlmsg_pid, getpid());
	check_loopback(h, "lo");
	CHECK_EQ(number(h, IFLA_MTU), 65536);
	CHECK_EQ(number(h, IFLA_TXQLEN), 1000);
	CHECK_EQ(number(h, IFLA_PROMISCUITY), 0);
	h = answer(fd);
	CHECK_EQ(h->nlmsg_type, NLMSG_DONE);
	CHECK_EQ(h->nlmsg_flags, NLM_F_MULTI);
	CHECK_EQ(h->nlmsg_len, NLMSG_LENGTH(sizeof(int)));
	CHECK_ERRNO(recv(fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
}

TEST(one_link_is_found_by_number_or_name)
{
	struct request r = link_request(RTM_GETLINK, 0, LO);
	const struct nlmsghdr *h;
	int fd;

	own_network();
	fd = netlink_socket();
	ask(fd, &r);
	h = answer(fd);
	CHECK_EQ(h->nlmsg_flags, 0);
	check_loopback(h, "lo");
	r = link_request(RTM_GETLINK, NLM_F_ACK, 0);
	add(&r, IFLA_IFNAME, "lo", 3);
	ask(fd, &r);
	check_loopback(answer(fd), "lo");
	h = answer(fd);
	CHECK_EQ(h->nlmsg_type, NLMSG_ERROR);
	CHECK_EQ(((const struct nlmsgerr *)NLMSG_DATA(h))->error, 0);
	r = link_request(RTM_GETLINK, 0, 99);
	CHECK_EQ(acknowledged(fd, &r), ENODEV);
	r = link_request(RTM_GETLINK, 0, 0);
	CHECK_EQ(acknowledged(fd, &r), EINVAL);
}

TEST(links_are_set)
{
	struct request r;
	int fd, mtu = 1400, qlen = 5;

	own_network();
	fd = netlink_socket();
	r = link_request(RTM_NEWLINK, NLM_F_ACK, LO);
	r.info.ifi_flags = r.info.ifi_change = IFF_UP;
	CHECK_EQ(acknowledged(fd, &r), 0);
	CHECK_EQ(flags_of("lo") & IFF_UP, IFF_UP);
	r = link_request(RTM_SETLINK, NLM_F_ACK, LO);
	add(&r, IFLA_MTU, &mtu, sizeof(mtu));
	add(&r, IFLA_TXQLEN, &qlen, sizeof(qlen));
	add(&r, IFLA_IFNAME, "renamed", 8);
	CHECK_EQ(acknowledged(fd, &r), 0);
	r = link_request(RTM_GETLINK, 0, LO);
	ask(fd, &r);
	{
		const struct nlmsghdr *h = answer(fd);

		check_loopback(h, "renamed");
		CHECK_EQ(number(h, IFLA_MTU), 1400);
		CHECK_EQ(number(h, IFLA_TXQLEN), 5);
		CHECK_EQ(((const struct ifinfomsg *)NLMSG_DATA(h))->ifi_flags,
			 IFF_UP | IFF_LOOPBACK | IFF_RUNNING | 0x10000);
	}
	r = link_request(RTM_SETLINK, NLM_F_ACK, LO);
	mtu = -1;
	add(&r, IFLA_MTU, &mtu, sizeof(mtu));
	CHECK_EQ(acknowledged(fd, &r), EINVAL);
	r = link_request(RTM_SETLINK, NLM_F_ACK, LO);
	add(&r, IFLA_MTU, &mtu, 2);
	CHECK_EQ(acknowledged(fd, &r), ERANGE);
	r = link_request(RTM_SETLINK, NLM_F_ACK, 99);
	CHECK_EQ(acknowledged(fd, &r), ENODEV);
	r = link_request(RTM_SETLINK, NLM_F_ACK, 0);
	CHECK_EQ(acknowledged(fd, &r), EINVAL);
}

TEST(links_cannot_be_made_of_nothing)
{
	struct request r;
	int fd;

	own_network();
	fd = netlink_socket();
	r = link_request(RTM_NEWLINK, NLM_F_ACK, 0);
	add(&r, IFLA_IFNAME, "new", 4);
	CHECK_EQ(acknowledged(fd, &r), ENODEV);
	r = link_request(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, 0);
	add(&r, IFLA_IFNAME, "new", 4);
	CHECK_EQ(acknowledged(fd, &r), EOPNOTSUPP);
	r = link_request(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, LO);
	CHECK_EQ(acknowledged(fd, &r), EEXIST);
	r = link_request(RTM_DELLINK, NLM_F_ACK, LO);
	CHECK_EQ(acknowledged(fd, &r), EOPNOTSUPP);
	r = link_request(RTM_DELLINK, NLM_F_ACK, 99);
	CHECK_EQ(acknowledged(fd, &r), ENODEV);
}

TEST(changes_by_netlink_need_a_capability)
{
	struct request r = link_request(RTM_NEWLINK, NLM_F_ACK, LO);
	int fd;

	own_network();
	CHECK_OK(setresuid(65534, 65534, 65534));
	fd = netlink_socket();
	CHECK_EQ(acknowledged(fd, &r), EPERM);
	r = link_request(RTM_GETLINK, 0, LO);
	ask(fd, &r);
	check_loopback(answer(fd), "lo");
}

TEST(changes_are_told_to_the_group)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK }, from;
	struct ifreq req = ifreq_of("lo");
	socklen_t len = sizeof(from);
	struct nlmsghdr *h;
	const struct ifinfomsg *info;
	int fd, group = RTNLGRP_LINK;
	char byte;

	own_network();
	fd = netlink_socket();
	CHECK_OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	set_flags("lo", IFF_UP);
	CHECK(recvfrom(fd, &byte, 1, MSG_PEEK, (struct sockaddr *)&from, &len) == 1);
	CHECK_EQ(from.nl_pid, 0);
	CHECK_EQ(from.nl_groups, RTMGRP_LINK);
	h = answer(fd);
	check_loopback(h, "lo");
	info = NLMSG_DATA(h);
	CHECK_EQ(h->nlmsg_seq, 0);
	CHECK_EQ(h->nlmsg_pid, 0);
	CHECK_EQ(info->ifi_flags & IFF_UP, IFF_UP);
	CHECK_EQ(info->ifi_change & IFF_UP, IFF_UP);
	req.ifr_mtu = 1234;
	CHECK_OK(ioctl(control_socket(), SIOCSIFMTU, &req));
	h = answer(fd);
	check_loopback(h, "lo");
	CHECK_EQ(number(h, IFLA_MTU), 1234);
	CHECK_OK(setsockopt(fd, SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, &group, sizeof(group)));
	set_flags("lo", 0);
	CHECK_ERRNO(recv(fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
	CHECK_OK(setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)));
	set_flags("lo", IFF_UP);
	check_loopback(answer(fd), "lo");
}

/* -- requests that are odd */

TEST(odd_messages_are_passed_over)
{
	struct { struct nlmsghdr h; char more[84]; } m = {
		.h = { .nlmsg_len = 16, .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
	};
	struct request r;
	int fd;
	char byte;

	own_network();
	fd = netlink_socket();
	/* too short to be looked at: done */
	CHECK_EQ(send(fd, &m, 16, 0), 16);
	CHECK_EQ(answer(fd)->nlmsg_type, NLMSG_ERROR);
	m.h.nlmsg_len = 8;
	CHECK_EQ(send(fd, &m, 16, 0), 16);
	m.h.nlmsg_len = 200;
	CHECK_EQ(send(fd, &m, 100, 0), 100);
	CHECK_EQ(send(fd, &m, 3, 0), 3);
	CHECK_ERRNO(send(fd, &m, 0, 0), ENODATA);
	CHECK_ERRNO(send(fd, (void *)8, 16, 0), EFAULT);
	r = link_request(RTM_GETLINK, 0, LO);
	r.h.nlmsg_flags = 0;		/* no request */
	ask(fd, &r);
	CHECK_ERRNO(recv(fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
	r = link_request(999, NLM_F_ACK, LO);
	CHECK_EQ(acknowledged(fd, &r), EOPNOTSUPP);
	r = link_request(NLMSG_NOOP, NLM_F_ACK, LO);
	CHECK_EQ(acknowledged(fd, &r), 0);
	CHECK_ERRNO(recv(fd, &byte, 1, MSG_OOB), EOPNOTSUPP);
}

TEST(several_requests_in_one_message_are_answered_in_order)
{
	char buf[256] __attribute__((aligned(8)));
	struct request r = link_request(RTM_GETLINK, 0, 99);
	uint32_t len = r.h.nlmsg_len;
	int fd;

	own_network();
	fd = netlink_socket();
	for (uint32_t i = 0; i < 3; i++) {
		r.h.nlmsg_seq = 100 + i;
		memcpy(buf + i * NLMSG_ALIGN(len), &r, len);
	}
	CHECK_EQ(send(fd, buf, 3 * NLMSG_ALIGN(len), 0), 3 * NLMSG_ALIGN(len));
	for (uint32_t i = 0; i < 3; i++)
		CHECK_EQ(answer(fd)->nlmsg_seq, 100 + i);
}

TEST(readers_that_are_late_are_told)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	int fd, size = 1, n = 0;
	char byte;

	own_network();
	fd = netlink_socket();
	CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)));
	CHECK_OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	for (int i = 0; i < 100; i++)
		set_flags("lo", i & 1 ? 0 : IFF_UP);
	CHECK_ERRNO(recv(fd, &byte, 1, MSG_DONTWAIT), ENOBUFS);
	while (recv(fd, &byte, 1, MSG_DONTWAIT) == 1)
		n++;
	CHECK_EQ(errno, EAGAIN);
	CHECK(n > 0 && n < 100);
}
