/* SPDX-License-Identifier: MIT */
/*
 * Numbers in the byte order of a format, at any alignment.
 */
#pragma once

#include <stdint.h>

#define BYTEORDER_ACCESS(bits)                                                                     \
	struct unaligned_u##bits {                                                                 \
		uint##bits##_t v;                                                                  \
	} __attribute__((packed, may_alias));                                                      \
	static inline uint##bits##_t get_u##bits(const void *p)                                    \
	{                                                                                          \
		return ((const struct unaligned_u##bits *)p)->v;                                   \
	}                                                                                          \
	static inline void put_u##bits(void *p, uint##bits##_t v)                                  \
	{                                                                                          \
		((struct unaligned_u##bits *)p)->v = v;                                            \
	}

/* In the machine's own order: get_u16(p), put_u16(p, v), ... */
BYTEORDER_ACCESS(16)
BYTEORDER_ACCESS(32)
BYTEORDER_ACCESS(64)
#undef BYTEORDER_ACCESS

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LE16(v) ((uint16_t)(v))
#define LE32(v) ((uint32_t)(v))
#define LE64(v) ((uint64_t)(v))
#define BE16(v) __builtin_bswap16(v)
#define BE32(v) __builtin_bswap32(v)
#define BE64(v) __builtin_bswap64(v)
#else
#define LE16(v) __builtin_bswap16(v)
#define LE32(v) __builtin_bswap32(v)
#define LE64(v) __builtin_bswap64(v)
#define BE16(v) ((uint16_t)(v))
#define BE32(v) ((uint32_t)(v))
#define BE64(v) ((uint64_t)(v))
#endif

static inline uint16_t get_le16(const void *p) { return LE16(get_u16(p)); }
static inline uint32_t get_le32(const void *p) { return LE32(get_u32(p)); }
static inline uint64_t get_le64(const void *p) { return LE64(get_u64(p)); }
static inline uint16_t get_be16(const void *p) { return BE16(get_u16(p)); }
static inline uint32_t get_be32(const void *p) { return BE32(get_u32(p)); }
static inline uint64_t get_be64(const void *p) { return BE64(get_u64(p)); }
static inline void put_le16(void *p, uint16_t v) { put_u16(p, LE16(v)); }
static inline void put_le32(void *p, uint32_t v) { put_u32(p, LE32(v)); }
static inline void put_le64(void *p, uint64_t v) { put_u64(p, LE64(v)); }
static inline void put_be16(void *p, uint16_t v) { put_u16(p, BE16(v)); }
static inline void put_be32(void *p, uint32_t v) { put_u32(p, BE32(v)); }
static inline void put_be64(void *p, uint64_t v) { put_u64(p, BE64(v)); }
