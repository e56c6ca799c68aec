# SPDX-License-Identifier: MIT
"""U-Boot starts a core before Linux does: the file goes over the console, `rproc` loads and starts it.

Nothing on the board's card is changed. The driver of the console is labgrid's UBootDriver.

Ref: U-Boot cmd/remoteproc.c, cmd/load.c (loads), cmd/mem.c (crc32), drivers/remoteproc/stm32_copro.c
"""

import re
import zlib
from typing import Any

from mpbench.attach.srecord import s_records
from mpbench.core.errors import InfrastructureError

READY_S, LOAD_S = 30, 300
"""The console may be as slow as 9600 baud."""
CHECKSUM = re.compile(r"==> ([0-9a-f]{8})")


def start_core(uboot: Any, number: int, elf: bytes) -> None:
    """Send the ELF to U-Boot, which is at its prompt, and have it start remote processor `number`.

    InfrastructureError if the file arrives damaged, or U-Boot refuses a command; with U-Boot's words.
    """
    _send(uboot, elf)
    printed = _run(uboot, "crc32 ${loadaddr} ${filesize}")
    found, sent = CHECKSUM.search(printed), f"{zlib.crc32(elf):08x}"
    if found is None or found[1] != sent:
        raise InfrastructureError(
            f"U-Boot received another file than {len(elf)} bytes of CRC {sent}: {printed}"
        )
    _run(uboot, "rproc init")
    _run(uboot, f"rproc load {number} ${{loadaddr}} ${{filesize}}")
    _run(uboot, f"rproc start {number}")


def _send(uboot: Any, data: bytes) -> None:
    uboot.console.sendline("loads ${loadaddr}")
    uboot.console.expect("Ready for S-Record download", timeout=READY_S)
    uboot.console.write(s_records(data))
    uboot.console.expect("Total Size", timeout=LOAD_S)
    uboot.console.expect(uboot.prompt, timeout=READY_S)


def _run(uboot: Any, command: str) -> str:
    lines, _, code = uboot.run(command)
    printed = " / ".join(line.strip() for line in lines if line.strip())
    if code:
        raise InfrastructureError(f"U-Boot: `{command}` failed: {printed or 'it says nothing'}")
    return printed
