"""Dates as the law counts them. Pure: numpy and the standard library; today is always an argument.

Belongs here: legal age, windows, fiscal years and school grades, counting of periods, holidays and closed days, eras.
Does not belong here: anything about programmes, households or the clock.
To add one: a module per idea, day numbers (int32, days since 1970-01-01) where the rules need many, a thin wrapper for
one date, a ``Basis:`` line with the article, and the golden case as a test in ``tests/unit/calendar``.
"""
