"""Conducts a run: timeline, leases and events, and the measurers that play the customers."""
