/* SPDX-License-Identifier: MIT */
/* fallocate(2): blocks for what is not written yet, holes, ranges that go and come. */
#include "files.h"

#include <sys/mman.h>

static void need_fallocate(int fd)
{
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1) < 0) {
		CHECK_EQ(errno, EOPNOTSUPP);
		SKIP("no fallocate here");
	}
}

TEST(fallocate_makes_the_file_longer_unless_it_keeps_its_size)
{
	int fd = make("f");

	need_fallocate(fd);
	CHECK_EQ(st_at(fd).st_size, 0);
	CHECK_OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100000));
	CHECK_EQ(st_at(fd).st_size, 0);
	CHECK_OK(fallocate(fd, 0, 50000, 50000));
	CHECK_EQ(st_at(fd).st_size, 100000);
	CHECK(st_at(fd).st_blocks >= 100000 / 512);
	check_zeros(fd, 0, 100000);
	CHECK_EQ(pwrite(fd, "data", 4, 60000), 4);
	CHECK_OK(fallocate(fd, 0, 0, 100000));
	check_zeros(fd, 0, 60000);
	check_zeros(fd, 60004, 39996);
	CHECK_OK(fsync(fd));
	check_zeros(fd, 60004, 39996);
	CHECK_ERRNO(fallocate(fd, 0, 0, 0), EINVAL);
	CHECK_ERRNO(fallocate(fd, 0, -1, 10), EINVAL);
	CHECK_ERRNO(fallocate(fd, 0, INT64_MAX, 10), EFBIG);
	CHECK_ERRNO(fallocate(open("f", O_RDONLY), 0, 0, 1), EBADF);
}

TEST(punched_holes_are_zeros_and_free)
{
	static const struct { off_t at, n; } holes[] = {
		{ 10, 20 }, { 4090, 10 }, { 8192, 4096 }, { 20000, 30000 }, { 60000, 1 }, { 65535, 40000 },
		{ 4096 * 40, 4096 * 8 }, { 4096 * 50 + 1, 4096 * 2 - 2 },
	};
	size_t size = 256 * KIB;
	char want[4096], buf[4096];
	char *model = calloc(1, size);
	int fd = make("f");
	blkcnt_t before;

	need_fallocate(fd);
	fill(fd, size, 3);
	pattern(model, size, 0, 3);
	CHECK_OK(fsync(fd));
	before = st_at(fd).st_blocks;
	for (unsigned int i = 0; i < sizeof(holes) / sizeof(holes[0]); i++) {
		CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, holes[i].at, holes[i].n));
		memset(model + holes[i].at, 0, (size_t)holes[i].n);
		if (i == 3)
			CHECK_OK(fsync(fd));
	}
	CHECK(st_at(fd).st_blocks <= before - 4096 * 10 / 512);
	for (size_t at = 0; at < size; at += sizeof(buf)) {
		memcpy(want, model + at, sizeof(want));
		CHECK_EQ(pread(fd, buf, sizeof(buf), (off_t)at), sizeof(buf));
		CHECK(!memcmp(buf, want, sizeof(buf)));
	}
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP);
	/* behind the end: nothing happens */
	CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10 * MIB, 4096));
	CHECK_EQ(st_at(fd).st_size, size);
	free(model);
}

TEST(zero_range_zeroes_and_can_lengthen)
{
	int fd = make("f");

	need_fallocate(fd);
	fill(fd, 64 * KIB, 5);
	if (fs_type() == TMPFS_MAGIC) {
		CHECK_ERRNO(fallocate(fd, FALLOC_FL_ZERO_RANGE, 1000, 10000), EOPNOTSUPP);
		return;
	}
	if (fallocate(fd, FALLOC_FL_ZERO_RANGE, 1000, 10000) < 0) {
		CHECK_EQ(errno, EOPNOTSUPP);
		SKIP("no FALLOC_FL_ZERO_RANGE here");
	}
	check_pattern(fd, 0, 1000, 5);
	check_zeros(fd, 1000, 10000);
	check_pattern(fd, 11000, 64 * KIB - 11000, 5);
	CHECK_OK(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 60000, 100000));
	CHECK_EQ(st_at(fd).st_size, 64 * KIB);
	check_zeros(fd, 60000, 64 * KIB - 60000);
	CHECK_OK(fallocate(fd, FALLOC_FL_ZERO_RANGE, 65000, 10000));
	CHECK_EQ(st_at(fd).st_size, 75000);
	check_zeros(fd, 60000, 15000);
	CHECK_OK(fsync(fd));
	check_pattern(fd, 11000, 49000, 5);
	check_zeros(fd, 60000, 15000);
}

/* What the file has to be: compared as it is read and as it is mapped. */
static void check_is(int fd, const char *model, size_t size)
{
	char *buf = malloc(size), *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	CHECK_EQ(st_at(fd).st_size, size);
	CHECK(map != MAP_FAILED);
	CHECK_EQ(pread(fd, buf, size, 0), size);
	CHECK(!memcmp(buf, model, size));
	CHECK(!memcmp(map, model, size));
	CHECK_OK(munmap(map, size));
	free(buf);
}

static void need_shifts(int fd, int mode)
{
	if (fallocate(fd, mode, 0, block_of_fs()) < 0 && errno == EOPNOTSUPP)
		SKIP("no such fallocate here");
}

/* EINVAL; since Linux 6.13 EOPNOTSUPP. */
static void check_no_such_mode(int fd, int mode, long block)
{
	CHECK(fallocate(fd, mode, 0, block) < 0 && (errno == EINVAL || errno == EOPNOTSUPP));
}

TEST(fallocate_drops_set_user_id)
{
	static const int modes[] = { 0, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
				     FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE };
	long block = block_of_fs();
	int fd = make("f");
	struct stat st;

	CHECK_ROOT();
	fill(fd, 16 * (size_t)block, 1);
	need_shifts(fd, FALLOC_FL_COLLAPSE_RANGE);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		CHECK_OK(fchmod(fd, 04755));
		CHECK_OK(fallocate(fd, modes[i], block, block));
		CHECK_OK(fstat(fd, &st));
		CHECK_EQ(st.st_mode & 07777, 04755);	/* root's changes do not */
		IN_CHILD({
			CHECK_OK(setuid(1000));
			CHECK_OK(fallocate(fd, modes[i], block, block));
		});
		CHECK_OK(fstat(fd, &st));
		CHECK_EQ(st.st_mode & 07777, 0755);
	}
}

TEST(collapsed_ranges_are_gone)
{
	long block = block_of_fs();
	size_t size = 64 * (size_t)block + 100;
	char *model = malloc(size);
	int fd = make("f");
	char *map;

	fill(fd, size, 3);
	CHECK_OK(ftruncate(fd, (off_t)size));
	pattern(model, size, 0, 3);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED);
	map[20 * block] = model[20 * block] = 'm';
	need_shifts(fd, FALLOC_FL_COLLAPSE_RANGE);
	memmove(model, model + block, size -= (size_t)block);
	check_is(fd, model, size);
	CHECK_EQ(map[19 * block], 'm');
	for (int i = 0; i < 6; i++) {
		size_t at = (size_t)((i * 7 + 1) * block), n = (size_t)((i + 1) * block);

		if (i == 2)
			CHECK_OK(fsync(fd));
		CHECK_OK(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, (off_t)at, (off_t)n));
		memmove(model + at, model + at + n, size - at - n);
		size -= n;
		check_is(fd, model, size);
		map[at] = model[at] = (char)i;
	}
	CHECK_OK(fsync(fd));
	check_is(fd, model, size);
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 1, block), EINVAL);
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, block + 1), EINVAL);
	/* not up to the end, nor behind it */
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, (off_t)(size / (size_t)block + 1) * block), EINVAL);
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 100 * block, block), EINVAL);
	check_no_such_mode(fd, FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_KEEP_SIZE, block);
	check_no_such_mode(fd, FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE, block);
	CHECK_ERRNO(fallocate(open("f", O_RDONLY), FALLOC_FL_COLLAPSE_RANGE, 0, block), EBADF);
	check_is(fd, model, size);
	free(model);
}

TEST(inserted_ranges_are_holes)
{
	long block = block_of_fs();
	size_t size = 16 * (size_t)block + 100;
	char *model = calloc(1, 2 * size + 64 * (size_t)block);
	int fd = make("f");

	fill(fd, size, 5);
	CHECK_OK(ftruncate(fd, (off_t)size));
	pattern(model, size, 0, 5);
	need_shifts(fd, FALLOC_FL_INSERT_RANGE);
	memmove(model + block, model, size);
	memset(model, 0, (size_t)block);
	size += (size_t)block;
	check_is(fd, model, size);
	for (int i = 0; i < 6; i++) {
		size_t at = (size_t)((i * 5 % 17) * block), n = (size_t)((i + 1) * block);

		if (i == 2)
			CHECK_OK(fsync(fd));
		CHECK_OK(fallocate(fd, FALLOC_FL_INSERT_RANGE, (off_t)at, (off_t)n));
		memmove(model + at + n, model + at, size - at);
		memset(model + at, 0, n);
		size += n;
		check_is(fd, model, size);
		CHECK_EQ(pwrite(fd, "in", 2, (off_t)at), 2);
		memcpy(model + at, "in", 2);
	}
	CHECK_OK(fsync(fd));
	check_is(fd, model, size);
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_INSERT_RANGE, 1, block), EINVAL);
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, block - 1), EINVAL);
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_INSERT_RANGE, 100 * block, block), EINVAL);
	check_no_such_mode(fd, FALLOC_FL_INSERT_RANGE | FALLOC_FL_KEEP_SIZE, block);
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, INT64_MAX / block * block), EFBIG);
	check_is(fd, model, size);
	/* blocks behind the end move as well */
	CHECK_OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)size, 10 * block));
	CHECK_OK(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, block));
	memmove(model + block, model, size);
	memset(model, 0, (size_t)block);
	check_is(fd, model, size + (size_t)block);
	free(model);
}

/* Every other block is a hole: more extents than an inode has room for, and with small blocks than a node. */
TEST(ranges_go_and_come_in_files_of_many_pieces)
{
	enum { PIECES = 700 };
	long block = block_of_fs();
	char want[16] = "", got[16];
	int fd = make("f");

	for (int i = 0; i < PIECES; i++) {
		snprintf(want, sizeof(want), "%d", i);
		CHECK_EQ(pwrite(fd, want, sizeof(want), 2 * i * block), sizeof(want));
	}
	CHECK_OK(ftruncate(fd, 2 * PIECES * block));
	CHECK_OK(fsync(fd));
	need_shifts(fd, FALLOC_FL_INSERT_RANGE);
	CHECK_OK(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, block));
	for (int turn = 0; turn < 3; turn++) {
		CHECK_OK(fallocate(fd, FALLOC_FL_INSERT_RANGE, 2 * (PIECES / 2) * block, (turn + 1) * 100 * block));
		CHECK_OK(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, (2 * (PIECES / 2) + turn) * block, (turn + 1) * 99 * block));
	}
	CHECK_EQ(st_at(fd).st_size, (2 * PIECES + 6) * block);
	CHECK_OK(fsync(fd));
	for (int i = 0; i < PIECES; i++) {
		snprintf(want, sizeof(want), "%d", i);
		CHECK_EQ(pread(fd, got, sizeof(got), (2 * i + (i < PIECES / 2 ? 0 : 6)) * block), sizeof(got));
		CHECK(!strcmp(want, got));
	}
	CHECK_OK(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, block, 2 * (PIECES - 1) * block));
	CHECK_EQ(pread(fd, got, sizeof(got), 0), sizeof(got));
	CHECK(!strcmp(got, "0"));
	CHECK_EQ(st_at(fd).st_size, 8 * block);
}

/* Until there is no room for data: the file that has it. */
static int fill_with_data(void)
{
	char buf[65536] = "data";
	int fd = make("big");

	for (size_t n = sizeof(buf); n >= 512; n /= 2)
		while (write(fd, buf, n) > 0)
			;
	CHECK_EQ(errno, ENOSPC);
	fsync(fd);
	return fd;
}

TEST_SECONDS(what_was_freed_can_be_had_at_once, 120)
{
	int fd;

	own_file_system();
	fd = make("f");
	need_fallocate(fd);
	CHECK_OK(close(fill_with_data()));
	CHECK_OK(unlink("big"));
	CHECK_OK(fallocate(fd, 0, 0, 8 * MIB));
}

/* Nor for names. */
static void fill_file_system(void)
{
	char name[32];

	CHECK_OK(mkdir("dirs", 0755));
	fill_with_data();
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "dirs/%d", i);
		if (mkdir(name, 0755) < 0) {
			CHECK(errno == ENOSPC);
			break;
		}
	}
	sync();
}

TEST_SECONDS(a_hole_on_a_full_disk_costs_nothing_else, 120)
{
	long block;
	int fd;

	own_file_system();
	block = block_of_fs();
	fd = make("f");
	/* four extents, which is what an inode has room for on ext4 */
	fill(fd, 64 * (size_t)block, 1);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(pwrite(fd, "more", 4, (100 + 10 * i) * block), 4);
	CHECK_OK(fsync(fd));
	fill_file_system();
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10 * block, block) < 0)
		CHECK_EQ(errno, ENOSPC);
	CHECK_OK(fsync(fd));
	/* as the disk has it */
	CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	check_pattern(fd, 0, 10 * (size_t)block, 1);
	check_pattern(fd, 11 * block, 53 * (size_t)block, 1);
}
