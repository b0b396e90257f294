"""Responses, one file each: a step of a runbook, done by machine and proven."""
