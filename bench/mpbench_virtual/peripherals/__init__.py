# SPDX-License-Identifier: MIT
"""Registers of the co-processors' SoCs, as far as the firmware of this bench touches them."""
