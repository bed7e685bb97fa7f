/* SPDX-License-Identifier: MIT */
/*
 * From the registers of a program to a handler: the generated table.
 */

#include <asm/unistd.h>
#include <linux/fcntl.h>

#include "lx/syscall.h"

#include "syscalls.gen.inc"
