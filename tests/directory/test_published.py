"""Records as people copy them; lines of a zone file are read back by dnspython."""

import csv
import io

import dns.zone

from relay.directory.published import Record, csv_text, token_names, token_records, zone_line

RECORDS = [
    Record("_relay.example.org", "TXT", "a" * 300, "proof"),
    Record("abc._domainkey.example.org", "CNAME", "abc.dkim.relay.example", "key"),
    Record("bounce.example.org", "MX", "10 relay.example", "bounces"),
]


def test_lines_of_a_zone_file_mean_what_they_should() -> None:
    zone = dns.zone.from_text(
        "$TTL 60\n" + "\n".join(map(zone_line, RECORDS)), "example.org.", check_origin=False
    )
    texts = zone.find_rdataset("_relay", "TXT")[0].strings
    assert b"".join(texts).decode() == "a" * 300
    assert max(map(len, texts)) <= 255
    assert zone.find_rdataset("abc._domainkey", "CNAME")[0].target.to_text() == "abc.dkim.relay.example."
    assert zone.find_rdataset("bounce", "MX")[0].to_text() == "10 relay.example."


def test_csv_has_headings_and_one_line_a_record() -> None:
    rows = list(csv.reader(io.StringIO(csv_text(RECORDS))))
    assert rows[0] == ["Record Name", "Record Type", "Record Value"]
    assert rows[1:] == [[record.name, record.type, record.value] for record in RECORDS]


def test_a_token_is_looked_for_with_and_without_the_underscore() -> None:
    assert token_names("example.org", "_relay") == ("_relay.example.org", "relay.example.org")
    assert token_names("example.org", "proof") == ("proof.example.org",)
    (record,) = token_records("example.org", "abc", "_relay")
    assert (record.name, record.type, record.value) == ("_relay.example.org", "TXT", "abc")
    assert token_records("example.org", "", "_relay") == ()
