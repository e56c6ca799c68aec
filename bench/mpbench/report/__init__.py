# SPDX-License-Identifier: MIT
"""Pages, tables and signatures from records of runs. Light to import: see publish.py for the work."""
