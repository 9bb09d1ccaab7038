"""The protocol where allauth leaves a choice: PKCE and a nonce always, signed ID tokens, one issuer."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import jwt
import requests
from allauth.socialaccount.internal import jwtkit
from allauth.socialaccount.models import SocialApp, SocialLogin, SocialToken
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.http import HttpRequest, HttpResponse

SIGNATURES = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
KEPT = ("sub", "name", "email")  # what is written down of what the provider says, beside groups and user name
MAX_GROUPS = 1000


def uid_of(issuer: str, subject: str) -> str:
    """Return what identifies a person: the subject at this issuer, so that another issuer cannot give it again."""
    return hashlib.sha256(f"{issuer}\n{subject}".encode()).hexdigest()


def groups_of(claim: object) -> list[str]:
    """Return the groups a claim names: a list of texts, or texts with commas between (some providers do that)."""
    found = claim.split(",") if isinstance(claim, str) else claim if isinstance(claim, list) else []
    return [each.strip() for each in found[:MAX_GROUPS] if isinstance(each, str) and each.strip()]


class Protocol(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]  # allauth ships no types
    """One exchange with the provider, from the code to claims that are proven."""

    nonce = ""

    @property
    def openid_config(self) -> dict[str, Any]:
        """The provider's own description; refused when it speaks of another issuer than the one written here."""
        try:
            found: dict[str, Any] = super().openid_config
        except ValueError as error:
            raise OAuth2Error("the discovery document is not JSON") from error
        wanted = self.get_provider().app.settings["issuer"]
        if not isinstance(found, dict) or found.get("issuer") != wanted:
            said = found.get("issuer") if isinstance(found, dict) else None
            raise OAuth2Error(f"the discovery document names the issuer {str(said)[:200]!r}, not {wanted!r}")
        missing = [each for each in ("authorization_endpoint", "token_endpoint", "jwks_uri") if not found.get(each)]
        if missing:
            raise OAuth2Error(f"the discovery document has no {missing[0]}")
        return found

    def complete_login(self, request: HttpRequest, app: SocialApp, token: SocialToken, **kwargs: Any) -> SocialLogin:
        """Return who signed in: the ID token is proven, and userinfo speaks of the same person."""
        text = kwargs["response"].get("id_token")
        if not isinstance(text, str):
            raise OAuth2Error("the answer has no ID token")
        claims = self._proven(app, text)
        told: dict[str, Any] = {}
        if self.openid_config.get("userinfo_endpoint"):
            told = self._fetch_user_info(token.token)
            if not isinstance(told, dict) or told.get("sub") != claims["sub"]:
                raise OAuth2Error("userinfo speaks of somebody else than the ID token")
        merged = {**claims, **told}
        issuer, own = app.settings["issuer"], app.settings
        kept = {name: str(merged[name])[:200] for name in KEPT if isinstance(merged.get(name), str)}
        data = {
            **kept,
            "uid": uid_of(issuer, claims["sub"]),
            "issuer": issuer,
            "preferred_username": str(merged.get(own["username_claim"]) or "")[:150],
            "groups": groups_of(merged.get(own["groups_claim"])) if own["groups_claim"] else [],
        }
        return self.get_provider().sociallogin_from_response(request, {"userinfo": data})

    def _proven(self, app: SocialApp, text: str) -> dict[str, Any]:
        try:
            algorithm = jwt.get_unverified_header(text).get("alg")
            if algorithm not in SIGNATURES:
                raise OAuth2Error(f"the ID token is signed with {str(algorithm)[:20]!r}")
            claims: dict[str, Any] = jwtkit.verify_and_decode(
                credential=text,
                keys_url=self.openid_config["jwks_uri"],
                issuer=app.settings["issuer"],
                audience=app.client_id,
                lookup_kid=jwtkit.lookup_kid_jwk,
                verify_signature=True,
            )
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
            raise OAuth2Error(f"the ID token or its key cannot be read: {type(error).__name__}") from error
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise OAuth2Error("the ID token names nobody")
        if claims.get("azp") not in (None, app.client_id):
            raise OAuth2Error("the ID token was made for another client")
        if not self.nonce or not secrets.compare_digest(str(claims.get("nonce", "")).encode(), self.nonce.encode()):
            raise OAuth2Error("the ID token carries another nonce than this sign-in sent")
        return claims


class Provider(OpenIDConnectProvider):  # type: ignore[misc]  # allauth ships no types
    """The provider; nothing of a request to us reaches it but what this class sends."""

    oauth2_adapter_class = Protocol

    @property
    def server_url(self) -> str:
        """The address of the discovery document (OpenID Connect Discovery, 4)."""
        return f"{self.app.settings['issuer'].rstrip('/')}/.well-known/openid-configuration"

    def redirect(
        self, request: HttpRequest, process: str, next_url: str | None = None, data: Any = None, **kwargs: Any
    ) -> HttpResponse:
        """Send the browser there with state, PKCE and a nonce."""
        nonce = secrets.token_urlsafe(24)
        extra = {"auth_params": {"nonce": nonce}, "scope": self.app.settings["scope"], "nonce": nonce}
        response: HttpResponse = super().redirect(request, process, next_url, data, **extra)
        return response

    def extract_uid(self, data: dict[str, Any]) -> str:
        """The subject at this issuer."""
        return str(data["userinfo"]["uid"])


class Callback(OAuth2CallbackView):  # type: ignore[misc]  # allauth ships no types
    """The way back: hands the nonce of this sign-in to the protocol, refuses an answer of another issuer (RFC 9207)."""

    def _get_state(self, request: HttpRequest, provider: Provider) -> tuple[Any, HttpResponse | None]:
        state, response = super()._get_state(request, provider)
        if state is not None:
            self.adapter.nonce = str(state.get("nonce", ""))
            said = request.GET.get("iss")
            if said is not None and said != provider.app.settings["issuer"]:
                raise requests.RequestException("the answer names another issuer")
        return state, response
