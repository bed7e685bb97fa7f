/* SPDX-License-Identifier: MIT */
/* Many threads on one disk; a server that answers late, in disorder, wrongly, or dies. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/byteorder.h"
#include "base/util.h"
#include "fake.h"
#include "link/blk.h"
#include "unit/unit.h"

enum { SECTORS = 4096, WORKERS = 8, ROUNDS = 400 };

static uint8_t disk[SECTORS * 512];
static _Atomic(bool) stop;
static _Atomic(int) serve_until;	/* requests; then the server dies */
static _Atomic(int) ok, failed, wrong;
static uint32_t queues = 1;
static uint32_t from;		/* the server's: which queue it is at */
static _Atomic(uint32_t) used;	/* bitmap of queues that had requests */

static void config(void)
{
	uint8_t c[64] = { 0 };

	put_le64(c, SECTORS);
	put_le32(c + 20, 512);
	put_le16(c + 34, (uint16_t)queues);
	fake_ready(BIT(6) | BIT(9) | BIT(12), c, sizeof(c));
}

static void serve_one(const struct vq_chain *c)
{
	uint8_t *header = fake_pointer(c->segments[0].addr, 16);
	uint8_t *status = fake_pointer(c->segments[c->count - 1].addr, 1);
	uint32_t n = c->count == 3 ? c->segments[1].len : 0;
	uint8_t *data = n ? fake_pointer(c->segments[1].addr, n) : NULL;
	uint8_t *at = disk + get_le64(header + 8) * 512;

	if (get_le32(header) == 0)
		memcpy(data, at, n);
	else if (get_le32(header) == 1)
		memcpy(at, data, n);
	*status = 0;
	vq_device_answer(&fake.queue[from], c->head, get_le32(header) == 0 ? n + 1 : 1);
}

enum { HELD = 8 };

/* Requests of one queue, each in turn; how many. */
static int take_some(struct vq_chain *held)
{
	static struct vq_segment segments[HELD][LINK_QUEUE_SIZE_MAX];
	int n = 0;

	for (uint32_t tries = 0; !n && tries < queues; tries++) {
		from = (from + 1) % queues;
		for (n = 0; n < HELD; n++) {
			held[n].segments = segments[n];
			if (!vq_device_take(&fake.queue[from], &held[n]))
				break;
		}
		if (n)
			used |= 1u << from;
	}
	return n;
}

static void *server(void *arg)
{
	struct vq_chain held[HELD];
	uint64_t seed = 7;

	usleep(2000);
	config();
	while (!stop) {
		int n = 0;

		fake_server_wait();
		do {
			n = take_some(held);
			for (int left = n; left; left--) {
				int i = (int)((seed = seed * 6364136223846793005u + 1) >> 33) % left;
				struct vq_chain last = held[left - 1];

				if (serve_until-- <= 0) {
					fake_die();
					return NULL;
				}
				serve_one(&held[i]);
				held[i] = last;
				if (seed >> 60 & 1)
					fake_publish(from);
			}
			fake_publish(from);
		} while (n);
	}
	return NULL;
}

/* An answer to one of what it holds, or to nothing, that is against the protocol. */
static void answer_wrongly(struct vq_chain *held, int how)
{
	struct vq_device *q = &fake.queue[from];
	uint8_t *header = fake_pointer(held[0].segments[0].addr, 16);
	uint8_t *status = fake_pointer(held[0].segments[held[0].count - 1].addr, 1);

	switch (how % 4) {
	case 0:			/* of what is not in flight */
		vq_device_answer(q, (uint16_t)(q->ring.size - 1), 1);
		break;
	case 1:			/* more than there can be */
		q->used_idx = (uint16_t)(q->used_idx + 1000);
		break;
	case 2:			/* without a status */
		vq_device_answer(q, held[0].head, held[0].writable);
		break;
	default:		/* short; of a read */
		*status = get_le32(header) == 0 ? 0 : 7;
		vq_device_answer(q, held[0].head, held[0].writable - 1);
	}
	fake_publish(from);
}

/* Breaks the protocol again and again; each time another takes its place. */
static void *liar(void *arg)
{
	struct vq_chain held[HELD];
	int served = 0, how = 0;

	config();
	while (!stop) {
		int n;

		fake_server_wait();
		while ((n = take_some(held))) {
			if (served++ % 50 == 49) {
				answer_wrongly(held, how++);
				fake_renew();
				continue;
			}
			for (int i = 0; i < n; i++)
				serve_one(&held[i]);
			fake_publish(from);
		}
	}
	return NULL;
}

/* Never anything that could be an answer. */
static void *mute(void *arg)
{
	struct vq_chain held[HELD];

	config();
	for (int i = 0; i < 3; i++) {
		while (!take_some(held))
			fake_server_wait();
		answer_wrongly(held, 2);
		if (i < 2)
			fake_renew();
	}
	return NULL;
}

/* Reads come half, and are said to be done: @arg times; then a server that does what it should. */
static void *halving(void *arg)
{
	struct vq_chain held[HELD];

	config();
	for (intptr_t i = (intptr_t)arg; i > 0; i--) {
		const struct vq_segment *data;

		while (!take_some(held))
			fake_server_wait();
		data = &held[0].segments[1];
		memset(fake_pointer(data->addr, data->len), 0x55, data->len / 2);
		*(uint8_t *)fake_pointer(held[0].segments[2].addr, 1) = 0;
		vq_device_answer(&fake.queue[from], held[0].head, data->len / 2 + 1);
		fake_publish(from);
		if (i > 1 || (intptr_t)arg < 3)
			fake_renew();
	}
	return (intptr_t)arg < 3 ? server(NULL) : NULL;
}

/* A serial number of two letters, of a device that writes no more than that. */
static void *short_named(void *arg)
{
	struct vq_chain held[HELD];

	config();
	for (int served = 0; served < 2; served++) {
		const struct vq_segment *data;

		while (!take_some(held))
			fake_server_wait();
		data = &held[0].segments[1];
		memset(fake_pointer(data->addr, data->len), 'X', MIN(data->len, served ? 2 : data->len));
		*(uint8_t *)fake_pointer(held[0].segments[2].addr, 1) = 0;
		vq_device_answer(&fake.queue[from], held[0].head, data->len + 1);
		fake_publish(from);
	}
	return NULL;
}

/* Each worker has a part of the disk of its own, and knows what it wrote there. */
static void *worker(void *arg)
{
	struct blk *b = ((void **)arg)[0];
	uint64_t id = (uint64_t)(uintptr_t)((void **)arg)[1], seed = id + 1;
	uint64_t first = id * (SECTORS / WORKERS);
	static _Thread_local uint8_t buf[256 * 1024];
	uint8_t last = 0;
	size_t last_n = 0;

	for (int round = 0; round < ROUNDS; round++) {
		size_t n = 512 * (1 + ((seed = seed * 6364136223846793005u + 1) >> 33) % 400);
		k_status_t st;

		if (seed >> 62 & 1 || !last_n) {
			last = (uint8_t)(seed >> 40);
			last_n = n;
			memset(buf, last, n);
			st = blk_write(b, first, buf, n);
		} else {
			memset(buf, ~last, last_n);
			st = blk_read(b, first, buf, last_n);
			if (st == K_OK && (buf[0] != last || buf[last_n - 1] != last))
				wrong++;
		}
		st == K_OK ? ok++ : failed++;
		if (st != K_OK && st != K_ERR_IO)
			wrong++;
		if (st != K_OK)
			break;
	}
	return NULL;
}

static struct blk *open_server_with(void *(*fn)(void *), void *arg)
{
	struct blk *b = NULL;
	struct link *l;

	ok = failed = wrong = 0;
	used = 0;
	stop = false;
	from = 0;
	fake_start(LINK_CLASS_BLOCK, queues, 32, 512 * 1024);
	l = fake_open();
	fake_thread(fn, arg);
	return l && blk_open(l, UINT64_MAX, &b) == K_OK ? b : NULL;
}

static struct blk *open_server(void *(*fn)(void *))
{
	return open_server_with(fn, NULL);
}

static struct blk *open_with(int requests)
{
	serve_until = requests;
	return open_server(server);
}

static void run_workers(struct blk *b)
{
	static void *args[WORKERS][2];
	pthread_t t[WORKERS];

	for (int i = 0; i < WORKERS; i++) {
		args[i][0] = b;
		args[i][1] = (void *)(uintptr_t)i;
		pthread_create(&t[i], NULL, worker, args[i]);
	}
	for (int i = 0; i < WORKERS; i++)
		pthread_join(t[i], NULL);
}

/* With one queue and with several. */
static void with_queues(void (*fn)(void))
{
	queues = 1;
	fn();
	queues = 3;
	fn();
	queues = 1;
}

static void many_threads_read_what_they_wrote(void)
{
	struct blk *b = open_with(1 << 30);

	REQUIRE(b);
	CHECK_EQ(blk_sectors(b), SECTORS);
	run_workers(b);
	CHECK_EQ(wrong, 0);
	CHECK_EQ(failed, 0);
	CHECK_EQ(ok, WORKERS * ROUNDS);
	CHECK_EQ(blk_flush(b), K_OK);
	/* Threads are spread by chance: the same queue for all of many is none. */
	for (int i = 0; i < 10 && queues > 1 && IS_POWER_OF_2(used); i++)
		run_workers(b);
	CHECK_EQ(IS_POWER_OF_2(used), queues == 1);
	stop = true;
	(void)!k_bell_ring(FAKE_SERVER_BELL, 1);
	fake_join();
	blk_close(b);
}

TEST(blk_many_threads_read_what_they_wrote)
{
	with_queues(many_threads_read_what_they_wrote);
}

/* Takes @arg pieces, then no more. */
static bool copy_so_many(void *arg, void *data, size_t n)
{
	int *left = arg;

	return (*left)-- > 0;
}

TEST(blk_copies_that_fail_end_the_transfer)
{
	struct blk *b = open_with(1 << 30);
	enum { PIECES = 6 };

	REQUIRE(b);
	/* More often than there are requests: none is lost, and none is left untold. */
	for (int i = 0; i < 100; i++) {
		int left = i % PIECES;

		CHECK_EQ(blk_transfer(b, i % 2 ? BLK_WRITE : BLK_READ, 0, PIECES * BLK_REQUEST_MAX, copy_so_many,
				      &left), K_ERR_BAD_ADDRESS);
	}
	run_workers(b);
	CHECK_EQ(wrong, 0);
	CHECK_EQ(failed, 0);
	stop = true;
	(void)!k_bell_ring(FAKE_SERVER_BELL, 1);
	fake_join();
	blk_close(b);
}

static void death_ends_every_wait(void)
{
	for (int requests = 0; requests < 300; requests += 37) {
		struct blk *b = open_with(requests);

		REQUIRE(b);
		run_workers(b);
		CHECK_EQ(wrong, 0);
		CHECK_EQ(failed, WORKERS);
		CHECK(blk_is_dead(b));
		CHECK_EQ(blk_read(b, 0, disk, 512), K_ERR_IO);
		fake_join();
		blk_close(b);
	}
}

TEST(blk_death_ends_every_wait)
{
	with_queues(death_ends_every_wait);
}

static void goes_on_when_its_server_lies_and_is_replaced(void)
{
	struct blk *b = open_server(liar);

	REQUIRE(b);
	run_workers(b);
	CHECK_EQ(wrong, 0);
	CHECK_EQ(failed, 0);
	CHECK_EQ(ok, WORKERS * ROUNDS);
	CHECK(atomic_load(&fake_header()->epoch) > 8);
	stop = true;
	(void)!k_bell_ring(FAKE_SERVER_BELL, 1);
	fake_join();
	blk_close(b);
}

TEST(blk_goes_on_when_its_server_lies_and_is_replaced)
{
	with_queues(goes_on_when_its_server_lies_and_is_replaced);
}

TEST(blk_request_that_is_never_answered_right_fails)
{
	struct blk *b = open_server(mute);
	uint8_t buf[512];

	REQUIRE(b);
	CHECK_EQ(blk_read(b, 0, buf, 512), K_ERR_IO);
	CHECK_EQ(atomic_load(&fake_header()->epoch), 2);
	fake_join();
	blk_close(b);
}

static bool is_all(const uint8_t *buf, size_t n, uint8_t value)
{
	for (size_t i = 0; i < n; i++)
		if (buf[i] != value)
			return false;
	return true;
}

TEST(blk_read_that_comes_half_is_never_taken_as_whole)
{
	static uint8_t buf[8192];

	for (intptr_t times = 1; times <= 3; times++) {
		struct blk *b;

		memset(disk, 0x33, sizeof(buf));
		memset(buf, 0xaa, sizeof(buf));
		serve_until = 1 << 30;
		b = open_server_with(halving, (void *)times);
		REQUIRE(b);
		CHECK_EQ(blk_read(b, 0, buf, sizeof(buf)), times < 3 ? K_OK : K_ERR_IO);
		/* Of three attempts that came half nothing is handed out. */
		CHECK(is_all(buf, sizeof(buf), times < 3 ? 0x33 : 0xaa));
		stop = true;
		(void)!k_bell_ring(FAKE_SERVER_BELL, 1);
		fake_join();
		blk_close(b);
	}
}

TEST(blk_serial_number_has_nothing_of_earlier_requests)
{
	struct blk *b = open_server(short_named);
	char id[21];
	uint8_t buf[512];

	REQUIRE(b);
	CHECK_EQ(blk_read(b, 0, buf, sizeof(buf)), K_OK);
	CHECK_EQ(blk_serial(b, id), K_OK);
	CHECK_EQ(strcmp(id, "XX"), 0);
	fake_join();
	blk_close(b);
}

TEST(blk_checks_arguments)
{
	struct blk *b = open_with(1 << 30);
	struct blk_request *r;
	uint8_t buf[1024];

	REQUIRE(b);
	CHECK_EQ(blk_read(b, SECTORS, buf, 512), K_ERR_BEYOND_END);
	CHECK_EQ(blk_read(b, SECTORS - 1, buf, 1024), K_ERR_BEYOND_END);
	CHECK_EQ(blk_read(b, UINT64_MAX, buf, 512), K_ERR_BEYOND_END);
	CHECK_EQ(blk_read(b, 0, buf, 100), K_ERR_BAD_ARGUMENT);
	CHECK_EQ(blk_discard(b, 0, 1), K_ERR_NOT_SUPPORTED);
	CHECK_EQ(blk_request_get(b, BLK_READ, 0, BLK_REQUEST_MAX + 512, true, &r), K_ERR_BAD_ARGUMENT);
	stop = true;
	(void)!k_bell_ring(FAKE_SERVER_BELL, 1);
	fake_join();
	blk_close(b);
}

/*
 * Random bytes from the server into the control memory while requests run.  (That it races
 * with everybody is what it is for.)
 */
__attribute__((no_sanitize("thread"))) static void *vandal(void *arg)
{
	uint64_t seed = 3;

	config();
	for (int i = 0; i < 3000 && !stop; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		fake.control[(seed >> 20) % fake.layout.length] = (uint8_t)(seed >> 50);
		if (i % 8 == 0)
			(void)!k_bell_ring(FAKE_CLIENT_BELL, 1);
	}
	fake_die();
	return NULL;
}

static void survives_a_vandal(void)
{
	for (int round = 0; round < 20; round++) {
		struct blk *b = NULL;
		struct link *l;

		ok = failed = wrong = 0;
		stop = false;
		fake_start(LINK_CLASS_BLOCK, queues, 32, 512 * 1024);
		l = fake_open();
		REQUIRE(l);
		fake_thread(vandal, NULL);
		if (blk_open(l, UINT64_MAX, &b) == K_OK) {
			run_workers(b);
			stop = true;
			fake_join();
			blk_close(b);
		} else {
			fake_join();
			link_close(l);
		}
	}
}

TEST(blk_survives_a_vandal)
{
	with_queues(survives_a_vandal);
}
