# SPDX-License-Identifier: MIT
"""The twin's answer to LOAD_FW: the loader that a profile describes, upstream's or ST's."""

from mpbench.twin.image import Stop, View
from mpbench.twin.openstlinux import StLoad
from mpbench.twin.openstlinux_platform import StPlatform
from mpbench.twin.platform import Digest, Platform
from mpbench.twin.profile import Profile
from mpbench.twin.upstream import UpstreamLoad
from mpbench.twin.values import Outcome


def platform_of(profile: Profile, core: int, *, digest: Digest | None = None) -> Platform:
    """The platform that a profile describes, idle; core: processor id; digest: see Platform."""
    kind = Platform if profile.loader == "upstream" else StPlatform
    return kind(profile, core, digest=digest)


def load(
    image: bytes | bytearray | memoryview, profile: Profile, core: str | int, *, contexts: int = 1
) -> Outcome:
    """Answer to LOAD_FW for a core that is off, on an idle board. Never raises on any bytes.

    core: name or processor id; contexts: cores loaded since the board booted, this one included: the TA
    keeps some heap for each. UsageError: a core name that the profile lacks, a profile without a key.
    """
    number = core if isinstance(core, int) else profile.core(core).id
    return load_off(image, platform_of(profile, number), contexts)


def load_off(
    image: bytes | bytearray | memoryview | View, platform: Platform, contexts: int, *, aligned: bool = True
) -> Outcome:
    """Answer to LOAD_FW for a core that is off, given the platform's state; contexts: see load().

    aligned: whether the shared buffer starts at a multiple of 4 bytes.
    """
    view = image if isinstance(image, View) else View(image)
    if isinstance(platform, StPlatform):
        run: UpstreamLoad = StLoad(view, platform, contexts, aligned)
    else:
        run = UpstreamLoad(view, platform, contexts, aligned)
    try:
        run.all()
    except Stop as stop:
        return run.refused(stop)
    return run.accepted()
