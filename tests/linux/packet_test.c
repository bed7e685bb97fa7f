/* SPDX-License-Identifier: MIT */
/* AF_PACKET: frames, packet(7). */
#include "packet.h"

#include <net/if_arp.h>

/* -- making and binding */

TEST(sockets_need_a_capability)
{
	own_network();
	CHECK_ERRNO(socket(AF_PACKET, SOCK_STREAM, 0), ESOCKTNOSUPPORT);
	CHECK_ERRNO(socket(AF_PACKET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
	CHECK_OK(setresuid(65534, 65534, 65534));
	CHECK_ERRNO(socket(AF_PACKET, SOCK_RAW, 0), EPERM);
	CHECK_ERRNO(socket(AF_PACKET, SOCK_DGRAM, 0), EPERM);
	CHECK_ERRNO(socket(AF_PACKET, SOCK_STREAM, 0), EPERM);
}

TEST(packet_sockets_do_not_connect)
{
	struct sockaddr_ll a = address(LO, ETH_P_ALL);
	int fd, sv[2];

	own_loopback();
	fd = packet_socket(SOCK_RAW, ETH_P_ALL);
	CHECK_ERRNO(connect(fd, (struct sockaddr *)&a, sizeof(a)), EOPNOTSUPP);
	CHECK_ERRNO(listen(fd, 1), EOPNOTSUPP);
	CHECK_ERRNO(accept(fd, NULL, NULL), EOPNOTSUPP);
	CHECK_ERRNO(shutdown(fd, SHUT_RDWR), EOPNOTSUPP);
	CHECK_ERRNO(socketpair(AF_PACKET, SOCK_RAW, 0, sv), EOPNOTSUPP);
}

TEST(bind_names_a_device_and_a_protocol)
{
	struct sockaddr_ll a = address(99, ETH_P_ALL), got;
	socklen_t len = sizeof(got);
	int fd;

	own_loopback();
	fd = packet_socket(SOCK_DGRAM, 0);
	CHECK_OK(getsockname(fd, (struct sockaddr *)&got, &len));
	CHECK_EQ(len, 12);
	CHECK_EQ(got.sll_ifindex, 0);
	CHECK_EQ(got.sll_protocol, 0);
	CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a)), ENODEV);
	a.sll_ifindex = LO;
	CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, 10), EINVAL);
	a.sll_family = AF_UNIX;
	CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a)), EINVAL);
	a.sll_family = AF_PACKET;
	CHECK_OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	len = sizeof(got);
	CHECK_OK(getsockname(fd, (struct sockaddr *)&got, &len));
	CHECK_EQ(len, 18);
	CHECK_EQ(got.sll_family, AF_PACKET);
	CHECK_EQ(got.sll_ifindex, LO);
	CHECK_EQ(ntohs(got.sll_protocol), ETH_P_ALL);
	CHECK_EQ(got.sll_hatype, ARPHRD_LOOPBACK);
	CHECK_EQ(got.sll_halen, 6);
	/* without a protocol: the one that it has */
	bind_to(fd, 0, 0);
	len = sizeof(got);
	CHECK_OK(getsockname(fd, (struct sockaddr *)&got, &len));
	CHECK_EQ(got.sll_ifindex, 0);
	CHECK_EQ(ntohs(got.sll_protocol), ETH_P_ALL);
	CHECK_ERRNO(getpeername(fd, (struct sockaddr *)&got, &len), EOPNOTSUPP);
}

/* -- frames */

TEST(frames_come_back_from_the_loopback)
{
	struct frame f, got;
	struct sockaddr_ll from;
	socklen_t len = sizeof(from);
	int in, out;

	own_loopback();
	in = packet_socket(SOCK_RAW, TEST_PROTOCOL);
	out = sender();
	make_frame(&f, TEST_PROTOCOL, 0x5a);
	CHECK_EQ(send(out, &f, 114, 0), 114);
	memset(&from, 0xff, sizeof(from));
	CHECK_EQ(recvfrom(in, &got, sizeof(got), 0, (struct sockaddr *)&from, &len), 114);
	CHECK(memcmp(&f, &got, 114) == 0);
	CHECK_EQ(len, sizeof(from));
	CHECK_EQ(from.sll_family, AF_PACKET);
	CHECK_EQ(ntohs(from.sll_protocol), TEST_PROTOCOL);
	CHECK_EQ(from.sll_ifindex, LO);
	CHECK_EQ(from.sll_hatype, ARPHRD_LOOPBACK);
	CHECK_EQ(from.sll_pkttype, PACKET_HOST);
	CHECK_EQ(from.sll_halen, 6);
	CHECK_EQ(from.sll_addr[5], 7);
	/* lo has passed it on once: nothing that goes out is for a protocol's socket */
	CHECK_ERRNO(recv(in, &got, sizeof(got), MSG_DONTWAIT), EAGAIN);
}

TEST(all_protocols_are_seen_going_out_and_coming_in)
{
	struct sockaddr_ll from;
	socklen_t len = sizeof(from);
	struct frame got;
	int in, out;

	own_loopback();
	in = packet_socket(SOCK_RAW, ETH_P_ALL);
	out = sender();
	send_frame(out, TEST_PROTOCOL, 1, 50);
	CHECK_EQ(recvfrom(in, &got, sizeof(got), 0, (struct sockaddr *)&from, &len), 64);
	CHECK_EQ(from.sll_pkttype, PACKET_OUTGOING);
	CHECK_EQ(ntohs(from.sll_protocol), TEST_PROTOCOL);
	CHECK_EQ(got.payload[0], 1);
	CHECK_EQ(recvfrom(in, &got, sizeof(got), 0, (struct sockaddr *)&from, &len), 64);
	CHECK_EQ(from.sll_pkttype, PACKET_HOST);
}

TEST(senders_do_not_see_their_own_frames_go_out)
{
	struct sockaddr_ll from;
	socklen_t len = sizeof(from);
	struct frame got;
	int fd;

	own_loopback();
	fd = packet_socket(SOCK_RAW, ETH_P_ALL);
	bind_to(fd, LO, ETH_P_ALL);
	send_frame(fd, TEST_PROTOCOL, 1, 50);
	CHECK_EQ(recvfrom(fd, &got, sizeof(got), 0, (struct sockaddr *)&from, &len), 64);
	CHECK_EQ(from.sll_pkttype, PACKET_HOST);
	CHECK_ERRNO(recv(fd, &got, sizeof(got), MSG_DONTWAIT), EAGAIN);
}

TEST(outgoing_frames_can_be_ignored)
{
	struct sockaddr_ll from;
	socklen_t len = sizeof(from);
	struct frame got;
	int in, out, on = 1;

	own_loopback();
	in = packet_socket(SOCK_RAW, ETH_P_ALL);
	CHECK_OK(setsockopt(in, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)));
	out = sender();
	send_frame(out, TEST_PROTOCOL, 1, 50);
	CHECK_EQ(recvfrom(in, &got, sizeof(got), 0, (struct sockaddr *)&from, &len), 64);
	CHECK_EQ(from.sll_pkttype, PACKET_HOST);
	on = 2;
	CHECK_ERRNO(setsockopt(in, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)), EINVAL);
}

TEST(sockets_see_their_protocol_only)
{
	int in, out;

	own_loopback();
	in = packet_socket(SOCK_RAW, TEST_PROTOCOL);
	out = sender();
	send_frame(out, TEST_PROTOCOL + 1, 1, 20);
	send_frame(out, TEST_PROTOCOL, 2, 20);
	CHECK_EQ(next_fill(in, 0), 2);
	/* one without a protocol sees nothing until it is bound to one */
	in = packet_socket(SOCK_RAW, 0);
	send_frame(out, TEST_PROTOCOL, 3, 20);
	bind_to(in, 0, TEST_PROTOCOL);
	send_frame(out, TEST_PROTOCOL, 4, 20);
	CHECK_EQ(next_fill(in, 0), 4);
}

TEST(datagram_sockets_leave_the_header_out)
{
	struct sockaddr_ll to, from;
	socklen_t len = sizeof(from);
	uint8_t text[100], got[200];
	struct frame whole;
	int in, out, raw;

	own_loopback();
	in = packet_socket(SOCK_DGRAM, TEST_PROTOCOL);
	raw = packet_socket(SOCK_RAW, TEST_PROTOCOL);
	out = packet_socket(SOCK_DGRAM, 0);
	to = address(LO, TEST_PROTOCOL);
	memcpy(to.sll_addr, "\1\2\3\4\5\6", 6);
	memset(text, 0x77, sizeof(text));
	CHECK_EQ(sendto(out, text, 100, 0, (struct sockaddr *)&to, sizeof(to)), 100);
	CHECK_EQ(recvfrom(in, got, sizeof(got), 0, (struct sockaddr *)&from, &len), 100);
	CHECK(memcmp(text, got, 100) == 0);
	CHECK_EQ(from.sll_pkttype, PACKET_MULTICAST);
	CHECK_EQ(ntohs(from.sll_protocol), TEST_PROTOCOL);
	CHECK_EQ(recv(raw, &whole, sizeof(whole), 0), 114);
	CHECK(memcmp(whole.header.h_dest, "\1\2\3\4\5\6", 6) == 0);
	CHECK(memcmp(whole.header.h_source, "\0\0\0\0\0\0", 6) == 0);
	CHECK_EQ(ntohs(whole.header.h_proto), TEST_PROTOCOL);
	CHECK(memcmp(whole.payload, text, 100) == 0);
	memcpy(to.sll_addr, "\2\2\3\4\5\6", 6);
	CHECK_EQ(sendto(out, text, 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	CHECK_EQ(recvfrom(in, got, sizeof(got), 0, (struct sockaddr *)&from, &len), 1);
	CHECK_EQ(from.sll_pkttype, PACKET_OTHERHOST);
	/* bound, without an address: to nobody, which is us */
	bind_to(out, LO, TEST_PROTOCOL);
	CHECK_EQ(send(out, text, 0, 0), 0);	/* nothing is to be seen of that */
	CHECK_EQ(send(out, text, 2, 0), 2);
	CHECK_EQ(recvfrom(in, got, sizeof(got), 0, (struct sockaddr *)&from, &len), 2);
	CHECK_EQ(from.sll_pkttype, PACKET_HOST);
}

TEST(sends_are_checked)
{
	static char big[70000];
	struct sockaddr_ll a = address(LO, TEST_PROTOCOL);
	int fd;

	own_network();
	fd = packet_socket(SOCK_RAW, 0);
	CHECK_ERRNO(send(fd, big, 60, 0), ENXIO);
	CHECK_ERRNO(sendto(fd, big, 60, 0, (struct sockaddr *)&a, sizeof(a)), ENETDOWN);
	CHECK_ERRNO(sendto(fd, big, 60, 0, (struct sockaddr *)&a, 10), EINVAL);
	a.sll_ifindex = 99;
	CHECK_ERRNO(sendto(fd, big, 60, 0, (struct sockaddr *)&a, sizeof(a)), ENXIO);
	set_flags("lo", IFF_UP);
	a.sll_ifindex = LO;
	CHECK_ERRNO(sendto(fd, big, 13, 0, (struct sockaddr *)&a, sizeof(a)), EINVAL);
	CHECK_EQ(sendto(fd, big, 14, 0, (struct sockaddr *)&a, sizeof(a)), 14);
	CHECK_EQ(sendto(fd, big, 65550, 0, (struct sockaddr *)&a, sizeof(a)), 65550);
	CHECK_ERRNO(sendto(fd, big, 65551, 0, (struct sockaddr *)&a, sizeof(a)), EMSGSIZE);
	CHECK_ERRNO(sendto(fd, big, sizeof(big), 0, (struct sockaddr *)&a, sizeof(a)), EMSGSIZE);
	CHECK_ERRNO(sendto(fd, (void *)8, 60, 0, (struct sockaddr *)&a, sizeof(a)), EFAULT);
}

TEST(large_frames_arrive_whole)
{
	static uint8_t sent[65550], got[70000];
	int in, out;

	own_loopback();
	in = packet_socket(SOCK_RAW, TEST_PROTOCOL);
	out = sender();
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 7 + i / 251);
	memset(sent, 0, 12);
	sent[12] = TEST_PROTOCOL >> 8;
	sent[13] = TEST_PROTOCOL & 0xff;
	CHECK_EQ(send(out, sent, sizeof(sent), 0), sizeof(sent));
	CHECK_EQ(recv(in, got, sizeof(got), 0), sizeof(sent));
	CHECK(memcmp(sent, got, sizeof(sent)) == 0);
}

TEST(frames_of_802_3_have_protocols_of_their_own)
{
	struct frame f;
	int llc, raw, out;

	own_loopback();
	llc = packet_socket(SOCK_RAW, ETH_P_802_2);
	raw = packet_socket(SOCK_RAW, ETH_P_802_3);
	out = sender();
	send_frame(out, 100, 0x42, 100);
	send_frame(out, 101, 0xff, 101);
	CHECK_EQ(next_fill(llc, 0), 0x42);
	CHECK_EQ(recv(raw, &f, sizeof(f), 0), 115);
	CHECK_EQ(f.payload[0], 0xff);
	CHECK_EQ(next_fill(llc, MSG_DONTWAIT), 0);
}

/* -- receiving */

TEST(receives_peek_and_truncate)
{
	struct frame got;
	struct iovec v = { &got, 20 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	int in, out, n;

	own_loopback();
	in = packet_socket(SOCK_RAW, TEST_PROTOCOL);
	out = sender();
	CHECK_ERRNO(recv(in, &got, sizeof(got), MSG_DONTWAIT), EAGAIN);
	send_frame(out, TEST_PROTOCOL, 1, 50);
	send_frame(out, TEST_PROTOCOL, 2, 60);
	CHECK_EQ(recv(in, &got, sizeof(got), MSG_PEEK), 64);
	CHECK_OK(ioctl(in, FIONREAD, &n));
	CHECK_EQ(n, 64);
	CHECK_EQ(recv(in, &got, 20, MSG_PEEK | MSG_TRUNC), 64);
	CHECK_EQ(recvmsg(in, &m, 0), 20);
	CHECK_EQ(m.msg_flags & MSG_TRUNC, MSG_TRUNC);
	CHECK_EQ(recvmsg(in, &m, MSG_TRUNC), 74);
	CHECK_ERRNO(recv(in, &got, sizeof(got), MSG_DONTWAIT), EAGAIN);
	CHECK_ERRNO(recv(in, &got, sizeof(got), MSG_OOB), EINVAL);
	CHECK_ERRNO(recv(in, &got, sizeof(got), MSG_ERRQUEUE), EAGAIN);
}

TEST(waits_end_with_a_frame_or_the_timeout)
{
	struct timeval limit = { .tv_usec = 20000 };
	struct pollfd p = { .events = POLLIN | POLLOUT };
	int in, out, status;
	pid_t pid;

	own_loopback();
	in = packet_socket(SOCK_RAW, TEST_PROTOCOL);
	out = sender();
	p.fd = in;
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLOUT);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		_exit(next_fill(in, 0));
	send_frame(out, TEST_PROTOCOL, 9, 50);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(WEXITSTATUS(status), 9);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		p.events = POLLIN;
		_exit(poll(&p, 1, 10000) == 1 && p.revents == POLLIN ? next_fill(in, MSG_DONTWAIT) : 99);
	}
	send_frame(out, TEST_PROTOCOL, 8, 50);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(WEXITSTATUS(status), 8);
	CHECK_OK(setsockopt(in, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	CHECK_EQ(next_fill(in, 0), 0);
}

TEST(full_queues_drop_and_count)
{
	struct tpacket_stats st;
	socklen_t len = sizeof(st);
	unsigned int got = 0;
	int in, out, size = 1;

	own_loopback();
	in = packet_socket(SOCK_RAW, TEST_PROTOCOL);
	CHECK_OK(setsockopt(in, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)));
	out = sender();
	for (int i = 0; i < 100; i++)
		send_frame(out, TEST_PROTOCOL, 1, 1000);
	while (next_fill(in, MSG_DONTWAIT))
		got++;
	CHECK(got >= 1 && got < 100);
	CHECK_OK(getsockopt(in, SOL_PACKET, PACKET_STATISTICS, &st, &len));
	CHECK_EQ(len, sizeof(st));
	CHECK_EQ(st.tp_packets, 100);
	CHECK_EQ(st.tp_drops, 100 - got);
	/* asking has reset them */
	CHECK_OK(getsockopt(in, SOL_PACKET, PACKET_STATISTICS, &st, &len));
	CHECK_EQ(st.tp_packets, 0);
	CHECK_EQ(st.tp_drops, 0);
	send_frame(out, TEST_PROTOCOL, 2, 1000);
	CHECK_EQ(next_fill(in, 0), 2);
}

static const struct cmsghdr *find_cmsg(struct msghdr *m, int level, int type)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == level && c->cmsg_type == type)
			return c;
	return NULL;
}

TEST(control_messages_tell_of_a_frame)
{
	struct frame got;
	char control[256];
	struct iovec v = { &got, 40 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	const struct tpacket_auxdata *aux;
	const struct cmsghdr *c;
	struct timespec before, after;
	const struct timeval *tv;
	int in, out, on = 1;
	socklen_t len = sizeof(on);

	own_loopback();
	in = packet_socket(SOCK_RAW, TEST_PROTOCOL);
	CHECK_OK(setsockopt(in, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)));
	CHECK_OK(setsockopt(in, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof(on)));
	CHECK_OK(setsockopt(in, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on)));
	on = 0;
	CHECK_OK(getsockopt(in, SOL_PACKET, PACKET_AUXDATA, &on, &len));
	CHECK_EQ(on, 1);
	CHECK_OK(getsockopt(in, SOL_SOCKET, SO_TIMESTAMP, &on, &len));
	CHECK_EQ(on, 1);
	out = sender();
	clock_gettime(CLOCK_REALTIME, &before);
	send_frame(out, TEST_PROTOCOL, 1, 100);
	CHECK_EQ(recvmsg(in, &m, 0), 40);
	clock_gettime(CLOCK_REALTIME, &after);
	c = find_cmsg(&m, SOL_PACKET, PACKET_AUXDATA);
	CHECK(c != NULL);
	CHECK_EQ(c->cmsg_len, CMSG_LEN(sizeof(*aux)));
	aux = (const void *)CMSG_DATA(c);
	CHECK_EQ(aux->tp_status & TP_STATUS_USER, TP_STATUS_USER);
	CHECK_EQ(aux->tp_len, 114);
	CHECK_EQ(aux->tp_snaplen, 114);
	CHECK_EQ(aux->tp_mac, 0);
	CHECK_EQ(aux->tp_net, 14);
	c = find_cmsg(&m, SOL_SOCKET, SO_TIMESTAMP);
	CHECK(c != NULL);
	CHECK_EQ(c->cmsg_len, CMSG_LEN(sizeof(*tv)));
	tv = (const void *)CMSG_DATA(c);
	CHECK(tv->tv_sec >= before.tv_sec && tv->tv_sec <= after.tv_sec);
	CHECK(tv->tv_usec >= 0 && tv->tv_usec < 1000000);
	/* there is no room for all of them */
	send_frame(out, TEST_PROTOCOL, 1, 100);
	m.msg_controllen = CMSG_LEN(sizeof(*tv));
	CHECK_EQ(recvmsg(in, &m, 0), 40);
	CHECK_EQ(m.msg_flags, MSG_TRUNC | MSG_CTRUNC);
}

TEST(devices_that_go_down_are_told_of)
{
	struct frame got;
	int in, any, out, err;
	socklen_t len = sizeof(err);

	own_network();
	in = packet_socket(SOCK_RAW, TEST_PROTOCOL);
	any = packet_socket(SOCK_RAW, TEST_PROTOCOL);
	bind_to(in, LO, TEST_PROTOCOL);
	CHECK_ERRNO(recv(in, &got, sizeof(got), MSG_DONTWAIT), ENETDOWN);
	CHECK_ERRNO(recv(in, &got, sizeof(got), MSG_DONTWAIT), EAGAIN);
	set_flags("lo", IFF_UP);
	out = sender();
	send_frame(out, TEST_PROTOCOL, 1, 50);
	set_flags("lo", 0);
	CHECK_ERRNO(send(out, &got, 60, 0), ENETDOWN);
	CHECK_OK(getsockopt(in, SOL_SOCKET, SO_ERROR, &err, &len));
	CHECK_EQ(err, ENETDOWN);
	CHECK_EQ(next_fill(in, MSG_DONTWAIT), 1);
	CHECK_EQ(next_fill(any, MSG_DONTWAIT), 1);
	CHECK_EQ(next_fill(any, MSG_DONTWAIT), 0);
	/* up again: they go on */
	set_flags("lo", IFF_UP);
	send_frame(out, TEST_PROTOCOL, 2, 50);
	CHECK_EQ(next_fill(in, 0), 2);
	CHECK_EQ(next_fill(any, 0), 2);
}
/* -- what files show */

TEST(proc_lists_packet_sockets)
{
	char text[256];
	int fd, type, device, running;
	unsigned int proto, rmem, user;
	FILE *f;

	own_loopback();
	fd = packet_socket(SOCK_DGRAM, TEST_PROTOCOL);
	bind_to(fd, LO, TEST_PROTOCOL);
	f = fopen("/proc/net/packet", "re");
	CHECK(f != NULL);
	CHECK(fgets(text, sizeof(text), f));
	CHECK_STR(text, "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n");
	CHECK(fgets(text, sizeof(text), f));
	CHECK_EQ(sscanf(text, "%*s %*d %d %x %d %d %u %u", &type, &proto, &device, &running, &rmem, &user), 6);
	CHECK_EQ(type, SOCK_DGRAM);
	CHECK_EQ(proto, TEST_PROTOCOL);
	CHECK_EQ(device, LO);
	CHECK_EQ(running, 1);
	CHECK_EQ(rmem, 0);
	CHECK_EQ(user, 0);
	CHECK(!fgets(text, sizeof(text), f));
	fclose(f);
}

TEST(loopback_counts_frames_without_their_header)
{
	unsigned long long n[10];
	char text[256];
	int in, out;
	FILE *f;

	own_loopback();
	in = packet_socket(SOCK_RAW, TEST_PROTOCOL);
	out = sender();
	send_frame(out, TEST_PROTOCOL, 1, 100);
	CHECK_EQ(next_fill(in, 0), 1);
	f = fopen("/proc/net/dev", "re");
	CHECK(f != NULL);
	for (int i = 0; i < 3; i++)
		CHECK(fgets(text, sizeof(text), f));
	fclose(f);
	CHECK_EQ(sscanf(text, " lo: %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu", &n[0], &n[1],
			&n[2], &n[3], &n[4], &n[5], &n[6], &n[7], &n[8], &n[9]), 10);
	CHECK_EQ(n[0], 100);
	CHECK_EQ(n[1], 1);
	CHECK_EQ(n[8], 100);
	CHECK_EQ(n[9], 1);
}

/* -- many at once */

TEST(frames_of_many_senders_arrive_in_order)
{
	enum { SENDERS = 4, EACH = 200 };
	unsigned int next[SENDERS] = { 0 };
	int in, size = 1 << 20;
	pid_t pid[SENDERS];

	own_loopback();
	in = packet_socket(SOCK_RAW, TEST_PROTOCOL);
	CHECK_OK(setsockopt(in, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)));
	for (int i = 0; i < SENDERS; i++) {
		pid[i] = fork();
		CHECK(pid[i] >= 0);
		if (!pid[i]) {
			int out = sender();
			struct frame f;

			make_frame(&f, TEST_PROTOCOL, 0);
			for (unsigned int k = 0; k < EACH; k++) {
				f.payload[0] = (uint8_t)i;
				memcpy(f.payload + 1, &k, sizeof(k));
				if (send(out, &f, 64, 0) != 64)
					_exit(1);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < SENDERS * EACH; i++) {
		unsigned int k;
		struct frame f;

		CHECK_EQ(recv(in, &f, sizeof(f), 0), 64);
		CHECK(f.payload[0] < SENDERS);
		memcpy(&k, f.payload + 1, sizeof(k));
		CHECK_EQ(k, next[f.payload[0]]);
		next[f.payload[0]]++;
	}
	for (int i = 0; i < SENDERS; i++)
		harness_reap(pid[i], __FILE_NAME__, __LINE__);
}
