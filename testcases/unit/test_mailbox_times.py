# SPDX-License-Identifier: MIT
"""P13: which calls of the mailbox's driver are a round trip."""

from types import SimpleNamespace

import pytest

from testcases.performance.perf_rpmsg import _mailbox, mailbox_trips

TRACE = """\
# tracer: function
#              | |         |   |||||     |         |
 rpmsg-client-210     [001] d....    50.000100: stm32_ipcc_send_data <-msg_submit
          <idle>-0       [000] d.h..    50.000210: irq_handler_entry: irq=51 name=4c001000.mailbox
          <idle>-0       [000] d.h..    50.000250: irq_handler_entry: irq=50 name=4c001000.mailbox
 irq/50-4c001000-122     [000] .....    50.000290: stm32_ipcc_rx_irq <-irq_thread_fn
   kworker/u4:1-33      [000] d....    50.000300: stm32_ipcc_send_data <-msg_submit
 rpmsg-client-210     [001] d....    50.001000: stm32_ipcc_send_data <-msg_submit
          <idle>-0       [000] d.h..    50.001120: irq_handler_entry: irq=50 name=4c001000.mailbox
          <idle>-0       [000] d.h..    50.001150: irq_handler_entry: irq=50 name=4c001000.mailbox
 irq/50-4c001000-122     [000] .....    50.001180: stm32_ipcc_rx_irq <-irq_thread_fn
 irq/50-4c001000-122     [000] .....    50.001190: stm32_ipcc_rx_irq <-irq_thread_fn
"""
TRIPS = [(150e-6, 190e-6), (120e-6, 180e-6)]


def test_a_send_and_the_next_interrupt_are_a_round_trip():
    """The interrupt whose thread takes answers counts; a send that another follows was not answered."""
    assert [pytest.approx(trip) for trip in TRIPS] == mailbox_trips(TRACE)


def test_a_kprobe_s_lines_are_read_as_those_of_the_function_tracer():
    """Its events have the functions' names."""
    probed = TRACE.replace(" <-msg_submit", ": (stm32_ipcc_send_data+0x0/0x74)")
    assert mailbox_trips(probed) == mailbox_trips(TRACE)


def test_a_trace_without_calls_has_no_times():
    """Lines of comment only; an answer without a send, or without its interrupt."""
    assert mailbox_trips("# tracer: function\n#\n") == []
    lines = TRACE.splitlines(keepends=True)
    assert mailbox_trips("".join(lines[3:6])) == []
    assert mailbox_trips(lines[2] + lines[5]) == []


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
    (row,) = _mailbox(Shell(code, trace), "m4", lambda: None)
    assert (row.number, row.what, row.ours_text) == ("P13", f"m4: mailbox round trip, {what}", "NOT-RUN")
    assert (row.ours_s, row.met, row.ratio_text) == (None, None, "")


def test_a_mailbox_is_timed_while_messages_are_sent():
    """The median of the trace's round trips, met within 200 us."""
    sent: list[int] = []
    row, handled = _mailbox(Shell(0, TRACE), "m4", lambda: sent.append(1))
    assert sent == [1]
    assert (handled.what, handled.ours_text, handled.met) == (
        "m4: the same until the driver's thread handles it",
        "0.185 ms",
        None,
    )
    assert (row.what, row.ours_text, row.met) == (
        "m4: mailbox round trip, 2 of them, median",
        "0.135 ms",
        True,
    )
