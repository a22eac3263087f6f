"""What ``[feedback]`` may say, and what an inbound listener may."""

from pathlib import Path

import pytest

from relay.base.errors import ConfigError
from relay.daemon.settings.config import parse

HERE = Path("/etc/relay/relay.toml")
LISTENER = '[[listener]]\naddress = "127.0.0.1:25"\nrole = "inbound"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[feedback]\ncomplaints = 'nobody'", "feedback.complaints: 'nobody' is not an address"),
        ("[feedback]\nmessage_size = '11 MiB'", "feedback.message_size: 10 MiB at most"),
        ("[feedback]\nrate = -1", "feedback.rate: "),
        ("[feedback]\nrecipients = 0", "feedback.recipients: "),
        (LISTENER + "auth = 'required'", 'role = "inbound" takes mail from any server: leave auth out'),
        (LISTENER + "account = 'shop'", "leave account out"),
        (LISTENER + "trusted_networks = ['10.0.0.0/8']", "leave trusted_networks out"),
        (LISTENER + "tls = 'wrapper'", 'role = "inbound" needs tls = "starttls" or "none"'),
        (LISTENER + "proxy_protocol = true", "needs proxy_networks"),
    ],
)
def test_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, HERE)
    assert said in str(caught.value)


def test_taken() -> None:
    config = parse(LISTENER + "auth = 'none'\n[feedback]\ncomplaints = 'FBL@Relay.example'", HERE)
    assert config.feedback.complaints == "fbl@relay.example"
    assert config.listener[0].tls == "starttls"  # and there is no certificate: then it is not offered
