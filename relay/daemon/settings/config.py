"""The configuration: one TOML file, read once into frozen sections.

``load(path)`` reads the file that ``path``, else ``RELAY_CONFIG``, else ``/etc/relay/relay.toml`` names. An
unknown key is an error that names the nearest known one; every error names the file, the setting and, where
it can be told, the line; all errors are reported at once. Relative paths are relative to the file; a path may
be a credential of systemd's instead ("credential:NAME"). Every setting has a default but those which only the
site can know; ``conf/relay.toml`` shows them all with unit and reason.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from relay.base import credential
from relay.base.errors import ConfigError
from relay.daemon.settings.places import line_of
from relay.daemon.settings.section import Section
from relay.daemon.settings.sections import Config, LimitsSection, ListenerSection, RelaySection

__all__ = [
    "Config",
    "LimitsSection",
    "ListenerSection",
    "RelaySection",
    "Section",
    "config_path",
    "load",
    "parse",
    "read",
]

DEFAULT_PATH = Path("/etc/relay/relay.toml")


_GONE = {"spool.keep_events": "no longer counted: write [events] keep_for and keep_size in its place"}


def config_path(path: Path | None = None) -> Path:
    """The file that would be read."""
    return path or Path(os.environ.get("RELAY_CONFIG") or DEFAULT_PATH)


def read(path: Path | None = None) -> tuple[str, Path]:
    """The text of the configuration file, and where it is. Raises ConfigError."""
    file = config_path(path).absolute()
    try:
        return file.read_text("utf-8"), file
    except FileNotFoundError:
        raise ConfigError(
            f"{file}: no such file; make one with `relay init`, or name it in RELAY_CONFIG or --config"
        ) from None
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8: {error}") from error


def load(path: Path | None = None) -> Config:
    """Read the configuration. Raises ConfigError that names the file and each wrong setting."""
    return parse(*read(path))


def parse(text: str, file: Path) -> Config:
    """The configuration from its text; relative paths are relative to ``file``. Raises ConfigError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: not TOML: {error}") from error
    try:
        config = Config.model_validate({**table, "path": file})
    except ValidationError as error:
        lines = [_explain(dict(one), text) for one in error.errors()]
        raise ConfigError("\n".join(f"{file}: {line}" for line in lines)) from None
    return _absolute(config, file.parent)


def _absolute(config: Config, folder: Path) -> Config:
    """Paths relative to the file become absolute; the directory's URL defaults to a file beside the key."""

    def of(value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, Path):
            return credential.located(value) or folder / value
        if isinstance(value, list):
            return [of(one) for one in value]
        if isinstance(value, Section):
            return value.model_copy(update={n: of(getattr(value, n)) for n in type(value).model_fields})
        return value

    try:
        config = of(config)
    except ConfigError as error:
        raise ConfigError(f"{config.path}: {error}") from None
    url = config.directory.url
    if not url and credential.is_credential(config.directory.key_file):
        raise ConfigError(
            f"{config.path}: [directory] url: name it where key_file is a credential: the default is beside "
            'the key file; e.g. "sqlite:////var/lib/relay/directory.db"'
        )
    if not url:
        url = f"sqlite:///{config.directory.key_file.parent / 'directory.db'}"
    elif url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        url = f"sqlite:///{folder / url.removeprefix('sqlite:///')}"
    return config.model_copy(update={"directory": config.directory.model_copy(update={"url": url})})


def _explain(error: dict[str, Any], text: str) -> str:
    """One line for one wrong setting, with the nearest known key where one was unknown, and its place."""
    line = line_of(text, [part for part in error["loc"] if not str(part).startswith("function-")])
    return _said(error) + (f" (line {line})" if line else "")


def _said(error: dict[str, Any]) -> str:
    location = [part for part in error["loc"] if not (isinstance(part, str) and part.startswith("function-"))]
    name = ".".join(str(part) for part in location)
    if error["type"] == "extra_forbidden" and name in _GONE:
        return f"{name}: {_GONE[name]}"
    if error["type"] == "extra_forbidden":
        model: Any = Config
        for part in location[:-1]:
            if isinstance(part, str) and part in model.model_fields:
                model = model.model_fields[part].annotation
                model = model.__args__[0] if hasattr(model, "__args__") else model
        known = sorted(set(model.model_fields) - ({"path"} if model is Config else set()))
        near = difflib.get_close_matches(str(location[-1]), known, 1, 0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return f"{name}: unknown setting; {hint}"
    text = str(error["msg"]).removeprefix("Value error, ")
    return f"{name}: {text}" if name else text
