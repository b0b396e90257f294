"""Checks: each judges one question of the books from measurements; one file each, found by the registry."""
