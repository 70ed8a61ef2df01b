"""The show: simulated providers, a verifying receiver, and the real daemon killed half way.

- ``plan``: what each simulated task will do and which answers go wrong, thrown from one seed
- ``job``: one remote job, and the ledger entry that tells the truth about it
- ``queues``, ``videos``: the five dialects
- ``simulated``: one provider account and its server; ``providers``: all five, the Simulation
- ``customer``: a user of both sides, who submits jobs and registers tasks
- ``receiver``: the endpoint that verifies every signature, and its findings
- ``companion``: running these as processes that end with their parent
- ``house``: the daemon as a process; its config file, start and kill
- ``summary``: truth held against what arrived; the table and the complaints
- ``display``: live progress
- ``stage``, ``show``: everybody together, from first task to exit status
"""
