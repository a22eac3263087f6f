"""What worker 0 looks after, in the works of a real worker."""

from math import inf
from typing import Any

import pytest

from relay.daemon.duties.roster import duties
from relay.daemon.duties.watch import Watch
from relay.directory.records import IdentityState
from tests.daemon.conftest import Started
from tests.fakes.prepared import ACCOUNT


def duty_of(started: Started, name: str) -> Any:
    (found,) = [one for one in started.works.watch._duties if one.name == name]
    return found


async def test_each_kind_of_record_is_looked_after(started: Started) -> None:
    assert len({one.name for one in started.works.watch._duties}) == 5
    assert duty_of(started, "identities").claim(0) == ()
    works = started.works
    off = "[delivery]\nmta_sts = false\n[tls_reports]\nenabled = false\n[workers]"
    config = started.changed(("[workers]", off))
    found = duties(
        config=lambda: config,
        directory=works.directory,
        resolver=works.outbound.resolver,
        notices=works.notices,
        account=works.live.current.account,
        clock=works.clock,
        outbound=works.outbound,
    )
    assert {one.name for one in found} == {"dkim", "identities", "mail-from"}


@pytest.mark.parametrize(
    ("url", "link"),
    [("https://relay.example/", "https://relay.example/verify/"), ("", "")],
)
async def test_links_lead_to_the_public_url(started: Started, url: str, link: str) -> None:
    works = started.works
    config = started.changed(("[workers]", f'[verification]\nurl = "{url}"\n[workers]'))
    (identities,) = [
        one
        for one in duties(
            config=lambda: config,
            directory=works.directory,
            resolver=works.outbound.resolver,
            notices=works.notices,
            account=works.live.current.account,
            clock=works.clock,
            outbound=works.outbound,
        )
        if one.name == "identities"
    ]
    works.directory.identities.add(ACCOUNT, "new@owner.example")
    standing = works.directory.life.standing("new@owner.example")
    made = identities._link(standing, works.clock.now() + 60)  # type: ignore[attr-defined]
    assert made.startswith(link)
    assert bool(made) == bool(url)


async def test_a_round_sends_the_mail_that_is_due(started: Started) -> None:
    works = started.works
    works.directory.identities.add(ACCOUNT, "bad..name@owner.example")
    watch = Watch([duty_of(started, "identities")])
    await watch.round()
    assert works.directory.life.standing("bad..name@owner.example").state is IdentityState.PENDING


async def test_keys_end_after_the_oldest_message_that_waits(started: Started) -> None:
    duty = duty_of(started, "dkim")
    before = started.works.clock.now()
    assert duty._oldest() == inf
    await started.submit()
    assert before <= duty._oldest() <= started.works.clock.now()
