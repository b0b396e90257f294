"""Runtimes: each provisions a system as an estate, one folder a runtime, none imported before it is asked for."""
