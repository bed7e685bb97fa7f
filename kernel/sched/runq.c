/* SPDX-License-Identifier: MIT */
/*
 * Run queues (kernel/runq.h).  While an entity is on no queue or runs, its
 * vruntime is comparable with min_vruntime of the queue it belongs to; between
 * runq_leave() and runq_join() it is relative to it.
 */
#include "kernel/runq.h"

static bool is_real_time(const struct sched_entity *se)
{
	return se->sched_class == K_SCHED_FIFO || se->sched_class == K_SCHED_RR;
}

static struct sched_entity *entity(struct heap_node *node)
{
	return node ? container_of(node, struct sched_entity, node) : NULL;
}

/* Virtual times may wrap: compare by difference. */
static bool before(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

static bool fair_less(const struct heap_node *a, const struct heap_node *b)
{
	return before(container_of(a, struct sched_entity, node)->key,
		      container_of(b, struct sched_entity, node)->key);
}

static bool real_time_less(const struct heap_node *a, const struct heap_node *b)
{
	const struct sched_entity *x = container_of(a, struct sched_entity, node);
	const struct sched_entity *y = container_of(b, struct sched_entity, node);

	return x->priority != y->priority ? x->priority > y->priority : before(x->key, y->key);
}

void runq_init(struct runq *rq)
{
	rq->fair = (struct heap)HEAP_INIT(fair_less);
	rq->real_time = (struct heap)HEAP_INIT(real_time_less);
}

void runq_join(struct runq *rq, struct sched_entity *se)
{
	se->vruntime += rq->min_vruntime;
}

void runq_leave(struct runq *rq, struct sched_entity *se)
{
	se->vruntime -= rq->min_vruntime;
}

void runq_place_woken(struct runq *rq, struct sched_entity *se)
{
	uint64_t floor = rq->min_vruntime - SLEEPER_NS;

	if (before(se->vruntime, floor))
		se->vruntime = floor;
}

void runq_place_new(struct runq *rq, struct sched_entity *se)
{
	se->vruntime = rq->min_vruntime;
}

static void insert(struct runq *rq, struct sched_entity *se)
{
	heap_insert(is_real_time(se) ? &rq->real_time : &rq->fair, &se->node);
	se->queued = true;
	WRITE_ONCE(rq->count, rq->count + 1);
}

void runq_enqueue(struct runq *rq, struct sched_entity *se)
{
	if (is_real_time(se)) {
		se->key = rq->arrivals++;
		se->slice_start_ns = se->ran_ns;
	} else {
		se->key = se->vruntime;
	}
	insert(rq, se);
}

void runq_requeue(struct runq *rq, struct sched_entity *se)
{
	bool slice_over = se->sched_class == K_SCHED_RR &&
			  se->ran_ns - se->slice_start_ns >= se->slice_ns;

	if (is_real_time(se) && !slice_over)
		insert(rq, se);		/* with its old key: before those that came later */
	else
		runq_enqueue(rq, se);
}

void runq_dequeue(struct runq *rq, struct sched_entity *se)
{
	heap_remove(is_real_time(se) ? &rq->real_time : &rq->fair, &se->node);
	se->queued = false;
	WRITE_ONCE(rq->count, rq->count - 1);
}

struct sched_entity *runq_pop(struct runq *rq)
{
	struct sched_entity *se = entity(heap_first(&rq->real_time));

	if (!se)
		se = entity(heap_first(&rq->fair));
	if (se) {
		runq_dequeue(rq, se);
		if (!is_real_time(se) && before(rq->min_vruntime, se->vruntime))
			rq->min_vruntime = se->vruntime;
	}
	return se;
}

struct sched_entity *runq_pop_any(struct runq *rq, uint64_t random)
{
	struct heap_node *root = heap_first(&rq->fair), *n = root;
	struct sched_entity *se;

	if (heap_first(&rq->real_time) || !root)
		return runq_pop(rq);
	for (struct heap_node *child = root->child; child && (random & 1); child = child->next) {
		n = child;
		random >>= 1;
	}
	se = entity(n);
	runq_dequeue(rq, se);
	return se;
}

/* The root and its children only: a heap is no place to search. */
static struct sched_entity *steal_from(struct runq *rq, struct heap *h, uint32_t cpu)
{
	struct heap_node *root = heap_first(h);
	struct heap_node *n = root;

	while (n) {
		struct sched_entity *se = entity(n);

		if (se->affinity >> cpu & 1) {
			runq_dequeue(rq, se);
			return se;
		}
		n = n == root ? root->child : n->next;
	}
	return NULL;
}

struct sched_entity *runq_steal(struct runq *rq, uint32_t cpu)
{
	struct sched_entity *se = steal_from(rq, &rq->real_time, cpu);

	return se ? se : steal_from(rq, &rq->fair, cpu);
}

void runq_charge(struct runq *rq, struct sched_entity *se, uint64_t ran_ns)
{
	se->ran_ns += ran_ns;
	if (is_real_time(se))
		return;
	se->vruntime += se->weight == 1024 ? ran_ns : ran_ns * 1024 / se->weight;
	/* A lone thread carries the queue's clock with it. */
	if (!heap_first(&rq->fair) && before(rq->min_vruntime, se->vruntime))
		rq->min_vruntime = se->vruntime;
}

bool runq_preempts(const struct sched_entity *woken, const struct sched_entity *running)
{
	if (is_real_time(woken))
		return !is_real_time(running) || woken->priority > running->priority;
	if (is_real_time(running))
		return false;
	if (running->sched_class == K_SCHED_IDLE)
		return woken->sched_class != K_SCHED_IDLE;
	return before(woken->vruntime + GRANULARITY_NS, running->vruntime);
}

bool runq_may_jump(const struct runq *rq, const struct sched_entity *se)
{
	const struct sched_entity *first = entity(heap_first(&rq->real_time));

	if (first)
		return first == se;
	first = entity(heap_first(&rq->fair));
	return !is_real_time(se) && before(se->vruntime, first->vruntime + SLEEPER_NS);
}

bool runq_slice_over(const struct runq *rq, const struct sched_entity *running)
{
	const struct sched_entity *rt = entity(heap_first(&rq->real_time));
	const struct sched_entity *fair = entity(heap_first(&rq->fair));

	if (is_real_time(running))
		return rt && (rt->priority > running->priority ||
			      (rt->priority == running->priority &&
			       running->sched_class == K_SCHED_RR &&
			       running->ran_ns - running->slice_start_ns >= running->slice_ns));
	return rt || (fair && before(fair->vruntime, running->vruntime));
}

void runq_yield(struct runq *rq, struct sched_entity *running)
{
	const struct sched_entity *first = entity(heap_first(&rq->fair));

	if (is_real_time(running))
		running->key = rq->arrivals++;
	else if (first && !before(first->vruntime, running->vruntime))
		running->vruntime = first->vruntime + 1;
}
