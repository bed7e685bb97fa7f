/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The lock order of the personality, outermost first.  A lock is taken only
 * while every lock the thread holds has a smaller rank.  Equal ranks: through
 * rt_mutex_lock_nested, in the order that the comment gives.
 *
 * No lock of rank LX_LOCK_INODE or above may be held while program memory that
 * may need its owner (a page of a file) is touched with lx_copy_*: those copies
 * may read files.  Use rt_copy_* under locks, and retry after dropping them.
 */
enum lx_lock_rank {
	LX_LOCK_NONE,
	LX_LOCK_FPOS,		/* lx_file.pos_lock: held over a whole read, write, getdents */
	LX_LOCK_TASKS,		/* lx_pidns.lock: pid table, parent/child links, groups, sessions */
	LX_LOCK_EXEC,		/* lx_group.exec_lock: exec against ptrace, fork and /proc */
	LX_LOCK_PTRACE,
	LX_LOCK_EPOLL_GRAPH,	/* edges between epoll instances */
	LX_LOCK_EPOLL,		/* epoll instance, held while files are polled; nested: by depth */
	LX_LOCK_UNIX_BIND,	/* an AF_UNIX socket gets its name, perhaps in a file system */
	LX_LOCK_TTY_ACQUIRE,	/* sessions getting terminals: one each */
	LX_LOCK_TTY,		/* lx_tty: session, pgrp, termios, line buffer.  One for both ends of a pty */
	LX_LOCK_MM,		/* lx_mm.lock: mmap and brk against each other */
	LX_LOCK_MOUNT,		/* lx_mntns.lock: the mount tree (rwlock) */
	LX_LOCK_RENAME,		/* lx_super.rename_lock: directory renames of one file system */
	LX_LOCK_DISK_TABLE,	/* which loop devices there are */
	LX_LOCK_DISK,		/* lx_disk.lock: what a disk is made of (block/disk.h) */
	LX_LOCK_INODE,		/* lx_inode.lock.  Two: parent before child, else address order */
	LX_LOCK_DENTRY,		/* dentry cache; order inside: vfs/dentry.c */
	LX_LOCK_FILE,		/* lx_file.lock: owner, readahead, backing */
	LX_LOCK_IPC_IDS,	/* ipc_ids.lock: System V objects by id and key (rwlock) */
	LX_LOCK_IPC,		/* ipc_object.lock: one segment, semaphore set, message queue; a POSIX one */
	LX_LOCK_NETLINK_REQUEST, /* netlink_sock.request_lock: over what a request does */
	LX_LOCK_NET_CONFIG,	/* lx_netns.config_lock: devices of the network and their settings */
	LX_LOCK_PIPE,		/* pipe, eventfd, timerfd...; two pipes: address order */
	LX_LOCK_UNIX_GC,	/* AF_UNIX: files in flight */
	LX_LOCK_SOCKET,		/* AF_UNIX socket; two: address order.  Of inet: docs/network.md, Locks */
	LX_LOCK_INET_BACKLOG,	/* packets that came while a socket of inet was locked */
	LX_LOCK_INET_PORT,	/* a chain of ports in use (inet/hash.h); all of them: in their order */
	LX_LOCK_INET_BUCKET,	/* a chain of another table of inet: connections, fragments; the same */
	LX_LOCK_INET_QUEUE,	/* what a socket of inet has received (not TCP), its errors, its groups */
	LX_LOCK_INET_ROUTE,	/* inet.lock: addresses and routes of a namespace (rwlock) */
	LX_LOCK_NEIGHBOUR,	/* neighbours of one hash: state, what waits for an address */
	LX_LOCK_NETDEVS,	/* lx_netns.devices_lock: look-ups of devices (rwlock) */
	LX_LOCK_NET_TAPS,	/* who sees every frame of a namespace (rwlock) */
	LX_LOCK_NETLINK_TABLE,	/* netlink sockets of a namespace */
	LX_LOCK_NETLINK,	/* receive queue of one */
	LX_LOCK_PACKET,		/* receive queue of an AF_PACKET socket */
	LX_LOCK_NETDEV_QUEUE,	/* lx_netdev_queue.lock: held over xmit */
	LX_LOCK_FLOCK,		/* file locks of an inode */
	LX_LOCK_FILES,		/* lx_files.lock: descriptor table */
	LX_LOCK_FS,		/* lx_fs.lock: cwd, root, umask */
	LX_LOCK_SIGHAND,	/* lx_group.lock: pending signals, tasks of the group, exit state */
	LX_LOCK_ACTIONS,	/* lx_sighand.lock: signal handlers */
	LX_LOCK_EXT4_DIRECT,	/* ext4: direct transfers of an inode, and who waits for their end (rwlock) */
	LX_LOCK_EXT4_WRITEBACK,	/* ext4: an inode's data on its way to the disk, or being cut off */
	LX_LOCK_EXT4_SPARE,	/* the buffer for that when memory has run out */
	LX_LOCK_PAGES,		/* page cache fill and write-back state of an inode */
	LX_LOCK_FUSE,		/* FUSE: requests of a connection, attributes */
	LX_LOCK_9P_SESSION,	/* 9P: a session begins */
	LX_LOCK_9P,		/* 9P: fids and attributes of a connection */
	LX_LOCK_EXT4_COMMIT,	/* ext4: commits and checkpoints */
	LX_LOCK_EXT4_MAP,	/* ext4, in the order of fs/ext4/ext4.h: the extent tree of an inode */
	LX_LOCK_EXT4_XATTR,	/* attribute blocks */
	LX_LOCK_EXT4_ORPHAN,	/* the list of orphans */
	LX_LOCK_EXT4_SLOT,	/* an inode's bytes in its table */
	LX_LOCK_EXT4_DIRTY,	/* the list of inodes to be written */
	LX_LOCK_EXT4_GROUP,	/* bitmaps and descriptor of a group */
	LX_LOCK_EXT4_JOURNAL,	/* transactions and the journal's lists of blocks */
	LX_LOCK_EXT4_CACHE,	/* table of metadata blocks */
	LX_LOCK_LINK,		/* client side of a link */
	LX_LOCK_TIMERS,		/* the timer heap */
	LX_LOCK_WAITQ,		/* lx_waitq.lock: waiters; wakes are made under it */
	LX_LOCK_LEAF		/* counters, allocators of numbers: nothing is taken under it */
};
