"""Looks at the host that the relay runs on: one module for each thing; ``relay.admin`` judges."""
