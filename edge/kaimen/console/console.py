"""What all visits share: the installation, who may sign in, who has, and what they did."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kaimen.closing import Closing
from kaimen.console.accounts import Account, Accounts
from kaimen.console.acts import Acts
from kaimen.console.attempts import Attempts
from kaimen.console.challenges import PasskeyChallenges
from kaimen.console.enrolling import Enrolling
from kaimen.console.examination import Examination
from kaimen.console.sessions import Sessions, SignIn
from kaimen.console.student_list import StudentList
from kaimen.console.watching import Watching
from kaimen.installation import Installation


class Console(Closing):
    """The desk behind all pages; a context manager."""

    def __init__(
        self,
        installation: Installation,
        config: Path | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``config`` is the file of the settings, for the doctor.

        Raises GalleryError where the school's key cannot be read.
        """
        self.installation = installation  # for the worker thread alone
        self.settings = installation.settings
        chosen = self.settings.console
        vault = installation.vault_or_new
        self.accounts = Accounts(installation.accounts_path, vault)
        self.attempts = Attempts(
            installation.accounts_path.with_suffix(".attempts"), vault.derive("console attempts")
        )
        self.sessions = Sessions(idle=chosen.idle * 60, longest=chosen.longest * 3600, clock=clock)
        self.challenges = PasskeyChallenges(clock=clock)
        self.ending = asyncio.Event()  # set: streams end, so that the server can
        self.examination = Examination(config)
        self.watching = Watching(chosen.feed_path)
        self.enrolling = Enrolling(self.settings)
        self.students = StudentList()
        self._acts = Acts(installation.acts_folder, installation.acts_key)
        # One thread: neither the registry nor the index may be used by two at a time.
        self.worker = ThreadPoolExecutor(1, thread_name_prefix="desk")
        # One password at a time: a flood of them takes no more memory, and no more than one core.
        self.hashing = ThreadPoolExecutor(1, thread_name_prefix="passwords")

    def audit(self, who: str, did: str, **what: object) -> None:
        """Write down who does what. Raises StorageError: then it is not to be done."""
        self._acts.write(who, did, **what)

    def is_welcome(self, cookie: str) -> bool:
        """Return whether somebody is signed in still, without taking that for a visit."""
        session = self.sessions.get(cookie, visit=False)
        return session is not None and self.account_of(session) is not None

    def account_of(self, session: SignIn) -> Account | None:
        """Return the account of a session; None where that was removed or given anew.

        So it is, too, where the passkey that signed in was removed.
        """
        account = self.accounts.get(session.name)
        if account is None or account != session.account:
            return None
        return None if session.passkey and not account.passkey(session.passkey) else account

    def close(self) -> None:
        """Wait for what is being done, and close the parts."""
        self.worker.submit(self.installation.close)
        with contextlib.suppress(RuntimeError):
            self.worker.shutdown(wait=True)
        self.hashing.shutdown(wait=False, cancel_futures=True)
