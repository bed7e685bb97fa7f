/* SPDX-License-Identifier: MIT */
/*
 * Calls on channels: messages between the callers' memory and the queues.
 *
 * Handles are lifted out of the sender's table first and put back if the message
 * cannot be sent, so that a failed call has changed nothing.
 */

#include "kernel/channel.h"
#include "base/string.h"
#include "kernel/bell.h"
#include "kernel/handle.h"
#include "kernel/kcalls.h"
#include "kernel/process.h"
#include "kernel/thread.h"

k_status_t kcall_channel_create(struct thread *self, struct new_handle *a, struct new_handle *b)
{
	struct channel *ends[2];
	k_status_t st = channel_create(self->process->object.group, ends);

	if (st == K_OK) {
		a->object = &ends[0]->object;
		b->object = &ends[1]->object;
	}
	return st;
}

/* -- sending ------------------------------------------------------------------------------ */

static bool is_end_of(const struct object *object, const struct channel *channel)
{
	return object->type == K_TYPE_CHANNEL &&
	       container_of(object, const struct channel, object)->pair == channel->pair;
}

/* Put the first @count handles back where they were. */
static void lower_handles(struct process *process, struct message *message,
			  const k_handle_t *handles, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		handle_lower(process, handles[i], message->handles[i].object);
	message->handle_count = 0;
}

static k_status_t lift_handles(struct process *process, struct channel *channel,
			       struct message *message, const k_handle_t *handles, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct message_handle *h = &message->handles[i];
		k_status_t st = handle_lift(process, handles[i], K_RIGHT_TRANSFER, &h->object,
					    &h->rights);

		if (st == K_OK && is_end_of(h->object, channel)) {
			handle_lower(process, handles[i], h->object);
			st = K_ERR_BAD_ARGUMENT;
		}
		if (st != K_OK) {
			lower_handles(process, message, handles, i);
			return st;
		}
	}
	message->handle_count = count;
	return K_OK;
}

/* Everything that can fail about @m before it is sent.  @handles: what was lifted. */
static k_status_t message_from_caller(struct thread *self, struct channel *channel,
				      const struct k_message *m, struct message **out,
				      k_handle_t handles[K_MESSAGE_MAX_HANDLES])
{
	struct kbytes data = kbytes_of(self, m->data, m->length);
	struct kbytes names = kbytes_of(self, m->handles, m->handle_count * sizeof(handles[0]));
	struct message *message;
	k_status_t st;

	if (m->length > K_MESSAGE_MAX_BYTES || m->handle_count > K_MESSAGE_MAX_HANDLES)
		return K_ERR_TOO_BIG;
	st = message_create(self->process->object.group, m->length, &message);
	if (st != K_OK)
		return st;
	if (!kbytes_read(&data, 0, message->data, data.length) ||
	    !kbytes_read(&names, 0, handles, names.length))
		st = K_ERR_BAD_ADDRESS;
	else
		st = lift_handles(self->process, channel, message, handles, m->handle_count);
	if (st != K_OK) {
		message_destroy(message);
		return st;
	}
	*out = message;
	return K_OK;
}

/* The message has a new owner: the sender's slots are free now. */
static void forget_handles(struct process *process, const k_handle_t *handles, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		handle_lower(process, handles[i], NULL);
}

static void take_back(struct process *process, struct message *message, const k_handle_t *handles)
{
	lower_handles(process, message, handles, message->handle_count);
	message_destroy(message);
}

k_status_t kcall_channel_send(struct thread *self, struct channel *channel,
			      const struct k_message *m)
{
	k_handle_t handles[K_MESSAGE_MAX_HANDLES];
	struct message *message;
	k_status_t st;

	st = message_from_caller(self, channel, m, &message, handles);
	if (st != K_OK)
		return st;
	message->txid = m->txid;
	st = channel_send(channel, message);
	if (st == K_OK)
		forget_handles(self->process, handles, m->handle_count);
	else
		take_back(self->process, message, handles);
	return st;
}

/* -- receiving ------------------------------------------------------------------------------ */

/*
 * Give @message to the caller.  TOO_BIG and LIMIT leave the message whole; the sizes
 * in @m say what it needs.  Otherwise the message is used up, also by BAD_ADDRESS.
 */
static k_status_t message_to_caller(struct thread *self, struct message *message,
				    struct k_message *m)
{
	struct kbytes data = kbytes_of(self, m->data, message->length);
	struct kbytes names = kbytes_of(self, m->handles, message->handle_count * sizeof(k_handle_t));
	bool fits = message->length <= m->length && message->handle_count <= m->handle_count;
	k_handle_t handles[K_MESSAGE_MAX_HANDLES];
	uint32_t count = message->handle_count;
	k_status_t st;

	m->length = message->length;
	m->handle_count = count;
	m->txid = message->txid;
	if (!fits)
		return K_ERR_TOO_BIG;
	if (count) {
		st = handle_reserve(self->process, count);
		if (st != K_OK)
			return K_ERR_LIMIT;
	}
	st = kbytes_write(&data, 0, message->data, data.length) ? K_OK : K_ERR_BAD_ADDRESS;
	for (uint32_t i = 0; i < count; i++)
		handles[i] = handle_install_named(self->process, message->handles[i].object,
						  message->handles[i].rights);
	message->handle_count = 0;
	message_destroy(message);
	if (st == K_OK && !kbytes_write(&names, 0, handles, names.length))
		st = K_ERR_BAD_ADDRESS;
	for (uint32_t i = 0; st != K_OK && i < count; i++)
		(void)!handle_close(self->process, handles[i]);
	return st;
}

static bool is_whole(k_status_t st)
{
	return st == K_ERR_TOO_BIG || st == K_ERR_LIMIT;
}

k_status_t kcall_channel_recv(struct thread *self, struct channel *channel, struct k_message *m,
			      uint64_t deadline)
{
	struct message *message;
	k_status_t st;

	st = channel_recv(channel, deadline, &message);
	if (st != K_OK)
		return st;
	st = message_to_caller(self, message, m);
	if (is_whole(st))
		channel_unrecv(channel, message);
	return st;
}

k_status_t kcall_channel_call(struct thread *self, struct channel *channel,
			      const struct k_message *request, struct k_message *reply,
			      uint64_t deadline)
{
	k_handle_t handles[K_MESSAGE_MAX_HANDLES];
	struct message *message, *answer;
	bool sent;
	k_status_t st;

	st = message_from_caller(self, channel, request, &message, handles);
	if (st != K_OK)
		return st;
	st = channel_call(channel, message, deadline, &answer, &sent);
	if (!sent) {
		take_back(self->process, message, handles);
		return st;
	}
	forget_handles(self->process, handles, request->handle_count);
	if (st != K_OK)
		return st;
	st = message_to_caller(self, answer, reply);
	if (is_whole(st))		/* there is no queue to keep an answer in */
		message_destroy(answer);
	return st;
}

k_status_t kcall_channel_watch(struct thread *self, struct channel *channel, struct bell *bell,
			       uint64_t bits)
{
	channel_watch(channel, bell, bits);
	return K_OK;
}
