"""The JSON examples of the SES developer guide, read from where the guide lies beside the project.

They are test data by reference only: nothing of the guide is in this repository. Where it is absent, the
tests that need it are skipped.
"""

import json
import re
from pathlib import Path
from typing import Any

GUIDE = Path(__file__).parents[2].parent / "shared/reference/ses-developer-guide"
IS_HERE = GUIDE.is_dir()
_FENCED = re.compile(r"^```[a-z]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_NUMBERED = re.compile(r"^ *\d+\. ?", re.MULTILINE)


def examples(page: str) -> list[dict[str, Any]]:
    """The whole JSON objects in code blocks of a page, in their order; [] where the guide is absent."""
    if not IS_HERE:
        return []
    found = []
    for block in _FENCED.findall((GUIDE / page).read_text()):
        text = _NUMBERED.sub("", block) if block.lstrip().startswith("1. ") else block
        try:
            found.append(json.loads(text))
        except ValueError:
            continue
    return found
