"""The subcommands as words: all of them, with what their help says."""

from functools import cache

from relay.daemon.commands.app import SUBCOMMANDS
from relay.daemon.manual.tree import Command, tree


@cache
def commands() -> dict[str, Command]:
    return {" ".join(one.path[1:]): one for one in tree().walk()}


def test_every_subcommand_is_there() -> None:
    assert {name.split(" ")[0] for name in commands() if name} == {*SUBCOMMANDS, "send"}


def test_every_command_and_option_says_what_it_is() -> None:
    silent = [name for name, one in commands().items() if not one.text.strip()]
    silent += [f"{name} {x.names[0]}" for name, one in commands().items() for x in one.options if not x.text]
    assert silent == []


def test_an_option_has_its_names_kind_and_default() -> None:
    options = {one.names: one for one in commands()["identity add"].options}
    assert options[("--bits", "--rsa-bits")].metavar == "NUMBER"
    assert options[("--bits", "--rsa-bits")].default == "2048"
    assert options[("--json",)].metavar == ""


def test_choices_are_known() -> None:
    assert [one.choices for one in commands()["identity dkim"].arguments] == [("on", "off"), ()]


def test_files_are_known() -> None:
    assert [one.is_file for one in commands()[""].options if "--config" in one.names] == [True]
    assert [one.is_file for one in commands()["bounce parse"].arguments] == [True]


def test_send_has_the_options_of_sendmail() -> None:
    options = {name: one for one in commands()["send"].options for name in one.names}
    assert options["-f"].metavar == "ADDRESS"
    assert options["-t"].metavar == ""
