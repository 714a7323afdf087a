"""Celery processes: they start things and hold no logic.

Belongs here: the Celery application, the beat schedule, and tasks that parse ids, call one use case and log a summary.
Not here: SQL, rules, wording. To add a task: its name in `app.platform.bell`, a function in `tasks.py`, and where it
runs by the clock a line in `schedule.py`.
"""
