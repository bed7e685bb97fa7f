/* SPDX-License-Identifier: MIT */
#pragma once

#include "abi/types.h"
#include "kernel/object.h"

struct space {
	struct object object;
	uint32_t flags;
};

struct space_key {
	const void *object;
	uint64_t offset;
};

k_status_t space_key(struct space *space, uint64_t addr, bool shared, struct space_key *out);
