/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

struct boot_info;

/*
 * Read the ACPI table DMAR, @length bytes of any contents, into boot->iommu* and the requester
 * ids of boot->ioapics, which are known already.  NULL, or what is wrong with it: there is no
 * IOMMU to be used then.
 */
const char *x86_dmar_read(const void *table, size_t length, struct boot_info *boot);
