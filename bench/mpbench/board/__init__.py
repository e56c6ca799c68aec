# SPDX-License-Identifier: MIT
"""labgrid drivers of the bench. Importing this package registers them: `imports: [mpbench.board]`."""

from typing import TYPE_CHECKING

from mpbench.board.console import ConsoleRecorder
from mpbench.board.remoteproc import RemoteprocDriver
from mpbench.board.session.console_session import ConsoleSessionDriver
from mpbench.board.session.driver import SessionDriver
from mpbench.board.session.serial_shell import SerialShellDriver
from mpbench.board.stimulus import PassiveStimulus, RtcAlarmStimulus, SecureConsoleStimulus
from mpbench.board.strategy import STM32MPStrategy

__all__ = [
    "ConsoleRecorder",
    "ConsoleSessionDriver",
    "PassiveStimulus",
    "RemoteprocDriver",
    "RtcAlarmStimulus",
    "STM32MPStrategy",
    "SecureConsoleStimulus",
    "SerialShellDriver",
    "SessionDriver",
]

if TYPE_CHECKING:  # mypy checks here that the drivers satisfy the protocols
    from mpbench.board import protocols
    from mpbench.board.kernel_log import KernelLogFollower
    from mpbench.board.session.channel import SshProcess

    _session: type[protocols.Session] = SessionDriver
    _remoteproc: type[protocols.Remoteproc] = RemoteprocDriver
    _console: type[protocols.Log] = ConsoleRecorder
    _kernel_log: type[protocols.KernelLog] = KernelLogFollower
    _process: type[protocols.RemoteProcess] = SshProcess
