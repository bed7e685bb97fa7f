/* SPDX-License-Identifier: MIT */
#include "controller.h"

#include "base/byteorder.h"
#include "base/util.h"

enum {
	CAP = 0x00, VS = 0x08, CC = 0x14, CSTS = 0x1c, AQA = 0x24, ASQ = 0x28, ACQ = 0x30,
	DOORBELLS = 0x1000,
};
/* Of CAP's halves. */
#define CAP_MQES(low)		((low) & 0xffff)
#define CAP_TO(low)		((low) >> 24)
#define CAP_DSTRD(high)		((high) & 0xf)
#define CAP_HAS_NVM(high)	((high) >> 5 & 1)
#define CAP_MPSMIN(high)	((high) >> 16 & 0xf)

#define CC_EN		(1u << 0)
#define CC_SQES		(6u << 16)	/* 64 bytes */
#define CC_CQES		(4u << 20)	/* 16 bytes */
#define CSTS_RDY	(1u << 0)
#define CSTS_CFS	(1u << 1)
#define GONE		0xffffffffu

#define HALF_SECOND	500000000ull
#define ADMIN_NS	(10 * 2 * HALF_SECOND)

static uint32_t reg(const struct nvme_controller *c, uint32_t offset)
{
	return c->window->read(c->window->user, offset);
}

/* Each register that is written is a place to be killed at. */
static void set_reg(const struct nvme_controller *c, uint32_t offset, uint32_t value)
{
	c->window->write(c->window->user, offset, value);
	c->window->step();
}

static void set_reg64(const struct nvme_controller *c, uint32_t offset, uint64_t value)
{
	set_reg(c, offset, (uint32_t)value);
	set_reg(c, offset + 4, (uint32_t)(value >> 32));
}

static uint64_t now(const struct nvme_controller *c)
{
	return c->window->now_ns(c->window->user);
}

static k_status_t not_supported(struct nvme_controller *c, const char *why)
{
	c->why = why;
	return K_ERR_NOT_SUPPORTED;
}

k_status_t nvme_open(struct nvme_controller *c, const struct drv_window *window)
{
	uint32_t low, high;

	*c = (struct nvme_controller){ .window = window };
	low = reg(c, CAP);
	high = reg(c, CAP + 4);
	c->version = reg(c, VS);
	if (c->version == GONE)
		return K_ERR_IO;
	c->stride = 4u << CAP_DSTRD(high);
	c->queue_max = CAP_MQES(low) + 1;
	/* A controller that says 0 gets the least that can be waited for. */
	c->ready_ns = MAX(CAP_TO(low), 1u) * HALF_SECOND;
	if (!CAP_HAS_NVM(high))
		return not_supported(c, "no NVM command set");
	if (CAP_MPSMIN(high))
		return not_supported(c, "no pages of 4096 bytes");
	if (c->queue_max < 2)
		return not_supported(c, "queues of one entry");
	return K_OK;
}

uint64_t nvme_window_length(const struct nvme_controller *c, uint32_t queues)
{
	return DOORBELLS + 2ull * (queues + 1) * c->stride;
}

/* -- disabled and enabled -------------------------------------------------------------------- */

static k_status_t wait_ready(const struct nvme_controller *c, bool ready)
{
	uint64_t deadline = now(c) + c->ready_ns;

	for (uint32_t n = 0;; n++) {
		/* In this order: the last look is after the deadline. */
		bool late = now(c) >= deadline;
		uint32_t status = reg(c, CSTS);

		if (status == GONE || (ready && (status & CSTS_CFS)))
			return K_ERR_IO;
		if (!(status & CSTS_RDY) == !ready)
			return K_OK;
		if (late)
			return K_ERR_TIMED_OUT;
		c->window->pause(c->window->user, n);
	}
}

k_status_t nvme_disable(struct nvme_controller *c)
{
	uint32_t config = reg(c, CC);

	if (config == GONE)
		return K_ERR_IO;
	/*
	 * EN may be cleared only when what setting it began is over (3.1.5); a predecessor can have
	 * died there.  If that failed, it is cleared all the same: there is nothing else to do.
	 */
	if (config & CC_EN) {
		(void)!wait_ready(c, true);
		set_reg(c, CC, config & ~CC_EN);
	}
	return wait_ready(c, false);
}

k_status_t nvme_enable(struct nvme_controller *c, void *sq, uint64_t sq_bus, void *cq,
		       uint64_t cq_bus)
{
	uint32_t size = MIN((uint32_t)NVME_ADMIN_SIZE, 1u << log2_u64(c->queue_max));

	nvme_queue_init(&c->admin, 0, size, sq, cq, 0);
	set_reg(c, AQA, (size - 1) << 16 | (size - 1));
	set_reg64(c, ASQ, sq_bus);
	set_reg64(c, ACQ, cq_bus);
	set_reg(c, CC, CC_SQES | CC_CQES | CC_EN);
	return wait_ready(c, true);
}

bool nvme_is_well(const struct nvme_controller *c)
{
	uint32_t status = reg(c, CSTS);

	return status != GONE && (status & (CSTS_RDY | CSTS_CFS)) == CSTS_RDY;
}

/* -- doorbells ------------------------------------------------------------------------------- */

void nvme_submit(const struct nvme_controller *c, struct nvme_queue *q)
{
	if (q->shown == q->tail)
		return;
	q->shown = q->tail;
	/* release: what lies in the ring comes before the doorbell */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	set_reg(c, DOORBELLS + 2u * q->id * c->stride, q->tail);
}

void nvme_settle(const struct nvme_controller *c, struct nvme_queue *q)
{
	if (q->settled == q->position)
		return;
	q->settled = q->position;
	set_reg(c, DOORBELLS + (2u * q->id + 1) * c->stride, nvme_queue_head(q));
}

/* -- admin commands -------------------------------------------------------------------------- */

static k_status_t admin_wait(struct nvme_controller *c, struct nvme_completion *done)
{
	uint64_t deadline = now(c) + ADMIN_NS;

	for (uint32_t n = 0;; n++) {
		bool late = now(c) >= deadline;

		if (nvme_queue_take(&c->admin, done))
			return K_OK;
		if (c->admin.broken || !nvme_is_well(c))
			return K_ERR_IO;
		if (late)
			return K_ERR_TIMED_OUT;
		c->window->pause(c->window->user, n);
	}
}

k_status_t nvme_admin(struct nvme_controller *c, struct nvme_command command, uint32_t *result)
{
	struct nvme_completion done;
	k_status_t st;

	command.opcode_cid = LE32((LE32(command.opcode_cid) & 0xffff) | (uint32_t)++c->cid << 16);
	if (!nvme_queue_add(&c->admin, &command))
		return K_ERR_IO;
	nvme_submit(c, &c->admin);
	st = admin_wait(c, &done);
	if (st != K_OK)
		return st;
	nvme_settle(c, &c->admin);
	c->status = done.status;
	if (done.cid != c->cid || done.status)
		return K_ERR_IO;
	if (result)
		*result = done.result;
	return K_OK;
}

k_status_t nvme_queues(struct nvme_controller *c, uint32_t queues, uint32_t *granted)
{
	uint32_t got;
	k_status_t st = nvme_admin(c, nvme_set_queues(0, queues), &got);

	if (st == K_OK)
		*granted = MIN(queues, MIN(got & 0xffff, got >> 16) + 1);
	return st;
}

k_status_t nvme_make_queue(struct nvme_controller *c, const struct nvme_queue *q, uint64_t sq_bus,
			   uint64_t cq_bus, uint16_t vector)
{
	k_status_t st = nvme_admin(c, nvme_create_cq(0, q->id, q->size, cq_bus, vector), NULL);

	return st == K_OK ? nvme_admin(c, nvme_create_sq(0, q->id, q->size, sq_bus), NULL) : st;
}
