"""One adapter per engine of state, and the looks at a protocol that faults, responses and probes share."""
