# SPDX-License-Identifier: MIT
"""The commands of the documents: those that test_documents_run.py runs, and why others are not run."""

import re

from attrs import frozen

from mpbench.core.shared_files import CHECKOUT

DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "targets/README.md",
    "targets/own-repository/README.md",
    "reports/README.md",
)
HARDWARE = "needs an STM32MP board"
SET_UP = "the set-up of which this test is a part"
HOURS = "a stage of `make test`, or `make test` itself"
NETWORK = "fetches from the network, or publishes there"

NOT_RUN = {
    "README.md": {
        "mpbench test --lg-env targets/virtual-mp25.yaml": HOURS,
        "mpbench doctor --lg-env targets/mp25-desk.yaml": HARDWARE,
        "mpbench test --lg-env targets/mp25-desk.yaml": HARDWARE,
        "make demo": SET_UP,
        "make demo TARGET=targets/virtual-mp25.yaml": SET_UP,
        "make test": HOURS,
        "mpbench virtual console desk": "needs a person at a terminal",
        "pip wheel --no-deps -w dist .": "test_wheel.py builds it without a network",
        "pip install dist/mpbench-*.whl": "test_wheel.py installs it into an environment of its own",
        "mpbench test": "test_wheel.py, with the wheel",
    },
    "CONTRIBUTING.md": {
        "make setup": SET_UP,
        "make firmware": SET_UP,
        "make board": SET_UP,
        ".venv/bin/pip install pre-commit && .venv/bin/pre-commit install": NETWORK,
        ".venv/bin/mpbench report reports/sample -o reports/sample": "changes a file of the repository",
    },
    "targets/README.md": {
        "git clone https://... mpbench && cd mpbench": NETWORK,
        "make setup": SET_UP,
        "export PATH=$PWD/.venv/bin:$PATH": SET_UP,
        "make firmware": SET_UP,
        "ls -l /dev/serial/by-id/": HARDWARE,
        "id -nG | grep -w dialout": HARDWARE,
        "make PLATFORM=stm32mp1-157C_DK2 CROSS_COMPILE=arm-linux-gnueabihf- CFG_STM32MP_REMOTEPROC=y "
        "RPROC_SIGN_KEY=$HOME/.config/mpbench/firmware_key.pub.pem": "minutes; in OP-TEE's sources",
        "ssh-copy-id -i ~/.config/mpbench/ssh_key.pub root@192.0.2.25": HARDWARE,
        "mpbench enrol 192.0.2.25": HARDWARE,
        "export LG_CONSOLE=/dev/serial/by-id/usb-STMicroelectronics_STM32_STLink_066CFF...-if02": HARDWARE,
        "export LG_ADDRESS=192.0.2.25": HARDWARE,
        "export LG_POWER_MODEL=shelly_gen2 LG_POWER_HOST=http://192.0.2.80 LG_POWER_INDEX=0": HARDWARE,
        "mpbench doctor --lg-env targets/mp25-desk.yaml": HARDWARE,
        "pytest --lg-env targets/mp25-desk.yaml testcases/test_identity.py": HARDWARE,
        "pytest --lg-env targets/mp25-desk.yaml testcases/test_deploy.py": HARDWARE,
        "pytest --lg-env targets/mp25-desk.yaml": HARDWARE,
        "export LG_CONSOLE=/dev/serial/by-id/usb-STMicroelectronics_STM32_STLink_066CFF...-if02 "
        "LG_ADDRESS=192.0.2.15": HARDWARE,
        "mpbench enrol 192.0.2.15": HARDWARE,
        "mpbench doctor --lg-env targets/mp15-debian-desk.yaml": HARDWARE,
        "pytest --lg-env targets/mp15-debian-desk.yaml testcases/test_plain_elf.py "
        "testcases/test_rpmsg.py": HARDWARE,
        "export LG_PLACE=mp25-1 LG_COORDINATOR=labhost:20408": HARDWARE,
        "labgrid-client acquire": HARDWARE,
        "pytest --lg-env targets/mp25.yaml": HARDWARE,
        "labgrid-client release": HARDWARE,
    },
    "targets/own-repository/README.md": {
        "mpbench virtual build": SET_UP,
        "export LG_CONSOLE=/dev/serial/by-id/usb-STMicroelectronics_STM32_STLink_066CFF...-if02": HARDWARE,
        "export LG_ADDRESS=192.0.2.25": HARDWARE,
        "export LG_POWER_MODEL=shelly_gen2 LG_POWER_HOST=http://192.0.2.80 LG_POWER_INDEX=0": HARDWARE,
        "mpbench doctor --lg-env board.yaml": HARDWARE,
        "pytest --lg-env board.yaml": HARDWARE,
    },
    "reports/README.md": {
        "pytest --lg-env targets/virtual-mp25.yaml --bench-reports=build/sample --bench-soak 20x "
        "--bench-flips 12 testcases/test_identity.py testcases/test_recovery.py::test_recovery_times "
        "testcases/test_soak.py testcases/test_tamper.py::test_random_flips "
        "testcases/test_notification.py::test_every_interrupt_is_explained "
        "reports/sample/test_every_verdict.py": "makes the sample again, whose record stays",
        "mpbench report build/sample/runs/* -o reports/sample": "makes the sample again, whose record stays",
    },
}
"""By document: commands that are not run here, and why."""

NARROWED = 'pytest() { command pytest --bench-reports="$PWD/reports" "$@" testcases/test_identity.py; }'
"""All board cases are a stage of their own: here some are enough."""


FAILED_RUN = """
cp -r "$CHECKOUT/reports/sample" RUN
rm RUN/test_every_verdict.py
sed -i '/"test-end".*test_recovery_times.m33/s/"verdict": "PASS"/"verdict": "FAIL"/' RUN/record.jsonl
mpbench report RUN -o RUN
mpbench signoff --new-key bob.pem
"""
"""A run with a FAIL that somebody accepts."""


@frozen
class Script:
    """Commands of a document in their order; `lines` also has what a person does besides, such as waiting."""

    document: str
    lines: tuple[str, ...]
    prelude: str = ""
    wanted: tuple[str, ...] = ()
    """What its output has, in this order."""

    def commands(self) -> list[str]:
        """Those that stand in the document."""
        return [line for line in self.lines if not line.startswith("until ")]


RUN = {
    "by-hand": Script(
        "README.md",
        (
            ". .venv/bin/activate",
            'eval "$(register-python-argcomplete mpbench)"',
            "mpbench virtual up desk",
            "mpbench virtual status",
            "mpbench virtual down desk",
        ),
        wanted=("desk: on, process ", "ssh ", "desk: on, process "),
    ),
    "keys": Script(
        "targets/README.md",
        (
            "mkdir -p -m 700 ~/.config/mpbench && cd ~/.config/mpbench",
            "ssh-keygen -q -t ed25519 -N '' -C mpbench -f ssh_key",
            "openssl genrsa -out firmware_key.pem 2048 && chmod 600 firmware_key.pem",
            "openssl rsa -in firmware_key.pem -pubout -out firmware_key.pub.pem",
            "mpbench sign --in fw.elf --out fw.sign.bin --key firmware_key.pem "
            "--plat-tlv BOOTADDR 0x80100000",
        ),
        prelude="mkdir -p ~/.config/mpbench\n"
        'cp "$CHECKOUT/firmware/build/m33/alive.elf" ~/.config/mpbench/fw.elf',
    ),
    "signing": Script(
        "targets/README.md",
        (
            "mpbench note RUN 'remark=fan replaced before the run' --by Ann",
            "mpbench waive RUN 'testcases/test_recovery.py::test_recovery_times[m33]' --by Ann "
            "--reason 'erratum 7, see the review'",
            "mpbench signoff --new-key ann.pem",
            "mpbench signoff RUN --by Ann --key ann.pem",
            "mpbench verify RUN --trust ann.pub bob.pub",
        ),
        prelude=FAILED_RUN,
    ),
    "lab": Script(
        "targets/README.md",
        (
            "labgrid-coordinator &",
            "until labgrid-client places; do sleep 0.5; done",
            "labgrid-exporter --name labhost targets/exporter-example.yaml &",
            "until labgrid-client resources | grep -q labhost/virtual-1/NetworkService; do sleep 0.5; done",
            "labgrid-client -p mp25-1 create",
            "labgrid-client -p mp25-1 add-match '*/mp25-1/*'",
            "mpbench virtual up virtual-1 --address 127.0.0.1 --base-port 7000",
            "labgrid-client -p virtual-1 create && labgrid-client -p virtual-1 add-match '*/virtual-1/*'",
            "mpbench enrol 127.0.0.1 7022",
            "export LG_PLACE=virtual-1 MPBENCH_PROFILE=virtual-mp25",
            "labgrid-client acquire && pytest --lg-env targets/mp25.yaml; labgrid-client release",
        ),
        prelude=NARROWED,
        wanted=(
            "virtual-1: on, process ",
            "pinned in ",
            "\nverdict PASS: 5 PASS\n",
            "released place virtual-1",
        ),
    ),
    "own-repository": Script(
        "targets/own-repository/README.md",
        (
            "cp -r \"$(python -c 'from mpbench.core.shared_files import TARGETS as t; print(t)')"
            '/own-repository" pump',
            "cd pump && git init -q && git add . && git commit -q -m 'tests of the pump'",
            "pytest --lg-env virtual.yaml",
        ),
        prelude="git config --global user.name me; git config --global user.email me@example.org",
        wanted=("\nverdict PASS: 1 PASS\n", "/pump/reports/runs/"),
    ),
}


def commands_of(document: str) -> list[str]:
    """Commands of the console blocks of a document, without comments, on one line each."""
    text = (CHECKOUT / document).read_text()
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    typed = [re.sub(r"\s+#\s.*", "", line[2:]) for line in lines if line.startswith("$ ")]
    return [re.sub(r"  +", " ", line).strip() for line in typed]
