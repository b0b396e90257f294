"""`python -m chaoskit.toxiproxy` starts the embedded server."""

import sys

from chaoskit.toxiproxy.server.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
