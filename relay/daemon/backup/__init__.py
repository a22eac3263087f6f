"""Backup and restore: what a relay has on disk, copied while it runs, checked, and put back."""
