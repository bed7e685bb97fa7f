/* SPDX-License-Identifier: MIT */
#include "kernel/runq.h"

#include "unit/unit.h"

#define MS 1000000ull

static struct sched_entity fair(uint32_t weight)
{
	return (struct sched_entity){ .sched_class = K_SCHED_FAIR, .weight = weight,
				      .affinity = UINT64_MAX };
}

static struct sched_entity real_time(uint32_t sched_class, uint32_t priority)
{
	return (struct sched_entity){ .sched_class = sched_class, .priority = priority,
				      .affinity = UINT64_MAX, .slice_ns = RR_SLICE_NS };
}

/* Run @n fair entities for @slices slices of 3 ms, as the scheduler does. */
static void run(struct runq *rq, uint32_t slices)
{
	for (uint32_t i = 0; i < slices; i++) {
		struct sched_entity *se = runq_pop(rq);

		runq_charge(rq, se, SLICE_NS);
		runq_requeue(rq, se);
	}
}

TEST(fair_time_follows_weight)
{
	struct sched_entity a = fair(1024), b = fair(2048), c = fair(512);
	struct runq rq = { 0 };

	runq_init(&rq);
	runq_enqueue(&rq, &a);
	runq_enqueue(&rq, &b);
	runq_enqueue(&rq, &c);
	CHECK(rq.count == 3);
	run(&rq, 7000);
	CHECK(a.ran_ns > 1990 * SLICE_NS && a.ran_ns < 2010 * SLICE_NS);
	CHECK(b.ran_ns > 3990 * SLICE_NS && b.ran_ns < 4010 * SLICE_NS);
	CHECK(c.ran_ns > 990 * SLICE_NS && c.ran_ns < 1010 * SLICE_NS);
}

TEST(a_sleeper_cannot_save_up_time)
{
	struct sched_entity hog = fair(1024), sleeper = fair(1024);
	struct runq rq = { 0 };

	runq_init(&rq);
	runq_enqueue(&rq, &hog);
	run(&rq, 1000);
	runq_place_woken(&rq, &sleeper);
	runq_enqueue(&rq, &sleeper);
	/* It comes first, but not for three seconds. */
	CHECK(runq_preempts(&sleeper, &hog));
	run(&rq, 100);
	CHECK(sleeper.ran_ns <= 52 * SLICE_NS);
}

TEST(a_new_one_does_not_starve_others)
{
	struct sched_entity old = fair(1024), fresh = fair(1024);
	struct runq rq = { 0 };

	runq_init(&rq);
	runq_enqueue(&rq, &old);
	run(&rq, 1000);
	old.ran_ns = 0;
	runq_join(&rq, &fresh);
	runq_place_new(&rq, &fresh);
	runq_enqueue(&rq, &fresh);
	run(&rq, 20);
	CHECK(old.ran_ns >= 9 * SLICE_NS);
}

TEST(real_time_goes_first_by_priority_and_arrival)
{
	struct sched_entity f = fair(1024), low = real_time(K_SCHED_FIFO, 1);
	struct sched_entity high1 = real_time(K_SCHED_FIFO, 9), high2 = real_time(K_SCHED_FIFO, 9);
	struct runq rq = { 0 };

	runq_init(&rq);
	runq_enqueue(&rq, &f);
	runq_enqueue(&rq, &low);
	runq_enqueue(&rq, &high1);
	runq_enqueue(&rq, &high2);
	CHECK(runq_pop(&rq) == &high1);
	/* Preempted, not blocked: it keeps its place. */
	runq_charge(&rq, &high1, MS);
	runq_requeue(&rq, &high1);
	CHECK(runq_pop(&rq) == &high1);
	/* Blocked and woken, it goes to the end. */
	runq_enqueue(&rq, &high1);
	CHECK(runq_pop(&rq) == &high2);
	CHECK(runq_pop(&rq) == &high1);
	CHECK(runq_pop(&rq) == &low);
	CHECK(runq_pop(&rq) == &f);
	CHECK(!runq_pop(&rq));
	CHECK(runq_preempts(&low, &f) && !runq_preempts(&f, &low));
	CHECK(runq_preempts(&high1, &low) && !runq_preempts(&high1, &high2));
}

TEST(round_robin_takes_turns)
{
	struct sched_entity a = real_time(K_SCHED_RR, 5), b = real_time(K_SCHED_RR, 5);
	struct runq rq = { 0 };

	runq_init(&rq);
	runq_enqueue(&rq, &a);
	runq_enqueue(&rq, &b);
	CHECK(runq_pop(&rq) == &a);
	runq_charge(&rq, &a, RR_SLICE_NS / 2);
	CHECK(!runq_slice_over(&rq, &a));
	runq_charge(&rq, &a, RR_SLICE_NS / 2);
	CHECK(runq_slice_over(&rq, &a));
	runq_requeue(&rq, &a);
	CHECK(runq_pop(&rq) == &b);
}

TEST(yield_lets_others_go_first)
{
	struct sched_entity a = fair(1024), b = fair(1024);
	struct runq rq = { 0 };

	runq_init(&rq);
	b.vruntime = 2 * MS;
	runq_enqueue(&rq, &a);
	runq_enqueue(&rq, &b);
	CHECK(runq_pop(&rq) == &a);
	runq_yield(&rq, &a);
	runq_requeue(&rq, &a);
	CHECK(runq_pop(&rq) == &b);
}

TEST(any_one_is_near_the_front_and_real_time_stays_first)
{
	struct sched_entity fair[8], high;
	struct runq rq = { 0 };
	uint32_t seen = 0;

	runq_init(&rq);
	for (int i = 0; i < 8; i++) {
		fair[i] = (struct sched_entity){ .weight = 1024, .vruntime = (uint64_t)i };
		runq_enqueue(&rq, &fair[i]);
	}
	for (int i = 0; i < 1000; i++) {
		struct sched_entity *se = runq_pop_any(&rq, unit_random());

		seen |= 1u << (se - fair);
		CHECK_EQ(rq.count, 7);
		CHECK_EQ(rq.min_vruntime, 0);
		runq_enqueue(&rq, se);
	}
	CHECK(seen & (seen - 1));
	high = (struct sched_entity){ .sched_class = K_SCHED_FIFO, .priority = 5 };
	runq_enqueue(&rq, &high);
	CHECK(runq_pop_any(&rq, unit_random()) == &high);
	for (int i = 0; i < 8; i++)
		CHECK(runq_pop_any(&rq, unit_random()));
	CHECK(!runq_pop_any(&rq, unit_random()));
}

TEST(stealing_respects_affinity)
{
	struct sched_entity a = fair(1024), b = fair(1024);
	struct runq rq = { 0 };

	runq_init(&rq);
	a.affinity = 1;
	b.affinity = 3;
	b.vruntime = 5;
	runq_enqueue(&rq, &a);
	runq_enqueue(&rq, &b);
	CHECK(runq_steal(&rq, 1) == &b);
	CHECK(!runq_steal(&rq, 1));
	CHECK(rq.count == 1);
}

TEST(idle_class_gets_little_but_something)
{
	struct sched_entity a = fair(1024), idle = fair(IDLE_WEIGHT);
	struct runq rq = { 0 };

	runq_init(&rq);
	idle.sched_class = K_SCHED_IDLE;
	runq_enqueue(&rq, &a);
	runq_enqueue(&rq, &idle);
	run(&rq, 2000);
	CHECK(idle.ran_ns > 0 && idle.ran_ns < 20 * SLICE_NS);
	CHECK(runq_preempts(&a, &idle) && !runq_preempts(&idle, &a));
}
