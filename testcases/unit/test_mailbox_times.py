# SPDX-License-Identifier: MIT
"""P13: which calls of the mailbox's driver are a round trip."""

from types import SimpleNamespace

import pytest

from testcases.performance.perf_rpmsg import _mailbox, mailbox_s

TRACE = """\
# tracer: function
#              | |         |   |||||     |         |
 rpmsg-client-210     [001] d..2.    50.000100: stm32_ipcc_send_data <-msg_submit
          <idle>-0       [000] d.h1.    50.000250: stm32_ipcc_rx_irq <-__handle_irq_event_percpu
   kworker/u4:1-33      [000] d..2.    50.000300: stm32_ipcc_send_data <-msg_submit
 rpmsg-client-210     [001] d..2.    50.001000: stm32_ipcc_send_data <-msg_submit
          <idle>-0       [000] d.h1.    50.001120: stm32_ipcc_rx_irq <-__handle_irq_event_percpu
          <idle>-0       [000] d.h1.    50.001130: stm32_ipcc_rx_irq <-__handle_irq_event_percpu
"""


def test_a_send_and_the_next_interrupt_are_a_round_trip():
    """A send that another follows was not answered, and an interrupt after the first answers nothing."""
    assert mailbox_s(TRACE) == pytest.approx([150e-6, 120e-6])


def test_a_kprobe_s_lines_are_read_as_those_of_the_function_tracer():
    """Its events have the functions' names."""
    probed = TRACE.replace(" <-msg_submit", ": (stm32_ipcc_send_data+0x0/0x74)")
    assert mailbox_s(probed) == pytest.approx([150e-6, 120e-6])


def test_a_trace_without_calls_has_no_times():
    """Lines of comment only."""
    assert mailbox_s("# tracer: function\n#\n") == []


class Shell:
    """A session whose first command ends with a code, and whose second prints a trace."""

    def __init__(self, code: int, trace: str) -> None:
        self.replies = [SimpleNamespace(code=code), SimpleNamespace(stdout=trace.encode())]

    def execute(self, _: str) -> SimpleNamespace:
        """The next reply."""
        return self.replies.pop(0)


@pytest.mark.parametrize(
    ("code", "trace", "what"),
    [
        (9, "", "this kernel has no function tracer and no kprobes (CONFIG_KPROBE_EVENTS)"),
        (1, "", "stm32_ipcc_send_data and stm32_ipcc_rx_irq cannot be traced below /sys/kernel/tracing"),
        (0, "# tracer: function\n", "none in the trace"),
    ],
)
def test_a_mailbox_that_cannot_be_timed_is_not_run(code, trace, what):
    """A row with the reason, in place of none."""
    row = _mailbox(Shell(code, trace), "m4", lambda: None)
    assert (row.number, row.what, row.ours_text) == ("P13", f"m4: mailbox round trip, {what}", "NOT-RUN")
    assert (row.ours_s, row.met, row.ratio_text) == (None, None, "")


def test_a_mailbox_is_timed_while_messages_are_sent():
    """The median of the trace's round trips, met within 200 us."""
    sent: list[int] = []
    row = _mailbox(Shell(0, TRACE), "m4", lambda: sent.append(1))
    assert sent == [1]
    assert (row.what, row.ours_text, row.met) == (
        "m4: mailbox round trip, 2 of them, median",
        "0.135 ms",
        True,
    )
