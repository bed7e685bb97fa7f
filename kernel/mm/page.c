/* SPDX-License-Identifier: MIT */
/*
 * The page allocator.
 *
 * Memory is divided into sections of 16 MiB.  A section starts out unreached: its
 * struct pages are not even mapped.  When the free lists run dry the next section
 * is reached: its metadata is made from its own first pages, and the rest goes to
 * the buddy allocator.  The cost of a large memory is paid by whoever uses it.
 *
 * There are two zones, below and above 4 GiB, so that memory for devices that can
 * only address 32 bits is not used up by others: those take from the low zone
 * while it has plenty, then from the high one, then from what the low one has.
 *
 * Single pages go through a cache per CPU, refilled and drained in batches under
 * the zone's lock.
 *
 * Invariants:
 *  (1) A block of 2^n free pages starts at a multiple of 2^n; its first page is of
 *      kind FREE with its order in pins, its other pages are RESERVED.
 *  (2) Two free buddies of one order do not exist: they would have been joined.
 *  (3) Pages in a CPU's cache are of kind RESERVED, so that no buddy joins them.
 */

#include "kernel/page.h"

#include "base/string.h"
#include "kernel/group.h"
#include "kernel/lock.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "mm_priv.h"

#define SECTION_SHIFT	24u
#define SECTION_SIZE	(1ull << SECTION_SHIFT)
#define CHUNK_PAGES	(K_PAGE_SIZE / sizeof(struct page))	/* frames per page of metadata */
#define RANGES_MAX	64u
#define CACHE_BATCH	16u
#define CACHE_MAX	48u

enum { ZONE_LOW, ZONE_HIGH, ZONES };

struct zone {
	struct spinlock lock;		/* rank LOCK_PAGE */
	struct page *free[PAGE_MAX_ORDER + 1];	/* lock */
	uint64_t free_pages;		/* lock; read without it for estimates */
	uint64_t unreached;		/* lock: usable pages in sections from next_section on, without
					 * what their metadata will take */
	uint64_t next_section, end_section;	/* lock */
};

struct cpu_pages {
	/* Its CPU's, preemption disabled. */
	struct page *head;
	uint64_t count;
	int64_t kinds[PAGE_KINDS];	/* allocated less freed on this CPU; sums are the truth */
};

static struct zone zones[ZONES] = {
	{ .lock = SPINLOCK_INIT(LOCK_PAGE) }, { .lock = SPINLOCK_INIT(LOCK_PAGE) },
};
static struct cpu_pages cpu_pages[MAX_CPUS];

/* Usable memory, ascending; constant after page_init(). */
static struct page_range ranges[RANGES_MAX];
static unsigned range_count;

static uint64_t managed_pages;		/* changed by page_release_boot: atomic */
static uint64_t reserve_pages;		/* constant: the last pages (page_alloc() in page.h) */

static uint64_t low_watch_pages;
static void (*low_watch_fn)(void);
static bool low_watch_armed;

struct page *page_zero;

/* -- free lists: zone lock held ------------------------------------------------------- */

static unsigned free_order(const struct page *page)
{
	return atomic_load_explicit(&page->pins, memory_order_relaxed);
}

static void free_list_add(struct zone *zone, struct page *page, unsigned order)
{
	page->kind = PAGE_FREE;
	atomic_store_explicit(&page->pins, (uint16_t)order, memory_order_relaxed);
	page->prev = NULL;
	page->next = zone->free[order];
	if (page->next)
		page->next->prev = page;
	zone->free[order] = page;
}

static void free_list_del(struct zone *zone, struct page *page, unsigned order)
{
	if (page->next)
		page->next->prev = page->prev;
	if (page->prev)
		page->prev->next = page->next;
	else
		zone->free[order] = page->next;
	page->kind = PAGE_RESERVED;
}

/* Whether @frame has metadata and lies in memory we manage. */
static bool frame_is_usable(uint64_t frame)
{
	paddr_t pa = frame << K_PAGE_SHIFT;

	for (unsigned i = 0; i < range_count; i++)
		if (pa >= ranges[i].start && pa < ranges[i].end)
			return true;
	return false;
}

static void buddy_free(struct zone *zone, struct page *page, unsigned order)
{
	uint64_t frame = page_frame(page);

	zone->free_pages += 1ull << order;
	/* Joining stays within a section up to 4 MiB, so a buddy's metadata is mapped if the
	 * chunk has any; chunks cover 128 frames, larger buddies need the check. */
	while (order < PAGE_MAX_ORDER) {
		uint64_t buddy_frame = frame ^ (1ull << order);
		struct page *buddy = page_array + buddy_frame;

		if ((1u << order) >= CHUNK_PAGES && !page_meta_present(buddy_frame))
			break;
		if (buddy->kind != PAGE_FREE || free_order(buddy) != order)
			break;
		free_list_del(zone, buddy, order);
		frame &= ~(1ull << order);
		order++;
	}
	free_list_add(zone, page_array + frame, order);
}

static struct page *buddy_take(struct zone *zone, unsigned order)
{
	unsigned o = order;
	struct page *page;

	while (o <= PAGE_MAX_ORDER && !zone->free[o])
		o++;
	if (o > PAGE_MAX_ORDER)
		return NULL;
	page = zone->free[o];
	free_list_del(zone, page, o);
	while (o > order) {
		o--;
		free_list_add(zone, page + (1u << o), o);
	}
	zone->free_pages -= 1ull << order;
	return page;
}

/* Free the frames [first, end), which need not be aligned to anything. */
static void buddy_free_frames(struct zone *zone, uint64_t first, uint64_t end)
{
	while (first < end) {
		unsigned order = first ? (unsigned)__builtin_ctzll(first) : PAGE_MAX_ORDER;

		order = MIN(order, PAGE_MAX_ORDER);
		while ((1ull << order) > end - first)
			order--;
		buddy_free(zone, page_array + first, order);
		first += 1ull << order;
	}
}

/* -- sections ---------------------------------------------------------------------------- */

/* What is usable of [start, end) in range @i; empty: start >= end. */
static struct page_range range_clip(unsigned i, paddr_t start, paddr_t end)
{
	return (struct page_range){ MAX(ranges[i].start, start), MIN(ranges[i].end, end) };
}

static uint64_t usable_pages(paddr_t start, paddr_t end)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < range_count; i++) {
		struct page_range r = range_clip(i, start, end);

		if (r.start < r.end)
			n += (r.end - r.start) >> K_PAGE_SHIFT;
	}
	return n;
}

/* The same without the metadata, to a few pages. */
static uint64_t usable_net(paddr_t start, paddr_t end)
{
	uint64_t n = usable_pages(start, end);

	return n - DIV_ROUND_UP(n, CHUNK_PAGES);
}

/* The pages that a section gives to its own metadata, taken from its usable start. */
struct section_source {
	paddr_t next, end;		/* of the section */
};

static paddr_t section_take_page(void *arg)
{
	struct section_source *s = arg;

	for (unsigned i = 0; i < range_count; i++) {
		struct page_range r = range_clip(i, s->next, s->end);

		if (r.start < r.end) {
			s->next = r.start + K_PAGE_SIZE;
			return r.start;
		}
	}
	return 0;
}

/* Map metadata for the chunks of @range; false: out of pages. */
static bool meta_make(struct page_range range, paddr_t (*take)(void *), void *arg)
{
	uint64_t first = (range.start >> K_PAGE_SHIFT) / CHUNK_PAGES;
	uint64_t last = ((range.end - 1) >> K_PAGE_SHIFT) / CHUNK_PAGES;

	for (uint64_t chunk = first; chunk <= last; chunk++)
		if (!page_meta_present(chunk * CHUNK_PAGES) &&
		    !page_meta_map(chunk * CHUNK_PAGES, take, arg))
			return false;
	return true;
}

/* Make the next section's pages known; zone lock held.  False: there is none. */
static bool section_reach(struct zone *zone)
{
	while (zone->next_section < zone->end_section) {
		paddr_t start = zone->next_section++ << SECTION_SHIFT;
		paddr_t end = start + SECTION_SIZE;
		uint64_t usable = usable_pages(start, end), before = zone->free_pages;
		struct section_source source = { start, end };
		bool ok = true;

		zone->unreached -= MIN(zone->unreached, usable_net(start, end));
		for (unsigned i = 0; i < range_count && ok; i++) {
			struct page_range r = range_clip(i, start, end);

			if (r.start < r.end)
				ok = meta_make(r, section_take_page, &source);
		}
		/* What has been taken lies below source.next; a section too small for its own
		 * metadata is lost. */
		for (unsigned i = 0; i < range_count && ok; i++) {
			struct page_range r = range_clip(i, source.next, end);

			if (r.start < r.end)
				buddy_free_frames(zone, r.start >> K_PAGE_SHIFT,
						  r.end >> K_PAGE_SHIFT);
		}
		cpu_pages[0].kinds[PAGE_META] += (int64_t)(usable - (zone->free_pages - before));
		if (zone->free_pages > before)
			return true;
	}
	return false;
}

/* -- taking and giving ------------------------------------------------------------------------ */

static struct zone *zone_of(const struct page *page)
{
	return &zones[page_phys(page) >= 1ull << 32 ? ZONE_HIGH : ZONE_LOW];
}

static uint64_t zone_left(const struct zone *zone)
{
	return READ_ONCE(zone->free_pages) + READ_ONCE(zone->unreached);
}

/* The order of zones for an allocation. */
static unsigned zone_first(unsigned flags)
{
	if (flags & PAGE_ALLOC_LOW_4G)
		return ZONE_LOW;
	return zone_left(&zones[ZONE_LOW]) > (64u << 20 >> K_PAGE_SHIFT) ||
	       !zone_left(&zones[ZONE_HIGH]) ? ZONE_LOW : ZONE_HIGH;
}

static struct page *zone_take(struct zone *zone, unsigned order)
{
	struct page *page = buddy_take(zone, order);

	while (!page && section_reach(zone))
		page = buddy_take(zone, order);
	return page;
}

uint64_t page_free_count(void)
{
	return zone_left(&zones[ZONE_LOW]) + zone_left(&zones[ZONE_HIGH]);
}

/* How many of the last pages are not for this allocation. */
static uint64_t kept_from(unsigned flags, enum page_kind kind, const struct group *group)
{
	if ((flags & PAGE_ALLOC_RESERVE) || (group && group_has_reserve(group)))
		return 0;
	return kind == PAGE_ANON || kind == PAGE_SHARED || kind == PAGE_CACHE ?
		reserve_pages : reserve_pages / 2;
}

bool page_has_free(uint64_t pages)
{
	uint64_t left = page_free_count();

	return left > reserve_pages && left - reserve_pages >= pages;
}

static void low_watch_check(void)
{
	uint64_t left = page_free_count();
	void (*fn)(void) = low_watch_fn;

	if (!fn || !low_watch_pages)
		return;
	if (left >= low_watch_pages)
		WRITE_ONCE(low_watch_armed, true);
	else if (low_watch_armed) {
		WRITE_ONCE(low_watch_armed, false);
		fn();
	}
}

/* From the zones, bypassing the CPU's cache. */
static struct page *take_block(unsigned order, unsigned flags, enum page_kind kind,
			       struct group *group)
{
	unsigned z = zone_first(flags);
	uint64_t left = page_free_count();
	struct page *page = NULL;

	if (unlikely(left <= reserve_pages) && left <= kept_from(flags, kind, group)) {
		low_watch_check();
		return NULL;
	}
	for (unsigned i = 0; i < ZONES && !page; i++) {
		struct zone *zone = &zones[z ^ i];

		if ((flags & PAGE_ALLOC_LOW_4G) && zone != &zones[ZONE_LOW])
			break;
		spin_lock(&zone->lock);
		page = zone_take(zone, order);
		spin_unlock(&zone->lock);
	}
	low_watch_check();
	return page;
}

/* Give the CPU's cache a batch and return one page more.  Preemption disabled. */
static struct page *cache_refill(struct cpu_pages *c, unsigned flags, enum page_kind kind,
				 struct group *group)
{
	struct page *page = take_block(0, flags, kind, group);
	struct zone *zone;

	if (!page || page_free_count() <= reserve_pages)
		return page;
	zone = zone_of(page);
	spin_lock(&zone->lock);
	for (unsigned i = 1; i < CACHE_BATCH; i++) {
		struct page *more = buddy_take(zone, 0);

		if (!more)
			break;
		more->next = c->head;
		c->head = more;
		c->count++;
	}
	spin_unlock(&zone->lock);
	return page;
}

static void cache_drain(struct cpu_pages *c, uint64_t keep)
{
	while (c->count > keep) {
		struct page *page = c->head;
		struct zone *zone = zone_of(page);

		spin_lock(&zone->lock);
		do {
			c->head = page->next;
			c->count--;
			buddy_free(zone, page, 0);
			page = c->head;
		} while (c->count > keep && zone_of(page) == zone);
		spin_unlock(&zone->lock);
	}
}

static void page_setup(struct page *page, enum page_kind kind, struct group *group)
{
	atomic_store_explicit(&page->refs, 1, memory_order_relaxed);
	atomic_store_explicit(&page->pins, 0, memory_order_relaxed);
	page->kind = (uint8_t)kind;
	page->flags = 0;
	page->group = group;
	page->priv[0] = 0;
	page->priv[1] = 0;
}

static struct page *alloc_single(unsigned flags, enum page_kind kind, struct group *group)
{
	struct cpu_pages *c;
	struct page *page;

	preempt_disable();
	c = &cpu_pages[cpu_id()];
	page = c->head;
	if (likely(page)) {
		c->head = page->next;
		c->count--;
	} else {
		page = cache_refill(c, flags, kind, group);
	}
	if (likely(page))
		c->kinds[kind]++;
	preempt_enable();
	return page;
}

static struct page *alloc_block(unsigned order, unsigned flags, enum page_kind kind,
				struct group *group)
{
	struct page *page = order > PAGE_MAX_ORDER ? NULL : take_block(order, flags, kind, group);

	if (page) {
		preempt_disable();
		cpu_pages[cpu_id()].kinds[kind] += 1ll << order;
		preempt_enable();
	}
	return page;
}

struct page *page_alloc(unsigned order, unsigned flags, enum page_kind kind, struct group *group)
{
	struct page *page;

	if (unlikely(!group_charge(group, 1ull << order)))
		return NULL;
	if (likely(!order && !(flags & PAGE_ALLOC_LOW_4G)))
		page = alloc_single(flags, kind, group);
	else
		page = alloc_block(order, flags, kind, group);
	if (unlikely(!page)) {
		group_uncharge(group, 1ull << order);
		return NULL;
	}
	for (unsigned i = 0; i < 1u << order; i++) {
		page_setup(page + i, kind, group);
		if (flags & PAGE_ALLOC_ZERO)
			page_clear(page + i);
	}
	return page;
}

void page_free(struct page *page, unsigned order)
{
	struct cpu_pages *c;

	kassert_checks(page->kind != PAGE_FREE && page->kind != PAGE_RESERVED);
	if (page->kind != PAGE_SLAB)
		group_uncharge(page->group, 1ull << order);
	preempt_disable();
	c = &cpu_pages[cpu_id()];
	c->kinds[page->kind] -= 1ll << order;
	for (unsigned i = 0; i < 1u << order; i++) {
		page[i].kind = PAGE_RESERVED;
		atomic_store_explicit(&page[i].refs, 0, memory_order_relaxed);
	}
	if (likely(!order)) {
		page->next = c->head;
		c->head = page;
		if (unlikely(++c->count > CACHE_MAX))
			cache_drain(c, CACHE_MAX - CACHE_BATCH);
	} else {
		struct zone *zone = zone_of(page);

		spin_lock(&zone->lock);
		buddy_free(zone, page, order);
		spin_unlock(&zone->lock);
	}
	preempt_enable();
}

struct page *page_alloc_range(uint64_t count, unsigned flags, enum page_kind kind,
			      struct group *group)
{
	unsigned order = log2_up_u64(count);
	struct page *page;

	if (!count || order > PAGE_MAX_ORDER)
		return NULL;
	page = page_alloc(order, flags, kind, group);
	for (uint64_t i = count; page && i < 1ull << order; i++)
		page_free(page + i, 0);
	return page;
}

/* -- start -------------------------------------------------------------------------------------- */

static void zone_init(struct zone *zone, paddr_t start, paddr_t end)
{
	zone->unreached = usable_net(start, end);
	for (unsigned i = 0; i < range_count; i++) {
		struct page_range r = range_clip(i, start, end);

		if (r.start >= r.end)
			continue;
		if (!zone->end_section)
			zone->next_section = r.start >> SECTION_SHIFT;
		zone->end_section = ((r.end - 1) >> SECTION_SHIFT) + 1;
	}
}

void page_init(const struct page_range *usable, unsigned count)
{
	for (unsigned i = 0; i < count && range_count < RANGES_MAX; i++) {
		struct page_range r = {
			ALIGN_UP(usable[i].start, K_PAGE_SIZE),
			ALIGN_DOWN(MIN(usable[i].end, ARCH_MAX_PADDR), K_PAGE_SIZE),
		};

		/* Page 0 stays out: a frame number of 0 means "none". */
		r.start = MAX(r.start, (paddr_t)K_PAGE_SIZE);
		if (r.start < r.end)
			ranges[range_count++] = r;
	}
	zone_init(&zones[ZONE_LOW], 0, 1ull << 32);
	zone_init(&zones[ZONE_HIGH], 1ull << 32, ARCH_MAX_PADDR);
	managed_pages = usable_pages(0, ARCH_MAX_PADDR);
	reserve_pages = CLAMP(managed_pages / 128, 64ull, 2048ull);

	page_zero = page_alloc(0, PAGE_ALLOC_ZERO | PAGE_ALLOC_RESERVE, PAGE_KERNEL, NULL);
	if (!page_zero)
		panic("not enough memory to start: %llu KiB usable",
		      (unsigned long long)managed_pages * (K_PAGE_SIZE / 1024));
}

static paddr_t take_meta_page(void *arg UNUSED)
{
	struct page *page = page_alloc(0, PAGE_ALLOC_RESERVE, PAGE_META, NULL);

	return page ? page_phys(page) : 0;
}

bool page_adopt(paddr_t base, uint64_t length, enum page_kind kind)
{
	struct page_range r = { ALIGN_UP(base, K_PAGE_SIZE), ALIGN_DOWN(base + length, K_PAGE_SIZE) };

	if (r.start >= r.end)
		return true;
	if (!meta_make(r, take_meta_page, NULL))
		return false;
	for (paddr_t pa = r.start; pa < r.end; pa += K_PAGE_SIZE) {
		kassert(phys_to_page(pa)->kind == PAGE_RESERVED && !frame_is_usable(pa >> K_PAGE_SHIFT));
		page_setup(phys_to_page(pa), kind, NULL);
	}
	preempt_disable();
	cpu_pages[cpu_id()].kinds[kind] += (int64_t)((r.end - r.start) >> K_PAGE_SHIFT);
	preempt_enable();
	__atomic_fetch_add(&managed_pages, (r.end - r.start) >> K_PAGE_SHIFT, __ATOMIC_RELAXED);
	return true;
}

void page_release_boot(paddr_t base, uint64_t length)
{
	paddr_t start = ALIGN_UP(base, K_PAGE_SIZE), end = ALIGN_DOWN(base + length, K_PAGE_SIZE);

	if (start >= end || !page_adopt(start, end - start, PAGE_KERNEL))
		return;
	for (; start < end; start += K_PAGE_SIZE)
		page_free(phys_to_page(start), 0);
}

/* -- statistics ------------------------------------------------------------------------------------ */

void page_stats(struct page_stats *out)
{
	*out = (struct page_stats){ .managed = READ_ONCE(managed_pages) };
	out->free = zone_left(&zones[ZONE_LOW]) + zone_left(&zones[ZONE_HIGH]) + table_spares();
	out->kinds[PAGE_TABLE] -= table_spares();
	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++) {
		out->free += READ_ONCE(cpu_pages[cpu].count);
		for (unsigned k = 0; k < PAGE_KINDS; k++)
			out->kinds[k] += (uint64_t)READ_ONCE(cpu_pages[cpu].kinds[k]);
	}
}

void page_drain_caches(void)
{
	table_drain();
	preempt_disable();
	cache_drain(&cpu_pages[cpu_id()], 0);
	preempt_enable();
}

void page_set_low_watch(uint64_t pages, void (*fn)(void))
{
	low_watch_pages = pages;
	low_watch_armed = true;
	low_watch_fn = pages ? fn : NULL;
}

/* -- contents --------------------------------------------------------------------------------------- */

void page_clear(struct page *page)
{
	uint64_t *p = page_virt(page);

	for (uint64_t *end = p + K_PAGE_SIZE / sizeof(*p); p < end; p += 32) {
#pragma GCC unroll 32
		for (unsigned i = 0; i < 32; i++)
			((volatile uint64_t *)p)[i] = 0;
	}
}

void page_copy(struct page *dst, const struct page *src)
{
	const uint64_t *from = page_virt(src);
	uint64_t *to = page_virt(dst);

	for (uint64_t *end = to + K_PAGE_SIZE / sizeof(*to); to < end; to += 16, from += 16) {
#pragma GCC unroll 16
		for (unsigned i = 0; i < 16; i++)
			((volatile uint64_t *)to)[i] = from[i];
	}
}
