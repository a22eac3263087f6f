"""The recipes of ``conf/`` as an administrator takes them: copied, and changed only where they say so.

    text = Recipe("postfix/main.cf").take(STUNNEL).put("127.0.0.1]:2525", "127.0.0.1]:40123").text

Where a recipe has several ways to the relay, lines such as ``# == STARTTLS on 587 ==`` begin them, and all
but the first are commented out; ``take`` comments that one out and takes another's lines. Prose in a way
begins with the comment sign and a space, lines to take with the bare sign (in m4 ``dnl #`` and ``dnl``).
``put`` fails if what it changes is not there, so that a recipe cannot drift away from its test.
"""

import re
from pathlib import Path

CONF = Path(__file__).parents[2] / "conf"
STARTTLS, WRAPPER, STUNNEL = "STARTTLS on 587", "TLS from the first byte on 465", "through stunnel"
_ALL = "whichever way"
_COMMENT = {".mc": "dnl ", ".conf": "#", ".cf": "#"}


class Recipe:
    """See above; ``name`` is below ``conf/``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = (CONF / name).read_text()
        self._sign = ";" if name.startswith("stunnel/") else _COMMENT.get(Path(name).suffix, "#")

    def take(self, way: str) -> "Recipe":
        """Go to the relay this way."""
        header = re.compile(re.escape(self._sign.strip()) + r" (?:# )?== (.+) ==")
        lines, current, seen = [], _ALL, set()
        for line in self.text.splitlines():
            if begins := header.fullmatch(line):
                current = begins[1]
                seen.add(current)
            elif current != _ALL:
                line = self._active(line) if current == way else self._commented(line)
            lines.append(line)
        assert {way, _ALL} <= seen, f"{self.name} knows no way {way!r}: {seen}"
        self.text = "\n".join(lines) + "\n"
        return self

    def _active(self, line: str) -> str:
        rest = line.removeprefix(self._sign)
        return line if rest[:1] in ("", " ", "#") else rest

    def _commented(self, line: str) -> str:
        return line if not line or line.startswith(self._sign) else self._sign + line

    def put(self, old: str, new: str) -> "Recipe":
        """Change what is to be changed, wherever it stands."""
        assert old in self.text, f"{self.name} has no {old!r}"
        self.text = self.text.replace(old, new)
        return self

    def uncomment(self, start: str) -> "Recipe":
        """Take the line that begins so."""
        return self.put(f"\n{self._sign}{start}", f"\n{start}")
