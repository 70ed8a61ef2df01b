"""Aiohttp plumbing that adapters share: one deadline, capped reads, the egress guard at the socket."""
