"""Goal beside a known product: django-post_office 3.12 queues and sends messages from the same database, to a backend
that does nothing. It is no dependency of smsmail: this part installs it into a folder of its own.
"""

import json
import os
import subprocess
import sys
import tempfile

from benchmarks import batch
from benchmarks.cost import Cost, show
from benchmarks.goals import Measured
from benchmarks.options import size

PACKAGES = ("django-post-office==3.12.0", "nh3==0.3.8")


def beside_post_office() -> Measured:
    """Compare with preparing and handing over, receipts apart: it knows none."""
    ours = batch.ours().sent
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder]
        subprocess.run([*pip, *PACKAGES], check=True)
        theirs = _theirs(folder, size(5_000, 20_000))
    show("django-post_office", [("queue and send", theirs)])
    return Measured(
        theirs.us / ours.us,
        {
            "us ours": ours.us,
            "us django-post_office": theirs.us,
            "by wall": ours.rate / theirs.rate,
            "messages/s django-post_office": theirs.rate,
        },
    )


def _theirs(folder: str, people: int) -> Cost:
    environment = os.environ | {"PYTHONPATH": folder}
    command = [sys.executable, "-m", "benchmarks.peer_program", str(people)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return Cost(**json.loads(done.stdout.splitlines()[-1]))
