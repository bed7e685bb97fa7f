/* SPDX-License-Identifier: MIT */
/*
 * Many threads that talk with one server, which answers what it was told, late and in disorder;
 * some do not wait for their answers.  And one that dies, and one that writes nonsense.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/byteorder.h"
#include "base/util.h"
#include "fake.h"
#include "link/p9.h"
#include "unit/unit.h"

enum { TALKERS = 8, TURNS = 300, LONGEST = 20000, DATA = 2 << 20 };

static _Atomic(bool) stop;
static _Atomic(int) serve_until;	/* requests; then the server dies */
static _Atomic(int) answered, failed, wrong;

static void config(uint16_t length, const char *tag)
{
	uint8_t c[64] = { 0 };

	put_le16(c, length);
	memcpy(c + 2, tag, strlen(tag));
	fake_ready(BIT(0), c, 2 + strlen(tag));
}

static void serve_one(const struct vq_chain *c)
{
	uint32_t n = MIN(c->segments[0].len, c->segments[1].len);

	memcpy(fake_pointer(c->segments[1].addr, n), fake_pointer(c->segments[0].addr, n), n);
	vq_device_answer(&fake.queue[0], c->head, n);
}

static void *server(void *arg)
{
	static struct vq_segment segments[4][LINK_QUEUE_SIZE_MAX];
	struct vq_chain held[4];
	uint64_t seed = 7;

	usleep(2000);
	config(5, "share");
	while (!stop) {
		int n;

		fake_server_wait();
		do {
			for (n = 0; n < 4; n++) {
				held[n].segments = segments[n];
				if (!vq_device_take(&fake.queue[0], &held[n]))
					break;
			}
			for (int left = n; left; left--) {
				int i = (int)((seed = seed * 6364136223846793005u + 1) >> 33) % left;
				struct vq_chain last = held[left - 1];

				if (serve_until-- <= 0) {
					fake_die();
					return NULL;
				}
				serve_one(&held[i]);
				held[i] = last;
			}
			fake_publish(0);
		} while (n);
	}
	return NULL;
}

/* Say something, and hear it; or do not listen. */
static void turn(struct p9link *p, uint32_t n, uint8_t byte, bool listen)
{
	struct p9link_request *r;

	if (p9link_get(p, n, n, P9LINK_WAIT, &r) != K_OK) {
		wrong++;
		return;
	}
	memset(r->t, byte, n);
	memset(r->r, ~byte, n);
	put_le16(r->t, r->tag);
	p9link_start(p, r, n);
	if (listen) {
		if (p9link_wait(p, r, false) != K_OK)
			wrong++;
		if (r->answer_len && (r->answer_len != n || r->r[n - 1] != byte ||
				      get_le16(r->r) != r->tag))
			wrong++;
		r->answer_len ? answered++ : failed++;
	}
	p9link_put(p, r);
}

static void *talker(void *arg)
{
	struct p9link *p = ((void **)arg)[0];
	uint64_t seed = (uintptr_t)((void **)arg)[1] + 1;

	for (int i = 0; i < TURNS; i++) {
		seed = seed * 6364136223846793005u + 1;
		turn(p, 3 + (uint32_t)(seed >> 33) % LONGEST, (uint8_t)(seed >> 40), seed >> 61);
	}
	return NULL;
}

static void talk(struct p9link *p)
{
	static void *args[TALKERS][2];
	pthread_t t[TALKERS];

	for (int i = 0; i < TALKERS; i++) {
		args[i][0] = p;
		args[i][1] = (void *)(uintptr_t)i;
		pthread_create(&t[i], NULL, talker, args[i]);
	}
	for (int i = 0; i < TALKERS; i++)
		pthread_join(t[i], NULL);
}

static struct p9link *open_with(void *(*serve)(void *), int requests)
{
	struct p9link *p = NULL;
	struct link *l;

	answered = failed = wrong = 0;
	stop = false;
	serve_until = requests;
	fake_start(LINK_CLASS_9P, 1, 64, DATA);
	l = fake_open();
	fake_thread(serve, NULL);
	return l && p9link_open(l, UINT64_MAX, &p) == K_OK ? p : NULL;
}

static void end(struct p9link *p)
{
	stop = true;
	(void)!k_bell_ring(FAKE_SERVER_BELL, 1);
	fake_join();
	if (p)
		p9link_close(p);
}

/* Whatever was given up has come back: everything can be had at once. */
static void all_is_there(struct p9link *p)
{
	struct p9link_request *r[P9LINK_REQUESTS_MAX + 1];
	unsigned int n = 0;

	turn(p, 8, 1, true);		/* the last of them are done before this is */
	while (n <= P9LINK_REQUESTS_MAX && p9link_get(p, 8, 8, P9LINK_NO_WAIT, &r[n]) == K_OK)
		n++;
	CHECK_EQ(n, P9LINK_REQUESTS_MAX);
	while (n--)
		p9link_put(p, r[n]);
}

TEST(p9link_gives_everybody_their_answer)
{
	struct p9link *p = open_with(server, INT32_MAX);

	REQUIRE(p);
	CHECK_STR(p9link_tag(p), "share");
	talk(p);
	CHECK_EQ(wrong, 0);
	CHECK_EQ(failed, 0);
	CHECK(answered > TALKERS * TURNS / 2);
	usleep(1000);
	all_is_there(p);
	end(p);
}

TEST(p9link_fails_what_a_dead_server_leaves)
{
	struct p9link *p = open_with(server, 500);

	REQUIRE(p);
	talk(p);
	CHECK_EQ(wrong, 0);
	CHECK(failed && answered);
	CHECK(p9link_is_dead(p));
	end(p);
}

static void *nameless(void *arg)
{
	config((uint16_t)(uintptr_t)arg, "x");
	return NULL;
}

TEST(p9link_takes_no_server_without_a_name)
{
	static const uint16_t lengths[] = { 0, 2, 300, UINT16_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct p9link *p = NULL;
		struct link *l;

		fake_start(LINK_CLASS_9P, 1, 64, DATA);
		l = fake_open();
		REQUIRE(l);
		fake_thread(nameless, (void *)(uintptr_t)lengths[i]);
		CHECK_EQ(p9link_open(l, UINT64_MAX, &p), K_ERR_NOT_SUPPORTED);
		fake_join();
	}
}

/* Random bytes in the control memory while requests run: that it races is what it is for. */
__attribute__((no_sanitize("thread"))) static void *vandal(void *arg)
{
	uint64_t seed = 3;

	config(5, "share");
	for (int i = 0; i < 3000 && !stop; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		fake.control[(seed >> 20) % fake.layout.length] = (uint8_t)(seed >> 50);
		if (i % 8 == 0)
			(void)!k_bell_ring(FAKE_CLIENT_BELL, 1);
	}
	fake_die();
	return NULL;
}

TEST(p9link_survives_a_vandal)
{
	for (int round = 0; round < 10; round++) {
		struct p9link *p = open_with(vandal, 0);

		if (p)			/* its name may have been overwritten before we read it */
			talk(p);
		end(p);
	}
}
