/* SPDX-License-Identifier: MIT */
/*
 * The life of a driver process, see drv/drv.h.
 *
 * Bits of the server bell: the link's (abi/link.h), IRQ_BIT + n for interrupt n,
 * DRV_OWN_BITS, and CHANNEL_BIT when init closes its end.  The client could ring those too; that costs
 * a look at a device that has nothing to say.
 */
#include "base/format.h"
#include "base/string.h"
#include "base/util.h"
#include "drv/die.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "rt/process.h"

enum { IRQ_BIT = 32, CHANNEL_BIT = 63 };
enum { FATAL = 3 };			/* incarnations in a row */

static struct drv self;
static uint8_t taken[LINK_QUEUES_MAX][LINK_QUEUE_SIZE_MAX];

void drv_log(struct drv *d, int level, const char *fmt, ...)
{
	char text[300];
	va_list args;

	va_start(args, fmt);
	vscnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	rt_log(level, "%s: %s", d->start.name, text);
}

static struct link_header *header(struct drv *d)
{
	return d->control;
}

/* -- start ----------------------------------------------------------------------------------- */

static k_status_t receive_start(struct drv *d)
{
	k_handle_t got[K_MESSAGE_MAX_HANDLES], at[COMPONENT_START_HANDLES] = { 0 };
	struct k_message m = { .data = (uint64_t)&d->start, .length = sizeof(d->start),
			       .handles = (uint64_t)got, .handle_count = K_MESSAGE_MAX_HANDLES };
	uint32_t next = 0;
	k_status_t st = k_channel_recv(d->channel, &m, K_DEADLINE_NEVER);

	if (st != K_OK)
		return st;
	if (m.length != sizeof(d->start) || d->start.kind != COMPONENT_START ||
	    d->start.version != 1)
		return K_ERR_NOT_SUPPORTED;
	for (uint32_t i = 0; i < COMPONENT_START_HANDLES; i++)
		if ((d->start.granted >> i & 1) && next < m.handle_count)
			at[i] = got[next++];
	d->device = at[COMPONENT_HANDLE_DEVICE];
	d->dma_memory = at[COMPONENT_HANDLE_DMA];
	d->control_memory = at[COMPONENT_HANDLE_CONTROL];
	d->data_memory = at[COMPONENT_HANDLE_DATA];
	d->client_bell = at[COMPONENT_HANDLE_CLIENT_BELL];
	d->bell = at[COMPONENT_HANDLE_SERVER_BELL];
	d->record_memory = at[COMPONENT_HANDLE_RECORD];
	return K_OK;
}

static k_status_t map_all(struct drv *d)
{
	const uint32_t rw = K_PROT_READ | K_PROT_WRITE;
	struct k_handle_info info;
	void *record = NULL;
	k_status_t st;

	if (!link_layout_make(&d->start.link, &d->layout))
		return K_ERR_NOT_SUPPORTED;
	if (record_length(&d->start.link) != d->start.record_length)
		return K_ERR_NOT_SUPPORTED;
	st = rt_map(d->control_memory, 0, d->layout.length, rw, &d->control);
	if (st == K_OK)
		st = rt_map(d->record_memory, 0, d->start.record_length, rw, &record);
	d->record = record;
	if (st == K_OK && d->record->version != RECORD_VERSION)
		st = K_ERR_NOT_SUPPORTED;
	if (st == K_OK && d->dma_memory)
		st = rt_map(d->dma_memory, 0, d->start.dma_length, rw, &d->dma);
	if (st != K_OK)
		return st;
	if (k_handle_info(d->data_memory, &info) == K_OK && (info.rights & K_RIGHT_MAP))
		st = rt_map(d->data_memory, 0, d->start.link.data_length, rw, &d->data);
	return st;
}

static void queues_start(struct drv *d)
{
	bool adopt = d->start.incarnation > 1;

	for (uint32_t q = 0; q < d->layout.queue_count; q++) {
		struct vring ring = link_layout_ring(&d->layout, d->control, q);

		vq_device_init(&d->queue[q], &ring, record_inflight(&d->start.link, d->record, q),
			       taken[q], adopt);
		d->queue[q].step = drv_step;
	}
}

bool drv_option(struct drv *d, const char *name, char *value, size_t size)
{
	size_t n = strlen(name);
	bool found = false;

	/* Words are all "COMPONENT.name=value"; a component's name has no point. */
	for (const char *word = d->start.options; word && *word; word = strchr(word, ' ')) {
		const char *key;

		word += *word == ' ';
		key = strchr(word, '.');
		if (!key || !str_has_prefix(key + 1, name) || key[1 + n] != '=')
			continue;
		key += n + 2;
		strlcpy(value, key, size);
		value[MIN(strcspn(key, " "), size - 1)] = '\0';
		found = true;
	}
	return found;
}

/* -- for the driver's start() -------------------------------------------------------------------- */

void drv_offer(struct drv *d, uint64_t features)
{
	d->offered = features;
	header(d)->server_features = features;
}

void drv_config(struct drv *d, const void *config, size_t n)
{
	struct link_header *h = header(d);
	uint32_t generation = atomic_load_explicit(&h->config_generation, memory_order_relaxed);

	n = MIN(n, (size_t)LINK_CONFIG_MAX);
	atomic_store_explicit(&h->config_generation, generation | 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	memcpy(h->config, config, n);
	h->config_length = (uint32_t)n;
	atomic_store_explicit(&h->config_generation, (generation | 1) + 1, memory_order_release);
	if (atomic_load_explicit(&h->server_state, memory_order_relaxed) == LINK_SERVER_READY)
		(void)!k_bell_ring(d->client_bell, LINK_BELL_STATE);
}

uint32_t drv_adopt_flags(struct drv *d)
{
	char word[8];

	if (!drv_option(d, "adopt", word, sizeof(word)))
		return d->start.flags;
	if (strcmp(word, "live") == 0)
		return COMPONENT_ADOPT_LIVE;
	return strcmp(word, "reset") == 0 ? COMPONENT_ADOPT_RESET : d->start.flags;
}

void drv_was_reset(struct drv *d)
{
	atomic_fetch_add_explicit(&header(d)->resets, 1, memory_order_release);
}

k_status_t drv_irq_bind(struct drv *d, uint32_t index)
{
	k_status_t st;

	if (index >= DRV_IRQS)
		return K_ERR_NOT_FOUND;
	st = k_device_irq_bind(d->device, index, d->bell, BIT(IRQ_BIT + index));
	if (st == K_OK)
		d->irqs_bound |= 1u << index;
	return st;
}

static k_status_t dma_map_one(struct drv *d, k_handle_t memory, uint64_t length, uint64_t id,
			      uint64_t **bus)
{
	struct k_dma_range range = { .offset = 0, .length = length, .dma_id = id };
	uint64_t pages = length / K_PAGE_SIZE, count;
	k_status_t st;

	*bus = rt_alloc(pages * sizeof(uint64_t));
	if (!*bus)
		return K_ERR_NO_MEMORY;
	st = k_device_dma_map(d->device, memory, &range, *bus, pages * sizeof(uint64_t), &count);
	return st == K_OK && count != pages ? K_ERR_IO : st;
}

k_status_t drv_dma_map(struct drv *d)
{
	k_status_t st = dma_map_one(d, d->control_memory, d->layout.length, 1, &d->control_bus);

	if (st == K_OK)
		st = dma_map_one(d, d->data_memory, d->start.link.data_length, 2, &d->data_bus);
	if (st == K_OK && d->dma_memory)
		st = dma_map_one(d, d->dma_memory, d->start.dma_length, 3, &d->dma_bus);
	return st;
}

/* -- chains ---------------------------------------------------------------------------------------- */

void *drv_pointer(struct drv *d, uint64_t addr, uint64_t n)
{
	if (addr >= d->layout.slots && range_within(addr, n, d->layout.length))
		return (char *)d->control + addr;
	if (d->data && addr >= LINK_DATA &&
	    range_within(addr - LINK_DATA, n, d->start.link.data_length))
		return (char *)d->data + (addr - LINK_DATA);
	return NULL;
}

/* [@offset, @offset + len) of memory with pages at @bus, pages that follow each other joined. */
static unsigned int bus_pieces(const uint64_t *bus, uint64_t offset, const struct vq_segment *s,
			       struct vq_segment *out, unsigned int max)
{
	unsigned int n = 0;

	for (uint32_t left = s->len; left;) {
		uint64_t in_page = offset % K_PAGE_SIZE;
		uint32_t piece = (uint32_t)MIN((uint64_t)left, K_PAGE_SIZE - in_page);
		uint64_t addr = bus[offset / K_PAGE_SIZE] + in_page;

		if (n && out[n - 1].addr + out[n - 1].len == addr) {
			out[n - 1].len += piece;
		} else {
			if (n == max)
				return 0;
			out[n++] = (struct vq_segment){ addr, piece, s->device_writes };
		}
		offset += piece;
		left -= piece;
	}
	return n;
}

unsigned int drv_bus_segments(struct drv *d, const struct vq_segment *s, struct vq_segment *out,
			      unsigned int max)
{
	if (!s->len)
		return 0;
	if (s->addr >= d->layout.slots && range_within(s->addr, s->len, d->layout.length))
		return bus_pieces(d->control_bus, s->addr, s, out, max);
	if (s->addr >= LINK_DATA &&
	    range_within(s->addr - LINK_DATA, s->len, d->start.link.data_length))
		return bus_pieces(d->data_bus, s->addr - LINK_DATA, s, out, max);
	return 0;
}

bool drv_work_on(struct drv *d, uint32_t queue, uint16_t head)
{
	const struct record_inflight *t = record_inflight(&d->start.link, d->record, queue);

	atomic_store_explicit(&d->record->current, queue << 16 | (head + 1u),
			      memory_order_relaxed);
	atomic_signal_fence(memory_order_release);
	return t->requests[head].fatal < FATAL;
}

bool drv_is_overdue(const struct drv *d, uint32_t queue, uint16_t head)
{
	bool overdue = record_inflight(&d->start.link, d->record, queue)->requests[head].overdue;

	if (overdue)
		drv_hears();
	return overdue;
}

void drv_work_done(struct drv *d)
{
	atomic_signal_fence(memory_order_release);
	atomic_store_explicit(&d->record->current, 0, memory_order_relaxed);
}

void drv_publish(struct drv *d, uint32_t queue)
{
	uint16_t answers = (uint16_t)(d->queue[queue].used_idx - d->queue[queue].published);

	atomic_store_explicit(&d->record->answered,
			      atomic_load_explicit(&d->record->answered, memory_order_relaxed) +
			      answers, memory_order_relaxed);
	if (answers)
		drv_go_astray(d, queue);
	if (vq_device_publish(&d->queue[queue]) && !drv_is_quiet())
		(void)!k_bell_ring(d->client_bell, BIT(queue));
}

void drv_break(struct drv *d, const char *why)
{
	drv_log(d, RT_LOG_ERR, "the client broke the protocol: %s", why);
	k_process_exit(COMPONENT_EXIT_PROTOCOL);
}

/* -- the loop ------------------------------------------------------------------------------------------ */

static void client_state(struct drv *d)
{
	/* acquire: pairs with the client's release; its features come first */
	uint32_t state = atomic_load_explicit(&header(d)->client_state, memory_order_acquire);
	uint64_t chosen;

	if (d->open || state != LINK_CLIENT_OPEN)
		return;
	chosen = *(volatile uint64_t *)&header(d)->client_features;
	if (chosen & ~d->offered) {
		drv_break(d, "it chose features that were not offered");
		return;
	}
	d->features = chosen;
	d->open = true;
	if (driver.opened)
		driver.opened(d);
}

static void serve_queue(struct drv *d, uint32_t q)
{
	if (d->open)
		driver.queue(d, q);
	if (d->queue[q].broken)
		drv_break(d, d->queue[q].broken);
}

static void serve_irq(struct drv *d, uint32_t index)
{
	driver.irq(d, index);
	(void)!k_device_irq_ack(d->device, index);
}

/* init closed its end; or the bit is the client's, or from the last incarnation's channel. */
static void look_at_channel(struct drv *d)
{
	struct k_message m = { 0 };

	if (k_channel_recv(d->channel, &m, 0) == K_ERR_CLOSED)
		k_process_exit(0);
}

static void dispatch(struct drv *d, uint64_t bits)
{
	bool was_open = d->open;

	if (bits & BIT(CHANNEL_BIT))
		look_at_channel(d);
	for (uint32_t i = 0; i < DRV_IRQS; i++)
		if ((bits & BIT(IRQ_BIT + i)) && (d->irqs_bound & 1u << i))
			serve_irq(d, i);
	if (bits & LINK_BELL_STATE)
		client_state(d);
	if ((bits & DRV_OWN_BITS) && driver.own)
		driver.own(d, bits & DRV_OWN_BITS);
	for (uint32_t q = 0; q < d->layout.queue_count; q++)
		if ((bits & BIT(q)) || (d->open && !was_open))
			serve_queue(d, q);
}

/* init looks at it: odd while there is something to do, and another number each time. */
static void beat(struct drv *d)
{
	uint64_t beats = atomic_load_explicit(&d->record->beat, memory_order_relaxed);

	atomic_store_explicit(&d->record->beat, beats + 1, memory_order_relaxed);
}

void drv_alive(struct drv *d)
{
	/* Twice: it stays at work. */
	beat(d);
	beat(d);
}

static void started(struct drv *d)
{
	uint32_t kind = COMPONENT_READY;
	struct k_message m = { .data = (uint64_t)&kind, .length = sizeof(kind) };

	/* release: features and configuration come first */
	atomic_store_explicit(&header(d)->server_state, LINK_SERVER_READY, memory_order_release);
	/* Answers of the last incarnation that the client was not told of, too. */
	(void)!k_bell_ring(d->client_bell, LINK_BELL_STATE);
	dispatch(d, LINK_BELL_STATE);	/* the client may have chosen before a restart */
	if (k_channel_send(d->channel, &m) != K_OK)
		drv_log(d, RT_LOG_WARNING, "init does not listen");
}

static k_status_t start(struct drv *d)
{
	k_status_t st = receive_start(d);

	if (st == K_OK)
		st = map_all(d);
	if (st != K_OK) {
		drv_log(d, RT_LOG_ERR, "cannot use what init granted: status %d", st);
		return st;
	}
	atomic_store_explicit(&d->record->beat, 1, memory_order_relaxed);
	atomic_store_explicit(&d->record->current, 0, memory_order_relaxed);
	atomic_store_explicit(&d->record->adoption, RECORD_NOTHING, memory_order_relaxed);
	drv_die_start(d);
	queues_start(d);
	st = k_channel_watch(d->channel, d->bell, BIT(CHANNEL_BIT));
	if (st == K_OK)
		st = driver.start(d);
	if (st != K_OK)
		drv_log(d, RT_LOG_ERR, "cannot start the device: status %d", st);
	return st;
}

int rt_main(k_handle_t bootstrap)
{
	struct drv *d = &self;

	d->channel = bootstrap;
	if (start(d) != K_OK)
		return 1;
	started(d);
	for (;;) {
		uint64_t bits = 0;
		k_status_t st;

		beat(d);
		st = k_bell_wait(d->bell, ~0ull, K_DEADLINE_NEVER, 0, &bits);
		if (st != K_OK)
			rt_panic("%s: cannot wait: status %d", d->start.name, st);
		beat(d);
		dispatch(d, bits);
	}
}
