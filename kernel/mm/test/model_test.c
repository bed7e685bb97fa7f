/* SPDX-License-Identifier: MIT */
/*
 * Spaces against a model: random sequences of everything a program and its
 * personality can do, each access compared with what a page-by-page model says.
 */

#include "spaces.h"

#include <string.h>

#include "kernel/backing.h"
#include "kernel/fault.h"
#include "kernel/kmem.h"
#include "unit/unit.h"

#define WINDOW	96u			/* pages of each space that are played with */
#define SPACES	4u
#define OBJECTS	3u
#define OBJECT_PAGES 24u

struct model_page {
	bool mapped, shared, has_copy, dont_fork, wipe;
	uint32_t prot, max_prot;
	int object;			/* -1: anonymous */
	uint64_t index;			/* page of the object */
	uint64_t value;			/* anonymous, or has_copy */
};

struct model_object {
	struct memory *memory;
	uint64_t pages;			/* size */
	uint64_t value[OBJECT_PAGES];
	bool present[OBJECT_PAGES];	/* paged ones: supplied */
	bool dirty[OBJECT_PAGES];	/* written since it was supplied or cleaned */
	bool paged;
};

struct model_space {
	struct space *space;
	struct model_page page[WINDOW];
};

static struct model_space spaces[SPACES];
static struct model_object objects[OBJECTS];
static uint64_t next_value;

static uint64_t va_of(uint64_t i) { return BASE + i * K_PAGE_SIZE; }

/* What an access is to give; *v: where the value lives in the model. */
static k_status_t expect(struct model_page *p, bool write, uint64_t **v, bool *fill)
{
	struct model_object *o;

	*fill = false;
	if (!p->mapped)
		return K_ERR_NOT_FOUND;
	if (!p->prot || (write && !(p->prot & K_PROT_WRITE)))
		return K_ERR_ACCESS;
	*v = &p->value;
	if (p->object < 0 || p->has_copy)
		return K_OK;
	o = &objects[p->object];
	if (p->index >= o->pages)
		return K_ERR_BEYOND_END;
	if (o->paged && !o->present[p->index])
		return K_ERR_NEED_PAGE;
	if (write && !p->shared) {
		p->value = o->value[p->index];
		*fill = true;		/* becomes a copy if the access succeeds */
	} else {
		*v = &o->value[p->index];
	}
	return K_OK;
}

static void note_write_in_model(const struct model_page *p)
{
	if (p->object >= 0 && p->shared)
		objects[p->object].dirty[p->index] = true;
}

static void do_access(struct model_space *m, uint64_t i, bool write)
{
	struct model_page *p = &m->page[i];
	uint64_t *v = NULL, value = ++next_value;
	struct k_fault fault = { 0 };
	bool copy;
	k_status_t want = expect(p, write, &v, &copy);
	k_status_t got = sim_access(m->space, va_of(i), write, &value, &fault);

	if (got == K_ERR_NO_MEMORY)
		return;
	CHECK_EQ(got, want);
	if (got == K_ERR_NEED_PAGE)
		CHECK_EQ(fault.offset, p->index * K_PAGE_SIZE);
	if (got != K_OK || want != K_OK)
		return;
	if (write) {
		p->has_copy |= copy;
		*v = value;
		note_write_in_model(p);
	} else {
		CHECK_EQ(value, *v);
	}
}

static void do_map(struct model_space *m)
{
	uint64_t i = pick(WINDOW), n = 1 + pick(MIN(WINDOW - i, 20ull));
	int object = (int)pick(OBJECTS + 2) - 2;
	struct k_map map = { .addr = va_of(i), .length = n * K_PAGE_SIZE, .flags = K_MAP_FIXED };
	k_status_t st;

	object = MAX(object, -1);
	map.prot = (uint32_t)pick(4);
	map.max_prot = map.prot | (uint32_t)pick(8);
	if (object >= 0) {
		map.offset = pick(OBJECT_PAGES) * K_PAGE_SIZE;
		map.flags |= pick(2) ? K_MAP_SHARED : 0;
	}
	map.flags |= pick(10) ? 0 : K_MAP_NO_REPLACE;
	map.flags |= pick(10) ? 0 : K_MAP_POPULATE;
	st = space_map(m->space, &map, object < 0 ? NULL : objects[object].memory, NULL);
	if (st == K_ERR_NO_MEMORY)
		return;
	if (map.flags & K_MAP_NO_REPLACE) {
		bool any = false;

		for (uint64_t k = i; k < i + n; k++)
			any |= m->page[k].mapped;
		CHECK_EQ(st, any ? K_ERR_EXISTS : K_OK);
	} else {
		CHECK_EQ(st, K_OK);
	}
	if (st != K_OK)
		return;
	for (uint64_t k = 0; k < n; k++)
		m->page[i + k] = (struct model_page){
			.mapped = true, .shared = map.flags & K_MAP_SHARED, .prot = map.prot,
			.max_prot = map.max_prot, .object = object,
			.index = map.offset / K_PAGE_SIZE + k,
			/* populated private writable pages of objects are copies already */
		};
	for (uint64_t k = 0; k < n && (map.flags & K_MAP_POPULATE); k++) {
		struct model_page *p = &m->page[i + k];
		const arch_pte_t *pte = table_find(m->space->root, va_of(i + k));

		if (object < 0 || p->shared || !pte || !*pte || (*pte & PTE_SPECIAL))
			continue;
		p->has_copy = phys_to_page(arch_pte_paddr(*pte))->kind == PAGE_ANON;
		if (p->has_copy)
			p->value = objects[object].value[p->index];
	}
}

static void do_unmap(struct model_space *m)
{
	uint64_t i = pick(WINDOW), n = 1 + pick(MIN(WINDOW - i, 16ull));
	k_status_t st = space_unmap(m->space, va_of(i), n * K_PAGE_SIZE);

	CHECK_EQ(st, K_OK);
	memset(&m->page[i], 0, n * sizeof(m->page[0]));
}

static void do_protect(struct model_space *m)
{
	uint64_t i = pick(WINDOW), n = 1 + pick(MIN(WINDOW - i, 12ull));
	uint32_t prot = (uint32_t)pick(4);
	k_status_t st = space_protect(m->space, va_of(i), n * K_PAGE_SIZE, prot), want = K_OK;

	for (uint64_t k = i; k < i + n && want == K_OK; k++)
		if (!m->page[k].mapped)
			want = K_ERR_NOT_FOUND;
		else if (prot & ~m->page[k].max_prot)
			want = K_ERR_ACCESS;
	CHECK_EQ(st, want);
	for (uint64_t k = i; k < i + n && st == K_OK; k++)
		m->page[k].prot = prot;
}

static void do_discard(struct model_space *m)
{
	uint64_t i = pick(WINDOW), n = 1 + pick(MIN(WINDOW - i, 12ull));

	(void)!space_advise(m->space, va_of(i), n * K_PAGE_SIZE, K_ADVISE_DISCARD);
	for (uint64_t k = i; k < i + n; k++) {
		m->page[k].has_copy = false;
		m->page[k].value = 0;
	}
}

static void do_fork_advice(struct model_space *m)
{
	static const uint32_t advices[] = { K_ADVISE_DONT_FORK, K_ADVISE_DO_FORK,
					    K_ADVISE_WIPE_ON_FORK, K_ADVISE_KEEP_ON_FORK };
	uint64_t i = pick(WINDOW), n = 1 + pick(MIN(WINDOW - i, 12ull));
	uint32_t advice = advices[pick(4)];

	for (uint64_t k = i; k < i + n; k++)	/* only anonymous memory can be wiped */
		if (advice == K_ADVISE_WIPE_ON_FORK && m->page[k].mapped && m->page[k].object >= 0)
			return;
	(void)!space_advise(m->space, va_of(i), n * K_PAGE_SIZE, advice);
	for (uint64_t k = i; k < i + n; k++) {
		struct model_page *p = &m->page[k];

		if (advice == K_ADVISE_DONT_FORK || advice == K_ADVISE_DO_FORK)
			p->dont_fork = p->mapped && advice == K_ADVISE_DONT_FORK;
		else
			p->wipe = p->mapped && advice == K_ADVISE_WIPE_ON_FORK;
	}
}

/* The region of the model that page @i is in goes at least to i + n. */
static bool one_region(struct model_space *m, uint64_t i, uint64_t n)
{
	struct k_region r;

	return space_query(m->space, va_of(i), 0, &r) == K_OK && r.start <= va_of(i) &&
	       r.end >= va_of(i + n);
}

static void do_move(struct model_space *m)
{
	uint64_t i = pick(WINDOW), n = 1 + pick(MIN(WINDOW - i, 10ull)), to = pick(WINDOW);
	uint64_t len = 1 + pick(MIN(WINDOW - to, 14ull)), moved = MIN(n, len), at;
	struct k_move move = { .old_addr = va_of(i), .old_length = n * K_PAGE_SIZE,
			       .new_length = len * K_PAGE_SIZE, .min = va_of(0), .max = va_of(WINDOW) };
	struct model_page old[16];
	bool ok = one_region(m, i, n);
	k_status_t st;

	if (pick(2)) {
		move.flags = K_MOVE_MAY_MOVE | K_MOVE_FIXED;
		move.new_addr = va_of(to);
	} else if (pick(2)) {
		move.flags = K_MOVE_MAY_MOVE;
	}
	if (!pick(4)) {
		move.flags |= K_MOVE_DONT_UNMAP | K_MOVE_MAY_MOVE;
		move.new_length = move.old_length;
		len = moved = n;
		if ((move.flags & K_MOVE_FIXED) && to + len > WINDOW)
			return;
	}
	if (i + len > WINDOW)	/* could grow out of the window */
		return;
	st = space_move(m->space, &move);
	if (st == K_ERR_NO_MEMORY || st == K_ERR_NO_SPACE || st == K_ERR_BAD_ARGUMENT) {
		CHECK(st != K_ERR_BAD_ARGUMENT || ((move.flags & K_MOVE_FIXED) &&
						    to < i + n && i < to + len));
		/* shrinking comes first, and a failure afterwards leaves it done */
		CHECK(st != K_ERR_NO_SPACE || len > n || (move.flags & K_MOVE_DONT_UNMAP));
		return;
	}
	CHECK_EQ(st, ok ? K_OK : K_ERR_NOT_FOUND);
	if (st != K_OK || !ok)
		return;
	memcpy(old, &m->page[i], n * sizeof(old[0]));
	at = (move.new_addr - BASE) / K_PAGE_SIZE;
	REQUIRE(move.new_addr >= BASE && at + len <= WINDOW);
	if (at != i && !(move.flags & K_MOVE_DONT_UNMAP))
		memset(&m->page[i], 0, n * sizeof(old[0]));
	if (at != i && (move.flags & K_MOVE_DONT_UNMAP))
		for (uint64_t k = 0; k < n; k++) {
			m->page[i + k].has_copy = false;
			m->page[i + k].value = 0;
		}
	if (at == i && len < n)
		memset(&m->page[i + len], 0, (n - len) * sizeof(old[0]));
	for (uint64_t k = 0; k < len; k++) {
		m->page[at + k] = old[MIN(k, n - 1)];
		if (k >= n) {
			m->page[at + k].has_copy = false;
			m->page[at + k].value = 0;
			m->page[at + k].index = old[0].index + k;
		}
	}
}

static void do_clone(struct model_space *from)
{
	struct model_space *to = &spaces[pick(SPACES)];
	struct space *child;

	if (from == to || space_clone(from->space, &child) != K_OK)
		return;
	object_put(&to->space->object);
	to->space = child;
	memcpy(to->page, from->page, sizeof(to->page));
	for (unsigned i = 0; i < WINDOW; i++)
		if (to->page[i].dont_fork)
			memset(&to->page[i], 0, sizeof(to->page[i]));
		else if (to->page[i].wipe)
			to->page[i].value = 0;
}

/* Truncation takes private copies away too. */
static void do_resize(void)
{
	unsigned k = (unsigned)pick(OBJECTS);
	struct model_object *o = &objects[k];
	uint64_t pages = pick(OBJECT_PAGES + 1);

	CHECK_EQ(memory_resize(o->memory, pages * K_PAGE_SIZE), K_OK);
	for (uint64_t i = pages; i < OBJECT_PAGES; i++) {
		o->value[i] = 0;
		o->present[i] = o->dirty[i] = false;
	}
	for (unsigned s = 0; s < SPACES; s++)
		for (unsigned i = 0; i < WINDOW; i++) {
			struct model_page *p = &spaces[s].page[i];

			if (p->mapped && p->object == (int)k && pages < o->pages &&
			    p->index >= pages && p->index < o->pages)
				p->has_copy = false;
		}
	o->pages = pages;
}

static void do_hole(void)
{
	struct model_object *o = &objects[pick(OBJECTS)];
	uint64_t i = pick(OBJECT_PAGES), n = pick(6);

	CHECK_EQ(memory_discard(o->memory, i * K_PAGE_SIZE, n * K_PAGE_SIZE), K_OK);
	for (uint64_t k = i; k < i + n && k < o->pages; k++) {
		o->value[k] = 0;
		o->present[k] = o->dirty[k] = false;
	}
}

static void do_object(void)
{
	struct model_object *o = &objects[pick(OBJECTS)];
	uint64_t i = pick(OBJECT_PAGES), value = ++next_value, done, page[K_PAGE_SIZE / 8];
	struct k_evict evict;
	k_status_t st, want = i >= o->pages ? K_ERR_BEYOND_END : K_OK;

	memset(page, 0, sizeof(page));
	page[0] = value;
	switch (pick(4)) {
	case 0:
		st = memory_read(o->memory, i * K_PAGE_SIZE, &value, 8, false, &done);
		if (want == K_OK && o->paged && !o->present[i])
			want = K_ERR_NEED_PAGE;
		CHECK_EQ(st, want);
		if (st == K_OK)
			CHECK_EQ(value, o->value[i]);
		break;
	case 1:		/* a whole page needs no old contents, a part does */
		if (pick(2)) {
			st = memory_write(o->memory, i * K_PAGE_SIZE, page, sizeof(page), false, &done);
		} else {
			st = memory_write(o->memory, i * K_PAGE_SIZE, page, 8, false, &done);
			if (want == K_OK && o->paged && !o->present[i])
				want = K_ERR_NEED_PAGE;
		}
		if (st == K_ERR_NO_MEMORY)
			break;
		CHECK_EQ(st, want);
		if (st == K_OK) {
			o->value[i] = value;
			o->present[i] = o->dirty[i] = true;
		}
		break;
	case 2:
		if (!o->paged)
			break;
		st = memory_supply(o->memory, i * K_PAGE_SIZE, page, sizeof(page), false);
		if (st == K_ERR_NO_MEMORY)
			break;
		CHECK_EQ(st, want);
		if (st == K_OK && !o->present[i]) {
			o->value[i] = value;
			o->present[i] = true;
		}
		break;
	default:
		if (!o->paged)
			break;
		/* Eviction may take any page that is not dirty; those taken need supplying again. */
		evict = (struct k_evict){ .offset = i * K_PAGE_SIZE, .length = 4 * K_PAGE_SIZE,
					  .flags = pick(4),	/* K_EVICT_* */
					  .scan = pick(2) ? 2 : 0 };
		CHECK_EQ(memory_evict(o->memory, &evict), K_OK);
		for (uint64_t k = i; k < i + 4 && k < o->pages; k++) {
			uint64_t at = k * K_PAGE_SIZE;

			if (o->present[k] && (memory_next(o->memory, at, K_NEXT_DATA, &at) != K_OK ||
					      at != k * K_PAGE_SIZE)) {
				CHECK(!o->dirty[k]);
				o->present[k] = false;
				o->value[k] = 0;
			}
		}
	}
}

static void do_clean(void)
{
	struct model_object *o = &objects[pick(OBJECTS)];
	struct k_clean clean = { .offset = 0, .length = OBJECT_PAGES * K_PAGE_SIZE,
				 .action = K_CLEAN_TAKE };

	CHECK_EQ(memory_clean(o->memory, &clean), K_OK);
	for (uint64_t i = clean.offset / K_PAGE_SIZE;
	     i < (clean.offset + clean.length) / K_PAGE_SIZE; i++)
		o->dirty[i] = false;
}

/* Pages read from a foreign space are what the program itself would see. */
static void do_foreign(struct model_space *m)
{
	uint64_t i = pick(WINDOW), value = ++next_value, done, *v = NULL;
	struct model_page *p = &m->page[i];
	bool write = pick(2), copy, denied;
	uint32_t prot = p->prot;
	k_status_t want, got;

	denied = !p->mapped || (write && p->shared && !(p->prot & K_PROT_WRITE));
	p->prot = p->max_prot;
	want = expect(p, write, &v, &copy);
	p->prot = prot;
	if (denied)
		want = K_ERR_ACCESS;
	got = write ? space_write(m->space, va_of(i), &value, 8, &done) :
		      space_read(m->space, va_of(i), &value, 8, &done);
	if (got == K_ERR_NO_MEMORY)
		return;
	CHECK_EQ(got, want);
	CHECK_EQ(done, got == K_OK ? 8 : 0);
	if (got != K_OK || want != K_OK)
		return;
	if (write) {
		p->has_copy |= copy;
		*v = value;
		note_write_in_model(p);
	} else {
		CHECK_EQ(value, *v);
	}
}

static void check_all(void)
{
	for (unsigned s = 0; s < SPACES; s++) {
		struct model_space *m = &spaces[s];
		uint64_t mapped = 0;
		struct k_space_info info;

		space_check(m->space);
		for (unsigned i = 0; i < WINDOW; i++)
			mapped += m->page[i].mapped;
		space_info(m->space, &info);
		CHECK_EQ(info.mapped_bytes, mapped * K_PAGE_SIZE);
	}
}

static void step(void)
{
	static unsigned current;
	struct model_space *m;

	/* Stay in a space for a while: each change empties the TLB. */
	if (!pick(30))
		current = (unsigned)pick(SPACES);
	m = &spaces[current];

	switch (pick(40)) {
	case 0 ... 2:	do_map(m); break;
	case 3:		do_unmap(m); break;
	case 4:		do_protect(m); break;
	case 5:		do_discard(m); break;
	case 6:		do_move(m); break;
	case 7:		do_clone(m); break;
	case 8:		do_resize(); break;
	case 9:		do_hole(); break;
	case 10 ... 12:	do_object(); break;
	case 13:	do_clean(); break;
	case 14 ... 16:	do_foreign(pick(2) ? m : &spaces[pick(SPACES)]); break;
	case 17:	do_fork_advice(m); break;
	case 18 ... 27:	do_access(m, pick(WINDOW), true); break;
	default:	do_access(m, pick(WINDOW), false); break;
	}
}

static void play(unsigned steps, unsigned fail_one_in)
{
	uint64_t objects_before, charged, free_pages, free_after;
	struct space *owner;

	sim_start();
	free_pages = sim_free_pages();
	objects_before = sim_objects;
	charged = sim_charged;
	memset(spaces, 0, sizeof(spaces));
	memset(objects, 0, sizeof(objects));
	REQUIRE(space_create(sim_group, 0, NULL, &owner) == K_OK);
	for (unsigned i = 0; i < SPACES; i++)
		REQUIRE(space_create(sim_group, K_SPACE_PROGRAM, i % 2 ? owner : NULL,
				     &spaces[i].space) == K_OK);
	for (unsigned i = 0; i < OBJECTS; i++) {
		objects[i].paged = i == 1;
		objects[i].pages = OBJECT_PAGES / 2;
		REQUIRE(memory_create(sim_group, OBJECT_PAGES / 2 * K_PAGE_SIZE,
				      i == 0 ? 0 : i == 1 ? K_MEMORY_PAGED | K_MEMORY_TRACK_DIRTY :
				      K_MEMORY_TRACK_DIRTY, &objects[i].memory) == K_OK);
	}
	sim_fail_charges(fail_one_in);
	for (unsigned i = 0; i < steps; i++) {
		step();
		if (i % 16 == 0)
			check_all();
	}
	sim_fail_charges(0);
	for (unsigned i = 0; i < SPACES; i++)
		object_put(&spaces[i].space->object);
	object_put(&owner->object);
	for (unsigned i = 0; i < OBJECTS; i++)
		object_put(&objects[i].memory->object);
	CHECK_EQ(sim_objects, objects_before);
	CHECK_EQ(sim_charged, charged);
	free_after = sim_free_pages();
	CHECK(free_after + 260 >= free_pages);	/* sections reached meanwhile */
}

TEST(spaces_do_what_the_model_says)
{
	play(200000, 0);
}

TEST(spaces_survive_failing_allocations)
{
	for (unsigned round = 0; round < 6; round++)
		play(15000, 5 + round * 20);
}

TEST(nothing_leaks)
{
	uint64_t before;

	play(2000, 0);
	before = sim_free_pages();
	play(2000, 0);
	CHECK_EQ(sim_free_pages(), before);
}

/* -- identifiers of address spaces: from here on the processors have some ---------------------- */

TEST(what_is_remembered_of_other_roots_holds)
{
	arch_asids = SIM_ASIDS_MAX;
	play(200000, 0);
	CHECK(sim_kept_loads > 1000);
}

TEST(no_unified_root_remembers_what_left_the_slot)
{
	struct space *owner, *programs[3];
	struct k_map map = { .addr = K_PERSONALITY_BASE + BASE, .length = K_PAGE_SIZE,
			     .prot = K_PROT_READ | K_PROT_WRITE,
			     .max_prot = K_PROT_READ | K_PROT_WRITE,
			     .flags = K_MAP_FIXED };

	sim_start();
	REQUIRE(space_create(sim_group, 0, NULL, &owner) == K_OK);
	for (unsigned i = 0; i < ARRAY_SIZE(programs); i++)
		REQUIRE(space_create(sim_group, K_SPACE_PROGRAM, owner, &programs[i]) == K_OK);
	for (unsigned round = 0; round < 100; round++) {
		CHECK_EQ(space_map(owner, &map, NULL, NULL), K_OK);
		CHECK_EQ(fault_handle(owner, map.addr, K_PROT_WRITE, NULL), K_OK);
		for (unsigned i = 0; i < 20; i++)
			CHECK(sim_reaches(programs[pick(ARRAY_SIZE(programs))], true, map.addr));
		for (unsigned i = 0; i < 20; i++)
			CHECK(!sim_reaches(programs[pick(ARRAY_SIZE(programs))], false, map.addr));
		CHECK_EQ(space_unmap(owner, map.addr, K_PAGE_SIZE), K_OK);
		for (unsigned i = 0; i < 20; i++)
			CHECK(!sim_reaches(programs[pick(ARRAY_SIZE(programs))], true, map.addr));
	}
	for (unsigned i = 0; i < ARRAY_SIZE(programs); i++)
		object_put(&programs[i]->object);
	object_put(&owner->object);
}
