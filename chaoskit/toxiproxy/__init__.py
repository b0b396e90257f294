"""Toxiproxy for drills: a client adapter, and an embedded server that speaks the same wire protocol.

Nothing is imported here on purpose: the server must start quickly and does not need the client's HTTP library.
"""
