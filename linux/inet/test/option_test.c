/* SPDX-License-Identifier: MIT */
#include "inet/tcp/option.h"
#include "unit/unit.h"

static const struct tcp_options none = { .wscale = -1 };

static bool same(const struct tcp_options *a, const struct tcp_options *b)
{
	if (a->mss != b->mss || a->wscale != b->wscale || a->sack_permitted != b->sack_permitted ||
	    a->stamps != b->stamps || a->nr_sacks != b->nr_sacks)
		return false;
	if (a->stamps && (a->stamp != b->stamp || a->stamp_echo != b->stamp_echo))
		return false;
	return !memcmp(a->sack, b->sack, a->nr_sacks * sizeof(a->sack[0]));
}

static void builds(bool syn, const struct tcp_options *o, const char *hex)
{
	uint8_t p[TCP_OPTIONS_MAX];
	char got[2 * TCP_OPTIONS_MAX + 1] = "";
	unsigned int n = tcp_options_build(p, syn, o);
	struct tcp_options back;

	for (unsigned int i = 0; i < n; i++)
		sprintf(got + 2 * i, "%02x", p[i]);
	CHECK_STR(got, hex);
	CHECK_EQ(tcp_options_size(syn, o), n);
	tcp_options_parse(p, n, syn, &back);
	CHECK(same(o, &back));
}

/* Captured from Linux, with the sysctls that leave one or the other out. */
TEST(a_syn_has_the_bytes_of_one_of_linux)
{
	struct tcp_options o = { .mss = 1460, .wscale = 10, .sack_permitted = true, .stamps = true,
				 .stamp = 0x8cf0c680 };

	builds(true, &o, "020405b4" "0402" "080a8cf0c68000000000" "0103030a");
	o.sack_permitted = false;
	builds(true, &o, "020405b4" "0101" "080a8cf0c68000000000" "0103030a");
	o.stamps = false;
	builds(true, &o, "020405b4" "0103030a");
	o.sack_permitted = true;
	builds(true, &o, "020405b4" "01010402" "0103030a");
	o.wscale = -1;
	builds(true, &o, "020405b4" "01010402");
	builds(true, &none, "");
}

TEST(acknowledgements_have_as_many_blocks_as_fit)
{
	struct tcp_options o = { .wscale = -1, .nr_sacks = 1, .sack = { { 1, 2 }, { 3, 4 }, { 5, 6 },
				 { 7, 0xfffffff8 } } };
	uint8_t p[TCP_OPTIONS_MAX];
	struct tcp_options back;

	builds(false, &o, "0101050a" "0000000100000002");
	o.nr_sacks = 4;
	builds(false, &o, "01010522" "0000000100000002" "0000000300000004" "0000000500000006"
			  "00000007fffffff8");
	o.stamps = true;
	o.stamp = 0x01020304;
	o.stamp_echo = 5;
	CHECK_EQ(tcp_options_build(p, false, &o), TCP_OPTIONS_MAX);
	tcp_options_parse(p, TCP_OPTIONS_MAX, false, &back);
	CHECK_EQ(back.nr_sacks, 3);
	CHECK_EQ(back.sack[2].to, 6);
	CHECK_EQ(back.stamp, 0x01020304);
	o.nr_sacks = 0;
	builds(false, &o, "0101080a" "0102030400000005");
}

static struct tcp_options parsed(bool syn, const char *hex)
{
	struct tcp_options o;
	size_t n = strlen(hex) / 2;
	uint8_t *p = malloc(n + 1);		/* so that the sanitizer sees reads behind it */
	unsigned int byte;

	p = realloc(p, n ? n : 1);
	for (size_t i = 0; i < n; i++) {
		sscanf(hex + 2 * i, "%2x", &byte);
		p[i] = (uint8_t)byte;
	}
	tcp_options_parse(p, (unsigned int)n, syn, &o);
	free(p);
	return o;
}

TEST(what_only_a_syn_may_say_counts_there_only)
{
	struct tcp_options o = parsed(false, "020405b4" "0402" "0303" "0a" "00");

	CHECK(same(&o, &none));
	o = parsed(true, "050a" "0000000100000002");
	CHECK(same(&o, &none));
}

TEST(odd_options_are_passed_over)
{
	struct tcp_options o = parsed(true, "fe040102" "1e02" "02040218");

	CHECK_EQ(o.mss, 0x218);
	o = parsed(true, "03041e02" "02040218");
	CHECK(o.wscale < 0);
	CHECK_EQ(o.mss, 0x218);
	o = parsed(true, "020305" "02040218");		/* a wrong length */
	CHECK_EQ(o.mss, 0x218);
	o = parsed(true, "02040000");			/* no bytes at all: as if it were not there */
	CHECK_EQ(o.mss, 0);
	o = parsed(true, "02040218" "02040000");
	CHECK_EQ(o.mss, 0x218);
	o = parsed(true, "02040218" "02040300");
	CHECK_EQ(o.mss, 0x300);
	o = parsed(true, "0403ff");
	CHECK(!o.sack_permitted);
	o = parsed(true, "0303ff");
	CHECK_EQ(o.wscale, TCP_WSCALE_MAX);
	o = parsed(false, "050b" "000000010000000203");
	CHECK_EQ(o.nr_sacks, 0);
	o = parsed(false, "050a" "0000000100000002" "0502");
	CHECK_EQ(o.nr_sacks, 1);
	o = parsed(false, "0502" "080a" "0000000100000002");
	CHECK(o.stamps && o.stamp == 1 && o.stamp_echo == 2 && !o.nr_sacks);
}

TEST(what_follows_an_option_that_does_not_fit_is_not_looked_at)
{
	static const char *const cases[] = { "", "00020402a1", "02", "0200", "0201", "0205021803",
					     "080a00000001000000", "fe", "feff", "0101010102" };

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tcp_options o = parsed(true, cases[i]);

		CHECK(same(&o, &none));
	}
}

TEST(any_bytes_may_come)
{
	for (unsigned int i = 0; i < 200000; i++) {
		unsigned int len = (unsigned int)(unit_random() % (TCP_OPTIONS_MAX + 1));
		uint8_t *p = malloc(len ? len : 1), out[TCP_OPTIONS_MAX];
		struct tcp_options o, back;
		bool syn = unit_random() & 1;

		for (unsigned int j = 0; j < len; j++)
			p[j] = (uint8_t)(unit_random() & 1 ? unit_random() % 11 : unit_random());
		tcp_options_parse(p, len, syn, &o);
		free(p);
		CHECK(o.nr_sacks <= TCP_SACK_MAX && o.wscale <= (int)TCP_WSCALE_MAX);
		len = tcp_options_build(out, syn, &o);
		CHECK(len <= TCP_OPTIONS_MAX && len % 4 == 0);
		CHECK_EQ(len, tcp_options_size(syn, &o));
		tcp_options_parse(out, len, syn, &back);
		CHECK(o.stamps && o.nr_sacks > 3 ? back.nr_sacks == 3 : same(&o, &back));
	}
}
