/* SPDX-License-Identifier: MIT */
/*
 * The classic packet filter machine: an accumulator A, an index register X, sixteen words of
 * memory, jumps forwards only.  What Linux accepts for seccomp, and what it refuses, is in the
 * manual page of seccomp(2) and its kernel's documentation of "socket filters"; the tests found
 * out the rest.
 *
 * The check makes the interpreter's bounds unnecessary:
 *   (1) jumps stay within the program and go forwards, and the last instruction returns;
 *   (2) loads are aligned words of the data (of packets: whatever their owner finds there);
 *   (3) a word of memory is written before it is read, whichever way led there.
 */
#include "sys/bpf.h"

#include "base/byteorder.h"

#define OP(insn)	((insn)->code)

/* -- checking ----------------------------------------------------------------------------- */

static bool jump_ok(const struct sock_filter *insn, unsigned int pc, unsigned int n)
{
	if (BPF_OP(OP(insn)) == BPF_JA)
		return insn->k < n - pc - 1;
	return pc + insn->jt + 1 < n && pc + insn->jf + 1 < n;
}

/* Facts of packets that there are: those of VLANs are 0, since tags stay in the packet here. */
static bool fact_ok(uint32_t fact)
{
	switch (fact) {
	case SKF_AD_PROTOCOL:
	case SKF_AD_PKTTYPE:
	case SKF_AD_IFINDEX:
	case SKF_AD_MARK:
	case SKF_AD_QUEUE:
	case SKF_AD_HATYPE:
	case SKF_AD_RXHASH:
	case SKF_AD_VLAN_TAG:
	case SKF_AD_VLAN_TAG_PRESENT:
	case SKF_AD_VLAN_TPID:
		return true;
	}
	return false;
}

/* Loads of the data, besides words at fixed places. */
static bool packet_load_ok(const struct sock_filter *insn)
{
	switch (OP(insn)) {
	case BPF_LD | BPF_W | BPF_ABS:
	case BPF_LD | BPF_H | BPF_ABS:
	case BPF_LD | BPF_B | BPF_ABS:
		return insn->k < (uint32_t)SKF_AD_OFF || fact_ok(insn->k - (uint32_t)SKF_AD_OFF);
	case BPF_LD | BPF_W | BPF_IND:
	case BPF_LD | BPF_H | BPF_IND:
	case BPF_LD | BPF_B | BPF_IND:
	case BPF_LDX | BPF_B | BPF_MSH:
	case BPF_ALU | BPF_MOD | BPF_X:
		return true;
	case BPF_ALU | BPF_MOD | BPF_K:
		return insn->k != 0;
	}
	return false;
}

#define PACKET 0u			/* as a size of data: it is a packet */

/* One instruction by itself. */
static bool insn_ok(const struct sock_filter *insn, unsigned int pc, unsigned int n,
		    unsigned int data_size)
{
	if (data_size == PACKET && packet_load_ok(insn))
		return true;
	switch (OP(insn)) {
	case BPF_LD | BPF_W | BPF_ABS:
		return insn->k < data_size && !(insn->k & 3);
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_W | BPF_LEN:
	case BPF_LD | BPF_IMM:
	case BPF_LDX | BPF_IMM:
	case BPF_MISC | BPF_TAX:
	case BPF_MISC | BPF_TXA:
	case BPF_RET | BPF_K:
	case BPF_RET | BPF_A:
	case BPF_ALU | BPF_ADD | BPF_K:
	case BPF_ALU | BPF_ADD | BPF_X:
	case BPF_ALU | BPF_SUB | BPF_K:
	case BPF_ALU | BPF_SUB | BPF_X:
	case BPF_ALU | BPF_MUL | BPF_K:
	case BPF_ALU | BPF_MUL | BPF_X:
	case BPF_ALU | BPF_DIV | BPF_X:
	case BPF_ALU | BPF_AND | BPF_K:
	case BPF_ALU | BPF_AND | BPF_X:
	case BPF_ALU | BPF_OR | BPF_K:
	case BPF_ALU | BPF_OR | BPF_X:
	case BPF_ALU | BPF_XOR | BPF_K:
	case BPF_ALU | BPF_XOR | BPF_X:
	case BPF_ALU | BPF_LSH | BPF_X:
	case BPF_ALU | BPF_RSH | BPF_X:
	case BPF_ALU | BPF_NEG:
		return true;
	case BPF_ALU | BPF_DIV | BPF_K:
		return insn->k != 0;
	case BPF_ALU | BPF_LSH | BPF_K:
	case BPF_ALU | BPF_RSH | BPF_K:
		return insn->k < 32;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
		return insn->k < BPF_MEMWORDS;
	case BPF_JMP | BPF_JA:
	case BPF_JMP | BPF_JEQ | BPF_K:
	case BPF_JMP | BPF_JEQ | BPF_X:
	case BPF_JMP | BPF_JGE | BPF_K:
	case BPF_JMP | BPF_JGE | BPF_X:
	case BPF_JMP | BPF_JGT | BPF_K:
	case BPF_JMP | BPF_JGT | BPF_X:
	case BPF_JMP | BPF_JSET | BPF_K:
	case BPF_JMP | BPF_JSET | BPF_X:
		return jump_ok(insn, pc, n);
	}
	return false;
}

/*
 * Invariant (3): @written[pc] has the words that every way to pc found so far has written.  Jumps
 * go forwards, so that all of them are known when pc is reached.
 */
static bool memory_ok(const struct sock_filter *insns, unsigned int n, uint16_t *written)
{
	uint16_t now = 0;		/* nothing, at the start */

	for (unsigned int pc = 0; pc < n; pc++)
		written[pc] = UINT16_MAX;
	for (unsigned int pc = 0; pc < n; pc++) {
		const struct sock_filter *insn = &insns[pc];

		now &= written[pc];
		switch (OP(insn)) {
		case BPF_ST:
		case BPF_STX:
			now |= (uint16_t)(1u << insn->k);
			break;
		case BPF_LD | BPF_MEM:
		case BPF_LDX | BPF_MEM:
			if (!(now & 1u << insn->k))
				return false;
			break;
		default:
			if (BPF_CLASS(OP(insn)) != BPF_JMP)
				break;
			if (BPF_OP(OP(insn)) == BPF_JA) {
				written[pc + 1 + insn->k] &= now;
			} else {
				written[pc + 1 + insn->jt] &= now;
				written[pc + 1 + insn->jf] &= now;
			}
			now = UINT16_MAX;	/* nobody comes from here to the next one */
			break;
		}
	}
	return true;
}

static bool check(const struct sock_filter *insns, unsigned int n, unsigned int data_size)
{
	uint16_t *written;
	bool ok;

	for (unsigned int pc = 0; pc < n; pc++)
		if (!insn_ok(&insns[pc], pc, n, data_size))
			return false;
	if (!n || BPF_CLASS(OP(&insns[n - 1])) != BPF_RET)
		return false;
	written = rt_alloc(n * sizeof(*written));
	if (!written)
		return false;
	ok = memory_ok(insns, n, written);
	rt_free(written);
	return ok;
}

bool bpf_check(const struct sock_filter *insns, unsigned int n, unsigned int data_size)
{
	return check(insns, n, data_size);
}

bool bpf_check_packet(const struct sock_filter *insns, unsigned int n)
{
	return check(insns, n, PACKET);
}

/* -- running -------------------------------------------------------------------------------- */

static uint32_t operand(const struct sock_filter *insn, uint32_t x)
{
	return BPF_SRC(OP(insn)) == BPF_X ? x : insn->k;
}

static bool condition(const struct sock_filter *insn, uint32_t a, uint32_t with)
{
	switch (BPF_OP(OP(insn))) {
	case BPF_JEQ:
		return a == with;
	case BPF_JGT:
		return a > with;
	case BPF_JGE:
		return a >= with;
	default: /* BPF_JSET */
		return a & with;
	}
}

/* Not a division by 0. */
static uint32_t compute(const struct sock_filter *insn, uint32_t a, uint32_t with)
{
	switch (BPF_OP(OP(insn))) {
	case BPF_ADD:
		return a + with;
	case BPF_SUB:
		return a - with;
	case BPF_MUL:
		return a * with;
	case BPF_DIV:
		return a / with;
	case BPF_MOD:
		return a % with;
	case BPF_AND:
		return a & with;
	case BPF_OR:
		return a | with;
	case BPF_XOR:
		return a ^ with;
	case BPF_LSH:
		return a << (with & 31);
	case BPF_RSH:
		return a >> (with & 31);
	default: /* BPF_NEG */
		return -a;
	}
}

/* What a load of a packet finds; false: nothing, which ends the program. */
static bool load_packet(const struct sock_filter *insn, const struct bpf_packet *p, uint32_t x,
			uint32_t *value)
{
	uint32_t off = insn->k;
	uint8_t b[4];

	if (BPF_MODE(OP(insn)) == BPF_IND)
		off += x;
	else if (BPF_MODE(OP(insn)) == BPF_ABS && off >= (uint32_t)SKF_AD_OFF) {
		*value = p->fact(p->packet, off - (uint32_t)SKF_AD_OFF);
		return true;
	}
	switch (BPF_SIZE(OP(insn))) {
	case BPF_W:
		if (!p->read(p->packet, off, b, 4))
			return false;
		*value = get_be32(b);
		return true;
	case BPF_H:
		if (!p->read(p->packet, off, b, 2))
			return false;
		*value = get_be16(b);
		return true;
	default: /* BPF_B */
		if (!p->read(p->packet, off, b, 1))
			return false;
		/* the length of a header of IPv4, in its low half in words */
		*value = BPF_MODE(OP(insn)) == BPF_MSH ? (b[0] & 0xfu) * 4 : b[0];
		return true;
	}
}

/* On words (@data) or on a packet: the compiler makes one of each. */
static inline __attribute__((always_inline)) uint32_t
run(const struct sock_filter *insn, const uint32_t *data, const struct bpf_packet *packet,
    unsigned int data_size)
{
	uint32_t a = 0, x = 0, memory[BPF_MEMWORDS];

	for (;; insn++) {
		switch (BPF_CLASS(OP(insn))) {
		case BPF_LD:
		case BPF_LDX: {
			uint32_t value;

			switch (BPF_MODE(OP(insn))) {
			case BPF_ABS:
			case BPF_IND:
			case BPF_MSH:
				if (data)
					value = data[insn->k / 4];
				else if (!load_packet(insn, packet, x, &value))
					return 0;
				break;
			case BPF_LEN:
				value = data_size;
				break;
			case BPF_MEM:
				value = memory[insn->k];
				break;
			default: /* BPF_IMM */
				value = insn->k;
				break;
			}
			if (BPF_CLASS(OP(insn)) == BPF_LD)
				a = value;
			else
				x = value;
			break;
		}
		case BPF_ST:
			memory[insn->k] = a;
			break;
		case BPF_STX:
			memory[insn->k] = x;
			break;
		case BPF_ALU:
			if ((BPF_OP(OP(insn)) == BPF_DIV || BPF_OP(OP(insn)) == BPF_MOD) &&
			    !operand(insn, x))
				return 0;
			a = compute(insn, a, operand(insn, x));
			break;
		case BPF_JMP:
			if (BPF_OP(OP(insn)) == BPF_JA)
				insn += insn->k;
			else
				insn += condition(insn, a, operand(insn, x)) ? insn->jt : insn->jf;
			break;
		case BPF_RET:
			return BPF_RVAL(OP(insn)) == BPF_A ? a : insn->k;
		default: /* BPF_MISC */
			if (BPF_MISCOP(OP(insn)) == BPF_TAX)
				x = a;
			else
				a = x;
			break;
		}
	}
}

uint32_t bpf_run(const struct sock_filter *insns, const uint32_t *data, unsigned int data_size)
{
	return run(insns, data, NULL, data_size);
}

uint32_t bpf_run_packet(const struct sock_filter *insns, const struct bpf_packet *p)
{
	return run(insns, NULL, p, p->len);
}
