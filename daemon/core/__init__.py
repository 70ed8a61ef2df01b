"""The pure domain: what answers mean, when to look next, what a webhook says.

Standard library only, and no clock, dice, socket, log or await: callers hand in *now* and *roll*.
Times named ``…_at`` are wall-clock Unix seconds and go into records; every other time is monotonic
seconds and is what decisions are made on, so a clock step can neither fire nor stall anything.
"""
