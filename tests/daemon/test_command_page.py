"""relay(1): every subcommand with every option, in a form that the programs that show it take."""

import subprocess

import pytest

from relay.daemon.manual.command_page import command_page
from relay.daemon.manual.tree import Argument, Command, Option, tree

ROOT = Command(
    ("relay",),
    "A relay.",
    (Option(("--config", "-c"), "The file.", "FILE", is_file=True),),
    (),
    (
        Command(
            ("relay", "queue"),
            "The queue.",
            (),
            (),
            (
                Command(
                    ("relay", "queue", "list"),
                    "What waits.\n\nAll of it.",
                    (Option(("--limit",), "At most.", "NUMBER", default="100"), Option(("--json",), "JSON.")),
                    (
                        Argument("DOMAIN", "To it.", is_required=False),
                        Argument("HOW", "", choices=("a", "b")),
                    ),
                ),
            ),
        ),
    ),
)


def shown(source: str) -> str:
    run = ["groff", "-man", "-Tascii", "-P-cbou", "-ww", "-rLL=200n"]
    done = subprocess.run(run, input=source, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def test_a_command_is_shown_with_its_options() -> None:
    text = shown(command_page(ROOT, "2026-01-31", "1.2.3"))
    after = text[text.index("COMMANDS") : text.index("EXIT STATUS")]
    lines = [line.strip() for line in after.split("\n") if line.strip()]
    assert lines == [
        "COMMANDS",
        "relay queue list",
        "relay queue list [OPTION]... [DOMAIN] HOW",
        "What waits.",
        "All of it.",
        "DOMAIN To it.",
        "HOW    One of a, b.",
        "--limit NUMBER",
        "At most. Default: 100.",
        "--json JSON.",
    ]
    assert "relay 1.2.3" in text
    assert "2026-01-31" in text


@pytest.fixture(scope="module")
def real() -> str:
    return command_page(tree(), "2026-01-31", "1")


def test_all_of_it_is_there(real: str) -> None:
    text = shown(real)
    missing = [
        " ".join(one.path) for one in tree().walk() if not one.children and " ".join(one.path) not in text
    ]
    missing += [name for one in tree().walk() for x in one.options for name in x.names if name not in text]
    assert missing == []


def test_mandoc_finds_nothing(real: str) -> None:
    done = subprocess.run(["mandoc", "-Tlint"], input=real, capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""
