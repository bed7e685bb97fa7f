/* SPDX-License-Identifier: MIT */
/*
 * The initramfs: cpio archives (newc) unpacked into the rootfs.
 *
 * The image may be a row of archives, plain or gzip, with zeros between them, as
 * Linux takes it.  It is read as a stream, so that a compressed image is never in
 * memory as a whole: the source is the memory object itself or an inflater over
 * it, and file data goes to the page cache in pieces.
 *
 * The image is hostile input: names are bounded, numbers are checked, and what
 * the archive names wrongly (a file in a directory that does not exist) is left
 * out, as Linux does.  Hard links are made by (device, inode) from a small table.
 */
#include <linux/fcntl.h>

#include "abi/calls.h"
#include "base/parse.h"
#include "inflate/inflate.h"
#include "rt/memory.h"
#include "vfs/vfs_priv.h"

#define HEADER_SIZE	110u
#define CHUNK		(64u * 1024)

/* Where bytes come from: @plain, or what @inflate makes of it. */
struct source {
	const uint8_t *data;		/* the whole image */
	uint64_t size, at;		/* consumed of it */
	struct inflate *inflate;	/* inside a gzip member that starts at .at */
	void *state;
	uint64_t offset;		/* of the stream: cpio aligns by it */
};

struct link {
	struct link *next;
	uint32_t ino, major, minor;
	char *path;
};

struct unpack {
	struct lx_task *self;
	struct source src;
	struct link *links;
	char *chunk;
	unsigned int files, skipped;
};

/* -- the stream */

/* Up to @n bytes; fewer only at the end of the image or of a gzip member. */
static size_t read_some(struct source *s, void *buf, size_t n, bool *broken)
{
	size_t done = 0;

	if (!s->inflate) {
		done = MIN((uint64_t)n, s->size - s->at);
		memcpy(buf, s->data + s->at, done);
		s->at += done;
		s->offset += done;
		return done;
	}
	while (done < n) {
		size_t got = 0;
		enum inflate_result r = inflate_read(s->inflate, (char *)buf + done, n - done, &got);

		done += got;
		if (r == INFLATE_INVALID) {
			*broken = true;
			break;
		}
		if (r == INFLATE_END) {
			s->at += inflate_used(s->inflate);
			s->inflate = NULL;
			break;
		}
	}
	s->offset += done;
	return done;
}

static bool read_all(struct unpack *u, void *buf, size_t n)
{
	bool broken = false;

	return read_some(&u->src, buf, n, &broken) == n && !broken;
}

static bool skip(struct unpack *u, uint64_t n)
{
	while (n) {
		size_t len = MIN(n, (uint64_t)CHUNK);

		if (!read_all(u, u->chunk, len))
			return false;
		n -= len;
	}
	return true;
}

static bool align(struct unpack *u)
{
	return skip(u, -u->src.offset & 3);
}

/* -- entries */

struct header {
	uint32_t ino, mode, uid, gid, nlink, mtime, size, dev_major, dev_minor, rdev_major,
		rdev_minor, name_size;
};

static bool parse_header(const char *h, struct header *out)
{
	uint32_t *fields[] = { &out->ino, &out->mode, &out->uid, &out->gid, &out->nlink,
			       &out->mtime, &out->size, &out->dev_major, &out->dev_minor,
			       &out->rdev_major, &out->rdev_minor, &out->name_size };

	if (memcmp(h, "070701", 6) && memcmp(h, "070702", 6))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		uint64_t v = 0;

		for (size_t k = 0; k < 8; k++) {
			int digit = char_hex_value(h[6 + i * 8 + k]);

			if (digit < 0)
				return false;
			v = v << 4 | (unsigned int)digit;
		}
		*fields[i] = (uint32_t)v;
	}
	return true;
}

/* The directory and the last name of @path: references and the lock are the caller's. */
static int enter(struct unpack *u, const char *path, struct lx_parent *p, struct lx_dentry **d)
{
	struct lx_inode *dir;
	int err = lx_path_parent(u->self, AT_FDCWD, path, 0, p);

	if (err)
		return err;
	if (p->type != LX_LAST_NORM) {
		lx_parent_put(p);
		return -EEXIST;
	}
	dir = lx_d_inode(p->dir.dentry);
	rt_mutex_lock(&dir->lock);
	err = lx_lookup_locked(p->dir.dentry, &p->last, d);
	if (err) {
		rt_mutex_unlock(&dir->lock);
		lx_parent_put(p);
	}
	return err;
}

static void leave(struct lx_parent *p, struct lx_dentry *d)
{
	rt_mutex_unlock(&lx_d_inode(p->dir.dentry)->lock);
	lx_dentry_put(d);
	lx_parent_put(p);
}

static void set_attributes(struct lx_inode *inode, const struct header *h)
{
	inode->uid = h->uid;
	inode->gid = h->gid;
	inode->mode = (inode->mode & S_IFMT) | (h->mode & 07777);
	inode->mtime = (struct lx_time){ .sec = h->mtime };
}

/* A later entry replaces an earlier one of another kind (files: is written over). */
static int make_room(struct unpack *u, struct lx_parent *p, struct lx_dentry **d, lx_mode_t type)
{
	struct lx_inode *dir = lx_d_inode(p->dir.dentry), *old = lx_d_inode(*d);
	int err;

	if (!old || ((old->mode & S_IFMT) == type && (type == S_IFDIR || type == S_IFREG)))
		return 0;
	err = lx_is_dir(old) ? lx_vfs_rmdir(u->self, dir, *d) : lx_vfs_unlink(u->self, dir, *d);
	if (err)
		return err;
	lx_dentry_put(*d);
	err = lx_lookup_locked(p->dir.dentry, &p->last, d);
	if (err)
		*d = NULL;
	return err;
}

/* Make what @h says at @path; *@file: a reference to a regular file that wants its data. */
static int make(struct unpack *u, const struct header *h, const char *path, const char *target,
		struct lx_inode **file)
{
	lx_mode_t type = h->mode & S_IFMT;
	struct lx_parent p;
	struct lx_dentry *d;
	struct lx_inode *dir;
	int err = enter(u, path, &p, &d);

	if (err)
		return type == S_IFDIR && err == -EEXIST ? 0 : err;
	dir = lx_d_inode(p.dir.dentry);
	err = make_room(u, &p, &d, type);
	if (err) {
		rt_mutex_unlock(&dir->lock);
		if (d)
			lx_dentry_put(d);
		lx_parent_put(&p);
		return err;
	}
	if (lx_d_negative(d)) {
		switch (type) {
		case S_IFREG:
			err = dir->ops->create(dir, d, h->mode);
			break;
		case S_IFDIR:
			err = dir->ops->mkdir(dir, d, h->mode);
			break;
		case S_IFLNK:
			err = dir->ops->symlink(dir, d, target);
			break;
		case S_IFCHR:
		case S_IFBLK:
		case S_IFIFO:
		case S_IFSOCK:
			err = dir->ops->mknod(dir, d, h->mode,
					      LX_MKDEV(h->rdev_major, h->rdev_minor & 0xfffff));
			break;
		default:
			err = -EINVAL;
		}
	}
	if (!err) {
		set_attributes(lx_d_inode(d), h);
		if (type == S_IFREG)
			*file = lx_inode_get(lx_d_inode(d));
	}
	leave(&p, d);
	return err;
}

static struct link *find_link(struct unpack *u, const struct header *h)
{
	struct link *l;

	for (l = u->links; l; l = l->next)
		if (l->ino == h->ino && l->major == h->dev_major && l->minor == h->dev_minor)
			return l;
	return NULL;
}

static void remember_link(struct unpack *u, const struct header *h, const char *path)
{
	struct link *l = rt_alloc(sizeof(*l));
	size_t n = strlen(path) + 1;

	if (!l)
		return;
	*l = (struct link){ .next = u->links, .ino = h->ino, .major = h->dev_major,
			    .minor = h->dev_minor, .path = rt_alloc(n) };
	if (!l->path) {
		rt_free(l);
		return;
	}
	memcpy(l->path, path, n);
	u->links = l;
}

static void forget_links(struct unpack *u)
{
	while (u->links) {
		struct link *l = u->links;

		u->links = l->next;
		rt_free(l->path);
		rt_free(l);
	}
}

/* One more name for the file at @old. */
static int make_link(struct unpack *u, const char *old, const char *path, struct lx_inode **file)
{
	struct lx_path from;
	struct lx_parent p;
	struct lx_dentry *d;
	struct lx_inode *dir;
	int err = lx_path_at(u->self, AT_FDCWD, old, 0, &from);

	if (err)
		return err;
	err = enter(u, path, &p, &d);
	if (!err) {
		dir = lx_d_inode(p.dir.dentry);
		if (lx_d_negative(d))
			err = lx_vfs_link(from.dentry, dir, d);
		else
			err = -EEXIST;
		if (!err)
			*file = lx_inode_get(lx_d_inode(d));
		leave(&p, d);
	}
	lx_path_put(&from);
	return err;
}

/* The contents of the entry go to @file (NULL: to nowhere).  False: the stream ended. */
static bool copy_data(struct unpack *u, struct lx_inode *file, uint64_t size)
{
	uint64_t off = 0;
	bool full = false;

	while (off < size) {
		size_t n = MIN(size - off, (uint64_t)CHUNK);

		if (!read_all(u, u->chunk, n))
			return false;
		if (file && !full && lx_pages_write_kernel(file, u->chunk, n, off) != (int64_t)n) {
			rt_log(RT_LOG_ERR, "initramfs: out of memory");
			full = true;
		}
		off += n;
	}
	return align(u);
}

/* One entry: 1, 0 at the trailer, or -EINVAL. */
static int unpack_entry(struct unpack *u, char *name, char *target)
{
	struct lx_inode *file = NULL;
	struct link *link = NULL;
	struct header h;
	char raw[HEADER_SIZE];
	bool ok;
	int err;

	if (!read_all(u, raw, HEADER_SIZE) || !parse_header(raw, &h))
		return -EINVAL;
	if (!h.name_size || h.name_size > LX_PATH_MAX)
		return -EINVAL;
	if (!read_all(u, name, h.name_size) || name[h.name_size - 1] || !align(u))
		return -EINVAL;
	if (str_equal(name, "TRAILER!!!")) {
		forget_links(u);
		return 0;
	}
	target[0] = '\0';
	if ((h.mode & S_IFMT) == S_IFLNK) {
		if (h.size >= LX_PATH_MAX || !read_all(u, target, h.size) || !align(u))
			return -EINVAL;
		target[h.size] = '\0';
		h.size = 0;
	}
	if ((h.mode & S_IFMT) == S_IFREG && h.nlink > 1) {
		link = find_link(u, &h);
		if (!link)
			remember_link(u, &h, name);
	}
	err = link ? make_link(u, link->path, name, &file) : make(u, &h, name, target, &file);
	u->files += !err;
	u->skipped += err != 0;
	if (file && h.size && !link)
		lx_pages_truncate(file, 0);
	ok = copy_data(u, file, h.size);
	if (file) {
		file->mtime = (struct lx_time){ .sec = h.mtime };
		lx_inode_put(file);
	}
	return ok ? 1 : -EINVAL;
}

/* One archive, from its first header to its trailer. */
static int unpack_archive(struct unpack *u)
{
	char *name = rt_alloc(LX_PATH_MAX + 1), *target = rt_alloc(LX_PATH_MAX + 1);
	int ret = -ENOMEM;

	if (name && target)
		do
			ret = unpack_entry(u, name, target);
		while (ret > 0);
	rt_free(name);
	rt_free(target);
	forget_links(u);
	return ret;
}

/* What follows the trailer in a gzip member is padding. */
static bool finish_member(struct unpack *u)
{
	bool broken = false;

	while (u->src.inflate && !broken)
		if (!read_some(&u->src, u->chunk, CHUNK, &broken) && !u->src.inflate)
			break;
	return !broken;
}

static int unpack_image(struct unpack *u)
{
	struct source *s = &u->src;
	int err = 0;

	while (!err) {
		while (s->at < s->size && !s->data[s->at])
			s->at++;
		if (s->at >= s->size)
			break;
		s->offset = 0;
		if (inflate_is_gzip(s->data + s->at, s->size - s->at)) {
			if (!s->state)
				s->state = rt_alloc(inflate_state_size());
			if (!s->state)
				return -ENOMEM;
			s->inflate = inflate_open(s->state, s->data + s->at, s->size - s->at);
			err = unpack_archive(u);
			if (!err && !finish_member(u))
				err = -EINVAL;
		} else if (s->data[s->at] == '0') {
			/* archives start at multiples of four, as their members do */
			err = unpack_archive(u);
		} else {
			err = -EINVAL;
		}
	}
	return err;
}

/* The image's bytes as plain memory: mapped if the object allows it, else copied. */
static int open_image(k_handle_t memory, uint64_t length, uint8_t **data, bool *mapped)
{
	uint64_t done;
	void *p;

	*mapped = rt_map(memory, 0, ALIGN_UP(length, (uint64_t)K_PAGE_SIZE), K_PROT_READ, &p) == K_OK;
	if (*mapped) {
		*data = p;
		return 0;
	}
	p = rt_alloc(length);
	if (!p)
		return -ENOMEM;
	/* the object stays the caller's: read it by a call */
	if (k_memory_read(memory, 0, p, length, &done) != K_OK || done != length) {
		rt_free(p);
		return -EIO;
	}
	*data = p;
	return 0;
}

int lx_initramfs_unpack(k_handle_t memory, uint64_t length)
{
	struct unpack u = { .self = lx_self() };
	uint8_t *data;
	bool mapped;
	int err;

	if (!length)
		return 0;
	err = open_image(memory, length, &data, &mapped);
	if (err)
		return err;
	u.src.data = data;
	u.src.size = length;
	u.chunk = rt_alloc(CHUNK);
	err = u.chunk ? unpack_image(&u) : -ENOMEM;
	if (err == -EINVAL)
		rt_log(RT_LOG_ERR, "initramfs: junk or a broken archive at byte %llu",
		       (unsigned long long)u.src.at);
	rt_log(RT_LOG_DEBUG, "initramfs: %u files, %u left out", u.files, u.skipped);
	rt_free(u.src.state);
	rt_free(u.chunk);
	if (mapped)
		rt_unmap(data, ALIGN_UP(length, (uint64_t)K_PAGE_SIZE));
	else
		rt_free(data);
	return err;
}

bool lx_initramfs_has(struct lx_task *self, const char *path)
{
	struct lx_path p;
	bool ok;

	if (lx_path_at(self, AT_FDCWD, path, LX_LOOKUP_FOLLOW, &p))
		return false;
	ok = lx_is_reg(lx_d_inode(p.dentry)) && (lx_d_inode(p.dentry)->mode & 0111);
	lx_path_put(&p);
	return ok;
}
