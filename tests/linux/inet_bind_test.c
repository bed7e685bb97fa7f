/* SPDX-License-Identifier: MIT */
/*
 * Local addresses and ports of AF_INET sockets: who may have which, who shares, who gets what
 * arrives.
 */
#include "inet.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

TEST(addresses_to_bind_are_checked)
{
	struct sockaddr_in a = address_of("127.0.0.1", 0);
	int fd = inet_socket(SOCK_DGRAM, 0);

	CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a) - 1), EINVAL);
	a.sin_family = AF_UNIX;
	CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a)), EAFNOSUPPORT);
	a.sin_family = AF_UNSPEC;
	CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a)), EAFNOSUPPORT);
	CHECK_ERRNO(try_bind(fd, "198.51.100.1", 0), EADDRNOTAVAIL);
	a.sin_addr.s_addr = 0;
	CHECK_OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));	/* any, of no family */
	CHECK(port_of(fd) != 0);
	CHECK_ERRNO(try_bind(fd, "127.0.0.1", 0), EINVAL);	/* it has a port already */
}

TEST(foreign_addresses_with_freebind)
{
	int fd = inet_socket(SOCK_DGRAM, 0);

	set_int(fd, IPPROTO_IP, IP_FREEBIND, 1);
	CHECK_OK(try_bind(fd, "198.51.100.1", 0));
	CHECK_EQ(ntohl(name_of(fd).sin_addr.s_addr), 0xc6336401);
}

TEST(low_ports_are_for_root)
{
	int fd = inet_socket(SOCK_DGRAM, 0), start = atoi(line_of("/proc/sys/net/ipv4/ip_unprivileged_port_start"));

	CHECK_ROOT();
	if (start < 2)
		SKIP("every port is for everybody");
	own_loopback();
	fd = inet_socket(SOCK_DGRAM, 0);
	CHECK_OK(setresuid(1000, 1000, 1000));
	CHECK_ERRNO(try_bind(fd, "127.0.0.1", 1), EACCES);
	CHECK_OK(try_bind(fd, "127.0.0.1", 1024));
}

TEST(ports_are_of_the_range_and_different)
{
	int port[64], low = 0, high = 0;
	FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");

	CHECK(f && fscanf(f, "%d %d", &low, &high) == 2);
	fclose(f);
	for (int i = 0; i < 64; i++) {
		port[i] = port_of(udp_at("127.0.0.1"));
		CHECK(port[i] >= low && port[i] <= high);
		for (int j = 0; j < i; j++)
			CHECK(port[i] != port[j]);
	}
}

/* Bind two sockets to one port: 0 or the second one's errno. */
static int bind_two(int options, const char *first, const char *second)
{
	int a = inet_socket(SOCK_DGRAM, 0), b = inet_socket(SOCK_DGRAM, 0), ret;

	set_int(a, SOL_SOCKET, SO_REUSEADDR, options & 1);
	set_int(b, SOL_SOCKET, SO_REUSEADDR, options >> 1 & 1);
	set_int(a, SOL_SOCKET, SO_REUSEPORT, options >> 2 & 1);
	set_int(b, SOL_SOCKET, SO_REUSEPORT, options >> 3 & 1);
	CHECK_OK(try_bind(a, first, 0));
	ret = try_bind(b, second, port_of(a)) ? errno : 0;
	close(a);
	close(b);
	return ret;
}

#define REUSEADDR_FIRST	1
#define REUSEADDR_BOTH	3
#define REUSEPORT_SECOND 8
#define REUSEPORT_BOTH	12

TEST(ports_are_shared_by_agreement)
{
	CHECK_EQ(bind_two(0, "127.0.0.1", "127.0.0.1"), EADDRINUSE);
	CHECK_EQ(bind_two(0, "127.0.0.1", "127.0.0.2"), 0);
	CHECK_EQ(bind_two(0, "0.0.0.0", "127.0.0.2"), EADDRINUSE);
	CHECK_EQ(bind_two(0, "127.0.0.1", "0.0.0.0"), EADDRINUSE);
	CHECK_EQ(bind_two(REUSEADDR_FIRST, "127.0.0.1", "127.0.0.1"), EADDRINUSE);
	CHECK_EQ(bind_two(REUSEADDR_BOTH, "127.0.0.1", "127.0.0.1"), 0);
	CHECK_EQ(bind_two(REUSEADDR_BOTH, "0.0.0.0", "127.0.0.1"), 0);
	CHECK_EQ(bind_two(REUSEPORT_SECOND, "127.0.0.1", "127.0.0.1"), EADDRINUSE);
	CHECK_EQ(bind_two(REUSEPORT_BOTH, "127.0.0.1", "127.0.0.1"), 0);
	CHECK_EQ(bind_two(REUSEPORT_BOTH, "0.0.0.0", "127.0.0.1"), 0);
}

TEST(shared_ports_are_of_one_user)
{
	int a = inet_socket(SOCK_DGRAM, 0), port;

	CHECK_ROOT();
	set_int(a, SOL_SOCKET, SO_REUSEPORT, 1);
	CHECK_OK(try_bind(a, "127.0.0.1", 0));
	port = port_of(a);
	CHECK_OK(setresuid(1000, 1000, 1000));
	a = inet_socket(SOCK_DGRAM, 0);
	set_int(a, SOL_SOCKET, SO_REUSEPORT, 1);
	CHECK_ERRNO(try_bind(a, "127.0.0.1", port), EADDRINUSE);
}

TEST(port_is_free_after_close)
{
	int a = udp_at("127.0.0.1"), port = port_of(a), b = inet_socket(SOCK_DGRAM, 0);

	CHECK_ERRNO(try_bind(b, "127.0.0.1", port), EADDRINUSE);
	close(a);
	CHECK_OK(try_bind(b, "127.0.0.1", port));
}

TEST(the_best_fit_receives)
{
	int any = inet_socket(SOCK_DGRAM, 0), one = inet_socket(SOCK_DGRAM, 0);
	int peer = inet_socket(SOCK_DGRAM, 0);
	int from = udp_at("127.0.0.1"), other = udp_at("127.0.0.1"), port;
	char data[8];

	set_int(any, SOL_SOCKET, SO_REUSEADDR, 1);
	set_int(one, SOL_SOCKET, SO_REUSEADDR, 1);
	set_int(peer, SOL_SOCKET, SO_REUSEADDR, 1);
	CHECK_OK(try_bind(peer, "127.0.0.1", 0));
	port = port_of(peer);
	CHECK_OK(try_connect(peer, "127.0.0.1", port_of(from)));
	CHECK_OK(try_bind(one, "127.0.0.1", port));
	CHECK_OK(try_bind(any, "0.0.0.0", port));
	CHECK_EQ(try_send_to(from, "1", 1, "127.0.0.1", port), 1);
	CHECK_EQ(recv(peer, data, sizeof(data), MSG_DONTWAIT), 1);
	CHECK_EQ(try_send_to(other, "2", 1, "127.0.0.1", port), 1);
	CHECK_EQ(recv(one, data, sizeof(data), MSG_DONTWAIT), 1);
	CHECK_EQ(try_send_to(other, "3", 1, "127.0.0.2", port), 1);
	CHECK_EQ(recv(any, data, sizeof(data), MSG_DONTWAIT), 1);
}

TEST(group_of_a_port_shares_by_sender)
{
	int fd[4], from[64], count[4] = { 0 }, with = 0, port = 0;
	char data[8];

	for (int i = 0; i < 4; i++) {
		fd[i] = inet_socket(SOCK_DGRAM, 0);
		set_int(fd[i], SOL_SOCKET, SO_REUSEPORT, 1);
		CHECK_OK(try_bind(fd[i], "127.0.0.1", port));
		port = port_of(fd[0]);
	}
	for (int i = 0; i < 64; i++) {
		from[i] = udp_at("127.0.0.1");
		CHECK_EQ(try_send_to(from[i], "a", 1, "127.0.0.1", port), 1);
		CHECK_EQ(try_send_to(from[i], "b", 1, "127.0.0.1", port), 1);
	}
	for (int i = 0; i < 4; i++) {
		while (recv(fd[i], data, sizeof(data), MSG_DONTWAIT) == 1)
			count[i]++;
		CHECK_EQ(count[i] % 2, 0);	/* both of one sender go to one socket */
		with += count[i] > 0;
	}
	CHECK_EQ(count[0] + count[1] + count[2] + count[3], 128);
	CHECK(with >= 2);
}

TEST(sockets_of_a_device)
{
	int fd = inet_socket(SOCK_DGRAM, 0), from = udp_at("127.0.0.1");
	char name[IFNAMSIZ] = "";
	socklen_t len = sizeof(name);
	char data[8];

	CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len));
	CHECK_EQ(len, 0);
	CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "nothing0", 9), ENODEV);
	CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	len = sizeof(name);
	CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len));
	CHECK_EQ(len, 3);
	CHECK_STR(name, "lo");
	CHECK_EQ(get_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX), if_nametoindex("lo"));
	CHECK_OK(try_bind(fd, "0.0.0.0", 0));
	CHECK_EQ(try_send_to(from, "x", 1, "127.0.0.1", port_of(fd)), 1);
	CHECK_EQ(recv(fd, data, sizeof(data), MSG_DONTWAIT), 1);
	CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "", 0));
}

TEST(address_without_a_port)
{
	int fd = inet_socket(SOCK_DGRAM, 0), to = udp_at("127.0.0.1");

	set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	CHECK_OK(try_bind(fd, "127.0.0.5", 0));
	CHECK_EQ(port_of(fd), 0);
	CHECK_OK(try_connect(fd, "127.0.0.1", port_of(to)));
	CHECK(port_of(fd) != 0);
	CHECK_EQ(ntohl(name_of(fd).sin_addr.s_addr), INADDR_LOOPBACK + 4);
}

static struct ip_mreqn group_on(const char *device)
{
	return (struct ip_mreqn){
		.imr_multiaddr.s_addr = htonl(0xe0000164), .imr_ifindex = (int)if_nametoindex(device),
	};
}

TEST(members_of_a_group_all_receive)
{
	struct ip_mreqn group = group_on("lo");
	int a = inet_socket(SOCK_DGRAM, 0), b = inet_socket(SOCK_DGRAM, 0);
	int from = udp_at("127.0.0.1"), port;
	char data[8];

	set_int(a, SOL_SOCKET, SO_REUSEADDR, 1);
	set_int(b, SOL_SOCKET, SO_REUSEADDR, 1);
	CHECK_OK(try_bind(a, "0.0.0.0", 0));
	port = port_of(a);
	CHECK_OK(try_bind(b, "224.0.1.100", port));
	CHECK_OK(setsockopt(from, IPPROTO_IP, IP_MULTICAST_IF, &group, sizeof(group)));
	CHECK_OK(setsockopt(a, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)));
	CHECK_ERRNO(setsockopt(a, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)),
		    EADDRINUSE);
	CHECK_OK(setsockopt(b, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)));
	CHECK_EQ(try_send_to(from, "all", 3, "224.0.1.100", port), 3);
	CHECK_EQ(recv(a, data, sizeof(data), MSG_DONTWAIT), 3);
	CHECK_EQ(recv(b, data, sizeof(data), MSG_DONTWAIT), 3);
	CHECK_ERRNO(recv(a, data, sizeof(data), MSG_DONTWAIT), EAGAIN);
	/* who left it, and wants none but its own groups, hears no more */
	CHECK_OK(setsockopt(a, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof(group)));
	CHECK_ERRNO(setsockopt(a, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof(group)),
		    EADDRNOTAVAIL);
	set_int(a, IPPROTO_IP, IP_MULTICAST_ALL, 0);
	CHECK_EQ(try_send_to(from, "b", 1, "224.0.1.100", port), 1);
	CHECK_ERRNO(recv(a, data, sizeof(data), MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(recv(b, data, sizeof(data), MSG_DONTWAIT), 1);
}

TEST(groups_are_checked)
{
	struct ip_mreqn group = group_on("lo");
	int fd = inet_socket(SOCK_DGRAM, 0);

	CHECK_ERRNO(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, 4), EINVAL);
	group.imr_ifindex = 12345;
	CHECK_ERRNO(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)), ENODEV);
	CHECK_ERRNO(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &group, sizeof(group)),
		    EADDRNOTAVAIL);
	group = group_on("lo");
	group.imr_multiaddr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK_ERRNO(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)), EINVAL);
	CHECK_ERRNO(try_int(fd, IPPROTO_IP, IP_MULTICAST_TTL, 256), EINVAL);
	set_int(fd, IPPROTO_IP, IP_MULTICAST_TTL, -1);
	CHECK_EQ(get_int(fd, IPPROTO_IP, IP_MULTICAST_TTL), 1);
}

TEST(sockets_are_listed)
{
	int fd = udp_at("127.0.0.1"), found = 0;
	FILE *f = fopen("/proc/net/udp", "re");
	char line[256], want[32];
	struct stat st;

	CHECK(f != NULL);
	CHECK_OK(fstat(fd, &st));
	snprintf(want, sizeof(want), "0100007F:%04X 00000000:0000 07", (unsigned int)port_of(fd));
	while (fgets(line, sizeof(line), f)) {
		unsigned long inode;

		CHECK_EQ(strlen(line), 128);
		if (!strstr(line, want))
			continue;
		found++;
		CHECK(sscanf(line, "%*d: %*s %*s %*s %*s %*s %*s %*d %*d %lu", &inode) == 1);
		CHECK_EQ(inode, st.st_ino);
	}
	CHECK_EQ(found, 1);
}

/* The socket of UDP with this local port in the list of NETLINK_SOCK_DIAG; false: it has none. */
static bool find_by_netlink(int port, struct inet_diag_msg *out)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 q;
	} request = {
		.h = { sizeof(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1, 0 },
		.q = { .sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_UDP,
			.idiag_states = ~0u },
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	static char data[32768] __attribute__((aligned(8)));
	bool found = false;

	CHECK_OK(fd);
	CHECK_EQ(send(fd, &request, sizeof(request), 0), sizeof(request));
	for (;;) {
		ssize_t n = recv(fd, data, sizeof(data), 0);

		CHECK(n > 0);
		for (struct nlmsghdr *h = (struct nlmsghdr *)data; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			struct inet_diag_msg *m = NLMSG_DATA(h);

			if (h->nlmsg_type == NLMSG_DONE) {
				close(fd);
				return found;
			}
			if (h->nlmsg_type == NLMSG_ERROR)
				SKIP("this Linux cannot list sockets of UDP");
			CHECK_EQ(h->nlmsg_type, SOCK_DIAG_BY_FAMILY);
			CHECK_EQ(m->idiag_family, AF_INET);
			if (ntohs(m->id.idiag_sport) == port && !found) {
				*out = *m;
				found = true;
			}
		}
	}
}

TEST(sockets_are_listed_by_netlink)
{
	struct inet_diag_msg m;
	struct stat st;
	int fd, many[200];

	own_loopback();
	fd = udp_at("0.0.0.0");		/* so nobody else has its port */
	for (int i = 0; i < 200; i++)
		many[i] = udp_at("127.0.0.1");
	CHECK_OK(fstat(fd, &st));
	CHECK(find_by_netlink(port_of(fd), &m));
	CHECK_EQ(m.id.idiag_src[0], 0);
	CHECK_EQ(m.idiag_state, 7);
	CHECK_EQ(m.idiag_inode, st.st_ino);
	CHECK_EQ(m.idiag_uid, 0);
	CHECK_EQ(m.idiag_rqueue, 0);
	for (int i = 0; i < 200; i++)
		CHECK(i % 50 || find_by_netlink(port_of(many[i]), &m));
	CHECK_OK(try_connect(many[0], "127.0.0.3", port_of(fd)));
	CHECK_EQ(send(many[0], "x", 1, 0), 1);
	CHECK(find_by_netlink(port_of(fd), &m));
	CHECK(m.idiag_rqueue > 0);
	CHECK(find_by_netlink(port_of(many[0]), &m));
	CHECK_EQ(m.idiag_state, 1);
	CHECK_EQ(ntohs(m.id.idiag_dport), port_of(fd));
}
