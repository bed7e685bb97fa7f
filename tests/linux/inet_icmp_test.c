/* SPDX-License-Identifier: MIT */
/*
 * ICMP for IPv4 (icmp(7)): what is answered, and what is not.  Packets of somebody who is not there come by lo,
 * to which the answers go, too.
 */
#include "packet.h"
#include "rtnl.h"

#include <netinet/ip.h>
#include <netinet/ip_icmp.h>

#define THEM	"10.9.9.1"
#define US	"10.9.9.2"
#define DATA	56

struct ip_packet {
	struct iphdr ip;
	struct icmphdr icmp;
	uint8_t data[1400];
} __attribute__((packed));

static uint16_t sum(const void *data, size_t n)
{
	const uint8_t *p = data;
	uint32_t s = 0;

	for (size_t i = 0; i + 1 < n; i += 2)
		s += (uint32_t)(p[i] << 8 | p[i + 1]);
	if (n % 2)
		s += (uint32_t)p[n - 1] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return htons((uint16_t)~s);
}

/* We have an address, and somebody who has none of ours a route. */
static int begin(void)
{
	int fd;

	own_loopback();
	CHECK_EQ(add_address(US, 32), 0);
	CHECK_EQ(add_route(THEM, 32), 0);
	fd = packet_socket(SOCK_RAW, ETH_P_IP);
	bind_to(fd, LO, ETH_P_IP);
	return fd;
}

static struct ip_packet echo_request(uint16_t seq, size_t n)
{
	struct ip_packet p = {
		.ip = { .version = 4, .ihl = 5, .ttl = 9, .protocol = IPPROTO_ICMP, .id = htons(seq),
			.tot_len = htons((uint16_t)(sizeof(p.ip) + sizeof(p.icmp) + n)),
			.saddr = inet_addr(THEM), .daddr = inet_addr(US) },
		.icmp = { .type = ICMP_ECHO, .un.echo = { .id = htons(77), .sequence = htons(seq) } },
	};

	for (size_t i = 0; i < n; i++)
		p.data[i] = (uint8_t)(i * 3 + seq);
	p.ip.check = sum(&p.ip, sizeof(p.ip));
	p.icmp.checksum = sum(&p.icmp, sizeof(p.icmp) + n);
	return p;
}

static void send_ip(const void *packet, size_t n)
{
	struct frame f;
	int fd = sender();

	make_frame(&f, ETH_P_IP, 0);
	memcpy(f.payload, packet, n);
	CHECK_EQ(send(fd, &f, sizeof(f.header) + n, 0), sizeof(f.header) + n);
	close(fd);
}

/* The next packet that this machine sent to them: bytes of IP. */
static size_t next_answer(int fd, struct ip_packet *p)
{
	for (;;) {
		struct frame f;
		ssize_t n = recv(fd, &f, sizeof(f), 0);

		CHECK(n > 0);
		if (n <= (ssize_t)(sizeof(f.header) + sizeof(p->ip)))
			continue;	/* a broken one of our own */
		n -= (ssize_t)sizeof(f.header);
		memcpy(p, f.payload, (size_t)n);
		if (p->ip.daddr == inet_addr(THEM))
			return (size_t)n;
	}
}

static void check_sums(const struct ip_packet *p, size_t n)
{
	CHECK_EQ(sum(&p->ip, p->ip.ihl * 4u), 0);
	CHECK_EQ(sum((const uint8_t *)p + p->ip.ihl * 4u, n - p->ip.ihl * 4u), 0);
}

static void check_reply(int fd, const struct ip_packet *to, size_t n)
{
	struct ip_packet p;

	CHECK_EQ(next_answer(fd, &p), sizeof(p.ip) + sizeof(p.icmp) + n);
	check_sums(&p, sizeof(p.ip) + sizeof(p.icmp) + n);
	CHECK_EQ(p.ip.saddr, inet_addr(US));
	CHECK_EQ(p.ip.ttl, 64);
	CHECK_EQ(p.ip.tos, to->ip.tos);
	CHECK_EQ(p.icmp.type, ICMP_ECHOREPLY);
	CHECK_EQ(p.icmp.code, 0);
	CHECK_EQ(p.icmp.un.echo.id, htons(77));
	CHECK_EQ(p.icmp.un.echo.sequence, to->icmp.un.echo.sequence);
	CHECK(memcmp(p.data, to->data, n) == 0);
}

/* The next answer is that to a question which is asked now: there was none to what came before. */
static void check_silence(int fd, uint16_t seq)
{
	struct ip_packet p = echo_request(seq, DATA);

	send_ip(&p, sizeof(p.ip) + sizeof(p.icmp) + DATA);
	check_reply(fd, &p, DATA);
}

TEST(echo_is_answered)
{
	int fd = begin();

	for (uint16_t i = 1; i < 4; i++) {
		struct ip_packet p = echo_request(i, DATA * i);

		send_ip(&p, sizeof(p.ip) + sizeof(p.icmp) + DATA * i);
		check_reply(fd, &p, DATA * i);
	}
}

TEST(broken_packets_are_not_answered)
{
	const size_t n = sizeof(struct iphdr) + sizeof(struct icmphdr) + DATA;
	struct ip_packet p;
	int fd = begin();

	p = echo_request(1, DATA);
	p.ip.check ^= 1;
	send_ip(&p, n);
	p = echo_request(1, DATA);
	p.icmp.checksum ^= 1;
	send_ip(&p, n);
	p = echo_request(1, DATA);
	send_ip(&p, n - 1);		/* shorter than it says */
	p = echo_request(1, DATA);
	p.ip.check = 0;
	p.ip.version = 5;
	p.ip.check = sum(&p.ip, sizeof(p.ip));
	send_ip(&p, n);
	p = echo_request(1, DATA);
	p.ip.check = 0;
	p.ip.ihl = 4;
	p.ip.check = sum(&p.ip, 16);
	send_ip(&p, n);
	send_ip(&p, 5);
	p = echo_request(1, DATA);
	p.ip.check = 0;
	p.ip.daddr = inet_addr("10.77.77.77");	/* somebody else's */
	p.ip.check = sum(&p.ip, sizeof(p.ip));
	send_ip(&p, n);
	p = echo_request(1, DATA);
	p.ip.check = 0;
	p.ip.saddr = inet_addr("224.0.0.9");
	p.ip.check = sum(&p.ip, sizeof(p.ip));
	send_ip(&p, n);
	check_silence(fd, 2);
	/* what lies behind the packet is no part of it */
	p = echo_request(3, DATA);
	send_ip(&p, n + 9);
	check_reply(fd, &p, DATA);
}

TEST(unknown_protocols_are_refused)
{
	const size_t n = sizeof(struct iphdr) + sizeof(struct icmphdr) + DATA;
	struct ip_packet p, e;
	int fd = begin();

	p = echo_request(1, DATA);
	p.ip.check = 0;
	p.ip.protocol = 253;		/* RFC 3692 */
	p.ip.check = sum(&p.ip, sizeof(p.ip));
	send_ip(&p, n);
	CHECK_EQ(next_answer(fd, &e), sizeof(e.ip) + sizeof(e.icmp) + n);
	check_sums(&e, sizeof(e.ip) + sizeof(e.icmp) + n);
	CHECK_EQ(e.ip.tos, 0xc0);
	CHECK_EQ(e.icmp.type, ICMP_DEST_UNREACH);
	CHECK_EQ(e.icmp.code, ICMP_PROT_UNREACH);
	CHECK(memcmp(e.data, &p, n) == 0);
	/* but not a piece that is not the first, and nothing about an error */
	p.ip.check = 0;
	p.ip.frag_off = htons(8);
	p.ip.check = sum(&p.ip, sizeof(p.ip));
	send_ip(&p, n);
	p = echo_request(2, DATA);
	p.icmp.type = ICMP_DEST_UNREACH;
	p.icmp.checksum = 0;
	p.icmp.checksum = sum(&p.icmp, sizeof(p.icmp) + DATA);
	send_ip(&p, n);
	check_silence(fd, 3);
}

TEST(broken_options_are_complained_about)
{
	struct ip_packet p = echo_request(1, DATA), e;
	const size_t n = sizeof(struct iphdr) + sizeof(struct icmphdr) + DATA;
	uint8_t raw[sizeof(p)];
	int fd = begin();

	/* a record of the route whose pointer lies in front of it */
	p.ip.ihl = 7;
	p.ip.tot_len = htons((uint16_t)(n + 8));
	p.ip.check = 0;
	memcpy(raw, &p, sizeof(p.ip));
	memcpy(raw + 20, "\x01\x07\x07\x02\x00\x00\x00\x00", 8);
	memcpy(raw + 28, &p.icmp, sizeof(p.icmp) + DATA);
	((struct iphdr *)raw)->check = sum(raw, 28);
	send_ip(raw, n + 8);
	next_answer(fd, &e);
	CHECK_EQ(e.icmp.type, ICMP_PARAMETERPROB);
	CHECK_EQ(ntohl(e.icmp.un.gateway) >> 24, 23);
	check_silence(fd, 2);
}

static void send_piece(const struct ip_packet *whole, size_t from, size_t n, bool more)
{
	struct ip_packet p = *whole;

	memcpy(&p.icmp, (const uint8_t *)&whole->icmp + from, n);
	p.ip.tot_len = htons((uint16_t)(sizeof(p.ip) + n));
	p.ip.frag_off = htons((uint16_t)(from / 8 | (more ? 0x2000 : 0)));
	p.ip.check = 0;
	p.ip.check = sum(&p.ip, sizeof(p.ip));
	send_ip(&p, sizeof(p.ip) + n);
}

TEST(pieces_are_put_together)
{
	struct ip_packet p = echo_request(1, 232);	/* 240 bytes with ICMP's header */
	int fd = begin();

	send_piece(&p, 0, 80, true);
	send_piece(&p, 80, 80, true);
	send_piece(&p, 160, 80, false);
	check_reply(fd, &p, 232);
	p = echo_request(2, 232);
	send_piece(&p, 160, 80, false);
	send_piece(&p, 160, 80, false);	/* once more */
	send_piece(&p, 80, 80, true);
	send_piece(&p, 0, 80, true);
	check_reply(fd, &p, 232);
	/* those that overlap go, and so do ones that are no multiple of 8 */
	p = echo_request(3, 232);
	send_piece(&p, 0, 88, true);
	send_piece(&p, 80, 80, true);
	send_piece(&p, 160, 80, false);
	check_silence(fd, 4);
}
