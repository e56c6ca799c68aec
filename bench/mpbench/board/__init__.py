# SPDX-License-Identifier: MIT
"""labgrid drivers of the bench. Importing this package registers them: `imports: [bench.board]`."""

from mpbench.board.console import ConsoleRecorder
from mpbench.board.remoteproc import RemoteprocDriver
from mpbench.board.session.driver import SessionDriver
from mpbench.board.session.serial_shell import SerialShellDriver
from mpbench.board.stimulus import PassiveStimulus, RtcAlarmStimulus, SecureConsoleStimulus
from mpbench.board.strategy import STM32MPStrategy

__all__ = [
    "ConsoleRecorder",
    "PassiveStimulus",
    "RemoteprocDriver",
    "RtcAlarmStimulus",
    "STM32MPStrategy",
    "SecureConsoleStimulus",
    "SerialShellDriver",
    "SessionDriver",
]
