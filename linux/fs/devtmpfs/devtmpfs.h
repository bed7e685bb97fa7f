/* SPDX-License-Identifier: MIT */
#pragma once

int lx_devtmpfs_init(void);
