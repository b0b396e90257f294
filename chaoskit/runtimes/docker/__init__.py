"""Services as containers of a local Docker Engine, started through Testcontainers, the real Toxiproxy between them.

services ── one container for each replica, on the Compose file's own networks
links    ── Toxiproxy containers, one link-local address for each link
load, prober ── processes of this machine, under the run's supervisor
"""
