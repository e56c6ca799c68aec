# SPDX-License-Identifier: GPL-2.0-or-later
CONFIG_STM32MP157C_DK2=y
