"""The Celery application, for `celery -A workers.celery_app worker -Q delivery,work` and for beat.

The broker is a doorbell. Rows in PostgreSQL say what is to be done, so messages may be lost or doubled: they are
acknowledged early, fetched only when a process is free, and never retried, delayed or answered. Workers know nothing
of each other: what goes on is in the database (`todoke health`), not in Celery's remote control.
"""

import gc
from collections.abc import Sequence
from typing import Any

from celery import Celery, signals
from celery.worker.consumer.gossip import Gossip
from celery.worker.consumer.mingle import Mingle

from app.delivery import dispatch
from app.platform import bell
from app.platform.database import dispose_engines
from app.platform.logs import configure_logs
from app.platform.settings import settings
from workers.schedule import SCHEDULE

configure_logs()
app = Celery("todoke", broker=settings().redis.url, include=["workers.tasks"])
app.conf.update(
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    task_acks_late=False,
    worker_disable_prefetch=True,
    worker_prefetch_multiplier=1,
    task_default_queue=bell.WORK_QUEUE,
    task_routes={bell.DISPATCH: {"queue": bell.DELIVERY_QUEUE}, bell.SWEEP: {"queue": bell.DELIVERY_QUEUE}},
    task_create_missing_queues=True,
    task_soft_time_limit=120,
    task_time_limit=150,
    worker_soft_shutdown_timeout=10,
    worker_hijack_root_logger=False,
    worker_enable_remote_control=False,
    worker_max_memory_per_child=600_000,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        "visibility_timeout": 300,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
    },
    timezone="Asia/Tokyo",
    beat_schedule=SCHEDULE,
    # In memory: every entry is an interval that may as well begin anew, and a second beat does no harm.
    beat_scheduler="celery.beat:Scheduler",
)
# Nobody here subscribes to anything in the broker. Where a subscription's connection breaks, the client reconnects by
# itself and may then wait for a message without end, in the loop that fetches tasks (seen under `make chaos`).
Gossip.compatible_transports = Mingle.compatible_transports = frozenset()


@signals.task_prerun.connect
def _hear(task: Any, args: Sequence[str], **_: Any) -> None:
    bell.heard(task.name, args)


@signals.worker_process_init.connect
def _begin_process(**_: Any) -> None:
    dispose_engines()  # connections that the parent may have opened are not ours
    # What was imported stays until the end: the collector need not look through it again and again (measured: a third
    # of all time while sending), and not after each handful of messages (measured: a twelfth).
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


@signals.worker_process_shutdown.connect
@signals.worker_shutdown.connect
def _end_process(**_: Any) -> None:
    try:
        dispatch.close_own()
    finally:
        dispose_engines()
