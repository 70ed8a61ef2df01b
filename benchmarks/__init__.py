"""Measurements that print their comparison from the same run; one command each: ``python -m benchmarks.NAME``.

Three benchmarks share a cast: the daemon as a real process on one core, and servers too light to be the limit on the
other. Whatever is compared takes turns (A B A B …) and the median of the rounds counts, so that a busy machine slows
both sides alike.
"""
