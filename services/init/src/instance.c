/* SPDX-License-Identifier: MIT */
/*
 * Instances of components: what they are given, and how they start.
 *
 * Everything that belongs to the record (device, DMA memory, link) is made first,
 * then an incarnation over it.  A failure on the way is logged, and leaves the
 * instance DEAD with what it has: its client sees a closed link.
 */
#include "base/format.h"
#include "base/string.h"
#include "init.h"
#include "rt/log.h"
#include "rt/memory.h"
#include "rt/process.h"
#include "virtio/link_layout.h"

static struct instance *instance_new(const struct conf_component *c)
{
	struct instance *free = NULL;
	uint32_t number = 0;

	for (size_t i = 0; i < INSTANCES; i++) {
		struct instance *in = &init.instances[i];

		if (in->state == INSTANCE_EMPTY && !free)
			free = in;
		else if (in->conf == c)
			number++;
	}
	if (!free)
		return NULL;
	*free = (struct instance){ .conf = c, .number = number };
	snprintf(free->name, sizeof(free->name), "%s.%u", c->name, number);
	return free;
}

/* -- what the record holds ------------------------------------------------------------------ */

/* Resident memory, in one piece if there is such a piece. */
static k_status_t make_memory(uint64_t size, k_handle_t *out)
{
	k_status_t st = k_memory_create(init.components_group, size,
					K_MEMORY_RESIDENT | K_MEMORY_CONTIGUOUS, out);

	if (st == K_OK)
		return st;
	return k_memory_create(init.components_group, size, K_MEMORY_RESIDENT, out);
}

/* A disk has no more queues than there are processors to use them. */
static uint32_t queues_of(const struct conf_component *c)
{
	struct k_system_info info;

	if (c->serves != LINK_CLASS_BLOCK || k_system_info(&info) != K_OK)
		return c->queues;
	return CLAMP(info.cpus, 1u, c->queues);
}

static k_status_t make_link(struct instance *in)
{
	const struct conf_component *c = in->conf;
	uint32_t queues = queues_of(c);
	struct link_header header = {
		.magic = LINK_MAGIC, .version = LINK_VERSION, .class_id = c->serves,
		.queue_count = queues, .queue_size = c->queue_size, .incarnation = 1,
	};
	struct link_layout layout;
	uint64_t done;
	k_status_t st;

	in->link = (struct link_geometry){
		.version = LINK_VERSION, .class_id = c->serves, .queue_count = queues,
		.queue_size = c->queue_size, .data_length = c->data_size,
		.instance = in->number,
	};
	strlcpy(in->link.name, in->name, sizeof(in->link.name));
	if (!link_layout_make(&in->link, &layout))
		return K_ERR_BAD_ARGUMENT;
	st = make_memory(layout.length, &in->control);
	if (st == K_OK)
		st = make_memory(c->data_size, &in->data);
	if (st == K_OK)
		st = k_memory_write(in->control, 0, &header, sizeof(header), &done);
	if (st == K_OK)
		st = k_bell_create(&in->client_bell);
	if (st == K_OK)
		st = k_bell_create(&in->server_bell);
	return st;
}

/* What one incarnation leaves to the next.  Of a component without a link there is nothing. */
static k_status_t make_record(struct instance *in)
{
	struct k_map map = { .length = record_length(&in->link), .prot = K_PROT_READ | K_PROT_WRITE,
			     .max_prot = K_PROT_READ | K_PROT_WRITE, .flags = K_MAP_SHARED };
	k_status_t st = k_memory_create(init.components_group, map.length, K_MEMORY_RESIDENT,
					&in->record_memory);

	map.memory = in->record_memory;
	if (st == K_OK)
		st = k_space_map(0, &map);
	if (st != K_OK)
		return st;
	in->record = (struct record *)map.addr;
	in->record->version = RECORD_VERSION;
	return K_OK;
}

static k_status_t make_all(struct instance *in, const struct component_device *found)
{
	k_status_t st = K_OK;

	if (found) {
		in->found = *found;
		strlcpy(in->found.desc.name, in->name, sizeof(in->found.desc.name));
		st = k_device_create(init.handle[K_BOOT_DEVICES], &in->found.desc, &in->device);
	}
	if (st == K_OK && (in->conf->needs & CONF_NEEDS_DMA))
		st = make_memory(in->conf->dma_size, &in->dma);
	if (st == K_OK && in->conf->serves)
		st = make_link(in);
	if (st == K_OK && in->conf->serves)
		st = make_record(in);
	return st;
}

/* -- an incarnation ------------------------------------------------------------------------------ */

/*
 * QEMU's microvm has 24 register files of 512 bytes with ACPI, else 8.  "devices"
 * looks at them through a device of their own, which is gone once it has closed it,
 * so that drivers can get the parts.
 */
static uint64_t window_length(void)
{
	uint64_t files = init.boot.has_acpi ? 24 : 8;

	return init.boot.virtio_mmio_base ? ALIGN_UP(files * 512, (uint64_t)K_PAGE_SIZE) : 0;
}

static void grant_window(struct grants *g)
{
	struct k_device_desc desc = {
		.kind = K_DEVICE_MMIO, .base = init.boot.virtio_mmio_base,
		.length = window_length(), .irq = ~0u, .name = "virtio-mmio window",
	};
	k_handle_t window;

	if (!desc.length)
		return;
	if (k_device_create(init.handle[K_BOOT_DEVICES], &desc, &window) != K_OK) {
		rt_log(RT_LOG_ERR, "init: no virtio-mmio window at %lx", desc.base);
		return;
	}
	grant(g, COMPONENT_HANDLE_WINDOW, window, K_RIGHT_READ | K_RIGHT_MANAGE);
	rt_close(window);
}

static void grant_all(struct grants *g, const struct instance *in)
{
	const uint32_t shared = K_RIGHT_READ | K_RIGHT_WRITE | K_RIGHT_MAP;
	const struct conf_component *c = in->conf;
	uint32_t data = c->data_mapped ? shared : 0;

	/* Payload that is not mapped can only be pointed at. */
	if (!data || (c->needs & CONF_NEEDS_DMA))
		data |= K_RIGHT_DMA;
	if (c->needs & CONF_NEEDS_DEVICES)
		grant(g, COMPONENT_HANDLE_DEVICE, init.handle[K_BOOT_DEVICES], K_RIGHT_READ);
	else if (c->needs & (CONF_NEEDS_MMIO | CONF_NEEDS_PORTS | CONF_NEEDS_IRQ))
		grant(g, COMPONENT_HANDLE_DEVICE, in->device, K_RIGHT_READ | K_RIGHT_MANAGE);
	grant(g, COMPONENT_HANDLE_DMA, in->dma, shared | K_RIGHT_DMA);
	grant(g, COMPONENT_HANDLE_CONTROL, in->control, shared | K_RIGHT_DMA);
	grant(g, COMPONENT_HANDLE_DATA, in->data, data);
	grant(g, COMPONENT_HANDLE_CLIENT_BELL, in->client_bell, K_RIGHT_SIGNAL);
	grant(g, COMPONENT_HANDLE_SERVER_BELL, in->server_bell, K_RIGHT_SIGNAL | K_RIGHT_WAIT);
	grant(g, COMPONENT_HANDLE_RECORD, in->record_memory, shared);
	if (c->needs & CONF_NEEDS_DEVICES)
		grant_window(g);
}

static void fill_start(struct component_start *s, const struct instance *in)
{
	const struct k_boot_message *b = &init.boot;
	char prefix[CONF_NAME + 1];

	*s = (struct component_start){
		.kind = COMPONENT_START, .version = 1, .incarnation = in->incarnation,
		.dma_length = in->conf->dma_size, .link = in->link, .device = in->found,
		.record_length = in->record ? record_length(&in->link) : 0,
		.flags = in->wants_reset && !in->conf->adopt ? COMPONENT_ADOPT_RESET
							     : in->conf->adopt,
	};
	strlcpy(s->name, in->name, sizeof(s->name));
	if (in->conf->needs & CONF_NEEDS_DEVICES) {
		s->machine = (struct component_machine){
			.ecam_base = b->ecam_base, .ecam_first_bus = b->ecam_first_bus,
			.ecam_last_bus = b->ecam_last_bus, .has_pci = b->has_pci,
			.has_acpi = b->has_acpi, .has_uart = b->has_uart,
			.virtio_mmio_base = b->virtio_mmio_base,
			.virtio_mmio_length = window_length(),
		};
		option_collect(b->command_line, "virtio_mmio.device=", s->options,
			       sizeof(s->options));
		return;
	}
	snprintf(prefix, sizeof(prefix), "%s.", in->conf->name);
	option_collect(b->command_line, prefix, s->options, sizeof(s->options));
}

static k_status_t send_start(struct instance *in)
{
	struct component_start s;
	struct grants g = { .status = K_OK };

	fill_start(&s, in);
	grant_all(&g, in);
	s.granted = g.mask;
	return grants_send(&g, in->channel, &s, sizeof(s));
}

static k_status_t start_process(struct instance *in, const struct image *image, k_handle_t channel)
{
	struct k_thread_start start = { .entry = image->entry, .stack_top = image->stack_top,
					.frame = image->frame };
	k_status_t st = k_process_watch(in->process, init.bell, BIT(in - init.instances));

	strlcpy(start.name, in->name, sizeof(start.name));
	return st == K_OK ? k_process_start(in->process, &start, channel) : st;
}

/* Which incarnation it is: for the client to see. */
static void number_link(const struct instance *in)
{
	uint64_t done;

	if (in->control)
		(void)!k_memory_write(in->control, offsetof(struct link_header, incarnation),
				      &in->incarnation, sizeof(in->incarnation), &done);
}

static k_status_t start_incarnation(struct instance *in, const struct image *image)
{
	k_handle_t theirs;
	k_status_t st = k_channel_create(&in->channel, &theirs);

	if (st != K_OK)
		return st;
	st = k_channel_watch(in->channel, init.messages, BIT(in - init.instances));
	if (st == K_OK)
		st = send_start(in);
	if (st == K_OK)
		st = start_process(in, image, theirs);
	if (st != K_OK)
		rt_close(theirs);
	return st;
}

k_status_t instance_prepare(const struct instance *in, const struct program *program,
			    struct prepared *p)
{
	k_handle_t space;
	k_status_t st = k_process_create(init.components_group, in->name, strlen(in->name),
					 &p->process, &space);

	if (st != K_OK)
		return st;
	st = image_load(program, space, 0, &p->image);
	p->space = CONFIG_CHECKS && st == K_OK ? space : 0;
	if (!p->space)
		rt_close(space);
	if (st != K_OK)
		rt_close(p->process);
	return st;
}

void instance_forget(struct instance *in)
{
	rt_close(in->process);
	rt_close(in->space);
	rt_close(in->channel);
	in->process = in->space = in->channel = 0;
}

k_status_t instance_launch(struct instance *in, const struct prepared *p)
{
	k_status_t st;

	in->process = p->process;
	in->space = p->space;
	in->incarnation++;
	in->ready = false;
	in->ending = NULL;
	in->wished = false;
	in->seen_beat = 0;
	number_link(in);
	(void)!k_clock_read(K_CLOCK_MONOTONIC, &in->started_ns);
	in->answered_since_ns = in->started_ns;		/* what is in flight stalls anew */
	st = start_incarnation(in, &p->image);
	if (st != K_OK)
		instance_forget(in);
	return st;
}

k_status_t instance_incarnate(struct instance *in)
{
	struct prepared p;
	k_status_t st = instance_prepare(in, &in->program, &p);

	return st == K_OK ? instance_launch(in, &p) : st;
}

void instance_close_link(struct instance *in)
{
	uint32_t closed = LINK_SERVER_CLOSED;
	uint64_t done;

	if (!in->control)
		return;
	(void)!k_memory_write(in->control, offsetof(struct link_header, server_state), &closed,
			      sizeof(closed), &done);
	(void)!k_bell_ring(in->client_bell, LINK_BELL_STATE);
}

void instance_discard(struct instance *in)
{
	k_handle_t *const kept[] = { &in->device, &in->dma, &in->control, &in->data,
				     &in->client_bell, &in->server_bell, &in->record_memory };

	instance_close_link(in);
	instance_forget(in);
	if (in->record)
		rt_unmap(in->record, record_length(&in->link));
	in->record = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		rt_close(*kept[i]);
		*kept[i] = 0;
	}
	in->state = INSTANCE_ABSENT;
}

bool instance_exists(const struct instance *in)
{
	return in->state != INSTANCE_EMPTY && in->state != INSTANCE_ABSENT;
}

struct instance *instance_find(const char *name)
{
	for (size_t i = 0; i < INSTANCES; i++) {
		struct instance *in = &init.instances[i];

		if (instance_exists(in) && strcmp(in->name, name) == 0)
			return in;
	}
	return NULL;
}

void instance_start(const struct conf_component *c, const struct component_device *found)
{
	struct instance *in = instance_new(c);
	k_status_t st;

	if (!in) {
		rt_log(RT_LOG_ERR, "init: no room for another instance of %s", c->name);
		return;
	}
	if (c->serves && !(in->client = personality_using(c))) {
		rt_log(RT_LOG_INFO, "init: nobody uses %s", in->name);
		return;
	}
	st = program_find(c->binary, &in->program) ? make_all(in, found) : K_ERR_NOT_FOUND;
	slot_prepare(in);
	if (st == K_OK)
		st = instance_incarnate(in);
	in->state = st == K_OK ? INSTANCE_RUNNING : INSTANCE_DEAD;
	if (st != K_OK) {
		rt_log(RT_LOG_ERR, "init: cannot start %s: status %d", in->name, st);
		instance_close_link(in);
	}
	if (in->client && in->client->running && in->server_bell)
		personality_give_link(in->client, in);
}
