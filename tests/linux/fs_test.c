/* SPDX-License-Identifier: MIT */
/*
 * What every file system promises: cases that run in whatever file system the harness's directory is on
 * (TEST_DIR), beside those of file_test, dir_test and attr_test.  tests/boot/filesystems.py runs all of
 * them on tmpfs, on an overlay and on ext4.
 *
 * Cases that fill a file system, or count what is free in it, want one of their own: they skip
 * themselves unless TEST_DIR says where.
 */

#include "files.h"

#include <dirent.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#endif

/* -- sparse and large */

TEST(sparse_files_take_little_and_read_as_zeros)
{
	int fd = make("f");
	char buf[100];

	CHECK_EQ(pwrite(fd, "middle", 6, 3 * MIB), 6);
	CHECK_EQ(pwrite(fd, "end", 3, 9 * MIB + 17), 3);
	CHECK_OK(fsync(fd));
	CHECK_EQ(st_at(fd).st_size, 9 * MIB + 20);
	CHECK(st_at(fd).st_blocks <= 2 * MIB / 512);
	check_zeros(fd, 0, 70000);
	check_zeros(fd, 3 * MIB - 4000, 4000);
	check_zeros(fd, 3 * MIB + 6, 9000);
	CHECK_EQ(pread(fd, buf, 100, 9 * MIB + 16), 4);
	CHECK(!memcmp(buf, "\0end", 4));
}

TEST(data_and_holes_are_found)
{
	int fd = make("f");
	off_t data, hole;

	CHECK_EQ(pwrite(fd, "x", 1, MIB), 1);
	CHECK_OK(ftruncate(fd, 4 * MIB));
	data = lseek(fd, 0, SEEK_DATA);
	if (data == 0)
		SKIP("holes are not known here");
	CHECK(data > 0 && data <= MIB);
	hole = lseek(fd, data, SEEK_HOLE);
	CHECK(hole > MIB && hole <= 2 * MIB);
	CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 0);
	CHECK_EQ(lseek(fd, MIB, SEEK_DATA), MIB);
	CHECK_ERRNO(lseek(fd, hole, SEEK_DATA), ENXIO);
	CHECK_ERRNO(lseek(fd, 4 * MIB, SEEK_HOLE), ENXIO);
	CHECK_OK(fsync(fd));
	CHECK_EQ(lseek(fd, 0, SEEK_DATA), data);
	CHECK_EQ(lseek(fd, data, SEEK_HOLE), hole);
}

TEST(files_are_larger_than_4_gib)
{
	static const off_t places[] = { 0, 2 * GIB - 3, 4 * GIB - 3, 4 * GIB + 5, 5 * GIB, 9 * GIB - 1 };
	char buf[16], got[16];
	int fd = make("f");

	for (unsigned int i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		pattern(buf, 7, places[i], i);
		CHECK_EQ(pwrite(fd, buf, 7, places[i]), 7);
	}
	CHECK_OK(fsync(fd));
	CHECK_EQ(st_at(fd).st_size, 9 * GIB + 6);
	CHECK_EQ(lseek(fd, 0, SEEK_END), 9 * GIB + 6);
	for (unsigned int i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		pattern(buf, 7, places[i], i);
		CHECK_EQ(pread(fd, got, 7, places[i]), 7);
		CHECK(!memcmp(buf, got, 7));
	}
	CHECK_OK(ftruncate(fd, 4 * GIB + 6));
	CHECK_EQ(pread(fd, got, 16, 4 * GIB + 5), 1);
	CHECK_OK(ftruncate(fd, 5 * GIB + 1));
	CHECK_EQ(pread(fd, got, 16, 5 * GIB), 1);
	CHECK_EQ(got[0], 0);
	CHECK_OK(ftruncate(fd, 3));
	CHECK_EQ(pread(fd, got, 16, 0), 3);
}

/* -- truncate */

TEST(what_was_cut_off_does_not_come_back)
{
	static const int ends[] = { 1, 511, 512, 4095, 4096, 4097, 8191, 10000 };
	char buf[12000];
	int fd = make("f");

	for (unsigned int i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		memset(buf, 'x', sizeof(buf));
		CHECK_EQ(pwrite(fd, buf, sizeof(buf), 0), sizeof(buf));
		if (i % 2)
			CHECK_OK(fsync(fd));
		CHECK_OK(ftruncate(fd, ends[i]));
		if (i % 3)
			CHECK_OK(fsync(fd));
		CHECK_OK(ftruncate(fd, sizeof(buf)));
		check_zeros(fd, ends[i], sizeof(buf) - (size_t)ends[i]);
		CHECK_EQ(pread(fd, buf, 1, ends[i] - 1), 1);
		CHECK_EQ(buf[0], 'x');
	}
}

TEST(truncate_says_what_is_wrong)
{
	int fd = make("f"), ro = open("f", O_RDONLY);

	CHECK_OK(mkdir("d", 0755));
	CHECK_ERRNO(truncate("d", 0), EISDIR);
	CHECK_ERRNO(truncate("f", -1), EINVAL);
	CHECK_ERRNO(ftruncate(ro, 0), EINVAL);
	CHECK_ERRNO(truncate("none", 0), ENOENT);
	CHECK_ERRNO(truncate("f/x", 0), ENOTDIR);
	CHECK_OK(ftruncate(fd, 100));
	CHECK_EQ(st_of("f").st_size, 100);
}

/* -- O_APPEND */

TEST(appends_of_many_processes_are_all_there)
{
	enum { WRITERS = 4, RECORDS = 150 };
	unsigned int seen[WRITERS] = { 0 };
	char record[64];
	int fd = make("f");

	for (int w = 0; w < WRITERS; w++) {
		if (fork())
			continue;
		fd = open("f", O_WRONLY | O_APPEND);
		for (int i = 0; i < RECORDS; i++) {
			memset(record, 'a' + w, sizeof(record));
			snprintf(record, sizeof(record), "%d %d", w, i);
			if (write(fd, record, sizeof(record)) != (ssize_t)sizeof(record))
				_exit(1);
		}
		_exit(0);
	}
	wait_for_children(WRITERS);
	CHECK_EQ(st_at(fd).st_size, WRITERS * RECORDS * sizeof(record));
	for (int i = 0; i < WRITERS * RECORDS; i++) {
		unsigned int w, n;

		CHECK_EQ(read(fd, record, sizeof(record)), sizeof(record));
		CHECK_EQ(sscanf(record, "%u %u", &w, &n), 2);
		CHECK(w < WRITERS);
		CHECK_EQ(n, seen[w]++);
		CHECK_EQ(record[63], 'a' + w);
	}
}

TEST(append_wins_over_positions)
{
	int fd = open("f", O_CREAT | O_RDWR | O_APPEND, 0644), other = open("f", O_RDWR);
	char buf[16];

	CHECK_EQ(write(fd, "one", 3), 3);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(write(other, "ONE!", 4), 4);
	CHECK_EQ(write(fd, "two", 3), 3);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 7);
	CHECK_EQ(pwrite(fd, "end", 3, 0), 3);	/* BUGS in pwrite(2) */
	CHECK_EQ(pread(fd, buf, 16, 0), 10);
	CHECK(!memcmp(buf, "ONE!twoend", 10));
	CHECK_OK(ftruncate(other, 2));
	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_EQ(pread(fd, buf, 16, 0), 3);
}

/* -- files without a name */

TEST(unlinked_files_work_and_cannot_be_named_again)
{
	char path[64], buf[16];
	int fd = make("f"), copy;

	CHECK_EQ(write(fd, "before", 6), 6);
	CHECK_OK(unlink("f"));
	CHECK_EQ(st_at(fd).st_nlink, 0);
	fill(fd, MIB, 9);
	CHECK_OK(fsync(fd));
	check_pattern(fd, 0, MIB, 9);
	CHECK_OK(ftruncate(fd, 10));
	CHECK_EQ(pread(fd, buf, 16, 0), 10);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK_ERRNO(linkat(AT_FDCWD, path, AT_FDCWD, "back", AT_SYMLINK_FOLLOW), ENOENT);
	if (geteuid() == 0)
		CHECK_ERRNO(linkat(fd, "", AT_FDCWD, "back", AT_EMPTY_PATH), ENOENT);
	CHECK_OK(copy = open(path, O_RDWR));
	CHECK_OK(close(fd));
	CHECK_EQ(pread(copy, buf, 16, 0), 10);

	/* replaced, and used on */
	fd = make("a");
	CHECK_EQ(write(fd, "old", 3), 3);
	close(make("b"));
	CHECK_OK(rename("b", "a"));
	CHECK_EQ(st_at(fd).st_nlink, 0);
	CHECK_EQ(pread(fd, buf, 16, 0), 3);
	CHECK_EQ(st_of("a").st_size, 0);
}

static int tmpfile_or_skip(int more)
{
	int fd = open(".", O_TMPFILE | O_RDWR | more, 0600);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		SKIP("no O_TMPFILE here");
	CHECK_OK(fd);
	return fd;
}

TEST(a_tmpfile_may_be_named_unless_exclusive)
{
	char path[64];
	int fd = tmpfile_or_skip(0);

	fill(fd, 64 * KIB, 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK_OK(linkat(AT_FDCWD, path, AT_FDCWD, "one", AT_SYMLINK_FOLLOW));
	CHECK_EQ(st_of("one").st_nlink, 1);
	CHECK_OK(linkat(AT_FDCWD, path, AT_FDCWD, "two", AT_SYMLINK_FOLLOW));
	CHECK_EQ(st_of("one").st_nlink, 2);
	CHECK_ERRNO(linkat(AT_FDCWD, path, AT_FDCWD, "two", AT_SYMLINK_FOLLOW), EEXIST);
	check_pattern(open("two", O_RDONLY), 0, 64 * KIB, 1);
	/* it had names: as every other file it stays removed when the last one goes */
	CHECK_OK(unlink("one"));
	CHECK_OK(unlink("two"));
	CHECK_ERRNO(linkat(AT_FDCWD, path, AT_FDCWD, "three", AT_SYMLINK_FOLLOW), ENOENT);

	fd = tmpfile_or_skip(O_EXCL);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK_ERRNO(linkat(AT_FDCWD, path, AT_FDCWD, "three", AT_SYMLINK_FOLLOW), ENOENT);
	if (geteuid() == 0) {
		CHECK_ERRNO(linkat(fd, "", AT_FDCWD, "three", AT_EMPTY_PATH), ENOENT);
		fd = tmpfile_or_skip(0);
		CHECK_OK(linkat(fd, "", AT_FDCWD, "three", AT_EMPTY_PATH));
		CHECK_EQ(st_of("three").st_nlink, 1);
	}
}

/* -- attributes */

/* Of a kind that the file system has. */
static const char *xattr_prefix(void)
{
	close(make("probe"));
	if (setxattr("probe", "user.probe", "", 0, 0) == 0)
		return "user.";
	CHECK_EQ(errno, EOPNOTSUPP);
	if (geteuid() == 0 && setxattr("probe", "trusted.probe", "", 0, 0) == 0)
		return "trusted.";
	SKIP("no extended attributes here");
}

TEST(extended_attributes_of_several_sizes)
{
	const char *prefix = xattr_prefix();
	static const size_t sizes[] = { 0, 1, 30, 100, 180, 260 };	/* in blocks of 1 KiB, too */
	char name[64], value[1024], list[4096];
	int fd = make("f");

	for (unsigned int turn = 0; turn < 3; turn++) {
		for (unsigned int i = 0; i < 6; i++) {
			snprintf(name, sizeof(name), "%sname%u", prefix, i);
			pattern(value, sizes[(i + turn) % 6], 0, i);
			CHECK_OK(fsetxattr(fd, name, value, sizes[(i + turn) % 6], 0));
		}
		for (unsigned int i = 0; i < 6; i++) {
			char want[1024];
			size_t n = sizes[(i + turn) % 6];

			snprintf(name, sizeof(name), "%sname%u", prefix, i);
			pattern(want, n, 0, i);
			CHECK_EQ(getxattr("f", name, value, sizeof(value)), n);
			CHECK(!memcmp(value, want, n));
			CHECK_EQ(getxattr("f", name, NULL, 0), n);
			if (n > 1)
				CHECK_ERRNO(getxattr("f", name, value, n - 1), ERANGE);
		}
		CHECK_OK(fsync(fd));
	}
	snprintf(name, sizeof(name), "%sname3", prefix);
	CHECK_ERRNO(fsetxattr(fd, name, "x", 1, XATTR_CREATE), EEXIST);
	CHECK_OK(fsetxattr(fd, name, "x", 1, XATTR_REPLACE));
	CHECK_OK(fremovexattr(fd, name));
	CHECK_ERRNO(fremovexattr(fd, name), ENODATA);
	CHECK_ERRNO(fgetxattr(fd, name, value, 10), ENODATA);
	CHECK_ERRNO(fsetxattr(fd, name, "x", 1, XATTR_REPLACE), ENODATA);
	CHECK(flistxattr(fd, list, sizeof(list)) > 0);
	CHECK_OK(rename("f", "g"));
	CHECK_OK(link("g", "h"));
	snprintf(name, sizeof(name), "%sname1", prefix);
	CHECK(getxattr("h", name, value, sizeof(value)) > 0);
	CHECK_OK(mkdir("dir", 0755));
	CHECK_OK(setxattr("dir", name, "of a directory", 14, 0));
	CHECK_EQ(getxattr("dir", name, value, sizeof(value)), 14);
	CHECK_OK(symlink("g", "l"));
	if (!strcmp(prefix, "user."))
		CHECK_ERRNO(lsetxattr("l", name, "x", 1, 0), EPERM);
}

TEST(times_have_nanoseconds_and_are_kept)
{
	static const struct timespec times[] = {
		{ 1700000000, 123456789 }, { 0, 1 }, { -200000000, 999999999 }, { 4102444800, 5 },
		{ 7258118400, 987654321 },
	};
	int fd = make("f");

	for (unsigned int i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		struct timespec both[2] = { times[i], times[(i + 1) % 5] };

		CHECK_OK(futimens(fd, both));
		CHECK_OK(fsync(fd));
		CHECK_EQ(st_at(fd).st_atim.tv_sec, both[0].tv_sec);
		CHECK_EQ(st_at(fd).st_atim.tv_nsec, both[0].tv_nsec);
		CHECK_EQ(st_at(fd).st_mtim.tv_sec, both[1].tv_sec);
		CHECK_EQ(st_at(fd).st_mtim.tv_nsec, both[1].tv_nsec);
	}
}

TEST(modes_and_owners_are_kept)
{
	int fd = make("f");

	CHECK_OK(fchmod(fd, 04751));
	CHECK_OK(fsync(fd));
	CHECK_EQ(st_of("f").st_mode & 07777, 04751);
	if (geteuid() == 0) {
		CHECK_OK(fchown(fd, 70000, 80000));
		CHECK_EQ(st_of("f").st_uid, 70000);
		CHECK_EQ(st_of("f").st_gid, 80000);
		CHECK_EQ(st_of("f").st_mode & 07777, 0751);
	}
}

/* -- sync */

TEST(everything_can_be_synced)
{
	int fd = make("f"), ro = open("f", O_RDONLY), dir, sync_fd, dsync_fd;

	CHECK_OK(mkdir("d", 0755));
	CHECK_OK(dir = open("d", O_RDONLY | O_DIRECTORY));
	close(make("d/new"));
	CHECK_OK(fsync(dir));
	CHECK_OK(fdatasync(dir));
	CHECK_OK(syncfs(dir));
	fill(fd, 128 * KIB, 2);
	CHECK_OK(fdatasync(fd));
	CHECK_OK(fsync(ro));
	CHECK_OK(syncfs(ro));
	CHECK_OK(sync_file_range(fd, 0, 4096, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER));
	CHECK_OK(sync_fd = open("f", O_WRONLY | O_SYNC));
	CHECK_OK(dsync_fd = open("f", O_WRONLY | O_DSYNC | O_APPEND));
	CHECK_EQ(write(sync_fd, "sync", 4), 4);
	CHECK_EQ(write(dsync_fd, "dsync", 5), 5);
	CHECK_EQ(st_at(fd).st_size, 128 * KIB + 5);
	sync();
	check_pattern(fd, 4, 128 * KIB - 4, 2);
}

/* -- mappings */

TEST(mappings_reads_and_writes_agree)
{
	size_t size = 5 * 4096 + 100;
	char *shared, *private, buf[8192];
	int fd = make("f");

	CHECK_OK(ftruncate(fd, (off_t)size));
	shared = mmap(NULL, 6 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, 6 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(shared != MAP_FAILED && private != MAP_FAILED);
	memcpy(shared + 4090, "across pages", 12);
	CHECK_EQ(pread(fd, buf, 12, 4090), 12);
	CHECK(!memcmp(buf, "across pages", 12));
	CHECK_EQ(pwrite(fd, "written", 7, 8190), 7);
	CHECK(!memcmp(shared + 8190, "written", 7));
	private[0] = 'p';
	CHECK_EQ(shared[0], 0);
	CHECK_EQ(private[8190], 'w');
	IN_CHILD({
		shared[12000] = 'c';
		CHECK_EQ(pwrite(fd, "d", 1, 12001), 1);
	});
	CHECK_EQ(shared[12000], 'c');
	CHECK_EQ(shared[12001], 'd');
	CHECK_OK(msync(shared, 6 * 4096, MS_SYNC));
	CHECK_OK(msync(shared, 6 * 4096, MS_ASYNC));

	/* what is stored behind the end does not become part of the file */
	shared[size + 10] = 'x';
	CHECK_OK(fsync(fd));
	CHECK_OK(ftruncate(fd, 6 * 4096));
	CHECK_EQ(pread(fd, buf, 4096, (off_t)size), 6 * 4096 - (ssize_t)size);
	CHECK_EQ(buf[0], 0);

	/* after a write-back, too, stores are seen and kept */
	shared[100] = 'y';
	CHECK_OK(fsync(fd));
	shared[100] = 'z';
	CHECK_EQ(pread(fd, buf, 1, 100), 1);
	CHECK_EQ(buf[0], 'z');
	CHECK_OK(fsync(fd));
	CHECK_OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	CHECK_OK(munmap(shared, 6 * 4096));
	CHECK_EQ(pread(fd, buf, 1, 100), 1);
	CHECK_EQ(buf[0], 'z');
}

TEST(pages_that_are_mapped_are_not_given_up)
{
	int fd = make("f");
	volatile char *map;
	unsigned char there[3];

	CHECK_EQ(pwrite(fd, "x", 1, 2 * 4096), 1);
	CHECK_OK(ftruncate(fd, 3 * 4096));
	CHECK_OK(fsync(fd));
	map = mmap(NULL, 3 * 4096, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED);
	CHECK_EQ(map[2 * 4096], 'x');
	CHECK_OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	CHECK_OK(mincore((char *)map, 3 * 4096, there));
	CHECK(there[2] & 1);
	CHECK_OK(munmap((char *)map, 3 * 4096));
}

static sigjmp_buf jump;

static void on_bus(int signo)
{
	siglongjmp(jump, signo);
}

TEST(a_mapping_beyond_the_end_is_a_bus_error)
{
	volatile char *map;
	int fd = make("f");

	signal(SIGBUS, on_bus);
	CHECK_OK(ftruncate(fd, 3 * 4096));
	map = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED);
	map[2 * 4096] = 'x';
	if (!sigsetjmp(jump, 1)) {
		map[3 * 4096] = 'x';
		CHECK(!"no signal");
	}
	CHECK_OK(ftruncate(fd, 4096));
	if (!sigsetjmp(jump, 1)) {
		map[2 * 4096] = 'y';
		CHECK(!"no signal");
	}
	CHECK_OK(ftruncate(fd, 4 * 4096));
	CHECK_EQ(map[2 * 4096], 0);
	map[3 * 4096] = 'z';
	CHECK_EQ(st_at(fd).st_size, 4 * 4096);
}

/* -- everything at random, against a copy in memory */

enum { MODEL_MOST = 300 * 1024 };

static struct {
	char *bytes;
	size_t size;
	int fd;
	unsigned int rnd;
} model;

static unsigned int rnd(unsigned int n)
{
	model.rnd = model.rnd * 1103515245 + 12345;
	return (model.rnd >> 8) % n;
}

static void model_truncate(size_t size)
{
	if (size > model.size)
		memset(model.bytes + model.size, 0, size - model.size);
	model.size = size;
	CHECK_OK(ftruncate(model.fd, (off_t)size));
}

static void model_write(size_t at, size_t n)
{
	if (at > model.size)
		memset(model.bytes + model.size, 0, at - model.size);
	pattern(model.bytes + at, n, (off_t)at, model.rnd);
	if (at + n > model.size)
		model.size = at + n;
	CHECK_EQ(pwrite(model.fd, model.bytes + at, n, (off_t)at), n);
}

static void model_read(size_t at, size_t n)
{
	static char buf[MODEL_MOST];
	size_t want = at >= model.size ? 0 : model.size - at < n ? model.size - at : n;

	CHECK_EQ(pread(model.fd, buf, n, (off_t)at), want);
	CHECK(!memcmp(buf, model.bytes + at, want));
}

/* Through a mapping: write or read. */
static void model_map(size_t at, size_t n, bool write)
{
	size_t page = at & ~4095ul;
	char *map;

	if (at >= model.size)
		return;
	n = model.size - at < n ? model.size - at : n;
	map = mmap(NULL, at + n - page, PROT_READ | (write ? PROT_WRITE : 0), MAP_SHARED, model.fd, (off_t)page);
	CHECK(map != MAP_FAILED);
	if (write) {
		pattern(model.bytes + at, n, (off_t)at, model.rnd);
		memcpy(map + (at - page), model.bytes + at, n);
	} else {
		CHECK(!memcmp(map + (at - page), model.bytes + at, n));
	}
	CHECK_OK(munmap(map, at + n - page));
}

static void model_allocate(int mode, size_t at, size_t n)
{
	if (fallocate(model.fd, mode, (off_t)at, (off_t)n) < 0) {
		CHECK_EQ(errno, EOPNOTSUPP);
		return;
	}
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
		if (at < model.size)
			memset(model.bytes + at, 0, model.size - at < n ? model.size - at : n);
	}
	if (!(mode & FALLOC_FL_KEEP_SIZE) && at + n > model.size) {
		memset(model.bytes + model.size, 0, at + n - model.size);
		model.size = at + n;
	}
}

static void model_step(unsigned int what)
{
	size_t at = rnd(MODEL_MOST / 2), n = 1 + rnd(rnd(3) ? 9000 : MODEL_MOST / 2 - 1);

	if (!rnd(3))
		at &= ~4095ul;
	switch (what) {
	case 0: case 1: case 2:
		model_write(at, n);
		break;
	case 3: case 4:
		model_read(at, n);
		break;
	case 5:
		model_map(at, n, true);
		break;
	case 6:
		model_map(at, n, false);
		break;
	case 7:
		model_truncate(at + n);
		break;
	case 8:
		model_truncate(at % 20000);
		break;
	case 9:
		model_allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, n);
		break;
	case 10:
		model_allocate(rnd(2) ? 0 : FALLOC_FL_KEEP_SIZE, at, n);
		break;
	case 11:
		model_allocate(FALLOC_FL_ZERO_RANGE, at, n);
		break;
	case 12:
		CHECK_OK(rnd(2) ? fsync(model.fd) : fdatasync(model.fd));
		break;
	case 13:
		CHECK_OK(sync_file_range(model.fd, 0, 0, SYNC_FILE_RANGE_WRITE));
		CHECK_OK(posix_fadvise(model.fd, 0, 0, POSIX_FADV_DONTNEED));
		break;
	}
}

TEST_SECONDS(random_changes_agree_with_a_copy_in_memory, 60)
{
	model.bytes = calloc(1, MODEL_MOST);
	model.rnd = 4711;
	model.fd = make("f");
	for (unsigned int i = 0; i < 400; i++) {
		model_step(rnd(14));
		CHECK_EQ(st_at(model.fd).st_size, model.size);
		if (i % 20 == 19)
			model_read(0, MODEL_MOST);
	}
	CHECK_OK(fsync(model.fd));
	CHECK_OK(posix_fadvise(model.fd, 0, 0, POSIX_FADV_DONTNEED));
	model_read(0, MODEL_MOST);
}

/* -- the file system as a whole */

static struct statfs free_now(void)
{
	struct statfs s;

	sync();
	CHECK_OK(statfs(".", &s));
	return s;
}

TEST(free_space_goes_and_comes_back)
{
	struct statfs before, with, after;
	int fd;

	own_file_system();
	before = free_now();
	CHECK(before.f_bsize > 0 && before.f_blocks >= before.f_bfree && before.f_bfree >= before.f_bavail);
	CHECK_EQ(before.f_namelen, 255);
	fd = make("f");
	fill(fd, 2 * MIB, 1);
	with = free_now();
	CHECK((before.f_bfree - with.f_bfree) * (unsigned long)before.f_bsize >= 2 * MIB);
	if (before.f_files)
		CHECK_EQ(before.f_ffree - with.f_ffree, 1);
	CHECK_OK(unlink("f"));
	with = free_now();
	CHECK(before.f_bfree > with.f_bfree);	/* it is still open */
	CHECK_OK(close(fd));
	after = free_now();
	CHECK_EQ(after.f_bfree, before.f_bfree);
	CHECK_EQ(after.f_ffree, before.f_ffree);
}

TEST_SECONDS(a_full_file_system_says_so_and_recovers, 120)
{
	static char buf[256 * KIB];
	struct statfs before;
	ssize_t n = 0;
	off_t size;
	int fd;

	own_file_system();
	before = free_now();
	if (before.f_bfree * (unsigned long)before.f_bsize > 200ul * MIB)
		SKIP("too large to be filled");
	fd = make("f");
	pattern(buf, sizeof(buf), 0, 0);
	/* what fits is written; only when nothing does it is an error */
	while ((n = write(fd, buf, sizeof(buf))) > 0)
		;
	CHECK_EQ(n, -1);
	CHECK_EQ(errno, ENOSPC);
	CHECK(fsync(fd) == 0 || errno == ENOSPC);
	size = st_at(fd).st_size;
	CHECK(size > 2 * MIB);
	CHECK_ERRNO(fallocate(fd, 0, 0, size + 8 * MIB), ENOSPC);
	/* overwriting needs nothing */
	CHECK_EQ(pwrite(fd, buf, 4096, 8192), 4096);
	CHECK_EQ(pread(fd, buf, 4096, size - 4096), 4096);
	CHECK_OK(unlink("f"));
	CHECK_OK(close(fd));
	CHECK_EQ(free_now().f_bfree, before.f_bfree);
	CHECK_OK(close(make("again")));
	fd = open("again", O_WRONLY);
	CHECK_EQ(write(fd, buf, sizeof(buf)), sizeof(buf));
	CHECK_OK(fsync(fd));
}

TEST_SECONDS(a_mapped_hole_that_gets_no_block_is_a_bus_error, 120)
{
	static char buf[256 * KIB];
	struct statfs before;
	volatile char *map;
	int fd, sparse;

	own_file_system();
	before = free_now();
	if (before.f_bfree * (unsigned long)before.f_bsize > 200ul * MIB)
		SKIP("too large to be filled");
	sparse = make("sparse");
	CHECK_OK(ftruncate(sparse, 64 * KIB));
	fd = make("f");
	while (write(fd, buf, sizeof(buf)) > 0)
		;
	CHECK_EQ(errno, ENOSPC);
	signal(SIGBUS, on_bus);
	map = mmap(NULL, 64 * KIB, PROT_READ | PROT_WRITE, MAP_SHARED, sparse, 0);
	CHECK(map != MAP_FAILED);
	if (!sigsetjmp(jump, 1)) {
		for (int i = 0; i < 16; i++)
			map[i * 4096] = 'x';
		CHECK(!"no signal");
	}
}
