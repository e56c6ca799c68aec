# SPDX-License-Identifier: MIT
"""labgrid drivers of the bench. Importing this package registers them: `imports: [bench.board]`."""

from bench.board.console import ConsoleRecorder
from bench.board.remoteproc import RemoteprocDriver
from bench.board.serialshell import SerialShellDriver
from bench.board.session import SessionDriver
from bench.board.stimulus import PassiveStimulus, RtcAlarmStimulus, SecureConsoleStimulus
from bench.board.strategy import STM32MPStrategy

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
