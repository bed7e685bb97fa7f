/* SPDX-License-Identifier: MIT */
/* Attributes: stat, modes, owners, times, access, extended attributes, statfs. */

#include "helpers.h"

#include <linux/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <utime.h>

static struct stat get(const char *path)
{
	struct stat st;

	CHECK_OK(lstat(path, &st));
	return st;
}

static void become_user(void)
{
	CHECK_OK(setresgid(1000, 1000, 1000));
	CHECK_OK(setresuid(1000, 1000, 1000));
}

TEST(stat_of_a_new_file)
{
	struct stat st;
	time_t now = time(NULL);

	put_file("f", "hello");
	st = get("f");
	CHECK(S_ISREG(st.st_mode));
	CHECK_EQ(st.st_size, 5);
	CHECK_EQ(st.st_nlink, 1);
	CHECK_EQ(st.st_uid, geteuid());
	CHECK(st.st_blksize >= 512);
	CHECK(st.st_mtime >= now - 2 && st.st_mtime <= now + 2);
	CHECK(st.st_ino != 0);
	CHECK_ERRNO(stat("none", &st), ENOENT);
	CHECK_ERRNO(stat("f", (struct stat *)8), EFAULT);
	CHECK_ERRNO(fstat(150, &st), EBADF);
}

TEST(fstatat_flags)
{
	struct stat st;

	put_file("f", "x");
	CHECK_OK(symlink("f", "l"));
	CHECK_OK(fstatat(AT_FDCWD, "l", &st, AT_SYMLINK_NOFOLLOW));
	CHECK(S_ISLNK(st.st_mode));
	CHECK_OK(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH));
	CHECK(S_ISDIR(st.st_mode));
	CHECK_ERRNO(syscall(SYS_newfstatat, AT_FDCWD, "f", &st, 0x10000), EINVAL);
}

TEST(statx_agrees_with_stat)
{
	struct statx x;
	struct stat st;

	put_file("f", "hello");
	CHECK_OK(syscall(SYS_statx, AT_FDCWD, "f", 0, STATX_BASIC_STATS, &x));
	st = get("f");
	CHECK_EQ(x.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
	CHECK_EQ(x.stx_size, st.st_size);
	CHECK_EQ(x.stx_ino, st.st_ino);
	CHECK_EQ(x.stx_mode, st.st_mode);
	CHECK_EQ(x.stx_mtime.tv_sec, st.st_mtim.tv_sec);
	CHECK_EQ(x.stx_mtime.tv_nsec, st.st_mtim.tv_nsec);
	CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, "f", 0, 0x80000000u, &x), EINVAL);
	CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, "f", 0x6000, 0, &x), EINVAL);
}

TEST(chmod_by_path_and_descriptor)
{
	int fd;

	put_file("f", "x");
	CHECK_OK(chmod("f", 07654));
	CHECK_EQ(get("f").st_mode & 07777, 07654);
	CHECK_OK(fd = open("f", O_RDONLY));
	CHECK_OK(fchmod(fd, 0600));
	CHECK_EQ(get("f").st_mode & 07777, 0600);
	CHECK_OK(symlink("f", "l"));
	CHECK_OK(chmod("l", 0640));
	CHECK_EQ(get("f").st_mode & 07777, 0640);
	CHECK_ERRNO(chmod("none", 0600), ENOENT);
}

TEST(only_the_owner_changes_the_mode)
{
	CHECK_ROOT();
	put_file("f", "x");
	IN_CHILD({
		become_user();
		CHECK_ERRNO(chmod("f", 0777), EPERM);
	});
	CHECK_OK(chown("f", 1000, 0));
	IN_CHILD({
		become_user();
		CHECK_OK(chmod("f", 02711));
	});
	/* not a member of the file's group: set-group-ID is left out */
	CHECK_EQ(get("f").st_mode & 07777, 0711);
}

TEST(chown_by_root)
{
	struct stat st;

	CHECK_ROOT();
	put_file("f", "x");
	CHECK_OK(symlink("f", "l"));
	CHECK_OK(chown("f", 12, 34));
	st = get("f");
	CHECK(st.st_uid == 12 && st.st_gid == 34);
	CHECK_OK(chown("f", -1, 56));
	st = get("f");
	CHECK(st.st_uid == 12 && st.st_gid == 56);
	CHECK_OK(lchown("l", 7, 8));
	CHECK_EQ(get("l").st_uid, 7);
	CHECK_EQ(get("f").st_uid, 12);
	CHECK_OK(fchownat(AT_FDCWD, "l", 9, 9, AT_SYMLINK_NOFOLLOW));
	CHECK_EQ(get("l").st_uid, 9);
	CHECK_ERRNO(fchownat(AT_FDCWD, "l", 9, 9, 0x4000), EINVAL);
}

TEST(chown_drops_set_user_id)
{
	CHECK_ROOT();
	put_file("f", "x");
	CHECK_OK(chmod("f", 06755));
	CHECK_OK(chown("f", 1000, 1000));
	CHECK_EQ(get("f").st_mode & 07777, 0755);
	/* set-group-ID without group execution marks something else: it stays */
	CHECK_OK(chmod("f", 02745));
	CHECK_OK(chown("f", 1001, 1000));
	CHECK_EQ(get("f").st_mode & 07777, 02745);
}

TEST(others_may_not_give_files_away)
{
	CHECK_ROOT();
	put_file("f", "x");
	CHECK_OK(chown("f", 1000, 1000));
	IN_CHILD({
		become_user();
		CHECK_ERRNO(chown("f", 1001, -1), EPERM);
		CHECK_ERRNO(chown("f", -1, 5), EPERM);
		CHECK_OK(chown("f", 1000, 1000));
		CHECK_OK(chown("f", -1, -1));
	});
}

TEST(utimensat_sets_keeps_and_takes_now)
{
	struct timespec ts[2] = { { 1000000000, 5 }, { 2000000000, 999999999 } };
	struct stat st;

	put_file("f", "x");
	CHECK_OK(utimensat(AT_FDCWD, "f", ts, 0));
	st = get("f");
	CHECK_EQ(st.st_atim.tv_sec, 1000000000);
	CHECK_EQ(st.st_mtim.tv_sec, 2000000000);
	CHECK_EQ(st.st_mtim.tv_nsec, 999999999);
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1].tv_nsec = UTIME_NOW;
	CHECK_OK(utimensat(AT_FDCWD, "f", ts, 0));
	st = get("f");
	CHECK_EQ(st.st_atim.tv_sec, 1000000000);
	CHECK(st.st_mtim.tv_sec != 2000000000);
	ts[0].tv_nsec = 1000000000;
	CHECK_ERRNO(utimensat(AT_FDCWD, "f", ts, 0), EINVAL);
	CHECK_OK(symlink("f", "l"));
	ts[0] = ts[1] = (struct timespec){ 77, 0 };
	CHECK_OK(utimensat(AT_FDCWD, "l", ts, AT_SYMLINK_NOFOLLOW));
	CHECK_EQ(get("l").st_mtim.tv_sec, 77);
	CHECK(get("f").st_mtim.tv_sec != 77);
	CHECK_OK(futimens(open("f", O_RDONLY), ts));
	CHECK_EQ(get("f").st_mtim.tv_sec, 77);
}

TEST(utime_utimes)
{
	struct utimbuf u = { 11, 22 };
	struct timeval tv[2] = { { 33, 500000 }, { 44, 0 } };

	put_file("f", "x");
	CHECK_OK(utime("f", &u));
	CHECK_EQ(get("f").st_mtim.tv_sec, 22);
	CHECK_OK(syscall(SYS_utimes, "f", tv));
	CHECK_EQ(get("f").st_atim.tv_nsec, 500000000);
	tv[0].tv_usec = 1000000;
	CHECK_ERRNO(syscall(SYS_utimes, "f", tv), EINVAL);
	CHECK_OK(utime("f", NULL));
	CHECK(get("f").st_mtim.tv_sec > 1000);
}

TEST(who_may_set_times)
{
	struct timespec ts[2] = { { 1, 0 }, { 1, 0 } };

	CHECK_ROOT();
	put_file("f", "x");
	CHECK_OK(chmod("f", 0666));
	put_file("g", "x");
	IN_CHILD({
		become_user();
		CHECK_ERRNO(utimensat(AT_FDCWD, "f", ts, 0), EPERM);
		CHECK_OK(utimensat(AT_FDCWD, "f", NULL, 0));
		CHECK_ERRNO(utimensat(AT_FDCWD, "g", NULL, 0), EACCES);
	});
}

TEST(what_changes_which_time)
{
	struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };
	struct stat st;

	put_file("f", "x");
	CHECK_OK(utimensat(AT_FDCWD, "f", old, 0));
	CHECK_OK(chmod("f", 0600));
	CHECK_EQ(get("f").st_mtim.tv_sec, 1000);
	put_file("f", "y");
	CHECK(get("f").st_mtim.tv_sec > 1000);
	CHECK_OK(mkdir("d", 0755));
	CHECK_OK(utimensat(AT_FDCWD, "d", old, 0));
	put_file("d/f", "x");
	CHECK(get("d").st_mtim.tv_sec > 1000);
	CHECK_OK(utimensat(AT_FDCWD, "d", old, 0));
	CHECK_OK(unlink("d/f"));
	st = get("d");
	CHECK(st.st_mtim.tv_sec > 1000 && st.st_ctim.tv_sec > 1000);
}

TEST(access_uses_the_real_user)
{
	CHECK_ROOT();
	put_file("f", "x");
	CHECK_OK(chmod("f", 0600));
	CHECK_OK(access("f", R_OK | W_OK));
	CHECK_ERRNO(access("f", X_OK), EACCES);
	CHECK_ERRNO(access("none", F_OK), ENOENT);
	CHECK_ERRNO(access("f", 8), EINVAL);
	IN_CHILD({
		CHECK_OK(setresgid(1000, 0, 0));
		CHECK_OK(setresuid(1000, 0, 0));
		CHECK_ERRNO(access("f", R_OK), EACCES);
		CHECK_OK(syscall(SYS_faccessat2, AT_FDCWD, "f", R_OK, AT_EACCESS));
		CHECK_OK(open("f", O_RDONLY));
	});
}

TEST(permission_bits_by_class)
{
	CHECK_ROOT();
	put_file("f", "x");
	CHECK_OK(chown("f", 1000, 2000));
	CHECK_OK(chmod("f", 0077));
	IN_CHILD({
		become_user();
		/* the owner's bits count for the owner, even if others have more */
		CHECK_ERRNO(open("f", O_RDONLY), EACCES);
	});
	CHECK_OK(chmod("f", 0707));
	IN_CHILD({
		gid_t groups[] = { 2000 };

		if (syscall(SYS_setgroups, 1, groups) < 0)
			SKIP("no setgroups");
		CHECK_OK(setresgid(1001, 1001, 1001));
		CHECK_OK(setresuid(1001, 1001, 1001));
		CHECK_ERRNO(open("f", O_RDONLY), EACCES);
	});
}

static void need_xattrs(void)
{
	put_file("f", "x");
	if (setxattr("f", "user.a", "value", 5, 0) < 0 && errno == EOPNOTSUPP)
		SKIP("no extended attributes here");
}

TEST(xattrs_are_set_read_listed_removed)
{
	char buf[64];

	need_xattrs();
	CHECK_EQ(getxattr("f", "user.a", buf, sizeof(buf)), 5);
	CHECK(!memcmp(buf, "value", 5));
	CHECK_EQ(getxattr("f", "user.a", NULL, 0), 5);
	CHECK_ERRNO(getxattr("f", "user.a", buf, 2), ERANGE);
	CHECK_ERRNO(getxattr("f", "user.none", buf, 2), ENODATA);
	CHECK_OK(setxattr("f", "user.b", "", 0, 0));
	CHECK_EQ(listxattr("f", buf, sizeof(buf)), 14);
	CHECK_ERRNO(listxattr("f", buf, 3), ERANGE);
	CHECK_OK(removexattr("f", "user.a"));
	CHECK_ERRNO(removexattr("f", "user.a"), ENODATA);
	CHECK_EQ(fgetxattr(open("f", O_RDONLY), "user.b", buf, 1), 0);
}

TEST(xattr_flags_and_errors)
{
	static char big[70000];

	need_xattrs();
	CHECK_ERRNO(setxattr("f", "user.a", "v", 1, XATTR_CREATE), EEXIST);
	CHECK_ERRNO(setxattr("f", "user.n", "v", 1, XATTR_REPLACE), ENODATA);
	CHECK_ERRNO(setxattr("f", "user.n", "v", 1, 77), EINVAL);
	CHECK_ERRNO(setxattr("f", "user.n", big, sizeof(big), 0), E2BIG);
	CHECK_ERRNO(setxattr("f", "bogus.n", "v", 1, 0), EOPNOTSUPP);
	CHECK_ERRNO(setxattr("f", "", "v", 1, 0), ERANGE);
	CHECK_OK(symlink("f", "l"));
	CHECK_ERRNO(lsetxattr("l", "user.n", "v", 1, 0), EPERM);
	CHECK_OK(setxattr("l", "user.n", "v", 1, 0));
	CHECK_EQ(getxattr("f", "user.n", NULL, 0), 1);
}

TEST(statfs_of_the_file_system)
{
	struct statfs a, b;

	put_file("f", "x");
	CHECK_OK(statfs(".", &a));
	CHECK_OK(fstatfs(open("f", O_RDONLY), &b));
	CHECK_EQ(a.f_type, b.f_type);
	CHECK(a.f_bsize > 0);
	CHECK(a.f_namelen >= 255);
	CHECK_ERRNO(statfs("none", &a), ENOENT);
	CHECK_OK(statfs("/proc", &a));
	CHECK_EQ(a.f_type, 0x9fa0);
}
