# SPDX-License-Identifier: MIT
"""What is wrong with a target file's resources and drivers: UsageError, before a board is touched.

labgrid itself finds it when it makes the target, in the middle of a run.
Ref: labgrid factory.py, TargetFactory.normalize_config, make_driver; target.py, bind_driver.
"""

import ast
import contextlib
import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen
from labgrid import target_factory
from labgrid.binding import BindingError
from labgrid.config import Config
from labgrid.exceptions import InvalidConfigError, NoSupplierFoundError
from labgrid.factory import TargetFactory

from mpbench.core.errors import InfrastructureError, UsageError

MAX_PORT = 65535
Bases = Mapping[str, frozenset[str]]
"""Name of each class that a target file can use → names of the class and of all its bases."""

MODULES = {"VirtualBoard": "mpbench_virtual.resource"}
"""Where classes are that the bench does not import by itself."""


FORMS = (
    (re.compile(r"Target\(name=.*?\)\)"), "this target"),
    (re.compile(r" for target 'this target' using .*"), ""),
    (re.compile(r"(\w+)\(target=.*?\) got"), r"`\1` got"),
)
"""Forms of labgrid's objects in its messages, which show every attribute, and what replaces them."""


@frozen
class Needed:
    """A driver that the bench needs: a class of this name or derived from it.

    put: the entry of the target file; instead: labgrid's classes that people put in its place.
    """

    base: str
    put: str
    instead: tuple[str, ...] = ()
    name: str = ""


NEEDED = (
    Needed(
        "SessionDriver",
        "SessionDriver: {bindings: {networkservice: ssh}, keyfile: $MPBENCH_CONFIG/ssh_key, "
        "known_hosts: $MPBENCH_CONFIG/known_hosts}",
        ("SSHDriver",),
    ),
    Needed("RemoteprocDriver", "RemoteprocDriver: {}"),
    Needed(
        "ConsoleRecorder",
        "ConsoleRecorder: {name: console, bindings: {port: console-port}}",
        name="console",
    ),
    Needed("Strategy", "STM32MPStrategy: {}"),
)
POWER = Needed("PowerProtocol", "NetworkPowerDriver: {}")
"""What STM32MPStrategy is bound to."""


def check(config: Config, *, for_the_bench: bool) -> None:
    """UsageError for a class that does not exist, or, in a file for the bench, a driver that it lacks."""
    import mpbench.board  # noqa: F401, PLC0415 - registers the bench's drivers; slow, others' files need none

    try:
        resources, drivers = TargetFactory.normalize_config(config.get_targets()["main"])
    except (InvalidConfigError, AttributeError, TypeError, ValueError) as e:
        what = "resources and drivers are `- CLASS: {attribute: value}`; without attributes `- CLASS: {}`"
        raise UsageError(f"{config.filename}: {what} ({' '.join(str(e).split())})") from e
    own = own_classes(Path(name) for name in config.get_imports() if name.endswith(".py"))
    for kind, used, known in (
        ("resource", resources, bases(target_factory.resources) | own),
        ("driver", drivers, bases(target_factory.drivers) | own),
    ):
        if unknown := next((cls for cls in used if cls not in known), None):
            raise UsageError(f"{config.filename}: no {kind} class `{unknown}`{_meant(unknown, known)}")
    if wrong := next(wrong_addresses(resources), ""):
        raise UsageError(f"{config.filename}: {wrong}")
    if for_the_bench and (found := lacks(drivers, bases(target_factory.drivers) | own)):
        raise UsageError(f"{config.filename}: {found}")


def wrong_addresses(resources: Mapping[str, Mapping[str | None, Any]]) -> Iterator[str]:
    """Ports and hosts that no board, terminal server or switch can have: nothing would ever answer. Pure.

    resources: attributes of each class's instances by name, in a tuple
    """
    every = ((cls, one) for cls, named in resources.items() for given in named.values() for one in given)
    for cls, attributes in every:
        port = attributes.get("port")
        if isinstance(port, int) and not 1 <= port <= MAX_PORT:
            yield f"`port` of {cls} is {port}; 1 to {MAX_PORT} are possible"
        for name in ("address", "host"):
            text = attributes.get(name)
            if isinstance(text, str) and (why := _not_an_address(text)):
                yield f"`{name}` of {cls} is {text!r:.60}, no address: {why}"


def _not_an_address(text: str) -> str:
    """Why a name, an address or a URL leads nowhere, "" if it may lead somewhere."""
    try:
        parts = urlsplit(text if "://" in text else f"//{text}" if text.count(":") < 2 else "")
        _ = parts.port  # checked when it is read
        (parts.hostname or "").encode("idna")
    except ValueError as e:
        return " ".join(str(e.__cause__ or e).split())
    return "it has characters that no name has" if not text.isprintable() or " " in text else ""


def bases(classes: Mapping[str, type]) -> dict[str, frozenset[str]]:
    """Names of each class and its bases."""
    return {name: frozenset(base.__name__ for base in cls.__mro__) for name, cls in classes.items()}


def own_classes(files: Iterator[Path]) -> dict[str, frozenset[str]]:
    """Classes of the files that a target file imports: parsed, because labgrid executes them itself."""
    named: dict[str, set[str]] = {}
    for path in files:
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ClassDef):
                named[node.name] = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
    known = bases({**target_factory.all_classes})

    def all_of(name: str) -> frozenset[str]:
        found, waiting = set[str](), [name]
        while waiting:
            one = waiting.pop()
            if one not in named:
                found |= known.get(one, {one})
            elif one not in found:
                found.add(one)
                waiting += named[one]
        return frozenset(found)

    return {name: all_of(name) for name in named}


def _meant(unknown: str, known: Bases) -> str:
    if unknown in MODULES:
        return f"; add `{MODULES[unknown]}` to `imports`"
    close = difflib.get_close_matches(unknown, known, 1, cutoff=0.8)
    return f"; is `{close[0]}` meant?" if close else "; if it is yours, add its module to `imports`"


def lacks(drivers: Mapping[str, Mapping[str | None, Any]], known: Bases) -> str:
    """The first driver that a target file for the bench lacks, and what to put there; "". Pure.

    drivers: names of each class's instances.
    """
    needed = [*NEEDED, POWER] if "STM32MPStrategy" in drivers else NEEDED
    for one in needed:
        found = [cls for cls in drivers if one.base in known.get(cls, ())]
        if one.base == "Strategy" and (theirs := [cls for cls in found if _is_of_labgrid(cls)]):
            return f"strategy `{theirs[0]}` does not verify power and boot; put `{one.put}` in its place"
        if not found:
            theirs = [cls for cls in one.instead if cls in drivers]
            where = f"put it in place of `{theirs[0]}`" if theirs else "add it to `drivers`"
            what = "strategy" if one.base == "Strategy" else f"`{one.base}`"
            return f"no {what}: {where}: `{one.put}`"
        if one.name and not any(one.name in drivers[cls] for cls in found):
            return f"no `{one.base}` is named `{one.name}`: `{one.put}`"
    return ""


def _is_of_labgrid(name: str) -> bool:
    cls = target_factory.drivers.get(name)
    return cls is not None and cls.__module__.startswith("labgrid.")


@contextlib.contextmanager
def target_errors(config: Config) -> Iterator[None]:
    """Turn what labgrid finds wrong when it makes a target into a UsageError of one line.

    The resources of a place are the exporter's: one that is missing there is an InfrastructureError.
    """
    remote = "RemotePlace" in TargetFactory.normalize_config(config.get_targets()["main"])[0]
    try:
        yield
    except (NoSupplierFoundError, BindingError) as e:
        if remote:
            do = "start its exporter, then release and acquire the place; or correct its match"
            raise InfrastructureError(f"the place lacks a resource: {_one_line(e)}; {do}") from e
        raise UsageError(f"{config.filename}: {_one_line(e)}") from e
    except (InvalidConfigError, ValueError, TypeError) as e:
        raise UsageError(f"{config.filename}: {_one_line(e)}") from e


def _one_line(error: BaseException) -> str:
    """labgrid's message without the forms of its objects; one that names only the class gets its cause."""
    text = " ".join(str(getattr(error, "msg", error)).split())
    for form, words in FORMS:
        text = form.sub(words, text)
    cause = error.__cause__
    if isinstance(error, InvalidConfigError) and cause is not None and cause.args:
        text += f": {cause.args[0]}"
    return text
