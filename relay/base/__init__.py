"""Words shared by every stage: no I/O but the clock and tasks, no third-party imports but idna (address)."""
