/* SPDX-License-Identifier: MIT */
/*
 * Parser of system descriptions, see conf.h.
 *
 * A line is split into words in a private buffer; a table says for each key of a
 * block which function takes its words.  The first error ends it.
 */
#include "conf.h"

#include "abi/bootstrap.h"
#include "base/format.h"
#include "base/parse.h"
#include "base/string.h"

enum { LINE = 256, WORDS = 40 };

enum block { OUTSIDE, COMPONENT, LINUX };

struct parser {
	struct conf *conf;
	struct conf_error *error;
	uint32_t line;
	enum block block;
	uint32_t block_line;
	uint32_t keys_seen;		/* bit per entry of the block's key table */
	struct conf_component *component;
	struct conf_linux *lx;
	char text[LINE];
	char *word[WORDS];		/* commas are words of their own */
	unsigned int words;
};

static bool fail(struct parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool fail(struct parser *p, const char *fmt, ...)
{
	va_list args;

	p->error->line = p->line;
	va_start(args, fmt);
	vscnprintf(p->error->text, sizeof(p->error->text), fmt, args);
	va_end(args);
	return false;
}

/* -- words ------------------------------------------------------------------------------ */

static bool split(struct parser *p)
{
	char *s = p->text;

	p->words = 0;
	for (;;) {
		while (*s == ' ' || *s == '\t')
			s++;
		if (!*s || *s == '#')
			return true;
		if (p->words == WORDS)
			return fail(p, "too many words");
		if (*s == ',') {
			p->word[p->words++] = (char *)",";
			*s++ = '\0';
			continue;
		}
		p->word[p->words++] = s;
		while (*s && *s != ' ' && *s != '\t' && *s != ',' && *s != '#')
			s++;
		if (*s == ',') {
			if (p->words == WORDS)
				return fail(p, "too many words");
			p->word[p->words++] = (char *)",";
		}
		if (*s == '#')
			*s = '\0';
		else if (*s)
			*s++ = '\0';
	}
}

static bool is(const char *word, const char *text)
{
	return strcmp(word, text) == 0;
}

static bool name_is_valid(const char *s)
{
	if (!char_is_alpha(*s))
		return false;
	for (; *s; s++)
		if (!char_is_alpha(*s) && !char_is_digit(*s) && *s != '-' && *s != '_')
			return false;
	return true;
}

static bool take_name(struct parser *p, char *dst, const char *word)
{
	if (!name_is_valid(word))
		return fail(p, "\"%s\" is not a name", word);
	if (strlcpy(dst, word, CONF_NAME) >= CONF_NAME)
		return fail(p, "name is longer than %d characters", CONF_NAME - 1);
	return true;
}

static bool take_path(struct parser *p, char *dst)
{
	if (p->words != 2)
		return fail(p, "binary wants one path");
	if (strlcpy(dst, p->word[1], CONF_PATH) >= CONF_PATH)
		return fail(p, "path is longer than %d characters", CONF_PATH - 1);
	return true;
}

static bool take_size(struct parser *p, const char *word, uint64_t *v)
{
	if (parse_size(word, strlen(word), v) != strlen(word) || !*v)
		return fail(p, "\"%s\" is not a size", word);
	return true;
}

static bool take_class(struct parser *p, const char *word, uint32_t *class_id)
{
	static const uint32_t ids[] = { LINK_CLASS_NET, LINK_CLASS_BLOCK, LINK_CLASS_CONSOLE,
					LINK_CLASS_ENTROPY, LINK_CLASS_9P };

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		if (is(word, conf_class_name(ids[i]))) {
			*class_id = ids[i];
			return true;
		}
	}
	return fail(p, "\"%s\" is not a class of links", word);
}

const char *conf_class_name(uint32_t class_id)
{
	switch (class_id) {
	case LINK_CLASS_NET:
		return "net";
	case LINK_CLASS_BLOCK:
		return "block";
	case LINK_CLASS_CONSOLE:
		return "console";
	case LINK_CLASS_ENTROPY:
		return "entropy";
	case LINK_CLASS_9P:
		return "9p";
	default:
		return "?";
	}
}

/*
 * The words after the key, in groups that commas separate: calls @one for each
 * group, whose words are p->word[first] .. p->word[first + n - 1].
 */
static bool each_group(struct parser *p, bool (*one)(struct parser *p, char **word, unsigned int n))
{
	unsigned int first = 1;

	for (unsigned int i = 1; i <= p->words; i++) {
		if (i < p->words && !is(p->word[i], ","))
			continue;
		if (i == first)
			return fail(p, "%s: a value is missing", p->word[0]);
		if (!one(p, &p->word[first], i - first))
			return false;
		first = i + 1;
	}
	return true;
}

/* -- keys of a component ------------------------------------------------------------------- */

static bool component_binary(struct parser *p)
{
	return take_path(p, p->component->binary);
}

/* Exactly @digits digits. */
static bool take_hex(const char *s, size_t digits, uint32_t *v)
{
	uint64_t u;

	if (parse_u64(s, digits, 16, &u) != digits)
		return false;
	*v = (uint32_t)u;
	return true;
}

static bool match_pci(struct parser *p, const char *id, struct conf_match *m)
{
	m->bus = BUS_PCI;
	return (strlen(id) == 9 && id[4] == ':' && take_hex(id, 4, &m->vendor) &&
		take_hex(id + 5, 4, &m->device)) ||
	       fail(p, "\"%s\" is not VENDOR:DEVICE in hexadecimal", id);
}

static bool match_pci_class(struct parser *p, const char *class, struct conf_match *m)
{
	m->bus = BUS_PCI;
	m->by_class = true;
	return (strlen(class) == 6 && take_hex(class, 6, &m->class_code)) ||
	       fail(p, "\"%s\" is not a class of six hexadecimal digits", class);
}

static bool match_one(struct parser *p, char **word, unsigned int n)
{
	struct conf_match m = { 0 };
	uint64_t v;

	if (p->component->match_count == CONF_MATCHES)
		return fail(p, "more than %d matches", CONF_MATCHES);
	if (n == 2 && is(word[0], "pci")) {
		if (!match_pci(p, word[1], &m))
			return false;
	} else if (n == 3 && is(word[0], "pci") && is(word[1], "class")) {
		if (!match_pci_class(p, word[2], &m))
			return false;
	} else if (n == 2 && is(word[0], "virtio")) {
		m.bus = BUS_VIRTIO_MMIO;
		if (!parse_u64_all(word[1], &v) || !v || v > 64)
			return fail(p, "\"%s\" is not a virtio device number", word[1]);
		m.device = (uint32_t)v;
	} else if (n == 1 && is(word[0], "uart16550")) {
		m.bus = BUS_UART16550;
	} else {
		return fail(p, "match: \"%s\" is not known", word[0]);
	}
	p->component->match[p->component->match_count++] = m;
	return true;
}

static bool component_match(struct parser *p)
{
	return each_group(p, match_one);
}

static bool needs_one(struct parser *p, char **word, unsigned int n)
{
	static const struct {
		const char *word;
		uint32_t bit;
	} words[] = {
		{ "mmio", CONF_NEEDS_MMIO }, { "ports", CONF_NEEDS_PORTS },
		{ "irq", CONF_NEEDS_IRQ }, { "devices", CONF_NEEDS_DEVICES },
		{ "slot", CONF_NEEDS_SLOT },
	};

	if (n == 2 && is(word[0], "dma")) {
		p->component->needs |= CONF_NEEDS_DMA;
		if (!take_size(p, word[1], &p->component->dma_size))
			return false;
		return p->component->dma_size <= 64u << 20 || fail(p, "dma: more than 64M");
	}
	for (size_t i = 0; n == 1 && i < ARRAY_SIZE(words); i++) {
		if (is(word[0], words[i].word)) {
			p->component->needs |= words[i].bit;
			return true;
		}
	}
	return fail(p, "needs: \"%s\" is not known", word[0]);
}

static bool component_needs(struct parser *p)
{
	return each_group(p, needs_one);
}

static bool serves_one(struct parser *p, char **word, unsigned int n)
{
	struct conf_component *c = p->component;
	uint64_t v;

	if (!c->serves)
		return n == 1 ? take_class(p, word[0], &c->serves)
			      : fail(p, "serves wants a class first");
	if (n == 2 && is(word[0], "data") && is(word[1], "mapped")) {
		c->data_mapped = true;
		return true;
	}
	if (n == 2 && is(word[0], "data")) {
		if (!take_size(p, word[1], &c->data_size))
			return false;
		return c->data_size <= 64u << 20 || fail(p, "data: more than 64M");
	}
	if (n == 2 && is(word[0], "queues")) {
		if (!parse_u64_all(word[1], &v) || !v || v > LINK_QUEUES_MAX)
			return fail(p, "queues: 1 to %u", LINK_QUEUES_MAX);
		c->queues = (uint32_t)v;
		return true;
	}
	if (n == 2 && is(word[0], "depth")) {
		if (!parse_u64_all(word[1], &v) || !IS_POWER_OF_2(v) || v > LINK_QUEUE_SIZE_MAX)
			return fail(p, "depth: a power of two up to %u", LINK_QUEUE_SIZE_MAX);
		c->queue_size = (uint32_t)v;
		return true;
	}
	return fail(p, "serves: \"%s\" is not known", word[0]);
}

static bool component_serves(struct parser *p)
{
	return each_group(p, serves_one);
}

static bool component_restart(struct parser *p)
{
	if (p->words != 2 || (!is(p->word[1], "always") && !is(p->word[1], "never")))
		return fail(p, "restart is \"always\" or \"never\"");
	p->component->restart = is(p->word[1], "always");
	return true;
}

static bool component_adopt(struct parser *p)
{
	if (p->words != 2 || (!is(p->word[1], "live") && !is(p->word[1], "reset")))
		return fail(p, "adopt is \"live\" or \"reset\"");
	p->component->adopt = is(p->word[1], "live") ? COMPONENT_ADOPT_LIVE
						     : COMPONENT_ADOPT_RESET;
	return true;
}

/* -- keys of a linux block ------------------------------------------------------------------ */

static bool linux_placement(struct parser *p)
{
	if (p->words != 2 || (!is(p->word[1], "kernel") && !is(p->word[1], "process")))
		return fail(p, "placement is \"kernel\" or \"process\"");
	p->lx->placement = is(p->word[1], "kernel") ? LINUX_PLACEMENT_KERNEL
						       : LINUX_PLACEMENT_PROCESS;
	return true;
}

static bool linux_binary(struct parser *p)
{
	return take_path(p, p->lx->binary);
}

static bool linux_memory(struct parser *p)
{
	return p->words == 2 ? take_size(p, p->word[1], &p->lx->memory)
			     : fail(p, "memory wants one size");
}

static bool grants_one(struct parser *p, char **word, unsigned int n)
{
	static const char *const words[] = { "power", "log", "initrd", "control",
					     "update" };

	for (size_t i = 0; n == 1 && i < ARRAY_SIZE(words); i++) {
		if (is(word[0], words[i])) {
			p->lx->grants |= 1u << i;
			return true;
		}
	}
	return fail(p, "grants: \"%s\" is not known", word[0]);
}

static bool linux_grants(struct parser *p)
{
	return each_group(p, grants_one);
}

static bool linux_uses(struct parser *p)
{
	struct conf_use *u = &p->lx->uses[p->lx->use_count];

	if (p->words != 4 || !is(p->word[2], "from"))
		return fail(p, "uses wants CLASS from COMPONENT");
	if (p->lx->use_count == CONF_USES)
		return fail(p, "more than %d uses", CONF_USES);
	u->line = p->line;
	p->lx->use_count++;
	return take_class(p, p->word[1], &u->class_id) && take_name(p, u->from, p->word[3]);
}

/* -- blocks ------------------------------------------------------------------------------------ */

static const struct key {
	enum block block;
	const char *name;
	bool (*take)(struct parser *p);
	bool many;			/* may be given more than once */
} keys[] = {
	{ COMPONENT, "binary", component_binary, false },
	{ COMPONENT, "match", component_match, false },
	{ COMPONENT, "needs", component_needs, false },
	{ COMPONENT, "serves", component_serves, false },
	{ COMPONENT, "restart", component_restart, false },
	{ COMPONENT, "adopt", component_adopt, false },
	{ LINUX, "placement", linux_placement, false },
	{ LINUX, "binary", linux_binary, false },
	{ LINUX, "memory", linux_memory, false },
	{ LINUX, "grants", linux_grants, false },
	{ LINUX, "uses", linux_uses, true },
};

static bool take_key(struct parser *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct key *k = &keys[i];

		if (k->block != p->block || !is(p->word[0], k->name))
			continue;
		if (!k->many && (p->keys_seen & BIT(i)))
			return fail(p, "%s is given twice", k->name);
		p->keys_seen |= (uint32_t)BIT(i);
		if (p->words < 2)
			return fail(p, "%s: a value is missing", k->name);
		return k->take(p);
	}
	return fail(p, "\"%s\" is not a key of this block", p->word[0]);
}

static bool name_is_taken(const struct conf *c, const char *name)
{
	for (uint32_t i = 0; i < c->component_count; i++)
		if (is(c->components[i].name, name))
			return true;
	for (uint32_t i = 0; i < c->linux_count; i++)
		if (is(c->linuxes[i].name, name))
			return true;
	return false;
}

static bool open_component(struct parser *p)
{
	struct conf *c = p->conf;

	if (c->component_count == CONF_COMPONENTS)
		return fail(p, "more than %d components", CONF_COMPONENTS);
	p->block = COMPONENT;
	p->component = &c->components[c->component_count];
	*p->component = (struct conf_component){ .line = p->line };
	if (!take_name(p, p->component->name, p->word[1]))
		return false;
	c->component_count++;
	return true;
}

static bool open_linux(struct parser *p)
{
	struct conf *c = p->conf;

	if (c->linux_count == CONF_LINUXES)
		return fail(p, "more than %d linux blocks", CONF_LINUXES);
	p->block = LINUX;
	p->lx = &c->linuxes[c->linux_count];
	*p->lx = (struct conf_linux){ .line = p->line };
	if (!take_name(p, p->lx->name, p->word[1]))
		return false;
	c->linux_count++;
	return true;
}

static bool open_block(struct parser *p)
{
	if (p->words != 3 || !is(p->word[2], "{"))
		return fail(p, "expected \"component NAME {\" or \"linux NAME {\"");
	if (name_is_taken(p->conf, p->word[1]))
		return fail(p, "\"%s\" is defined twice", p->word[1]);
	p->keys_seen = 0;
	p->block_line = p->line;
	if (is(p->word[0], "component"))
		return open_component(p);
	if (is(p->word[0], "linux"))
		return open_linux(p);
	return fail(p, "\"%s\" is not a kind of block", p->word[0]);
}

/* What a class of links looks like if the block does not say. */
static void class_defaults(struct conf_component *c)
{
	static const struct {
		uint32_t class_id, queues, queue_size;
		uint64_t data_size;
	} classes[] = {
		{ LINK_CLASS_BLOCK, 1, 64, 1u << 20 },
		{ LINK_CLASS_CONSOLE, 2, 16, 32u << 10 },
		{ LINK_CLASS_ENTROPY, 1, 4, 4096 },
		{ LINK_CLASS_NET, 2, 256, 1u << 20 },
		{ LINK_CLASS_9P, 1, 64, 2u << 20 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		if (classes[i].class_id != c->serves)
			continue;
		if (!c->queues)
			c->queues = classes[i].queues;
		if (!c->queue_size)
			c->queue_size = classes[i].queue_size;
		if (!c->data_size)
			c->data_size = classes[i].data_size;
	}
	c->data_size = ALIGN_UP(c->data_size, (uint64_t)K_PAGE_SIZE);
	c->dma_size = ALIGN_UP(c->dma_size, (uint64_t)K_PAGE_SIZE);
}

static bool close_block(struct parser *p)
{
	if (p->words != 1)
		return fail(p, "\"}\" stands alone");
	if (p->block == COMPONENT) {
		if (!p->component->binary[0])
			return fail(p, "component \"%s\" has no binary", p->component->name);
		class_defaults(p->component);
	} else if (p->lx->placement == LINUX_PLACEMENT_PROCESS && !p->lx->binary[0]) {
		return fail(p, "linux \"%s\" has placement process and no binary", p->lx->name);
	}
	p->block = OUTSIDE;
	return true;
}

static bool take_line(struct parser *p)
{
	if (!split(p))
		return false;
	if (!p->words)
		return true;
	if (p->block == OUTSIDE)
		return open_block(p);
	if (is(p->word[0], "}"))
		return close_block(p);
	return take_key(p);
}

/* Names of components in "uses" lines become indices. */
static bool resolve(struct parser *p)
{
	struct conf *c = p->conf;

	for (uint32_t l = 0; l < c->linux_count; l++) {
		for (uint32_t u = 0; u < c->linuxes[l].use_count; u++) {
			struct conf_use *use = &c->linuxes[l].uses[u];
			uint32_t i = 0;

			while (i < c->component_count && !is(c->components[i].name, use->from))
				i++;
			p->line = use->line;
			if (i == c->component_count)
				return fail(p, "there is no component \"%s\"", use->from);
			if (c->components[i].serves != use->class_id)
				return fail(p, "\"%s\" does not serve %s", use->from,
					    conf_class_name(use->class_id));
			use->component = i;
		}
	}
	return true;
}

bool conf_parse(const char *text, size_t length, struct conf *conf, struct conf_error *error)
{
	struct parser p = { .conf = conf, .error = error };
	size_t at = 0;

	conf->component_count = 0;
	conf->linux_count = 0;
	while (at < length) {
		size_t n = 0;

		p.line++;
		while (at + n < length && text[at + n] != '\n') {
			char c = text[at + n];

			if (n == LINE - 1)
				return fail(&p, "line is longer than %d characters", LINE - 1);
			if (c != '\t' && !char_is_print(c))
				return fail(&p, "character 0x%02x", (unsigned char)c);
			p.text[n++] = c;
		}
		p.text[n] = '\0';
		at += n + 1;
		if (!take_line(&p))
			return false;
	}
	if (p.block != OUTSIDE) {
		p.line = p.block_line;
		return fail(&p, "block is not closed");
	}
	return resolve(&p);
}

static bool matches(const struct conf_match *m, const struct component_device *d)
{
	if (m->bus != d->bus)
		return false;
	switch (m->bus) {
	case BUS_PCI:
		return m->by_class ? m->class_code == d->class_code
				   : m->vendor == d->vendor && m->device == d->device;
	case BUS_VIRTIO_MMIO:
		return m->device == d->device;
	default:
		return true;
	}
}

const struct conf_component *conf_match(const struct conf *conf, const struct component_device *d)
{
	for (uint32_t i = 0; i < conf->component_count; i++) {
		const struct conf_component *c = &conf->components[i];

		for (uint32_t k = 0; k < c->match_count; k++) {
			if (matches(&c->match[k], d))
				return c;
		}
	}
	return NULL;
}
