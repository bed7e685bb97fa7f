/* SPDX-License-Identifier: MIT */
/*
 * Control over components for a personality that the description grants it
 * (abi/control.h).  Who holds the channel can see and restart components, not change
 * what they may touch; and with "grants update" give them other programs (update.c).
 */
#include <stdatomic.h>

#include "abi/control.h"
#include "base/string.h"
#include "init.h"
#include "rt/log.h"
#include "rt/process.h"

k_handle_t control_open(struct personality *p)
{
	k_handle_t theirs = 0;

	if (k_channel_create(&p->control, &theirs) != K_OK)
		return 0;
	if (k_channel_watch(p->control, init.messages, BIT(BELL_LINUX + (p - init.personalities))) !=
	    K_OK)
		rt_log(RT_LOG_ERR, "init: cannot listen to linux %s", p->conf->name);
	return theirs;
}

static uint32_t state_of(const struct instance *in)
{
	if (in->state == INSTANCE_RUNNING)
		return CONTROL_RUNNING;
	return in->state == INSTANCE_WAITING ? CONTROL_PAUSING : CONTROL_DEAD;
}

static uint32_t in_flight(const struct instance *in)
{
	uint32_t n = 0;

	for (uint32_t q = 0; in->record && q < in->link.queue_count; q++) {
		const struct record_inflight *t = record_inflight(&in->link, in->record, q);

		for (uint32_t d = 0; d < in->link.queue_size; d++)
			n += t->requests[d].inflight != 0;
	}
	return n;
}

/* The @n-th of those that exist, or NULL. */
static const struct instance *instance_number(uint64_t n)
{
	for (size_t i = 0; i < INSTANCES; i++)
		if (instance_exists(&init.instances[i]) && !n--)
			return &init.instances[i];
	return NULL;
}

static k_status_t list(uint64_t index, struct control_reply *r)
{
	const struct instance *in = instance_number(index);
	struct k_process_info info = { 0 };
	struct k_device_info device;

	if (!in)
		return K_ERR_NOT_FOUND;
	if (in->process)
		(void)!k_process_info(in->process, &info);
	strlcpy(r->instance.name, in->name, sizeof(r->instance.name));
	strlcpy(r->instance.device, in->found.desc.name, sizeof(r->instance.device));
	if (in->client)
		strlcpy(r->instance.client, in->client->conf->name, sizeof(r->instance.client));
	if (in->conf->serves)
		strlcpy(r->instance.serves, conf_class_name(in->conf->serves),
			sizeof(r->instance.serves));
	r->instance.state = state_of(in);
	r->instance.incarnation = in->incarnation;
	r->instance.restarts = in->incarnation ? in->incarnation - 1 : 0;
	r->instance.in_flight = in_flight(in);
	if (in->device && k_device_info(in->device, &device) == K_OK)
		r->instance.is_confined = device.is_confined;
	r->instance.cpu_ns = in->cpu_ns + info.cpu_ns;
	r->instance.memory_bytes = info.memory_bytes;
	r->instance.stall_ns = in->stall_ns;
	if (in->record)
		r->instance.answered = atomic_load_explicit(&in->record->answered,
							    memory_order_relaxed);
	return K_OK;
}

static k_status_t end_it(const char *name, const char *why, bool wished)
{
	struct instance *in = instance_find(name);

	if (!in)
		return K_ERR_NOT_FOUND;
	if (in->state != INSTANCE_RUNNING)
		return K_ERR_BAD_STATE;
	instance_end(in, why, wished);
	return K_OK;
}

/* What a handle of the component's is to it; "" if it made it itself. */
static const char *role_of(const struct instance *in, uint64_t koid)
{
	const struct {
		k_handle_t handle;
		const char *role;
	} known[] = {
		{ in->device, "device" }, { in->dma, "dma" }, { in->control, "control" },
		{ in->data, "data" }, { in->client_bell, "client bell" },
		{ in->server_bell, "server bell" }, { in->record_memory, "record" },
		{ init.handle[K_BOOT_DEVICES], "all devices" },
	};
	struct k_handle_info info;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].handle && k_handle_info(known[i].handle, &info) == K_OK &&
		    info.koid == koid)
			return known[i].role;
	return "";
}

static k_status_t handle_list(const char *name, uint64_t from, struct control_reply *r)
{
	static struct k_handle_info infos[64];
	const struct instance *in = instance_find(name);
	uint64_t count = 0;
	k_status_t st;

	if (!in || !in->process)
		return K_ERR_NOT_FOUND;
	st = k_handle_list(in->process, infos, sizeof(infos), &count);
	if (st != K_OK)
		return st;
	count = MIN(count, (uint64_t)ARRAY_SIZE(infos));
	for (uint64_t i = from; i < count && r->count < CONTROL_HANDLES; i++, r->count++) {
		r->handles[r->count].object = infos[i].koid;
		r->handles[r->count].type = infos[i].type;
		r->handles[r->count].rights = infos[i].rights;
		strlcpy(r->handles[r->count].type_name, handle_type_name(infos[i].type),
			sizeof(r->handles[0].type_name));
		strlcpy(r->handles[r->count].role, role_of(in, infos[i].koid),
			sizeof(r->handles[0].role));
	}
	r->next = from + r->count;
	return K_OK;
}

static k_status_t call_counts(const struct personality *p, const char *name, uint64_t from,
			      struct control_reply *r)
{
	static uint64_t counts[K_CALL_COUNT];
	const struct instance *in = *name ? instance_find(name) : NULL;
	k_handle_t process = *name ? (in ? in->process : 0) : p->process;
	uint64_t count = 0;
	k_status_t st;

	if (!process)
		return K_ERR_NOT_FOUND;
	st = k_process_calls(process, counts, sizeof(counts), &count);
	if (st != K_OK)
		return st;
	for (uint64_t i = from; i < K_CALL_COUNT && r->count < CONTROL_CALLS; i++)
		r->calls[r->count++] = counts[i];
	r->next = from + r->count;
	return K_OK;
}

/* Fault injection: @n bytes into what the incarnation q->token runs. */
static k_status_t poke(const struct control_request *q, const void *bytes, size_t n)
{
	struct instance *in = instance_find(q->name);
	uint64_t done = 0;

	if (!CONFIG_CHECKS)
		return K_ERR_NOT_SUPPORTED;
	if (!in)
		return K_ERR_NOT_FOUND;
	if (!n || n > CONTROL_POKE_MAX)
		return K_ERR_BAD_ARGUMENT;
	if (in->state != INSTANCE_RUNNING || in->incarnation != q->token || !in->space)
		return K_ERR_BAD_STATE;
	return k_space_write(in->space, q->index, bytes, n, &done);
}

/* @n bytes follow the request. */
static k_status_t act(const struct personality *p, struct control_request *q, size_t n,
		      struct control_reply *r)
{
	q->name[sizeof(q->name) - 1] = '\0';
	if (q->version != CONTROL_VERSION)
		return K_ERR_NOT_SUPPORTED;
	if (n && q->op != CONTROL_UPDATE_DATA && q->op != CONTROL_POKE)
		return K_ERR_BAD_ARGUMENT;
	switch (q->op) {
	case CONTROL_LIST:
		return list(q->index, r);
	case CONTROL_KILL:
		return end_it(q->name, "conctl kill", true);
	case CONTROL_RESTART:
		return end_it(q->name, "conctl restart", true);
	case CONTROL_LOG:
		r->next = q->index;
		r->count = (uint32_t)report_read(&r->next, r->text, sizeof(r->text));
		return K_OK;
	case CONTROL_HANDLE_LIST:
		return handle_list(q->name, q->index, r);
	case CONTROL_CALL_COUNTS:
		return call_counts(p, q->name, q->index, r);
	case CONTROL_UPDATE_BEGIN:
	case CONTROL_UPDATE_DATA:
	case CONTROL_UPDATE_COMMIT:
	case CONTROL_UPDATE_STATE:
		return p->conf->grants & CONF_GRANT_UPDATE ? update_control(q, q + 1, n, r)
							   : K_ERR_ACCESS;
	case CONTROL_POKE:
		return p->conf->grants & CONF_GRANT_UPDATE ? poke(q, q + 1, n) : K_ERR_ACCESS;
	default:
		return K_ERR_NOT_SUPPORTED;
	}
}

void control_serve(struct personality *p)
{
	for (;;) {
		k_handle_t handles[K_MESSAGE_MAX_HANDLES];
		union {			/* whatever it sends has room */
			struct control_request q;
			uint8_t bytes[K_MESSAGE_MAX_BYTES];
		} u;
		struct control_reply r = { 0 };
		struct k_message m = { .data = (uint64_t)&u, .length = sizeof(u),
				       .handles = (uint64_t)handles,
				       .handle_count = K_MESSAGE_MAX_HANDLES };
		k_status_t st = p->control ? k_channel_recv(p->control, &m, 0) : K_ERR_CLOSED;

		if (st != K_OK)
			return;
		for (uint32_t i = 0; i < m.handle_count; i++)
			rt_close(handles[i]);
		r.status = m.length >= sizeof(u.q) ? act(p, &u.q, m.length - sizeof(u.q), &r)
						   : K_ERR_BAD_ARGUMENT;
		m = (struct k_message){ .data = (uint64_t)&r, .length = sizeof(r), .txid = m.txid };
		/* Who does not wait any more needs no answer. */
		(void)!k_channel_send(p->control, &m);
	}
}
