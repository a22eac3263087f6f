"""relay(1), made of the subcommands: the same words as ``--help``."""

from __future__ import annotations

import inspect

from relay.codec.roff import Page, bold, escaped, italic
from relay.daemon.manual.tree import Command, Option

_ABOUT = "a mail relay: accepts, promises on disk, signs, delivers, and tells"

_STATUSES = (
    ("0", "Done; of `relay doctor` and the like: nothing is wrong."),
    ("1", "Not done, or something is wrong; standard error says what, and what to do."),
    ("2", "A wrong call."),
    ("75", "Of `relay run`: it cannot start now but may later. Of `relay send`: try again later."),
    ("78", "The configuration cannot be used."),
)
_FILES = (
    ("/etc/relay/relay.toml", "The configuration, see relay.toml(5)."),
    ("/etc/relay/shaping.toml", "What each receiver is given; optional."),
    ("/var/lib/relay/relay.key", "Encrypts the secrets in the directory."),
    ("/var/lib/relay/directory.db", "Accounts, credentials, identities, DKIM keys, topics."),
    ("/var/spool/relay", "The mail, the event log, and the socket that the commands use."),
)


def command_page(root: Command, date: str, version: str) -> str:
    """The source of relay(1)."""
    page = Page("relay", 1, date, f"relay {version}", _ABOUT)
    page.section("SYNOPSIS")
    page.formatted(f"{bold('relay')} [{bold('--config')} {italic('FILE')}] {italic('COMMAND')} ...")
    page.section("DESCRIPTION")
    page.paragraph(
        "`relay run` is the daemon; systemd starts it. All other commands look at it, or steer it, or "
        "prepare what it needs. They have to run as root or as the relay's user, on the relay's machine."
    )
    page.section("OPTIONS")
    _options(page, root.options)
    page.section("COMMANDS")
    for one in root.walk():
        if not one.children and len(one.path) > 1:
            _command(page, one)
    page.section("EXIT STATUS")
    for status, text in _STATUSES:
        page.item(bold(status), text)
    page.paragraph("`relay send` has the exit statuses of sysexits.h, as sendmail has.")
    page.section("ENVIRONMENT")
    page.item(bold("RELAY_CONFIG"), "The configuration file, where `--config` does not name it.")
    page.item(bold("RELAY_ACCOUNT"), "The account of `relay send`, where `-A` does not name it.")
    page.section("SIGNALS")
    page.item(bold("SIGTERM"), "Drain: take no more mail, end what is in flight, end. Again: end at once.")
    page.item(bold("SIGHUP"), "Read the configuration again; a wrong one changes nothing and is logged.")
    page.section("FILES")
    for file, text in _FILES:
        page.item(italic(file), text)
    page.section("SEE ALSO")
    page.formatted(f"{bold('relay.toml')}(5), {bold('systemctl')}(1), {bold('journalctl')}(1)")
    return page.text


def _command(page: Page, command: Command) -> None:
    page.subsection(" ".join(command.path))
    words = [bold(" ".join(command.path))]
    if command.options:
        words.append(f"[{italic('OPTION')}]...")
    for one in command.arguments:
        words.append(italic(one.name) if one.is_required else f"[{italic(one.name)}]")
    page.formatted(" ".join(words))
    for paragraph in inspect.cleandoc(command.text).split("\n\n"):
        page.paragraph(paragraph)
    for one in command.arguments:
        if one.text or one.choices:
            page.item(italic(one.name), one.text or f"One of {', '.join(one.choices)}.")
    _options(page, command.options)


def _options(page: Page, options: tuple[Option, ...]) -> None:
    for one in options:
        names = ", ".join(bold(name) for name in one.names)
        tag = f"{names} {italic(one.metavar)}" if one.metavar else names
        default = f" Default: {one.default}." if one.default else ""
        page.item(tag, f"{one.text}{default}" if one.text or default else escaped(""))
