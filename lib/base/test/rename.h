/* SPDX-License-Identifier: MIT */
/* For tests: our functions beside the C library's of the same names. */
#pragma once
#define memcpy base_memcpy
#define memmove base_memmove
#define memset base_memset
#define memcmp base_memcmp
#define memchr base_memchr
#define strlen base_strlen
#define strnlen base_strnlen
#define strcmp base_strcmp
#define strncmp base_strncmp
#define strchr base_strchr
#define strrchr base_strrchr
#define strstr base_strstr
#define strspn base_strspn
#define strcspn base_strcspn
#define vsnprintf base_vsnprintf
#define snprintf base_snprintf
