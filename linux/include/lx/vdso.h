/* SPDX-License-Identifier: MIT */
#pragma once

#include "lx/mm.h"

/* Make the objects that programs map; without them programs make the calls. */
void lx_vdso_init(void);
/* Map vDSO and clock page into @mm and set mm->vdso; leaves it 0 if that fails. */
void lx_vdso_map(struct lx_mm *mm);
