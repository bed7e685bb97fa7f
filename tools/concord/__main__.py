# SPDX-License-Identifier: MIT
import sys

from . import cli

sys.exit(cli.main(sys.argv[1:]))
