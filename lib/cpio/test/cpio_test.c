/* SPDX-License-Identifier: MIT */
#include <stdint.h>

#include "cpio/cpio.h"
#include "unit/unit.h"

static uint8_t archive[4096];
static size_t used;

static void add(const char *name, uint32_t mode, const char *data, uint32_t ino)
{
	size_t n = strlen(name) + 1, size = strlen(data);

	used += (size_t)sprintf((char *)archive + used, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x"
				"%08x%08x%08zx%08x", ino, mode, 10u, 20u, 1u, 0x5f000000u, size, 8u,
				1u, 4u, 64u, n, 0u);
	memcpy(archive + used, name, n);
	used = (used + n + 3) & ~3ul;
	memcpy(archive + used, data, size);
	used = (used + size + 3) & ~3ul;
}

static void make(void)
{
	memset(archive, 0, sizeof(archive));
	used = 0;
	add("./init", 0100755, "#!/bin/sh\n", 1);
	add("dev/console", 020600, "", 2);
	add("TRAILER!!!", 0, "", 0);
}

TEST(cpio_reads_entries_and_concatenations)
{
	struct cpio_reader r;
	struct cpio_entry e;

	make();
	used += 500 - used % 4;
	used -= used % 4;
	add("second", 0100644, "2", 3);
	cpio_open(&r, archive, used);
	REQUIRE(cpio_next(&r, &e) == CPIO_ENTRY);
	CHECK_STR(e.name, "./init");
	CHECK_EQ(e.mode, 0100755);
	CHECK_EQ(e.size, 10);
	CHECK(memcmp(e.data, "#!/bin/sh\n", 10) == 0);
	CHECK_EQ(e.uid, 10);
	CHECK_EQ(e.rdev_major, 4);
	CHECK_EQ(e.rdev_minor, 64);
	REQUIRE(cpio_next(&r, &e) == CPIO_ENTRY);
	CHECK_STR(e.name, "dev/console");
	REQUIRE(cpio_next(&r, &e) == CPIO_ENTRY);
	CHECK_STR(e.name, "second");
	CHECK_EQ(cpio_next(&r, &e), CPIO_END);
	CHECK(cpio_find(archive, used, "init", &e));
	CHECK(cpio_find(archive, used, "/dev/console", &e));
	CHECK(!cpio_find(archive, used, "nothing", &e));
}

TEST(cpio_stops_at_what_is_no_archive)
{
	struct cpio_reader r;
	struct cpio_entry e;

	make();
	memcpy(archive + used, "\037\213", 2);
	cpio_open(&r, archive, used + 100);
	CHECK_EQ(cpio_next(&r, &e), CPIO_ENTRY);
	CHECK_EQ(cpio_next(&r, &e), CPIO_ENTRY);
	CHECK_EQ(cpio_next(&r, &e), CPIO_INVALID);
	CHECK_EQ(r.offset, used);
}

TEST(cpio_survives_truncation_and_damage)
{
	struct cpio_reader r;
	struct cpio_entry e;

	make();
	for (size_t n = 0; n <= used; n++) {
		uint8_t *copy = malloc(n ? n : 1);

		memcpy(copy, archive, n);
		cpio_open(&r, copy, n);
		while (cpio_next(&r, &e) == CPIO_ENTRY)
			;
		free(copy);
	}
	for (int round = 0; round < 100000; round++) {
		unsigned sum = 0;

		make();
		for (uint64_t k = 1 + unit_random() % 4; k; k--)
			archive[unit_random() % used] = "0123456789abcdefF\0z"[unit_random() % 19];
		cpio_open(&r, archive, used);
		while (cpio_next(&r, &e) == CPIO_ENTRY)
			for (size_t i = 0; i < e.size; i++)
				sum += e.data[i];
		CHECK(sum < 1u << 30);
	}
}
