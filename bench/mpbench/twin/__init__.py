# SPDX-License-Identifier: MIT
"""What OP-TEE's remoteproc loader answers to any bytes, and why.

Pure; shares only mpbench.layout with the signer.
"""
