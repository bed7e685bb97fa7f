/* SPDX-License-Identifier: MIT */
/*
 * Device registers: ports and memory-mapped I/O, in arch_impl/io.h, inline:
 *   uint8_t arch_port_read8(uint16_t port) ... 16, 32; arch_port_write8(port, value) ...
 *   arch_mmio_read8(const volatile void *) ... 16, 32, 64; arch_mmio_write8(addr, value) ...
 */
#pragma once

#include "arch_impl/io.h"
