"""The notifier's side: what is made of the event log, and who is told."""
