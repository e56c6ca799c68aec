# SPDX-License-Identifier: MIT
"""Hardware-in-the-loop test bench for STM32MP boards."""
