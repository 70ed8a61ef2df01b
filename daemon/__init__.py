"""Pollhook: webhooks for APIs that only poll.

The map of the package, from the bottom up; imports point downward only:

    core        what answers mean, when to look next, what a webhook says (pure)
    engine      the pump that drives lanes, the watcher and the courier, and the ports to the world
    net         aiohttp plumbing: one deadline, capped reads, the egress guard
    providers   provider definitions (data) and the HTTP client that reads answers by them
    webhooks    the sender: sign, POST, classify
    store       SQLite: one writer with group commit, readers, migrations
    api         the local HTTP API
    config      settings, turned into core values
    observe     logs, metrics, systemd notification
    demo        simulated providers, a verifying receiver, the show
    service     the composition root: open, recover, announce ready, run, drain
    cli         the command line, a thin client of the API
"""

__version__ = "0.1.0"
