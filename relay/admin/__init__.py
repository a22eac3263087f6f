"""What operators see: metrics and health. Only reads; changes go through ``relay.daemon``."""
