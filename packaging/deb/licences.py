"""Which Python packages a folder has, in which version and under which licence, for a copyright file."""

import sys
from email.message import Message
from importlib.metadata import distributions


def _licence(metadata: Message) -> str:
    """In the words of the package: an expression, a classifier, or the first line of a free text."""
    classifiers = metadata.get_all("Classifier", [])
    named = [one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License ::")]
    text = (metadata["License"] or "").strip().partition("\n")[0]
    return metadata["License-Expression"] or ", ".join(named) or text or "see its folder"


for line in sorted(
    f" {one.metadata['Name']} {one.version}: {_licence(one.metadata)}"
    for one in distributions(path=[sys.argv[1]])
    if one.metadata["Name"] != "relay"
):
    print(line)
