"""Figures people may see: counted by the worker, stored per municipality and programme, suppressed when shown.

Belongs here: funnels, small-cell suppression, reports. Not here: any row of a single household.
"""
