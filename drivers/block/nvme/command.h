/* SPDX-License-Identifier: MIT */
/*
 * NVMe commands as they lie in a submission queue: NVM Express base specification 1.4,
 * 4.2 (entries), 4.3 (PRPs), 5 (admin commands), 6 (NVM commands).
 *
 * No function here reads what a device or a client can write.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "virtio/queue.h"

enum nvme_admin_opcode {
	NVME_CREATE_SQ = 0x01, NVME_CREATE_CQ = 0x05, NVME_IDENTIFY = 0x06, NVME_SET_FEATURES = 0x09,
};
enum nvme_opcode {
	NVME_FLUSH = 0x00, NVME_WRITE = 0x01, NVME_READ = 0x02, NVME_WRITE_ZEROES = 0x08,
	NVME_DATASET = 0x09,
};
/* What NVME_IDENTIFY can tell, and the feature that is set. */
enum { NVME_CNS_NAMESPACE = 0, NVME_CNS_CONTROLLER = 1, NVME_CNS_NAMESPACES = 2 };
enum { NVME_FEATURE_QUEUES = 7 };

/* The only page size that is used: CC.MPS is 0. */
#define NVME_PAGE	4096u

/* Little endian; the submission queue has them one after the other. */
struct nvme_command {
	uint32_t opcode_cid;		/* 7:0 opcode, 31:16 command identifier */
	uint32_t nsid;
	uint64_t reserved, metadata;
	uint64_t prp1, prp2;
	uint32_t dw10, dw11, dw12, dw13, dw14, dw15;
};
_Static_assert(sizeof(struct nvme_command) == 64, "size of a submission queue entry");

struct nvme_command nvme_command(uint8_t opcode, uint16_t cid, uint32_t nsid);
struct nvme_command nvme_identify(uint16_t cid, uint32_t cns, uint32_t nsid, uint64_t bus);
/* @queues of each kind: at least one. */
struct nvme_command nvme_set_queues(uint16_t cid, uint32_t queues);
/* Queue @id of @size entries, in one piece at @bus; a completion queue interrupts by @vector. */
struct nvme_command nvme_create_cq(uint16_t cid, uint16_t id, uint32_t size, uint64_t bus,
				   uint16_t vector);
struct nvme_command nvme_create_sq(uint16_t cid, uint16_t id, uint32_t size, uint64_t bus);

/* Make the command one that moves or zeroes @blocks (1 to 65536) from @lba. */
void nvme_command_blocks(struct nvme_command *c, uint64_t lba, uint32_t blocks);
#define NVME_FUA	(1u << 30)	/* in dw12: it is on the medium when it completes */
#define NVME_DEALLOCATE	(1u << 25)	/* in dw12 of NVME_WRITE_ZEROES: blocks may be unmapped */
/* NVME_DATASET: deallocate @ranges (1 to 256) that nvme_range() wrote at @bus. */
void nvme_command_deallocate(struct nvme_command *c, uint32_t ranges, uint64_t bus);
enum { NVME_RANGE = 16 };
void nvme_range(uint8_t *at, uint64_t lba, uint32_t blocks);

/* -- physical region pages ------------------------------------------------------------------- */

/* Where a command finds the further entries of its list; it does not cross a page. */
struct nvme_prp_list {
	uint64_t *entries;
	uint64_t bus;
	uint32_t count;			/* room */
};

/*
 * Point the command at the beginning of the memory that @pieces (bus addresses) name: as
 * much of it as PRPs can describe, at most @max bytes, a multiple of @block.  Returns how much;
 * 0: not even one block, because memory does not lie so that PRPs could say it
 * (the first piece aligned to 4, no gap within a page).
 */
uint32_t nvme_prp(struct nvme_command *c, const struct vq_segment *pieces, unsigned int n,
		  uint32_t max, uint32_t block, const struct nvme_prp_list *list);
