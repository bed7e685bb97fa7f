/* SPDX-License-Identifier: MIT */
/*
 * O_DIRECT on files: past the page cache, but not behind its back.  tests/boot/filesystems.py runs this on
 * ext4; a file system without it (tmpfs) is skipped.
 */
#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { BLOCK = 4096, KIB = 1024, MIB = 1024 * 1024 };

static int direct_fd(const char *name, int flags)
{
	int fd = open(name, flags | O_DIRECT, 0600);

	if (fd < 0 && errno == EINVAL)
		SKIP("no O_DIRECT on this file system");
	CHECK_OK(fd);
	return fd;
}

static char *memory(size_t n)
{
	char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

/* Eight bytes each that say which file, and where in it. */
static void stamp(char *p, size_t n, uint32_t file, uint64_t off)
{
	for (size_t i = 0; i < n; i += 8)
		*(uint64_t *)(p + i) = (uint64_t)file << 40 | (off + i);
}

static bool is_stamped(const char *p, size_t n, uint32_t file, uint64_t off)
{
	for (size_t i = 0; i < n; i += 8)
		if (*(const uint64_t *)(p + i) != ((uint64_t)file << 40 | (off + i)))
			return false;
	return true;
}

static void make_file(const char *name, size_t n, uint32_t id)
{
	int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	char *p = memory(n);

	CHECK_OK(fd);
	stamp(p, n, id, 0);
	CHECK_EQ(write(fd, p, n), n);
	close(fd);
	munmap(p, n);
}

TEST(memory_that_was_never_touched_is_read_into)
{
	int fd = direct_fd("f", O_CREAT | O_RDWR);
	char *p = memory(3 * MIB), *q = memory(3 * MIB);

	make_file("f", 3 * MIB, 1);
	CHECK_EQ(pread(fd, p, 3 * MIB, 0), 3 * MIB);
	CHECK(is_stamped(p, 3 * MIB, 1, 0));
	/* zeros, of which no page is there */
	CHECK_EQ(pwrite(fd, q, 2 * MIB, MIB), 2 * MIB);
	CHECK_EQ(pread(fd, p, 3 * MIB, 0), 3 * MIB);
	CHECK(is_stamped(p, MIB, 1, 0));
	CHECK(!memcmp(p + MIB, q, 2 * MIB));
}

TEST(segments_are_filled_one_after_the_other)
{
	int fd = direct_fd("f", O_CREAT | O_RDWR);
	char *p = memory(MIB);
	struct iovec v[4] = {
		{ p + 64 * KIB, 8 * KIB }, { p, 0 }, { p + 512 * KIB, 300 * KIB }, { p, 64 * KIB },
	};

	make_file("f", MIB, 2);
	CHECK_EQ(preadv(fd, v, 4, 16 * KIB), 372 * KIB);
	CHECK(is_stamped(p + 64 * KIB, 8 * KIB, 2, 16 * KIB));
	CHECK(is_stamped(p + 512 * KIB, 300 * KIB, 2, 24 * KIB));
	CHECK(is_stamped(p, 64 * KIB, 2, 324 * KIB));
	stamp(p, MIB, 3, 0);
	CHECK_EQ(pwritev(fd, v, 4, 16 * KIB), 372 * KIB);
	CHECK_EQ(pread(fd, p + 512 * KIB, 400 * KIB, 8 * KIB), 400 * KIB);
	CHECK(is_stamped(p + 512 * KIB, 8 * KIB, 2, 8 * KIB));
	CHECK(is_stamped(p + 520 * KIB, 8 * KIB, 3, 64 * KIB));
	CHECK(is_stamped(p + 528 * KIB, 300 * KIB, 3, 512 * KIB));
	CHECK(is_stamped(p + 828 * KIB, 64 * KIB, 3, 0));
}

TEST(memory_that_is_not_there_is_a_fault)
{
	int fd = direct_fd("f", O_CREAT | O_RDWR);
	char *p = memory(2 * MIB);

	make_file("f", 2 * MIB, 4);
	CHECK_ERRNO(pread(fd, (void *)4096, BLOCK, 0), EFAULT);
	CHECK_ERRNO(pwrite(fd, (void *)4096, BLOCK, 0), EFAULT);
	CHECK_OK(mprotect(p, MIB, PROT_READ));
	CHECK_ERRNO(pread(fd, p, BLOCK, 0), EFAULT);
	CHECK_OK(mprotect(p, MIB, PROT_NONE));
	CHECK_ERRNO(pwrite(fd, p, BLOCK, 0), EFAULT);
	CHECK_EQ(pread(fd, p + MIB, MIB, 0), MIB);
	CHECK(is_stamped(p + MIB, MIB, 4, 0));
}

TEST(the_end_of_the_file_is_the_end)
{
	int fd = direct_fd("f", O_CREAT | O_RDWR);
	char *p = memory(64 * KIB);

	make_file("f", 5000, 5);
	CHECK_EQ(pread(fd, p, 64 * KIB, 0), 5000);
	CHECK(is_stamped(p, 5000, 5, 0));
	CHECK_EQ(pread(fd, p, BLOCK, BLOCK), 904);
	CHECK(is_stamped(p, 904, 5, BLOCK));
	CHECK_EQ(pread(fd, p, BLOCK, 2 * BLOCK), 0);
	CHECK_EQ(pread(fd, p, BLOCK, 100 * BLOCK), 0);
	/* longer by a direct write, and in the middle of nowhere */
	stamp(p, BLOCK, 6, 0);
	CHECK_EQ(pwrite(fd, p, BLOCK, 10 * BLOCK), BLOCK);
	memset(p, 1, 64 * KIB);
	CHECK_EQ(pread(fd, p, 64 * KIB, 0), 11 * BLOCK);
	CHECK(is_stamped(p, 5000, 5, 0));
	for (int i = 5000; i < 10 * BLOCK; i++)
		CHECK_EQ(p[i], 0);
	CHECK(is_stamped(p + 10 * BLOCK, BLOCK, 6, 0));
}

TEST(what_is_not_aligned_is_refused)
{
	int fd = direct_fd("f", O_CREAT | O_RDWR);
	char *p = memory(64 * KIB);

	make_file("f", 64 * KIB, 7);
	CHECK_ERRNO(pread(fd, p, BLOCK, 100), EINVAL);
	CHECK_ERRNO(pread(fd, p, 100, 0), EINVAL);
	CHECK_ERRNO(pwrite(fd, p, 100, 0), EINVAL);
	CHECK_EQ(pread(fd, p, 0, 0), 0);
}

TEST(direct_and_cached_transfers_see_each_other)
{
	int fd = direct_fd("f", O_CREAT | O_RDWR), cached = open("f", O_RDWR);
	char *p = memory(64 * KIB), *map;

	CHECK_OK(cached);
	make_file("f", 64 * KIB, 8);
	map = mmap(NULL, 64 * KIB, PROT_READ | PROT_WRITE, MAP_SHARED, cached, 0);
	CHECK(map != MAP_FAILED);
	CHECK(is_stamped(map, 64 * KIB, 8, 0));
	for (uint32_t turn = 9; turn < 40; turn++) {
		stamp(p, 8 * KIB, turn, 0);
		CHECK_EQ(pwrite(fd, p, 8 * KIB, 16 * KIB), 8 * KIB);
		CHECK(is_stamped(map + 16 * KIB, 8 * KIB, turn, 0));
		CHECK_EQ(pread(cached, p + 8 * KIB, 8 * KIB, 16 * KIB), 8 * KIB);
		CHECK(is_stamped(p + 8 * KIB, 8 * KIB, turn, 0));
		stamp(p, 8 * KIB, turn + 100, 0);
		CHECK_EQ(pwrite(cached, p, 8 * KIB, 32 * KIB), 8 * KIB);
		stamp(map + 40 * KIB, 8 * KIB, turn + 200, 0);
		CHECK_EQ(pread(fd, p, 16 * KIB, 32 * KIB), 16 * KIB);
		CHECK(is_stamped(p, 8 * KIB, turn + 100, 0));
		CHECK(is_stamped(p + 8 * KIB, 8 * KIB, turn + 200, 0));
	}
}

TEST(it_is_asked_for_in_vain_where_there_is_no_disk)
{
	int memory_fd = memfd_create("m", 0), p[2], s, dir = open(".", O_RDONLY);

	CHECK_OK(memory_fd);
	CHECK_ERRNO(fcntl(memory_fd, F_SETFL, O_DIRECT), EINVAL);
	CHECK_ERRNO(open("/dev/null", O_RDONLY | O_DIRECT), EINVAL);
	CHECK_ERRNO(open("/proc/self/stat", O_RDONLY | O_DIRECT), EINVAL);
	CHECK_ERRNO(open(".", O_RDONLY | O_DIRECT), EINVAL);
	CHECK_ERRNO(fcntl(dir, F_SETFL, O_DIRECT), EINVAL);
	CHECK_OK(s = socket(AF_UNIX, SOCK_STREAM, 0));
	CHECK_ERRNO(fcntl(s, F_SETFL, O_DIRECT), EINVAL);
	CHECK_OK(mkfifo("fifo", 0600));
	CHECK_ERRNO(open("fifo", O_RDWR | O_DIRECT), EINVAL);
	CHECK_OK(pipe(p));
	CHECK_OK(fcntl(p[1], F_SETFL, O_DIRECT));
	CHECK_OK(open(".", O_PATH | O_DIRECT));
}

TEST(it_can_be_had_later)
{
	int fd;
	char *p = memory(BLOCK);

	close(direct_fd("f", O_CREAT | O_RDWR));
	CHECK_OK(fd = open("f", O_RDWR));
	CHECK_EQ(write(fd, p + 100, 100), 100);
	CHECK_OK(fcntl(fd, F_SETFL, O_DIRECT));
	CHECK_EQ(fcntl(fd, F_GETFL) & O_DIRECT, O_DIRECT);
	CHECK_ERRNO(pread(fd, p + 100, 100, 0), EINVAL);
	CHECK_EQ(pread(fd, p, BLOCK, 0), 100);
	CHECK_OK(fcntl(fd, F_SETFL, 0));
	CHECK_EQ(pread(fd, p + 100, 100, 0), 100);
}

/* -- several at a time */

enum { WRITERS = 6, REGION = 256 * KIB, TAIL = WRITERS * REGION };

static atomic_bool enough;
static atomic_uint wrong;

static void *write_region(void *arg)
{
	uint32_t me = (uint32_t)(uintptr_t)arg, seed = me + 1;
	int fd = open("f", O_RDWR | O_DIRECT);
	char *p = memory(REGION), *seen = memory(REGION);
	uint64_t base = (uint64_t)me * REGION;

	for (int turn = 1; turn < 60 && !wrong; turn++) {
		size_t n, at;

		seed = seed * 1103515245 + 12345;
		n = (size_t)(1 + (seed >> 16) % 16) * BLOCK;
		seed = seed * 1103515245 + 12345;
		at = (seed >> 16) % (REGION / BLOCK) * BLOCK;
		if (n > REGION - at)
			n = REGION - at;
		stamp(p + at, n, me << 8 | (uint32_t)turn, at);
		if (pwrite(fd, p + at, n, (off_t)(base + at)) != (ssize_t)n ||
		    pread(fd, seen, REGION, (off_t)base) != REGION || memcmp(p, seen, REGION))
			wrong = 1;
	}
	close(fd);
	return NULL;
}

/* Behind the regions the file grows, shrinks and gets holes, by way of the cache. */
static void *move_the_end(void *arg)
{
	int fd = open("f", O_RDWR);
	char *p = memory(64 * KIB);

	for (uint32_t turn = 0; !enough; turn++) {
		stamp(p, 64 * KIB, turn, 0);
		if (pwrite(fd, p, 64 * KIB, TAIL) != 64 * KIB || ftruncate(fd, TAIL + 100) ||
		    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, TAIL, 64 * KIB))
			wrong = 2;
	}
	close(fd);
	return NULL;
}

TEST_SECONDS(writers_of_one_file_do_not_disturb_each_other, 60)
{
	int fd = direct_fd("f", O_CREAT | O_RDWR);
	pthread_t writers[WRITERS], mover;
	char *p = memory(TAIL);

	/* blocks that are there */
	CHECK_EQ(pwrite(fd, p, TAIL, 0), TAIL);
	CHECK_EQ(pthread_create(&mover, NULL, move_the_end, NULL), 0);
	for (uintptr_t i = 0; i < WRITERS; i++)
		CHECK_EQ(pthread_create(&writers[i], NULL, write_region, (void *)i), 0);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	enough = true;
	pthread_join(mover, NULL);
	CHECK_EQ(wrong, 0);
}

/* One of two files is cut off and written again all the time: the other may get its blocks. */
static void *come_and_go(void *arg)
{
	uint32_t id = (uint32_t)(uintptr_t)arg;
	char name[2] = { (char)('a' + id), 0 };
	int fd = open(name, O_RDWR);
	char *p = memory(256 * KIB);

	stamp(p, 256 * KIB, id, 0);
	for (int turn = 0; turn < 40 && !wrong; turn++) {
		if (ftruncate(fd, 0) || pwrite(fd, p, 256 * KIB, 0) != 256 * KIB || fdatasync(fd))
			wrong = 3;
	}
	close(fd);
	return NULL;
}

static void *read_what_is_there(void *arg)
{
	uint32_t id = (uint32_t)(uintptr_t)arg;
	char name[2] = { (char)('a' + id), 0 };
	int fd = open(name, O_RDONLY | O_DIRECT);
	char *p = memory(256 * KIB), *zeros = memory(BLOCK);

	while (!enough) {
		ssize_t n = pread(fd, p, 256 * KIB, 0);

		for (ssize_t at = 0; at + BLOCK <= n; at += BLOCK)
			if (!is_stamped(p + at, BLOCK, id, (uint64_t)at) && memcmp(p + at, zeros, BLOCK))
				wrong = 4;
	}
	close(fd);
	return NULL;
}

TEST_SECONDS(readers_never_see_the_blocks_of_another_file, 60)
{
	pthread_t writer[2], reader[2];

	close(direct_fd("a", O_CREAT | O_RDWR));
	close(direct_fd("b", O_CREAT | O_RDWR));
	for (uintptr_t i = 0; i < 2; i++) {
		CHECK_EQ(pthread_create(&reader[i], NULL, read_what_is_there, (void *)i), 0);
		CHECK_EQ(pthread_create(&writer[i], NULL, come_and_go, (void *)i), 0);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(writer[i], NULL);
	enough = true;
	for (int i = 0; i < 2; i++)
		pthread_join(reader[i], NULL);
	CHECK_EQ(wrong, 0);
}

/* Half of a page by way of the cache, half of it past it. */
static void *write_even_sectors(void *arg)
{
	int fd = open("f", O_RDWR | O_DIRECT);
	char *p = memory(BLOCK);

	memset(p, 'd', BLOCK);
	for (int i = 0; i < 128; i += 2)
		if (pwrite(fd, p, 512, i * 512) != 512)
			wrong = 5;
	close(fd);
	return NULL;
}

TEST_SECONDS(neighbours_in_one_page_are_both_written, 60)
{
	int fd = direct_fd("f", O_CREAT | O_RDWR), cached = open("f", O_RDWR);
	char *p = memory(64 * KIB), c[512];
	pthread_t other;

	for (int turn = 0; turn < 30; turn++) {
		make_file("f", 64 * KIB, 9);
		CHECK_OK(fsync(cached));
		memset(c, 'a' + turn % 26, sizeof(c));
		CHECK_EQ(pthread_create(&other, NULL, write_even_sectors, NULL), 0);
		for (int i = 1; i < 128; i += 2)
			CHECK_EQ(pwrite(cached, c, 512, i * 512), 512);
		pthread_join(other, NULL);
		if (wrong == 5)
			SKIP("sectors here are larger than 512 bytes");
		CHECK_OK(fsync(cached));
		CHECK_EQ(pread(fd, p, 64 * KIB, 0), 64 * KIB);
		for (int i = 0; i < 64 * KIB; i++)
			CHECK_EQ(p[i], i / 512 % 2 ? 'a' + turn % 26 : 'd');
		CHECK_EQ(pread(cached, p, 64 * KIB, 0), 64 * KIB);
		for (int i = 0; i < 64 * KIB; i++)
			CHECK_EQ(p[i], i / 512 % 2 ? 'a' + turn % 26 : 'd');
	}
}
