/* SPDX-License-Identifier: MIT */
/*
 * Memory maps: what mmap and its relatives do with pages, protections, files,
 * children and addresses.
 */

#include "harness.h"

#include <pthread.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define PAGE 4096ul
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

/* -- faults: the signal that an access gives, and its code ------------------------------- */

static sigjmp_buf fault_jump;
static volatile int fault_code;
static void *volatile fault_addr;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	fault_code = info->si_code;
	fault_addr = info->si_addr;
	siglongjmp(fault_jump, signal);
}

static int fault_of(volatile char *p, bool write)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
	int signal;

	CHECK_OK(sigaction(SIGSEGV, &action, NULL));
	CHECK_OK(sigaction(SIGBUS, &action, NULL));
	fault_code = 0;
	signal = sigsetjmp(fault_jump, 1);
	if (!signal) {
		if (write)
			*p = 1;
		else
			(void)*p;
	}
	return signal;
}

static char *map(size_t pages, int prot)
{
	char *p = mmap(NULL, pages * PAGE, prot, ANON, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static int file_of(size_t bytes, char fill)
{
	int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char buffer[PAGE];

	CHECK(fd >= 0);
	memset(buffer, fill, sizeof(buffer));
	for (size_t done = 0; done < bytes; done += PAGE)
		CHECK_OK(write(fd, buffer, bytes - done < PAGE ? bytes - done : PAGE));
	return fd;
}

/* Run @fn in a child; its exit status. */
static int in_child(void (*fn)(void *), void *arg)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (!pid) {
		fn(arg);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return status;
}

/* -- anonymous memory ------------------------------------------------------------------------ */

TEST(anonymous_pages_are_zero)
{
	char *p = map(64, RW);

	for (size_t i = 0; i < 64 * PAGE; i += 511)
		CHECK_EQ(p[i], 0);
	memset(p, 7, 64 * PAGE);
	CHECK_OK(munmap(p, 64 * PAGE));
	p = map(64, RW);
	for (size_t i = 0; i < 64 * PAGE; i += PAGE)
		CHECK_EQ(p[i], 0);
}

TEST(read_then_written_page_keeps_the_write)
{
	char *p = map(2, RW);

	CHECK_EQ(p[100], 0);
	p[100] = 5;
	CHECK_EQ(p[100], 5);
	CHECK_EQ(p[PAGE + 100], 0);
}

TEST(unmapped_memory_faults_with_maperr)
{
	char *p = map(3, RW);

	CHECK_OK(munmap(p + PAGE, PAGE));
	CHECK_EQ(fault_of(p + PAGE, false), SIGSEGV);
	CHECK_EQ(fault_code, SEGV_MAPERR);
	CHECK(fault_addr == p + PAGE);
	CHECK_EQ(fault_of(p, true), 0);
	CHECK_EQ(fault_of(p + 2 * PAGE, true), 0);
}

TEST(null_faults)
{
	CHECK_EQ(fault_of(NULL, false), SIGSEGV);
	CHECK_EQ(fault_code, SEGV_MAPERR);
}

TEST(arguments_are_checked)
{
	char *p = map(4, RW);

	CHECK_ERRNO((long)mmap(NULL, 0, RW, ANON, -1, 0), EINVAL);
	CHECK_ERRNO((long)mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0), EINVAL);
	CHECK_ERRNO((long)mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0), EBADF);
	CHECK_ERRNO((long)mmap(p + 1, PAGE, RW, ANON | MAP_FIXED, -1, 0), EINVAL);
	CHECK_ERRNO((long)mmap(NULL, ~0ul - PAGE, RW, ANON, -1, 0), ENOMEM);
	CHECK_ERRNO(munmap(p + 1, PAGE), EINVAL);
	CHECK_ERRNO(munmap(p, 0), EINVAL);
	CHECK_OK(munmap(p, 1));
	CHECK_EQ(fault_of(p + PAGE - 1, false), SIGSEGV);
	CHECK_ERRNO(mprotect(p + 1, PAGE, RW), EINVAL);
	CHECK_OK(mprotect(p + 1 * PAGE, 0, PROT_NONE));
	CHECK_ERRNO(mprotect(p + PAGE, PAGE, 0x1000), EINVAL);
	CHECK_ERRNO(madvise(p + 1, PAGE, MADV_DONTNEED), EINVAL);
	CHECK_ERRNO(madvise(p + PAGE, PAGE, 12345), EINVAL);
}

TEST(unmapping_what_is_not_mapped_succeeds)
{
	char *p = map(4, RW);

	CHECK_OK(munmap(p, 4 * PAGE));
	CHECK_OK(munmap(p, 4 * PAGE));
}

TEST(hints_are_taken_when_free)
{
	char *p = map(8, RW), *q;

	CHECK_OK(munmap(p, 8 * PAGE));
	q = mmap(p, PAGE, RW, ANON, -1, 0);
	CHECK(q == p);
	q = mmap(p, PAGE, RW, ANON, -1, 0);
	CHECK(q != p && q != MAP_FAILED);
}

TEST(fixed_replaces_and_noreplace_refuses)
{
	char *p = map(4, RW), *q;

	memset(p, 3, 4 * PAGE);
	q = mmap(p + PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0);
	CHECK(q == p + PAGE);
	CHECK_EQ(q[0], 0);
	CHECK_EQ(p[0], 3);
	CHECK_EQ(p[2 * PAGE], 3);
	CHECK_ERRNO((long)mmap(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	CHECK_OK(munmap(p, PAGE));
	q = mmap(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0);
	CHECK(q == p);
}

TEST(low_addresses_for_map_32bit)
{
	char *p = mmap(NULL, 4 * PAGE, RW, ANON | MAP_32BIT, -1, 0);

	CHECK(p != MAP_FAILED);
	CHECK((unsigned long)p + 4 * PAGE <= 1ul << 31);
}

TEST(large_sparse_mapping_costs_only_what_is_touched)
{
	char *p = mmap(NULL, 1ul << 34, RW, ANON | MAP_NORESERVE, -1, 0);

	CHECK(p != MAP_FAILED);
	for (unsigned long i = 0; i < 16; i++)
		p[i << 30] = (char)i;
	for (unsigned long i = 0; i < 16; i++)
		CHECK_EQ(p[i << 30], (char)i);
	CHECK_OK(munmap(p, 1ul << 34));
}

/* -- protection ------------------------------------------------------------------------------------ */

TEST(read_only_memory_faults_with_accerr)
{
	char *p = map(2, PROT_READ);

	CHECK_EQ(fault_of(p, false), 0);
	CHECK_EQ(fault_of(p, true), SIGSEGV);
	CHECK_EQ(fault_code, SEGV_ACCERR);
	CHECK_OK(mprotect(p, PAGE, RW));
	CHECK_EQ(fault_of(p, true), 0);
	CHECK_EQ(fault_of(p + PAGE, true), SIGSEGV);
}

TEST(contents_survive_prot_none)
{
	char *p = map(4, RW);

	memset(p, 9, 4 * PAGE);
	CHECK_OK(mprotect(p + PAGE, 2 * PAGE, PROT_NONE));
	CHECK_EQ(fault_of(p + PAGE, false), SIGSEGV);
	CHECK_EQ(fault_code, SEGV_ACCERR);
	CHECK_EQ(fault_of(p + 2 * PAGE, true), SIGSEGV);
	CHECK_OK(mprotect(p, 4 * PAGE, PROT_READ));
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(p[i * PAGE], 9);
	CHECK_EQ(fault_of(p + PAGE, true), SIGSEGV);
}

TEST(mprotect_of_a_hole_is_enomem)
{
	char *p = map(4, RW);

	CHECK_OK(munmap(p + 2 * PAGE, PAGE));
	CHECK_ERRNO(mprotect(p, 4 * PAGE, PROT_READ), ENOMEM);
	CHECK_ERRNO(mprotect(p + 2 * PAGE, PAGE, PROT_READ), ENOMEM);
}

TEST(code_runs_only_where_it_may)
{
	static const unsigned char code[] = { 0xb8, 0x2a, 0, 0, 0, 0xc3 };	/* return 42 */
	char *p = map(1, RW);
	int (*fn)(void) = (int (*)(void))p;

	memcpy(p, code, sizeof(code));
	CHECK_OK(mprotect(p, PAGE, PROT_READ | PROT_EXEC));
	CHECK_EQ(fn(), 42);
	CHECK_EQ(fault_of(p, true), SIGSEGV);
	CHECK_OK(mprotect(p, PAGE, PROT_READ));
	if (!sigsetjmp(fault_jump, 1)) {
		fn();
		CHECK(!"ran");
	}
	CHECK_EQ(fault_code, SEGV_ACCERR);
}

TEST(write_only_memory_can_be_read_too)
{
	char *p = map(1, PROT_WRITE);

	p[0] = 4;
	CHECK_EQ(fault_of(p, false), 0);
}

/* -- files ------------------------------------------------------------------------------------------- */

TEST(private_file_mappings_do_not_write_back)
{
	int fd = file_of(3 * PAGE, 'a');
	char *p = mmap(NULL, 3 * PAGE, RW, MAP_PRIVATE, fd, 0), c;

	CHECK(p != MAP_FAILED);
	CHECK_EQ(p[PAGE], 'a');
	p[PAGE] = 'b';
	CHECK_EQ(p[PAGE], 'b');
	CHECK_EQ(pread(fd, &c, 1, PAGE), 1);
	CHECK_EQ(c, 'a');
	/* What was not copied yet follows the file. */
	CHECK_EQ(pwrite(fd, "z", 1, 2 * PAGE), 1);
	CHECK_EQ(p[2 * PAGE], 'z');
	CHECK_EQ(pwrite(fd, "z", 1, PAGE), 1);
	CHECK_EQ(p[PAGE], 'b');
}

TEST(shared_file_mappings_are_the_file)
{
	int fd = file_of(3 * PAGE, 'a');
	char *p = mmap(NULL, 3 * PAGE, RW, MAP_SHARED, fd, 0), *q, c;

	CHECK(p != MAP_FAILED);
	p[PAGE + 5] = 'b';
	CHECK_EQ(pread(fd, &c, 1, PAGE + 5), 1);
	CHECK_EQ(c, 'b');
	CHECK_EQ(pwrite(fd, "c", 1, 2 * PAGE + 7), 1);
	CHECK_EQ(p[2 * PAGE + 7], 'c');
	q = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
	CHECK_EQ(q[5], 'b');
	p[PAGE + 5] = 'd';
	CHECK_EQ(q[5], 'd');
	CHECK_OK(msync(p, 3 * PAGE, MS_SYNC));
	CHECK_OK(close(fd));
	CHECK_EQ(p[PAGE + 5], 'd');
}

TEST(access_beyond_the_end_of_file_is_sigbus)
{
	int fd = file_of(PAGE + 100, 'a');
	char *p = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);

	CHECK(p != MAP_FAILED);
	CHECK_EQ(p[PAGE + 99], 'a');
	CHECK_EQ(p[PAGE + 100], 0);
	CHECK_EQ(fault_of(p + 2 * PAGE, false), SIGBUS);
	CHECK_EQ(fault_code, BUS_ADRERR);
	CHECK_OK(ftruncate(fd, 3 * PAGE));
	CHECK_EQ(fault_of(p + 2 * PAGE, true), 0);
	CHECK_EQ(fault_of(p + 3 * PAGE, true), SIGBUS);
}

TEST(truncation_takes_pages_away)
{
	int fd = file_of(4 * PAGE, 'a');
	char *shared = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);
	char *private = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE, fd, 0);

	CHECK_EQ(shared[3 * PAGE], 'a');
	private[3 * PAGE] = 'p';
	CHECK_OK(ftruncate(fd, PAGE + 10));
	CHECK_EQ(fault_of(shared + 3 * PAGE, false), SIGBUS);
	CHECK_EQ(fault_of(private + 3 * PAGE, false), SIGBUS);
	CHECK_EQ(shared[PAGE + 9], 'a');
	CHECK_EQ(shared[PAGE + 10], 0);
	CHECK_OK(ftruncate(fd, 4 * PAGE));
	CHECK_EQ(shared[3 * PAGE], 0);
	CHECK_EQ(private[3 * PAGE], 0);
}

TEST(rights_of_the_descriptor_limit_the_mapping)
{
	int fd = file_of(PAGE, 'a'), ro, wo;
	char *p;

	ro = open("file", O_RDONLY);
	wo = open("file", O_WRONLY);
	CHECK_ERRNO((long)mmap(NULL, PAGE, RW, MAP_SHARED, ro, 0), EACCES);
	CHECK_ERRNO((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, wo, 0), EACCES);
	CHECK_ERRNO((long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, wo, 0), EACCES);
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);
	CHECK(p != MAP_FAILED);
	CHECK_ERRNO(mprotect(p, PAGE, RW), EACCES);
	p = mmap(NULL, PAGE, RW, MAP_PRIVATE, ro, 0);
	CHECK(p != MAP_FAILED);
	p[0] = 'x';
	CHECK_ERRNO((long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 100), EINVAL);
}

TEST(a_mapping_outlives_its_name_and_descriptor)
{
	int fd = file_of(2 * PAGE, 'k');
	char *p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);

	CHECK_OK(unlink("file"));
	CHECK_OK(close(fd));
	CHECK_EQ(p[0], 'k');
	CHECK_EQ(p[2 * PAGE - 1], 'k');
}

TEST(read_into_a_mapping_of_the_same_file)
{
	int fd = file_of(4 * PAGE, 'm');
	char *p = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);

	CHECK_OK(pwrite(fd, "first", 5, 0));
	CHECK_EQ(pread(fd, p + 2 * PAGE, PAGE, 0), PAGE);
	CHECK(!memcmp(p + 2 * PAGE, "firstm", 6));
	CHECK_EQ(pwrite(fd, p + 2 * PAGE, PAGE, 3 * PAGE), PAGE);
	CHECK(!memcmp(p + 3 * PAGE, "firstm", 6));
}

TEST(zero_device_maps_like_anonymous_memory)
{
	int fd = open("/dev/zero", O_RDWR);
	char *p;

	CHECK(fd >= 0);
	p = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED);
	CHECK_EQ(p[PAGE], 0);
	p[PAGE] = 1;
	CHECK_EQ(p[PAGE], 1);
}

/* -- fork ------------------------------------------------------------------------------------------------ */

static void write_to(void *p)
{
	*(volatile char *)p = 'c';
}

static void expect_c(void *p)
{
	if (*(volatile char *)p != 'c')
		_exit(1);
}

TEST(private_memory_is_copied_on_write)
{
	char *p = map(2, RW);

	p[0] = 'p';
	CHECK_EQ(in_child(write_to, p), 0);
	CHECK_EQ(p[0], 'p');
	p[PAGE] = 'c';
	CHECK_EQ(in_child(expect_c, p + PAGE), 0);
}

TEST(shared_anonymous_memory_is_shared_with_children)
{
	char *p = mmap(NULL, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	CHECK_EQ(in_child(write_to, p + PAGE), 0);
	CHECK_EQ(p[PAGE], 'c');
	CHECK_EQ(p[0], 0);
}

TEST(many_generations_keep_their_own_copies)
{
	unsigned char *p = (unsigned char *)map(16, RW);

	memset(p, 1, 16 * PAGE);
	for (unsigned depth = 2; depth < 8; depth++) {
		pid_t pid = fork();
		int status;

		CHECK(pid >= 0);
		if (pid) {
			CHECK_EQ(waitpid(pid, &status, 0), pid);
			for (unsigned i = 0; i < 16; i++)
				if (p[i * PAGE] != (i < depth - 2 ? i + 2 : 1))
					_exit(9);
			if (depth > 2)
				_exit(status ? 9 : 0);
			CHECK_EQ(status, 0);
			return;
		}
		p[(depth - 2) * PAGE] = (unsigned char)depth;
	}
	_exit(0);
}

static void expect_zero(void *p)
{
	if (*(volatile char *)p)
		_exit(1);
}

static void expect_fault(void *p)
{
	if (fault_of(p, false) != SIGSEGV)
		_exit(1);
}

TEST(advice_decides_what_children_get)
{
	char *p = map(3, RW);

	memset(p, 'c', 3 * PAGE);
	CHECK_OK(madvise(p, PAGE, MADV_DONTFORK));
	CHECK_OK(madvise(p + PAGE, PAGE, MADV_WIPEONFORK));
	CHECK_EQ(in_child(expect_fault, p), 0);
	CHECK_EQ(in_child(expect_zero, p + PAGE), 0);
	CHECK_EQ(in_child(expect_c, p + 2 * PAGE), 0);
	CHECK_EQ(p[PAGE], 'c');
	CHECK_OK(madvise(p, PAGE, MADV_DOFORK));
	CHECK_OK(madvise(p + PAGE, PAGE, MADV_KEEPONFORK));
	CHECK_EQ(in_child(expect_c, p), 0);
	CHECK_EQ(in_child(expect_c, p + PAGE), 0);
}

TEST_SECONDS(forks_under_memory_traffic, 60)
{
	char *p = map(256, RW);

	for (unsigned round = 0; round < 20; round++) {
		pid_t pid;
		int status;

		for (unsigned i = 0; i < 256; i++)
			p[i * PAGE] = (char)(round + i);
		pid = fork();
		CHECK(pid >= 0);
		if (!pid) {
			for (unsigned i = 0; i < 256; i++) {
				if (p[i * PAGE] != (char)(round + i))
					_exit(1);
				if (i % 3 == 0)
					p[i * PAGE] = 0;
			}
			_exit(0);
		}
		for (unsigned i = 0; i < 256; i += 2)
			p[i * PAGE] = 99;
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status, 0);
		for (unsigned i = 0; i < 256; i++)
			CHECK_EQ(p[i * PAGE], i % 2 ? (char)(round + i) : 99);
	}
}

/* -- mremap -------------------------------------------------------------------------------------------------- */

TEST(mremap_grows_and_shrinks)
{
	char *p = map(8, RW), *q;

	memset(p, 5, 8 * PAGE);
	CHECK_OK(munmap(p + 4 * PAGE, 4 * PAGE));
	q = mremap(p, 4 * PAGE, 6 * PAGE, 0);
	CHECK(q == p);
	CHECK_EQ(q[4 * PAGE - 1], 5);
	CHECK_EQ(q[4 * PAGE], 0);
	q = mremap(p, 6 * PAGE, 2 * PAGE, 0);
	CHECK(q == p);
	CHECK_EQ(fault_of(p + 2 * PAGE, false), SIGSEGV);
	CHECK_EQ(q[2 * PAGE - 1], 5);
}

TEST(mremap_moves_when_it_may)
{
	char *p = map(4, RW), *block, *q;

	memset(p, 6, 4 * PAGE);
	block = mmap(p + 2 * PAGE, PAGE, PROT_NONE, ANON | MAP_FIXED, -1, 0);
	CHECK(block == p + 2 * PAGE);
	CHECK_ERRNO((long)mremap(p, 2 * PAGE, 4 * PAGE, 0), ENOMEM);
	q = mremap(p, 2 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && q != p);
	CHECK_EQ(q[0], 6);
	CHECK_EQ(q[2 * PAGE - 1], 6);
	CHECK_EQ(q[2 * PAGE], 0);
	CHECK_EQ(fault_of(p, false), SIGSEGV);
}

TEST(mremap_to_a_fixed_address_replaces)
{
	char *p = map(2, RW), *target = map(4, RW), *q;

	memset(p, 7, 2 * PAGE);
	memset(target, 8, 4 * PAGE);
	q = mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target + PAGE);
	CHECK(q == target + PAGE);
	CHECK_EQ(target[0], 8);
	CHECK_EQ(target[PAGE], 7);
	CHECK_EQ(target[3 * PAGE], 8);
	CHECK_EQ(fault_of(p, false), SIGSEGV);
	CHECK_ERRNO((long)mremap(q, PAGE, PAGE, MREMAP_FIXED, target), EINVAL);
	CHECK_ERRNO((long)mremap(target, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
				 target + PAGE), EINVAL);
	CHECK_ERRNO((long)mremap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
	CHECK_ERRNO((long)mremap(target, PAGE, 0, MREMAP_MAYMOVE), EINVAL);
}

TEST(mremap_of_a_file_mapping_keeps_its_offset)
{
	int fd = file_of(8 * PAGE, 'a');
	char *p, *q;

	CHECK_EQ(pwrite(fd, "2", 1, 2 * PAGE), 1);
	CHECK_EQ(pwrite(fd, "3", 1, 3 * PAGE), 1);
	p = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 2 * PAGE);
	CHECK_EQ(p[0], '2');
	q = mremap(p, PAGE, 3 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED);
	CHECK_EQ(q[0], '2');
	CHECK_EQ(q[PAGE], '3');
}

TEST(mremap_dontunmap_leaves_an_empty_mapping)
{
	char *p = map(2, RW), *q;

	memset(p, 4, 2 * PAGE);
	q = mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | 4 /* MREMAP_DONTUNMAP */);
	if (q == MAP_FAILED && errno == EINVAL)
		SKIP("older than Linux 5.7");
	CHECK(q != MAP_FAILED && q != p);
	CHECK_EQ(q[PAGE], 4);
	CHECK_EQ(p[PAGE], 0);
}

TEST(mremap_of_length_zero_duplicates_shared_memory)
{
	char *p = mmap(NULL, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *q;

	p[0] = 1;
	q = mremap(p, 0, 2 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && q != p);
	CHECK_EQ(q[0], 1);
	q[PAGE] = 2;
	CHECK_EQ(p[PAGE], 2);
	p[0] = 3;
	CHECK_EQ(q[0], 3);
}

TEST(mremap_of_length_zero_may_start_in_the_middle_and_replace)
{
	char *p = mmap(NULL, 4 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *q, *target;

	p[2 * PAGE] = 7;
	target = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	target[0] = 1;
	q = mremap(p + 2 * PAGE, 0, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
	CHECK(q == target);
	CHECK_EQ(q[0], 7);
	q[1] = 8;
	CHECK_EQ(p[2 * PAGE + 1], 8);
	CHECK_EQ(p[0], 0);
}

TEST(mremap_of_length_zero_is_for_shared_memory_and_a_move)
{
	char *mine = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *shared = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char name[] = "file", *p;
	int fd;

	CHECK_ERRNO((long)mremap(mine, 0, PAGE, MREMAP_MAYMOVE), EINVAL);
	CHECK_ERRNO((long)mremap(shared, 0, PAGE, 0), ENOMEM);
	CHECK_ERRNO((long)mremap(shared, 0, 0, MREMAP_MAYMOVE), EINVAL);
	/* Of a file that is open for reading only, too. */
	fd = open(name, O_RDWR | O_CREAT, 0600);
	CHECK_EQ(write(fd, "x", 1), 1);
	fd = open(name, O_RDONLY);
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	p = mremap(p, 0, PAGE, MREMAP_MAYMOVE);
	CHECK(p != MAP_FAILED);
	CHECK_EQ(p[0], 'x');
}

/* -- advice --------------------------------------------------------------------------------------------------- */

TEST(dontneed_drops_private_pages)
{
	char *p = map(4, RW);
	int fd = file_of(PAGE, 'f');
	char *q = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);

	memset(p, 1, 4 * PAGE);
	CHECK_OK(madvise(p + PAGE, 2 * PAGE, MADV_DONTNEED));
	CHECK_EQ(p[0], 1);
	CHECK_EQ(p[PAGE], 0);
	CHECK_EQ(p[2 * PAGE], 0);
	CHECK_EQ(p[3 * PAGE], 1);
	q[0] = 'x';
	CHECK_OK(madvise(q, PAGE, MADV_DONTNEED));
	CHECK_EQ(q[0], 'f');
}

TEST(dontneed_keeps_shared_pages)
{
	char *p = mmap(NULL, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	p[0] = 1;
	CHECK_OK(madvise(p, 2 * PAGE, MADV_DONTNEED));
	CHECK_EQ(p[0], 1);
}

TEST(advice_about_a_hole_is_enomem_but_given)
{
	char *p = map(3, RW);

	memset(p, 1, 3 * PAGE);
	CHECK_OK(munmap(p + PAGE, PAGE));
	CHECK_ERRNO(madvise(p, 3 * PAGE, MADV_DONTNEED), ENOMEM);
	CHECK_EQ(p[0], 0);
	CHECK_EQ(p[2 * PAGE], 0);
}

TEST(mincore_tells_what_is_resident)
{
	char *p = map(4, RW);
	unsigned char map_bytes[4] = { 0 };

	p[PAGE] = 1;
	CHECK_OK(mincore(p, 4 * PAGE, map_bytes));
	CHECK_EQ(map_bytes[1] & 1, 1);
	CHECK_EQ(map_bytes[3] & 1, 0);
	CHECK_ERRNO(mincore(p + 1, PAGE, map_bytes), EINVAL);
	CHECK_OK(munmap(p, 4 * PAGE));
	CHECK_ERRNO(mincore(p, PAGE, map_bytes), ENOMEM);
}

TEST(populate_makes_pages_resident)
{
	char *p = mmap(NULL, 4 * PAGE, RW, ANON | MAP_POPULATE, -1, 0);
	unsigned char map_bytes[4] = { 0 };

	CHECK(p != MAP_FAILED);
	CHECK_OK(mincore(p, 4 * PAGE, map_bytes));
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(map_bytes[i] & 1, 1);
}

TEST(locked_memory_is_resident)
{
	char *p = map(4, RW);
	unsigned char map_bytes[4] = { 0 };

	CHECK_OK(mlock(p, 4 * PAGE));
	CHECK_OK(mincore(p, 4 * PAGE, map_bytes));
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(map_bytes[i] & 1, 1);
	CHECK_OK(munlock(p, 4 * PAGE));
	CHECK_ERRNO(mlock(NULL, PAGE), ENOMEM);
}

/* -- the heap and the stack ------------------------------------------------------------------------------------ */

TEST(brk_grows_and_shrinks)
{
	char *start = sbrk(0), *p;

	CHECK(start != (char *)-1);
	p = sbrk(10 * PAGE);
	CHECK(p == start);
	CHECK_EQ(p[9 * PAGE], 0);
	memset(p, 1, 10 * PAGE);
	CHECK(sbrk(-5 * (long)PAGE) != (void *)-1);
	CHECK_EQ(fault_of(p + 9 * PAGE, false), SIGSEGV);
	CHECK(sbrk(5 * PAGE) != (void *)-1);
	CHECK_EQ(p[9 * PAGE], 0);
	CHECK_EQ(p[0], 1);
	CHECK((char *)syscall(SYS_brk, start - (1ul << 40)) == p + 10 * PAGE);
}

static int deep(unsigned depth)
{
	volatile char frame[PAGE];

	frame[0] = (char)depth;
	return depth ? deep(depth - 1) + frame[0] - (char)depth : 0;
}

TEST(the_stack_grows)
{
	CHECK_EQ(deep(1000), 0);
}

static void overflow(void *arg)
{
	deep(1u << 30);
}

TEST(stack_overflow_is_a_segmentation_fault)
{
	struct rlimit limit = { 1 << 20, 1 << 20 };
	int status;

	CHECK_OK(setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }));
	CHECK_OK(setrlimit(RLIMIT_STACK, &limit));
	status = in_child(overflow, NULL);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

TEST(growsdown_mappings_grow)
{
	char *area = map(600, PROT_NONE), *p;

	CHECK_OK(munmap(area, 600 * PAGE));
	p = mmap(area + 590 * PAGE, 10 * PAGE, RW, ANON | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
	CHECK(p == area + 590 * PAGE);
	CHECK_EQ(fault_of(p - PAGE, true), 0);
	CHECK_EQ(fault_of(p - 8 * PAGE, true), 0);
}

/* -- limits ------------------------------------------------------------------------------------------------------- */

TEST(address_space_limit)
{
	struct rlimit limit = { 1ul << 30, 1ul << 30 };

	CHECK_OK(setrlimit(RLIMIT_AS, &limit));
	CHECK_ERRNO((long)mmap(NULL, 2ul << 30, RW, ANON, -1, 0), ENOMEM);
	CHECK(mmap(NULL, 1ul << 20, RW, ANON, -1, 0) != MAP_FAILED);
}

TEST(impossible_sizes_are_refused)
{
	CHECK_ERRNO((long)mmap(NULL, 1ul << 50, RW, ANON, -1, 0), ENOMEM);
	CHECK_ERRNO((long)mmap((void *)(1ul << 47), PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
	CHECK_ERRNO(munmap((void *)(1ul << 47), PAGE), EINVAL);
}

/* -- threads ---------------------------------------------------------------------------------------------------------- */

static char *volatile area;
static _Atomic(int) stop_threads;

static void *touch_pages(void *arg)
{
	unsigned seed = (unsigned)(unsigned long)arg;

	while (!stop_threads) {
		seed = seed * 1103515245 + 12345;
		((volatile char *)area)[(seed >> 8) % 128 * PAGE] = 1;
	}
	return NULL;
}

TEST_SECONDS(threads_fault_while_others_protect_and_discard, 60)
{
	pthread_t threads[3];

	area = map(128, RW);
	for (unsigned long i = 0; i < 3; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, touch_pages, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < 300; i++) {
		unsigned at = i * 7 % 120;

		CHECK_OK(madvise(area + at * PAGE, 8 * PAGE, MADV_DONTNEED));
		CHECK_OK(mprotect(area + at * PAGE, 4 * PAGE, RW | (i % 2 ? PROT_EXEC : 0)));
		if (i % 50 == 0) {
			pid_t pid = fork();
			int status;

			CHECK(pid >= 0);
			if (!pid)
				_exit(0);
			CHECK_EQ(waitpid(pid, &status, 0), pid);
		}
	}
	stop_threads = 1;
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

/* -- other processes ---------------------------------------------------------------------------------------------------- */

TEST(process_vm_reads_and_writes_a_child)
{
	char *p = map(2, RW), buffer[16];
	struct iovec local = { buffer, 5 }, remote = { p + PAGE - 2, 5 };
	int pipe_fds[2];
	pid_t pid;

	CHECK_OK(pipe(pipe_fds));
	memcpy(p + PAGE - 2, "child", 5);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		CHECK_OK(read(pipe_fds[0], buffer, 1));
		_exit(memcmp(p + PAGE - 2, "other", 5) ? 1 : 0);
	}
	memcpy(p + PAGE - 2, "mine!", 5);
	if (process_vm_readv(pid, &local, 1, &remote, 1, 0) == -1 && errno == ENOSYS)
		SKIP("no process_vm_readv");
	CHECK(!memcmp(buffer, "child", 5));
	memcpy(buffer, "other", 5);
	CHECK_EQ(process_vm_writev(pid, &local, 1, &remote, 1, 0), 5);
	CHECK_EQ(write(pipe_fds[1], "", 1), 1);
	{
		int status;

		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status, 0);
	}
	CHECK(!memcmp(p + PAGE - 2, "mine!", 5));
}

TEST(own_memory_through_proc)
{
	int fd = open("/proc/self/mem", O_RDWR);
	char *p = map(2, PROT_READ), c = 'w';

	if (fd < 0)
		SKIP("no /proc/self/mem");
	CHECK_EQ(pwrite(fd, &c, 1, (off_t)(unsigned long)(p + 5)), 1);
	CHECK_EQ(p[5], 'w');
	CHECK_EQ(pread(fd, &c, 1, (off_t)(unsigned long)(p + 5)), 1);
	CHECK_ERRNO(pread(fd, &c, 1, 16), EIO);
}

TEST(maps_file_lists_a_mapping)
{
	char *p = map(3, PROT_READ | PROT_WRITE), line[512], wanted[64];
	FILE *f = fopen("/proc/self/maps", "r");
	bool found = false;

	if (!f)
		SKIP("no /proc/self/maps");
	CHECK_OK(mprotect(p + PAGE, PAGE, PROT_READ));
	snprintf(wanted, sizeof(wanted), "%lx-%lx r--p 00000000 00:00 0",
		 (unsigned long)(p + PAGE), (unsigned long)(p + 2 * PAGE));
	while (fgets(line, sizeof(line), f))
		found |= !strncmp(line, wanted, strlen(wanted));
	CHECK(found);
}
