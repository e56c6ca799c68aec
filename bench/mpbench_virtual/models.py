# SPDX-License-Identifier: MIT
"""The kinds of virtual boards, as data."""

from collections.abc import Mapping

from attrs import evolve, field, frozen


@frozen
class Soc:
    """Virtual model of one SoC. `name` is also the name of its kernel's configuration in firmware/linux.

    cross:     prefix of the compiler for TF-A, OP-TEE, U-Boot, Linux
    linux:     ARCH of Linux and the image it boots from
    guest:     Debian architecture of the root file system, and its dynamic linker
    """

    name: str
    cross: str
    linux: tuple[str, str]
    guest: tuple[str, str]


MP25 = Soc(
    name="mp25",
    cross="aarch64-linux-gnu-",
    linux=("arm64", "Image"),
    guest=("arm64", "ld-linux-aarch64.so.1"),
)

MP15 = Soc(
    name="mp15",
    cross="arm-linux-gnueabihf-",
    linux=("arm", "Image"),
    guest=("armhf", "ld-linux-armhf.so.3"),
)


@frozen
class BoardKind:
    """A virtual board on a QEMU machine of ours.

    machine:     QEMU's name for it
    kernel:      a name in sources.yaml: a distribution's kernel, or Linux' source
    device_tree: file of that
    guest:       Debian architecture of the root file system, and its dynamic linker
    main:        the Cortex-A cores, by the name that `mpbench virtual gdb` takes
    console:     the one of Linux, as its command line names it
    secure:      TF-A's BL31 and OP-TEE run before Linux, and print on a UART of their own
    cores:       co-processors with GDB's numbers of their processes: QEMU's clusters, counted from 1
    loaders:     a name in sources.yaml: the boot loaders of its SD card; "": QEMU starts Linux
    loaders_of:  the board's directory in that package
    tee:         OP-TEE's own platform loads the cores; it prints on Linux' console
    fip:         it starts from an SD card with TF-A, OP-TEE and U-Boot
    st_optee:    OP-TEE answers as ST's: upstream's with an application and a PTA of ours, or on the EV1 a
                 tree of the user's own (MPBENCH_OPTEE_SRC) as it is
    overlays:    further device trees, in firmware/boot, over device_tree
    optee_of:    the kind whose OP-TEE it has; "": one of its own
    uboot:       U-Boot runs after OP-TEE, and starts Linux from an SD card
    """

    name: str
    machine: str
    kernel: str
    device_tree: str
    guest: tuple[str, str]
    main: str
    console: str
    secure: bool = False
    cores: Mapping[str, int] = field(factory=dict)
    loaders: str = ""
    loaders_of: str = ""
    tee: bool = False
    fip: bool = False
    st_optee: bool = False
    overlays: tuple[str, ...] = ()
    optee_of: str = ""
    uboot: bool = False

    @property
    def small_kernel(self) -> bool:
        """Linux is built of source, by a configuration of ours."""
        return self.kernel == "linux"

    @property
    def soc(self) -> Soc:
        """Compilers and names of its SoC."""
        return MP15 if self.guest == MP15.guest else MP25


DK2 = BoardKind(
    name="mp15-debian",
    machine="stm32mp157c-dk2",
    kernel="kernel-armhf",
    device_tree="stm32mp157c-dk2.dtb",
    guest=("armhf", "ld-linux-armhf.so.3"),
    main="a7",
    console="ttySTM0,115200",
    cores={"m4": 2},
)

EV1_CLOCKS = "stm32mp257f-ev1-clocks.dtso"

EV1 = BoardKind(
    name="mp25",
    machine="stm32mp257f-ev1",
    kernel="linux",
    device_tree="stm32mp257f-ev1.dtb",
    guest=MP25.guest,
    main="a35",
    console="ttySTM1,115200",
    secure=True,
    cores={"m33": 2, "m0": 3},
    overlays=(EV1_CLOCKS, "mp25.dtso", "mp25-m0.dtso"),
)

KINDS = {
    kind.name: kind
    for kind in (
        evolve(DK2, name="mp15", kernel="linux", tee=True),
        DK2,
        evolve(DK2, name="mp15-debian-console", machine="stm32mp157c-dk2,virtio=off"),
        evolve(DK2, name="mp15-debian-ev1", device_tree="stm32mp157c-ev1.dtb"),
        evolve(DK2, name="mp15-debian-tac", device_tree="stm32mp157c-lxa-tac-gen2.dtb"),
        evolve(DK2, name="mp15-debian-tee", tee=True),
        evolve(DK2, name="mp15-debian-tee-sd", tee=True, fip=True),
        evolve(DK2, name="mp15-st", kernel="linux", tee=True, st_optee=True, overlays=("mp15-st.dtso",)),
        evolve(DK2, name="mp15-debian-sd", loaders="uboot-stm32", loaders_of="stm32mp157c-dk2"),
        EV1,
        evolve(EV1, name="mp25-panic"),  # OP-TEE panics after an illegal access, as by default
        evolve(
            EV1,
            name="mp25-uboot",
            optee_of="mp25",
            uboot=True,
            overlays=(*EV1.overlays, "mp25-virtio.dtso"),
        ),
        evolve(EV1, name="mp25-spi", overlays=(*EV1.overlays, "mp25-spi.dtso")),
        evolve(EV1, name="mp25-st", st_optee=True, overlays=(EV1_CLOCKS, "mp25.dtso", "mp25-st.dtso")),
    )
}
