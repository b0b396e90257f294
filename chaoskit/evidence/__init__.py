"""The recorded history of a run: written once, hash-chained and sealed, read back with every damage named."""
