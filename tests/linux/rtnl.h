/* SPDX-License-Identifier: MIT */
/* What tests of addresses and routes have in common: requests of rtnetlink(7), and their answers. */
#pragma once

#include "net.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/time.h>

struct rtnl_request {
	struct nlmsghdr h;
	union {
		struct ifaddrmsg addr;
		struct rtmsg route;
		struct ndmsg neigh;
		char bytes[256];
	};
};

static __attribute__((unused)) int rtnl_socket(unsigned int groups)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = groups };
	struct timeval limit = { .tv_sec = 10 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	CHECK(fd >= 0);
	CHECK_OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	return fd;
}

static __attribute__((unused)) void rtnl_add(struct rtnl_request *r, int type, const void *data, size_t n)
{
	struct rtattr *a = (struct rtattr *)((char *)r + NLMSG_ALIGN(r->h.nlmsg_len));

	a->rta_type = (unsigned short)type;
	a->rta_len = (unsigned short)RTA_LENGTH(n);
	memcpy(RTA_DATA(a), data, n);
	r->h.nlmsg_len = NLMSG_ALIGN(r->h.nlmsg_len) + RTA_ALIGN(a->rta_len);
}

static __attribute__((unused)) void rtnl_add_ip(struct rtnl_request *r, int type, const char *address)
{
	in_addr_t be = inet_addr(address);

	rtnl_add(r, type, &be, sizeof(be));
}

static __attribute__((unused)) void rtnl_add_u32(struct rtnl_request *r, int type, uint32_t v)
{
	rtnl_add(r, type, &v, sizeof(v));
}

/* The next message. */
static __attribute__((unused)) struct nlmsghdr *rtnl_answer(int fd)
{
	static char buf[16384] __attribute__((aligned(8)));
	struct nlmsghdr *h = (struct nlmsghdr *)buf;
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	CHECK(n >= (ssize_t)sizeof(*h));
	CHECK(NLMSG_OK(h, (size_t)n));
	return h;
}

/* Acknowledged: a (positive) errno, or 0. */
static __attribute__((unused)) int rtnl_do(const struct rtnl_request *r)
{
	int fd = rtnl_socket(0);
	const struct nlmsghdr *h;
	int err;

	CHECK_EQ(send(fd, r, r->h.nlmsg_len, 0), r->h.nlmsg_len);
	h = rtnl_answer(fd);
	CHECK_EQ(h->nlmsg_type, NLMSG_ERROR);
	err = -((const struct nlmsgerr *)NLMSG_DATA(h))->error;
	close(fd);
	return err;
}

static __attribute__((unused)) struct rtnl_request address_request(int type, int flags, const char *local,
								   int len)
{
	struct rtnl_request r = {
		.h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)),
		       .nlmsg_type = (uint16_t)type, .nlmsg_seq = 3,
		       .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags) },
		.addr = { .ifa_family = AF_INET, .ifa_prefixlen = (uint8_t)len, .ifa_index = LO },
	};

	if (local)
		rtnl_add_ip(&r, IFA_LOCAL, local);
	return r;
}

static __attribute__((unused)) int add_address(const char *local, int len)
{
	struct rtnl_request r = address_request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, local, len);

	return rtnl_do(&r);
}

static __attribute__((unused)) struct rtnl_request route_request(int type, int flags, const char *dst,
								 int len)
{
	struct rtnl_request r = {
		.h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)), .nlmsg_type = (uint16_t)type,
		       .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags),
		       .nlmsg_seq = 3 },
		.route = { .rtm_family = AF_INET, .rtm_dst_len = (uint8_t)len,
			   .rtm_table = RT_TABLE_MAIN, .rtm_type = RTN_UNICAST,
			   .rtm_scope = RT_SCOPE_LINK, .rtm_protocol = RTPROT_BOOT },
	};

	if (dst)
		rtnl_add_ip(&r, RTA_DST, dst);
	return r;
}

/* To a network on lo. */
static __attribute__((unused)) int add_route(const char *dst, int len)
{
	struct rtnl_request r = route_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, dst, len);

	rtnl_add_u32(&r, RTA_OIF, LO);
	return rtnl_do(&r);
}

/* Attribute @type of a message whose own part has @head bytes, or NULL. */
static __attribute__((unused)) const struct rtattr *rtnl_find(const struct nlmsghdr *h, size_t head, int type)
{
	const char *data = NLMSG_DATA(h);
	int left = (int)(h->nlmsg_len - NLMSG_LENGTH(head));

	for (const struct rtattr *a = (const struct rtattr *)(data + NLMSG_ALIGN(head)); RTA_OK(a, left);
	     a = RTA_NEXT(a, left))
		if ((a->rta_type & NLA_TYPE_MASK) == type)
			return a;
	return NULL;
}

static __attribute__((unused)) uint32_t rtnl_u32(const struct nlmsghdr *h, size_t head, int type)
{
	const struct rtattr *a = rtnl_find(h, head, type);
	uint32_t v;

	CHECK(a && RTA_PAYLOAD(a) == sizeof(v));
	memcpy(&v, RTA_DATA(a), sizeof(v));
	return v;
}
