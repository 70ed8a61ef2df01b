"""The show: simulated providers, a verifying receiver, and the real daemon killed half way."""
