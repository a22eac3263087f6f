"""What a worker counts is what the scrape shows."""

import json

from relay.admin.metric import Kind, Of
from relay.admin.metric_names import METRICS
from relay.base.clock import SystemClock
from relay.daemon.vitals import Vitals
from relay.daemon.worker.readings import readings
from tests.daemon.conftest import Started


async def test_readings_are_what_the_scrape_shows(started: Started) -> None:
    await started.submit()
    found = {**readings(started.works), **Vitals(SystemClock()).readings()}
    for whose in (Of.WORKER, Of.PROCESS):
        for metric in METRICS[whose]:
            reading = found[metric.key]
            if metric.kind is Kind.HISTOGRAM:
                assert tuple(reading["le"]) == metric.bounds, metric.name
            elif metric.labels:
                assert isinstance(reading, dict), metric.name
            else:
                assert isinstance(reading, int | float), metric.name
    assert json.loads(json.dumps(found)) == found  # it goes over the link
    assert found["accepted"] == found["accepted_recipients"] == 1
    assert found["message_size"]["sum"] == found["accepted_bytes"] > 0
    assert sum(found["commit_changes"]["counts"]) == found["commits"] > 0
    assert sum(found["sync_seconds"]["counts"]) >= found["commits"]
    assert found["listener_connections"] == found["listener_sessions"] == {"127.0.0.1:0": 0}
