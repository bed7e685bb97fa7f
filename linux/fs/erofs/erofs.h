/* SPDX-License-Identifier: MIT */
#pragma once

void lx_erofs_init(void);
