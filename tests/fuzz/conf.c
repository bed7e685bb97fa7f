/* SPDX-License-Identifier: MIT */
#include "conf.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct conf conf;
	struct conf_error error = { 0 };

	if (!conf_parse((const char *)data, n, &conf, &error)) {
		fuzz_assert(error.text[0]);
		return 0;
	}
	for (uint32_t i = 0; i < conf.component_count; i++) {
		const struct conf_component *c = &conf.components[i];

		fuzz_assert(c->name[0] && c->binary[0]);
		fuzz_assert(!c->serves || (c->queues && c->queue_size && c->data_size));
	}
	for (uint32_t i = 0; i < conf.linux_count; i++)
		for (uint32_t u = 0; u < conf.linuxes[i].use_count; u++)
			fuzz_assert(conf.linuxes[i].uses[u].component < conf.component_count);
	return 0;
}
