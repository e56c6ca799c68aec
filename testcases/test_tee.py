# SPDX-License-Identifier: MIT
"""The TEE's interface for programs on the board: contexts, sessions, shared memory, cancellation.

The client is the bench's own, static and without libteec (firmware/userland/tee-client.c). It calls pseudo
applications that ST's images also have: statistics (CFG_WITH_STATS) and enumeration (CFG_DEVICE_ENUM_PTA).
"""

import pytest

from mpbench.board.tee import tee
from mpbench.core.facts import Measurement
from mpbench.deployment.leaks import persistent_leaks
from mpbench.layout import Tee
from mpbench.tee.client import GET_TIME, STATS
from mpbench.tee.fixture import numbers, tee_counters
from mpbench.tee.parse import DYNAMIC, OPTEE, capabilities, revision, uuids
from testcases.requirements import TEE_SERVICE

pytestmark = TEE_SERVICE

BY_TEE, BY_APPLICATION = 3, 4
"""Origins of an answer: TEEC_ORIGIN_TEE, TEEC_ORIGIN_TRUSTED_APP."""

ENUMERATION = "7011a688-ddde-4053-a5a9-7b3c4ddf13b8"
LIST = 0
"""OP-TEE's pseudo application that lists devices, and its command. Ref: pta_device.h"""
SELF_TEST = "d96a5b40-c3e5-21e3-8794-1002a5d5c61b"
CALCULATE, TAKE_NULL = 1, 10
"""OP-TEE's pseudo application for its self-tests (CFG_TEE_CORE_EMBED_INTERNAL_TESTS), and its commands.
Ref: pta_invoke_tests.h"""
UNKNOWN = "00000000-1111-4222-8333-444444444444"

SESSION = f"session,{STATS}"
PAGE = 4096
ROUNDS = 3
STARTS = "Linux version "
"""The first line that a kernel logs after its CPU's. Ref: Linux init/main.c, start_kernel()"""
USUAL_LIMIT = 512 << 10
"""Least size of shared memory that the client API guarantees. Ref: GlobalPlatform TEE Client API, 4.2"""
MOST = 64 << 20


@pytest.fixture
def client(tee_client):
    """The client, on a board whose OP-TEE has the application for statistics."""
    if not tee_client.run("context", SESSION)[-1].succeeded:
        pytest.skip("OP-TEE has no application for statistics: CFG_WITH_STATS=n")
    return tee_client


@pytest.fixture
def tester(tee_client):
    """The client, on a board whose OP-TEE has its self-tests built in."""
    if not tee_client.run("context", f"session,{SELF_TEST}")[-1].succeeded:
        pytest.skip("OP-TEE has no self-tests: CFG_TEE_CORE_EMBED_INTERNAL_TESTS=n")
    return tee_client


def last(client, *words):
    """Answer to the last command word; every word before it must succeed."""
    *before, answer = client.run(*words)
    assert [a for a in before if not a.succeeded] == []
    return answer


# --- version ----------------------------------------------------------------------------------------------


def test_version_and_capabilities(bench, tee_client):
    """OP-TEE's identity and capabilities agree in the ioctl interface and in sysfs."""
    session = bench.board.session
    assert tee(session).present
    version = last(tee_client, "context", "version")
    assert (version["impl"], version["impl_caps"] & 1) == (OPTEE, 1)
    in_sysfs = session.read("/sys/class/tee/tee0/implementation_id")
    assert in_sysfs in ("ENOENT", b"%d\n" % version["impl"])
    can = capabilities(version["caps"])
    assert "GlobalPlatform API" in can
    assert "for tee-supplicant" not in can, "/dev/tee0 must not serve tee-supplicant"


def test_the_kernel_log_has_revision_and_capabilities(bench, tee_client):
    """Linux' driver logs OP-TEE's revision as it starts, and whether a client may share its own memory."""
    log = bench.board.session.execute("dmesg").stdout.decode("utf-8", "replace")
    if STARTS not in log:
        pytest.skip("the kernel's log has lost its start, with what OP-TEE's driver said: log_buf_len=2M")
    assert revision(log), "no revision of OP-TEE in the kernel log"
    assert "optee: initialized driver" in log
    can = capabilities(last(tee_client, "context", "version")["caps"])
    assert ("registers a client's own memory" in can) == (DYNAMIC in log)


def test_a_reference_to_no_memory(tester):
    """A NULL memory reference is passed to the application where the TEE supports it, else Linux refuses."""
    able = "null memory references" in capabilities(last(tester, "context", "version")["caps"])
    answer = last(tester, "context", f"session,{SELF_TEST}", f"invoke,0,{TAKE_NULL},null")
    assert (answer.errno, answer["ret"]) == (("OK", Tee.SUCCESS) if able else ("EINVAL", 0))


# --- applications -----------------------------------------------------------------------------------------


def test_an_application_is_found_by_its_uuid(bench, tee_client):
    """Every application that OP-TEE enumerates is on Linux' TEE bus, and opens by its UUID.

    Some let only the kernel in, as ST's for its fuses, and deny a client themselves.
    """
    opens = (Tee.SUCCESS, BY_APPLICATION), (Tee.ACCESS_DENIED, BY_APPLICATION), (Tee.BUSY, BY_TEE)
    *_, listed, shown = tee_client.run(
        "context", f"session,{ENUMERATION}", "alloc,4096", f"invoke,0,{LIST},mo:0:0:1024", "show,0,0,1024"
    )
    assert listed.succeeded
    names = uuids(shown.data[: listed["b0"]])
    assert names, "OP-TEE enumerates no application, not even the remoteproc TA"
    assert names <= tee(bench.board.session).applications
    for name in sorted(names):
        opened = tee_client.run("context", f"session,{name}")[-1]
        assert opened.result in opens, name


def test_a_wrong_uuid_is_refused(client):
    """An unknown UUID gives ITEM_NOT_FOUND, and the context can still be used."""
    context, wrong, right = client.run("context", f"session,{UNKNOWN}", SESSION)
    assert context.succeeded
    assert (wrong.errno, wrong.result) == ("OK", (Tee.ITEM_NOT_FOUND, BY_TEE))
    assert right.succeeded


# --- sessions ---------------------------------------------------------------------------------------------

MANY = 8


def test_closing_a_context_closes_its_sessions(client):
    """Closing a context closes its open sessions immediately, and none of other contexts."""
    words = [
        "context",
        SESSION,
        "context",
        *[SESSION] * MANY,
        "leave,1",
        "on,0",
        SESSION,
        f"invoke,0,{GET_TIME},o,o",
    ]
    answers = client.run(*words)
    assert all(a.succeeded for a in answers)
    mine, *others, next_one = [a["id"] for a in answers if a.word == "session"]
    assert others == list(range(mine + 1, mine + 1 + MANY))
    assert next_one == mine + 1, "OP-TEE did not use the first closed session's number again"


def test_a_session_belongs_to_its_context(client):
    """A session cannot be used or closed from another context, nor after it was closed."""
    call = f"invoke,0,{GET_TIME},o,o"
    answers = client.run(
        "context", SESSION, "context", call, "close,0", "on,0", call, "close,0", call, "close,0"
    )
    got = [a.errno for a in answers if a.word in ("invoke", "close")]
    assert got == ["EINVAL", "EINVAL", "OK", "OK", "EINVAL", "EINVAL"]


KILLED = {
    "holding": ("meet", "hold"),
    "calling": ("meet", "forever", f"invoke,0,{GET_TIME},o,o"),
    "opening": ("meet", "forever", "context", SESSION, "alloc,65536", "close,2", "free,2", "leave,1"),
}
CLIENTS, TIMES = 3, 4


@pytest.mark.parametrize("doing", KILLED)
def test_killed_clients_leave_nothing(bench, client, doing):
    """Clients killed while they hold, call or open sessions leak nothing in Linux or in OP-TEE."""
    kill_all(bench, client, KILLED[doing])  # pools that only grow have grown
    before = tee_counters(client)
    for _ in range(TIMES):
        kill_all(bench, client, KILLED[doing])
    assert persistent_leaks(before, lambda: tee_counters(client), TIMES) == []


def test_killed_in_a_call(bench, waiter):
    """A client killed during a call of its application, and the application's session, end with the call."""
    doing = (
        "meet",
        f"session,{WAITING}",
        f"invoke,2,{WAIT},v:20:0,o",
        "forever",
        f"invoke,2,{WAIT},v:200:0,o",
    )
    kill_all(bench, waiter, doing, clients=1)
    before = tee_counters(waiter)
    kill_all(bench, waiter, doing, clients=1)
    assert persistent_leaks(before, lambda: tee_counters(waiter), 1) == []


def kill_all(bench, client, doing, clients=CLIENTS):
    """Start `clients` clients that run the words `doing`, each with sessions and memory; kill all at once."""
    words = [f"fork,{clients}", "context", SESSION, SESSION, "alloc,65536", "register,65536", *doing]
    until = "hold" if "hold" in doing else "rounds"
    with client.running(*words, until=until, count=clients) as answers:
        held = numbers(client)
        assert held["number of a new session"] > 2 * clients
        pids = [str(a["pid"]) for a in answers if a.word == "fork"]
        gone = "while kill -0 $p 2>/dev/null; do :; done"
        bench.execute(f"kill -KILL {' '.join(pids)}; for p in {' '.join(pids)}; do {gone}; done")


@pytest.mark.parametrize(("clients", "sessions"), [(2, 8), (8, 3)])
def test_clients_at_once(client, clients, sessions):
    """Clients with several sessions each, more than OP-TEE has threads, call at once, and all succeed."""
    calls = [f"invoke,{n},{GET_TIME},o,o" for n in range(sessions)]
    answers = client.run(f"fork,{clients}", "context", *[SESSION] * sessions, "meet", "times,5", *calls)
    assert [a for a in answers if not a.succeeded] == []
    ids = [a["id"] for a in answers if a.word == "session"]
    assert len(set(ids)) == clients * sessions, "two sessions have one number"
    for n in range(1, clients + 1):
        times = [(a["a1"], a["b1"]) for a in answers if (a.client, a.word) == (n, "invoke")]
        assert len(times) == 5 * sessions
        assert times == sorted(times), f"client {n}: the TEE's time went backwards"


def test_answers_reach_who_asked(tester):
    """Each of several clients gets the answers to its own calls."""
    ask = f"invoke,0,{CALCULATE},io:me:1000"
    answers = tester.run("fork,6", "context", f"session,{SELF_TEST}", "meet", "times,10", ask)
    got = [(a.client, a["a0"]) for a in answers if a.word == "invoke"]
    assert sorted(got) == [(n, 1000 + n) for n in range(1, 7) for _ in range(10)]


# --- shared memory ----------------------------------------------------------------------------------------

KINDS = ("alloc", "register")


def needs(client, kind):
    """Skip the test where the TEE does not accept such memory."""
    can = capabilities(last(client, "context", "version")["caps"])
    if kind == "register" and "registers a client's own memory" not in can:
        pytest.skip("OP-TEE registers no memory of a client's own: CFG_CORE_DYN_SHM=n")


def reading(size, offset):
    """Words that have OP-TEE write its heap statistics to an offset of the memory, and show what is there."""
    return f"invoke,0,1,v:1:0,mo:0:{offset}:{size - offset}", f"show,0,{offset},4"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [PAGE, PAGE + 1, 64 << 10, USUAL_LIMIT])
def test_shared_memory(client, kind, size):
    """Up to 512 KiB, allocated by Linux or by the client, are shared from the first byte to the last."""
    needs(client, kind)
    for offset in (0, (size - 64) & ~7):
        answers = client.run("context", SESSION, f"{kind},{size}", "fill,0,0xa5", *reading(size, offset))
        assert all(a.succeeded for a in answers)
        assert answers[-1].data == b"Heap"


@pytest.mark.parametrize("kind", KINDS)
def test_every_byte_is_shared(tester, kind):
    """OP-TEE reads all 512 KiB as the client wrote them."""
    needs(tester, kind)
    size = USUAL_LIMIT - 1  # times 3, modulo 256, is no round number
    words = ["context", f"session,{SELF_TEST}", f"{kind},{USUAL_LIMIT}", "fill,0,3"]
    shown = last(tester, *words, f"invoke,0,{CALCULATE},mio:0:0:{size}", "show,0,0,2")
    assert shown.data == bytes([size * 3 % 256, 3])


def test_memory_beyond_the_limit(bench, client):
    """Memory that is too large is refused as a whole, and smaller memory can still be shared afterwards."""
    if bench.profile.panics_on_memory:
        pytest.skip(
            f"OP-TEE {bench.profile.optee} of this board panics when a client shares more memory than it has "
            "translation tables for (core_mmu_map_pages): known, so nothing is shared up to a limit"
        )
    needs(client, "register")
    good, (registered, called) = growing(client)
    bench.measure(Measurement("memory that the TEE shares at once", good >> 10, "KiB", "this run", low=512))
    if registered.succeeded:
        assert (called.errno, called.result) == ("OK", (Tee.OUT_OF_MEMORY, BY_TEE))
    else:
        assert registered.errno in ("ENOMEM", "EINVAL")
    for _ in range(ROUNDS):  # what Linux moves about once is no leak: that is lost each time
        before = tee_counters(client)
        assert growing(client)[0] == good
        after = last(client, "context", SESSION, f"alloc,{USUAL_LIMIT}", *reading(USUAL_LIMIT, 0))
        assert after.data == b"Heap"
        found = persistent_leaks(before, lambda: tee_counters(client), 1)
        if not found:
            break
    assert found == []


def growing(client):
    """Double the size until it is refused: the last size in bytes that was shared, the answers to the next.

    The memory is the client's own: Linux' allocator also logs a warning for a request that is too large for
    it (4 MiB), and some boards panic on warnings.
    """
    size, good = USUAL_LIMIT, 0
    while size <= MOST:
        answers = client.run("context", SESSION, f"register,{size}", *reading(size, size - 64)[:1])
        if not all(a.succeeded for a in answers):
            return good, answers[2:]
        size, good = 2 * size, size
    return pytest.skip(f"OP-TEE shares {MOST >> 20} MiB at once: no limit was found")


def test_what_is_no_shared_memory(client):
    """Linux refuses references beyond shared memory, into that of another context, and to freed memory."""
    ask = "invoke,0,1,v:1:0,mo:0:{}:{}"
    beyond = [ask.format(PAGE, 1), ask.format(0, PAGE + 1), ask.format(2**64 - 64, 128)]
    words = ["context", SESSION, f"alloc,{PAGE}", *beyond, ask.format(0, PAGE)]
    found = [a.errno for a in client.run(*words) if a.word == "invoke"]
    assert found == ["EINVAL", "EINVAL", "EINVAL", "OK"]
    foreign = last(client, "context", f"alloc,{PAGE}", "context", SESSION, ask.format(0, 64))
    assert foreign.errno == "EINVAL"
    freed = last(client, "context", SESSION, f"alloc,{PAGE}", "free,0", ask.format(0, 64))
    assert freed.errno == "EINVAL"
    nothing = client.run("context", "register,0")[-1]
    assert nothing.errno in ("EINVAL", "ENOTSUPP")


def test_a_buffer_that_is_too_short(client):
    """For a short buffer the application reports the size needed and writes nothing after its end."""
    words = ["context", SESSION, f"alloc,{PAGE}", "fill,0,0xa5"]
    size = last(client, *words, f"invoke,0,1,v:1:0,mo:0:0:{PAGE}")["b1"]
    short, shown = client.run(*words, f"invoke,0,1,v:1:0,mo:0:0:{size - 1}", f"show,0,0,{size}")[-2:]
    assert (short.result, short["b1"]) == ((Tee.SHORT_BUFFER, BY_APPLICATION), size)
    assert shown.data == b"\xa5" * size


# --- cancellation -----------------------------------------------------------------------------------------

WAITING = "c5a8f8a3-2b5c-4b0e-9d3b-7c1f0e6f4a21"
WAIT, PIECE_MS = 0, 10
"""The bench's own trusted application. Ref: firmware/ta/wait.c"""
CANCELLED = 0xFFFF0002
"""TEE_ERROR_CANCEL"""
INSTALLED = f"/lib/optee_armtz/{WAITING}.ta"


@pytest.fixture
def waiter(bench, target, tee_client):
    """The client, on a board with the application that waits; to a virtual board it is uploaded here."""
    if tee_client.run("context", f"session,{WAITING}")[-1].succeeded:
        yield tee_client
        return
    source = next((r for r in target.resources if getattr(r, "makes_applications", False)), None)
    if source is None:
        pytest.skip("no application that can be cancelled: build firmware/ta with this board's OP-TEE")
    session = bench.board.session
    session.execute(f"mkdir -p {INSTALLED.rpartition('/')[0]}")
    session.put_bytes(source.application().read_bytes(), INSTALLED)
    yield tee_client
    session.execute(f"rm -f {INSTALLED}")


def test_a_running_call_is_cancelled(waiter):
    """A running call that permits cancellation ends with TEE_ERROR_CANCEL; a new session works."""
    long_ms = 20_000
    *_, call = waiter.run(
        "context", f"session,{WAITING}", "canceller,0,50", f"invoke,0,{WAIT},v:{long_ms}:1,o", timeout_s=60
    )
    assert (call.errno, call.result) == ("OK", (CANCELLED, BY_APPLICATION))
    assert 0 < call["a1"] < long_ms // PIECE_MS, "the call was not running, or ended by itself"
    assert last(waiter, "context", f"session,{WAITING}", f"invoke,0,{WAIT},v:20:1,o")["a1"] == 2


def test_cancellation_is_masked(waiter):
    """A call that masks cancellation runs to its end although it is cancelled."""
    words = ["canceller,0,20", f"invoke,0,{WAIT},v:300:0,o"]
    call = last(waiter, "context", f"session,{WAITING}", *words)
    assert (call["a1"], call["b1"]) == (300 // PIECE_MS, 0)


def test_cancellation_of_nothing(client):
    """Cancelling where no call runs has no effect and is no error; without a session it is EINVAL."""
    call = f"invoke,0,{GET_TIME},o,o"
    answers = client.run("context", SESSION, "cancel,0", call, "close,0", "cancel,0")
    assert [a.errno for a in answers] == ["OK"] * 5 + ["EINVAL"]
    assert answers[3].succeeded


# --- load -------------------------------------------------------------------------------------------------


def test_busy_clients(client):
    """While several clients call without a pause, another client is served."""
    before = numbers(client)
    with client.busy(clients=3, sessions=2):
        inside = numbers(client)
        assert inside["number of a new session"] >= before["number of a new session"] + 6
