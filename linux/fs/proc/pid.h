/* SPDX-License-Identifier: MIT */
#pragma once

#include "fs/proc/proc.h"

struct pid_entry;

/* Who a file is about: references by the caller. */
struct pid_subject {
	struct lx_task *task;		/* of a process: its leader */
	const struct pid_entry *entry;	/* which file */
	bool thread;			/* the file is in PID/task/TID */
};

typedef int (*pid_show)(struct pseudo_buf *b, const struct pid_subject *s);
typedef int (*pid_store)(const char *text, size_t n, const struct pid_subject *s);
typedef int (*pid_link)(const struct pid_subject *s, struct lx_path *out);

enum pid_kind { PID_FILE, PID_LINK, PID_DIR, PID_SPECIAL };

/* An entry of a process's (or thread's) directory. */
struct pid_entry {
	const char *name;
	lx_mode_t mode;
	enum pid_kind kind;
	bool secret;			/* only for who may trace the task */
	pid_show show;
	pid_store store;
	pid_link link;
	const struct lx_file_ops *fops;
	const struct pid_dir *dir;
};

/* How a directory below PID finds and lists its entries. */
struct pid_dir {
	const struct pid_entry *entries;	/* fixed ones, or NULL */
	size_t nr;
	/* Numbered ones: the first number >= n, or -1; PID/task, PID/fd, PID/fdinfo. */
	int (*next)(const struct pid_subject *s, int n);
	struct pid_entry numbered;
};

/* The subject of an inode of ours: references; -ESRCH when it is gone. */
int pid_subject_get(struct lx_inode *inode, struct pid_subject *s);
void pid_subject_put(struct pid_subject *s);
/* The number of a numbered entry (descriptor). */
int pid_number(const struct lx_inode *inode);
/* May the caller look at the task's memory, files, environment?  0 or -EACCES. */
int pid_may_look(const struct pid_subject *s);

extern const struct pid_dir pid_net_dir;	/* pid_net.c: PID/net */

/* text.c */
int pid_show_stat(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_status(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_statm(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_cmdline(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_environ(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_auxv(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_comm(struct pseudo_buf *b, const struct pid_subject *s);
int pid_store_comm(const char *text, size_t n, const struct pid_subject *s);
int pid_show_limits(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_io(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_oom_score(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_oom_score_adj(struct pseudo_buf *b, const struct pid_subject *s);
int pid_store_oom_score_adj(const char *text, size_t n, const struct pid_subject *s);
int pid_show_oom_adj(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_wchan(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_cgroup(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_personality(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_syscall(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_stack(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_timerslack(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_schedstat(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_coredump_filter(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_uid_map(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_setgroups(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_children(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_mounts(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_mountinfo(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_mountstats(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_fdinfo(struct pseudo_buf *b, const struct pid_subject *s, int fd);

/* maps.c */
int pid_show_maps(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_smaps(struct pseudo_buf *b, const struct pid_subject *s);
int pid_show_smaps_rollup(struct pseudo_buf *b, const struct pid_subject *s);
extern const struct lx_file_ops pid_mem_fops;
