"""The criteria language and its one evaluator. Pure: numpy, pydantic and the standard library.

Belongs here: documents of rules, facts, parameters and households; evaluation, timelines, amounts, deadlines,
explanation. Does not belong here: reading files, the database, the clock, wording (phrases come in as a value).
"""
