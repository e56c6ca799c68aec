# SPDX-License-Identifier: MIT
"""Timers, DMA, ADCs, pins and their interrupts of an STM32MP157C-DK2's M4, by registers and QEMU's monitor.

Ref: RM0436, ADC, DMA, DMAMUX, TIM, EXTI, GPIO, USART
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpbench.core.errors import UsageError
from mpbench_virtual.lines import Lines, Output
from mpbench_virtual.models import KINDS
from mpbench_virtual.qemu import MONITOR
from testcases.contract.dk2_program import RETRAM, Program, running
from testcases.contract.machine_parts import command, parts_of
from testcases.contract.registers import Registers, asked

pytestmark = pytest.mark.slow

DK2 = KINDS["mp15-debian"]
SRAM1, SRAM2 = 0x1000_0000, 0x1002_0000
NOWHERE = 0x9000_0000
DMA1, DMA2, DMAMUX = 0x4800_0000, 0x4800_1000, 0x4800_2000
LISR, LIFCR, CR, NDTR, PAR, M0AR, M1AR = 0x00, 0x08, 0x10, 0x14, 0x18, 0x1C, 0x20
EN, TO_PERIPHERAL, TO_MEMORY, CIRC, PINC, MINC, WORDS, DBM, CT = (
    1 << 0, 1 << 6, 2 << 6, 1 << 8, 1 << 9, 1 << 10, 2 << 11, 1 << 18, 1 << 19,
)  # fmt: skip
TEIF, HTIF, TCIF = 1 << 3, 1 << 4, 1 << 5
TIM1, TIM2 = 0x4400_0000, 0x4000_0000
TIM1_UP, TIM2_UP = 15, 22
CR1, DIER, SR, EGR, CNT, PSC, ARR, RCR, CCR1, DCR, DMAR = (
    0x00, 0x0C, 0x10, 0x14, 0x24, 0x28, 0x2C, 0x30, 0x34, 0x48, 0x4C,
)  # fmt: skip
CEN, UDIS, URS, OPM, UDE, UIE, UG = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 8, 1 << 0, 1 << 0
MICROSECOND = 208
"""PSC of a timer whose ticks are a microsecond: the MCU has 209 MHz, as boot loaders leave it."""
GPIOA, GPIOH, MODER, IDR, ODR, BSRR = 0x5000_2000, 0x5000_9000, 0x00, 0x10, 0x14, 0x18
EXTI, FTSR1, SWIER1, RPR1, FPR1, EXTICR4, C2IMR1 = 0x5000_D000, 0x04, 0x08, 0x0C, 0x10, 0x6C, 0xC0
BUTTON = 14
USART3, USART_ISR, USART_RDR, USART_TDR, USART_ENABLED, USART_RE = 0x4000_F000, 0x1C, 0x24, 0x28, 0x9, 0x4


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Registers]:
    """The machine at reset, with a monitor."""
    parts = parts_of(DK2)
    kernel = parts["debian-kernel"]
    monitor = f"unix:{tmp_path / MONITOR},server=on,wait=off"
    words = "-kernel", kernel / "kernel", "-dtb", kernel / DK2.device_tree, "-qmp", monitor
    with asked(command(parts, DK2, *words)) as ask:
        yield Registers(ask)


def fill(machine: Registers, address: int, *words: int) -> None:
    for n, word in enumerate(words):
        machine.write(address + 4 * n, word)


def words_at(machine: Registers, address: int, n: int) -> list[int]:
    return [machine.read(address + 4 * i) for i in range(n)]


def stream(machine: Registers, base: int, n: int, **registers: int) -> None:
    """Stream 0 moves `n` words."""
    for offset, value in ((NDTR, n), (PAR, registers["par"]), (M0AR, registers["m0ar"])):
        machine.write(base + offset, value)
    machine.write(base + M1AR, registers.get("m1ar", 0))
    machine.write(base + CR, registers["control"] | WORDS | EN)


def counter(machine: Registers, base: int, period: int, control: int, **registers: int) -> None:
    """A timer of microseconds that overflows after `period` of them."""
    for offset, value in ((PSC, MICROSECOND), (ARR, period - 1), (RCR, registers.get("rcr", 0))):
        machine.write(base + offset, value)
    machine.write(base + CCR1, registers.get("ccr1", 0xFFFF))
    machine.write(base + DIER, registers.get("dier", 0))
    machine.write(base + SR, 0)
    machine.write(base + CR1, control | CEN)


def test_dma_moves_memory(machine: Registers) -> None:
    """All of it at once, with the flags of half and of all, which are cleared by a write; then it is off."""
    fill(machine, SRAM1, 1, 2, 3)
    stream(machine, DMA2, 3, par=SRAM1, m0ar=SRAM2, control=TO_MEMORY | PINC | MINC)
    assert words_at(machine, SRAM2, 3) == [1, 2, 3]
    assert machine.read(DMA2 + LISR) == TCIF | HTIF
    assert machine.read(DMA2 + CR) & EN == machine.read(DMA2 + NDTR) == 0
    machine.write(DMA2 + LIFCR, TCIF)
    assert machine.read(DMA2 + LISR) == HTIF


def test_dma_without_memory_is_an_error(machine: Registers) -> None:
    """The stream is off after the item, with the flag of an error."""
    stream(machine, DMA2, 2, par=NOWHERE, m0ar=SRAM2, control=TO_MEMORY | PINC | MINC)
    assert machine.read(DMA2 + LISR) == TEIF
    assert machine.read(DMA2 + CR) & EN == 0


def test_a_timer_requests_dma(machine: Registers) -> None:
    """One word for each update; in circular mode it starts again, with two buffers in the other one."""
    fill(machine, SRAM1, 7)
    machine.write(DMAMUX, TIM2_UP)
    control = MINC | CIRC | DBM
    stream(machine, DMA1, 2, par=SRAM1, m0ar=SRAM2, m1ar=SRAM2 + 8, control=control)
    counter(machine, TIM2, 100, 0, dier=UDE)
    found = []
    for _ in range(3):
        machine.step(101_000)
        found.append(words_at(machine, SRAM2, 4))
    assert found == [[7, 0, 0, 0], [7, 7, 0, 0], [7, 7, 7, 0]]
    assert machine.read(DMA1 + LISR) == TCIF | HTIF
    assert machine.read(DMA1 + CR) & CT
    assert machine.read(DMA1 + NDTR) == 1


def test_another_request_moves_nothing(machine: Registers) -> None:
    """A channel that selects no request, or another one."""
    fill(machine, SRAM1, 7)
    machine.write(DMAMUX, TIM1_UP)
    stream(machine, DMA1, 1, par=SRAM1, m0ar=SRAM2, control=0)
    counter(machine, TIM2, 100, 0, dier=UDE)
    machine.step(1_000_000)
    assert machine.read(DMA1 + NDTR) == 1


def test_a_burst_writes_a_timers_registers(machine: Registers) -> None:
    """Each update requests as many items as the burst has; they go to ARR, RCR and CCR1."""
    fill(machine, SRAM1, 0xFFF, 0, 0x555)
    machine.write(DMAMUX + 4 * 8, TIM1_UP)
    machine.write(TIM1 + DCR, 2 << 8 | ARR // 4)
    stream(machine, DMA2, 3, par=TIM1 + DMAR, m0ar=SRAM1, control=TO_PERIPHERAL | MINC)
    counter(machine, TIM1, 100, 0, dier=UDE)
    machine.step(101_000)
    assert [machine.read(TIM1 + register) for register in (ARR, RCR, CCR1)] == [0xFFF, 0, 0x555]


def test_a_timer_counts_microseconds(machine: Registers) -> None:
    """Its update and compares that are due, of all channels but the first, have flags; it goes on from 0."""
    counter(machine, TIM2, 1000, 0, ccr1=2000)
    machine.step(600_000)
    assert abs(machine.read(TIM2 + CNT) - 600) < 5
    assert machine.read(TIM2 + SR) == 0
    machine.step(600_000)
    assert abs(machine.read(TIM2 + CNT) - 200) < 5
    assert machine.read(TIM2 + SR) == 0b11101
    machine.write(TIM2 + SR, ~1 & 0xFFFFFFFF)
    assert machine.read(TIM2 + SR) == 0b11100


def test_one_pulse_stops_the_counter(machine: Registers) -> None:
    """After one period."""
    counter(machine, TIM2, 1000, OPM)
    machine.step(1_100_000)
    assert machine.read(TIM2 + SR) & 1
    assert machine.read(TIM2 + CR1) & CEN == machine.read(TIM2 + CNT) == 0


def test_repetitions_delay_the_update(machine: Registers) -> None:
    """RCR + 1 periods."""
    counter(machine, TIM1, 100, 0, rcr=2)
    machine.step(250_000)
    assert machine.read(TIM1 + SR) & 1 == 0
    machine.step(100_000)
    assert machine.read(TIM1 + SR) & 1 == 1


@pytest.mark.parametrize(("control", "flag"), [(0, 1), (URS, 0), (UDIS, 0)])
def test_an_update_by_software(machine: Registers, control: int, flag: int) -> None:
    """It has the flag unless only overflows have one, or updates are off; the counter is 0."""
    machine.write(TIM2 + CR1, control)
    machine.write(TIM2 + CNT, 5)
    machine.write(TIM2 + EGR, UG)
    assert (machine.read(TIM2 + CNT), machine.read(TIM2 + SR)) == (0, flag)


def test_a_button_is_an_event(machine: Registers, tmp_path: Path) -> None:
    """A pin that is pulled low reads 0 meanwhile; EXTI latches the edge of the bank that it has selected."""
    lines = Lines(tmp_path)
    machine.write(EXTI + FTSR1, 1 << BUTTON)
    machine.write(EXTI + EXTICR4, 7 << 16)  # a pin of GPIOH
    lines.press("PA14")
    assert machine.read(EXTI + FPR1) == 0
    machine.write(EXTI + EXTICR4, 0)
    lines.press("PA14")
    assert (machine.read(EXTI + FPR1), machine.read(EXTI + RPR1)) == (1 << BUTTON, 0)
    assert machine.read(GPIOA + IDR) & 1 << BUTTON
    with pytest.raises(UsageError, match="PL1: no pin of this board"):
        lines.press("PL1")


def test_what_pins_did(machine: Registers, tmp_path: Path) -> None:
    """Level and number of changes of outputs since they were forgotten; a pin's level at EXTI follows it."""
    lines = Lines(tmp_path)
    machine.write(EXTI + FTSR1, 1 << 7)
    machine.write(EXTI + 0x64, 7 << 24)  # EXTICR2: pin 7 of GPIOH
    machine.write(GPIOH + BSRR, 1 << 7)
    assert lines.outputs() == {}
    machine.write(GPIOH + MODER, 1 << 14)
    machine.write(GPIOH + BSRR, 1 << 23)
    assert lines.outputs() == {"PH7": Output(0, 2)}
    assert machine.read(EXTI + FPR1) == 1 << 7
    lines.clear()
    assert lines.outputs() == {}


def test_what_a_usart_sent(machine: Registers, tmp_path: Path) -> None:
    """Without a line to the host its last bytes are kept; what is typed comes as it can be received."""
    lines = Lines(tmp_path)
    machine.write(USART3, USART_ENABLED)
    for byte in b"hi\n\xff":
        machine.write(USART3 + USART_TDR, byte)
    assert lines.sent() == {"usart3": "hi\n?"}
    lines.clear()
    assert lines.sent() == {}
    lines.type("usart3", "later")
    assert machine.read(USART3 + USART_ISR) & 1 << 5 == 0
    machine.write(USART3, USART_ENABLED | USART_RE)
    assert bytes(machine.read(USART3 + USART_RDR) for _ in range(5)) == b"later"
    assert machine.read(USART3 + USART_ISR) & 1 << 5 == 0
    with pytest.raises(UsageError, match=r"usart9: no USART of this board; it has .*usart3"):
        lines.type("usart9", "c")
    for n in range(5000):
        machine.write(USART3 + USART_TDR, ord("a") + n % 26)
    assert len(lines.sent()["usart3"]) == 4096


M4_SHOWS_PENDING = struct.pack(
    "<6H3I",
    *(0x4802, 0x4B03, 0x6801, 0x6019),  # ldr r0, =ISPR3; ldr r3, =SRAM2; ldr r1, [r0]; str r1, [r3]
    *(0xE7FC, 0xBF00),  # b .-4; nop
    0xE000_E20C,
    SRAM2,
    0,
)


def test_an_event_interrupts_the_m4(tmp_path: Path) -> None:
    """EXTI14 is interrupt 121 of the M4, where that core's mask has it."""
    program = Program()
    program.copy(M4_SHOWS_PENDING, SRAM1)
    program.copy(struct.pack("<2I", SRAM2 + 0x1000, SRAM1 | 1), RETRAM)
    program.start_m4()
    program.write(EXTI + C2IMR1, 1 << BUTTON)
    program.write(EXTI + SWIER1, 1 << BUTTON)
    program.until(SRAM2, 1 << (121 - 96))
    program.read(SRAM2)
    with running(program, tmp_path) as run:
        assert run.words()[0] == 1 << (121 - 96)
