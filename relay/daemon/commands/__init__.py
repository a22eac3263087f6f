"""The subcommands of ``relay``, one module a noun."""
