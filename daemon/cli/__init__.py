"""The command line: a thin client of the API, and the door to the service.

Nothing heavy is imported at the top of these modules: ``pollhook --help`` answers at once, and a command pays only for
what it uses.
"""
