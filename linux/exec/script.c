/* SPDX-License-Identifier: MIT */
/*
 * Scripts: "#!" INTERPRETER [ONE ARGUMENT].  The line has to be in the first 256
 * bytes; an interpreter's name that may be cut off there is not used.
 */

#include <linux/fcntl.h>

#include "exec/exec_impl.h"
#include "lx/file.h"
#include "lx/vfs.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && is_blank(*p))
		p++;
	return p;
}

static const char *skip_word(const char *p, const char *end)
{
	while (p < end && !is_blank(*p) && *p)
		p++;
	return p;
}

/* Find name and argument in the header: lengths 0 for what is not there. */
static bool parse(const char *buf, const char **name, size_t *name_len, const char **arg,
		  size_t *arg_len)
{
	const char *end = memchr(buf, '\n', EXEC_HEADER), *p;

	if (!end) {
		end = buf + EXEC_HEADER - 1;
		p = skip_blanks(buf + 2, end);
		if (p == end || skip_word(p, end) == end)
			return false;	/* the name may go on */
	}
	while (end > buf + 2 && is_blank(end[-1]))
		end--;
	p = skip_blanks(buf + 2, end);
	*name = p;
	p = skip_word(p, end);
	*name_len = (size_t)(p - *name);
	*arg_len = 0;
	if (p < end && *p) {
		*arg = skip_blanks(p, end);
		*arg_len = strnlen(*arg, (size_t)(end - *arg));
	}
	return *name_len > 0;
}

static char *copy_string(const char *s, size_t n)
{
	char *copy = rt_alloc(n + 1);

	if (copy) {
		memcpy(copy, s, n);
		copy[n] = '\0';
	}
	return copy;
}

static void drop_first(struct exec *e)
{
	size_t n;

	if (!e->argc)
		return;
	n = strlen(e->strings) + 1;
	memmove(e->strings, e->strings + n, e->length - n);
	e->length -= n;
	e->env_start -= n;
	e->argc--;
}

int exec_script(struct lx_task *self, struct exec *e)
{
	const char *name, *arg = NULL;
	size_t name_len, arg_len;
	char *interp, *argument = NULL;
	struct lx_file *f;
	int err;

	if (e->header[0] != '#' || e->header[1] != '!')
		return -ENOEXEC;
	if (!parse((const char *)e->header, &name, &name_len, &arg, &arg_len))
		return -ENOEXEC;
	if (e->path_lost)
		return -ENOENT;		/* the interpreter could not open it */
	interp = copy_string(name, name_len);
	if (arg_len)
		argument = copy_string(arg, arg_len);
	err = interp && (!arg_len || argument) ? 0 : -ENOMEM;
	if (!err) {
		drop_first(e);
		err = exec_prepend(e, e->script ? e->script : e->path);
	}
	if (!err && argument)
		err = exec_prepend(e, argument);
	if (!err)
		err = exec_prepend(e, interp);
	if (!err)
		err = lx_open_exec(self, AT_FDCWD, interp, 0, &f);
	rt_free(argument);
	if (err) {
		rt_free(interp);
		return err;
	}
	lx_file_put(e->file);
	e->file = f;
	rt_free(e->script);
	e->script = interp;
	return 0;
}
