/* SPDX-License-Identifier: MIT */
/*
 * Unpacking of initramfs images in the host rig: what is right, what is broken, and
 * what was made broken byte by byte.
 */
#include "test/host/rig_test.h"

#include "abi/calls.h"

#define self rig_self()
#define P rig_str

struct image {
	char data[65536];
	size_t n;
};

static void pad(struct image *im)
{
	while (im->n & 3)
		im->data[im->n++] = '\0';
}

static void entry(struct image *im, const char *name, unsigned int mode, unsigned int ino,
		  unsigned int nlink, const void *data, size_t size)
{
	im->n += (size_t)sprintf(im->data + im->n,
				 "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", ino, mode,
				 0, 0, nlink, 1000000000, size, 0, 1, 5, 1, strlen(name) + 1, 0);
	memcpy(im->data + im->n, name, strlen(name) + 1);
	im->n += strlen(name) + 1;
	pad(im);
	memcpy(im->data + im->n, data, size);
	im->n += size;
	pad(im);
}

static void trailer(struct image *im)
{
	entry(im, "TRAILER!!!", 0, 0, 1, "", 0);
	while (im->n % 512)
		im->data[im->n++] = '\0';
}

static int unpack(const void *data, size_t n)
{
	uint32_t memory = rig_memory_of(data, n);
	int err = lx_initramfs_unpack(memory, n);

	if (k_handle_close(memory) != K_OK)
		abort();
	return err;
}

static void begin(void)
{
	rig_start();
	rig_reset();
}

static void sample(struct image *im)
{
	im->n = 0;
	entry(im, "dir", S_IFDIR | 0755, 1, 2, "", 0);
	entry(im, "dir/file", S_IFREG | 0640, 2, 2, "contents", 8);
	entry(im, "dir/hard", S_IFREG | 0640, 2, 2, "", 0);
	entry(im, "link", S_IFLNK | 0777, 3, 1, "dir/file", 8);
	entry(im, "zero", S_IFCHR | 0666, 4, 1, "", 0);
	entry(im, "init", S_IFREG | 0755, 5, 1, "#!/bin/sh\n", 10);
	trailer(im);
}

TEST(archives_one_after_the_other)
{
	static struct image im, more;

	begin();
	sample(&im);
	entry(&more, "second", S_IFREG | 0644, 9, 1, "two", 3);
	entry(&more, "dir/file", S_IFREG | 0644, 9, 1, "over", 4);
	trailer(&more);
	memcpy(im.data + im.n, more.data, more.n);
	im.n += more.n;
	CHECK_EQ(unpack(im.data, im.n), 0);
	CHECK_STR(rig_get_file("/dir/file"), "over");
	CHECK_STR(rig_get_file("/dir/hard"), "over");
	CHECK_STR(rig_get_file("/link"), "over");
	CHECK_STR(rig_get_file("/second"), "two");
	CHECK(lx_initramfs_has(self, "/init"));
	CHECK(!lx_initramfs_has(self, "/second"));
	CHECK(!lx_initramfs_has(self, "/nothing"));
}

TEST(what_is_broken_is_einval)
{
	static struct image im;

	begin();
	CHECK_EQ(unpack("nonsense", 8), -EINVAL);
	CHECK_EQ(unpack("\0\0\0\0\0\0\0\0", 8), 0);
	CHECK_EQ(unpack("\x1f\x8b\x08\0\0\0\0\0", 8), -EINVAL);
	sample(&im);
	CHECK_EQ(unpack(im.data, 200), -EINVAL);
	memcpy(im.data + 6, "zzzzzzzz", 8);
	CHECK_EQ(unpack(im.data, im.n), -EINVAL);
	im.n = 0;
	entry(&im, "no/such/dir/file", S_IFREG | 0644, 1, 1, "x", 1);
	entry(&im, "after", S_IFREG | 0644, 2, 1, "a", 1);
	trailer(&im);
	CHECK_EQ(unpack(im.data, im.n), 0);
	CHECK_STR(rig_get_file("/after"), "a");
}

TEST(changed_bytes_and_cut_images_do_no_harm)
{
	static struct image im, copy;

	begin();
	sample(&im);
	for (size_t n = 0; n < im.n; n += 7)
		unpack(im.data, n);
	for (int round = 0; round < 3000; round++) {
		unsigned int changes = 1 + (unsigned int)(unit_random() % 8);

		copy = im;
		while (changes--)
			copy.data[unit_random() % im.n] =
				"0123456789abcdef\0/.Z"[unit_random() % 20];
		unpack(copy.data, copy.n);
	}
}
