# SPDX-License-Identifier: MIT
"""What OP-TEE's remoteproc loader answers to any bytes, and why.

Pure; shares only bench.layout with the signer.
"""
