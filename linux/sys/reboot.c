/* SPDX-License-Identifier: MIT */
/* reboot(2). */

#include <linux/capability.h>
#include <linux/reboot.h>

#include "abi/calls.h"
#include "lx/syscall.h"
#include "lx/system.h"
#include "lx/task.h"
#include "lx/tty.h"
#include "rt/log.h"

static bool magic_ok(unsigned int magic1, unsigned int magic2)
{
	return magic1 == LINUX_REBOOT_MAGIC1 &&
	       (magic2 == LINUX_REBOOT_MAGIC2 || magic2 == LINUX_REBOOT_MAGIC2A ||
		magic2 == LINUX_REBOOT_MAGIC2B || magic2 == LINUX_REBOOT_MAGIC2C);
}

static long act(enum k_power_action action, const char *what)
{
	if (!lx_system.power)
		return -EPERM;		/* a sandbox cannot switch the machine off */
	rt_log(RT_LOG_EMERG, "reboot: %s", what);
	lx_console_drain();
	return lx_errno(k_power(lx_system.power, action, 0));
}

long lx_sys_reboot(struct lx_task *self, unsigned int magic1, unsigned int magic2, unsigned int cmd,
		   uint64_t arg)
{
	if (!lx_capable(self, CAP_SYS_BOOT))
		return -EPERM;
	if (!magic_ok(magic1, magic2))
		return -EINVAL;
	switch (cmd) {
	case LINUX_REBOOT_CMD_RESTART:
	case LINUX_REBOOT_CMD_RESTART2:
		return act(K_POWER_REBOOT, "Restarting system");
	case LINUX_REBOOT_CMD_POWER_OFF:
		return act(K_POWER_OFF, "Power down");
	case LINUX_REBOOT_CMD_HALT:
		return act(K_POWER_HALT, "System halted");
	case LINUX_REBOOT_CMD_CAD_ON:
	case LINUX_REBOOT_CMD_CAD_OFF:
		return 0;
	}
	return -EINVAL;
}
