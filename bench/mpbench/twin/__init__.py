# SPDX-License-Identifier: MIT
"""Model of OP-TEE's remoteproc loader: its answer to any bytes, and the reason.

Pure; shares only mpbench.layout with the signer.
"""
