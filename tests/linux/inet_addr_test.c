/* SPDX-License-Identifier: MIT */
/* Addresses and routes of IPv4: netdevice(7), rtnetlink(7), /proc/sys/net/ipv4.  In networks of their own. */
#include "packet.h"
#include "rtnl.h"

#include <linux/if_addr.h>
#include <linux/sockios.h>
#include <net/route.h>

/* Of a family that hands requests about addresses on to IP. */
static int ip_control(void)
{
	return packet_socket(SOCK_DGRAM, 0);
}

static in_addr_t ip_of(const struct ifreq *r)
{
	return ((const struct sockaddr_in *)&r->ifr_addr)->sin_addr.s_addr;
}

static struct ifreq ip_request(const char *name, const char *address)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = inet_addr(address) };
	struct ifreq r = ifreq_of(name);

	memcpy(&r.ifr_addr, &in, sizeof(in));
	return r;
}

static void check_ip(int fd, unsigned long request, const char *name, const char *wanted)
{
	struct ifreq r = ifreq_of(name);

	CHECK_OK(ioctl(fd, request, &r));
	CHECK_EQ(r.ifr_addr.sa_family, AF_INET);
	CHECK_EQ(ip_of(&r), inet_addr(wanted));
}

TEST(loopback_gets_its_address_as_it_goes_up)
{
	struct ifreq list[4], r = ifreq_of("lo");
	struct ifconf c = { .ifc_len = sizeof(list), .ifc_req = list };
	int fd;

	own_network();
	fd = ip_control();
	CHECK_ERRNO(ioctl(fd, SIOCGIFADDR, &r), EADDRNOTAVAIL);
	set_flags("lo", IFF_UP);
	check_ip(fd, SIOCGIFADDR, "lo", "127.0.0.1");
	check_ip(fd, SIOCGIFNETMASK, "lo", "255.0.0.0");
	check_ip(fd, SIOCGIFDSTADDR, "lo", "127.0.0.1");
	check_ip(fd, SIOCGIFBRDADDR, "lo", "0.0.0.0");
	CHECK_OK(ioctl(fd, SIOCGIFCONF, &c));
	CHECK_EQ(c.ifc_len, sizeof(list[0]));
	CHECK_STR(list[0].ifr_name, "lo");
	CHECK_EQ(ip_of(&list[0]), inet_addr("127.0.0.1"));
	c.ifc_req = NULL;
	CHECK_OK(ioctl(fd, SIOCGIFCONF, &c));
	CHECK_EQ(c.ifc_len, sizeof(list[0]));
	set_flags("lo", 0);
	check_ip(fd, SIOCGIFADDR, "lo", "127.0.0.1");
}

TEST(addresses_are_set_by_ioctl)
{
	struct ifreq r;
	int fd;

	own_loopback();
	fd = ip_control();
	r = ip_request("lo:1", "10.1.2.3");
	CHECK_OK(ioctl(fd, SIOCSIFADDR, &r));
	check_ip(fd, SIOCGIFADDR, "lo:1", "10.1.2.3");
	check_ip(fd, SIOCGIFNETMASK, "lo:1", "255.0.0.0");
	r = ip_request("lo:1", "255.255.255.0");
	CHECK_OK(ioctl(fd, SIOCSIFNETMASK, &r));
	check_ip(fd, SIOCGIFNETMASK, "lo:1", "255.255.255.0");
	check_ip(fd, SIOCGIFADDR, "lo:1", "10.1.2.3");
	check_ip(fd, SIOCGIFADDR, "lo", "127.0.0.1");
	r = ip_request("lo:1", "255.0.255.0");
	CHECK_ERRNO(ioctl(fd, SIOCSIFNETMASK, &r), EINVAL);
	r = ip_request("lo:1", "224.0.0.1");
	CHECK_ERRNO(ioctl(fd, SIOCSIFADDR, &r), EINVAL);
	r = ip_request("lo:2", "255.255.255.0");
	CHECK_ERRNO(ioctl(fd, SIOCSIFNETMASK, &r), EADDRNOTAVAIL);
	r = ip_request("nothing0", "10.1.2.3");
	CHECK_ERRNO(ioctl(fd, SIOCSIFADDR, &r), ENODEV);
	r.ifr_addr.sa_family = AF_UNIX;
	CHECK_ERRNO(ioctl(fd, SIOCSIFADDR, &r), EINVAL);
	r = ip_request("lo:1", "0.0.0.0");
	CHECK_OK(ioctl(fd, SIOCSIFADDR, &r));
	r = ifreq_of("lo:1");
	CHECK_ERRNO(ioctl(fd, SIOCGIFADDR, &r), EADDRNOTAVAIL);
}

/* How many addresses there are, and how many of them are secondary. */
static int count_addresses(int *secondary)
{
	struct rtnl_request r = address_request(RTM_GETADDR, NLM_F_DUMP, NULL, 0);
	int fd = rtnl_socket(0), n = 0;
	bool done = false;
	static char buf[16384] __attribute__((aligned(8)));

	r.h.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	CHECK_EQ(send(fd, &r, r.h.nlmsg_len, 0), r.h.nlmsg_len);
	*secondary = 0;
	while (!done) {
		ssize_t got = recv(fd, buf, sizeof(buf), 0);
		struct nlmsghdr *h = (struct nlmsghdr *)buf;

		CHECK(got > 0);
		for (; NLMSG_OK(h, got); h = NLMSG_NEXT(h, got)) {
			if (h->nlmsg_type == NLMSG_DONE) {
				done = true;
				break;
			}
			CHECK_EQ(h->nlmsg_type, RTM_NEWADDR);
			n++;
			if (rtnl_u32(h, sizeof(struct ifaddrmsg), IFA_FLAGS) & IFA_F_SECONDARY)
				(*secondary)++;
		}
	}
	close(fd);
	return n;
}

TEST(addresses_are_set_by_netlink)
{
	struct rtnl_request r;
	int secondary;

	own_loopback();
	CHECK_EQ(add_address("10.9.9.1", 24), 0);
	CHECK_EQ(add_address("10.9.9.1", 24), EEXIST);
	CHECK_EQ(add_address("10.9.9.2", 24), 0);
	CHECK_EQ(add_address("10.9.9.2", 25), 0);
	CHECK_EQ(count_addresses(&secondary), 4);
	CHECK_EQ(secondary, 1);
	CHECK_EQ(add_address("10.9.9.3", 33), EINVAL);
	r = address_request(RTM_NEWADDR, NLM_F_CREATE, NULL, 24);
	CHECK_EQ(rtnl_do(&r), EINVAL);
	r = address_request(RTM_NEWADDR, NLM_F_CREATE, "10.9.9.4", 24);
	r.addr.ifa_index = 77;
	CHECK_EQ(rtnl_do(&r), ENODEV);
	/* the secondary one goes with the one of its network */
	r = address_request(RTM_DELADDR, 0, "10.9.9.1", 24);
	CHECK_EQ(rtnl_do(&r), 0);
	CHECK_EQ(count_addresses(&secondary), 2);
	CHECK_EQ(secondary, 0);
	CHECK_EQ(rtnl_do(&r), EADDRNOTAVAIL);
}

/* What ip-route(8) get says: an errno, or 0 and the answer. */
static int look_up(const char *dst, struct nlmsghdr **answer)
{
	struct rtnl_request r = route_request(RTM_GETROUTE, 0, dst, 32);
	int fd = rtnl_socket(0), err = 0;

	r.h.nlmsg_flags = NLM_F_REQUEST;
	r.route.rtm_table = 0;
	r.route.rtm_scope = 0;
	r.route.rtm_type = 0;
	CHECK_EQ(send(fd, &r, r.h.nlmsg_len, 0), r.h.nlmsg_len);
	*answer = rtnl_answer(fd);
	if ((*answer)->nlmsg_type == NLMSG_ERROR)
		err = -((struct nlmsgerr *)NLMSG_DATA(*answer))->error;
	close(fd);
	return err;
}

static void check_way(const char *dst, int type, const char *src)
{
	struct nlmsghdr *h;
	struct rtmsg *m;

	CHECK_EQ(look_up(dst, &h), 0);
	CHECK_EQ(h->nlmsg_type, RTM_NEWROUTE);
	m = NLMSG_DATA(h);
	CHECK_EQ(m->rtm_type, type);
	CHECK_EQ(rtnl_u32(h, sizeof(*m), RTA_DST), inet_addr(dst));
	CHECK_EQ(rtnl_u32(h, sizeof(*m), RTA_OIF), LO);
	CHECK_EQ(rtnl_u32(h, sizeof(*m), RTA_PREFSRC), inet_addr(src));
}

TEST(routes_follow_addresses)
{
	struct rtnl_request r;
	struct nlmsghdr *h;

	own_network();
	CHECK_EQ(look_up("127.0.0.1", &h), ENETUNREACH);
	set_flags("lo", IFF_UP);
	check_way("127.0.0.1", RTN_LOCAL, "127.0.0.1");
	check_way("127.1.2.3", RTN_LOCAL, "127.0.0.1");
	check_way("127.255.255.255", RTN_BROADCAST, "127.0.0.1");
	CHECK_EQ(look_up("10.9.9.1", &h), ENETUNREACH);
	CHECK_EQ(add_address("10.9.9.1", 24), 0);
	check_way("10.9.9.1", RTN_LOCAL, "10.9.9.1");
	check_way("10.9.9.7", RTN_LOCAL, "10.9.9.1");
	check_way("10.9.9.255", RTN_BROADCAST, "10.9.9.1");
	r = address_request(RTM_DELADDR, 0, "10.9.9.1", 24);
	CHECK_EQ(rtnl_do(&r), 0);
	CHECK_EQ(look_up("10.9.9.1", &h), ENETUNREACH);
	CHECK_EQ(look_up("10.9.9.255", &h), ENETUNREACH);
	check_way("127.0.0.1", RTN_LOCAL, "127.0.0.1");
}

TEST(routes_are_set_by_netlink)
{
	struct rtnl_request r;
	struct nlmsghdr *h;

	own_loopback();
	CHECK_EQ(add_address("10.9.9.1", 32), 0);
	CHECK_EQ(add_route("10.5.0.0", 16), 0);
	CHECK_EQ(add_route("10.5.0.0", 16), EEXIST);
	CHECK_EQ(add_route("10.5.0.1", 16), EINVAL);
	CHECK_EQ(add_route("10.5.0.0", 33), EINVAL);
	check_way("10.5.1.1", RTN_UNICAST, "10.9.9.1");
	r = route_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "10.6.0.0", 16);
	rtnl_add_u32(&r, RTA_OIF, 77);
	CHECK_EQ(rtnl_do(&r), ENODEV);
	r = route_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "10.6.0.0", 16);
	r.route.rtm_scope = RT_SCOPE_UNIVERSE;
	rtnl_add_ip(&r, RTA_GATEWAY, "10.7.7.7");
	CHECK_EQ(rtnl_do(&r), ENETUNREACH);
	/* without NLM_F_CREATE nothing is made */
	r = route_request(RTM_NEWROUTE, 0, "10.6.0.0", 16);
	rtnl_add_u32(&r, RTA_OIF, LO);
	CHECK_EQ(rtnl_do(&r), ENOENT);
	r = route_request(RTM_DELROUTE, 0, "10.5.0.0", 16);
	CHECK_EQ(rtnl_do(&r), 0);
	CHECK_EQ(rtnl_do(&r), ESRCH);
	CHECK_EQ(look_up("10.5.1.1", &h), ENETUNREACH);
}

TEST(routes_that_lead_nowhere_say_why)
{
	static const struct {
		int type, err;
	} cases[] = { { RTN_UNREACHABLE, EHOSTUNREACH }, { RTN_PROHIBIT, EACCES }, { RTN_BLACKHOLE, EINVAL } };
	struct nlmsghdr *h;

	own_loopback();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rtnl_request r = route_request(RTM_NEWROUTE, NLM_F_CREATE, "10.8.0.0", 16);

		r.route.rtm_type = (uint8_t)cases[i].type;
		r.route.rtm_scope = RT_SCOPE_UNIVERSE;
		r.h.nlmsg_flags |= NLM_F_REPLACE;
		CHECK_EQ(rtnl_do(&r), 0);
		CHECK_EQ(look_up("10.8.1.1", &h), cases[i].err);
	}
}

TEST(longer_prefixes_and_lower_metrics_win)
{
	struct rtnl_request r;

	own_loopback();
	CHECK_EQ(add_address("10.9.9.1", 32), 0);
	CHECK_EQ(add_address("10.9.9.2", 32), 0);
	r = route_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "10.5.0.0", 16);
	rtnl_add_u32(&r, RTA_OIF, LO);
	rtnl_add_u32(&r, RTA_PRIORITY, 20);
	rtnl_add_ip(&r, RTA_PREFSRC, "10.9.9.2");
	CHECK_EQ(rtnl_do(&r), 0);
	check_way("10.5.1.1", RTN_UNICAST, "10.9.9.2");
	r = route_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "10.5.0.0", 16);
	rtnl_add_u32(&r, RTA_OIF, LO);
	rtnl_add_u32(&r, RTA_PRIORITY, 10);
	rtnl_add_ip(&r, RTA_PREFSRC, "10.9.9.1");
	CHECK_EQ(rtnl_do(&r), 0);
	check_way("10.5.1.1", RTN_UNICAST, "10.9.9.1");
	r = route_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "10.5.1.0", 24);
	rtnl_add_u32(&r, RTA_OIF, LO);
	rtnl_add_ip(&r, RTA_PREFSRC, "10.9.9.2");
	CHECK_EQ(rtnl_do(&r), 0);
	check_way("10.5.1.1", RTN_UNICAST, "10.9.9.2");
	check_way("10.5.2.1", RTN_UNICAST, "10.9.9.1");
	/* an address that is none of ours is not sent from */
	r = route_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "10.6.0.0", 16);
	rtnl_add_u32(&r, RTA_OIF, LO);
	rtnl_add_ip(&r, RTA_PREFSRC, "10.9.9.9");
	CHECK_EQ(rtnl_do(&r), EINVAL);
}

static void check_event(int fd, int type)
{
	CHECK_EQ(rtnl_answer(fd)->nlmsg_type, type);
}

TEST(changes_are_told)
{
	struct rtnl_request r;
	int addresses, routes;

	own_loopback();
	addresses = rtnl_socket(RTMGRP_IPV4_IFADDR);
	routes = rtnl_socket(RTMGRP_IPV4_ROUTE);
	CHECK_EQ(add_address("10.9.9.1", 32), 0);
	check_event(addresses, RTM_NEWADDR);
	check_event(routes, RTM_NEWROUTE);
	CHECK_EQ(add_route("10.5.0.0", 16), 0);
	check_event(routes, RTM_NEWROUTE);
	r = route_request(RTM_DELROUTE, 0, "10.5.0.0", 16);
	CHECK_EQ(rtnl_do(&r), 0);
	check_event(routes, RTM_DELROUTE);
	r = address_request(RTM_DELADDR, 0, "10.9.9.1", 32);
	CHECK_EQ(rtnl_do(&r), 0);
	check_event(addresses, RTM_DELADDR);
	check_event(routes, RTM_DELROUTE);
}

TEST(settings_are_of_a_network)
{
	const char *path = "/proc/sys/net/ipv4/ip_default_ttl";
	FILE *f;

	own_network();
	CHECK_STR(line_of(path), "64");
	f = fopen(path, "we");
	CHECK(f != NULL);
	CHECK(fprintf(f, "70\n") == 3);
	CHECK_EQ(fclose(f), 0);
	CHECK_STR(line_of(path), "70");
	own_network();
	CHECK_STR(line_of(path), "64");
	CHECK_STR(line_of("/proc/sys/net/ipv4/ip_local_port_range"), "32768\t60999");
}
