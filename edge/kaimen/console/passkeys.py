"""Passkeys: what a browser is asked, and whether its answer is right (WebAuthn, level 3).

Everything is checked by the library ``webauthn``, which is loaded when the first passkey is used.
The authenticator verifies its user, so that a passkey alone is two factors.
"""

from __future__ import annotations

import time
from typing import Any

from kaimen.console.accounts import Account, Passkey
from kaimen.console.challenges import PasskeyChallenge
from kaimen.errors import KaimenError
from kaimen.parsing import read_json

DESK = "Kaimen 开门"  # what browsers show beside the account
LONGEST_ANSWER = 16_000  # characters; without attestation it has about 1,500
LONGEST_LABEL = 40  # characters


class WrongPasskey(KaimenError, ValueError):
    """An answer that no passkey of this desk has given to this challenge."""


def to_register(account: Account, challenge: PasskeyChallenge) -> dict[str, Any]:
    """Return what a browser needs to make a passkey (PublicKeyCredentialCreationOptions)."""
    from webauthn import base64url_to_bytes, generate_registration_options
    from webauthn.helpers import options_to_json_dict
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    return options_to_json_dict(
        generate_registration_options(
            rp_id=challenge.origin.host,
            rp_name=DESK,
            user_id=base64url_to_bytes(challenge.owner),
            user_name=account.name,
            challenge=challenge.content,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[
                PublicKeyCredentialDescriptor(id=base64url_to_bytes(each.number))
                for each in account.passkeys
            ],
        )
    )


def registered(answer: str, challenge: PasskeyChallenge) -> Passkey:
    """Return the passkey that a browser has made. Raises WrongPasskey."""
    from webauthn import verify_registration_response
    from webauthn.helpers import bytes_to_base64url

    given = _parsed(answer)
    try:
        verified = verify_registration_response(
            credential=given,
            expected_challenge=challenge.content,
            expected_rp_id=challenge.origin.host,
            expected_origin=str(challenge.origin),
            require_user_verification=True,
        )
    except Exception as error:  # whatever a parser of what somebody sent may raise
        raise WrongPasskey("this is no passkey for this desk; try again") from error
    return Passkey(
        number=bytes_to_base64url(verified.credential_id),
        key=bytes_to_base64url(verified.credential_public_key),
        owner=challenge.owner,
        host=challenge.origin.host,
        label=challenge.label,
        made=time.time(),
        counter=verified.sign_count,
    )


def to_sign_in(challenge: PasskeyChallenge) -> dict[str, Any]:
    """Return what a browser needs to sign in, by any passkey that it has for this desk."""
    from webauthn import generate_authentication_options
    from webauthn.helpers import options_to_json_dict
    from webauthn.helpers.structs import UserVerificationRequirement

    return options_to_json_dict(
        generate_authentication_options(
            rp_id=challenge.origin.host,
            challenge=challenge.content,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
    )


def number_of(answer: str) -> str:
    """Return the number of the passkey that an answer says to be of. Raises WrongPasskey."""
    number = _parsed(answer).get("id")
    if not isinstance(number, str) or not 0 < len(number) <= 1400:  # 1023 bytes
        raise WrongPasskey("the browser's answer cannot be read; try again")
    return number


def signed(answer: str, challenge: PasskeyChallenge, passkey: Passkey) -> int:
    """Return the counter of a passkey's answer, for the caller to compare. Raises WrongPasskey."""
    from webauthn import base64url_to_bytes, verify_authentication_response

    given = _parsed(answer)
    try:
        owner = given["response"].get("userHandle")
        if owner is not None and owner != passkey.owner:
            raise WrongPasskey("this passkey is another account's")
        verified = verify_authentication_response(
            credential=given,
            expected_challenge=challenge.content,
            expected_rp_id=passkey.host,
            expected_origin=str(challenge.origin),
            credential_public_key=base64url_to_bytes(passkey.key),
            credential_current_sign_count=0,  # compared where the new one is written
            require_user_verification=True,
        )
    except Exception as error:  # whatever a parser of what somebody sent may raise
        raise WrongPasskey("this passkey has not signed this") from error
    return verified.new_sign_count


def _parsed(answer: str) -> dict[str, Any]:
    try:
        given = read_json(answer)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise WrongPasskey("the browser's answer cannot be read; try again")
    return given
