/* SPDX-License-Identifier: MIT */
/* A console whose server echoes, with and without multiport; ports, order, flow control, death. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/byteorder.h"
#include "base/util.h"
#include "fake.h"
#include "link/console.h"
#include "unit/unit.h"

static struct console_port *_Atomic(added)[8];
static _Atomic(uint32_t) events, ports;
static _Atomic(bool) stop;
static bool multiport;
static _Atomic(uint32_t) empties;		/* buffers that the server is to return empty, before all else */
static _Atomic(bool) looked_enough;

#define STREAM (4u << 20)

static void port_added(struct console_port *p, void *user)
{
	added[p->id] = p;
	ports++;
}

static void event(struct console_port *p, uint32_t e)
{
	events |= e;
}

static const struct console_ops ops = { .port_added = port_added, .event = event };

/* Copy @n bytes into the next receive buffer of @queue; false: there is none. */
static bool deliver(uint32_t queue, const void *p, size_t n)
{
	struct vq_segment segments[LINK_QUEUE_SIZE_MAX];
	struct vq_chain c = { .segments = segments };

	if (!vq_device_take(&fake.queue[queue], &c))
		return false;
	memcpy(fake_pointer(segments[0].addr, n), p, n);
	vq_device_answer(&fake.queue[queue], c.head, (uint32_t)n);
	fake_publish(queue);
	return true;
}

static void control(uint32_t id, uint16_t e, uint16_t value, const char *text)
{
	uint8_t m[64];

	put_le32(m, id);
	put_le16(m + 4, e);
	put_le16(m + 6, value);
	memcpy(m + 8, text, strlen(text));
	for (int tries = 0; tries < 1000 && !deliver(2, m, 8 + strlen(text)); tries++)
		usleep(100);
}

/* One sent chain of @tx goes back on @rx; false: nothing to send, or no buffer to receive. */
static bool echo(uint32_t rx, uint32_t tx)
{
	static struct vq_segment segments[LINK_QUEUES_MAX][LINK_QUEUE_SIZE_MAX];
	static struct vq_chain held[LINK_QUEUES_MAX];
	static bool holds[LINK_QUEUES_MAX];

	if (!holds[tx]) {
		held[tx].segments = segments[tx];
		holds[tx] = vq_device_take(&fake.queue[tx], &held[tx]);
	}
	if (!holds[tx] || !deliver(rx, fake_pointer(segments[tx][0].addr, segments[tx][0].len),
				   segments[tx][0].len))
		return false;
	vq_device_answer(&fake.queue[tx], held[tx].head, 0);
	fake_publish(tx);
	holds[tx] = false;
	return true;
}

static void *server(void *arg)
{
	uint8_t config[12] = { 80, 0, 25, 0, 4 };

	usleep(2000);
	fake_ready(BIT(0) | (multiport ? BIT(1) : 0), config, sizeof(config));
	while (!stop) {
		fake_server_wait();
		while (empties && deliver(0, "", 0))
			empties--;
		while (!empties && echo(0, 1))
			;
		while (fake.geometry.queue_count > 4 && echo(4, 5))
			;
	}
	return NULL;
}

static struct console *start(uint32_t queues)
{
	struct console *c = NULL;
	struct link *l;

	memset((void *)added, 0, sizeof(added));
	events = ports = 0;
	stop = false;
	fake_start(LINK_CLASS_CONSOLE, queues, 16, queues * 16384ul);
	l = fake_open();
	fake_thread(server, NULL);
	if (!l || console_open(l, &ops, NULL, &c) != K_OK)
		return NULL;
	return c;
}

static void end(void)
{
	stop = true;
	(void)!k_bell_ring(FAKE_SERVER_BELL, 1);
	fake_die();
	fake_join();
}

static bool wait_for(_Atomic(uint32_t) *v, uint32_t bits)
{
	for (int i = 0; i < 5000 && !(*v & bits); i++)
		usleep(1000);
	return *v & bits;
}

/* What is written comes back complete and in order, through buffers that are often full. */
static void echo_all(struct console_port *p)
{
	enum { TOTAL = 400000 };
	static uint8_t in[TOTAL], out[TOTAL];
	size_t sent = 0, got = 0;
	int idle = 0;

	for (size_t i = 0; i < TOTAL; i++)
		out[i] = (uint8_t)unit_random();
	while (got < TOTAL && idle < 5000) {
		size_t n = 1 + unit_random() % 3000, w = 0, r;

		if (sent < TOTAL)
			w = console_write(p, out + sent, n < TOTAL - sent ? n : TOTAL - sent);
		r = console_read(p, in + got, 1 + unit_random() % 3000 < TOTAL - got ?
				 1 + unit_random() % 2000 : TOTAL - got);
		sent += w;
		got += r;
		idle = w || r ? 0 : idle + 1;
		if (idle)
			usleep(1000);
	}
	CHECK_EQ(got, TOTAL);
	CHECK(memcmp(in, out, TOTAL) == 0);
}

TEST(console_plain_is_there_at_once)
{
	struct console *c = (multiport = false, start(2));
	const char early[] = "before the driver runs";
	char back[sizeof(early)] = "";
	size_t got = 0, done;

	REQUIRE(c);
	REQUIRE(added[0]);
	CHECK(added[0]->is_console && added[0]->host_open);
	CHECK_EQ(console_write(added[0], early, sizeof(early)), sizeof(early));
	CHECK(wait_for(&events, CONSOLE_READABLE));
	while (got < sizeof(early))
		got += console_read(added[0], back + got, sizeof(early) - got);
	CHECK_STR(back, early);
	CHECK(wait_for(&events, CONSOLE_RESIZED));
	CHECK_EQ(added[0]->columns, 80);
	CHECK_EQ(added[0]->rows, 25);
	echo_all(added[0]);
	CHECK_EQ(console_drain(added[0], false), K_OK);
	end();
	CHECK(events & CONSOLE_DEAD);
	CHECK_EQ(console_write(added[0], early, 1), 0);
	CHECK_EQ(console_write_all(added[0], early, 1, false, &done), K_ERR_CLOSED);
}

TEST(console_gives_back_buffers_that_come_back_empty)
{
	const char text[] = "nobody reads before there is something";
	char back[sizeof(text)] = "";

	multiport = false;
	empties = 100;
	REQUIRE(start(2));
	REQUIRE(added[0]);
	CHECK_EQ(console_write(added[0], text, sizeof(text)), sizeof(text));
	REQUIRE(wait_for(&events, CONSOLE_READABLE));
	CHECK_EQ(console_read(added[0], back, sizeof(back)), sizeof(text));
	CHECK_STR(back, text);
	CHECK_EQ(empties, 0);
	end();
}

TEST(console_ports_come_with_name_and_kind)
{
	struct console *c = (multiport = true, start(10));

	REQUIRE(c);
	control(0, 1, 1, "");
	control(0, 4, 1, "");
	control(1, 1, 1, "");
	control(1, 7, 1, "org.example.port");
	control(77, 1, 1, "");
	control(1, 6, 1, "");
	for (int i = 0; i < 3000 && ports < 2; i++)
		usleep(1000);
	REQUIRE(ports == 2 && added[0] && added[1]);
	CHECK(added[0]->is_console);
	CHECK(!added[1]->is_console);
	CHECK_STR(added[1]->name, "org.example.port");
	CHECK(wait_for(&events, CONSOLE_HOST_OPEN));
	CHECK(added[1]->host_open);
	console_port_set_open(added[1], true);
	echo_all(added[1]);
	control(1, 2, 1, "");
	CHECK(wait_for(&events, CONSOLE_REMOVED));
	CHECK_EQ(console_write(added[1], "x", 1), 0);
	end();
}

/* A writer that waits for room is woken when the server dies. */
static void *blocked_writer(void *arg)
{
	static uint8_t bytes[1 << 20];
	size_t done;

	return (void *)(long)console_write_all(arg, bytes, sizeof(bytes), false, &done);
}

/* Others look how much room there is, and so take the buffers back that a writer sleeps for. */
static void *onlooker(void *arg)
{
	while (!looked_enough) {
		(void)console_write_room(arg);
		(void)console_write_pending(arg);
	}
	return NULL;
}

static void *reader(void *arg)
{
	uint8_t bytes[4096];
	size_t got = 0, n;

	while (got < 2 * STREAM) {
		n = console_read(arg, bytes, sizeof(bytes));
		got += n;
		if (!n)
			sched_yield();
	}
	return NULL;
}

static void *stream_writer(void *arg)
{
	static uint8_t bytes[STREAM];
	size_t done;

	return (void *)(long)console_write_all(arg, bytes, sizeof(bytes), false, &done);
}

TEST(console_writers_do_not_miss_room_that_others_saw)
{
	struct console *c = (multiport = false, start(2));
	pthread_t t[4];
	void *st;

	REQUIRE(c);
	looked_enough = false;
	pthread_create(&t[0], NULL, onlooker, added[0]);
	pthread_create(&t[1], NULL, reader, added[0]);
	pthread_create(&t[2], NULL, stream_writer, added[0]);
	pthread_create(&t[3], NULL, stream_writer, added[0]);
	for (int i = 2; i < 4; i++) {
		pthread_join(t[i], &st);
		CHECK_EQ((long)st, K_OK);
	}
	CHECK_EQ(console_drain(added[0], false), K_OK);
	pthread_join(t[1], NULL);
	looked_enough = true;
	pthread_join(t[0], NULL);
	end();
}

TEST(console_death_ends_a_wait)
{
	struct console *c = (multiport = false, start(2));
	pthread_t t;
	void *st;

	REQUIRE(c);
	stop = true;
	(void)!k_bell_ring(FAKE_SERVER_BELL, 1);
	pthread_create(&t, NULL, blocked_writer, added[0]);
	usleep(50000);
	fake_die();
	pthread_join(t, &st);
	CHECK_EQ((long)st, K_ERR_CLOSED);
	fake_join();
}
