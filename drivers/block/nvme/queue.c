/* SPDX-License-Identifier: MIT */
#include "queue.h"

#include "base/byteorder.h"
#include "base/util.h"

void nvme_queue_init(struct nvme_queue *q, uint16_t id, uint32_t size, void *sq, const void *cq,
		     uint16_t position)
{
	*q = (struct nvme_queue){ .id = id, .size = size, .sq = sq, .cq = cq, .position = position,
				  .settled = position };
}

bool nvme_queue_add(struct nvme_queue *q, const struct nvme_command *c)
{
	if (q->broken || q->in_flight >= q->size - 1)
		return false;
	q->sq[q->tail] = *c;
	q->tail = (uint16_t)((q->tail + 1) & (q->size - 1));
	q->in_flight++;
	return true;
}

/* Entries of the first round through the ring have phase 1, of the next 0, and so on. */
static bool phase(const struct nvme_queue *q)
{
	return !(q->position / q->size & 1);
}

bool nvme_queue_take(struct nvme_queue *q, struct nvme_completion *c)
{
	const volatile struct nvme_cqe *e = &q->cq[q->position & (q->size - 1)];
	/* acquire: pairs with the device's order; the phase is the last that it writes */
	uint32_t status = LE32(__atomic_load_n(&e->status, __ATOMIC_ACQUIRE)), sq;

	if (q->broken || (status >> 16 & 1) != phase(q))
		return false;
	sq = LE32(e->sq);
	if (sq >> 16 != q->id)
		q->broken = "completion of another queue";
	else if ((sq & 0xffff) >= q->size)
		q->broken = "head of the submission queue beyond its end";
	else if (!q->in_flight)
		q->broken = "completion without a command";
	if (q->broken)
		return false;
	*c = (struct nvme_completion){ .result = LE32(e->result), .cid = (uint16_t)status,
				       .status = (uint16_t)(status >> 17) };
	q->position++;
	q->in_flight--;
	return true;
}

uint32_t nvme_queue_head(const struct nvme_queue *q)
{
	return q->position & (q->size - 1);
}
