/* SPDX-License-Identifier: MIT */
/*
 * /faults has a line for each fault, those of a group behind one another:
 *
 *	NUMBER GROUP ADDRESS OLD NEW	address of an instruction, its bytes and what they become
 */
#include <stdio.h>
#include <stdlib.h>

#include "faults.h"

static size_t hex_read(const char *text, uint8_t *to)
{
	size_t n = 0;
	unsigned int byte;

	for (; n < FAULT_BYTES && sscanf(text + 2 * n, "%2x", &byte) == 1; n++)
		to[n] = (uint8_t)byte;
	return n;
}

static bool fault_read(FILE *from, struct fault *f)
{
	char old[2 * FAULT_BYTES + 2], new[2 * FAULT_BYTES + 2];
	unsigned long address;

	*f = (struct fault){ 0 };
	if (fscanf(from, "%u %u %lx %33s %33s", &f->number, &f->group, &address, old, new) != 5)
		return false;
	f->address = address;
	f->length = hex_read(old, f->old);
	if (!f->length || hex_read(new, f->new) != f->length)
		give_up("fault %u makes no sense", f->number);
	return true;
}

struct fault *faults_read(const char *path, size_t *n)
{
	FILE *from = fopen(path, "re");
	struct fault *all = NULL, one;

	if (!from)
		give_up("no %s", path);
	for (*n = 0; fault_read(from, &one); all[(*n)++] = one) {
		all = reallocarray(all, *n + 1, sizeof(one));
		if (!all)
			give_up("no memory");
	}
	fclose(from);
	return all;
}
