/* SPDX-License-Identifier: MIT */
/* Identifiers of address spaces.  The theory is in asid.h. */

#include "asid.h"

uint32_t asid_choose(struct asid_set *set, uint32_t count, uint64_t koid, bool unified,
		     struct asid_stamp stamp, bool *keep)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		if (set->asids[i].koid == koid && set->asids[i].unified == unified)
			break;
	if (i < count) {
		const struct asid *a = &set->asids[i];

		*keep = a->stamp.space == stamp.space &&
			(!unified || a->stamp.slots == stamp.slots);
	} else {
		i = set->next;
		set->next = (i + 1) % count;
		*keep = false;
	}
	set->asids[i] = (struct asid){ .koid = koid, .unified = unified, .stamp = stamp };
	set->loaded = i + 1;
	return set->loaded;
}

void asid_flushed(struct asid_set *set, uint64_t koid, bool slot, struct asid_stamp stamp)
{
	struct asid *a;

	if (!set->loaded)
		return;
	a = &set->asids[set->loaded - 1];
	/* One that came before this one and was missed must not be hidden by it. */
	if (a->koid == koid && a->stamp.space == stamp.space - 1)
		a->stamp.space = stamp.space;
	if (slot && a->stamp.slots == stamp.slots - 1)
		a->stamp.slots = stamp.slots;
}
