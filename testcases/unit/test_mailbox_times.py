# SPDX-License-Identifier: MIT
"""P13: which calls of the mailbox's driver are a round trip."""

import pytest

from testcases.performance.perf_rpmsg import mailbox_s

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


def test_a_trace_without_calls_has_no_times():
    """Lines of comment only."""
    assert mailbox_s("# tracer: function\n#\n") == []
