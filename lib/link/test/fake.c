/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fake.h"
#include "base/util.h"
#include "rt/held.h"
#include "rt/lock.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "rt/thread.h"
#include "rt/time.h"

struct fake_link fake;

static struct bell {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	uint64_t bits;
} bells[FAKE_SERVER_BELL + 1];

static pthread_t threads[64];
static unsigned int thread_count;

/* -- kernel ---------------------------------------------------------------------------------- */

k_status_t k_bell_ring(k_handle_t h, uint64_t bits)
{
	pthread_mutex_lock(&bells[h].lock);
	bells[h].bits |= bits;
	pthread_cond_broadcast(&bells[h].cond);
	pthread_mutex_unlock(&bells[h].lock);
	return K_OK;
}

static struct timespec deadline_of(uint64_t ns)
{
	uint64_t far = 1ull << 40;	/* some minutes of uptime more than a test takes */
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (ns > (uint64_t)now.tv_sec * 1000000000 + far)
		return (struct timespec){ .tv_sec = now.tv_sec + 1000 };
	return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000) };
}

k_status_t k_bell_wait(k_handle_t h, uint64_t mask, uint64_t deadline, uint32_t flags,
		       uint64_t *bits)
{
	struct timespec until = deadline_of(deadline);
	k_status_t st = K_OK;

	pthread_mutex_lock(&bells[h].lock);
	while (!(bells[h].bits & mask) && st == K_OK)
		if (pthread_cond_timedwait(&bells[h].cond, &bells[h].lock, &until) == ETIMEDOUT)
			st = K_ERR_TIMED_OUT;
	*bits = bells[h].bits & mask;
	bells[h].bits &= ~mask;
	pthread_mutex_unlock(&bells[h].lock);
	return *bits ? K_OK : st;
}

k_status_t k_handle_close(k_handle_t h)
{
	return K_OK;
}

k_status_t k_channel_recv(k_handle_t channel, struct k_message *m, uint64_t deadline)
{
	return K_ERR_CLOSED;
}

/* -- runtime ----------------------------------------------------------------------------------- */

static __thread int token;

struct rt_held *rt_held(void)
{
	return NULL;
}

void *rt_thread_token(void)
{
	return &token;
}

uint64_t rt_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

k_status_t rt_wait(_Atomic(uint32_t) *word, uint32_t expected, uint64_t deadline_ns,
		   bool interruptible)
{
	struct timespec until = deadline_of(deadline_ns);

	if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, &until, NULL, ~0u) == 0)
		return K_OK;
	return errno == ETIMEDOUT ? K_ERR_TIMED_OUT : errno == EAGAIN ? K_ERR_CHANGED : K_OK;
}

void rt_wake(_Atomic(uint32_t) *word, uint32_t count)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX);
}

void *rt_alloc(size_t n)
{
	return malloc(n ? n : 1);
}

void *rt_zalloc(size_t n)
{
	return calloc(1, n ? n : 1);
}

void rt_free(void *p)
{
	free(p);
}

k_status_t rt_map(k_handle_t memory, uint64_t offset, uint64_t length, uint32_t prot, void **addr)
{
	*addr = memory == FAKE_CONTROL ? fake.control : fake.data;
	return K_OK;
}

void rt_unmap(void *addr, uint64_t length)
{
}

void rt_log(int level, const char *fmt, ...)
{
}

void rt_panic(const char *fmt, ...)
{
	abort();
}

struct start {
	void (*fn)(void *);
	void *arg;
};

static void *run_start(void *p)
{
	struct start s = *(struct start *)p;

	free(p);
	s.fn(s.arg);
	return NULL;
}

k_status_t rt_thread_create(void (*fn)(void *self), void *self, const struct k_user_frame *frame,
			    k_handle_t space, uint32_t flags, const char *name,
			    _Atomic(k_handle_t) *thread)
{
	struct start *s = malloc(sizeof(*s));

	*s = (struct start){ fn, self };
	*thread = 99;
	fake_thread(run_start, s);
	return K_OK;
}

/* -- the test's side ------------------------------------------------------------------------------ */

void fake_thread(void *(*fn)(void *), void *arg)
{
	if (pthread_create(&threads[thread_count++], NULL, fn, arg))
		abort();
}

void fake_join(void)
{
	while (thread_count)
		pthread_join(threads[--thread_count], NULL);
}

struct link_header *fake_header(void)
{
	return (struct link_header *)fake.control;
}

void fake_start(uint32_t class_id, uint32_t queues, uint32_t size, uint64_t data)
{
	pthread_condattr_t monotonic;

	free(fake.control);
	free(fake.data);
	memset(&fake, 0, sizeof(fake));
	fake.geometry = (struct link_geometry){ .version = LINK_VERSION, .class_id = class_id,
						.queue_count = queues, .queue_size = size,
						.data_length = data, .name = "fake.0" };
	if (!link_layout_make(&fake.geometry, &fake.layout))
		abort();
	fake.control = aligned_alloc(4096, fake.layout.length);
	fake.data = aligned_alloc(4096, data);
	memset(fake.control, 0, fake.layout.length);
	memset(fake.data, 0, data);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	for (size_t i = 0; i < ARRAY_SIZE(bells); i++) {
		pthread_mutex_init(&bells[i].lock, NULL);
		pthread_cond_init(&bells[i].cond, &monotonic);
		bells[i].bits = 0;
	}
	for (uint32_t q = 0; q < queues; q++) {
		struct vring ring = link_layout_ring(&fake.layout, fake.control, q);

		vq_device_init(&fake.queue[q], &ring, NULL, fake.taken[q], false);
	}
}

struct link *fake_open(void)
{
	const k_handle_t handles[] = { FAKE_CONTROL, FAKE_DATA, FAKE_CLIENT_BELL, FAKE_SERVER_BELL };
	struct link *l;

	return link_open(&fake.geometry, handles, 0, &l) == K_OK ? l : NULL;
}

void fake_ready(uint64_t features, const void *config, size_t n)
{
	memcpy(fake_header()->config, config, n);
	fake_header()->server_features = features;
	atomic_store(&fake_header()->server_state, LINK_SERVER_READY);
	(void)!k_bell_ring(FAKE_CLIENT_BELL, LINK_BELL_STATE);
}

void fake_die(void)
{
	atomic_store(&fake_header()->server_state, LINK_SERVER_CLOSED);
	(void)!k_bell_ring(FAKE_CLIENT_BELL, LINK_BELL_STATE);
}

void fake_renew(void)
{
	uint32_t epoch = atomic_load(&fake_header()->epoch) + 1;

	while (atomic_load(&fake_header()->accusations) != epoch)
		usleep(100);
	atomic_store(&fake_header()->epoch, epoch);
	(void)!k_bell_ring(FAKE_CLIENT_BELL, LINK_BELL_STATE);
	while (atomic_load(&fake_header()->client_epoch) != epoch)
		usleep(100);
	for (uint32_t q = 0; q < fake.geometry.queue_count; q++) {
		struct vring ring = link_layout_ring(&fake.layout, fake.control, q);

		vq_device_init(&fake.queue[q], &ring, NULL, fake.taken[q], false);
	}
}

uint64_t fake_server_wait(void)
{
	uint64_t bits;

	(void)!k_bell_wait(FAKE_SERVER_BELL, ~0ull, UINT64_MAX, 0, &bits);
	return bits;
}

void fake_publish(uint32_t queue)
{
	if (vq_device_publish(&fake.queue[queue]))
		(void)!k_bell_ring(FAKE_CLIENT_BELL, BIT(queue));
}

void *fake_pointer(uint64_t addr, uint64_t n)
{
	if (addr >= LINK_DATA)
		return range_within(addr - LINK_DATA, n, fake.geometry.data_length) ?
			fake.data + (addr - LINK_DATA) : NULL;
	return addr >= fake.layout.slots && range_within(addr, n, fake.layout.length) ?
		fake.control + addr : NULL;
}
