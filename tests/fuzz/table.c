/* SPDX-License-Identifier: MIT */
/*
 * Partition tables.  The first byte: bit 0 trusts the second GPT header, bit 1 makes
 * blocks of 4096 bytes; the rest is the disk.  Checksums are made right when bit 2 is
 * set, or nothing behind them would be reached.
 */
#include <stdlib.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/hash.h"
#include "block/table.h"
#include "fuzz.h"

struct disk {
	const uint8_t *data;
	size_t size;
	uint32_t block_size;
	bool repair;
};

static int read_block(void *arg, uint64_t lba, void *buf)
{
	const struct disk *d = arg;
	uint8_t *b = buf;

	fuzz_assert(lba < d->size / d->block_size);
	memcpy(b, d->data + lba * d->block_size, d->block_size);
	if (d->repair && lba && !memcmp(b, "EFI PART", 8) && get_le32(b + 12) <= d->block_size) {
		put_le64(b + 24, lba);
		put_le32(b + 16, 0);
		put_le32(b + 16, crc32(0, b, get_le32(b + 12)));
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct lx_table t;
	static struct lx_table_entry entries[LX_TABLE_NUMBER_MAX];
	struct disk d = { data + 1, n - 1, 512, false };
	struct lx_table_source s = { .read = read_block, .arg = &d };
	bool seen[LX_TABLE_NUMBER_MAX + 1] = { false };

	if (!n)
		return 0;
	d.block_size = data[0] & 2 ? 4096 : 512;
	d.repair = data[0] & 4;
	s.block_size = d.block_size;
	s.force_gpt = data[0] & 1;
	s.sectors = d.size / d.block_size * (d.block_size / 512);
	t.entries = entries;
	fuzz_assert(lx_table_read(&s, &t) == 0);
	fuzz_assert(t.count <= LX_TABLE_NUMBER_MAX && (t.kind || !t.count));
	for (unsigned int i = 0; i < t.count; i++) {
		const struct lx_table_entry *e = &entries[i];

		fuzz_assert(e->number >= 1 && e->number <= LX_TABLE_NUMBER_MAX && !seen[e->number]);
		seen[e->number] = true;
		fuzz_assert(e->sectors && e->start < s.sectors && e->sectors <= s.sectors - e->start);
		fuzz_touch(e->uuid, strlen(e->uuid));
		fuzz_touch(e->name, strlen(e->name));
	}
	return 0;
}
