# SPDX-License-Identifier: MIT
# make demo   set everything up, build a virtual board, run the bench on it; make demo TARGET=targets/virtual-mp25.yaml
# make test   the same set-up, then tests of every kind, on virtual boards; the longest are left to the commands of a board
# make faults every fault that the bench survives, with 25 seeds
# make check  lint, types, unit tests: no board, no root
# make fuzz   random inputs through every command that reads them; make fuzz N=100000
# make perf   measure against labgrid's own drivers
# make mp15   all tests of a board on the virtual STM32MP15
# make mp15-st  all board cases on the virtual STM32MP15 whose OP-TEE answers as ST's, and its contract tests
# make mp25  all board cases on the machine of an STM32MP257F-EV1, and its contract tests
# make mp25-st  all board cases where OP-TEE answers as ST's, and its contract tests; make mp25-st OPTEE_SRC=DIR
# make test-all  all tests: make test, all board cases on all virtual boards, 25 seeds of faults
# make real-firmware DIR=...  start every ELF of a directory on a virtual board, and report how far each came
# make lock   write requirements.lock, the versions that were tested, from the current environment
# make peer   a long campaign: the twin against OP-TEE's own TA, and which branches of both it reached
# make peer-linux  the twin against Linux' own loader: a million starts
# make coverage  branches of the twin that its unit tests reach

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The tested versions; `make LOCK=` installs the newest that pyproject.toml allows.
LOCK ?= --constraint requirements.lock
PIP_INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check $(LOCK)
PACKAGES := bc binutils bison bzip2 cpio device-tree-compiler e2fsprogs flex gcc gcc-aarch64-linux-gnu gcc-arm-linux-gnueabihf \
	gcc-arm-none-eabi libc6-dev libc6-dev-armhf-cross libfdt-dev libglib2.0-dev libslirp-dev libssl-dev lz4 make \
	ninja-build openssh-client pkg-config python3-dev python3-venv qemu-user util-linux \
	xz-utils
# Servers, a user space, a browser and readers of PDF and traces that tests use; a test whose program is missing is skipped.
TEST_PACKAGES := busybox chromium dropbear-bin fdisk openssh-server poppler-utils qemu-system-arm ser2net softhsm2 trace-cmd
TARGET ?= targets/virtual-mp25.yaml

.PHONY: plugins demo test test-all check faults fuzz perf peer peer-linux coverage mp15 mp25 board boards firmware
.PHONY: mp15-st mp25-st real-firmware setup packages lock clean

test test-all faults perf mp15 mp15-st mp25 mp25-st: PACKAGES += $(TEST_PACKAGES)

# Firmware is signed, inspected and predicted first; then a board is built, and some of its cases run: firmware that
# runs, that is refused, that fails and is recovered. By default the board for which least is built: Linux is Debian's.
DEMO_FILES_OF_LINUX := identity plain_elf recovery
DEMO_FILES := identity deploy recovery
DEMO_CASES := identity or runs or refused and (last or key or signed or truncated or outside) \
	or test_recovery and (watchdog_expiry or fatal or hardfault or recovery_times)
demo real-firmware: BOARD := $(if $(filter file,$(origin TARGET)),targets/virtual-mp15-debian.yaml,$(TARGET))
demo: KIND = $(patsubst targets/virtual-%.yaml,%,$(filter targets/virtual-%.yaml,$(BOARD)))
demo: FILES = $(if $(filter mp15-debian%,$(filter-out %-tee %-tee-sd,$(KIND))),$(DEMO_FILES_OF_LINUX),$(DEMO_FILES))
demo: packages $(VENV)/bench firmware
	@mkdir -p build/demo; key=$$($(BIN)/python -c 'from mpbench_virtual import keys; print(keys.signing_key())') && set -x && \
	$(BIN)/mpbench sign firmware/build/m33/alive.elf --key $$key -o build/demo/alive.bin && \
	$(BIN)/mpbench inspect build/demo/alive.bin && \
	$(BIN)/mpbench predict build/demo/alive.bin --profile virtual-mp25 --key $$key
	$(if $(KIND),$(BIN)/mpbench virtual build $(KIND))
	$(BIN)/pytest --lg-env $(BOARD) $(FILES:%=testcases/test_%.py) -k '$(DEMO_CASES)'

# Every stage is run, whatever failed before; stages, skips by reason and a verdict are the last lines.
test: boards firmware plugins
	$(BIN)/python -m testcases.suite test --lg-env $(TARGET)

test-all: test mp25 mp25-st mp15 mp15-st faults
	$(BIN)/pytest --lg-env targets/virtual-mp25-spi.yaml

# Every fault with SEEDS seeds, two pytests at once; about two hours
SEEDS ?= 25
faults: board firmware plugins
	$(BIN)/python -m testcases.faults --seeds $(SEEDS) --target $(TARGET)

# Random records, plans, profiles, images, answers of switches and servers; a violation is named with its seed.
N ?= 100000
fuzz: $(VENV)/ready
	$(BIN)/python -m testcases.fuzz.campaign --cases $(N)

check: $(VENV)/ready firmware
	$(BIN)/python -m testcases.suite check

# pytest-html is the peer of P9; beside the environment, since it is a plugin that every pytest would load.
perf: board firmware
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target build/peers --upgrade \
		'pytest-html>=4,<5' 'pytest-metadata>=3,<4' || echo "without pytest-html: P9 has no peer" >&2
	$(BIN)/python -m testcases.performance --lg-env $(TARGET)

# Plug-ins of others that the bench refuses or honours, beside the environment: every pytest would load them.
plugins: $(VENV)/ready
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target build/plugins --upgrade \
		'pytest-xdist>=3,<4' 'execnet>=2,<3' 'pytest-timeout>=2,<3' 'pytest-rerunfailures>=15' 'pytest-forked>=1,<2' \
		|| echo "without the plug-ins of others their tests are skipped" >&2

# The twin against OP-TEE's own TA; e.g. make peer MINUTES=60. Continues with the corpus of the last one.
# A source tree of one's own, upstream's or ST's (then with ST's PTA and driver): make peer OPTEE_SRC=DIR
MINUTES ?= 10
peer: export MPBENCH_OPTEE_SRC := $(if $(OPTEE_SRC),$(abspath $(OPTEE_SRC)),$(MPBENCH_OPTEE_SRC))
peer: setup
	$(BIN)/pytest testcases/peer -m 'not slow'
	$(BIN)/python -m testcases.peer.campaign --minutes $(MINUTES) --jobs $$(nproc) --coverage

# The twin against the loader of Linux, from the kernel source of the virtual board or MPBENCH_LINUX_SRC.
COMPARISONS ?= 1000000
peer-linux: setup
	$(BIN)/python -m testcases.peer.linux_campaign --comparisons $(COMPARISONS) --jobs $$(nproc)

# All board cases on the virtual STM32MP15, of which `make test` runs a part, and the tests of a lab and a desk;
# the boards with Debian's own kernel.
mp15: boards firmware
	$(BIN)/mpbench virtual build mp15-debian-sd
	$(BIN)/mpbench virtual build mp15-debian-tee
	$(BIN)/mpbench virtual build mp15-debian-tee-sd
	$(BIN)/pytest testcases/contract/test_machine_board.py testcases/contract/test_card_board.py \
		testcases/contract/test_machine_m4.py testcases/contract/test_machine_tee.py \
		testcases/contract/test_dk2_*.py testcases/contract/test_debian_console.py
	$(BIN)/pytest --lg-env targets/virtual-mp15-debian.yaml
	$(BIN)/pytest --lg-env targets/virtual-mp15-debian-tee.yaml
	$(BIN)/pytest --lg-env targets/virtual-mp15-debian-tee-sd.yaml testcases/test_identity.py testcases/test_deploy.py
	$(BIN)/pytest --lg-env targets/virtual-mp15-debian-sd.yaml testcases/test_identity.py testcases/test_attach.py
	$(BIN)/pytest --lg-env targets/virtual-mp15-debian-console.yaml testcases/test_plain_elf.py
	$(BIN)/pytest --lg-env targets/virtual-mp15.yaml
	MPBENCH_KIND=mp15 $(BIN)/pytest testcases/contract/test_lab_place.py testcases/contract/test_desk.py

# All board cases on the STM32MP15 where OP-TEE answers as ST's and isolates the M4's memory
mp15-st: setup firmware
	$(BIN)/mpbench virtual build mp15-st
	$(BIN)/pytest testcases/contract/test_dk2_st.py testcases/contract/test_first_contact.py -k "not mp25"
	$(BIN)/pytest --lg-env targets/virtual-mp15-st.yaml

# The machine of an STM32MP257F-EV1; its QEMU takes a quarter of an hour of CPU to build.
mp25: setup firmware
	$(BIN)/mpbench virtual build mp25
	$(BIN)/mpbench virtual build mp25-panic
	$(BIN)/pytest -k "not mp25-st and not mp15-st" testcases/contract/test_first_contact.py \
		testcases/contract/test_two_kinds.py testcases/contract/test_ev1_*.py
	$(BIN)/pytest --lg-env targets/virtual-mp25.yaml

# Firmware of others: DIR has the ELF files; by default on the board whose QEMU has the M4 with its peripherals.
real-firmware: setup firmware
	@[ -n "$(DIR)" ] || { echo "make real-firmware DIR=DIRECTORY [TARGET=FILE]: which directory?" >&2; exit 2; }
	$(BIN)/mpbench firmware "$(DIR)" --lg-env $(BOARD)

# The board cases where OP-TEE answers as ST's; with ST's own from a source tree: make mp25-st OPTEE_SRC=DIR
mp25-st: export MPBENCH_OPTEE_SRC := $(if $(OPTEE_SRC),$(abspath $(OPTEE_SRC)),$(MPBENCH_OPTEE_SRC))
mp25-st: setup firmware
	$(BIN)/mpbench virtual build mp25-st
	$(BIN)/pytest -k "not mp25-m33 and not mp15-st" testcases/contract/test_first_contact.py \
		testcases/contract/test_ostl_firewall.py
	$(BIN)/pytest --lg-env targets/virtual-mp25-st.yaml

coverage: $(VENV)/ready
	$(BIN)/coverage run --branch --source=bench/mpbench/twin -m pytest -q testcases/unit -m 'not slow'
	$(BIN)/coverage report --show-missing --fail-under=95

board: setup
	$(BIN)/mpbench virtual build

# The boards of `make test`; what several have in common is built once.
boards: board
	for kind in mp25-spi mp25-panic mp25-st mp15 mp15-st mp15-debian mp15-debian-sd; do $(BIN)/mpbench virtual build $$kind || exit; done

firmware:
	$(MAKE) -s -C firmware all userland

setup: packages $(VENV)/ready

# Only what is missing is installed; a machine that has everything needs neither root nor network.
packages:
	@missing=$$(for p in $(PACKAGES); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -n "$$missing" ]; then \
		echo "installing:" $$missing; \
		if [ $$(id -u) = 0 ]; then root=; else root=sudo; fi; \
		$$root apt-get update -q && $$root env DEBIAN_FRONTEND=noninteractive \
			apt-get install -q -y --no-install-recommends $$missing; \
	fi

# No hosts, no paths: names and versions, without the bench itself.
lock: $(VENV)/ready
	{ echo '# SPDX-License-Identifier: MIT'; echo '# Versions that were tested; made by `make lock`'; \
		$(BIN)/pip freeze --disable-pip-version-check --exclude-editable --exclude mpbench; } >requirements.lock

# What the bench needs; its own tests need more.
$(VENV)/bench: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "mpbench needs Python 3.11 or newer; $(PYTHON) is older (set PYTHON=...)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) -e .
	touch $@

$(VENV)/ready: $(VENV)/bench
	$(PIP_INSTALL) -e '.[test]'
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis firmware/build
