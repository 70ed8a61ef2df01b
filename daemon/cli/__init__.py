"""The command line: a thin client of the API, and the door to the service."""
