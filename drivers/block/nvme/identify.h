/* SPDX-License-Identifier: MIT */
/*
 * What a controller says of itself and of its namespaces (NVM Express base specification 1.4,
 * 5.15.2), checked and in our units.  The data lies in memory that the device can go on
 * writing: pass a copy.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/status.h"
#include "abi/types.h"

enum { NVME_IDENTIFY_LENGTH = 4096 };

struct nvme_identity {
	char serial[21], model[41], firmware[9];	/* without the blanks at their ends */
	uint32_t max_transfer;		/* bytes of one command, a multiple of 4096; UINT32_MAX: any */
	bool has_cache;			/* a volatile one: writes are durable after a flush */
	bool has_deallocate, has_write_zeroes;
};

struct nvme_namespace {
	uint32_t id;
	uint64_t blocks;
	uint32_t block_shift;		/* 9 to 12 */
	bool read_only;
};

/* NOT_SUPPORTED, with a sentence at *@why: it cannot be driven. */
k_status_t nvme_identity_read(const uint8_t *data, struct nvme_identity *id, const char **why);
k_status_t nvme_namespace_read(const uint8_t *data, struct nvme_namespace *ns, const char **why);
/* The first of the active namespaces in a list, 0: there is none; *@more: there are others. */
uint32_t nvme_first_namespace(const uint8_t *data, bool *more);
