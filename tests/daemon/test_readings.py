"""What a worker counts is what the scrape shows."""

from relay.admin import metrics
from relay.daemon.worker.readings import readings
from tests.daemon.conftest import Started


async def test_readings_are_what_the_scrape_shows(started: Started) -> None:
    await started.submit()
    found = readings(started.works)
    of_process = {"cpu_seconds", "resident_bytes", "peak_resident_bytes"}
    shown = {*metrics._COUNTERS, *metrics._GAUGES, *metrics._LABELLED}
    assert shown - set(found) - of_process == set()
    assert found["accepted"] == 1
    assert all(isinstance(one, int | float | dict) for one in found.values())
