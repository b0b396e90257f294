"""The embedded Toxiproxy server: pure Python, wire compatible with Toxiproxy 2.12."""

#: The version whose wire protocol this server speaks, and what `/version` answers.
PROTOCOL_VERSION = "2.12.0"
