/* SPDX-License-Identifier: MIT */
/*
 * Pipes and FIFOs as the rest of the personality sees them.
 */
#pragma once

#include "lx/types.h"

struct lx_file_ops;
struct lx_pipe;

/* Given to files opened on an S_IFIFO inode. */
extern const struct lx_file_ops lx_fifo_ops;

/* fcntl(2) F_SETPIPE_SZ, F_GETPIPE_SZ; -EBADF if @f is no pipe. */
long lx_pipe_fcntl(struct lx_file *f, unsigned int cmd, uint64_t arg);

/* The pipe behind @f, or NULL if it is none. */
struct lx_pipe *lx_pipe_of(struct lx_file *f);

/*
 * Read from @in at *@pos (NULL: it has no position) into the pipe, as much as there is room for
 * after waiting for some, at most @len.  @flags: SPLICE_F_NONBLOCK, for the pipe and a socket.
 * Bytes, 0 at the end of the file, or a negative errno (-EPIPE: SIGPIPE was sent).
 */
int64_t lx_splice_to_pipe(struct lx_task *self, struct lx_file *in, lx_off_t *pos,
			  struct lx_pipe *p, uint64_t len, unsigned int flags);

/* /proc/sys/fs/pipe-max-size: the largest size without CAP_SYS_RESOURCE. */
extern _Atomic(uint32_t) lx_pipe_max_size;
