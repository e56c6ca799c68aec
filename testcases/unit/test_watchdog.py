# SPDX-License-Identifier: MIT
"""Peripheral registers of the co-processors against their reference manuals, with a clock set by the test."""

from collections.abc import Callable

import pytest
from attrs import define, field

from mpbench_virtual.memory import MP15_CORES, MP25_CORES, Gate
from mpbench_virtual.peripherals.bus import STALL_NS, BoardClock
from mpbench_virtual.peripherals.gate import ClockGate, always_on
from mpbench_virtual.peripherals.ipcc import Ipcc
from mpbench_virtual.peripherals.iwdg import Iwdg
from mpbench_virtual.peripherals.systick import SysTick
from mpbench_virtual.peripherals.wwdg import Wwdg

MS = 1_000_000
KR, PR, RLR, SR, WINR = 0x00, 0x04, 0x08, 0x0C, 0x10
CR, CFR = 0x00, 0x04


@define
class Hand:
    """A clock that only the test advances, and the list of refused accesses."""

    now: int = 0
    refused: list[str] = field(factory=list)

    def now_ns(self) -> int:
        return self.now

    def after_ms(self, ms: float) -> None:
        self.now += round(ms * MS)


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def iwdg(hand: Hand) -> Iwdg:
    return Iwdg(MP25_CORES["m33"].watchdog, hand.now_ns, hand.refused.append, always_on)


def program(iwdg: Iwdg, hand: Hand, prescaler: int, reload: int) -> None:
    """The sequence of the reference manual: start, unlock, set, wait for SR, refresh."""
    iwdg.write(KR, 4, 0xCCCC)
    iwdg.write(KR, 4, 0x5555)
    iwdg.write(PR, 4, prescaler)
    iwdg.write(RLR, 4, reload)
    hand.after_ms(0.2)
    assert iwdg.read(SR, 4) & 7 == 0
    iwdg.write(KR, 4, 0xAAAA)


class TestIwdg:
    """IWDG3 and IWDG5 of the STM32MP25."""

    def test_reset_values_are_the_manual_s(self, iwdg: Iwdg, hand: Hand) -> None:
        """Slowest prescaler, longest reload, no window, not started, the key reads zero."""
        assert [iwdg.read(r, 4) for r in (KR, PR, RLR, SR, WINR)] == [0, 0xF, 0xFFF, 0, 0xFFF]
        assert hand.refused == []

    def test_it_does_not_count_until_started(self, iwdg: Iwdg, hand: Hand) -> None:
        """Without 0xCCCC nothing ever expires."""
        iwdg.write(KR, 4, 0xAAAA)
        hand.after_ms(10_000_000)
        assert not iwdg.expired()

    def test_the_start_key_shows_in_the_status(self, iwdg: Iwdg) -> None:
        """ONF is set by 0xCCCC and by no other key."""
        iwdg.write(KR, 4, 0x1234)
        assert iwdg.read(SR, 4) == 0
        iwdg.write(KR, 2, 0xCCCC)
        assert iwdg.read(SR, 4) == 1 << 8

    @pytest.mark.parametrize(
        ("prescaler", "reload", "ms"),
        [(0, 7, 1), (3, 319, 320), (3, 999, 1000), (7, 61, 992), (8, 30, 992), (15, 0xFFF, 131_072)],
    )
    def test_the_time_out_is_reload_and_one_times_prescaler(
        self, iwdg: Iwdg, hand: Hand, prescaler: int, reload: int, ms: int
    ) -> None:
        """(RL + 1) * (4 << PR, at most 1024) periods of 32 kHz: not a microsecond before, not one after."""
        program(iwdg, hand, prescaler, reload)
        hand.now += ms * MS - 1
        assert not iwdg.expired()
        hand.now += 1
        assert iwdg.expired()

    def test_a_refresh_gives_the_whole_time_again(self, iwdg: Iwdg, hand: Hand) -> None:
        """0xAAAA reloads the counter, as often as it comes in time."""
        program(iwdg, hand, 3, 99)
        for _ in range(5):
            hand.after_ms(99)
            iwdg.write(KR, 4, 0xAAAA)
        hand.after_ms(99)
        assert not iwdg.expired()
        hand.after_ms(1)
        assert iwdg.expired()

    def test_a_start_key_does_not_refresh_one_that_runs(self, iwdg: Iwdg, hand: Hand) -> None:
        """0xCCCC on a running watchdog changes nothing."""
        program(iwdg, hand, 3, 99)
        hand.after_ms(60)
        iwdg.write(KR, 4, 0xCCCC)
        hand.after_ms(40)
        assert iwdg.expired()

    def test_a_new_reload_counts_from_the_next_refresh(self, iwdg: Iwdg, hand: Hand) -> None:
        """RLR is only loaded by a refresh."""
        program(iwdg, hand, 3, 99)
        iwdg.write(KR, 4, 0x5555)
        iwdg.write(RLR, 4, 999)
        hand.after_ms(100)
        assert iwdg.expired()

    def test_a_new_prescaler_keeps_the_count(self, iwdg: Iwdg, hand: Hand) -> None:
        """Half of the count at 1 ms each, the other half at 2 ms each."""
        program(iwdg, hand, 3, 99)
        hand.after_ms(50)
        iwdg.write(KR, 4, 0x5555)
        iwdg.write(PR, 4, 4)
        hand.after_ms(99.9)
        assert not iwdg.expired()
        hand.after_ms(0.1)
        assert iwdg.expired()

    def test_a_refresh_before_the_window_resets(self, iwdg: Iwdg, hand: Hand) -> None:
        """With a window the counter has to be at or below it when it is refreshed."""
        program(iwdg, hand, 3, 99)
        iwdg.write(KR, 4, 0x5555)
        iwdg.write(WINR, 4, 49)
        hand.after_ms(50)
        iwdg.write(KR, 4, 0xAAAA)
        assert not iwdg.expired()
        hand.after_ms(49)
        iwdg.write(KR, 4, 0xAAAA)
        assert iwdg.expired()

    def test_setting_the_window_refreshes(self, iwdg: Iwdg, hand: Hand) -> None:
        """A write to WINR reloads the counter."""
        program(iwdg, hand, 3, 99)
        hand.after_ms(90)
        iwdg.write(KR, 4, 0x5555)
        iwdg.write(WINR, 4, 0xFFF)
        hand.after_ms(99)
        assert not iwdg.expired()

    def test_an_update_takes_six_periods_of_lsi(self, iwdg: Iwdg, hand: Hand) -> None:
        """PVU, RVU, WVU stay set for 187.5 us, and a write during that time is refused."""
        iwdg.write(KR, 4, 0x5555)
        for register, bit in ((PR, 1), (RLR, 2), (WINR, 4)):
            iwdg.write(register, 4, 5)
            assert iwdg.read(SR, 4) == bit
            iwdg.write(register, 4, 6)
            assert iwdg.read(register, 4) == 5
            hand.after_ms(0.1875)
        assert iwdg.read(SR, 4) == 0
        assert [line.split(" refused: ")[1] for line in hand.refused] == [
            "an update is still under way, wait for SR"
        ] * 3

    @pytest.mark.parametrize("key", [0xAAAA, 0xCCCC, 0x0000])
    @pytest.mark.parametrize("register", [PR, RLR, WINR])
    def test_any_other_key_locks_again(self, iwdg: Iwdg, hand: Hand, register: int, key: int) -> None:
        """Only 0x5555 opens PR, RLR and WINR, and every other key closes them; the refusal says how."""
        before = iwdg.read(register, 4)
        iwdg.write(KR, 4, 0x5555)
        iwdg.write(KR, 4, key)
        iwdg.write(register, 4, 1)
        assert iwdg.read(register, 4) == before
        assert len(hand.refused) == 1
        assert "write 0x5555 to KR first" in hand.refused[0]

    @pytest.mark.parametrize(
        ("access", "says"),
        [
            (lambda w: w.write(SR, 4, 0), "write of 0x0 to SR refused: it is read-only"),
            (lambda w: w.write(KR, 1, 0xAA), "1-byte write at 0x000 refused"),
            (lambda w: w.read(SR, 1), "1-byte read at 0x00c refused"),
            (lambda w: w.write(0x14, 4, 0), "4-byte write at 0x014 refused: registers are KR"),
            (lambda w: w.read(0x3F0, 4), "4-byte read at 0x3f0 refused: registers are KR"),
        ],
    )
    def test_what_hardware_refuses_is_refused_with_a_reason(
        self, iwdg: Iwdg, hand: Hand, access: Callable[[Iwdg], int | None], says: str
    ) -> None:
        """A wrong access reads zero, changes nothing and leaves one line."""
        iwdg.write(KR, 4, 0x5555)
        assert not access(iwdg)
        assert len(hand.refused) == 1
        assert says in hand.refused[0]

    def test_without_its_clock_nothing_answers(self, hand: Hand) -> None:
        """A watchdog whose clock is off in RCC can't be started."""
        gate = ClockGate(Gate(da=0x4420_0890, mask=2), hand.refused.append)
        iwdg = Iwdg(MP25_CORES["m33"].watchdog, hand.now_ns, hand.refused.append, gate.enabled)
        iwdg.write(KR, 4, 0xCCCC)
        assert "its clock is off in RCC" in hand.refused[0]
        gate.write(0x890, 4, 2)
        assert iwdg.read(SR, 4) == 0
        iwdg.write(KR, 4, 0xCCCC)
        assert iwdg.read(SR, 4) == 1 << 8


TICK_NS = 4096 * 1_000_000_000 / MP15_CORES["m4"].watchdog.clock_hz
"""One period of WWDG1 with WDGTB = 0."""


@pytest.fixture
def wwdg(hand: Hand) -> Wwdg:
    return Wwdg(MP15_CORES["m4"].watchdog, hand.now_ns, hand.refused.append, always_on)


class TestWwdg:
    """WWDG1 of the STM32MP15."""

    def test_reset_values_are_the_manual_s(self, wwdg: Wwdg, hand: Hand) -> None:
        """CR and CFR 0x7f, SR 0: counting, not watching."""
        assert [wwdg.read(r, 4) for r in (CR, CFR, 0x08)] == [0x7F, 0x7F, 0]
        assert hand.refused == []

    @pytest.mark.parametrize(("wdgtb", "counter"), [(0, 0x7F), (3, 0x7F), (7, 0x7F), (7, 0x40)])
    def test_the_time_out_is_the_counter_above_t6(
        self, wwdg: Wwdg, hand: Hand, wdgtb: int, counter: int
    ) -> None:
        """4096 * 2^WDGTB * (T[5:0] + 1) periods of PCLK1."""
        wwdg.write(CFR, 4, wdgtb << 11 | 0x7F)
        wwdg.write(CR, 4, 0x80 | counter)
        out_ns = TICK_NS * (1 << wdgtb) * ((counter & 0x3F) + 1)
        hand.now += int(out_ns) - 2
        assert not wwdg.expired()
        hand.now += 4
        assert wwdg.expired()

    def test_it_counts_but_does_not_reset_until_activated(self, wwdg: Wwdg, hand: Hand) -> None:
        """The counter is free running; without WDGA it wraps and resets nothing."""
        hand.now += round(TICK_NS * 3.5)
        assert wwdg.read(CR, 4) == 0x7C
        hand.now += round(TICK_NS * 128)
        assert (wwdg.read(CR, 4), wwdg.expired()) == (0x7C, False)

    def test_a_refresh_gives_the_whole_time_again(self, wwdg: Wwdg, hand: Hand) -> None:
        """Writing CR with WDGA and T loads the counter."""
        wwdg.write(CR, 4, 0xFF)
        for _ in range(5):
            hand.now += round(TICK_NS * 60)
            wwdg.write(CR, 4, 0xFF)
        assert not wwdg.expired()
        assert wwdg.read(CR, 4) == 0xFF

    def test_a_refresh_before_the_window_resets(self, wwdg: Wwdg, hand: Hand) -> None:
        """T may only be written once it is at or below W."""
        wwdg.write(CFR, 4, 0x60)
        wwdg.write(CR, 4, 0xFF)
        hand.now += round(TICK_NS * 31.5)
        wwdg.write(CR, 4, 0xFF)
        assert not wwdg.expired()
        hand.now += round(TICK_NS * 20)
        wwdg.write(CR, 4, 0xFF)
        assert wwdg.expired()

    def test_writing_it_without_t6_resets_at_once(self, wwdg: Wwdg) -> None:
        """T[6] = 0 is the reset that software asks for."""
        wwdg.write(CR, 4, 0x80 | 0x3F)
        assert wwdg.expired()

    def test_activation_can_not_be_taken_back(self, wwdg: Wwdg, hand: Hand) -> None:
        """WDGA is cleared by a reset only; the attempt is reported."""
        wwdg.write(CR, 4, 0xFF)
        wwdg.write(CR, 4, 0x7F)
        assert wwdg.read(CR, 4) & 0x80
        assert "WDGA can't be cleared by software" in hand.refused[0]

    def test_the_early_flag_stays_set_until_it_is_cleared(self, wwdg: Wwdg, hand: Hand) -> None:
        """EWIF is set when T reaches 0x40 and cleared by writing zero; writing one leaves it."""
        wwdg.write(CR, 4, 0xFF)
        hand.now += round(TICK_NS * 63.5)
        assert wwdg.read(0x08, 4) == 1
        wwdg.write(CR, 4, 0xFF)
        wwdg.write(0x08, 4, 1)
        assert wwdg.read(0x08, 4) == 1
        wwdg.write(0x08, 4, 0)
        assert wwdg.read(0x08, 4) == 0

    def test_a_new_prescaler_keeps_the_count(self, wwdg: Wwdg, hand: Hand) -> None:
        """Changing WDGTB changes the pace from there on; the early interrupt's enable stays once set."""
        hand.now += round(TICK_NS * 10.5)
        wwdg.write(CFR, 4, 1 << 11 | 1 << 9 | 0x7F)
        wwdg.write(CFR, 4, 1 << 11 | 0x7F)
        hand.now += round(TICK_NS * 21)
        assert wwdg.read(CR, 4) == 0x7F - 20
        assert wwdg.read(CFR, 4) == 1 << 11 | 1 << 9 | 0x7F

    @pytest.mark.parametrize(
        ("access", "says"),
        [
            (lambda w: w.write(0x0C, 4, 1), "write of 0x1 at 0x00c refused: registers are CR"),
            (lambda w: w.read(CR, 1), "1-byte read at 0x000 refused: registers are CR"),
        ],
    )
    def test_what_hardware_refuses_is_refused_with_a_reason(
        self, wwdg: Wwdg, hand: Hand, access: Callable[[Wwdg], int | None], says: str
    ) -> None:
        """A wrong access reads zero, changes nothing and leaves one line."""
        assert not access(wwdg)
        assert len(hand.refused) == 1
        assert says in hand.refused[0]

    def test_without_its_clock_nothing_answers(self, hand: Hand) -> None:
        """WWDG1EN in RCC comes first; ones set it, a zero doesn't clear it."""
        spec = MP15_CORES["m4"].watchdog
        assert spec.gate is not None
        gate = ClockGate(spec.gate, hand.refused.append)
        wwdg = Wwdg(spec, hand.now_ns, hand.refused.append, gate.enabled)
        assert wwdg.read(CR, 4) == 0
        assert "its clock is off in RCC" in hand.refused[0]
        gate.write(0xA80, 4, 1 << 28)
        gate.write(0xA80, 4, 0)
        assert gate.read(0xA80, 4) == 1 << 28
        assert wwdg.read(CR, 4) == 0x7F


def test_rcc_models_one_register_and_refuses_the_rest(hand: Hand) -> None:
    """An access to another register of RCC is reported with the one that is there."""
    gate = ClockGate(Gate(da=0x4420_0890, mask=2), hand.refused.append)
    gate.write(0x890, 4, 2)
    gate.write(0x890, 4, 0)
    assert not gate.enabled()
    gate.write(0x894, 4, 2)
    assert gate.read(0x890, 2) == 0
    assert hand.refused == [
        "rcc: write of 0x2 at 0x894 refused: only 0x890 is modelled",
        "rcc: 2-byte read at 0x890 refused: only 0x890 is modelled",
    ]


CSR, RVR, CVR, ICSR = 0x010, 0x014, 0x018, 0xD04
PENDING = 1 << 26


class TestSysTick:
    """SysTick, clocked at 1 MHz here."""

    @pytest.fixture
    def systick(self, hand: Hand) -> SysTick:
        systick = SysTick(1_000_000, hand.now_ns, hand.refused.append)
        systick.write(RVR, 4, 999)
        systick.write(CVR, 4, 0)
        return systick

    def test_it_pends_every_period_while_enabled(self, systick: SysTick, hand: Hand) -> None:
        """RVR + 1 cycles, then the exception is pending until software clears it; then again."""
        systick.write(CSR, 4, 7)
        for _ in range(3):
            assert systick.until_pending_ns() == 1 * MS
            hand.after_ms(1)
            assert systick.read(ICSR, 4) == PENDING
            assert systick.until_pending_ns() == 0
            systick.write(ICSR, 4, 1 << 25)
            assert systick.read(ICSR, 4) == 0

    def test_two_periods_are_one_pending_exception(self, systick: SysTick, hand: Hand) -> None:
        """A core that was late has one exception to take, not two."""
        systick.write(CSR, 4, 7)
        hand.after_ms(2.5)
        systick.write(ICSR, 4, 1 << 25)
        assert systick.read(ICSR, 4) == 0
        assert systick.until_pending_ns() == MS // 2

    def test_the_count_falls_and_the_flag_is_read_once(self, systick: SysTick, hand: Hand) -> None:
        """CVR counts down from RVR; COUNTFLAG is cleared by reading CSR."""
        systick.write(CSR, 4, 5)
        hand.after_ms(0.25)
        assert systick.read(CVR, 4) == 749
        hand.after_ms(1)
        assert [systick.read(CSR, 4), systick.read(CSR, 4)] == [5 | 1 << 16, 5]

    def test_without_tickint_it_never_pends(self, systick: SysTick, hand: Hand) -> None:
        """COUNTFLAG alone does not end a sleep."""
        systick.write(CSR, 4, 5)
        hand.after_ms(5)
        assert (systick.pending(), systick.until_pending_ns()) == (False, None)

    def test_off_or_without_a_reload_it_does_not_count(self, systick: SysTick, hand: Hand) -> None:
        """Disabled, or with RVR = 0, it doesn't count; software can still pend it."""
        assert (systick.read(CVR, 4), systick.until_pending_ns()) == (0, None)
        systick.write(RVR, 4, 0)
        systick.write(CSR, 4, 7)
        hand.after_ms(5)
        assert (systick.read(RVR, 4), systick.pending()) == (0, False)
        systick.write(ICSR, 4, PENDING)
        assert systick.pending()

    def test_the_rest_of_the_space_is_refused(self, systick: SysTick, hand: Hand) -> None:
        """A register that isn't modelled reads zero and is reported, in either direction."""
        assert systick.read(0xD08, 4) == 0
        systick.write(CSR, 1, 1)
        assert [line.split(": only")[0] for line in hand.refused] == [
            "scs: 4-byte read at 0xd08",
            "scs: 1-byte write at 0x010",
        ]


@pytest.mark.parametrize(("processor", "status", "clear"), [(1, 0x1C, 0x08), (2, 0x0C, 0x18)])
def test_the_mailbox_frees_the_channels_it_is_told_to(
    hand: Hand, processor: int, status: int, clear: int
) -> None:
    """Ones in the own SCR clear the channels that Linux occupied, and no other; Linux' side is refused."""
    flags = [0b1101]
    ipcc = Ipcc(
        0x4049_0000,
        processor,
        lambda: flags[0],
        lambda value: flags.__setitem__(0, value),
        hand.refused.append,
    )
    assert ipcc.read(status, 4) == 0b1101
    ipcc.write(clear, 4, 0b0101)
    assert (flags, ipcc.read(clear, 4)) == ([0b1000], 0)
    ipcc.write(clear, 4, 1 << 16)
    ipcc.write(clear ^ 0x10, 4, 1)
    assert ipcc.read(status ^ 0x10, 4) == 0
    assert [line.split(" refused")[0] for line in hand.refused] == [
        f"ipcc: write of 0x10000 at 0x{clear:03x}",
        f"ipcc: write of 0x1 at 0x{clear ^ 0x10:03x}",
        f"ipcc: 4-byte read at 0x{status ^ 0x10:03x}",
    ]


def test_a_stalled_host_does_not_age_the_board(hand: Hand) -> None:
    """A gap longer than a board ever leaves between two looks counts as the limit; the rest is kept apart."""
    clock = BoardClock(hand.now_ns)
    hand.now += STALL_NS
    assert (clock.now_ns(), clock.stalled_ns) == (STALL_NS, 0)
    hand.now += 10 * STALL_NS
    assert (clock.now_ns(), clock.stalled_ns) == (2 * STALL_NS, 9 * STALL_NS)
