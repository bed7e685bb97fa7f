/* SPDX-License-Identifier: MIT */
/*
 * The order in which runnable threads get their turn: the data structure of
 * sched.c, free of locks and processors, so that the host can test it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/heap.h"
#include "kernel/lock.h"
#include "kernel/thread.h"
#include "kernel/timer.h"

#define SLICE_NS	3000000ull	/* how long a fair thread runs while others wait */
#define GRANULARITY_NS	1000000ull	/* a woken thread preempts if it is behind by more */
#define SLEEPER_NS	3000000ull	/* and may be behind at most so much */
#define RR_SLICE_NS	100000000ull
#define IDLE_WEIGHT	3u

struct runq {
	struct spinlock lock;		/* rank LOCK_RUNQ; interrupts disabled */
	/* All below: lock. */
	struct heap fair, real_time;
	uint32_t count;			/* queued threads; read by others without the lock */
	uint64_t min_vruntime;
	uint64_t arrivals;		/* real time: order among equals */
	uint64_t start_ns;		/* when this CPU's time began */
	uint64_t clock_ns;		/* up to when the running thread was charged */
	struct thread *next_hint;	/* handed over to; may be stale, compared only while queued */
	struct thread *push;		/* being switched out, may not run here any more */
	struct ktimer slice_timer;
	bool slice_armed;
	bool ipi_wanted;		/* its CPU is to be interrupted once it is released */
	bool slice_wanted;		/* armed, but its timer is yet to be set by this CPU */
};

void runq_init(struct runq *rq);

/* A thread comes from, or goes to, another queue: its virtual time is made relative. */
void runq_join(struct runq *rq, struct sched_entity *se);
void runq_leave(struct runq *rq, struct sched_entity *se);

/* Limit what a sleeper, and grant what a new thread, may have saved. */
void runq_place_woken(struct runq *rq, struct sched_entity *se);
void runq_place_new(struct runq *rq, struct sched_entity *se);

void runq_enqueue(struct runq *rq, struct sched_entity *se);
/* The same for one that ran and was interrupted: real-time entities keep their place. */
void runq_requeue(struct runq *rq, struct sched_entity *se);
void runq_dequeue(struct runq *rq, struct sched_entity *se);

/* Take the one whose turn it is; NULL: nobody is queued. */
struct sched_entity *runq_pop(struct runq *rq);

/* Take the first or one of the next by @random; real-time entities keep their order. */
struct sched_entity *runq_pop_any(struct runq *rq, uint64_t random);

/* Take one that may run on CPU @cpu; NULL: none was found quickly. */
struct sched_entity *runq_steal(struct runq *rq, uint32_t cpu);

/* Charge the running entity with @ran_ns. */
void runq_charge(struct runq *rq, struct sched_entity *se, uint64_t ran_ns);

/* Whether @woken should interrupt @running. */
bool runq_preempts(const struct sched_entity *woken, const struct sched_entity *running);

/* Whether a queued @se may go first although it is not its turn. */
bool runq_may_jump(const struct runq *rq, const struct sched_entity *se);

/* Whether the running entity should give way to those that are queued. */
bool runq_slice_over(const struct runq *rq, const struct sched_entity *running);

/* Let everybody else of its kind go first. */
void runq_yield(struct runq *rq, struct sched_entity *running);
