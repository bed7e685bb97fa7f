/* SPDX-License-Identifier: MIT */
#include "init.h"
#include "rt/log.h"
#include "rt/process.h"

void grant(struct grants *g, unsigned int place, k_handle_t handle, uint32_t rights)
{
	k_handle_t copy;
	k_status_t st;

	if (!handle || g->status != K_OK)
		return;
	if (rights != K_RIGHTS_SAME)
		rights |= K_RIGHT_TRANSFER;
	/* The receiver counts bits: handles go in the order of their places. */
	rt_assert(g->mask >> place == 0);
	st = g->count < K_MESSAGE_MAX_HANDLES ? k_handle_duplicate(handle, rights, &copy) :
						K_ERR_TOO_BIG;
	if (st != K_OK) {
		g->status = st;
		return;
	}
	g->handles[g->count++] = copy;
	g->mask |= 1u << place;
}

k_status_t grants_send(struct grants *g, k_handle_t channel, const void *data, size_t n)
{
	struct k_message m = { .data = (uint64_t)data, .length = (uint32_t)n,
			       .handles = (uint64_t)g->handles, .handle_count = g->count };
	k_status_t st = g->status;

	if (st == K_OK)
		st = k_channel_send(channel, &m);
	if (st != K_OK)
		for (uint32_t i = 0; i < g->count; i++)
			rt_close(g->handles[i]);
	return st;
}
