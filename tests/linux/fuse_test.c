/* SPDX-License-Identifier: MIT */
/* The FUSE device, fuse(4): what a server may answer, and what becomes of those who wait for it. */

#include "harness.h"

#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

#define BUFFER (128 * 1024 + 4096)

static int dev = -1;
static _Alignas(16) char in[BUFFER];
static struct fuse_in_header *const head = (void *)in;

/* Mount on "mnt" in a namespace of our own; the server is this process. */
static void start(void)
{
	char options[100];

	CHECK_ROOT();
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		SKIP("no mount namespaces here");
	dev = open("/dev/fuse", O_RDWR);
	if (dev < 0)
		SKIP("no FUSE here");
	CHECK_OK(mkdir("mnt", 0755));
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", dev);
	CHECK_OK(mount("test", "mnt", "fuse.test", 0, options));
}

static void next(void)
{
	for (;;) {
		ssize_t n = read(dev, in, sizeof(in));

		CHECK(n >= (ssize_t)sizeof(*head));
		CHECK_EQ(head->len, n);
		if (head->opcode != FUSE_FORGET && head->opcode != FUSE_BATCH_FORGET &&
		    head->opcode != FUSE_INTERRUPT)
			return;
	}
}

static int answer(int error, const void *data, size_t n)
{
	char out[8192];
	struct fuse_out_header h = { .len = (uint32_t)(sizeof(h) + n), .error = error, .unique = head->unique };

	memcpy(out, &h, sizeof(h));
	memcpy(out + sizeof(h), data, n);
	return (int)write(dev, out, sizeof(h) + n);
}

static void serve_init(void)
{
	struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096 };

	next();
	CHECK_EQ(head->opcode, FUSE_INIT);
	CHECK(answer(0, &out, sizeof(out)) > 0);
}

static struct fuse_attr_out root_attr(void)
{
	return (struct fuse_attr_out){ .attr = { .ino = 1, .mode = S_IFDIR | 0755, .nlink = 2, .blksize = 4096 } };
}

/* A child that looks for a name; what it got is its exit status. */
static pid_t looker(void)
{
	pid_t child = fork();
	struct stat st;

	if (!child) {
		close(dev);
		_exit(stat("mnt/name", &st) ? errno : 0);
	}
	return child;
}

/* Answer what comes until there is a lookup. */
static void until_lookup(void)
{
	struct fuse_attr_out attr = root_attr();

	for (next(); head->opcode != FUSE_LOOKUP; next())
		CHECK(answer(head->opcode == FUSE_GETATTR ? 0 : -ENOSYS, &attr,
			     head->opcode == FUSE_GETATTR ? sizeof(attr) : 0) > 0);
	CHECK(!strcmp(in + sizeof(*head), "name"));
}

static int status_of(pid_t child)
{
	int status;

	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

TEST(fuse_device_wants_a_mount_and_room)
{
	CHECK_ROOT();
	dev = open("/dev/fuse", O_RDWR);
	if (dev < 0)
		SKIP("no FUSE here");
	CHECK_ERRNO(read(dev, in, sizeof(in)), EPERM);
	close(dev);
	start();
	CHECK_ERRNO(read(dev, in, 100), EINVAL);
	serve_init();
	CHECK_ERRNO(write(dev, in, 4), EINVAL);
	CHECK_OK(fcntl(dev, F_SETFL, O_NONBLOCK));
	CHECK_ERRNO(read(dev, in, sizeof(in)), EAGAIN);
}

TEST(fuse_mount_wants_all_options)
{
	start();
	CHECK_ERRNO(mount("test", "mnt", "fuse", 0, "rootmode=40000,user_id=0,group_id=0"), EINVAL);
	CHECK_ERRNO(mount("test", "mnt", "fuse", 0, "fd=0,rootmode=40000,user_id=0,group_id=0,what=ever"), EINVAL);
	CHECK_ERRNO(mount("test", "mnt", "fuse", 0, "fd=999,rootmode=40000,user_id=0,group_id=0"), EINVAL);
}

TEST(fuse_error_reaches_the_caller)
{
	pid_t child;

	start();
	serve_init();
	child = looker();
	until_lookup();
	CHECK(answer(-EDOM, NULL, 0) > 0);
	CHECK_EQ(status_of(child), EDOM);
}

TEST(fuse_bad_answers_are_refused)
{
	struct fuse_entry_out entry = { .nodeid = 5, .attr = { .mode = S_IFREG | 0644, .nlink = 1 } };
	uint64_t unique;
	pid_t child;

	start();
	serve_init();
	child = looker();
	until_lookup();
	unique = head->unique;
	head->unique = unique + 1000;
	CHECK_ERRNO(answer(0, &entry, sizeof(entry)), ENOENT);
	head->unique = unique;
	CHECK_ERRNO(answer(0, &entry, sizeof(entry) - 8), EINVAL);	/* fails the request, too */
	CHECK_EQ(status_of(child), EIO);
	CHECK_ERRNO(answer(0, &entry, sizeof(entry)), ENOENT);

	child = looker();
	until_lookup();
	entry.attr.mode = 0644;			/* no type */
	CHECK(answer(0, &entry, sizeof(entry)) > 0);
	CHECK_EQ(status_of(child), EIO);

	child = looker();
	until_lookup();
	CHECK_ERRNO(answer(1, NULL, 0), EINVAL);
}

TEST(fuse_server_that_goes_ends_requests)
{
	struct stat st;
	pid_t child;

	start();
	serve_init();
	child = looker();
	until_lookup();
	close(dev);
	CHECK_EQ(status_of(child), ECONNABORTED);
	CHECK_ERRNO(stat("mnt/name", &st), ENOTCONN);
	CHECK_OK(umount("mnt"));
}

TEST(fuse_unmount_ends_the_server)
{
	start();
	serve_init();
	CHECK_OK(umount2("mnt", MNT_DETACH));
	CHECK_ERRNO(read(dev, in, sizeof(in)), ENODEV);
}

TEST(fuse_unread_request_can_be_killed)
{
	int status;
	pid_t child;

	start();
	serve_init();
	child = looker();
	usleep(20000);
	CHECK_OK(kill(child, SIGKILL));
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(WTERMSIG(status), SIGKILL);
}
