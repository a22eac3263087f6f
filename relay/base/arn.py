"""The names that SES's interfaces give to things: Amazon Resource Names, of ours.

Contract, pure: the service is named as SES has it, so that programs which take such names apart go on
working; the region is the directory's, and the account its number in twelve digits.
"""

from __future__ import annotations


def account_number(account_id: int) -> str:
    """An account as SES writes it."""
    return f"{account_id:012d}"


def identity_arn(region: str, account_id: int, name: str) -> str:
    """The ARN of an identity."""
    return f"arn:aws:ses:{region}:{account_number(account_id)}:identity/{name}"


def topic_arn(region: str, account_id: int, name: str) -> str:
    """The ARN of a topic."""
    return f"arn:aws:sns:{region}:{account_number(account_id)}:{name}"
