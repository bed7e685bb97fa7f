/* SPDX-License-Identifier: MIT */
/*
 * POSIX access control lists, as programs see them: extended attributes with a value of their own format
 * (acl(5)), the mode, and who may do what.
 */
#include "helpers.h"

#include <grp.h>
#include <sys/xattr.h>

#define ACCESS	"system.posix_acl_access"
#define DEFAULT	"system.posix_acl_default"
#define NOBODY	0xffffffffu

enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };

struct entry { uint16_t tag, perm; uint32_t id; };
struct value { uint32_t version; struct entry e[12]; };

/* What is to be said of a list, here and below: "u::rw-,u:1000:r--,g::r--,m::rw-,o::---". */
static size_t parse(const char *text, struct value *v)
{
	size_t n = 0;

	v->version = 2;
	for (; *text; text += *text == ',') {
		struct entry *e = &v->e[n++];
		bool named = text[2] != ':';

		*e = (struct entry){ .id = NOBODY };
		switch (*text) {
		case 'u': e->tag = named ? USER : USER_OBJ; break;
		case 'g': e->tag = named ? GROUP : GROUP_OBJ; break;
		case 'm': e->tag = MASK; break;
		default: e->tag = OTHER; break;
		}
		if (named)
			e->id = (uint32_t)strtoul(text + 2, NULL, 10);
		text = strchr(text + 2, ':') + 1;
		e->perm = (uint16_t)((text[0] == 'r') << 2 | (text[1] == 'w') << 1 | (text[2] == 'x'));
		text += 3;
	}
	return 4 + n * sizeof(struct entry);
}

static int set(const char *path, const char *name, const char *text)
{
	struct value v;
	size_t n = parse(text, &v);

	return setxattr(path, name, &v, n, 0);
}

/* The list as text, "" if there is none. */
static const char *get(const char *path, const char *name)
{
	static char text[256];
	struct value v;
	ssize_t n = getxattr(path, name, &v, sizeof(v));
	char *p = text;

	*p = '\0';
	if (n < 0) {
		CHECK_EQ(errno, ENODATA);
		return text;
	}
	CHECK_EQ(v.version, 2);
	CHECK_EQ(n % 8, 4);
	for (size_t i = 0; i < (size_t)n / 8; i++) {
		const struct entry *e = &v.e[i];
		char id[16] = "";

		if (e->tag == USER || e->tag == GROUP)
			snprintf(id, sizeof(id), "%u", e->id);
		else
			CHECK_EQ(e->id, NOBODY);
		p += sprintf(p, "%s%c:%s:%c%c%c", i ? "," : "",
			     e->tag == USER || e->tag == USER_OBJ ? 'u'
			     : e->tag == GROUP || e->tag == GROUP_OBJ ? 'g' : e->tag == MASK ? 'm' : 'o', id,
			     e->perm & 4 ? 'r' : '-', e->perm & 2 ? 'w' : '-', e->perm & 1 ? 'x' : '-');
	}
	return text;
}

static unsigned int mode_of(const char *path)
{
	struct stat st;

	CHECK_OK(lstat(path, &st));
	return st.st_mode & 07777;
}

/* The errno of access(2) for somebody else: 0 if it is granted. */
static int may(uid_t uid, gid_t gid, gid_t other_group, const char *path, int how)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		CHECK_OK(setgroups(other_group ? 1 : 0, &other_group));
		CHECK_OK(setresgid(gid, gid, gid));
		CHECK_OK(setresuid(uid, uid, uid));
		_exit(access(path, how) ? errno : 0);
	}
	CHECK_OK(waitpid(pid, &status, 0));
	return WEXITSTATUS(status);
}

/* Others can get to the case's directory. */
static void open_up(void)
{
	CHECK_ROOT();
	CHECK_OK(chmod(".", 0755));
	umask(022);
}

static bool is_listed(const char *path, const char *name)
{
	char list[512];
	ssize_t n = listxattr(path, list, sizeof(list));

	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(list + i) + 1)
		if (!strcmp(list + i, name))
			return true;
	return false;
}

/* -- values */

TEST(a_list_that_says_no_more_than_a_mode_becomes_one)
{
	put_file("f", "x");
	CHECK_OK(chmod("f", 04777));
	CHECK_OK(set("f", ACCESS, "u::rw-,g::r--,o::--x"));
	CHECK_EQ(mode_of("f"), 04641);
	CHECK_STR(get("f", ACCESS), "");
	CHECK(!is_listed("f", ACCESS));
}

TEST(a_list_is_kept_and_its_mask_is_the_group_of_the_mode)
{
	const char *text = "u::rw-,u:7:rwx,u:1000:r--,g::r-x,g:5:-w-,m::rw-,o::---";

	put_file("f", "x");
	CHECK_OK(set("f", ACCESS, text));
	CHECK_STR(get("f", ACCESS), text);
	CHECK_EQ(mode_of("f"), 0660);
	CHECK(is_listed("f", ACCESS));
	CHECK(!is_listed("f", DEFAULT));
	/* a mask makes it a list that is kept */
	CHECK_OK(set("f", ACCESS, "u::rw-,g::r-x,m::r--,o::r--"));
	CHECK_STR(get("f", ACCESS), "u::rw-,g::r-x,m::r--,o::r--");
	CHECK_EQ(mode_of("f"), 0644);
}

TEST(the_size_of_a_value_is_told)
{
	struct value v;

	put_file("f", "x");
	CHECK_OK(set("f", ACCESS, "u::rw-,u:7:rwx,g::r--,m::rwx,o::---"));
	CHECK_EQ(getxattr("f", ACCESS, NULL, 0), 4 + 5 * 8);
	CHECK_ERRNO(getxattr("f", ACCESS, &v, 4 + 4 * 8), ERANGE);
	CHECK_ERRNO(getxattr("f", ACCESS, &v, 1), ERANGE);
}

TEST(values_that_make_no_sense_are_refused)
{
	static const char *const bad[] = {
		"u::rw-,g::r--", "g::r--,o::r--", "u::rw-,o::r--", "u::rw-,u::rw-,g::r--,o::r--",
		"u::rw-,u:7:r--,g::r--,o::r--",			/* no mask */
		"u::rw-,g::r--,g:7:r--,o::r--", "u::rw-,g::r--,u:7:r--,m::r--,o::r--",
		"g::r--,u::rw-,o::r--", "u::rw-,g::r--,o::r--,m::r--", "u::rw-,g::r--,m::r--,m::r--,o::r--",
		"u::rw-,g::r--,o::r--,o::r--", "u::rw-,u:4294967295:r--,g::r--,m::r--,o::r--",
	};
	struct value v;
	size_t n;

	put_file("f", "x");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_ERRNO(set("f", ACCESS, bad[i]), EINVAL);
	n = parse("u::rw-,g::r--,o::r--", &v);
	CHECK_ERRNO(setxattr("f", ACCESS, &v, n - 1, 0), EINVAL);
	CHECK_ERRNO(setxattr("f", ACCESS, &v, 3, 0), EINVAL);
	v.e[1].perm = 8;
	CHECK_ERRNO(setxattr("f", ACCESS, &v, n, 0), EINVAL);
	v.e[1] = (struct entry){ 3, 4, NOBODY };
	CHECK_ERRNO(setxattr("f", ACCESS, &v, n, 0), EINVAL);
	n = parse("u::rw-,g::r--,o::r--", &v);
	v.version = 1;
	CHECK_ERRNO(setxattr("f", ACCESS, &v, n, 0), EOPNOTSUPP);
	CHECK_ERRNO(setxattr("f", "system.posix_acl", &v, n, 0), EOPNOTSUPP);
	CHECK_ERRNO(setxattr("f", ACCESS "x", &v, n, 0), EOPNOTSUPP);
	CHECK_EQ(mode_of("f"), 0644);
	/* twice the same user is none of its business, and so are ids where there should be none */
	CHECK_OK(set("f", ACCESS, "u::rw-,u:7:r--,u:7:rw-,g::r--,m::rw-,o::r--"));
	n = parse("u::rw-,g::r--,m::rw-,o::---", &v);
	v.e[0].id = 7;
	CHECK_OK(setxattr("f", ACCESS, &v, n, 0));
	CHECK_STR(get("f", ACCESS), "u::rw-,g::r--,m::rw-,o::---");
}

TEST(a_value_without_entries_removes_the_list)
{
	struct value v = { .version = 2 };

	put_file("f", "x");
	CHECK_OK(set("f", ACCESS, "u::rw-,u:7:rwx,g::r--,m::rwx,o::---"));
	CHECK_OK(setxattr("f", ACCESS, &v, 4, 0));
	CHECK_STR(get("f", ACCESS), "");
	CHECK_EQ(mode_of("f"), 0670);
}

TEST(a_list_is_set_whatever_the_flags_say)
{
	struct value v;
	size_t n = parse("u::rw-,u:7:rwx,g::r--,m::rwx,o::---", &v);

	put_file("f", "x");
	CHECK_OK(setxattr("f", ACCESS, &v, n, XATTR_REPLACE));
	CHECK_OK(setxattr("f", ACCESS, &v, n, XATTR_CREATE));
	CHECK_ERRNO(setxattr("f", ACCESS, &v, n, 4), EINVAL);
}

TEST(removing_a_list_leaves_the_mode)
{
	put_file("f", "x");
	CHECK_OK(removexattr("f", ACCESS));
	CHECK_OK(removexattr("f", DEFAULT));
	CHECK_OK(set("f", ACCESS, "u::rw-,u:7:rwx,g::r--,m::rwx,o::---"));
	CHECK_OK(removexattr("f", ACCESS));
	CHECK_STR(get("f", ACCESS), "");
	CHECK(!is_listed("f", ACCESS));
	CHECK_EQ(mode_of("f"), 0670);
}

TEST(only_directories_have_a_default)
{
	put_file("f", "x");
	CHECK_OK(mkdir("d", 0700));
	CHECK_ERRNO(set("f", DEFAULT, "u::rw-,g::r--,o::r--"), EACCES);
	CHECK_ERRNO(getxattr("f", DEFAULT, NULL, 0), ENODATA);
	CHECK_OK(set("d", DEFAULT, "u::rw-,g::r--,o::r--"));
	CHECK_STR(get("d", DEFAULT), "u::rw-,g::r--,o::r--");
	CHECK_EQ(mode_of("d"), 0700);
	CHECK(is_listed("d", DEFAULT));
	CHECK_OK(removexattr("d", DEFAULT));
	CHECK_STR(get("d", DEFAULT), "");
}

TEST(symbolic_links_have_no_lists)
{
	struct value v;
	size_t n = parse("u::rw-,g::r--,o::r--", &v);

	CHECK_OK(symlink("nowhere", "l"));
	CHECK_ERRNO(lsetxattr("l", ACCESS, &v, n, 0), EOPNOTSUPP);
	CHECK_ERRNO(lgetxattr("l", ACCESS, &v, sizeof(v)), EOPNOTSUPP);
	CHECK_ERRNO(lremovexattr("l", ACCESS), EOPNOTSUPP);
}

TEST(fifos_and_sockets_have_lists)
{
	CHECK_OK(mkfifo("p", 0600));
	CHECK_OK(set("p", ACCESS, "u::rw-,u:7:rw-,g::---,m::rw-,o::---"));
	CHECK_EQ(mode_of("p"), 0660);
	CHECK_STR(get("p", ACCESS), "u::rw-,u:7:rw-,g::---,m::rw-,o::---");
}

TEST(a_list_belongs_to_the_file_and_not_to_its_name)
{
	const char *text = "u::rw-,u:7:rw-,g::---,m::rw-,o::---";
	int fd;

	put_file("f", "x");
	CHECK_OK(set("f", ACCESS, text));
	CHECK_OK(link("f", "g"));
	CHECK_OK(rename("f", "h"));
	CHECK_STR(get("g", ACCESS), text);
	CHECK_STR(get("h", ACCESS), text);
	fd = open("g", O_RDONLY);
	CHECK_OK(fremovexattr(fd, ACCESS));
	CHECK_STR(get("h", ACCESS), "");
}

TEST(changing_a_list_changes_the_time_of_the_inode)
{
	struct stat before, after;
	struct timespec little = { .tv_nsec = 20 * 1000 * 1000 };

	put_file("f", "x");
	CHECK_OK(stat("f", &before));
	nanosleep(&little, NULL);
	CHECK_OK(set("f", ACCESS, "u::rw-,u:7:rw-,g::---,m::rw-,o::---"));
	CHECK_OK(stat("f", &after));
	CHECK(after.st_ctim.tv_sec != before.st_ctim.tv_sec || after.st_ctim.tv_nsec != before.st_ctim.tv_nsec);
	CHECK(after.st_mtim.tv_sec == before.st_mtim.tv_sec && after.st_mtim.tv_nsec == before.st_mtim.tv_nsec);
}

/* -- chmod */

TEST(chmod_changes_the_mask)
{
	put_file("f", "x");
	CHECK_OK(set("f", ACCESS, "u::rw-,u:7:rwx,g::r-x,m::rwx,o::---"));
	CHECK_OK(chmod("f", 0704));
	CHECK_STR(get("f", ACCESS), "u::rwx,u:7:rwx,g::r-x,m::---,o::r--");
	CHECK_EQ(mode_of("f"), 0704);
	CHECK_OK(chmod("f", 0620));
	CHECK_STR(get("f", ACCESS), "u::rw-,u:7:rwx,g::r-x,m::-w-,o::---");
	CHECK_EQ(mode_of("f"), 0620);
}

TEST(chmod_leaves_the_default_alone)
{
	CHECK_OK(mkdir("d", 0755));
	CHECK_OK(set("d", DEFAULT, "u::rwx,u:7:rwx,g::r-x,m::rwx,o::---"));
	CHECK_OK(chmod("d", 0700));
	CHECK_STR(get("d", DEFAULT), "u::rwx,u:7:rwx,g::r-x,m::rwx,o::---");
	CHECK_STR(get("d", ACCESS), "");
}

TEST(chown_keeps_the_list)
{
	CHECK_ROOT();
	put_file("f", "x");
	CHECK_OK(set("f", ACCESS, "u::rwx,u:7:rwx,g::r-x,m::rwx,o::---"));
	CHECK_OK(chown("f", 1000, 1000));
	CHECK_STR(get("f", ACCESS), "u::rwx,u:7:rwx,g::r-x,m::rwx,o::---");
}

/* -- who may change lists */

TEST(only_the_owner_changes_lists)
{
	open_up();
	put_file("f", "x");
	CHECK_OK(chmod("f", 0666));
	CHECK_OK(mkdir("d", 0777));
	CHECK_OK(chmod("d", 0777));
	CHECK_OK(set("f", ACCESS, "u::rw-,u:7:rwx,g::rw-,m::rwx,o::rw-"));
	IN_CHILD({
		CHECK_OK(setresuid(1000, 1000, 1000));
		CHECK_ERRNO(set("f", ACCESS, "u::rw-,g::r--,o::r--"), EPERM);
		CHECK_ERRNO(removexattr("f", ACCESS), EPERM);
		CHECK_ERRNO(set("d", DEFAULT, "u::rw-,g::r--,o::r--"), EPERM);
		CHECK_ERRNO(set("f", DEFAULT, "u::rw-,g::r--,o::r--"), EACCES);
		/* everybody may look */
		CHECK_STR(get("f", ACCESS), "u::rw-,u:7:rwx,g::rw-,m::rwx,o::rw-");
	});
	CHECK_OK(chown("f", 1000, 0));
	CHECK_OK(chmod("f", 0));
	IN_CHILD({
		CHECK_OK(setresuid(1000, 1000, 1000));
		CHECK_OK(set("f", ACCESS, "u::rw-,u:8:rwx,g::rw-,m::rwx,o::rw-"));
	});
}

TEST(a_list_set_by_who_is_not_of_the_group_drops_set_group_id)
{
	open_up();
	put_file("f", "x");
	CHECK_OK(chown("f", 1000, 2000));
	CHECK_OK(chmod("f", 02755));
	IN_CHILD({
		CHECK_OK(setgroups(0, NULL));
		CHECK_OK(setresgid(1000, 1000, 1000));
		CHECK_OK(setresuid(1000, 1000, 1000));
		CHECK_OK(set("f", ACCESS, "u::rwx,u:8:rwx,g::r-x,m::rwx,o::r-x"));
	});
	CHECK_EQ(mode_of("f"), 0775);
}

/* -- who may do what */

TEST(named_users_have_what_entry_and_mask_grant)
{
	open_up();
	put_file("f", "x");
	CHECK_OK(chown("f", 500, 500));
	CHECK_OK(set("f", ACCESS, "u::r--,u:1000:rw-,u:1001:---,g::rw-,m::r--,o::rwx"));
	CHECK_EQ(may(1000, 1000, 0, "f", R_OK), 0);
	CHECK_EQ(may(1000, 1000, 0, "f", W_OK), EACCES);	/* the mask */
	CHECK_EQ(may(1000, 1000, 0, "f", X_OK), EACCES);	/* and not others' */
	CHECK_EQ(may(1001, 1001, 0, "f", R_OK), EACCES);
	CHECK_EQ(may(1001, 500, 0, "f", R_OK), EACCES);		/* the user comes before the group */
	CHECK_EQ(may(1002, 1002, 0, "f", R_OK | W_OK | X_OK), 0);
	CHECK_EQ(may(500, 500, 0, "f", R_OK), 0);
	CHECK_EQ(may(500, 500, 0, "f", W_OK), EACCES);
	CHECK_OK(set("f", ACCESS, "u::rw-,u:1000:rw-,g::---,m::rw-,o::---"));
	CHECK_EQ(may(1000, 1000, 0, "f", R_OK | W_OK), 0);
	CHECK_EQ(may(1002, 1002, 0, "f", R_OK), EACCES);
}

TEST(one_of_the_groups_has_to_grant_everything)
{
	open_up();
	put_file("f", "x");
	CHECK_OK(chown("f", 500, 500));
	CHECK_OK(set("f", ACCESS, "u::rwx,g::r--,g:600:-w-,g:601:---,m::rwx,o::rwx"));
	CHECK_EQ(may(1000, 500, 0, "f", R_OK), 0);
	CHECK_EQ(may(1000, 500, 0, "f", W_OK), EACCES);
	CHECK_EQ(may(1000, 500, 600, "f", W_OK), 0);
	CHECK_EQ(may(1000, 500, 600, "f", R_OK | W_OK), EACCES);
	CHECK_EQ(may(1000, 601, 0, "f", R_OK), EACCES);		/* found, so not others */
	CHECK_EQ(may(1000, 600, 601, "f", W_OK), 0);
	CHECK_EQ(may(1000, 1000, 0, "f", R_OK | W_OK | X_OK), 0);
	CHECK_OK(chmod("f", 0757));
	CHECK_EQ(may(1000, 600, 0, "f", W_OK), EACCES);		/* the mask */
	CHECK_EQ(may(1000, 500, 0, "f", R_OK), 0);
}

TEST(a_mode_without_group_bits_hides_the_list)
{
	open_up();
	put_file("f", "x");
	CHECK_OK(chown("f", 500, 500));
	CHECK_OK(set("f", ACCESS, "u::rw-,u:1000:rw-,g::rw-,m::rw-,o::r--"));
	CHECK_OK(chmod("f", 0604));
	/* as Linux has it: the list is not asked, and others' bits hold */
	CHECK_EQ(may(1000, 1000, 0, "f", R_OK), 0);
	CHECK_EQ(may(1000, 500, 0, "f", R_OK), EACCES);
}

TEST(directories_are_searched_by_whom_the_list_lets)
{
	open_up();
	CHECK_OK(mkdir("d", 0755));
	put_file("d/f", "x");
	CHECK_OK(chmod("d/f", 0644));
	CHECK_EQ(may(1000, 1000, 0, "d/f", R_OK), 0);
	CHECK_OK(set("d", ACCESS, "u::rwx,u:1000:---,g::r-x,m::r-x,o::r-x"));
	CHECK_EQ(mode_of("d"), 0755);
	CHECK_EQ(may(1000, 1000, 0, "d/f", R_OK), EACCES);
	CHECK_EQ(may(1001, 1001, 0, "d/f", R_OK), 0);
	CHECK_OK(removexattr("d", ACCESS));
	CHECK_EQ(may(1000, 1000, 0, "d/f", R_OK), 0);
	CHECK_OK(set("d", ACCESS, "u::rwx,u:1000:r-x,g::---,m::r-x,o::---"));
	CHECK_EQ(may(1000, 1000, 0, "d/f", R_OK), 0);
	CHECK_EQ(may(1001, 1001, 0, "d/f", R_OK), EACCES);
}

TEST(who_may_make_names_is_in_the_list_too)
{
	open_up();
	CHECK_OK(mkdir("d", 0755));
	CHECK_OK(set("d", ACCESS, "u::rwx,u:1000:rwx,g::r-x,m::rwx,o::r-x"));
	IN_CHILD({
		CHECK_OK(setresgid(1001, 1001, 1001));
		CHECK_OK(setresuid(1001, 1001, 1001));
		CHECK_ERRNO(mkdir("d/a", 0755), EACCES);
	});
	IN_CHILD({
		CHECK_OK(setresgid(1000, 1000, 1000));
		CHECK_OK(setresuid(1000, 1000, 1000));
		CHECK_OK(mkdir("d/a", 0755));
		CHECK_OK(rename("d/a", "d/b"));
		CHECK_OK(rmdir("d/b"));
	});
}

TEST(root_executes_what_somebody_may_execute)
{
	CHECK_ROOT();
	put_file("f", "x");
	CHECK_OK(set("f", ACCESS, "u::rw-,u:1000:rwx,g::r--,m::rw-,o::r--"));
	CHECK_ERRNO(access("f", X_OK), EACCES);
	CHECK_OK(chmod("f", 0670));
	CHECK_OK(access("f", X_OK));
	CHECK_OK(access("f", R_OK | W_OK));
}

/* -- inheritance */

static void make_with_default(const char *text)
{
	CHECK_OK(mkdir("d", 0755));
	CHECK_OK(set("d", DEFAULT, text));
}

TEST(new_files_get_the_default_and_the_mask_takes_off_nothing)
{
	const char *text = "u::rwx,u:7:rwx,g::r-x,m::rwx,o::r-x";
	int fd;

	make_with_default(text);
	umask(077);
	fd = open("d/f", O_CREAT | O_WRONLY, 0666);
	CHECK_OK(fd);
	CHECK_STR(get("d/f", ACCESS), "u::rw-,u:7:rwx,g::r-x,m::rw-,o::r--");
	CHECK_EQ(mode_of("d/f"), 0664);
	CHECK_STR(get("d/f", DEFAULT), "");
	CHECK_OK(mkdir("d/sub", 0770));
	CHECK_STR(get("d/sub", ACCESS), "u::rwx,u:7:rwx,g::r-x,m::rwx,o::---");
	CHECK_STR(get("d/sub", DEFAULT), text);
	CHECK_EQ(mode_of("d/sub"), 0770);
	CHECK_OK(mkfifo("d/p", 0640));
	CHECK_STR(get("d/p", ACCESS), "u::rw-,u:7:rwx,g::r-x,m::r--,o::---");
	CHECK_EQ(mode_of("d/p"), 0640);
	CHECK_OK(symlink("f", "d/l"));
	/* once more below, and where there is no default the mask counts */
	CHECK_OK(open("d/sub/f", O_CREAT | O_WRONLY, 0600));
	CHECK_STR(get("d/sub/f", ACCESS), "u::rw-,u:7:rwx,g::r-x,m::---,o::---");
	CHECK_OK(open("g", O_CREAT | O_WRONLY, 0666));
	CHECK_EQ(mode_of("g"), 0600);
}

TEST(a_default_that_says_no_more_than_a_mode_gives_one)
{
	make_with_default("u::rw-,g::rw-,o::r--");
	umask(077);
	CHECK_OK(open("d/f", O_CREAT | O_WRONLY, 0777));
	CHECK_EQ(mode_of("d/f"), 0664);
	CHECK_STR(get("d/f", ACCESS), "");
	CHECK_OK(mkdir("d/sub", 0777));
	CHECK_EQ(mode_of("d/sub"), 0664);
	CHECK_STR(get("d/sub", ACCESS), "");
	CHECK_STR(get("d/sub", DEFAULT), "u::rw-,g::rw-,o::r--");
}

TEST(files_without_names_get_the_default_too)
{
	char path[40];
	int fd;

	make_with_default("u::rwx,u:7:rwx,g::r-x,m::rwx,o::r-x");
	umask(077);
	fd = open("d", O_TMPFILE | O_RDWR, 0666);
	if (fd < 0 && errno == EOPNOTSUPP)
		SKIP("no O_TMPFILE here");
	CHECK_OK(fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK_STR(get(path, ACCESS), "u::rw-,u:7:rwx,g::r-x,m::rw-,o::r--");
	CHECK_OK(linkat(AT_FDCWD, path, AT_FDCWD, "d/f", AT_SYMLINK_FOLLOW));
	CHECK_STR(get("d/f", ACCESS), "u::rw-,u:7:rwx,g::r-x,m::rw-,o::r--");
}

TEST(what_is_removed_from_a_directory_is_not_inherited)
{
	make_with_default("u::rwx,u:7:rwx,g::r-x,m::rwx,o::r-x");
	CHECK_OK(removexattr("d", DEFAULT));
	umask(027);
	CHECK_OK(open("d/f", O_CREAT | O_WRONLY, 0666));
	CHECK_EQ(mode_of("d/f"), 0640);
	CHECK_STR(get("d/f", ACCESS), "");
}

TEST(many_attributes_and_lists_go_together)
{
	char name[32], big[150];

	CHECK_ROOT();
	memset(big, 'x', sizeof(big));
	CHECK_OK(mkdir("d", 0755));
	CHECK_OK(set("d", ACCESS, "u::rwx,u:7:rwx,g::r-x,m::rwx,o::r-x"));
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "trusted.%d", i);
		CHECK_OK(setxattr("d", name, big, sizeof(big), 0));
	}
	CHECK_OK(set("d", DEFAULT, "u::rwx,u:8:rwx,g::r-x,m::rwx,o::r-x"));
	CHECK_STR(get("d", ACCESS), "u::rwx,u:7:rwx,g::r-x,m::rwx,o::r-x");
	CHECK_STR(get("d", DEFAULT), "u::rwx,u:8:rwx,g::r-x,m::rwx,o::r-x");
	CHECK_OK(removexattr("d", "trusted.1"));
	CHECK_STR(get("d", ACCESS), "u::rwx,u:7:rwx,g::r-x,m::rwx,o::r-x");
	CHECK(is_listed("d", ACCESS) && is_listed("d", DEFAULT) && is_listed("d", "trusted.2"));
}

TEST(pseudo_file_systems_have_no_lists)
{
	struct value v;
	size_t n = parse("u::rw-,g::r--,o::r--", &v);

	CHECK_ERRNO(getxattr("/proc/version", ACCESS, &v, sizeof(v)), EOPNOTSUPP);
	CHECK_ERRNO(setxattr("/proc/version", ACCESS, &v, n, 0), EOPNOTSUPP);
}
