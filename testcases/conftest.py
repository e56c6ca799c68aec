# SPDX-License-Identifier: MIT
"""Ctrl-C works in every test, also where a shell started the run in the background."""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell without job control starts what it puts into the background like that, and children inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
