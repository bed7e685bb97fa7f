/* SPDX-License-Identifier: MIT */
/* Disks that are removed while they are used, on the host; with threads under the thread sanitizer, too. */
#include "test/host/rig_test.h"

#include "block/block.h"

#define SIZE 65536u

static char bytes[4][SIZE];

static struct lx_blkdev *opened(const char *path)
{
	struct lx_blkdev *b = NULL;

	CHECK_EQ(lx_blkdev_open(path, &b), 0);
	return b;
}

static void begin(unsigned int index)
{
	static bool started;

	if (!started)
		rig_start();
	started = true;
	rig_reset();
	rig_disk_rw(index, bytes[index], SIZE);
}

TEST(who_has_a_removed_disk_open_gets_errors_and_nobody_else_finds_it)
{
	struct lx_blkdev *b, *again;
	char buf[512];

	begin(0);
	b = opened("/dev/vda");
	REQUIRE(b);
	CHECK_EQ(lx_blkdev_read_direct(b, 0, buf, sizeof(buf)), 0);
	lx_blkdev_remove(0);
	CHECK_EQ(lx_blkdev_size(b), 0);
	CHECK_EQ(lx_blkdev_read_direct(b, 0, buf, sizeof(buf)), -EIO);
	CHECK_EQ(lx_blkdev_write_direct(b, 0, buf, sizeof(buf)), -EIO);
	CHECK_EQ(lx_blkdev_flush(b), -EIO);
	CHECK_EQ(lx_blkdev_by_name("vda"), 0);
	CHECK_EQ(lx_blkdev_open("/dev/vda", &again), -ENOENT);
	lx_blkdev_remove(0);
	lx_blkdev_put(b);
	lx_blkdev_remove(0);
}

TEST(a_disk_that_comes_after_its_link_went_is_gone_at_once)
{
	struct lx_blkdev *b;

	begin(0);
	lx_blkdev_remove(1);
	begin(1);
	CHECK_EQ(lx_blkdev_by_name("vdb"), 0);
	CHECK_EQ(lx_blkdev_open("/dev/vdb", &b), -ENOENT);
}

/* -- requests under way ---------------------------------------------------------------------------- */

static _Atomic(bool) writing, removing, written;

/* The disk takes its time. */
static bool slow_write(unsigned int index, uint64_t off, const void *data, size_t n)
{
	atomic_store(&writing, true);
	while (!atomic_load(&removing))
		;
	for (volatile int i = 0; i < 1000000; i++)
		;
	atomic_store(&written, true);
	return true;
}

static void write_once(void *arg)
{
	char buf[512] = "x";

	CHECK_EQ(lx_blkdev_write_direct(arg, 0, buf, sizeof(buf)), 0);
}

TEST(what_is_under_way_ends_before_the_link_is_given_back)
{
	struct lx_blkdev *b;
	struct lx_task *t;

	begin(2);
	b = opened("/dev/vdc");
	REQUIRE(b);
	rig_disk_watch(slow_write);
	t = rig_task(write_once, b);
	while (!atomic_load(&writing))
		;
	atomic_store(&removing, true);
	lx_blkdev_remove(2);
	CHECK(atomic_load(&written));
	rig_join(t);
	rig_disk_watch(NULL);
	CHECK_EQ(bytes[2][0], 'x');
	lx_blkdev_put(b);
}

static _Atomic(uint32_t) reads;

static void read_until_it_fails(void *arg)
{
	char buf[512];
	int err;

	while (!(err = lx_blkdev_read_direct(arg, 512, buf, sizeof(buf))))
		atomic_fetch_add(&reads, 1);
	CHECK_EQ(err, -EIO);
	lx_blkdev_put(arg);
}

TEST(a_disk_is_removed_under_its_readers)
{
	struct lx_task *t[3];

	begin(3);
	for (int i = 0; i < 3; i++)
		t[i] = rig_task(read_until_it_fails, opened("/dev/vdd"));
	while (atomic_load(&reads) < 1000)
		;
	lx_blkdev_remove(3);
	for (int i = 0; i < 3; i++)
		rig_join(t[i]);
}
