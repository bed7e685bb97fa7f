/* SPDX-License-Identifier: MIT */
/*
 * Spaces against a model: random sequences of everything a program and its
 * personality can do, each access compared with what a page-by-page model says.
 */

#include "sim.h"

#include <string.h>

#include "kernel/backing.h"
#include "kernel/fault.h"
#include "kernel/kmem.h"
#include "unit/unit.h"

#define WINDOW	96u			/* pages of each space that are played with */
#define BASE	0x7ffe00000ull		/* across the border of a last-level table */
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
static uint64_t pick(uint64_t n) { return unit_random() % n; }

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

/* -- single properties ---------------------------------------------------------------------- */

static struct space *new_space(void)
{
	struct space *space = NULL;

	sim_start();
	CHECK_EQ(space_create(sim_group, K_SPACE_PROGRAM, 0, &space), K_OK);
	return space;
}

static k_status_t map_at(struct space *space, uint64_t addr, uint64_t pages, uint32_t flags,
			 struct memory *memory, struct backing *backing)
{
	struct k_map map = { .addr = addr, .length = pages * K_PAGE_SIZE,
			     .prot = K_PROT_READ | K_PROT_WRITE,
			     .max_prot = K_PROT_READ | K_PROT_WRITE | K_PROT_EXEC,
			     .flags = flags | K_MAP_FIXED, .limit = 64 * K_PAGE_SIZE };

	return space_map(space, &map, memory, backing);
}

TEST(adjacent_anonymous_mappings_become_one_region)
{
	struct space *space = new_space();
	struct k_space_info info;

	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(map_at(space, BASE + (i ^ 1) * 4 * K_PAGE_SIZE, 4, 0, NULL, NULL), K_OK);
	space_info(space, &info);
	CHECK_EQ(info.regions, 1);
	CHECK_EQ(space_protect(space, BASE + 8 * K_PAGE_SIZE, K_PAGE_SIZE, K_PROT_READ), K_OK);
	space_info(space, &info);
	CHECK_EQ(info.regions, 3);
	CHECK_EQ(space_protect(space, BASE + 8 * K_PAGE_SIZE, K_PAGE_SIZE,
			       K_PROT_READ | K_PROT_WRITE), K_OK);
	space_info(space, &info);
	CHECK_EQ(info.regions, 1);
	object_put(&space->object);
}

TEST(a_written_page_is_reused_when_the_other_side_is_gone)
{
	struct space *space = new_space(), *child;
	const arch_pte_t *pte;
	paddr_t before;

	CHECK_EQ(map_at(space, BASE, 1, 0, NULL, NULL), K_OK);
	CHECK_EQ(sim_write(space, BASE, 7), K_OK);
	pte = table_find(space->root, BASE);
	before = arch_pte_paddr(*pte);
	REQUIRE(space_clone(space, &child) == K_OK);
	CHECK(!arch_pte_writable(*pte));
	object_put(&child->object);
	CHECK_EQ(sim_write(space, BASE, 8), K_OK);
	CHECK_EQ(arch_pte_paddr(*pte), before);
	object_put(&space->object);
}

TEST(a_page_pinned_in_a_space_stays_there)
{
	struct space *space = new_space(), *child;
	struct page *page = NULL;
	const uint64_t *word;
	uint64_t value = 0;

	CHECK_EQ(space_pin(space, BASE, &page), K_ERR_NOT_FOUND);
	CHECK_EQ(map_at(space, BASE, 1, 0, NULL, NULL), K_OK);
	REQUIRE(space_pin(space, BASE + 8, &page) == K_OK);
	word = page_virt(page);
	CHECK_EQ(sim_write(space, BASE, 7), K_OK);
	CHECK_EQ(*word, 7);
	/* The clone has a copy; neither this nor a change of protection makes one for the space. */
	REQUIRE(space_clone(space, &child) == K_OK);
	CHECK_EQ(sim_write(space, BASE, 8), K_OK);
	CHECK_EQ(*word, 8);
	CHECK_EQ(sim_read(child, BASE, &value), K_OK);
	CHECK_EQ(value, 7);
	CHECK_EQ(space_protect(space, BASE, K_PAGE_SIZE, K_PROT_READ), K_OK);
	CHECK_EQ(space_protect(space, BASE, K_PAGE_SIZE, K_PROT_READ | K_PROT_WRITE), K_OK);
	CHECK_EQ(sim_write(space, BASE, 9), K_OK);
	CHECK_EQ(*word, 9);
	space_check(space);
	space_check(child);
	object_put(&child->object);
	/* Unmapped, it is the kernel's alone. */
	CHECK_EQ(space_unmap(space, BASE, K_PAGE_SIZE), K_OK);
	CHECK_EQ(atomic_load(&page->refs), 1);
	CHECK_EQ(*word, 9);
	space_unpin(space, page);
	object_put(&space->object);
}

TEST(a_stack_grows_to_its_limit_and_keeps_its_guard)
{
	struct space *space = new_space();
	uint64_t top = 1ull << 40, value;

	CHECK_EQ(map_at(space, top - 2 * K_PAGE_SIZE, 2, K_MAP_GROWS_DOWN, NULL, NULL), K_OK);
	CHECK_EQ(sim_write(space, top - 64 * K_PAGE_SIZE, 1), K_OK);
	CHECK_EQ(sim_write(space, top - 64 * K_PAGE_SIZE - 8, 1), K_ERR_NOT_FOUND);
	CHECK_EQ(space_unmap(space, top - 64 * K_PAGE_SIZE, 62 * K_PAGE_SIZE), K_OK);
	/* Something accessible closer than the guard stops the growth. */
	CHECK_EQ(map_at(space, top - 200 * K_PAGE_SIZE, 1, 0, NULL, NULL), K_OK);
	CHECK_EQ(sim_read(space, top - 20 * K_PAGE_SIZE, &value), K_ERR_NOT_FOUND);
	object_put(&space->object);
}

TEST(backings_are_reaped_when_the_last_region_goes)
{
	struct space *space = new_space(), *child;
	struct reap_list *list = reap_list_create();
	struct memory *memory;
	struct backing *backing;
	uint64_t cookie = 0;

	REQUIRE(list && memory_create(sim_group, 8 * K_PAGE_SIZE, 0, &memory) == K_OK);
	REQUIRE(backing_create(list, NULL, memory, 42, &backing) == K_OK);
	CHECK_EQ(map_at(space, BASE, 8, K_MAP_SHARED, NULL, backing), K_OK);
	CHECK_EQ(space_unmap(space, BASE + 3 * K_PAGE_SIZE, K_PAGE_SIZE), K_OK);
	REQUIRE(space_clone(space, &child) == K_OK);
	CHECK_EQ(atomic_load(&backing->regions), 4);
	object_put(&space->object);
	CHECK_EQ(backing_reap(list, &cookie, 1), 0);
	object_put(&child->object);
	/* Mapped again before it is reaped: alive. */
	space = new_space();
	CHECK_EQ(map_at(space, BASE, 1, K_MAP_SHARED, NULL, backing), K_OK);
	CHECK_EQ(backing_reap(list, &cookie, 1), 0);
	object_put(&space->object);
	CHECK_EQ(backing_reap(list, &cookie, 1), 1);
	CHECK_EQ(cookie, 42);
	space = new_space();
	CHECK_EQ(map_at(space, BASE, 1, K_MAP_SHARED, NULL, backing), K_ERR_CLOSED);
	object_put(&space->object);
	object_put(&backing->object);
	object_put(&memory->object);
	reap_list_put(list);
}

/* Its owner knows, and may have another with the same cookie by the time it would be told. */
TEST(a_backing_that_could_not_be_mapped_is_not_reaped)
{
	struct space *space = new_space();
	struct reap_list *list = reap_list_create();
	struct backing *backing;
	struct memory *memory;
	uint64_t cookie = 0;

	REQUIRE(list && memory_create(sim_group, 8 * K_PAGE_SIZE, 0, &memory) == K_OK);
	REQUIRE(backing_create(list, NULL, memory, 42, &backing) == K_OK);
	CHECK_EQ(map_at(space, BASE, 1, 0, NULL, NULL), K_OK);
	for (int tries = 0; tries < 2; tries++)
		CHECK_EQ(map_at(space, BASE, 1, K_MAP_SHARED | K_MAP_NO_REPLACE, NULL, backing), K_ERR_EXISTS);
	CHECK_EQ(backing_reap(list, &cookie, 1), 0);
	CHECK_EQ(atomic_load(&backing->object.refs.value), 1);
	/* One that was mapped before is, whatever comes last. */
	CHECK_EQ(map_at(space, BASE, 1, K_MAP_SHARED, NULL, backing), K_OK);
	CHECK_EQ(map_at(space, BASE, 1, K_MAP_SHARED | K_MAP_NO_REPLACE, NULL, backing), K_ERR_EXISTS);
	CHECK_EQ(space_unmap(space, BASE, K_PAGE_SIZE), K_OK);
	CHECK_EQ(map_at(space, BASE, 1, 0, NULL, NULL), K_OK);
	CHECK_EQ(map_at(space, BASE, 1, K_MAP_SHARED | K_MAP_NO_REPLACE, NULL, backing), K_ERR_EXISTS);
	CHECK_EQ(backing_reap(list, &cookie, 1), 1);
	CHECK_EQ(cookie, 42);
	object_put(&space->object);
	object_put(&backing->object);
	object_put(&memory->object);
	reap_list_put(list);
}

TEST(first_writes_to_clean_pages_are_noticed)
{
	struct space *space = new_space();
	struct k_memory_info info;
	struct memory *memory;
	struct k_clean clean = { .length = 1 << 20, .action = K_CLEAN_TAKE };
	struct k_fault fault;
	uint64_t value = 1;

	REQUIRE(memory_create(sim_group, 8 * K_PAGE_SIZE, K_MEMORY_WRITE_FAULTS, &memory) == K_OK);
	CHECK_EQ(map_at(space, BASE, 8, K_MAP_SHARED, memory, NULL), K_OK);
	CHECK_EQ(sim_read(space, BASE + K_PAGE_SIZE, &value), K_OK);
	CHECK_EQ(sim_access(space, BASE + K_PAGE_SIZE, true, &value, &fault), K_ERR_NEED_PAGE);
	CHECK_EQ(fault.access, K_PROT_WRITE);
	CHECK_EQ(fault.offset, K_PAGE_SIZE);
	CHECK_EQ(memory_clean(memory, &(struct k_clean){ K_PAGE_SIZE, K_PAGE_SIZE, K_CLEAN_MARK, 0 }),
		 K_OK);
	CHECK_EQ(sim_access(space, BASE + K_PAGE_SIZE, true, &value, &fault), K_OK);
	memory_info(memory, &info);
	CHECK_EQ(info.dirty_pages, 1);
	CHECK_EQ(memory_clean(memory, &clean), K_OK);
	CHECK_EQ(clean.offset, K_PAGE_SIZE);
	CHECK_EQ(clean.length, K_PAGE_SIZE);
	CHECK_EQ(sim_access(space, BASE + K_PAGE_SIZE, true, &value, &fault), K_ERR_NEED_PAGE);
	object_put(&space->object);
	object_put(&memory->object);
}

TEST(slices_share_pages_and_cannot_be_written)
{
	struct space *space = new_space();
	struct memory *memory, *slice, *part;
	uint64_t value = 99, done;
	struct k_map map = { .addr = BASE, .length = 2 * K_PAGE_SIZE, .prot = K_PROT_READ,
			     .max_prot = K_PROT_READ, .flags = K_MAP_FIXED | K_MAP_SHARED };

	REQUIRE(memory_create(sim_group, 8 * K_PAGE_SIZE, 0, &memory) == K_OK);
	CHECK_EQ(memory_write(memory, 5 * K_PAGE_SIZE, &value, 8, false, &done), K_OK);
	CHECK_EQ(memory_slice(memory, 7 * K_PAGE_SIZE, 2 * K_PAGE_SIZE, &slice), K_ERR_BEYOND_END);
	REQUIRE(memory_slice(memory, 3 * K_PAGE_SIZE, 4 * K_PAGE_SIZE, &slice) == K_OK);
	REQUIRE(memory_slice(slice, K_PAGE_SIZE, K_PAGE_SIZE + 100, &part) == K_OK);
	CHECK_EQ(memory_write(part, 0, &value, 8, false, &done), K_ERR_ACCESS);
	value = 0;
	CHECK_EQ(memory_read(part, K_PAGE_SIZE, &value, 8, false, &done), K_OK);
	CHECK_EQ(value, 99);
	CHECK_EQ(memory_read(part, K_PAGE_SIZE + 96, &value, 8, false, &done), K_ERR_BEYOND_END);
	CHECK_EQ(done, 4);
	CHECK_EQ(space_map(space, &map, part, NULL), K_OK);
	CHECK_EQ(sim_read(space, BASE + K_PAGE_SIZE, &value), K_OK);
	CHECK_EQ(value, 99);
	/* Truncating the parent reaches mappings of the slice. */
	CHECK_EQ(memory_resize(memory, 5 * K_PAGE_SIZE), K_OK);
	CHECK_EQ(sim_read(space, BASE + K_PAGE_SIZE, &value), K_ERR_BEYOND_END);
	object_put(&part->object);
	object_put(&slice->object);
	object_put(&memory->object);
	object_put(&space->object);
}

TEST(what_lies_behind_the_end_is_zero)
{
	uint64_t page[K_PAGE_SIZE / 8], value, done;
	struct memory *memory;

	sim_start();
	/* Pages that were used before are not zero by chance. */
	for (unsigned i = 0; i < 64; i++) {
		struct page *p = page_alloc(0, 0, PAGE_KERNEL, NULL);

		REQUIRE(p);
		memset(page_virt(p), 0xee, K_PAGE_SIZE);
		page_free(p, 0);
	}
	memset(page, 0x11, sizeof(page));
	REQUIRE(memory_create(sim_group, 100, K_MEMORY_PAGED, &memory) == K_OK);
	CHECK_EQ(memory_write(memory, 0, page, 100, false, &done), K_OK);
	CHECK_EQ(memory_resize(memory, 2 * K_PAGE_SIZE), K_OK);
	CHECK_EQ(memory_read(memory, 104, &value, 8, false, &done), K_OK);
	CHECK_EQ(value, 0);
	CHECK_EQ(memory_write(memory, 0, page, sizeof(page), false, &done), K_OK);
	CHECK_EQ(memory_resize(memory, 104), K_OK);
	CHECK_EQ(memory_resize(memory, 2 * K_PAGE_SIZE), K_OK);
	CHECK_EQ(memory_read(memory, 104, &value, 8, false, &done), K_OK);
	CHECK_EQ(value, 0);
	CHECK_EQ(memory_read(memory, 96, &value, 8, false, &done), K_OK);
	CHECK_EQ(value, 0x1111111111111111);
	CHECK_EQ(memory_supply(memory, K_PAGE_SIZE, page, 8, false), K_ERR_BAD_ARGUMENT);
	CHECK_EQ(memory_resize(memory, K_PAGE_SIZE + 8), K_OK);
	CHECK_EQ(memory_supply(memory, K_PAGE_SIZE, page, 8, false), K_OK);
	CHECK_EQ(memory_resize(memory, 2 * K_PAGE_SIZE), K_OK);
	CHECK_EQ(memory_read(memory, K_PAGE_SIZE + 8, &value, 8, false, &done), K_OK);
	CHECK_EQ(value, 0);
	object_put(&memory->object);
}

TEST(pinned_pages_stay_and_are_counted)
{
	struct memory *memory;
	paddr_t pages[4];
	struct k_evict evict = { .length = K_PAGE_SIZE };

	sim_start();
	REQUIRE(memory_create(sim_group, 4 * K_PAGE_SIZE, 0, &memory) == K_OK);
	CHECK_EQ(memory_pin(memory, K_PAGE_SIZE, 4 * K_PAGE_SIZE, pages), K_ERR_BEYOND_END);
	CHECK_EQ(memory_pin(memory, 0, 4 * K_PAGE_SIZE, pages), K_OK);
	CHECK_EQ(atomic_load(&memory->pins), 4);
	/* Taken out of the object, but not freed. */
	CHECK_EQ(memory_resize(memory, 0), K_OK);
	CHECK_EQ(atomic_load(&phys_to_page(pages[3])->refs), 1);
	memory_unpin(memory, pages, 4);
	CHECK_EQ(atomic_load(&memory->pins), 0);
	CHECK_EQ(memory_evict(memory, &evict), K_ERR_BAD_ARGUMENT);
	object_put(&memory->object);
}

/* What is freed of pages [0, 4) if those used lately stay. */
static uint64_t evict_cold(struct memory *memory)
{
	struct k_evict evict = { .length = 4 * K_PAGE_SIZE, .flags = K_EVICT_COLD };

	CHECK_EQ(memory_evict(memory, &evict), K_OK);
	CHECK(!evict.length && evict.offset == 4 * K_PAGE_SIZE);
	return evict.freed;
}

TEST(cold_pages_are_evicted_before_hot_ones)
{
	static char data[4 * K_PAGE_SIZE];
	struct memory *memory;
	struct k_evict evict = { .length = 4 * K_PAGE_SIZE, .scan = 1 };
	uint64_t done;

	sim_start();
	REQUIRE(memory_create(sim_group, 4 * K_PAGE_SIZE, K_MEMORY_PAGED, &memory) == K_OK);
	CHECK_EQ(memory_supply(memory, 0, data, sizeof(data), false), K_OK);
	/* Page 0 is never used, page 1 once, page 2 twice, page 3 again and again. */
	CHECK_EQ(memory_read(memory, K_PAGE_SIZE, data, 3 * K_PAGE_SIZE, false, &done), K_OK);
	CHECK_EQ(memory_read(memory, 2 * K_PAGE_SIZE, data, 2 * K_PAGE_SIZE, false, &done), K_OK);
	CHECK_EQ(evict_cold(memory), 2);
	CHECK_EQ(memory_read(memory, 3 * K_PAGE_SIZE, data, K_PAGE_SIZE, false, &done), K_OK);
	CHECK_EQ(evict_cold(memory), 1);
	CHECK_EQ(memory_read(memory, 3 * K_PAGE_SIZE, data, K_PAGE_SIZE, false, &done), K_OK);
	CHECK_EQ(evict_cold(memory), 0);
	CHECK_EQ(evict_cold(memory), 1);
	/* Without that flag all that are clean go, as far as asked. */
	CHECK_EQ(memory_supply(memory, 0, data, sizeof(data), false), K_OK);
	CHECK_EQ(memory_read(memory, 0, data, sizeof(data), false, &done), K_OK);
	CHECK_EQ(memory_evict(memory, &evict), K_OK);
	CHECK(evict.freed == 1 && evict.scan == 1 && evict.offset == K_PAGE_SIZE &&
	      evict.length == 3 * K_PAGE_SIZE);
	object_put(&memory->object);
}

TEST(pages_of_locked_mappings_are_not_evicted)
{
	static char data[4 * K_PAGE_SIZE];
	struct k_map map = { .addr = BASE, .length = 4 * K_PAGE_SIZE, .prot = K_PROT_READ,
			     .max_prot = K_PROT_READ, .flags = K_MAP_FIXED | K_MAP_SHARED };
	struct k_evict evict = { .length = 4 * K_PAGE_SIZE };
	struct memory *memory;
	struct space *space;

	sim_start();
	REQUIRE(memory_create(sim_group, 4 * K_PAGE_SIZE, K_MEMORY_PAGED, &memory) == K_OK);
	CHECK_EQ(memory_supply(memory, 0, data, sizeof(data), false), K_OK);
	REQUIRE(space_create(sim_group, K_SPACE_PROGRAM, 0, &space) == K_OK);
	CHECK_EQ(space_map(space, &map, memory, NULL), K_OK);
	CHECK_EQ(fault_handle(space, BASE, K_PROT_READ, NULL), K_OK);
	CHECK_EQ(space_advise(space, BASE, 4 * K_PAGE_SIZE, K_ADVISE_LOCK), K_OK);
	CHECK_EQ(memory_evict(memory, &evict), K_OK);
	CHECK_EQ(evict.freed, 0);
	CHECK_EQ(space_advise(space, BASE, 4 * K_PAGE_SIZE, K_ADVISE_UNLOCK), K_OK);
	/* Mapped only: they stay if so wished; ... */
	evict = (struct k_evict){ .length = 4 * K_PAGE_SIZE, .flags = K_EVICT_UNMAPPED };
	CHECK_EQ(memory_evict(memory, &evict), K_OK);
	CHECK_EQ(evict.freed, 0);
	/* ... else the first look takes them out of the mapping. */
	for (int look = 0; look < 4; look++)
		evict_cold(memory);
	CHECK_EQ(memory->pages.count, 0);
	object_put(&space->object);
	object_put(&memory->object);
}

TEST(hostile_arguments_are_refused)
{
	static const uint64_t odd[] = { 0, 1, 4095, 4096, 4097, 1ull << 47, (1ull << 47) - 4096,
					1ull << 63, UINT64_MAX, UINT64_MAX - 4095, BASE };
	struct space *space = new_space();
	struct memory *memory;

	REQUIRE(memory_create(sim_group, 8 * K_PAGE_SIZE, 0, &memory) == K_OK);
	for (unsigned i = 0; i < 40000; i++) {
		uint64_t a = odd[pick(ARRAY_SIZE(odd))], b = odd[pick(ARRAY_SIZE(odd))], done;
		struct k_map map = { .addr = a, .length = b, .prot = (uint32_t)pick(9),
				     .max_prot = (uint32_t)pick(9), .flags = (uint32_t)pick(1 << 13),
				     .offset = odd[pick(ARRAY_SIZE(odd))],
				     .min = odd[pick(ARRAY_SIZE(odd))],
				     .max = odd[pick(ARRAY_SIZE(odd))],
				     .limit = odd[pick(ARRAY_SIZE(odd))] };
		struct k_move move = { a, b, odd[pick(ARRAY_SIZE(odd))], odd[pick(ARRAY_SIZE(odd))],
				       (uint32_t)pick(9), 0, map.min, map.max };
		struct k_clean clean = { a, b, (uint32_t)pick(4), 0 };
		uint8_t bytes[8];

		map.flags &= ~(uint32_t)K_MAP_POPULATE;
		switch (pick(12)) {
		case 0: (void)!space_map(space, &map, pick(2) ? memory : NULL, NULL); break;
		case 1: (void)!space_unmap(space, a, b); break;
		case 2: (void)!space_protect(space, a, b, (uint32_t)pick(9)); break;
		case 3: (void)!space_move(space, &move); break;
		case 4: (void)!fault_handle(space, a, (uint32_t)pick(9), NULL); break;
		case 5: (void)!space_advise(space, a, MIN(b, 1ull << 20), (uint32_t)pick(14)); break;
		case 6: (void)!space_read(space, a, bytes, sizeof(bytes), &done); break;
		case 7: (void)!memory_discard(memory, a, b); break;
		case 8: (void)!memory_clean(memory, &clean); break;
		case 9: (void)!memory_next(memory, a, (uint32_t)pick(4), &done); break;
		case 10: (void)!memory_write(memory, a, bytes, sizeof(bytes), false, &done); break;
		default: (void)!memory_resize(memory, MIN(b, 1ull << 62)); break;
		}
		if (i % 64 == 0)
			space_check(space);
	}
	object_put(&memory->object);
	object_put(&space->object);
}

TEST(tables_shared_with_untouched_neighbours_are_freed_at_the_end)
{
	for (unsigned above = 0; above < 2; above++) {
		struct space *space = new_space();
		uint64_t touched = BASE + above * 8 * K_PAGE_SIZE;

		CHECK_EQ(map_at(space, BASE, 1, 0, NULL, NULL), K_OK);
		CHECK_EQ(map_at(space, BASE + 8 * K_PAGE_SIZE, 1, 0, NULL, NULL), K_OK);
		CHECK_EQ(sim_write(space, touched, 1), K_OK);
		CHECK_EQ(space_unmap(space, touched, K_PAGE_SIZE), K_OK);
		/* space_destroy() checks that no table is left. */
		object_put(&space->object);
	}
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
