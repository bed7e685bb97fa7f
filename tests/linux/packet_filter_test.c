/* SPDX-License-Identifier: MIT */
/* AF_PACKET: options and filters, packet(7), socket(7). */
#include "packet.h"

#include <linux/filter.h>
#include <net/if_arp.h>

/* -- options */

TEST(memberships_make_devices_promiscuous)
{
	struct packet_mreq mr = { .mr_ifindex = LO, .mr_type = PACKET_MR_PROMISC };
	int fd, other;

	own_loopback();
	fd = packet_socket(SOCK_RAW, 0);
	other = packet_socket(SOCK_RAW, 0);
	CHECK_OK(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mr, sizeof(mr)));
	CHECK_OK(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mr, sizeof(mr)));
	CHECK_OK(setsockopt(other, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mr, sizeof(mr)));
	/* it is, but that is not what this call is about */
	CHECK_EQ(flags_of("lo") & IFF_PROMISC, 0);
	CHECK_OK(setsockopt(fd, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &mr, sizeof(mr)));
	CHECK_OK(setsockopt(fd, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &mr, sizeof(mr)));
	CHECK_OK(setsockopt(fd, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &mr, sizeof(mr)));
	mr.mr_type = PACKET_MR_ALLMULTI;
	CHECK_OK(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mr, sizeof(mr)));
	mr = (struct packet_mreq){ .mr_ifindex = LO, .mr_type = PACKET_MR_MULTICAST, .mr_alen = 6,
				   .mr_address = { 1, 0, 0x5e, 0, 0, 1 } };
	CHECK_OK(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mr, sizeof(mr)));
	mr.mr_alen = 7;
	CHECK_ERRNO(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mr, sizeof(mr)), EINVAL);
	mr.mr_alen = 6;
	mr.mr_type = 99;		/* means nothing, and is remembered */
	CHECK_OK(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mr, sizeof(mr)));
	mr.mr_type = PACKET_MR_MULTICAST;
	mr.mr_ifindex = 99;
	CHECK_ERRNO(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mr, sizeof(mr)), ENODEV);
	CHECK_ERRNO(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mr, 8), EINVAL);
}

TEST(unknown_options_are_refused)
{
	int fd, v = 1;
	socklen_t len = sizeof(v);

	own_network();
	fd = packet_socket(SOCK_RAW, 0);
	CHECK_ERRNO(setsockopt(fd, SOL_PACKET, 99, &v, sizeof(v)), ENOPROTOOPT);
	CHECK_ERRNO(getsockopt(fd, SOL_PACKET, 99, &v, &len), ENOPROTOOPT);
	CHECK_ERRNO(setsockopt(fd, 1234, 1, &v, sizeof(v)), ENOPROTOOPT);
	CHECK_ERRNO(getsockopt(fd, 1234, 1, &v, &len), ENOPROTOOPT);
	CHECK_ERRNO(setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &v, 1), EINVAL);
}

/* -- filters */

static void attach(int fd, struct sock_filter *insns, unsigned short n)
{
	struct sock_fprog prog = { n, insns };

	CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)));
}

TEST(filters_choose_and_cut_frames)
{
	struct sock_filter byte[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 20),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 5, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 30),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct frame got;
	int in, out;

	own_loopback();
	in = packet_socket(SOCK_RAW, TEST_PROTOCOL);
	out = sender();
	attach(in, byte, 4);
	send_frame(out, TEST_PROTOCOL, 4, 50);
	send_frame(out, TEST_PROTOCOL, 5, 50);
	send_frame(out, TEST_PROTOCOL, 5, 3);	/* the byte is not there */
	CHECK_EQ(recv(in, &got, sizeof(got), 0), 30);
	CHECK_EQ(got.payload[0], 5);
	CHECK_ERRNO(recv(in, &got, sizeof(got), MSG_DONTWAIT), EAGAIN);
	CHECK_OK(setsockopt(in, SOL_SOCKET, SO_DETACH_FILTER, NULL, 0) == 0 ? 0 :
		 setsockopt(in, SOL_SOCKET, SO_DETACH_FILTER, &in, sizeof(in)));
	send_frame(out, TEST_PROTOCOL, 4, 50);
	CHECK_EQ(recv(in, &got, sizeof(got), 0), 64);
	CHECK_ERRNO(setsockopt(in, SOL_SOCKET, SO_DETACH_FILTER, &in, sizeof(in)), ENOENT);
}

TEST(filters_ask_for_more_than_bytes)
{
	struct sock_filter facts[] = {
		/* the protocol, and the device, are what they have to be */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TEST_PROTOCOL, 0, 13),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_IFINDEX)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, LO, 0, 11),
		/* the link's header is there, also where the socket does not see it */
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (uint32_t)(SKF_LL_OFF + 12)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TEST_PROTOCOL, 0, 9),
		/* 0x45 & 0xf is 5 words: X = 20 */
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, (uint32_t)SKF_NET_OFF),
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x4545, 0, 6),
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 7),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 50 % 7, 0, 3),
		BPF_STMT(BPF_ST, 3),
		BPF_STMT(BPF_LD | BPF_MEM, 3),
		BPF_STMT(BPF_RET | BPF_K, 0xffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct frame got;
	int in, out;

	own_loopback();
	in = packet_socket(SOCK_DGRAM, ETH_P_ALL);
	attach(in, facts, sizeof(facts) / sizeof(facts[0]));
	out = sender();
	send_frame(out, TEST_PROTOCOL, 0x44, 50);
	send_frame(out, TEST_PROTOCOL + 1, 0x45, 50);
	send_frame(out, TEST_PROTOCOL, 0x45, 50);
	CHECK_EQ(recv(in, &got, sizeof(got), 0), 50);	/* going out */
	CHECK_EQ(recv(in, &got, sizeof(got), 0), 50);	/* coming in */
	CHECK_ERRNO(recv(in, &got, sizeof(got), MSG_DONTWAIT), EAGAIN);
}

TEST(filters_are_checked)
{
	struct sock_filter all[] = { BPF_STMT(BPF_RET | BPF_K, 0xffff) };
	struct sock_filter endless[] = { BPF_STMT(BPF_LD | BPF_IMM, 0) };
	struct sock_filter beyond[] = {
		BPF_JUMP(BPF_JMP | BPF_JA, 5, 0, 0), BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_filter unset[] = { BPF_STMT(BPF_LD | BPF_MEM, 1), BPF_STMT(BPF_RET | BPF_A, 0) };
	struct sock_filter zero[] = {
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 0), BPF_STMT(BPF_RET | BPF_A, 0),
	};
	struct sock_fprog bad[] = {
		{ 0, all }, { 1, NULL }, { 1, endless }, { 2, beyond }, { 2, unset }, { 2, zero },
		{ 60000, all },
	};
	struct sock_fprog good = { 1, all };
	int fd, on = 1, off = 0;

	own_network();
	fd = packet_socket(SOCK_RAW, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &bad[i], sizeof(bad[i])), EINVAL);
	CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &good, 8), EINVAL);
	CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &good, sizeof(good)));
	CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on)));
	CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &off, sizeof(off)), EPERM);
	CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &good, sizeof(good)), EPERM);
	CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &on, sizeof(on)), EPERM);
}
