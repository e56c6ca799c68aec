# SPDX-License-Identifier: MIT
"""`mpbench explain` on logs of the kinds that users report: which cause comes first, and what is no trouble.

The lines are those of the sources that the tables name, stamped, prefixed and mixed as people have them; the
cases follow public reports of users.
"""

from pathlib import Path

import pytest

from mpbench.knowledge.explain import answer

CAPTURES = Path(__file__).parents[1] / "captures"
BOOTS = sorted(CAPTURES.glob("boot-*/*"))

START = "remoteproc remoteproc0: powering up {}\n"
FAILED = "remoteproc remoteproc0: Boot failed: {}\n"
TA_DEVICE = "tee_remoteproc optee-ta-80a4c275-0a47-4905-8285-1486a9771a08: "
LOAD = TA_DEVICE + "TA_RPROC_FW_CMD_LOAD_FW invoke failed TEE err: {}, ret:0\n"
IAC = "E/TC:0 stm32_iac_itr:{} IAC {}\n"


def stamped(log: str, form: str) -> str:
    """Each line in one of the formats of dmesg and journals."""
    return "".join(form.format(line) + "\n" for line in log.splitlines())


OTHER_CORE = (
    START.format("m0")
    + "remoteproc remoteproc0: Booting fw image Project_CM33.elf, size 3097880\n"
    + "remoteproc remoteproc0: bad phdr da 0x80100000 mem 0x540\n"
    + "remoteproc remoteproc0: Failed to load program segments: -22\n"
    + FAILED.format(-22)
)
OTHER_CORE_WORDS = "the firmware is for the m33, and this core is the m0"

FORMS = {
    "dmesg": "[   64.542307] {}",
    "dmesg -T": "[Sat Nov 28 12:00:01 2026] {}",
    "dmesg -T in German": "[Sa Okt  3 12:00:01 2026] {}",
    "dmesg -H": "[Nov28 12:00] {}",
    "dmesg -d": "[  +0.000012] {}",
    "dmesg -x": "kern  :err   : [   64.542307] {}",
    "dmesg iso": "2026-11-28T12:00:01,123456+01:00 {}",
    "raw": "<3>[   64.542307] {}",
    "kmsg": "3,1234,64542307,-;{}",
    "caller": "[   64.542307][  T312] {}",
    "journal": "Nov 28 12:00:01 stm32mp2-e3 kernel: {}",
    "journal in German": "Dez 03 12:00:01 stm32mp2-e3 kernel: {}",
    "journal monotonic": "[   64.542307] stm32mp2-e3 kernel: {}",
    "journal iso": "2026-11-28T12:00:01+0100 stm32mp2-e3 kernel: {}",
    "syslog": "Nov 28 12:00:01 stm32mp2-e3 kernel: [   64.542307] {}",
    "capture with stamps": "[2026-11-28 12:00:01.123] [   64.542307] {}\r",
    "coloured": "\x1b[32m[   64.542307] \x1b[0m\x1b[33m{}\x1b[0m\r",
    "ts": "Nov 28 12:00:01 [   64.542307] {}",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_format_of_a_kernel_log_is_read(form):
    """One trouble with its two consequences, in each of them; also as the bytes of a file in UTF-16."""
    log = stamped(OTHER_CORE, form)
    for given in (log, log.encode(), log.encode("utf-16")):
        (one,) = answer(given).explained
        assert one.id == "elf-bad-phdr"
        assert OTHER_CORE_WORDS in one.causes[0]
        assert [number for number, _ in one.consequences] == [4, 5]


CASES = {
    "an access without clock and a refused one": (
        "E/TC:0 stm32_serc_handle_ilac:139 SERC exception ID: 32\n"
        + IAC.format(197, "exception ID: 137")
        + "I/TC: Status register (IAESR0): 0x91\nI/TC: Faulty address (IADDR0): 0xc0000000\n",
        ["rif-serc", "rif-iac"],
        "32 is USART2; 137 is RISAF4 (DDR)",
    ),
    "TF-A's firewall of the DDR": (
        "INFO:    BL2: Skip loading image id 8\nERROR:   Illegal access to 0xfffffff0:\n",
        ["tfa-tzc"],
        "another memory size or place than the board's",
    ),
    "a driver of 5.10 and a TF-A with fewer resets": (
        "[ 1.667275] stm32-rproc 10000000.m4: error -EINVAL: failed to get mcu reset\n"
        "[ 1.674148] remoteproc remoteproc0: releasing m4\n"
        "[ 1.678863] stm32-rproc: probe of 10000000.m4 failed with error -22\n",
        ["stm32-reset"],
        "the SCMI server in TF-A or OP-TEE is older than the device tree",
    ),
    "hold boot by a call to the secure monitor": (
        "remoteproc remoteproc0: failed to set hold boot\n"
        "remoteproc remoteproc0: releasing m4\n"
        "stm32-rproc: probe of mlahb:m4@10000000 failed with error -3\n",
        ["stm32-hold-boot"],
        "SMC 0x82001000; the probe fails with -1 or -3",
    ),
    "a peripheral of ST's resource manager": (
        START.format("m4")
        + "stm32mp157-pinctrl soc:pin-controller@50002000: invalid function.\n"
        + "rproc-srm-dev: probe of m4@0:m4_system_resources:timer@40002000 failed with error -22\n"
        + "rproc-srm-core m4@0:m4_system_resources: failed to bind one or more system resource device(s)\n"
        + "remoteproc remoteproc0: failed to prepare subdevices for m4: -110\n"
        + "remoteproc remoteproc0: Boot failed: -110\n",
        ["srm-device"],
        "could not set up the peripheral in the line; its pins cannot be had",
    ),
    "drivers of OP-TEE that wait for others": (
        "I/TC: Platform stm32mp1: flavor PLATFORM_FLAVOR - DT stm32mp157a-dk1.dts\n"
        "E/TC:0 0 probe_dt_drivers:750 Probe sequence result: 0x80000000\nE/TC:0 0 Panic\n",
        ["optee-drivers"],
        "TEE_ERROR_DEFER_DRIVER_INIT",
    ),
    "STM32CubeIDE's message before the kernel's": (
        "Error in final launch sequence:\nFailed pre launch\nFirmware remoteproc load failed, please:\n"
        "1. make sure that /lib/firmware on your target has space\n"
        "[ 58.546876] remoteproc remoteproc0: powering up m0\n"
        "[ 58.628708] remoteproc remoteproc0: Booting fw image Project_CM33.elf, size 3097880\n"
        "[ 58.631958] remoteproc remoteproc0: bad phdr da 0x80100000 mem 0x540\n"
        "[ 58.638236] remoteproc remoteproc0: Failed to load program segments: -22\n"
        "[ 58.645251] remoteproc remoteproc0: Boot failed: -22\n",
        ["elf-bad-phdr"],
        "the firmware is for the m33, and this core is the m0",
    ),
    "STM32CubeIDE's message alone": (
        "Failed pre launch\nFirmware remoteproc load failed, please:\n"
        "1. make sure that /lib/firmware on your target has space\n",
        ["cubeide-load-failed"],
        "seldom the reason; `dmesg | grep remoteproc` on the board",
    ),
    "a file that user space is asked for": (
        START.format("m4") + "remoteproc remoteproc0: Direct firmware load for x.elf failed with error -2\n"
        "remoteproc remoteproc0: Falling back to sysfs fallback for: x.elf\n"
        "remoteproc remoteproc0: request_firmware failed: -2\nremoteproc remoteproc0: Boot failed: -2\n",
        ["firmware-load-failed"],
        "the kernel found no firmware file of this name",
    ),
    "another vendor's driver before the common code's error": (
        "cvitek-rproc c906l_rproc@0: unable to acquire memory-region\n"
        "remoteproc remoteproc0: Boot failed: -22\n",
        ["other-vendor"],
        "the driver cvitek-rproc for another vendor's cores, of which nothing is known",
    ),
    "no trace buffer": (
        "cat: /sys/kernel/debug/remoteproc/remoteproc0/trace0: No such file or directory",
        ["shell-no-trace"],
        "its resource table has no trace entry",
    ),
    "no core": (
        "ls: cannot access '/sys/class/remoteproc/remoteproc0': No such file or directory",
        ["shell-no-core"],
        "devices_deferred",
    ),
    "no core, since its driver failed": (
        "stm32-rproc 10000000.m4: failed to get mcu_reset\n"
        "ls: cannot access '/sys/class/remoteproc/remoteproc0': No such file or directory\n",
        ["stm32-reset"],
        "",
    ),
    "no tty": (
        "sh: can't create /dev/ttyRPMSG0: No such file or directory",
        ["shell-no-tty"],
        "it announced another name than this kernel's driver takes",
    ),
    "U-Boot without the command": (
        "STM32MP> rproc init\nUnknown command 'rproc' - try 'help'\n",
        ["uboot-no-command"],
        "CONFIG_CMD_REMOTEPROC",
    ),
    "U-Boot for another secure side": (
        "stm32_smc: Failed to exec svc=82001003 op=1 in secure mode (err = -3)\nNet: eth0\n",
        ["uboot-smc"],
        "82001003 is the fuses (BSEC); take TF-A, OP-TEE, U-Boot and device trees of one release",
    ),
    "labgrid's console": (
        "E   pexpect.exceptions.TIMEOUT: Timeout of 1.99 seconds exceeded or connection closed by peer\n"
        "E   labgrid.strategy.common.StrategyError: UBootStrategy is in broken state\n",
        ["bench-lab-timeout"],
        "the console did not show what labgrid waited for",
    ),
    "labgrid's target file": (
        "labgrid.exceptions.NoSupplierFoundError: binding USBStorageDriver failed: no supplier matching "
        "{'USBMassStorage'} found in Target(name='main', env=None) (errors: [])",
        ["bench-lab-supplier"],
        "finds no resource or driver to work on",
    ),
    "lost line ends": (
        "[ 82.376063] remoteproc remoteproc0: powering up m33[ 82.378336] remoteproc remoteproc0: "
        "Image is corrupted (bad magic)[ 82.381610] remoteproc remoteproc0: Boot failed: -22Run it",
        ["elf-no-elf"],
        "a signed image was given",
    ),
    "secure console in the middle of a line": (
        "root@board:~# echo start > /sys/class/remoteproc/remoteproc0/state\n"
        "[ 53.569732] remoteproc remoteproc0: powering up m33\n"
        "[ 53.578881] remoteproc remoteproc0: Booting fw image Hello_sign.bin, size 15796\n"
        "[ 53E/TC:0 stm32_iac_itr:192 IAC exceptions [159:128]: 0x10000000\n"
        "E/TC:0 stm32_iac_itr:197 IAC exception ID: 156\n"
        "E/TC:0 Panic at /usr/src/optee-os/core/drivers/firewall/stm32_iac.c:212 <stm32_iac_itr>\n"
        "I/TC: Halting CPU 1\n",
        ["rif-iac"],
        "156 is RCC; the m33 was started before",
    ),
    "IAC of a write by Linux' own loader": (
        START.format("m33")
        + "remoteproc remoteproc0: Booting fw image app.elf, size 6237772\n"
        + "remoteproc remoteproc0: unsupported fw ver: 0\n"
        + IAC.format(192, "exceptions [159:128]: 0x200")
        + IAC.format(197, "exception ID: 137")
        + "I/TC: DUMPING DATA FOR risaf@420d0000\n"
        + "I/TC: Status register (IAESR0): 0x91\n"
        + "I/TC: Faulty address (IADDR0): 0x80000000\n"
        + "E/TC:0 Panic at core/drivers/firewall/stm32_iac.c:212 <stm32_iac_itr>\n",
        ["rif-iac", "elf-table-version"],
        "137 is RISAF4 (DDR); a non-secure write by the Cortex-A35 (Linux, U-Boot or OP-TEE) at 0x80000000; "
        "Linux was starting the m33 (line 1): it loads or reads a segment of the firmware there itself",
    ),
    "IAC of U-Boot": (
        "U-Boot 2023.10-stm32mp-r2\n"
        + IAC.format(197, "exception ID: 137")
        + "I/TC: Status register (IAESR0): 0x11\nI/TC: Faulty address (IADDR0): 0xc00017c0\n",
        ["rif-iac"],
        "read or fetch by the Cortex-A35 (Linux, U-Boot or OP-TEE) at 0xc00017c0",
    ),
    "IAC of the M33 at its watchdog": (
        START.format("m33")
        + "remoteproc remoteproc0: remote processor m33 is now up\n"
        + IAC.format(197, "exception ID: 100"),
        ["rif-iac"],
        "100 is IWDG3; the m33 was started before (line 1)",
    ),
    "SERC without a core": (
        "E/TC:1 stm32_serc_handle_ilac:133 SERC exceptions [63:32]: 0x10\n"
        "E/TC:1 stm32_serc_handle_ilac:139 SERC exception ID: 36\n",
        ["rif-serc"],
        "36 is USART6",
    ),
    "a discarded access": ("I/TC: | Discarded IAC ID: 165 |\n", ["rif-iac-discarded"], "165 is GPIOF"),
    "an unsigned ELF for the TEE": (
        "root@board:~# echo app_CM33.elf > /sys/class/remoteproc/remoteproc0/firmware\n"
        "root@board:~# echo start > /sys/class/remoteproc/remoteproc0/state\n"
        + START.format("m33")
        + "E/TA: remoteproc_load_fw:1250 Can't Authenticate the firmware (res = 0xffff0006)\n"
        + LOAD.format("ffff0006")
        + FAILED.format(-5)
        + "sh: write error: Input/output error\n",
        ["ta-authenticate"],
        "app_CM33.elf (line 1) is an ELF by its name; TEE_ERROR_BAD_PARAMETERS; not a wrong key",
    ),
    "a wrong key, without the secure console": (
        START.format("m33") + LOAD.format("ffff3072") + FAILED.format(-5),
        ["tee-invoke"],
        "TEE_ERROR_SIGNATURE_INVALID; RPROC_SIGN_KEY",
    ),
    "a driver of the series": (
        START.format("m33")
        + "remoteproc-tee optee-ta-80a4c275-0a47-4905-8285-1486a9771a08: "
        + "TA_RPROC_FW_CMD_LOAD_FW invoke failed TEE err: 0xffff000f, ret:0\n"
        + FAILED.format(-5),
        ["tee-invoke"],
        "TEE_ERROR_SECURITY",
    ),
    "no answer of OP-TEE": (
        START.format("m33") + LOAD.replace("ret:0", "ret:fffffff4").format("0"),
        ["tee-invoke"],
        "the call to OP-TEE itself failed (errno 12)",
    ),
    "a start that failed, then loads that fail": (
        START.format("m33")
        + "E/TC:0 0 stm32_rproc_start:239 Invalid boot address\n"
        + TA_DEVICE
        + "TA_RPROC_FW_CMD_START_FW invoke failed TEE err: ffff0000, ret:0\n"
        + "remoteproc remoteproc0: can't start rproc m33: -5\n"
        + FAILED.format(-5)
        + START.format("m33")
        + LOAD.format("ffff0007")
        + FAILED.format(-5),
        ["rproc-boot-address", "tee-invoke"],
        "signed without BOOTADDR; the failed start before",
    ),
    "a boot address that sticks": (
        START.format("m33")
        + "E/TC:0 0 stm32_rproc_set_boot_address:560 Firmware boot address already set\n"
        + LOAD.format("ffff0000")
        + FAILED.format(-5),
        ["rproc-boot-address-set"],
        "without BOOTADDR, start and stop it",
    ),
    "another TA's result": (
        "stm32-bsec 44000000.efuse: TA_NVMEM_READ invoke failed TEE err: ffff0006, ret:0\n",
        ["other-ta"],
        "another driver (stm32-bsec 44000000.efuse)",
    ),
    "another TA's driver": (
        "optee-rng optee-ta-ab7a617c-b8e7-4d8f-8301-d09b61036b64: TA_CMD_GET_ENTROPY invoke err: ffff000c\n",
        ["other-ta"],
        "TEE_ERROR_OUT_OF_MEMORY; not about the cores' firmware",
    ),
    "another TA's result beside a trouble of the core": (
        "stm32-bsec 44000000.efuse: TA_NVMEM_READ invoke failed TEE err: ffff0006, ret:0\n"
        + START.format("m33")
        + LOAD.format("ffff3072")
        + FAILED.format(-5),
        ["tee-invoke", "other-ta"],
        "TEE_ERROR_SIGNATURE_INVALID",
    ),
    "firmware is not there": (
        "[  12.1] remoteproc remoteproc0: powering up m4\n"
        "[  12.2] remoteproc remoteproc0: Direct firmware load for rproc-m4-fw failed with error -2\n"
        "[  12.3] remoteproc remoteproc0: request_firmware failed: -2\n"
        "sh: write error: No such file or directory\n",
        ["firmware-load-failed"],
        "no firmware file of this name",
    ),
    "the M4's memory": (
        START.format("m4")
        + "remoteproc remoteproc0: Booting fw image fw_m4.elf, size 591544\n"
        + "remoteproc remoteproc0: bad phdr da 0x2000f000 mem 0x2000\n"
        + FAILED.format(-22),
        ["elf-bad-phdr"],
        "linked for another core or another memory map",
    ),
    "a carve-out at another address": (
        START.format("m4")
        + "remoteproc remoteproc0: Booting fw image rpmsg.elf, size 2128144\n"
        + "remoteproc remoteproc0: Registered carveout doesn't fit da request\n"
        + "remoteproc remoteproc0: Failed to process resources: -22\n"
        + FAILED.format(-22),
        ["rproc-carveout-fit"],
        "vdev0vring0",
    ),
    "no memory for a carve-out": (
        START.format("m33")
        + "remoteproc remoteproc0: failed to allocate dma memory: len 0x100000\n"
        + "remoteproc remoteproc0: Failed to allocate associated carveouts: -12\n"
        + FAILED.format(-12),
        ["rproc-carveout-dma"],
        "vdev0buffer",
    ),
    "a vdev without a kick": (
        START.format("m0")
        + "remoteproc remoteproc0: Booting fw image x.elf, size 100\n"
        + "rproc-virtio rproc-virtio.2.auto: .kick method not defined for m0\n"
        + "remoteproc remoteproc0: failed to probe subdevices for m0: -22\n"
        + FAILED.format(-22),
        ["virtio-no-kick"],
        "no mboxes",
    ),
    "hold boot": (
        "remoteproc remoteproc0: failed to set hold boot\n"
        "remoteproc remoteproc0: releasing m4\n"
        "stm32-rproc: probe of mlahb:m4@10000000 failed with error -3\n",
        ["stm32-hold-boot"],
        "RCC is secure",
    ),
    "a TA that is not installed": (
        "E/LD:  init_elf:486 sys_open_ta_bin(80a4c275-0a47-4905-8285-1486a9771a08)\n"
        "E/TC:? 0 ldelf_init_with_ldelf:150 ldelf failed with res: 0xffff0008\n"
        "stm32-rproc 0.m33: tee_client_open_session failed, err: ffff0008\n"
        "stm32-rproc 0.m33: error -EINVAL: signed firmware not supported by TEE\n"
        "stm32-rproc: probe of 0.m33 failed with error -22\n",
        ["ldelf-no-ta"],
        "opteemin",
    ),
    "another TA that is not installed": (
        "E/LD:  init_elf:486 sys_open_ta_bin(fd02c9da-306c-48c7-a49c-bbd827ae86ee)\n"
        "E/TC:? 0 ldelf_init_with_ldelf:150 ldelf failed with res: 0xffff0008\n",
        ["other-ta-missing"],
        "not the remoteproc TA",
    ),
    "a mailbox whose driver is not there": (
        "stm32-rproc 10000000.m4: error -EPROBE_DEFER: failed to request mailbox vq0\n",
        ["stm32-mailbox-missing"],
        "IPCC",
    ),
    "a busy mailbox": (
        "remoteproc remoteproc0: stm32_rproc_kick: failed (vq1, err:-16)\n",
        ["stm32-kick"],
        "not taken by the core in time",
    ),
    "a shutdown without an answer": (
        "remoteproc remoteproc0: warning: remote FW shutdown without ack\n"
        "remoteproc remoteproc0: stopped remote processor m33\n",
        ["stm32-shutdown-ack"],
        "500 ms",
    ),
    "no OP-TEE at all": (
        "optee: probing for conduit method from DT.\noptee: api uid mismatch\n",
        ["optee-mismatch"],
        "no OP-TEE answers",
    ),
    "a channel without an endpoint": (
        "virtio_rpmsg_bus virtio0: rpmsg host is online\n"
        "virtio_rpmsg_bus virtio0: creating channel rpmsg-tty addr 0x400\n"
        "virtio_rpmsg_bus virtio0: msg received with no recipient\n",
        ["rpmsg-no-recipient"],
        "before Linux opened the endpoint",
    ),
    "a firmware that takes no messages": (
        "virtio_rpmsg_bus virtio0: timeout waiting for a tx buffer\n",
        ["rpmsg-tx-timeout"],
        "does not read",
    ),
    "protected memory": (
        "tee tee0: can't register DMA heap id 1 (protected,secure-video)\n",
        ["tee-protected-memory"],
        "firmware do not use it",
    ),
    "an interrupt that OP-TEE's node lacks": ("optee: platform_get_irq: ret -6\n", ["optee-irq"], "ENXIO"),
    "a crash that is not recovered": (
        "remoteproc remoteproc1: crash detected in m33: type watchdog\n"
        "remoteproc remoteproc1: handling crash #1 in m33\n",
        ["rproc-crash"],
        "recovery is disabled",
    ),
    "a crash whose recovery fails": (
        "remoteproc remoteproc1: crash detected in m33: type watchdog\n"
        "remoteproc remoteproc1: handling crash #1 in m33\n"
        "remoteproc remoteproc1: recovering m33\n"
        "remoteproc remoteproc1: stopped remote processor m33\n" + LOAD.format("ffff000f"),
        ["rproc-crash", "tee-invoke"],
        "TEE_ERROR_SECURITY",
    ),
    "an ELF with 64 bits": (
        START.format("m33") + "remoteproc remoteproc0: Unsupported class: 7\n" + FAILED.format(-22),
        ["elf-no-elf"],
        "not an ELF for this core",
    ),
    "a table of zeros": (
        START.format("m4")
        + "remoteproc remoteproc0: unsupported fw ver: 0\n"
        + "remoteproc remoteproc0: no resource table found for this firmware\n"
        + "remoteproc remoteproc0: remote processor m4 is now up\n",
        ["elf-table-version"],
        "filled with zeros; started all the same (line 4)",
    ),
    "peripherals of the core": (
        "rproc-srm-core 10000000.m4:system_resources: failed to bind one or more system resource device(s)\n",
        ["srm-resources"],
        "Linux uses the same peripheral",
    ),
    "ETZPC": (
        "E/TC:0 0 configure_tzma:481 Internal RAM 0x2ffc0000..0x30000000 is used by pager, must be secure\n",
        ["etzpc-refused"],
        "ETZPC",
    ),
    "a TA's abort": (
        "E/TC:? 0\nE/TC:? 0 User mode data-abort at address 0x40005000 (translation fault)\n"
        "E/LD:  Status of TA 80a4c275-0a47-4905-8285-1486a9771a08\n",
        ["abort-user"],
        "TARGET_DEAD",
    ),
    "another TA's abort": (
        "E/TC:? 0 User mode data-abort at address 0x0 (translation fault)\n"
        "E/TC:? 0  esr 0x92000045  ttbr0 0x4000002291040   ttbr1 0x00000000   cidr 0x0\n"
        "E/LD:  Status of TA 5b9e0e40-2636-11e1-ad9e-0002a5d5c51b\n",
        ["other-ta"],
        "another trusted application (5b9e0e40-; not about the cores' firmware",
    ),
    "a TA's panic": (
        "E/TC:? 0 TA panicked with code 0xffff000c\n"
        "E/LD:  Status of TA 80a4c275-0a47-4905-8285-1486a9771a08\n",
        ["abort-ta-panic"],
        "it is the remoteproc TA (line 2); wrong parameters",
    ),
    "another TA's panic": (
        "E/TC:? 0 TA panicked with code 0xffff0001\n"
        "E/LD:  Status of TA 8aaaf201-2450-11e4-abe2-0002a5d5c57b\n"
        "E/LD:   arch: aarch64\nE/LD:  Call stack:\nE/LD:   0x0000000040014c3c\n",
        ["other-ta"],
        "another trusted application (8aaaf201-",
    ),
    "an assertion of OP-TEE's core": (
        START.format("m33")
        + "E/TC:0 0 assertion 'refcount_val(&rproc->users)' failed at "
        + "core/drivers/remoteproc/stm32_remoteproc.c:412 <stm32_rproc_put>\n"
        + "E/TC:0 0 Panic at core/kernel/assert.c:29 <_assert_break>\n"
        + "E/TC:0 0 TEE load address @ 0x82000000\n",
        ["optee-assert"],
        "a check in the source of OP-TEE's core failed",
    ),
    "an assertion of another TA, then a wrong key": (
        "E/TA:  assertion 'ctx' failed at main.c:77 in entry()\n"
        + "E/TC:? 0 TA panicked with code 0x0\n"
        + "E/LD:  Status of TA 5b9e0e40-2636-11e1-ad9e-0002a5d5c51b\n"
        + START.format("m33")
        + LOAD.format("ffff3072")
        + FAILED.format(-5),
        ["tee-invoke", "other-ta"],
        "TEE_ERROR_SIGNATURE_INVALID; another trusted application (5b9e0e40-",
    ),
    "a panic of the remoteproc TA": (
        START.format("m33")
        + "E/TC:? 0 TA panicked with code 0xffff0006\n"
        + "E/LD:  Status of TA 80a4c275-0a47-4905-8285-1486a9771a08\n"
        + LOAD.format("ffff3024")
        + FAILED.format(-5),
        ["abort-ta-panic"],
        "it is the remoteproc TA (line 3)",
    ),
    "another TA is not there, and the remoteproc TA refuses": (
        "E/LD:  init_elf:486 sys_open_ta_bin(fd02c9da-306c-48c7-a49c-bbd827ae86ee)\n"
        + "E/TC:? 0 ldelf_init_with_ldelf:150 ldelf failed with res: 0xffff0008\n"
        + "D/TC:? 0 tee_ta_open_session:773 Failed for TA fd02c9da-306c-48c7-a49c-bbd827ae86ee. "
        + "Return error 0xffff0008\n"
        + "stm32-rproc 0.m33: tee_client_open_session failed, err: ffff000d\n",
        ["tee-open-session", "other-ta-missing"],
        "it is not the remoteproc TA but another one",
    ),
    "the remoteproc TA refuses a session": (
        "D/TC:? 0 tee_ta_open_session:773 Failed for TA 80a4c275-0a47-4905-8285-1486a9771a08. "
        + "Return error 0xffff000d\n"
        + "stm32-rproc 0.m33: tee_client_open_session failed, err: ffff000d\n",
        ["ta-failed"],
        "TEE_ERROR_BUSY",
    ),
    "another driver's result is no cause of a failed start": (
        "stm32-bsec 44000000.efuse: TA_NVMEM_READ invoke failed TEE err: ffff0006, ret:0\n"
        + START.format("m33")
        + FAILED.format(-22),
        ["rproc-boot-failed", "other-ta"],
        "the line before names the cause",
    ),
    "an Oops in remoteproc, by its caller": (
        "[  101.1] Unable to handle kernel NULL pointer dereference at virtual address 0000000000000018\n"
        + "[  101.1] Internal error: Oops: 0000000096000004 [#1] SMP\n"
        + "[  101.1] CPU: 1 UID: 0 PID: 312 Comm: sh Not tainted 6.12.0 #1\n"
        + "[  101.1] pc : __pi_strlen+0x14/0x150\n"
        + "[  101.1] lr : rproc_add_subdev+0x30/0x60\n"
        + "[  101.1] Kernel panic - not syncing: Oops: Fatal exception\n",
        ["linux-oops"],
        "`rproc_add_subdev` (line 5)",
    ),
    "an Oops in RPMsg, 32 bits": (
        "[   41.0] 8<--- cut here ---\n"
        + "[   41.0] Unable to handle kernel paging request at virtual address dead4ead when read\n"
        + "[   41.0] PC is at rpmsg_send+0x1c/0x4c\n[   41.0] LR is at mutex_lock+0x10/0x50\n",
        ["linux-oops"],
        "`rpmsg_send` (line 3)",
    ),
    "an Oops of another driver, then a missing file": (
        "[    9.0] Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000\n"
        + "[    9.0] pc : brcmf_sdio_probe+0x14/0x150\n[    9.0] lr : brcmf_ops_sdio_probe+0x30/0x60\n"
        + "[    9.0] Call trace:\n[    9.0]  brcmf_sdio_probe+0x14/0x150\n"
        + START.format("m33")
        + "remoteproc remoteproc0: request_firmware failed: -2\n",
        ["rproc-request-firmware", "other-kernel"],
        "the kernel failed in `pc : brcmf_sdio_probe",
    ),
    "an Oops without its functions": (
        "[    9.0] Internal error: Oops: 0000000096000004 [#1] SMP\n[    9.0] usb 1-1: a line\n",
        ["linux-oops"],
        "the kernel itself failed",
    ),
    "a write that hangs": (
        "[  363.0] INFO: task sh:412 blocked for more than 120 seconds.\n"
        + "[  363.0] Call trace:\n[  363.0]  __switch_to+0xe0/0x110\n"
        + "[  363.0]  mutex_lock_interruptible+0x30/0x50\n[  363.0]  rproc_shutdown+0x2c/0x180\n",
        ["linux-stuck"],
        "`rproc_shutdown` (line 5)",
    ),
    "a warning in the kernel's remoteproc": (
        "[   12.0] WARNING: CPU: 0 PID: 87 at drivers/remoteproc/remoteproc_core.c:1432 rproc_x+0x40/0x60\n",
        ["linux-warning"],
        "the driver went on",
    ),
    "another vendor's driver": (
        "imx-rproc imx8mp-cm7: imx_rproc_kick: failed (0, err:-62)\n",
        ["other-vendor"],
        "imx-rproc; another vendor's cores; not about an STM32MP",
    ),
    "another vendor's core in the common code": (
        "imx-rproc imx8mp-cm7: mbox_request_channel_byname failed\n"
        + "remoteproc remoteproc0: powering up imx-rproc\n"
        + "remoteproc remoteproc0: bad phdr da 0x7e0000 mem 0x240\n"
        + FAILED.format(-22),
        ["elf-bad-phdr", "other-vendor"],
        "outside the core's memory",
    ),
    "no memory for RPMsg's buffers": (
        START.format("m4")
        + "virtio_rpmsg_bus virtio0: probe with driver virtio_rpmsg_bus failed with error -12\n"
        + "remoteproc remoteproc0: remote processor m4 is now up\n",
        ["rpmsg-probe-failed"],
        "the core's node has no vdev0buffer",
    ),
    "no memory for vrings, after a warning that explains nothing": (
        START.format("m0")
        + "remoteproc remoteproc0: Booting fw image m0-rpmsg-echo.bin, size 13148\n"
        + "rproc-virtio rproc-virtio.1.auto: Failed to set DMA mask 3fffffff. Trying to continue... (-5)\n"
        + "mpbench-rproc 0.m0: failed to allocate dma memory: len 0x1000\n"
        + "remoteproc remoteproc0: Unable to allocate carveout vdev0vring0: -12\n"
        + "remoteproc remoteproc0: Failed to allocate associated carveouts: -12\n"
        + FAILED.format(-12),
        ["rproc-carveout-dma", "virtio-dma-mask"],
        "memory-region of the core's node lacks the region",
    ),
    "a recovery that cannot start the core": (
        "remoteproc remoteproc0: crash detected in m4: type watchdog\n"
        "remoteproc remoteproc0: handling crash #1 in m4\n"
        "remoteproc remoteproc0: recovering m4\n"
        "remoteproc remoteproc0: can't start rproc m4: -110\n",
        ["rproc-crash", "rproc-cant-start"],
        "the recovery failed (line 4)",
    ),
    "a trouble of an earlier boot": (
        "[    0.000000] Booting Linux on physical CPU 0x0\n"
        + START.format("m4")
        + "remoteproc remoteproc0: Direct firmware load for rproc-m4-fw failed with error -2\n"
        + "[    0.000000] Booting Linux on physical CPU 0x0\n"
        + START.format("m4")
        + "remoteproc remoteproc0: remote processor m4 is now up\n",
        ["firmware-load-failed"],
        "in a later boot of this log the m4 started (line 6)",
    ),
    "a full mailbox": (
        "stm32-ipcc 4c001000.mailbox: Try increasing MBOX_TX_QUEUE_LEN\n"
        "stm32-rproc 10000000.m4: stm32_rproc_kick: failed (vq0, err:-105)\n",
        ["mailbox-queue-full"],
        "this one was dropped",
    ),
    "TF-A without OP-TEE": (
        "NOTICE:  CPU: STM32MP257FAK Rev.Y\nERROR:   BL2: Failed to load image id 4 (-2)\n",
        ["tfa-image"],
        "the FIP lacks that image",
    ),
    "U-Boot lists no core": (
        "STM32MP> rproc list\nSTM32MP> rproc load 0 ${kernel_addr_r} ${filesize}\n",
        ["uboot-rproc-list"],
        "`rproc init` was not run",
    ),
    "OP-TEE at memory that is not its own": (
        "E/TC:0\nE/TC:0 Core data-abort at address 0x80100000 (external abort)\n"
        "E/TC:0  esr 0x96000210  ttbr0 0x0e178000   ttbr1 0x00000000   cidr 0x0\n",
        ["abort-core-external"],
        "the bus refused; another compartment",
    ),
    "Linux at memory of a core, 64 bits": (
        "[   12.345678] Internal error: synchronous external abort: 0000000096000010 [#1] PREEMPT SMP\n",
        ["linux-external-abort"],
        "the firewall gives to OP-TEE or to a core",
    ),
    "Linux at memory of a core, 32 bits": (
        "[   12.345678] Unhandled fault: external abort on non-linefetch (0x1028) at 0xf0890000\n",
        ["linux-external-abort"],
        "the firewall gives to OP-TEE or to a core",
    ),
    "an asynchronous abort of Linux": (
        "[   12.345678] SError Interrupt on CPU0, code 0x00000000bf000002 -- SError\n",
        ["linux-external-abort"],
        "comes after its access",
    ),
    "rights of memory": (
        "E/TC:0 0 stm32_rproc_get_mem:177 Failed to apply access rights on region 0x80100000 size 0x800000\n"
        "E/TA:  remoteproc_load_fw:1243 Can't get access right to memories\n"
        + LOAD.format("ffff0001")
        + FAILED.format(-5),
        ["rproc-access-rights"],
        "alternate configuration",
    ),
    "TF-A without its PMIC": (
        "NOTICE:  CPU: STM32MP157DAC Rev.Z\nERROR:   I2C device not ready\nPANIC at PC : 0x2ffefdf3\n",
        ["tfa-error"],
        "TF-A cannot go on",
    ),
    "U-Boot without a core": (
        "STM32MP> rproc start 0\nOperation Failed with error (-19)\n",
        ["uboot-rproc-operation"],
        "rproc init",
    ),
}


@pytest.mark.parametrize(("log", "causes", "words"), CASES.values(), ids=CASES)
def test_the_cause_comes_first(log, causes, words):
    """The troubles by their ids, in this order, all else being consequences; and what is said of them."""
    found = answer(log).explained
    assert [one.id for one in found] == causes
    said = " ".join(f"{one.meaning} {' '.join(one.causes)} {' '.join(one.advice)}" for one in found)
    for word in words.split("; "):
        assert word in said


def test_two_cores_keep_their_consequences():
    """Attempts that overlap: each `Boot failed` goes to the trouble of its own core."""
    log = (
        "remoteproc remoteproc0: powering up m0\n"
        "remoteproc remoteproc1: powering up m33\n"
        "remoteproc remoteproc1: Registered carveout doesn't fit len request\n"
        "remoteproc remoteproc0: bad phdr da 0x80100000 mem 0x540\n"
        "remoteproc remoteproc1: Boot failed: -22\n"
        "remoteproc remoteproc0: Boot failed: -22\n"
    )
    found = {one.id: [n for n, _ in one.consequences] for one in answer(log).explained}
    assert found == {"rproc-carveout-fit": [5], "elf-bad-phdr": [6]}


def test_what_was_mended_later_comes_last():
    """Two attempts that fail differently, of which the first is tried again with success."""
    log = (
        "remoteproc remoteproc0: powering up m4\n"
        "remoteproc remoteproc0: Image is corrupted (bad magic)\n"
        "remoteproc remoteproc0: Boot failed: -22\n"
        "remoteproc remoteproc0: powering up m4\n"
        "remoteproc remoteproc0: remote processor m4 is now up\n"
        "virtio_rpmsg_bus virtio0: timeout waiting for a tx buffer\n"
    )
    first, second = answer(log).explained
    assert first.id == "rpmsg-tx-timeout"
    assert second.id == "elf-no-elf"
    assert "a later start of the m4 succeeded (line 5)" in second.meaning


def test_an_index_that_moved_from_boot_to_boot_is_named():
    """The device of the failed start was the other core before the reboot."""
    log = (
        "[    1.0] remoteproc remoteproc0: m33 is available\n"
        "[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x411fd040]\n"
        "[    1.1] remoteproc remoteproc0: m0 is available\n" + OTHER_CORE
    )
    (one,) = answer(log).explained
    assert "remoteproc0 was the m33 in another boot of this log (line 1)" in one.causes


def test_a_start_without_an_end_is_named_as_such():
    """The log was cut, or the board stopped."""
    (state,) = answer(START.format("m33")).states
    assert "has no end in this log" in state.unknown
    ended = START.format("m33") + "remoteproc remoteproc0: remote processor m33 is now up\n"
    assert [s.unknown for s in answer(ended).states] == ["", ""]


def test_a_code_with_many_causes_says_what_would_tell_them_apart():
    """The kernel's line alone has a number that many checks give."""
    (one,) = answer(LOAD.format("ffff0006")).explained
    assert "the secure console names it" in one.unknown
    assert answer("0xffff0006").explained[0].unknown.startswith("whose result it is")


def test_an_access_by_linux_is_not_the_firmwares():
    """The firewall's register says who it was: causes of the other kind are left out."""
    dump = "I/TC: Status register (IAESR0): {}\nI/TC: Faulty address (IADDR0): 0x80100000\n"
    log = START.format("m33") + IAC.format(197, "exception ID: 137") + dump
    for status, by_linux in (("0x91", True), ("0x92", False)):
        (one,) = answer(log.format(status)).explained
        assert any(cause.startswith("Linux") for cause in one.causes) == by_linux
        assert any("a firmware that was just started" in cause for cause in one.causes) != by_linux


def test_the_registers_of_a_refused_access_say_nothing_of_one_without_clock():
    """The dump of a memory's firewall belongs to IAC, not to a SERC exception before it."""
    serc, iac = answer("".join(CASES["an access without clock and a refused one"][0])).explained
    assert not any("0xc0000000" in cause for cause in serc.causes)
    assert any("at 0xc0000000" in cause for cause in iac.causes)


def test_a_line_of_the_loader_has_no_causes_of_other_commands():
    """The TA prints these while it loads a firmware only."""
    (one,) = answer(
        "E/TA: remoteproc_load_fw:1250 Can't Authenticate the firmware (res = 0xffff0006)"
    ).explained
    assert any("(bad-magic)" in cause for cause in one.causes)
    assert not [c for c in one.causes if "(unknown-command)" in c or "(never-loaded)" in c]


def test_a_call_trace_is_read_after_its_indent():
    """On arm64 a second space stands before each function."""
    log = (
        "[   83.5] remoteproc remoteproc0: powering up m4\n"
        "[   83.5] Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000\n"
        "[   83.721123] Call trace:\n[   83.723572]  __memcpy+0x100/0x180\n"
        "[   83.726889]  rproc_boot+0x340/0x4e0\n"
    )
    (one,) = answer(log).explained
    assert "`rproc_boot` (line 5)" in one.meaning


def test_states_that_answer_a_question():
    """What is ordinary and explains why something is not there."""
    (one,) = answer("virtio_rpmsg_bus virtio0: creating channel rpmsg-tty-channel addr 0x400").states
    assert "makes no /dev/ttyRPMSG for this one" in one.meaning
    (one,) = answer("virtio_rpmsg_bus virtio0: creating channel rpmsg-tty addr 0x400").states
    assert "that of ST's kernels up to 5.10 takes `rpmsg-tty-channel` only" in one.meaning
    (one,) = answer("stm32-rifsc 42080000.bus: mailbox@40490000: Device driver will not be probed").states
    assert "the firewall does not give this peripheral to Linux" in one.meaning


NO_TROUBLE = [
    "clocksource: arch_sys_counter: mask: 0xffffffffffffff max_cycles: 0x4af477f6aa",
    "[    0.000000] pcpu-alloc: s49152 r8192 d24576 u81920 alloc=20*4096 0xffff000f 0xffff0006",
    "myapp: register dump: 0xffff000f 0xffff0000",
    "[   12.3] usb 1-1: failed to load firmware",
    "STM32MP> rproc list\n0 - Name:'m4@10000000' type:'internal memory mapped' supports: load start stop\n",
    "imx-rproc imx8mp-cm7: mailbox is not ready",
    "[    1.0] calling  rproc_init+0x0/0x20 @ 1\n[    1.0] initcall rproc_init+0x0/0x20 returned 0",
    "[   12.3] brcmfmac mmc1:0001:1: Direct firmware load for brcm/x.bin failed with error -2",
    "[   12.3] EXT4-fs (mmcblk0p3): recovering journal",
    "[   12.3] md: recovering md0",
    "E/TA:  ftpm_init:77 Invalid header",
    "E/TA:  TA_InvokeCommandEntryPoint:120 Invalid header",
    "E/TA:  get_properties:12 No loadable segment found",
    "E/TC:0 0 stm32_exti_probe:12 CID position out of range",
    "app: Invalid header",
    "Invalid header\nsomething else",
    "Out of memory\nsomething else",
    "=====================================================\nmake: done",
    "Panic\nother line",
    "[   3.1] optee-rng optee-ta-ab7a617c: tee_shm_alloc_kernel_buf failed",
    "dd: write error: Invalid argument\nsome other line",
    "snd-soc: failed to request mailbox tx",
    "[    1.2] stm32-etzpc 5c007000.bus: Failed to create device link (0x180) with gpiochip0",
    "[    1.2] stm32-etzpc 5c007000.bus: i2c@40014000: Device driver will not be probed",
    "virtio_rpmsg_bus virtio0: creating channel rpmsg-tty-channel addr 0x400",
    "rpmsg_tty virtio0.rpmsg-tty-channel.-1.0: new channel: 0x400 -> 0x0 : ttyRPMSG0",
    "[    1.2] rpmsg: nothing here\n[ 1.3] systemd[1]: Failed to start remoteproc helper.",
]


@pytest.mark.parametrize("log", NO_TROUBLE)
def test_what_is_no_trouble_of_ours_is_not_explained(log):
    """Numbers, words and messages of others, and words without their origin in a longer text."""
    assert answer(log).explained == ()


@pytest.mark.parametrize("path", BOOTS, ids=lambda p: f"{p.parent.name} {p.name}")
def test_an_ordinary_boot_has_no_trouble(path):
    """Consoles and kernel logs of the virtual boards, line by line and whole."""
    log = path.read_bytes()
    found = answer(log)
    assert found.explained == ()
    assert [line for line in log.decode().splitlines() if answer(f"{line}\n").explained] == []


def test_an_ordinary_boot_shows_what_is_there():
    """Both cores and OP-TEE, of a log in which nothing is wrong; and nothing that only looks wrong."""
    found = answer((CAPTURES / "boot-mp25/dmesg").read_bytes())
    lines = [one.line.split("] ", 1)[1] for one in found.states]
    assert "remoteproc remoteproc0: m0 is available" in lines
    assert "remoteproc remoteproc1: m33 is available" in lines
    assert any(line.startswith("optee: ") for line in lines)
