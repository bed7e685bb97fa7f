/* SPDX-License-Identifier: MIT */
/*
 * The start of the file systems.
 */
#include "abi/calls.h"
#include "fs/devtmpfs/devtmpfs.h"
#include "fs/erofs/erofs.h"
#include "fs/ext4/init.h"
#include "fs/nsfs/nsfs.h"
#include "fs/overlay/ovl_fs.h"
#include "fs/proc/proc.h"
#include "fs/sysfs/sysfs.h"
#include "fs/tmpfs/tmpfs.h"
#include "vfs/vfs_priv.h"

int lx_vfs_init(void)
{
	struct k_system_info info;
	struct lx_super *rootfs;
	int err;

	lx_dcache_init();
	/* a cached name and its inode take about 1 KiB: at most 1/64 of memory for unused ones */
	if (k_system_info(&info) == K_OK)
		lx_dcache_set_limit(info.memory_bytes / 64 / 1024);
	err = lx_files_init();
	if (!err)
		err = lx_tmpfs_init(&rootfs);
	if (!err)
		err = lx_mntns_init(rootfs);
	if (!err)
		lx_super_put(rootfs);	/* the mount holds it */
	if (!err)
		err = lx_devtmpfs_init();
	if (!err)
		err = lx_proc_init();
	if (!err)
		err = lx_sysfs_init();
	if (!err)
		err = lx_nsfs_init();
	lx_erofs_init();
	lx_ext4_init();
	lx_overlay_init();
	return err;
}
