"""Independent verifiers of DKIM signatures, with keys from a file, not DNS: dkimpy, Mail::DKIM, OpenDKIM.

Each takes signed content and the keys that signed, and returns the selectors whose signature verified.
"""

import re
import shutil
import subprocess
from pathlib import Path

import dkim

from relay.directory.keys import RSA, public_record

PERL_PROGRAM = Path(__file__).with_name("mail_dkim.pl")
OPENDKIM = shutil.which("opendkim") or shutil.which("opendkim", path="/usr/sbin")


def has_mail_dkim():
    perl = shutil.which("perl")
    return (
        perl is not None
        and subprocess.run(
            [perl, "-MMail::DKIM::Verifier", "-e1"], capture_output=True, check=False
        ).returncode
        == 0
    )


def by_dkimpy(content, keys):
    """RSA only: for Ed25519 dkimpy wants a library that nothing else here needs."""
    records = {f"{key.record_name}.": public_record(key).encode() for key in keys}

    def txt(name, timeout=5):
        return records.get(name.decode() if isinstance(name, bytes) else name)

    found = set()
    for number, key in enumerate(keys):
        try:
            if key.algorithm == RSA and dkim.DKIM(content).verify(number, dnsfunc=txt):
                found.add(key.selector)
        except dkim.DKIMException:
            continue
    return found


def _write(content, keys, folder):
    records = folder / "keys"
    records.write_text("".join(f"{key.record_name} {public_record(key)}\n" for key in keys))
    message = folder / "message.eml"
    message.write_bytes(content)
    return records, message


def by_mail_dkim(content, keys, folder):
    """RSA only: the Perl module knows no Ed25519."""
    records, message = _write(content, keys, folder)
    done = subprocess.run(
        ["perl", PERL_PROGRAM, records, message], capture_output=True, text=True, check=True, timeout=60
    )
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    return {selector for _, selector, result in lines if result == "pass"}


def by_opendkim(content, keys, folder):
    """Both algorithms; the result is in the Authentication-Results field that OpenDKIM would add."""
    records, message = _write(content, keys, folder)
    settings = folder / "opendkim.conf"
    settings.write_text(f"TestPublicKeys {records}\nMode v\n")
    done = subprocess.run(
        [OPENDKIM, "-x", settings, "-vvv", "-t", message],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return set(re.findall(r"dkim=pass [^;]*?header\.s=([\w.-]+)", done.stdout))
