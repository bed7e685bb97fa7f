/* SPDX-License-Identifier: MIT */
/* Host tests of channels. */
#include "kernel/bell.h"
#include "kernel/channel.h"
#include "kernel/handle.h"
#include "sim.h"
#include "unit/unit.h"

static struct channel *end[2];
static k_handle_t name[2];

static void make(void)
{
	sim_reset();
	CHECK_EQ(channel_create(root_group, end), K_OK);
	for (unsigned int i = 0; i < 2; i++) {
		object_get(&end[i]->object);
		CHECK_EQ(handle_create(&sim_process, &end[i]->object, 0, &name[i]), K_OK);
	}
}

static void drop(void)
{
	object_put(&end[0]->object);
	object_put(&end[1]->object);
	sim_check_clean();
}

static struct message *text(const char *s)
{
	struct message *m = NULL;

	CHECK_EQ(message_create(root_group, strlen(s), &m), K_OK);
	memcpy(m->data, s, strlen(s));
	return m;
}

static bool holds(const struct message *m, const char *s)
{
	return m->length == strlen(s) && !memcmp(m->data, s, m->length);
}

TEST(messages_arrive_in_order)
{
	struct message *m;

	make();
	CHECK_EQ(channel_send(end[0], text("one")), K_OK);
	CHECK_EQ(channel_send(end[0], text("two")), K_OK);
	CHECK_EQ(channel_recv(end[0], 0, &m), K_ERR_SHOULD_WAIT);
	REQUIRE(channel_recv(end[1], 0, &m) == K_OK);
	CHECK(holds(m, "one"));
	channel_unrecv(end[1], m);
	REQUIRE(channel_recv(end[1], 0, &m) == K_OK);
	CHECK(holds(m, "one"));
	message_destroy(m);
	drop();		/* "two" is still queued */
}

TEST(full_queue_refuses_and_leaves_the_message)
{
	struct message *m;

	make();
	for (unsigned int i = 0; i < CHANNEL_QUEUE_MAX; i++)
		CHECK_EQ(channel_send(end[0], text("x")), K_OK);
	m = text("too many");
	CHECK_EQ(channel_send(end[0], m), K_ERR_LIMIT);
	CHECK(holds(m, "too many"));
	message_destroy(m);
	drop();
}

static void send_hello(void)
{
	CHECK_EQ(channel_send(end[0], text("hello")), K_OK);
	CHECK_EQ(end[1]->queued, 0);	/* handed over, not queued */
}

TEST(waiting_receiver_is_handed_the_message)
{
	struct message *m;

	make();
	sim_on_block = send_hello;
	REQUIRE(channel_recv(end[1], 1000, &m) == K_OK);
	CHECK(holds(m, "hello"));
	message_destroy(m);
	CHECK_EQ(channel_recv(end[1], 1000, &m), K_ERR_TIMED_OUT);
	CHECK(list_is_empty(&end[1]->receivers));
	drop();
}

static void close_first(void)
{
	CHECK_EQ(handle_close(&sim_process, name[0]), K_OK);
}

TEST(receiver_sees_the_queue_before_the_close)
{
	struct message *m;

	make();
	CHECK_EQ(channel_send(end[0], text("last")), K_OK);
	close_first();
	REQUIRE(channel_recv(end[1], 0, &m) == K_OK);
	CHECK(holds(m, "last"));
	message_destroy(m);
	CHECK_EQ(channel_recv(end[1], 1000, &m), K_ERR_CLOSED);
	m = text("nobody");
	CHECK_EQ(channel_send(end[1], m), K_ERR_CLOSED);
	message_destroy(m);
	CHECK_EQ(sim_blocks, 0);
	drop();
}

TEST(close_wakes_a_waiting_receiver)
{
	struct message *m;

	make();
	sim_on_block = close_first;
	CHECK_EQ(channel_recv(end[1], 1000, &m), K_ERR_CLOSED);
	drop();
}

static void serve_one(void)
{
	struct message *m, *answer = text("pong");

	REQUIRE(channel_recv(end[1], 0, &m) == K_OK);
	CHECK(holds(m, "ping"));
	CHECK(m->txid != 0);
	answer->txid = m->txid;
	message_destroy(m);
	CHECK_EQ(channel_send(end[1], answer), K_OK);
	/* A second answer to the same call finds nobody, and is dropped. */
	answer = text("again");
	answer->txid = 1;
	CHECK_EQ(channel_send(end[1], answer), K_OK);
}

TEST(call_gets_its_answer)
{
	struct message *reply;
	bool sent;

	make();
	sim_on_block = serve_one;
	REQUIRE(channel_call(end[0], text("ping"), 1000, &reply, &sent) == K_OK);
	CHECK(sent && holds(reply, "pong"));
	message_destroy(reply);
	CHECK(list_is_empty(&end[0]->callers));
	drop();
}

TEST(call_that_times_out_is_withdrawn)
{
	struct message *m;
	bool sent;

	make();
	CHECK_EQ(channel_call(end[0], text("ping"), 1000, &m, &sent), K_ERR_TIMED_OUT);
	CHECK(sent);
	CHECK_EQ(channel_recv(end[1], 0, &m), K_ERR_SHOULD_WAIT);
	drop();
}

static void close_second(void)
{
	CHECK_EQ(handle_close(&sim_process, name[1]), K_OK);
}

TEST(call_ends_when_the_server_dies)
{
	struct message *m, *again = NULL;
	bool sent;

	make();
	sim_on_block = close_second;
	CHECK_EQ(channel_call(end[0], text("ping"), 1000, &m, &sent), K_ERR_CLOSED);
	CHECK(sent);
	again = text("ping");
	CHECK_EQ(channel_call(end[0], again, 1000, &m, &sent), K_ERR_CLOSED);
	CHECK(!sent);
	message_destroy(again);
	drop();
}

TEST(handles_under_way_are_names)
{
	struct object *o;
	struct message *m;

	make();
	o = sim_object_create();
	m = text("");
	object_name_get(o);
	object_put(o);
	m->handles[0] = (struct message_handle){ o, K_RIGHT_READ };
	m->handle_count = 1;
	CHECK_EQ(channel_send(end[0], m), K_OK);
	CHECK_EQ(sim_closed, 0);
	close_second();			/* nobody will receive it */
	CHECK_EQ(sim_closed, 1);
	CHECK_EQ(sim_destroyed, 1);
	drop();
}

/* A message in each channel holds the only name of the next channel's end. */
TEST(long_chain_of_channels_ends_without_recursion)
{
	struct channel *outer[2], *inner[2];
	struct message *m;
	k_handle_t h;

	sim_reset();
	REQUIRE(channel_create(root_group, outer) == K_OK);
	for (unsigned int i = 0; i < 20000; i++) {
		REQUIRE(channel_create(root_group, inner) == K_OK);
		m = text("");
		/* inner[0] owns outer: by a message to it that carries outer's receiving end. */
		m->handles[0] = (struct message_handle){ &outer[0]->object, 0 };
		atomic_fetch_add(&outer[0]->object.handles, 1);
		m->handle_count = 1;
		REQUIRE(channel_send(inner[1], m) == K_OK);
		object_put(&outer[1]->object);
		outer[0] = inner[0];
		outer[1] = inner[1];
	}
	object_put(&outer[1]->object);
	REQUIRE(handle_create(&sim_process, &outer[0]->object, 0, &h) == K_OK);
	CHECK_EQ(handle_close(&sim_process, h), K_OK);
	sim_check_clean();
}

TEST(watch_rings_for_messages_and_for_the_close)
{
	struct message *m;
	struct bell *bell;

	make();
	REQUIRE(bell_create(root_group, &bell) == K_OK);
	channel_watch(end[1], bell, 2);
	CHECK_EQ(bell->pending, 0);
	CHECK_EQ(channel_send(end[0], text("x")), K_OK);
	CHECK_EQ(bell->pending, 2);
	bell->pending = 0;
	channel_watch(end[1], bell, 4);		/* there is a message already */
	CHECK_EQ(bell->pending, 4);
	REQUIRE(channel_recv(end[1], 0, &m) == K_OK);
	message_destroy(m);
	bell->pending = 0;
	close_first();
	CHECK_EQ(bell->pending, 4);
	object_put(&bell->object);
	drop();
}
