# SPDX-License-Identifier: MIT
"""ELF and key in, signed image out; named faults put into images. Pure but for the key files."""
