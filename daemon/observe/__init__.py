"""What the daemon tells of itself: logs, metrics, and word to systemd."""
