/* SPDX-License-Identifier: MIT */
/*
 * A cookie is, from the highest bit: the time in units of 69 s, modulo 32; an index of the MSS; 24
 * bits of a keyed hash of all that and of the connection's ends.  A guess is right once in 16
 * million segments, and what it brings is a connection from an address that the guesser cannot
 * receive at, as guessing an initial sequence number does.
 *
 * The time is in the hash in full, so that a cookie is not valid again when its five bits are.
 */
#include "inet/tcp/cookie.h"

#include "base/util.h"

enum {
	UNIT_SHIFT = 36,		/* 2^36 ns: 68.7 s */
	LIFE = 2,			/* units, the present one included */
	MAC_BITS = 24,
	MSS_BITS = 3,
	TIME_BITS = 5,
};

#define MAC_MASK	((1u << MAC_BITS) - 1)
#define TIME_MASK	((1u << TIME_BITS) - 1)

/* The least of Linux, of RFC 9293, IPv6's, of tunnels, PPPoE, Ethernet and jumbo frames. */
static const uint16_t mss_of[1u << MSS_BITS] = { 88, 536, 1220, 1300, 1400, 1440, 1460, 8940 };

uint32_t tcp_isn(const struct siphash_key *key, const struct inet_tuple *t, uint64_t now_ns)
{
	return (uint32_t)inet_tuple_hash(key, t, 0) + (uint32_t)(now_ns >> 6);
}

uint32_t tcp_stamp_offset(const struct siphash_key *key, const struct inet_tuple *t)
{
	uint64_t word[] = { t->local.q[0], t->local.q[1], t->remote.q[0], t->remote.q[1] };

	return (uint32_t)siphash(key, word, 4);
}

static uint32_t mac_of(const struct siphash_key *key, const struct inet_tuple *t, uint32_t peer_isn,
		       uint64_t unit, uint32_t index)
{
	return (uint32_t)inet_tuple_hash(key, t, (uint64_t)peer_isn << 32 | unit << MSS_BITS | index) &
	       MAC_MASK;
}

uint32_t tcp_cookie_make(const struct siphash_key *key, const struct inet_tuple *t,
			 uint32_t peer_isn, uint16_t mss, uint64_t now_ns)
{
	uint64_t unit = now_ns >> UNIT_SHIFT;
	uint32_t index = ARRAY_SIZE(mss_of) - 1;

	while (index && mss_of[index] > mss)
		index--;
	return (uint32_t)(unit & TIME_MASK) << (MAC_BITS + MSS_BITS) | index << MAC_BITS |
	       mac_of(key, t, peer_isn, unit, index);
}

bool tcp_cookie_check(const struct siphash_key *key, const struct inet_tuple *t, uint32_t peer_isn,
		      uint32_t cookie, uint64_t now_ns, uint16_t *mss)
{
	uint64_t now = now_ns >> UNIT_SHIFT;
	uint64_t age = (now - (cookie >> (MAC_BITS + MSS_BITS))) & TIME_MASK;
	uint32_t index = cookie >> MAC_BITS & (ARRAY_SIZE(mss_of) - 1);

	if (age >= LIFE || (cookie & MAC_MASK) != mac_of(key, t, peer_isn, now - age, index))
		return false;
	*mss = mss_of[index];
	return true;
}

/* -- the time stamp's low bits: ECN, SACK, four of the scaling, of which 15 says "none" */

enum { STAMP_WSCALE = 0xf, STAMP_SACK = 1 << 4, STAMP_ECN = 1 << 5, STAMP_MASK = 0x3f };

uint32_t tcp_cookie_stamp_make(uint32_t stamp, const struct tcp_cookie *c)
{
	uint32_t bits = c->wscale < 0 ? STAMP_WSCALE : (uint32_t)c->wscale;
	uint32_t made;

	bits |= (c->sack ? STAMP_SACK : 0u) | (c->ecn ? STAMP_ECN : 0u);
	made = (stamp & ~(uint32_t)STAMP_MASK) | bits;
	/* Never a time that has not come: the peer's PAWS would drop what we send next. */
	return made > stamp ? made - (STAMP_MASK + 1) : made;
}

void tcp_cookie_stamp_read(uint32_t stamp, struct tcp_cookie *c)
{
	uint32_t wscale = stamp & STAMP_WSCALE;

	c->sack = stamp & STAMP_SACK;
	c->ecn = stamp & STAMP_ECN;
	c->wscale = wscale == STAMP_WSCALE ? -1 : (int8_t)wscale;
}
