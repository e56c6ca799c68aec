# SPDX-License-Identifier: MIT
"""Fixtures of every test case: the board, its keys, its firmware."""

import contextlib
import getpass
import hashlib
import re
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mpbench.board.identification import about
from mpbench.board.kernel_log import KernelLogFollower
from mpbench.board.protocols import Board
from mpbench.core.errors import UsageError
from mpbench.harness import place_lock
from mpbench.harness.environment import profile_of
from mpbench.harness.firmware import FIRMWARE, make
from mpbench.harness.run_state import of
from mpbench.harness.signer import OPTION, Signer, records_of
from mpbench.image.keys import fingerprint, is_default_key, load_private_key
from mpbench.twin.profile import Profile


@pytest.fixture(scope="session")
def signing_key(env: Any, target: Any) -> rsa.RSAPrivateKey:
    """Private key whose public half is inside the board's OP-TEE.

    Option `bench_signing_key` of the environment (relative to its file), or the virtual board's own.
    """
    key = load_private_key(signing_key_path(env, target))
    if not isinstance(key, rsa.RSAPrivateKey):
        raise UsageError(f"{signing_key_path(env, target)}: OP-TEE verifies RSA signatures only")
    return key


def signing_key_path(env: Any, target: Any) -> Path:
    """The key's file, by the option or by the resource that has one."""
    with contextlib.suppress(KeyError):
        return Path(env.config.resolve_path(env.config.get_option("bench_signing_key")))
    for resource in target.resources:
        if path := getattr(resource, "firmware_key", None):
            return Path(path)
    raise UsageError(f"{env.config_file}: no signing key; give `options: {{bench_signing_key: PATH}}` (PEM)")


@pytest.fixture(scope="session")
def profile(env: Any, signing_key: rsa.RSAPrivateKey) -> Profile:
    """The twin's profile of this board, with the board's key in its TEE."""
    return profile_of(env.config).with_key(signing_key.public_key())


@pytest.fixture(scope="session")
def firmware(request: Any) -> Callable[[str, str], bytes]:
    """`firmware(name, core)` → the ELF, made again if this checkout's sources are newer."""
    make()
    brought = of(request.config).brought

    def elf(name: str, core: str) -> bytes:
        data = (FIRMWARE / "build" / core / f"{name}.elf").read_bytes()
        brought[f"firmware {name} {core}"] = f"sha256 {hashlib.sha256(data).hexdigest()}"
        return data

    return elf


@pytest.fixture(scope="session")
def board(strategy: Any, target: Any, signing_key: rsa.RSAPrivateKey, request: Any) -> Board:
    """The board, booted, with a reader on every console and on the kernel log until the run ends."""
    state = of(request.config)
    strategy.transition("shell")
    session = target.get_driver("SessionDriver")
    found = Board(
        session=session,
        remoteproc=target.get_driver("RemoteprocDriver"),
        kmsg=KernelLogFollower(session),
        secure=target.get_driver("ConsoleRecorder", name=secure_console(target)),
        console=target.get_driver("ConsoleRecorder", name="console"),
        memory=next((r for r in target.resources if hasattr(r, "read_memory")), None),
    )
    more = {"profile": profile_of(target.env.config).name} | sources(target.env.config_file, signing_key)
    more |= place_lock.who(target) | operator(state.variables)
    state.board_is(about(found), more)
    return found


def secure_console(target: Any) -> str:
    """Name of the recorder that hears OP-TEE: Linux's own where both share a UART, as on ST's boards."""
    return "secure" if any(driver.name == "secure" for driver in target.drivers) else "console"


def operator(variables: Mapping[str, str]) -> dict[str, str]:
    """Who runs the bench, and with which variables; what may be a secret is named only."""
    found = {"operator": f"{getpass.getuser()} on {socket.gethostname()}"}
    ours = {name: text for name, text in variables.items() if name.startswith(("LG_", "MPBENCH_"))}
    secret = re.compile("TOKEN|PASS|SECRET|CREDENTIAL")
    return found | {name: "(set)" if secret.search(name) else text for name, text in sorted(ours.items())}


def sources(target_file: str, key: rsa.RSAPrivateKey) -> dict[str, str]:
    """What the bench brought to the board: target file and key, by hash."""
    name = fingerprint(key.public_key())
    warning = " (OP-TEE's public default key: anybody can sign)" if is_default_key(key.public_key()) else ""
    digest = hashlib.sha256(Path(target_file).read_bytes()).hexdigest()
    return {
        "target file": f"{Path(target_file).name} sha256 {digest}",
        "signing key": f"sha256 {name}{warning}",
    }


@pytest.fixture(scope="session")
def signed(env: Any, signing_key: rsa.RSAPrivateKey) -> Signer:
    """`signed(core, elf, ...)` → the image as the board's OP-TEE wants it; option `bench_plat_tlvs`."""
    return Signer(signing_key, records_of(env.config.get_option(OPTION, {})))
