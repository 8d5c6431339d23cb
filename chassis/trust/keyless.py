"""Signatures without a key, by an identity: Sigstore's services certify a key of minutes for whoever an issuer of
OpenID Connect says is asking, and log what it signed. The Python package `sigstore` speaks to them and verifies.

The services are those of a signing configuration, and are trusted by a trusted root, both in the form of Sigstore's
protobuf-specs (sigstore_trustroot), as cosign's `--signing-config` and `--trusted-root` take them.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from sigstore import dsse
from sigstore.errors import CertValidationError
from sigstore.errors import Error as SigstoreError
from sigstore.models import Bundle, ClientTrustConfig, InvalidBundle, TrustedRoot
from sigstore.oidc import IdentityError as SigstoreIdentityError
from sigstore.oidc import IdentityToken, detect_credential
from sigstore.sign import Signer as CertifiedSigner
from sigstore.sign import SigningContext
from sigstore.verify import Verifier, policy

from chassis.oci.json_document import read_object
from chassis.trust.bundle import verify_bundle
from chassis.trust.errors import IdentityError, SignatureError
from chassis.trust.image_signer import SignedBundle
from chassis.trust.statement import PAYLOAD_TYPE, Statement, encode_statement

TOKEN_VARIABLE = "SIGSTORE_ID_TOKEN"
"""The environment variable with an identity token, as cosign has it."""

_CONFIGURATION = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
_MAX_FILE_BYTES = 16 << 20
_SERVICE_SECONDS = 60.0
_CERTIFICATE_SECONDS = 8 * 60.0
"""For how long one is signed with: it is valid for ten minutes, and the log has to take the signature in them."""
_UNNAMED = "_"
"""The package wants a name of each subject; in-toto's own statements have this for none."""

# Of a token's claims, those that a certificate may name its holder by, and how.
_NAMING_CLAIMS = ("email", "sub", "job_workflow_ref", "ci_config_ref_uri")
_NAMING_FORMS = ("{}", "https://{}", "https://github.com/{}")
_EXPIRED_CERTIFICATE = "ExpiredCertificate"
_EXPIRED = {
    _EXPIRED_CERTIFICATE: "the certificate that was given is expired already; compare this machine's clock",
    "ExpiredIdentity": "the identity token is expired; take a new one",
}
_T = TypeVar("_T")


@dataclass(frozen=True)
class Identity:
    """A `VerifyingIdentity`: `name` is as the certificate has it, such as an address or the URL of a workflow, `issuer`
    the URL of who knows it."""

    name: str
    issuer: str
    root: TrustedRoot

    @property
    def where(self) -> str:
        """What people call it."""
        return f"{self.name} (of {self.issuer})"

    def payload(self, bundle: bytes) -> bytes:
        """What a bundle signs, if this identity signed it; else `SignatureError`."""
        return _verified(bundle, self.root, policy.Identity(identity=self.name, issuer=self.issuer))


class _SilentError(IdentityError):
    """A service does not answer."""


class _ExpiredError(IdentityError):
    """The certificate is expired."""


@dataclass(eq=False)
class KeylessSigner:
    """An `ImageSigner` that signs with the identity of a token. Safe to use from several threads.

    The token that it begins with may expire before there is something to sign, for tokens of CI live for minutes and a
    large image takes longer to send; `renew` gives the next one.
    """

    token: IdentityToken
    configuration: ClientTrustConfig
    renew: Callable[[], IdentityToken]
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _made: tuple[CertifiedSigner, float] | None = field(default=None, init=False, repr=False)
    _silence: str = field(default="", init=False, repr=False)

    repeatable = False

    @property
    def name(self) -> str:
        """Who signs."""
        return _name(self.token)

    @property
    def where(self) -> str:
        """Who signs."""
        return self.name

    def check(self) -> None:
        """Nothing: what keeps an identity from signing is not known before a service is asked."""

    def signed(self, statement: Statement) -> SignedBundle:
        """Signs the statement: see `bundle`."""
        return SignedBundle(self.bundle(statement))

    def listed(self, statement: Statement, annotations: Sequence[Mapping[str, str]]) -> SignedBundle | None:
        """None: a bundle has more than a signature."""
        return None

    def bundle(self, statement: Statement) -> bytes:
        """The bundle with the signed statement, which the log of the services has from then on.

        Raises:
          IdentityError: a service refuses it, or does not answer; or the token is expired, and there is no newer one.
        """
        said = dsse.Statement(encode_statement(replace(statement, name=statement.name or _UNNAMED)))
        signer, new = self._certified()
        try:
            made = self._ask(lambda: signer.sign_dsse(said))
        except _ExpiredError:
            if new:
                raise
            # A machine that slept has a clock for waiting that did not count it.
            renewed, _ = self._certified(instead_of=signer)
            made = self._ask(lambda: renewed.sign_dsse(said))
        text: str = made.to_json()
        return text.encode()

    def said(self, bundle: bytes, where: str) -> list[Statement]:
        """The statements in a bundle, if this identity signed it; else `SignatureError`."""
        found = verify_bundle(bundle, [], where, identities=[_Own(self)])
        return [replace(one, name="" if one.name == _UNNAMED else one.name) for one in found]

    def _certified(self, *, instead_of: CertifiedSigner | None = None) -> tuple[CertifiedSigner, bool]:
        """Who signs with a certificate, and whether it was asked for just now: the last one if it is young enough."""
        with self._lock:
            if self._made is not None:
                signer, begin = self._made
                if signer is not instead_of and time.monotonic() - begin < _CERTIFICATE_SECONDS:
                    return signer, False
            begin = time.monotonic()
            token = self._valid_token()
            context = SigningContext.from_trust_config(self.configuration)
            signer = self._ask(lambda: CertifiedSigner(token, context))
            self._made = signer, begin
            return signer, True

    def _valid_token(self) -> IdentityToken:
        if not self.token.in_validity_period():
            try:
                renewed = self.renew()
            except IdentityError as error:
                raise IdentityError(
                    f"the identity token is expired by now, and there is no newer one: {error}\n  Push again with a "
                    "new one: what was sent is not sent again"
                ) from None
            if _name(renewed) != self.name:
                raise IdentityError(f"the identity token was of {self.name}, and the newer one is of {_name(renewed)}")
            self.token = renewed
        return self.token

    def _ask(self, work: Callable[[], _T]) -> _T:
        """As `_asked`. Whoever comes after a service that did not answer is told so, and does not wait for it too."""
        if self._silence:
            raise IdentityError(self._silence)
        try:
            return _asked(work)
        except _SilentError as error:
            self._silence = str(error)
            raise

    def own(self) -> policy.VerificationPolicy:
        """What the certificates of this signer say: issuers are named in them by other claims of a token."""
        issuer = self.token.federated_issuer
        return policy.AnyOf([policy.Identity(identity=name, issuer=issuer) for name in _names(str(self.token))])


@dataclass(frozen=True)
class _Own:
    """The identity of a signer."""

    signer: KeylessSigner

    @property
    def where(self) -> str:
        return self.signer.name

    def payload(self, bundle: bytes) -> bytes:
        return _verified(bundle, self.signer.configuration.trusted_root, self.signer.own())


def read_trusted_root(path: Path | None) -> TrustedRoot:
    """The trusted root in a file; without one that of Sigstore's public services, which is fetched.

    Raises:
      IdentityError: the file is not one, or the public one cannot be had.
    """
    if path is None:
        return _public().trusted_root
    read_object(_read(path), str(path), IdentityError)
    try:
        return TrustedRoot.from_file(str(path))
    except (SigstoreError, ValueError) as error:
        raise IdentityError(f"{path}: is not a trusted root of Sigstore: {_first_line(error)}") from None


def keyless_signer(
    token_file: Path | None, environment: Mapping[str, str], signing: Path | None, root: Path | None
) -> KeylessSigner:
    """A signer with a token (see `identity_token`) by the services of two files, a signing configuration and a trusted
    root; without them by Sigstore's public ones.

    Raises:
      IdentityError: no token is given, a file is malformed, or the list of the public services cannot be fetched.
    """
    renew = partial(identity_token, token_file, environment)
    return KeylessSigner(renew(), _configuration(signing, root), renew)


def _configuration(signing: Path | None, root: Path | None) -> ClientTrustConfig:
    if signing is None or root is None:
        return _public()
    document = {
        "mediaType": _CONFIGURATION,
        "signingConfig": read_object(_read(signing), str(signing), IdentityError),
        "trustedRoot": read_object(_read(root), str(root), IdentityError),
    }
    read_trusted_root(root)
    try:
        configuration = ClientTrustConfig.from_json(json.dumps(document))
        SigningContext.from_trust_config(configuration)
    except (SigstoreError, ValueError) as error:
        raise IdentityError(f"{signing}: is not a signing configuration of Sigstore: {_first_line(error)}") from None
    return configuration


def identity_token(file: Path | None, environment: Mapping[str, str]) -> IdentityToken:
    """The token to sign with: that in a file, or that of the environment, or the one that the job of CI which this runs
    in can have.

    Raises:
      IdentityError: there is none, or it is malformed or expired.
    """
    if file is not None:
        where, text = str(file), _read(file).decode("ascii", "replace").strip()
    elif environment.get(TOKEN_VARIABLE, "").strip():
        where, text = TOKEN_VARIABLE, environment[TOKEN_VARIABLE].strip()
    else:
        where, text = "the token of this job", _detected()
    try:
        return IdentityToken(text)
    except SigstoreIdentityError as error:
        raise IdentityError(f"{where}: cannot be signed with: {_first_line(error.__cause__ or error)}") from None


def _detected() -> str:
    try:
        found = detect_credential()
    except SigstoreIdentityError as error:
        raise IdentityError(f"the identity of this job cannot be had: {_first_line(error)}") from None
    if not found:
        raise IdentityError(
            f"--keyless: no identity to sign with: this is not a job of CI that has one\n  Give a token with "
            f"--identity_token FILE or in {TOKEN_VARIABLE}; `sigstore get-identity-token` asks for one in a browser"
        )
    return str(found)


def _name(token: IdentityToken) -> str:
    return f"{token.identity} (of {token.federated_issuer})"


def _names(token: str) -> Iterator[str]:
    """What a certificate may name the holder of a token by: the claims differ from issuer to issuer."""
    body = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    for claim in _NAMING_CLAIMS:
        if isinstance(claims.get(claim), str):
            yield from (form.format(claims[claim]) for form in _NAMING_FORMS)


def _verified(bundle: bytes, root: TrustedRoot, expected: policy.VerificationPolicy) -> bytes:
    try:
        payload: bytes
        kind, payload = Verifier(trusted_root=root).verify_dsse(Bundle.from_json(bundle), expected)
    except CertValidationError as error:
        reason = (
            "its certificate was not valid when it signed, as the log or a timestamp has it, or is not of a trusted "
            "authority"
        )
        raise SignatureError(f"{reason}: {_first_line(error)}") from None
    except (SigstoreError, ValueError) as error:
        raise SignatureError(_first_line(error)) from None
    if kind != PAYLOAD_TYPE:
        raise SignatureError(f"signs {kind!r}, expected {PAYLOAD_TYPE!r}")
    return payload


def _public() -> ClientTrustConfig:
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # of its retries the last has the reason
    try:
        return ClientTrustConfig.production()
    except (SigstoreError, OSError) as error:
        raise IdentityError(
            f"what Sigstore's public services are cannot be had: {_first_line(error)}\n  Give --trusted_root FILE, and "
            "--signing_config FILE to sign, of services that this machine reaches"
        ) from None


def _asked(work: Callable[[], _T]) -> _T:
    """What services give: in a thread of its own, since the package waits for them for ever."""
    found: list[_T] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            found.append(work())
        except Exception as error:  # its errors have nothing in common
            failed.append(error)

    thread = threading.Thread(target=run, name="sigstore", daemon=True)
    thread.start()
    thread.join(_SERVICE_SECONDS)
    if failed:
        kind = _ExpiredError if type(failed[0]).__name__ == _EXPIRED_CERTIFICATE else IdentityError
        raise kind(f"signing without a key: {_said(failed[0])}")
    if not found:
        raise _SilentError(f"signing without a key: Sigstore's services gave no answer in {_SERVICE_SECONDS:g} s")
    return found[0]


def _said(error: BaseException) -> str:
    if type(error).__name__ in _EXPIRED:
        return _EXPIRED[type(error).__name__]
    text = _first_line(error)
    if isinstance(error, InvalidBundle):  # no authority said when, and the log does not
        return f"the services gave no whole bundle: {text}"
    cause = error.__cause__ or error.__context__
    more = f": {_first_line(cause)}" if cause is not None and _first_line(cause) not in text else ""
    return f"{type(error).__name__}{f': {text}' if text else ''}{more}"


def _first_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise IdentityError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > _MAX_FILE_BYTES:
        raise IdentityError(f"{path}: is larger than {_MAX_FILE_BYTES} bytes")
    return data
