# SPDX-License-Identifier: MIT
"""A panic of OP-TEE, and what the firewall of an STM32MP1 or 2 refused, as the secure console shows it.

Ref: OP-TEE core/kernel/panic.c; core/drivers/firewall/stm32_iac.c, stm32_serc.c (identifiers), stm32_risaf.c
     and stm32_risab.c print_erroneous_data(); core/include/dt-bindings/firewall/stm32mp25-rifsc.h (numbers);
     core/drivers/tzc400.c dump_fail_filter() (STM32MP1)
"""

import re
from collections.abc import Iterator, Mapping

from attrs import frozen

from mpbench.core.sanitize import decoded

_PANIC = re.compile(rb"E/TC:[^\r\n]*?\bPanic(?: (?:'([^'\r\n]*)' )?at (\S+)|[ \t]*[\r\n])")
"""Without CFG_TEE_CORE_DEBUG it does not say where."""
_EXCEPTION = re.compile(rb"\b(IAC|SERC) exception ID: (\d+)")
_MEMORY = re.compile(rb"DUMPING DATA FOR (\S+)")
_ADDRESS = re.compile(rb"aulty address \(IADDR\d?\): (0x[0-9a-fA-F]+)")
_DDR = re.compile(
    rb"Violation @(0x[0-9a-f]+), ((?:non-)?secure (?:un)?privileged (?:read|write)), AXI ID (\w+)"
)

INTERNAL_RAMS = ("SYSRAM, low half", "SYSRAM, high half", "SRAM1", "SRAM2", "RETRAM", "VDERAM")
"""By number of their RISAB, from 1 on. Ref: STM32CubeMP2 stm32mp2xx_hal_rif.h RIF_PERIPH_*"""
PERIPHERALS: Mapping[int, str] = dict(
    enumerate(
        [
            *("TIM2", "TIM3", "TIM4", "TIM5", "TIM6", "TIM7", "TIM8", "TIM10", "TIM11", "TIM12", "TIM13"),
            *("TIM14", "TIM15", "TIM16", "TIM17", "TIM20", "LPTIM1", "LPTIM2", "LPTIM3", "LPTIM4", "LPTIM5"),
            *("SPI1", "SPI2", "SPI3", "SPI4", "SPI5", "SPI6", "SPI7", "SPI8", "SPDIFRX"),
            *("USART1", "USART2", "USART3", "UART4", "UART5", "USART6", "UART7", "UART8", "UART9", "LPUART1"),
            *("I2C1", "I2C2", "I2C3", "I2C4", "I2C5", "I2C6", "I2C7", "I2C8"),
        ],
        start=1,
    )
) | {
    **{56: "FDCAN", 57: "HDP", 58: "ADC12", 59: "ADC3", 60: "ETH1", 61: "ETH2", 73: "STGEN", 79: "GPU"},
    **{92: "RNG", 93: "PKA", 94: "SAES", 95: "HASH", 96: "CRYP1", 97: "CRYP2"},
    **{98: "IWDG1", 99: "IWDG2", 100: "IWDG3", 101: "IWDG4", 102: "IWDG5", 103: "WWDG1", 104: "WWDG2"},
    **{106: "VREFBUF", 107: "DTS", 108: "RAMCFG", 109: "CRC", 110: "SERC", 127: "IAC"},
    **{128 + n: f"memory behind RISAB{n + 1} ({ram})" for n, ram in enumerate(INTERNAL_RAMS)},
    137: "memory behind RISAF4 (DDR)",
    **{144: "IPCC1", 145: "IPCC2", 146: "HSEM", 147: "HPDMA1", 148: "HPDMA2", 149: "HPDMA3", 151: "RTC"},
    **{152: "TAMP", 153: "EXTI1", 154: "EXTI2", 155: "PWR", 156: "RCC", 158: "RIFSC", 159: "SYSCFG"},
}
"""By number of the exception, what a firmware or Linux reaches for; not all of the SoC's."""
REFUSED = "the firewall refused an access"
ABSENT = "an access to a peripheral in reset or without a clock"
"""What the SERC reports. Ref: ST's wiki, SERC internal peripheral"""


@frozen
class TeePanic:
    """What OP-TEE printed: a text for the report, and whether it stopped."""

    text: str
    stopped: bool


def tee_panic_in(secure: bytes) -> TeePanic | None:
    """A panic of OP-TEE, or an access that IAC, SERC or TZC-400 reported, in a console's output. Pure.

    None without either. OP-TEE goes on after a refused access if it was built with
    CFG_STM32_PANIC_ON_IAC_EVENT=n, or CFG_STM32MP_PANIC_ON_TZC_PERM_VIOLATION=n for an STM32MP1.
    """
    why = "; ".join(_reports(secure))
    panic = _PANIC.search(secure)
    if panic is None:
        return TeePanic(why, stopped=False) if why else None
    where = (f" at {decoded(panic[2])}" if panic[2] else "") + (f" ({decoded(panic[1])})" if panic[1] else "")
    return TeePanic(f"OP-TEE panicked{where}" + (f": {why}" if why else ""), stopped=True)


def _reports(secure: bytes) -> Iterator[str]:
    for what, found in ((REFUSED, _refused(secure)), (ABSENT, _exceptions(secure, "SERC"))):
        if text := " and ".join(dict.fromkeys(found)):
            yield f"{what}: {text}"


def _refused(secure: bytes) -> Iterator[str]:
    yield from _exceptions(secure, "IAC")
    for at, access, master in _DDR.findall(secure):
        yield f"DDR (TZC400) at {decoded(at)}, {decoded(access)}, AXI ID {decoded(master)}"
    memory, address = _MEMORY.search(secure), _ADDRESS.search(secure)
    if memory or address:
        where = decoded(memory[1]) if memory else "memory"
        yield f"{where} at {address[1].decode()}" if address else where


def _exceptions(secure: bytes, of: str) -> Iterator[str]:
    for kind, number in _EXCEPTION.findall(secure):
        if decoded(kind) == of:
            name = PERIPHERALS.get(int(number), "see RM0457, table of the IAC")
            yield f"{of} exception {int(number)}, {name}"
