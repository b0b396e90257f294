"""Faults, one file each: what is broken on purpose, how it is witnessed, how it is undone."""
