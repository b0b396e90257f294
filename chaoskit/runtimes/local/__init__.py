"""The `local` runtime: a system as Linux processes under a supervisor, no Docker and no root needed.

    conductor ──socketpair, JSON lines──► supervisor (own session, subreaper, janitor)
        │                                     ├── keeper ── service ── its children
        │ reads /proc itself                  ├── keeper ── embedded toxiproxy
        └─────────────────────────────────    └── keeper ── load, prober, pg_basebackup …

Nothing is imported here: the supervisor runs inside this package and must start in milliseconds.
"""
