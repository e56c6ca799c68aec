# SPDX-License-Identifier: MIT
"""labgrid_decorators log steps as labgrid does; and drivers implement their protocols."""

import inspect

import pytest
from labgrid.step import Step, StepEvent, step, steps

from mpbench.board import RemoteprocDriver, SerialShellDriver, SessionDriver, protocols
from mpbench.board.labgrid_decorators import stepped


class Driver:
    """One method twice, once under each decorator."""

    def _work(self, what: str, where: str = ".") -> str:
        if what == "wrong":
            raise ValueError(what)
        return f"{what} {where}"

    ours = stepped(args=["what", "where"], result=True)(_work)
    theirs = step(args=["what", "where"], result=True)(_work)
    silent = stepped(args=["what"])(_work)

    def _idle(self, what: str, *, step: Step = None) -> None:
        step.skip(f"{what} already")

    our_idle = stepped(args=["what"])(_idle)
    their_idle = step(args=["what"])(_idle)


@pytest.fixture
def seen():
    """Every event of labgrid's step log, without times."""
    found: list[tuple[object, ...]] = []

    def note(event: StepEvent) -> None:
        data = {k: v for k, v in event.data.items() if k != "duration"}
        one = event.step
        found.append((one.title, one.level, one.source, one.sourceinfo, one.args, one.status, data))

    steps.subscribe(note)
    yield found
    steps.unsubscribe(note)


@pytest.mark.parametrize(
    ("given", "named"), [(("a",), {}), (("a", "b"), {}), (("a",), {"where": "b"}), ((), {"what": "a"})]
)
def test_a_call_is_logged_as_labgrid_logs_it(seen, given, named):
    """Title, level, driver, source line, arguments with defaults and result are logged."""
    driver = Driver()
    assert driver.ours(*given, **named) == driver.theirs(*given, **named)
    assert len(seen) == 4
    assert seen[:2] == seen[2:]


def test_a_method_can_skip_its_step(seen):
    """A method with a parameter `step` receives its step, as in labgrid."""
    Driver().our_idle("there")
    assert [data for *_, data in seen][1] == {"skip": "there already"}
    Driver().their_idle("there")
    assert [s[0] for s in seen] == ["_idle"] * 6
    assert [s[-2:] for s in seen[:3]] == [s[-2:] for s in seen[3:]]


def test_a_failure_is_logged_with_its_exception_and_raised(seen):
    """A failing step ends with the method's exception, and the stack of steps is empty."""
    with pytest.raises(ValueError, match="wrong") as ours:
        Driver().ours("wrong")
    assert [data for *_, data in seen][1] == {"state": "stop", "exception": ours.value}
    assert steps.get_current() is None


def test_a_result_is_logged_only_where_asked_for(seen):
    """Without `result` the returned value is not logged."""
    assert Driver().silent("a") == "a ."
    assert [data for *_, data in seen][1] == {"state": "stop", "result": None}


def test_a_call_without_its_argument_is_the_callers_mistake(seen):
    """A missing argument is a TypeError, and the step ends."""
    with pytest.raises(TypeError, match="what"):
        Driver().ours()  # type: ignore[call-arg]
    assert len(seen) == 2


def methods(protocol: type) -> list[str]:
    """Public methods of a protocol."""
    return [name for name, value in vars(protocol).items() if inspect.isfunction(value) and name[0] != "_"]


@pytest.mark.parametrize(
    ("driver", "protocol", "names"),
    [
        (SessionDriver, protocols.Session, methods(protocols.Session)),
        (RemoteprocDriver, protocols.Remoteproc, methods(protocols.Remoteproc)),
        (SerialShellDriver, protocols.Session, ["execute", "get_status"]),
    ],
)
def test_drivers_implement_their_protocols(driver: type, protocol: type, names: list[str]):
    """Each method has the protocol's parameters; mypy cannot check it: labgrid's classes have no types."""
    assert names
    for name in names:
        wanted, found = (inspect.signature(getattr(c, name)).parameters for c in (protocol, driver))
        assert list(found)[: len(wanted)] == list(wanted), name
        assert all(p.default is not p.empty for p in list(found.values())[len(wanted) :]), name
