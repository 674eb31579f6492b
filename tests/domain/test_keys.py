"""Who is calling: a key, a plane and a mode make a principal or a refusal."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emulator.core.errors import ApiError, Kind
from emulator.domain.keys import (
    INFERENCE_KEY,
    MANAGEMENT_KEY,
    AuthMode,
    Key,
    Plane,
    authenticate,
    bearer,
    check_team_name,
    identify,
    redact,
    team_of,
)

INFERENCE, MANAGEMENT = Plane.INFERENCE, Plane.MANAGEMENT
GIVEN = {
    key.secret: key
    for key in (
        Key("xai-given", INFERENCE),
        Key("xai-token-given", MANAGEMENT),
        Key("xai-token-odd", INFERENCE),
        Key("limited", MANAGEMENT, frozenset({"AddFileToCollection"})),
    )
}
BAD = "Invalid bearer token. Please ensure you use a valid management key."
RECORDED = {
    (Kind.NO_CREDENTIALS, INFERENCE): "No credentials provided",
    (Kind.NO_CREDENTIALS, MANAGEMENT): BAD,
    (Kind.INCORRECT_KEY, MANAGEMENT): BAD,
}
TAKEN, WRONG, NONE = "taken", Kind.INCORRECT_KEY, Kind.NO_CREDENTIALS


@pytest.mark.parametrize(
    ("secret", "plane", "shape", "strict"),
    [
        ("sk-any", INFERENCE, TAKEN, WRONG),
        ("sk-any", MANAGEMENT, TAKEN, WRONG),
        ("xai-abc", INFERENCE, TAKEN, WRONG),
        ("xai-abc", MANAGEMENT, WRONG, WRONG),
        ("xai-token-abc", INFERENCE, WRONG, WRONG),
        ("xai-token-abc", MANAGEMENT, TAKEN, WRONG),
        ("xai-given", INFERENCE, TAKEN, TAKEN),
        ("xai-given@b", INFERENCE, TAKEN, TAKEN),
        ("xai-given", MANAGEMENT, WRONG, WRONG),
        ("xai-token-given", MANAGEMENT, TAKEN, TAKEN),
        ("xai-token-given", INFERENCE, WRONG, WRONG),
        ("xai-token-odd", INFERENCE, TAKEN, TAKEN),
        ("xai-token-odd", MANAGEMENT, WRONG, WRONG),
        ("xai-given ", INFERENCE, TAKEN, WRONG),
        ("", INFERENCE, NONE, NONE),
        (None, MANAGEMENT, NONE, NONE),
    ],
)
def test_auth_mode_decides_which_keys_are_accepted(
    secret: str | None, plane: Plane, shape: object, strict: object
) -> None:
    """By their shape, by a list, or not at all."""

    refusals: list[ApiError] = []

    def judged(mode: AuthMode) -> object:
        try:
            authenticate(secret, plane, mode, GIVEN)
        except ApiError as error:
            refusals.append(error)
            return error.kind
        principal = identify(secret, plane, mode, GIVEN)
        assert (principal.team, principal.secret) == (team_of(secret), secret or "")
        return TAKEN

    assert judged(AuthMode.SHAPE) == shape
    assert judged(AuthMode.STRICT) == strict
    assert judged(AuthMode.OPEN) == TAKEN
    shown = f"{(secret or '')[:2]}***{(secret or '')[-2:]}"
    words = f"Incorrect API key provided: {shown}. You can obtain an API key from https://console.x.ai."
    for error in refusals:
        assert (error.rule, error.message) == ("key", RECORDED.get((error.kind, plane), words))


@pytest.mark.parametrize("mode", AuthMode)
@pytest.mark.parametrize("secret", [None, "", "xai-token-abc", "sk@b"])
def test_public_plane_needs_no_key(mode: AuthMode, secret: str | None) -> None:
    """Whatever key there is, or none."""
    authenticate(secret, Plane.PUBLIC, mode, GIVEN)
    assert identify(secret, Plane.PUBLIC, mode, GIVEN).secret == ""


@pytest.mark.parametrize(
    ("secret", "team"),
    [
        ("xai-emulator", "default"),
        ("xai-emulator@b", "b"),
        ("a@b@c", "c"),
        ("a@", "default"),
        ("a@no spaces", "default"),
        ("a@" + "x" * 64, "x" * 64),
        ("a@" + "x" * 65, "default"),
        (None, "default"),
    ],
)
def test_key_suffix_selects_team(secret: str | None, team: str) -> None:
    """By what follows its last @; a name that no team can have is part of the key."""
    assert team_of(secret) == team
    assert identify(secret or "a", INFERENCE, AuthMode.OPEN, {}).team == team


@given(st.text(max_size=70))
def test_every_valid_team_name_can_be_selected_by_key(name: str) -> None:
    """A name that is refused is one that no key could select, and the other way round."""
    try:
        check_team_name(name)
    except ValueError:
        assert team_of(f"key@{name}") != name
    else:
        assert team_of(f"key@{name}") == check_team_name(name) == name


def test_default_keys_and_mode_names_are_documented_ones() -> None:
    """The keys that are there by themselves, and what flags call planes and modes."""
    assert (INFERENCE_KEY, MANAGEMENT_KEY) == ("xai-emulator", "xai-token-emulator")
    assert [mode.value for mode in AuthMode] == ["shape", "strict", "open"]
    assert [plane.value for plane in Plane] == ["inference", "management", "public"]


def test_key_with_team_suffix_is_separate_key() -> None:
    """With its suffix it is another key than without, and both may be given."""
    given = {"k@b": Key("k@b", INFERENCE, frozenset({"one"})), "k": Key("k", INFERENCE, frozenset({"two"}))}
    for secret, permission in (("k@b", "one"), ("k", "two"), ("k@c", "two")):
        authenticate(secret, INFERENCE, AuthMode.STRICT, given)
        assert identify(secret, INFERENCE, AuthMode.STRICT, given).permissions == {permission}


def test_permissions_of_key_are_those_configured() -> None:
    """A key without a list may do everything."""
    limited = identify("limited", MANAGEMENT, AuthMode.STRICT, GIVEN)
    limited.require("AddFileToCollection")
    with pytest.raises(ApiError) as refused:
        limited.require("DeleteCollection")
    assert (refused.value.kind, refused.value.rule) == (Kind.PERMISSION_DENIED, "permission")
    identify("xai-token-given", MANAGEMENT, AuthMode.STRICT, GIVEN).require("DeleteCollection")


@pytest.mark.parametrize(
    ("header", "secret"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic abc", None),
        ("abc", None),
        ("", None),
        (None, None),
    ],
)
def test_bearer_scheme_is_read_case_insensitively(header: str | None, secret: str | None) -> None:
    """The scheme in any case (RFC 9110 §11.1), and nothing but it."""
    assert bearer(header) == secret


@given(st.text(max_size=100))
@example("abcd")
@example("abcde")
def test_key_is_redacted_in_refusals(secret: str) -> None:
    """Its first and last two characters at most, as recorded; of a short one, nothing. A principal does not show it."""
    assert redact(secret) == (f"{secret[:2]}***{secret[-2:]}" if len(secret) > 4 else "***")
    principal = identify(f"secret-{secret}", INFERENCE, AuthMode.OPEN, {})
    assert repr(principal) == f"Principal({principal.team!r})"
