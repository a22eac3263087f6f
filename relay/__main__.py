"""``python -m relay``: the same as the command ``relay``."""

from relay.daemon.cli import main

if __name__ == "__main__":
    main()
