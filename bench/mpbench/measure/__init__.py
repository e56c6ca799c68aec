# SPDX-License-Identifier: MIT
"""From observed times and counts to measurements with units and limits. Pure."""
