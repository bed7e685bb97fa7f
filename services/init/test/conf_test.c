/* SPDX-License-Identifier: MIT */
#include <stdint.h>

#include "abi/bootstrap.h"
#include "conf.h"
#include "unit/unit.h"

static struct conf conf;
static struct conf_error error;

static bool parse(const char *text)
{
	memset(&error, 0, sizeof(error));
	return conf_parse(text, strlen(text), &conf, &error);
}

TEST(a_class_matches_whoever_made_it)
{
	struct component_device d = { .bus = BUS_PCI, .vendor = 0x1b36, .device = 0x10,
				      .class_code = 0x010802 };

	REQUIRE(parse("component own {\n binary a\n match pci 144d:a808\n}\n"
		      "component nvme {\n binary a\n match pci class 010802\n}\n"));
	REQUIRE(conf_match(&conf, &d));
	CHECK_STR(conf_match(&conf, &d)->name, "nvme");
	d.vendor = 0x144d;
	d.device = 0xa808;
	CHECK_STR(conf_match(&conf, &d)->name, "own");	/* the first in the file */
	d.device = 0xa809;
	d.class_code = 0x010801;
	CHECK(!conf_match(&conf, &d));
	d.class_code = 0x010802;
	d.bus = BUS_VIRTIO_MMIO;
	CHECK(!conf_match(&conf, &d));
}

TEST(conf_parses_the_default_description)
{
	static char text[65536];
	FILE *f = fopen(DEFAULT_CONF, "r");
	struct component_device d = { .bus = BUS_PCI, .vendor = 0x1af4, .device = 0x1001 };
	const struct conf_component *c;

	REQUIRE(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	if (!parse(text))
		unit_fail(DEFAULT_CONF, (int)error.line, "%s", error.text);
	c = conf_match(&conf, &d);
	REQUIRE(c);
	CHECK_STR(c->name, "virtio-blk");
	CHECK_EQ(c->needs, CONF_NEEDS_MMIO | CONF_NEEDS_IRQ | CONF_NEEDS_DMA);
	CHECK(c->restart && !c->data_mapped);
	d = (struct component_device){ .bus = BUS_VIRTIO_MMIO, .device = 4 };
	REQUIRE(conf_match(&conf, &d));
	CHECK_STR(conf_match(&conf, &d)->name, "virtio-rng");
	d.device = 63;
	CHECK(!conf_match(&conf, &d));
	CHECK_EQ(conf.linux_count, 1);
	CHECK_STR(conf.linuxes[0].name, "main");
}

TEST(conf_takes_all_keys)
{
	REQUIRE(parse("# c\ncomponent a {\n binary x/y # z\n match pci 1234:abcd,virtio 2 , uart16550\n"
		      " needs mmio,ports, irq , dma 4M\n serves block, data mapped, queues 2, depth 8,"
		      " data 5000\n restart never\n}\nlinux m {\nplacement process\nbinary b\n"
		      "memory 64M\ngrants power,log\nuses block from a\n}"));
	CHECK_EQ(conf.component_count, 1);
	CHECK_STR(conf.components[0].binary, "x/y");
	CHECK_EQ(conf.components[0].match_count, 3);
	CHECK_EQ(conf.components[0].match[0].device, 0xabcd);
	CHECK_EQ(conf.components[0].dma_size, 4 << 20);
	CHECK_EQ(conf.components[0].queues, 2);
	CHECK_EQ(conf.components[0].data_size, 8192);
	CHECK(conf.components[0].data_mapped);
	CHECK_EQ(conf.linuxes[0].placement, LINUX_PLACEMENT_PROCESS);
	CHECK_EQ(conf.linuxes[0].grants, CONF_GRANT_POWER | CONF_GRANT_LOG);
	CHECK_EQ(conf.linuxes[0].memory, 64 << 20);
	CHECK_EQ(conf.linuxes[0].uses[0].component, 0);
}

static void rejects(const char *text, uint32_t line, const char *why)
{
	if (parse(text))
		unit_fail(__FILE__, __LINE__, "accepted: %s", text);
	else if (error.line != line || !strstr(error.text, why))
		unit_fail(__FILE__, __LINE__, "%u: %s, not %u: %s", error.line, error.text, line, why);
}

TEST(conf_names_line_and_reason)
{
	rejects("component a {\n}\n", 2, "no binary");
	rejects("component a {\nbinary b\n", 1, "not closed");
	rejects("component a {\nbinary b\nbinary c\n}\n", 3, "twice");
	rejects("component a {\nbinary b\n}\ncomponent a {\n", 4, "defined twice");
	rejects("component a {\nbinary b\nneeds everything\n}\n", 3, "everything");
	rejects("component a {\nbinary b\nneeds mmio,,irq\n}\n", 3, "missing");
	rejects("component a {\nbinary b\nneeds dma 0\n}\n", 3, "size");
	rejects("component a {\nbinary b\nneeds dma 1G\n}\n", 3, "64M");
	rejects("component a {\nbinary b\nmatch pci *:*\n}\n", 3, "VENDOR");
	rejects("component a {\nbinary b\nmatch pci 1af4:10010\n}\n", 3, "VENDOR");
	rejects("component a {\nbinary b\nmatch pci class 0108\n}\n", 3, "class of six");
	rejects("component a {\nbinary b\nmatch pci class 0108xx\n}\n", 3, "class of six");
	rejects("component a {\nbinary b\nmatch pci class *\n}\n", 3, "class of six");
	rejects("component a {\nbinary b\nmatch pci class\n}\n", 3, "VENDOR");
	rejects("component a {\nbinary b\nserves block, depth 3\n}\n", 3, "power of two");
	rejects("component a {\nbinary b\ncolour red\n}\n", 3, "colour");
	rejects("component a {\nbinary b\nadopt never\n}\n", 3, "live");
	rejects("component a {\nbinary\n}\n", 2, "missing");
	rejects("component 9 {\n}\n", 1, "not a name");
	rejects("component abcdefghijklmnopqrstuvwxyz {\n}\n", 1, "longer");
	rejects("thing a {\n}\n", 1, "kind of block");
	rejects("a\n", 1, "expected");
	rejects("linux m {\nuses block from a\n}\n", 2, "no component");
	rejects("linux m {\nplacement process\n}\n", 3, "no binary");
	rejects("component a {\nbinary b\nserves entropy\n}\nlinux m {\nuses block from a\n}\n", 6,
		"does not serve");
	rejects("\001\n", 1, "character");
}

TEST(conf_survives_damage)
{
	static char text[65536], copy[65536];
	FILE *f = fopen(DEFAULT_CONF, "r");
	size_t n;

	REQUIRE(f);
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	for (int round = 0; round < 20000; round++) {
		size_t cut = unit_random() % 2 ? n : unit_random() % n;
		char *exact;

		memcpy(copy, text, n);
		for (uint64_t k = unit_random() % 6; k; k--)
			copy[unit_random() % n] = "{}, \n#:ab19\tMx\0\377"[unit_random() % 17];
		exact = malloc(cut ? cut : 1);
		memcpy(exact, copy, cut);
		if (!conf_parse(exact, cut, &conf, &error))
			CHECK(error.text[0]);
		free(exact);
	}
}
