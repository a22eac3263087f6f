"""Completion of ``relay`` in bash, zsh and fish: a script each, made of the subcommands.

The scripts have all words in them and start nothing: a completion that loads the program takes a noticeable
time at each press of the key. Names of accounts, domains and messages are hence not completed.
"""

from __future__ import annotations

import inspect

from relay.daemon.manual.tree import Argument, Command, Option

_BASH = """\
# bash completion of relay; goes to /usr/share/bash-completion/completions/relay
_relay() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" path=relay at
  for ((at = 1; at < COMP_CWORD; at++)); do
    case "$path ${{COMP_WORDS[at]}}" in
      {paths}) path="$path ${{COMP_WORDS[at]}}" ;;
    esac
  done
  case "$path $before" in
{values}
  esac
  local words=
  case "$path" in
{words}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  if [[ ${{#COMPREPLY[@]}} -eq 0 && $word != -* ]]; then
    case "$path" in
      {files}) COMPREPLY=($(compgen -f -- "$word")) ;;
    esac
  fi
}}
complete -o filenames -F _relay relay
"""

_ZSH = """\
#compdef relay
# zsh completion of relay; goes to a folder of $fpath as _relay
local context state path=relay at
local -a found
for ((at = 2; at < CURRENT; at++)); do
  case "$path ${{words[at]}}" in
    ({paths})) path="$path ${{words[at]}}" ;;
  esac
done
case "$path ${{words[CURRENT-1]}}" in
{values}
esac
case "$path" in
{words}
esac
if [[ ${{words[CURRENT]}} == -* ]]; then found=(${{(M)found:#-*}}); else found=(${{found:#-*}}); fi
if (( ${{#found}} )); then _describe -o 'relay' found; else _files; fi
"""


def _quoted(text: str) -> str:
    """A word for sh, in single quotes."""
    return "'" + text.replace("'", "'\\''") + "'"


def _line(text: str) -> str:
    """The first sentence of a help text."""
    paragraph = " ".join(inspect.cleandoc(text).split("\n\n")[0].split())
    return paragraph.split(". ")[0].rstrip(".")


def _words(command: Command) -> list[tuple[str, str]]:
    """What may come next after this command, each with its help."""
    found = [(child.path[-1], _line(child.text)) for child in command.children]
    found += [(choice, "") for one in command.arguments for choice in one.choices]
    found += [(name, _line(one.text)) for one in command.options for name in one.names]
    return [*found, ("--help", "Show the help")]


def _valued(root: Command) -> list[tuple[Command, Option]]:
    return [(one, option) for one in root.walk() for option in one.options if option.metavar]


def _paths(root: Command) -> str:
    return " | ".join(_quoted(" ".join(one.path)) for one in root.walk() if len(one.path) > 1)


def _takes_file(arguments: tuple[Argument, ...]) -> bool:
    return any(one.is_file for one in arguments)


def bash(root: Command) -> str:
    """The script for bash."""
    values = []
    for command, option in _valued(root):
        names = " | ".join(_quoted(f"{' '.join(command.path)} {name}") for name in option.names)
        kind = "-f" if option.is_file else f"-W {_quoted(' '.join(option.choices))}"
        values.append(f'    {names}) COMPREPLY=($(compgen {kind} -- "$word")); return ;;')
    words = [
        f"    {_quoted(' '.join(one.path))}) words={_quoted(' '.join(word for word, _ in _words(one)))} ;;"
        for one in root.walk()
    ]
    files = [_quoted(" ".join(one.path)) for one in root.walk() if _takes_file(one.arguments)]
    return _BASH.format(
        paths=_paths(root), values="\n".join(values), words="\n".join(words), files=" | ".join(files) or "''"
    )


def zsh(root: Command) -> str:
    """The script for zsh."""
    values = []
    for command, option in _valued(root):
        names = "|".join(_quoted(f"{' '.join(command.path)} {name}") for name in option.names)
        act = "_files" if option.is_file else f"compadd -- {' '.join(map(_quoted, option.choices))}"
        values.append(f"  ({names}) {act}; return ;;")
    words = []
    for one in root.walk():
        described = [
            _quoted(word.replace(":", "\\:") + (f":{text}" if text else "")) for word, text in _words(one)
        ]
        words.append(f"  ({_quoted(' '.join(one.path))}) found=({' '.join(described)}) ;;")
    return _ZSH.format(
        paths=_paths(root).replace(" | ", "|"), values="\n".join(values), words="\n".join(words)
    )


def fish(root: Command) -> str:
    """The script for fish."""
    lines = ["# fish completion of relay; goes to /usr/share/fish/vendor_completions.d/relay.fish"]
    lines.append("complete -c relay -f")
    for one in root.walk():
        above = [f"__fish_seen_subcommand_from {word}" for word in one.path[1:]]
        below = " ".join(child.path[-1] for child in one.children)
        if below:
            above.append(f"not __fish_seen_subcommand_from {below}")
        start = f"complete -c relay -n {_quoted('; and '.join(above) or 'true')}"
        for word, text in _words(one):
            option = next((x for x in one.options if word in x.names), None)
            if not word.startswith("-"):
                lines.append(f"{start} -a {_quoted(word)} -d {_quoted(text)}")
                continue
            flag = (
                f"-l {word[2:]}"
                if word.startswith("--")
                else f"-s {word[1:]}"
                if len(word) == 2
                else f"-o {word[1:]}"
            )
            if option is not None and option.metavar:
                flag += " -r -F" if option.is_file else f" -x -a {_quoted(' '.join(option.choices))}"
            lines.append(f"{start} {flag} -d {_quoted(text)}")
        if _takes_file(one.arguments):
            lines.append(f"{start} -F")
    return "\n".join(lines) + "\n"
