"""Reporters: each turns result.json into one form of report."""
