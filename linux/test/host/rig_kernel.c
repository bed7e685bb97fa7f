/* SPDX-License-Identifier: MIT */
/*
 * Kernel calls and runtime on the C library.
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "abi/calls.h"
#include "abi/status.h"
#include "rt/held.h"
#include "rt/lock.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "rt/random.h"
#include "rt/thread.h"
#include "rt/time.h"
#include "rt/user.h"
#include "test/host/rig.h"

/* -- heap, log, time */

static _Atomic(unsigned int) fail_at, fail_more;

void rig_fail_alloc(unsigned int n)
{
	rig_fail_allocs(n, 1);
}

void rig_fail_allocs(unsigned int n, unsigned int count)
{
	atomic_store(&fail_more, n ? count - 1 : 0);
	atomic_store(&fail_at, n);
}

static bool fails(void)
{
	unsigned int n = atomic_load(&fail_at), more;

	while (n) {
		if (!atomic_compare_exchange_weak(&fail_at, &n, n - 1))
			continue;
		if (n > 1)
			return false;
		more = atomic_load(&fail_more);
		if (more) {
			atomic_store(&fail_more, more - 1);
			atomic_store(&fail_at, 1);
		}
		return true;
	}
	return false;
}

void *rt_alloc(size_t size)
{
	void *p = fails() ? NULL : malloc(size ? size : 1);

	if (p)
		memset(p, 0xa5, size);	/* nobody may count on zeros */
	return p;
}

void *rt_zalloc(size_t size)
{
	return fails() ? NULL : calloc(1, size ? size : 1);
}

void *rt_realloc(void *p, size_t size)
{
	return fails() ? NULL : realloc(p, size ? size : 1);
}

void rt_free(void *p)
{
	free(p);
}

void rt_log(int level, const char *fmt, ...)
{
	va_list ap;

	if (!getenv("RIG_LOG"))
		return;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void rt_panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t rt_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t rt_realtime_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

void rt_random(void *dst, size_t n)
{
	if (getrandom(dst, n, 0) != (ssize_t)n)
		abort();
}

/* -- waiting */

static __thread struct rt_held held;

struct rt_held *rt_held(void)
{
	return &held;
}

void *rt_thread_token(void)
{
	return &held;
}

uint64_t rt_stack_left(void)
{
	return 64 * 1024;
}

k_status_t rt_wait(_Atomic(uint32_t) *word, uint32_t expected, uint64_t deadline, bool interruptible)
{
	struct timespec ts, *tp = NULL;
	long r;

	if (deadline != K_DEADLINE_NEVER) {
		ts.tv_sec = (time_t)(deadline / 1000000000);
		ts.tv_nsec = (long)(deadline % 1000000000);
		tp = &ts;
	}
	r = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, tp, NULL,
		    FUTEX_BITSET_MATCH_ANY);
	if (!r)
		return K_OK;
	return errno == EAGAIN ? K_ERR_CHANGED : errno == ETIMEDOUT ? K_ERR_TIMED_OUT : K_OK;
}

void rt_wake(_Atomic(uint32_t) *word, uint32_t count)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count > INT32_MAX ? INT32_MAX : count);
}

/* -- program memory */

#define ARENA	(64ul << 20)
#define PAGES	(ARENA / K_PAGE_SIZE)

static char *arena;
static size_t arena_used;
static unsigned char absent[PAGES];	/* 1: can be faulted in, 2: never */
static _Atomic(unsigned int) faults;

static void need_arena(void)
{
	if (arena)
		return;
	arena = mmap((void *)0x100000000000ul, ARENA, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena == MAP_FAILED)
		abort();
}

void rig_reset(void)
{
	need_arena();
	memset(arena, 0, arena_used);
	memset(absent, 0, sizeof(absent));
	arena_used = 0;
}

uaddr_t rig_user(size_t n)
{
	uaddr_t a;

	need_arena();
	if (n > ARENA - arena_used)
		abort();
	a = uaddr((uintptr_t)arena + arena_used);
	arena_used += (n + 15) & ~15ul;
	return a;
}

uaddr_t rig_bytes(const void *p, size_t n)
{
	uaddr_t a = rig_user(n);

	memcpy(rig_ptr(a), p, n);
	return a;
}

uaddr_t rig_str(const char *s)
{
	return rig_bytes(s, strlen(s) + 1);
}

void *rig_ptr(uaddr_t a)
{
	return (void *)(uintptr_t)a.v;
}

static void mark(uaddr_t a, size_t n, unsigned char what)
{
	size_t first = (a.v - (uintptr_t)arena) / K_PAGE_SIZE;
	size_t last = (a.v + n - 1 - (uintptr_t)arena) / K_PAGE_SIZE;

	memset(absent + first, what, last - first + 1);
}

void rig_absent(uaddr_t a, size_t n)
{
	mark(a, n, 1);
}

void rig_forbid(uaddr_t a, size_t n)
{
	mark(a, n, 2);
}

unsigned int rig_faults(void)
{
	return atomic_load(&faults);
}

/* How many bytes at @a can be touched. */
static size_t reachable(uaddr_t a, size_t n)
{
	uint64_t off = a.v - (uintptr_t)arena, at = off;

	if (!arena || a.v < (uintptr_t)arena || off >= ARENA)
		return 0;
	while (at < off + n && at < ARENA && !absent[at / K_PAGE_SIZE])
		at = (at / K_PAGE_SIZE + 1) * K_PAGE_SIZE;
	return at - off < n ? at - off : n;
}

bool rig_fault_in(uint64_t addr);
bool rig_fault_in(uint64_t addr)
{
	uint64_t off = addr - (uintptr_t)arena;

	atomic_fetch_add(&faults, 1);
	if (!arena || addr < (uintptr_t)arena || off >= ARENA || absent[off / K_PAGE_SIZE] == 2)
		return false;
	absent[off / K_PAGE_SIZE] = 0;
	return true;
}

size_t rt_copy_from_user(void *dst, uaddr_t src, size_t n)
{
	size_t can = reachable(src, n);

	memcpy(dst, rig_ptr(src), can);
	return n - can;
}

size_t rt_copy_to_user(uaddr_t dst, const void *src, size_t n)
{
	size_t can = reachable(dst, n);

	memcpy(rig_ptr(dst), src, can);
	return n - can;
}

size_t rt_clear_user(uaddr_t dst, size_t n)
{
	size_t can = reachable(dst, n);

	memset(rig_ptr(dst), 0, can);
	return n - can;
}

long rt_strncpy_from_user(char *dst, uaddr_t src, size_t n, size_t *done)
{
	size_t can = reachable(src, n), len = can ? strnlen(rig_ptr(src), can) : 0;

	*done = len;
	memcpy(dst, rig_ptr(src), len);
	if (len < can) {
		dst[len] = '\0';
		return (long)len;
	}
	return can == n ? (long)n : -1;
}

bool rt_cmpxchg_user_u32(uaddr_t addr, uint32_t expected, uint32_t desired, uint32_t *seen)
{
	if (reachable(addr, 4) < 4)
		return false;
	*seen = expected;
	__atomic_compare_exchange_n((uint32_t *)rig_ptr(addr), seen, desired, false,
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return true;
}

/* -- memory objects */

#define MAX_PAGES (1ul << 18)

struct object {
	pthread_mutex_t lock;
	uint64_t size;
	uint32_t flags;
	uint64_t nr;			/* pages that the table has room for */
	char **pages;
	bool *dirty;			/* as pages */
	bool used;
};

static struct object objects[65536];
static pthread_mutex_t objects_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int alive;

unsigned int rig_memory_objects(void)
{
	return alive;
}

static struct object *get(k_handle_t h)
{
	return h && h < 65536 && objects[h].used ? &objects[h] : NULL;
}

static char **slot(struct object *o, uint64_t off)
{
	uint64_t i = off / K_PAGE_SIZE;

	if (i >= o->nr) {
		uint64_t nr = o->nr ? o->nr : 8;

		while (nr <= i)
			nr *= 2;
		if (nr > MAX_PAGES)
			return NULL;
		o->pages = realloc(o->pages, nr * sizeof(char *));
		memset(o->pages + o->nr, 0, (nr - o->nr) * sizeof(char *));
		o->dirty = realloc(o->dirty, nr * sizeof(bool));
		memset(o->dirty + o->nr, 0, (nr - o->nr) * sizeof(bool));
		o->nr = nr;
	}
	return &o->pages[i];
}

static bool present(struct object *o, uint64_t off)
{
	uint64_t i = off / K_PAGE_SIZE;

	return i < o->nr && o->pages[i];
}

k_status_t k_memory_create(k_handle_t group, uint64_t size, uint32_t flags, k_handle_t *out)
{
	pthread_mutex_lock(&objects_lock);
	for (k_handle_t h = 1; h < 65536; h++) {
		if (objects[h].used)
			continue;
		objects[h] = (struct object){ .size = size, .flags = flags, .used = true };
		pthread_mutex_init(&objects[h].lock, NULL);
		alive++;
		pthread_mutex_unlock(&objects_lock);
		*out = h;
		return K_OK;
	}
	pthread_mutex_unlock(&objects_lock);
	return K_ERR_NO_MEMORY;
}

k_status_t k_handle_close(k_handle_t h)
{
	struct object *o = get(h);

	if (!o)
		return K_ERR_BAD_HANDLE;
	pthread_mutex_lock(&objects_lock);
	for (uint64_t i = 0; i < o->nr; i++)
		free(o->pages[i]);
	free(o->pages);
	free(o->dirty);
	o->used = false;
	alive--;
	pthread_mutex_unlock(&objects_lock);
	return K_OK;
}

k_status_t k_memory_resize(k_handle_t h, uint64_t size)
{
	struct object *o = get(h);

	pthread_mutex_lock(&o->lock);
	for (uint64_t i = (size + K_PAGE_SIZE - 1) / K_PAGE_SIZE; i < o->nr; i++) {
		free(o->pages[i]);
		o->pages[i] = NULL;
		o->dirty[i] = false;
	}
	o->size = size;
	pthread_mutex_unlock(&o->lock);
	return K_OK;
}

k_status_t k_memory_supply(k_handle_t h, uint64_t off, const void *data, uint64_t n)
{
	struct object *o = get(h);

	if (off % K_PAGE_SIZE || n % K_PAGE_SIZE)
		return K_ERR_BAD_ARGUMENT;
	if (off + n > ((o->size + K_PAGE_SIZE - 1) & ~(uint64_t)(K_PAGE_SIZE - 1)))
		return K_ERR_BEYOND_END;
	pthread_mutex_lock(&o->lock);
	for (uint64_t i = 0; i < n; i += K_PAGE_SIZE) {
		char **p = slot(o, off + i);

		if (*p)
			continue;	/* what is there stays */
		*p = malloc(K_PAGE_SIZE);
		memcpy(*p, (const char *)data + i, K_PAGE_SIZE);
	}
	pthread_mutex_unlock(&o->lock);
	return K_OK;
}

k_status_t k_memory_discard(k_handle_t h, uint64_t off, uint64_t n)
{
	struct object *o = get(h);

	if (off % K_PAGE_SIZE || n % K_PAGE_SIZE)
		return K_ERR_BAD_ARGUMENT;
	pthread_mutex_lock(&o->lock);
	for (uint64_t i = off / K_PAGE_SIZE; i < (off + n) / K_PAGE_SIZE && i < o->nr; i++) {
		free(o->pages[i]);
		o->pages[i] = NULL;
		o->dirty[i] = false;
	}
	pthread_mutex_unlock(&o->lock);
	return K_OK;
}

k_status_t k_memory_next(k_handle_t h, uint64_t off, uint32_t what, uint64_t *found)
{
	struct object *o = get(h);
	k_status_t st = K_ERR_BEYOND_END;

	pthread_mutex_lock(&o->lock);
	for (off &= ~(uint64_t)(K_PAGE_SIZE - 1); off < o->size; off += K_PAGE_SIZE) {
		if (present(o, off) == (what == K_NEXT_DATA)) {
			*found = off;
			st = K_OK;
			break;
		}
	}
	pthread_mutex_unlock(&o->lock);
	return st;
}

k_status_t k_memory_clean(k_handle_t h, struct k_clean *clean)
{
	struct object *o = get(h);
	uint64_t at = clean->offset / K_PAGE_SIZE, end, first;

	pthread_mutex_lock(&o->lock);
	end = (o->size + K_PAGE_SIZE - 1) / K_PAGE_SIZE;
	if (clean->length < end * K_PAGE_SIZE - clean->offset)
		end = (clean->offset + clean->length + K_PAGE_SIZE - 1) / K_PAGE_SIZE;
	end = end < o->nr ? end : o->nr;
	if (clean->action == K_CLEAN_MARK) {
		for (; at < end; at++)
			o->dirty[at] = o->pages[at] != NULL;
		pthread_mutex_unlock(&o->lock);
		return K_OK;
	}
	while (at < end && !o->dirty[at])
		at++;
	for (first = at; at < end && o->dirty[at] && at - first < 256; at++)
		o->dirty[at] = clean->action == K_CLEAN_FIND;
	pthread_mutex_unlock(&o->lock);
	clean->offset = first * K_PAGE_SIZE;
	clean->length = (at - first) * K_PAGE_SIZE;
	return K_OK;
}

k_status_t k_memory_info(k_handle_t h, struct k_memory_info *info)
{
	struct object *o = get(h);

	*info = (struct k_memory_info){ .size = o->size, .flags = o->flags };
	pthread_mutex_lock(&o->lock);
	for (uint64_t i = 0; i < o->nr; i++) {
		info->resident_pages += o->pages[i] != NULL;
		info->dirty_pages += o->dirty[i];
	}
	pthread_mutex_unlock(&o->lock);
	return K_OK;
}

k_status_t k_memory_evict(k_handle_t h, struct k_evict *evict)
{
	evict->freed = evict->scan = evict->length = 0;
	return K_OK;
}

k_status_t rt_memory_create(struct rt_memory *m, k_handle_t group, uint64_t size, uint32_t flags)
{
	*m = (struct rt_memory){ 0 };
	return fails() ? K_ERR_NO_MEMORY : k_memory_create(group, size, flags, &m->handle);
}

k_status_t rt_memory_open(struct rt_memory *m, k_handle_t h)
{
	*m = (struct rt_memory){ .handle = h };
	return get(h) ? K_OK : K_ERR_BAD_HANDLE;
}

void rt_memory_close(struct rt_memory *m)
{
	if (k_handle_close(m->handle) != K_OK)
		abort();
	m->handle = 0;
}

k_status_t rt_memory_resize(struct rt_memory *m, uint64_t size)
{
	return k_memory_resize(m->handle, size);
}

static k_status_t access_object(struct rt_memory *m, uint64_t off, char *buf, size_t n,
				size_t *done, bool write, bool user)
{
	struct object *o = get(m->handle);
	k_status_t st = K_OK;

	*done = 0;
	pthread_mutex_lock(&o->lock);
	while (n) {
		uint64_t in = off % K_PAGE_SIZE;
		size_t len = K_PAGE_SIZE - in, want;

		if (off >= o->size) {
			st = K_ERR_BEYOND_END;
			break;
		}
		if (len > n)
			len = n;
		if (len > o->size - off)
			len = o->size - off;
		want = len;
		if (user)
			len = reachable(uaddr((uintptr_t)buf), len);
		if (!len) {
			st = K_ERR_BAD_ADDRESS;
			break;
		}
		if (!present(o, off) && (o->flags & K_MEMORY_PAGED) &&
		    !(write && len == K_PAGE_SIZE)) {
			st = K_ERR_NEED_PAGE;
			break;
		}
		if (write) {
			char **p = slot(o, off);

			if (!p || (!*p && !(*p = calloc(1, K_PAGE_SIZE)))) {
				st = K_ERR_NO_MEMORY;
				break;
			}
			memcpy(*p + in, buf, len);
			o->dirty[off / K_PAGE_SIZE] = o->flags & K_MEMORY_WRITE_FAULTS;
		} else if (present(o, off)) {
			memcpy(buf, o->pages[off / K_PAGE_SIZE] + in, len);
		} else {
			memset(buf, 0, len);
		}
		off += len;
		buf += len;
		n -= len;
		*done += len;
		if (len < want) {
			st = K_ERR_BAD_ADDRESS;
			break;
		}
	}
	pthread_mutex_unlock(&o->lock);
	return st;
}

k_status_t rt_memory_read(struct rt_memory *m, uint64_t off, void *dst, size_t n, size_t *done)
{
	return access_object(m, off, dst, n, done, false, false);
}

k_status_t rt_memory_write(struct rt_memory *m, uint64_t off, const void *src, size_t n, size_t *done)
{
	return access_object(m, off, (char *)(uintptr_t)src, n, done, true, false);
}

k_status_t rt_memory_read_user(struct rt_memory *m, uint64_t off, uaddr_t dst, size_t n,
			       size_t *done)
{
	return access_object(m, off, rig_ptr(dst), n, done, false, true);
}

k_status_t rt_memory_write_user(struct rt_memory *m, uint64_t off, uaddr_t src, size_t n,
				size_t *done)
{
	return access_object(m, off, rig_ptr(src), n, done, true, true);
}

k_status_t k_memory_read(k_handle_t h, uint64_t off, void *data, uint64_t n, uint64_t *done)
{
	struct rt_memory m = { .handle = h };
	size_t did;
	k_status_t st = rt_memory_read(&m, off, data, n, &did);

	*done = did;
	return st;
}

k_status_t rt_map(k_handle_t memory, uint64_t off, uint64_t n, uint32_t prot, void **addr)
{
	return K_ERR_NOT_SUPPORTED;
}

void rt_unmap(void *addr, uint64_t n)
{
}

uint32_t rig_memory_of(const void *data, size_t n)
{
	struct rt_memory m;
	size_t done;

	if (rt_memory_create(&m, 0, n, 0) != K_OK ||
	    rt_memory_write(&m, 0, data, n, &done) != K_OK)
		abort();
	return m.handle;
}

/* -- the system */

k_status_t k_system_info(struct k_system_info *info)
{
	*info = (struct k_system_info){ .page_size = K_PAGE_SIZE, .memory_bytes = 1ul << 30,
					.free_bytes = 1ul << 29, .cpus = 2,
					.uptime_ns = rt_now_ns() };
	return K_OK;
}
