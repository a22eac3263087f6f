"""SNS's envelope, checked as a receiver does, by openssl."""

import base64
import json
import subprocess
import uuid
from pathlib import Path

from relay.base.arn import topic_arn
from relay.codec.sns_envelope import headers, signed_text, wrap
from relay.daemon.sns_certificate import CERTIFICATE, load
from tests.fakes.machine import need

UID = uuid.UUID("6d8f8a52-6f38-4d3b-9a4e-0a5f5c1f7b10")
ARN = topic_arn("us-east-1", 7, "news")


def test_openssl_verifies_what_is_signed(tmp_path: Path) -> None:
    pair = load(tmp_path, "relay.example", 1_700_000_000.0)
    told = wrap(b'{"a":"\\u00e4\\n"}', UID, ARN, 1_700_000_000.25, pair.url("https://r.example/"), pair.sign)
    members = json.loads(told)
    assert members["Message"] == '{"a":"\\u00e4\\n"}'
    assert (members["Timestamp"], members["Type"]) == ("2023-11-14T22:13:20.250Z", "Notification")
    assert members["SigningCertURL"] == f"https://r.example/sns/{pair.name}"
    (tmp_path / "signature").write_bytes(base64.b64decode(members["Signature"]))
    openssl = need("openssl", "openssl")
    public = [openssl, "x509", "-in", str(tmp_path / CERTIFICATE), "-pubkey", "-noout"]
    (tmp_path / "public").write_bytes(subprocess.run(public, capture_output=True, check=True).stdout)
    verify = [
        openssl,
        "dgst",
        "-sha256",
        "-verify",
        tmp_path / "public",
        "-signature",
        tmp_path / "signature",
    ]
    assert subprocess.run(verify, input=signed_text(members), capture_output=True).returncode == 0
    changed = signed_text(members | {"Message": "{}"})
    assert subprocess.run(verify, input=changed, capture_output=True).returncode == 1


def test_the_text_that_is_signed_is_that_of_the_guide_of_sns() -> None:
    members = {"Type": "Notification", "MessageId": "i", "TopicArn": "t", "Message": "m", "Timestamp": "s"}
    assert (
        signed_text(members) == b"Message\nm\nMessageId\ni\nTimestamp\ns\nTopicArn\nt\nType\nNotification\n"
    )


def test_the_header_says_what_it_is() -> None:
    assert headers(UID, ARN)["x-amz-sns-topic-arn"] == "arn:aws:sns:us-east-1:000000000007:news"
