"""The Hugging Face Hub, by the client `huggingface_hub`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rlgen.errors import InputError, problem, reason

PAGES = "https://huggingface.co/"


@dataclass(frozen=True, kw_only=True)
class Hub:
    """The Hub with an account that may write to it."""

    client: Any
    """`huggingface_hub.HfApi`."""
    account: str
    """Name of the account."""

    @classmethod
    def connect(cls) -> Self:
        """The Hub with the account of the stored token. Raises `InputError` without the package, a token, or a
        connection."""
        try:
            import huggingface_hub
        except ImportError as error:
            remedy = "pip install 'rlgen[hub]', or publish to a folder: --to FOLDER"
            raise problem("the package huggingface_hub for --to hub", "a Python without it", remedy) from error
        token = huggingface_hub.get_token()
        if token is None:
            remedy = "log in (hf auth login) with a token that may write, or publish to a folder: --to FOLDER"
            raise problem("a token of the Hugging Face Hub", "none on this machine", remedy)
        client = huggingface_hub.HfApi(token=token)
        with _answers("check the connection, and log in again: hf auth login"):
            return cls(client=client, account=client.whoami()["name"])

    def named(self, given: str, default: str) -> str:
        """OWNER/NAME of `given` (OWNER/NAME, NAME or nothing), completed by the account and the name `default`."""
        owner, slash, name = given.rpartition("/")
        if (slash and not (owner and name)) or "/" in owner:
            raise problem("--to hub, hub:NAME or hub:OWNER/NAME", f"hub:{given}", "give one owner and one name")
        return f"{owner or self.account}/{name or default}"

    def upload(self, folder: Path, repository: str, private: bool, overwrite: bool) -> str:
        """Upload the folder as the model `repository`, and return its address. Raises `InputError` for a model that
        exists, unless `overwrite` permits another revision of it, and for an upload that fails."""
        with _answers("check the connection, and whether the token may write"):
            if self.client.repo_exists(repository) and not overwrite:
                remedy = "choose another name, or add --overwrite for a further revision of it"
                raise problem("a new model on the Hub", f"{repository}, which exists", remedy)
            self.client.create_repo(repository, private=private, exist_ok=True)
            message = "Publish a model of rlgen"
            self.client.upload_folder(
                repo_id=repository, folder_path=folder, commit_message=message, delete_patterns="*"
            )
        return f"{PAGES}{repository}"


@contextmanager
def _answers(remedy: str) -> Iterator[None]:
    """A context in which every error of the client becomes an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # the client has errors of several libraries
        got = f"{type(error).__name__}: {reason(error)}"
        raise problem("an answer of the Hugging Face Hub", got, remedy) from error
