"""Checkpoints of a training: one file, replaced as a whole after each epoch, that can only be read as plain tensors."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from a2v_core.artifacts import write_atomically
from a2v_core.errors import ArtifactError, MissingDataError

#: Version of the form below.
FORM = 1
_FIELDS = ("form", "identity", "epoch", "network", "optimizer", "scaler", "history")


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint; a reader sees the old one or the new one.

    Args:
        content: `identity` (what the training is, as JSON-able values), `epoch` (number of finished epochs), `network`,
            `optimizer` and `scaler` (state dicts), `history` (one entry an epoch).

    Raises:
        ArtifactError: it cannot be written; the one before is untouched.
    """
    buffer = io.BytesIO()
    torch.save({"form": FORM, **content}, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path, identity: dict[str, Any] | None = None) -> dict[str, Any]:
    """Read a checkpoint, its tensors on the processor.

    Args:
        identity: what the training has to be; None takes any.

    Raises:
        MissingDataError: there is no such file.
        ArtifactError: it is damaged, or of another training.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise MissingDataError(f"no checkpoint {path}: train first, or name another file") from None
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError, KeyError) as error:
        raise ArtifactError(f"the checkpoint {path} cannot be read ({_first_line(error)}): delete it, "
                            "the training then starts anew") from error
    if not isinstance(content, dict) or set(content) != set(_FIELDS) or content["form"] != FORM:
        raise ArtifactError(f"{path} is not a checkpoint of this form ({FORM}): name another file")
    if identity is not None and content["identity"] != identity:
        found, wanted = _flat(content["identity"]), _flat(identity)
        name = next(key for key in {**found, **wanted} if found.get(key) != wanted.get(key))
        raise ArtifactError(f"the checkpoint {path} is of another training ({name} is {found.get(name)!r} there and "
                            f"{wanted.get(name)!r} here): choose another folder, or delete it to start anew")
    return content


def _flat(identity: dict[str, Any]) -> dict[str, Any]:
    settings = {f"setting {name}": value for name, value in identity.get("settings", {}).items()}
    return {name: value for name, value in identity.items() if name != "settings"} | settings


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
