"""The reference pages, made from the code they describe; ``python -m docs.generate`` writes them anew.

A page is never edited by hand: a test compares each with what the code says now.
"""
