# SPDX-License-Identifier: MIT
"""A target file that lacks something: exit code 2 and one line with what to put there, for every command."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from labgrid import target_factory
from labgrid.exceptions import NoResourceFoundError

from mpbench.commands import main
from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.harness.environment import check_environment, target_of
from mpbench.harness.target_file import own_classes, target_errors, wrong_addresses

GOOD = """\
targets:
  main:
    resources:
      - NetworkService: {name: ssh, address: 192.0.2.1, username: root}
      - RawSerialPort: {name: console, port: /dev/null, speed: 115200}
      - NetworkPowerPort: {name: power, model: rest, host: 'http://192.0.2.2/{index}', index: 0}
    drivers:
      - NetworkPowerDriver: {}
      - SerialDriver: {name: console-port, bindings: {port: console}}
      - ConsoleRecorder: {name: console, bindings: {port: console-port}}
      - SessionDriver: {bindings: {networkservice: ssh}}
      - RemoteprocDriver: {}
      - STM32MPStrategy: {}
options: {bench_profile: virtual-mp25, bench_signing_key: key.pem}
imports: [mpbench.board]
"""
SESSION = (
    "`SessionDriver: {bindings: {networkservice: ssh}, keyfile: $MPBENCH_CONFIG/ssh_key, "
    "known_hosts: $MPBENCH_CONFIG/known_hosts}`"
)
OURS = "- SessionDriver: {bindings: {networkservice: ssh}}"
MISTAKES = {
    "labgrid's SSHDriver": (
        OURS,
        "- SSHDriver: {}",
        f"no `SessionDriver`: put it in place of `SSHDriver`: {SESSION}",
    ),
    "no session": (OURS, "- CommandProxy: {}", "no driver class `CommandProxy`; if it is yours, add its "),
    "no strategy": (
        "      - STM32MPStrategy: {}\n",
        "",
        "no strategy: add it to `drivers`: `STM32MPStrategy: {}`",
    ),
    "labgrid's strategy": (
        "- STM32MPStrategy: {}",
        "- ShellStrategy: {}",
        "strategy `ShellStrategy` does not verify power and boot; put `STM32MPStrategy: {}` in its place",
    ),
    "key given twice": (
        "options: {bench_profile: virtual-mp25,",
        "options: {bench_profile: virtual-mp25, bench_profile: virtual-mp25,",
        "key 'bench_profile' is given twice in one mapping",
    ),
    "misspelt driver": (
        OURS,
        "- SesionDriver: {}",
        "no driver class `SesionDriver`; is `SessionDriver` meant?",
    ),
    "misspelt strategy": (
        "STM32MPStrategy",
        "STM32Strategy",
        "no driver class `STM32Strategy`; is `STM32MPStrategy` meant?",
    ),
    "misspelt resource": (
        "NetworkService:",
        "NetworkServce:",
        "no resource class `NetworkServce`; is `NetworkService` meant?",
    ),
    "a module that is not imported": (
        "- NetworkService: {name: ssh, address: 192.0.2.1, username: root}",
        "- VirtualBoard: {}",
        "no resource class `VirtualBoard`; add `mpbench_virtual.resource` to `imports`",
    ),
    "no console": (
        "      - ConsoleRecorder: {name: console, bindings: {port: console-port}}\n",
        "",
        "no `ConsoleRecorder`: add it to `drivers`: "
        "`ConsoleRecorder: {name: console, bindings: {port: console-port}}`",
    ),
    "a console of another name": (
        "ConsoleRecorder: {name: console,",
        "ConsoleRecorder: {name: uart,",
        "no `ConsoleRecorder` is named `console`: "
        "`ConsoleRecorder: {name: console, bindings: {port: console-port}}`",
    ),
    "no remoteproc": (
        "      - RemoteprocDriver: {}\n",
        "",
        "no `RemoteprocDriver`: add it to `drivers`: `RemoteprocDriver: {}`",
    ),
    "no power": (
        "      - NetworkPowerDriver: {}\n",
        "",
        "no `PowerProtocol`: add it to `drivers`: `NetworkPowerDriver: {}`",
    ),
    "no attributes": (
        "- RemoteprocDriver: {}",
        "- RemoteprocDriver",
        "resources and drivers are `- CLASS: {attribute: value}`; without attributes `- CLASS: {}` (",
    ),
}


LAUGHS = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in pairwise("abcdefgh")
)
"""Nine aliases of nine aliases and so on: 40 million values in 300 bytes, which labgrid visits one by one."""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a target file; returns its path. Other tests may have imported the virtual board."""
    monkeypatch.delenv("MPBENCH_PROFILE", raising=False)
    monkeypatch.delitem(target_factory.resources, "VirtualBoard", raising=False)

    def written(text: str) -> str:
        path = tmp_path / "x.yaml"
        path.write_text(text)
        return str(path)

    return written


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD + "deep: " + "[" * 40 + "]" * 40, ":16: the target file is nested deeper than 32 levels"),
        (GOOD + "deep: " + "[" * 100_000, ":16: the target file is nested deeper than 32 levels"),
        (GOOD + "#" * (1 << 20), "cannot read {path}: larger than 1048576 bytes"),
        (GOOD + LAUGHS, ":20: the target file has more than 20000 values"),
        (
            GOOD + "m: &m {a: 1}\n" + LAUGHS.replace("[", "{<<: [").replace("]", "]}"),
            ":21: the target file has",
        ),
        (GOOD + "x: [" + "1, " * 25_000 + "]", ":16: the target file has more than 20000 values"),
    ],
    ids=["deep", "very deep", "large", "aliases of aliases", "merged", "long"],
)
def test_a_target_file_has_a_bound(write, text, words):
    """In depth and size, before labgrid reads it."""
    path = write(text)
    with pytest.raises(UsageError) as raised:
        check_environment(path)
    assert str(raised.value).startswith(words.format(path=path) if words[0] != ":" else f"{path}{words}")


@pytest.mark.parametrize(
    ("make", "kind"), [(os.mkfifo, "a FIFO"), (lambda p: p.symlink_to("/dev/zero"), "a device")]
)
def test_what_a_target_file_imports_is_a_file(write, tmp_path, make, kind):
    """Neither waited for nor read for ever."""
    make(tmp_path / "played.py")
    path = write(GOOD.replace("imports: [", "imports: [played.py, "))
    with pytest.raises(UsageError, match=rf"played\.py: it is {kind}; a regular file is needed"):
        check_environment(path)


IMPORTED = {
    "deep": ("x = " + "-" * 100_000 + "1", "MemoryError"),
    "long": ("x = " + "+1" * 200_000, "maximum recursion depth exceeded during compilation"),
    "raises": ("raise RuntimeError('\\x1b[31mboo')", "␛[31mboo"),
    "exits": ("import sys; sys.exit()", "SystemExit"),
}


@pytest.mark.parametrize("name", IMPORTED)
def test_what_a_target_file_imports_may_raise_anything(write, tmp_path, monkeypatch, name):
    """A file that Python cannot compile, a module that fails or exits: one line."""
    text, words = IMPORTED[name]
    (tmp_path / f"mpbench_{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = write(
        GOOD.replace("imports: [", f"imports: [mpbench_{name}{'.py' * (name in ('deep', 'long'))}, ")
    )
    with pytest.raises(UsageError) as raised:
        check_environment(path)
    assert str(raised.value) == f"{path}: {words}"


def test_classes_of_a_file_may_derive_from_each_other(tmp_path):
    """Three thousand times, or in a circle."""
    (tmp_path / "x.py").write_text(
        "class A(B): pass\nclass B(A): pass\nclass C0(Driver): pass\n"
        + "\n".join(f"class C{n + 1}(C{n}): pass" for n in range(3000))
    )
    found = own_classes(iter([tmp_path / "x.py"]))
    assert found["A"] == found["B"] == {"A", "B"}
    assert {"C0", "C1500", "Driver", "object"} < found["C3000"]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (
            "NetworkService: {address: a, username: root, port: 70000}",
            "`port` of NetworkService is 70000",
        ),
        (
            "NetworkSerialPort: {host: a, port: 0}",
            "`port` of NetworkSerialPort is 0; 1 to 65535 are",
        ),
        ("NetworkSerialPort: {host: a, port: -1}", "`port` of NetworkSerialPort is -1; 1 to"),
        (
            "NetworkPowerPort: {model: rest, host: 'http://h:99999/{index}', index: 0}",
            "`host` of NetworkPowerPort is 'http://h:99999/{index}', no address: Port out of range 0-65535",
        ),
        ("NetworkPowerPort: {model: rest, host: 'http://[::1/', index: 0}", "no address: Invalid IPv6 URL"),
        (f"NetworkService: {{address: {'a' * 64}.b, username: root}}", "no address: label empty or too long"),
        ("NetworkService: {address: a..b, username: root}", "no address: label empty or too long"),
        (
            'NetworkService: {address: "a\\0b", username: root}',
            "it has characters that no name has",
        ),
        (
            'NetworkService: {address: "a b", username: root}',
            "it has characters that no name has",
        ),
    ],
)
def test_an_address_that_nothing_can_have_is_named(write, entry, words):
    """Before anything is asked there."""
    path = write(GOOD.replace("    drivers:", f"      - {entry}\n    drivers:"))
    with pytest.raises(UsageError) as raised:
        check_environment(path)
    assert words in str(raised.value)
    assert str(raised.value).isprintable()


def test_addresses_that_something_may_have_pass():
    """Names, both kinds of numeric addresses, URLs with an index, serial devices."""
    texts = (
        "board-1.lab",
        "192.0.2.1",
        "fe80::1%eth0",
        "http://u:p@h:8080/{index}",
        "h:80",
        "xn--bcher-kva.example",
    )
    resources: dict[str, Any] = {
        "NetworkPowerPort": {str(n): ({"host": text},) for n, text in enumerate(texts)},
        "RawSerialPort": {None: ({"port": "/dev/ttyUSB0"},)},
        "NetworkService": {None: ({"port": 65535},)},
    }
    assert list(wrong_addresses(resources)) == []


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_what_to_put_there(write, mistake):
    """Found when the file is read, before any board is touched."""
    here, there, message = MISTAKES[mistake]
    assert here in GOOD
    path = write(GOOD.replace(here, there))
    with pytest.raises(UsageError) as raised:
        check_environment(path)
    assert str(raised.value).startswith(f"{path}: {message}")
    assert "\n" not in str(raised.value)


def test_a_complete_file_passes(write):
    """Nothing is missing in it; a file that is not for the bench may lack what it likes."""
    check_environment(write(GOOD))
    check_environment(
        write(GOOD.replace("bench_profile: virtual-mp25, ", "").replace(OURS, "- SSHDriver: {}"))
    )


def test_classes_of_an_imported_file_are_known(write, tmp_path):
    """A file that labgrid will execute is parsed: its classes, and what they are derived from, count."""
    (tmp_path / "own.py").write_text(
        "from labgrid.strategy import Strategy\nimport mpbench.board as b\n"
        "class Mine(Strategy): pass\nclass Session(b.SessionDriver): pass\nclass Loop(Loop): pass\n"
    )
    text = GOOD.replace("STM32MPStrategy", "Mine").replace("SessionDriver", "Session")
    check_environment(write(text.replace("[mpbench.board]", "[mpbench.board, own.py]")))
    with pytest.raises(UsageError, match="no strategy: add it to `drivers`"):
        check_environment(
            write(text.replace("Mine", "Loop").replace("[mpbench.board]", "[mpbench.board, own.py]"))
        )


@pytest.mark.parametrize(
    ("here", "there", "message"),
    [
        (
            "STM32MPStrategy: {}",
            "STM32MPStrategy: {boot_timeout_s: soon}",
            "could not convert string to float: 'soon'",
        ),
        (
            "{port: console-port}}",
            "{port: uart}}",
            "binding console failed: no ConsoleProtocol driver named 'uart' found in this target, matching "
            "resources with other names: ['console-port']",
        ),
        (
            OURS,
            "- SessionDriver: {bindings: {nope: ssh}}",
            "`SessionDriver` got unexpected bindings: ['nope']",
        ),
        (
            OURS,
            "- SessionDriver: {keyfile: 5}",
            "failed to create SessionDriver: "
            "'keyfile' must be <class 'str'> (got 5 that is a <class 'int'>).",
        ),
        (
            "address: 192.0.2.1, ",
            "",
            "failed to create NetworkService: "
            "NetworkService.__init__() missing 1 required positional argument: 'address'",
        ),
    ],
)
def test_what_only_labgrid_finds_is_a_usage_error_too(write, here, there, message):
    """Wrong values, bindings that lead nowhere, a missing attribute: one line with the file's name."""
    path = write(GOOD.replace(here, there))
    with pytest.raises(UsageError) as raised:
        target_of(path)
    assert str(raised.value) == f"{path}: {message}"


def test_what_an_exporter_lacks_is_no_mistake_of_the_file(write):
    """The resources of a place are the exporter's: one that is missing is a fault of the lab."""
    text = GOOD.replace(
        "      - NetworkPowerPort", "      - RemotePlace: {name: x}\n      - NetworkPowerPort"
    )
    config = check_environment(write(text))
    with pytest.raises(InfrastructureError) as raised, target_errors(config):
        raise NoResourceFoundError("binding NetworkPowerDriver failed: no NetworkPowerPort resource")
    assert str(raised.value) == (
        "the place lacks a resource: binding NetworkPowerDriver failed: no NetworkPowerPort resource; "
        "start its exporter, then release and acquire the place; or correct its match"
    )


def test_doctor_ends_with_2(write, capsys):
    """The check `environment` names the mistake."""
    path = write(GOOD.replace("      - STM32MPStrategy: {}\n", ""))
    assert main.main(["doctor", "--lg-env", path]) == 2
    assert f"environment: {path}: no strategy: add it to `drivers`" in capsys.readouterr().out


@pytest.mark.parametrize("options", [["--check"], []])
def test_nightly_ends_with_2(write, tmp_path, capsys, options):
    """Before a place is reserved; variables of the job and the night's own are set for the check."""
    plan = tmp_path / "plan.yaml"
    plan.write_text("jobs: [{name: a, target: x.yaml, tags: {b: c}, tests: [t]}]\ncoordinator: 127.0.0.1:1\n")
    path = write(GOOD.replace("192.0.2.1", "!template $LG_PLACE").replace(OURS, "- SSHDriver: {}"))
    assert main.main(["nightly", str(plan), *options]) == 2
    assert f"mpbench: error: {path}: no `SessionDriver`: put it in place of `SSHDriver`" in (
        capsys.readouterr().err
    )
    assert "LG_PLACE" not in os.environ


@pytest.mark.slow
@pytest.mark.parametrize("command", ["pytest", "test", "latency"])
@pytest.mark.parametrize("mistake", ["labgrid's SSHDriver", "no strategy", "misspelt driver"])
def test_a_run_ends_with_2(write, tmp_path, command, mistake):
    """One line, and no record."""
    here, there, message = MISTAKES[mistake]
    path = write(GOOD.replace(here, there))
    (tmp_path / "test_x.py").write_text("def test_x(bench): pass\n")
    scripts = Path(sys.executable).parent
    words = {
        "pytest": ["pytest", "test_x.py"],
        "test": ["mpbench", "test"],
        "latency": ["mpbench", "latency"],
    }
    done = subprocess.run(
        [scripts / words[command][0], *words[command][1:], "--lg-env", path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"ERROR: {path}: {message}")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "reports").exists()


@pytest.mark.slow
def test_a_refusal_has_no_secret_and_no_control_character(write, tmp_path):
    """It quotes the file, and comes before the rest of the plug-in is there."""
    path = write(GOOD.replace("RemoteprocDriver", '"A\\e[31m\\nB http://user:wordword@h"'))
    done = subprocess.run(
        [Path(sys.executable).parent / "pytest", "--lg-env", path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"ERROR: {path}: no driver class `A␛[31m␊B http://***@h`")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_what_labgrid_finds_in_the_run_ends_it_with_2(write, tmp_path):
    """The test is an ERROR with the reason, the others are NOT-RUN."""
    path = write(GOOD.replace("STM32MPStrategy: {}", "STM32MPStrategy: {boot_timeout_s: soon}"))
    (tmp_path / "key.pem").write_text("")
    (tmp_path / "test_x.py").write_text("def test_x(bench): pass\ndef test_y(bench): pass\n")
    done = subprocess.run(
        [Path(sys.executable).parent / "pytest", "test_x.py", "--lg-env", path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    reason = f"{path}: could not convert string to float: 'soon'"
    assert reason in done.stdout
    assert "verdict ERROR: 1 ERROR, 1 NOT-RUN" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
