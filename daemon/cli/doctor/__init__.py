"""``pollhook doctor``: looks at everything the daemon depends on, and says what to do about what it finds.

``finding`` is what a check says; ``setup``, ``database``, ``clock``, ``network``, ``lanes``, ``service`` and ``unit``
are the checks; ``command`` runs them and prints. A check never raises for what it finds and changes nothing.
"""
