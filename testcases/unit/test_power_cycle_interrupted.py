# SPDX-License-Identifier: MIT
"""A signal while a test switches its board off and on."""

import pytest

from testcases.unit.test_tee_panic import Lab, bench_of


class Interrupted(Lab):
    """A board on which nothing may be done: a signal arrives as Linux boots."""

    def transition(self, status: str) -> None:
        super().transition(status)
        if status == "shell":
            raise KeyboardInterrupt

    def get_status(self) -> int:
        raise AssertionError("its session is not active")


def test_a_board_that_was_not_switched_on_again_is_left_alone():
    """The end of the test asks nothing of a session that the power cycle took down."""
    lab = Interrupted(b"")
    bench = bench_of(lab)
    with pytest.raises(KeyboardInterrupt):
        bench.power_cycle()
    bench.settle()
    assert lab.done == ["off", "shell"]


def test_a_board_that_is_on_again_is_settled():
    """After a whole power cycle its boot is compared as ever."""
    lab = Lab(b"")
    bench = bench_of(lab)
    bench.power_cycle()
    lab.get_status = lambda: 1
    bench.settle()
    assert lab.done == ["off", "shell", "b-2", "b-2"]
