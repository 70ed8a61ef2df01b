"""Asyncio without I/O of its own: the pump that drives lanes, the watcher and the courier that decide with core.

The world is reached through the ports in ``ports`` alone.
"""
