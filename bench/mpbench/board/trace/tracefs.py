# SPDX-License-Identifier: MIT
"""Linux' tracing directory. Ref: Linux Documentation/trace/ftrace.rst (The File System)"""

TRACING = "/sys/kernel/tracing"

MOUNT = f"[ -d {TRACING}/events ] || mount -t tracefs none {TRACING}"
"""Command that mounts it, which not every userland does."""
