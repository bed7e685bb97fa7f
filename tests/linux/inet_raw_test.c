/* SPDX-License-Identifier: MIT */
/* Raw sockets (raw(7)) and ping sockets (icmp(7)). */
#include "inet.h"

#include <grp.h>
#include <linux/icmp.h>
#include <linux/ip.h>
#include <linux/udp.h>

#ifndef SOL_RAW
#define SOL_RAW	255
#endif

static uint16_t sum_of(const void *data, size_t len)
{
	const uint8_t *at = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? (uint32_t)at[i] << 8 : at[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void send_echo(int fd, uint16_t id, uint16_t seq, const char *text)
{
	struct { struct icmphdr h; char data[4]; } m = {
		.h = { .type = ICMP_ECHO, .un.echo = { .id = htons(id), .sequence = htons(seq) } },
		.data = "data",
	};

	m.h.checksum = sum_of(&m, sizeof(m));
	CHECK_EQ(try_send_to(fd, &m, sizeof(m), text, 0), sizeof(m));
}

TEST(raw_sockets_are_for_root)
{
	CHECK_ROOT();
	CHECK_ERRNO(socket(AF_INET, SOCK_RAW, 0), EPROTONOSUPPORT);
	CHECK_OK(setresuid(1000, 1000, 1000));
	CHECK_ERRNO(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), EPERM);
}

/* Packets with their IP header: the next ICMP message of a type. */
static const struct icmphdr *next_icmp(int fd, struct received *r, uint8_t type)
{
	const struct icmphdr *icmp;
	const struct iphdr *ip = (const struct iphdr *)r->data;

	do {
		CHECK(receive(fd, r, MSG_DONTWAIT) >= (ssize_t)(sizeof(*ip) + sizeof(*icmp)));
		icmp = (const struct icmphdr *)(r->data + ip->ihl * 4);
	} while (icmp->type != type);
	return icmp;
}

TEST(raw_socket_sees_question_and_answer)
{
	const struct icmphdr *icmp;
	const struct iphdr *ip;
	struct received r;
	int fd;

	own_loopback();
	fd = inet_socket(SOCK_RAW, IPPROTO_ICMP);
	CHECK_EQ(port_of(fd), IPPROTO_ICMP);
	send_echo(fd, 77, 1, "127.0.0.1");
	icmp = next_icmp(fd, &r, ICMP_ECHO);
	CHECK_EQ(ntohs(icmp->un.echo.id), 77);
	icmp = next_icmp(fd, &r, ICMP_ECHOREPLY);
	CHECK_EQ(ntohs(icmp->un.echo.id), 77);
	CHECK_EQ(r.len, 32);
	ip = (const struct iphdr *)r.data;
	CHECK_EQ(ip->version, 4);
	CHECK_EQ(ip->protocol, IPPROTO_ICMP);
	CHECK_EQ(ntohs(ip->tot_len), 32);
	CHECK_EQ(sum_of(ip, ip->ihl * 4), 0);
	CHECK_EQ(sum_of(icmp, 12), 0);
	CHECK_EQ(ntohl(r.from.sin_addr.s_addr), INADDR_LOOPBACK);
	CHECK_EQ(r.from.sin_port, 0);
	CHECK_ERRNO(receive(fd, &r, MSG_DONTWAIT), EAGAIN);
}

TEST(filter_of_types)
{
	struct icmp_filter f = { .data = ~(1u << ICMP_ECHOREPLY) }, back = { 0 };
	socklen_t len = sizeof(back);
	struct received r;
	int fd, other;

	own_loopback();
	fd = inet_socket(SOCK_RAW, IPPROTO_ICMP);
	CHECK_OK(setsockopt(fd, SOL_RAW, ICMP_FILTER, &f, sizeof(f)));
	CHECK_OK(getsockopt(fd, SOL_RAW, ICMP_FILTER, &back, &len));
	CHECK_EQ(back.data, f.data);
	send_echo(fd, 5, 6, "127.0.0.1");
	CHECK_EQ(receive(fd, &r, MSG_DONTWAIT), 32);
	CHECK_EQ(r.data[20], ICMP_ECHOREPLY);
	CHECK_ERRNO(receive(fd, &r, MSG_DONTWAIT), EAGAIN);
	other = inet_socket(SOCK_RAW, IPPROTO_UDP);
	CHECK_ERRNO(setsockopt(other, SOL_RAW, ICMP_FILTER, &f, sizeof(f)), EOPNOTSUPP);
}

TEST(address_and_peer_select)
{
	struct received r;
	int one, two, from;

	own_loopback();
	one = inet_socket(SOCK_RAW, 254);
	two = inet_socket(SOCK_RAW, 254);
	from = inet_socket(SOCK_RAW, 254);
	CHECK_OK(try_bind(from, "127.0.0.8", 0));
	CHECK_OK(try_bind(one, "127.0.0.1", 0));
	CHECK_OK(try_bind(one, "127.0.0.2", 0));
	CHECK_OK(try_connect(two, "127.0.0.9", 0));
	CHECK_EQ(try_send_to(from, "to 2", 4, "127.0.0.2", 0), 4);
	CHECK_EQ(receive(one, &r, MSG_DONTWAIT), 24);
	CHECK_ERRNO(receive(two, &r, MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(try_send_to(from, "to 1", 4, "127.0.0.1", 0), 4);
	CHECK_ERRNO(receive(one, &r, MSG_DONTWAIT), EAGAIN);
	CHECK_OK(try_bind(from, "127.0.0.9", 0));
	CHECK_EQ(try_send_to(from, "to 1", 4, "127.0.0.1", 0), 4);
	CHECK_EQ(receive(two, &r, MSG_DONTWAIT), 24);
}

TEST(own_header_is_sent)
{
	struct {
		struct iphdr ip;
		struct udphdr udp;
		char data[4];
	} m = {
		.ip = { .version = 4, .ihl = 5, .ttl = 33, .protocol = IPPROTO_UDP, .tos = 0x10 },
		.udp = { .len = htons(12) }, .data = "data",
	};
	int fd, to, *ttl;
	struct received r;

	own_loopback();
	fd = inet_socket(SOCK_RAW, IPPROTO_RAW);
	CHECK_EQ(get_int(fd, IPPROTO_IP, IP_HDRINCL), 1);
	to = udp_at("127.0.0.1");
	set_int(to, IPPROTO_IP, IP_RECVTTL, 1);
	m.udp.dest = htons((uint16_t)port_of(to));
	m.udp.source = htons(1234);
	m.ip.daddr = htonl(INADDR_LOOPBACK);
	CHECK_EQ(try_send_to(fd, &m, sizeof(m), "127.0.0.1", 0), sizeof(m));
	CHECK_EQ(receive(to, &r, MSG_DONTWAIT), 4);
	CHECK_EQ(ntohs(r.from.sin_port), 1234);
	ttl = control_of(&r, IPPROTO_IP, IP_TTL, sizeof(*ttl));
	CHECK(ttl != NULL && *ttl == 33);
	CHECK_ERRNO(try_send_to(fd, &m, 19, "127.0.0.1", 0), EINVAL);
	m.ip.ihl = 15;
	CHECK_ERRNO(try_send_to(fd, &m, sizeof(m), "127.0.0.1", 0), EINVAL);
}

TEST(raw_datagrams_of_udp_are_copies)
{
	struct received r;
	int raw, to, from;

	own_loopback();
	raw = inet_socket(SOCK_RAW, IPPROTO_UDP);
	to = udp_at("127.0.0.1");
	from = udp_at("127.0.0.1");
	CHECK_EQ(try_send_to(from, "copy", 4, "127.0.0.1", port_of(to)), 4);
	CHECK_EQ(receive(to, &r, MSG_DONTWAIT), 4);
	CHECK_EQ(receive(raw, &r, MSG_DONTWAIT), 32);
	CHECK(memcmp(r.data + 28, "copy", 4) == 0);
}

/* Ping sockets are for the groups of a range, which is nobody's at first. */
static int ping_socket(void)
{
	FILE *f;

	own_loopback();
	CHECK_ERRNO(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), EACCES);
	f = fopen("/proc/sys/net/ipv4/ping_group_range", "we");
	CHECK(f && fprintf(f, "0 1000") > 0 && fclose(f) == 0);
	return inet_socket(SOCK_DGRAM, IPPROTO_ICMP);
}

TEST(ping_socket_has_an_identifier)
{
	const struct icmphdr *icmp;
	struct received r;
	int fd = ping_socket();

	send_echo(fd, 1, 7, "127.0.0.1");
	CHECK(port_of(fd) != 0);
	CHECK_EQ(receive(fd, &r, 0), 12);
	icmp = (const struct icmphdr *)r.data;
	CHECK_EQ(icmp->type, ICMP_ECHOREPLY);
	CHECK_EQ(ntohs(icmp->un.echo.id), port_of(fd));
	CHECK_EQ(ntohs(icmp->un.echo.sequence), 7);
	CHECK(memcmp(r.data + 8, "data", 4) == 0);
	CHECK_EQ(ntohl(r.from.sin_addr.s_addr), INADDR_LOOPBACK);
}

TEST(ping_socket_sends_questions_only)
{
	struct icmphdr m = { .type = ICMP_ECHOREPLY };
	int fd = ping_socket();

	CHECK_ERRNO(try_send_to(fd, &m, sizeof(m), "127.0.0.1", 0), EINVAL);
	m.type = ICMP_ECHO;
	m.code = 1;
	CHECK_ERRNO(try_send_to(fd, &m, sizeof(m), "127.0.0.1", 0), EINVAL);
	m.code = 0;
	CHECK_ERRNO(try_send_to(fd, &m, 7, "127.0.0.1", 0), EINVAL);
	CHECK_EQ(try_send_to(fd, &m, 8, "127.0.0.1", 0), 8);
}

TEST(identifiers_are_shared_unless_said_otherwise)
{
	int a = ping_socket(), b = inet_socket(SOCK_DGRAM, IPPROTO_ICMP);
	int c = inet_socket(SOCK_DGRAM, IPPROTO_ICMP);

	CHECK_OK(try_bind(a, "0.0.0.0", 4242));
	CHECK_EQ(port_of(a), 4242);
	CHECK_EQ(get_int(a, SOL_SOCKET, SO_REUSEADDR), 1);
	CHECK_OK(try_bind(c, "127.0.0.1", 4242));
	set_int(b, SOL_SOCKET, SO_REUSEADDR, 0);
	CHECK_ERRNO(try_bind(b, "127.0.0.1", 4242), EADDRINUSE);
	CHECK_OK(try_bind(b, "127.0.0.1", 4243));
}

TEST(ping_group_range_is_looked_at)
{
	gid_t groups[] = { 5000, 1000 };
	int fd = ping_socket();

	close(fd);
	CHECK_OK(setgroups(0, NULL));
	CHECK_OK(setresgid(5001, 5001, 5001));
	CHECK_ERRNO(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), EACCES);
	CHECK_OK(setgroups(2, groups));
	CHECK_OK(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
}

TEST(empty_packets_are_sent)
{
	struct received r;
	int fd;

	own_loopback();
	fd = inet_socket(SOCK_RAW, 253);
	CHECK_EQ(try_send_to(fd, "", 0, "127.0.0.1", 0), 0);
	CHECK_EQ(receive(fd, &r, MSG_DONTWAIT), 20);
}
