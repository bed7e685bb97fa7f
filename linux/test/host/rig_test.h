/* SPDX-License-Identifier: MIT */
/*
 * For tests in the rig: the unit test macros, then the personality's headers.  The
 * UAPI headers leave out what the C library defines too (S_IFMT...) when they see
 * one; its own definitions are in headers that cannot be had beside the UAPI's.
 */
#pragma once

#include "unit/unit.h"

#undef __GLIBC__

#include "vfs/vfs_priv.h"
#include "lx/syscall.h"
#include "test/host/rig.h"
