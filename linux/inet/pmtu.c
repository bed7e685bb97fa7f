/* SPDX-License-Identifier: MIT */
/*
 * Path MTUs: a table of words that are read and written without a lock.  A word is an address, an MTU
 * and the second at which it is forgotten, modulo 2^16: what was not looked at for 18 hours may hold
 * for ten minutes again, which costs nothing but larger packets.  An address has four places, by a
 * keyed hash; when they are in use the one that ends first is replaced.
 */
#include "inet/pmtu.h"

#include "rt/time.h"

#define WAYS		4u
#define SETS		64u
#define LIFE_S		600u		/* net.ipv4.route.mtu_expires */
#define PMTU_LEAST	552u		/* net.ipv4.route.min_pmtu */

struct inet_pmtus {
	_Atomic(uint64_t) cell[SETS][WAYS];
};

int inet_pmtu_create(struct inet *inet)
{
	inet->pmtus = rt_zalloc(sizeof(*inet->pmtus));
	return inet->pmtus ? 0 : -ENOMEM;
}

void inet_pmtu_destroy(struct inet *inet)
{
	rt_free(inet->pmtus);
}

static uint64_t word_of(uint32_t dst_be, uint32_t mtu, uint16_t end)
{
	return (uint64_t)dst_be << 32 | mtu << 16 | end;
}

static uint32_t mtu_of(uint64_t word)
{
	return (uint32_t)word >> 16;
}

static uint16_t now_s(void)
{
	return (uint16_t)(rt_now_ns() / 1000000000);
}

/* Seconds; 0: it is over, or there is nothing. */
static uint16_t left_of(uint64_t word, uint16_t now)
{
	uint16_t left = (uint16_t)((uint16_t)word - now);

	return mtu_of(word) && left <= LIFE_S ? left : 0;
}

static _Atomic(uint64_t) *set_of(struct inet *inet, uint32_t dst_be)
{
	uint64_t key = dst_be;

	return inet->pmtus->cell[siphash(&inet->secret.table, &key, 1) % SETS];
}

uint32_t inet_pmtu_limit(struct inet *inet, uint32_t dst_be, uint32_t mtu)
{
	_Atomic(uint64_t) *set = set_of(inet, dst_be);

	for (unsigned int i = 0; i < WAYS; i++) {
		uint64_t word = atomic_load_explicit(&set[i], memory_order_relaxed);

		if (word >> 32 == dst_be && left_of(word, now_s()))
			return MIN(mtu, mtu_of(word));
	}
	return mtu;
}

void inet_pmtu_update(struct inet *inet, const struct inet_addr *dst, uint32_t mtu)
{
	uint32_t be = inet_addr_to_v4(dst);
	_Atomic(uint64_t) *set = set_of(inet, be), *place = &set[0];
	uint16_t now = now_s(), least = UINT16_MAX;

	if (!inet_addr_is_v4(dst) || mtu > UINT16_MAX)
		return;
	for (unsigned int i = 0; i < WAYS; i++) {
		uint64_t word = atomic_load_explicit(&set[i], memory_order_relaxed);
		uint16_t left = left_of(word, now);

		if (word >> 32 == be && left) {
			if (mtu_of(word) < mtu)
				return;
			place = &set[i];
			break;
		}
		if (left < least) {
			least = left;
			place = &set[i];
		}
	}
	atomic_store_explicit(place, word_of(be, MAX(mtu, PMTU_LEAST), (uint16_t)(now + LIFE_S)),
			      memory_order_relaxed);
	inet_changed(inet);
}

bool inet_pmtu_show(struct inet *inet, unsigned int n, uint32_t *dst_be, uint32_t *mtu,
		    uint32_t *seconds)
{
	uint64_t word;

	if (n >= SETS * WAYS)
		return false;
	word = atomic_load_explicit(&inet->pmtus->cell[n / WAYS][n % WAYS], memory_order_relaxed);
	*seconds = left_of(word, now_s());
	*mtu = *seconds ? mtu_of(word) : 0;
	*dst_be = (uint32_t)(word >> 32);
	return true;
}
