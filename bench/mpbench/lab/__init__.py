# SPDX-License-Identifier: MIT
"""Nights in a lab: places of labgrid's coordinator, one pytest per place, one page in the morning."""
