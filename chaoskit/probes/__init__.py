"""Probes, one file each: a look at one service, direct and in its own protocol, that does not know the injector."""
