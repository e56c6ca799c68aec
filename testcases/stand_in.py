# SPDX-License-Identifier: MIT
"""Base of the objects that a test passes in place of a board, a session or a coordinator.

A stand-in has the few methods that its test reaches, so it matches no protocol in full. A type checker
accepts it for every type; at run time it is a plain class.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any as StandIn
else:
    StandIn = object

__all__ = ["StandIn"]
