/* SPDX-License-Identifier: MIT */
/*
 * What an ATA disk says of itself (IDENTIFY DEVICE: ATA8-ACS 7.16, ACS-3 7.12), checked and in
 * our units.  The data lies in memory that the device can go on writing: pass a copy.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/status.h"
#include "abi/types.h"

enum { ATA_IDENTIFY_LENGTH = 512 };

struct ata_identity {
	char serial[21], model[41], firmware[9];	/* without the blanks at their ends */
	uint64_t blocks;
	uint32_t block_shift;		/* 9 to 12 */
	uint32_t physical_exponent;	/* a physical block is so many doublings of a logical one */
	uint32_t alignment;		/* logical blocks from the start to a physical one's */
	uint32_t depth;			/* commands that it queues; 1: it does not */
	bool has_cache;			/* a volatile one, and it is on */
	bool has_fua;			/* writes around it, without a queue */
	bool has_trim;
};

/* NOT_SUPPORTED, with what it has or lacks at *@why: it cannot be driven. */
k_status_t ata_identity_read(const uint8_t *data, struct ata_identity *id, const char **why);
