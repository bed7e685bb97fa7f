/* SPDX-License-Identifier: MIT */
/*
 * Mount options.  Those that ask for what is done anyway, and those that are hints,
 * are taken and have no effect; one that asks for something else is an error.
 */
#include "base/parse.h"
#include "fs/ext4/ext4.h"
#include "fs/ext4/options.h"

static const char *const ignored[] = {
	"acl", "user_xattr", "barrier", "barrier=1", "data=ordered", "delalloc",
	"auto_da_alloc", "noauto_da_alloc", "block_validity", "noblock_validity", "init_itable",
	"noinit_itable", "noquota", "grpid=0", "nogrpid", "sysvgroups", "relatime",
	"journal_checksum", "i_version", "dioread_nolock", "dioread_lock", "nodioread_nolock",
	"defaults",
};

static bool is_ignored(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		if (str_equal(word, ignored[i]))
			return true;
	return false;
}

static int parse_one(struct e4_options *o, const char *word)
{
	uint64_t n;

	if (!*word || is_ignored(word))
		return 0;
	if (str_equal(word, "noload") || str_equal(word, "norecovery")) {
		o->noload = true;
		return 0;
	}
	if (str_equal(word, "discard") || str_equal(word, "nodiscard")) {
		o->discard_set = true;
		o->discard = *word == 'd';
		return 0;
	}
	if (str_has_prefix(word, "errors=")) {
		const char *v = word + 7;

		o->errors = str_equal(v, "continue") ? E4_ERRORS_CONTINUE
			    : str_equal(v, "remount-ro") ? E4_ERRORS_RO
			    : str_equal(v, "panic") ? E4_ERRORS_PANIC : 0;
		o->errors_set = true;
		return o->errors ? 0 : -EINVAL;
	}
	if (str_has_prefix(word, "commit=") && parse_u64_all(word + 7, &n) && n < 65536) {
		o->commit = n ? (uint32_t)n : 5;
		o->commit_set = true;
		return 0;
	}
	return -EINVAL;
}

int e4_options_parse(struct e4_options *o, const char *text)
{
	while (text && *text) {
		const char *comma = strchr(text, ',');
		size_t n = comma ? (size_t)(comma - text) : strlen(text);
		char word[64];
		int err;

		if (n >= sizeof(word))
			return -EINVAL;
		memcpy(word, text, n);
		word[n] = '\0';
		err = parse_one(o, word);
		if (err) {
			rt_log(RT_LOG_ERR, "EXT4-fs: Unrecognized mount option \"%s\" or missing value",
			       word);
			return err;
		}
		text += n + (comma != NULL);
	}
	return 0;
}
