"""relay.toml(5): every setting of the model, with the words of the file."""

import subprocess
from pathlib import Path

import pytest

from relay.daemon.manual.settings_page import fields_of, kind_of, settings_page
from relay.daemon.manual.settings_text import read
from relay.daemon.settings.section import Section
from relay.daemon.settings.sections import Config

CONF = Path(__file__).parents[2] / "conf" / "relay.toml"


def test_file_and_model_have_the_same_settings() -> None:
    _, tables = read(CONF.read_text())
    described = {table.name: sorted(table.names()) for table in tables}
    assert {name.split(".")[0] for name in described} == set(Config.model_fields) - {"path"}
    known = {
        name: sorted(
            field
            for field in fields_of(name)
            if f"{name}.{field}" not in described  # not a table itself
        )
        for name in described
    }
    assert described == known


@pytest.mark.parametrize(
    ("table", "setting", "kind"),
    [
        ("listener", "address", "list of host:port"),
        ("listener", "tls", '"starttls" or "wrapper" or "none"'),
        ("listener", "trusted_networks", "list of network"),
        ("limits", "message_size", "size"),
        ("limits", "connections", "whole number"),
        ("delivery", "max_age", "duration"),
        ("delivery", "retry_jitter", "number"),
        ("spool", "path", "file name"),
        ("content", "header_rules", "true or false"),
        ("signing.service_key", "selector", "text"),
        ("metrics", "listen", "host:port"),
    ],
)
def test_the_kind_of_a_setting(table: str, setting: str, kind: str) -> None:
    assert kind_of(fields_of(table)[setting]) == kind


def test_a_table_that_is_none() -> None:
    with pytest.raises(KeyError):
        fields_of("spol")
    assert issubclass(Config, Section)


@pytest.fixture(scope="module")
def source() -> str:
    return settings_page(CONF.read_text(), "2026-01-31", "1.2.3")


def test_the_page_shows_it(source: str) -> None:
    run = ["groff", "-man", "-Tutf8", "-P-cbou", "-ww", "-rLL=110n"]
    done = subprocess.run(run, input=source, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    lines = [line.strip() for line in done.stdout.split("\n")]
    assert 'hostname* = "mail.example.com" (text)' in lines
    assert 'message_size = "10 MiB" (size)' in lines
    assert "[restart]" not in done.stdout


def test_mandoc_finds_nothing(source: str) -> None:
    done = subprocess.run(["mandoc", "-Tlint"], input=source, capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""
