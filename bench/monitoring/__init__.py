"""What watches a relay: the dashboard's source, and Prometheus run beside a relay with mail of every kind.

``python -m bench.monitoring.dashboard`` prints conf/grafana/relay.json, ``python -m bench.monitoring`` prints
docs/dashboard.md: every query of the dashboard with what a real Prometheus answered.
"""
