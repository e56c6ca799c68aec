# SPDX-License-Identifier: MIT
"""ADC2 of an STM32MP157C-DK2, which the M4 alone sees, by a program on it.

Ref: RM0436, ADC, DMA, TIM
"""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from testcases.contract.dk2_program import RETRAM, Program, running

pytestmark = pytest.mark.slow

SRAM1, SRAM2 = 0x1000_0000, 0x1002_0000
DONE = 0x646F_6E65
COMMON = """
#define R(a) (*(volatile unsigned *)(a))
#define ADC2 0x48003100
#define CR (ADC2 + 0x08)
#define CFGR (ADC2 + 0x0c)
#define DR (ADC2 + 0x40)
#define REGULATOR (1 << 28)
#define ADEN 1
#define ADSTART 4
#define EOS 8
#define TIM2 0x40000000
#define DMA1 0x48000000
#define DMAMUX 0x48002000
#define OUT ((volatile unsigned *)0x10020000)
void start(void) {
"""
END = """
    OUT[15] = 0x646f6e65;
    for (;;) ;
}
"""
SOFTWARE = """
    OUT[0] = R(CR);
    R(CR) = REGULATOR | 1u << 31;
    OUT[1] = R(CR);
    R(CR) = REGULATOR | ADEN;
    OUT[2] = R(ADC2);
    R(CFGR) = 2 << 2;
    R(ADC2 + 0x30) = 1;
    R(CR) = REGULATOR | ADEN | ADSTART;
    while (!(R(ADC2) & EOS)) ;
    OUT[3] = R(ADC2);
    OUT[4] = R(DR);
    OUT[5] = R(ADC2);
    OUT[6] = R(CR);
    R(ADC2) = EOS;
    R(ADC2 + 0x10) = 1 | 2 << 5 | 15 << 16;
    R(CR) = REGULATOR | ADEN | ADSTART;
    while (!(R(ADC2) & EOS)) ;
    OUT[7] = R(DR);
    R(CR) = REGULATOR | ADEN | 2;
    OUT[8] = R(CR);
"""
TRIGGERED = """
    R(DMAMUX) = 10;
    R(DMA1 + 0x14) = 3;
    R(DMA1 + 0x18) = DR;
    R(DMA1 + 0x1c) = (unsigned)OUT;
    R(DMA1 + 0x10) = 2 << 11 | 1 << 10 | 1;
    R(CR) = REGULATOR;
    R(CR) = REGULATOR | ADEN;
    R(CFGR) = 1 | 1 << 10 | 11 << 5;
    R(CR) = REGULATOR | ADEN | ADSTART;
    OUT[4] = R(DMA1 + 0x14);
    R(TIM2 + 0x28) = 208;
    R(TIM2 + 0x2c) = 999;
    R(TIM2 + 0x04) = 2 << 4;
    R(TIM2) = 1;
    while (R(DMA1 + 0x14)) ;
    OUT[5] = R(CR);
"""


def words_of(body: str, directory: Path) -> tuple[int, ...]:
    """What the program leaves in SRAM2."""
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("needs arm-none-eabi-gcc (Debian: gcc-arm-none-eabi)")
    (directory / "adc.c").write_text(COMMON + body + END)
    words = "-mcpu=cortex-m4 -mthumb -O1 -ffreestanding -nostdlib -Wl,-Ttext=0x10000000 -Wl,-e,start"
    subprocess.run(["arm-none-eabi-gcc", *words.split(), "adc.c", "-o", "adc.elf"], cwd=directory, check=True)
    program = Program()
    program.firmware((directory / "adc.elf").read_bytes())
    program.copy(struct.pack("<2I", SRAM2 + 0x1000, SRAM1 | 1), RETRAM)
    program.start_m4()
    program.until(SRAM2 + 4 * 15, DONE)
    for n in range(10):
        program.read(SRAM2 + 4 * n)
    with running(program, directory) as run:
        return run.words()[:10]


def test_an_adc_converts_by_software(tmp_path: Path) -> None:
    """From deep power down through calibration to a sequence of two: half of the reference with 12 bits.

    Reading the value clears its flag; after the sequence it has stopped. 16 samples, shifted by 2, are four
    times that; disabled it keeps its regulator.
    """
    found = words_of(SOFTWARE, tmp_path)
    regulator, ready = 1 << 28, 1 << 12 | 1
    assert found[:3] == (1 << 29, regulator, ready)
    assert found[3:7] == (ready | 0b1110, 0x800, ready | 0b1010, regulator | 1)
    assert found[7:9] == (0x2000, regulator)


def test_a_timer_triggers_conversions(tmp_path: Path) -> None:
    """One for each TRGO of TIM2, each a request to the DMA; it waits for the next one."""
    found = words_of(TRIGGERED, tmp_path)
    assert found[:4] == (0x8000, 0x8000, 0x8000, 0)
    assert found[4:6] == (3, 1 << 28 | 1 | 4)
