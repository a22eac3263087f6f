"""The real Prometheus on loopback, with the files of conf/prometheus, but for targets and intervals.

    with Prometheus(folder, ["127.0.0.1:9125"]) as prometheus:
        prometheus.wait_for("up == 1")
        prometheus.query('relay_worker_up')            # [({"worker": "0", ...}, 1.0), ...]

Its log is in the folder. Leaving ends it by its pid.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.fakes.prepared import Port, wait_until

FILES = Path(__file__).parents[2] / "conf" / "prometheus"
Sample = tuple[dict[str, str], float]


class Prometheus:
    """See above."""

    def __init__(self, folder: Path, targets: Sequence[str], program: str = "prometheus") -> None:
        shutil.copytree(FILES, folder)
        self.folder = folder
        self._program = program
        self._port = Port()
        self._process: subprocess.Popen[bytes] | None = None
        file = folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(_with(yaml.safe_load(file.read_text()), targets)))

    def __enter__(self) -> Prometheus:
        self._port.free()  # it takes no port that is held
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    self._program,
                    f"--config.file={self.folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self.folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port.number}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        try:
            wait_until(self._is_ready, "Prometheus is ready", 60.0)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(30)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        try:
            with urllib.request.urlopen(self._url("/-/ready"), timeout=10) as answer:
                return int(answer.status) == 200
        except OSError:
            return False

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port.number}{path}"

    def ask(self, path: str, **fields: str) -> Any:
        """What its API says. Raises ValueError with its words if it refuses."""
        url = f"{self._url('/api/v1/' + path)}?{urllib.parse.urlencode(fields)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(f"{fields}: {error.read().decode()}") from None

    def query(self, expression: str) -> list[Sample]:
        """The samples of now."""
        found = self.ask("query", query=expression)
        assert found["resultType"] == "vector", expression
        return [(one["metric"], float(one["value"][1])) for one in found["result"]]

    def wait_for(self, expression: str, timeout_s: float = 60.0) -> list[Sample]:
        """Until there is a sample."""
        found: list[Sample] = wait_until(
            lambda: self.query(expression), f"Prometheus finds {expression}", timeout_s, 0.2
        )
        return found

    def rules(self) -> list[dict[str, Any]]:
        """All recording rules and alerts, with their health."""
        return [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]


def _with(settings: dict[str, Any], targets: Sequence[str]) -> dict[str, Any]:
    """The settings for a test: these targets, and a second in place of a quarter of a minute."""
    settings["global"].update(scrape_interval="1s", evaluation_interval="1s")
    (job,) = (one for one in settings["scrape_configs"] if one["job_name"] == "relay")
    job["static_configs"] = [{"targets": list(targets)}]
    job["scrape_timeout"] = "1s"
    return {**settings, "scrape_configs": [job]}
