"""Crediting, pure: events and a catalog in, decisions out (RULES.md). No IO, no clock, no order of arrival."""

from processors.core.claims import Standing, stand
from processors.core.session import Refusal, SessionDecision, decide_session
from processors.core.terms import CompiledCatalog, CompiledLog
from processors.core.touch import SessionTouches, Touch

__all__ = [
    "CompiledCatalog",
    "CompiledLog",
    "Refusal",
    "SessionDecision",
    "SessionTouches",
    "Standing",
    "Touch",
    "decide_session",
    "stand",
]
