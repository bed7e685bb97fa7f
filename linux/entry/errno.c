/* SPDX-License-Identifier: MIT */
/*
 * The one place where a status of the kernel becomes an errno.  Callers that know
 * better what a status means in their case look at it before they come here.
 */

#include "lx/types.h"

int lx_errno(k_status_t st)
{
#define OK 0
	switch (st) {
#define STATUS(name, value, errno_, meaning) case value: return -(errno_);
	K_STATUS_LIST(STATUS)
#undef STATUS
	}
#undef OK
	return -EIO;
}
