"""The sealed file of who may sign in to the console, beside the registry."""

from __future__ import annotations

from pathlib import Path

from kaimen.errors import GalleryError
from kaimen.registry.vault import Vault
from kaimen.storage import write_whole

CONTEXT = "kaimen console accounts"


def accounts_path(registry: Path) -> Path:
    """Return where the accounts of a registry's school are kept."""
    return registry.with_suffix(".accounts")


def read_accounts(path: Path, vault: Vault) -> bytes | None:
    """Return what is kept there, unsealed; None without a file.

    Raises GalleryError for a file that was changed or is of another key.
    """
    try:
        sealed = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise GalleryError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        return vault.unseal(sealed, CONTEXT)
    except GalleryError:
        raise GalleryError(
            f"{path}: the accounts were changed, or are of another key; move the file "
            "away, and add them again with 'kaimen console --add-account NAME --role ROLE'"
        ) from None


def write_accounts(path: Path, vault: Vault, content: bytes) -> None:
    """Seal and keep accounts, in one step. Raises StorageError."""
    sealed = vault.seal(content, CONTEXT)
    write_whole(path, sealed, private=True)
