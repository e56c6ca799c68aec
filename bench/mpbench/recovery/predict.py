# SPDX-License-Identifier: MIT
"""Predict the facts of a crash: the loader's states during the kernel's recovery.

Ref: Linux 6.12 drivers/remoteproc/remoteproc_core.c: rproc_crash_handler_work(), rproc_boot_recovery()
     (stop, core dump, request_firmware, load, resource table, start); mpbench.twin.machine for the TA;
     mpbench.twin.kernels for what a driver does after a refusal.
"""

from mpbench.core.errors import UsageError
from mpbench.deployment.predict import table_is_loaded
from mpbench.recovery.facts import Cause, RecoveryFacts
from mpbench.twin.kernels import RELEASES
from mpbench.twin.machine import Loader
from mpbench.twin.openstlinux_machine import loader_of
from mpbench.twin.profile import Profile
from mpbench.twin.values import Outcome

REPORTED = ("detected", "handling")
REACHED = ("recovering", "stopped")


def crash(
    profile: Profile,
    core: str,
    image: bytes,
    cause: Cause,
    *,
    identity: str,
    reload: bytes | None,
    recovers: bool = True,
) -> RecoveryFacts:
    """Facts of a crash of `core`, which runs `image`.

    identity: name and core that the firmware in `image` prints
    reload: content of the firmware file when Linux loads it again, None if the file is missing
    recovers: whether recovery is enabled
    UsageError if the core would not run `image`.
    """
    loader = started(profile, core, image)
    if not recovers:
        held = cause.interrupts > 0  # an expired watchdog holds its core; a report through debugfs does not
        return RecoveryFacts(
            cause.name, cause.interrupts, ", ".join(REPORTED), "", "", 0, "", "crashed", 0, not held, identity
        )
    return recovery(loader, core, cause, identity=identity, image=image, reload=reload)


def recovery(
    loader: Loader, core: str, cause: Cause, *, identity: str, image: bytes, reload: bytes | None
) -> RecoveryFacts:
    """Facts of the recovery alone, for a core that `loader` has started; arguments as in crash()."""
    commands, answers, end = _boot_again(loader, core, reload)
    up = end == "up"
    refused = next((a for a in answers if not a.accepted), None)
    undefined = answers[-1].code is None
    other = up and reload != image  # its identity is known to the caller only
    cleared = not up and loader.profile.core(core).firewalled
    return RecoveryFacts(
        cause=cause.name,
        interrupts=cause.interrupts,
        sequence=", ".join((*(REPORTED if cause.name else ()), *REACHED, end)),
        commands=", ".join(commands),
        ta_states=", ".join(a.state.value for a in answers),
        tee_code=None if undefined else refused.code if refused else 0,
        secure_log=refused.console[-1] if refused and refused.console else "",
        state="running" if up else "offline",
        boots=int(up),
        beating=up,
        identity=None if other or (undefined and not up) else "" if cleared else identity,
    )


def started(profile: Profile, core: str, image: bytes) -> Loader:
    """The loader of a board whose `core` runs `image`. UsageError if it would not."""
    loader = loader_of(profile)
    for answer in (loader.load(core, image), loader.start(core)):
        if not answer.accepted:
            raise UsageError(f"{core} would not run this image: {answer.reason.text}")
    return loader


def _boot_again(
    loader: Loader, core: str, reload: bytes | None
) -> tuple[tuple[str, ...], tuple[Outcome, ...], str]:
    """Commands that Linux sends in order, the TA's answers, and the last word of the kernel's sequence."""
    stop = loader.stop(core)
    if reload is None:
        return ("stop",), (stop,), "missing"
    load = loader.load(core, reload)
    if not load.accepted:
        return _refused(loader, core, ("stop", "load"), (stop, load))
    if not table_is_loaded(load):
        raise UsageError(f"{core}: the resource table of this image is not at the address of its section")
    table, start = loader.get_rsc_table(core), loader.start(core)
    commands, answers = ("stop", "load", "table", "start"), (stop, load, table, start)
    return (commands, answers, "up") if start.accepted else _refused(loader, core, commands, answers)


def _refused(
    loader: Loader, core: str, commands: tuple[str, ...], answers: tuple[Outcome, ...]
) -> tuple[tuple[str, ...], tuple[Outcome, ...], str]:
    """As _boot_again(), where the last command was refused: the driver may have the TA release the core."""
    if commands[-1] in RELEASES[loader.profile.driver] and answers[-1].code is not None:
        commands, answers = (*commands, "release"), (*answers, loader.release(core))
    return commands, answers, "refused"
