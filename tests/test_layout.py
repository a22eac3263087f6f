"""The shape of the tree: every module has its tests beside it, a name that says what it is, and one page.

A module ``relay/STAGE/NAME.py`` has ``tests/STAGE/test_NAME.py``; the commands of the daemon have theirs in
``tests/daemon``. ``COVERED_ELSEWHERE`` names the exceptions and who covers them, and is kept honest here.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "relay"
MODULES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 400
BANNED = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "handler", "processor"}
# Addresses of package registries, in two halves, so that this file does not fail its own test.
REGISTRIES = [
    "pypi" + ".org",
    "files.pythonhosted" + ".org",
    "registry.npmjs" + ".org",
    "proxy.golang" + ".org",
]

WORDS_ONLY = {
    "relay/__main__.py",
    "relay/admin/account_metrics.py",
    "relay/admin/client_metrics.py",
    "relay/admin/delivery_metrics.py",
    "relay/admin/host_facts.py",
    "relay/admin/metric.py",
    "relay/admin/process_metrics.py",
    "relay/admin/queue_metrics.py",
    "relay/base/events.py",  # dataclasses and enumerations without behaviour
    "relay/base/message.py",
    "relay/base/outcome.py",
    "relay/base/parked.py",
    "relay/base/tls_session.py",
    "relay/daemon/exits.py",
    "relay/traffic/settings.py",
    "relay/traffic/site_rule.py",
    "relay/transport/settings.py",
    "relay/directory/migrations/env.py",
}
COVERED_ELSEWHERE = {
    "relay/daemon/commands/app.py": "tests/daemon/test_cli.py",
    "relay/daemon/commands/explain.py": "tests/daemon/test_queue.py",
    "relay/daemon/commands/suspend.py": "tests/daemon/test_queue.py",
    "relay/daemon/commands/filters.py": "tests/daemon/test_queue.py",
    "relay/daemon/commands/steer.py": "tests/daemon/test_queue.py",
    "relay/daemon/settings/delivery_sections.py": "tests/daemon/test_sections.py",
    "relay/daemon/supervisor/overview.py": "tests/daemon/test_status.py",
    "relay/daemon/worker/outbound.py": "tests/daemon/test_wiring.py",
    "relay/daemon/settings/section.py": "tests/daemon/test_sections.py",
    "relay/daemon/notifier/topic_poster.py": "tests/daemon/test_posting.py",
    "relay/directory/migrations/versions/v0001_accounts.py": "tests/directory/test_database.py",
    "relay/directory/migrations/versions/v0002_life.py": "tests/directory/test_database.py",
    "relay/directory/migrations/versions/v0003_delivery.py": "tests/directory/test_database.py",
    "relay/directory/migrations/versions/v0004_feedback.py": "tests/directory/test_database.py",
    "relay/spool/aside.py": "tests/spool/test_recover.py",
    "relay/spool/reader.py": "tests/spool/test_shard.py",
    "relay/spool/rebuild.py": "tests/spool/test_recover.py",
    "relay/spool/remnant.py": "tests/spool/test_rows.py",
    "relay/traffic/admission.py": "tests/traffic/test_scheduler.py",
    "relay/traffic/loader.py": "tests/traffic/test_scheduler.py",
    "relay/traffic/neighbours.py": "tests/traffic/test_scheduler.py",
    "relay/traffic/settling.py": "tests/traffic/test_scheduler.py",
    "relay/transport/answers.py": "tests/transport/test_resolve.py",
    "relay/transport/connection.py": "tests/transport/test_pool.py",
    "relay/transport/mail_exchangers.py": "tests/transport/test_route.py",
    "relay/transport/site_pool.py": "tests/transport/test_pool.py",
    "relay/transport/wire.py": "tests/transport/test_session.py",
    "relay/transport/work.py": "tests/transport/test_pool.py",
}
# Longer than a module should be: what each may have now, so that it does not grow on.
LONG = {"relay/spool/committer.py": 430}


def name_of(module: Path) -> str:
    return module.relative_to(ROOT).as_posix()


def mirror(module: Path) -> Path:
    """Where the tests of a module are looked for."""
    stage = module.relative_to(PACKAGE).parts[0]
    return ROOT / "tests" / stage / f"test_{module.stem}.py"


def test_every_module_has_its_tests() -> None:
    missing = [
        f"{name_of(module)}: no {mirror(module).relative_to(ROOT)}"
        for module in MODULES
        if module.name != "__init__.py"
        and name_of(module) not in WORDS_ONLY | set(COVERED_ELSEWHERE)
        and not mirror(module).exists()
    ]
    assert missing == []


def test_the_exceptions_are_true() -> None:
    for name in WORDS_ONLY | set(COVERED_ELSEWHERE):
        assert (ROOT / name).exists(), f"{name} is gone: take it off the list"
        if name != "relay/__main__.py":  # the mirror of a module at the top would be a folder
            assert not mirror(ROOT / name).exists(), f"{name} has its tests now: take it off the list"
    for name, tests in COVERED_ELSEWHERE.items():
        assert (ROOT / tests).exists(), f"{name} is said to be covered by {tests}"


@pytest.mark.parametrize(
    "name", sorted(WORDS_ONLY - {"relay/directory/migrations/env.py", "relay/__main__.py"})
)
def test_words_have_no_behaviour(name: str) -> None:
    """A word-only module has no function longer than a few lines; one that grows gets tests of its own."""
    tree = ast.parse((ROOT / name).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 6, f"{name}: {node.name}"


def test_names_say_what_a_module_is() -> None:
    paths = [*MODULES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")]
    found = [
        name_of(path)
        for path in paths
        if BANNED & {*path.stem.split("_"), *path.relative_to(ROOT).parts[:-1]}
    ]
    assert found == []


def test_a_module_fits_a_few_pages() -> None:
    lines = {name_of(module): len(module.read_text().splitlines()) for module in MODULES}
    assert {name: count for name, count in lines.items() if count > LONG.get(name, MAX_LINES)} == {}


def test_a_module_says_what_it_is() -> None:
    without = [
        name_of(module)
        for module in MODULES
        if module.read_text().strip() and not ast.get_docstring(ast.parse(module.read_text()))
    ]
    assert without == []


def test_nothing_refers_to_where_it_was_made() -> None:
    files = [*MODULES, *ROOT.glob("README*")]
    files += [one for top in ("conf", "systemd", "docs", "packaging") for one in (ROOT / top).rglob("*")]
    words = ["/work" + "/", *REGISTRIES]
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in files
        if path.is_file()
        for word in words
        if word in path.read_text(errors="replace")
    ]
    assert found == []
