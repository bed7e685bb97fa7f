/* SPDX-License-Identifier: MIT */
/*
 * x86-64 side of arch/io.h.
 */
#pragma once

#include <stdint.h>

#define X86_PORT_READ(bits, suffix) \
	static inline uint##bits##_t arch_port_read##bits(uint16_t port) \
	{ \
		uint##bits##_t v; \
		asm volatile("in" suffix " %1, %0" : "=a"(v) : "Nd"(port)); \
		return v; \
	}
#define X86_PORT_WRITE(bits, suffix) \
	static inline void arch_port_write##bits(uint16_t port, uint##bits##_t v) \
	{ \
		asm volatile("out" suffix " %0, %1" : : "a"(v), "Nd"(port)); \
	}

X86_PORT_READ(8, "b")
X86_PORT_READ(16, "w")
X86_PORT_READ(32, "l")
X86_PORT_WRITE(8, "b")
X86_PORT_WRITE(16, "w")
X86_PORT_WRITE(32, "l")

/* One load or store instruction of exactly that width. */
#define X86_MMIO(bits, suffix, reg) \
	static inline uint##bits##_t arch_mmio_read##bits(const volatile void *addr) \
	{ \
		uint##bits##_t v; \
		asm volatile("mov" suffix " %1, %0" : "=" reg(v) \
			     : "m"(*(const volatile uint##bits##_t *)addr) : "memory"); \
		return v; \
	} \
	static inline void arch_mmio_write##bits(volatile void *addr, uint##bits##_t v) \
	{ \
		asm volatile("mov" suffix " %1, %0" \
			     : "=m"(*(volatile uint##bits##_t *)addr) : reg(v) : "memory"); \
	}

X86_MMIO(8, "b", "q")
X86_MMIO(16, "w", "r")
X86_MMIO(32, "l", "r")
X86_MMIO(64, "q", "r")
