/* SPDX-License-Identifier: MIT */
/*
 * Descriptor tables.
 *
 * A table is an array of files and two bitmaps: used numbers (a used number whose
 * file is NULL is reserved: open is at work on it) and close-on-exec.
 *
 * Only tasks that hold the table as theirs change it; others (/proc, pidfd_getfd)
 * take a reference and read under the lock.  So a task that has the only
 * reference may read without the lock: nobody else can be changing it.
 */
#include <linux/close_range.h>
#include <linux/resource.h>

#include "base/bitmap.h"
#include "vfs/vfs_priv.h"

#define FIRST_SIZE 64u
#define MAX_SIZE (1u << 20)		/* fs.nr_open */

struct lx_files {
	_Atomic(uint32_t) refs;
	struct rt_mutex lock;		/* rank LX_LOCK_FILES */
	unsigned int size;		/* lock; all below too */
	unsigned int first_free;	/* no number below it is free */
	struct lx_file **files;
	uint64_t *used, *cloexec;
	struct lx_file *files0[FIRST_SIZE];
	uint64_t used0[1], cloexec0[1];
};

struct lx_files *lx_files_create(void)
{
	struct lx_files *t = rt_zalloc(sizeof(*t));

	if (!t)
		return NULL;
	atomic_store(&t->refs, 1);
	rt_mutex_init(&t->lock, LX_LOCK_FILES);
	t->size = FIRST_SIZE;
	t->files = t->files0;
	t->used = t->used0;
	t->cloexec = t->cloexec0;
	return t;
}

struct lx_files *lx_files_get(struct lx_files *t)
{
	atomic_fetch_add(&t->refs, 1);
	return t;
}

static void free_arrays(struct lx_files *t)
{
	if (t->files != t->files0) {
		rt_free(t->files);
		rt_free(t->used);
		rt_free(t->cloexec);
	}
}

/* One close: what POSIX wants at every close of a descriptor of the file. */
static int close_file(struct lx_task *self, struct lx_files *t, struct lx_file *f)
{
	int err = 0;

	if (!(f->mode & LX_FMODE_PATH)) {
		if (f->ops->flush)
			err = f->ops->flush(f);
		if (!list_is_empty(&f->inode->flocks))
			lx_locks_release_posix(self, t, f);
	}
	lx_file_put(f);
	return err;
}

void lx_files_put(struct lx_files *t)
{
	if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	for (size_t fd = bitmap_next_set(t->used, t->size, 0); fd < t->size;
	     fd = bitmap_next_set(t->used, t->size, fd + 1))
		if (t->files[fd])
			close_file(lx_self(), t, t->files[fd]);
	free_arrays(t);
	rt_free(t);
}

/* Make room for @fd; lock held. */
static int grow(struct lx_files *t, unsigned int fd)
{
	unsigned int size = t->size;
	struct lx_file **files;
	uint64_t *used, *cloexec;

	if (fd < size)
		return 0;
	if (fd >= MAX_SIZE)
		return -EMFILE;
	while (size <= fd)
		size *= 2;
	files = rt_zalloc(size * sizeof(*files));
	used = rt_zalloc(size / 8);
	cloexec = rt_zalloc(size / 8);
	if (!files || !used || !cloexec) {
		rt_free(files);
		rt_free(used);
		rt_free(cloexec);
		return -ENOMEM;
	}
	memcpy(files, t->files, t->size * sizeof(*files));
	memcpy(used, t->used, t->size / 8);
	memcpy(cloexec, t->cloexec, t->size / 8);
	free_arrays(t);
	t->files = files;
	t->used = used;
	t->cloexec = cloexec;
	t->size = size;
	return 0;
}

struct lx_files *lx_files_copy(struct lx_files *old)
{
	struct lx_files *t = lx_files_create();
	size_t last = 0;

	if (!t)
		return NULL;
	rt_mutex_lock(&old->lock);
	for (size_t fd = bitmap_next_set(old->used, old->size, 0); fd < old->size;
	     fd = bitmap_next_set(old->used, old->size, fd + 1))
		last = fd;
	if (grow(t, (unsigned int)last)) {
		rt_mutex_unlock(&old->lock);
		lx_files_put(t);
		return NULL;
	}
	for (size_t fd = bitmap_next_set(old->used, last + 1, 0); fd <= last;
	     fd = bitmap_next_set(old->used, last + 1, fd + 1)) {
		if (!old->files[fd])
			continue;	/* reserved: not the copy's */
		t->files[fd] = lx_file_get(old->files[fd]);
		bitmap_set(t->used, fd);
		if (bitmap_test(old->cloexec, fd))
			bitmap_set(t->cloexec, fd);
	}
	rt_mutex_unlock(&old->lock);
	return t;
}

/* Take the file of @fd out; lock held.  NULL: not open. */
static struct lx_file *take(struct lx_files *t, unsigned int fd)
{
	struct lx_file *f = fd < t->size ? t->files[fd] : NULL;

	if (!f)
		return NULL;
	t->files[fd] = NULL;
	bitmap_clear(t->used, fd);
	bitmap_clear(t->cloexec, fd);
	t->first_free = MIN(t->first_free, fd);
	return f;
}

/* Close all numbers from @first to @last that are marked in @marked (NULL: all that are open). */
static void close_marked(struct lx_task *self, struct lx_files *t, unsigned int first,
			 unsigned int last, bool only_cloexec)
{
	unsigned int fd = first;

	rt_mutex_lock(&t->lock);
	for (;;) {
		uint64_t *map = only_cloexec ? t->cloexec : t->used;
		struct lx_file *f;

		fd = (unsigned int)bitmap_next_set(map, t->size, fd);
		if (fd >= t->size || fd > last)
			break;
		f = take(t, fd++);
		if (!f)
			continue;
		rt_mutex_unlock(&t->lock);
		close_file(self, t, f);
		rt_mutex_lock(&t->lock);
	}
	rt_mutex_unlock(&t->lock);
}

void lx_files_close_on_exec(struct lx_files *t)
{
	close_marked(lx_self(), t, 0, ~0u, true);
}

int lx_fd_close_range(struct lx_task *self, unsigned int first, unsigned int last, bool cloexec)
{
	struct lx_files *t = self->files;

	if (!cloexec) {
		close_marked(self, t, first, last, false);
		return 0;
	}
	rt_mutex_lock(&t->lock);
	for (size_t fd = bitmap_next_set(t->used, t->size, MIN(first, t->size));
	     fd < t->size && fd <= last; fd = bitmap_next_set(t->used, t->size, fd + 1))
		bitmap_set(t->cloexec, fd);
	rt_mutex_unlock(&t->lock);
	return 0;
}

unsigned int lx_files_room(struct lx_files *t)
{
	return t->size;
}

unsigned int lx_files_limit(struct lx_task *self)
{
	return self->files->size;
}

struct lx_file *lx_fd_get_raw(struct lx_task *self, int fd)
{
	struct lx_files *t = self->files;
	struct lx_file *f;

	if (likely(atomic_load_explicit(&t->refs, memory_order_acquire) == 1)) {
		if ((unsigned int)fd >= t->size)
			return NULL;
		f = t->files[fd];
		return f ? lx_file_get(f) : NULL;
	}
	rt_mutex_lock(&t->lock);
	f = (unsigned int)fd < t->size ? t->files[fd] : NULL;
	if (f)
		lx_file_get(f);
	rt_mutex_unlock(&t->lock);
	return f;
}

struct lx_file *lx_fd_get(struct lx_task *self, int fd)
{
	struct lx_file *f = lx_fd_get_raw(self, fd);

	if (unlikely(f && (f->mode & LX_FMODE_PATH))) {
		lx_file_put(f);
		return NULL;
	}
	return f;
}

struct lx_file *lx_fd_use(struct lx_task *self, int fd, bool *counted)
{
	struct lx_files *t = self->files;
	struct lx_file *f;

	*counted = atomic_load_explicit(&t->refs, memory_order_acquire) != 1;
	if (unlikely(*counted))
		return lx_fd_get(self, fd);
	/* The table is ours alone: the file stays in it while we look. */
	f = likely((unsigned int)fd < t->size) ? t->files[fd] : NULL;
	return likely(f && !(f->mode & LX_FMODE_PATH)) ? f : NULL;
}

static int reserve_locked(struct lx_task *self, struct lx_files *t, int min, bool cloexec)
{
	unsigned long limit = lx_rlimit(self, RLIMIT_NOFILE);
	unsigned int fd = MAX((unsigned int)min, t->first_free);
	int err;

	fd = (unsigned int)bitmap_next_clear(t->used, t->size, MIN(fd, t->size));
	fd = MAX(fd, (unsigned int)min);
	if (fd >= limit)
		return -EMFILE;
	err = grow(t, fd);
	if (err)
		return err;
	bitmap_set(t->used, fd);
	if (cloexec)
		bitmap_set(t->cloexec, fd);
	else
		bitmap_clear(t->cloexec, fd);
	if ((unsigned int)min <= t->first_free)
		t->first_free = fd + 1;
	return (int)fd;
}

int lx_fd_reserve(struct lx_task *self, int min, bool cloexec)
{
	int fd;

	rt_mutex_lock(&self->files->lock);
	fd = reserve_locked(self, self->files, min, cloexec);
	rt_mutex_unlock(&self->files->lock);
	return fd;
}

void lx_fd_publish(struct lx_task *self, int fd, struct lx_file *f)
{
	rt_mutex_lock(&self->files->lock);
	self->files->files[fd] = f;
	rt_mutex_unlock(&self->files->lock);
}

void lx_fd_unreserve(struct lx_task *self, int fd)
{
	struct lx_files *t = self->files;

	rt_mutex_lock(&t->lock);
	bitmap_clear(t->used, (size_t)fd);
	bitmap_clear(t->cloexec, (size_t)fd);
	t->first_free = MIN(t->first_free, (unsigned int)fd);
	rt_mutex_unlock(&t->lock);
}

int lx_fd_install(struct lx_task *self, struct lx_file *f, int min, bool cloexec)
{
	struct lx_files *t = self->files;
	int fd;

	rt_mutex_lock(&t->lock);
	fd = reserve_locked(self, t, min, cloexec);
	if (fd >= 0)
		t->files[fd] = f;
	rt_mutex_unlock(&t->lock);
	return fd;
}

int lx_fd_close(struct lx_task *self, int fd)
{
	struct lx_files *t = self->files;
	struct lx_file *f;

	rt_mutex_lock(&t->lock);
	f = take(t, (unsigned int)fd);
	rt_mutex_unlock(&t->lock);
	return f ? close_file(self, t, f) : -EBADF;
}

int lx_fd_replace(struct lx_task *self, int fd, struct lx_file *f, bool cloexec)
{
	struct lx_files *t = self->files;
	struct lx_file *old;
	int err;

	if ((unsigned int)fd >= lx_rlimit(self, RLIMIT_NOFILE))
		return -EBADF;
	rt_mutex_lock(&t->lock);
	err = grow(t, (unsigned int)fd);
	if (err) {
		rt_mutex_unlock(&t->lock);
		return err;
	}
	old = t->files[fd];
	if (!old && bitmap_test(t->used, (size_t)fd)) {
		/* another thread's open is about to return this number */
		rt_mutex_unlock(&t->lock);
		return -EBUSY;
	}
	t->files[fd] = f;
	bitmap_set(t->used, (size_t)fd);
	if (cloexec)
		bitmap_set(t->cloexec, (size_t)fd);
	else
		bitmap_clear(t->cloexec, (size_t)fd);
	rt_mutex_unlock(&t->lock);
	if (old)
		close_file(self, t, old);
	return fd;
}

int lx_fd_get_cloexec(struct lx_task *self, int fd)
{
	struct lx_files *t = self->files;
	int on = -EBADF;

	rt_mutex_lock(&t->lock);
	if ((unsigned int)fd < t->size && t->files[fd])
		on = bitmap_test(t->cloexec, (size_t)fd);
	rt_mutex_unlock(&t->lock);
	return on;
}

int lx_fd_set_cloexec(struct lx_task *self, int fd, bool on)
{
	struct lx_files *t = self->files;
	int err = -EBADF;

	rt_mutex_lock(&t->lock);
	if ((unsigned int)fd < t->size && t->files[fd]) {
		err = 0;
		if (on)
			bitmap_set(t->cloexec, (size_t)fd);
		else
			bitmap_clear(t->cloexec, (size_t)fd);
	}
	rt_mutex_unlock(&t->lock);
	return err;
}

struct lx_file *lx_files_next(struct lx_files *t, int *fd, bool *cloexec)
{
	struct lx_file *f = NULL;
	size_t n = *fd < 0 ? 0 : (size_t)*fd;

	rt_mutex_lock(&t->lock);
	for (n = bitmap_next_set(t->used, t->size, MIN(n, (size_t)t->size)); n < t->size;
	     n = bitmap_next_set(t->used, t->size, n + 1)) {
		if (!t->files[n])
			continue;
		f = lx_file_get(t->files[n]);
		*fd = (int)n;
		if (cloexec)
			*cloexec = bitmap_test(t->cloexec, n);
		break;
	}
	rt_mutex_unlock(&t->lock);
	return f;
}
