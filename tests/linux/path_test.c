/* SPDX-License-Identifier: MIT */
/* Path resolution: components, symlinks, slashes, limits, openat2. */

#include "helpers.h"

#include <dirent.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

TEST(dots_and_doubled_slashes_mean_nothing)
{
	CHECK_OK(mkdir("a", 0755));
	put_file("a/f", "x");
	CHECK_STR(get_file("./a/../a//.//f"), "x");
	CHECK_STR(get_file(".//a/./f"), "x");
}

TEST(dotdot_of_the_root_is_the_root)
{
	struct stat a, b;

	CHECK_OK(stat("/", &a));
	CHECK_OK(stat("/../..", &b));
	CHECK_EQ(a.st_ino, b.st_ino);
	CHECK_EQ(a.st_dev, b.st_dev);
}

TEST(a_slash_after_a_file_is_enotdir)
{
	struct stat st;

	put_file("f", "x");
	CHECK_ERRNO(open("f/", O_RDONLY), ENOTDIR);
	CHECK_ERRNO(open("f/.", O_RDONLY), ENOTDIR);
	CHECK_ERRNO(stat("f/..", &st), ENOTDIR);
	CHECK_ERRNO(unlink("f/"), ENOTDIR);
	CHECK_ERRNO(rename("f/", "g"), ENOTDIR);
	CHECK_ERRNO(rename("f", "g/"), ENOTDIR);
	CHECK_ERRNO(open("new/", O_CREAT | O_WRONLY, 0644), EISDIR);
	CHECK_ERRNO(link("f", "g/"), ENOENT);
	CHECK_ERRNO(symlink("f", "g/"), ENOENT);
}

TEST(a_slash_after_a_directory_is_fine)
{
	CHECK_OK(mkdir("d/", 0755));
	CHECK_OK(rename("d/", "e/"));
	CHECK_OK(rmdir("e/"));
}

TEST(an_empty_path_is_enoent)
{
	struct stat st;
	char buf[8];

	CHECK_ERRNO(open("", O_RDONLY), ENOENT);
	CHECK_ERRNO(stat("", &st), ENOENT);
	CHECK_ERRNO(mkdir("", 0755), ENOENT);
	CHECK_ERRNO(readlink("", buf, 8), ENOENT);
	CHECK_ERRNO(chdir(""), ENOENT);
}

TEST(names_have_255_bytes)
{
	char name[300];

	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	put_file(name, "1");
	CHECK_STR(get_file(name), "1");
	name[255] = 'n';
	name[256] = '\0';
	CHECK_ERRNO(open(name, O_CREAT | O_WRONLY, 0644), ENAMETOOLONG);
	CHECK_ERRNO(open(name, O_RDONLY), ENAMETOOLONG);
	CHECK_ERRNO(mkdir(name, 0755), ENAMETOOLONG);
	CHECK_ERRNO(rename(name, "x"), ENAMETOOLONG);
}

TEST(paths_have_4095_bytes)
{
	static char path[5000];

	memset(path, '/', sizeof(path));
	path[4095] = '\0';
	CHECK_OK(open(path, O_RDONLY));
	path[4095] = '/';
	path[4096] = '\0';
	CHECK_ERRNO(open(path, O_RDONLY), ENAMETOOLONG);
}

TEST(a_path_at_a_bad_address_is_efault)
{
	CHECK_ERRNO(open((char *)8, O_RDONLY), EFAULT);
	CHECK_ERRNO(syscall(SYS_open, (char *)-4096l, O_RDONLY), EFAULT);
}

TEST(symlinks_are_followed_in_the_middle_and_at_the_end)
{
	struct stat st;
	char buf[64];

	CHECK_OK(mkdir("d", 0755));
	put_file("d/f", "x");
	CHECK_OK(symlink("d", "l"));
	CHECK_OK(symlink("f", "d/lf"));
	CHECK_STR(get_file("l/f"), "x");
	CHECK_STR(get_file("l/lf"), "x");
	CHECK_OK(lstat("l", &st));
	CHECK(S_ISLNK(st.st_mode));
	CHECK_EQ(st.st_size, 1);
	CHECK_OK(lstat("l/", &st));
	CHECK(S_ISDIR(st.st_mode));
	CHECK_EQ(readlink("l", buf, sizeof(buf)), 1);
	CHECK_EQ(readlink("d/lf", buf, 1), 1);
	CHECK_ERRNO(readlink("d", buf, sizeof(buf)), EINVAL);
	CHECK_ERRNO(readlink("l/", buf, sizeof(buf)), EINVAL);
	CHECK_ERRNO(syscall(SYS_readlink, "l", buf, 0), EINVAL);
}

TEST(loops_are_eloop)
{
	CHECK_OK(symlink("b", "a"));
	CHECK_OK(symlink("a", "b"));
	CHECK_ERRNO(open("a", O_RDONLY), ELOOP);
	CHECK_ERRNO(open("a/x", O_RDONLY), ELOOP);
	CHECK_ERRNO(chdir("a"), ELOOP);
}

TEST(forty_symlinks_are_followed)
{
	char a[16], b[16];

	put_file("0", "end");
	for (int i = 1; i <= 41; i++) {
		snprintf(a, sizeof(a), "%d", i - 1);
		snprintf(b, sizeof(b), "%d", i);
		CHECK_OK(symlink(a, b));
	}
	CHECK_STR(get_file("40"), "end");
	CHECK_ERRNO(open("41", O_RDONLY), ELOOP);
}

TEST(creat_follows_a_dangling_symlink_unless_exclusive)
{
	CHECK_OK(symlink("target", "link"));
	CHECK_ERRNO(open("link", O_RDONLY), ENOENT);
	CHECK_ERRNO(open("link", O_CREAT | O_EXCL | O_WRONLY, 0644), EEXIST);
	put_file("link", "made");
	CHECK_STR(get_file("target"), "made");
	CHECK_ERRNO(mkdir("link", 0755), EEXIST);
}

TEST(nofollow_refuses_symlinks)
{
	int fd;
	struct stat st;

	put_file("f", "x");
	CHECK_OK(symlink("f", "l"));
	CHECK_ERRNO(open("l", O_RDONLY | O_NOFOLLOW), ELOOP);
	CHECK_OK(fd = open("l", O_PATH | O_NOFOLLOW));
	CHECK_OK(fstat(fd, &st));
	CHECK(S_ISLNK(st.st_mode));
	CHECK_ERRNO(open("l", O_RDONLY | O_DIRECTORY), ENOTDIR);
}

TEST(search_permission_is_needed_on_the_way)
{
	CHECK_ROOT();
	CHECK_OK(mkdir("d", 0755));
	put_file("d/f", "x");
	CHECK_OK(chmod("d", 0600));
	IN_CHILD({
		CHECK_OK(setresgid(1000, 1000, 1000));
		CHECK_OK(setresuid(1000, 1000, 1000));
		CHECK_ERRNO(open("d/f", O_RDONLY), EACCES);
		CHECK_ERRNO(chdir("d"), EACCES);
	});
	CHECK_STR(get_file("d/f"), "x");
}

TEST(relative_to_a_descriptor)
{
	struct stat st;
	int d, f;

	CHECK_OK(mkdir("d", 0755));
	put_file("d/f", "x");
	CHECK_OK(d = open("d", O_RDONLY | O_DIRECTORY));
	CHECK_OK(f = openat(d, "f", O_RDONLY));
	CHECK_ERRNO(openat(f, "x", O_RDONLY), ENOTDIR);
	CHECK_ERRNO(openat(150, "x", O_RDONLY), EBADF);
	CHECK_OK(openat(150, "/", O_RDONLY));
	CHECK_OK(fstatat(d, "f", &st, 0));
	CHECK_OK(fstatat(f, "", &st, AT_EMPTY_PATH));
	CHECK(S_ISREG(st.st_mode));
	CHECK_ERRNO(fstatat(f, "", &st, 0), ENOENT);
	CHECK_OK(mkdirat(d, "sub", 0755));
	CHECK_OK(renameat(d, "f", AT_FDCWD, "moved"));
	CHECK_OK(unlinkat(d, "sub", AT_REMOVEDIR));
	CHECK_ERRNO(unlinkat(d, "sub", 7), EINVAL);
	CHECK_STR(get_file("moved"), "x");
}

TEST(opath_names_a_file_and_no_more)
{
	char buf[8];
	struct stat st;
	int fd, again;
	char path[64];

	put_file("f", "text");
	CHECK_OK(fd = open("f", O_PATH));
	CHECK_ERRNO(read(fd, buf, 1), EBADF);
	CHECK_ERRNO(write(fd, buf, 1), EBADF);
	CHECK_ERRNO(fchmod(fd, 0600), EBADF);
	CHECK_ERRNO(ftruncate(fd, 0), EBADF);
	CHECK_ERRNO(ioctl(fd, 0x5401, buf), EBADF);
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_size, 4);
	CHECK_EQ(fcntl(fd, F_GETFL) & O_PATH, O_PATH);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK_OK(again = open(path, O_RDONLY));
	CHECK_EQ(read(again, buf, 8), 4);
}

TEST(chdir_fchdir_getcwd)
{
	char before[PATH_MAX], buf[PATH_MAX], want[PATH_MAX + 8];
	int d;

	CHECK(getcwd(before, sizeof(before)));
	CHECK_OK(mkdir("sub", 0755));
	CHECK_OK(d = open(".", O_RDONLY));
	CHECK_OK(chdir("sub"));
	snprintf(want, sizeof(want), "%s/sub", before);
	CHECK(getcwd(buf, sizeof(buf)));
	CHECK_STR(buf, want);
	CHECK_EQ(syscall(SYS_getcwd, buf, sizeof(buf)), strlen(want) + 1);
	CHECK_ERRNO(syscall(SYS_getcwd, buf, 3), ERANGE);
	CHECK_OK(fchdir(d));
	CHECK(getcwd(buf, sizeof(buf)));
	CHECK_STR(buf, before);
	CHECK_ERRNO(chdir("nothing"), ENOENT);
	put_file("f", "x");
	CHECK_ERRNO(chdir("f"), ENOTDIR);
}

TEST(a_removed_working_directory)
{
	char buf[100];

	CHECK_OK(mkdir("gone", 0755));
	CHECK_OK(chdir("gone"));
	CHECK_OK(rmdir("../gone"));
	CHECK_ERRNO(syscall(SYS_getcwd, buf, sizeof(buf)), ENOENT);
	CHECK_ERRNO(open("x", O_CREAT | O_WRONLY, 0644), ENOENT);
	CHECK_ERRNO(mkdir("x", 0755), ENOENT);
	CHECK_OK(open(".", O_RDONLY));
	CHECK_OK(chdir(".."));
}

TEST(renaming_a_directory_moves_who_is_in_it)
{
	char buf[PATH_MAX];

	CHECK_OK(mkdir("one", 0755));
	CHECK_OK(chdir("one"));
	CHECK_OK(rename("../one", "../two"));
	CHECK(getcwd(buf, sizeof(buf)));
	CHECK_STR(strrchr(buf, '/'), "/two");
}

TEST(chroot_is_a_ceiling)
{
	char buf[64];

	CHECK_ROOT();
	CHECK_OK(mkdir("jail", 0755));
	CHECK_OK(mkdir("jail/in", 0755));
	put_file("secret", "s");
	put_file("jail/inside", "i");
	CHECK_OK(symlink("/inside", "jail/link"));
	IN_CHILD({
		if (chroot("jail") < 0 && errno == EPERM)
			SKIP("no right to chroot");
		CHECK_OK(chdir("/in"));
		CHECK_EQ(syscall(SYS_getcwd, buf, sizeof(buf)), 4);
		CHECK_ERRNO(open("../../secret", O_RDONLY), ENOENT);
		CHECK_STR(get_file("../../inside"), "i");
		CHECK_STR(get_file("/link"), "i");
	});
}

static int openat2_(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags, .resolve = resolve };

	return (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

TEST(openat2_beneath_and_in_root)
{
	int d;

	CHECK_OK(mkdir("b", 0755));
	CHECK_OK(mkdir("b/c", 0755));
	put_file("b/f", "f");
	put_file("out", "o");
	CHECK_OK(symlink("/etc", "b/abs"));
	CHECK_OK(symlink("../out", "b/up"));
	CHECK_OK(symlink("c/../f", "b/ok"));
	CHECK_OK(d = open("b", O_PATH | O_DIRECTORY));
	CHECK_OK(openat2_(d, "f", O_RDONLY, RESOLVE_BENEATH));
	CHECK_OK(openat2_(d, "ok", O_RDONLY, RESOLVE_BENEATH));
	CHECK_ERRNO(openat2_(d, "abs", O_RDONLY, RESOLVE_BENEATH), EXDEV);
	CHECK_ERRNO(openat2_(d, "up", O_RDONLY, RESOLVE_BENEATH), EXDEV);
	CHECK_ERRNO(openat2_(d, "/", O_RDONLY, RESOLVE_BENEATH), EXDEV);
	CHECK_ERRNO(openat2_(d, "c/../../out", O_RDONLY, RESOLVE_BENEATH), EXDEV);
	CHECK_OK(openat2_(d, "/f", O_RDONLY, RESOLVE_IN_ROOT));
	CHECK_OK(openat2_(d, "../../f", O_RDONLY, RESOLVE_IN_ROOT));
	CHECK_ERRNO(openat2_(d, "up", O_RDONLY, RESOLVE_IN_ROOT), ENOENT);
	CHECK_ERRNO(openat2_(d, "ok", O_RDONLY, RESOLVE_NO_SYMLINKS), ELOOP);
	CHECK_ERRNO(openat2_(AT_FDCWD, "/proc/self/exe", O_RDONLY, RESOLVE_NO_MAGICLINKS), ELOOP);
	CHECK_ERRNO(openat2_(AT_FDCWD, "/proc/self", O_RDONLY, RESOLVE_NO_XDEV), EXDEV);
}

TEST(openat2_checks_what_open_ignores)
{
	struct open_how how = { .flags = O_RDONLY };
	struct { struct open_how how; uint64_t more; } larger = { .more = 0 };

	CHECK_ERRNO(openat2_(AT_FDCWD, ".", 1ull << 40, 0), EINVAL);
	CHECK_ERRNO(openat2_(AT_FDCWD, ".", O_RDONLY, 1ull << 40), EINVAL);
	CHECK_ERRNO(openat2_(AT_FDCWD, ".", O_RDONLY, RESOLVE_BENEATH | RESOLVE_IN_ROOT), EINVAL);
	how.mode = 0600;
	CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof(how)), EINVAL);
	CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, ".", &how, 8), EINVAL);
	CHECK_OK(syscall(SYS_openat2, AT_FDCWD, ".", &larger, sizeof(larger)));
	larger.more = 1;
	CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, ".", &larger, sizeof(larger)), E2BIG);
}

TEST(proc_self_fd_leads_to_the_file_even_without_name)
{
	char path[64], buf[PATH_MAX];
	int fd, again;
	ssize_t n;

	put_file("f", "data");
	CHECK_OK(fd = open("f", O_RDONLY));
	CHECK_OK(unlink("f"));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK_OK(again = open(path, O_RDONLY));
	CHECK_EQ(read(again, buf, 10), 4);
	n = readlink(path, buf, sizeof(buf) - 1);
	CHECK(n > 10);
	buf[n] = '\0';
	CHECK_STR(buf + n - 10, " (deleted)");
}
