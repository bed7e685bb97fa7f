/* SPDX-License-Identifier: MIT */
/*
 * Control messages, between the program's control buffer and struct net_msg: files (SCM_RIGHTS)
 * and credentials (SCM_CREDENTIALS) of AF_UNIX sockets, and what a family adds (net_msg_add).
 */

#include <linux/capability.h>
#include <linux/types.h>

#include "net_priv.h"
#include "lx/cred.h"
#include "lx/pid.h"

#define SCM_ALIGN(n)	ALIGN_UP((uint64_t)(n), 8)
#define SCM_HEADER	SCM_ALIGN(sizeof(struct net_cmsghdr))
#define OVERFLOW_ID	65534u

struct scm_files *scm_files_copy(const struct scm_files *files)
{
	struct scm_files *copy = rt_alloc(sizeof(*copy) + files->nr * sizeof(copy->file[0]));

	if (!copy)
		return NULL;
	copy->nr = files->nr;
	for (unsigned int i = 0; i < files->nr; i++)
		copy->file[i] = lx_file_get(files->file[i]);
	return copy;
}

void scm_files_free(struct scm_files *files)
{
	if (!files)
		return;
	for (unsigned int i = 0; i < files->nr; i++)
		lx_file_put(files->file[i]);
	rt_free(files);
}

void scm_creds_self(struct lx_task *self, struct scm *scm)
{
	scm->creds = (struct net_ucred){ self->group->pid, self->cred->uid, self->cred->gid };
	scm->has_creds = true;
}

/* -- sending ------------------------------------------------------------------------------- */

static int load_files(struct lx_task *self, struct scm *scm, uaddr_t data, uint64_t length)
{
	unsigned int nr = (unsigned int)(length / sizeof(int)), have = scm->files ? scm->files->nr : 0;
	struct scm_files *files;

	if (!nr)
		return 0;
	if (length / sizeof(int) > SCM_MAX_FD - have)
		return -EINVAL;
	files = rt_realloc(scm->files, sizeof(*files) + (have + nr) * sizeof(files->file[0]));
	if (!files)
		return -ENOMEM;
	scm->files = files;
	files->nr = have;
	for (unsigned int i = 0; i < nr; i++) {
		struct lx_file *f;
		int fd;

		if (lx_copy_from_user(&fd, uaddr_add(data, i * sizeof(fd)), sizeof(fd)))
			return -EFAULT;
		f = fd < 0 ? NULL : lx_fd_get_raw(self, fd);
		if (!f)
			return -EBADF;
		files->file[files->nr++] = f;
	}
	return 0;
}

/* A process may speak for itself; for others only with the capabilities. */
static int load_creds(struct lx_task *self, struct scm *scm, uaddr_t data, uint64_t length)
{
	const struct lx_cred *c = self->cred;
	struct net_ucred u;
	struct lx_pid *pid;

	if (length != sizeof(u))
		return -EINVAL;
	if (lx_copy_from_user(&u, data, sizeof(u)))
		return -EFAULT;
	if (u.pid != self->group->pid && !lx_capable(self, CAP_SYS_ADMIN))
		return -EPERM;
	if (u.uid != c->uid && u.uid != c->euid && u.uid != c->suid &&
	    !lx_capable(self, CAP_SETUID))
		return -EPERM;
	if (u.gid != c->gid && u.gid != c->egid && u.gid != c->sgid &&
	    !lx_capable(self, CAP_SETGID))
		return -EPERM;
	if (u.pid != self->group->pid) {
		pid = lx_pid_find(self, u.pid);
		if (!pid)
			return -ESRCH;
		lx_pid_put(pid);
	}
	scm->creds = u;
	scm->has_creds = true;
	return 0;
}

int scm_load(struct lx_task *self, struct scm *scm, uaddr_t control, uint64_t length)
{
	uint64_t at = 0;

	while (length - at >= sizeof(struct net_cmsghdr)) {
		struct net_cmsghdr h;
		uaddr_t data = uaddr_add(control, at + SCM_HEADER);
		int err = -EINVAL;

		if (lx_copy_from_user(&h, uaddr_add(control, at), sizeof(h)))
			return -EFAULT;
		if (h.len < sizeof(h) || h.len > length - at)
			return -EINVAL;
		if (h.level == SOL_SOCKET && h.type == SCM_RIGHTS)
			err = load_files(self, scm, data, h.len - SCM_HEADER);
		else if (h.level == SOL_SOCKET && h.type == SCM_CREDENTIALS)
			err = load_creds(self, scm, data, h.len - SCM_HEADER);
		else if (h.level != SOL_SOCKET)
			err = 0;		/* for another layer */
		if (err)
			return err;
		if (SCM_ALIGN(h.len) >= length - at)
			break;
		at += SCM_ALIGN(h.len);
	}
	return 0;
}

/* -- receiving ------------------------------------------------------------------------------- */

struct out {
	uaddr_t control;
	uint64_t room, used;
	unsigned int *flags;
};

/* One control message; MSG_CTRUNC when it does not fit whole. */
static void put_message(struct out *o, int level, int type, const void *data, uint64_t n)
{
	struct net_cmsghdr h = { SCM_HEADER + n, level, type };

	if (o->room < sizeof(h)) {
		*o->flags |= MSG_CTRUNC;
		return;
	}
	if (o->room < h.len) {
		*o->flags |= MSG_CTRUNC;
		h.len = o->room;
	}
	if (lx_copy_to_user(o->control, &h, sizeof(h)) ||
	    lx_copy_to_user(uaddr_add(o->control, SCM_HEADER), data, h.len - SCM_HEADER))
		return;
	n = MIN(SCM_ALIGN(h.len), o->room);
	o->control = uaddr_add(o->control, n);
	o->room -= n;
	o->used += n;
}

/* Install as many files as there is room for; the others are lost (MSG_CTRUNC). */
static void put_files(struct lx_task *self, struct out *o, const struct scm_files *files,
		      bool cloexec)
{
	uint64_t room = o->room > SCM_HEADER ? (o->room - SCM_HEADER) / sizeof(int) : 0;
	unsigned int n = 0;
	struct net_cmsghdr h;

	for (; n < files->nr && n < room; n++) {
		uaddr_t slot = uaddr_add(o->control, SCM_HEADER + n * sizeof(int));
		int fd = lx_fd_reserve(self, 0, cloexec);

		if (fd < 0)
			break;
		if (lx_copy_to_user(slot, &fd, sizeof(fd))) {
			lx_fd_unreserve(self, fd);
			break;
		}
		lx_fd_publish(self, fd, lx_file_get(files->file[n]));
	}
	if (n < files->nr)
		*o->flags |= MSG_CTRUNC;
	if (!n)
		return;
	h = (struct net_cmsghdr){ SCM_HEADER + n * sizeof(int), SOL_SOCKET, SCM_RIGHTS };
	if (lx_copy_to_user(o->control, &h, sizeof(h)))
		return;
	room = MIN(SCM_ALIGN(h.len), o->room);
	o->control = uaddr_add(o->control, room);
	o->room -= room;
	o->used += room;
}

uint64_t scm_store(struct lx_task *self, struct net_msg *m, bool passcred, uaddr_t control,
		   uint64_t length, unsigned int *flags)
{
	struct out o = { control, control.v ? length : 0, 0, flags };
	const struct scm *scm = &m->scm;

	for (unsigned int i = 0; i < m->nr_cmsgs; i++)
		put_message(&o, m->cmsg[i].level, m->cmsg[i].type, m->cmsg[i].data, m->cmsg[i].len);

	if (passcred) {
		struct net_ucred u = scm->creds;

		if (!scm->has_creds)
			u = (struct net_ucred){ 0, OVERFLOW_ID, OVERFLOW_ID };
		put_message(&o, SOL_SOCKET, SCM_CREDENTIALS, &u, sizeof(u));
	}
	if (scm->files)
		put_files(self, &o, scm->files, m->flags & MSG_CMSG_CLOEXEC);
	return o.used;
}
