"""Judgement: pass, fail, unknown or aborted, each with its reason and the events it rests on."""

from chaoskit.judge.judge import EXIT_CODES, EXIT_INTERRUPTED, GRAVEST_FIRST, judge

__all__ = ["EXIT_CODES", "EXIT_INTERRUPTED", "GRAVEST_FIRST", "judge"]
