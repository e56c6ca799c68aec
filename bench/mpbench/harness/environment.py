# SPDX-License-Identifier: MIT
"""The target file of a run: read, checked, with its profile."""

import importlib
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from labgrid import Environment
from labgrid.config import Config
from labgrid.exceptions import InvalidConfigError, NoConfigFoundError
from labgrid.pytestplugin.hooks import LABGRID_ENV_KEY

from mpbench.core import directories
from mpbench.core.errors import UsageError
from mpbench.core.files import read_bounded
from mpbench.core.lines import NotesLine, RecordLine, SignaturesLine
from mpbench.core.notes import NOTES, SIGNATURES, notes_in, notes_of, signatures_of
from mpbench.core.sanitize import one_line
from mpbench.core.secrets import learn
from mpbench.core.shared_files import reports_dir
from mpbench.core.yaml_reader import MAX_BYTES, MAX_DEPTH, check_size
from mpbench.harness import target_file
from mpbench.twin.profile import VARIABLE as PROFILE
from mpbench.twin.profile import Profile, load_profile, profile_names

MAIN = "main"


def env_of(config: pytest.Config) -> Any:
    """labgrid's environment of this pytest process, None without one."""
    return config.stash[LABGRID_ENV_KEY]


def target_of(path: str) -> Any:
    """Target `main` of a target file, with its resources and drivers. UsageError: labgrid cannot make it."""
    found = Environment(path)
    with target_file.target_errors(found.config):
        target = found.get_target(MAIN)
    learn_resources(target)
    return target


def learn_resources(target: Any) -> None:
    """Hide passwords in the attributes of the board's resources, which an exporter may have."""
    for resource in target.resources:
        learn({name: value for name, value in vars(resource).items() if isinstance(value, str | dict)})


def check_environment(path: str) -> Config:
    """Read a target file for the bench. UsageError of one line if anything is wrong with it."""
    config = read_environment(path)
    targets = config.get_targets()
    if not isinstance(targets, dict) or not isinstance(targets.get(MAIN), dict):
        raise UsageError(f"{path}: no target `{MAIN}`; the bench tests `targets: {MAIN}: ...`")
    for resource, attribute in empty_attributes(targets[MAIN].get("resources")):
        raise UsageError(f"{path}: `{attribute}` of {resource} is empty: give its variable a value")
    target_file.check(config, for_the_bench=has_profile(config))
    return config


def has_profile(config: Config) -> bool:
    """Whether a target file is for the bench: it, or MPBENCH_PROFILE, names a profile of the twin."""
    return bool(os.environ.get(PROFILE) or config.get_option("bench_profile", ""))


def read_environment(path: str) -> Config:
    """Read a target file as labgrid does. UsageError of one line if labgrid could not.

    labgrid expands variables in its paths; MPBENCH_CONFIG gets its default here.
    """
    os.environ.setdefault(directories.VARIABLE, str(directories.config_dir()))
    if os.path.lexists(path):  # else labgrid's own error
        check_size(read_bounded(path, limit_bytes=MAX_BYTES), path, "the target file")
    try:
        config = _strict_config(path)
        config.get_targets()
        learn(config.data)
        for name in config.get_imports():
            if name.endswith(".py"):  # only compiled: labgrid executes it itself
                compile(_of_import(path, name), name, "exec")
            else:
                importlib.import_module(name)
    except NoConfigFoundError:
        raise UsageError(f"{path}: no such file (looked in {Path.cwd()})") from None
    except InvalidConfigError as e:
        raise UsageError(f"{path}{_line_of(e)}: {_one_line(e)}") from e
    except UsageError:
        raise
    except (Exception, SystemExit) as e:  # a module that is imported may raise anything
        raise UsageError(f"{path}: {_one_line(e) or type(e).__name__}") from e
    return config


def _of_import(path: str, name: str) -> bytes:
    """Source of a file that the target file at `path` imports."""
    try:
        return read_bounded(name, limit_bytes=MAX_BYTES)
    except UsageError as e:
        raise UsageError(f"{path}: imports: {e}") from None


def _strict_config(path: str) -> Config:
    """labgrid's reading of a file; a key that is given twice, of which it takes the last, is an error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*duplicate YAML dictionary key", category=UserWarning)
        try:
            return Config(path)
        except UserWarning as e:
            key = str(e).partition("dictionary key ")[2].partition(" overwritten")[0]
            raise UsageError(f"{path}: key {key} is given twice in one mapping") from None
        except RecursionError:
            raise UsageError(f"{path}: nested deeper than {MAX_DEPTH} levels") from None


def empty_attributes(resources: Any) -> list[tuple[str, str]]:
    """(class, attribute) of every empty text, the result of a variable that is set to nothing. Pure."""
    entries = resources if isinstance(resources, list) else [resources]
    return [
        (str(cls), str(name))
        for entry in entries
        if isinstance(entry, dict)
        for cls, attributes in entry.items()
        if isinstance(attributes, dict)
        for name, value in attributes.items()
        if value == "" and name != "password"
    ]


def _line_of(error: BaseException) -> str:
    mark = getattr(error.__context__, "problem_mark", None)
    return f":{mark.line + 1}" if isinstance(error.__context__, yaml.MarkedYAMLError) and mark else ""


def _one_line(error: BaseException) -> str:
    return one_line(" ".join(str(error).split()))


def profile_of(config: Config) -> Profile:
    """Profile named by MPBENCH_PROFILE, else by the target file. UsageError: none named, or not readable."""
    override = os.environ.get(PROFILE)
    name = override or str(config.get_option("bench_profile", ""))
    if not name:
        known = ", ".join(profile_names())
        raise UsageError(f"{config.filename}: no profile; put `options: {{bench_profile: NAME}}`: {known}")
    path = Path(name).expanduser() if override else Path(config.resolve_path(name))
    try:
        return load_profile(path if path.is_file() else name)
    except UsageError as e:
        raise UsageError(f"{PROFILE if override else f'{config.filename}: bench_profile'} {e}") from e


def asked_lines(config: Config, words: Sequence[str]) -> list[RecordLine]:
    """Notes and signatures that the target file asks for; `words`: notes of the command line, NAME=TEXT.

    UsageError for any other form.
    """
    given = notes_in(words, "--bench-note")
    try:
        notes = notes_of(config.get_option(NOTES, {})) | given
        roles = signatures_of(config.get_option(SIGNATURES, []))
    except UsageError as e:
        raise UsageError(f"{config.filename}: {e}") from e
    lines: list[RecordLine] = [SignaturesLine(roles)] if roles else []
    return [*lines, NotesLine(notes)] if notes else lines


def reports(config: pytest.Config) -> Path:
    """Directory in which runs are recorded."""
    named: str | None = config.option.bench_reports
    here = config.invocation_params.dir
    return here / named if named else reports_dir(here)


def target_name(config: pytest.Config) -> str:
    """Name of the kind of board: the environment's file without its suffix."""
    return Path(env_of(config).config_file).stem
