/* SPDX-License-Identifier: MIT */
/*
 * POSIX shared memory and semaphores (files in /dev/shm, futexes in shared memory), and
 * how PostgreSQL uses shared memory.
 */
#include "helpers.h"

#include <semaphore.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/shm.h>

#define SIZE (1 << 20)

TEST(shm_open_makes_memory_that_is_shared_by_name)
{
	int fd = shm_open("/posix-ipc-test", O_CREAT | O_EXCL | O_RDWR, 0600), again;
	char *p, *q;

	CHECK(fd >= 0);
	CHECK_ERRNO(shm_open("/posix-ipc-test", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
	CHECK_OK(ftruncate(fd, SIZE));
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	IN_CHILD({
		again = shm_open("/posix-ipc-test", O_RDWR, 0);
		q = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0);
		strcpy(q + SIZE / 2, "from the child");
	});
	CHECK_STR(p + SIZE / 2, "from the child");
	CHECK_OK(shm_unlink("/posix-ipc-test"));
	CHECK_ERRNO(shm_open("/posix-ipc-test", O_RDWR, 0), ENOENT);
	p[0] = 1;
}

TEST(named_semaphore)
{
	sem_t *s = sem_open("/posix-ipc-test-sem", O_CREAT | O_EXCL, 0600, 0);
	struct timespec now;
	pid_t child;
	int value;

	CHECK(s != SEM_FAILED);
	child = fork();
	if (!child) {
		sem_t *t = sem_open("/posix-ipc-test-sem", 0);

		CHECK(t != SEM_FAILED);
		CHECK_OK(sem_wait(t));
		_exit(0);
	}
	CHECK_OK(sem_post(s));
	CHECK_EQ(exit_of(child), 0);
	CHECK_OK(sem_getvalue(s, &value));
	CHECK_EQ(value, 0);
	CHECK_ERRNO(sem_trywait(s), EAGAIN);
	clock_gettime(CLOCK_REALTIME, &now);
	CHECK_ERRNO(sem_timedwait(s, &now), ETIMEDOUT);
	CHECK_OK(sem_unlink("/posix-ipc-test-sem"));
}

TEST(unnamed_semaphores_in_shared_memory)
{
	struct { sem_t lock; int counter; } *shared;

	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	CHECK_OK(sem_init(&shared->lock, 1, 1));
	for (int i = 0; i < 4; i++) {
		if (fork())
			continue;
		for (int n = 0; n < 500; n++) {
			CHECK_OK(sem_wait(&shared->lock));
			shared->counter++;
			CHECK_OK(sem_post(&shared->lock));
		}
		_exit(0);
	}
	for (int i = 0, status; i < 4; i++) {
		CHECK(wait(&status) > 0);
		CHECK_EQ(status, 0);
	}
	CHECK_EQ(shared->counter, 2000);
}

/*
 * PostgreSQL keeps a small System V segment beside its large anonymous one, because
 * the number of attachments says whether a server of a data directory, or a child of
 * it, still lives.  Its key follows from the directory's inode.
 */
struct header { int magic; pid_t server; };

static int try_start(key_t key)
{
	int id = shmget(key, sizeof(struct header), IPC_CREAT | IPC_EXCL | 0600);
	struct shmid_ds ds;

	if (id >= 0 || errno != EEXIST)
		return id;
	id = shmget(key, sizeof(struct header), 0);
	CHECK(id >= 0);
	CHECK_OK(shmctl(id, IPC_STAT, &ds));
	if (ds.shm_nattch)
		return -1;
	CHECK_OK(shmctl(id, IPC_RMID, NULL));
	return shmget(key, sizeof(struct header), IPC_CREAT | IPC_EXCL | 0600);
}

TEST(postgresql_sees_whether_a_server_lives)
{
	int ready[2], id;
	pid_t server, child;
	struct stat st;

	CHECK_ROOT();
	CHECK_OK(unshare(CLONE_NEWIPC));
	CHECK_OK(stat(".", &st));
	CHECK_OK(pipe(ready));
	server = fork();
	if (!server) {
		struct header *h;
		volatile char *buffers;

		id = try_start((key_t)st.st_ino);
		CHECK(id >= 0);
		h = shmat(id, NULL, 0);
		CHECK(h != (void *)-1);
		h->server = getpid();
		buffers = mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		child = fork();
		if (!child)
			for (;;)
				pause();
		buffers[4 << 20] = 1;
		write(ready[1], &child, sizeof(child));
		for (;;)
			pause();
	}
	CHECK_EQ(read(ready[0], &child, sizeof(child)), sizeof(child));
	CHECK_EQ(try_start((key_t)st.st_ino), -1);
	kill(server, SIGKILL);
	CHECK_EQ(waitpid(server, NULL, 0), server);
	CHECK_EQ(try_start((key_t)st.st_ino), -1);	/* the child is left */
	kill(child, SIGKILL);
	while (kill(child, 0) == 0 && try_start((key_t)st.st_ino) < 0)
		usleep(1000);
	CHECK(shmget((key_t)st.st_ino, sizeof(struct header), 0) >= 0 ||
	      try_start((key_t)st.st_ino) >= 0);
}
