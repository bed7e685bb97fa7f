# SPDX-License-Identifier: MIT
"""The front door's Python half; `./concord` makes sure of packages and starts it."""
