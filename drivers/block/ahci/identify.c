/* SPDX-License-Identifier: MIT */
#include "identify.h"

#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"

/* Words of the data. */
enum {
	GENERAL = 0, SERIAL = 10, FIRMWARE = 23, MODEL = 27, CAPABILITIES = 49, QUEUE_DEPTH = 75,
	SATA = 76, SETS_83 = 83, SETS_84 = 84, ENABLED_85 = 85, ENABLED_86 = 86, LBA48 = 100,
	SECTOR_SIZE = 106, BLOCK_WORDS = 117, TRIM = 169, ALIGNMENT = 209,
};
#define GENERAL_NOT_ATA		(1u << 15)
#define CAPABILITIES_DMA	(1u << 8)
#define SATA_NCQ		(1u << 8)
#define SETS_LBA48		(1u << 10)
#define SETS_FUA		(1u << 6)
#define ENABLED_CACHE		(1u << 5)
#define SECTOR_MANY		(1u << 13)	/* several logical ones in a physical */
#define SECTOR_LONG		(1u << 12)	/* words 117 and 118 have the size */
#define TRIM_SUPPORTED		(1u << 0)

static uint16_t word(const uint8_t *data, unsigned int n)
{
	return get_le16(data + 2 * n);
}

/* Words 83, 84, 106 and 209 mean something if their top bits are 01. */
static uint16_t valid_word(const uint8_t *data, unsigned int n)
{
	uint16_t w = word(data, n);

	return (w & 0xc000) == 0x4000 ? w : 0;
}

/* Text has its bytes swapped in each word, and blanks at its ends; the unprintable is cut out. */
static void copy_text(char *to, const uint8_t *data, unsigned int first, unsigned int n)
{
	unsigned int used = 0, end = 0;

	for (unsigned int i = 0; i < n; i++) {
		char c = (char)data[2 * first + (i ^ 1)];

		if (c < ' ' || c > '~' || (c == ' ' && !used))
			continue;
		to[used++] = c;
		if (c != ' ')
			end = used;
	}
	to[end] = '\0';
}

static k_status_t not_supported(const char **why, const char *what)
{
	*why = what;
	return K_ERR_NOT_SUPPORTED;
}

static uint64_t block_size(const uint8_t *data)
{
	if (!(valid_word(data, SECTOR_SIZE) & SECTOR_LONG))
		return 512;
	return 2ull * get_le32(data + 2 * BLOCK_WORDS);
}

static void read_topology(const uint8_t *data, struct ata_identity *id)
{
	uint16_t size = valid_word(data, SECTOR_SIZE), alignment = valid_word(data, ALIGNMENT);

	if (!(size & SECTOR_MANY))
		return;
	id->physical_exponent = size & 0xf;
	/* Word 209: where block 0 is in its physical one; the next begins after the rest. */
	alignment &= BIT(id->physical_exponent) - 1;
	id->alignment = alignment ? (1u << id->physical_exponent) - alignment : 0;
}

k_status_t ata_identity_read(const uint8_t *data, struct ata_identity *id, const char **why)
{
	uint64_t size = block_size(data);

	*id = (struct ata_identity){ .depth = 1 };
	if (word(data, GENERAL) & GENERAL_NOT_ATA)
		return not_supported(why, "a device that is no disk");
	if (!(word(data, CAPABILITIES) & CAPABILITIES_DMA))
		return not_supported(why, "a disk without DMA");
	if (!(valid_word(data, SETS_83) & SETS_LBA48))
		return not_supported(why, "a disk without addresses of 48 bits");
	if (size < 512 || size > 4096 || !IS_POWER_OF_2(size))
		return not_supported(why, "a disk whose blocks are not of 512 to 4096 bytes");
	id->block_shift = log2_u64(size);
	id->blocks = get_le64(data + 2 * LBA48);
	if (!id->blocks || id->blocks > BIT(48))
		return not_supported(why, "a disk of no size, or of an impossible one");
	copy_text(id->serial, data, SERIAL, 20);
	copy_text(id->firmware, data, FIRMWARE, 8);
	copy_text(id->model, data, MODEL, 40);
	if (word(data, SATA) != 0xffff && (word(data, SATA) & SATA_NCQ))
		id->depth = (word(data, QUEUE_DEPTH) & 0x1f) + 1u;
	id->has_cache = word(data, ENABLED_85) & ENABLED_CACHE;
	id->has_fua = valid_word(data, SETS_84) & SETS_FUA;
	id->has_trim = word(data, TRIM) & TRIM_SUPPORTED;
	read_topology(data, id);
	return K_OK;
}
