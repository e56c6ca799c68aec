# SPDX-License-Identifier: MIT
"""Fixtures of every test: the board, its profile, its key, firmware, signing."""

import contextlib
import getpass
import hashlib
import socket
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mpbench.board.identification import about
from mpbench.board.kernel_log import KernelLogFollower
from mpbench.board.marked_console import MarkedConsole
from mpbench.board.protocols import Board, Memory, Session
from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.provenance import CORE_DRIVERS, PROFILE_FIT
from mpbench.core.secrets import is_secret_name, redact, secret_values
from mpbench.core.version import commit_of
from mpbench.harness import configuration, place_lock
from mpbench.harness.environment import profile_of
from mpbench.harness.firmware import FirmwareFiles, tee_client_program
from mpbench.harness.profile_fit import fit, identity_of
from mpbench.harness.run_state import core_of, of
from mpbench.harness.signer import OPTION, Signer, records_of
from mpbench.image.keys import fingerprint, load_private_key, published_as
from mpbench.twin.profile import Profile


@pytest.fixture(scope="session")
def signing_key(env: Any, target: Any) -> rsa.RSAPrivateKey:
    """Private key whose public half is in the board's OP-TEE: option `bench_signing_key`."""
    key = load_private_key(signing_key_path(env, target))
    if not isinstance(key, rsa.RSAPrivateKey):
        raise UsageError(f"{signing_key_path(env, target)}: OP-TEE verifies RSA signatures only")
    return key


def signing_key_path(env: Any, target: Any) -> Path:
    """File of the signing key: the option `bench_signing_key`, else the virtual board's. UsageError: none."""
    with contextlib.suppress(KeyError):
        return Path(env.config.resolve_path(env.config.get_option("bench_signing_key")))
    for resource in target.resources:
        if path := getattr(resource, "firmware_key", None):
            return Path(path)
    raise UsageError(f"{env.config_file}: no signing key; give `options: {{bench_signing_key: PATH}}` (PEM)")


@pytest.fixture(scope="session")
def profile(env: Any, request: Any) -> Profile:
    """The twin's profile of the board: its cores, their memory, its OP-TEE, if any, with the board's key."""
    found = profile_of(env.config)
    if found.manager == "linux":
        return found
    return found.with_key(request.getfixturevalue("signing_key").public_key())


@pytest.fixture(scope="session")
def firmware(request: Any, env: Any, profile: Profile) -> FirmwareFiles:
    """`firmware("alive", core)`: an ELF of the bench; `firmware("my.elf")`: any other, from the rootdir.

    The bench's own may use the watchdogs of option `bench_watchdogs`, or those of the profile, and has its
    resource table where Linux may read.
    """
    isolated = frozenset(core.name for core in profile.cores if core.firewalled)
    watchdogs = configuration.watchdogs_of(env.config.get_option(configuration.OPTION, {}), profile)
    return FirmwareFiles(request.config.rootpath, of(request.config).uploaded, watchdogs, isolated)


@pytest.fixture(scope="session")
def board(strategy: Any, target: Any, profile: Profile, request: Any) -> Iterator[Board]:
    """The booted board; every console and the kernel log are read until the run ends."""
    state = of(request.config)
    strategy.transition("shell")
    found = board_of(target, next((r for r in target.resources if hasattr(r, "read_memory")), None))
    more = {"profile": profile.name, "target file": target_file_entry(target.env.config_file)}
    if profile.manager == "tee":
        more |= key_entry(request.getfixturevalue("signing_key"))
    found_about = about(found)
    more[PROFILE_FIT] = str(fit(profile, identity_of(found_about.provenance.entries)))
    more |= place_lock.place_entry(target) | operator(state.variables)
    drivers = found.remoteproc.drivers()
    more[CORE_DRIVERS] = ", ".join(f"{core}: {driver or 'unknown'}" for core, driver in drivers.items())
    root: Path = request.config.rootpath
    more["tests"] = f"{root.name} {commit_of(root) or 'without git'}"
    state.identified(found_about, more | versions(target.resources))
    yield found
    if not state.blocked:  # a board that was given up has no session
        with contextlib.suppress(InfrastructureError):
            found.secure.close()


def board_of(target: Any, memory: Memory | None = None) -> Board:
    """The booted board of a target, with its readers. InfrastructureError if it does not answer."""
    session = target.get_driver("SessionDriver")
    secure = optee_log(target, session)
    return Board(
        session=session,
        remoteproc=target.get_driver("RemoteprocDriver"),
        kmsg=KernelLogFollower(session),
        secure=secure,
        console=target.get_driver("ConsoleRecorder", name="console"),
        memory=memory,
    )


def optee_log(target: Any, session: Session) -> MarkedConsole:
    """The console that carries OP-TEE's log, with markers if the board can print them."""
    recorder = target.get_driver("ConsoleRecorder", name=secure_console(target))
    try:
        program = tee_client_program(session)
    except InfrastructureError:  # this host cannot build it
        program = b""
    return MarkedConsole(recorder, session, program)


def secure_console(target: Any) -> str:
    """Name of the console that carries OP-TEE's log: Linux's where both share a UART, as on ST's boards."""
    return "secure" if any(driver.name == "secure" for driver in target.drivers) else "console"


def operator(variables: Mapping[str, str]) -> dict[str, str]:
    """User, host and the variables of labgrid and the bench, without secrets."""
    found = {"operator": f"{getpass.getuser()} on {socket.gethostname()}"}
    ours = {name: text for name, text in variables.items() if name.startswith(("LG_", "MPBENCH_"))}
    secrets = secret_values(variables)
    return found | {
        name: "(set)" if is_secret_name(name) else redact(text, secrets)
        for name, text in sorted(ours.items())
    }


def versions(resources: Iterable[Any]) -> dict[str, str]:
    """Versions of the libraries that reach the board, and the provenance of the board's own resources."""
    found = {name: metadata.version(name) for name in ("labgrid", "paramiko", "numpy")}
    for resource in resources:
        found |= getattr(resource, "provenance", {})
    return found


def target_file_entry(target_file: str) -> str:
    """Name and hash of the target file."""
    return f"{Path(target_file).name} sha256 {hashlib.sha256(Path(target_file).read_bytes()).hexdigest()}"


def key_entry(key: rsa.RSAPrivateKey) -> dict[str, str]:
    """The signing key, by hash."""
    public = key.public_key()
    published = published_as(public)
    warning = f" ({published}: anybody can sign)" if published else ""
    return {"signing key": f"sha256 {fingerprint(public)}{warning}"}


@pytest.fixture
def signed(env: Any, profile: Profile, request: Any) -> Signer:
    """`signed(core, elf, ...)` signs firmware with the board's key and the target file's records.

    Skips the test where Linux manages its core, or all of the board's: there nothing is signed.
    """
    core = core_of(request.node)
    if profile.manager == "linux" or (core and profile.by_linux(core)):
        whose = f"{core}" if profile.manager == "tee" else "this board's cores"
        pytest.skip(f"Linux manages {whose}: it loads plain ELF files, nothing is signed")
    signing_key = request.getfixturevalue("signing_key")
    return Signer(signing_key, records_of(env.config.get_option(OPTION, {})))
