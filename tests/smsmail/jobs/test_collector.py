"""Workers of both kinds start with a tuned garbage collector."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT

EMBEDDED = """
import gc, os, signal
import django; django.setup()
from django.core.management import call_command
def started(_signals):
    print(gc.get_threshold(), gc.get_freeze_count() > 10_000, flush=True)
    os._exit(0)
signal.sigwait = started
call_command("runworker")
"""
CELERY = """
import gc
from celery.signals import worker_process_init
import smsmail.celery
worker_process_init.send(sender=None)
print(gc.get_threshold(), gc.get_freeze_count() > 10_000)
"""


@pytest.mark.parametrize("worker", [EMBEDDED, CELERY], ids=["embedded", "celery"])
def test_a_worker_tunes_it_at_the_start(worker: str, tmp_path: Path) -> None:
    environment = {"DATABASE_URL": "", "REDIS_URL": "", "DATA_DIR": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-c", worker],
        cwd=ROOT,
        env=os.environ | environment | {"DJANGO_SETTINGS_MODULE": "smsmail.settings"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert told.stdout == "(100000, 50, 50) True\n"
