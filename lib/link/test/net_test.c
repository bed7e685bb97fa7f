/* SPDX-License-Identifier: MIT */
/*
 * A network card whose server sends back what it is sent, whole or in pieces; headers there and
 * back; full rings; servers that say what cannot be, die, and are followed by others.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/byteorder.h"
#include "base/util.h"
#include "fake.h"
#include "link/net.h"
#include "unit/unit.h"

enum { RX, TX };
enum { QUEUE_SIZE = 64, DATA = 512 << 10, LONG = 12, LONGEST = 18 + 65535 };
enum { F_CSUM = 1 << 0, F_GUEST_CSUM = 1 << 1, F_MTU = 1 << 3, F_MAC = 1 << 5, F_GUEST_TSO4 = 1 << 7,
       F_GUEST_TSO6 = 1 << 8, F_HOST_TSO4 = 1 << 11, F_HOST_TSO6 = 1 << 12, F_MRG_RXBUF = 1 << 15,
       F_STATUS = 1 << 16 };
#define F_VERSION_1 BIT(32)
#define ALL (F_CSUM | F_GUEST_CSUM | F_MAC | F_GUEST_TSO4 | F_GUEST_TSO6 | F_HOST_TSO4 | \
	     F_HOST_TSO6 | F_MRG_RXBUF | F_STATUS | F_VERSION_1)

static uint64_t features;
static uint32_t spread;				/* bytes of a buffer that the server uses */
static _Atomic(bool) stop, hold;		/* hold: frames are not taken */
static _Atomic(uint32_t) events, writables, received, refused, errors;
static _Atomic(bool) no_room;

/* -- what the card gives us ----------------------------------------------------------------------- */

struct got {
	uint8_t *bytes;
	size_t length;
	struct net_offload offload;
	_Atomic(bool) done;
};
static struct got got[4096];
static uint32_t taken;				/* of got: the card's thread */

static unsigned int room(void *user, const struct net_offload *o, size_t length,
			 struct net_piece *pieces, void **frame)
{
	size_t at = 0;
	unsigned int n = 0;

	if (no_room || taken == ARRAY_SIZE(got)) {
		refused++;
		return 0;
	}
	got[taken].bytes = malloc(length);
	got[taken].length = length;
	got[taken].offload = *o;
	*frame = &got[taken++];
	while (at < length) {
		size_t part = n + 1 == NET_PIECES ? length - at : MIN(length - at, (size_t)(1 + n * 999));

		pieces[n++] = (struct net_piece){ ((struct got *)*frame)->bytes + at, part };
		at += part;
	}
	return n;
}

static void done(void *user, void *frame, size_t length, const struct net_offload *o)
{
	((struct got *)frame)->done = true;
	received++;
}

static void spoiled(void *user)
{
	errors++;
}

static void writable(void *user)
{
	writables++;
}

static void event(void *user, uint32_t e)
{
	events |= e;
}

static const struct net_ops ops = { .room = room, .received = done, .spoiled = spoiled,
				    .writable = writable, .event = event };

static bool wait_until(_Atomic(uint32_t) *v, uint32_t least)
{
	for (int i = 0; i < 10000 && *v < least; i++)
		usleep(1000);
	return *v >= least;
}

static bool wait_for(uint32_t bits)
{
	for (int i = 0; i < 10000 && (events & bits) != bits; i++)
		usleep(1000);
	return (events & bits) == bits;
}

/* -- servers ------------------------------------------------------------------------------------------ */

static uint32_t header_length(void)
{
	return features & (F_VERSION_1 | F_MRG_RXBUF) ? LONG : 10;
}

/* Put @n bytes into the next receive buffer; false: there is none. */
static bool fill(const void *p, uint32_t n)
{
	struct vq_segment segments[QUEUE_SIZE];
	struct vq_chain c = { .segments = segments };

	if (!vq_device_take(&fake.queue[RX], &c))
		return false;
	memcpy(fake_pointer(segments[0].addr, n), p, n);
	vq_device_answer(&fake.queue[RX], c.head, n);
	return true;
}

/* The same, when there is one. */
static void fill_soon(const void *p, uint32_t n)
{
	while (!stop && !fill(p, n))
		fake_server_wait();
}

/* A frame with its header, in as many buffers as it needs. */
static void deliver(uint8_t *frame, uint32_t n)
{
	uint32_t pieces = DIV_ROUND_UP(n, spread);

	if (header_length() == LONG)
		put_le16(frame + 10, (uint16_t)pieces);
	for (uint32_t at = 0; at < n; at += spread) {
		fill_soon(frame + at, MIN(spread, n - at));
		if (pieces > QUEUE_SIZE / 2 || at % 7 == 0)
			fake_publish(RX);	/* a frame may come in bits */
	}
	fake_publish(RX);
}

/* Send one frame back; false: there is none. */
static bool echo(void)
{
	static uint8_t frame[LONG + LONGEST];
	struct vq_segment segments[QUEUE_SIZE];
	struct vq_chain c = { .segments = segments };
	uint32_t n = 0;

	if (hold || !vq_device_take(&fake.queue[TX], &c))
		return false;
	for (uint16_t i = 0; i < c.count; i++) {
		if (segments[i].device_writes)
			abort();
		memcpy(frame + n, fake_pointer(segments[i].addr, segments[i].len), segments[i].len);
		n += segments[i].len;
	}
	vq_device_answer(&fake.queue[TX], c.head, 0);
	fake_publish(TX);
	deliver(frame, n);
	return true;
}

static const uint8_t config[12] = { 2, 0, 0, 0, 0, 7, 1, 0, 0, 0, 0x40, 0x1f };	/* up, MTU 8000 */

static void *server(void *arg)
{
	usleep(2000);
	fake_ready(features, config, sizeof(config));
	while (!stop) {
		fake_server_wait();
		while (echo())
			;
	}
	return NULL;
}

static struct net *start(void *(*serve)(void *), uint64_t offered)
{
	struct net *n = NULL;
	struct link *l;

	for (uint32_t i = 0; i < taken; i++)
		free(got[i].bytes);
	memset(got, 0, sizeof(got));
	taken = 0;
	events = writables = received = refused = errors = 0;
	stop = hold = no_room = false;
	features = offered;
	spread = 2048;
	fake_start(LINK_CLASS_NET, 2, QUEUE_SIZE, DATA);
	l = fake_open();
	fake_thread(serve, NULL);
	return l && net_open(l, &ops, NULL, UINT64_MAX, &n) == K_OK ? n : NULL;
}

static void end(void)
{
	stop = true;
	(void)!k_bell_ring(FAKE_SERVER_BELL, 1);
	fake_die();
	CHECK(wait_for(NET_DEAD));
	fake_join();
}

/* -- frames --------------------------------------------------------------------------------------------- */

/* The @i-th frame: @n bytes that only it has. */
static void make_frame(uint8_t *p, size_t n, uint32_t i)
{
	uint64_t x = i * 2654435761u + 1;

	for (size_t k = 0; k < n; k++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		p[k] = (uint8_t)(x >> 56);
	}
}

static size_t length_of(uint32_t i)
{
	static const size_t some[] = { 14, 60, 2047, 2048, 2049, 1514, 4096, LONGEST };

	return some[i % ARRAY_SIZE(some)];
}

/* In pieces of odd lengths. */
static k_status_t send(struct net *n, uint8_t *p, size_t length, const struct net_offload *o, bool more)
{
	struct net_piece pieces[3] = { { p, MIN(length, (size_t)14) }, { p, 0 }, { p, 0 } };

	pieces[1] = (struct net_piece){ p + 14, (length - 14) / 3 };
	pieces[2] = (struct net_piece){ p + 14 + pieces[1].length, length - 14 - pieces[1].length };
	return net_send(n, pieces, 3, o, more);
}

static void send_from(struct net *n, uint32_t first, uint32_t frames, size_t most)
{
	static uint8_t p[LONGEST];

	for (uint32_t i = first; i < frames; i++) {
		size_t length = MIN(length_of(i), most);
		k_status_t st;

		make_frame(p, length, i);
		for (;;) {
			uint32_t before = writables;

			st = send(n, p, length, NULL, i % 3 == 0 && i + 1 < frames);
			if (st != K_ERR_SHOULD_WAIT)
				break;
			REQUIRE(wait_until(&writables, before + 1));
		}
		REQUIRE(st == K_OK);
	}
}

static void send_all(struct net *n, uint32_t frames, size_t most)
{
	send_from(n, 0, frames, most);
}

static void check_all(uint32_t frames, size_t most)
{
	static uint8_t p[LONGEST];

	CHECK(wait_until(&received, frames));
	CHECK_EQ(received, frames);
	for (uint32_t i = 0; i < frames; i++) {
		size_t length = MIN(length_of(i), most);

		make_frame(p, length, i);
		CHECK_EQ(got[i].length, length);
		CHECK(got[i].done && memcmp(got[i].bytes, p, length) == 0);
	}
}

TEST(net_says_what_the_card_is)
{
	struct net *n = start(server, ALL);

	REQUIRE(n);
	CHECK_STR(net_name(n), "fake.0");
	CHECK(net_info(n)->has_address && net_info(n)->address[5] == 7);
	CHECK_EQ(net_info(n)->mtu, 1500);
	CHECK_EQ(net_info(n)->mtu_max, 65535);
	CHECK_EQ(net_info(n)->can, NET_CAN_CHECKSUM | NET_CAN_TSO4 | NET_CAN_TSO6 |
				      NET_CAN_VERIFY | NET_CAN_MERGE);
	CHECK(net_is_up(n));
	end();
	CHECK(net_is_dead(n) && !net_is_up(n));
	n = start(server, ALL | F_MTU);
	REQUIRE(n);
	CHECK_EQ(net_info(n)->mtu, 8000);
	CHECK_EQ(net_info(n)->mtu_max, 8000);
	end();
	n = start(server, 0);
	REQUIRE(n);
	CHECK(!net_info(n)->has_address && net_is_up(n));
	CHECK_EQ(net_info(n)->can, 0);
	CHECK_EQ(net_info(n)->mtu_max, 4096 - 10 - 18);
	end();
}

TEST(net_moves_frames_of_all_lengths_in_order)
{
	static const struct {
		uint64_t features;
		uint32_t spread;
		size_t most;
	} ways[] = {
		{ ALL, 4096, LONGEST }, { ALL, 1600, LONGEST }, { F_VERSION_1, 4096, 4000 },
		{ 0, 4096, 4000 }, { F_MRG_RXBUF, 200, 4000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct net *n = start(server, ways[i].features);

		REQUIRE(n);
		spread = ways[i].spread;
		send_all(n, 400, ways[i].most);
		check_all(400, ways[i].most);
		CHECK_EQ(errors, 0);
		end();
	}
}

TEST(net_tells_of_room_in_a_full_ring)
{
	static uint8_t p[LONGEST];
	struct net *n = start(server, ALL);
	uint32_t sent = 0, before;

	REQUIRE(n);
	hold = true;
	make_frame(p, sizeof(p), 0);
	while (send(n, p, sizeof(p), NULL, false) == K_OK)
		sent++;
	CHECK(sent >= 1 && sent < QUEUE_SIZE);
	CHECK_EQ(send(n, p, sizeof(p), NULL, false), K_ERR_SHOULD_WAIT);
	CHECK(!net_has_room(n));
	before = writables;
	hold = false;
	(void)!k_bell_ring(FAKE_SERVER_BELL, 1);
	CHECK(wait_until(&writables, before + 1));
	CHECK(net_has_room(n));
	CHECK_EQ(send(n, p, sizeof(p), NULL, false), K_OK);
	CHECK(wait_until(&received, sent + 1));
	/* All comes back, however often it went. */
	for (int i = 0; i < 2000; i++)
		while (send(n, p, 14 + (size_t)i, NULL, false) == K_ERR_SHOULD_WAIT)
			usleep(100);
	CHECK(wait_until(&received, sent + 2001));
	/* A card that dies with a full ring keeps nobody waiting. */
	hold = true;
	while (send(n, p, sizeof(p), NULL, false) == K_OK)
		;
	CHECK(!net_has_room(n));
	end();
	CHECK_EQ(send(n, p, 60, NULL, false), K_ERR_CLOSED);
	CHECK(net_has_room(n));
}

/* Frames that fill it up, each of which said that another one follows. */
TEST(net_tells_the_driver_of_a_full_ring)
{
	static uint8_t p[LONGEST];
	struct net *n = start(server, ALL);
	uint32_t sent = 0, before = writables;

	REQUIRE(n);
	make_frame(p, sizeof(p), 0);
	do {
		REQUIRE(send(n, p, sizeof(p), NULL, true) == K_OK);
		sent++;
	} while (net_has_room(n));
	CHECK(wait_until(&writables, before + 1));
	CHECK(wait_until(&received, sent));
	end();
}

TEST(net_passes_wishes_on)
{
	struct net *n = start(server, ALL);
	static uint8_t p[30000];
	struct net_offload csum = { .needs_checksum = true, .csum_start = 34, .csum_offset = 16 };
	struct net_offload tso = csum;

	REQUIRE(n);
	tso.gso = NET_GSO_TCPV6;
	tso.gso_size = 1448;
	tso.header_length = 74;
	CHECK_EQ(send(n, p, 100, &csum, false), K_OK);
	CHECK_EQ(send(n, p, sizeof(p), &tso, false), K_OK);
	CHECK_EQ(send(n, p, 100, NULL, false), K_OK);
	REQUIRE(wait_until(&received, 3));
	CHECK(got[0].offload.needs_checksum && got[0].offload.is_verified);
	CHECK_EQ(got[0].offload.csum_start, 34);
	CHECK_EQ(got[0].offload.csum_offset, 16);
	CHECK_EQ(got[0].offload.gso, NET_GSO_NONE);
	CHECK_EQ(got[1].offload.gso, NET_GSO_TCPV6);
	CHECK_EQ(got[1].offload.gso_size, 1448);
	CHECK(!got[2].offload.needs_checksum && !got[2].offload.is_verified);
	end();
}

TEST(net_refuses_wishes_that_do_not_fit)
{
	static uint8_t p[LONGEST + 2];
	struct net *n = start(server, ALL & ~(uint64_t)F_HOST_TSO6);
	struct net_piece endless = { p, SIZE_MAX };
	const struct net_offload wrong[] = {
		{ .needs_checksum = true, .csum_start = 90, .csum_offset = 9 },
		{ .needs_checksum = true, .csum_start = UINT16_MAX, .csum_offset = UINT16_MAX },
		{ .gso = NET_GSO_TCPV4, .gso_size = 1448 },
		{ .needs_checksum = true, .gso = NET_GSO_TCPV4 },
		{ .needs_checksum = true, .gso = NET_GSO_TCPV4, .gso_size = 1, .header_length = 101 },
		{ .needs_checksum = true, .gso = NET_GSO_TCPV6, .gso_size = 1448 },
		{ .needs_checksum = true, .gso = 77, .gso_size = 1448 },
	};

	REQUIRE(n);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		CHECK_EQ(send(n, p, 100, &wrong[i], false), K_ERR_BAD_ARGUMENT);
	CHECK_EQ(net_send(n, &(struct net_piece){ p, 13 }, 1, NULL, false), K_ERR_BAD_ARGUMENT);
	CHECK_EQ(net_send(n, NULL, 0, NULL, false), K_ERR_BAD_ARGUMENT);
	CHECK_EQ(net_send(n, &endless, 1, NULL, false), K_ERR_BAD_ARGUMENT);
	CHECK_EQ(send(n, p, LONGEST + 1, NULL, false), K_ERR_BAD_ARGUMENT);
	/* What was to be told of later is told of although the next one is refused. */
	CHECK_EQ(send(n, p, 100, NULL, true), K_OK);
	CHECK_EQ(send(n, p, 13 + 1, &wrong[0], false), K_ERR_BAD_ARGUMENT);
	CHECK(wait_until(&received, 1));
	end();
}

TEST(net_goes_on_after_frames_without_room)
{
	struct net *n = start(server, ALL);

	REQUIRE(n);
	no_room = true;
	send_all(n, 100, 9000);
	CHECK(wait_until(&refused, 100));
	no_room = false;
	send_all(n, 100, 9000);
	check_all(100, 9000);
	end();
}

TEST(net_tells_of_its_cable)
{
	struct net *n = start(server, ALL);
	struct link_header *h = fake_header();

	REQUIRE(n);
	for (int i = 0; i < 10; i++) {
		events = 0;
		atomic_fetch_add(&h->config_generation, 1);
		h->config[6] = (uint8_t)(i & 1);
		atomic_fetch_add(&h->config_generation, 1);
		(void)!k_bell_ring(FAKE_CLIENT_BELL, LINK_BELL_STATE);
		CHECK(wait_for(i & 1 ? NET_LINK_UP : NET_LINK_DOWN));
		CHECK_EQ(net_is_up(n), i & 1);
	}
	end();
}

/* -- servers that say what cannot be -------------------------------------------------------------------- */

static const uint8_t *nasty;			/* what comes first: a header, and more */
static uint32_t nasty_length;

static void *nasty_server(void *arg)
{
	uint8_t good[LONG + 60] = { [10] = 1 };

	fake_ready(features, config, sizeof(config));
	fill_soon(nasty, nasty_length);
	fake_publish(RX);
	if (features & F_MRG_RXBUF && get_le16(nasty + 10) != 1 && nasty_length)
		fake_renew();
	put_le16(good + LONG + 12, 0x88b5);
	fill_soon(good, sizeof(good));
	fake_publish(RX);
	while (!stop)
		fake_server_wait();
	return NULL;
}

TEST(net_throws_away_what_makes_no_sense)
{
	static const struct {
		uint64_t features;
		uint32_t length, frames, errors;
		uint8_t header[LONG];	/* flags, type, length, size, start, offset, buffers */
	} cases[] = {
		{ ALL, LONG + 60, 2, 0, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 } },
		{ ALL, LONG + 13, 1, 1, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 } },
		{ ALL, LONG, 1, 1, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 } },
		{ ALL, LONG - 1, 1, 1, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 } },
		{ ALL, 0, 1, 0, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 } },
		/* checksums: behind the end, before the packet, not asked for */
		{ ALL, LONG + 60, 1, 1, { 1, 0, 0, 0, 0, 0, 58, 0, 1, 0, 1 } },
		{ ALL, LONG + 60, 2, 0, { 1, 0, 0, 0, 0, 0, 57, 0, 1, 0, 1 } },
		{ ALL, LONG + 60, 1, 1, { 1, 0, 0, 0, 0, 0, 13, 0, 1, 0, 1 } },
		{ ALL, LONG + 60, 1, 1, { 1, 0, 0, 0, 0, 0, 255, 255, 255, 255, 1 } },
		{ F_VERSION_1, LONG + 60, 1, 1, { 1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 1 } },
		/* segments: without a checksum, of no size, unknown, not asked for */
		{ ALL, LONG + 60, 1, 1, { 0, 1, 0, 0, 1, 0, 34, 0, 16, 0, 1 } },
		{ ALL, LONG + 60, 1, 1, { 1, 1, 0, 0, 0, 0, 34, 0, 16, 0, 1 } },
		{ ALL, LONG + 60, 2, 0, { 1, 1, 0, 0, 1, 0, 34, 0, 16, 0, 1 } },
		{ ALL, LONG + 60, 1, 1, { 1, 3, 0, 0, 1, 0, 34, 0, 16, 0, 1 } },
		{ ALL, LONG + 60, 1, 1, { 1, 0x81, 0, 0, 1, 0, 34, 0, 16, 0, 1 } },
		{ ALL & ~(uint64_t)F_GUEST_TSO4, LONG + 60, 1, 1, { 1, 1, 0, 0, 1, 0, 34, 0, 16, 0, 1 } },
		/* how many buffers it has means nothing unless it can have several */
		{ F_VERSION_1, LONG + 60, 2, 0, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9 } },
		/* buffers: none, too many */
		{ ALL, LONG + 60, 1, 0, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 } },
		{ ALL, LONG + 60, 1, 0, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 65 } },
		{ ALL, LONG + 60, 1, 0, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t frame[LONG + 60] = { 0 };
		struct net *n;

		memcpy(frame, cases[i].header, LONG);
		nasty = frame;
		nasty_length = cases[i].length;
		n = start(nasty_server, cases[i].features);
		REQUIRE(n);
		CHECK(wait_until(&received, cases[i].frames));
		CHECK_EQ(received, cases[i].frames);
		CHECK_EQ(errors, cases[i].errors);
		end();
	}
}

/* -- servers that are replaced ------------------------------------------------------------------------- */

static _Atomic(bool) replace, lied;

/* Takes a frame and says so of another, or says that it took more than there are. */
static void *lying_server(void *arg)
{
	fake_ready(features, config, sizeof(config));
	while (!replace)
		usleep(100);
	if (arg)
		vq_device_answer(&fake.queue[TX], QUEUE_SIZE - 1, 0);
	else
		fake.queue[RX].used_idx = (uint16_t)(fake.queue[RX].used_idx + QUEUE_SIZE + 1);
	(void)vq_device_publish(&fake.queue[TX]);
	(void)vq_device_publish(&fake.queue[RX]);
	(void)!k_bell_ring(FAKE_CLIENT_BELL, 3);
	lied = true;
	fake_renew();
	atomic_store((_Atomic(uint32_t) *)&fake_header()->incarnation, 7);
	(void)!k_bell_ring(FAKE_CLIENT_BELL, LINK_BELL_STATE);
	while (!stop) {
		while (echo())
			;
		fake_server_wait();
	}
	return NULL;
}

static void *lies_about_sending(void *arg)
{
	return lying_server(&stop);
}

static void *lies_about_receiving(void *arg)
{
	return lying_server(NULL);
}

TEST(net_gives_all_frames_to_the_next_driver)
{
	void *(*const servers[])(void *) = { lies_about_sending, lies_about_receiving };

	for (size_t i = 0; i < ARRAY_SIZE(servers); i++) {
		struct net *n;

		replace = lied = false;
		n = start(servers[i], ALL);
		REQUIRE(n);
		send_all(n, 15, 2000);
		replace = true;
		while (!lied)
			usleep(100);
		/* Nobody looks at what was sent before the next frame is. */
		send_from(n, 15, 16, 2000);
		check_all(16, 2000);
		CHECK(wait_for(NET_RESTARTED));
		send_all(n, 16, 2000);
		CHECK(wait_until(&received, 32));
		CHECK_EQ(atomic_load(&fake_header()->accusations), 1);
		end();
	}
}

/* Receives a frame, and does not ring for it. */
static void *quiet_server(void *arg)
{
	uint8_t frame[LONG + 60] = { [10] = 1 };

	fake_ready(features, config, sizeof(config));
	usleep(100000);
	fill_soon(frame, sizeof(frame));
	(void)vq_device_publish(&fake.queue[RX]);
	fake_renew();
	fill_soon(frame, sizeof(frame));
	fake_publish(RX);
	while (!stop)
		fake_server_wait();
	return NULL;
}

TEST(net_accuses_a_driver_that_does_not_ring)
{
	struct net *n = start(quiet_server, ALL);

	REQUIRE(n);
	CHECK(wait_until(&received, 1));
	CHECK_EQ(atomic_load(&fake_header()->accusations), 1);
	end();
}

/* Random bytes in the control memory while frames go: that it races is what it is for. */
__attribute__((no_sanitize("thread"))) static void *vandal(void *arg)
{
	uint64_t seed = 3;

	fake_ready(features, config, sizeof(config));
	/* Who has not seen that it is ready waits for that, which it may write over. */
	while (atomic_load(&fake_header()->client_state) != LINK_CLIENT_OPEN)
		usleep(100);
	for (int i = 0; i < 3000 && !stop; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		fake.control[(seed >> 20) % fake.layout.length] = (uint8_t)(seed >> 50);
		if (i % 8 == 0) {
			(void)vq_device_publish(&fake.queue[RX]);
			(void)!k_bell_ring(FAKE_CLIENT_BELL, 3 | (i % 64 ? 0 : LINK_BELL_STATE));
		}
		if (i % 100 == 0)
			usleep(10);
	}
	fake_die();
	return NULL;
}

TEST(net_survives_a_vandal)
{
	static uint8_t p[9000];

	for (int round = 0; round < 10; round++) {
		struct net *n = start(vandal, ALL);

		for (int i = 0; n && i < 300; i++)
			(void)!send(n, p, 14 + (size_t)i * 20, NULL, false);
		if (n)			/* what it says of itself may have been overwritten before we read it */
			end();
		else
			fake_join();
	}
}

TEST(net_wants_links_that_are_large_enough)
{
	static const struct {
		uint32_t queues, size;
		uint64_t data;
	} small[] = { { 1, 64, DATA }, { 2, 32, DATA }, { 2, 64, 128 << 10 }, { 2, 256, DATA } };

	for (size_t i = 0; i < ARRAY_SIZE(small); i++) {
		struct net *n = NULL;
		struct link *l;

		fake_start(LINK_CLASS_NET, small[i].queues, small[i].size, small[i].data);
		fake_ready(ALL, config, sizeof(config));
		l = fake_open();
		REQUIRE(l);
		CHECK_EQ(net_open(l, &ops, NULL, UINT64_MAX, &n), K_ERR_NOT_SUPPORTED);
		CHECK(!n);
	}
}
