/* SPDX-License-Identifier: MIT */
#pragma once

int lx_sysfs_init(void);
