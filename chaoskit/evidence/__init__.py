"""The recorded history of a run: written once, hash-chained and sealed, read back with every damage named."""

from chaoskit.evidence.chain import Chain, ChainWriter, verify
from chaoskit.evidence.history import load_history
from chaoskit.evidence.schema import result_schema
from chaoskit.evidence.seal import seal_files, seal_problems

__all__ = [
    "Chain",
    "ChainWriter",
    "load_history",
    "result_schema",
    "seal_files",
    "seal_problems",
    "verify",
]
