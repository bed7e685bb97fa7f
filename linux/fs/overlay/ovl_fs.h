/* SPDX-License-Identifier: MIT */
#pragma once

void lx_overlay_init(void);
