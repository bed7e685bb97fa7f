/* SPDX-License-Identifier: MIT */
/*
 * Which roots a CPU remembers translations of, and whether they still hold.
 *
 * Where the processor tags translations with an identifier (x86: PCID), loading a root need
 * not forget those of the roots that were loaded before.  A CPU has a few identifiers, and
 * gives them in turn to the roots that it loads.  A shoot-down reaches the CPUs that have a root
 * of the space loaded, and no others: each space counts its shoot-downs, an identifier
 * remembers the count up to which it has followed, and what has fallen behind is forgotten
 * when it is loaded the next time.
 *
 * A unified root has the slot of a personality in it, too, which is another space's: for these
 * the shoot-downs of all slots are counted together.
 *
 * All of it belongs to one CPU: interrupts off, or preemption for asid_flushed().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define ASID_MAX 6u

/* Shoot-downs so far: of the space, of all slots. */
struct asid_stamp {
	uint64_t space, slots;
};

struct asid_set {
	struct asid {
		uint64_t koid;		/* of the space; 0: not in use */
		bool unified;
		struct asid_stamp stamp;	/* what is remembered was true then */
	} asids[ASID_MAX];
	uint32_t next;			/* is given away next */
	uint32_t loaded;		/* identifier of the loaded root; 0: the kernel's root */
};

/*
 * Choose among the identifiers 1..@count (1 to ASID_MAX) for a root that is loaded now, of the
 * space @koid, whose stamp was read after the CPU could be found by initiators.  *@keep: what
 * the processor remembers under it still holds.
 */
uint32_t asid_choose(struct asid_set *set, uint32_t count, uint64_t koid, bool unified,
		     struct asid_stamp stamp, bool *keep);

/*
 * The shoot-down that brought the counts to @stamp was carried out for the loaded root.
 * @koid: whose it was; @slot: it has a slot.
 */
void asid_flushed(struct asid_set *set, uint64_t koid, bool slot, struct asid_stamp stamp);
