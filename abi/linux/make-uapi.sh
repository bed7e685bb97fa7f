#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Make a folder that shows only the kernel's own headers of the distribution
# (package linux-libc-dev): <linux/...>, <asm/...> and <asm-generic/...>.  The
# rest of /usr/include belongs to the C library, which freestanding code has none of.
#
#	make-uapi.sh FOLDER MULTIARCH-NAME
set -eu
mkdir -p "$1"
for name in linux asm-generic; do
	test -e "/usr/include/$name/types.h" || { echo "no /usr/include/$name: install linux-libc-dev" >&2; exit 1; }
	ln -sfn "/usr/include/$name" "$1/$name"
done
# <linux/shm.h> wants getpagesize(2) from the C library, for a macro that we do not use.
: > "$1/unistd.h"
# <linux/if.h> has addresses of sockets, which are the C library's to define: as in bind(2).
mkdir -p "$1/sys"
cat > "$1/sys/socket.h" <<'END'
#pragma once
#include <linux/socket.h>
struct sockaddr { __kernel_sa_family_t sa_family; char sa_data[14]; };
END
for asm in "/usr/include/$2/asm" /usr/include/asm; do
	if test -e "$asm/unistd.h"; then
		ln -sfn "$asm" "$1/asm"
		exit 0
	fi
done
echo "no <asm/unistd.h> for $2: install linux-libc-dev" >&2
exit 1
