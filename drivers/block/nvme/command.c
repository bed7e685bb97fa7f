/* SPDX-License-Identifier: MIT */
#include "command.h"

#include "base/byteorder.h"
#include "base/util.h"

enum { CONTIGUOUS = 1u << 0, INTERRUPTS = 1u << 1 };	/* of the commands that create queues */
enum { DEALLOCATE = 1u << 2 };				/* of NVME_DATASET */

struct nvme_command nvme_command(uint8_t opcode, uint16_t cid, uint32_t nsid)
{
	return (struct nvme_command){ .opcode_cid = LE32(opcode | (uint32_t)cid << 16),
				      .nsid = LE32(nsid) };
}

struct nvme_command nvme_identify(uint16_t cid, uint32_t cns, uint32_t nsid, uint64_t bus)
{
	struct nvme_command c = nvme_command(NVME_IDENTIFY, cid, nsid);

	c.prp1 = LE64(bus);
	c.dw10 = LE32(cns);
	return c;
}

struct nvme_command nvme_set_queues(uint16_t cid, uint32_t queues)
{
	struct nvme_command c = nvme_command(NVME_SET_FEATURES, cid, 0);

	c.dw10 = LE32(NVME_FEATURE_QUEUES);
	c.dw11 = LE32((queues - 1) << 16 | (queues - 1));
	return c;
}

struct nvme_command nvme_create_cq(uint16_t cid, uint16_t id, uint32_t size, uint64_t bus,
				   uint16_t vector)
{
	struct nvme_command c = nvme_command(NVME_CREATE_CQ, cid, 0);

	c.prp1 = LE64(bus);
	c.dw10 = LE32((size - 1) << 16 | id);
	c.dw11 = LE32((uint32_t)vector << 16 | INTERRUPTS | CONTIGUOUS);
	return c;
}

/* Its completions go to the completion queue of the same number. */
struct nvme_command nvme_create_sq(uint16_t cid, uint16_t id, uint32_t size, uint64_t bus)
{
	struct nvme_command c = nvme_command(NVME_CREATE_SQ, cid, 0);

	c.prp1 = LE64(bus);
	c.dw10 = LE32((size - 1) << 16 | id);
	c.dw11 = LE32((uint32_t)id << 16 | CONTIGUOUS);
	return c;
}

void nvme_command_blocks(struct nvme_command *c, uint64_t lba, uint32_t blocks)
{
	c->dw10 = LE32((uint32_t)lba);
	c->dw11 = LE32((uint32_t)(lba >> 32));
	c->dw12 = LE32((blocks - 1) & 0xffff);
}

void nvme_command_deallocate(struct nvme_command *c, uint32_t ranges, uint64_t bus)
{
	c->prp1 = LE64(bus);
	c->dw10 = LE32(ranges - 1);
	c->dw11 = LE32(DEALLOCATE);
}

void nvme_range(uint8_t *at, uint64_t lba, uint32_t blocks)
{
	put_le32(at, 0);
	put_le32(at + 4, blocks);
	put_le64(at + 8, lba);
}

/* -- physical region pages ------------------------------------------------------------------- */

/* The pages of a transfer, one after the other; only the first may begin, and the last end, inside. */
struct pages {
	uint64_t first;
	uint32_t count;			/* entries, the first included */
	uint32_t bytes;
	bool ended;			/* the last one is not full */
};

/* One more piece of a page; false: a list cannot go on with it. */
static bool add_page(struct pages *p, uint64_t addr, uint32_t n, const struct nvme_prp_list *list)
{
	if (!p->count) {
		if (addr % 4)
			return false;
		p->first = addr;
	} else {
		if (p->ended || addr % NVME_PAGE || p->count > list->count)
			return false;
		list->entries[p->count - 1] = LE64(addr);
	}
	p->count++;
	p->bytes += n;
	p->ended = (addr + n) % NVME_PAGE != 0;
	return true;
}

/* As many pages as fit; false: the piece did not, or not wholly. */
static bool add_piece(struct pages *p, const struct vq_segment *s, uint32_t max,
		      const struct nvme_prp_list *list)
{
	uint64_t addr = s->addr;
	uint32_t left = s->len;

	while (left && p->bytes < max) {
		uint32_t n = MIN(left, NVME_PAGE - (uint32_t)(addr % NVME_PAGE));

		n = MIN(n, max - p->bytes);
		if (!add_page(p, addr, n, list))
			return false;
		addr += n;
		left -= n;
	}
	return !left;
}

uint32_t nvme_prp(struct nvme_command *c, const struct vq_segment *pieces, unsigned int n,
		  uint32_t max, uint32_t block, const struct nvme_prp_list *list)
{
	struct pages p = { 0 };
	uint32_t pages;

	for (unsigned int i = 0; i < n && add_piece(&p, &pieces[i], max, list); i++)
		;
	p.bytes -= p.bytes % block;
	if (!p.bytes)
		return 0;
	/* How PRP 2 is read depends on how many pages the blocks take, which may now be fewer. */
	pages = DIV_ROUND_UP((uint32_t)(p.first % NVME_PAGE) + p.bytes, NVME_PAGE);
	c->prp1 = LE64(p.first);
	c->prp2 = pages == 1 ? 0 : pages == 2 ? list->entries[0] : LE64(list->bus);
	return p.bytes;
}
