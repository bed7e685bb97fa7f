/* SPDX-License-Identifier: MIT */
/*
 * Programs of the classic packet filter machine.  Those of seccomp(2) see some bytes of data as words
 * of 32 bits, those of sockets see a packet (socket(7), SO_ATTACH_FILTER); they answer with a number.
 */
#pragma once

#include <linux/filter.h>

#include "lx/types.h"

#define BPF_MAX_INSNS 4096u

/*
 * May @insns run?  Afterwards it ends after at most @n steps, on every way, and reads nothing
 * outside of its data and nothing of its memory that it has not written: true.
 */
bool bpf_check(const struct sock_filter *insns, unsigned int n, unsigned int data_size);

/* The answer of a checked program on @data. */
uint32_t bpf_run(const struct sock_filter *insns, const uint32_t *data, unsigned int data_size);

/*
 * The same for programs that see packets: they may ask for anything, and end with 0 at what is not
 * there.  Of the places beyond a packet (SKF_AD_*) those that bpf_packet_fact() knows are allowed.
 */
bool bpf_check_packet(const struct sock_filter *insns, unsigned int n);

struct bpf_packet {
	const void *packet;
	uint32_t len;
	/*
	 * @n bytes (1, 2 or 4) at @off, which is a place in the packet, or from SKF_NET_OFF or SKF_LL_OFF
	 * on as a signed number.  False: they are not there.
	 */
	bool (*read)(const void *packet, uint32_t off, void *buf, uint32_t n);
	/* What SKF_AD_* number @fact says of the packet: one that bpf_check_packet() allows. */
	uint32_t (*fact)(const void *packet, uint32_t fact);
};
uint32_t bpf_run_packet(const struct sock_filter *insns, const struct bpf_packet *p);
