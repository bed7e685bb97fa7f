/* SPDX-License-Identifier: MIT */
/*
 * The VFS and tmpfs in the host rig, through the system call handlers.
 */
#include "test/host/rig_test.h"

#include <asm/stat.h>
#include <linux/fs.h>
#include <linux/inotify.h>
#include <linux/falloc.h>
#include <linux/openat2.h>

#define self rig_self()
#define P rig_str

/* With RIG_ROOT=overlay everything happens in an overlay of two layers instead of the rootfs. */
static void begin(void)
{
	static bool done;
	const char *root = getenv("RIG_ROOT");

	rig_start();
	rig_reset();
	rig_become(0, 0);
	if (done || !root)
		return;
	done = true;
	lx_do_mkdir(self, "/lower", 0755);
	lx_do_mkdir(self, "/rw", 0755);
	lx_do_mkdir(self, "/new", 0755);
	if (lx_do_mount(self, "t", "/rw", "tmpfs", 0, NULL))
		abort();
	lx_do_mkdir(self, "/rw/u", 0755);
	lx_do_mkdir(self, "/rw/w", 0755);
	if (lx_do_mount(self, "o", "/new", "overlay", 0,
			"lowerdir=/lower,upperdir=/rw/u,workdir=/rw/w") ||
	    lx_sys_chroot(self, rig_str("/new")) || lx_sys_chdir(self, rig_str("/")))
		abort();
}

static long sys_open(const char *path, int flags, unsigned int mode)
{
	return lx_sys_open(self, P(path), flags, mode);
}

static struct stat st_of(const char *path, long *err)
{
	uaddr_t u = rig_user(sizeof(struct stat));

	*err = lx_sys_lstat(self, P(path), u);
	return *(struct stat *)rig_ptr(u);
}

TEST(files_are_written_and_read)
{
	begin();
	CHECK_EQ(rig_put_file("/a", "hello"), 5);
	CHECK_STR(rig_get_file("/a"), "hello");
	CHECK_EQ(lx_sys_unlink(self, P("/a")), 0);
	CHECK_EQ(sys_open("/a", O_RDONLY, 0), -ENOENT);
	CHECK_EQ(lx_sys_unlink(self, P("/a")), -ENOENT);
}

TEST(descriptors_are_lowest_free)
{
	long a, b, c;

	begin();
	a = sys_open("/", O_RDONLY, 0);
	b = sys_open("/", O_RDONLY, 0);
	CHECK_EQ(b, a + 1);
	lx_sys_close(self, (int)a);
	c = lx_sys_dup(self, (int)b);
	CHECK_EQ(c, a);
	CHECK_EQ(lx_sys_dup3(self, (int)a, (int)a, 0), -EINVAL);
	CHECK_EQ(lx_sys_dup2(self, (int)a, 700), 700);
	CHECK_EQ(lx_sys_fcntl(self, 700, F_GETFD, 0), 0);
	CHECK_EQ(lx_sys_close_range(self, 0, ~0u, 0), 0);
	CHECK_EQ(lx_sys_close(self, 700), -EBADF);
	CHECK_EQ(lx_sys_close(self, -1), -EBADF);
	rig_set_rlimit(7, 3);
	CHECK_EQ(sys_open("/", O_RDONLY, 0), 0);
	CHECK_EQ(sys_open("/", O_RDONLY, 0), 1);
	CHECK_EQ(sys_open("/", O_RDONLY, 0), 2);
	CHECK_EQ(sys_open("/", O_RDONLY, 0), -EMFILE);
	rig_set_rlimit(7, 1024);
	lx_sys_close_range(self, 0, ~0u, 0);
}

TEST(paths_with_dots_slashes_and_links)
{
	long err;

	begin();
	CHECK_EQ(lx_sys_mkdir(self, P("/p"), 0755), 0);
	CHECK_EQ(lx_sys_mkdir(self, P("/p/q/"), 0755), 0);
	CHECK_EQ(rig_put_file("/p/q/f", "x"), 1);
	CHECK_STR(rig_get_file("//p/./q/../q//f"), "x");
	CHECK_EQ(sys_open("/p/q/f/", O_RDONLY, 0), -ENOTDIR);
	CHECK_EQ(sys_open("/p/q/f/.", O_RDONLY, 0), -ENOTDIR);
	CHECK_EQ(sys_open("/p/nope/f", O_RDONLY, 0), -ENOENT);
	CHECK_EQ(sys_open("", O_RDONLY, 0), -ENOENT);
	CHECK_EQ(sys_open("/p/new/", O_CREAT | O_WRONLY, 0644), -EISDIR);
	CHECK_EQ(lx_sys_symlink(self, P("q"), P("/p/rel")), 0);
	CHECK_EQ(lx_sys_symlink(self, P("/p/rel/"), P("/p/abs")), 0);
	CHECK_STR(rig_get_file("/p/abs/f"), "x");
	CHECK_EQ((st_of("/p/abs", &err).st_mode & S_IFMT), S_IFLNK);
	CHECK_EQ((st_of("/p/abs/", &err).st_mode & S_IFMT), S_IFDIR);
	CHECK_EQ(sys_open("/p/abs", O_RDONLY | O_NOFOLLOW, 0), -ELOOP);
	CHECK_EQ(lx_sys_symlink(self, P("loop"), P("/p/loop")), 0);
	CHECK_EQ(sys_open("/p/loop", O_RDONLY, 0), -ELOOP);
	CHECK_EQ(sys_open("/p/loop/x", O_RDONLY, 0), -ELOOP);
	CHECK_EQ(lx_sys_symlink(self, P("made"), P("/p/dangling")), 0);
	CHECK_EQ(rig_put_file("/p/dangling", "made it"), 7);
	CHECK_STR(rig_get_file("/p/made"), "made it");
	CHECK_EQ(sys_open("/p/dangling", O_CREAT | O_EXCL | O_WRONLY, 0600), -EEXIST);
	CHECK_EQ(lx_sys_symlink(self, P("/"), P("/p/top")), 0);
	CHECK_STR(rig_get_file("/p/top/p/q/f"), "x");
}

TEST(forty_links_are_followed_and_no_more)
{
	char a[32], b[32];

	begin();
	lx_sys_mkdir(self, P("/links"), 0755);
	rig_put_file("/links/0", "end");
	for (int i = 1; i <= 41; i++) {
		snprintf(a, sizeof(a), "%d", i - 1);
		snprintf(b, sizeof(b), "/links/%d", i);
		CHECK_EQ(lx_sys_symlink(self, P(a), P(b)), 0);
	}
	CHECK_STR(rig_get_file("/links/40"), "end");
	CHECK_EQ(sys_open("/links/41", O_RDONLY, 0), -ELOOP);
}

TEST(names_have_limits)
{
	char name[300] = "/", path[5000];

	begin();
	memset(name + 1, 'n', 255);
	name[256] = '\0';
	CHECK_EQ(rig_put_file(name, "1"), 1);
	CHECK_STR(rig_get_file(name), "1");
	name[256] = 'n';
	name[257] = '\0';
	CHECK_EQ(rig_put_file(name, "1"), -ENAMETOOLONG);
	CHECK_EQ(lx_sys_mkdir(self, P(name), 0755), -ENAMETOOLONG);
	memset(path, '/', sizeof(path));
	path[4095] = '\0';
	CHECK(sys_open(path, O_RDONLY, 0) >= 0);
	path[4095] = '/';
	path[4096] = '\0';
	CHECK_EQ(sys_open(path, O_RDONLY, 0), -ENAMETOOLONG);
	lx_sys_close_range(self, 0, ~0u, 0);
}

TEST(a_path_that_crosses_an_absent_page_is_read)
{
	uaddr_t u;

	begin();
	rig_put_file("/cross", "yes");
	u = rig_user(3 * 4096);
	u.v = (u.v + 4095) & ~4095ull;
	strcpy(rig_ptr(uaddr(u.v + 4093)), "/cross");
	rig_absent(uaddr(u.v + 4096), 1);
	CHECK(lx_sys_open(self, uaddr(u.v + 4093), O_RDONLY, 0) >= 0);
	rig_forbid(uaddr(u.v + 4096), 1);
	CHECK_EQ(lx_sys_open(self, uaddr(u.v + 4093), O_RDONLY, 0), -EFAULT);
	lx_sys_close_range(self, 0, ~0u, 0);
}

TEST(copies_go_on_after_faults_with_no_lock_held)
{
	uaddr_t u;
	long fd;
	unsigned int before;

	begin();
	u = rig_user(6 * 4096);
	u.v = (u.v + 4095) & ~4095ull;
	memset(rig_ptr(u), 'w', 4 * 4096);
	rig_absent(uaddr(u.v + 4096), 2 * 4096);
	before = rig_faults();
	fd = sys_open("/faulty", O_CREAT | O_RDWR, 0644);
	CHECK_EQ(lx_sys_write(self, (int)fd, uaddr(u.v + 100), 3 * 4096), 3 * 4096);
	CHECK_EQ(rig_faults(), before + 2);
	rig_absent(uaddr(u.v + 4096), 4096);
	CHECK_EQ(lx_sys_pread64(self, (int)fd, u, 3 * 4096, 0), 3 * 4096);
	rig_forbid(uaddr(u.v + 8192), 1);
	CHECK_EQ(lx_sys_pread64(self, (int)fd, uaddr(u.v + 4096), 3 * 4096, 0), 4096);
	CHECK_EQ(lx_sys_pread64(self, (int)fd, uaddr(u.v + 8192), 4096, 0), -EFAULT);
	CHECK_EQ(lx_sys_pwrite64(self, (int)fd, uaddr(u.v + 8192), 4096, 0), -EFAULT);
	lx_sys_close(self, (int)fd);
}

TEST(unlinked_files_live_while_open)
{
	uaddr_t u;
	long fd, err;
	unsigned int objects;

	begin();
	objects = rig_memory_objects();
	fd = sys_open("/gone", O_CREAT | O_RDWR, 0644);
	CHECK_EQ(lx_sys_write(self, (int)fd, P("data"), 4), 4);
	CHECK_EQ(lx_sys_unlink(self, P("/gone")), 0);
	st_of("/gone", &err);
	CHECK_EQ(err, -ENOENT);
	u = rig_user(8);
	CHECK_EQ(lx_sys_pread64(self, (int)fd, u, 8, 0), 4);
	CHECK(!memcmp(rig_ptr(u), "data", 4));
	lx_sys_close(self, (int)fd);
	CHECK_EQ(rig_memory_objects(), objects);
}

TEST(rename_replaces_exchanges_and_refuses)
{
	long err;

	begin();
	lx_sys_mkdir(self, P("/r"), 0755);
	lx_sys_mkdir(self, P("/r/d"), 0755);
	lx_sys_mkdir(self, P("/r/d/e"), 0755);
	rig_put_file("/r/a", "A");
	rig_put_file("/r/b", "B");
	CHECK_EQ(lx_sys_rename(self, P("/r/a"), P("/r/b")), 0);
	CHECK_STR(rig_get_file("/r/b"), "A");
	CHECK_EQ(sys_open("/r/a", O_RDONLY, 0), -ENOENT);
	CHECK_EQ(lx_sys_rename(self, P("/r/d"), P("/r/d/e/f")), -EINVAL);
	CHECK_EQ(lx_sys_rename(self, P("/r/d/e"), P("/r/d")), -ENOTEMPTY);
	CHECK_EQ(lx_sys_rename(self, P("/r/b"), P("/r/d")), -EISDIR);
	CHECK_EQ(lx_sys_rename(self, P("/r/d"), P("/r/b")), -ENOTDIR);
	rig_put_file("/r/c", "C");
	CHECK_EQ(lx_sys_renameat2(self, AT_FDCWD, P("/r/b"), AT_FDCWD, P("/r/c"), RENAME_NOREPLACE),
		 -EEXIST);
	CHECK_EQ(lx_sys_renameat2(self, AT_FDCWD, P("/r/b"), AT_FDCWD, P("/r/d"), RENAME_EXCHANGE), 0);
	CHECK_STR(rig_get_file("/r/d"), "A");
	CHECK_EQ(st_of("/r/b/e", &err).st_nlink, 2);
	if (getenv("RIG_ROOT")) {	/* an overlay keeps whiteouts for itself */
		CHECK_EQ(lx_sys_renameat2(self, AT_FDCWD, P("/r/c"), AT_FDCWD, P("/r/b/e/c2"),
					  RENAME_WHITEOUT), -EINVAL);
		lx_sys_rename(self, P("/r/c"), P("/r/b/e/c2"));
	} else {
		CHECK_EQ(lx_sys_renameat2(self, AT_FDCWD, P("/r/c"), AT_FDCWD, P("/r/b/e/c2"),
					  RENAME_WHITEOUT), 0);
		CHECK_EQ(st_of("/r/c", &err).st_mode & S_IFMT, S_IFCHR);
	}
	CHECK_STR(rig_get_file("/r/b/e/c2"), "C");
	CHECK_EQ(lx_sys_rename(self, P("/r/b/e"), P("/r/e")), 0);
	CHECK_STR(rig_get_file("/r/e/c2"), "C");
	CHECK_EQ(st_of("/r", &err).st_nlink, 4);
	CHECK_EQ(st_of("/r/b", &err).st_nlink, 2);
	CHECK_EQ(lx_sys_rename(self, P("/r/e/c2"), P("/r/./e/.")), -EBUSY);
	CHECK_EQ(lx_sys_link(self, P("/r/d"), P("/r/dd")), 0);
	CHECK_EQ(lx_sys_rename(self, P("/r/d"), P("/r/dd")), 0);
	CHECK_EQ(st_of("/r/d", &err).st_nlink, 2);	/* both still there */
}

TEST(directories_that_were_removed_stay_empty)
{
	long fd;

	begin();
	lx_sys_mkdir(self, P("/x"), 0755);
	fd = sys_open("/x", O_RDONLY | O_DIRECTORY, 0);
	CHECK_EQ(lx_sys_chdir(self, P("/x")), 0);
	CHECK_EQ(lx_sys_rmdir(self, P("/x")), 0);
	CHECK_EQ(sys_open("y", O_CREAT | O_WRONLY, 0644), -ENOENT);
	CHECK_EQ(lx_sys_mkdir(self, P("y"), 0755), -ENOENT);
	CHECK_EQ(lx_sys_getcwd(self, rig_user(100), 100), -ENOENT);
	CHECK_EQ(lx_sys_getdents64(self, (int)fd, rig_user(1000), 1000), -ENOENT);
	CHECK_EQ(lx_sys_chdir(self, P("..")), 0);
	lx_sys_close(self, (int)fd);
	lx_sys_chdir(self, P("/"));
	CHECK_EQ(lx_sys_rmdir(self, P("/.")), -EINVAL);
	CHECK_EQ(lx_sys_rmdir(self, P("/")), -EBUSY);
}

/* The names in a directory, sorted as they come, joined by blanks. */
static const char *list(const char *path, unsigned int chunk)
{
	static char out[65536];
	long fd = sys_open(path, O_RDONLY | O_DIRECTORY, 0), n;
	uaddr_t u = rig_user(chunk);

	out[0] = '\0';
	while ((n = lx_sys_getdents64(self, (int)fd, u, chunk)) > 0) {
		for (long i = 0; i < n;) {
			char *e = (char *)rig_ptr(u) + i;

			strcat(out, e + 19);
			strcat(out, " ");
			i += *(unsigned short *)(e + 16);
		}
	}
	if (n < 0)
		snprintf(out, sizeof(out), "error %ld", n);
	lx_sys_close(self, (int)fd);
	return out;
}

TEST(listing_goes_on_where_it_was)
{
	char name[32];

	begin();
	lx_sys_mkdir(self, P("/l"), 0755);
	CHECK_STR(list("/l", 100), ". .. ");
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "/l/f%d", i);
		rig_put_file(name, "");
	}
	CHECK_EQ(strlen(list("/l", 64)), strlen(list("/l", 32768)));
	CHECK(strstr(list("/l", 64), "f49"));
	CHECK_STR(list("/l", 10), "error -22");
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "/l/f%d", i);
		lx_sys_unlink(self, P(name));
	}
	CHECK_STR(list("/l", 100), ". .. ");
	CHECK_EQ(lx_sys_rmdir(self, P("/l")), 0);
}

TEST(permissions_and_sticky_directories)
{
	begin();
	lx_sys_mkdir(self, P("/t"), 0777);
	lx_sys_chmod(self, P("/t"), 01777);
	rig_put_file("/t/root", "r");
	lx_sys_chmod(self, P("/t/root"), 0600);
	rig_become(1000, 1000);
	CHECK_EQ(sys_open("/t/root", O_RDONLY, 0), -EACCES);
	CHECK_EQ(lx_sys_unlink(self, P("/t/root")), -EPERM);
	CHECK_EQ(rig_put_file("/t/mine", "m"), 1);
	CHECK_EQ(lx_sys_chown(self, P("/t/mine"), 0, 0), -EPERM);
	CHECK_EQ(lx_sys_chmod(self, P("/t/root"), 0777), -EPERM);
	rig_become(1001, 1001);
	CHECK_EQ(lx_sys_rename(self, P("/t/mine"), P("/t/other")), -EPERM);
	CHECK_EQ(lx_sys_access(self, P("/t/mine"), 2), -EACCES);
	CHECK_EQ(lx_sys_access(self, P("/t/mine"), 4), 0);
	CHECK_EQ(lx_sys_mknod(self, P("/t/dev"), S_IFCHR | 0600, 0x103), -EPERM);
	rig_become(0, 0);
	CHECK_EQ(lx_sys_access(self, P("/t/mine"), 2), 0);
	CHECK_EQ(lx_sys_access(self, P("/t/mine"), 1), -EACCES);
	lx_sys_mkdir(self, P("/t/closed"), 0700);
	rig_put_file("/t/closed/f", "x");
	rig_become(1000, 1000);
	CHECK_EQ(sys_open("/t/closed/f", O_RDONLY, 0), -EACCES);
	rig_become(0, 0);
}

TEST(truncate_holes_and_seek)
{
	uaddr_t u;
	long fd, err;

	begin();
	u = rig_user(16384);
	fd = sys_open("/h", O_CREAT | O_RDWR, 0644);
	memset(rig_ptr(u), 'z', 8192);
	CHECK_EQ(lx_sys_write(self, (int)fd, u, 5000), 5000);
	CHECK_EQ(lx_sys_ftruncate(self, (int)fd, 100), 0);
	CHECK_EQ(lx_sys_ftruncate(self, (int)fd, 9000), 0);
	CHECK_EQ(lx_sys_pread64(self, (int)fd, u, 16384, 0), 9000);
	for (int i = 100; i < 9000; i++)
		CHECK(((char *)rig_ptr(u))[i] == 0);
	CHECK_EQ(st_of("/h", &err).st_blocks, 8);
	CHECK_EQ(lx_sys_pwrite64(self, (int)fd, P("q"), 1, 100000), 1);
	CHECK_EQ(lx_sys_lseek(self, (int)fd, 0, 3), 0);
	CHECK_EQ(lx_sys_lseek(self, (int)fd, 0, 4), 4096);
	CHECK_EQ(lx_sys_lseek(self, (int)fd, 5000, 3), 98304);
	CHECK_EQ(lx_sys_lseek(self, (int)fd, 100001, 3), -ENXIO);
	CHECK_EQ(lx_sys_lseek(self, (int)fd, 98304, 4), 100001);
	CHECK_EQ(st_of("/h", &err).st_blocks, 16);
	CHECK_EQ(lx_sys_fallocate(self, (int)fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 50, 4096),
		 0);
	CHECK_EQ(lx_sys_fallocate(self, (int)fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 8192), 0);
	CHECK_EQ(st_of("/h", &err).st_blocks, 8);
	CHECK_EQ(lx_sys_lseek(self, (int)fd, -1, 0), -EINVAL);
	CHECK_EQ(lx_sys_lseek(self, (int)fd, 0, 9), -EINVAL);
	lx_sys_close(self, (int)fd);
	lx_sys_unlink(self, P("/h"));
}

TEST(appending_and_file_size_limits)
{
	long a, b;

	begin();
	a = sys_open("/app", O_CREAT | O_WRONLY | O_APPEND, 0644);
	b = sys_open("/app", O_WRONLY | O_APPEND, 0);
	lx_sys_write(self, (int)a, P("one"), 3);
	lx_sys_write(self, (int)b, P("two"), 3);
	lx_sys_write(self, (int)a, P("three"), 5);
	CHECK_STR(rig_get_file("/app"), "onetwothree");
	rig_set_rlimit(1, 13);
	CHECK_EQ(lx_sys_write(self, (int)a, P("xyz"), 3), 2);
	CHECK_EQ(lx_sys_write(self, (int)a, P("xyz"), 3), -EFBIG);
	CHECK_EQ(rig_signals(25), 1);
	rig_set_rlimit(1, ~0ul);
	lx_sys_close_range(self, 0, ~0u, 0);
}

TEST(a_full_tmpfs_says_so)
{
	uaddr_t u;
	long fd, err;

	begin();
	u = rig_user(65536);
	lx_sys_mkdir(self, P("/mnt"), 0755);
	CHECK_EQ(lx_do_mount(self, "tmpfs", "/mnt", "tmpfs", 0, "size=32k,nr_inodes=4"), 0);
	fd = sys_open("/mnt/a", O_CREAT | O_RDWR, 0644);
	CHECK_EQ(lx_sys_write(self, (int)fd, u, 65536), 32768);
	CHECK_EQ(lx_sys_write(self, (int)fd, u, 1), -ENOSPC);
	CHECK_EQ(lx_sys_pwrite64(self, (int)fd, u, 4096, 0), 4096);
	CHECK_EQ(lx_sys_ftruncate(self, (int)fd, 4096), 0);
	CHECK_EQ(lx_sys_pwrite64(self, (int)fd, u, 4096, 40960), 4096);
	CHECK_EQ(st_of("/mnt/a", &err).st_blocks, 16);
	CHECK_EQ(rig_put_file("/mnt/b", "x"), 1);
	CHECK_EQ(rig_put_file("/mnt/c", "x"), 1);
	CHECK_EQ(rig_put_file("/mnt/d", "x"), -ENOSPC);
	CHECK_EQ(lx_sys_umount2(self, P("/mnt"), 0), -EBUSY);
	lx_sys_close(self, (int)fd);
	CHECK_EQ(lx_sys_umount2(self, P("/mnt"), 0), 0);
	CHECK_EQ(lx_sys_umount2(self, P("/mnt"), 0), -EINVAL);
	CHECK_EQ(lx_do_mount(self, "tmpfs", "/mnt", "tmpfs", 0, "size=nonsense"), -EINVAL);
	CHECK_EQ(lx_do_mount(self, "x", "/mnt", "nofs", 0, NULL), -ENODEV);
}

TEST(mounts_cover_bind_move_and_go)
{
	begin();
	lx_sys_mkdir(self, P("/m"), 0755);
	lx_sys_mkdir(self, P("/m/under"), 0755);
	lx_sys_mkdir(self, P("/m2"), 0755);
	CHECK_EQ(lx_do_mount(self, "a", "/m", "tmpfs", 0, NULL), 0);
	CHECK_EQ(sys_open("/m/under", O_RDONLY, 0), -ENOENT);
	rig_put_file("/m/inside", "i");
	CHECK_EQ(lx_sys_mkdir(self, P("/m/sub"), 0755), 0);
	CHECK_EQ(lx_do_mount(self, "b", "/m/sub", "tmpfs", 0, NULL), 0);
	rig_put_file("/m/sub/deep", "d");
	CHECK_EQ(lx_sys_rmdir(self, P("/m/sub")), -EBUSY);
	CHECK_EQ(lx_sys_rename(self, P("/m/sub"), P("/m/sub2")), -EBUSY);
	CHECK_EQ(lx_sys_rename(self, P("/m/inside"), P("/outside")), -EXDEV);
	CHECK_EQ(lx_sys_link(self, P("/m/inside"), P("/outside")), -EXDEV);
	CHECK_STR(rig_get_file("/m/sub/../inside"), "i");
	CHECK_EQ(lx_do_mount(self, "/m", "/m2", NULL, 4096 /* BIND */, NULL), 0);
	CHECK_STR(rig_get_file("/m2/inside"), "i");
	CHECK_EQ(sys_open("/m2/sub/deep", O_RDONLY, 0), -ENOENT);
	CHECK_EQ(lx_sys_umount2(self, P("/m2"), 0), 0);
	CHECK_EQ(lx_do_mount(self, "/m", "/m2", NULL, 4096 | 16384 /* REC */, NULL), 0);
	CHECK_STR(rig_get_file("/m2/sub/deep"), "d");
	CHECK_EQ(lx_do_mount(self, NULL, "/m2", NULL, 4096 | 32 | 1 /* BIND REMOUNT RDONLY */, NULL), 0);
	CHECK_EQ(rig_put_file("/m2/new", "x"), -EROFS);
	CHECK_EQ(rig_put_file("/m/new", "x"), 1);
	CHECK_EQ(lx_sys_umount2(self, P("/m2"), 0), -EBUSY);
	CHECK_EQ(lx_sys_umount2(self, P("/m2"), MNT_DETACH), 0);
	CHECK_EQ(lx_do_mount(self, "/m", "/m2", NULL, 8192 /* MOVE */, NULL), 0);
	CHECK_STR(rig_get_file("/m2/sub/deep"), "d");
	CHECK(sys_open("/m/under", O_RDONLY, 0) >= 0);
	CHECK_EQ(lx_do_mount(self, "/m2", "/m2/sub", NULL, 8192, NULL), -ELOOP);
	lx_sys_close_range(self, 0, ~0u, 0);
	CHECK_EQ(lx_sys_umount2(self, P("/m2/sub"), 0), 0);
	CHECK_EQ(lx_sys_umount2(self, P("/m2"), 0), 0);
	CHECK_EQ(lx_sys_umount2(self, P("/"), 0), -EBUSY);
}

TEST(chroot_holds_dotdot)
{
	struct lx_fs *before;
	uaddr_t u;

	begin();
	u = rig_user(100);
	before = lx_fs_copy(self->fs);

	lx_sys_mkdir(self, P("/jail"), 0755);
	lx_sys_mkdir(self, P("/jail/in"), 0755);
	rig_put_file("/secret", "s");
	CHECK_EQ(lx_sys_chroot(self, P("/jail")), 0);
	lx_sys_chdir(self, P("/in"));
	CHECK_EQ(lx_sys_getcwd(self, u, 100), 4);
	CHECK_STR((char *)rig_ptr(u), "/in");
	CHECK_EQ(sys_open("../../../secret", O_RDONLY, 0), -ENOENT);
	CHECK(sys_open("/../in", O_RDONLY, 0) >= 0);
	lx_fs_put(self->fs);
	self->fs = before;
	CHECK_STR(rig_get_file("/secret"), "s");
	lx_sys_close_range(self, 0, ~0u, 0);
}

TEST(openat2_stays_beneath)
{
	struct open_how how = { .flags = O_RDONLY, .resolve = RESOLVE_BENEATH };
	uaddr_t u;
	long d;

	begin();
	lx_sys_mkdir(self, P("/b"), 0755);
	lx_sys_mkdir(self, P("/b/c"), 0755);
	rig_put_file("/b/f", "f");
	rig_put_file("/out", "o");
	lx_sys_symlink(self, P("/out"), P("/b/abs"));
	lx_sys_symlink(self, P("../out"), P("/b/up"));
	lx_sys_symlink(self, P("c/../f"), P("/b/ok"));
	d = sys_open("/b", O_PATH | O_DIRECTORY, 0);
	u = rig_bytes(&how, sizeof(how));
	CHECK(lx_sys_openat2(self, (int)d, P("f"), u, sizeof(how)) >= 0);
	CHECK(lx_sys_openat2(self, (int)d, P("ok"), u, sizeof(how)) >= 0);
	CHECK_EQ(lx_sys_openat2(self, (int)d, P("abs"), u, sizeof(how)), -EXDEV);
	CHECK_EQ(lx_sys_openat2(self, (int)d, P("up"), u, sizeof(how)), -EXDEV);
	CHECK_EQ(lx_sys_openat2(self, (int)d, P("/b/f"), u, sizeof(how)), -EXDEV);
	CHECK_EQ(lx_sys_openat2(self, (int)d, P("c/../../out"), u, sizeof(how)), -EXDEV);
	how.resolve = RESOLVE_IN_ROOT;
	u = rig_bytes(&how, sizeof(how));
	CHECK(lx_sys_openat2(self, (int)d, P("/f"), u, sizeof(how)) >= 0);
	CHECK(lx_sys_openat2(self, (int)d, P("../../f"), u, sizeof(how)) >= 0);
	CHECK_EQ(lx_sys_openat2(self, (int)d, P("abs"), u, sizeof(how)), -ENOENT);
	how.resolve = RESOLVE_NO_SYMLINKS;
	u = rig_bytes(&how, sizeof(how));
	CHECK_EQ(lx_sys_openat2(self, (int)d, P("ok"), u, sizeof(how)), -ELOOP);
	how.flags = 1ull << 40;
	u = rig_bytes(&how, sizeof(how));
	CHECK_EQ(lx_sys_openat2(self, (int)d, P("f"), u, sizeof(how)), -EINVAL);
	CHECK_EQ(lx_sys_openat2(self, (int)d, P("f"), u, 4), -EINVAL);
	lx_sys_close_range(self, 0, ~0u, 0);
}

TEST(opath_only_names)
{
	uaddr_t u;
	long fd;

	begin();
	u = rig_user(200);
	rig_put_file("/op", "x");
	lx_sys_symlink(self, P("op"), P("/opl"));
	fd = sys_open("/op", O_PATH, 0);
	CHECK_EQ(lx_sys_read(self, (int)fd, u, 1), -EBADF);
	CHECK_EQ(lx_sys_fstat(self, (int)fd, u), 0);
	CHECK_EQ(lx_sys_fchmod(self, (int)fd, 0600), -EBADF);
	lx_sys_close(self, (int)fd);
	fd = sys_open("/opl", O_PATH | O_NOFOLLOW, 0);
	CHECK_EQ(lx_sys_readlinkat(self, (int)fd, P(""), u, 100), 2);
	lx_sys_close(self, (int)fd);
}

TEST(tmpfiles_get_a_name_by_linkat)
{
	long fd;

	begin();
	fd = sys_open("/", O_TMPFILE | O_RDWR, 0600);
	CHECK(fd >= 0);
	CHECK_EQ(lx_sys_write(self, (int)fd, P("tmp"), 3), 3);
	CHECK_EQ(lx_sys_linkat(self, (int)fd, P(""), AT_FDCWD, P("/named"), AT_EMPTY_PATH), 0);
	CHECK_STR(rig_get_file("/named"), "tmp");
	CHECK_EQ(sys_open("/", O_TMPFILE | O_RDONLY, 0600), -EINVAL);
	lx_sys_close(self, (int)fd);
	lx_sys_unlink(self, P("/named"));
}

TEST(programs_being_run_are_not_written)
{
	struct lx_file *f;
	long fd;

	begin();
	rig_put_file("/prog", "#!");
	CHECK_EQ(lx_open_exec(self, AT_FDCWD, "/prog", 0, &f), -EACCES);
	lx_sys_chmod(self, P("/prog"), 0755);
	CHECK_EQ(lx_open_exec(self, AT_FDCWD, "/prog", 0, &f), 0);
	CHECK_EQ(sys_open("/prog", O_WRONLY, 0), -ETXTBSY);
	CHECK_EQ(lx_sys_truncate(self, P("/prog"), 0), -ETXTBSY);
	lx_file_put(f);
	fd = sys_open("/prog", O_WRONLY, 0);
	CHECK(fd >= 0);
	CHECK_EQ(lx_open_exec(self, AT_FDCWD, "/prog", 0, &f), -ETXTBSY);
	lx_sys_close(self, (int)fd);
	CHECK_EQ(lx_open_exec(self, AT_FDCWD, "/prog", 0, &f), 0);
	lx_file_put(f);
	CHECK_EQ(lx_open_exec(self, AT_FDCWD, "/", 0, &f), -EACCES);
}

TEST(xattrs_by_name_space)
{
	uaddr_t u;

	begin();
	u = rig_user(100);
	rig_put_file("/xa", "x");
	CHECK_EQ(lx_sys_setxattr(self, P("/xa"), P("user.one"), P("value"), 5, 0), 0);
	CHECK_EQ(lx_sys_setxattr(self, P("/xa"), P("user.one"), P("v"), 1, 1), -EEXIST);
	CHECK_EQ(lx_sys_setxattr(self, P("/xa"), P("user.two"), P("v"), 1, 2), -ENODATA);
	CHECK_EQ(lx_sys_setxattr(self, P("/xa"), P("trusted.t"), P("tt"), 2, 0), 0);
	CHECK_EQ(lx_sys_setxattr(self, P("/xa"), P("bogus.t"), P("tt"), 2, 0), -EOPNOTSUPP);
	CHECK_EQ(lx_sys_getxattr(self, P("/xa"), P("user.one"), u, 100), 5);
	CHECK_EQ(lx_sys_getxattr(self, P("/xa"), P("user.one"), u, 2), -ERANGE);
	CHECK_EQ(lx_sys_getxattr(self, P("/xa"), P("user.one"), u, 0), 5);
	CHECK_EQ(lx_sys_listxattr(self, P("/xa"), u, 100), 19);
	rig_become(5, 5);
	CHECK_EQ(lx_sys_listxattr(self, P("/xa"), u, 100), 9);
	CHECK_EQ(lx_sys_getxattr(self, P("/xa"), P("trusted.t"), u, 100), -ENODATA);
	CHECK_EQ(lx_sys_setxattr(self, P("/xa"), P("user.o"), P("v"), 1, 0), -EACCES);
	rig_become(0, 0);
	CHECK_EQ(lx_sys_removexattr(self, P("/xa"), P("user.one")), 0);
	CHECK_EQ(lx_sys_removexattr(self, P("/xa"), P("user.one")), -ENODATA);
}

TEST(posix_locks_split_and_join)
{
	struct flock fl = { .l_type = F_WRLCK, .l_len = 100 };
	uaddr_t u;
	long fd, fd2;

	begin();
	fd = sys_open("/lk", O_CREAT | O_RDWR, 0644);
	fd2 = sys_open("/lk", O_RDWR, 0644);
	u = rig_bytes(&fl, sizeof(fl));
	CHECK_EQ(lx_sys_fcntl(self, (int)fd, F_SETLK, u.v), 0);
	fl.l_type = F_UNLCK;
	fl.l_start = 40;
	fl.l_len = 20;
	CHECK_EQ(lx_sys_fcntl(self, (int)fd, F_SETLK, rig_bytes(&fl, sizeof(fl)).v), 0);
	/* an OFD lock sees them as another's */
	fl.l_type = F_WRLCK;
	fl.l_start = 30;
	fl.l_len = 20;
	CHECK_EQ(lx_sys_fcntl(self, (int)fd2, F_OFD_SETLK, rig_bytes(&fl, sizeof(fl)).v), -EAGAIN);
	u = rig_bytes(&fl, sizeof(fl));
	CHECK_EQ(lx_sys_fcntl(self, (int)fd2, F_OFD_GETLK, u.v), 0);
	CHECK_EQ(((struct flock *)rig_ptr(u))->l_len, 40);
	CHECK_EQ(((struct flock *)rig_ptr(u))->l_pid, self->group->pid);
	fl.l_start = 40;
	CHECK_EQ(lx_sys_fcntl(self, (int)fd2, F_OFD_SETLK, rig_bytes(&fl, sizeof(fl)).v), 0);
	CHECK_EQ(lx_sys_close(self, (int)fd2), 0);	/* drops this process's POSIX locks too */
	fd2 = sys_open("/lk", O_RDWR, 0644);
	fl.l_start = 0;
	fl.l_len = 0;
	CHECK_EQ(lx_sys_fcntl(self, (int)fd2, F_OFD_SETLK, rig_bytes(&fl, sizeof(fl)).v), 0);
	lx_sys_close_range(self, 0, ~0u, 0);
}

struct waiter {
	int result;
	_Atomic(int) started;
};

static void wait_for_flock(void *arg)
{
	struct waiter *w = arg;
	int fd = (int)sys_open("/fl", O_RDWR, 0);

	atomic_store(&w->started, 1);
	w->result = (int)lx_sys_flock(self, fd, 2);
	lx_sys_close(self, fd);
}

TEST(flock_waits_and_is_interrupted)
{
	struct waiter w = { .result = 99 };
	struct lx_task *t;
	long fd;

	begin();
	fd = sys_open("/fl", O_CREAT | O_RDWR, 0644);
	CHECK_EQ(lx_sys_flock(self, (int)fd, 2), 0);
	t = rig_task(wait_for_flock, &w);
	while (!atomic_load(&w.started))
		;
	CHECK_EQ(lx_sys_flock(self, (int)fd, 8), 0);
	rig_join(t);
	CHECK_EQ(w.result, 0);
	CHECK_EQ(lx_sys_flock(self, (int)fd, 1), 0);
	w = (struct waiter){ 0 };
	t = rig_task(wait_for_flock, &w);
	while (!atomic_load(&w.started))
		;
	rig_interrupt(t);
	rig_join(t);
	CHECK_EQ(w.result, -LX_ERESTARTSYS);
	CHECK_EQ(lx_sys_flock(self, (int)fd, 16), -EINVAL);
	lx_sys_close(self, (int)fd);
}

TEST(inotify_tells_what_happens)
{
	struct inotify_event *e;
	uaddr_t u;
	long fd, wd;
	uint32_t seen = 0;

	begin();
	lx_sys_mkdir(self, P("/w"), 0755);
	u = rig_user(4096);
	fd = lx_sys_inotify_init1(self, IN_NONBLOCK);
	wd = lx_sys_inotify_add_watch(self, (int)fd, P("/w"), IN_ALL_EVENTS);
	CHECK_EQ(wd, 1);
	rig_put_file("/w/a", "x");
	lx_sys_rename(self, P("/w/a"), P("/w/b"));
	lx_sys_unlink(self, P("/w/b"));
	lx_sys_rmdir(self, P("/w"));
	{
		long n = lx_sys_read(self, (int)fd, u, 4096);

		CHECK(n > 0);
		for (long i = 0; i < n; i += (long)sizeof(*e) + e->len) {
			e = (struct inotify_event *)((char *)rig_ptr(u) + i);
			seen |= e->mask;
			if (e->mask & IN_MOVED_TO)
				CHECK_STR(e->name, "b");
		}
	}
	CHECK((seen & IN_CREATE) && (seen & IN_OPEN) && (seen & IN_MODIFY) &&
	      (seen & IN_CLOSE_WRITE) && (seen & IN_MOVED_FROM) && (seen & IN_MOVED_TO) &&
	      (seen & IN_DELETE) && (seen & IN_DELETE_SELF) && (seen & IN_IGNORED));
	CHECK_EQ(lx_sys_read(self, (int)fd, u, 4096), -EAGAIN);
	CHECK_EQ(lx_sys_inotify_rm_watch(self, (int)fd, 1), -EINVAL);
	lx_sys_close(self, (int)fd);
}

/* Four threads work on the same few names: nothing may break (sanitizers and rank checks look). */
static const uaddr_t *churn_names;

static void churn(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	const uaddr_t *names = churn_names, u = names[8];

	for (int i = 0; i < 3000; i++) {
		uaddr_t a, b;
		long fd;

		seed = seed * 1103515245 + 12345;
		a = names[(seed >> 8) & 7];
		b = names[(seed >> 12) & 7];
		switch ((seed >> 16) % 6) {
		case 0:
			fd = lx_sys_open(self, a, O_CREAT | O_RDWR, 0644);
			if (fd >= 0) {
				lx_sys_write(self, (int)fd, u, 5000);
				lx_sys_close(self, (int)fd);
			}
			break;
		case 1:
			lx_sys_unlink(self, a);
			break;
		case 2:
			lx_sys_rename(self, a, b);
			break;
		case 3:
			lx_sys_link(self, a, b);
			break;
		case 4:
			lx_sys_truncate(self, a, seed % 9000);
			break;
		default:
			lx_sys_access(self, b, 4);
			break;
		}
	}
}

TEST(threads_churn_names)
{
	struct lx_task *t[4];
	uaddr_t table;

	begin();
	table = rig_user(16 * sizeof(uaddr_t));
	churn_names = rig_ptr(table);
	lx_sys_mkdir(self, P("/ch"), 0755);
	lx_sys_mkdir(self, P("/ch/d0"), 0755);
	lx_sys_mkdir(self, P("/ch/d1"), 0755);
	for (int i = 0; i < 8; i++) {
		char n[32];

		snprintf(n, sizeof(n), "/ch/d%d/f%d", i & 1, i >> 1);
		((uaddr_t *)rig_ptr(table))[i] = P(n);
	}
	((uaddr_t *)rig_ptr(table))[8] = rig_user(5000);
	lx_dcache_set_limit(256);
	for (uintptr_t i = 0; i < 4; i++)
		t[i] = rig_task(churn, (void *)(i + 1));
	for (int i = 0; i < 4; i++)
		rig_join(t[i]);
	for (int i = 0; i < 8; i++)
		lx_sys_unlink(self, ((uaddr_t *)rig_ptr(table))[i]);
	CHECK_EQ(lx_sys_rmdir(self, P("/ch/d0")), 0);
	CHECK_EQ(lx_sys_rmdir(self, P("/ch/d1")), 0);
}

TEST(allocations_that_fail_are_survived)
{
	begin();
	for (unsigned int n = 1; n < 40; n++) {
		uaddr_t a = P("/fail/dir"), b = P("/fail/file"), c = P("/fail/sym"), t = P("x");
		long fd;

		rig_fail_alloc(0);
		lx_sys_mkdir(self, P("/fail"), 0755);
		rig_fail_alloc(n);
		lx_sys_mkdir(self, a, 0755);
		fd = lx_sys_open(self, b, O_CREAT | O_RDWR, 0644);
		if (fd >= 0) {
			lx_sys_write(self, (int)fd, t, 1);
			lx_sys_close(self, (int)fd);
		}
		lx_sys_symlink(self, t, c);
		lx_sys_rename(self, c, b);
		rig_fail_alloc(0);
		lx_sys_unlink(self, P("/fail/sym"));
		lx_sys_unlink(self, P("/fail/file"));
		lx_sys_rmdir(self, P("/fail/dir"));
		CHECK_EQ(lx_sys_rmdir(self, P("/fail")), 0);
	}
}
