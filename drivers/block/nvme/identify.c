/* SPDX-License-Identifier: MIT */
#include "identify.h"

#include "base/byteorder.h"
#include "base/util.h"

enum {	/* of the controller */
	SERIAL = 4, MODEL = 24, FIRMWARE = 64, MDTS = 77, SQES = 512, CQES = 513, ONCS = 520, VWC = 525,
};
enum { ONCS_DATASET = 1u << 2, ONCS_WRITE_ZEROES = 1u << 3 };
enum { SQES_LOG2 = 6, CQES_LOG2 = 4 };	/* sizes of our queue entries */

enum {	/* of a namespace */
	NSZE = 0, NLBAF = 25, FLBAS = 26, DPS = 29, NSATTR = 99, LBAF = 128,
};
enum { LBA_FORMATS = 16, BLOCK_SHIFT_MIN = 9, BLOCK_SHIFT_MAX = 12 };

/* Text is padded with blanks.  What is not printable would end up on consoles. */
static void copy_text(char *dst, const uint8_t *src, unsigned int n)
{
	unsigned int length = 0;

	for (unsigned int i = 0; i < n && src[i]; i++) {
		dst[i] = src[i] >= ' ' && src[i] < 0x7f ? (char)src[i] : '?';
		if (dst[i] != ' ')
			length = i + 1;
	}
	dst[length] = '\0';
}

/* Required and largest size of an entry, as logarithms. */
static bool size_fits(uint8_t sizes, unsigned int log2)
{
	return (sizes & 0xfu) <= log2 && sizes >> 4 >= (int)log2;
}

/* Pages as a power of two; the page is 4096 bytes, as CAP.MPSMIN has to be 0. */
static uint32_t max_transfer(uint8_t mdts)
{
	return mdts == 0 || mdts >= 20 ? UINT32_MAX : 4096u << mdts;
}

k_status_t nvme_identity_read(const uint8_t *data, struct nvme_identity *id, const char **why)
{
	uint16_t oncs = get_le16(data + ONCS);

	*id = (struct nvme_identity){
		.max_transfer = max_transfer(data[MDTS]),
		.has_cache = data[VWC] & 1,
		.has_deallocate = oncs & ONCS_DATASET,
		.has_write_zeroes = oncs & ONCS_WRITE_ZEROES,
	};
	copy_text(id->serial, data + SERIAL, sizeof(id->serial) - 1);
	copy_text(id->model, data + MODEL, sizeof(id->model) - 1);
	copy_text(id->firmware, data + FIRMWARE, sizeof(id->firmware) - 1);
	if (size_fits(data[SQES], SQES_LOG2) && size_fits(data[CQES], CQES_LOG2))
		return K_OK;
	*why = "queue entries of other sizes than 64 and 16 bytes";
	return K_ERR_NOT_SUPPORTED;
}

/* The format that the namespace is in; what is beside plain blocks is refused. */
static const char *read_format(const uint8_t *data, struct nvme_namespace *ns)
{
	uint32_t format = data[FLBAS] & 0xf, entry;

	if (format > data[NLBAF] || format >= LBA_FORMATS)
		return "a block format that it does not list";
	entry = get_le32(data + LBAF + 4 * format);
	if (entry & 0xffff)
		return "metadata beside its blocks";
	if (data[DPS] & 7)
		return "protection information";
	ns->block_shift = entry >> 16 & 0xff;
	if (ns->block_shift < BLOCK_SHIFT_MIN || ns->block_shift > BLOCK_SHIFT_MAX)
		return "blocks that are smaller than 512 or larger than 4096 bytes";
	return NULL;
}

k_status_t nvme_namespace_read(const uint8_t *data, struct nvme_namespace *ns, const char **why)
{
	uint32_t id = ns->id;

	*ns = (struct nvme_namespace){ .id = id, .blocks = get_le64(data + NSZE),
				       .read_only = data[NSATTR] & 1 };
	*why = read_format(data, ns);
	if (!*why && !ns->blocks)
		*why = "no blocks";
	if (!*why && ns->blocks > UINT64_MAX >> ns->block_shift)
		*why = "more blocks than can be counted in bytes";
	return *why ? K_ERR_NOT_SUPPORTED : K_OK;
}

uint32_t nvme_first_namespace(const uint8_t *data, bool *more)
{
	*more = get_le32(data + 4) != 0;
	return get_le32(data);
}
