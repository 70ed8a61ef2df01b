"""Logs, metrics and systemd notification."""
