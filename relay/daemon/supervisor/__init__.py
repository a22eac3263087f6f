"""The supervisor's side: sockets, children, the ledger of limits, control socket, HTTP."""
