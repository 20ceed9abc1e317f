"""kill -9 for the web server, and the end of the database, while services report: every receipt that was
acknowledged is stored.
"""

import http.client
import threading
import time
from pathlib import Path
from types import TracebackType

import pytest

from tests.crash.servers import Postgres
from tests.crash.stage import Stage, kill
from tests.processes import wait_until

CLIENTS = 12


@pytest.mark.only_postgresql
def test_no_acknowledged_receipt_is_lost_with_the_web_server(tmp_path: Path) -> None:
    with Stage(tmp_path, people=1, batch=10) as stage:
        stage.launch()
        stage.serve(whole=True)
        with Services(stage.web_port) as services:
            for _ in range(2):
                services.wait_for_more()
                assert stage.web is not None
                kill(stage.web)
                stage.serve(whole=True)
            services.wait_for_more()
        services.assert_stored(stage.receipts())


@pytest.mark.only_postgresql
def test_no_acknowledged_receipt_is_lost_with_the_database(tmp_path: Path) -> None:
    with (
        Postgres() as postgres,
        Stage(tmp_path, people=1, batch=10, database_url=postgres.url) as stage,
    ):
        stage.launch()
        stage.serve(whole=True)
        with Services(stage.web_port) as services:
            for _ in range(2):
                services.wait_for_more()
                postgres.stop()
                services.wait_for_503()
                postgres.start()
            services.wait_for_more()
        assert not services.broken  # the web server itself was always there
        services.assert_stored(stage.receipts())


class Services:
    """They report from several threads until the block ends, and know what was acknowledged."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.acknowledged: list[str] = []
        self.put_off = 0  # 503: the service would call again
        self.broken = 0  # the connection ended without an answer
        self.others: list[int] = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._report, args=(n,)) for n in range(CLIENTS)]

    def __enter__(self) -> "Services":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _at: TracebackType | None,
    ) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()

    def wait_for_more(self, count: int = 100) -> None:
        """Until so many more are acknowledged."""
        wanted = len(self.acknowledged) + count
        wait_until(lambda: len(self.acknowledged) >= wanted, 60, "acknowledged receipts")

    def wait_for_503(self) -> None:
        """Until each client has been put off, or some of them more often."""
        wanted = self.put_off + CLIENTS
        wait_until(lambda: self.put_off >= wanted, 30, "receipts that are put off")

    def assert_stored(self, bodies: list[str]) -> None:
        assert not self.others
        missing = set(self.acknowledged) - set(bodies)
        assert not missing, f"{len(missing)} of {len(self.acknowledged)} are missing"

    def _report(self, client: int) -> None:
        number = 0
        while not self.over.is_set():
            number += 1
            body = f"id=client-{client}-{number}&phone=79980000001&status=1"
            web = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                web.request("POST", "/hooks/smsc/made-up-key/", body)
                status = web.getresponse().status
            except (OSError, http.client.HTTPException):
                self.broken += 1
                time.sleep(0.05)
            else:
                self._note(status, body)
            finally:
                web.close()

    def _note(self, status: int, body: str) -> None:
        if status == 200:
            self.acknowledged.append(body)
        elif status == 503:
            self.put_off += 1
            time.sleep(0.02)
        else:
            self.others.append(status)
