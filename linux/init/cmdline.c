/* SPDX-License-Identifier: MIT */
/*
 * The command line.  Words that nobody knows go to init: NAME=VALUE to its
 * environment, others to its arguments, except those with a dot in the name, which
 * are parameters of some part of the system; everything after "--" is arguments.
 */

#include "init/init_impl.h"

#include "base/parse.h"

/* Words of other parts (kernel, init, drivers) and of Linux that mean nothing here. */
static const char *const known[] = {
	"console", "quiet", "loglevel", "panic", "debug", "selftest", "earlyprintk", "earlycon",
	"reboot", "acpi", "pci", "noapic", "nolapic", "nosmp", "maxcpus", "nokaslr", "kaslr",
	"tsc", "clocksource", "mitigations", "nopti", "random", "net", "i8042", "swiotlb",
	"virtio_mmio", "printk", "ignore_loglevel", "nomodule", "iommu", "intel_iommu", "mem",
	"BOOT_IMAGE", "initrd", "lpj", "nmi_watchdog", "no_timer_check", "log_buf_len",
};

static bool is_known(const char *name, size_t n)
{
	size_t i;

	if (memchr(name, '.', n))
		return true;
	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (strlen(known[i]) == n && !memcmp(known[i], name, n))
			return true;
	return false;
}

/* If @word is NAME=..., its value. */
static const char *value(const char *word, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(word, name, n) && word[n] == '=' ? word + n + 1 : NULL;
}

static void add_arg(struct cmdline *c, const char *word)
{
	if (c->argc < MAX_INIT_ARGS)
		c->argv[1 + c->argc++] = word;
}

/* Arguments before the name of the program are not for it. */
static void forget_args(struct cmdline *c)
{
	memset(c->argv, 0, sizeof(c->argv));
	c->argc = 0;
}

/* A later NAME=VALUE replaces an earlier one. */
static void add_env(struct cmdline *c, const char *word)
{
	size_t n = (size_t)(strchr(word, '=') - word) + 1;
	unsigned int i;

	for (i = 0; i < c->envc; i++) {
		if (!strncmp(c->envp[i], word, n)) {
			c->envp[i] = word;
			return;
		}
	}
	if (c->envc < MAX_INIT_ENVS)
		c->envp[c->envc++] = word;
}

static void word(struct cmdline *c, char *w)
{
	const char *v, *eq = strchr(w, '=');
	uint64_t n;

	if ((v = value(w, "root")))
		c->root.root = v;
	else if ((v = value(w, "rootfstype")))
		c->root.fstype = v;
	else if ((v = value(w, "rootflags")))
		c->root.flags = v;
	else if ((v = value(w, "concord.overlay")))
		c->root.overlay = v;
	else if ((v = value(w, "rootdelay")))
		c->root.rootdelay = parse_u64_all(v, &n) ? (uint32_t)n : 0;
	else if (!strcmp(w, "gpt"))
		c->gpt = true;
	else if (!strcmp(w, "rootwait"))
		c->root.rootwait = true;
	else if (!strcmp(w, "ro"))
		c->root.ro = true;
	else if (!strcmp(w, "rw"))
		c->root.ro = false;
	else if ((v = value(w, "init"))) {
		c->init = v;
		forget_args(c);
	} else if ((v = value(w, "rdinit"))) {
		c->rdinit = v;
		forget_args(c);
	} else if ((v = value(w, "lx.trace")))
		c->trace = v;
	else if (is_known(w, eq ? (size_t)(eq - w) : strlen(w)))
		return;
	else if (eq)
		add_env(c, w);
	else
		add_arg(c, w);
}

/* Cut off the next word, in which quotes keep blanks together.  NULL: no more. */
static char *next_word(char **line)
{
	char *p = *line, *start, *out;
	bool quoted = false;

	while (char_is_space(*p))
		p++;
	if (!*p)
		return NULL;
	for (start = out = p; *p && (quoted || !char_is_space(*p)); p++) {
		if (*p == '"')
			quoted = !quoted;
		else
			*out++ = *p;
	}
	*line = *p ? p + 1 : p;
	*out = '\0';
	return start;
}

void cmdline_parse(struct cmdline *c, const char *text)
{
	char *line = c->buffer, *w;
	bool rest = false;

	memset(c, 0, sizeof(*c));
	strlcpy(c->buffer, text, sizeof(c->buffer));
	c->root.ro = true;
	c->envp[c->envc++] = "HOME=/";
	c->envp[c->envc++] = "TERM=linux";
	while ((w = next_word(&line))) {
		if (rest)
			add_arg(c, w);
		else if (!strcmp(w, "--"))
			rest = true;
		else
			word(c, w);
	}
}
