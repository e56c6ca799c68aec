# SPDX-License-Identifier: MIT
"""Registers of the co-processors' SoCs that the firmware of this bench uses."""
